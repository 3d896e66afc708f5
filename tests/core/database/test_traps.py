"""What Piccolo's own engines and the bare drivers do wrong, each shown first, then how ours holds."""

from __future__ import annotations

import asyncio
import contextvars
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import aiosqlite
import asyncpg
import pytest
from msgspec import Struct
from piccolo.columns import BigInt, Numeric, Text
from piccolo.engine.postgres import PostgresEngine
from piccolo.engine.sqlite import SQLiteEngine
from piccolo.table import Table

from core.database import (
    DB,
    Database,
    Duplicate,
    PostgresDatabase,
    SqliteDatabase,
    StatementFailed,
    TransactionError,
    bind,
    execute,
    row,
    run_sql,
    spawn,
    transaction,
    value,
    values,
)
from core.database import sqlite as engine
from tests.databases import APP, define, dsn, fresh


class Note(Table):
    """Through the engine of the bound tenant."""

    text = Text()
    n = BigInt()


TABLE = "CREATE TABLE note (id {id}, text text NOT NULL DEFAULT '' UNIQUE, n bigint NOT NULL DEFAULT 0)"


def stock_note(stock: SQLiteEngine | PostgresEngine) -> type[Note]:
    """The same table through an engine of Piccolo's own."""

    class StockNote(Table, db=stock, tablename="note"):
        text = Text()
        n = BigInt()

    return cast("type[Note]", StockNote)


@pytest.fixture
async def ours(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    made = SqliteDatabase(tmp_path / "ours.db", create=True)
    with bind(made):
        await run_sql(TABLE)
        yield made
    await made.close()


@pytest.fixture
def stock(tmp_path: Path) -> SQLiteEngine:
    path = tmp_path / "stock.db"
    with sqlite3.connect(path) as connection:
        connection.execute(TABLE.replace("{id}", "INTEGER PRIMARY KEY"))
    return SQLiteEngine(str(path))


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[PostgresDatabase]:
    async with fresh("postgresql", tmp_path) as made:
        assert isinstance(made, PostgresDatabase)
        with bind(made):
            await define(TABLE)
            yield made


@pytest.fixture
def stock_postgres(postgres: PostgresDatabase) -> PostgresEngine:
    return PostgresEngine(
        {"dsn": dsn(postgres.server.name, APP), "server_settings": {"search_path": postgres.schema}}, extensions=()
    )


async def test_stock_opens_a_file_for_each_statement_and_ours_keeps_it_open(
    ours: SqliteDatabase, stock: SQLiteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    connect, keep = aiosqlite.connect, engine._open

    def counted(*arguments: Any, **named: Any) -> Any:
        opened.append("stock")
        return connect(*arguments, **named)

    monkeypatch.setattr(aiosqlite, "connect", counted)
    for _ in range(10):
        await stock_note(stock).select()
    assert len(opened) == 10

    await Note.select()
    monkeypatch.setattr(engine, "_open", lambda *arguments: opened.append("ours") or keep(*arguments))
    for _ in range(10):
        await Note.select()

    assert "ours" not in opened


async def leave_a_batch(table: type[Note]) -> None:
    async with await table.select().batch(batch_size=1) as batch:
        async for _ in batch:
            raise ZeroDivisionError


async def test_stock_swallows_what_is_raised_in_a_batch_and_ours_does_not(
    ours: SqliteDatabase, stock: SQLiteEngine
) -> None:
    theirs = stock_note(stock)
    await Note.insert(Note(text="a"))
    await theirs.insert(theirs(text="a"))

    await leave_a_batch(theirs)  # nothing is raised
    with pytest.raises(ZeroDivisionError):
        await leave_a_batch(Note)


async def test_stock_keeps_decimals_as_floats_and_ours_refuses_them(ours: SqliteDatabase, stock: SQLiteEngine) -> None:
    class Price(Table, db=stock):
        amount = Numeric(digits=(16, 2))

    class OurPrice(Table, tablename="price", db=DB):
        amount = Numeric(digits=(16, 2))

    exact = Decimal("99999999999999.99")
    await Price.create_table()
    await Price.insert(Price(amount=exact))
    found = await Price.select(Price.amount).first()
    assert found is not None
    assert found["amount"] != exact

    await run_sql("CREATE TABLE price (id {id}, amount numeric)")
    with pytest.raises(TypeError, match="Store whole minor units"):
        await OurPrice.insert(OurPrice(amount=exact))


ORPHANS = (
    "CREATE TABLE parent (id INTEGER PRIMARY KEY);"
    "CREATE TABLE child (parent_id bigint REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);"
)


async def fail_to_commit(begin: Callable[[], Any], run: Callable[[str], Awaitable[Any]]) -> None:
    """A commit that the database refuses, caught, and then a transaction that should be kept."""
    with pytest.raises(Exception, match=r"FOREIGN KEY|still uses"):
        await commit_an_orphan(begin, run)
    async with begin():
        await run("INSERT INTO parent (id) VALUES (1)")


async def commit_an_orphan(begin: Callable[[], Any], run: Callable[[str], Awaitable[Any]]) -> None:
    async with begin():
        await run("INSERT INTO child (parent_id) VALUES (7)")


async def test_after_a_failed_commit_stock_loses_later_work_and_ours_keeps_it(
    ours: SqliteDatabase, stock: SQLiteEngine
) -> None:
    with sqlite3.connect(stock.path) as connection:
        connection.executescript(ORPHANS)
    await run_sql(ORPHANS)

    async def run_stock(sql: str) -> Any:
        return await stock_note(stock).raw(sql)

    # A task of its own, since the harm is done to the context.
    await asyncio.create_task(fail_to_commit(stock.transaction, run_stock))
    await fail_to_commit(transaction, execute)

    with sqlite3.connect(stock.path) as connection:
        assert connection.execute("SELECT count(*) FROM parent").fetchone() == (0,)
    assert await value("SELECT count(*) FROM parent") == 1


async def keep_the_outer_after_the_inner_failed(table: type[Note], begin: Callable[[], Any]) -> None:
    async with begin():
        await table.insert(table(text="outer"))
        with pytest.raises(KeyError):
            await fail_inside(table, begin)


async def fail_inside(table: type[Note], begin: Callable[[], Any]) -> None:
    async with begin():
        await table.insert(table(text="inner"))
        raise KeyError


async def test_stock_keeps_half_of_a_failed_inner_transaction_and_ours_nothing(
    ours: SqliteDatabase, stock: SQLiteEngine
) -> None:
    theirs = stock_note(stock)
    await keep_the_outer_after_the_inner_failed(theirs, stock.transaction)
    assert sorted(await theirs.select(theirs.text).output(as_list=True)) == ["inner", "outer"]

    with pytest.raises(StatementFailed):
        await keep_the_outer_after_the_inner_failed(Note, DB.transaction)
    assert await Note.count() == 0


async def count_at_once(table: type[Note], begin: Callable[[], Any]) -> list[BaseException | None]:
    await table.insert(table(text="counter", n=0))

    async def count() -> None:
        async with begin():
            n = (await table.select(table.n).output(as_list=True))[0]
            await asyncio.sleep(0.005)
            await table.update({table.n: n + 1}, force=True)

    return await asyncio.gather(*(asyncio.create_task(count()) for _ in range(20)), return_exceptions=True)


async def test_of_twenty_who_count_at_once_stock_locks_most_out_and_ours_counts_all(
    ours: SqliteDatabase, stock: SQLiteEngine
) -> None:
    stock.connection_kwargs["timeout"] = 0.2
    theirs = await count_at_once(stock_note(stock), stock.transaction)
    assert sum("locked" in str(error) for error in theirs if error) >= 10

    assert await count_at_once(Note, DB.transaction) == [None] * 20
    assert await Note.select(Note.n).output(as_list=True) == [20]


async def another_task_in_the_transaction(table: type[Note], begin: Callable[[], Any]) -> None:
    async with begin():
        await asyncio.create_task(table.insert(table(text="of another task")).run())
        raise KeyError


async def test_stock_undoes_another_task_s_work_and_ours_refuses_it(ours: SqliteDatabase, stock: SQLiteEngine) -> None:
    with pytest.raises(KeyError):
        await another_task_in_the_transaction(stock_note(stock), stock.transaction)
    assert await stock_note(stock).count() == 0  # the other task was told that its row is there

    with pytest.raises(TransactionError):
        await another_task_in_the_transaction(Note, DB.transaction)


async def test_stock_makes_a_context_variable_for_each_engine_and_ours_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contexts keep them for good, so a process with many tenants would only ever grow."""
    made: list[str] = []
    original = contextvars.ContextVar
    monkeypatch.setattr(contextvars, "ContextVar", lambda name, **more: made.append(name) or original(name, **more))

    for number in range(3):
        SQLiteEngine(str(tmp_path / f"stock-{number}.db"))
    assert len(made) == 3

    for number in range(3):
        database = SqliteDatabase(tmp_path / f"ours-{number}.db", create=True)
        with bind(database):
            async with transaction():
                pass
        await database.close()
    assert len(made) == 3


async def test_stock_cannot_change_a_column_on_sqlite(stock: SQLiteEngine) -> None:
    """Ours: `rebuild_table`, tested with the migrations."""
    theirs = stock_note(stock)

    for change in (
        theirs.alter().set_null(theirs.text, True),
        theirs.alter().set_unique(theirs.n, True),
        theirs.alter().set_default(theirs.n, 7),
    ):
        with pytest.raises(sqlite3.OperationalError, match="syntax error"):
            await change


async def test_an_integer_product_that_overflows_becomes_a_float_and_is_refused_as_an_amount(
    ours: SqliteDatabase,
) -> None:
    class Total(Struct):
        total: int

    product = f"SELECT {5 * 10**13} * 1000000 AS total"
    assert sqlite3.connect(":memory:").execute(product).fetchone() == (5e19,)

    with pytest.raises(TypeError, match="Expected `int`, got `float`"):
        await row(Total, product)


async def test_a_busy_timeout_blocks_the_threads_of_all_and_asking_again_does_not(
    ours: SqliteDatabase, tmp_path: Path
) -> None:
    holder = sqlite3.connect(ours.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(4) as threads:
        waiting = [
            sqlite3.connect(ours.path, isolation_level=None, timeout=0.4, check_same_thread=False) for _ in range(4)
        ]
        blocked = [threads.submit(each.execute, "BEGIN IMMEDIATE") for each in waiting]
        start = time.monotonic()
        threads.submit(int).result()  # work for another tenant
        assert time.monotonic() - start > 0.2
        assert all(each.exception() for each in blocked)

    other = SqliteDatabase(tmp_path / "other.db", create=True)
    writers = [spawn(Note.insert(Note(text=str(number))).run()) for number in range(8)]
    await asyncio.sleep(0.05)
    start = time.monotonic()
    with bind(other):
        await value("SELECT 1")
    assert time.monotonic() - start < 0.2
    holder.execute("ROLLBACK")
    await asyncio.gather(*writers)

    assert await Note.count() == 8
    await other.close()


async def test_replacing_bypasses_the_triggers_of_deletion_unless_they_are_recursive(
    ours: SqliteDatabase, stock: SQLiteEngine
) -> None:
    guard = "CREATE TRIGGER stays BEFORE DELETE ON note BEGIN SELECT RAISE(ABORT, 'Notes stay.'); END"
    replace = "REPLACE INTO note (id, text) VALUES (1, 'changed')"
    theirs = stock_note(stock)
    for run in (theirs.raw, lambda sql: Note.raw(sql)):
        await run("INSERT INTO note (id, text) VALUES (1, 'one')")
        await run(guard)

    await theirs.raw(replace)
    assert await theirs.select(theirs.text).output(as_list=True) == ["changed"]
    with pytest.raises(Exception, match="Notes stay"):
        await execute(replace)
    assert await Note.select(Note.text).output(as_list=True) == ["one"]


async def catch_an_error_and_commit(table: type[Note], begin: Callable[[], Any], error: type[Exception]) -> None:
    async with begin():
        await table.insert(table(text="one"))
        with pytest.raises(error):
            await table.insert(table(text="one"))


async def test_a_commit_after_an_error_undoes_everything_without_a_word_and_ours_says_so(
    postgres: PostgresDatabase, stock_postgres: PostgresEngine
) -> None:
    theirs = stock_note(stock_postgres)
    await catch_an_error_and_commit(theirs, stock_postgres.transaction, asyncpg.UniqueViolationError)
    assert await theirs.count() == 0  # and nothing was raised

    with pytest.raises(StatementFailed):
        await catch_an_error_and_commit(Note, DB.transaction, Duplicate)


async def test_sums_come_as_decimals_and_signs_as_floats_unless_a_type_is_named(postgres: PostgresDatabase) -> None:
    class Sums(Struct):
        total: int
        sign: int

    await execute("INSERT INTO note (text, n) VALUES ('a', 5)")
    bare = await asyncpg.connect(dsn(postgres.server.name, APP))
    found = await bare.fetchrow(f"SELECT sum(n) AS total, sign(n) AS sign FROM {postgres.schema}.note GROUP BY n")
    await bare.close()
    assert found is not None
    assert (type(found["total"]), type(found["sign"])) == (Decimal, float)

    with pytest.raises(TypeError, match="Expected `int`"):
        await row(Sums, "SELECT sum(n) AS total, sign(n) AS sign FROM note GROUP BY n")
    named = await row(Sums, "SELECT sum(n)::bigint AS total, sign(n)::bigint AS sign FROM note GROUP BY n")
    assert named == Sums(5, 1)


async def test_a_cursor_over_a_sequence_misses_what_commits_late_and_one_over_a_locked_head_does_not(
    database: Database,
) -> None:
    await define(
        "CREATE TABLE event (id {id}, text text NOT NULL);"
        "CREATE TABLE head (one integer PRIMARY KEY, last bigint NOT NULL);"
        "CREATE TABLE placed (position bigint PRIMARY KEY, text text NOT NULL);"
    )
    await execute("INSERT INTO head (one, last) VALUES (1, 0)")
    first_began, go = asyncio.Event(), asyncio.Event()

    async def slow(write: Callable[[str], Awaitable[Any]]) -> None:
        async with transaction():
            await write("slow")
            first_began.set()
            await go.wait()

    async def quick(write: Callable[[str], Awaitable[Any]]) -> None:
        await first_began.wait()
        async with transaction():
            await write("quick")

    async def by_sequence(text: str) -> None:
        await execute("INSERT INTO event (text) VALUES (:text)", text=text)

    async def by_head(text: str) -> None:
        position = await value("UPDATE head SET last = last + 1 WHERE one = 1 RETURNING last")
        await execute("INSERT INTO placed (position, text) VALUES (:position, :text)", position=position, text=text)

    if isinstance(database, PostgresDatabase):  # SQLite has one writer: there is no late commit
        late = [spawn(slow(by_sequence)), spawn(quick(by_sequence))]
        await late[1]
        cursor = await value("SELECT max(id) FROM event")
        go.set()
        await late[0]
        assert await values("SELECT text FROM event WHERE id > :cursor", cursor=cursor) == []  # lost for ever
        first_began.clear()
        go.clear()

    placed = [spawn(slow(by_head)), spawn(quick(by_head))]
    await first_began.wait()
    await asyncio.sleep(0.05)
    seen = await values("SELECT text FROM placed WHERE position > 0 ORDER BY position")
    go.set()
    await asyncio.gather(*placed)

    assert seen == []
    assert await values("SELECT text FROM placed WHERE position > 0 ORDER BY position") == ["slow", "quick"]


async def test_stock_keeps_instants_in_texts_of_several_forms_and_ours_in_one(
    ours: SqliteDatabase, stock: SQLiteEngine
) -> None:
    sqlite3_adapter = sqlite3.adapters[(datetime, sqlite3.PrepareProtocol)]
    instants = [
        datetime(2027, 1, 1, tzinfo=UTC),
        datetime(2027, 1, 1, 5, 0, 0, 1, tzinfo=timezone(timedelta(hours=5))),
    ]
    assert {len(sqlite3_adapter(at)) for at in instants} == {25, 32}

    for at in instants:
        await execute("INSERT INTO note (text) VALUES (:at)", at=at)

    assert await values("SELECT text FROM note ORDER BY text") == [
        "2027-01-01 00:00:00.000000+00:00",
        "2027-01-01 00:00:00.000001+00:00",
    ]
