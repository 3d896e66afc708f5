"""Pausing: a window without service that is not billed. It begins and ends by itself; the cycle and the anchor stay.

Days in arrears are not charged; what was charged ahead billing credits by day (`core.billing.actions.pausing`).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.database import Duplicate, execute, row, rows, value
from core.errors import Conflict, Invalid
from core.money import half_up
from core.subscriptions.actions.agreed import agree, cut, terms_from
from core.subscriptions.actions.charging import charge_period
from core.subscriptions.actions.ending import MOST_PERIODS, charge_arrears, drop_uninvoiced, suspend
from core.subscriptions.actions.making import covering
from core.subscriptions.actions.shared import Locked, check_move, covered_until, lock, write_schedule
from core.subscriptions.events import PauseDropped, PausePlanned, SubscriptionPaused, SubscriptionResumed
from core.subscriptions.schedule import cycle_end, next_period, periods_due
from core.subscriptions.status import StateReason, SubscriptionState
from core.subscriptions.terms import unit_price_e6
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope
    from core.subscriptions.schemas import NewPause

LONGEST: Final = timedelta(days=366)
FURTHEST: Final = timedelta(days=1096)


class Pause(Struct, frozen=True):
    """A pause: from its first day up to the one on which it is served again. `by_customer`: who has it planned it."""

    id: int
    subscription_id: int
    from_on: date
    to_on: date
    resumed_on: date | None
    hold_minor: int
    reason: str
    state: str
    by_customer: bool


_PAUSE: Final = (
    "SELECT id, subscription_id, from_on, to_on, resumed_on, hold_minor, reason, state, by_customer"
    " FROM subscription_pause"
)


async def plan_pause(scope: Scope, subscription_id: int, data: NewPause, *, by_customer: bool = False) -> Pause:
    """A pause is planned, one at a time; nothing is written to the ledger until it begins.

    `by_customer`: by the customer itself, or in its place.
    """
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        check_move(found.state, SubscriptionState.PAUSED)
        today = scope.today()
        from_on = data.from_on or today
        if from_on < today:
            raise Invalid(_("A pause begins today or on a day to come."), field="from_on")
        if from_on > today + FURTHEST:
            raise Invalid(_("Choose a day within three years."), field="from_on")
        if data.to_on <= from_on:
            raise Invalid(_("It goes on after the day on which it begins."), field="to_on")
        if data.to_on - from_on > LONGEST:
            raise Invalid(_("A pause lasts at most a year."), field="to_on")
        if found.ends_on is not None and from_on >= found.ends_on:
            raise Conflict(_("It ends on %(ends_on)s, before the pause.", ends_on=found.ends_on))
        if await value(
            "SELECT 1 FROM subscription_change WHERE subscription_id = :id AND state IN ('planned', 'waiting')"
            " AND (state = 'waiting' OR state = 'planned' AND happens_on BETWEEN :from_on AND :to_on) LIMIT 1",
            id=subscription_id,
            from_on=from_on,
            to_on=data.to_on,
        ):
            raise Conflict(_("A change of it is planned for these days, or waits for its invoice. Undo that first."))
        try:
            pause_id = await value(
                "INSERT INTO subscription_pause (subscription_id, from_on, to_on, hold_minor, reason, state,"
                " by_customer, created_at)"
                " VALUES (:id, :from_on, :to_on, :hold, :reason, 'planned', :by_customer, :now) RETURNING id",
                id=subscription_id,
                from_on=from_on,
                to_on=data.to_on,
                hold=data.hold_minor,
                reason=data.reason.strip(),
                by_customer=by_customer,
                now=scope.now(),
            )
        except Duplicate as error:
            raise Conflict(_("A pause is planned for it already. Undo that first.")) from error
        record(
            scope,
            PausePlanned(subscription_id=subscription_id, customer_id=found.customer_id),
            changes={"from": (None, from_on), "until": (None, data.to_on)},
        )
        return await _get(int(pause_id))


async def drop_pause(scope: Scope, subscription_id: int) -> None:
    """Undo a pause that has not begun."""
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        dropped = await row(
            Pause,
            "UPDATE subscription_pause SET state = 'dropped' WHERE subscription_id = :id AND state = 'planned'"
            " RETURNING id, subscription_id, from_on, to_on, resumed_on, hold_minor, reason, state,"
            " by_customer",
            id=subscription_id,
        )
        if dropped is None:
            raise Conflict(_("No pause is planned for it."))
        record(
            scope,
            PauseDropped(subscription_id=subscription_id, customer_id=found.customer_id),
            changes={"from": (dropped.from_on, None), "until": (dropped.to_on, None)},
        )


async def begin_pause(scope: Scope, pause_id: int) -> Pause | None:
    """Its first day has come: no service, and no charge for the days up to its end. None where it does not begin.

    What is not active any more has no pause. Days that were invoiced ahead are billing's to credit; those that wait for
    an invoice are given up here.
    """
    async with unit_of_work(scope):
        subscription_id = await value("SELECT subscription_id FROM subscription_pause WHERE id = :id", id=pause_id)
        found = await lock(scope, int(subscription_id))
        pause = await row(Pause, f"{_PAUSE} WHERE id = :id AND state = 'planned' FOR UPDATE", id=pause_id)
        if pause is None:
            return None
        if found.state is not SubscriptionState.ACTIVE:
            await execute("UPDATE subscription_pause SET state = 'dropped' WHERE id = :id", id=pause_id)
            return None
        await _refuse_waiting(found, pause)
        await drop_uninvoiced(scope, found.id, pause.from_on, pause.to_on, pause_id=pause.id)
        await _take_from_end(found, pause)
        await _leave_out(scope, found, pause)
        if pause.hold_minor:
            await _charge_hold(found, pause)
        await execute("UPDATE subscription_pause SET state = 'running' WHERE id = :id", id=pause_id)
        await execute(
            "UPDATE subscription SET state = 'paused', state_reason = 'schedule', version = version + 1 WHERE id = :id",
            id=found.id,
        )
        record(
            scope,
            SubscriptionPaused(subscription_id=found.id, customer_id=found.customer_id, until_on=pause.to_on),
            changes={"state": (found.state, "paused")},
        )
        return pause


async def _refuse_waiting(found: Locked, pause: Pause) -> None:
    """What is about to be invoiced as it stands is neither credited nor given up: that comes first."""
    for each in await covering(found.id, pause.from_on):
        if each.period_start >= pause.to_on:
            continue
        if each.on_draft:
            raise Conflict(_("It stands on a draft. Issue or delete that first."))
        if each.state == "open" and each.component.startswith("again:"):
            raise Conflict(_("Days of the pause are charged again and not invoiced yet. Run the billing first."))


async def _leave_out(scope: Scope, found: Locked, pause: Pause) -> None:
    """Days of the pause that are not charged yet never are; the next charge is for the part of the cycle behind it.

    Days before it are charged up to it, in whatever timing, but for what rests or is paid from the balance. Where
    nothing more is to come because it ends, the days behind that end are left out too: it may be undone meanwhile.
    """
    next_on = found.period_start
    if next_on is None and found.ends_on is not None:
        next_on = await covered_until(found.id)
    if next_on is None:
        return
    rests = found.due_on is None or found.timing == "prepaid"
    if not rests:
        await charge_arrears(scope, found.id, pause.from_on)
    start = next_on if rests else max(next_on, pause.from_on)
    if start < pause.to_on:
        await execute(
            "INSERT INTO unbilled_span (subscription_id, from_on, to_on, reason) VALUES (:id, :start, :end, 'pause')",
            id=found.id,
            start=start,
            end=pause.to_on,
        )
        await _charge_from(found, pause.to_on)


class _OfEnd(Struct, frozen=True):
    id: int
    from_on: date
    to_on: date
    amount_minor: int
    first: date
    last: date


async def _take_from_end(found: Locked, pause: Pause) -> None:
    """Days of the pause that were credited for an end are the pause's now: undoing that end does not charge them."""
    for each in await rows(
        _OfEnd,
        "SELECT s.id, s.from_on, s.to_on, s.amount_minor, coalesce(a.until_on, s.from_on) AS first,"
        " coalesce(k.replaced_from, s.to_on) AS last FROM credited_span s JOIN charge k ON k.id = s.charge_id"
        " LEFT JOIN (SELECT component, max(period_end) AS until_on FROM charge WHERE subscription_id = :id"
        "  AND component LIKE 'again:%' AND state <> 'reversed' GROUP BY component) a"
        " ON a.component = 'again:' || CAST(s.id AS text)"
        " WHERE s.subscription_id = :id AND s.pause_id IS NULL AND s.from_on < :to_on AND s.to_on > :from_on"
        " ORDER BY s.id",
        id=found.id,
        from_on=pause.from_on,
        to_on=pause.to_on,
    ):
        first, last = max(each.first, pause.from_on), min(each.last, each.to_on, pause.to_on)
        if first >= last:
            continue
        whole = (each.to_on - each.from_on).days
        before, until = (half_up(each.amount_minor * (day - each.from_on).days, whole) for day in (first, last))
        parts = (
            (each.from_on, first, before, None),
            (first, last, until - before, pause.id),
            (last, each.to_on, each.amount_minor - until, None),
        )
        wanted = [part for part in parts if part[0] < part[1] and part[2] > 0]
        for at, (start, end, amount, pause_id) in enumerate(wanted):
            await execute(
                _FIRST_PART if at == 0 else _OTHER_PART,
                id=each.id,
                start=start,
                end=end,
                amount=amount,
                pause_id=pause_id,
            )


_FIRST_PART: Final = (
    "UPDATE credited_span SET from_on = :start, to_on = :end, amount_minor = :amount, pause_id = :pause_id"
    " WHERE id = :id"
)
_OTHER_PART: Final = (
    "INSERT INTO credited_span (subscription_id, charge_id, from_on, to_on, amount_minor, pause_id)"
    " SELECT subscription_id, charge_id, :start::date, :end::date, :amount::bigint, :pause_id::bigint"
    " FROM credited_span WHERE id = :id"
)


async def _charge_from(found: Locked, day: date) -> None:
    """What is charged next begins on this day. The part up to the end of its cycle is charged by day, whatever the
    product says of a first part."""
    rhythm = found.rhythm(None)
    boundary = cycle_end(rhythm, day)
    terms = await terms_from(found.id, day)
    if terms and terms[0].proration != "by_day" and cycle_end(rhythm, day - timedelta(days=1)) != day:
        wanted = [term for term in cut(terms, [day, boundary]) if term.valid_from >= day]
        await agree(
            found.id,
            day,
            [
                msgspec.structs.replace(term, proration="by_day") if term.valid_from < boundary else term
                for term in wanted
            ],
        )
        rhythm = msgspec.structs.replace(rhythm, proration="by_day")
    payer_id = int(await value("SELECT coalesce(payer_id, id) FROM customer WHERE id = :id", id=found.customer_id))
    following = next_period(msgspec.structs.replace(rhythm, ends_on=found.ends_on), day)
    await write_schedule(found.id, payer_id, following, waits=found.due_on is None)


async def _charge_hold(found: Locked, pause: Pause) -> None:
    """The fee for keeping it: one amount for the whole pause, on the next invoice."""
    await execute(
        "INSERT INTO charge (subscription_id, term_id, customer_id, payer_id, product_id, kind, description,"
        " period_start, period_end, quantity_e6, unit_price_e6, amount_minor, currency, tax_category, tax_inclusive,"
        " state, source_key)"
        " SELECT u.id, t.id, u.customer_id, coalesce(c.payer_id, c.id), u.product_id, 'hold',"
        " CASE WHEN u.label <> '' THEN u.label ELSE p.name END, :from_on::date, :to_on::date, 1000000,"
        " :unit_price::bigint, :amount::bigint, t.currency, t.tax_category, t.tax_inclusive, 'open', :key::text"
        " FROM subscription u JOIN product p ON p.id = u.product_id JOIN customer c ON c.id = u.customer_id"
        " JOIN subscription_term t ON t.id = :term_id WHERE u.id = :id",
        id=found.id,
        term_id=found.term_id,
        from_on=pause.from_on,
        to_on=pause.to_on,
        unit_price=unit_price_e6(pause.hold_minor, found.currency),
        amount=pause.hold_minor,
        key=f"hold:{pause.id}",
    )


async def end_pause(scope: Scope, subscription_id: int, on: date | None = None) -> None:
    """Served again, on the day that was planned or earlier: then the days that are left are charged again.

    `on`: for the day on which a pause ends by itself; today where somebody resumes it.
    """
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        pause = await row(
            Pause,
            f"{_PAUSE} WHERE subscription_id = :id AND state = 'running' FOR UPDATE",
            id=subscription_id,
        )
        if pause is None or found.state is not SubscriptionState.PAUSED:
            raise Conflict(_("It is not paused."))
        day = max(min(on or scope.today(), pause.to_on), pause.from_on)
        if day < pause.to_on:
            await _take_back(scope, found, pause, day)
        await execute(
            "UPDATE subscription_pause SET state = 'done', resumed_on = :day WHERE id = :id", id=pause.id, day=day
        )
        await execute(
            "UPDATE subscription SET state = 'active', state_reason = :reason, version = version + 1 WHERE id = :id",
            id=subscription_id,
            reason=StateReason.SCHEDULE if on is not None else StateReason.HAND,
        )
        record(
            scope,
            SubscriptionResumed(subscription_id=subscription_id, customer_id=found.customer_id),
            changes={"state": ("paused", "active")},
        )
        if await value(
            "SELECT 1 FROM customer c JOIN status s ON s.id = c.status_id WHERE c.id = :id AND s.kind = 'ended'",
            id=found.customer_id,
        ):
            await suspend(scope, subscription_id, reason=StateReason.STATUS)


class _Span(Struct, frozen=True):
    id: int
    from_on: date
    to_on: date


class _Credited(Struct, frozen=True):
    id: int
    charge_id: int
    from_on: date
    to_on: date
    amount_minor: int


async def _take_back(scope: Scope, found: Locked, pause: Pause, day: date) -> None:
    """The pause is shorter than planned: its last days are charged after all, at what was credited for them."""
    covered = await covered_until(found.id)
    span = await row(
        _Span,
        "SELECT id, from_on, to_on FROM unbilled_span WHERE subscription_id = :id AND reason = 'pause'"
        " AND to_on = :to_on",
        id=found.id,
        to_on=pause.to_on,
    )
    if span is not None:
        start = max(span.from_on, day)
        if start == span.from_on:
            await execute("DELETE FROM unbilled_span WHERE id = :id", id=span.id)
        else:
            await execute("UPDATE unbilled_span SET to_on = :day WHERE id = :id", id=span.id, day=start)
        if covered is not None and covered > pause.to_on:
            await _charge_between(found, start, pause.to_on)
        else:
            await _charge_from(found, start)
    for each in await rows(
        _Credited,
        "SELECT id, charge_id, from_on, to_on, amount_minor FROM credited_span WHERE pause_id = :id AND to_on > :day"
        " ORDER BY id",
        id=pause.id,
        day=day,
    ):
        start = max(each.from_on, day)
        amount = half_up(each.amount_minor * (each.to_on - start).days, (each.to_on - each.from_on).days)
        await execute(RESUMED, **_resumed(each, start, amount, found.currency))
    if found.ends_on is not None:
        await drop_uninvoiced(scope, found.id, found.ends_on)


async def _charge_between(found: Locked, start: date, end: date) -> None:
    """Days before those that were billed ahead: by day, cycle by cycle. What is charged next stays as it is."""
    rhythm = msgspec.structs.replace(found.rhythm(end), proration="by_day", final_proration="by_day")
    due, __ = periods_due(rhythm, start, end, MOST_PERIODS)
    if len(due) > MOST_PERIODS:
        raise Conflict(_("More than 15 periods of a subscription are to be charged first. Run the billing."))
    payer_id = int(await value("SELECT coalesce(payer_id, id) FROM customer WHERE id = :id", id=found.customer_id))
    for period in due:
        due_on = period.end if found.timing == "arrears" else period.start
        await charge_period(found.id, payer_id, found.currency, period, due_on=due_on)


RESUMED: Final = (
    "INSERT INTO charge (subscription_id, term_id, customer_id, payer_id, product_id, kind, component,"
    " description, period_start, period_end, days, of_days, quantity_e6, unit_price_e6, amount_minor, currency,"
    " tax_category, tax_inclusive, state)"
    " SELECT k.subscription_id, k.term_id, k.customer_id, coalesce(c.payer_id, c.id), k.product_id, k.kind,"
    " :component::text, k.description, :start::date, :end::date, 1, 1, 1000000,"
    " :unit_price::bigint, :amount::bigint, k.currency, k.tax_category, k.tax_inclusive, 'open'"
    " FROM charge k JOIN customer c ON c.id = k.customer_id WHERE k.id = :charge_id"
)


def _resumed(credited: _Credited, start: date, amount: int, currency: str) -> dict[str, Any]:
    return {
        "charge_id": credited.charge_id,
        "component": f"resumed:{credited.id}",
        "start": start,
        "end": credited.to_on,
        "amount": amount,
        "unit_price": unit_price_e6(amount, currency),
    }


async def _get(pause_id: int) -> Pause:
    found = await row(Pause, f"{_PAUSE} WHERE id = :id", id=pause_id)
    assert found is not None
    return found


async def list_pauses(subscription_id: int) -> list[Pause]:
    """All of a subscription, the newest first; the caller has found it in reach."""
    return await rows(Pause, f"{_PAUSE} WHERE subscription_id = :id ORDER BY id DESC LIMIT 200", id=subscription_id)
