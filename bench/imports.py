"""A file of customers: validated in processes, staged, taken over, with somebody writing beside it; and an export."""

from __future__ import annotations

import asyncio
import csv
import os
import random
import resource
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from bench.harness import Options, Row, at_least, at_most, memory_mib, percentile, timed
from core.activity.unit import unit_of_work
from core.clock import FixedClock
from core.customers.importing.actions import dry_run, stage_import, take_over
from core.database import PostgresDatabase, bind, claim, execute, spawn, value
from core.ids import new_uuid
from core.lists.writing import ExportColumn, csv_pieces
from tests import books
from tests.databases import fresh
from tests.postgres import start_cluster

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from core.scope import Scope

RECORDS: Final = 100_000
RATES: Final = {"sqlite": 5_000, "postgresql": 3_500}
CITIES: Final = ("Dresden", "Köln", "Győr", "Łódź", "Wien", "Graz", "Zürich", "Bonn", "Ulm", "Kiel")


async def run(options: Options) -> list[Row]:
    found: list[Row] = []
    size = options.sizes[0] if options.sizes else RECORDS
    for kind in options.databases:
        options.say(f"{kind}: {size:,} records")
        found += await _import(options, kind, size)
    options.say("export")
    return [*found, *_export(size * 10)]


async def _import(options: Options, kind: str, size: int) -> list[Row]:
    if kind == "postgresql":
        start_cluster("bench", durable=True)
    async with fresh(kind, options.folder, books.APPS) as database:
        with bind(database):
            database.owner = new_uuid()
            await claim(database.owner)
            scope = books.scope_of(database, FixedClock(books.START))
            small, large = options.folder / "small.csv", options.folder / "large.csv"
            _write(small, size // 10, "s")
            _write(large, size, "l")
            with timed() as dry:
                report = await dry_run(scope, small)
            assert report.ok == size // 10
            before = await _peak(_bring(options, scope, small))
            waits: list[float] = []
            beside = spawn(_write_beside(scope, waits))
            own, server = _processor_time(), await _server_time(kind)
            with timed() as whole:
                after = await _peak(_bring(options, scope, large))
            own, server = _processor_time() - own, await _server_time(kind) - server
            beside.cancel()
            assert await value("SELECT count(*) FROM customer") == size + size // 10 + 1
        if isinstance(database, PostgresDatabase):
            await database.close()
    return [
        Row("dry run of a tenth", kind, size / 10 / dry.seconds, "records/s"),
        at_least("import, checked and taken over", kind, size / whole.seconds, "records/s", RATES[kind]),
        Row("processor time of it, validation too", kind, own * 1000 / size, "ms/record"),
        Row("processor time of the database server for it", kind, server * 1000 / size, "ms/record"),
        Row("records for each second of processor time", kind, size / (own + server), "records/s"),
        Row("others' load of the machine meanwhile", kind, os.getloadavg()[0], "tasks"),
        at_most("memory of ten times the records, above that of one", kind, max(0.0, after - before), "MiB", 64),
        at_most("a write beside it waits, 99 of 100", kind, percentile(waits, 99) * 1000, "ms", 100),
        Row("a write beside it waits, half of them", kind, percentile(waits, 50) * 1000, "ms"),
    ]


def _processor_time() -> float:
    """Of this process and of those that validated for it."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


async def _server_time(kind: str) -> float:
    """Seconds of processor time of the PostgreSQL server's processes; SQLite works in this one."""
    if kind == "sqlite":
        return 0.0
    parent = _stat(await value("SELECT pg_backend_pid()"))[1]
    found = 0.0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                stat = _stat(folder.name)
                found += (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK") if stat[1] == parent else 0.0
    return found


def _stat(pid: int | str) -> list[str]:
    """What the kernel says of a process, from its state on: after the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


async def _bring(options: Options, scope: Scope, path: Path) -> None:
    with timed() as staging:
        report = await stage_import(scope, path)
    assert report.batch is not None
    assert not report.errors_total
    with timed() as taking:
        await take_over(scope, report.batch)
    options.say(f"{path.name}: staged in {staging.seconds:.1f} s, taken over in {taking.seconds:.1f} s")


async def _peak(work: Coroutine[Any, Any, object]) -> float:
    """The most memory that this process held while it did it, in MiB."""
    task = spawn(work)
    most = 0.0
    while not task.done():
        most = max(most, memory_mib())
        await asyncio.sleep(0.05)
    await task
    return most


async def _write_beside(scope: Scope, waits: list[float]) -> None:
    async with unit_of_work(scope):
        beside = await value(
            "INSERT INTO customer (full_name, name_key, status_id, currency, joined_on, created_at)"
            " VALUES ('Beside', 'beside', 1, 'EUR', :day, :now) RETURNING id",
            day=scope.today(),
            now=scope.now(),
        )
    while True:
        begun = perf_counter()
        async with unit_of_work(scope):
            await execute("UPDATE customer SET company = :text WHERE id = :id", text=str(begun), id=beside)
        waits.append(perf_counter() - begun)
        await asyncio.sleep(0.05)


def _write(path: Path, size: int, prefix: str) -> None:
    chance = random.Random(size)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "Customer no",
                "Login",
                "Full name",
                "Company",
                "E-mail",
                "Phone",
                "Street",
                "ZIP",
                "City",
                "Joined",
                "Notes",
            ]
        )
        for number in range(size):
            writer.writerow(
                [
                    f"{prefix}{number:07}",
                    f"{prefix}user{number}",
                    f"Jörg Müller-{number}",
                    f"Firma {number} GmbH" if number % 3 == 0 else "",
                    f"{prefix}{number}@mail{number % 50}.example",
                    f"0664 {5_550_000 + number % 9_999}",
                    f"Hauptstraße {number % 200}",
                    f"{number % 9_999:04}",
                    chance.choice(CITIES),
                    f"{2010 + number % 15}-{number % 12 + 1:02}-{number % 28 + 1:02}",
                    "asks for an invoice on paper" if number % 10 == 0 else "",
                ]
            )


def _export(size: int) -> list[Row]:
    columns = [ExportColumn("id", "Id", "integer"), ExportColumn("name", "Name"), ExportColumn("city", "City")]

    def rows() -> Iterator[tuple[int, str, str]]:
        for number in range(size):
            yield number, f"Jörg Müller-{number}", "Dresden"

    before = memory_mib()
    most = before
    with timed() as took:
        for _ in csv_pieces(columns, rows()):
            most = max(most, memory_mib())
    return [
        Row(f"CSV of {size:,} rows, the writer alone", "none", size / took.seconds, "rows/s"),
        at_most("memory of that export", "none", most - before, "MiB", 16),
    ]
