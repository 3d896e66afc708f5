"""Facts told to readers by the worker: how many a second, and what a write of the same tenant waits meanwhile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from bench.harness import Options, Row, at_least, at_most, percentile, timed
from core.activity.actions import enable_reader
from core.activity.delivery import Line
from core.activity.unit import record, record_set, unit_of_work
from core.clock import SystemClock
from core.database import execute, execute_many, spawn, value
from core.jobs.worker import Work, Worker
from tests.core.jobs.registry import Tenants
from tests.core.log import ThingChanged, ThingMade, tenant_on
from tests.postgres import ENVIRONMENT, start_cluster

if TYPE_CHECKING:
    from core.scope import Scope

EVENTS: Final = 100_000
CHUNK: Final = 5_000
EVERY: Final = 0.005
"""Seconds between two writes of the one who writes beside."""
FACTS: Final = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many)
SELECT i AS subject_id, i AS customer_id, '{"thing_id":' || i || '}' AS facts FROM n
"""
INSERT: Final = "INSERT INTO effect (reader, position) VALUES ('ear', :position)"


@dataclass(frozen=True)
class Ear:
    """A reader with one of the handlers below."""

    do: Callable[[Sequence[Line]], Awaitable[None]]
    name: str = "ear"
    kinds: frozenset[str] = frozenset({"thing_made"})

    async def hear(self, scope: Scope, lines: Sequence[Line]) -> None:
        await self.do(lines)


async def looping(lines: Sequence[Line]) -> None:
    """As most handlers are written: one statement an event."""
    for line in lines:
        await execute(INSERT, position=line.event.about and line.position)


async def in_bulk(lines: Sequence[Line]) -> None:
    await execute_many(INSERT, ({"position": line.position} for line in lines))


async def waiting(lines: Sequence[Line]) -> None:
    """A slow one: 1 ms an event."""
    await asyncio.sleep(0.001 * len(lines))
    await in_bulk(lines)


async def run(options: Options) -> list[Row]:
    events = options.sizes[0] if options.sizes else EVENTS
    found: list[Row] = []
    for kind in options.databases:
        if kind == "postgresql":
            os.environ[ENVIRONMENT] = start_cluster("bench", durable=True)
        async with tenant_on(kind, options.folder, SystemClock()) as scope:
            options.say(f"{kind}: {events:,} events")
            found += await _measured(scope, kind, events)
    return found


async def _measured(scope: Scope, kind: str, events: int) -> list[Row]:
    await execute("INSERT INTO thing (name) VALUES ('x')")
    idle = await _writes_beside(scope, asyncio.sleep(2))
    with timed() as wrote:
        await _happen(scope, events)
    found = [
        Row("facts written by a run, set-based", kind, events / wrote.seconds, "events/s"),
        Row("a write beside nothing waits, p99", kind, percentile(idle, 99), "ms"),
    ]
    anchor = await _bare(scope, min(events, CHUNK))
    for what, handler, told in (
        ("a looping handler", looping, events),
        ("a set-based handler", in_bulk, events),
        ("a slow handler (1 ms an event)", waiting, events // 20),
    ):
        with timed() as took:
            waits = await _writes_beside(scope, _deliver(scope, handler, told))
        rate, name = told / took.seconds, f"facts told to {what}, somebody writing beside"
        if handler is looping:
            found.append(replace(at_least(name, kind, rate, "events/s", 5_000), anchor=anchor))
        else:
            found.append(Row(name, kind, rate, "events/s"))
        found.append(at_most(f"a write beside {what} waits, p99", kind, percentile(waits, 99), "ms", 100))
    return found


async def _bare(scope: Scope, events: int) -> float:
    """The anchor: the same inserts, a hundred in a unit of work, without delivery and with nobody beside."""
    with timed() as took:
        for begin in range(0, events, 100):
            async with unit_of_work(scope):
                for position in range(begin, begin + 100):
                    await execute(INSERT, position=position)
    await execute("DELETE FROM effect")
    return events / took.seconds


async def _happen(scope: Scope, events: int) -> None:
    """As a billing run writes them."""
    for _ in range(0, events, CHUNK):
        async with unit_of_work(scope):
            record_set(scope, ThingMade, FACTS, many=min(CHUNK, events))


async def _deliver(scope: Scope, handler: Callable[[Sequence[Line]], Awaitable[None]], events: int) -> None:
    """The worker tells the last so many events to a reader that is far behind."""
    ear = Ear(handler)
    await enable_reader(scope, "ear")
    target = int(await value("SELECT last FROM activity_head"))
    await execute("UPDATE delivery SET position = :position", position=target - events)
    worker = Worker(Tenants.of(scope), lambda _: Work({}, readers=[ear]))
    running = spawn(worker.run())
    while int(await value("SELECT position FROM delivery")) < target:
        await asyncio.sleep(0.05)
    await worker.stop()
    await running
    await execute("DELETE FROM delivery")
    await execute("DELETE FROM effect")


async def _writes_beside(scope: Scope, work: Awaitable[None]) -> list[float]:
    """What a unit of work took, in ms, each few milliseconds while the work went on."""
    over = asyncio.Event()
    waits: list[float] = []

    async def write() -> None:
        while not over.is_set():
            began = perf_counter()
            async with unit_of_work(scope):
                await execute("UPDATE thing SET name = 'y'")
                record(scope, ThingChanged(1))
            waits.append((perf_counter() - began) * 1000)
            await asyncio.sleep(EVERY)

    writing = spawn(write())
    try:
        await work
    finally:
        over.set()
        await writing
    return waits
