"""Moving customers between statuses: at once, or on a day that is set for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core import hookspecs
from core.activity.unit import record, savepoint, unit_of_work
from core.customers import queries
from core.customers.events import (
    CustomerStatusChanged,
    CustomerStatusPlanCancelled,
    CustomerStatusPlanned,
    CustomerStatusRefused,
)
from core.customers.leads import LEAD, lead_refusal, plan_lead
from core.customers.plans import PlanChanged, StatusPlan, carry_out, plan_status_change, plan_status_date
from core.customers.status import BY_RULE, PlannedState, StatusKey, StatusKind, StatusReason
from core.customers.tables import PlannedStatus
from core.database import execute, row, value, values, within
from core.errors import Conflict, Invalid, NotFound, TryAgain
from core.scope import schedule_actor
from core.texts import _

if TYPE_CHECKING:
    from core.customers.schemas import CustomerDetail, StatusRow
    from core.scope import Scope

MOST_DAYS_AHEAD: Final = 1096


async def change_status(
    scope: Scope,
    customer_id: int,
    to_key: str,
    *,
    reason: str = StatusReason.HAND,
    note: str = "",
    seen: str | None = None,
) -> StatusPlan | None:
    """Move a customer to another status by the table of transitions; plugins may refuse. Gives the plan that was done.

    The same status again does nothing and gives none. `seen` is the fingerprint of the plan that was shown: where
    another one came out now, nothing is done and PlanChanged tells it.
    """
    async with unit_of_work(scope):
        customer = await queries.get_customer(scope, customer_id)
        if customer.status == to_key:
            return None
        plan = await _plan(scope, customer, to_key, scope.today(), reason)
        if seen is not None and seen != plan.fingerprint:
            raise PlanChanged(plan, seen)
        moved = await execute(
            "UPDATE customer SET status_id = :status_id, status_reason = :reason, version = version + 1"
            " WHERE id = :id AND version = :version",
            status_id=plan.to.id,
            reason=reason,
            id=customer_id,
            version=customer.version,
        )
        if not moved:
            raise TryAgain(f"customer {customer_id} was changed meanwhile")
        record(
            scope,
            CustomerStatusChanged(customer_id=customer_id, from_key=customer.status, to_key=to_key, reason=reason),
            changes={"status": (customer.status_label, plan.to.label), **({"note": (None, note)} if note else {})},
        )
        await carry_out(scope, plan.effects)
        return plan


async def _plan(scope: Scope, customer: CustomerDetail, to_key: str, on: date, reason: str) -> StatusPlan:
    """The way there with all that follows. Raises Conflict where it is not allowed or refused."""
    if customer.anonymised_at is not None:
        raise Conflict(_("This customer is anonymised and stays as it is."))
    if to_key == LEAD and (refusal := lead_refusal(scope, customer.status, customer.status_label)):
        raise Conflict(_("It cannot become a lead. %(why)s.", why=refusal))
    target = await _allowed(customer, to_key)
    if target.kind == StatusKind.BLOCKED and reason in BY_RULE and customer.never_block:
        raise Conflict(_("This customer is never blocked by a rule. A person may block it."))
    await scope.hooks.validate(
        hookspecs.validate_customer_status_change,
        scope=scope,
        customer_id=customer.id,
        status_key=to_key,
        reason=reason,
    )
    as_lead = await plan_lead(scope, customer.id) if to_key == LEAD else []
    return StatusPlan(
        customer_id=customer.id,
        from_key=customer.status,
        from_label=customer.status_label,
        to=target,
        on=on,
        later=on > scope.today(),
        effects=(*await plan_status_change(scope, customer.id, to_key, on), *as_lead),
    )


async def _allowed(customer: CustomerDetail, to_key: str) -> StatusRow:
    allowed = await queries.list_next_statuses(customer.status)
    target = next((status for status in allowed if status.key == to_key), None)
    if target is None:
        wanted = await value("SELECT label FROM status WHERE key = :key", key=to_key)
        raise Conflict(
            _(
                "A customer that is %(status)s cannot become “%(wanted)s”. It can become: %(others)s.",
                status=_(customer.status_label),
                wanted=wanted or to_key,
                others=", ".join(_(status.label) for status in allowed) or _("no other"),
            )
        )
    return target


async def lift_status(scope: Scope, customer_id: int, *, reason: str) -> bool:
    """What a rule has set, a rule takes back: who was blocked or ended by one is active again. Gives whether it was.

    What a person has set stays (domain.md, Dunning).
    """
    async with unit_of_work(scope):
        customer = await queries.get_customer(scope, customer_id)
        liftable = customer.status in (StatusKey.BLOCKED, StatusKey.INACTIVE)
        if not liftable or customer.status_reason not in BY_RULE:
            return False
        return await change_status(scope, customer_id, StatusKey.ACTIVE, reason=reason) is not None


# -- on a day to come -------------------------------------------------------------------------------------------------


async def plan_status(
    scope: Scope, customer_id: int, to_key: str, on: date, *, note: str = "", seen: str | None = None
) -> StatusPlan:
    """Set a change of status for a later day of the tenant: it happens when that day begins. Gives the plan.

    What upper features set at once for it (the end of subscriptions) is among its effects. One open at a time.
    """
    async with unit_of_work(scope):
        customer = await queries.get_customer(scope, customer_id)
        today = scope.today()
        if not today < on <= today + timedelta(days=MOST_DAYS_AHEAD):
            raise Invalid(_("Choose a day to come, within three years."), field="on")
        if customer.planned_state == PlannedState.PLANNED:
            raise Conflict(
                _(
                    "It becomes %(status)s on %(day)s already. Cancel that first.",
                    status=customer.planned_label,
                    day=customer.planned_on,
                )
            )
        if customer.status == to_key:
            raise Conflict(_("It is %(status)s already.", status=_(customer.status_label)))
        plan = await _plan(scope, customer, to_key, on, StatusReason.SCHEDULE)
        at_once = await plan_status_date(scope, customer_id, to_key, on)
        plan = replace(plan, effects=(*plan.effects, *at_once))
        if seen is not None and seen != plan.fingerprint:
            raise PlanChanged(plan, seen)
        planned_id = await value(
            "INSERT INTO planned_status (customer_id, status_id, happens_on, state, note, refusal, planned_by,"
            " created_at) VALUES (:customer_id, :status_id, :on, 'planned', :note, '', :by, :now) RETURNING id",
            customer_id=customer_id,
            status_id=plan.to.id,
            on=on,
            note=note,
            by=scope.actor.key,
            now=scope.now(),
        )
        record(
            scope,
            CustomerStatusPlanned(planned_id=int(planned_id), customer_id=customer_id, to_key=to_key, on=on),
            changes={"planned_status": (None, plan.to.label), "happens_on": (None, on)},
        )
        await carry_out(scope, at_once)
        return plan


class _Planned(Struct, frozen=True):
    id: int
    customer_id: int
    to_key: str
    to_label: str
    happens_on: date
    state: PlannedState
    note: str
    planned_by: str


async def _lock_planned(scope: Scope, planned_id: int) -> _Planned:
    found = await row(
        _Planned,
        "SELECT planned_status.id, planned_status.customer_id, status.key AS to_key, status.label AS to_label,"
        " planned_status.happens_on, planned_status.state, planned_status.note, planned_status.planned_by"
        " FROM planned_status JOIN status ON status.id = planned_status.status_id"
        " WHERE planned_status.id = :id AND :within FOR UPDATE OF planned_status",
        id=planned_id,
        within=within(PlannedStatus, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"planned status {planned_id}")
    return found


async def cancel_planned_status(scope: Scope, planned_id: int) -> None:
    """Give up a change of status that was set for a later day, or put away one that was refused on its day."""
    async with unit_of_work(scope):
        planned = await _lock_planned(scope, planned_id)
        if planned.state not in (PlannedState.PLANNED, PlannedState.REFUSED):
            raise Conflict(_("This change is over: there is nothing to cancel."))
        await _finish(scope, planned, PlannedState.CANCELLED)
        if planned.state is PlannedState.REFUSED:
            return
        record(
            scope,
            CustomerStatusPlanCancelled(
                planned_id=planned.id, customer_id=planned.customer_id, to_key=planned.to_key, on=planned.happens_on
            ),
            changes={"planned_status": (planned.to_label, None), "happens_on": (planned.happens_on, None)},
        )
        await carry_out(scope, await plan_status_date(scope, planned.customer_id, planned.to_key, None))


async def due_planned_statuses(day: date) -> list[int]:
    """Changes whose day has come, in the order of their days."""
    return [
        int(each)
        for each in await values(
            "SELECT id FROM planned_status WHERE state = 'planned' AND happens_on <= :day ORDER BY happens_on, id",
            day=day,
        )
    ]


async def carry_out_planned(scope: Scope, planned_id: int) -> str | None:
    """Its day has come: it is done, or refused with the reason, which is given. None where it is done or was over.

    Row and change are one commit, so it happens once, however many try.
    """
    async with unit_of_work(scope):
        planned = await _lock_planned(scope, planned_id)
        if planned.state is not PlannedState.PLANNED:
            return None
        await _finish(scope, planned, PlannedState.DONE)
        acting = scope.as_actor(replace(schedule_actor("planned_statuses"), on_behalf_of=planned.planned_by))
        try:
            async with savepoint():
                await change_status(
                    acting, planned.customer_id, planned.to_key, reason=StatusReason.SCHEDULE, note=planned.note
                )
        except (Conflict, Invalid) as error:
            await _finish(scope, planned, PlannedState.REFUSED, error.message)
            record(
                acting,
                CustomerStatusRefused(
                    planned_id=planned.id, customer_id=planned.customer_id, to_key=planned.to_key, on=planned.happens_on
                ),
                changes={"refusal": (None, error.message)},
            )
            await carry_out(acting, await plan_status_date(acting, planned.customer_id, planned.to_key, None))
            return error.message
        return None


async def _finish(scope: Scope, planned: _Planned, state: PlannedState, refusal: str = "") -> None:
    await execute(
        "UPDATE planned_status SET state = :state, refusal = :refusal, finished_at = :now WHERE id = :id",
        id=planned.id,
        state=state,
        refusal=refusal,
        now=scope.now(),
    )
