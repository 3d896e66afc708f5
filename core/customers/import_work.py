"""What pages and JSON do alike with an import: take a file in, and let the worker read it, take it over or back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from core.activity.unit import unit_of_work
from core.customers.importing import actions, steps
from core.customers.importing.files import forget_named, keep_file
from core.customers.importing.profiles import Mapping, known_columns, lay_out, may_be_matched
from core.customers.importing.queries import ImportBatchRow, get_batch, remembered_matching
from core.customers.importing.status import BatchState
from core.customers.jobs import CHECK_IMPORT, TAKE_IMPORT, TAKE_STEP, UNDO_IMPORT, OfBatch, OfStep
from core.database import execute
from core.errors import Conflict, Invalid
from core.jobs.actions import enqueue
from core.jobs.queries import get_job
from core.jobs.status import JobState
from core.lists.reading import open_table
from core.texts import _, locale_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from litestar.datastructures import UploadFile

    from core.customers.importing.actions import Mode
    from core.jobs.queries import JobRow
    from core.scope import Scope

AT_WORK = frozenset({JobState.WAITING, JobState.RUNNING})
BEFORE = frozenset({BatchState.NEW, BatchState.CHECKED})


async def take_in(scope: Scope, file: UploadFile, mapping: Mapping | None = None) -> ImportBatchRow:
    """Keep a file and let its records be checked. The file that is here already is not read again. Without a mapping,
    columns that were matched by hand in a file with the same ones are matched so again.

    Raises Invalid where it is no table, or where what is said about its columns cannot be.
    """
    path = await keep_file(scope, _pieces(file))
    stays = False
    try:
        decided = mapping or Mapping()
        # whether it is a table at all is told at once; the rest is the job's
        table = await asyncio.to_thread(
            open_table,
            path,
            header_score=known_columns,
            encoding=decided.encoding,
            delimiter=decided.delimiter,
            sheet=decided.sheet,
            header_line=decided.header_line,
        )
        if mapping is None:
            mapping = await matched_before(scope, table.headers)
        else:
            lay_out(table.headers, mapping)
        async with unit_of_work(scope):
            batch = await actions.open_batch(scope, path, decided, name=file.filename[:200], file_path=path.name)
            if batch.state in BEFORE:
                if mapping is not None:
                    await actions.save_mapping(scope, batch.id, mapping)
                await start_work(scope, batch.id, CHECK_IMPORT, OfBatch(batch.id))
        stays = batch.file_path == path.name
    finally:
        if not stays:
            await forget_named(scope, path.name)
    return await get_batch(scope, batch.id)


async def matched_before(scope: Scope, headers: Sequence[str]) -> Mapping | None:
    """What a person decided about a file with just these columns, as far as it still holds."""
    found = await remembered_matching(scope, [name for name in headers if may_be_matched(name)])
    if found is None:
        return None
    try:
        lay_out(headers, found.matched())
    except Invalid:  # a field of a plugin that is off by now
        return None
    return found.matched()


async def _pieces(file: UploadFile) -> AsyncIterator[bytes]:
    while piece := await file.read(1 << 20):
        yield piece


async def match_columns(scope: Scope, batch_id: int, mapping: Mapping) -> None:
    """Save what somebody decided about the columns, and let the file be checked anew."""
    async with unit_of_work(scope):
        await actions.save_mapping(scope, batch_id, mapping)
        await start_work(scope, batch_id, CHECK_IMPORT, OfBatch(batch_id))


async def start_import(scope: Scope, batch_id: int, mode: Mode) -> None:
    """Let a file that was checked be taken over. Conflict where there is nothing to take, or errors and `all`."""
    batch = await get_batch(scope, batch_id)
    report = batch.told()
    if report is None or batch.state not in {BatchState.CHECKED, BatchState.TAKING}:
        raise Conflict(_("There is nothing to import: the file was not checked, or it has been imported."))
    if mode == "all" and report.errors_total and batch.state == BatchState.CHECKED:
        raise Conflict(
            _("There are errors, so all or nothing means nothing. Correct the file, or skip the bad records.")
        )
    await start_work(scope, batch_id, TAKE_IMPORT, OfBatch(batch_id, mode))


async def start_undo(scope: Scope, batch_id: int) -> None:
    """Let an import be taken back."""
    batch = await get_batch(scope, batch_id)
    if batch.state not in {BatchState.DONE, BatchState.UNDOING}:
        raise Conflict(_("Only an import that is done can be undone."))
    if batch.state == BatchState.DONE:
        await steps.check_undo(scope, batch)
    await start_work(scope, batch_id, UNDO_IMPORT, OfBatch(batch_id))


async def start_step(scope: Scope, batch_id: int, key: str, choices: dict[str, str] | None = None) -> None:
    """Let something be made of an import's records, or go on where it was broken off."""
    if await working(scope, await get_batch(scope, batch_id)) is not None:
        raise Conflict(_("Work on this file is going on. Wait until it is done."))
    await steps.begin_step(scope, batch_id, key, choices)
    await start_work(scope, batch_id, TAKE_STEP, OfStep(batch_id, key))


async def start_work(scope: Scope, batch_id: int, kind: Any, payload: OfBatch | OfStep) -> None:
    """One work at a time on one file."""
    async with unit_of_work(scope):
        batch = await get_batch(scope, batch_id)
        if await working(scope, batch) is not None:
            raise Conflict(_("Work on this file is going on. Wait until it is done."))
        job_id = await enqueue(scope, kind, replace(payload, language=locale_now()))
        await execute("UPDATE import_batch SET job_id = :job WHERE id = :id", job=job_id, id=batch_id)


async def job_of(scope: Scope, batch: ImportBatchRow) -> JobRow | None:
    """The last work on a file."""
    return await get_job(scope, batch.job_id) if batch.job_id is not None else None


async def working(scope: Scope, batch: ImportBatchRow) -> JobRow | None:
    """The job that is at it."""
    job = await job_of(scope, batch)
    return job if job is not None and job.state in AT_WORK else None
