"""Moving the days of a subscription: the period that runs is edited, the billing day is another one."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core.activity.unit import record
from core.database import execute, value, value_as, values
from core.errors import Conflict, Invalid
from core.periods import Cycle, Period, anchor_for, cycle_index, nth
from core.subscriptions.actions.agreed import agree, cut, terms_from
from core.subscriptions.actions.charging import charge_period
from core.subscriptions.actions.making import covering, schedule_from_covered, take_over
from core.subscriptions.actions.shared import Locked, covered_until, get_buyer, lock
from core.subscriptions.events import PeriodEdited
from core.subscriptions.status import StateReason, SubscriptionState
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope
    from core.subscriptions.changes import PeriodEdit

FURTHEST: Final = timedelta(days=366)


class Running(Struct, frozen=True):
    """The period that is edited: the last one that is charged or free, or the one that is not charged yet."""

    start: date
    end: date
    charged: bool
    free: bool


async def running_period(scope: Scope, found: Locked) -> Running:
    """What there is to edit of a subscription; `found`: locked. Conflict where its state forbids it."""
    by_hand = found.state is SubscriptionState.SUSPENDED and found.state_reason == StateReason.HAND
    if found.timing == "prepaid" or not (found.state is SubscriptionState.ACTIVE or by_hand):
        raise Conflict(_("Its period cannot be edited in this state."))
    if found.ends_on is not None:
        raise Conflict(_("It ends on %(ends_on)s. Undo that first.", ends_on=found.ends_on))
    if found.period_start is None or found.period_end is None or found.due_on is None:
        raise Conflict(_("Nothing more is charged for it, so there is no period to edit."))
    covered = await covered_until(found.id)
    if covered is None or covered <= scope.today():
        return Running(found.period_start, found.period_end, charged=False, free=False)
    free = await _free_until(found.id, covered)
    if free is not None:
        return Running(free, covered, charged=True, free=True)
    held = [each for each in await covering(found.id, covered - timedelta(days=1)) if not each.component]
    return Running(held[-1].period_start, covered, charged=True, free=False)


async def _free_until(subscription_id: int, to_on: date) -> date | None:
    """The first of the free days that end on a day."""
    return await value_as(
        date,
        "SELECT min(from_on) FROM unbilled_span WHERE subscription_id = :id AND to_on = :to_on",
        id=subscription_id,
        to_on=to_on,
    )


async def edit_days(scope: Scope, found: Locked, period: Running, edit: PeriodEdit) -> None:
    """The start while nothing of it is charged; the end, which becomes the anchor. What is credited, billing has."""
    start = await _edit_start(found, period, edit.start_on) if edit.start_on else period.start
    buyer = await get_buyer(scope, found.customer_id)
    end = edit.end_on or period.end
    if end <= start:
        raise Invalid(_("It ends after the day on which it begins."), field="end_on")
    if end > period.end + FURTHEST:
        raise Invalid(_("Choose an end within a year."), field="end_on")
    if edit.end_on is not None and end != period.end:
        if not period.charged:
            await _charge_days(found, buyer.payer_id, start, end)
        elif end > period.end:
            if edit.added == "free":
                await _free(found.id, period.end, end)
            else:
                await _charge_days(found, buyer.payer_id, period.end, end)
        else:
            await _cut(scope, found, period, end, edit)
        await execute("UPDATE subscription SET anchor_on = :end WHERE id = :id", id=found.id, end=end)
        await execute(
            "UPDATE subscription_change SET happens_on = :end WHERE subscription_id = :id AND state = 'planned'"
            " AND happens_on = :before",
            id=found.id,
            end=end,
            before=period.end,
        )
    await execute("UPDATE subscription SET version = version + 1 WHERE id = :id", id=found.id)
    await schedule_from_covered(found.id, buyer.payer_id, None)
    record(
        scope,
        PeriodEdited(subscription_id=found.id, customer_id=found.customer_id, starts_on=start, ends_on=end),
        changes={"period_start": (period.start, start), "period_end": (period.end, end), "reason": (None, edit.reason)},
    )


async def _edit_start(found: Locked, period: Running, start: date) -> date:
    if start == period.start:
        return start
    if period.charged:
        raise Conflict(_("The start is edited only while nothing of the period is charged."))
    if start >= period.end:
        raise Invalid(_("It begins before the day on which it ends."), field="start_on")
    covered = await covered_until(found.id)
    if covered is not None:
        if start < covered:
            raise Invalid(_("These days are charged or free already: no day is under two charges."), field="start_on")
        await _free(found.id, covered, start)
        return start
    if start < period.start - FURTHEST:
        raise Invalid(_("It can be entered at most a year back."), field="start_on")
    await execute(
        "UPDATE subscription_term SET valid_from = :start WHERE subscription_id = :id AND in_force"
        " AND valid_from > :start AND valid_from = (SELECT min(valid_from) FROM subscription_term"
        " WHERE subscription_id = :id AND in_force)",
        id=found.id,
        start=start,
    )
    await execute(
        "UPDATE subscription SET anchor_on = CASE WHEN anchor_on = started_on THEN :start ELSE anchor_on END,"
        " started_on = :start WHERE id = :id",
        id=found.id,
        start=start,
    )
    return start


async def _cut(scope: Scope, found: Locked, period: Running, end: date, edit: PeriodEdit) -> None:
    if edit.cut == "give_up" and not edit.reason.strip():
        raise Invalid(_("Say why the days are given up."), field="reason")
    if not period.free:
        await take_over(scope, await covering(found.id, end), end)
        return
    await execute(
        "UPDATE unbilled_span SET to_on = :end WHERE subscription_id = :id AND from_on = :start",
        id=found.id,
        end=end,
        start=period.start,
    )


async def _free(subscription_id: int, from_on: date, to_on: date) -> None:
    await execute(
        "INSERT INTO unbilled_span (subscription_id, from_on, to_on, reason) VALUES (:id, :from_on, :to_on, 'gift')",
        id=subscription_id,
        from_on=from_on,
        to_on=to_on,
    )


async def _charge_days(found: Locked, payer_id: int, start: date, end: date) -> None:
    """Price × its days ÷ days of the full cycle that ends where they end."""
    whole = (end - nth(end, Cycle(found.rhythm(None).cycle.unit, found.cycle_count), -1)).days
    due_on = end if found.timing == "arrears" else start
    await charge_period(
        found.id, payer_id, found.currency, Period(start, end, (end - start).days, whole), due_on=due_on
    )


# -- another billing day ----------------------------------------------------------------------------------------------


async def move_to_billing_day(scope: Scope, customer_id: int, billing_day: int, min_stub_days: int) -> list[int]:
    """Nothing charged is touched: where the charged days of each end, a short period runs to the next billing day.

    One shorter than `min_stub_days` is merged with the next (domain.md, Billing-day change). Gives what was moved.
    """
    moved: list[int] = []
    for subscription_id in await values(
        "SELECT u.id FROM subscription u JOIN subscription_schedule s ON s.subscription_id = u.id"
        " WHERE u.customer_id = :id AND u.timing <> 'prepaid' AND u.state IN ('trial', 'active', 'suspended', 'paused')"
        " ORDER BY u.id",
        id=customer_id,
    ):
        found = await lock(scope, int(subscription_id))
        if await _move(scope, found, billing_day, min_stub_days):
            moved.append(found.id)
    return moved


async def _move(scope: Scope, found: Locked, billing_day: int, min_stub_days: int) -> bool:
    assert found.period_start is not None
    start = await covered_until(found.id) or found.period_start
    terms = await terms_from(found.id, start)
    if not terms:
        return False
    cycle = Cycle(found.rhythm(None).cycle.unit, found.cycle_count)
    anchor_on = anchor_for(start, cycle, billing_day)
    if cycle.days or anchor_on == found.anchor_on:
        return False
    first_day = nth(anchor_on, cycle, cycle_index(anchor_on, cycle, start) + 1)
    begins = nth(anchor_on, cycle, cycle_index(anchor_on, cycle, start)) == start
    if not begins and (first_day - start).days < min_stub_days:
        merged = [
            msgspec.structs.replace(each, valid_from=max(each.valid_from, start), proration="merged")
            if each.valid_from < first_day
            else each
            for each in cut(terms, [start, first_day])
            if each.valid_to is None or each.valid_to > start
        ]
        await agree(found.id, start, merged)
    await execute(
        "UPDATE subscription SET anchor_on = :anchor_on, version = version + 1 WHERE id = :id",
        id=found.id,
        anchor_on=anchor_on,
    )
    payer_id = int(await value("SELECT coalesce(payer_id, id) FROM customer WHERE id = :id", id=found.customer_id))
    waits = found.due_on is None
    await schedule_from_covered(found.id, payer_id, found.ends_on)
    if waits:
        await execute("UPDATE subscription_schedule SET due_on = NULL WHERE subscription_id = :id", id=found.id)
    record(
        scope,
        PeriodEdited(subscription_id=found.id, customer_id=found.customer_id, starts_on=start, ends_on=first_day),
        changes={"anchor_on": (found.anchor_on, anchor_on)},
    )
    return True
