"""The credit note itself: what is left of an invoice, the document over parts of it, and what its credit settles first.

Per tax rate: net at most what is left of the lines, tax as on the invoice and at most the tax left; the note that
brings the net left to 0 takes all tax left (domain.md, Credit note).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.activity.unit import record
from core.billing.actions.allocation import (
    allocate_credit,
    lock_balance,
    open_credit,
    settle_open,
    take_write_offs_back,
)
from core.billing.actions.invoices import plan_for
from core.billing.events import CreditNoteIssued
from core.billing.recognition import first_unearned_day, unearned
from core.billing.staging import next_id, prepare, staged_all
from core.billing.tables import Document
from core.billing.unused import Days
from core.billing.writing import (
    LINES,
    QUEUED,
    document_statements,
    number_documents,
    number_transactions,
    tell_listeners,
)
from core.database import execute, execute_many, row, rows, value, within
from core.errors import Conflict, Invalid, NotFound
from core.ledger.fx import convert, part_of_base
from core.money import allocate, half_up
from core.subscriptions.terms import unit_price_e6
from core.texts import _, speaking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.billing.plan import Plan
    from core.scope import Scope


class Left(Struct, frozen=True):
    """A line of an invoice and what is left of it after the credit notes before."""

    id: int
    position: int
    charge_id: int | None
    subscription_id: int | None
    beneficiary_id: int | None
    product_id: int | None
    kind: str
    description: str
    quantity_e6: int
    unit_price_e6: int
    days: int
    of_days: int
    discount_minor: int
    tax_category: str
    tax_inclusive: bool
    tax_rate_id: int | None
    tax_code: str
    rate_ppm: int
    period_from: date | None
    period_to: date | None
    full_amount_minor: int
    full_net_minor: int
    net_minor: int
    tax_minor: int
    deferred_minor: int
    base_net_minor: int
    base_tax_minor: int
    base_deferred_minor: int


class Corrected(Struct, frozen=True):
    """The invoice that is credited, locked; id 0: the note corrects none."""

    id: int
    kind: str
    number: str
    payer_id: int
    seller_id: int
    currency: str
    language: str
    rate_e10: int
    open_minor: int


Why = str | Callable[[], str]
"""What a credit note says it is for: as it was typed, or words that are said in the language of its document."""


def in_words(why: Why, language: str) -> str:
    if isinstance(why, str):
        return why
    with speaking(language):
        return why()


class Part(Struct):
    """How much of a line is credited."""

    line: Left
    net_minor: int
    tax_minor: int = 0
    from_on: date | None = None
    to_on: date | None = None
    """Which days are credited, where it is for days and not for an amount."""
    spans: tuple[Days, ...] = ()


_OF_INVOICE: Final = (
    "l.id IN (SELECT id FROM document_line WHERE document_id = :id UNION ALL SELECT id FROM document_line"
    " WHERE corrects_line_id IN (SELECT id FROM document_line WHERE document_id = :id))"
)


def _left() -> str:
    """The lines with what is left of them; what was recognised as revenue is no longer deferred (row 11)."""
    return f"""
SELECT l.id, l.position, l.charge_id, k.subscription_id, l.beneficiary_id, l.product_id, l.kind, l.description,
       l.quantity_e6, l.unit_price_e6, l.days, l.of_days, l.discount_minor, l.tax_category, l.tax_inclusive,
       l.tax_rate_id, l.tax_code, l.rate_ppm, l.period_from, l.period_to, l.amount_minor AS full_amount_minor,
       l.net_minor AS full_net_minor,
       l.net_minor - coalesce(c.net_minor, 0) AS net_minor, l.tax_minor - coalesce(c.tax_minor, 0) AS tax_minor,
       coalesce(u.minor, 0) AS deferred_minor,
       l.base_net_minor - coalesce(c.base_net_minor, 0) AS base_net_minor,
       l.base_tax_minor - coalesce(c.base_tax_minor, 0) AS base_tax_minor,
       coalesce(u.base_minor, 0) AS base_deferred_minor
FROM document_line l
LEFT JOIN charge k ON k.id = l.charge_id
LEFT JOIN (
    SELECT root_id, CAST(sum(minor) AS bigint) AS minor, CAST(sum(base_minor) AS bigint) AS base_minor
    FROM {unearned(":earned_until::date", lines=_OF_INVOICE)} GROUP BY root_id
) u ON u.root_id = l.id
LEFT JOIN (
    SELECT corrects_line_id, CAST(sum(net_minor) AS bigint) AS net_minor, CAST(sum(tax_minor) AS bigint) AS tax_minor,
           CAST(sum(base_net_minor) AS bigint) AS base_net_minor,
           CAST(sum(base_tax_minor) AS bigint) AS base_tax_minor
    FROM document_line WHERE corrects_line_id IN (SELECT id FROM document_line WHERE document_id = :id)
    GROUP BY corrects_line_id
) c ON c.corrects_line_id = l.id
WHERE l.document_id = :id
ORDER BY l.position
"""


async def list_left(document_id: int) -> list[Left]:
    """The lines of an invoice with what can still be credited."""
    return await rows(Left, _left(), id=document_id, earned_until=await first_unearned_day())


async def credited_by(note_id: int, parts: Sequence[Part]) -> int:
    """What a note over these parts credits of its invoice, as it was rounded."""
    total = int(await value("SELECT total_minor FROM document WHERE id = :id", id=note_id))
    return total - sum(part.net_minor + part.tax_minor for part in parts if not part.line.id)


async def settle_corrected(
    scope: Scope, invoice: Corrected, parts: Sequence[Part], note_id: int, *, tell: bool = True
) -> None:
    """The credit goes to what is open of its invoice first; a loss on it is taken back, and gives no credit.

    Without `tell` nobody hears of what is left of it: the caller has a use for it, and says `credit_came` then.
    """
    total = await credited_by(note_id, parts)
    if invoice.open_minor < total:
        await take_write_offs_back(scope, invoice.id, total - invoice.open_minor)
    settle_with = allocate_credit if tell else settle_open
    await settle_with(scope, invoice.payer_id, invoice.currency, named=[invoice.id], entries=[])


def put_tax(parts: Sequence[Part], left: Sequence[Left]) -> None:
    """Tax of each rate on the parts' net, half up, at most what is left of it; all of it where no net is left."""
    groups: dict[tuple[str, int, bool], list[Part]] = {}
    for part in parts:
        groups.setdefault((part.line.tax_code, part.line.rate_ppm, part.line.tax_inclusive), []).append(part)
    for (code, ppm, inclusive), some in groups.items():
        same = [line for line in left if (line.tax_code, line.rate_ppm, line.tax_inclusive) == (code, ppm, inclusive)]
        net = sum(part.net_minor for part in some)
        tax_left = sum(line.tax_minor for line in same)
        if net == sum(line.net_minor for line in same):
            tax = tax_left
        else:
            tax = max(min(half_up(net * ppm, 10**6), tax_left), 0)
        shares = allocate(tax, [part.net_minor for part in some]) if net else [0] * len(some)
        over = 0
        for part, share in zip(some, shares, strict=True):
            part.tax_minor = min(share, part.line.tax_minor)
            over += share - part.tax_minor
        for part in some:
            more = min(over, part.line.tax_minor - part.tax_minor)
            part.tax_minor += more
            over -= more


async def issue_note(
    scope: Scope,
    invoice: Corrected,
    parts: Sequence[Part],
    reason: str,
) -> int:
    """The credit note itself: document, posting (row 11) and the credit that comes of it, not allocated yet."""
    credited = sum(part.net_minor + part.tax_minor for part in parts)
    if credited <= 0:
        raise Invalid(_("A credit note must be of more than 0."), field="lines")
    plan = await plan_for(scope, invoice.seller_id)
    await lock_balance(invoice.payer_id, invoice.currency)
    rounding = await _rounding(plan, invoice, parts)
    total = credited + rounding.minor
    await prepare()
    base_total = await _stage(plan.base, invoice, parts, plan.issued_on, rounding)
    note_id = int(await value("SELECT id FROM stage_document"))
    await staged_all(
        (number_transactions("stage_document"), {}),
        (LINES, {"base": plan.base}),
        *document_statements(plan, rounded=bool(rounding.minor or rounding.base_minor)),
    )
    subscriptions = {part.line.subscription_id for part in parts if part.net_minor or part.line.id}
    if total:
        await open_credit(
            scope,
            invoice.payer_id,
            currency=invoice.currency,
            source_kind="credit_note",
            source_id=note_id,
            amount_minor=total,
            base_minor=base_total,
            subscription_id=subscriptions.pop() if len(subscriptions) == 1 else None,
            reason=reason,
        )
    await tell_listeners(scope, QUEUED)
    await number_documents(plan, 1, "credit_note", note=reason)
    record(
        scope,
        CreditNoteIssued(
            credit_note_id=note_id,
            customer_id=invoice.payer_id,
            invoice_id=invoice.id or None,
            total_minor=total,
            currency=invoice.currency,
        ),
        changes={"reason": (None, reason)},
    )
    return note_id


class _Rounding(Struct, frozen=True):
    """What rounds a credit note, in its currency and in the tenant's."""

    minor: int = 0
    base_minor: int = 0


class _Rounded(Struct, frozen=True):
    """An invoice and its credit notes: their nets and taxes, their totals, and what of these was rounding in the
    tenant's currency. Tax that free credit notes left is no part of the invoice."""

    charged_minor: int
    total_minor: int
    credited_minor: int
    credited_total_minor: int
    base_minor: int


_ROUNDED: Final = """
SELECT d.net_minor + d.tax_minor AS charged_minor, d.total_minor,
       coalesce(CAST(sum(n.net_minor + n.tax_minor - n.beside_minor) AS bigint), 0) AS credited_minor,
       coalesce(CAST(sum(n.total_minor - n.beside_minor) AS bigint), 0) AS credited_total_minor,
       coalesce((SELECT CAST(-sum(p.base_minor) AS bigint) FROM ledger_transaction t
           JOIN posting p ON p.transaction_id = t.id JOIN account a ON a.id = p.account_id AND a.code = '7100'
           WHERE t.source_kind = 'document' AND t.source_id IN (
               SELECT o.id FROM document o WHERE o.id = :id OR o.corrects_id = :id AND o.kind = 'credit_note')), 0)
           AS base_minor
FROM document d
LEFT JOIN (
    SELECT o.corrects_id, o.net_minor, o.tax_minor, o.total_minor,
           coalesce((SELECT CAST(sum(l.net_minor + l.tax_minor) AS bigint) FROM document_line l
               WHERE l.document_id = o.id AND l.corrects_line_id IS NULL), 0) AS beside_minor
    FROM document o WHERE o.corrects_id = :id AND o.kind = 'credit_note' AND o.state = 'issued'
) n ON n.corrects_id = d.id
WHERE d.id = :id
GROUP BY d.id, d.net_minor, d.tax_minor, d.total_minor
"""


async def _rounding(plan: Plan, invoice: Corrected, parts: Sequence[Part]) -> _Rounding:
    """Credit notes of an invoice are rounded together, so what is left open of it can be paid in cash, and the one that
    credits the rest takes its rounding back, whatever the tenant says by then. A free one is rounded by itself."""
    step = plan.settings.cash_steps.get(invoice.currency, 1)
    own = sum(part.net_minor + part.tax_minor for part in parts if part.line.id)
    if not invoice.id:
        alone = sum(part.net_minor + part.tax_minor for part in parts)
        minor = half_up(alone, step) * step - alone
        rate = invoice.rate_e10
        return _Rounding(minor, convert(minor, invoice.currency, plan.base, rate)) if minor else _Rounding()
    before = await row(_Rounded, _ROUNDED, id=invoice.id)
    assert before is not None
    left = before.total_minor - before.credited_total_minor
    credited = before.credited_minor + own
    if credited == before.charged_minor:
        return _Rounding(left - own, before.base_minor)
    wanted = half_up(credited, step) * step - before.credited_total_minor if step > 1 else own
    if credited < before.charged_minor:
        wanted = max(0, min(wanted, left))
    return _Rounding(wanted - own, convert(wanted - own, invoice.currency, plan.base, invoice.rate_e10))


async def _stage(base: str, invoice: Corrected, parts: Sequence[Part], issued_on: date, rounding: _Rounding) -> int:
    """Into the staging tables, with the invoice's own rates and base amounts; gives the total in the base currency.

    What is not earned yet is taken back first: credited are the days to come.
    """
    lines: list[dict[str, Any]] = []
    base_total = 0
    for at, part in enumerate(parts, start=1):
        line = part.line
        deferred = min(part.net_minor, line.deferred_minor) if line.deferred_minor > 0 else 0
        base_net = part_of_base(line.base_net_minor, line.net_minor, part.net_minor) if line.net_minor else 0
        base_tax = part_of_base(line.base_tax_minor, line.tax_minor, part.tax_minor) if line.tax_minor else 0
        base_deferred = (
            part_of_base(line.base_deferred_minor, line.deferred_minor, deferred) if line.deferred_minor else 0
        )
        base_total += base_net + base_tax
        amount = part.net_minor + part.tax_minor if line.tax_inclusive else part.net_minor
        if line.id and (part.net_minor, part.tax_minor) == (line.full_net_minor, line.tax_minor):
            amount = line.full_amount_minor
        lines.append(
            {
                "id": -at,
                "customer_id": line.beneficiary_id or invoice.payer_id,
                "payer_id": invoice.payer_id,
                "subscription_id": line.subscription_id,
                "product_id": line.product_id,
                "kind": line.kind,
                "description": line.description,
                "period_start": part.from_on or line.period_from,
                "period_end": part.to_on or line.period_to,
                **_made_of(part, amount, invoice.currency),
                "amount_minor": amount,
                "currency": invoice.currency,
                "tax_category": line.tax_category,
                "tax_inclusive": line.tax_inclusive,
                "place": at,
                "tax_rate_id": line.tax_rate_id,
                "tax_code": line.tax_code,
                "rate_ppm": line.rate_ppm,
                "net_minor": part.net_minor,
                "tax_minor": part.tax_minor,
                "deferred_minor": deferred,
                "base_net_minor": base_net,
                "base_tax_minor": base_tax,
                "base_deferred_minor": base_deferred,
                "corrects_line_id": line.id or None,
            }
        )
    names = tuple(lines[0])
    await execute_many(
        f"INSERT INTO stage_line ({', '.join(names)}, is_new, component, split_id, activates, over_days,"
        f" all_days) VALUES ({', '.join(':' + name for name in names)}, FALSE, '', 0, FALSE, 0, 1)",
        lines,
    )
    await execute(
        "INSERT INTO stage_tax (payer_id, currency, split_id, tax_code, rate_ppm, tax_inclusive, net_minor, tax_minor,"
        " rest_minor) SELECT payer_id, currency, 0, tax_code, rate_ppm, tax_inclusive, CAST(sum(net_minor) AS bigint),"
        " CAST(sum(tax_minor) AS bigint), 0 FROM stage_line"
        " GROUP BY payer_id, currency, tax_code, rate_ppm, tax_inclusive"
    )
    nothing = not rounding.minor + sum(part.net_minor + part.tax_minor for part in parts)
    base_rounding = -base_total if nothing else rounding.base_minor
    base_total += base_rounding
    await execute(
        "INSERT INTO stage_document (id, kind, payer_id, currency, split_id, net_minor, tax_minor, rounding_minor,"
        " total_minor, base_minor, base_rounding_minor, rate_e10, due_on, language, corrects_id)"
        f" SELECT {next_id('stage_document')}, 'credit_note', :payer_id::bigint,"
        " :currency::text, 0, CAST(sum(net_minor) AS bigint), CAST(sum(tax_minor) AS bigint), :rounding::bigint,"
        " CAST(sum(net_minor + tax_minor) AS bigint) + :rounding::bigint, :base_total::bigint,"
        " :base_rounding::bigint, :rate::bigint, :issued_on::date,"
        " :language::text, :corrects::bigint FROM stage_line",
        payer_id=invoice.payer_id,
        currency=invoice.currency,
        base_total=base_total,
        rounding=rounding.minor,
        base_rounding=base_rounding,
        rate=invoice.rate_e10,
        issued_on=issued_on,
        language=invoice.language,
        corrects=invoice.id or None,
    )
    return base_total


def _made_of(part: Part, amount: int, currency: str) -> dict[str, int]:
    """What the amount is made of: as on the invoice where the line is credited whole; so many of its days, at what the
    line costs; else there is no more to say than the amount."""
    line = part.line
    if (part.net_minor, amount) == (line.full_net_minor, line.full_amount_minor) and line.id:
        names = ("quantity_e6", "unit_price_e6", "days", "of_days", "discount_minor")
        return {name: getattr(line, name) for name in names}
    days, of_days, price = 1, 1, 0
    if part.spans and line.period_from is not None and line.period_to is not None:
        credited = sum((last - first).days for first, last in part.spans)
        length = (line.period_to - line.period_from).days
        if half_up(line.full_amount_minor * credited, length) == amount:
            days, of_days, price = credited, length, unit_price_e6(line.full_amount_minor, currency)
    return {"quantity_e6": 10**6, "unit_price_e6": price, "days": days, "of_days": of_days, "discount_minor": 0}


async def lock_invoice(scope: Scope, document_id: int) -> Corrected:
    found = await row(
        Corrected,
        "SELECT document.id, document.kind, coalesce(document.number, '') AS number, document.payer_id,"
        " document.seller_id, document.currency, document.language,"
        " coalesce(document.fx_rate_e10, 10000000000) AS rate_e10, s.open_minor"
        " FROM document JOIN document_state s ON s.document_id = document.id"
        " WHERE document.id = :id AND document.state = 'issued' AND :within FOR UPDATE OF s",
        id=document_id,
        within=within(Document, scope.actor.reach),
    )
    if found is None:
        if await value("SELECT 1 FROM document WHERE id = :id AND state = 'draft'", id=document_id):
            raise Conflict(_("A draft is changed or deleted, not credited."))
        raise NotFound(f"document {document_id}")
    if found.kind != "invoice":
        raise Conflict(_("Only an invoice is credited. A credit note is corrected by an invoice."))
    return found
