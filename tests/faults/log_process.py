"""A process that writes to a tenant's log, or delivers it, until it is killed: `python -m tests.faults.log_process`."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from core.activity.delivery import Deliveries, Line
from core.activity.unit import again, record, unit_of_work
from core.clock import SystemClock
from core.database import (
    Database,
    PostgresDatabase,
    PostgresServer,
    SqliteDatabase,
    bind,
    execute,
    execute_many,
    spawn,
    value,
)
from core.errors import Unavailable
from core.scope import Scope
from tests.core.log import ThingMade, scope_of

POISON: Final = 0
"""The thing at whose making every attempt fails."""


@dataclass(frozen=True)
class Recorder:
    """Writes down each position that it hears; at poison it fails after having written."""

    name: str = "recorder"
    kinds: frozenset[str] = frozenset({"thing_made"})
    apart: bool = False
    """For the control: what it does is committed by itself, not with the step of the cursor."""

    async def hear(self, scope: Scope, lines: Sequence[Line]) -> None:
        if self.apart:
            _refuse_poison(lines)
            await spawn(self._note(lines))
        else:
            await self._note(lines)
            _refuse_poison(lines)

    async def _note(self, lines: Sequence[Line]) -> None:
        await execute_many(
            "INSERT INTO effect (reader, position) VALUES (:reader, :position)",
            [{"reader": self.name, "position": line.position} for line in lines],
        )


def _refuse_poison(lines: Sequence[Line]) -> None:
    if any(line.subject_id == POISON for line in lines):
        raise ValueError("poison")


def quick_to_park() -> Deliveries:
    """As the product's, with shorter pauses."""
    moment = timedelta(milliseconds=50)
    return Deliveries(pauses=(moment, moment * 4), probes=(moment,))


async def write(scope: Scope) -> None:
    """One unit of work with up to twelve facts, one in two hundred of them poison."""
    async with unit_of_work(scope):
        await execute("INSERT INTO thing (name) VALUES ('x')")
        await asyncio.sleep(random.random() * 0.004)
        for _ in range(random.randint(1, 12)):
            record(scope, ThingMade(POISON if random.random() < 0.005 else random.randint(1, 9)))


async def drain(scope: Scope) -> None:
    """Deliver all that is left, letting a paused reader go on."""
    deliveries, recorder = quick_to_park(), Recorder()
    while await value("SELECT position - last FROM delivery, activity_head") != 0:
        await execute("UPDATE delivery SET paused_at = NULL, in_a_row = 0, retry_at = NULL")
        await again(lambda: deliveries.turn(scope, recorder))


def address_of(database: Database) -> str:
    """How another process opens it."""
    if isinstance(database, PostgresDatabase):
        return f"{database.server.app_dsn} {database.schema}"
    assert isinstance(database, SqliteDatabase)
    return str(database.path)


def _open(address: str) -> Database:
    if " " in address:
        dsn, schema = address.split()
        return PostgresDatabase(PostgresServer("test", dsn, size=4), schema)
    return SqliteDatabase(address)


async def _main(what: str, address: str, uuid: UUID) -> None:
    database = _open(address)
    database.owner = uuid
    scope, deliveries = scope_of(uuid, SystemClock()), quick_to_park()
    recorder = Recorder(apart=what == "deliver apart")

    async def step() -> float:
        """What it does, and how long it rests then."""
        if what == "write":
            await again(lambda: write(scope))
            return random.random() * 0.004
        if not await deliveries.due(scope, [recorder]):
            return 0.005
        return 0.005 if await again(lambda: deliveries.turn(scope, recorder)) is None else 0.0

    with bind(database):
        while True:
            try:
                rest = await step()
            except Unavailable:  # others were faster for long: so on a slow machine, and no reason to end
                rest = 0.005
            await asyncio.sleep(rest)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], UUID(sys.argv[3])))
