"""One file a tenant: its connections, its limits, and what another process or a bad disk does to it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.database import (
    Damaged,
    OpenFiles,
    SqliteDatabase,
    TransactionError,
    bind,
    execute,
    reading,
    run_sql,
    savepoint,
    spawn,
    transaction,
    value,
    values,
)
from core.database import sqlite as engine
from core.database.sqlite import split
from core.database.threads import THREADS, Threads
from core.errors import Unavailable

SETTINGS = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "recursive_triggers": 1,
    "secure_delete": 1,
    "temp_store": 2,
    "busy_timeout": 0,
}


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    made = SqliteDatabase(tmp_path / "tenant.db", create=True)
    with bind(made):
        await run_sql("CREATE TABLE note (id {id}, text text NOT NULL)")
        yield made
    await made.close()


async def add(text: str) -> None:
    await execute("INSERT INTO note (text) VALUES (:text)", text=text)


async def add_all(*texts: str) -> None:
    async with transaction():
        for text in texts:
            await add(text)


async def texts() -> list[str]:
    return await values("SELECT text FROM note ORDER BY id")


async def settings(connection: sqlite3.Connection) -> dict[str, object]:
    return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in (*SETTINGS, "query_only")}


async def test_every_connection_has_the_product_s_settings(database: SqliteDatabase) -> None:
    async with database.writer() as writer, database.reader() as reader:
        assert await settings(writer) == {**SETTINGS, "query_only": 0}
        assert await settings(reader) == {**SETTINGS, "query_only": 1}


async def test_a_connection_without_them_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engine._OWN, "reader", (("synchronous", "NORMAL", 2),))
    database = SqliteDatabase(tmp_path / "tenant.db", create=True)

    with bind(database), pytest.raises(Unavailable, match="keeps synchronous at 1 where 2 is needed"):
        await value("SELECT 1")


@pytest.mark.parametrize(("mib", "kept"), [(1, 2048), (300, 4800), (5000, 16384)])
async def test_a_reader_keeps_more_pages_of_a_larger_file(tmp_path: Path, mib: int, kept: int) -> None:
    path = tmp_path / "large.db"
    small = SqliteDatabase(path, create=True)
    with bind(small):
        await execute("CREATE TABLE kept (id integer)")
    await small.close()
    os.truncate(path, mib * 2**20)  # takes no room on the disk

    reader = await SqliteDatabase(path).open("reader")
    try:
        assert reader.execute("PRAGMA cache_size").fetchone() == (-kept,)
        assert reader.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    finally:
        reader.close()


async def test_no_other_file_can_be_attached(database: SqliteDatabase, tmp_path: Path) -> None:
    for statement in (f"ATTACH '{tmp_path / 'other.db'}' AS other", "ATTACH ':memory:' AS other"):
        with pytest.raises(sqlite3.OperationalError, match="too many attached"):
            await execute(statement)
    with pytest.raises(sqlite3.OperationalError, match="too many attached"):
        await execute(f"VACUUM INTO '{tmp_path / 'other.db'}'")

    assert not (tmp_path / "other.db").exists()


async def test_a_reader_cannot_write(database: SqliteDatabase) -> None:
    async with database.reader() as reader:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("INSERT INTO note (text) VALUES ('x')")


async def test_a_file_is_made_only_when_that_is_said_and_for_nobody_else_to_read(tmp_path: Path) -> None:
    path = tmp_path / "tenant.db"
    with bind(SqliteDatabase(path)), pytest.raises(Unavailable, match=r"tenant\.db is missing"):
        await value("SELECT 1")
    assert not path.exists()

    made = SqliteDatabase(path, create=True)
    with bind(made):
        await run_sql("CREATE TABLE note (id {id})")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(f"{path}-wal").stat().st_mode) == 0o600
    await made.close()


async def test_a_name_with_odd_characters_is_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a b?mode=ro#%20;.db"
    database = SqliteDatabase(path, create=True)

    with bind(database):
        await run_sql("CREATE TABLE note (id {id})")
    await database.close()

    assert path.exists()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


async def test_a_connection_is_kept_for_the_next_statement(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    await texts()
    opened: list[str] = []
    original = engine._open
    monkeypatch.setattr(engine, "_open", lambda path, kind, create: opened.append(kind) or original(path, kind, create))

    for _ in range(20):
        await add("x")
        await texts()

    assert opened == []


async def test_two_read_at_once_and_the_third_waits(database: SqliteDatabase) -> None:
    async with database.reader(), database.reader():
        third = asyncio.create_task(texts())
        await asyncio.sleep(0.02)
        assert not third.done()

    assert await third == []


async def test_readers_read_while_a_transaction_is_open(database: SqliteDatabase) -> None:
    async with transaction():
        await add("one")
        assert await spawn(texts()) == []


async def test_writers_take_turns_in_the_order_in_which_they_came(database: SqliteDatabase) -> None:
    tasks = [spawn(add_all(str(number))) for number in range(30)]
    await asyncio.gather(*tasks)

    assert await texts() == [str(number) for number in range(30)]


async def test_who_waits_too_long_for_the_writer_is_told_to_come_back(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 0.05)

    async with transaction():
        with pytest.raises(Unavailable) as error:
            await spawn(add("two"))

    assert error.value.retry_after > 0
    await add("three")
    assert await texts() == ["three"]


@contextmanager
def held_by_another_process(path: Path) -> Iterator[None]:
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE');"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            process.stdin.close()
            process.wait()


async def test_a_lock_of_another_process_is_waited_for_without_a_thread(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    other = SqliteDatabase(tmp_path / "other.db", create=True)
    writers = []
    with held_by_another_process(database.path):
        writers = [spawn(add(str(number))) for number in range(THREADS.count + 2)]
        with bind(other):
            async with asyncio.timeout(1):
                for _ in range(50):
                    await value("SELECT 1")
        async with asyncio.timeout(1):
            assert await texts() == []
        assert not any(writer.done() for writer in writers)
    await asyncio.gather(*writers)

    assert len(await texts()) == len(writers)
    await other.close()


async def test_a_lock_of_another_process_that_stays_is_answered_with_unavailable(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 0.05)
    with held_by_another_process(database.path):
        for write in (add("one"), add_all("two")):
            with pytest.raises(Unavailable):
                await write

    await add("three")
    assert await texts() == ["three"]


async def test_a_full_disk_keeps_nothing_of_the_transaction(database: SqliteDatabase) -> None:
    await execute("PRAGMA max_page_count = 20")

    with pytest.raises(Unavailable, match="disk is full"):
        await add_all("small", "x" * 200_000)
    with pytest.raises((TransactionError, Unavailable)):
        await fill_the_disk_and_go_on()

    assert await texts() == []
    await add("fits")
    assert await texts() == ["fits"]


async def fill_the_disk_and_go_on() -> None:
    async with transaction():
        await add("small")
        with pytest.raises(Unavailable):
            await add_in_savepoint("x" * 200_000)
        await add("after")
        raise Unavailable  # where SQLite let the transaction live: the outcome is the same, nothing is kept


async def add_in_savepoint(text: str) -> None:
    async with savepoint():
        await add(text)


async def test_a_transaction_that_sqlite_ended_by_itself_takes_no_more_statements(database: SqliteDatabase) -> None:
    with pytest.raises(TransactionError):
        await lose_the_transaction_and_go_on()

    assert await texts() == []
    await add("next")
    assert await texts() == ["next"]


async def lose_the_transaction_and_go_on() -> None:
    async with transaction() as opened:
        await add("one")
        # As SQLite does after some errors: what follows would be kept, each statement by itself.
        await opened.run("ROLLBACK", ())
        await add("two")


async def test_cancelled_while_it_begins_a_transaction_leaves_nothing_open(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = engine.begin

    def slowly(*arguments: Any) -> None:
        begin(*arguments)
        time.sleep(0.05)

    monkeypatch.setattr(engine, "begin", slowly)
    for work in (add_all("never"), slow_reading()):
        task = spawn(work)
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await add("kept at once")
    other = await database.open("reader")
    assert other.execute("SELECT text FROM note").fetchall() == [("kept at once",)]
    other.close()


async def slow_reading() -> None:
    async with reading():
        await texts()


def pages_in_file(database: SqliteDatabase) -> int:
    return database.path.stat().st_size // 4096


async def write_pages(pages: int) -> None:
    await execute("INSERT INTO note (text) SELECT hex(zeroblob(2000)) FROM generated LIMIT :pages", pages=pages)


@pytest.fixture
async def generated(database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> SqliteDatabase:
    """A table of many rows, and checkpoints after few pages."""
    for name, pages in (("OFTEN", 100), ("SELDOM", 500), ("CHECKPOINT", 800)):
        monkeypatch.setattr(engine, name, pages)
    await execute(
        "CREATE TABLE generated AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 1000) SELECT i FROM n"
    )
    await value("PRAGMA wal_checkpoint(TRUNCATE)")
    return database


async def test_who_writes_much_brings_the_log_into_the_file_and_leaves_nothing_of_it(
    generated: SqliteDatabase,
) -> None:
    before = pages_in_file(generated)
    async with generated.writing_much(seldom=True):
        await write_pages(300)
        assert pages_in_file(generated) == before
        async with generated.writing_much():
            await write_pages(90)
            assert pages_in_file(generated) > before + 350, "another wants it more often"
        grown = pages_in_file(generated)
        await write_pages(300)
        assert pages_in_file(generated) == grown
        await write_pages(300)
        assert pages_in_file(generated) > grown + 550, "the log is long enough"
        grown = pages_in_file(generated)
        await write_pages(300)
        assert pages_in_file(generated) == grown
    assert pages_in_file(generated) > grown + 250, "what was left, from a reader"

    grown = pages_in_file(generated)
    await write_pages(650)
    assert pages_in_file(generated) == grown, "others do it later than who writes much"


async def test_a_log_that_cannot_be_brought_into_the_file_at_the_end_harms_nobody(
    generated: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pages_in_file(generated)
    monkeypatch.setattr(engine, "PATIENCE", 0.05)
    async with generated.reader(), generated.reader():
        async with generated.writing_much(seldom=True):
            await write_pages(300)
        assert pages_in_file(generated) == before

    await write_pages(600)
    assert pages_in_file(generated) > before + 850, "a later commit does it"


async def test_replacing_a_row_asks_the_triggers_of_deletion(database: SqliteDatabase) -> None:
    await run_sql("CREATE TRIGGER stays BEFORE DELETE ON note BEGIN SELECT RAISE(ABORT, 'Notes stay.'); END")
    await execute("INSERT INTO note (id, text) VALUES (1, 'one')")

    with pytest.raises(Exception, match="Notes stay"):
        await execute("INSERT OR REPLACE INTO note (id, text) VALUES (1, 'two')")

    assert await texts() == ["one"]


async def test_a_damaged_file_says_so_and_harms_no_other(database: SqliteDatabase, tmp_path: Path) -> None:
    bad = SqliteDatabase(tmp_path / "bad.db")
    bad.path.write_bytes(b"this is not a database, whatever it says" * 200)

    with bind(bad), pytest.raises(Damaged, match="damaged"):
        await value("SELECT 1")

    await add("one")
    assert await texts() == ["one"]


async def test_what_was_deleted_is_not_in_the_file_any_more(database: SqliteDatabase) -> None:
    await add("a name that must vanish" * 50)
    await execute("DELETE FROM note")
    await execute("PRAGMA wal_checkpoint(TRUNCATE)")
    await database.close()

    assert b"must vanish" not in database.path.read_bytes()


async def test_a_closed_database_opens_again_with_the_next_statement(database: SqliteDatabase) -> None:
    await add("one")
    await database.close()

    assert await texts() == ["one"]


async def test_close_waits_for_who_is_still_at_work(database: SqliteDatabase) -> None:
    task = spawn(slow_transaction(0.05))
    await asyncio.sleep(0.01)

    await database.close()

    assert task.done()
    assert await texts() == ["slow"]


async def slow_transaction(seconds: float) -> None:
    async with transaction():
        await add("slow")
        await asyncio.sleep(seconds)


async def test_a_database_in_use_for_too_long_is_not_closed(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 0.02)

    async with transaction():
        with pytest.raises(TransactionError, match="in use"):
            await database.close()


# The files that are open at once


@pytest.fixture
async def tenants(tmp_path: Path) -> AsyncIterator[list[SqliteDatabase]]:
    files = OpenFiles(3)
    made = [SqliteDatabase(tmp_path / f"{number}.db", create=True, files=files) for number in range(8)]
    yield made
    for each in made:
        await each.close()


async def visit(tenant: SqliteDatabase) -> None:
    with bind(tenant):
        await value("SELECT 1")


async def test_no_more_files_are_open_than_allowed_and_the_one_used_longest_ago_goes(
    tenants: list[SqliteDatabase],
) -> None:
    files = tenants[0].files
    assert files is not None
    for number in (0, 1, 2, 0, 3):
        await visit(tenants[number])
        assert len(files) <= 3

    assert [number for number, tenant in enumerate(tenants) if tenant in files] == [0, 2, 3]


async def test_a_file_in_use_is_never_closed_for_another(tenants: list[SqliteDatabase]) -> None:
    files = tenants[0].files
    assert files is not None
    with bind(tenants[0]):
        async with transaction():
            await execute("CREATE TABLE note (id bigint)")
            for tenant in tenants[1:]:
                await spawn(visit_from_outside(tenant))
            await execute("INSERT INTO note VALUES (1)")
            assert tenants[0] in files
            assert len(files) == 3

        assert await value("SELECT count(*) FROM note") == 1


async def visit_from_outside(tenant: SqliteDatabase) -> None:
    with bind(tenant):
        await value("SELECT 1")


async def test_only_the_ones_used_last_keep_all_their_connections(tmp_path: Path) -> None:
    files = OpenFiles(6, hot=2)
    made = [SqliteDatabase(tmp_path / f"{number}.db", create=True, files=files) for number in range(5)]

    for tenant in made:
        with bind(tenant):
            await execute("CREATE TABLE note (number bigint)")
            await value("SELECT 1")

    assert [tenant.connections for tenant in made] == [1, 1, 1, 2, 2]
    with bind(made[0]):
        await execute("INSERT INTO note VALUES (1)")
        assert await values("SELECT number FROM note") == [1]
    assert [tenant.connections for tenant in made] == [2, 1, 1, 1, 2]
    for tenant in made:
        await tenant.close()


async def test_when_all_are_in_use_the_next_waits_for_one_to_become_idle(tenants: list[SqliteDatabase]) -> None:
    files = tenants[0].files
    assert files is not None
    go = asyncio.Event()
    holders = [asyncio.create_task(hold(tenant, go)) for tenant in tenants[:3]]
    await asyncio.sleep(0.02)

    waiting = [asyncio.create_task(visit(tenant)) for tenant in tenants[3:]]
    await asyncio.sleep(0.02)
    assert not any(task.done() for task in waiting)
    assert len(files) == 3
    go.set()
    await asyncio.gather(*holders, *waiting)

    assert len(files) == 3


async def hold(tenant: SqliteDatabase, go: asyncio.Event) -> None:
    with bind(tenant):
        async with transaction():
            await go.wait()


async def test_who_waits_too_long_for_a_file_is_told_to_come_back(
    tenants: list[SqliteDatabase], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 0.05)
    go = asyncio.Event()
    holders = [asyncio.create_task(hold(tenant, go)) for tenant in tenants[:3]]
    await asyncio.sleep(0.02)

    with pytest.raises(Unavailable, match="Too many tenants"):
        await visit(tenants[3])

    go.set()
    await asyncio.gather(*holders)


async def test_many_tenants_at_once_stay_within_the_limit_and_lose_nothing(tenants: list[SqliteDatabase]) -> None:
    files = tenants[0].files
    assert files is not None
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        with bind(tenants[number % 8]):
            async with transaction():
                await execute("CREATE TABLE IF NOT EXISTS note (number bigint)")
                await execute("INSERT INTO note VALUES (:number)", number=number)
            most = max(most, len(files), sum(_is_open(tenant) for tenant in tenants))
            assert number in await values("SELECT number FROM note")

    await asyncio.gather(*(asyncio.create_task(work(number)) for number in range(120)))

    assert most == 3
    for number, tenant in enumerate(tenants):
        with bind(tenant):
            assert await values("SELECT number FROM note ORDER BY number") == list(range(number, 120, 8))


def _is_open(tenant: SqliteDatabase) -> bool:
    return tenant._writer is not None or bool(tenant._idle)


async def test_the_control_database_is_not_counted(tmp_path: Path) -> None:
    control = SqliteDatabase(tmp_path / "control.db", create=True, files=None)
    await visit(control)

    assert control.files is None
    await control.close()


# The threads


async def test_who_is_cancelled_waits_until_the_thread_has_let_go() -> None:
    threads = Threads(1)
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    running = asyncio.create_task(threads.call(connection.execute, endless, interrupt=connection.interrupt))
    await asyncio.sleep(0.05)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (await threads.call(connection.execute, "SELECT 1")).fetchone() == (1,)


async def test_work_that_nobody_waits_for_any_more_is_not_begun() -> None:
    threads = Threads(1)
    done: list[str] = []
    gate = asyncio.get_running_loop().create_future()

    first = asyncio.create_task(threads.call(time.sleep, 0.05))
    second = asyncio.create_task(threads.call(done.append, "second"))
    await asyncio.sleep(0.01)
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    gate.cancel()

    assert done == []


async def test_what_must_be_finished_is_finished_and_tells_of_the_cancelling() -> None:
    threads = Threads(1)

    async def work() -> tuple[None, asyncio.CancelledError | None]:
        return await threads.call_to_the_end(time.sleep, 0.05)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel()

    _, cancelled = await task
    assert cancelled is not None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1;", "SELECT 2"]),
        ("SELECT ';'; -- a; b\nSELECT 2;", ["SELECT ';';", "-- a; b\nSELECT 2;"]),
        (
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END; SELECT 3;",
            ["CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END;", "SELECT 3;"],
        ),
        ("SELECT 1; -- the end\n /* ; */ ", ["SELECT 1;"]),
        ("  \n", []),
    ],
)
def test_a_text_is_split_into_its_statements(text: str, parts: list[str]) -> None:
    assert list(split(text)) == parts
