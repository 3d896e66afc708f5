"""Deliverers and writers killed at random: nothing is missing, nothing is told twice, all of it in order.

The controls show what the tests would catch: a log in the order of a sequence loses facts, and a head that is taken in
the middle of a unit deadlocks.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from core.activity import queries
from core.activity.actions import enable_reader
from core.activity.unit import record, unit_of_work
from core.clock import SystemClock
from core.database import current, dialect, execute, spawn, transaction, value, values
from core.errors import TryAgain
from core.scope import Scope
from tests.core.log import ThingMade, tenant_on
from tests.databases import define
from tests.faults.log_process import POISON, address_of, drain, write

ROOT = Path(__file__).parents[2]


class Processes:
    """Some that deliver or write, each replaced when it is killed."""

    def __init__(self, address: str, uuid: UUID, *whats: str) -> None:
        self._arguments = [
            [sys.executable, "-m", "tests.faults.log_process", what, address, str(uuid)] for what in whats
        ]
        self._running = [self._start(place) for place in range(len(whats))]

    def _start(self, place: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._arguments[place], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_one(self) -> None:
        place = random.randrange(len(self._running))
        killed = self._running[place]
        assert killed.poll() is None, f"{self._arguments[place]} had ended by itself"
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        self._running[place] = self._start(place)

    def kill_all(self) -> None:
        for running in self._running:
            running.kill()
            running.wait()


async def kill(scope: Scope, processes: Processes, times: int) -> None:
    """At random moments, but never before delivery goes on since the last time."""
    for _ in range(times):
        before = await value("SELECT count(*) FROM effect")
        async with asyncio.timeout(60):
            while await value("SELECT count(*) FROM effect") < before + 10:
                await asyncio.sleep(0.02)
        await asyncio.sleep(random.uniform(0.05, 0.4))
        processes.kill_one()


async def check_all_was_heard(scope: Scope) -> None:
    await drain(scope)
    told = await values("SELECT position FROM effect ORDER BY id")
    poison = await values("SELECT position FROM activity WHERE subject_id = :poison ORDER BY position", poison=POISON)
    parked = await values("SELECT position FROM delivery_parked ORDER BY position")
    head = await queries.head()
    assert await values("SELECT position FROM activity ORDER BY position") == list(range(1, head + 1))
    assert parked == poison
    assert told == [position for position in range(1, head + 1) if position not in set(poison)]
    if dialect() == "sqlite":
        assert await value("SELECT * FROM pragma_integrity_check") == "ok"


async def kill_on_sqlite(tmp_path: Path, times: int) -> None:
    async with tenant_on("sqlite", tmp_path, SystemClock()) as scope:
        await enable_reader(scope, "recorder")
        processes = Processes(address_of(current()), scope.tenant.uuid, "deliver", "deliver", "write", "write")
        try:
            await kill(scope, processes, times)
        finally:
            processes.kill_all()
        await check_all_was_heard(scope)


async def kill_on_postgresql(tmp_path: Path, times: int) -> None:
    async with killed_on_postgresql(tmp_path, times, "deliver") as scope:
        await check_all_was_heard(scope)


@asynccontextmanager
async def killed_on_postgresql(tmp_path: Path, times: int, what: str) -> AsyncIterator[Scope]:
    """Eight writers in this process, three that deliver in their own, killed so often."""
    async with tenant_on("postgresql", tmp_path, SystemClock()) as scope:
        await enable_reader(scope, "recorder")
        processes = Processes(address_of(current()), scope.tenant.uuid, what, what, what)
        stop = asyncio.Event()

        async def keep_writing() -> None:
            while not stop.is_set():
                await write(scope)

        writers = [spawn(keep_writing()) for _ in range(8)]
        try:
            await kill(scope, processes, times)
        finally:
            stop.set()
            await asyncio.gather(*writers)
            processes.kill_all()
        yield scope


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_deliverers_and_writers_killed_on_sqlite_lose_nothing_and_tell_nothing_twice(tmp_path: Path) -> None:
    await kill_on_sqlite(tmp_path, 6)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_deliverers_killed_on_postgresql_lose_nothing_and_tell_nothing_twice(tmp_path: Path) -> None:
    await kill_on_postgresql(tmp_path, 6)


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_sixty_kills_on_sqlite(tmp_path: Path) -> None:
    await kill_on_sqlite(tmp_path, 60)


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_sixty_kills_on_postgresql(tmp_path: Path) -> None:
    await kill_on_postgresql(tmp_path, 60)


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_control_what_is_committed_apart_from_the_step_is_found_told_twice(tmp_path: Path) -> None:
    async with killed_on_postgresql(tmp_path, 30, "deliver apart") as scope:
        await drain(scope)

        told = await values("SELECT position FROM effect")
        assert len(told) > len(set(told))


@pytest.mark.slow
async def test_control_a_log_in_the_order_of_a_sequence_loses_what_commits_late(tmp_path: Path) -> None:
    async with tenant_on("postgresql", tmp_path, SystemClock()):
        await define("CREATE TABLE numbered (id {id}, name text NOT NULL)")
        began, go_on = asyncio.Event(), asyncio.Event()

        async def late() -> None:
            async with transaction():
                await execute("INSERT INTO numbered (name) VALUES ('first')")
                began.set()
                await go_on.wait()

        first = spawn(late())
        await began.wait()
        await execute("INSERT INTO numbered (name) VALUES ('second')")
        seen = await values("SELECT id FROM numbered WHERE id > 0 ORDER BY id")
        go_on.set()
        await first
        seen += await values("SELECT id FROM numbered WHERE id > :cursor ORDER BY id", cursor=max(seen))

        assert seen == [2]
        assert await values("SELECT id FROM numbered ORDER BY id") == [1, 2]


@pytest.mark.slow
async def test_the_same_in_the_order_of_the_head_loses_nothing(tmp_path: Path) -> None:
    async with tenant_on("postgresql", tmp_path, SystemClock()) as scope:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def late() -> None:
            async with unit_of_work(scope):
                record(scope, ThingMade(1))
                began.set()
                await go_on.wait()

        first = spawn(late())
        await began.wait()
        async with unit_of_work(scope):
            record(scope, ThingMade(2))
        seen = await values("SELECT subject_id FROM activity WHERE position > 0 ORDER BY position")
        go_on.set()
        await first
        seen += await values(
            "SELECT subject_id FROM activity WHERE position > :cursor ORDER BY position", cursor=len(seen)
        )

        assert seen == [2, 1]


async def write_in_two_steps(scope: Scope, *, head_in_the_middle: bool) -> int:
    """Twelve writers that each touch one row twice. How often they had to be run again."""
    await execute("INSERT INTO thing (id, name) VALUES (1, 'x')")
    again = 0

    async def one(number: int) -> None:
        nonlocal again
        for _ in range(8):
            try:
                async with unit_of_work(scope):
                    if not head_in_the_middle or number % 2:
                        await execute("UPDATE thing SET name = 'y' WHERE id = 1")
                    if head_in_the_middle:
                        await execute("UPDATE activity_head SET last = last WHERE one = 1")
                    await asyncio.sleep(0.001)
                    await execute("UPDATE thing SET name = 'z' WHERE id = 1")
                    record(scope, ThingMade(1))
            except TryAgain:
                again += 1

    await asyncio.gather(*(spawn(one(number)) for number in range(12)))
    return again


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("in_the_middle", [True, False])
async def test_control_a_head_that_is_not_taken_last_deadlocks(tmp_path: Path, in_the_middle: bool) -> None:
    async with tenant_on("postgresql", tmp_path, SystemClock()) as scope:
        deadlocks = await write_in_two_steps(scope, head_in_the_middle=in_the_middle)

        assert (deadlocks > 0) == in_the_middle


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("ordered_by", ["sequence", "head"])
async def test_control_under_load_a_sequence_loses_and_the_head_does_not(tmp_path: Path, ordered_by: str) -> None:
    async with tenant_on("postgresql", tmp_path, SystemClock()) as scope:
        await define("CREATE TABLE numbered (id {id}, name text NOT NULL)")
        column, table = ("position", "activity") if ordered_by == "head" else ("id", "numbered")
        further = f"SELECT {column} FROM {table} WHERE {column} > :cursor ORDER BY {column}"
        seen: list[int] = []
        done = False

        async def writer() -> None:
            for _ in range(60):
                if ordered_by == "head":
                    await write_one(scope)
                    continue
                async with transaction():
                    await execute("INSERT INTO numbered (name) VALUES ('x')")
                    await asyncio.sleep(random.random() * 0.01)

        async def reader() -> None:
            while True:
                last_look = done
                seen.extend(await values(further, cursor=max(seen, default=0)))
                if last_look:
                    return
                await asyncio.sleep(0.001)

        reading = spawn(reader())
        await asyncio.gather(*(spawn(writer()) for _ in range(16)))
        done = True
        await reading

        assert (len(seen) == 960) == (ordered_by == "head")
        if ordered_by == "head":
            assert seen == list(range(1, 961))


async def write_one(scope: Scope) -> None:
    async with unit_of_work(scope):
        record(scope, ThingMade(1))
        await asyncio.sleep(random.random() * 0.01)
