"""What several verbs on subscriptions need: the customer, the locked subscription, its terms, its schedule."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from core.customers.actions import change_status
from core.customers.tables import Customer
from core.database import execute, row, value, value_as, within
from core.errors import Conflict, NotFound
from core.subscriptions.actions.agreed import terms_from
from core.subscriptions.schedule import NextPeriod, Rhythm, next_period
from core.subscriptions.schemas import Buyer
from core.subscriptions.status import TRANSITIONS, StateReason, SubscriptionState
from core.subscriptions.tables import Subscription
from core.texts import _, in_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope


async def get_buyer(scope: Scope, customer_id: int) -> Buyer:
    """Locked until the unit ends, so two orders for one customer take turns."""
    found = await row(
        Buyer,
        "SELECT customer.id, coalesce(customer.payer_id, customer.id) AS payer_id, customer.currency,"
        " customer.billing_day, customer.billing_type, status.key AS status_key, status.kind AS status_kind,"
        " status.label AS status_label,"
        " status.may_order"
        " FROM customer JOIN status ON status.id = customer.status_id"
        " WHERE customer.id = :id AND :within FOR NO KEY UPDATE OF customer",
        id=customer_id,
        within=within(Customer, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"customer {customer_id}")
    return found


async def payers_language(scope: Scope, payer_id: int) -> str:
    """What is charged is written in the language that who pays it has documents in, whoever charges it."""
    return str(await value("SELECT language FROM customer WHERE id = :id", id=payer_id) or scope.tenant.language)


def may_order(buyer: Buyer) -> None:
    """Refuses a customer whose status does not allow new orders."""
    if not buyer.may_order:
        raise Conflict(
            _(
                "A customer that is %(status_label)s cannot order. Change its status first.",
                status_label=_(buyer.status_label),
            )
        )


async def make_active(scope: Scope, buyer_id: int) -> None:
    """Activating anything makes a New customer Active (domain.md, Subscription)."""
    kind = await value(
        "SELECT status.kind FROM customer JOIN status ON status.id = customer.status_id WHERE customer.id = :id",
        id=buyer_id,
    )
    if kind == "new":
        await change_status(scope, buyer_id, "active", reason="hand")


class Locked(Struct, frozen=True):
    """A subscription, its terms in force now, and its next period; nobody else changes it until the unit ends."""

    id: int
    customer_id: int
    product_id: int
    state: SubscriptionState
    state_reason: str
    timing: str
    anchor_on: date | None
    started_on: date | None
    trial_ends_on: date | None
    at_trial_end: str | None
    ends_on: date | None
    min_term_ends_on: date | None
    notice_days: int
    renew_unit: str | None
    renew_count: int | None
    termination_minor: int
    pending_until: date | None
    customer_bundle_id: int | None
    version: int
    term_id: int
    currency: str
    cycle_unit: str
    cycle_count: int
    cycle_minor: int
    proration: str
    final_proration: str
    period_start: date | None
    period_end: date | None
    due_on: date | None

    def rhythm(self, ends_on: date | None) -> Rhythm:
        anchor = self.anchor_on or self.trial_ends_on or self.started_on
        assert anchor is not None
        return Rhythm(
            anchor, self.cycle_unit, self.cycle_count, self.timing, self.proration, self.final_proration, ends_on
        )


async def lock(scope: Scope, subscription_id: int) -> Locked:
    """Schedule first, then the subscription: the order in which a billing run takes them."""
    await value("SELECT 1 FROM subscription_schedule WHERE subscription_id = :id FOR UPDATE", id=subscription_id)
    found = await row(
        Locked,
        "SELECT subscription.id, subscription.customer_id, subscription.product_id, subscription.state,"
        " subscription.state_reason, subscription.timing, subscription.anchor_on, subscription.started_on,"
        " subscription.trial_ends_on, subscription.at_trial_end, subscription.ends_on, subscription.min_term_ends_on,"
        " subscription.notice_days, subscription.renew_unit, subscription.renew_count, subscription.termination_minor,"
        " subscription.pending_until, subscription.customer_bundle_id, subscription.version,"
        " t.id AS term_id, t.currency, t.cycle_unit, t.cycle_count,"
        " t.cycle_minor, t.proration, t.final_proration, s.period_start, s.period_end, s.due_on"
        " FROM subscription"
        " JOIN subscription_term t ON t.subscription_id = subscription.id AND t.in_force"
        "   AND t.valid_from = (SELECT max(valid_from) FROM subscription_term o"
        " WHERE o.subscription_id = subscription.id"
        "     AND o.in_force AND (o.valid_from <= :today OR NOT EXISTS (SELECT 1 FROM subscription_term e"
        "       WHERE e.subscription_id = subscription.id AND e.in_force AND e.valid_from <= :today)))"
        " LEFT JOIN subscription_schedule s ON s.subscription_id = subscription.id"
        " WHERE subscription.id = :id AND :within FOR UPDATE OF subscription",
        id=subscription_id,
        today=scope.today(),
        within=within(Subscription, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"subscription {subscription_id}")
    return found


async def refuse_part(subscription_id: int) -> None:
    """Part of a bundle, it is not acted on alone."""
    name = await value(
        "SELECT CASE WHEN b.label <> '' THEN b.label ELSE p.name END FROM subscription u"
        " JOIN customer_bundle b ON b.id = u.customer_bundle_id JOIN bundle p ON p.id = b.bundle_id WHERE u.id = :id",
        id=subscription_id,
    )
    if name is not None:
        raise Conflict(_("It is part of %(bundle)s: act on the whole, or dissolve it first.", bundle=name))


def _word(state: str) -> str:
    return in_sentence(_(state.capitalize()))


def check_move(state: SubscriptionState, to: SubscriptionState) -> None:
    """By the table of transitions, or Conflict."""
    if to not in TRANSITIONS[state]:
        raise Conflict(_("A subscription that is %(state)s cannot become %(to)s.", state=_word(state), to=_word(to)))


async def write_schedule(
    subscription_id: int, payer_id: int, following: NextPeriod | None, *, waits: bool = False
) -> None:
    """What is charged next; nothing for None. `waits`: not before it is resumed."""
    if following is None:
        await execute("DELETE FROM subscription_schedule WHERE subscription_id = :id", id=subscription_id)
        return
    await execute(
        "INSERT INTO subscription_schedule (subscription_id, payer_id, cycle_no, period_start, period_end, due_on)"
        " VALUES (:id, :payer_id, :cycle_no, :start, :end, :due_on)"
        " ON CONFLICT (subscription_id) DO UPDATE SET payer_id = excluded.payer_id, cycle_no = excluded.cycle_no,"
        " period_start = excluded.period_start, period_end = excluded.period_end, due_on = excluded.due_on",
        id=subscription_id,
        payer_id=payer_id,
        cycle_no=following.cycle_no,
        start=following.start,
        end=following.end,
        due_on=None if waits else following.due_on,
    )


async def drop_planned(scope: Scope, subscription_ids: Sequence[int], ends_on: date | None = None) -> None:
    """Changes that were planned for a day on which it is over are not made: those from its end on, or all.

    A pause of what is over is over too.
    """
    if ends_on is None:
        await execute(
            "UPDATE subscription_pause SET state = CASE WHEN state = 'running' THEN 'done' ELSE 'dropped' END"
            " WHERE subscription_id IN :ids AND state IN ('planned', 'running')",
            ids=list(subscription_ids),
        )
    await execute(
        "UPDATE subscription_change SET state = 'dropped' WHERE subscription_id IN :ids AND state = 'planned'"
        " AND (:all OR happens_on >= :ends_on)",
        ids=list(subscription_ids),
        all=ends_on is None,
        ends_on=ends_on or scope.today(),
    )


async def covered_until(subscription_id: int) -> date | None:
    """The day up to which all days are charged or recorded as unbilled; None where nothing is yet."""
    return await value_as(
        date,
        "SELECT max(day) FROM ("
        " SELECT max(coalesce(replaced_from, period_end)) AS day FROM charge"
        " WHERE subscription_id = :id AND kind = 'recurring' AND state <> 'reversed' AND period_end IS NOT NULL"
        " AND (replaced_from IS NULL OR replaced_from > period_start)"
        " UNION ALL SELECT max(to_on) FROM unbilled_span WHERE subscription_id = :id) covered",
        id=subscription_id,
    )


async def reschedule(found: Locked, ends_on: date | None) -> None:
    """Work out again what is charged next, from where the covered days end; for an end that was set or dropped.

    A part there is charged as the terms of that day say: behind a pause by day.
    """
    start = await covered_until(found.id) or found.trial_ends_on or found.started_on
    if start is None or await _is_free(found):
        await write_schedule(found.id, 0, None)
        return
    payer_id = int(await value("SELECT coalesce(payer_id, id) FROM customer WHERE id = :id", id=found.customer_id))
    waits = await _waits(found)
    rhythm = found.rhythm(ends_on)
    if terms := await terms_from(found.id, start):
        rhythm = replace(rhythm, proration=terms[0].proration, final_proration=terms[0].final_proration)
    await write_schedule(found.id, payer_id, next_period(rhythm, start), waits=waits)


async def _waits(found: Locked) -> bool:
    """Whether it is not charged before it is resumed; where its row went with an end, what rests it says so."""
    if found.period_start is not None:
        return found.due_on is None
    if found.state is SubscriptionState.SUSPENDED and (
        found.timing == "prepaid" or found.state_reason == StateReason.STATUS
    ):
        return True
    if found.timing == "prepaid" or found.state not in {SubscriptionState.ACTIVE, SubscriptionState.SUSPENDED}:
        return False
    return not await value(
        "SELECT status.bill FROM customer JOIN status ON status.id = customer.status_id WHERE customer.id = :id",
        id=found.customer_id,
    )


async def _is_free(found: Locked) -> bool:
    """Activated free: an agreed price of 0 without an end has nothing to charge, ever."""
    return (
        found.cycle_minor == 0
        and found.period_start is None
        and not await value("SELECT 1 FROM charge WHERE subscription_id = :id LIMIT 1", id=found.id)
    )
