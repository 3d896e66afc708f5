"""What becomes of days that were charged ahead and are not used: credited at an end or a pause, given up where it is
withdrawn."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.billing.actions.allocation import (
    Free,
    use_credit,
)
from core.billing.actions.credit_notes import void, void_of
from core.billing.actions.free_notes import at_most_charged, with_tax_left
from core.billing.actions.notes import (
    Part,
    Why,
    in_words,
    issue_note,
    list_left,
    lock_invoice,
    put_tax,
    settle_corrected,
)
from core.billing.actions.setup import default_seller
from core.billing.events import CreditForfeited
from core.billing.recognition import earn_unused
from core.billing.settings import BillingSettings
from core.billing.unused import Unused, unused_lines, unused_of
from core.billing.writing import parked_reason
from core.database import execute_many, row, rows, scoped, value, value_as, values, within
from core.errors import Conflict
from core.ledger.accounts import Code
from core.ledger.fx import part_of_base
from core.ledger.posting import credit, debit, post
from core.money import allocate, half_up
from core.settings.queries import load_settings
from core.subscriptions.actions import cancel_at_expiry, charge_fee, ending_with, termination_fee, withdraw
from core.subscriptions.actions.shared import lock, refuse_part
from core.subscriptions.status import SubscriptionState
from core.subscriptions.tables import Subscription
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.scope import Scope


async def credit_unused(
    scope: Scope,
    subscription_id: int,
    from_on: date,
    reason: Why,
    *,
    amounts: Mapping[int, int] | None = None,
    to_on: date | None = None,
    pause_id: int | None = None,
    tell: bool = True,
) -> list[int]:
    """Credit notes for days charged ahead that are not used, at most what is left of their lines; gives their ids.
    Each day once: what an earlier end credited is left out. An end that is undone or set later charges them again.
    `amounts`: net of lines whose credit was fixed before. `pause_id`: for the days of a pause, which has an end.
    `tell`: who waits for credit hears of it."""
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
            parts = await at_most_charged(invoice, parts) if parts else []
            if not parts:
                continue
            put_tax(parts, left)
            parts_with_tax = await with_tax_left(scope, invoice, parts)
            note_id = await issue_note(scope, invoice, parts_with_tax, in_words(reason, invoice.language))
            notes.append(note_id)
            await _note_credited(subscription_id, parts, pause_id)
            await settle_corrected(scope, invoice, parts_with_tax, note_id, tell=tell)
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
        why = partial(cancelled_words, ends_on)
        await credit_unused(scope, subscription_id, ends_on, why)
        for module in await ending_with(subscription_id):
            if (begins := await _first_period_from(module, ends_on)) is not None:
                await credit_unused(scope, module, begins, why)
        return ends_on


def cancelled_words(ends_on: date) -> str:
    return _("Cancelled, ends on %(day)s", day=ends_on)


async def _first_period_from(subscription_id: int, day: date) -> date | None:
    """Where the periods begin that were charged ahead for days from one on, and had not begun then."""
    return await value_as(
        date,
        "SELECT min(period_start) FROM charge WHERE subscription_id = :id AND kind = 'recurring'"
        " AND state = 'invoiced' AND period_start >= :day",
        id=subscription_id,
        day=day,
    )


async def credit_ended(scope: Scope, subscription_id: int, on: date, reason: Why) -> list[int]:
    """Credit notes for days from its end on that were charged ahead, and for those of modules that ended with it."""
    async with unit_of_work(scope):
        notes = await credit_unused(scope, subscription_id, on, reason)
        for module in await ending_with(subscription_id):
            notes += await credit_unused(scope, module, on, reason)
        return notes


class _Left(Struct, frozen=True):
    id: int
    currency: str
    credit_minor: int


class Withdrawal(Struct, frozen=True):
    """What withdrawing gives up, and the fee for leaving before the contract allows it: they stand in the
    confirmation."""

    currency: str
    unused_minor: int
    forfeited_minor: int
    fee_minor: int = 0
    forfeited_tax_minor: int = 0
    """Tax in what was forfeited, where the tenant charges it."""


async def preview_withdrawal(scope: Scope, subscription_id: int) -> Withdrawal:
    """The value of the unused days, and the credit that came from this subscription and is left."""
    await scoped(Subscription, scope).get(subscription_id)
    return (await preview_withdrawals(scope, [subscription_id]))[subscription_id]


async def preview_withdrawals(scope: Scope, subscription_ids: Sequence[int]) -> dict[int, Withdrawal]:
    """`preview_withdrawal` of several that the actor may see, by their ids."""
    if not subscription_ids:
        return {}
    left = await rows(
        _Left,
        "SELECT s.id, (SELECT t.currency FROM subscription_term t WHERE t.subscription_id = s.id ORDER BY t.id LIMIT 1)"
        " AS currency, (SELECT coalesce(CAST(sum(e.left_minor) AS bigint), 0) FROM credit_entry e"
        " WHERE e.subscription_id = s.id AND e.left_minor > 0) AS credit_minor"
        " FROM subscription s WHERE s.id IN :ids AND :within",
        ids=list(subscription_ids),
        within=within(Subscription, scope.actor.reach),
    )
    unused = await unused_of([one.id for one in left], scope.today())
    return {
        one.id: Withdrawal(one.currency, sum(line.net_minor for line in unused[one.id]), one.credit_minor)
        for one in left
    }


async def withdraw_subscription(
    scope: Scope, subscription_id: int, *, void_invoices: bool = False, waive_fee: bool = False
) -> Withdrawal:
    """Service ends now, nothing is reimbursed (P10): unused days become revenue, credit that came from it is forfeited.

    The issued invoice of a pending one is voided; of a started one it stays due, unless staff choose to void it: those
    that are open, or hold days to come.
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
                " JOIN document_state s ON s.document_id = d.id"
                " WHERE k.subscription_id IN :ids AND k.state = 'invoiced'"
                " AND ((:voided AND (s.open_minor > 0 OR k.period_end > :today))"
                "  OR (k.kind = 'recurring' AND k.period_start IS NULL)) ORDER BY 1",
                ids=list(subscription_ids),
                voided=void_invoices,
                today=scope.today(),
            )
        ]
        for each in subscription_ids:
            await withdraw(scope, each)
        for document_id in waiting:
            if found[0].state is SubscriptionState.PENDING:
                await void(scope, document_id, lambda: _("Withdrawn before it began"))
            else:
                await void_of(scope, document_id, subscription_ids, lambda: _("Withdrawn"))
        unused = await unused_of(subscription_ids, scope.today())
        charged = taxed = 0
        for one, fee in zip(found, fees, strict=True):
            await earn_unused(scope, one.id)
            taxed += await _forfeit(scope, one.id, one.customer_id)
            charged += await charge_fee(scope, one.id, fee)
        return Withdrawal(
            before[0].currency,
            sum(line.net_minor for some in unused.values() for line in some),
            sum(each.forfeited_minor for each in before),
            charged,
            taxed,
        )


class _Rate(Struct, frozen=True):
    id: int
    rate_ppm: int


async def _rate_of_forfeits(scope: Scope, customer_id: int) -> _Rate | None:
    """The tenant's own rate of today for what is forfeited; none where it carries no tax, or its customer is charged
    none by its settings. Raises Conflict where nobody entered the rate."""
    category = (await load_settings(BillingSettings)).forfeit_tax
    if category == "outside" or not await value(
        "SELECT 1 FROM tax_category t, customer c WHERE t.code = :code AND t.einvoice_code = 'S'"
        " AND c.id = :id AND c.tax_profile = 'standard'",
        code=category,
        id=customer_id,
    ):
        return None
    found = await row(
        _Rate,
        "SELECT id, rate_ppm FROM tax_rate WHERE country = :home AND category = :code AND valid_from <= :today"
        " ORDER BY valid_from DESC LIMIT 1",
        home=(await default_seller(scope)).country,
        code=category,
        today=scope.today(),
    )
    if found is None:
        raise Conflict(parked_reason("no_tax_rate"))
    return found if found.rate_ppm else None


async def _forfeit(scope: Scope, subscription_id: int, customer_id: int) -> int:
    """Customer credit → forfeited credit and the tax in it, of the entries that carry this subscription only; gives
    the tax."""
    entries = await rows(
        Free,
        "SELECT id, customer_id, currency, source_kind, left_minor, base_left_minor FROM credit_entry"
        " WHERE subscription_id = :id AND left_minor > 0 ORDER BY id FOR UPDATE",
        id=subscription_id,
    )
    rate = await _rate_of_forfeits(scope, customer_id) if entries else None
    taxes = 0
    for each in entries:
        tax = each.left_minor - half_up(each.left_minor * 10**6, 10**6 + rate.rate_ppm) if rate else 0
        base_tax = part_of_base(each.base_left_minor, each.left_minor, tax)
        taxes += tax
        use_id = await use_credit(scope, each.id, "forfeit", subscription_id, each.left_minor, each.base_left_minor)
        await post(
            [
                debit(
                    Code.CUSTOMER_CREDIT,
                    each.left_minor,
                    each.currency,
                    each.base_left_minor,
                    customer_id=each.customer_id,
                ),
                credit(Code.FORFEITED_CREDIT, each.left_minor - tax, each.currency, each.base_left_minor - base_tax),
                credit(Code.TAX_PAYABLE, tax, each.currency, base_tax, tax_rate_id=rate.id if rate else None),
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
    return taxes
