"""What pages and the API of payments take and give. Amounts are in minor units of their currency."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from msgspec import Meta, Struct

from core.ids import Id

Reference = Annotated[str, Meta(max_length=200)]
AmountMinor = Annotated[int, Meta(ge=1, le=10**12)]


class Share(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How much of a payment settles an invoice."""

    document_id: Id
    amount_minor: AmountMinor


class NewPayment(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Money that was received. `document_id` names the invoice that it is for; else the oldest due is settled first.
    `split` allocates it by hand; the rest goes by the rule. One that was written off is recovered when it is named.

    `provider` and its `event_id` make it known for ever: the same event again is the same payment.
    """

    payer_id: Id
    amount_minor: AmountMinor
    method: Annotated[str, Meta(max_length=60)] = "transfer"
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    received_on: date | None = None
    reference: Reference = ""
    note: Annotated[str, Meta(max_length=1000)] = ""
    document_id: Id | None = None
    split: Annotated[list[Share], Meta(max_length=200)] = []
    bank_currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    bank_amount_minor: AmountMinor | None = None
    fee_minor: Annotated[int, Meta(ge=0, le=10**12)] = 0
    provider: Annotated[str, Meta(max_length=60)] | None = None
    event_id: Annotated[str, Meta(max_length=200)] | None = None


class NewRefund(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Free credit that is paid back. `reopen`: where it does not suffice, payments are taken off invoices, the newest
    first, which are open again."""

    customer_id: Id
    amount_minor: AmountMinor
    method: Annotated[str, Meta(max_length=60)] = "transfer"
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    reference: Reference = ""
    reopen: bool = False


class Reversal(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A chargeback or returned debit: the whole payment, or a part, and what the bank took for it, in its currency.

    `charge_fee`: the payer's next invoice charges that fee on; else it is ours.
    """

    amount_minor: AmountMinor | None = None
    fee_minor: Annotated[int, Meta(ge=0, le=10**12)] = 0
    charge_fee: bool = False
    reason: Annotated[str, Meta(max_length=500)] = ""


class PaymentRow(Struct, frozen=True):
    """A payment, and what of it is still free."""

    id: int
    payer_id: int | None
    payer: str | None
    method: str
    method_name: str
    state: str
    currency: str
    amount_minor: int
    reversed_minor: int
    free_minor: int
    fee_minor: int
    bank_currency: str
    bank_amount_minor: int
    received_on: date
    reference: str
    note: str
    names_document_id: int | None
    provider: str | None
    created_at: datetime


class PaidRow(Struct, frozen=True):
    """A document that a payment settled, in whole or in part."""

    allocation_id: int
    document_id: int
    number: str | None
    amount_minor: int
    allocated_on: date
    undone: bool


class NamingRow(Struct, frozen=True):
    """A payment that names a document, with what of it is free and one document that it settled, if any."""

    id: int
    method_name: str
    received_on: date
    currency: str
    amount_minor: int
    reversed_minor: int
    free_minor: int
    document_id: int | None
    number: str | None
    settled_minor: int


class PaymentDetail(PaymentRow, frozen=True, kw_only=True):
    """A payment with the documents that it settled."""

    paid: list[PaidRow] = []


class MethodRow(Struct, frozen=True):
    id: int
    code: str
    name: str
    kind: str
    active: bool
