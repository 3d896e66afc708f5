"""Pages of an import: choose a file, match its columns, look at the dry run, import, undo."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response
from litestar.params import FromPath
from litestar.response import Stream
from msgspec import Struct

from core.customers import import_work
from core.customers.importing import actions, steps
from core.customers.importing.actions import Mode
from core.customers.importing.files import file_of, forget_file
from core.customers.importing.listing import IMPORTS
from core.customers.importing.profiles import FIELDS, SECRET, known_columns, lay_out, may_be_matched
from core.customers.importing.queries import (
    ImportBatchRow,
    get_batch,
    refused_records,
    remembered_matching,
)
from core.customers.importing.records import Finding
from core.customers.importing.report import SAMPLES, ColumnReport, Report
from core.customers.importing.status import BatchState, StepState
from core.database import bind, current
from core.errors import Conflict, Invalid
from core.jobs.status import JobState
from core.lists.reading import Record, open_table
from core.lists.writing import ExportColumn, csv_stream
from core.texts import N_, _, ngettext, number
from core.web.jobs_pages import running_job
from core.web.parts import Choice, Figure, spoken
from core.web.routing import get, post
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.hooks import ImportPreview
    from core.scope import Scope

PERMISSION: Final = "customers.create"
FINDINGS: Final = 50
"""Of a page."""
CHOICES: Final = (Choice("", N_("Do not import")), *(Choice(field, label) for field, label in FIELDS.items()))
STEPS: Final = (N_("Choose file"), N_("Match columns"), N_("Check, dry run"), N_("Import"))


@get("/customers/import", permission=PERMISSION)
async def choose(view: View) -> Response[str]:
    return await _choose_page(view)


@post("/customers/import", permission=PERMISSION)
async def upload(view: View) -> Response[str]:
    await view.read()
    file = view.files.get("file")
    if file is None or not file.filename:
        return await _choose_page(view, {"file": _("Choose a file.")}, status=422)
    try:
        batch = await import_work.take_in(view.scope, file)
    except Invalid as error:
        return await _choose_page(view, errors_by_field(error), status=422)
    return view.go(f"/customers/import/{batch.id}")


async def _choose_page(view: View, errors: dict[str, str] | None = None, *, status: int = 200) -> Response[str]:
    return await IMPORTS.page(view, "customers/import.html", status=status, steps=_steps(0), errors=errors or {})


@get("/customers/import/{batch_id:int}", permission=PERMISSION)
async def show(view: View, batch_id: FromPath[int]) -> Response[str]:
    return await _batch_page(view, await get_batch(view.scope, batch_id))


@get("/customers/import/{batch_id:int}/state", permission=PERMISSION)
async def state(view: View, batch_id: FromPath[int]) -> Response[str]:
    """Asked every two seconds while work goes on: answers with the page itself once it is over."""
    batch = await get_batch(view.scope, batch_id)
    if await import_work.working(view.scope, batch) is None:
        return view.go(f"/customers/import/{batch_id}")
    return Response("", status_code=200, media_type="text/html")


@post("/customers/import/{batch_id:int}/columns", permission=PERMISSION)
async def match(view: View, batch_id: FromPath[int]) -> Response[str]:
    """Save where the columns go, and check anew."""
    batch = await get_batch(view.scope, batch_id)
    if batch.state not in {BatchState.NEW, BatchState.CHECKED}:
        raise Conflict(_("This file has been imported. Choose another one."))
    await view.read()
    headers = await _headers(view.scope, batch)
    chosen = {
        column.column: view.typed[f"c{at}"][-1] or None
        for at, column in enumerate(headers)
        if f"c{at}" in view.typed and may_be_matched(column.column)
    }
    try:
        mapping = msgspec.structs.replace(batch.matched(), columns=chosen)
        lay_out([column.column for column in headers], mapping)
    except Invalid as error:
        return await _batch_page(view, batch, errors_by_field(error), status=422, chosen=chosen)
    await import_work.match_columns(view.scope, batch_id, mapping)
    return view.go(f"/customers/import/{batch_id}")


class Start(Struct, frozen=True, forbid_unknown_fields=True):
    """What to do with errors."""

    mode: Mode = "skip-bad"


@post("/customers/import/{batch_id:int}/start", permission=PERMISSION)
async def start(view: View, batch_id: FromPath[int]) -> Response[str]:
    batch = await get_batch(view.scope, batch_id)
    wanted = await view.form(Start)
    report = batch.told()
    if report is None or batch.state not in {BatchState.CHECKED, BatchState.TAKING}:
        raise Conflict(_("There is nothing to import: the file was not checked, or it has been imported."))
    if wanted.mode == "all" and report.errors_total and batch.state == BatchState.CHECKED:
        told = _("There are errors, so all or nothing means nothing. Correct the file, or skip the bad records.")
        return await _batch_page(view, batch, {"mode": told}, status=422)
    await import_work.start_import(view.scope, batch_id, wanted.mode)
    return view.go(
        f"/customers/import/{batch_id}", _("Import started. %(ok)s customers are being made.", ok=number(report.ok))
    )


@post("/customers/import/{batch_id:int}/undo", permission=PERMISSION)
async def undo(view: View, batch_id: FromPath[int]) -> Response[str]:
    await import_work.start_undo(view.scope, batch_id)
    return view.go(f"/customers/import/{batch_id}")


@post("/customers/import/{batch_id:int}/discard", permission=PERMISSION)
async def discard(view: View, batch_id: FromPath[int]) -> Response[str]:
    batch = await get_batch(view.scope, batch_id)
    await actions.discard_batch(view.scope, batch_id)
    await forget_file(view.scope, batch)
    return view.go("/customers/import", _("Forgotten. Nothing was imported."))


@get("/customers/import/{batch_id:int}/refused.csv", permission=PERMISSION)
async def refused(view: View, batch_id: FromPath[int]) -> Stream:
    """The records with errors as they stood in the file, each with its reasons: to be corrected and brought again."""
    batch = await get_batch(view.scope, batch_id)
    report = batch.told()
    if report is None:
        raise Conflict(_("The file has not been checked yet."))
    columns = [ExportColumn(f"c{at}", column.column) for at, column in enumerate(report.columns)]
    columns += [ExportColumn("record", _("Record"), "integer"), ExportColumn("why", _("What is wrong"))]
    name = "refused-" + "".join(
        c for c in batch.file_name.rsplit(".", 1)[0] if c.isascii() and (c.isalnum() or c in "-_")
    )
    return Stream(
        _within(csv_stream(columns, _refused_rows(view.scope, batch_id, len(report.columns)))),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name[:80]}.csv"', "X-Content-Type-Options": "nosniff"},
    )


@get("/customers/import/{batch_id:int}/steps/{key:str}", permission=PERMISSION)
async def show_step(view: View, batch_id: FromPath[int], key: FromPath[str]) -> Response[str]:
    """What would be made of the records, what there is to choose, and afterwards what was refused."""
    return await _step_page(view, batch_id, key)


@post("/customers/import/{batch_id:int}/steps/{key:str}", permission=PERMISSION)
async def choose_for_step(view: View, batch_id: FromPath[int], key: FromPath[str]) -> Response[str]:
    """Keep what is chosen and show what it would do; with `go`, do just what was shown."""
    await view.read()
    chosen = {name: typed[-1] for name, typed in view.typed.items() if not name.startswith("_")}
    go, seen = chosen.pop("go", ""), chosen.pop("seen", "")
    _batch, step, _state, preview = await steps.preview_step(view.scope, batch_id, key, chosen)
    wrong = {field.name: field.error for field in preview.fields if field.error}
    if not wrong:
        await steps.keep_choices(view.scope, batch_id, key, chosen)
    if not go or wrong:
        return await _step_page(view, batch_id, key, chosen, status=422 if wrong else 200)
    if seen != _digest(preview):
        told = {"": _("With what is chosen now it does something else. Look at it again, then confirm it.")}
        return await _step_page(view, batch_id, key, chosen, told, status=409)
    await import_work.start_step(view.scope, batch_id, key, chosen)
    return view.go(f"/customers/import/{batch_id}/steps/{key}", _("%(step)s: started.", step=step.verb))


@post("/customers/import/{batch_id:int}/steps/{key:str}/resume", permission=PERMISSION)
async def resume_step(view: View, batch_id: FromPath[int], key: FromPath[str]) -> Response[str]:
    """Let a step that was broken off go on where it was."""
    await import_work.start_step(view.scope, batch_id, key)
    return view.go(f"/customers/import/{batch_id}/steps/{key}")


@get("/customers/import/{batch_id:int}/steps/{key:str}/state", permission=PERMISSION)
async def step_state(view: View, batch_id: FromPath[int], key: FromPath[str]) -> Response[str]:
    """Asked every two seconds while work goes on: answers with the page itself once it is over."""
    if await import_work.working(view.scope, await get_batch(view.scope, batch_id)) is None:
        return view.go(f"/customers/import/{batch_id}/steps/{key}")
    return Response("", status_code=200, media_type="text/html")


@get("/customers/import/{batch_id:int}/steps/{key:str}/refused.csv", permission=PERMISSION)
async def refused_by_step(view: View, batch_id: FromPath[int], key: FromPath[str]) -> Stream:
    """What a step refused, by record and column; for the step `undo`, why customers stay."""
    await get_batch(view.scope, batch_id)
    columns = [
        ExportColumn("record", _("Record"), "integer"),
        ExportColumn("line", _("Line"), "integer"),
        ExportColumn("name", _("Customer")),
        ExportColumn("field", _("Column")),
        ExportColumn("value", _("Value")),
        ExportColumn("why", _("What is wrong")),
    ]
    return Stream(
        _within(csv_stream(columns, _refused_by_step(view.scope, batch_id, key))),
        media_type="text/csv",
        headers={
            "Content-Disposition": f'attachment; filename="refused-import-{batch_id}.csv"',
            "X-Content-Type-Options": "nosniff",
        },
    )


async def _refused_by_step(scope: Scope, batch_id: int, key: str) -> AsyncIterator[Sequence[str | int]]:
    async for each in steps.stream_refused(scope, batch_id, key):
        for finding in each.findings():
            yield each.record, each.line, each.name, finding.field, finding.value, finding.message


def _digest(preview: ImportPreview) -> str:
    """The same for two previews exactly when they say the same."""
    return hashlib.sha256(msgspec.json.encode(preview)).hexdigest()


async def _step_page(
    view: View,
    batch_id: int,
    key: str,
    chosen: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    *,
    status: int = 200,
) -> Response[str]:
    batch, step, state, preview = await steps.preview_step(view.scope, batch_id, key, chosen)
    job = await import_work.job_of(view.scope, batch)
    working = job is not None and job.state in {JobState.WAITING, JobState.RUNNING}
    failed = job is not None and job.state not in {JobState.WAITING, JobState.RUNNING, JobState.DONE}
    return view.page(
        "customers/import_step.html",
        status=status,
        batch=batch,
        step=step,
        state=state,
        preview=preview,
        seen=_digest(preview),
        few=[field for field in preview.fields if field.kind != "select"],
        matches=[field for field in preview.fields if field.kind == "select"],
        choices={field.name: [Choice(value, label) for value, label in field.choices] for field in preview.fields},
        job=running_job(job, streams=view.scope.may("jobs.view")) if job is not None and working else None,
        failed=job.error if job is not None and failed and state.state == StepState.TAKING else "",
        refused=await steps.list_refused(view.scope, batch_id, key, limit=FINDINGS),
        may_start=view.scope.may(step.permission) and not working and state.state != StepState.TAKING,
        may_resume=state.state == StepState.TAKING and not working,
        lacks="" if view.scope.may(step.permission) else step.permission,
        errors=errors or {field.name: field.error for field in preview.fields if field.error},
    )


async def _refused_rows(scope: Scope, batch_id: int, width: int) -> AsyncIterator[Sequence[str | int]]:
    async for record in refused_records(scope, batch_id):
        cells = (record.texts() + [""] * width)[:width]
        why = "; ".join(f"{f.field}: {f.message}" if f.field else f.message for f in record.findings())
        yield (*cells, record.record, why)


async def _within(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The answer is sent when the request's own binding has ended."""
    database = current()
    while True:
        with bind(database):
            piece = await anext(pieces, None)
        if piece is None:
            return
        yield piece


async def _batch_page(
    view: View,
    batch: ImportBatchRow,
    errors: dict[str, str] | None = None,
    *,
    status: int = 200,
    chosen: dict[str, str | None] | None = None,
) -> Response[str]:
    job = await import_work.job_of(view.scope, batch)
    working = job is not None and job.state in {JobState.WAITING, JobState.RUNNING}
    failed = job is not None and job.state not in {JobState.WAITING, JobState.RUNNING, JobState.DONE}
    report = batch.told()
    before = batch.state in {BatchState.NEW, BatchState.CHECKED}
    columns: Sequence[ColumnReport] = report.columns if report else ()
    if not report and before and not working:
        columns = await _headers(view.scope, batch)
    page = int(text) if (text := view.query.get("page", "1")).isdecimal() and 0 < int(text) < 10_000 else 1
    return view.page(
        "customers/import_batch.html",
        status=status,
        batch=batch,
        job=running_job(job, streams=view.scope.may("jobs.view")) if job is not None and working else None,
        failed=job.error if job is not None and failed else "",
        report=report,
        steps=_steps(3 if not before else 2 if report else 1),
        figures=_figures(batch, report) if report else (),
        like=await remembered_matching(view.scope, [*batch.matched().columns], apart_from=batch.id)
        if before and batch.matched().columns
        else None,
        columns=[_column(at, column, report, chosen) for at, column in enumerate(columns)],
        choices=spoken(CHOICES),
        findings=_shown(report.errors, page) if report else (),
        warnings=_shown(report.warnings, 1) if report else (),
        pages=_pages(batch.id, page, len(report.errors)) if report else {},
        may_match=before and not working and bool(batch.file_path),
        may_start=batch.state == BatchState.CHECKED and not working and report is not None and report.ok > 0,
        may_resume=batch.state == BatchState.TAKING and not working,
        may_undo=batch.state in {BatchState.DONE, BatchState.UNDOING} and not working,
        modes=_modes(report) if report else (),
        errors=errors or {},
        next_steps=await _next_steps(view.scope, batch) if not working else (),
        staying=await steps.list_refused(view.scope, batch.id, steps.KEPT_STEP, limit=FINDINGS)
        if batch.state == BatchState.UNDONE
        else (),
    )


class NextStep(Struct, frozen=True, kw_only=True):
    """What can be made of an import's records now, as its page offers it."""

    key: str
    label: str
    verb: str
    text: str
    said: str
    left: int
    broken_off: bool


async def _next_steps(scope: Scope, batch: ImportBatchRow) -> list[NextStep]:
    found = []
    for step, state, left in await steps.list_steps(scope, batch):
        said = _("%(count)s records wait.", count=number(left)) if left else ""
        if state.turn:
            done, refused = number(state.taken), number(state.refused)
            said = _("%(done)s records done.", done=done)
            if state.refused:
                said = _("%(done)s records done, %(refused)s refused.", done=done, refused=refused)
        found.append(
            NextStep(
                key=step.key,
                label=step.label,
                verb=step.verb,
                text=step.text,
                said=said,
                left=left,
                broken_off=state.state == StepState.TAKING,
            )
        )
    return found


def _steps(current: int) -> list[dict[str, str]]:
    return [
        {"label": _(label), "state": "done" if at < current else "now" if at == current else ""}
        for at, label in enumerate(STEPS)
    ]


def _figures(batch: ImportBatchRow, report: Report) -> list[Figure]:
    made = batch.state in {BatchState.DONE, BatchState.TAKING, BatchState.UNDOING, BatchState.UNDONE}
    return [
        Figure(
            label=_("Records read"),
            value=number(report.records),
            detail=_("%(count)s blank", count=number(report.ignored_blank)) if report.ignored_blank else "",
        ),
        Figure(label=_("Created") if made else _("Will be created"), value=number(batch.made if made else report.ok)),
        Figure(label=_("Services found"), value=number(report.services)),
        Figure(
            label=_("With errors"),
            value=number(report.refused),
            detail=ngettext(
                "%(count)s error", "%(count)s errors", report.errors_total, count=number(report.errors_total)
            )
            if report.errors_total
            else "",
            tone="owes" if report.refused else "",
        ),
        Figure(
            label=_("Warnings"),
            value=number(report.warnings_total),
            detail=_("imported all the same") if report.warnings_total else "",
        ),
    ]


def _column(
    at: int, column: ColumnReport, report: Report | None, chosen: dict[str, str | None] | None
) -> dict[str, Any]:
    never = not may_be_matched(column.column)
    return {
        "name": f"c{at}",
        "column": column.column,
        "samples": ", ".join(sample for sample in column.samples if sample),
        "field": (chosen or {}).get(column.column, column.field) or "",
        "never": _(column.label) if never else "",
        "errors": sum(1 for found in report.errors if found.field == column.column) if report else 0,
    }


def _modes(report: Report) -> list[Choice]:
    skip = _("Import %(count)s", count=number(report.ok))
    if report.refused:
        count = number(report.ok)
        skip = ngettext(
            "Skip %(num)s record, import %(count)s",
            "Skip %(num)s records, import %(count)s",
            report.refused,
            count=count,
        )
    return [
        Choice("skip-bad", skip, _("The skipped records come back as a file with the reasons.")),
        Choice("all", _("All or nothing"), _("Nothing is imported until every record is right.")),
    ]


def _shown(findings: Sequence[Finding], page: int) -> Sequence[Finding]:
    return findings[(page - 1) * FINDINGS : page * FINDINGS]


def _pages(batch_id: int, page: int, count: int) -> dict[str, str]:
    address = f"/customers/import/{batch_id}?page="
    return {
        "said": _(
            "%(first)s to %(last)s of %(count)s",
            first=number(min(count, (page - 1) * FINDINGS + 1)),
            last=number(min(count, page * FINDINGS)),
            count=number(count),
        ),
        "previous": f"{address}{page - 1}" if page > 1 else "",
        "next": f"{address}{page + 1}" if page * FINDINGS < count else "",
    }


async def _headers(scope: Scope, batch: ImportBatchRow) -> list[ColumnReport]:
    """The columns of the file with their first values, for matching them by hand where they are not known."""
    path = file_of(scope, batch)
    mapping = batch.matched()
    table = await asyncio.to_thread(open_table, path, header_score=known_columns, sheet=mapping.sheet)
    records: list[Record] = await asyncio.to_thread(next, table.slices(SAMPLES), [])
    try:
        found = {column.name: column.field for column in lay_out(table.headers, mapping).columns}
    except Invalid:
        found = {}
    return [
        ColumnReport(
            name,
            found.get(name),
            FIELDS.get(found.get(name) or "", SECRET),
            () if not may_be_matched(name) else tuple(r.cells[at][:60] for r in records if not r.fault),
        )
        for at, name in enumerate(table.headers)
    ]


HANDLERS: Final = (
    choose, upload, show, state, match, start, undo, discard, refused, show_step, choose_for_step, resume_step,
    step_state, refused_by_step,
)  # fmt: skip
