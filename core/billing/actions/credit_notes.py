"""Credit notes: an issued invoice is never changed, it is corrected by a document of its own series.

Per tax rate: net at most what is left of the lines, tax as on the invoice and at most the tax left; the note that
brings the net left to 0 takes all tax left (domain.md, Credit note). It settles the open part of its invoice first.
"""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.billing.actions.allocation import (
    Free,
    allocate_credit,
    allocate_one,
    credit_came,
    free_up,
    lock_balance,
    open_credit,
    settle_open,
    take_write_offs_back,
    waiting_for,
)
from core.billing.actions.invoices import plan_for
from core.billing.events import CreditForfeited, CreditNoteIssued
from core.billing.recognition import earn_unused, first_unearned_day, unearned
from core.billing.schemas import CreditLine, NewCreditNote
from core.billing.staging import next_id, prepare, staged_all
from core.billing.status import Charges
from core.billing.tables import Document
from core.billing.unused import Days, Unused, unused_lines
from core.billing.writing import (
    LINES,
    QUEUED,
    document_statements,
    number_documents,
    number_transactions,
    tell_listeners,
)
from core.database import execute, execute_many, row, rows, scoped, value, values, within
from core.errors import Conflict, Invalid, NotFound
from core.ledger.accounts import Code
from core.ledger.fx import part_of_base
from core.ledger.posting import credit, debit, post
from core.money import allocate, format_amount, half_up
from core.subscriptions.actions import cancel_at_expiry, charge_fee, lapse, termination_fee, withdraw
from core.subscriptions.actions.shared import lock, refuse_part
from core.subscriptions.status import SubscriptionState
from core.subscriptions.tables import Subscription
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

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
    tax_category: str
    tax_inclusive: bool
    tax_rate_id: int | None
    tax_code: str
    rate_ppm: int
    period_from: date | None
    period_to: date | None
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
       l.quantity_e6, l.unit_price_e6, l.tax_category, l.tax_inclusive, l.tax_rate_id, l.tax_code, l.rate_ppm,
       l.period_from, l.period_to, l.net_minor AS full_net_minor,
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


async def create_credit_note(scope: Scope, data: NewCreditNote) -> int:
    """Credit some lines of an issued invoice, or all that is left of it; gives the credit note's id.

    It is issued at once. Its credit settles what is open of its invoice; the rest is free credit of the customer.
    """
    async with unit_of_work(scope):
        invoice = await lock_invoice(scope, data.document_id)
        left = await list_left(invoice.id)
        take_charges = partial(_take_charges_back, scope, invoice.id, Charges(data.charges))
        parts = None if data.lines is None else _chosen(left, data.lines, invoice.currency)
        if parts is None or (
            all(part.net_minor == line.net_minor for part, line in _beside(parts, left)) and _covers(parts, left)
        ):
            note_id = await credit_in_full(scope, invoice, left, data.reason, take_charges)
            await credit_came(scope, invoice.payer_id, invoice.currency)
            return note_id
        note_id = await issue_note(scope, invoice, left, parts, data.reason)
        await _settle_corrected(scope, invoice, parts)
        return note_id


async def _settle_corrected(scope: Scope, invoice: Corrected, parts: Sequence[Part]) -> None:
    """The credit goes to what is open of its invoice first; a loss on it is taken back, and gives no credit."""
    total = sum(part.net_minor + part.tax_minor for part in parts)
    if invoice.open_minor < total:
        await take_write_offs_back(scope, invoice.id, total - invoice.open_minor)
    await allocate_credit(scope, invoice.payer_id, invoice.currency, named=[invoice.id])


async def void(scope: Scope, document_id: int, reason: str, charges: Charges = Charges.WAIVE) -> int:
    """Take an invoice back: a credit note for all that is left of it (default 7); gives the credit note's id.

    Payments on it are un-allocated and become the customer's credit; the credit note takes their place. Its charges are
    waived and still cover their days, or billed again, as chosen. Pending subscriptions that waited for it are over.
    """
    return await create_credit_note(scope, NewCreditNote(document_id=document_id, reason=reason, charges=charges.value))


async def credit_in_full(
    scope: Scope,
    invoice: Corrected,
    left: Sequence[Left],
    reason: str,
    take_charges: Callable[[], Awaitable[None]],
) -> int:
    """Rows 12 and 13 of the table of postings. `take_charges` says what becomes of its charges, before the credit takes
    the place of what was paid: nothing may be activated by it. What was paid is free then: the caller gives it its new
    place and says `credit_came`."""
    parts = [Part(line, line.net_minor, line.tax_minor) for line in left if line.net_minor or line.tax_minor]
    if not parts:
        raise Conflict(_("Nothing is left of this invoice: it was credited in full."))
    note_id = await issue_note(scope, invoice, left, parts, reason, given=True)
    total = sum(part.net_minor + part.tax_minor for part in parts)
    still_open = int(await value("SELECT open_minor FROM document_state WHERE document_id = :id", id=invoice.id))
    if still_open < total:
        still_open += await take_write_offs_back(scope, invoice.id, total - still_open)
    if still_open < total:
        await free_up(scope, document_id=invoice.id, amount_minor=total - still_open)
    entry_id = int(
        await value("SELECT id FROM credit_entry WHERE source_kind = 'credit_note' AND source_id = :id", id=note_id)
    )
    await take_charges()
    await settle_open(scope, invoice.payer_id, invoice.currency, [invoice.id], [entry_id])
    # More may be open than it credits: a payment is un-allocated whole, an earlier note had credited a part.
    await allocate_one(scope, invoice.id)
    return note_id


async def not_paid(scope: Scope, subscription_id: int) -> None:
    """A pending subscription ends with its invoice; a trial goes on to its last day and ends then."""
    state = await value("SELECT state FROM subscription WHERE id = :id", id=subscription_id)
    if state == SubscriptionState.PENDING:
        await lapse(scope, subscription_id, "voided")
    elif state == SubscriptionState.TRIAL:
        await execute(
            "UPDATE subscription SET ends_on = trial_ends_on, at_trial_end = 'end', version = version + 1"
            " WHERE id = :id",
            id=subscription_id,
        )


async def _take_charges_back(scope: Scope, document_id: int, charges: Charges) -> None:
    await execute(
        "UPDATE subscription_change SET state = 'dropped' WHERE document_id = :id AND state = 'waiting'",
        id=document_id,
    )
    for subscription_id in await waiting_for(document_id):
        await not_paid(scope, subscription_id)
    of_invoice = "id IN (SELECT charge_id FROM document_line WHERE document_id = :id AND charge_id IS NOT NULL)"
    credited = f"credited_span WHERE charge_{of_invoice}"
    if charges is Charges.BILL_AGAIN and await value(f"SELECT 1 FROM {credited} LIMIT 1", id=document_id):
        raise Conflict(_("Days of it were credited for an end already: void it without billing it again."))
    await execute(f"DELETE FROM {credited}", id=document_id)
    if charges is Charges.WAIVE:
        await execute(
            f"UPDATE charge SET state = 'waived', closed_on = :today WHERE {of_invoice} AND state = 'invoiced'",
            id=document_id,
            today=scope.today(),
        )
        return
    await execute(
        "INSERT INTO charge (subscription_id, term_id, customer_id, payer_id, product_id, kind, component, description,"
        " period_start, period_end, days, of_days, quantity_e6, unit_price_e6, discount_minor, amount_minor, currency,"
        " tax_category, tax_inclusive, revision, state, replaced_from)"
        " SELECT k.subscription_id, k.term_id, k.customer_id, coalesce(c.payer_id, c.id), k.product_id, k.kind,"
        " k.component, k.description, k.period_start, k.period_end, k.days, k.of_days, k.quantity_e6, k.unit_price_e6,"
        " k.discount_minor, k.amount_minor, k.currency, k.tax_category, k.tax_inclusive, k.revision + 1, 'open',"
        " k.replaced_from"
        f" FROM charge k JOIN customer c ON c.id = k.customer_id WHERE k.{of_invoice} AND k.state = 'invoiced'"
        " AND NOT (k.kind = 'recurring' AND k.period_start IS NULL)",
        id=document_id,
    )
    await execute(
        "UPDATE charge SET state = CASE WHEN kind = 'recurring' AND period_start IS NULL THEN 'waived'"
        " ELSE 'reversed' END,"
        f" closed_on = :today WHERE {of_invoice} AND state = 'invoiced'",
        id=document_id,
        today=scope.today(),
    )


def _chosen(left: Sequence[Left], wanted: Sequence[CreditLine], currency: str) -> list[Part]:
    """The parts asked for, checked against what is left. An amount of a line with tax in it is parted net and tax."""
    by_id = {line.id: line for line in left}
    parts: list[Part] = []
    for at, each in enumerate(wanted):
        line = by_id.get(each.line_id)
        if line is None or any(part.line.id == each.line_id for part in parts):
            raise Invalid(_("Name each line of this invoice once."), field=f"lines.{at}.line_id")
        whole = line.net_minor + line.tax_minor if line.tax_inclusive else line.net_minor
        if each.amount_minor > whole:
            most = format_amount(max(whole, 0), currency)
            raise Invalid(_("At most %(most)s is left of this line.", most=most), field=f"lines.{at}.amount_minor")
        net = each.amount_minor
        if line.tax_inclusive:
            net = line.net_minor if each.amount_minor == whole else _net_of(each.amount_minor, line)
        parts.append(Part(line, min(net, line.net_minor)))
    return parts


def _net_of(gross: int, line: Left) -> int:
    return half_up(gross * 10**6, 10**6 + line.rate_ppm)


def _beside(parts: Sequence[Part], left: Sequence[Left]) -> list[tuple[Part, Left]]:
    by_id = {line.id: line for line in left}
    return [(part, by_id[part.line.id]) for part in parts]


def _covers(parts: Sequence[Part], left: Sequence[Left]) -> bool:
    """Whether nothing is left of any line that is not among the parts."""
    named = {part.line.id for part in parts}
    return all(line.id in named or not (line.net_minor or line.tax_minor) for line in left)


def _tax(parts: Sequence[Part], left: Sequence[Left]) -> None:
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
    left: Sequence[Left],
    parts: Sequence[Part],
    reason: str,
    *,
    given: bool = False,
) -> int:
    """The credit note itself: document, posting (row 11) and the credit that comes of it, not allocated yet."""
    if not given:
        _tax(parts, left)
    total = sum(part.net_minor + part.tax_minor for part in parts)
    if total <= 0:
        raise Invalid(_("A credit note must be of more than 0."), field="lines")
    plan = await plan_for(scope, invoice.seller_id)
    await lock_balance(invoice.payer_id, invoice.currency)
    await prepare()
    base_total = await _stage(plan.base, invoice, parts, plan.issued_on)
    note_id = int(await value("SELECT id FROM stage_document"))
    await staged_all(
        (number_transactions("stage_document"), {}), (LINES, {"base": plan.base}), *document_statements(plan)
    )
    subscriptions = {part.line.subscription_id for part in parts}
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


async def _stage(base: str, invoice: Corrected, parts: Sequence[Part], issued_on: date) -> int:
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
        whole = part.net_minor == line.full_net_minor
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
                "quantity_e6": line.quantity_e6 if whole else 10**6,
                "unit_price_e6": line.unit_price_e6 if whole else 0,
                "amount_minor": part.net_minor + part.tax_minor if line.tax_inclusive else part.net_minor,
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
        f"INSERT INTO stage_line ({', '.join(names)}, is_new, component, days, of_days, discount_minor, split_id,"
        f" activates, over_days, all_days) VALUES ({', '.join(':' + name for name in names)}, FALSE, '', 1, 1, 0, 0,"
        " FALSE, 0, 1)",
        lines,
    )
    await execute(
        "INSERT INTO stage_tax (payer_id, currency, split_id, tax_code, rate_ppm, tax_inclusive, net_minor, tax_minor,"
        " rest_minor) SELECT payer_id, currency, 0, tax_code, rate_ppm, tax_inclusive, CAST(sum(net_minor) AS bigint),"
        " CAST(sum(tax_minor) AS bigint), 0 FROM stage_line"
        " GROUP BY payer_id, currency, tax_code, rate_ppm, tax_inclusive"
    )
    await execute(
        "INSERT INTO stage_document (id, kind, payer_id, currency, split_id, net_minor, tax_minor, total_minor,"
        " base_minor, rate_e10, due_on, language, corrects_id)"
        f" SELECT {next_id('stage_document')}, 'credit_note', :payer_id::bigint,"
        " :currency::text, 0, CAST(sum(net_minor) AS bigint), CAST(sum(tax_minor) AS bigint),"
        " CAST(sum(net_minor + tax_minor) AS bigint), :base_total::bigint, :rate::bigint, :issued_on::date,"
        " :language::text, :corrects::bigint FROM stage_line",
        payer_id=invoice.payer_id,
        currency=invoice.currency,
        base_total=base_total,
        rate=invoice.rate_e10,
        issued_on=issued_on,
        language=invoice.language,
        corrects=invoice.id or None,
    )
    return base_total


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


async def credit_unused(
    scope: Scope,
    subscription_id: int,
    from_on: date,
    reason: str,
    *,
    amounts: Mapping[int, int] | None = None,
    to_on: date | None = None,
    pause_id: int | None = None,
) -> list[int]:
    """Credit notes for days charged ahead that are not used, at most what is left of their lines; gives their ids.
    Each day once: what an earlier end credited is left out. An end that is undone or set later charges them again.
    `amounts`: net of lines whose credit was fixed before. `pause_id`: for the days of a pause, which has an end."""
    async with unit_of_work(scope):
        await lock(scope, subscription_id)
        notes: list[int] = []
        by_invoice: dict[int, list[Unused]] = {}
        for each in await unused_lines(subscription_id, from_on, to_on):
            by_invoice.setdefault(each.document_id, []).append(each)
        for document_id, wanted in by_invoice.items():
            invoice = await lock_invoice(scope, document_id)
            left = await list_left(document_id)
            by_id = {line.id: line for line in left}
            parts = [
                Part(line, min(net, line.net_minor), from_on=each.from_on, to_on=each.to_on, spans=each.spans)
                for each in wanted
                for net in [(amounts or {}).get(each.line_id, each.net_minor)]
                if min(net, (line := by_id[each.line_id]).net_minor) > 0
            ]
            if not parts:
                continue
            notes.append(await issue_note(scope, invoice, left, parts, reason))
            await _note_credited(subscription_id, parts, pause_id)
            await _settle_corrected(scope, invoice, parts)
        return notes


async def _note_credited(subscription_id: int, parts: Sequence[Part], pause_id: int | None) -> None:
    """Which days were credited, and how much of the amount of each part lies on them."""
    await execute_many(
        "INSERT INTO credited_span (subscription_id, charge_id, from_on, to_on, amount_minor, pause_id)"
        " VALUES (:subscription_id, :charge_id, :from_on, :to_on, :amount_minor, :pause_id)",
        [
            {
                "subscription_id": subscription_id,
                "charge_id": part.line.charge_id,
                "from_on": first,
                "to_on": last,
                "amount_minor": share,
                "pause_id": pause_id,
            }
            for part in parts
            for amount in [part.net_minor + part.tax_minor if part.line.tax_inclusive else part.net_minor]
            for (first, last), share in zip(
                part.spans, allocate(amount, [(last - first).days for first, last in part.spans]), strict=True
            )
            if share > 0
        ],
    )


async def cancel_subscription(scope: Scope, subscription_id: int) -> date:
    """Cancel at expiry: it ends with the period that runs now, not before minimum term and notice; gives the first day
    without service. What is invoiced already for periods that begin later is credited in full (domain.md, Cancel)."""
    async with unit_of_work(scope):
        ends_on = await cancel_at_expiry(scope, subscription_id)
        await credit_unused(scope, subscription_id, ends_on, _("Cancelled, ends on %(day)s", day=ends_on))
        return ends_on


class Withdrawal(Struct, frozen=True):
    """What withdrawing gives up, and the fee for leaving before the contract allows it: they stand in the
    confirmation."""

    currency: str
    unused_minor: int
    forfeited_minor: int
    fee_minor: int = 0


async def preview_withdrawal(scope: Scope, subscription_id: int) -> Withdrawal:
    """The value of the unused days, and the credit that came from this subscription and is left."""
    await scoped(Subscription, scope).get(subscription_id)
    currency = str(
        await value(
            "SELECT currency FROM subscription_term WHERE subscription_id = :id ORDER BY id LIMIT 1", id=subscription_id
        )
    )
    unused = sum(each.net_minor for each in await unused_lines(subscription_id, scope.today()))
    forfeited = int(
        await value(
            "SELECT coalesce(CAST(sum(left_minor) AS bigint), 0) FROM credit_entry WHERE subscription_id = :id",
            id=subscription_id,
        )
    )
    return Withdrawal(currency, unused, forfeited)


async def withdraw_subscription(
    scope: Scope, subscription_id: int, *, void_invoices: bool = False, waive_fee: bool = False
) -> Withdrawal:
    """Service ends now, nothing is reimbursed (P10): unused days become revenue, credit that came from it is forfeited.

    The issued invoice of a pending one is voided; of a started one it stays due, unless staff choose to void it.
    Payments, overpayments and other subscriptions' credit are never touched. Before its contract allows an end, the
    early termination fee is charged as with any other end, unless it is waived (P17).
    """
    async with unit_of_work(scope):
        await refuse_part(subscription_id)
        return await withdraw_together(scope, [subscription_id], void_invoices=void_invoices, waive_fee=waive_fee)


async def withdraw_together(
    scope: Scope, subscription_ids: Sequence[int], *, void_invoices: bool = False, waive_fee: bool = False
) -> Withdrawal:
    """`withdraw_subscription` of all parts of a bundle, which may stand on the same invoices."""
    async with unit_of_work(scope):
        before = [await preview_withdrawal(scope, each) for each in subscription_ids]
        fees = [0 if waive_fee else await termination_fee(scope, each) for each in subscription_ids]
        found = [await lock(scope, each) for each in subscription_ids]
        waiting = [
            int(each)
            for each in await values(
                "SELECT DISTINCT l.document_id FROM charge k JOIN document_line l ON l.charge_id = k.id"
                " JOIN document d ON d.id = l.document_id AND d.state = 'issued'"
                " WHERE k.subscription_id IN :ids AND k.state = 'invoiced'"
                " AND (:every OR (k.kind = 'recurring' AND k.period_start IS NULL)) ORDER BY 1",
                ids=list(subscription_ids),
                every=void_invoices,
            )
        ]
        for each in subscription_ids:
            await withdraw(scope, each)
        pending = found[0].state is SubscriptionState.PENDING
        for document_id in waiting:
            await void(scope, document_id, "Withdrawn before it began" if pending else "Withdrawn")
        charged = 0
        for one, fee in zip(found, fees, strict=True):
            await earn_unused(scope, one.id)
            await _forfeit(scope, one.id, one.customer_id)
            charged += await charge_fee(scope, one.id, fee)
        return Withdrawal(
            before[0].currency,
            sum(each.unused_minor for each in before),
            sum(each.forfeited_minor for each in before),
            charged,
        )


async def _forfeit(scope: Scope, subscription_id: int, customer_id: int) -> None:
    """Customer credit → forfeited credit, of the entries that carry this subscription only."""
    entries = await rows(
        Free,
        "SELECT id, customer_id, currency, source_kind, left_minor, base_left_minor FROM credit_entry"
        " WHERE subscription_id = :id AND left_minor > 0 ORDER BY id FOR UPDATE",
        id=subscription_id,
    )
    for each in entries:
        use_id = int(
            await value(
                "INSERT INTO credit_use (credit_entry_id, kind, source_id, amount_minor, base_minor, used_on)"
                " VALUES (:entry, 'forfeit', :source, :amount, :base, :today) RETURNING id",
                entry=each.id,
                source=subscription_id,
                amount=each.left_minor,
                base=each.base_left_minor,
                today=scope.today(),
            )
        )
        await post(
            [
                debit(
                    Code.CUSTOMER_CREDIT,
                    each.left_minor,
                    each.currency,
                    each.base_left_minor,
                    customer_id=each.customer_id,
                ),
                credit(Code.FORFEITED_CREDIT, each.left_minor, each.currency, each.base_left_minor),
            ],
            kind="forfeit",
            source_kind="credit_use",
            source_id=use_id,
            booked_on=scope.today(),
        )
        record(
            scope,
            CreditForfeited(
                subscription_id=subscription_id, customer_id=each.customer_id, amount_minor=each.left_minor
            ),
        )
