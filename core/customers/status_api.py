"""A customer's status over JSON: why it is so, what a change would do, what is planned."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from core.customers import actions, queries, statuses
from core.customers.plans import PlanAnswer, plan_answer
from core.customers.status import PlannedState
from core.errors import Conflict
from core.texts import _
from core.web.changes import rehearse
from core.web.jsonapi import Call, api_delete, api_get

if TYPE_CHECKING:
    from core.customers.plans import StatusPlan
    from core.customers.statuses import PlannedRow

Wanted = Annotated[str, QueryParameter(max_length=60, description="Key of the status that is wanted")]
On = Annotated[date | None, QueryParameter(description="A day to come; without it: now")]


class Planned(Struct, frozen=True):
    """A change of status for a later day. `planned_by` is an actor of the activity."""

    id: int
    customer_id: int
    status: str
    on: date
    state: str
    reason: str
    refusal: str
    planned_by: str


class StatusAnswer(Struct, frozen=True):
    """A customer's status with why, since when and by whom; `by` is an actor of the activity ("staff:7")."""

    status: str
    label: str
    kind: str
    reason: str
    note: str
    came_from: str
    since: datetime | None
    by: str
    on_behalf_of: str
    may_become: list[str]
    planned: Planned | None


@api_get("/customers/{customer_id:int}/status", permission="customers.view", summary="Status of a customer, and why")
async def get_status(call: Call, customer_id: FromPath[int]) -> StatusAnswer:
    scope = call.scope
    customer = await queries.get_customer(scope, customer_id)
    why = await statuses.why_status(scope, customer_id)
    planned = await statuses.get_planned(scope, customer.planned_id) if customer.planned_id is not None else None
    return StatusAnswer(
        status=why.status,
        label=why.label,
        kind=why.kind,
        reason=why.reason,
        note=why.note,
        came_from=why.came_from,
        since=why.since,
        by=why.by,
        on_behalf_of=why.on_behalf_of,
        may_become=[one.key for one in await queries.list_next_statuses(customer.status)],
        planned=_planned(planned) if planned is not None else None,
    )


def _planned(row: PlannedRow) -> Planned:
    return Planned(
        id=row.id,
        customer_id=row.customer_id,
        status=row.status,
        on=row.happens_on,
        state=row.state,
        reason=row.note,
        refusal=row.refusal,
        planned_by=row.planned_by,
    )


@api_get(
    "/customers/{customer_id:int}/status/plan",
    permission="customers.edit",
    summary="What a change of status would do",
    description="Nothing is changed. `plan` of the answer, sent with the change, makes sure that exactly this is done.",
)
async def get_plan(call: Call, customer_id: FromPath[int], status: Wanted, on: On = None) -> PlanAnswer:
    scope = call.scope

    async def deed() -> StatusPlan | None:
        if on is None or on == scope.today():
            return await actions.change_status(scope, customer_id, status)
        return await actions.plan_status(scope, customer_id, status, on)

    plan = await rehearse(scope, deed)
    if plan is None:
        raise Conflict(_("It has this status already."))
    return plan_answer(plan)


@api_get("/planned-statuses", permission="customers.view", summary="Planned changes of status")
async def list_planned(call: Call) -> list[Planned]:
    """In the order of their days."""
    return [_planned(each) for each in await statuses.list_planned(call.scope)]


@api_delete("/planned-statuses/{planned_id:int}", permission="customers.edit", summary="Cancel a planned change")
async def cancel_planned(call: Call, planned_id: FromPath[int]) -> Planned:
    """What was set for it at once (the end of subscriptions) is taken back."""
    await actions.cancel_planned_status(call.scope, planned_id)
    planned = await statuses.get_planned(call.scope, planned_id)
    assert planned.state is PlannedState.CANCELLED
    return _planned(planned)


HANDLERS = (get_status, get_plan, list_planned, cancel_planned)
