"""Prepaid: what is paid ahead from the balance is renewed while that covers it (domain.md, Prepaid renewal).

One unit of work a subscription: covered is an invoice that is issued and paid at once from the credit; what is not
covered is suspended and not billed, and a plan blocks its customer. Whatever brings credit tries again at once: the new
period starts that day, the days without service are recorded and never billed.
"""

from __future__ import annotations

from dataclasses import replace as changed
from datetime import date, timedelta
from functools import partial
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from msgspec import Struct
from msgspec.structs import replace

from core.activity.unit import again, record, savepoint, unit_of_work
from core.billing.actions.allocation import allocate_one, lock_balance, when_credit_comes
from core.billing.actions.invoices import plan_for, refuse_parked
from core.billing.plan import open_charges, stage_source, work_out
from core.billing.prepaid_mail import COMING, Short, coming_by_payer, tell_short
from core.billing.renewals import Asked, note_renewed, note_short
from core.billing.staging import prepare, tables
from core.billing.writing import write
from core.customers.actions import change_status, lift_status
from core.customers.status import StatusKey, StatusReason
from core.database import ConstraintFailed, execute, reading, row, rows, value, within
from core.errors import Conflict, DomainError, Invalid
from core.ledger.queries import get_balance
from core.money import exponent, format_money, half_up_sql
from core.periods import Cycle, cycle_index, nth
from core.subscriptions import actions as subscriptions
from core.subscriptions.actions.shared import Locked, covered_until, lock, make_active, write_schedule
from core.subscriptions.actions.starting import tell_activated
from core.subscriptions.events import SubscriptionResumed
from core.subscriptions.queries import get_subscription
from core.subscriptions.schedule import next_period, periods_due
from core.subscriptions.status import StateReason, SubscriptionState
from core.subscriptions.tables import Subscription
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.billing.plan import Counts, Plan
    from core.periods import CycleUnit, Period
    from core.scope import Scope
    from core.subscriptions.schemas import NewSubscription

MOST_AT_ONCE: Final = 15
"""Periods of one subscription that are made up for in one day."""


class Renewal(Struct, frozen=True):
    """What became of a renewal. `missing_minor`: by how much the balance was short of it."""

    outcome: Literal["renewed", "not_covered", "nothing"]
    customer_id: int
    currency: str = ""
    total_minor: int = 0
    missing_minor: int = 0
    payer_id: int = 0


class _About(Struct, frozen=True):
    """Who pays for a subscription, and what may be spent: everything above the payer's minimum balance.

    `bills`: also of who is new, and active with the first period that is paid.
    """

    payer_id: int
    kind: str
    bills: bool
    minimum_minor: int


_ABOUT: Final = (
    "SELECT coalesce(c.payer_id, c.id) AS payer_id, product.kind,"
    " status.bill OR status.kind = 'new' AS bills,"
    " CASE WHEN payer.currency = :currency THEN payer.minimum_balance_minor ELSE 0 END AS minimum_minor"
    " FROM subscription u JOIN product ON product.id = u.product_id JOIN customer c ON c.id = u.customer_id"
    " JOIN status ON status.id = c.status_id JOIN customer payer ON payer.id = coalesce(c.payer_id, c.id)"
    " WHERE u.id = :id"
)


def one_period(where: str, split: str = "0") -> str:
    """A line for a period that is given, at the terms in force on its first day."""
    share = (":days::bigint", ":of_days::bigint")
    return f"""
SELECT {{line_id}} AS id, TRUE AS is_new, u.id AS subscription_id, t.id AS term_id, u.customer_id,
       coalesce(c.payer_id, c.id) AS payer_id, u.product_id, 'recurring' AS kind, '' AS component,
       CASE WHEN u.label <> '' THEN u.label ELSE product.name END AS description,
       :start::date AS period_start, :end::date AS period_end, :days::bigint AS days, :of_days::bigint AS of_days,
       t.quantity_e6, t.amount_minor * :per_minor::bigint AS unit_price_e6,
       {half_up_sql("t.gross_minor", *share)} - {half_up_sql("t.cycle_minor", *share)} AS discount_minor,
       {half_up_sql("t.cycle_minor", *share)} AS amount_minor,
       t.currency, t.tax_category, t.tax_inclusive, NULL AS source_key, 0 AS place, {split} AS split_id,
       FALSE AS activates, NULL::bigint AS corrects_line_id, NULL AS problem
FROM subscription u
THEN JOIN customer c ON c.id = u.customer_id
THEN JOIN product ON product.id = u.product_id
THEN JOIN subscription_term t ON t.subscription_id = u.id AND t.in_force AND t.valid_from <= :start::date
    AND (t.valid_to IS NULL OR t.valid_to > :start::date)
WHERE {where}
"""


async def renew(
    scope: Scope, subscription_id: int, *, in_run: bool = False, also: Sequence[int] | None = None
) -> Renewal:
    """The next period of a prepaid subscription, if it is time for it: paid from the balance, or the service stops.

    `also`: the first one of other terms, and charges that are to be paid with it.
    """
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        about = await row(_About, _ABOUT, id=subscription_id, currency=found.currency)
        assert about is not None
        nothing = Renewal("nothing", found.customer_id, found.currency, payer_id=about.payer_id)
        waits, since = found.due_on is None, found.period_start
        if not _is_time(found, scope.today()):
            return nothing
        if not about.bills:
            await execute(
                "UPDATE subscription_schedule SET due_on = NULL WHERE subscription_id = :id", id=subscription_id
            )
            return nothing
        if waits and found.period_start is not None and found.period_start > scope.today():
            await execute(
                "UPDATE subscription_schedule SET due_on = period_start WHERE subscription_id = :id",
                id=subscription_id,
            )
            return nothing
        first = waits and await covered_until(subscription_id) is None
        due = _due_period(found, scope.today())
        if due is None:
            return nothing
        found, period = due
        await lock_balance(about.payer_id, found.currency)
        plan, counts, total = await _worked_out(scope, found, period, also or ())
        available = await _balance(about.payer_id, found.currency) - about.minimum_minor
        asked = Asked(found.id, found.customer_id, about.payer_id, since or period.start, found.currency, total, in_run)
        if total and total > available:
            if not first or in_run:
                await note_short(scope, asked, total - available)
                await tell_short(
                    scope,
                    about.payer_id,
                    Short(found.id, asked.period_start, found.currency, total, total - available),
                )
            await _stop(scope, found, about)
            return Renewal("not_covered", found.customer_id, found.currency, total, total - available, about.payer_id)
        issued = await _issue(scope, plan, counts)
        if (not first or in_run) and also is None:
            await note_renewed(scope, asked, issued)
        await _go_on(scope, found, about, period, waits=waits, first=first)
        return Renewal("renewed", found.customer_id, found.currency, total, payer_id=about.payer_id)


def _is_time(found: Locked, today: date) -> bool:
    if found.timing != "prepaid" or found.period_start is None:
        return False
    if found.due_on is not None:
        return found.state is SubscriptionState.ACTIVE and found.due_on <= today
    if found.state is SubscriptionState.ACTIVE:
        return True
    return found.state is SubscriptionState.SUSPENDED and found.state_reason == StateReason.BALANCE


def _due_period(found: Locked, today: date) -> tuple[Locked, Period] | None:
    """The period to pay for. After days without service a full one begins today, and that day is the new anchor."""
    assert found.period_start is not None
    start = found.period_start
    if found.due_on is None and start < today:
        start, found = today, replace(found, anchor_on=today)
    due, __ = periods_due(found.rhythm(found.ends_on), start, start, 1)
    return (found, due[0]) if due else None


async def _worked_out(scope: Scope, found: Locked, period: Period, also: Sequence[int]) -> tuple[Plan, Counts, int]:
    """The invoice of a period in the staging tables, its set-up with it where that is open; gives its total."""
    plan = await plan_for(scope)
    await prepare()
    await stage_source(
        plan, one_period("u.id = :subscription_id"), subscription_id=found.id, **_given(period, found.currency)
    )
    await stage_source(
        plan,
        open_charges("k.subscription_id = :subscription_id AND (k.kind = 'setup' OR k.id IN :also)", "0"),
        subscription_id=found.id,
        also=list(also),
    )
    counts = await work_out(plan)
    await refuse_parked()
    total = int(await value("SELECT coalesce(CAST(sum(total_minor) AS bigint), 0) FROM stage_document"))
    return plan, counts, total


def _given(period: Period, currency: str) -> dict[str, Any]:
    return {
        "start": period.start,
        "end": period.end,
        "days": period.days,
        "of_days": period.of_days,
        "per_minor": 10 ** (6 - exponent(currency)),
    }


async def _balance(payer_id: int, currency: str) -> int:
    return int(
        await value(
            "SELECT coalesce(sum(balance_minor), 0) FROM customer_balance WHERE customer_id = :id"
            " AND currency = :currency",
            id=payer_id,
            currency=currency,
        )
    )


async def _issue(scope: Scope, plan: Plan, counts: Counts) -> int | None:
    """Row 25 of the table of postings: the invoice, and the credit that pays it, whatever the setting for others."""
    issued = (await write(plan, counts, singly=True)).document_ids
    for document_id in issued:
        await allocate_one(scope, document_id)
    return issued[0] if issued else None


async def _go_on(scope: Scope, found: Locked, about: _About, period: Period, *, waits: bool, first: bool) -> None:
    """It is served, and charged next when this period is over; who was blocked for it is active again."""
    assert found.period_start is not None
    await write_schedule(found.id, about.payer_id, next_period(found.rhythm(found.ends_on), period.end))
    if not waits:
        return
    if not first and found.period_start < period.start:
        await execute(
            "INSERT INTO unbilled_span (subscription_id, from_on, to_on, reason) VALUES (:id, :start, :end, :reason)",
            id=found.id,
            start=found.period_start,
            end=period.start,
            reason="not_renewed" if found.state is SubscriptionState.SUSPENDED else "status",
        )
    await execute(
        "UPDATE subscription SET state = 'active', state_reason = 'settled', anchor_on = :anchor_on,"
        " started_on = :started_on, version = version + 1 WHERE id = :id",
        id=found.id,
        anchor_on=found.anchor_on,
        started_on=period.start if first and found.trial_ends_on is None else found.started_on,
    )
    if first:
        await make_active(scope, found.customer_id)
        tell_activated(scope, found.id, found.customer_id, found.product_id, SubscriptionState.ACTIVE)
    elif found.state is SubscriptionState.SUSPENDED:
        record(
            scope,
            SubscriptionResumed(subscription_id=found.id, customer_id=found.customer_id),
            changes={"state": ("suspended", "active")},
        )
    await _unblock(scope, found.customer_id)


async def _stop(scope: Scope, found: Locked, about: _About) -> None:
    """Not covered: no service and no bill. A plan blocks its customer, unless that is never blocked by a rule."""
    if found.state is SubscriptionState.ACTIVE:
        await subscriptions.suspend(scope, found.id, reason=StateReason.BALANCE)
        if about.kind == "plan":
            await _block(scope, found.customer_id)


async def _block(scope: Scope, customer_id: int) -> None:
    if await value("SELECT never_block FROM customer WHERE id = :id", id=customer_id):
        return
    try:
        async with savepoint():
            await change_status(scope, customer_id, StatusKey.BLOCKED, reason=StatusReason.BALANCE)
    except (Conflict, Invalid):
        # A status that cannot become blocked, or a plugin's refusal: the service is suspended all the same.
        return


async def _unblock(scope: Scope, customer_id: int) -> None:
    """Who was blocked for want of balance is active again as soon as no plan of it waits for any."""
    blocked = await value(
        "SELECT 1 FROM customer c WHERE c.id = :id AND c.status_reason = 'balance' AND NOT EXISTS ("
        "SELECT 1 FROM subscription u JOIN product p ON p.id = u.product_id WHERE u.customer_id = c.id"
        " AND u.state = 'suspended' AND u.state_reason = 'balance' AND p.kind = 'plan')",
        id=customer_id,
    )
    if blocked:
        try:
            async with savepoint():
                await lift_status(scope, customer_id, reason=StatusReason.BALANCE)
        except (Conflict, Invalid):
            return


# -- starting and resuming --------------------------------------------------------------------------------------------


async def start(scope: Scope, data: NewSubscription) -> int:
    """Live at once: on account, or, prepaid, with its first period paid from the balance. Gives its id.

    Refused where the balance does not cover that: then its invoice can be made first.
    """
    async with unit_of_work(scope):
        subscription_id = await subscriptions.subscribe(scope, data)
        await _renew_or_refuse(scope, subscription_id)
        return subscription_id


async def resume(scope: Scope, subscription_id: int) -> None:
    """Serve again. A prepaid one whose paid days are over is renewed at once, or refused."""
    async with unit_of_work(scope):
        await subscriptions.resume(scope, subscription_id)
        await _renew_or_refuse(scope, subscription_id)


async def _renew_or_refuse(scope: Scope, subscription_id: int) -> None:
    found = await get_subscription(scope, subscription_id)
    if found.state != SubscriptionState.SUSPENDED or found.state_reason != StateReason.BALANCE:
        return
    await pay_or_refuse(scope, subscription_id)


async def pay_or_refuse(scope: Scope, subscription_id: int, also: Sequence[int] | None = None) -> None:
    """`renew`, or Conflict where the balance does not cover it."""
    renewal = await renew(scope, subscription_id, also=also)
    if renewal.outcome != "renewed" and also is not None:
        raise Conflict(
            _(
                "A full period at the new terms is paid from the balance: %(total)s, of which %(missing)s is missing."
                " Register a payment first.",
                total=format_money(renewal.total_minor, renewal.currency, scope.locale),
                missing=format_money(renewal.missing_minor, renewal.currency, scope.locale),
            )
        )
    if renewal.outcome != "renewed":
        raise Conflict(
            _(
                "The balance does not cover the next period of %(total)s: %(missing)s is missing. Register a payment,"
                " or make an invoice.",
                total=format_money(renewal.total_minor, renewal.currency, scope.locale),
                missing=format_money(renewal.missing_minor, renewal.currency, scope.locale),
            )
        )


# -- the day, and money coming in -------------------------------------------------------------------------------------


class _Due(Struct, frozen=True):
    id: int
    payer_id: int


_IN_ORDER: Final = " ORDER BY CASE p.kind WHEN 'plan' THEN 1 WHEN 'module' THEN 2 ELSE 3 END, s.period_start, u.id"
# The few that are prepaid first, along their own index: not everything that is active.
_PREPAID: Final = (
    "WITH prepaid AS MATERIALIZED (SELECT id, customer_id, product_id, state, state_reason FROM subscription"
    " WHERE timing = 'prepaid'{of})"
    " SELECT u.id, s.payer_id FROM prepaid u JOIN subscription_schedule s ON s.subscription_id = u.id"
    " JOIN product p ON p.id = u.product_id WHERE"
)


_OF_PAYER: Final = (
    " AND customer_id IN (SELECT id FROM customer WHERE id = :payer_id"
    " UNION SELECT id FROM customer WHERE payer_id = :payer_id)"
)


class Failed(Struct, frozen=True):
    """A renewal that could not be worked out: its payer is parked with the reason."""

    payer_id: int
    detail: str


class Renewals(Struct, frozen=True):
    """What the renewals of a day came to."""

    renewed: int = 0
    not_covered: int = 0
    failed: list[Failed] = []


async def renew_due(scope: Scope, day: date) -> Renewals:
    """Everything prepaid whose period is over by a day, and what waits for balance: plans, modules, services; the one
    that ends first before others. One that is too dear does not stop a cheaper one behind it."""
    renewed, not_covered, failed = 0, 0, []
    for each in await rows(
        _Due,
        f"{_PREPAID.format(of='')} u.state IN ('active', 'suspended') AND (s.due_on <= :day OR s.due_on IS NULL"
        f" AND (u.state = 'active' OR u.state_reason = 'balance')){_IN_ORDER}",
        day=day,
    ):
        try:
            for __ in range(MOST_AT_ONCE):
                answer = await again(partial(renew, scope, each.id, in_run=True))
                renewed += answer.outcome == "renewed"
                not_covered += answer.outcome == "not_covered"
                if answer.outcome != "renewed":
                    break
        except (DomainError, ConstraintFailed) as error:
            failed.append(Failed(each.payer_id, str(error)))
    return Renewals(renewed, not_covered, failed)


async def tell_coming(scope: Scope, day: date) -> int:
    """Write to customers whose balance will not cover what is renewed soon, once for each renewal; gives how many."""
    told = 0
    for payer_id, coming in (await coming_by_payer(scope, day)).items():
        found = await outlook(scope, payer_id)
        if found is None:
            continue
        costs = {each.subscription_id: each for each in found.items}
        available = found.available_minor
        for each in coming:
            cost = costs.get(each.subscription_id)
            if cost is None or not cost.total_minor:
                continue
            if cost.total_minor <= available:
                available -= cost.total_minor
                continue
            missing = cost.total_minor - available
            short = Short(each.subscription_id, each.period_start, cost.currency, cost.total_minor, missing)
            async with unit_of_work(scope):
                told += await tell_short(scope, payer_id, short, COMING) is not None
    return told


async def renew_of(scope: Scope, payer_id: int, day: date, *, in_run: bool = False) -> Renewals:
    """The same for what one payer pays for, in the unit of work that is open: each by itself, in the same order."""
    renewed, not_covered, failed = 0, 0, []
    for each in await rows(
        _Due,
        f"{_PREPAID.format(of=_OF_PAYER)} u.state IN ('active', 'suspended') AND (s.due_on <= :day OR s.due_on IS NULL"
        f" AND (u.state = 'active' OR u.state_reason = 'balance')) AND s.payer_id = :payer_id{_IN_ORDER}",
        day=day,
        payer_id=payer_id,
    ):
        try:
            for __ in range(MOST_AT_ONCE):
                async with savepoint():
                    answer = await renew(scope, each.id, in_run=in_run)
                renewed += answer.outcome == "renewed"
                not_covered += answer.outcome == "not_covered"
                if answer.outcome != "renewed":
                    break
        except (DomainError, ConstraintFailed) as error:
            failed.append(Failed(each.payer_id, str(error)))
    return Renewals(renewed, not_covered, failed)


async def try_again(scope: Scope, payer_id: int, currency: str) -> None:
    """Credit came in: what waits for the balance of this payer starts again, in the same order, as far as it goes."""
    for each in await rows(
        _Due,
        f"{_PREPAID.format(of=_OF_PAYER)} u.state = 'suspended' AND u.state_reason = 'balance'"
        f" AND s.payer_id = :payer_id{_IN_ORDER}",
        payer_id=payer_id,
    ):
        try:
            async with savepoint():
                await renew(scope, each.id)
        except (DomainError, ConstraintFailed):
            # What stands in its way (no tax rate, say) stops no money; the daily billing tries it again, and tells.
            continue


when_credit_comes(try_again)


# -- until when the balance lasts -------------------------------------------------------------------------------------


class PrepaidItem(Struct, frozen=True):
    """A prepaid subscription: what its next period costs with tax, when it is due, whether it waits for balance."""

    subscription_id: int
    name: str
    currency: str
    total_minor: int
    due_on: date
    waits: bool


class PrepaidOutlook(Struct, frozen=True):
    """Until when a balance lasts: `lasts_until` is the first day on which a renewal is not covered, `short` which one.

    No day: it lasts longer than a year, or nothing is renewed. `available_minor` is what may be spent: the balance
    above the minimum balance.
    """

    currency: str
    balance_minor: int
    minimum_minor: int
    available_minor: int
    items: list[PrepaidItem]
    lasts_until: date | None = None
    short: str = ""


FURTHEST: Final = timedelta(days=366)


class _Next(Struct, frozen=True):
    """A prepaid subscription and its next period."""

    id: int
    kind: str
    name: str
    currency: str
    anchor_on: date
    cycle_unit: str
    cycle_count: int
    period_start: date
    due_on: date | None
    state: str
    ends_on: date | None


class _Total(Struct, frozen=True):
    split_id: int
    total_minor: int


async def outlook(scope: Scope, payer_id: int) -> PrepaidOutlook | None:
    """Until when the balance of a payer lasts, if nothing comes in; None where it pays for nothing prepaid.

    Each subscription at what its next period costs; nothing is written.
    """
    found = await rows(
        _Next,
        "SELECT subscription.id, p.kind, CASE WHEN subscription.label <> '' THEN subscription.label ELSE p.name END AS"
        " name, t.currency, subscription.anchor_on, t.cycle_unit, t.cycle_count, s.period_start, s.due_on,"
        " subscription.state, subscription.ends_on"
        " FROM subscription JOIN subscription_schedule s ON s.subscription_id = subscription.id"
        " JOIN product p ON p.id = subscription.product_id JOIN subscription_term t"
        " ON t.subscription_id = subscription.id AND t.in_force AND t.valid_from <= s.period_start"
        " AND (t.valid_to IS NULL OR t.valid_to > s.period_start)"
        " WHERE subscription.timing = 'prepaid' AND subscription.customer_id IN"
        " (SELECT id FROM customer WHERE id = :payer_id UNION SELECT id FROM customer WHERE payer_id = :payer_id)"
        " AND s.payer_id = :payer_id AND (subscription.state = 'active' OR subscription.state = 'suspended'"
        " AND subscription.state_reason = 'balance') AND :within ORDER BY subscription.id",
        payer_id=payer_id,
        within=within(Subscription, scope.actor.reach),
    )
    if not found:
        return None
    balance = await get_balance(scope, payer_id)
    minimum = int(await value("SELECT minimum_balance_minor FROM customer WHERE id = :id", id=payer_id))
    totals = await _costs(scope, found)
    items = [
        PrepaidItem(
            subscription_id=each.id,
            name=each.name,
            currency=each.currency,
            total_minor=totals.get(each.id, 0),
            due_on=each.due_on or scope.today(),
            waits=each.due_on is None,
        )
        for each in found
    ]
    short = _first_short(
        [each for each in found if each.due_on is not None], totals, balance.balance_minor - minimum, scope.today()
    )
    return PrepaidOutlook(
        currency=balance.currency,
        balance_minor=balance.balance_minor,
        minimum_minor=minimum,
        available_minor=balance.balance_minor - minimum,
        items=items,
        lasts_until=short[0] if short else None,
        short=short[1].name if short else "",
    )


async def _costs(scope: Scope, found: list[_Next]) -> dict[int, int]:
    """What the next period of each costs with its tax, worked out as it would be billed."""
    plan = changed(await plan_for(scope), preview=True)
    async with reading(tables()):
        await prepare(preview=True)
        for each in found:
            cycle = Cycle(cast("CycleUnit", each.cycle_unit), each.cycle_count)
            end = nth(each.anchor_on, cycle, cycle_index(each.anchor_on, cycle, each.period_start) + 1)
            await stage_source(
                plan,
                one_period("u.id = :subscription_id", "u.id"),
                subscription_id=each.id,
                start=each.period_start,
                end=end,
                days=1,
                of_days=1,
                per_minor=10 ** (6 - exponent(each.currency)),
            )
        await work_out(plan)
        return {
            each.split_id: each.total_minor
            for each in await rows(_Total, "SELECT split_id, total_minor FROM stage_document")
        }


def _first_short(found: list[_Next], totals: dict[int, int], available: int, today: date) -> tuple[date, _Next] | None:
    """The first renewal that what is left does not cover, within a year."""
    order = {"plan": 1, "module": 2}
    coming = [(each.period_start, order.get(each.kind, 3), each.id, each) for each in found if totals.get(each.id)]
    heapify(coming)
    while coming:
        on, rank, key, each = coming[0]
        if each.ends_on is not None and on >= each.ends_on:
            heappop(coming)
            continue
        if on > today + FURTHEST:
            return None
        if totals[each.id] > available:
            return on, each
        available -= totals[each.id]
        cycle = Cycle(cast("CycleUnit", each.cycle_unit), each.cycle_count)
        heapreplace(coming, (nth(each.anchor_on, cycle, cycle_index(each.anchor_on, cycle, on) + 1), rank, key, each))
    return None
