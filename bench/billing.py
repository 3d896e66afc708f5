"""A whole billing run, beside the bare inserts of exactly its rows, with the same keys, triggers and commits."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg
from msgspec import Struct

from bench.harness import Options, Row, at_least, at_most, at_most_share, peak_memory_mib, percentile
from core.billing.actions.setup import default_seller
from core.billing.run import run_billing
from core.billing.staging import BY_INDEX
from core.billing.verify import verify
from core.billing.writing import queue_documents
from core.clock import FixedClock
from core.customers.actions import add_tag
from core.database import (
    Database,
    PostgresDatabase,
    PostgresServer,
    SqliteDatabase,
    bind,
    claim,
    migrate,
    provision_schema,
)
from core.database.sqlite import SELDOM
from core.jobs.actions import enqueue_set
from core.jobs.kinds import JobKind
from core.periods import Cycle, anchor_for, cycle_index, nth
from tests import databases
from tests.books import APPS, scope_of
from tests.postgres import start_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from core.scope import Scope

SIZES: Final = (10_000, 100_000, 1_000_000)
CYCLES: Final = (Cycle("month", 1), Cycle("month", 3), Cycle("year", 1), Cycle("day", 30))
DAY: Final = date(2027, 2, 28)
NOW: Final = datetime(2027, 2, 28, 3, tzinfo=UTC)
OWNER: Final = UUID("6f1f0f0e-0000-4000-8000-000000000001")
SCHEMA: Final = "tenant"
GOALS: Final = {"sqlite": 0.4, "postgresql": 0.6}

# What a run writes, in the order in which it does; how its rows are found for a range of documents.
WRITTEN: Final = (
    (
        "charge",
        "id BETWEEN (SELECT min(charge_id) FROM {saved}document_line WHERE document_id BETWEEN :first AND :last)"
        " AND (SELECT max(charge_id) FROM {saved}document_line WHERE document_id BETWEEN :first AND :last)",
    ),
    ("document_line", "document_id BETWEEN :first AND :last"),
    ("document_tax", "document_id BETWEEN :first AND :last"),
    ("document_party", "document_id BETWEEN :first AND :last"),
    ("document_state", "document_id BETWEEN :first AND :last"),
    (
        "posting",
        "transaction_id BETWEEN (SELECT min(id) FROM {saved}ledger_transaction WHERE source_kind = 'document'"
        " AND source_id BETWEEN :first AND :last) AND (SELECT max(id) FROM {saved}ledger_transaction"
        " WHERE source_kind = 'document' AND source_id BETWEEN :first AND :last)",
    ),
    ("ledger_transaction", "source_kind = 'document' AND source_id BETWEEN :first AND :last"),
    ("job", "dedupe_key >= '' AND id BETWEEN :first + :job_offset AND :last + :job_offset"),
    ("document", "id BETWEEN :first AND :last"),
    ("activity", "subject_kind = 'invoice' AND subject_id BETWEEN :first AND :last"),
)


REFERRED: Final = ("seller_snapshot", "billing_run")
"""What the rows refer to: one row each, there before anything is measured."""


# By which document a row of each table was written: on PostgreSQL ids come from sequences, in any order.
OF_DOCUMENT: Final = {
    "charge": "SELECT document_id FROM saved.document_line WHERE charge_id = t.id",
    "document_line": "t.document_id",
    "document_tax": "t.document_id",
    "document_party": "t.document_id",
    "document_state": "t.document_id",
    "posting": "SELECT source_id FROM saved.ledger_transaction WHERE id = t.transaction_id",
    "ledger_transaction": "t.source_id",
    "job": "CAST(substr(t.dedupe_key, 10) AS bigint)",
    "document": "t.id",
    "activity": "t.subject_id",
}


# On PostgreSQL ids come from sequences, in any order.
LOOSE: Final = {
    "charge": "id IN (SELECT charge_id FROM {saved}document_line WHERE document_id BETWEEN :first AND :last)",
    "posting": "transaction_id IN (SELECT id FROM {saved}ledger_transaction WHERE source_kind = 'document'"
    " AND source_id BETWEEN :first AND :last)",
    "job": "dedupe_key IN (SELECT 'document:' || id FROM {saved}document WHERE id BETWEEN :first AND :last)",
}


class About(Struct, frozen=True):
    """The payload of the job that renders and sends a document."""

    document_id: int


async def _render(scope: Scope, job: Any) -> None:
    """Never run: the measurement is of queueing it."""


RENDER: Final = JobKind("bench_document", About, _render)


async def _queue(scope: Scope, select: str, values: Mapping[str, Any]) -> None:
    await enqueue_set(
        scope,
        RENDER,
        "SELECT '{\"document_id\":' || CAST(document_id AS text) || '}' AS payload,"
        f" 'document:' || CAST(document_id AS text) AS dedupe_key, payer_id AS customer_id FROM ({select}) q",
        **values,
    )


# -- the world --------------------------------------------------------------------------------------------------------


def world(subscriptions: int) -> Iterator[tuple[str, tuple[str, ...], Iterable[tuple[Any, ...]]]]:
    """(table, columns, rows) of a tenant with so many subscriptions, all due once on the day, some more often."""
    rng = random.Random(subscriptions)
    payers = round(subscriptions / 1.5)
    children = payers // 20
    at = "2027-01-01 00:00:00.000000+00:00"
    currencies: dict[int, str] = {}
    days: dict[int, int | None] = {}
    payer_of: dict[int, int] = {}

    def customers() -> Iterator[tuple[Any, ...]]:
        for i in range(1, payers + children + 1):
            payer = i if i <= payers else rng.randint(1, payers)
            payer_of[i] = payer
            currencies[i] = currencies[payer] if payer != i else rng.choices(("EUR", "USD", "SEK"), (950, 48, 2))[0]
            days[i] = None if rng.random() < 0.4 else rng.randint(1, 31)
            country = rng.choices(("AT", "DE", "FR", "HU", "US"), (700, 150, 50, 50, 50))[0]
            profile = "exempt" if rng.random() < 0.01 else "standard"
            name = f"Customer {i}"
            yield (
                i,
                "company" if i % 5 == 0 else "person",
                name,
                name.lower(),
                f"c{i}@example.com",
                f"{i % 900} Long Street",
                str(1000 + i % 8000),
                "Vienna",
                "vienna",
                country,
                None if payer == i else payer,
                days[i],
                currencies[i],
                profile,
                rng.choice((None, None, 7, 30)),
                date(2024, 1, 1),
                at,
                2 if rng.random() < 0.998 else 4,
            )

    columns = _names(
        "id kind full_name name_key email_key street zip city city_key country payer_id billing_day currency"
        " tax_profile terms_days joined_on created_at status_id"
    )
    yield "customer", columns, customers()
    products = [
        (
            i,
            f"p{i:02d}",
            f"Product {i}",
            f"product {i}",
            3,
            "service",
            rng.choices(("standard", "reduced", "zero"), (75, 20, 5))[0],
        )
        for i in range(1, 41)
    ]
    yield "product", ("id", "code", "name", "name_key", "group_id", "kind", "tax_category"), products
    amounts = {(p[0], c): rng.randint(199, 19_999) for p in products for c in ("EUR", "USD", "SEK")}
    yield (
        "price",
        _names("product_id price_list_id currency cycle_unit cycle_count amount_minor valid_from"),
        [(p, 1, c, "month", 1, x, date(2020, 1, 1)) for (p, c), x in amounts.items()],
    )
    yield (
        "fx_rate",
        ("from_currency", "to_currency", "valid_on", "rate_e10"),
        [("USD", "EUR", date(2027, 1, 1), 9_213_000_000)],
    )
    terms: list[tuple[Any, ...]] = []
    schedules: list[tuple[Any, ...]] = []

    def subscription_rows() -> Iterator[tuple[Any, ...]]:
        for i in range(1, subscriptions + 1):
            customer = i if i <= payers else rng.randint(1, payers + children)
            product = products[rng.randrange(40)]
            cycle = rng.choices(CYCLES, (880, 60, 45, 15))[0]
            started = DAY - timedelta(days=rng.randint(400, 1500))
            anchor = anchor_for(started, cycle, days[customer])
            # The period that is due on the day: billing days lie all over the month, so for some it began a while ago.
            n = cycle_index(anchor, cycle, DAY)
            start = nth(anchor, cycle, n)
            if cycle == CYCLES[0] and rng.random() < 0.02:
                start = nth(anchor, cycle, n - 1)
            n = cycle_index(anchor, cycle, start)
            currency = currencies[customer]
            quantity = rng.choices((1, 2, 5), (85, 10, 5))[0]
            gross = amounts[product[0], currency] * quantity
            off = rng.choices((0, 10, 25, 100), (80, 12, 7, 1))[0]
            terms.append(
                (
                    i,
                    i,
                    started,
                    product[0],
                    amounts[product[0], currency],
                    currency,
                    quantity * 10**6,
                    cycle.unit,
                    cycle.count,
                    product[6],
                    rng.random() < 0.1,
                    gross,
                    gross - gross * off // 100,
                )
            )
            schedules.append((i, payer_of[customer], n, start, nth(anchor, cycle, n + 1), DAY))
            ends = DAY + timedelta(days=rng.randint(1, 20)) if rng.random() < 0.005 else None
            yield (i, customer, product[0], "active", "advance", anchor, started, ends, at)

    yield (
        "subscription",
        _names("id customer_id product_id state timing anchor_on started_on ends_on created_at"),
        subscription_rows(),
    )
    yield (
        "subscription_term",
        _names(
            "id subscription_id valid_from product_id amount_minor currency quantity_e6 cycle_unit cycle_count"
            " tax_category tax_inclusive gross_minor cycle_minor"
        ),
        terms,
    )
    yield (
        "subscription_schedule",
        _names("subscription_id payer_id cycle_no period_start period_end due_on"),
        schedules,
    )


def _names(columns: str) -> tuple[str, ...]:
    return tuple(columns.split())


@dataclass(slots=True)
class Bed:
    """Where a size is measured: a base that is never changed, and copies of it."""

    kind: str
    folder: Path
    cluster: str = ""

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.db"


async def make_base(bed: Bed, subscriptions: int) -> None:
    async with opened(bed, "base", create=True) as database:
        with bind(database):
            if bed.kind == "sqlite":
                await migrate(list(APPS))
            await claim(OWNER)
            database.owner = OWNER
            await default_seller(scope_of(database, FixedClock(NOW)))
    if bed.kind == "sqlite":
        raw = sqlite3.connect(bed.path("base"), isolation_level=None)
        raw.execute("PRAGMA synchronous = OFF")
        raw.execute("PRAGMA recursive_triggers = ON")
        raw.execute("BEGIN")
        for table, columns, found in world(subscriptions):
            marks = ", ".join("?" for _ in columns)
            raw.executemany(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",
                ([each.isoformat() if isinstance(each, date) else each for each in one] for one in found),
            )
        raw.execute("COMMIT")
        raw.execute("ANALYZE")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raw.close()
        return
    connection = await asyncpg.connect(_dsn(bed, "base"))
    await connection.execute(f"SET search_path = {SCHEMA}")
    filled = []
    for table, columns, found in world(subscriptions):
        filled.append(table)
        given = (
            tuple(
                datetime.fromisoformat(each) if name.endswith("_at") and isinstance(each, str) else each
                for name, each in zip(columns, one, strict=True)
            )
            for one in found
        )
        await connection.copy_records_to_table(table, columns=list(columns), records=given, schema_name=SCHEMA)
        if "id" in columns:
            await connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
            )
    # Not the empty ones: told that a table has no pages, the planner reads it whole for each reference to it.
    await connection.execute(f"VACUUM (ANALYZE) {', '.join(filled)}, customer_balance")
    await connection.execute("CHECKPOINT")
    await connection.close()


def _dsn(bed: Bed, name: str, role: str | None = None) -> str:
    return databases.dsn(f"bench_billing_{name}", role, cluster=bed.cluster)


@asynccontextmanager
async def opened(bed: Bed, name: str, *, create: bool = False) -> AsyncIterator[Database]:
    if bed.kind == "sqlite":
        database = SqliteDatabase(bed.path(name), create=create)
        if not create:
            database.owner = OWNER
        yield database
        await database.close()
        return
    if create:
        await _drop(bed, name)
        await databases.postgres_database(f"bench_billing_{name}", cluster=bed.cluster)
        await provision_schema(_dsn(bed, name, databases.OWNER), SCHEMA, databases.APP)
    server = PostgresServer("bench", _dsn(bed, name, databases.APP), _dsn(bed, name, databases.OWNER))
    try:
        if create:
            with bind(PostgresDatabase(server, SCHEMA, as_owner=True)):
                await migrate(list(APPS))
        found = PostgresDatabase(server, SCHEMA)
        if not create:
            found.owner = OWNER
        yield found
    finally:
        await server.close()


async def _drop(bed: Bed, name: str) -> None:
    connection = await asyncpg.connect(bed.cluster)
    await connection.execute(f'DROP DATABASE IF EXISTS "bench_billing_{name}" WITH (FORCE)')
    await connection.close()


async def copy(bed: Bed, source: str, target: str) -> None:
    """A fresh copy, on the disk before anything is measured."""
    if bed.kind == "sqlite":
        for suffix in ("", "-wal", "-shm"):
            Path(f"{bed.path(target)}{suffix}").unlink(missing_ok=True)
        await asyncio.to_thread(shutil.copyfile, bed.path(source), bed.path(target))
    else:
        await _drop(bed, target)
        connection = await asyncpg.connect(bed.cluster)
        await connection.execute(
            f'CREATE DATABASE "bench_billing_{target}" OWNER {databases.OWNER}'
            f' TEMPLATE "bench_billing_{source}" STRATEGY file_copy'
        )
        await connection.execute("CHECKPOINT")
        await connection.close()
    await asyncio.to_thread(os.sync)


# -- the run, in a process of its own ---------------------------------------------------------------------------------


class Ran(Struct, frozen=True):
    seconds: float
    invoices: int
    charges: int
    parked: int
    chunks: int
    longest: float
    peak_mib: float
    cpu: float
    """Seconds of processor, of the process and of its connections to PostgreSQL: others on the machine add nothing."""


async def _worker(kind: str, target: str, pause: float | None, preview: bool) -> None:
    """One run; prints what it was as JSON."""
    if kind == "sqlite":
        database: Database = SqliteDatabase(target)
        server = None
    else:
        server = PostgresServer("bench", target)
        database = PostgresDatabase(server, SCHEMA)
    database.owner = OWNER
    with bind(database):
        queue_documents(_queue)
        scope = scope_of(database, FixedClock(NOW))
        started, cpu = perf_counter(), process_time()
        report = await run_billing(scope, DAY, preview=preview, confirmed=True, pause=pause)
        seconds = perf_counter() - started
    cpu = process_time() - cpu + (await _backends_cpu(target) if server is not None else 0.0)
    await database.close()
    if server is not None:
        await server.close()
    print(
        json.dumps(
            {
                "seconds": seconds,
                "invoices": report.invoices,
                "charges": report.charges,
                "parked": len(report.parked),
                "chunks": report.chunks,
                "longest": report.longest_chunk,
                "peak_mib": peak_memory_mib(),
                "cpu": cpu,
            }
        )
    )


async def _backends_cpu(address: str) -> float:
    """Processor seconds of the server's processes for this database; 0 where they run elsewhere."""
    connection = await asyncpg.connect(address)
    pids = await connection.fetch(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    await connection.close()
    return sum(_cpu_of(each["pid"]) for each in pids)


def _cpu_of(pid: int) -> float:
    try:
        parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def _target(bed: Bed, name: str) -> str:
    return str(bed.path(name)) if bed.kind == "sqlite" else _dsn(bed, name, databases.APP)


def start_run(bed: Bed, name: str, *, pause: float | None, preview: bool = False) -> subprocess.Popen[bytes]:
    asked = [bed.kind, _target(bed, name), "default" if pause is None else str(pause), str(int(preview))]
    return subprocess.Popen(
        [sys.executable, "-m", "bench.billing", *asked], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


async def measured_run(bed: Bed, name: str, *, pause: float | None = 0.0, preview: bool = False) -> Ran:
    process = start_run(bed, name, pause=pause, preview=preview)
    out, err = await asyncio.to_thread(process.communicate)
    if process.returncode:
        raise RuntimeError(err.decode()[-3000:])
    return Ran(**json.loads(out))


# -- the anchor -------------------------------------------------------------------------------------------------------


async def bare(bed: Bed, chunks: int) -> tuple[float, float]:
    """Seconds that the bare inserts of the rows of `run` take in a fresh copy, in so many commits; and those of CPU."""
    return await (_bare_sqlite(bed, chunks) if bed.kind == "sqlite" else _bare_postgresql(bed, chunks))


def _ranges(ids: list[int], chunks: int) -> list[tuple[int, int]]:
    size = max(1, -(-len(ids) // chunks))
    return [(ids[at], ids[min(at + size, len(ids)) - 1]) for at in range(0, len(ids), size)]


_SCHEDULES: Final = (
    "UPDATE subscription_schedule SET cycle_no = n.cycle_no, period_start = n.period_start, period_end = n.period_end,"
    " due_on = n.due_on FROM {saved}subscription_schedule n"
    " WHERE n.subscription_id = subscription_schedule.subscription_id"
    " AND subscription_schedule.subscription_id IN"
    " (SELECT k.subscription_id FROM {saved}charge k JOIN {saved}document_line l"
    " ON l.charge_id = k.id WHERE l.document_id BETWEEN :first AND :last)"
)


async def _bare_sqlite(bed: Bed, chunks: int) -> tuple[float, float]:
    await copy(bed, "base", "bare")
    raw = sqlite3.connect(bed.path("bare"), isolation_level=None, cached_statements=256, check_same_thread=False)
    for pragma in (
        "synchronous = FULL",
        "foreign_keys = ON",
        "recursive_triggers = ON",
        "secure_delete = ON",
        "temp_store = MEMORY",
        "cache_size = -8192",
        "journal_size_limit = 67108864",
        f"wal_autocheckpoint = {SELDOM}",  # as a run's own
    ):
        raw.execute(f"PRAGMA {pragma}")
    raw.execute("ATTACH ? AS saved", (str(bed.path("run")),))
    columns = {table: _stored(raw, table) for table, _ in WRITTEN}
    for table in REFERRED:
        names = _stored(raw, table)
        raw.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM saved.{table}")
    ids = [each for (each,) in raw.execute("SELECT id FROM saved.document ORDER BY id")]
    offset = raw.execute("SELECT min(id) FROM saved.job").fetchone()[0] - ids[0]

    def everything() -> float:
        started = perf_counter()
        for first, last in _ranges(ids, chunks):
            values = {"first": first, "last": last, "job_offset": offset}
            raw.execute("BEGIN IMMEDIATE")
            for table, where in WRITTEN:
                names = columns[table]
                raw.execute(
                    f"INSERT INTO {table} ({names}) SELECT {names} FROM saved.{table}"
                    f" WHERE {where.format(saved='saved.')}",
                    values,
                )
            raw.execute(_SCHEDULES.format(saved="saved."), values)
            raw.execute("UPDATE activity_head SET last = last + ?", (last - first + 1,))
            raw.execute("COMMIT")
        return perf_counter() - started

    cpu = process_time()
    seconds = await asyncio.to_thread(everything)
    cpu = process_time() - cpu
    raw.close()
    return seconds, cpu


def _stored(raw: sqlite3.Connection, table: str) -> str:
    return ", ".join(each[1] for each in raw.execute(f"PRAGMA table_xinfo({table})") if not each[6])


async def _bare_postgresql(bed: Bed, chunks: int) -> tuple[float, float]:
    await copy(bed, "base", "bare")
    saved = await asyncpg.connect(_dsn(bed, "run"))
    target = await asyncpg.connect(_dsn(bed, "bare"))
    await target.execute("CREATE SCHEMA saved")
    tables = [*REFERRED, *(table for table, _ in WRITTEN), "subscription_schedule"]
    columns: dict[str, str] = {}
    for table in tables:
        names = [
            each["column_name"]
            for each in await saved.fetch(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2"
                " AND is_generated = 'NEVER' ORDER BY ordinal_position",
                SCHEMA,
                table,
            )
        ]
        columns[table] = ", ".join(names)
        file = bed.folder / f"{table}.copy"
        await saved.copy_from_table(table, schema_name=SCHEMA, columns=names, output=file, format="binary")
        await target.execute(f"CREATE TABLE saved.{table} (LIKE {SCHEMA}.{table})")
        await target.copy_to_table(table, schema_name="saved", columns=names, source=file, format="binary")
        file.unlink()
    ids = [each["id"] for each in await target.fetch("SELECT id FROM saved.document ORDER BY id")]
    ranges = _ranges(ids, chunks)
    await target.execute("CREATE INDEX ON saved.document_line (charge_id)")
    await target.execute("CREATE INDEX ON saved.ledger_transaction (id)")
    await target.execute("CREATE TABLE saved.chunk (no integer, first bigint, last bigint)")
    await target.executemany(
        "INSERT INTO saved.chunk VALUES ($1, $2, $3)", [(no, first, last) for no, (first, last) in enumerate(ranges)]
    )
    await target.execute("CREATE INDEX ON saved.chunk (first)")
    await target.execute("ANALYZE")
    for table, of_document in OF_DOCUMENT.items():
        kind = {"ledger_transaction": "t.source_kind = 'document'", "activity": "t.subject_kind = 'invoice'"}
        await target.execute(
            f"CREATE TABLE saved.{table}_by_chunk AS SELECT c.no, t.* FROM"
            f" (SELECT t.*, ({of_document}) AS of_document FROM saved.{table} t WHERE {kind.get(table, 'TRUE')}) t"
            " CROSS JOIN LATERAL (SELECT no, last FROM saved.chunk WHERE first <= t.of_document"
            " ORDER BY first DESC LIMIT 1) c WHERE t.of_document <= c.last ORDER BY c.no"
        )
        await target.execute(f"CREATE INDEX ON saved.{table}_by_chunk (no)")
    await target.execute(
        "CREATE TABLE saved.schedule_by_chunk AS SELECT DISTINCT ON (s.subscription_id) k.no, s.*"
        " FROM saved.charge_by_chunk k JOIN saved.subscription_schedule s ON s.subscription_id = k.subscription_id"
    )
    await target.execute("CREATE INDEX ON saved.schedule_by_chunk (no)")
    await target.execute("VACUUM (ANALYZE) saved.schedule_by_chunk")
    for table in OF_DOCUMENT:
        await target.execute(f"VACUUM (ANALYZE) saved.{table}_by_chunk")
    for table in REFERRED:
        await target.execute(
            f"INSERT INTO {SCHEMA}.{table} ({columns[table]}) SELECT {columns[table]} FROM saved.{table}"
        )
    await target.execute("CHECKPOINT")
    await target.close()
    await saved.close()
    target = await asyncpg.connect(_dsn(bed, "bare"), server_settings={"search_path": SCHEMA, "jit": "off"})
    await target.execute(BY_INDEX.replace("LOCAL", ""))  # what references are checked by, as in the run
    pid = await target.fetchval("SELECT pg_backend_pid()")
    statements = [
        await target.prepare(f"INSERT INTO {table} ({names}) SELECT {names} FROM saved.{table}_by_chunk WHERE no = $1")
        for table, names in ((table, columns[table]) for table, _ in WRITTEN)
    ]
    schedules = await target.prepare(
        "UPDATE subscription_schedule SET cycle_no = n.cycle_no, period_start = n.period_start,"
        " period_end = n.period_end, due_on = n.due_on FROM saved.schedule_by_chunk n"
        " WHERE n.no = $1 AND n.subscription_id = subscription_schedule.subscription_id"
    )
    started, cpu = perf_counter(), process_time() + _cpu_of(pid)
    for no, (first, last) in enumerate(ranges):
        async with target.transaction():
            for statement in statements:
                await statement.fetch(no)
            await schedules.fetch(no)
            await target.execute(f"UPDATE activity_head SET last = last + {last - first + 1}")
    seconds, cpu = perf_counter() - started, process_time() + _cpu_of(pid) - cpu
    await target.close()
    return seconds, cpu


# -- a write beside it ------------------------------------------------------------------------------------------------


async def waits_beside(bed: Bed) -> list[float]:
    """Milliseconds that small writes of another process take while a run goes on as it does in daily life."""
    await copy(bed, "base", "beside")
    process = start_run(bed, "beside", pause=None)
    waits: list[float] = []
    async with opened(bed, "beside") as database:
        with bind(database):
            scope = scope_of(database, FixedClock(NOW))
            number = 0
            while process.poll() is None:
                started = perf_counter()
                await add_tag(scope, 1 + number % 1000, f"tag {number % 7}")
                waits.append((perf_counter() - started) * 1000)
                number += 1
                await asyncio.sleep(0.03)
    out, err = process.communicate()
    if process.returncode:
        raise RuntimeError(err.decode()[-3000:])
    del out
    return waits


# -- figures ----------------------------------------------------------------------------------------------------------


async def run(options: Options) -> list[Row]:
    found: list[Row] = []
    for kind in options.databases:
        rates: dict[int, float] = {}
        for size in options.sizes or SIZES:
            found += await _size(options, kind, size, rates)
    return found


async def _size(options: Options, kind: str, size: int, rates: dict[int, float]) -> list[Row]:
    cluster = start_cluster("bench", durable=True) if kind == "postgresql" else ""
    bed = Bed(kind, options.folder / f"billing-{kind}-{size}", cluster)
    bed.folder.mkdir()
    options.say(f"{kind}: {size:,} subscriptions are made")
    await make_base(bed, size)
    ratios, speeds, ran = [], [], None
    rounds = 3 if size <= 100_000 else 1
    for _ in range(rounds):
        await copy(bed, "base", "run")
        ran = await measured_run(bed, "run")
        seconds, cpu = await bare(bed, ran.chunks)
        ratios.append(seconds / ran.seconds)
        speeds.append(ran.invoices / ran.seconds)
        options.say(
            f"  run {ran.seconds:.2f} s, {ran.invoices:,} invoices, {ran.chunks} chunks,"
            f" longest {ran.longest * 1000:.0f} ms; bare inserts {seconds:.2f} s:"
            f" {seconds / ran.seconds:.2f} (processor {cpu:.2f} of {ran.cpu:.2f} s:"
            f" {cpu / ran.cpu:.2f})"
        )
    assert ran is not None
    async with opened(bed, "run") as database:
        with bind(database):
            violations = await verify(scope_of(database, FixedClock(NOW)))
            if violations:
                raise AssertionError(violations)
    await copy(bed, "base", "run")
    preview = await measured_run(bed, "run", preview=True)
    ratio, speed = percentile(ratios, 50), percentile(speeds, 50)
    rates[size] = speed
    label = f"{size:,} subscriptions"
    rows = [
        at_least(f"bare inserts ÷ run, {label}", kind, ratio, "", GOALS[kind]),
        Row(f"invoices issued, {label}", kind, speed, "a second"),
        at_most(f"memory of the run, {label}", kind, ran.peak_mib, "MiB", 256),
        at_most_share(f"preview, {label}", kind, preview.seconds, "s", ran.seconds, 0.5),
    ]
    if size <= 100_000:
        waits = await waits_beside(bed)
        rows.append(at_most(f"a write beside it waits, p99, {label}", kind, percentile(waits, 99), "ms", 100))
    if size == 1_000_000 and 100_000 in rates:
        rows.append(at_least("rate at 1,000,000 ÷ at 100,000", kind, speed / rates[100_000], "", 0.85))
    for name in ("base", "run", "bare", "beside"):
        if kind == "sqlite":
            for suffix in ("", "-wal", "-shm"):
                Path(f"{bed.path(name)}{suffix}").unlink(missing_ok=True)
        else:
            await _drop(bed, name)
    return rows


if __name__ == "__main__":
    kind_, target_, pause_, preview_ = sys.argv[1:]
    asyncio.run(_worker(kind_, target_, None if pause_ == "default" else float(pause_), preview_ == "1"))
