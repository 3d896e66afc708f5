"""A piece of work that takes a while: its live progress, how it ended; started again, or cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from core.database import bind, current
from core.hooks import Permission
from core.jobs import actions, queries
from core.jobs.queries import JobRow
from core.texts import N_, _, number
from core.web.feeds import feed
from core.web.parts import RunningJob
from core.web.routing import get, post
from core.web.view import View

if TYPE_CHECKING:
    from core.web.view import PageView

PERMISSIONS: Final = (
    Permission("jobs.view", N_("See work in progress and what failed")),
    Permission("jobs.edit", N_("Cancel work, start failed work again")),
)
LOOK_EVERY: Final = 0.5
"""Seconds between two looks at a job's row; it is written no oftener."""


def running_job(job: JobRow, *, streams: bool = True) -> RunningJob:
    """A job's row as pages show it. `streams`: whether its reader may see jobs, and so how it goes on; a page that says
    more than the job asks by itself whether it is over."""
    states = {"waiting": "waiting", "held": "parked", "running": "running", "sending": "running", "done": "done"}
    total = job.progress_total
    percent = min(100, job.progress_done * 100 // total) if total else None
    return RunningJob(
        id=job.id,
        label=label_of(job.kind),
        href=f"/jobs/{job.id}",
        state=states.get(job.state.value, "failed"),
        percent=100 if job.state.value == "done" else percent,
        detail=_("%(done)s of %(total)s", done=number(job.progress_done), total=number(total)) if total else "",
        text=job.error or job.progress_text,
        events=f"/jobs/{job.id}/events" if streams else "",
    )


def label_of(kind: str) -> str:
    """How a kind of work reads: its label, or its name in words."""
    from core.jobs.kinds import KINDS

    declared = KINDS.get(kind)
    if declared is not None and declared.label:
        return _(declared.label)
    return kind.replace("_", " ").replace(".", " ").capitalize()


@get("/jobs/{job_id:int}", permission="jobs.view")
async def show_job(view: View, job_id: FromPath[int]) -> Response[str]:
    return await _page(view, job_id)


@post("/jobs/{job_id:int}/cancellation", permission="jobs.edit")
async def cancel(view: View, job_id: FromPath[int]) -> Response[str]:
    await actions.cancel_job(view.scope, job_id)
    return view.go(f"/jobs/{job_id}", _("Cancelled."))


@post("/jobs/{job_id:int}/repetition", permission="jobs.edit")
async def repeat(view: View, job_id: FromPath[int]) -> Response[str]:
    await actions.start_again(view.scope, job_id)
    return view.go(f"/jobs/{job_id}", _("Started again."))


async def _page(view: PageView, job_id: int) -> Response[str]:
    job = await queries.get_job(view.scope, job_id)
    return view.page(
        "jobs/job.html",
        job=running_job(job),
        row=job,
        may_change=view.scope.may("jobs.edit"),
        may_cancel=job.may_be_cancelled,
        may_repeat=job.may_be_repeated,
    )


@get("/jobs/{job_id:int}/events", permission="jobs.view")
async def stream_job(view: View, job_id: FromPath[int]) -> ServerSentEvent:
    """Live progress: unnamed messages with the card's inside, then the event `done`."""
    await queries.get_job(view.scope, job_id)
    return feed(_progress(view, job_id))


async def _progress(view: PageView, job_id: int) -> AsyncIterator[ServerSentEventMessage]:
    database, last = current(), ""
    while True:
        with bind(database):
            job = running_job(await queries.get_job(view.scope, job_id))
        html = view.part("_partials/job.html", job=job)
        if html != last:
            last = html
            yield ServerSentEventMessage(data=html)
        if job.state not in ("waiting", "running"):
            yield ServerSentEventMessage(event="done", data="")
            return
        await asyncio.sleep(LOOK_EVERY)


HANDLERS = (show_job, cancel, repeat, stream_job)
