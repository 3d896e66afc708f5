"""Reads of documents, credit and runs. All of them through the actor's reach."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct, structs

from core.billing.part_periods import as_counted, share_of
from core.billing.schemas import (
    CreditRow,
    DocumentDetail,
    DocumentRow,
    LineRow,
    ParkedRow,
    RunRow,
    SettlementRow,
    TaxRow,
)
from core.billing.tables import BillingParked, BillingRun, CreditEntry, Document, DocumentState
from core.database import all_of, row, rows, value, values, within
from core.errors import NotFound
from core.lists.columns import ListChoice, ListColumn
from core.periods import Cycle, nth
from core.texts import N_, _

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.scope import Scope


OVERDUE: Final = ListColumn(
    key="overdue",
    label=N_("Overdue"),
    expr="customer.id",
    kind="choice",
    sorts=False,
    drawn=False,
    offers=lambda scope: (
        ListChoice(
            "yes",
            N_("Yes"),
            sql="customer.id IN (SELECT overdue.payer_id FROM document_state overdue"
            " WHERE overdue.open_minor > 0 AND overdue.due_on < :overdue_on)",
            values={"overdue_on": scope.today()},
            tone="bad",
        ),
    ),
)
"""A filter of lists of customers: who has an invoice that is due and not paid."""


HAS_MONEY: Final = (
    "EXISTS (SELECT 1 FROM posting WHERE customer_id = :customer_id)"
    " OR EXISTS (SELECT 1 FROM document WHERE payer_id = :customer_id)"
)
"""Anything is posted for a customer, or a document is its own, a draft among them."""


async def has_money(customer_id: int) -> bool:
    return bool(await value(f"SELECT CASE WHEN {HAS_MONEY} THEN 1 ELSE 0 END", customer_id=customer_id))


_PROFORMA: Final = """CASE
                WHEN EXISTS (SELECT 1 FROM document i WHERE i.corrects_id = document.id AND i.kind = 'invoice'
                    AND i.state = 'issued') THEN 'invoiced'
                WHEN EXISTS (SELECT 1 FROM document f WHERE f.corrects_id = document.id AND f.kind = 'proforma')
                    OR EXISTS (SELECT 1 FROM document d WHERE d.corrects_id = document.id AND d.kind = 'invoice'
                        AND d.state = 'draft' AND EXISTS (
                            SELECT position, description, quantity_e6, unit_price_e6, discount_minor, amount_minor
                            FROM document_line WHERE document_id = d.id EXCEPT
                            SELECT position, description, quantity_e6, unit_price_e6, discount_minor, amount_minor
                            FROM document_line WHERE document_id = document.id))
                    OR EXISTS (SELECT 1 FROM document d WHERE d.corrects_id = document.id AND d.kind = 'invoice'
                        AND d.state = 'draft' AND (SELECT count(*) FROM document_line WHERE document_id = d.id)
                            < (SELECT count(*) FROM document_line WHERE document_id = document.id)) THEN 'superseded'
                WHEN NOT EXISTS (SELECT 1 FROM document d WHERE d.corrects_id = document.id AND d.kind = 'invoice'
                        AND d.state = 'draft')
                    AND EXISTS (SELECT 1 FROM document_line l WHERE l.document_id = document.id
                        AND l.beneficiary_id IS NOT NULL) THEN 'expired'
                ELSE 'open' END"""
"""What became of a proforma. Only lines of charges have a beneficiary: a draft that is gone let go of these."""

DOCUMENT: Final = f"""
SELECT document.id, document.kind, document.state, document.number, document.payer_id, customer.full_name AS payer,
       document.issued_on, coalesce(s.due_on, document.due_on) AS due_on, document.currency, document.net_minor,
       document.tax_minor, document.total_minor, coalesce(s.open_minor, 0) AS open_minor, s.settled_on,
       coalesce(s.disputed, FALSE) AS disputed,
       CASE WHEN document.state = 'draft' THEN 'draft'
            WHEN document.kind = 'credit_note' THEN 'paid'
            WHEN document.kind = 'proforma' THEN {_PROFORMA}
            WHEN s.open_minor > 0 AND s.due_on < :today THEN 'overdue'
            WHEN s.open_minor = document.total_minor AND s.open_minor > 0 THEN 'open'
            WHEN s.open_minor > 0 THEN 'partly_paid'
            WHEN (SELECT sum(w.amount_minor) FROM write_off w WHERE w.document_id = document.id
                AND w.kind = 'bad_debt') > 0 THEN 'written_off'
            WHEN document.total_minor > 0 AND document.total_minor <= (
                SELECT coalesce(sum(n.total_minor), 0) FROM document n
                WHERE n.corrects_id = document.id AND n.state = 'issued' AND n.kind = 'credit_note') THEN 'credited'
            ELSE 'paid' END AS settlement,
       document.corrects_id, document.run_id, s.sent_at, document.rounding_minor
"""
DOCUMENT_FROM: Final = """
FROM document
JOIN customer ON customer.id = document.payer_id
LEFT JOIN document_state s ON s.document_id = document.id
"""


class _More(Struct, frozen=True):
    terms_days: int | None
    language: str
    reference: str
    note: str
    tax_on: date | None
    fx_rate_e10: int | None
    tax_fx_rate_e10: int | None
    tax_currency_minor: int | None
    seller_id: int
    version: int
    created_at: datetime
    issued_at: datetime | None
    buyer: str
    seller: str


async def get_document(scope: Scope, document_id: int) -> DocumentDetail:
    """A document with its lines, taxes, parties and what settled it."""
    found = await row(
        DocumentRow,
        f"{DOCUMENT} {DOCUMENT_FROM} WHERE document.id = :id AND :within",
        id=document_id,
        today=scope.today(),
        within=within(Document, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"document {document_id}")
    rest = await row(
        _More,
        "SELECT d.terms_days, d.language, d.reference, d.note, d.tax_on, d.fx_rate_e10,"
        " d.tax_fx_rate_e10, d.tax_currency_minor, d.seller_id, d.version, d.created_at, d.issued_at,"
        " coalesce(p.snapshot, '') AS buyer, coalesce(n.snapshot, '') AS seller FROM document d"
        " LEFT JOIN document_party p ON p.document_id = d.id AND p.role = 'buyer'"
        " LEFT JOIN seller_snapshot n ON n.id = d.seller_snapshot_id WHERE d.id = :id",
        id=document_id,
    )
    assert rest is not None
    proforma = await _proforma(found) if found.kind == "proforma" else {}
    return DocumentDetail(
        **msgspec.structs.asdict(found),
        **msgspec.structs.asdict(rest),
        **proforma,
        lines=await list_lines(document_id),
        taxes=await rows(
            TaxRow,
            "SELECT category, rate_ppm, net_minor, tax_minor, exemption_code FROM document_tax WHERE document_id = :id"
            " ORDER BY category, rate_ppm DESC",
            id=document_id,
        ),
        settled_by=await list_settlements(document_id),
        credit_note_ids=[
            int(each)
            for each in await values(
                "SELECT id FROM document WHERE corrects_id = :id AND state = 'issued' AND kind = 'credit_note'"
                " ORDER BY id",
                id=document_id,
            )
        ],
    )


class _Following(Struct, frozen=True):
    id: int
    kind: str
    state: str
    number: str | None


async def _proforma(found: DocumentRow) -> dict[str, Any]:
    """The draft that a proforma was made of, what took its place, and the way out where it is nothing to pay by."""
    following = await rows(
        _Following,
        "SELECT id, kind, state, number FROM document WHERE corrects_id = :id AND kind IN ('invoice', 'proforma')"
        " ORDER BY CASE WHEN kind = 'invoice' THEN 0 ELSE 1 END, id DESC",
        id=found.id,
    )
    draft = next((each for each in following if each.state == "draft"), None)
    later = next((each for each in following if each.state == "issued"), None)
    way_out = ""
    if found.settlement == "invoiced" and later is not None:
        way_out = _("Its invoice %(number)s was issued: that is to be paid.", number=later.number)
    elif found.settlement == "superseded" and later is not None:
        way_out = _("The proforma %(number)s took its place: send that.", number=later.number)
    elif found.settlement == "superseded":
        way_out = _("Its draft was changed since. Issue another proforma of it, or the invoice as it is now.")
    elif found.settlement == "expired":
        way_out = draft_let_go()
    return {
        "draft_id": draft.id if draft else None,
        "replaced_by_id": later.id if later else None,
        "way_out": way_out,
    }


def draft_let_go() -> str:
    return _("Its draft was deleted, and let go of its charges. Make a new invoice of the charges that are open.")


async def invoice_of_proforma(proforma_id: int) -> int | None:
    """The issued invoice that took the place of a proforma, or of a later one of the same draft."""
    while True:
        found = await row(
            _Following,
            "SELECT id, kind, state, number FROM document WHERE corrects_id = :id AND state = 'issued'"
            " AND kind IN ('invoice', 'proforma') ORDER BY CASE WHEN kind = 'invoice' THEN 0 ELSE 1 END, id DESC"
            " LIMIT 1",
            id=proforma_id,
        )
        if found is None or found.kind == "invoice":
            return found.id if found else None
        proforma_id = found.id


class _Line(LineRow, frozen=True):
    currency: str


async def list_lines(document_id: int) -> list[LineRow]:
    found = await rows(
        _Line,
        "SELECT l.id, l.position, l.charge_id, l.beneficiary_id, c.full_name AS beneficiary, l.product_id, l.kind,"
        " l.description, l.quantity_e6, l.unit_price_e6, l.days, l.of_days, l.discount_minor, l.amount_minor,"
        " l.net_minor, l.tax_category, l.tax_inclusive, l.tax_code, l.rate_ppm, l.tax_minor, l.deferred_minor,"
        " l.period_from, l.period_to, l.corrects_line_id, d.currency FROM document_line l"
        " JOIN document d ON d.id = l.document_id LEFT JOIN customer c ON c.id = l.beneficiary_id"
        " WHERE l.document_id = :id ORDER BY l.position",
        id=document_id,
    )
    return [_as_said(each) for each in found]


def _as_said(line: _Line) -> LineRow:
    days, of_days = as_counted(share_of(line, line.currency), line.period_from, line.period_to)
    said = LineRow(*structs.astuple(line)[:-1])
    return said if (days, of_days) == (line.days, line.of_days) else structs.replace(said, days=days, of_days=of_days)


async def list_settlements(document_id: int) -> list[SettlementRow]:
    """What settled a document, in the order in which it did; what was taken back stands there as undone."""
    return await rows(
        SettlementRow,
        'SELECT a.id, e.source_kind AS kind, e.source_id, a.amount_minor, a.allocated_on AS "on",'
        " EXISTS (SELECT 1 FROM allocation u WHERE u.undoes_id = a.id) AS undone"
        " FROM allocation a JOIN credit_entry e ON e.id = a.credit_entry_id"
        " WHERE a.document_id = :id AND a.amount_minor > 0"
        " UNION ALL SELECT w.id, w.kind, w.id, w.amount_minor, w.written_on, FALSE FROM write_off w"
        " WHERE w.document_id = :id ORDER BY 5, 1",
        id=document_id,
    )


async def list_documents(
    scope: Scope,
    *,
    payer_id: int | None = None,
    kind: str = "",
    state: str = "",
    only_open: bool = False,
    run_id: int | None = None,
    ids: Sequence[int] | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[DocumentRow]:
    """The newest first, from before an id on."""
    asked = all_of(
        payer_id is not None and "document.payer_id = :payer_id",
        bool(kind) and "document.kind = :kind",
        bool(state) and "document.state = :state",
        only_open and "s.open_minor > 0",
        run_id is not None and "document.run_id = :run_id",
        ids is not None and "document.id IN :ids",
        before is not None and "document.id < :before",
    )
    return await rows(
        DocumentRow,
        f"{DOCUMENT} {DOCUMENT_FROM} WHERE {asked} AND :within ORDER BY document.id DESC LIMIT :limit",
        today=scope.today(),
        payer_id=payer_id,
        kind=kind,
        state=state,
        run_id=run_id,
        ids=list(ids or ()),
        before=before,
        limit=limit,
        within=within(Document, scope.actor.reach),
    )


class _Amount(Struct, frozen=True):
    document_id: int
    open_minor: int


async def open_amounts(scope: Scope, payer_id: int) -> dict[int, int]:
    """What is open of a payer, by document: all of it."""
    found = await rows(
        _Amount,
        "SELECT document_id, open_minor FROM document_state WHERE payer_id = :id AND open_minor > 0 AND :within",
        id=payer_id,
        within=within(DocumentState, scope.actor.reach),
    )
    return {each.document_id: each.open_minor for each in found}


async def list_opened(scope: Scope, payer_id: int, before: Mapping[int, int]) -> list[DocumentRow]:
    """The documents of a payer of which more, or less, is open than before; what is settled now is not among them."""
    now = await open_amounts(scope, payer_id)
    changed = [each for each, minor in now.items() if before.get(each) != minor]
    return await list_documents(scope, ids=changed, limit=len(changed)) if changed else []


async def latest_document(scope: Scope) -> int:
    """The id behind which documents lie that are made now: before they are, a plan cannot know their numbers."""
    found = await value(
        "SELECT max(document.id) FROM document WHERE :within", within=within(Document, scope.actor.reach)
    )
    return int(found or 0)


class DraftTotal(Struct, frozen=True):
    """A draft and what it comes to."""

    id: int
    payer: str
    currency: str
    total_minor: int
    lines: int


async def list_drafts_of(subscription_id: int, *, kept: Sequence[int] = ()) -> list[DraftTotal]:
    """Drafts on which charges of a subscription stand, and those of `kept`; the caller has found it in reach."""
    return await rows(
        DraftTotal,
        "SELECT d.id, c.full_name AS payer, d.currency, d.total_minor,"
        " (SELECT count(*) FROM document_line l WHERE l.document_id = d.id) AS lines"
        " FROM document d JOIN customer c ON c.id = d.payer_id"
        " WHERE d.state = 'draft' AND d.kind = 'invoice' AND (d.id IN :kept OR d.id IN ("
        "SELECT l.document_id FROM document_line l JOIN charge k ON k.id = l.charge_id"
        " WHERE k.subscription_id = :id)) ORDER BY d.id",
        id=subscription_id,
        kept=list(kept),
    )


async def find_document_by_number(scope: Scope, number: str) -> int | None:
    found = await value(
        "SELECT document.id FROM document WHERE number = :number AND state = 'issued' AND :within ORDER BY id LIMIT 1",
        number=number,
        within=within(Document, scope.actor.reach),
    )
    return int(found) if found is not None else None


_CREDIT: Final = (
    "SELECT id, customer_id, currency, source_kind, source_id, subscription_id, reason, amount_minor, left_minor,"
    " created_on FROM credit_entry"
)


async def list_credits(
    scope: Scope, customer_id: int, *, only_free: bool = False, before: int = 0, limit: int = 200
) -> list[CreditRow]:
    """The newest first, from before an id on."""
    asked = all_of(only_free and "left_minor > 0", bool(before) and "id < :before")
    return await rows(
        CreditRow,
        f"{_CREDIT} WHERE customer_id = :id AND {asked} AND :within ORDER BY id DESC LIMIT :limit",
        id=customer_id,
        before=before,
        limit=limit,
        within=within(CreditEntry, scope.actor.reach),
    )


async def find_credit(scope: Scope, credit_id: int) -> CreditRow | None:
    return await row(
        CreditRow,
        f"{_CREDIT} WHERE id = :id AND :within",
        id=credit_id,
        within=within(CreditEntry, scope.actor.reach),
    )


async def find_credit_of(scope: Scope, source_kind: str, source_id: int) -> CreditRow | None:
    """The credit that came of a payment, a credit note."""
    return await row(
        CreditRow,
        f"{_CREDIT} WHERE source_kind = :kind AND source_id = :id AND :within",
        kind=source_kind,
        id=source_id,
        within=within(CreditEntry, scope.actor.reach),
    )


class CreditUse(Struct, frozen=True):
    """What became of some of a credit: it settled a document (taken back where `amount_minor` is below 0), or it was
    refunded, forfeited, transferred or reversed."""

    credit_id: int
    on: date
    kind: str
    amount_minor: int
    document_id: int | None = None
    number: str | None = None


async def list_credit_uses(scope: Scope, credit_ids: Sequence[int]) -> list[CreditUse]:
    """What became of these credits, in the order in which it happened."""
    return await rows(
        CreditUse,
        'SELECT u.credit_entry_id AS credit_id, u.on_day AS "on", u.kind, u.amount_minor, u.document_id, d.number'
        " FROM (SELECT credit_entry_id, allocated_on AS on_day, 'allocation' AS kind, amount_minor, document_id, id"
        " FROM allocation WHERE credit_entry_id IN :ids"
        " UNION ALL SELECT credit_entry_id, used_on, kind, amount_minor, NULL, id FROM credit_use"
        " WHERE credit_entry_id IN :ids) u"
        " JOIN credit_entry ON credit_entry.id = u.credit_entry_id LEFT JOIN document d ON d.id = u.document_id"
        " WHERE :within ORDER BY u.credit_entry_id, u.on_day, u.kind, u.id",
        ids=credit_ids,
        within=within(CreditEntry, scope.actor.reach),
    )


RUN: Final = (
    "SELECT id, as_of_on, issued_on, state, question, payers_total, payers_done, invoices, charges, parked, renewed,"
    " not_covered, totals, expected, actor, started_at, finished_at FROM billing_run"
)


async def get_run(scope: Scope, run_id: int) -> RunRow:
    """A run; NotFound for whoever does not see all customers."""
    found = await row(
        RunRow, f"{RUN} WHERE id = :id AND :within", id=run_id, within=within(BillingRun, scope.actor.reach)
    )
    if found is None:
        raise NotFound(f"billing run {run_id}")
    return found


async def runs_beside(scope: Scope, run_ids: Sequence[int]) -> list[RunRow]:
    """These runs, and all that one of them may be measured by: see `compared_run`."""
    reach = within(BillingRun, scope.actor.reach)
    found = await rows(
        RunRow,
        f"{RUN} WHERE :within AND (id IN :ids OR id IN (SELECT (SELECT b.id FROM billing_run b WHERE b.state = 'done'"
        " AND b.invoices > 0 AND b.as_of_on < r.as_of_on ORDER BY b.as_of_on DESC, b.id DESC LIMIT 1)"
        " FROM billing_run r WHERE r.id IN :ids))",
        ids=list(run_ids),
        within=reach,
    )
    asked = frozenset(run_ids)
    days = {nth(one.as_of_on, Cycle("month"), -1) for one in found if one.id in asked}
    a_month_before = await rows(
        RunRow,
        f"{RUN} WHERE state = 'done' AND invoices > 0 AND as_of_on IN :days AND :within",
        days=sorted(days),
        within=reach,
    )
    return list({one.id: one for one in (*found, *a_month_before)}.values())


async def find_run_since(scope: Scope, as_of: date, since: datetime) -> RunRow | None:
    """The latest run of a date that was begun, or was still open, after an instant."""
    return await row(
        RunRow,
        f"{RUN} WHERE as_of_on = :day AND (started_at >= :since OR finished_at IS NULL OR finished_at >= :since)"
        " AND :within ORDER BY id DESC LIMIT 1",
        day=as_of,
        since=since,
        within=within(BillingRun, scope.actor.reach),
    )


class RunSums(Struct, frozen=True):
    """What a run billed in one currency."""

    currency: str
    payers: int
    invoices: int
    net_minor: int
    tax_minor: int
    rounding_minor: int
    total_minor: int


async def undelivered_of_run(scope: Scope, run_id: int) -> int:
    """How many documents of a run are still to be rendered and sent."""
    return int(
        await value(
            "SELECT count(*) FROM job JOIN document ON document.id = CAST(substr(job.dedupe_key, 10) AS bigint)"
            " WHERE job.kind = 'deliver_document' AND job.state IN ('waiting', 'running', 'sending', 'held')"
            " AND job.dedupe_key LIKE 'document:%' AND document.run_id = :id AND :within",
            id=run_id,
            within=within(Document, scope.actor.reach),
        )
    )


async def sums_of_run(scope: Scope, run_id: int) -> list[RunSums]:
    return await rows(
        RunSums,
        "SELECT currency, count(DISTINCT payer_id) AS payers, count(*) AS invoices,"
        " CAST(sum(net_minor) AS bigint) AS net_minor, CAST(sum(tax_minor) AS bigint) AS tax_minor,"
        " CAST(sum(rounding_minor) AS bigint) AS rounding_minor, CAST(sum(total_minor) AS bigint) AS total_minor"
        " FROM document WHERE run_id = :id AND :within GROUP BY currency ORDER BY currency",
        id=run_id,
        within=within(Document, scope.actor.reach),
    )


PARKED: Final = (
    "SELECT billing_parked.id, billing_parked.payer_id, customer.full_name AS payer, billing_parked.reason,"
    " billing_parked.detail, billing_parked.amount_minor, billing_parked.currency, billing_parked.parked_at,"
    " billing_parked.tried_at, billing_parked.resolved_at, billing_parked.run_id"
    " FROM billing_parked JOIN customer ON customer.id = billing_parked.payer_id"
)
RENEWAL: Final = (
    "SELECT prepaid_renewal.id, prepaid_renewal.subscription_id,"
    " CASE WHEN renewed_u.label <> '' THEN renewed_u.label ELSE renewed_p.name END AS product,"
    " prepaid_renewal.customer_id, renewed_c.full_name AS customer, prepaid_renewal.payer_id,"
    " prepaid_renewal.period_start, prepaid_renewal.currency, prepaid_renewal.total_minor,"
    " prepaid_renewal.missing_minor, prepaid_renewal.short_on, prepaid_renewal.renewed_on,"
    " prepaid_renewal.document_id, renewed_d.number, prepaid_renewal.first_short_run_id,"
    " prepaid_renewal.last_short_run_id, prepaid_renewal.renewed_run_id FROM prepaid_renewal"
    " JOIN subscription renewed_u ON renewed_u.id = prepaid_renewal.subscription_id"
    " JOIN product renewed_p ON renewed_p.id = renewed_u.product_id"
    " JOIN customer renewed_c ON renewed_c.id = prepaid_renewal.customer_id"
    " LEFT JOIN document renewed_d ON renewed_d.id = prepaid_renewal.document_id"
)


async def get_parked(scope: Scope, parked_id: int) -> ParkedRow:
    found = await row(
        ParkedRow,
        f"{PARKED} WHERE billing_parked.id = :id AND :within",
        id=parked_id,
        within=within(BillingParked, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"parked account {parked_id}")
    return found


async def count_parked(scope: Scope) -> int:
    """How many accounts are parked now."""
    return int(
        await value(
            "SELECT count(*) FROM billing_parked WHERE resolved_at IS NULL AND :within",
            within=within(BillingParked, scope.actor.reach),
        )
    )


async def list_parked(scope: Scope, run_id: int | None = None) -> list[ParkedRow]:
    """Payers that could not be billed and were not since; or those of one run."""
    asked = "billing_parked.resolved_at IS NULL" if run_id is None else "billing_parked.run_id = :run_id"
    return await rows(
        ParkedRow,
        f"{PARKED} WHERE {asked} AND :within ORDER BY billing_parked.id LIMIT 1000",
        run_id=run_id,
        within=within(BillingParked, scope.actor.reach),
    )
