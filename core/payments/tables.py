"""Rows of payments, refunds and deposits. Keys, indexes, checks and triggers stand in the migrations."""

from piccolo.columns import BigInt, Boolean, Date, ForeignKey, Integer, Serial, Text, Timestamptz
from piccolo.table import Table

from core.billing.tables import CreditEntry, Document
from core.customers.tables import Customer
from core.database import SHARED, STAFF_ONLY, via


class PaymentMethod(Table):
    """How money comes and goes: cash, transfer, card, a gateway; `account_code` is where it is booked."""

    belongs = SHARED

    code = Text(unique=True)
    name = Text()
    kind = Text()
    account_code = Text()
    active = Boolean()
    position = Integer()


class Payment(Table):
    """Money of a customer. It counts from `received` on; no payer yet: nobody could be found for it.

    `bank_amount_minor` is what arrived in the bank's currency, `amount_minor` what it is accepted as.
    """

    belongs = via("payer_id")

    payer_id = ForeignKey(Customer, null=True, index=True)
    method_id = ForeignKey(PaymentMethod)
    state = Text()
    currency = Text()
    amount_minor = BigInt()
    bank_currency = Text()
    bank_amount_minor = BigInt()
    fee_minor = BigInt()
    received_on = Date()
    reference = Text()
    note = Text()
    names_document_id = ForeignKey(Document, null=True)
    provider = Text(null=True)
    provider_event_id = Text(null=True)
    reversed_minor = BigInt()
    version = BigInt()
    created_at = Timestamptz()


class Refund(Table):
    """Free credit paid back."""

    belongs = via("customer_id")

    credit_entry_id = ForeignKey(CreditEntry, index=True)
    customer_id = ForeignKey(Customer, index=True)
    method_id = ForeignKey(PaymentMethod)
    state = Text()
    currency = Text()
    amount_minor = BigInt()
    reason = Text()
    reference = Text()
    refunded_on = Date()
    provider = Text(null=True)
    provider_key = Text(null=True)
    created_at = Timestamptz()


class Deposit(Table):
    """Money held for a customer outside its balance."""

    belongs = via("customer_id")

    customer_id = ForeignKey(Customer, index=True)
    method_id = ForeignKey(PaymentMethod, null=True)
    currency = Text()
    amount_minor = BigInt()
    left_minor = BigInt()
    base_minor = BigInt()
    base_left_minor = BigInt()
    state = Text()
    reason = Text()
    reference = Text()
    received_on = Date()


class DepositUse(Table):
    """What became of some of a deposit: applied to the customer's credit, or paid back. Never changes."""

    belongs = via("deposit_id")

    deposit_id = ForeignKey(Deposit, index=True)
    kind = Text()
    method_id = ForeignKey(PaymentMethod, null=True)
    amount_minor = BigInt()
    base_minor = BigInt()
    reason = Text()
    reference = Text()
    used_on = Date()


class OnlinePayment(Table):
    """How a payment goes through a gateway: our key, its reference, and the invoices that it is for, as JSON.

    `given_up_at` while its gateway said neither yes nor no before it was given up; `asked_after` how often it was asked
    since.
    """

    belongs = via("payment_id")

    payment_id = ForeignKey(Payment, primary_key=True, index=True)
    gateway = Text()
    key = Text(unique=True)
    reference = Text()
    page = Text()
    documents = Text()
    reason = Text()
    begun_by = Text()
    asked = BigInt()
    given_up_at = Timestamptz(null=True)
    asked_after = BigInt()


class GatewayEvent(Table):
    """News of a gateway that was taken; the same a second time is none."""

    belongs = via("payment_id")

    id: Serial
    gateway = Text()
    event_id = Text()
    payment_id = ForeignKey(Payment, null=True, index=True)
    kind = Text()
    state = Text()
    received_at = Timestamptz()


class GatewayPayout(Table):
    """What a gateway had received for the operator and paid out to its bank."""

    belongs = STAFF_ONLY

    id: Serial
    gateway = Text()
    event_id = Text()
    currency = Text()
    amount_minor = BigInt()
    paid_on = Date()
