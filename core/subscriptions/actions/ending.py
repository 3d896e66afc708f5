"""Ending a subscription: at its expiry, on a day, by withdrawal, unpaid; and stopping service for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from core.activity.unit import record, record_set, unit_of_work
from core.catalog.queries import get_product
from core.database import execute, rows, value, value_as, values
from core.errors import Conflict, Invalid
from core.money import half_up
from core.subscriptions.actions.charging import charge_period
from core.subscriptions.actions.cutting import off_drafts
from core.subscriptions.actions.shared import (
    Locked,
    check_move,
    covered_until,
    drop_planned,
    get_buyer,
    lock,
    may_order,
    payers_language,
    refuse_part,
    reschedule,
    write_schedule,
)
from core.subscriptions.actions.starting import wait_for_invoice
from core.subscriptions.contracts import bound_until, earliest_end
from core.subscriptions.events import (
    SubscriptionEndDropped,
    SubscriptionEnded,
    SubscriptionEndSet,
    SubscriptionResumed,
    SubscriptionSuspended,
    TrialEnded,
)
from core.subscriptions.schedule import cycle_end, next_period, periods_due
from core.subscriptions.status import STARTED, StateReason, SubscriptionState
from core.subscriptions.terms import unit_price_e6
from core.texts import _, in_sentence, speaking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope


MOST_PERIODS: Final = 15


async def cancel_at_expiry(scope: Scope, subscription_id: int, *, whole: bool = False) -> date:
    """Set its end ahead; gives the first day without service. It can be undone until then.

    What was charged for later periods stays charged here; billing credits it (`cancel_subscription`).
    """
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        if not whole:
            await refuse_part(subscription_id)
        if found.state not in STARTED:
            raise Conflict(
                _(
                    "A subscription that is %(state)s cannot be cancelled at its expiry.",
                    state=in_sentence(_(found.state.capitalize())),
                )
            )
        if found.ends_on is not None and found.state is not SubscriptionState.TRIAL:
            raise Conflict(_("It ends on %(ends_on)s already.", ends_on=found.ends_on))
        ends_on = await expiry_of(scope, found)
        await _set_end(scope, found, ends_on)
        return ends_on


async def expiry_of(scope: Scope, found: Locked) -> date:
    """The end of the charged period that runs now (in arrears: of its cycle), not before the contract allows it.

    Periods charged ahead that begin then or later are not served: billing credits them in full. A trial that nothing
    was charged for ends with its test time.
    """
    today = scope.today()
    covered = await covered_until(found.id)
    if found.state is SubscriptionState.TRIAL and found.trial_ends_on is not None:
        return max(covered or found.trial_ends_on, found.trial_ends_on)
    earliest = earliest_end(found, today)
    ends_on = await _covered_end(found.id, earliest) or covered or found.started_on or today
    rhythm = found.rhythm(None)
    while ends_on < earliest:
        ends_on = cycle_end(rhythm, ends_on)
    return ends_on


async def _covered_end(subscription_id: int, earliest: date) -> date | None:
    """The first day, from one on, at which a charged or unbilled period of it ends."""
    return await value_as(
        date,
        "SELECT min(day) FROM ("
        " SELECT coalesce(replaced_from, period_end) AS day FROM charge"
        " WHERE subscription_id = :id AND kind = 'recurring' AND component = '' AND state <> 'reversed'"
        " AND (replaced_from IS NULL OR replaced_from > period_start)"
        " UNION ALL SELECT to_on FROM unbilled_span WHERE subscription_id = :id) covered WHERE day >= :earliest",
        id=subscription_id,
        earliest=earliest,
    )


async def undo_cancellation(scope: Scope, subscription_id: int, *, whole: bool = False) -> None:
    """Drop the end that was set; it goes on as before. Days that were credited for it are charged again."""
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        if not whole:
            await refuse_part(subscription_id)
        if found.state not in STARTED or found.ends_on is None:
            raise Conflict(_("There is no end to undo."))
        if found.state is SubscriptionState.TRIAL and found.at_trial_end == "end":
            raise Conflict(_("A test time ends by itself. Make an invoice for it instead."))
        await execute(
            "UPDATE subscription SET ends_on = NULL, end_reason = '', version = version + 1 WHERE id = :id",
            id=subscription_id,
        )
        await execute(
            "UPDATE charge SET state = 'waived', closed_on = :today WHERE subscription_id = :id AND state = 'open'"
            " AND kind = 'termination'",
            id=subscription_id,
            today=scope.today(),
        )
        await reschedule(found, None)
        await _charge_credited(scope, found, None)
        record(
            scope,
            SubscriptionEndDropped(subscription_id=subscription_id, customer_id=found.customer_id),
            changes={"ends_on": (found.ends_on, None)},
        )
        for child in await ending_with(subscription_id, live=True):
            await undo_cancellation(scope, child)


async def terminate(scope: Scope, subscription_id: int, on: date | None = None, *, reason: str = "terminated") -> None:
    """It ends on a day: the first one without service, not billed (domain.md, default 1). Today or before: at once.

    What was charged beyond that day stays charged; billing credits it where staff choose so.
    """
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        ends_on = on or scope.today()
        if found.state is SubscriptionState.PENDING:
            raise Conflict(_("It waits for its invoice: void that, and it is over."))
        check_move(found.state, SubscriptionState.ENDED)
        if found.started_on is not None and ends_on < found.started_on:
            raise Invalid(_("It cannot end before it started."), field="on")
        if ends_on > scope.today() + timedelta(days=1096):
            raise Invalid(_("Choose a day within three years."), field="on")
        await _set_end(scope, found, ends_on, reason)
        if ends_on <= scope.today():
            await end(scope, subscription_id, reason)


async def termination_fee(scope: Scope, subscription_id: int, on: date | None = None) -> int:
    """What it costs to end on a day, before the contract allows it; 0 where that day is free to choose."""
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        bound = bound_until(found, scope.today())
        if found.state is SubscriptionState.TRIAL or bound is None or (on or scope.today()) >= bound:
            return 0
        return found.termination_minor


async def charge_termination(scope: Scope, subscription_id: int, on: date | None = None) -> int:
    """The early termination fee of an end on a day is an open charge, for the next invoice; gives how much it is.

    Once a subscription: where it is charged already, nothing.
    """
    async with unit_of_work(scope):
        return await charge_fee(scope, subscription_id, await termination_fee(scope, subscription_id, on))


async def charge_fee(scope: Scope, subscription_id: int, fee: int) -> int:
    """So much for leaving early, worked out while it was bound; gives what is charged, as `charge_termination`."""
    async with unit_of_work(scope):
        charged = await value(
            "SELECT 1 FROM charge WHERE subscription_id = :id AND kind = 'termination'"
            " AND state IN ('open', 'invoiced') LIMIT 1",
            id=subscription_id,
        )
        if not fee or charged:
            return 0
        found = await lock(scope, subscription_id)
        label = await value(
            "SELECT CASE WHEN u.label <> '' THEN u.label ELSE p.name END FROM subscription u"
            " JOIN product p ON p.id = u.product_id WHERE u.id = :id",
            id=subscription_id,
        )
        buyer = await get_buyer(scope, found.customer_id)
        with speaking(await payers_language(scope, buyer.payer_id)):
            text = _("%(name)s: early termination", name=label)
        await execute(
            "INSERT INTO charge (subscription_id, customer_id, payer_id, product_id, kind, description, quantity_e6,"
            " unit_price_e6, amount_minor, currency, tax_category, tax_inclusive, state)"
            " SELECT u.id, u.customer_id, coalesce(c.payer_id, c.id), u.product_id, 'termination', :text::text,"
            " 1000000, :unit_price::bigint, :amount::bigint, t.currency, t.tax_category, t.tax_inclusive, 'open'"
            " FROM subscription u JOIN customer c ON c.id = u.customer_id"
            " JOIN subscription_term t ON t.id = :term_id WHERE u.id = :id",
            id=subscription_id,
            term_id=found.term_id,
            text=text,
            unit_price=unit_price_e6(fee, found.currency),
            amount=fee,
        )
        return fee


async def _set_end(scope: Scope, found: Locked, ends_on: date, reason: str = "cancelled") -> None:
    await execute(
        "UPDATE subscription SET ends_on = :ends_on, end_reason = :reason, version = version + 1 WHERE id = :id",
        id=found.id,
        ends_on=ends_on,
        reason=reason,
    )
    await reschedule(found, ends_on)
    await execute(
        "UPDATE charge SET due_on = :ends_on WHERE subscription_id = :id AND state = 'open' AND due_on > :ends_on",
        id=found.id,
        ends_on=ends_on,
    )
    await drop_planned(scope, [found.id], ends_on)
    async with off_drafts(scope, found.id, ends_on):
        await drop_uninvoiced(scope, found.id, ends_on)
        await _charge_credited(scope, found, ends_on)
    record(
        scope,
        SubscriptionEndSet(subscription_id=found.id, customer_id=found.customer_id, ends_on=ends_on),
        changes={"ends_on": (found.ends_on, ends_on)},
    )
    for child_id in await _endless_children(found.id):
        child = await lock(scope, child_id)
        await _set_end(scope, child, max(ends_on, child.started_on or ends_on), StateReason.PLAN)


async def _endless_children(subscription_id: int) -> list[int]:
    """Modules that need this one, and have no end but perhaps that of this one. A part of a bundle ends with that."""
    return [
        int(each)
        for each in await values(
            "SELECT id FROM subscription WHERE parent_id = :id AND customer_bundle_id IS NULL"
            " AND state IN ('trial', 'active', 'suspended', 'paused') AND (ends_on IS NULL OR end_reason = 'plan')"
            " ORDER BY id",
            id=subscription_id,
        )
    ]


async def ending_with(subscription_id: int, *, live: bool = False) -> list[int]:
    """Modules whose end is, or was, that of the plan which they need; of these, those that are live."""
    return [
        int(each)
        for each in await values(
            "SELECT id FROM subscription WHERE parent_id = :id AND end_reason = 'plan'"
            " AND (NOT :live OR state IN ('trial', 'active', 'suspended', 'paused')) ORDER BY id",
            id=subscription_id,
            live=live,
        )
    ]


class _Held(Struct, frozen=True):
    id: int
    period_start: date
    period_end: date
    discount_minor: int
    amount_minor: int


async def drop_uninvoiced(
    scope: Scope, subscription_id: int, from_on: date, to_on: date | None = None, *, pause_id: int | None = None
) -> None:
    """Days from one on (up to one) that are charged and wait for an invoice: given up as if they were credited.

    A charge that holds days beside them is made anew, in parts. What is charged again after an end that was undone is
    worked out with the end that holds (`_charge_credited`).
    """
    for day in (from_on, to_on):
        if day is not None:
            await _part_open(scope, subscription_id, day)
    waived = await values(
        "UPDATE charge SET state = 'waived', closed_on = :today WHERE subscription_id = :id AND kind = 'recurring'"
        " AND component NOT LIKE 'again:%' AND state = 'open' AND period_start >= :from_on"
        " AND (:open_end OR period_start < :to_on) RETURNING id",
        id=subscription_id,
        today=scope.today(),
        from_on=from_on,
        open_end=to_on is None,
        to_on=to_on or from_on,
    )
    if not waived:
        return
    await execute(
        "INSERT INTO credited_span (subscription_id, charge_id, from_on, to_on, amount_minor, pause_id)"
        " SELECT subscription_id, id, period_start, period_end, amount_minor, :pause_id::bigint FROM charge"
        " WHERE id IN :ids AND amount_minor > 0",
        ids=waived,
        pause_id=pause_id,
    )


async def _part_open(scope: Scope, subscription_id: int, day: date) -> None:
    """An open charge over a day becomes two: of the days before it, and of those from it on."""
    for each in await rows(
        _Held,
        "SELECT id, period_start, period_end, discount_minor, amount_minor FROM charge WHERE subscription_id = :id"
        " AND kind = 'recurring' AND component NOT LIKE 'again:%' AND state = 'open' AND period_start < :day"
        " AND coalesce(replaced_from, period_end) > :day ORDER BY id",
        id=subscription_id,
        day=day,
    ):
        days, whole = (day - each.period_start).days, (each.period_end - each.period_start).days
        amount, discount = half_up(each.amount_minor * days, whole), half_up(each.discount_minor * days, whole)
        for start, end, minor, off in (
            (each.period_start, day, amount, discount),
            (day, each.period_end, each.amount_minor - amount, each.discount_minor - discount),
        ):
            await execute(
                "INSERT INTO charge (subscription_id, term_id, customer_id, payer_id, product_id, kind, component,"
                " description, period_start, period_end, days, of_days, quantity_e6, unit_price_e6, discount_minor,"
                " amount_minor, currency, tax_category, tax_inclusive, revision, state, replaced_from, due_on)"
                " SELECT subscription_id, term_id, customer_id, payer_id, product_id, kind, component, description,"
                " :start::date, :end::date, days * :days::bigint, of_days * :whole::bigint, quantity_e6,"
                " unit_price_e6, :discount::bigint, :amount::bigint, currency, tax_category, tax_inclusive,"
                " (SELECT coalesce(max(o.revision) + 1, 0) FROM charge o"
                "  WHERE o.subscription_id = charge.subscription_id AND o.period_start = :start), 'open',"
                " CASE WHEN replaced_from < :end THEN replaced_from END, due_on FROM charge WHERE id = :id",
                id=each.id,
                start=start,
                end=end,
                days=(end - start).days,
                whole=whole,
                discount=off,
                amount=minor,
            )
        await execute(
            "UPDATE charge SET state = 'reversed', closed_on = :today WHERE id = :id", id=each.id, today=scope.today()
        )


class _Credited(Struct, frozen=True):
    id: int
    charge_id: int
    from_on: date
    to_on: date
    amount_minor: int
    replaced_from: date | None
    again_until: date | None
    again_minor: int


async def _charge_credited(scope: Scope, found: Locked, until: date | None) -> None:
    """Days that were credited and come before the end that holds now are charged again, at what was credited.

    What was to be charged again and waits for its invoice is worked out anew.
    """
    again = "component LIKE 'again:%' AND subscription_id = :id"
    await execute(
        f"UPDATE charge SET state = 'reversed', closed_on = :today WHERE {again} AND state = 'open'",
        id=found.id,
        today=scope.today(),
    )
    credited = await rows(
        _Credited,
        "SELECT s.id, s.charge_id, s.from_on, s.to_on, s.amount_minor, k.replaced_from, a.until_on AS again_until,"
        " coalesce(a.amount_minor, 0) AS again_minor FROM credited_span s"
        " JOIN charge k ON k.id = s.charge_id"
        " LEFT JOIN (SELECT component, max(period_end) AS until_on, CAST(sum(amount_minor) AS bigint) AS amount_minor"
        f"  FROM charge WHERE {again} AND state <> 'reversed' GROUP BY component) a"
        " ON a.component = 'again:' || CAST(s.id AS text)"
        " WHERE s.subscription_id = :id AND s.pause_id IS NULL ORDER BY s.from_on, s.id",
        id=found.id,
    )
    for each in credited:
        start = each.again_until or each.from_on
        end = min(each.to_on, until or each.to_on, each.replaced_from or each.to_on)
        if start >= end:
            continue
        share = half_up(each.amount_minor * (end - each.from_on).days, (each.to_on - each.from_on).days)
        await execute(
            "INSERT INTO charge (subscription_id, term_id, customer_id, payer_id, product_id, kind, component,"
            " description, period_start, period_end, days, of_days, quantity_e6, unit_price_e6, amount_minor, currency,"
            " tax_category, tax_inclusive, revision, state)"
            " SELECT k.subscription_id, k.term_id, k.customer_id, coalesce(c.payer_id, c.id), k.product_id, k.kind,"
            " :component::text, k.description, :start::date, :end::date, 1, 1, 1000000,"
            " :unit_price::bigint, :amount::bigint, k.currency, k.tax_category, k.tax_inclusive,"
            " (SELECT count(*) FROM charge o WHERE o.subscription_id = :id AND o.component = :component"
            "  AND o.period_start = :start), 'open'"
            " FROM charge k JOIN customer c ON c.id = k.customer_id WHERE k.id = :charge_id",
            id=found.id,
            charge_id=each.charge_id,
            component=f"again:{each.id}",
            start=start,
            end=end,
            amount=share - each.again_minor,
            unit_price=unit_price_e6(share - each.again_minor, found.currency),
        )


async def end(scope: Scope, subscription_id: int, reason: str) -> None:
    """Its last day is over. Days in arrears that are not charged yet are charged by the next run, up to its end."""
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        check_move(found.state, SubscriptionState.ENDED)
        await _over(scope, found, SubscriptionState.ENDED, reason, found.ends_on or scope.today())


async def lapse(scope: Scope, subscription_id: int, reason: str = StateReason.LAPSED) -> None:
    """A pending one whose invoice was not settled in time, or was voided. Its charges are given up with the invoice."""
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        if found.state is not SubscriptionState.PENDING:
            raise Conflict(
                _(
                    "Only a pending subscription lapses: this one is %(state)s.",
                    state=in_sentence(_(found.state.capitalize())),
                )
            )
        await write_schedule(subscription_id, 0, None)
        await _waive_open(scope, subscription_id)
        await _over(scope, found, SubscriptionState.ENDED, reason, scope.today())


async def withdraw(scope: Scope, subscription_id: int) -> None:
    """Service ends now and for good. What is not invoiced goes; billing deals with what is, and with its credit."""
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        check_move(found.state, SubscriptionState.WITHDRAWN)
        await write_schedule(subscription_id, 0, None)
        await _waive_open(scope, subscription_id)
        await execute(
            "UPDATE subscription SET ends_on = :today WHERE id = :id", id=subscription_id, today=scope.today()
        )
        await _over(scope, found, SubscriptionState.WITHDRAWN, "withdrawn", scope.today())


async def _waive_open(scope: Scope, subscription_id: int) -> None:
    async with off_drafts(scope, subscription_id, None):
        await execute(
            "UPDATE charge SET state = 'waived', closed_on = :today WHERE subscription_id = :id AND state = 'open'",
            id=subscription_id,
            today=scope.today(),
        )


async def _over(scope: Scope, found: Locked, state: SubscriptionState, reason: str, ended_on: date) -> None:
    await execute(
        "UPDATE subscription SET state = :state, state_reason = :reason, ended_on = :ended_on, pending_until = NULL,"
        " version = version + 1 WHERE id = :id",
        id=found.id,
        state=state,
        reason=reason,
        ended_on=ended_on,
    )
    await drop_planned(scope, [found.id])
    record(
        scope,
        SubscriptionEnded(
            subscription_id=found.id, customer_id=found.customer_id, product_id=found.product_id, reason=reason
        ),
        changes={"state": (found.state, state)},
    )
    await _end_children(scope, [found.id], reason if reason == StateReason.STATUS else StateReason.PLAN)


class _Child(Struct, frozen=True):
    """A module, and the day on which the plan that it needs was over."""

    id: int
    state: str
    started_on: date | None
    ends_on: date | None
    over_on: date


async def _end_children(scope: Scope, subscription_ids: Sequence[int], reason: str) -> None:
    """Modules that need one of these end with it; what waits for its invoice is over, and billing voids that."""
    for each in await rows(
        _Child,
        "SELECT c.id, c.state, c.started_on, c.ends_on, p.ended_on AS over_on FROM subscription c"
        " JOIN subscription p ON p.id = c.parent_id WHERE p.id IN :ids"
        " AND c.state IN ('pending', 'trial', 'active', 'suspended', 'paused') ORDER BY c.id",
        ids=list(subscription_ids),
    ):
        if each.state == SubscriptionState.PENDING:
            for callback in _heard:
                await callback(scope, each.id)
        else:
            on = min(each.over_on, each.ends_on or each.over_on)
            await terminate(scope, each.id, max(on, each.started_on or on), reason=reason)


Unpaid = Callable[["Scope", int], Awaitable[None]]
_heard: Final[list[Unpaid]] = []


def when_plan_is_over(callback: Unpaid) -> None:
    """Hear of a module that waits for its invoice while the plan that it needs is over, in the same unit of work."""
    _heard.append(callback)


async def suspend(
    scope: Scope, subscription_id: int, *, reason: StateReason = StateReason.HAND, whole: bool = False
) -> None:
    """Stop service; the terms stay as they are and it is still billed, unless the customer's status is not billed.

    A prepaid one is not renewed meanwhile.
    """
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        if reason is StateReason.HAND and not whole:
            await refuse_part(subscription_id)
        check_move(found.state, SubscriptionState.SUSPENDED)
        await execute(
            "UPDATE subscription SET state = 'suspended', state_reason = :reason, version = version + 1 WHERE id = :id",
            id=subscription_id,
            reason=reason,
        )
        if reason is StateReason.STATUS or found.timing == "prepaid":
            await execute(
                "UPDATE subscription_schedule SET due_on = NULL WHERE subscription_id = :id", id=subscription_id
            )
        record(
            scope,
            SubscriptionSuspended(subscription_id=subscription_id, customer_id=found.customer_id, reason=reason),
            changes={"state": (found.state, "suspended")},
        )


async def resume(scope: Scope, subscription_id: int) -> None:
    """Serve again.

    Days that were not billed meanwhile are recorded and never caught up: the next charge starts today. A prepaid one
    whose paid days are over waits for its renewal, which billing tries (`core.billing.actions.prepaid`).
    """
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        if found.state is not SubscriptionState.SUSPENDED:
            raise Conflict(
                _(
                    "Only a suspended subscription is resumed: this one is %(state)s.",
                    state=in_sentence(_(found.state.capitalize())),
                )
            )
        buyer = await get_buyer(scope, found.customer_id)
        if found.state_reason == StateReason.STATUS:
            may_order(buyer)
        if found.timing == "prepaid" and found.period_start is not None and found.period_start <= scope.today():
            await execute(
                "UPDATE subscription SET state_reason = 'balance', version = version + 1 WHERE id = :id",
                id=subscription_id,
            )
            return
        await execute(
            "UPDATE subscription SET state = 'active', state_reason = 'hand', version = version + 1 WHERE id = :id",
            id=subscription_id,
        )
        if found.period_start is not None and found.due_on is None:
            await _restart(scope, found)
        record(
            scope,
            SubscriptionResumed(subscription_id=subscription_id, customer_id=found.customer_id),
            changes={"state": ("suspended", "active")},
        )


async def end_due(scope: Scope, day: date, most: int) -> int:
    """Subscriptions whose end has come are over; at most so many in one unit of work. Gives how many were."""
    async with unit_of_work(scope):
        ids = await values(
            "SELECT id FROM subscription WHERE ends_on <= :day AND ended_on IS NULL"
            " AND state IN ('trial', 'active', 'suspended', 'paused')"
            " ORDER BY ends_on, id LIMIT :most FOR UPDATE",
            day=day,
            most=most,
        )
        if not ids:
            return 0
        await execute(
            "UPDATE subscription SET state = 'ended', ended_on = ends_on, version = version + 1,"
            " state_reason = CASE WHEN end_reason = '' THEN 'schedule' ELSE end_reason END WHERE id IN :ids",
            ids=ids,
        )
        await drop_planned(scope, ids)
        record_set(
            scope,
            SubscriptionEnded,
            "SELECT id AS subject_id, customer_id, '{\"subscription_id\":' || CAST(id AS text) || ',\"customer_id\":'"
            ' || CAST(customer_id AS text) || \',"product_id":\' || CAST(product_id AS text) || \',"reason":"\''
            " || state_reason || '\"}' AS facts FROM subscription WHERE id IN :ids",
            ids=ids,
        )
        await _end_children(scope, [int(each) for each in ids], StateReason.PLAN)
        return len(ids)


async def convert_due(scope: Scope, day: date, most: int) -> int:
    """Trials on their first charged day: live, or waiting for the invoice that was asked for. Gives how many were."""
    async with unit_of_work(scope):
        ids = await values(
            "SELECT id FROM subscription WHERE state = 'trial' AND at_trial_end = 'convert' AND trial_ends_on <= :day"
            " AND (ends_on IS NULL OR ends_on > :day) ORDER BY trial_ends_on, id LIMIT :most FOR UPDATE",
            day=day,
            most=most,
        )
        if ids:
            await execute(
                "UPDATE subscription SET state = 'active', state_reason = 'schedule', version = version + 1"
                " WHERE id IN :ids",
                ids=ids,
            )
            record_set(
                scope,
                TrialEnded,
                "SELECT id AS subject_id, customer_id,"
                " '{\"subscription_id\":' || CAST(id AS text) || ',\"customer_id\":'"
                ' || CAST(customer_id AS text) || \',"state":"active"}\' AS facts FROM subscription WHERE id IN :ids',
                ids=ids,
            )
        unpaid = await values(
            "SELECT s.id FROM subscription s WHERE s.state = 'trial' AND s.at_trial_end = 'invoice_first'"
            " AND s.trial_ends_on <= :day AND (s.ends_on IS NULL OR s.ends_on > :day) AND EXISTS ("
            "SELECT 1 FROM charge k WHERE k.subscription_id = s.id AND k.kind = 'recurring'"
            " AND k.period_start IS NULL AND k.state = 'invoiced') ORDER BY s.trial_ends_on, s.id LIMIT :most",
            day=day,
            most=most,
        )
        for subscription_id in unpaid:
            found = await lock(scope, int(subscription_id))
            await wait_for_invoice(scope, found, (await get_product(found.product_id)).pending_days)
        return len(ids) + len(unpaid)


async def uncharged_days(customer_id: int, day: date) -> list[int]:
    """Subscriptions of a customer with days behind them that are to be charged: in arrears, or by the next run."""
    return [
        int(each)
        for each in await values(
            "SELECT u.id FROM subscription u JOIN subscription_schedule s ON s.subscription_id = u.id"
            " WHERE u.customer_id = :id AND u.timing <> 'prepaid' AND s.due_on IS NOT NULL AND s.period_start < :day"
            " ORDER BY u.id",
            id=customer_id,
            day=day,
        )
    ]


async def charge_arrears(
    scope: Scope, subscription_id: int, day: date, *, final: bool = False, resting: bool = False
) -> None:
    """Its customer is not billed from a day on: the days up to it are charged, by day, and it waits from there.

    `final`: it ends there, and its last part is charged as its product says. `resting`: it was put to rest on that day
    already, with everybody of its customer's status.
    """
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        if found.period_start is None or found.period_start >= day or (found.due_on is None and not resting):
            return
        if found.timing == "prepaid":
            return
        rhythm = found.rhythm(day) if final else replace(found.rhythm(day), final_proration="by_day")
        due, __ = periods_due(rhythm, found.period_start, day, MOST_PERIODS)
        if len(due) > MOST_PERIODS:
            raise Conflict(_("More than 15 periods of a subscription are to be charged first. Run the billing."))
        buyer = await get_buyer(scope, found.customer_id)
        for period in due:
            await charge_period(subscription_id, buyer.payer_id, found.currency, period)
        await write_schedule(subscription_id, buyer.payer_id, next_period(found.rhythm(found.ends_on), day), waits=True)


async def end_contract(scope: Scope, subscription_id: int, day: date) -> None:
    """It ends with its customer's contract: the days up to one are charged, then it is over.

    Nothing where it is over already, with the one that it needs. A pending one is billing's: its invoice is voided.
    """
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        if found.state not in STARTED:
            return
        last = max(min(day, found.ends_on or day), found.started_on or day)
        await charge_arrears(scope, subscription_id, last, final=True)
        await terminate(scope, subscription_id, last, reason=StateReason.STATUS)


async def rest_all(scope: Scope, status_id: int) -> int:
    """Nobody who has this status is charged any more; gives of how many subscriptions."""
    async with unit_of_work(scope):
        return await execute(
            "UPDATE subscription_schedule SET due_on = NULL WHERE due_on IS NOT NULL AND subscription_id IN ("
            "SELECT u.id FROM subscription u JOIN customer c ON c.id = u.customer_id WHERE c.status_id = :id"
            " AND u.timing <> 'prepaid')",
            id=status_id,
        )


async def rest(scope: Scope, customer_id: int) -> None:
    """Nothing more of a customer is charged until its status is billed again."""
    async with unit_of_work(scope):
        await execute(
            "UPDATE subscription_schedule SET due_on = NULL WHERE due_on IS NOT NULL AND subscription_id IN ("
            "SELECT id FROM subscription WHERE customer_id = :id AND state IN ('active', 'suspended')"
            " AND timing <> 'prepaid')",
            id=customer_id,
        )


async def wake(scope: Scope, subscription_id: int) -> None:
    """Its customer's status is billed again: the days without are recorded, the next charge starts today."""
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        if found.period_start is None or found.due_on is not None or found.timing == "prepaid":
            return
        by_hand = found.state is SubscriptionState.SUSPENDED and found.state_reason == StateReason.HAND
        if found.state is not SubscriptionState.ACTIVE and not by_hand:
            return
        await _restart(scope, found)


async def _restart(scope: Scope, found: Locked) -> None:
    assert found.period_start is not None
    starts_on = found.period_start
    if starts_on < scope.today():
        await execute(
            "INSERT INTO unbilled_span (subscription_id, from_on, to_on, reason)"
            " VALUES (:id, :from_on, :to_on, 'status')",
            id=found.id,
            from_on=starts_on,
            to_on=scope.today(),
        )
        starts_on = scope.today()
    payer_id = await value("SELECT coalesce(payer_id, id) FROM customer WHERE id = :id", id=found.customer_id)
    await write_schedule(found.id, int(payer_id), next_period(found.rhythm(found.ends_on), starts_on))
