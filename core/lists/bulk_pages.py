"""Pages of what is done to many rows of a list: the plan, the work, the report. One set of handlers for any list.

HANDLERS = (list_things, *bulk_handlers(THINGS))
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import ServerSentEvent, Stream
from litestar.response.sse import ServerSentEventMessage
from msgspec import Struct
from msgspec.structs import replace

from core.database import bind, current
from core.errors import Conflict, Invalid
from core.hooks import BulkAction, BulkField
from core.ids import Id
from core.jobs.queries import JobRow
from core.jobs.status import JobState
from core.lists import bulk
from core.lists.bulk_queries import (
    AT_WORK,
    PlanSum,
    RunRow,
    counts_of,
    get_run,
    job_of,
    list_rows,
    reasons_of,
    stream_rows,
)
from core.lists.bulk_status import ROW_LOOKS, ROW_WORDS, RowState, RunState
from core.lists.exporting import bound
from core.lists.taking import file_answer
from core.lists.writing import ExportColumn, csv_stream
from core.money import format_money
from core.texts import N_, _, number
from core.web.feeds import feed
from core.web.jobs_pages import LOOK_EVERY, running_job
from core.web.links import address as query_address
from core.web.parts import Choice, Field, Figure, RunningJob
from core.web.proof import ask_for_proof
from core.web.routing import get, post
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.lists.listing import Listing
    from core.scope import Scope
    from core.web.view import PageView

PARTS: Final = (
    ("when", N_("When")),
    ("change", N_("What changes")),
    ("document", N_("Documents")),
    ("service", N_("Service")),
    ("money", N_("Money")),
    ("message", N_("Messages")),
    ("data", N_("Data")),
)
"""Kinds of lines in the order in which a plan tells them."""
SHOWN: Final = 50
"""Rows of a page of the report."""


class Chosen(Struct, frozen=True, forbid_unknown_fields=True):
    """What the bar over a list sends: the deed, the rows that are ticked, or that all of an address are meant."""

    action: str = ""
    id: list[Id] = []
    all: str = ""
    address: str = ""


class Execution(Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent to do it: the fingerprint of what was shown, and the number of rows where that is asked for."""

    seen: str = ""
    count: str = ""
    anyway: str = ""


class Repetition(Struct, frozen=True, forbid_unknown_fields=True):
    """Which rows of the run are looked at again."""

    which: str


class PlanLines(Struct, frozen=True, kw_only=True):
    """A part of the plan: lines with how many rows they stand for and the sums of their amounts."""

    title: str
    lines: Sequence[tuple[str, str, str]]


class ReportRow(Struct, frozen=True, kw_only=True):
    """A row in the report."""

    id: int
    name: str
    href: str
    word: str
    look: str
    told: str


def bulk_handlers(listing: Listing[Any]) -> tuple[HTTPRouteHandler, ...]:
    """What a list whose rows can be ticked needs beside its page; none for another."""
    if listing.counted is None:
        return ()
    base, permission = f"{listing.href}/bulk", listing.permission

    @post(base, permission=permission)
    async def start_bulk(view: View) -> Response[str]:
        """Rows were ticked and a deed was pressed."""
        chosen = await view.form(Chosen)
        if chosen.action == "view":
            return view.go(_only_one(listing, chosen))
        action = await bulk.get_action(view.scope, listing.key, chosen.action)
        address = dict(parse_qsl(chosen.address)) if chosen.all else None
        if address is None and not chosen.id:
            raise Conflict(_("Nothing is selected. Go back and tick what you mean."))
        run_id = await bulk.choose_rows(view.scope, listing, action, ids=chosen.id, address=address)
        if action.fields is None or action.optional:
            await bulk.start_plan(view.scope, listing, run_id, {})
        return view.go(f"{base}/{run_id}")

    @get(f"{base}/{{bulk_id:int}}", permission=permission)
    async def show_bulk(view: View, bulk_id: FromPath[int]) -> Response[str]:
        return await _page(view, listing, bulk_id)

    @post(f"{base}/{{bulk_id:int}}/plan", permission=permission)
    async def plan_bulk(view: View, bulk_id: FromPath[int]) -> Response[str]:
        """What it takes was typed: work out what it would do."""
        await get_run(view.scope, listing.key, bulk_id)
        await view.read()
        try:
            await bulk.start_plan(view.scope, listing, bulk_id, view.typed)
        except Invalid as error:
            return await _page(view, listing, bulk_id, errors=errors_by_field(error), status=422)
        return view.go(f"{base}/{bulk_id}")

    @post(f"{base}/{{bulk_id:int}}/execution", permission=permission)
    async def execute_bulk(view: View, bulk_id: FromPath[int]) -> Response[str]:
        """Do what was shown, or say what has changed since."""
        scope = view.scope
        run = await get_run(scope, listing.key, bulk_id)
        sent = await view.form(Execution)
        action = await bulk.get_action(scope, listing.key, run.action)
        if action.confirmed:
            await ask_for_proof(view.request)
        ready = (await counts_of(run.id))[RowState.READY]
        if action.confirmed and "".join(one for one in sent.count if one.isdigit()) != str(ready):
            told = {"count": _("Type the number as it stands above: %(count)s.", count=number(ready))}
            return await _page(view, listing, bulk_id, errors=told, status=422)
        drift = await bulk.drift_of(scope, listing, run)
        if not sent.anyway and (drift.come or drift.gone):
            return await _page(view, listing, bulk_id, drift=drift, status=409)
        try:
            await bulk.start_doing(scope, listing, bulk_id, seen=sent.seen)
        except Conflict as error:
            return await _page(view, listing, bulk_id, errors={"": error.message}, status=409)
        return view.go(f"{base}/{bulk_id}")

    @post(f"{base}/{{bulk_id:int}}/cancellation", permission=permission)
    async def stop_bulk(view: View, bulk_id: FromPath[int]) -> Response[str]:
        await bulk.stop(view.scope, listing, bulk_id)
        return view.go(f"{base}/{bulk_id}", _("It stops after the rows that it is at."))

    @post(f"{base}/{{bulk_id:int}}/continuation", permission=permission)
    async def continue_bulk(view: View, bulk_id: FromPath[int]) -> Response[str]:
        await bulk.go_on(view.scope, listing, bulk_id)
        return view.go(f"{base}/{bulk_id}")

    @post(f"{base}/{{bulk_id:int}}/repetition", permission=permission)
    async def repeat_bulk(view: View, bulk_id: FromPath[int]) -> Response[str]:
        """The same deed once more: for rows of this run, or for all that its filter finds now."""
        scope = view.scope
        run = await get_run(scope, listing.key, bulk_id)
        which = (await view.form(Repetition)).which
        again_id = await bulk.choose_for_repetition(scope, listing, run, which)
        await bulk.start_plan(scope, listing, again_id, run.typed())
        return view.go(f"{base}/{again_id}")

    @get(f"{base}/{{bulk_id:int}}/state", permission=permission)
    async def bulk_state(view: View, bulk_id: FromPath[int]) -> Response[str]:
        """Asked every second while work goes on: answers with the page itself once it is over."""
        job = await job_of(await get_run(view.scope, listing.key, bulk_id))
        if job is None or job.state not in AT_WORK:
            return view.go(f"{base}/{bulk_id}")
        return Response("", status_code=200, media_type="text/html")

    @get(f"{base}/{{bulk_id:int}}/events", permission=permission)
    async def stream_bulk(view: View, bulk_id: FromPath[int]) -> ServerSentEvent:
        """Live progress, as that of a job."""
        await get_run(view.scope, listing.key, bulk_id)
        return feed(_progress(view, listing, bulk_id))

    @get(f"{base}/{{bulk_id:int}}/report.csv", permission=permission)
    async def report_bulk(view: View, bulk_id: FromPath[int]) -> Stream:
        """What became of each row."""
        run = await get_run(view.scope, listing.key, bulk_id)
        columns = [
            ExportColumn("id", _("Id"), "integer"),
            ExportColumn("name", _("Name")),
            ExportColumn("state", _("What became of it")),
            ExportColumn("why", _("Why")),
        ]
        name = f"{listing.key.replace('.', '-')}-{run.action.rpartition('.')[2].replace('_', '-')}-{run.id}.csv"
        return Stream(
            bound(csv_stream(columns, _report_rows(view.scope, listing, run.id))),
            media_type="text/csv",
            headers={"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"},
        )

    @get(f"{base}/{{bulk_id:int}}/file", permission=permission)
    async def take_bulk(view: View, bulk_id: FromPath[int]) -> Stream:
        """The file of the rows that it was done to."""
        return await file_answer(view.scope, listing, bulk_id)

    return (
        start_bulk,
        show_bulk,
        plan_bulk,
        execute_bulk,
        stop_bulk,
        continue_bulk,
        repeat_bulk,
        bulk_state,
        stream_bulk,
        report_bulk,
        take_bulk,
    )


def _only_one(listing: Listing[Any], chosen: Chosen) -> str:
    """The page of the one row that is ticked."""
    if len(chosen.id) != 1:
        raise Conflict(_("Tick one row to view it."))
    return f"{listing.href}/{chosen.id[0]}"


# -- the page ---------------------------------------------------------------------------------------------------------


async def _page(
    view: PageView,
    listing: Listing[Any],
    run_id: int,
    *,
    errors: Mapping[str, str] | None = None,
    drift: bulk.Drift | None = None,
    status: int = 200,
) -> Response[str]:
    scope = view.scope
    run = await get_run(scope, listing.key, run_id)
    action = await bulk.get_action(scope, listing.key, run.action)
    job, counts = await job_of(run), await counts_of(run.id)
    at_work = job is not None and job.state in AT_WORK
    fields = await action.fields(scope) if action.fields is not None and not at_work else ()
    ready = counts[RowState.READY]
    assert listing.counted is not None
    return view.page(
        "lists/bulk.html",
        status=status,
        base=f"{listing.href}/bulk/{run.id}",
        listing=listing,
        back=query_address(listing.href, run.filters),
        run=run,
        action=action,
        file=f"{listing.href}/bulk/{run.id}/file" if action.file is not None and counts[RowState.DONE] else "",
        title=_(action.title or action.verb),
        chosen=_chosen_words(listing, run),
        counts={state.value: many for state, many in counts.items()},
        figures=_figures(run, counts),
        job=_running(listing, run, job, action) if at_work and job is not None else None,
        may_stop=at_work and job is not None and not job.cancel_asked,
        broken=_broken(run, job),
        fields=[_field(one) for one in fields],
        typed={name: texts[-1] for name, texts in (view.typed or run.typed()).items() if texts},
        errors=errors or {},
        parts=_parts(scope, run) if run.state is not RunState.PLANNING else [],
        warnings=_warnings(run, action),
        refusal=await bulk.refusal_of(scope, run) if run.state is RunState.PLANNED else "",
        button=f"{_(action.verb)}: {listing.counted(ready)}",
        ready=number(ready),
        drift=drift,
        reasons=await reasons_of(run.id),
        **await _report(view, listing, run, counts),
    )


def _chosen_words(listing: Listing[Any], run: RunRow) -> str:
    assert listing.counted is not None
    counted = listing.counted(run.total)
    if run.address is not None and run.filters:
        return _("%(rows)s, all that matched the filter", rows=counted)
    return _("%(rows)s, the whole list", rows=counted) if run.address is not None else counted


def _figures(run: RunRow, counts: Mapping[RowState, int]) -> list[Figure]:
    figures = [Figure(label=_("Selected"), value=number(run.total))]
    if run.state is RunState.DONE or counts[RowState.DONE]:
        figures.append(Figure(label=_("Done"), value=number(counts[RowState.DONE])))
        if left := counts[RowState.READY]:
            figures.append(Figure(label=_("Not done"), value=number(left)))
    else:
        figures.append(Figure(label=_("Will be done"), value=number(counts[RowState.READY])))
    figures.append(Figure(label=_("Nothing to do"), value=number(counts[RowState.NOTHING])))
    refused = counts[RowState.REFUSED]
    figures.append(Figure(label=_("Refused"), value=number(refused), tone="owes" if refused else ""))
    if changed := counts[RowState.CHANGED]:
        figures.append(Figure(label=_("Left alone, changed"), value=number(changed), tone="owes"))
    return figures


def _running(listing: Listing[Any], run: RunRow, job: JobRow, action: BulkAction[Any]) -> RunningJob:
    label = _(action.title or action.verb)
    if job.kind == bulk.WORK_OUT:
        label = _("What it would do: %(deed)s", deed=label)
    return replace(running_job(job), label=label, events=f"{listing.href}/bulk/{run.id}/events")


def _broken(run: RunRow, job: JobRow | None) -> str:
    """Why it came to no end; empty where it did, or is still at work."""
    if run.state not in (RunState.PLANNING, RunState.DOING) or (job is not None and job.state in AT_WORK):
        return ""
    if job is not None and job.state is JobState.FAILED and job.error:
        return job.error
    return _("This was broken off. What is done stays done; it can go on where it was.")


def _field(one: BulkField) -> Field:
    return Field(
        name=one.name,
        label=one.label,
        kind=one.kind,
        value=one.value,
        help=one.help,
        choices=tuple(Choice(value, label) for value, label in one.choices),
        required=one.required,
        max_length=one.max_length,
        wide=one.kind == "textarea",
    )


def _parts(scope: Scope, run: RunRow) -> list[PlanLines]:
    lines = run.sums.lines
    parts = []
    for kind, title in PARTS:
        own = sorted((one for one in lines if one.kind == kind), key=lambda one: (not one.text, -one.rows))
        if own:
            parts.append(PlanLines(title=_(title), lines=[_line(scope, one) for one in own]))
    return parts


def _line(scope: Scope, one: PlanSum) -> tuple[str, str, str]:
    sums = ", ".join(format_money(minor, currency, scope.locale) for currency, minor in sorted(one.amounts.items()))
    return one.text or _("others, each in its own words"), number(one.rows), sums


def _warnings(run: RunRow, action: BulkAction[Any]) -> list[str]:
    told = [one for one in run.sums.lines if one.kind == "warning"]
    found = [
        _("%(text)s (%(rows)s)", text=one.text or _("Further warnings"), rows=number(one.rows))
        if one.rows > 1
        else one.text
        for one in told
    ]
    return [_(action.warning), *found] if action.warning and run.state is not RunState.DONE else found


async def _report(view: PageView, listing: Listing[Any], run: RunRow, counts: Mapping[RowState, int]) -> dict[str, Any]:
    """The rows, those that were left out first: a page of one state, from an id on."""
    shown = [state for state in (RowState.REFUSED, RowState.CHANGED, RowState.READY, RowState.DONE) if counts[state]]
    shown += [state for state in (RowState.NOTHING, RowState.CHOSEN) if counts[state]]
    asked = view.query.get("state", "")
    state = next((one for one in shown if one.value == asked), shown[0] if shown else RowState.READY)
    text = view.query.get("after", "")
    after = int(text) if text.isdecimal() and len(text) < 19 else 0
    found = await list_rows(run.id, states=(state,), after=after, limit=SHOWN + 1)
    names = await _names(view.scope, listing, [one.row_id for one in found[:SHOWN]])
    base = f"{listing.href}/bulk/{run.id}"
    return {
        "states": [
            {
                "label": _(ROW_WORDS[one]),
                "count": number(counts[one]),
                "href": f"{base}?state={one.value}",
                "current": one is state,
            }
            for one in shown
        ],
        "rows": [
            ReportRow(
                id=one.row_id,
                name=names.get(one.row_id, _("No longer there")),
                href=f"{listing.href}/{one.row_id}" if one.row_id in names else "",
                word=_(ROW_WORDS[one.state]),
                look=ROW_LOOKS[one.state],
                told=one.told,
            )
            for one in found[:SHOWN]
        ],
        "first_rows": f"{base}?state={state.value}" if after else "",
        "more_rows": f"{base}?state={state.value}&after={found[SHOWN - 1].row_id}" if len(found) > SHOWN else "",
    }


async def _names(scope: Scope, listing: Listing[Any], ids: Sequence[int]) -> dict[int, str]:
    if not ids:
        return {}
    name_of = listing.name_of or (lambda row: str(row.id))
    return {one.id: name_of(one) for one in await listing.rows_of(scope, ids)}


async def _report_rows(scope: Scope, listing: Listing[Any], run_id: int) -> AsyncIterator[Sequence[str | int]]:
    piece = []
    async for one in stream_rows(run_id):
        piece.append(one)
        if len(piece) == 500:
            for line in await _report_lines(scope, listing, piece):
                yield line
            piece = []
    for line in await _report_lines(scope, listing, piece):
        yield line


async def _report_lines(scope: Scope, listing: Listing[Any], piece: Sequence[Any]) -> list[Sequence[str | int]]:
    names = await _names(scope, listing, [one.row_id for one in piece])
    return [(one.row_id, names.get(one.row_id, ""), _(ROW_WORDS[one.state]), one.told) for one in piece]


async def _progress(view: PageView, listing: Listing[Any], run_id: int) -> AsyncIterator[ServerSentEventMessage]:
    database, last = current(), ""
    with bind(database):
        run = await get_run(view.scope, listing.key, run_id)
        action = await bulk.get_action(view.scope, listing.key, run.action)
    while True:
        with bind(database):
            job = await job_of(await get_run(view.scope, listing.key, run_id))
        if job is None:
            break
        html = view.part("_partials/job.html", job=_running(listing, run, job, action))
        if html != last:
            last = html
            yield ServerSentEventMessage(data=html)
        if job.state not in AT_WORK:
            break
        await asyncio.sleep(LOOK_EVERY)
    yield ServerSentEventMessage(event="done", data="")
