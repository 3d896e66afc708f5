"""Pages of billing runs: the list, the preview of a date, a run while it works and what it did; settings of billing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.params import FromPath
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage
from msgspec import Struct

from core.billing import pages, queries, run_pages
from core.billing.due import check_date
from core.billing.previews import compared_run
from core.billing.run import run_billing
from core.billing.run_listings import RUNS
from core.billing.run_reports import RunReport
from core.billing.runs import cancel_run, count_payers
from core.billing.settings import BillingSettings
from core.billing.starting import check_reach, get_billing_job, is_at_work, start_preview, start_run
from core.billing.status import RunState
from core.customers.tables import Customer
from core.database import bind, current, rows, within
from core.errors import Conflict, Invalid
from core.jobs.queries import get_job
from core.jobs.status import JobState
from core.staff.queries import names_of
from core.texts import N_, _
from core.web.feeds import feed
from core.web.forms import from_form
from core.web.jobs_pages import LOOK_EVERY, running_job
from core.web.once import find_done, once
from core.web.parts import MenuEntry
from core.web.routing import get, post
from core.web.settings_pages import settings_form
from core.web.templating import written
from core.web.view import HTML, View, errors_by_field

if TYPE_CHECKING:
    from core.scope import Scope
    from core.web.view import PageView

AT_ONCE: Final = 1000
"""Payers of a preview that a page waits for; of more it becomes a job."""
OF_A_PAGE: Final = 50
OPEN: Final = frozenset({RunState.OPEN, RunState.WAITING})


# -- the list ---------------------------------------------------------------------------------------------------------


@get("/billing/runs", permission="billing.view")
async def list_runs(view: View) -> Response[str]:
    may_run = view.scope.may("billing.run")
    return await RUNS.page(
        view,
        "billing/runs.html",
        buttons=_beginning() if may_run else (),
        parked=0 if view.is_htmx else await queries.count_parked(view.scope),
        may_run=may_run,
    )


def _beginning() -> list[MenuEntry]:
    """What stands where there is no run yet."""
    return [
        MenuEntry(label=_("Billing settings"), icon="settings", href="/settings/billing"),
        MenuEntry(label=_("New run"), icon="plus", href="/billing/runs/new", key="n"),
    ]


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None


# -- a new one --------------------------------------------------------------------------------------------------------


@get("/billing/runs/new", permission="billing.run")
async def show_new(view: View) -> Response[str]:
    """The form for a date; with a date in the address, what a run of it would do."""
    scope = view.scope
    check_reach(scope)
    if (job_id := _number(view.query.get("job", ""))) is not None:
        job = await get_billing_job(scope, job_id)
        if job.is_preview and job.report is not None:
            return await _preview_page(view, job.report)
        return view.go(f"/billing/runs/jobs/{job_id}")
    if "date" not in view.query:
        return _date_page(view, scope.today().isoformat())
    return await _new(view, view.query["date"])


async def _new(view: PageView, text: str) -> Response[str]:
    scope = view.scope
    try:
        as_of = from_form(run_pages.RunDate, {"date": [text]}).date
        check_date(scope, as_of)
    except Invalid as error:
        return _date_page(view, text, errors_by_field(error), status=422)
    payers = await count_payers(as_of, scope.today())
    if not payers:
        return _date_page(view, text, nothing_due=as_of)
    if payers > AT_ONCE:
        return _date_page(view, text, payers=payers)
    return await _preview_page(view, await run_billing(scope, as_of, preview=True))


def _date_page(
    view: PageView,
    text: str,
    errors: dict[str, str] | None = None,
    *,
    payers: int = 0,
    nothing_due: date | None = None,
    status: int = 200,
) -> Response[str]:
    return view.page(
        "billing/run_new.html", status=status, date=text, errors=errors or {}, payers=payers, nothing_due=nothing_due
    )


@post("/billing/runs/preview", permission="billing.run")
async def preview(view: View) -> Response[str]:
    """Leave the preview of many payers for the worker."""
    check_reach(view.scope)
    try:
        form = await view.form(run_pages.RunDate)
        job_id = await start_preview(view.scope, form.date)
    except Invalid as error:
        return _date_page(view, _typed_date(view), errors_by_field(error), status=422)
    return view.go(f"/billing/runs/jobs/{job_id}")


def _typed_date(view: PageView) -> str:
    return view.typed.get("date", [""])[-1]


async def _preview_page(
    view: PageView, report: RunReport, *, errors: dict[str, str] | None = None, status: int = 200, changed: bool = False
) -> Response[str]:
    scope = view.scope
    last = await queries.get_run(scope, report.compared_with) if report.compared_with is not None else None
    sums = await queries.sums_of_run(scope, last.id) if last is not None else []
    return view.page(
        "billing/run_preview.html",
        status=status,
        as_of=report.as_of_on,
        issued_on=report.issued_on,
        invoices=report.invoices,
        figures=run_pages.comparison_of(report, last, sums),
        last=last,
        differing=report.differing,
        differences=[run_pages.difference_of(each) for each in report.differences],
        one_currency=next(iter(report.totals), scope.tenant.currency) if len(report.totals) <= 1 else "",
        products=run_pages.product_items(report.products),
        parked=await _parked_of(scope, report),
        parked_count=len(report.parked),
        reasons=run_pages.parked_reasons([each.reason for each in report.parked]),
        question=report.question if report.invoices else "",
        issue=run_pages.issue_words(report),
        issue_question=run_pages.question_words(report, scope.locale),
        looked=run_pages.looked_words(report),
        seen=run_pages.seen_of(report),
        errors=errors or {},
        changed=changed,
    )


class _Name(Struct, frozen=True):
    id: int
    full_name: str


async def _parked_of(scope: Scope, report: RunReport) -> list[run_pages.ParkedItem]:
    shown = report.parked[: run_pages.SHOWN_PARKED]
    if not shown:
        return []
    names = {
        each.id: each.full_name
        for each in await rows(
            _Name,
            "SELECT id, full_name FROM customer WHERE id IN :ids AND :within",
            ids=[each.payer_id for each in shown],
            within=within(Customer, scope.actor.reach),
        )
    }
    return [run_pages.parked_item(each.payer_id, names[each.payer_id], each.reason) for each in shown]


@post("/billing/runs", permission="billing.run")
async def start(view: View) -> Response[str]:
    """Issue what was previewed. Where something changed meanwhile it is shown first and nothing runs. The same form
    again leads to where it led, also when its run is over and nothing is due any more."""
    scope = view.scope
    check_reach(scope)
    try:
        form = await view.form(run_pages.RunStart)
        check_date(scope, form.date)
    except Invalid as error:
        return _date_page(view, _typed_date(view), errors_by_field(error), status=422)
    if done := await find_done(view):
        return view.go(done)
    if await count_payers(form.date, scope.today()) <= AT_ONCE:
        report = await run_billing(scope, form.date, preview=True)
        if run_pages.seen_of(report) != form.seen or report.question != form.question:
            return await _preview_page(view, report, changed=True, status=409)
        if not form.looked:
            return await _preview_page(
                view, report, errors={"looked": _("Tick that you have looked at the preview.")}, status=422
            )
    elif not form.looked:
        return _date_page(
            view, form.date.isoformat(), {"": _("Look at the preview and tick that you have.")}, status=422
        )

    async def begin() -> str:
        return f"/billing/runs/jobs/{await start_run(scope, form.date, confirmed=bool(form.question))}"

    return view.go(await once(view, begin))


# -- a job of billing, until its run is there -------------------------------------------------------------------------


@get("/billing/runs/jobs/{job_id:int}", permission="billing.view")
async def show_job(view: View, job_id: FromPath[int]) -> Response[str]:
    place = await _place_of(view.scope, job_id)
    if place:
        return view.go(place)
    asked = await get_billing_job(view.scope, job_id)
    job = await get_job(view.scope, job_id)
    over = job.state not in {JobState.WAITING, JobState.RUNNING}
    return view.page(
        "billing/run_job.html",
        as_of=asked.as_of,
        is_preview=asked.is_preview,
        job=running_job(job, streams=view.scope.may("jobs.view")),
        failed=(job.error or _("It was stopped.")) if over and job.state != JobState.DONE else "",
        nothing_due=job.state == JobState.DONE,
        may_run=view.scope.may("billing.run"),
    )


@get("/billing/runs/jobs/{job_id:int}/state", permission="billing.view")
async def job_state(view: View, job_id: FromPath[int]) -> Response[str]:
    """Asked every second while a job waits: answers with the page to go to once there is one."""
    if place := await _place_of(view.scope, job_id):
        return view.go(place)
    job = await get_job(view.scope, job_id)
    if job.state not in {JobState.WAITING, JobState.RUNNING}:
        return view.go(f"/billing/runs/jobs/{job_id}")
    return Response("", status_code=200, media_type=HTML)


async def _place_of(scope: Scope, job_id: int) -> str:
    """The page of what a job made: its preview, or its run; empty while there is none."""
    asked = await get_billing_job(scope, job_id)
    if asked.is_preview:
        return f"/billing/runs/new?job={job_id}" if asked.report is not None else ""
    if asked.report is not None:
        return f"/billing/runs/{asked.report.run_id}" if asked.report.run_id is not None else ""
    job = await get_job(scope, job_id)
    run = await queries.find_run_since(scope, asked.as_of, job.created_at)
    return f"/billing/runs/{run.id}" if run is not None else ""


# -- a run ------------------------------------------------------------------------------------------------------------


@get("/billing/runs/{run_id:int}", permission="billing.view")
async def show_run(view: View, run_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    run = await queries.get_run(scope, run_id)
    before = _number(view.query.get("before", ""))
    documents = await queries.list_documents(scope, run_id=run_id, before=before, limit=OF_A_PAGE + 1)
    parked = await queries.list_parked(scope, run_id)
    names = await names_of({run.actor})
    undelivered = await queries.undelivered_of_run(scope, run_id)
    told = run.invoices or run.renewed or run.not_covered
    last_id = await compared_run(run.as_of_on) if run.state == RunState.DONE and told else None
    last = await queries.get_run(scope, last_id) if last_id is not None else None
    last_sums = await queries.sums_of_run(scope, last.id) if last is not None else []
    at_work = run.state == RunState.OPEN and await is_at_work(run.as_of_on)
    return view.page(
        "billing/run.html",
        run=run,
        pill=run_pages.pill_of(run),
        by=names[run.actor],
        figures=run_pages.figures_of(run, await queries.sums_of_run(scope, run_id), undelivered, last, last_sums),
        last=last,
        step=2 if run.state in OPEN else 3 if undelivered else 4,
        job=run_pages.progress_of(run, at_work=at_work) if run.state == RunState.OPEN else None,
        at_work=at_work,
        documents=[pages.item_of(each, scope.today()) for each in documents[:OF_A_PAGE]],
        older=f"/billing/runs/{run_id}?before={documents[OF_A_PAGE - 1].id}" if len(documents) > OF_A_PAGE else "",
        latest=f"/billing/runs/{run_id}" if before is not None else "",
        parked=run_pages.parked_items(parked[: run_pages.SHOWN_PARKED]),
        reasons=run_pages.parked_reasons([each.reason for each in parked]),
        may_run=scope.may("billing.run"),
        may_see_documents=scope.may("documents.view"),
    )


@get("/billing/runs/{run_id:int}/state", permission="billing.view")
async def run_state(view: View, run_id: FromPath[int]) -> Response[str]:
    """Asked every two seconds while a run works: answers with its page once it is over."""
    run = await queries.get_run(view.scope, run_id)
    if run.state != RunState.OPEN or not await is_at_work(run.as_of_on):
        return view.go(f"/billing/runs/{run_id}")
    return Response("", status_code=200, media_type=HTML)


@get("/billing/runs/{run_id:int}/events", permission="billing.view")
async def stream_run(view: View, run_id: FromPath[int]) -> ServerSentEvent:
    """Live progress: unnamed messages with the card's inside, then the event `done`."""
    await queries.get_run(view.scope, run_id)
    return feed(_progress(view, run_id))


async def _progress(view: PageView, run_id: int) -> AsyncIterator[ServerSentEventMessage]:
    database, last = current(), ""
    while True:
        with bind(database):
            run = await queries.get_run(view.scope, run_id)
        html = view.part("_partials/job.html", job=run_pages.progress_of(run, at_work=True))
        if html != last:
            last = html
            yield ServerSentEventMessage(data=html)
        if run.state != RunState.OPEN:
            yield ServerSentEventMessage(event="done", data="")
            return
        await asyncio.sleep(LOOK_EVERY)


@post("/billing/runs/{run_id:int}/confirmation", permission="billing.run")
async def confirm(view: View, run_id: FromPath[int]) -> Response[str]:
    """Let a run that asks go on, or one that was broken off."""
    run = await queries.get_run(view.scope, run_id)
    if run.state not in OPEN:
        raise Conflict(_("This run is over. Start a new one for what is still due."))
    job_id = await start_run(view.scope, run.as_of_on, confirmed=True)
    return view.go(f"/billing/runs/jobs/{job_id}")


@post("/billing/runs/{run_id:int}/cancellation", permission="billing.run")
async def cancel(view: View, run_id: FromPath[int]) -> Response[str]:
    run = await queries.get_run(view.scope, run_id)
    check_reach(view.scope)
    await cancel_run(view.scope, run_id)
    day = written(run.as_of_on, view.scope.locale)
    return view.go(f"/billing/runs/{run_id}", _("Run for %(day)s cancelled. What it issued stands.", day=day))


show_settings, save_settings = settings_form(
    BillingSettings, "/settings/billing", title=N_("Billing"), noun=N_("billing settings")
)

HANDLERS: Final[tuple[Any, ...]] = (
    list_runs,
    show_new,
    preview,
    start,
    show_job,
    job_state,
    show_run,
    run_state,
    stream_run,
    confirm,
    cancel,
    show_settings,
    save_settings,
)
