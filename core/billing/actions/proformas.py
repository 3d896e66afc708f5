"""Proformas: what an invoice would be, under a number of their own, without any effect on the books.

One is made of a draft, which stays and names it: issued, the invoice takes its place.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from core.activity.unit import record, unit_of_work
from core.billing.actions.invoices import draft_of, lock_draft, plan_for, work_out_draft
from core.billing.actions.setup import snapshot_of
from core.billing.events import ProformaIssued
from core.billing.numbering import take_numbers
from core.billing.queries import draft_let_go, get_document
from core.billing.schemas import DraftFields, NewLine
from core.billing.staging import json_object
from core.billing.writing import buyer_as_json, retain_until, tell_listeners
from core.customers.queries import get_customer
from core.database import execute, value
from core.errors import Conflict
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope

_LINE = (
    "position, product_id, kind, description, quantity_e6, unit_price_e6, days, of_days, discount_minor, amount_minor,"
    " net_minor, tax_category, tax_inclusive, tax_rate_id, tax_code, rate_ppm, tax_minor, base_net_minor,"
    " base_tax_minor, period_from, period_to"
)


async def issue_proforma(scope: Scope, draft_id: int) -> int:
    """A proforma of what a draft is now, with its own number; gives its id. Charges and ledger know nothing of it."""
    async with unit_of_work(scope):
        draft = await lock_draft(scope, draft_id)
        if not await value("SELECT 1 FROM document_line WHERE document_id = :id LIMIT 1", id=draft_id):
            raise Conflict(_("A draft without a line has no proforma. Add one first."))
        plan = await plan_for(scope, draft.seller_id)
        await work_out_draft(plan, draft_id)
        total = int(await value("SELECT total_minor FROM document WHERE id = :id", id=draft_id))
        if total <= 0:
            raise Conflict(_("There is nothing to pay on this draft: a proforma asks for something."))
        terms = draft.terms_days
        if terms is None:
            terms = (await get_customer(scope, draft.payer_id)).terms_days
        proforma_id = int(
            await value(
                "INSERT INTO document (kind, state, payer_id, seller_id, book_id, currency, terms_days, tax_on,"
                " net_minor, tax_minor, rounding_minor, total_minor, corrects_id, language, reference, note,"
                " created_at) SELECT 'proforma', 'draft', payer_id, seller_id, book_id, currency, terms_days, tax_on,"
                " net_minor, tax_minor, rounding_minor, total_minor,"
                " (SELECT p.id FROM document p WHERE p.id = document.corrects_id AND p.kind = 'proforma'),"
                " language, reference, note, :now FROM document WHERE id = :id RETURNING id",
                id=draft_id,
                now=scope.now(),
            )
        )
        await execute(
            f"INSERT INTO document_line (document_id, beneficiary_id, {_LINE}) SELECT :proforma::bigint,"
            f" CASE WHEN charge_id IS NOT NULL THEN beneficiary_id END, {_LINE} FROM document_line"
            " WHERE document_id = :id",
            proforma=proforma_id,
            id=draft_id,
        )
        await execute(
            "INSERT INTO document_tax (document_id, category, rate_ppm, net_minor, tax_minor, exemption_code)"
            " SELECT :proforma::bigint, category, rate_ppm, net_minor, tax_minor, exemption_code FROM document_tax"
            " WHERE document_id = :id",
            proforma=proforma_id,
            id=draft_id,
        )
        await execute(
            "INSERT INTO document_party (document_id, role, snapshot, retain_until)"
            f" SELECT :proforma::bigint, 'buyer', {json_object(**buyer_as_json('c'))}, :retain_until::date"
            " FROM customer c WHERE c.id = :payer",
            proforma=proforma_id,
            payer=draft.payer_id,
            retain_until=retain_until(plan.issued_on, plan.settings.retain_years),
        )
        snapshot_id = await snapshot_of(plan.seller)
        numbers = await take_numbers("proforma", plan.seller.id, plan.issued_on, 1)
        await execute(
            "UPDATE document SET state = 'issued', series_id = :series, year = :year, seq = :seq, number = :number,"
            " seller_snapshot_id = :snapshot, issued_on = :on, due_on = :due, issued_at = :now"
            " WHERE id = :id",
            id=proforma_id,
            series=numbers.series_id,
            year=numbers.year,
            seq=numbers.first,
            number=numbers.pattern.number(numbers.first),
            snapshot=snapshot_id,
            on=plan.issued_on,
            due=plan.issued_on + timedelta(days=plan.settings.terms_days if terms is None else terms),
            now=scope.now(),
        )
        await execute("UPDATE document SET corrects_id = :proforma WHERE id = :id", proforma=proforma_id, id=draft_id)
        await tell_listeners(
            scope, f"SELECT id AS document_id, payer_id, kind FROM document WHERE id = {proforma_id:d}"
        )
        record(
            scope,
            ProformaIssued(
                invoice_id=proforma_id, customer_id=draft.payer_id, total_minor=total, currency=draft.currency
            ),
        )
        return proforma_id


async def draft_of_proforma(scope: Scope, proforma_id: int) -> int:
    """The draft that becomes the invoice of a proforma: the one that it was made of, or a new one of the same lines.

    Of several proformas of one draft the latest counts.
    """
    async with unit_of_work(scope):
        if (await get_document(scope, proforma_id)).kind != "proforma":
            raise Conflict(_("Only a proforma is turned into an invoice."))
        if reason := await why_no_draft(proforma_id):
            raise Conflict(reason)
        latest_id = await _latest(proforma_id)
        draft_id = await _draft_of(latest_id)
        if draft_id is not None:
            return draft_id
        proforma = await get_document(scope, latest_id)
        names = NewLine.__struct_fields__
        fields = DraftFields(
            lines=[NewLine(**{name: getattr(line, name) for name in names}) for line in proforma.lines],
            terms_days=proforma.terms_days,
            reference=proforma.reference,
            note=proforma.note,
        )
        return await draft_of(scope, proforma.payer_id, proforma.currency, fields, replaces_id=latest_id)


async def why_no_draft(proforma_id: int) -> str:
    """Why a proforma is not turned into an invoice; empty where it is.

    Charges of a draft that is gone were let go with it: lines of the same would bill them twice. Only lines of charges
    have a beneficiary.
    """
    latest_id = await _latest(proforma_id)
    if await value(
        "SELECT 1 FROM document WHERE corrects_id = :id AND kind = 'invoice' AND state = 'issued' LIMIT 1",
        id=latest_id,
    ):
        return _("Its invoice was issued already.")
    if await _draft_of(latest_id) is None and await value(
        "SELECT 1 FROM document_line WHERE document_id = :id AND beneficiary_id IS NOT NULL LIMIT 1", id=latest_id
    ):
        return draft_let_go()
    return ""


async def _latest(proforma_id: int) -> int:
    while (later := await value(_LATER, id=proforma_id)) is not None:
        proforma_id = int(later)
    return proforma_id


async def _draft_of(proforma_id: int) -> int | None:
    found = await value(
        "SELECT max(id) FROM document WHERE corrects_id = :id AND kind = 'invoice' AND state = 'draft'",
        id=proforma_id,
    )
    return None if found is None else int(found)


_LATER: Final = "SELECT max(id) FROM document WHERE corrects_id = :id AND kind = 'proforma'"
