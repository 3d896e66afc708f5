"""Receipts that nobody can be found for yet: they wait in suspense (2500) and are assigned later (row 34)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from core.activity.unit import record, unit_of_work
from core.billing.actions import allocate_credit, open_credit
from core.billing.actions.allocation import in_base, lock_balance, recover_loss
from core.database import Duplicate, dialect, execute, row, value, within
from core.errors import Conflict, Invalid, NotFound
from core.ids import Id
from core.ledger.accounts import Code
from core.ledger.posting import credit, debit, post
from core.money import check_currency
from core.payments.actions import find_method, known_event, named, require_customer, suspended_base
from core.payments.events import PaymentAssigned, UnidentifiedReceived
from core.payments.schemas import AmountMinor, Reference
from core.payments.tables import Payment
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope


class NewReceipt(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Money that arrived from somebody unknown, in the bank's currency; the tenant's when none is given."""

    amount_minor: AmountMinor
    method: Annotated[str, Meta(max_length=60)] = "transfer"
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    received_on: date | None = None
    reference: Reference = ""
    note: Annotated[str, Meta(max_length=1000)] = ""
    provider: Annotated[str, Meta(max_length=60)] | None = None
    event_id: Annotated[str, Meta(max_length=200)] | None = None


class Assignment(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Whose money it is, and the invoice that it pays first."""

    payer_id: Id
    document_id: Id | None = None


async def receive_unidentified(scope: Scope, data: NewReceipt) -> int:
    """Book money that nobody can be found for; gives the payment's id. It is nobody's credit until it is assigned."""
    async with unit_of_work(scope):
        known = await known_event(data.provider, data.event_id)
        if known is not None:
            return known
        currency = check_currency(data.currency or scope.tenant.currency)
        received_on = data.received_on or scope.today()
        if received_on > scope.today():
            raise Invalid(_("Money cannot be received in the future."), field="received_on")
        method = await find_method(data.method)
        base = await in_base(scope, data.amount_minor, currency, received_on)
        try:
            payment_id = int(
                await value(
                    "INSERT INTO payment (method_id, state, currency, amount_minor, bank_currency, bank_amount_minor,"
                    " received_on, reference, note, provider, provider_event_id, created_at) VALUES (:method_id,"
                    " 'received', :currency, :amount, :currency, :amount, :received_on, :reference, :note, :provider,"
                    " :event_id, :now) RETURNING id",
                    method_id=method.id,
                    currency=currency,
                    amount=data.amount_minor,
                    received_on=received_on,
                    reference=data.reference,
                    note=data.note,
                    provider=data.provider,
                    event_id=data.event_id,
                    now=scope.now(),
                )
            )
        except Duplicate as error:
            raise Conflict(_("This event of the provider was just entered by somebody else.")) from error
        await post(
            [
                debit(method.account_code, data.amount_minor, currency, base),
                credit(Code.SUSPENSE, data.amount_minor, currency, base),
            ],
            kind="payment",
            source_kind="payment",
            source_id=payment_id,
            booked_on=scope.today(),
        )
        record(scope, UnidentifiedReceived(payment_id=payment_id, amount_minor=data.amount_minor, currency=currency))
        return payment_id


async def lock_receipts() -> None:
    """Who looks first whether such a receipt is held already does so one at a time, till the end of the transaction."""
    if dialect() == "postgresql":
        await execute("SELECT pg_catalog.pg_advisory_xact_lock(hashtext('receipts ' || current_schema()))")


async def count_alike(scope: Scope, payment_id: int) -> int:
    """How many others wait in suspense with the amount, day and reference of this one."""
    return int(
        await value(
            "SELECT count(*) FROM payment JOIN payment mine ON mine.id = :id WHERE payment.id <> mine.id"
            " AND payment.payer_id IS NULL AND payment.state = 'received'"
            " AND payment.received_on = mine.received_on AND payment.amount_minor = mine.amount_minor"
            " AND payment.currency = mine.currency AND payment.reference = mine.reference AND :within",
            id=payment_id,
            within=within(Payment, scope.actor.reach),
        )
    )


class _Waiting(Struct, frozen=True):
    payer_id: int | None
    state: str
    currency: str
    amount_minor: int
    reversed_minor: int


async def assign(scope: Scope, payment_id: int, data: Assignment) -> None:
    """Somebody was found: the receipt is this customer's credit, and settles what it names, then the oldest due."""
    async with unit_of_work(scope):
        found = await row(
            _Waiting,
            "SELECT payer_id, state, currency, amount_minor, reversed_minor FROM payment WHERE id = :id AND :within"
            " FOR UPDATE",
            id=payment_id,
            within=within(Payment, scope.actor.reach),
        )
        if found is None:
            raise NotFound(f"payment {payment_id}")
        if found.payer_id is not None or found.state not in ("received", "part_reversed"):
            raise Conflict(_("This payment is not one that waits for its customer."))
        await require_customer(scope, data.payer_id, "payer_id")
        meant = await named(scope, data.document_id, data.payer_id, found.currency)
        amount = found.amount_minor - found.reversed_minor
        await lock_balance(data.payer_id, found.currency)
        base = await suspended_base(payment_id)
        await execute(
            "UPDATE payment SET payer_id = :payer, names_document_id = :document, version = version + 1,"
            " note = CASE WHEN :why = '' THEN note WHEN note = '' THEN :why ELSE note || :line || :why END"
            " WHERE id = :id",
            id=payment_id,
            payer=data.payer_id,
            document=meant.document_id,
            why=meant.why,
            line="\n",
        )
        await post(
            [
                debit(Code.SUSPENSE, amount, found.currency, base),
                credit(Code.CUSTOMER_CREDIT, amount, found.currency, base, customer_id=data.payer_id),
            ],
            kind="assignment",
            source_kind="payment",
            source_id=payment_id,
            booked_on=scope.today(),
        )
        await open_credit(
            scope,
            data.payer_id,
            currency=found.currency,
            source_kind="payment",
            source_id=payment_id,
            amount_minor=amount,
            base_minor=base,
        )
        record(
            scope,
            PaymentAssigned(
                payment_id=payment_id, customer_id=data.payer_id, amount_minor=amount, currency=found.currency
            ),
        )
        if meant.invoice_id is not None:
            await recover_loss(scope, meant.invoice_id, amount)
        await allocate_credit(
            scope, data.payer_id, found.currency, named=[meant.invoice_id] if meant.invoice_id else []
        )
