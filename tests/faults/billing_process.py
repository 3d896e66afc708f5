"""Processes that bill a tenant until they are killed, made quickly: `python -m tests.faults.billing_process`.

That process has imported everything. For each line that it reads it forks one that is asked for, and answers with its
pid. What the forked ones have come to they write into a file, one sign after the other.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from core.activity.unit import again
from core.billing import chunks, writing
from core.billing.due import next_payers, stage
from core.billing.jobs import BILL, ToBill
from core.billing.numbering import Numbers
from core.billing.plan import work_out
from core.billing.run import run_billing
from core.billing.run_reports import RunReport
from core.billing.staging import prepare
from core.clock import SystemClock
from core.database import bind, transaction, value
from core.errors import Unavailable
from core.jobs import claims
from core.jobs.kinds import Job, JobKind
from core.jobs.worker import Work, Worker
from core.scope import Scope, command_actor
from tests.billing_world import world_scope
from tests.faults.log_process import _open
from tests.faults.mail_process import OneTenant

ROOT: Final = Path(__file__).parents[2]
LEASE: Final = 0.6
"""Seconds after which the job of a killed worker is lost: a test does not wait for a minute."""


class Sign(StrEnum):
    """What a process has come to."""

    READY = "-"
    RUN = "R"
    CHUNK = "("
    CHUNK_OVER = ")"
    RUN_OVER = "r"
    OVER = "."
    REFUSED = "!"


class Asked(Struct, frozen=True):
    """What a process is to be: a worker, or a command that bills a date and ends.

    `shift`: seconds that its clock is ahead of the machine's. `begin_with`, `bill_with`: files; it begins once that
    one is there, and bills its first chunk once this one is. `apart`: for the control, the numbers of a chunk are
    taken in a commit of their own.
    """

    what: str
    address: str
    tenant: UUID
    shift: float
    signs: str
    chunk_size: int
    as_of: date | None = None
    begin_with: str = ""
    bill_with: str = ""
    apart: bool = False


class Ahead:
    """A clock that goes with the machine's, so many seconds ahead."""

    def __init__(self, seconds: float) -> None:
        self._by = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return SystemClock().now() + self._by


# -- in a forked process ----------------------------------------------------------------------------------------------


class Billing:
    """One process that bills."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._signs = os.open(asked.signs, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def say(self, sign: Sign, more: str = "") -> None:
        os.write(self._signs, (sign + more).encode())

    async def main(self) -> None:
        asked = self._asked
        database = _open(asked.address)
        scope = world_scope(database, asked.tenant, Ahead(asked.shift))
        self._show_chunks()
        if asked.apart:
            take_numbers_apart()
        if asked.begin_with:
            with bind(database):
                await value("SELECT 1")
            self.say(Sign.READY)
            await _there(asked.begin_with)
        if asked.what == "worker":
            # One job each, so that both processes are at the same run.
            work = Work({BILL.name: self._kind()})
            await Worker(OneTenant(database, scope), lambda _: work, slow_a_tenant=1, sweep_every=0.1).run()
        else:
            assert asked.as_of is not None
            with bind(database):
                await self._command(scope.as_actor(command_actor("billing run")), asked.as_of)

    def _kind(self) -> JobKind[ToBill]:
        """As the product's, but in small chunks, lost sooner, and not given up after some kills."""

        async def bill(scope: Scope, job: Job[ToBill]) -> RunReport:
            return await self._bill(scope, job.payload.as_of, job.payload.confirmed, job.progress)

        bill.__module__, bill.__qualname__ = BILL.run.__module__, BILL.run.__qualname__
        return replace(BILL, run=bill, lease=LEASE, attempts=10_000)

    async def _command(self, scope: Scope, as_of: date) -> None:
        """As `tenantry billing run --yes` does it."""
        try:
            await again(lambda: self._bill(scope, as_of, True))
        except Unavailable as error:
            self.say(Sign.REFUSED, error.message)
        self.say(Sign.OVER)

    async def _bill(self, scope: Scope, as_of: date, confirmed: bool, progress: Any = None) -> RunReport:
        self.say(Sign.RUN)
        try:
            return await run_billing(
                scope, as_of, confirmed=confirmed, chunk_size=self._asked.chunk_size, pause=0.001, progress=progress
            )
        finally:
            self.say(Sign.RUN_OVER)

    def _show_chunks(self) -> None:
        bill_chunk = chunks._bill_chunk

        async def shown(work: Any) -> Any:
            self.say(Sign.CHUNK)
            if self._asked.bill_with:
                await _there(self._asked.bill_with)
            try:
                return await bill_chunk(work)
            finally:
                self.say(Sign.CHUNK_OVER)

        chunks._bill_chunk = shown


async def _there(file: str) -> None:
    while not Path(file).exists():
        await asyncio.sleep(0.001)


def take_numbers_apart() -> None:
    """For the control: count a chunk's documents, take their numbers and commit that; then bill the chunk."""
    bill_chunk = chunks._bill_chunk
    taken: list[Numbers] = []

    async def count(work: Any) -> int:
        async with transaction():
            done = await value("SELECT after_payer_id FROM billing_run WHERE id = :id", id=work.plan.run_id)
            payers = await next_payers(work, done)
            if not payers:
                return 0
            await prepare()
            await stage(work, done, payers[-1])
            await work_out(work.plan)
            return int(await value("SELECT count(*) FROM stage_document"))

    async def apart(work: Any) -> Any:
        if documents := await count(work):
            async with transaction():
                taken.append(await take("invoice", work.plan.seller.id, work.plan.issued_on, documents))
        return await bill_chunk(work)

    async def given(kind: str, seller_id: int, issued_on: date, documents: int) -> Numbers:
        return taken.pop() if taken else await take(kind, seller_id, issued_on, documents)

    numbers: Any = writing
    take = numbers.take_numbers
    chunks._bill_chunk, numbers.take_numbers = apart, given


def _begin(asked: Asked) -> None:
    """Become the process that is asked for."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    errors = os.open(f"{asked.signs}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for place, instead in ((0, nothing), (1, errors), (2, errors)):
        os.dup2(instead, place)
    claims.PAUSES = (0.05,)  # type: ignore[misc,assignment]  # a test does not wait for five seconds
    asyncio.run(Billing(asked).main())


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who is gone is gone at once
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            try:
                _begin(msgspec.json.decode(line, type=Asked))
            finally:
                os._exit(0)
        print(pid, flush=True)


# -- in the test ------------------------------------------------------------------------------------------------------


class Started:
    """A process that was forked, and what it has said."""

    def __init__(self, pid: int, signs: Path) -> None:
        self.pid, self._path = pid, signs

    @property
    def signs(self) -> str:
        return self._path.read_text() if self._path.exists() else ""

    @property
    def is_in_run(self) -> bool:
        signs = self.signs
        return signs.count(Sign.RUN) > signs.count(Sign.RUN_OVER)

    @property
    def is_in_chunk(self) -> bool:
        signs = self.signs
        return signs.count(Sign.CHUNK) > signs.count(Sign.CHUNK_OVER)

    @property
    def is_gone(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        return False

    @property
    def errors(self) -> str:
        path = Path(f"{self._path}.log")
        return path.read_text() if path.exists() else ""

    def kill(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        while not self.is_gone:
            time.sleep(0.001)


class Forge:
    """Where processes come from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.all: list[Started] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.billing_process"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, asked: Asked) -> Started:
        signs = self._folder / f"signs-{len(self.all)}"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(msgspec.structs.replace(asked, signs=str(signs))).decode() + "\n")
        self._process.stdin.flush()
        started = Started(int(self._process.stdout.readline()), signs)
        self.all.append(started)
        return started

    def close(self) -> None:
        for each in self.all:
            if not each.is_gone:
                each.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


if __name__ == "__main__":
    main()
