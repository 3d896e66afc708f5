"""Statuses over JSON: why a customer has its own, what a change would do, what is planned; those of the tenant."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from core.customers import actions, queries, statuses
from core.customers.actions import status_table
from core.customers.actions.status_table import NewStatus, StatusEdit
from core.customers.plans import EffectAnswer, PlanAnswer, plan_answer
from core.customers.status import PlannedState
from core.errors import Conflict, FieldError, Invalid
from core.texts import _
from core.web.changes import rehearse
from core.web.jsonapi import Call, Page, api_delete, api_get, api_patch, api_post, api_put

if TYPE_CHECKING:
    from core.customers.plans import StatusPlan
    from core.customers.statuses import PlannedRow, StatusFull, Way
    from core.scope import Scope

Wanted = Annotated[str, QueryParameter(max_length=60, description="Key of the status that is wanted")]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=40, description="`next` of the page before")]
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
async def get_plan(call: Call, customer_id: FromPath[int], status: Wanted = "", on: On = None) -> PlanAnswer:
    scope = call.scope
    await queries.get_customer(scope, customer_id)
    if not status:
        raise Invalid(_("Name the status that is wanted."), field="status")

    async def deed() -> StatusPlan | None:
        if on is None or on == scope.today():
            return await actions.change_status(scope, customer_id, status)
        return await actions.plan_status(scope, customer_id, status, on)

    plan = await rehearse(scope, deed)
    if plan is None:
        raise Conflict(_("It has this status already."))
    return plan_answer(plan)


@api_get("/planned-statuses", permission="customers.view", summary="Planned changes of status")
async def list_planned(call: Call, limit: Limit = 50, cursor: Cursor = "") -> Page[Planned]:
    """In the order of their days."""
    found, following = await statuses.list_planned(call.scope, cursor=cursor, limit=limit)
    return Page([_planned(each) for each in found], following or None)


@api_delete("/planned-statuses/{planned_id:int}", permission="customers.edit", summary="Cancel a planned change")
async def cancel_planned(call: Call, planned_id: FromPath[int]) -> Planned:
    """What was set for it at once (the end of subscriptions) is taken back."""
    await actions.cancel_planned_status(call.scope, planned_id)
    planned = await statuses.get_planned(call.scope, planned_id)
    assert planned.state is PlannedState.CANCELLED
    return _planned(planned)


# -- the tenant's statuses --------------------------------------------------------------------------------------------


class StatusData(Struct, frozen=True):
    """A status with its effects, and how many customers have it. `shipped`: rules name its key, so it stays."""

    key: str
    label: str
    kind: str
    colour: str
    bill: bool
    serve: bool
    log_in: bool
    notify: bool
    dun: bool
    may_order: bool
    may_delete: bool
    shipped: bool
    customers: int
    may_become: list[str]


def _data(status: StatusFull, ways: list[Way]) -> StatusData:
    return StatusData(
        key=status.key,
        label=status.label,
        kind=status.kind,
        colour=status.colour,
        bill=status.bill,
        serve=status.serve,
        log_in=status.log_in,
        notify=status.notify,
        dun=status.dun,
        may_order=status.may_order,
        may_delete=status.may_delete,
        shipped=status.shipped,
        customers=status.customers,
        may_become=[way.to_key for way in ways if way.from_key == status.key],
    )


async def _one(scope: Scope, key: str) -> StatusData:
    return _data(await statuses.get_status(scope, key), await statuses.list_ways())


@api_get("/statuses", permission="settings.view", summary="Statuses in their order")
async def list_statuses(call: Call) -> list[StatusData]:
    ways = await statuses.list_ways()
    return [_data(each, ways) for each in await statuses.list_full(call.scope)]


@api_post("/statuses", permission="settings.edit", summary="Add a status")
async def add_status(call: Call, data: JSONBody[NewStatus]) -> StatusData:
    """What may follow it, and what it may follow, is as of its kind's own status."""
    return await _one(call.scope, await status_table.add_status(call.scope, data))


class ChangedStatus(Struct, frozen=True):
    """A status as it is now, and what followed for the customers who have it."""

    status: StatusData
    effects: list[EffectAnswer]


@api_patch("/statuses/{key:str}", permission="settings.edit", summary="Rename a status, give it other effects")
async def change_status(call: Call, key: FromPath[str], data: JSONBody[StatusEdit]) -> ChangedStatus:
    """Other effects count at once for every customer who has it."""
    return await _change(call.scope, key, data)


async def _change(scope: Scope, key: str, data: StatusEdit) -> ChangedStatus:
    await statuses.get_status(scope, key)
    try:
        changes = await status_table.change_statuses(scope, {key: data})
    except Invalid as error:
        faults = [FieldError(each.field.partition(".")[0], each.message) for each in error.errors]
        raise Invalid(errors=faults) from error
    effects = [effect for change in changes for effect in change.effects]
    return ChangedStatus(
        await _one(scope, key),
        [EffectAnswer(each.kind, each.text, each.amount_minor, each.currency) for each in effects],
    )


@api_post(
    "/statuses/{key:str}/plan",
    permission="settings.edit",
    summary="What other effects of a status would do",
    description="Takes what the change takes. Nothing is changed.",
    status_code=200,
)
async def plan_change(call: Call, key: FromPath[str], data: JSONBody[StatusEdit]) -> ChangedStatus:
    return await rehearse(call.scope, lambda: _change(call.scope, key, data))


@api_delete("/statuses/{key:str}", permission="settings.edit", summary="Remove a status that nobody has")
async def remove_status(call: Call, key: FromPath[str]) -> StatusData:
    gone = await status_table.remove_status(call.scope, key)
    return _data(gone, [])


class StatusOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Keys of all statuses, each once."""

    keys: Annotated[list[Annotated[str, Meta(max_length=40)]], Meta(max_length=200)]


@api_put("/statuses/order", permission="settings.edit", summary="Put statuses in order")
async def order_statuses(call: Call, data: JSONBody[StatusOrder]) -> list[StatusData]:
    await status_table.order_statuses(call.scope, data.keys)
    ways = await statuses.list_ways()
    return [_data(each, ways) for each in await statuses.list_full(call.scope)]


class Transition(Struct, frozen=True, forbid_unknown_fields=True):
    """A change of status that is allowed, from one key to another."""

    before: Annotated[str, Meta(max_length=40)]
    after: Annotated[str, Meta(max_length=40)]


class Transitions(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole table."""

    transitions: Annotated[list[Transition], Meta(max_length=5000)]


@api_get("/status-transitions", permission="settings.view", summary="Which status may follow which")
async def list_transitions(call: Call) -> Transitions:
    return Transitions([Transition(way.from_key, way.to_key) for way in await statuses.list_ways()])


@api_put("/status-transitions", permission="settings.edit", summary="Say which status may follow which")
async def set_transitions(call: Call, data: JSONBody[Transitions]) -> Transitions:
    """What rules need cannot be left out."""
    await status_table.set_ways(call.scope, [(each.before, each.after) for each in data.transitions])
    return Transitions([Transition(way.from_key, way.to_key) for way in await statuses.list_ways()])


class VocabularyName(Struct, frozen=True, forbid_unknown_fields=True):
    """The words of a trade: isp, telecom or saas."""

    vocabulary: Annotated[str, Meta(max_length=20)]


@api_post("/statuses/vocabulary", permission="settings.edit", summary="Take the words of a trade", status_code=200)
async def take_vocabulary(call: Call, data: JSONBody[VocabularyName]) -> list[StatusData]:
    """Renames what came with the product and adds what it lacks; nothing goes away."""
    await status_table.take_vocabulary(call.scope, data.vocabulary)
    ways = await statuses.list_ways()
    return [_data(each, ways) for each in await statuses.list_full(call.scope)]


HANDLERS = (
    get_status,
    get_plan,
    list_planned,
    cancel_planned,
    list_statuses,
    add_status,
    change_status,
    plan_change,
    remove_status,
    order_statuses,
    list_transitions,
    set_transitions,
    take_vocabulary,
)
