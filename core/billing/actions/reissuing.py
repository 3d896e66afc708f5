"""Credit and reissue: an issued invoice is changed by a credit note in full and a new invoice, in one step.

Its charges are reversed and rated anew as their next revision, its payments take the place that they had.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.billing.actions.allocation import change_waits, credit_came, lock_balance, settle_open
from core.billing.actions.credit_notes import credit_in_full, not_paid
from core.billing.actions.free_notes import AtRate
from core.billing.actions.invoices import amount_of, check_discount, draft_of, issue
from core.billing.actions.late_fees import goes_on_as
from core.billing.actions.notes import list_left, lock_invoice
from core.billing.events import InvoiceReissued
from core.billing.part_periods import share_of
from core.billing.schemas import DraftFields, NewLine, ReissuedLine
from core.database import execute, row, rows, value, values
from core.errors import Conflict, Invalid
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.billing.actions.free_notes import Rate
    from core.billing.schemas import Reissue
    from core.scope import Scope


class Reissued(Struct, frozen=True):
    """The credit note over the old invoice, and the new one."""

    credit_note_id: int
    invoice_id: int


class _Line(Struct, frozen=True):
    id: int
    kind: str
    charge_id: int | None
    subscription_id: int | None
    waits: bool
    description: str
    quantity_e6: int
    unit_price_e6: int
    days: int
    of_days: int
    discount_minor: int
    amount_minor: int
    product_id: int | None
    tax_category: str
    tax_inclusive: bool
    period_from: date | None
    period_to: date | None


class _Beside(Struct, frozen=True):
    terms_days: int | None
    reference: str
    note: str


async def reissue(scope: Scope, document_id: int, data: Reissue) -> Reissued:
    """Credit an invoice in full and issue it anew with what is changed. The price of a charge is that of a full period:
    of a part of one its days are charged.

    Payments on it settle the new one first. A subscription that waited for it waits for the new one. A charge whose
    line is left out is waived.
    """
    async with unit_of_work(scope):
        invoice = await lock_invoice(scope, document_id)
        left = await list_left(document_id)
        if await value("SELECT 1 FROM document WHERE corrects_id = :id AND state = 'issued' LIMIT 1", id=document_id):
            raise Conflict(
                _("Part of it was credited already: credit the rest, and make a new invoice of what is due.")
            )
        if await value(
            "SELECT 1 FROM credited_span WHERE charge_id IN"
            " (SELECT charge_id FROM document_line WHERE document_id = :id) LIMIT 1",
            id=document_id,
        ):
            raise Conflict(_("Days of it were credited for an end already: void it without billing it again."))
        if await change_waits(document_id):
            raise Conflict(_("A change waits for this invoice. Undo that, and ask for it again."))
        old = await list_reissuable(document_id)
        wanted = [line_as_it_was(each) for each in old] if data.lines is None else data.lines
        if not wanted:
            raise Invalid(_("Leave at least one line, or void the invoice."), field="lines")
        _check(old, wanted)
        paid = await _paid_by(document_id)
        await lock_balance(invoice.payer_id, invoice.currency)
        charge_ids = await _rate_anew(scope, old, wanted, invoice.payer_id, invoice.currency)
        beside = await row(_Beside, "SELECT terms_days, reference, note FROM document WHERE id = :id", id=document_id)
        assert beside is not None
        fields = DraftFields(
            lines=[_bare(each) for each in wanted if not _charged(old, each)],
            charge_ids=charge_ids,
            terms_days=beside.terms_days if data.terms_days is None else data.terms_days,
            reference=beside.reference if data.reference is None else data.reference,
            note=beside.note if data.note is None else data.note,
        )
        invoice_id = await draft_of(scope, invoice.payer_id, invoice.currency, fields, replaces_id=document_id)
        note_id = await credit_in_full(scope, invoice, left, data.reason, None, anew=await _by_rate(invoice_id))
        await issue(scope, invoice_id)
        if paid:
            await settle_open(scope, invoice.payer_id, invoice.currency, [invoice_id], paid)
        await credit_came(scope, invoice.payer_id, invoice.currency)
        record(
            scope,
            InvoiceReissued(invoice_id=invoice_id, customer_id=invoice.payer_id, replaces_id=document_id),
            changes={"reason": (None, data.reason)},
        )
        return Reissued(note_id, invoice_id)


async def _by_rate(draft_id: int) -> dict[Rate, AtRate]:
    """What a draft charges."""
    found = await rows(
        AtRate,
        "SELECT tax_code, rate_ppm, CAST(sum(net_minor) AS bigint) AS net_minor, CAST(sum(tax_minor) AS bigint)"
        " AS tax_minor FROM document_line WHERE document_id = :id GROUP BY tax_code, rate_ppm",
        id=draft_id,
    )
    return {(each.tax_code, each.rate_ppm): each for each in found}


async def list_reissuable(document_id: int) -> list[_Line]:
    """The lines of an invoice as they can be written anew."""
    return await rows(
        _Line,
        "SELECT l.id, l.kind, l.charge_id, k.subscription_id,"
        " coalesce(k.kind = 'recurring' AND k.period_start IS NULL, FALSE) AS waits, l.description, l.quantity_e6,"
        " l.unit_price_e6, coalesce(k.days, 1) AS days, coalesce(k.of_days, 1) AS of_days, l.discount_minor,"
        " l.amount_minor, l.product_id, l.tax_category, l.tax_inclusive, l.period_from, l.period_to"
        " FROM document_line l LEFT JOIN charge k ON k.id = l.charge_id"
        " WHERE l.document_id = :id ORDER BY l.position",
        id=document_id,
    )


def line_as_it_was(line: _Line) -> ReissuedLine:
    names = set(ReissuedLine.__struct_fields__) - {"line_id"}
    return ReissuedLine(line_id=line.id, **{name: getattr(line, name) for name in names})


def _check(old: Sequence[_Line], wanted: Sequence[ReissuedLine]) -> None:
    by_id = {each.id: each for each in old}
    seen: set[int] = set()
    for at, each in enumerate(wanted):
        if each.line_id is None:
            continue
        line = by_id.get(each.line_id)
        if line is None or each.line_id in seen:
            raise Invalid(_("Name each line of this invoice once."), field=f"lines.{at}.line_id")
        seen.add(each.line_id)
        if line.charge_id is not None and (each.period_from, each.period_to) != (line.period_from, line.period_to):
            raise Invalid(_("The days of a charge stay as they are."), field=f"lines.{at}.period_to")


def _charged(old: Sequence[_Line], line: ReissuedLine) -> bool:
    """Whether it stands for a charge, not for a free line."""
    return any(each.id == line.line_id and each.charge_id is not None for each in old)


def _bare(line: ReissuedLine) -> NewLine:
    return NewLine(**{name: getattr(line, name) for name in NewLine.__struct_fields__})


async def _paid_by(document_id: int) -> list[int]:
    """The credits that stand on it now."""
    found = await values(
        "SELECT credit_entry_id FROM allocation WHERE document_id = :id"
        " GROUP BY credit_entry_id HAVING sum(amount_minor) > 0 ORDER BY min(id)",
        id=document_id,
    )
    return [int(each) for each in found]


async def _rate_anew(
    scope: Scope, old: Sequence[_Line], wanted: Sequence[ReissuedLine], payer_id: int, currency: str
) -> list[int]:
    """The next revisions of the charges that stay, open, in the order of the lines; the rest are waived."""
    by_id = {each.id: each for each in old}
    made: list[int] = []
    kept: set[int] = set()
    for at, each in enumerate(wanted):
        line = by_id.get(each.line_id or 0)
        if line is None or line.charge_id is None:
            continue
        priced = (each.quantity_e6, each.unit_price_e6, each.discount_minor)
        same = priced == (line.quantity_e6, line.unit_price_e6, line.discount_minor)
        days, of_days = share_of(line, currency)
        if not same:
            check_discount(_bare(each), currency, at, days, of_days)
        kept.add(line.charge_id)
        anew_id = int(
            await value(
                "INSERT INTO charge (subscription_id, term_id, customer_id, payer_id, product_id, kind, component,"
                " description, period_start, period_end, days, of_days, quantity_e6, unit_price_e6,"
                " discount_minor, amount_minor, currency, tax_category, tax_inclusive, revision, state,"
                " replaced_from)"
                " SELECT subscription_id, term_id, customer_id, :payer_id, product_id, kind, component,"
                " :description, period_start, period_end, :days, :of_days, :quantity, :price, :discount, :amount,"
                " currency, :category, :inclusive, revision + 1, 'open', replaced_from FROM charge"
                " WHERE id = :id RETURNING id",
                id=line.charge_id,
                payer_id=payer_id,
                description=each.description,
                quantity=each.quantity_e6,
                price=each.unit_price_e6,
                discount=each.discount_minor,
                days=days,
                of_days=of_days,
                amount=line.amount_minor if same else amount_of(each, currency, days, of_days),
                category=each.tax_category or line.tax_category,
                inclusive=each.tax_inclusive,
            )
        )
        if line.kind == "fee":
            await goes_on_as(line.charge_id, anew_id)
        made.append(anew_id)
    await _close(scope, [each for each in old if each.charge_id is not None], kept)
    return made


async def _close(scope: Scope, charged: Sequence[_Line], kept: set[int]) -> None:
    """The old charges: reversed where there is a next revision, else waived; what waited for a waived one is over."""
    for state, ids in (
        ("reversed", [each.charge_id for each in charged if each.charge_id in kept]),
        ("waived", [each.charge_id for each in charged if each.charge_id not in kept]),
    ):
        if ids:
            await execute(
                "UPDATE charge SET state = :state, closed_on = :today WHERE id IN :ids AND state = 'invoiced'",
                state=state,
                today=scope.today(),
                ids=ids,
            )
    for each in charged:
        if each.waits and each.charge_id not in kept and each.subscription_id is not None:
            await not_paid(scope, each.subscription_id)
