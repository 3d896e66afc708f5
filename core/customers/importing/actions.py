"""An import: checked without a trace, or staged and taken over.

Taking over goes record by record in chunks that hold the database for about 40 ms, so that nobody else waits. All or nothing is
decided before the first customer is made: one record with an error, and nothing is. Should a customer with the same login turn
up while it runs, what was made by then is taken away again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from core.activity.unit import record, record_set, savepoint, unit_of_work
from core.customers.events import CustomerCreated
from core.customers.importing.events import CustomersImported, CustomersImportUndone
from core.customers.importing.profiles import Layout
from core.customers.importing.profiles import Mapping as ColumnMapping
from core.customers.importing.queries import BatchState, ImportBatchRow, find_batch_of, get_batch
from core.customers.importing.report import Report
from core.customers.importing.staging import Told, judge_file, write_rows
from core.customers.importing.validating import Finding, Row
from core.database import BrokenReference, Everything, dialect, execute, execute_many, row, rows, value, values
from core.errors import Conflict, Forbidden
from core.lists.reading import Record

if TYPE_CHECKING:
    from core.scope import Scope

Mode = Literal["all", "skip-bad"]
Progress = Callable[[int, int, str], Awaitable[None]]

CHUNK_SECONDS: Final = 0.04
PAUSE: Final = 0.02
"""Between two chunks: without it the others' writes hardly ever get their turn."""
FIRST_CHUNK, LARGEST_CHUNK = 100, 2_000


async def dry_run(
    scope: Scope,
    path: Path,
    mapping: ColumnMapping | None = None,
    *,
    name: str | None = None,
    plans: Mapping[str, str] | None = None,
    told: Told | None = None,
) -> Report:
    """What an import would do. Writes nothing at all."""
    _check_reach(scope)
    return await judge_file(
        scope, path, mapping or ColumnMapping(), name=name or path.name, plans=plans or {}, told=told
    )


async def stage_import(
    scope: Scope,
    path: Path,
    mapping: ColumnMapping | None = None,
    *,
    name: str | None = None,
    plans: Mapping[str, str] | None = None,
    told: Told | None = None,
    keep_path: str = "",
) -> Report:
    """Read a file into the staging tables and judge it; gives the report, which names the batch.

    A file is known by its content: one that is being taken over or has been gives what it came to, and is not read again. One that was
    only checked is checked anew, since the mapping or the tenant's customers may have changed.
    """
    _check_reach(scope)
    mapping = mapping or ColumnMapping()
    batch_id, report = await _batch_for(scope, path, mapping, name or path.name, keep_path)
    if report is not None:
        return report
    await _forget_rows(scope, batch_id)
    clock = _Pace()

    async def keep(records: Sequence[Record], judged: Sequence[Row], layout: Layout) -> None:
        async with unit_of_work(scope):
            await write_rows(batch_id, layout, records, judged)
        await asyncio.sleep(PAUSE / 4)

    report = await judge_file(
        scope, path, mapping, name=name or path.name, plans=plans or {}, keep=keep, told=told
    )
    report.dry_run, report.batch = False, batch_id
    async with unit_of_work(scope):
        await execute(
            "UPDATE import_batch SET state = 'checked', report = :report, checked_as = mapping WHERE id = :id",
            id=batch_id,
            report=msgspec.json.encode(report).decode(),
        )
    return report


def _check_reach(scope: Scope) -> None:
    if not isinstance(scope.actor.reach, Everything):
        raise Forbidden("Customers are imported by staff who see all of them.")
