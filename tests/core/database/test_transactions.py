"""Transactions, savepoints, snapshots and the binding of a tenant, the same on both databases."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from core.database import (
    BrokenReference,
    Database,
    Duplicate,
    NoTenantBound,
    StatementFailed,
    TransactionError,
    after_commit,
    bind,
    current,
    execute,
    in_transaction,
    reading,
    savepoint,
    spawn,
    transaction,
    value,
    values,
)
from tests.databases import define

Two = tuple[Database, Database]


@pytest.fixture
async def notes(database: Database) -> Database:
    await define("CREATE TABLE note (id {id}, text text NOT NULL UNIQUE)")
    return database


@pytest.fixture
async def two_with_notes(two_databases: Two) -> Two:
    for each in two_databases:
        with bind(each):
            await define("CREATE TABLE note (id {id}, text text NOT NULL UNIQUE)")
    return two_databases


async def add(text: str) -> None:
    await execute("INSERT INTO note (text) VALUES (:text)", text=text)


async def texts() -> list[str]:
    return await values("SELECT text FROM note ORDER BY id")


async def add_and_fail(text: str) -> None:
    async with transaction():
        await add(text)
        raise KeyError(text)


async def add_and_undo(text: str) -> None:
    async with savepoint():
        await add(text)
        raise KeyError(text)


async def test_nothing_can_be_asked_without_a_tenant() -> None:
    with pytest.raises(NoTenantBound):
        await value("SELECT 1")


async def test_what_a_transaction_wrote_is_seen_inside_and_kept(notes: Database) -> None:
    async with transaction():
        await add("one")

        assert await texts() == ["one"]

    assert await texts() == ["one"]


async def test_nobody_else_sees_it_before_the_commit(notes: Database) -> None:
    async with transaction():
        await add("one")

        assert await spawn(texts()) == []


async def test_an_exception_undoes_the_whole_transaction(notes: Database) -> None:
    with pytest.raises(KeyError):
        await add_and_fail("one")

    assert await texts() == []
    assert not in_transaction()


async def test_an_inner_transaction_joins_and_the_outer_one_commits(notes: Database) -> None:
    with pytest.raises(KeyError):
        await with_an_inner_one_then_fail()

    assert await texts() == []


async def with_an_inner_one_then_fail() -> None:
    async with transaction():
        async with transaction():
            await add("inner")
        assert in_transaction()
        raise KeyError


async def test_an_inner_one_that_failed_ends_the_outer_one_even_if_that_is_caught(notes: Database) -> None:
    with pytest.raises(StatementFailed):
        await catching_an_inner_failure()

    assert await texts() == []


async def catching_an_inner_failure() -> None:
    async with transaction():
        await add("outer")
        with pytest.raises(KeyError):
            await add_and_fail("inner")


async def test_a_savepoint_undoes_only_what_happened_inside(notes: Database) -> None:
    async with transaction():
        await add("one")
        with pytest.raises(KeyError):
            await add_and_undo("two")
        await add("three")

    assert await texts() == ["one", "three"]


async def test_savepoints_nest(notes: Database) -> None:
    async with transaction(), savepoint():
        await add("one")
        with pytest.raises(KeyError):
            await add_and_undo("two")
        async with savepoint():
            await add("three")

    assert await texts() == ["one", "three"]


async def test_a_savepoint_needs_a_transaction(notes: Database) -> None:
    with pytest.raises(TransactionError):
        await add_and_undo("one")


async def test_a_database_error_ends_the_transaction_even_if_it_is_caught(notes: Database) -> None:
    with pytest.raises(StatementFailed):
        await catching_a_duplicate()

    assert await texts() == []


async def catching_a_duplicate() -> None:
    async with transaction():
        await add("one")
        with pytest.raises(Duplicate):
            await add("one")
        with pytest.raises(StatementFailed):
            await add("two")


async def test_a_database_error_inside_a_savepoint_costs_only_the_savepoint(notes: Database) -> None:
    async with transaction():
        await add("one")
        with pytest.raises(Duplicate):
            await add_in_savepoint("one")
        await add("two")

    assert await texts() == ["one", "two"]


async def add_in_savepoint(text: str) -> None:
    async with savepoint():
        await add(text)


async def test_an_error_that_is_swallowed_inside_a_savepoint_undoes_it(notes: Database) -> None:
    async with transaction():
        await add("one")
        with pytest.raises(StatementFailed):
            await swallow_a_duplicate_in_a_savepoint()

    assert await texts() == ["one"]


async def swallow_a_duplicate_in_a_savepoint() -> None:
    async with savepoint():
        await add("two")
        with pytest.raises(Duplicate):
            await add("two")


async def test_a_failed_commit_leaves_no_state_behind(database: Database) -> None:
    await define(
        "CREATE TABLE parent (id {id});"
        "CREATE TABLE child (id {id}, parent_id bigint REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
    )

    with pytest.raises(BrokenReference):
        await commit_an_orphan()

    assert not in_transaction()
    async with transaction():
        await execute("INSERT INTO parent (id) VALUES (1)")
        await execute("INSERT INTO child (parent_id) VALUES (1)")
    assert await value("SELECT count(*) FROM child") == 1


async def commit_an_orphan() -> None:
    async with transaction():
        await execute("INSERT INTO child (parent_id) VALUES (7)")


async def test_another_task_cannot_use_the_transaction(notes: Database) -> None:
    async with transaction():
        with pytest.raises(TransactionError):
            await asyncio.create_task(add("elsewhere"))
        with pytest.raises(TransactionError):
            await asyncio.gather(texts(), texts())


async def test_wait_for_moves_the_work_to_another_task_and_timeout_does_not(notes: Database) -> None:
    async with transaction():
        with pytest.raises(TransactionError):
            await asyncio.wait_for(add("one"), 5)
        async with asyncio.timeout(5):
            await add("two")

    assert await texts() == ["two"]


async def test_a_task_that_outlives_the_transaction_has_its_own_connection(notes: Database) -> None:
    go = asyncio.Event()

    async def later() -> list[str]:
        await go.wait()
        return await texts()

    async with transaction():
        task = asyncio.create_task(later())
        await add("one")
    go.set()

    assert await task == ["one"]


async def test_spawned_work_is_bound_to_the_tenant_and_inherits_no_transaction(notes: Database) -> None:
    async def work() -> tuple[Database, bool]:
        return current(), in_transaction()

    async with transaction():
        assert await spawn(work()) == (notes, False)


async def test_the_tenant_cannot_be_changed_inside_a_transaction(two_with_notes: Two) -> None:
    first, second = two_with_notes
    with bind(first):
        async with transaction():
            with pytest.raises(TransactionError), bind(second):
                pass
            with bind(first):
                await add("one")

    with bind(second):
        assert await texts() == []


async def test_callbacks_hear_of_commits_and_of_nothing_else(notes: Database) -> None:
    heard: list[str] = []
    notes.on_commit.append(lambda: heard.append("every"))

    async with transaction():
        after_commit(lambda: heard.append("this"))
        with pytest.raises(KeyError):
            await call_back_and_undo(heard)
        await add("one")
        assert heard == []
    assert heard == ["this", "every"]

    with pytest.raises(KeyError):
        await call_back_and_fail(heard)
    await texts()
    assert heard == ["this", "every"]


async def call_back_and_undo(heard: list[str]) -> None:
    async with savepoint():
        after_commit(lambda: heard.append("undone"))
        raise KeyError


async def call_back_and_fail(heard: list[str]) -> None:
    async with transaction():
        after_commit(lambda: heard.append("failed"))
        raise KeyError


async def test_a_callback_that_fails_does_not_undo_what_was_committed(
    notes: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise KeyError("callback")

    with caplog.at_level(logging.ERROR):
        async with transaction():
            after_commit(fail)
            await add("one")

    assert await texts() == ["one"]
    assert "what was committed stands" in caplog.text


async def test_after_commit_needs_a_transaction(notes: Database) -> None:
    with pytest.raises(TransactionError):
        after_commit(print)


async def test_a_cancelled_transaction_is_undone_and_the_next_one_can_write(notes: Database) -> None:
    begun = asyncio.Event()

    async def victim() -> None:
        async with transaction():
            await add("victim")
            begun.set()
            await asyncio.sleep(60)

    task = spawn(victim())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with transaction():
        await add("next")
    assert await texts() == ["next"]


async def test_a_limit_of_time_inside_a_savepoint_costs_only_the_savepoint(notes: Database) -> None:
    async with transaction():
        await add("before")
        with pytest.raises(TimeoutError):
            await add_slowly_within(0.05, lambda: value(ENDLESS))
        await add("after")

    assert await texts() == ["before", "after"]


ENDLESS = """
WITH RECURSIVE number (n) AS (SELECT 1::bigint UNION ALL SELECT n + 1 FROM number WHERE n < 1000000000)
SELECT count(*) FROM number
"""


async def add_slowly_within(seconds: float, slow: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    async with savepoint(), asyncio.timeout(seconds):
        await add("slow")
        await slow()


async def test_a_long_query_ends_with_its_limit_of_time(notes: Database) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await value(ENDLESS)

    async with asyncio.timeout(2):
        assert await value("SELECT 1") == 1


async def test_cancelled_at_any_moment_a_transaction_is_kept_or_undone_as_a_whole(notes: Database) -> None:
    async def two_rows(name: str) -> None:
        async with transaction():
            await add(f"{name} first")
            await add(f"{name} second")

    for turns in range(60):
        task = spawn(two_rows(str(turns)))
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.sleep(turns / 20_000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    found = await texts()
    assert len(found) % 2 == 0
    assert all(found[at].split()[0] == found[at + 1].split()[0] for at in range(0, len(found), 2))


async def test_twenty_at_once_count_to_twenty(database: Database) -> None:
    await define("CREATE TABLE counter (one integer PRIMARY KEY, n bigint NOT NULL)")
    await execute("INSERT INTO counter (one, n) VALUES (1, 0)")

    async def count() -> None:
        async with transaction():
            n = await value("SELECT n FROM counter WHERE one = 1 FOR UPDATE")
            await asyncio.sleep(0)
            await execute("UPDATE counter SET n = :n WHERE one = 1", n=n + 1)

    await asyncio.gather(*(spawn(count()) for _ in range(20)))

    assert await value("SELECT n FROM counter") == 20


async def test_sixteen_tasks_of_two_tenants_never_meet(two_with_notes: Two) -> None:
    async def work(database: Database, name: str, other: str) -> None:
        with bind(database):
            for number in range(15):
                async with transaction():
                    await add(f"{name}-{number}")
                    await asyncio.sleep(0)
                    assert not [text for text in await texts() if text.startswith(other)]
                assert not [text for text in await texts() if text.startswith(other)]

    first, second = two_with_notes
    await asyncio.gather(
        *(work(first, f"a{number}", "b") for number in range(8)),
        *(work(second, f"b{number}", "a") for number in range(8)),
    )

    for each, letter in ((first, "a"), (second, "b")):
        with bind(each):
            found = await texts()
        assert len(found) == 120
        assert {text[0] for text in found} == {letter}


async def test_reading_keeps_one_picture_while_others_write(notes: Database) -> None:
    await add("before")

    async with reading():
        await spawn(add("meanwhile"))
        assert await texts() == ["before"]

    assert await texts() == ["before", "meanwhile"]


async def test_reading_may_fill_temporary_tables_and_nothing_else(notes: Database) -> None:
    await add("one")

    async with reading("CREATE TEMP TABLE plan (text text)"):
        await execute("INSERT INTO plan SELECT text || '!' FROM note")
        assert await values("SELECT text FROM plan") == ["one!"]
    with pytest.raises(Exception, match=r"not authorized|read-only"):
        await write_while_reading("INSERT INTO note (text) VALUES ('two')")
    with pytest.raises(Exception, match=r"not authorized|read-only"):
        await write_while_reading("DELETE FROM note")
    with pytest.raises(TransactionError):
        await transaction_while_reading()

    assert await texts() == ["one"]


async def write_while_reading(sql: str) -> None:
    async with reading():
        await execute(sql)


async def transaction_while_reading() -> None:
    async with reading(), transaction():
        pass


async def test_after_reading_the_connections_are_as_before(notes: Database) -> None:
    for _ in range(12):
        async with reading("CREATE TEMP TABLE plan (text text)"):
            await execute("INSERT INTO plan VALUES ('one')")

    with pytest.raises(Exception, match="plan"):
        await value("SELECT count(*) FROM plan")
    await add("one")
    assert await texts() == ["one"]


async def test_reading_inside_a_transaction_is_refused(notes: Database) -> None:
    async with transaction():
        with pytest.raises(TransactionError):
            await write_while_reading("SELECT 1")
