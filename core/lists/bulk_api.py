"""What is done to many rows of a list, over JSON. One set of operations for any list; the application adds them for
every list whose rows can be ticked."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream
from msgspec import Meta, Struct

from core.activity.unit import unit_of_work
from core.errors import Conflict, Invalid, NotFound
from core.ids import Id
from core.lists import bulk
from core.lists.bulk_queries import AT_WORK, RunRow, counts_of, get_run, job_of, list_rows
from core.lists.bulk_status import RowState, RunState
from core.lists.taking import file_answer
from core.lists.views import expanded
from core.texts import _
from core.web.jsonapi import Call, Page, api_get, api_post, key_of

if TYPE_CHECKING:
    from core.lists.listing import Listing
    from core.scope import Scope

Text = Annotated[str, Meta(max_length=10_000)]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]


class BulkOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """A deed on many rows. `ids` names them, or `filter` says which: parameters of the list's address, an empty one for
    all. `values` is what the deed must know, by the names of its fields. With `at_once` it is done as soon as it is
    worked out; else nothing is done before its execution is asked for."""

    action: Annotated[str, Meta(max_length=80)]
    ids: Annotated[list[Id], Meta(max_length=10_000)] | None = None
    filter: dict[str, Text] | None = None
    values: dict[str, Text] = {}
    at_once: bool = False


class BulkExecution(Struct, frozen=True, forbid_unknown_fields=True):
    """`plan` is the fingerprint of what was worked out: that only is done. `anyway` leaves out rows that match the
    filter since then, and takes along those that no longer do."""

    plan: Annotated[str, Meta(max_length=64)]
    anyway: bool = False


class BulkRepetition(Struct, frozen=True, forbid_unknown_fields=True):
    """Which rows: those of this run that were `refused` (or changed meanwhile), that `changed`, that are `ready`, or
    that are `left`, not yet looked at either; or all that the `filter` finds now, where the run is of one."""

    which: Literal["refused", "changed", "ready", "left", "filter"]


class BulkLine(Struct, frozen=True):
    """A line of the plan: for how many rows, with the sums of its amount in minor units by currency. A line without
    text stands for all others of its kind."""

    kind: str
    text: str
    rows: int
    amounts: dict[str, int]


class BulkAnswer(Struct, frozen=True):
    """A deed on many rows and how far it is: `state` chosen, planning, planned, doing or done; `working` whether a job
    is at it. Where one refused row keeps all others from it, or nothing would be done, `refusal` says so."""

    id: int
    action: str
    state: RunState
    working: bool
    progress: int
    """Hundredths of the work that is going on."""
    rows: int
    ready: int
    nothing: int
    refused: int
    changed: int
    done: int
    plan: str
    lines: list[BulkLine]
    refusal: str
    created_at: datetime


class BulkRowAnswer(Struct, frozen=True):
    """What became of a row, and why it was left out."""

    id: int
    state: RowState
    why: str


def bulk_operations(listing: Listing[Any]) -> tuple[HTTPRouteHandler, ...]:
    """For a list whose rows can be ticked; none for another."""
    if listing.counted is None:
        return ()
    base, permission = f"{listing.href}/bulk", listing.permission
    area = key_of(listing.href.strip("/").replace("/", " "))

    @api_post(
        base,
        permission=permission,
        operation_id=f"{area}_order_bulk",
        summary="Do something to many rows",
        description="A job works out what it would do: ask until it is planned. Needs the deed's permission too.",
    )
    async def order_bulk(call: Call, data: JSONBody[BulkOrder]) -> BulkAnswer:
        scope = call.scope
        action = await bulk.get_action(scope, listing.key, data.action)
        if (data.ids is None) == (data.filter is None):
            raise Invalid(_("Give either ids or a filter."), field="ids")
        typed = {name: [text] for name, text in data.values.items()}
        address = None if data.filter is None else await expanded(scope, listing, data.filter)
        async with unit_of_work(scope):
            run_id = await bulk.choose_rows(scope, listing, action, ids=data.ids or (), address=address)
            total = (await get_run(scope, listing.key, run_id)).total
            if data.ids is not None and total != len(set(data.ids)):
                raise NotFound("rows")
            await bulk.start_plan(scope, listing, run_id, typed, at_once=data.at_once, wait=False)
        return await _answer(scope, listing, run_id)

    @api_get(
        f"{base}/{{bulk_id:int}}",
        permission=permission,
        operation_id=f"{area}_get_bulk",
        summary="What it would do, or has done",
    )
    async def get_bulk(call: Call, bulk_id: FromPath[int]) -> BulkAnswer:
        return await _answer(call.scope, listing, bulk_id)

    @api_get(
        f"{base}/{{bulk_id:int}}/rows",
        permission=permission,
        operation_id=f"{area}_list_bulk_rows",
        summary="The report, row by row",
    )
    async def list_bulk_rows(
        call: Call, bulk_id: FromPath[int], cursor: Cursor = "", limit: Limit = 100
    ) -> Page[BulkRowAnswer]:
        await get_run(call.scope, listing.key, bulk_id)
        if cursor and (not cursor.isdecimal() or len(cursor) > 18):
            raise Invalid(_("This cursor is of another order of this list. Begin again without it."), field="cursor")
        found = await list_rows(bulk_id, after=int(cursor or 0), limit=limit + 1)
        rows = [BulkRowAnswer(one.row_id, one.state, one.told) for one in found[:limit]]
        return Page(rows, str(rows[-1].id) if len(found) > limit else None)

    @api_post(
        f"{base}/{{bulk_id:int}}/execution",
        permission=permission,
        operation_id=f"{area}_execute_bulk",
        summary="Do what was worked out",
        description="409 where it was worked out again, or where other rows match the filter by now.",
        status_code=200,
    )
    async def execute_bulk(call: Call, bulk_id: FromPath[int], data: JSONBody[BulkExecution]) -> BulkAnswer:
        scope = call.scope
        run = await get_run(scope, listing.key, bulk_id)
        drift = await bulk.drift_of(scope, listing, run)
        if not data.anyway and (drift.come or drift.gone):
            raise Conflict(_("Something came between: other rows match the filter now."))
        await bulk.start_doing(scope, listing, bulk_id, seen=data.plan)
        return await _answer(scope, listing, bulk_id)

    @api_post(
        f"{base}/{{bulk_id:int}}/cancellation",
        permission=permission,
        operation_id=f"{area}_cancel_bulk",
        summary="Stop it between two rows",
        description="What is done stays done.",
        status_code=200,
    )
    async def cancel_bulk(call: Call, bulk_id: FromPath[int]) -> BulkAnswer:
        await bulk.stop(call.scope, listing, bulk_id)
        return await _answer(call.scope, listing, bulk_id)

    @api_post(
        f"{base}/{{bulk_id:int}}/continuation",
        permission=permission,
        operation_id=f"{area}_continue_bulk",
        summary="Go on with what was broken off",
        status_code=200,
    )
    async def continue_bulk(call: Call, bulk_id: FromPath[int]) -> BulkAnswer:
        await bulk.go_on(call.scope, listing, bulk_id)
        return await _answer(call.scope, listing, bulk_id)

    @api_post(
        f"{base}/{{bulk_id:int}}/repetition",
        permission=permission,
        operation_id=f"{area}_repeat_bulk",
        summary="The same once more",
        description="A further run with the same values is worked out: ask until it is planned.",
    )
    async def repeat_bulk(call: Call, bulk_id: FromPath[int], data: JSONBody[BulkRepetition]) -> BulkAnswer:
        scope = call.scope
        run = await get_run(scope, listing.key, bulk_id)
        if data.which == "filter" and run.address is None:
            raise Invalid(_("Rows were named here one by one: there is no filter."), field="which")
        async with unit_of_work(scope):
            again_id = await bulk.choose_for_repetition(scope, listing, run, data.which)
            await bulk.start_plan(scope, listing, again_id, run.typed(), wait=False)
        return await _answer(scope, listing, again_id)

    @api_get(
        f"{base}/{{bulk_id:int}}/file",
        permission=permission,
        operation_id=f"{area}_take_bulk",
        summary="The file of the rows that it was done to",
        description="For deeds that make one. 409 while it is not done.",
    )
    async def take_bulk(call: Call, bulk_id: FromPath[int]) -> Stream:
        return await file_answer(call.scope, listing, bulk_id)

    return (
        order_bulk,
        get_bulk,
        list_bulk_rows,
        execute_bulk,
        cancel_bulk,
        continue_bulk,
        repeat_bulk,
        take_bulk,
    )


async def _answer(scope: Scope, listing: Listing[Any], run_id: int) -> BulkAnswer:
    run: RunRow = await get_run(scope, listing.key, run_id)
    counts, job = await counts_of(run_id), await job_of(run)
    working = job is not None and job.state in AT_WORK
    return BulkAnswer(
        id=run.id,
        action=run.action,
        state=run.state,
        working=working,
        progress=job.percent if working and job is not None else 0,
        rows=run.total,
        ready=counts[RowState.READY],
        nothing=counts[RowState.NOTHING],
        refused=counts[RowState.REFUSED],
        changed=counts[RowState.CHANGED],
        done=counts[RowState.DONE],
        plan=run.fingerprint if run.state is RunState.PLANNED else "",
        lines=[BulkLine(one.kind, one.text, one.rows, one.amounts) for one in run.sums.lines],
        refusal=await bulk.refusal_of(scope, run) if run.state is RunState.PLANNED else "",
        created_at=run.created_at,
    )
