"""A tenant on which processes bill, are killed, and are started again; and what its books must be like afterwards."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from msgspec import Struct

from core.billing.jobs import BILL, ToBill
from core.billing.run import run_billing
from core.billing.starting import start_run
from core.billing.verify import verify
from core.clock import FixedClock, SystemClock
from core.database import bind, current, dialect, rows, value, values
from core.jobs.actions import enqueue
from core.scope import Scope
from tests.billing_world import DAY, Written, books, make_world, morning, parked, plans, run_day
from tests.books import APPS
from tests.databases import fresh
from tests.faults.billing_process import Asked, Forge, Started
from tests.faults.log_process import address_of

PAYERS: Final = 240
CHUNK: Final = 8
"""Payers of a chunk: so few that a run is thirty chunks, and kills come in all of them."""


@asynccontextmanager
async def world_on(kind: str, folder: Path) -> AsyncIterator[Scope]:
    """The tenant, bound, its clock standing on the first morning. The same each time."""
    async with fresh(kind, folder, APPS) as database:
        scope = await make_world(database, FixedClock(morning(DAY)), PAYERS)
        with bind(database):
            yield scope


def set_day(scope: Scope, month: int) -> None:
    assert isinstance(scope.clock, FixedClock)
    scope.clock.set(morning(run_day(month)))


@dataclass
class Harness:
    """Processes at one tenant, and what became of those that were killed."""

    scope: Scope
    forge: Forge
    kills: int = 0
    in_chunk: int = 0
    months: int = 0
    apart: bool = False
    """For the control."""
    processes: list[Started] = field(default_factory=list)

    def asked(self, what: str, **more: object) -> Asked:
        shift = (self.scope.now() - SystemClock().now()).total_seconds()
        tenant = self.scope.tenant.uuid
        return Asked(what, address_of(current()), tenant, shift, "", CHUNK, apart=self.apart, **more)  # type: ignore[arg-type]  # by name

    async def bill_and_kill(self, workers: int, kills: int) -> None:
        """The next month, by so many workers, killed so often at random moments of the run and started again."""
        set_day(self.scope, self.months)
        day = self.scope.today()
        jobs = [await start_run(self.scope, day, confirmed=True)]
        if workers > 1:
            jobs.append(await start_run(self.scope, day))
            # The job of one that was killed waits until it is lost: there is another one for who comes instead.
            jobs += [await enqueue(self.scope, BILL, ToBill(day, True)) for _ in range(2)]
        self.processes = [self.forge.start(self.asked("worker")) for _ in range(workers)]
        wanted = self.kills + kills
        try:
            async with asyncio.timeout(90):
                while await self.at_work(jobs):
                    if self.kills < wanted:
                        await self._kill_one()
                    else:
                        await asyncio.sleep(0.02)
        finally:
            for each in self.processes:
                each.kill()
        self.months += 1

    async def at_work(self, jobs: list[int]) -> bool:
        left = await value("SELECT count(*) FROM job WHERE id IN :jobs AND state <> 'done'", jobs=jobs)
        failed = await value("SELECT error FROM job WHERE id IN :jobs AND state = 'failed' LIMIT 1", jobs=jobs)
        assert failed is None, failed
        return bool(left)

    async def _kill_one(self) -> None:
        """One that is in the run; it counts if it still was when it went."""
        running = [at for at, each in enumerate(self.processes) if each.is_in_run]
        if not running:
            await asyncio.sleep(0.003)
            return
        at = random.choice(running)
        killed = self.processes[at]
        if random.random() < 0.3:
            await asyncio.sleep(random.uniform(0, 0.3))  # also while the day is turned, and between two chunks
        else:
            while killed.is_in_run and not killed.is_in_chunk:
                await asyncio.sleep(0.001)
            await asyncio.sleep(random.uniform(0, 0.04))
        assert not killed.is_gone, killed.errors
        killed.kill()
        if killed.is_in_run:
            self.kills += 1
            self.in_chunk += killed.is_in_chunk
        self.processes[at] = self.forge.start(self.asked("worker"))


class Twice(Struct, frozen=True):
    subscription_id: int
    period_start: str


async def check_books(scope: Scope) -> None:
    """Every invariant holds, every charge that was made stands on one line, numbers run from 1."""
    wrong = await verify(scope)
    assert wrong == [], wrong
    assert await rows(Twice, TWICE) == []
    for kind, before in (("invoice", ""), ("credit_note", "CN-")):
        for year in range(2027, 2032):
            numbers = await values(
                "SELECT number FROM document WHERE kind = :kind AND year = :year ORDER BY number", kind=kind, year=year
            )
            assert numbers == [f"{before}{year}-{n:06}" for n in range(1, len(numbers) + 1)]
    if dialect() == "sqlite":
        assert await value("SELECT * FROM pragma_integrity_check") == "ok"


TWICE: Final = """
SELECT subscription_id, CAST(period_start AS text) AS period_start FROM charge
WHERE kind = 'recurring' GROUP BY subscription_id, period_start HAVING count(*) > 1
"""


async def undisturbed(kind: str, folder: Path, months: int) -> tuple[list[Written], object, object]:
    """What the same months come to in the same world, when nobody is killed."""
    async with world_on(kind, folder) as scope:
        for month in range(months):
            set_day(scope, month)
            await run_billing(scope, scope.today(), confirmed=True, pause=0)
        return await books(), await plans(), await parked()
