"""Reads of imports. Staff who see all customers see them, nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core.customers.importing.profiles import Mapping
from core.customers.importing.records import Finding, ImportedService
from core.customers.importing.report import Report
from core.customers.importing.status import BatchState
from core.customers.tables import ImportBatch
from core.database import Everything, row, rows, stream, within
from core.errors import Forbidden, NotFound
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope


class ImportRow(Struct, frozen=True, kw_only=True):
    """A file of customers, and how far it has come."""

    id: int
    state: BatchState
    file_name: str
    mode: str
    made: int
    """Customers that it has made."""
    kept: int
    """Customers that could not be taken away again."""
    made_by: str
    created_at: datetime
    finished_at: datetime | None = None


IMPORTS: Final = f"SELECT {', '.join(f'import_batch.{name}' for name in ImportRow.__struct_fields__)} FROM import_batch"
"""What a list shows of imports."""


class ImportBatchRow(Struct, frozen=True):
    """The same with what was found in it, and what is known of its columns."""

    id: int
    state: BatchState
    file_name: str
    file_path: str
    file_sha256: str
    mapping: str
    report: str
    mode: str
    taken_to: int
    made: int
    kept: int
    made_by: str
    created_at: datetime
    job_id: int | None = None
    finished_at: datetime | None = None

    def told(self) -> Report | None:
        """The report, once the file has been checked."""
        if not self.report:
            return None
        report = msgspec.json.decode(self.report, type=Report)
        report.imported, report.batch, report.dry_run = self.made, self.id, False
        report.mode = self.mode
        return report

    def matched(self) -> Mapping:
        """What a person decided about its columns."""
        return msgspec.json.decode(self.mapping, type=Mapping)


REMEMBERED = 100
"""Files back that the matching of columns is looked for in."""
_COLUMNS = ", ".join(ImportBatchRow.__struct_fields__)


async def get_batch(scope: Scope, batch_id: int) -> ImportBatchRow:
    found = await row(
        ImportBatchRow,
        f"SELECT {_COLUMNS} FROM import_batch WHERE id = :id AND :within",
        id=batch_id,
        within=within(ImportBatch, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"import {batch_id}")
    return found


async def find_batch_of(scope: Scope, file_sha256: str) -> ImportBatchRow | None:
    """The import of a file of just this content, unless it was undone."""
    return await row(
        ImportBatchRow,
        f"SELECT {_COLUMNS} FROM import_batch WHERE file_sha256 = :hash AND state <> 'undone' AND :within",
        hash=file_sha256,
        within=within(ImportBatch, scope.actor.reach),
    )


async def remembered_matching(scope: Scope, columns: Sequence[str], *, apart_from: int = 0) -> ImportBatchRow | None:
    """The latest of the last hundred files with just these columns whose matching was decided by a person."""
    wanted = frozenset(columns)
    latest = await rows(
        ImportBatchRow,
        f"SELECT {_COLUMNS} FROM import_batch WHERE :within ORDER BY id DESC LIMIT :limit",
        within=within(ImportBatch, scope.actor.reach),
        limit=REMEMBERED,
    )
    for batch in latest:
        if batch.id != apart_from and frozenset(batch.matched().columns) == wanted:
            return batch
    return None


class RefusedRecord(Struct, frozen=True):
    """A record that was not imported, as it stood in the file, and why."""

    record: int
    line: int
    cells: str
    errors: str

    def texts(self) -> list[str]:
        return msgspec.json.decode(self.cells, type=list[str]) if self.cells else []

    def findings(self) -> list[Finding]:
        return msgspec.json.decode(self.errors, type=list[Finding])


async def refused_records(scope: Scope, batch_id: int) -> AsyncIterator[RefusedRecord]:
    """All of them, in the order of the file."""
    await get_batch(scope, batch_id)
    sql = "SELECT record, line, cells, errors FROM import_row WHERE batch_id = :batch AND errors <> ''"
    async for refused in stream(RefusedRecord, sql, key="record", batch=batch_id):
        yield refused


def customer_of_record(row: str) -> str:
    """The customer that a record is about, as SQL: its own; that of the record above that it continues, refused or not;
    or, for a service that names its customer, the one with this login. Null where that one is not here.
    """
    return f"""coalesce(
    (SELECT m.customer_id FROM import_customer m WHERE m.row_id = {row}.id),
    CASE WHEN {row}.continues THEN (SELECT m.customer_id FROM import_customer m WHERE m.row_id = (
        SELECT n.id FROM import_row n WHERE n.batch_id = {row}.batch_id AND n.record < {row}.record AND NOT n.continues
        ORDER BY n.record DESC LIMIT 1)) END,
    CASE WHEN NOT {row}.is_customer AND NOT {row}.continues AND {row}.login_key <> '' THEN (
        SELECT c.id FROM customer c WHERE c.login_key = {row}.login_key AND c.login_key <> '') END)"""


def check_reach(scope: Scope) -> None:
    """Staff who see all customers import, and nobody else."""
    if not isinstance(scope.actor.reach, Everything):
        raise Forbidden(_("Customers are imported by staff who see all of them."))


class WaitingService(Struct, frozen=True):
    """A service of an import that nobody has booked yet, with the customer it belongs to where that one is here."""

    record: int
    name: str
    services: str
    customer_id: int | None = None

    def each(self) -> list[ImportedService]:
        return msgspec.json.decode(self.services, type=list[ImportedService])


async def imported_services(scope: Scope, batch_id: int) -> AsyncIterator[WaitingService]:
    """The services of an import, each with the customer that it belongs to, where that one is here."""
    await get_batch(scope, batch_id)
    sql = (
        f"SELECT r.record, r.name, r.services, {customer_of_record('r')} AS customer_id"
        " FROM import_row r WHERE r.batch_id = :batch AND r.services <> ''"
    )
    async for service in stream(WaitingService, sql, key="record", batch=batch_id):
        yield service
