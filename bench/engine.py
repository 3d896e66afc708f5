"""The engine of the bound tenant beside Piccolo's own, rows beside objects, and what a tenant costs to open or make."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec
from piccolo.columns import BigInt, Text
from piccolo.engine.sqlite import SQLiteEngine
from piccolo.table import Table

from bench.harness import Options, Row, at_most, at_most_share, percentile, timed
from core.database import (
    STAFF_ONLY,
    Database,
    OpenFiles,
    PostgresDatabase,
    PostgresServer,
    SqliteDatabase,
    bind,
    copy_template,
    execute,
    execute_many,
    provision_schema,
    row,
    rows,
    run_sql,
    transaction,
    value,
)
from tests import databases
from tests.postgres import start_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

ROWS: Final = 10_000
TIMES: Final = 2_000
TABLE: Final = "CREATE TABLE person (id {id}, name text NOT NULL, city text NOT NULL, balance_minor bigint NOT NULL)"


class Person(Table):
    """Somebody, through the engine of the bound tenant."""

    belongs = STAFF_ONLY
    name = Text()
    city = Text()
    balance_minor = BigInt()


class PersonRow(msgspec.Struct, frozen=True):
    """The same as a struct."""

    id: int
    name: str
    city: str
    balance_minor: int


async def run(options: Options) -> list[Row]:
    found: list[Row] = []
    if "sqlite" in options.databases:
        options.say("SQLite")
        found += await _sqlite(options)
    if "postgresql" in options.databases:
        options.say("PostgreSQL")
        found += await _postgresql()
    return found


async def _sqlite(options: Options) -> list[Row]:
    path = options.folder / "tenant.db"
    database = SqliteDatabase(path, create=True)
    with bind(database):
        await _fill(database)

    stock = await _stock_look_up(path)
    found = await _look_ups(database, stock)
    found += await _writes(database)
    await database.close()

    cold = []
    for _ in range(100):
        with bind(database), timed() as took:
            await value("SELECT name FROM person WHERE id = 1")
        cold.append(took.milliseconds)
        await database.close()
    found.append(at_most("first look-up in a closed file", "sqlite", percentile(cold, 50), "ms", 50))

    copies = []
    for number in range(100):
        with timed() as took:
            copy_template(path, options.folder / f"copy-{number}.db")
        copies.append(took.milliseconds)
    found.append(at_most("tenant's file copied from a template", "sqlite", percentile(copies, 50), "ms", 50))
    return found + await _many_tenants(options, path)


async def _many_tenants(options: Options, template: Path) -> list[Row]:
    """Look-ups that go around among more tenants than may be open."""
    files = OpenFiles(16)
    tenants = [SqliteDatabase(options.folder / f"copy-{number}.db", files=files) for number in range(48)]

    async def visit(number: int) -> None:
        with bind(tenants[number % len(tenants)]):
            await value("SELECT name FROM person WHERE id = 1")

    took = await _each(200, visit)
    for tenant in tenants:
        await tenant.close()
    return [Row("look-up that must close another tenant's file", "sqlite", took, "µs")]


async def _postgresql() -> list[Row]:
    start_cluster("bench", durable=True)
    async with _server() as server:
        schemas = [PostgresDatabase(server, f"tenant_{number}") for number in range(4)]
        for number, database in enumerate(schemas):
            assert server.owner_dsn is not None
            await provision_schema(server.owner_dsn, database.schema, databases.APP)
            with bind(database.owned()):
                await run_sql(TABLE)
            if not number:
                with bind(database):
                    await _fill(database)
            else:
                with bind(database):
                    await execute("INSERT INTO person (name, city, balance_minor) VALUES ('a', 'b', 1)")

        bare = await _bare_look_up(server)
        found = await _look_ups(schemas[0], None)
        look_up = await _each(TIMES, _by_sql(schemas[0]))
        found.append(Row("look-up as SQL into a struct", "postgresql", look_up, "µs", bare))

        async def wander(number: int) -> None:
            with bind(schemas[number % len(schemas)]):
                await row(PersonRow, "SELECT id, name, city, balance_minor FROM person WHERE id = :id", id=1)

        found.append(Row("the same, another tenant each time", "postgresql", await _each(TIMES, wander), "µs", bare))
        return found + await _writes(schemas[0])


async def _look_ups(database: Database, stock: float | None) -> list[Row]:
    async def by_piccolo(number: int) -> None:
        await Person.select().where(Person.id == number % ROWS + 1).first()

    async def fifty_structs(_: int) -> None:
        await rows(PersonRow, "SELECT id, name, city, balance_minor FROM person ORDER BY id LIMIT 50")

    async def fifty_objects(_: int) -> None:
        await Person.objects().order_by(Person.id).limit(50)

    name = database.dialect
    with bind(database):
        ours = await _each(TIMES, by_piccolo)
        by_sql = await _each(TIMES, _by_sql(database))
        structs = await _each(TIMES // 4, fifty_structs)
        objects = await _each(TIMES // 4, fifty_objects)
    found = [at_most_share("50 rows into structs, beside objects", name, structs, "µs", objects, 0.5)]
    if stock is not None:
        found = [
            at_most_share("look-up by Piccolo, beside its own engine", name, ours, "µs", stock, 0.25),
            at_most_share("look-up as SQL into a struct", name, by_sql, "µs", stock, 0.25),
            *found,
        ]
    else:
        found = [Row("look-up by Piccolo", name, ours, "µs"), *found]
    return found


async def _writes(database: Database) -> list[Row]:
    async def insert(number: int) -> None:
        async with transaction():
            await execute("INSERT INTO person (name, city, balance_minor) VALUES ('new', 'x', :n)", n=number)

    with bind(database):
        one = await _each(200, insert)
        with timed() as took:
            await execute_many(
                "INSERT INTO person (name, city, balance_minor) VALUES (:name, :city, :balance)",
                ({"name": f"n{i}", "city": "x", "balance": i} for i in range(20_000)),
            )
    return [
        Row("transaction of one insert, on the disk", database.dialect, one, "µs"),
        Row("rows inserted by execute_many", database.dialect, 20_000 / took.seconds, "rows/s"),
    ]


def _by_sql(database: Database) -> Callable[[int], Awaitable[Any]]:
    async def ask(number: int) -> None:
        with bind(database):
            await row(
                PersonRow, "SELECT id, name, city, balance_minor FROM person WHERE id = :id", id=number % ROWS + 1
            )

    return ask


async def _stock_look_up(path: Path) -> float:
    class Stock(Table, db=SQLiteEngine(str(path)), tablename="person"):
        name = Text()
        city = Text()
        balance_minor = BigInt()

    async def ask(number: int) -> None:
        await Stock.select().where(Stock.id == number % ROWS + 1).first()

    return await _each(TIMES // 4, ask)


async def _bare_look_up(server: PostgresServer) -> float:
    pool = await asyncpg.create_pool(server.app_dsn, min_size=1, max_size=1)

    async def ask(number: int) -> None:
        await pool.fetchrow(
            "SELECT id, name, city, balance_minor FROM tenant_0.person WHERE id = $1", number % ROWS + 1
        )

    found = await _each(TIMES, ask)
    await pool.close()
    return found


async def _fill(database: Database) -> None:
    if isinstance(database, SqliteDatabase):
        await run_sql(TABLE)
    await execute_many(
        "INSERT INTO person (name, city, balance_minor) VALUES (:name, :city, :balance)",
        ({"name": f"Person {i}", "city": f"City {i % 100}", "balance": i} for i in range(ROWS)),
    )


async def _each(times: int, ask: Callable[[int], Awaitable[Any]]) -> float:
    """Microseconds each, the best of three rounds: the others share the machine."""
    best = float("inf")
    for _ in range(3):
        with timed() as took:
            for number in range(times):
                await ask(number)
        best = min(best, took.seconds / times * 1e6)
        await asyncio.sleep(0)
    return best


@asynccontextmanager
async def _server() -> AsyncIterator[PostgresServer]:
    address = start_cluster("bench", durable=True)
    await databases.postgres_database("bench_engine", cluster=address)
    server = PostgresServer(
        "bench",
        databases.dsn("bench_engine", databases.APP, cluster=address),
        databases.dsn("bench_engine", databases.OWNER, cluster=address),
    )
    await server.start()
    try:
        yield server
    finally:
        await server.close()
