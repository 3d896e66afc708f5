"""What pages and the API of billing take and give. Amounts are in minor units of their currency."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from core.ids import Id

Text = Annotated[str, Meta(max_length=200)]
LongText = Annotated[str, Meta(max_length=2000)]
Description = Annotated[str, Meta(min_length=1, max_length=500)]
ONE_E6 = 1_000_000


class SellerFields(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How the seller stands on documents."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    street: Text = ""
    zip: Text = ""
    city: Text = ""
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    vat_id: Text = ""
    tax_number: Text = ""
    registration: Text = ""
    email: Text = ""
    phone: Text = ""
    website: Text = ""
    bank_name: Text = ""
    iban: Text = ""
    bic: Text = ""
    footer: LongText = ""
    oss: bool = False


class NewLine(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A free line of a draft: quantity × 10⁶, unit price in whole units × 10⁶ (12.50 is 12,500,000)."""

    description: Description
    quantity_e6: Annotated[int, Meta(ge=-(10**12), le=10**12)] = ONE_E6
    unit_price_e6: Annotated[int, Meta(ge=-(10**16), le=10**16)]
    discount_minor: Annotated[int, Meta(ge=0, le=10**12)] = 0
    product_id: Id | None = None
    tax_category: Annotated[str, Meta(max_length=60)] | None = None
    tax_inclusive: bool = False
    period_from: date | None = None
    period_to: date | None = None


class DraftFields(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What can be changed about a draft: all its free lines at once, and the charges that it takes up."""

    lines: Annotated[list[NewLine], Meta(max_length=500)] = []
    charge_ids: Annotated[list[int], Meta(max_length=2000)] = []
    terms_days: Annotated[int, Meta(ge=0, le=365)] | None = None
    reference: Text = ""
    note: LongText = ""


class NewDraft(DraftFields, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An invoice by hand, for who pays. `open_charges`: it takes up all of them that are open."""

    payer_id: Id
    open_charges: bool = False


class CreditLine(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How much of an invoice's line is credited: net, or with tax where the line is so."""

    line_id: Id
    amount_minor: Annotated[int, Meta(ge=1, le=10**12)]


class NewCreditNote(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A credit note over an invoice: some of its lines, or all that is left of it.

    `late_fees`: what becomes of its late fees that were invoiced already, where all that is left is credited.
    """

    document_id: Id
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    lines: list[CreditLine] | None = None
    charges: Literal["waive", "bill_again"] = "waive"
    late_fees: Literal["keep", "credit"] = "keep"


class FreeCreditLine(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Net that is credited at a rate the customer was charged at: its code (S, AE, E, O …) and parts per million."""

    description: Description
    tax_code: Annotated[str, Meta(min_length=1, max_length=10)] = "S"
    rate_ppm: Annotated[int, Meta(ge=0, le=10**6)]
    net_minor: Annotated[int, Meta(ge=1, le=10**12)]


class NewFreeCreditNote(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A credit note that corrects no invoice: at each rate at most what the customer was charged and not credited."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    lines: Annotated[list[FreeCreditLine], Meta(min_length=1, max_length=500)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None


class ReissuedLine(NewLine, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A line of the invoice anew; `line_id` names the one that it was. One without it is new."""

    line_id: Id | None = None


class Reissue(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An issued invoice that is credited in full and issued anew, with a new number: with the same lines when `lines`
    is left out. What is left out of the rest stays as it was."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    lines: Annotated[list[ReissuedLine], Meta(max_length=500)] | None = None
    terms_days: Annotated[int, Meta(ge=0, le=365)] | None = None
    reference: Text | None = None
    note: LongText | None = None


class LineRow(Struct, frozen=True):
    """A line: quantity × unit price × `days` ÷ `of_days` − discount is its amount. The days are 1 ÷ 1 for a full
    period, for what has none, and on documents that were issued before lines said so."""

    id: int
    position: int
    charge_id: int | None
    beneficiary_id: int | None
    beneficiary: str | None
    product_id: int | None
    kind: str
    description: str
    quantity_e6: int
    unit_price_e6: int
    days: int
    of_days: int
    discount_minor: int
    amount_minor: int
    net_minor: int
    tax_category: str
    tax_inclusive: bool
    tax_code: str
    rate_ppm: int
    tax_minor: int
    deferred_minor: int
    period_from: date | None
    period_to: date | None
    corrects_line_id: int | None


class TaxRow(Struct, frozen=True):
    category: str
    rate_ppm: int
    net_minor: int
    tax_minor: int
    exemption_code: str


class SettlementRow(Struct, frozen=True):
    """What settled a document: credit of a payment, a credit note or goodwill, or a write-off."""

    id: int
    kind: str
    source_id: int
    amount_minor: int
    on: date
    undone: bool


class DocumentRow(Struct, frozen=True):
    """A document as lists show it.

    `settlement` is derived: draft, open, partly_paid, paid, credited, written_off, overdue; of a proforma open,
    invoiced, superseded (by a later one, or its draft was changed), expired (its draft let go of its charges).
    """

    id: int
    kind: str
    state: str
    number: str | None
    payer_id: int
    payer: str
    issued_on: date | None
    due_on: date | None
    currency: str
    net_minor: int
    tax_minor: int
    total_minor: int
    open_minor: int
    settled_on: date | None
    disputed: bool
    settlement: str
    corrects_id: int | None
    run_id: int | None
    sent_at: datetime | None
    rounding_minor: int = 0
    """What rounds its total to what can be paid in cash; outside tax."""


class DocumentDetail(DocumentRow, frozen=True, kw_only=True):
    """A document with all that stands on it. `buyer` and `seller` are the parties as they were on issue, JSON.

    Of a proforma: `draft_id` becomes its invoice, `replaced_by_id` took its place, `way_out` says what to do instead.
    """

    terms_days: int | None = None
    language: str = ""
    reference: str = ""
    note: str = ""
    tax_on: date | None = None
    fx_rate_e10: int | None = None
    tax_fx_rate_e10: int | None = None
    tax_currency_minor: int | None = None
    seller_id: int = 0
    version: int = 1
    created_at: datetime | None = None
    issued_at: datetime | None = None
    buyer: str = ""
    seller: str = ""
    lines: list[LineRow] = []
    taxes: list[TaxRow] = []
    settled_by: list[SettlementRow] = []
    credit_note_ids: list[int] = []
    draft_id: int | None = None
    replaced_by_id: int | None = None
    way_out: str = ""


class CreditRow(Struct, frozen=True):
    id: int
    customer_id: int
    currency: str
    source_kind: str
    source_id: int
    subscription_id: int | None
    reason: str
    amount_minor: int
    left_minor: int
    created_on: date


class RunRow(Struct, frozen=True):
    id: int
    as_of_on: date
    issued_on: date
    state: str
    question: str
    payers_total: int
    payers_done: int
    invoices: int
    charges: int
    parked: int
    renewed: int
    not_covered: int
    totals: str
    expected: str
    actor: str
    started_at: datetime
    finished_at: datetime | None


class ParkedRow(Struct, frozen=True, kw_only=True):
    """An account that could not be billed: since `parked_at`, until `resolved_at`; tried again last at `tried_at`.

    `amount_minor`: what is not billed, before tax, where that is known.
    """

    id: int
    payer_id: int
    payer: str
    reason: str
    detail: str
    amount_minor: int | None
    currency: str | None
    parked_at: datetime
    tried_at: datetime | None
    resolved_at: datetime | None
    run_id: int


class RenewalRow(Struct, frozen=True, kw_only=True):
    """A renewal of something prepaid: what it costs with tax, since when it is not covered, when the balance paid it.

    Runs from `first_short_run_id` to `last_short_run_id` found it not covered, `renewed_run_id` renewed it.
    """

    id: int
    subscription_id: int
    product: str
    customer_id: int
    customer: str
    payer_id: int
    period_start: date
    currency: str
    total_minor: int
    missing_minor: int
    short_on: date | None
    renewed_on: date | None
    document_id: int | None
    number: str | None
    first_short_run_id: int | None
    last_short_run_id: int | None
    renewed_run_id: int | None
