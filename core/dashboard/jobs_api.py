"""Work in progress over JSON: how far it is, started again, or cancelled."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from core.dashboard.jobs_listing import JOBS
from core.jobs import actions
from core.jobs.queries import JobRow, get_job
from core.jobs.status import JobState
from core.web.jobs_pages import label_of
from core.web.jsonapi import Call, Page, api_get, api_post

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]


class JobOut(Struct, frozen=True, kw_only=True):
    """A piece of work. `cancel_asked`: it ends at its next step."""

    id: int
    kind: str
    label: str
    state: JobState
    done: int
    total: int
    text: str
    error: str | None
    attempts: int
    customer_id: int | None
    cancel_asked: bool
    may_be_cancelled: bool
    may_be_repeated: bool
    created_at: datetime
    due_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def _job(row: JobRow) -> JobOut:
    return JobOut(
        id=row.id,
        kind=row.kind,
        label=label_of(row.kind),
        state=row.state,
        done=row.progress_done,
        total=row.progress_total,
        text=row.progress_text,
        error=row.error,
        attempts=row.attempts,
        customer_id=row.customer_id,
        cancel_asked=row.cancel_asked,
        may_be_cancelled=row.may_be_cancelled,
        may_be_repeated=row.may_be_repeated,
        created_at=row.created_at,
        due_at=row.due_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


@api_get(
    "/jobs",
    permission="jobs.view",
    summary="List work in progress and what came of it, the latest first",
    description="Takes the parameters of the page's address: `q`, `sort`, `kind`, `state` (also `person`, what waits"
    " for one, and `work`), `customer_id`, `begun.from` …",
)
async def list_jobs(call: Call, limit: Limit = 50, cursor: Cursor = "") -> Page[JobOut]:
    found = await JOBS.api(call, cursor=cursor, limit=limit)
    return Page(items=[_job(one) for one in found.items], next=found.next)


@api_get("/jobs/{job_id:int}", permission="jobs.view", summary="How far a piece of work is")
async def show_job(call: Call, job_id: FromPath[int]) -> JobOut:
    return _job(await get_job(call.scope, job_id))


@api_post(
    "/jobs/{job_id:int}/repetition",
    permission="jobs.edit",
    summary="Start work again that failed, is held, or whose end nobody knows",
    description="What may have been done already may be done twice. 409 in every other state.",
    status_code=200,
)
async def repeat(call: Call, job_id: FromPath[int]) -> JobOut:
    await actions.start_again(call.scope, job_id)
    return _job(await get_job(call.scope, job_id))


@api_post(
    "/jobs/{job_id:int}/cancellation",
    permission="jobs.edit",
    summary="Cancel a piece of work",
    description="At once where it waits, at its next step where it runs. 409 where it sends, or is over.",
    status_code=200,
)
async def cancel(call: Call, job_id: FromPath[int]) -> JobOut:
    await actions.cancel_job(call.scope, job_id)
    return _job(await get_job(call.scope, job_id))


HANDLERS: Final = (list_jobs, show_job, repeat, cancel)
