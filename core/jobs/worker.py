"""The worker: one small loop that visits tenants which were woken, fairly, and does what their rows say is due.

A visit binds the tenant in a clean context, starts what the clock has come to, takes turns of delivery and claims
jobs, for 200 ms; then the next tenant has its turn. A job that takes longer goes on beside the visits, within limits,
so one tenant's slow mail server keeps nobody waiting.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID

import structlog

from core.activity.delivery import Deliveries, Reader, next_retry
from core.activity.sealing import AT_ONCE, seal, seal_due
from core.activity.unit import again, listen
from core.clock import Clock, SystemClock
from core.database import dialect
from core.errors import Unavailable
from core.jobs import claims
from core.jobs.actions import kept_actor
from core.jobs.attempts import attempt
from core.jobs.kinds import Claim, JobKind
from core.jobs.schedules import Schedule, start_due
from core.scope import schedule_actor
from core.texts import speaking

if TYPE_CHECKING:
    from core.scope import Actor, Scope

BUDGET: Final = 0.2
"""Seconds of a visit, after which another tenant has its turn."""
PAUSE: Final = 0.02
"""Seconds between two turns of delivery on SQLite: other processes get the write lock meanwhile."""
LOCKED: Final = timedelta(seconds=1)
"""Another process is at a reader: it is looked at again after this."""
SOON: Final = timedelta(seconds=60)
"""What is due within this is waited for here; what is due later is noted in the registry."""
ALL_EVERY: Final = 3600.0
"""Seconds between two rounds through all tenants: they find what a lost hint has left."""
TROUBLE: Final = (1.0, 5.0, 30.0, 120.0)
"""Seconds before a tenant that could not be visited is visited again."""

_log = structlog.stdlib.get_logger(__name__)


class WakeUp(Protocol):
    """Tells the workers that a tenant has work. In process it is the worker itself; between machines a message."""

    def wake(self, tenant: UUID) -> None:
        """Something may be due. Cheap, never blocks, safe to call too often; the sweep makes good a lost call."""


class NotServed(Exception):
    """The tenant is suspended, being moved or under repair: it keeps its place, and is not visited."""


class Registry(Protocol):
    """What the worker needs to know of the host's tenants."""

    async def due(self, now: datetime) -> Sequence[UUID]:
        """The tenants whose hint has come; taking them forgets the hints."""

    async def every(self) -> Sequence[UUID]:
        """All tenants that are served."""

    def open(self, tenant: UUID) -> AbstractAsyncContextManager[Callable[[Actor], Scope]]:
        """Binds the tenant and gives what makes its scopes. Raises NotServed."""

    async def note_due(self, tenant: UUID, at: datetime) -> None:
        """A hint that there will be something to do at this instant; the sooner of two stays."""


@dataclass(frozen=True)
class Work:
    """What may be done for a tenant: the core's, and that of the plugins that are on."""

    kinds: Mapping[str, JobKind[Any]]
    schedules: Sequence[Schedule] = ()
    readers: Sequence[Reader] = ()


@dataclass(eq=False)
class _Running:
    """A job at work in its own task; `beside` the visits when it has outlasted its own."""

    claim: Claim
    task: asyncio.Task[None]
    beside: bool = False


@dataclass(eq=False)
class Worker:
    """Visits tenants, `at_once` of them at a time, each for `budget` seconds. Is the WakeUp of its own process.

    Up to `slow_at_once` jobs that outlast a visit are at work beside it, of one tenant `slow_a_tenant`.
    """

    registry: Registry
    work: Callable[[Scope], Work]
    at_once: int = 4
    budget: float = BUDGET
    slow_at_once: int = 16
    slow_a_tenant: int = 3
    sweep_every: float = 1.0
    clock: Clock = field(default_factory=SystemClock)
    deliveries: Deliveries = field(default_factory=Deliveries)
    _ring: deque[UUID] = field(default_factory=deque)
    _state: dict[UUID, str] = field(default_factory=dict)
    _any: asyncio.Event = field(default_factory=asyncio.Event)
    _visits: set[asyncio.Task[None]] = field(default_factory=set)
    _jobs: dict[UUID, set[_Running]] = field(default_factory=dict)
    _crowded: set[UUID] = field(default_factory=set)
    _noted: dict[UUID, datetime] = field(default_factory=dict)
    _troubles: dict[UUID, int] = field(default_factory=dict)
    _timers: dict[UUID, asyncio.TimerHandle] = field(default_factory=dict)
    _stopping: bool = False

    def wake(self, tenant: UUID) -> None:
        """Something may be due. Cheap, never blocks, safe to call too often."""
        if self._stopping:
            return
        state = self._state.get(tenant)
        if state is None:
            self._state[tenant] = "waiting"
            self._ring.append(tenant)
            self._any.set()
        elif state == "visited":
            self._state[tenant] = "again"

    async def run(self) -> None:
        """Until `stop()`. Commits of this process wake their tenant; everything else is found by the sweep."""
        free = asyncio.Semaphore(self.at_once)
        deaf = listen(lambda tenant, _: self.wake(tenant))
        sweeping = _background(self._sweep())
        try:
            while True:
                await free.acquire()
                while not self._ring and not self._stopping:
                    self._any.clear()
                    await self._any.wait()
                if self._stopping:
                    return
                tenant = self._ring.popleft()
                self._state[tenant] = "visited"
                visit = _background(self._visited(tenant))
                self._visits.add(visit)
                visit.add_done_callback(self._visits.discard)
                visit.add_done_callback(lambda _: free.release())
        finally:
            deaf()
            await _broken_off([sweeping])

    async def stop(self, grace: float = 10.0) -> None:
        """Begin nothing new; let visits and jobs end for so many seconds; then break off what is left.

        A job that is broken off before its effect goes back to its place; one in the middle of it ends as unknown.
        """
        self._stopping = True
        self._any.set()
        for timer in self._timers.values():
            timer.cancel()
        end = time.monotonic() + grace
        while at_work := [*self._visits, *(running.task for some in self._jobs.values() for running in some)]:
            _, late = await asyncio.wait(at_work, timeout=max(0.0, end - time.monotonic()))
            await _broken_off(late)

    async def visit(self, tenant: UUID) -> bool:
        """One visit, now. True: there may be more to do at once. For the loop, and for commands and tests."""
        async with self.registry.open(tenant) as scope_of:
            scope = scope_of(schedule_actor("worker"))
            with speaking(scope.locale):
                return await self._visit(tenant, scope)

    async def _visit(self, tenant: UUID, scope: Scope) -> bool:
        work = self.work(scope)
        began = time.monotonic()
        soonest = [await start_due(scope, work.schedules)]
        await claims.recover(work.kinds, scope.now())
        more, locked = await self._deliver(scope, work, began + self.budget / 2)
        to_seal = await self._seal(scope, began + self.budget)
        if await self._do_jobs(tenant, scope, work, began + self.budget) or more:
            return True
        if locked:
            soonest.append(scope.now() + LOCKED)
        soonest.append(to_seal)
        soonest.append(await next_retry(work.readers))
        soonest.append(await claims.next_due(() if tenant in self._crowded else work.kinds))
        await self._come_back(tenant, scope.now(), min((at for at in soonest if at is not None), default=None))
        return False

    async def until_idle(self, tenant: UUID) -> None:
        """Visit until nothing is due now and nothing of this tenant is at work: for commands and tests."""
        more = True
        while more:
            more = await self.visit(tenant)
            running = [running.task for running in self._jobs.get(tenant, ())]
            if running:
                await asyncio.wait(running)
                more = True

    async def _visited(self, tenant: UUID) -> None:
        more = False
        try:
            more = await again(partial(self.visit, tenant))
            self._troubles.pop(tenant, None)
        except NotServed:
            pass
        except Unavailable as error:
            self._trouble(tenant, error)
        except Exception as error:
            _log.exception("tenant could not be visited", tenant=str(tenant))
            self._trouble(tenant, error)
        finally:
            asked = self._state.pop(tenant, None) == "again"
            if asked or more:
                self.wake(tenant)

    def _trouble(self, tenant: UUID, error: Exception) -> None:
        times = self._troubles[tenant] = self._troubles.get(tenant, 0) + 1
        _log.warning("tenant is visited again later", tenant=str(tenant), times=times, error=str(error))
        self._in(tenant, TROUBLE[min(times, len(TROUBLE)) - 1])

    async def _deliver(self, scope: Scope, work: Work, until: float) -> tuple[bool, bool]:
        """Turns of the readers that have something to hear, one each in rotation. Whether more waits; whether another
        process was at a reader."""
        locked, pause = False, PAUSE if dialect() == "sqlite" else 0.0
        waiting = deque(await self.deliveries.due(scope, work.readers) if work.readers else ())
        while waiting:
            reader = waiting.popleft()
            turn = await again(partial(self.deliveries.turn, scope, reader))
            locked = locked or turn is None
            if turn is not None and turn.more:
                waiting.append(reader)
            if time.monotonic() >= until or self._stopping:
                return True, locked
            await asyncio.sleep(pause)
            if not waiting and not locked:
                waiting.extend(await self.deliveries.due(scope, work.readers))
        return False, locked

    async def _seal(self, scope: Scope, until: float) -> datetime | None:
        """Seals what is due of the log; when there will be more."""
        due = await seal_due(scope)
        while due is not None and due <= scope.now() and time.monotonic() < until and not self._stopping:
            if await again(partial(seal, scope)) < AT_ONCE:
                return await seal_due(scope)
            due = await seal_due(scope)
        return due

    async def _do_jobs(self, tenant: UUID, scope: Scope, work: Work, until: float) -> bool:
        """Claims and does jobs one after the other; one that is not done when the visit ends goes on beside it.

        True: there may be more to do. Where no more may be at work, the end of one wakes the tenant.
        """
        some = False
        waiting: deque[claims.Due] = deque()
        while not some or time.monotonic() < until:
            if self._stopping or self._is_full(tenant):
                self._crowded.add(tenant)
                return False
            waiting.extend(() if waiting else await claims.due_jobs(work.kinds, scope.now()))
            if not waiting:
                return some
            due = waiting.popleft()
            claim = await claims.claim(work.kinds[due.kind], due.id, scope.now())
            if claim is None:
                continue
            some = True
            running = self._begin(tenant, claim, work.kinds[claim.kind])
            await asyncio.wait({running.task}, timeout=max(0.01, until - time.monotonic()))
            running.beside = not running.task.done()
        return True

    def _is_full(self, tenant: UUID) -> bool:
        mine = len(self._jobs.get(tenant, ()))
        return mine >= self.slow_a_tenant or sum(map(len, self._jobs.values())) >= self.slow_at_once

    def _begin(self, tenant: UUID, claim: Claim, kind: JobKind[Any]) -> _Running:
        running = _Running(claim, _background(self._do(tenant, claim, kind)))
        self._jobs.setdefault(tenant, set()).add(running)
        running.task.add_done_callback(lambda _: self._is_over(tenant, running))
        return running

    async def _do(self, tenant: UUID, claim: Claim, kind: JobKind[Any]) -> None:
        """One attempt, in its own task and context, as the actor that enqueued it."""
        structlog.contextvars.bind_contextvars(job=claim.id, kind=claim.kind)
        async with self.registry.open(tenant) as scope_of:
            scope = scope_of(kept_actor(claim.actor))
            with speaking(scope.locale):
                await attempt(scope, kind, claim)

    def _is_over(self, tenant: UUID, running: _Running) -> None:
        jobs = self._jobs[tenant]
        jobs.discard(running)
        if not jobs:
            del self._jobs[tenant]
        if not running.task.cancelled() and (error := running.task.exception()) is not None:
            _log.error("job broke off", job=running.claim.id, kind=running.claim.kind, exc_info=error)
        crowded, self._crowded = self._crowded, set()
        for waiting in crowded:
            self.wake(waiting)
        if running.beside:
            self.wake(tenant)

    async def _come_back(self, tenant: UUID, now: datetime, at: datetime | None) -> None:
        if at is None:
            return
        if at - now <= SOON:
            self._in(tenant, max(0.0, (at - now).total_seconds()))
        elif self._noted.get(tenant) != at:
            await self.registry.note_due(tenant, at)
            self._noted[tenant] = at

    def _in(self, tenant: UUID, seconds: float) -> None:
        timer = self._timers.pop(tenant, None)
        if timer is not None:
            timer.cancel()
        if not self._stopping:
            self._timers[tenant] = asyncio.get_running_loop().call_later(seconds, self._time_has_come, tenant)

    def _time_has_come(self, tenant: UUID) -> None:
        self._timers.pop(tenant, None)
        self.wake(tenant)

    async def _sweep(self) -> None:
        """Each second what the registry says is due; at the start and each hour all, a few at a time."""
        next_round = 0.0
        while True:
            try:
                if time.monotonic() >= next_round:
                    next_round = time.monotonic() + ALL_EVERY
                    await self._wake_all(await self.registry.every())
                for tenant in await self.registry.due(self.clock.now()):
                    self._noted.pop(tenant, None)
                    self.wake(tenant)
            except Exception:
                _log.exception("the registry could not be asked")
            await asyncio.sleep(self.sweep_every)

    async def _wake_all(self, tenants: Sequence[UUID]) -> None:
        for count, tenant in enumerate(tenants, start=1):
            self.wake(tenant)
            if count % 16 == 0:
                await asyncio.sleep(0.05)


def _background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that inherits nothing: no tenant, no transaction."""
    return asyncio.get_running_loop().create_task(work, context=Context())


async def _broken_off(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancels them and waits for their end; what they raise then is of no interest any more."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
