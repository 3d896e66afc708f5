"""Dunning over JSON: the steps, what today would bring, what an invoice had, promises to pay and disputes."""

from __future__ import annotations

from datetime import date

from litestar.params import FromPath, JSONBody
from msgspec import Struct

from core.billing import queries
from core.billing.actions import dunning as actions
from core.billing.actions.dunning import Closed, NewDispute, NewPromise
from core.billing.dunning import (
    DunningRow,
    Pause,
    Step,
    StepFields,
    list_dunning,
    list_pauses,
    list_steps,
    open_of,
    preview,
)
from core.web.jsonapi import Call, api_delete, api_get, api_post, api_put
from core.web.reach import check_sees_everyone


class Steps(Struct, frozen=True):
    """The policy, by days."""

    steps: list[Step]


class DueStep(Struct, frozen=True, kw_only=True):
    """An invoice and the step that it has today."""

    invoice_id: int
    number: str
    customer_id: int
    due_on: date
    currency: str
    open_minor: int
    step_id: int
    days: int
    message: str
    effect: str
    fee_minor: int


class Today(Struct, frozen=True):
    """What today would bring. `more`: these are the first ones; `rests`: today is no day for it."""

    due: list[DueStep]
    looked_at: int
    more: bool
    rests: bool


class DunningAnswer(Struct, frozen=True, kw_only=True):
    """What an invoice had of dunning, what pauses it, and all that ever was promised for it or disputed."""

    invoice_id: int
    steps: list[DunningRow]
    promised_until: date | None
    promise_note: str
    disputed_since: date | None
    dispute_reason: str
    pauses: list[Pause]


class Removed(Struct, frozen=True):
    id: int


@api_get("/dunning/steps", permission="settings.view", summary="The steps of dunning")
async def get_steps(call: Call) -> Steps:
    check_sees_everyone(call.scope)
    return Steps(await list_steps())


@api_post("/dunning/steps", permission="settings.edit", summary="Add a step")
async def add_step(call: Call, data: JSONBody[StepFields]) -> Step:
    check_sees_everyone(call.scope)
    return await actions.get_step(await actions.save_step(call.scope, data))


@api_put(
    "/dunning/steps/{step_id:int}",
    permission="settings.edit",
    summary="Change a step",
    description="Invoices that had it do not have it again.",
)
async def change_step(call: Call, step_id: FromPath[int], data: JSONBody[StepFields]) -> Step:
    check_sees_everyone(call.scope)
    return await actions.get_step(await actions.save_step(call.scope, data, step_id))


@api_delete("/dunning/steps/{step_id:int}", permission="settings.edit", summary="Remove a step", status_code=200)
async def remove_step(call: Call, step_id: FromPath[int]) -> Removed:
    check_sees_everyone(call.scope)
    await actions.remove_step(call.scope, step_id)
    return Removed(step_id)


@api_get(
    "/dunning/today",
    permission="documents.view",
    summary="Who would have which step today",
    description="Whether dunning is on or not. The first hundred, the longest overdue first.",
)
async def get_today(call: Call) -> Today:
    found = await preview(call.scope)
    return Today(
        due=[
            DueStep(
                invoice_id=each.document.document_id,
                number=each.document.number,
                customer_id=each.document.payer_id,
                due_on=each.document.due_on,
                currency=each.document.currency,
                open_minor=each.document.open_minor,
                step_id=each.step.id,
                days=each.step.days,
                message=each.step.message,
                effect=each.step.effect,
                fee_minor=each.step.fee_minor,
            )
            for each in found.due
        ],
        looked_at=found.looked_at,
        more=found.more,
        rests=found.rests,
    )


async def _answer(call: Call, invoice_id: int) -> DunningAnswer:
    await queries.get_document(call.scope, invoice_id)
    pauses = await list_pauses(call.scope, invoice_id)
    promised, disputed = open_of(pauses, "promise"), open_of(pauses, "dispute")
    return DunningAnswer(
        invoice_id=invoice_id,
        steps=await list_dunning(call.scope, invoice_id),
        promised_until=promised.until_on if promised is not None else None,
        promise_note=promised.said if promised is not None else "",
        disputed_since=disputed.made_on if disputed is not None else None,
        dispute_reason=disputed.said if disputed is not None else "",
        pauses=pauses,
    )


@api_get(
    "/invoices/{invoice_id:int}/dunning",
    permission="documents.view",
    summary="What an invoice had of dunning, and what pauses it",
)
async def get_dunning(call: Call, invoice_id: FromPath[int]) -> DunningAnswer:
    return await _answer(call, invoice_id)


@api_put(
    "/invoices/{invoice_id:int}/promise",
    permission="documents.edit",
    summary="Note a promise to pay",
    description="Dunning rests until the day is over. It takes the place of one that is open.",
)
async def promise(call: Call, invoice_id: FromPath[int], data: JSONBody[NewPromise]) -> DunningAnswer:
    await actions.promise(call.scope, invoice_id, data)
    return await _answer(call, invoice_id)


@api_delete(
    "/invoices/{invoice_id:int}/promise",
    permission="documents.edit",
    summary="Take the promise back",
    status_code=200,
)
async def withdraw_promise(call: Call, invoice_id: FromPath[int]) -> DunningAnswer:
    await actions.withdraw_promise(call.scope, invoice_id)
    return await _answer(call, invoice_id)


@api_put(
    "/invoices/{invoice_id:int}/dispute",
    permission="documents.edit",
    summary="Note a dispute",
    description="Dunning rests, and credit does not pay it by itself, until it is closed.",
)
async def dispute(call: Call, invoice_id: FromPath[int], data: JSONBody[NewDispute]) -> DunningAnswer:
    await actions.open_dispute(call.scope, invoice_id, data)
    return await _answer(call, invoice_id)


@api_post(
    "/invoices/{invoice_id:int}/dispute/closing",
    permission="documents.edit",
    summary="Close the dispute",
    status_code=200,
)
async def close_dispute(call: Call, invoice_id: FromPath[int], data: JSONBody[Closed]) -> DunningAnswer:
    await actions.close_dispute(call.scope, invoice_id, data)
    return await _answer(call, invoice_id)


HANDLERS = (
    get_steps,
    add_step,
    change_step,
    remove_step,
    get_today,
    get_dunning,
    promise,
    withdraw_promise,
    dispute,
    close_dispute,
)
