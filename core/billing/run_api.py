"""Billing runs over JSON. Amounts are in minor units of their currency."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final

import msgspec
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from core.billing import queries
from core.billing.run import run_billing
from core.billing.run_listings import RUNS
from core.billing.run_pages import totals_of
from core.billing.run_reports import RunReport
from core.billing.runs import cancel_run
from core.billing.schemas import ParkedRow, RunRow
from core.billing.starting import check_reach, start_run
from core.billing.status import RunState
from core.web.jsonapi import Call, Page, api_get, api_post

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]


class RunOut(Struct, frozen=True, kw_only=True):
    """A run. `totals`: minor units by currency; `question`: what a waiting run asks before it goes on. `renewed`,
    `not_covered`: prepaid subscriptions that balances paid for, or did not; which, `/api/v1/billing/renewals` lists."""

    id: int
    as_of_on: date
    issued_on: date
    state: RunState
    question: str
    payers_total: int
    payers_done: int
    invoices: int
    lines: int
    parked: int
    renewed: int
    not_covered: int
    totals: dict[str, int]
    actor: str
    started_at: datetime
    finished_at: datetime | None


class RunDetail(RunOut, frozen=True, kw_only=True):
    """A run with the customers that it could not bill."""

    parked_customers: list[ParkedRow]


class NewRun(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The last day that is billed. `confirmed`: answers beforehand what an unusual run would ask."""

    date: date
    confirmed: bool = False


class PreviewOf(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    date: date


class RunQueued(Struct, frozen=True):
    """The job that makes the run; the same one for a date as long as it is at work."""

    job_id: int
    date: date


def run_out(run: RunRow) -> RunOut:
    return msgspec.convert(_fields(run), RunOut)


def _fields(run: RunRow) -> dict[str, object]:
    found = msgspec.structs.asdict(run)
    del found["expected"]
    return {**found, "lines": found.pop("charges"), "totals": totals_of(run)}


@api_get(
    "/billing/runs",
    permission="billing.view",
    summary="List billing runs, the latest first",
    description="Also sorted (`sort=-date`) and filtered as the page: `state=done`, `date.from=2026-01-01`,"
    " `parked.from=1`; `view=5` as a saved view has it.",
)
async def list_runs(call: Call, limit: Limit = 50, cursor: Cursor = "") -> Page[RunOut]:
    found = await RUNS.api(call, cursor=cursor, limit=limit)
    return Page(items=[run_out(run) for run in found.items], next=found.next)


@api_get("/billing/runs/{run_id:int}", permission="billing.view", summary="One billing run and whom it parked")
async def show_run(call: Call, run_id: FromPath[int]) -> RunDetail:
    run = await queries.get_run(call.scope, run_id)
    parked = await queries.list_parked(call.scope, run_id)
    return msgspec.convert({**_fields(run), "parked_customers": parked}, RunDetail)


@api_post("/billing/runs", permission="billing.run", summary="Start a billing run of a date", status_code=202)
async def create_run(call: Call, data: JSONBody[NewRun]) -> RunQueued:
    return RunQueued(await start_run(call.scope, data.date, confirmed=data.confirmed), data.date)


@api_post("/billing/runs/preview", permission="billing.run", summary="What a run of a date would do", status_code=200)
async def preview(call: Call, data: JSONBody[PreviewOf]) -> RunReport:
    check_reach(call.scope)
    return await run_billing(call.scope, data.date, preview=True)


@api_post(
    "/billing/runs/{run_id:int}/cancellation",
    permission="billing.run",
    summary="End a run between two parts; what it issued stands",
    status_code=200,
)
async def cancel(call: Call, run_id: FromPath[int]) -> RunOut:
    await queries.get_run(call.scope, run_id)
    await cancel_run(call.scope, run_id)
    return run_out(await queries.get_run(call.scope, run_id))


HANDLERS: Final = (list_runs, show_run, create_run, preview, cancel)
