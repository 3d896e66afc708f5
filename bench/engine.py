"""The engine of the bound tenant beside Piccolo's own, rows beside objects, and what a tenant costs to open or make."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import msgspec
from piccolo.columns import BigInt, Serial, Text
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

    Ask = Callable[[int], Awaitable[Any]]

ROWS: Final = 10_000
ROUNDS: Final = 15
TIMES: Final = 60
LOOK_UP: Final = "SELECT id, name, city, balance_minor FROM person WHERE id = :id"
TABLE: Final = "CREATE TABLE person (id {id}, name text NOT NULL, city text NOT NULL, balance_minor bigint NOT NULL)"


class Person(Table):
    """Somebody, through the engine of the bound tenant."""

    belongs = STAFF_ONLY
    id: Serial
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
        stock, ours, by_sql = await _side_by_side(_by_stock(path), _by_piccolo, _by_sql)
    what = "look-up by Piccolo, beside its own engine"
    found = [
        at_most_share(what, "sqlite", ours, "µs", stock, 0.25),
        at_most_share("look-up as SQL into a struct", "sqlite", by_sql, "µs", stock, 0.25),
        *await _structs(database),
        *await _writes(database),
    ]
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

    (took,) = await _side_by_side(visit)
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

        async def wander(number: int) -> None:
            with bind(schemas[number % len(schemas)]):
                await row(PersonRow, LOOK_UP, id=1)

        pool = await asyncpg.create_pool(server.app_dsn, min_size=1, max_size=1)

        async def bare(number: int) -> None:
            await pool.fetchrow(LOOK_UP.replace("person", "tenant_0.person").replace(":id", "$1"), number % ROWS + 1)

        with bind(schemas[0]):
            anchor, by_sql, by_piccolo = await _side_by_side(bare, _by_sql, _by_piccolo)
        again, wandering = await _side_by_side(bare, wander)
        await pool.close()
        found = [
            Row("look-up as SQL into a struct, beside asyncpg's pool", "postgresql", by_sql, "µs", anchor),
            Row("look-up by Piccolo", "postgresql", by_piccolo, "µs", anchor),
            Row("look-up as SQL, another tenant each time", "postgresql", wandering, "µs", again),
            *await _structs(schemas[0]),
        ]
        return found + await _writes(schemas[0])


async def _by_piccolo(number: int) -> None:
    await Person.select().where(Person.id == number % ROWS + 1).first()


async def _by_sql(number: int) -> None:
    await row(PersonRow, LOOK_UP, id=number % ROWS + 1)


def _by_stock(path: Path) -> Ask:
    class Stock(Table, db=SQLiteEngine(str(path)), tablename="person"):
        id: Serial
        name = Text()
        city = Text()
        balance_minor = BigInt()

    async def ask(number: int) -> None:
        await Stock.select().where(Stock.id == number % ROWS + 1).first()

    return ask


async def _structs(database: Database) -> list[Row]:
    async def fifty_structs(_: int) -> None:
        await rows(PersonRow, "SELECT id, name, city, balance_minor FROM person ORDER BY id LIMIT 50")

    async def fifty_objects(_: int) -> None:
        await Person.objects().order_by(Person.id).limit(50)

    with bind(database):
        structs, objects = await _side_by_side(fifty_structs, fifty_objects)
    return [at_most_share("50 rows into structs, beside objects", database.dialect, structs, "µs", objects, 0.5)]


async def _writes(database: Database) -> list[Row]:
    async def insert(number: int) -> None:
        async with transaction():
            await execute("INSERT INTO person (name, city, balance_minor) VALUES ('new', 'x', :n)", n=number)

    with bind(database):
        (one,) = await _side_by_side(insert)
        with timed() as took:
            await execute_many(
                "INSERT INTO person (name, city, balance_minor) VALUES (:name, :city, :balance)",
                ({"name": f"n{i}", "city": "x", "balance": i} for i in range(20_000)),
            )
    return [
        Row("transaction of one insert, on the disk", database.dialect, one, "µs"),
        Row("rows inserted by execute_many", database.dialect, 20_000 / took.seconds, "rows/s"),
    ]


async def _fill(database: Database) -> None:
    if isinstance(database, SqliteDatabase):
        await run_sql(TABLE)
    await execute_many(
        "INSERT INTO person (name, city, balance_minor) VALUES (:name, :city, :balance)",
        ({"name": f"Person {i}", "city": f"City {i % 100}", "balance": i} for i in range(ROWS)),
    )


async def _side_by_side(*asks: Ask) -> list[float]:
    """Microseconds of each, the best of many short rounds taken in turns: the machine is shared, and not evenly."""
    best = [float("inf")] * len(asks)
    for start in range(ROUNDS):
        for place, ask in enumerate(asks):
            with timed() as took:
                for number in range(TIMES):
                    await ask(start * TIMES + number)
            best[place] = min(best[place], took.seconds / TIMES * 1e6)
    return best


@asynccontextmanager
async def _server() -> AsyncIterator[PostgresServer]:
    address = start_cluster("bench", durable=True)
    name = f"bench_engine_{os.getpid()}"
    await databases.postgres_database(name, cluster=address)
    server = PostgresServer(
        "bench",
        databases.dsn(name, databases.APP, cluster=address),
        databases.dsn(name, databases.OWNER, cluster=address),
    )
    await server.start()
    try:
        yield server
    finally:
        await server.close()
