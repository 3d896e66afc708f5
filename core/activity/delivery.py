"""Delivery: each reader hears the facts of its kinds, all of them, once, in the order of the log.

A turn is one unit of work: the reader's row is locked, the handlers run, and what they wrote and the step of the cursor
are one commit. A killed process frees the lock, so nothing is lost and nothing is told twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

import structlog
from msgspec import Struct

from core.activity.events import Event, event_from
from core.activity.unit import Cause, caused_by, savepoint, unit_of_work
from core.database import execute, row, rows, value
from core.errors import TryAgain, Unavailable
from core.scope import plugin_actor
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType
    from uuid import UUID

    from core.scope import Scope

BUDGET: Final = 0.05
"""Seconds after which a turn begins no further call: other writers wait for it."""
LIMIT: Final = 2.0
"""Seconds that a handler may take for one call."""
PAUSES: Final = (timedelta(seconds=5), timedelta(seconds=60))
"""Before a failed event is told again; after the last one it is parked."""
PROBES: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))
"""Before a paused reader is tried with one event; the last one again and again."""
PARKED_IN_A_ROW: Final = 3
"""So many events parked one after the other: the reader itself is broken, and it is paused."""
AT_ONCE: Final = 500
"""Events read in one turn, and at most told in one call."""
FIRST_SIZE: Final = 10
QUICK: Final = 0.010
SLOW: Final = 0.040
"""Seconds of a call under which the next one gets twice as many events, and over which half as many."""

_log = structlog.stdlib.get_logger(__name__)


class Line(Struct, frozen=True, dict=True):
    """A row of the log, as readers get it."""

    position: int
    at: datetime
    kind: str
    subject_kind: str
    actor: str
    depth: int
    facts: str
    subject_id: int | None = None
    customer_id: int | None = None
    on_behalf_of: str | None = None

    @cached_property
    def event(self) -> Event:
        return event_from(self.kind, self.facts)

    @property
    def cause(self) -> Cause:
        return Cause(self.position, self.depth, self.subject_kind, self.subject_id, self.customer_id, self.actor)


LINE: Final = "position, at, kind, subject_kind, subject_id, customer_id, actor, on_behalf_of, depth, facts"


class Reader(Protocol):
    """Who hears the log: a plugin, or a reader of the core's own."""

    @property
    def name(self) -> str:
        """Its name in the tables: that of the plugin."""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of facts that it hears."""

    async def hear(self, scope: Scope, lines: Sequence[Line]) -> None:
        """Lines of one kind, in order. What it writes is kept with the step forward; what it raises takes it back."""


@dataclass(frozen=True)
class PluginReader:
    """A plugin hears by its past-tense hooks: `async def invoice_issued(scope, events)`."""

    name: str
    kinds: frozenset[str]
    specs: ModuleType

    async def hear(self, scope: Scope, lines: Sequence[Line]) -> None:
        actors = {line.actor for line in lines}
        acting = plugin_actor(self.name, actors.pop() if len(actors) == 1 else None)
        spec = getattr(self.specs, lines[0].kind)
        await scope.hooks.tell(self.name, spec, scope=scope.as_actor(acting), events=[line.event for line in lines])


class Turn(Struct, frozen=True):
    """What a turn came to: how many events it passed, whether more wait right now, when to come back otherwise."""

    passed: int
    more: bool
    retry_at: datetime | None = None


class _Place(Struct, frozen=True):
    reader: str
    position: int
    failures: int
    in_a_row: int
    retry_at: datetime | None = None
    paused_at: datetime | None = None
    error: str | None = None


@dataclass
class _Step:
    """The place as the turn leaves it."""

    position: int
    failures: int
    in_a_row: int
    paused_at: datetime | None
    error: str | None
    retry_at: datetime | None = None
    passed: int = 0

    def went_well(self, run: Sequence[Line]) -> None:
        self.failures, self.in_a_row, self.paused_at, self.error = 0, 0, None, None
        self.passes(run)

    def passes(self, run: Sequence[Line]) -> None:
        self.position = run[-1].position
        self.passed += len(run)


@dataclass
class Deliveries:
    """Takes turns for readers. Remembers, for this process, how many events a call takes and what was looked at."""

    budget: float = BUDGET
    limit: float = LIMIT
    pauses: Sequence[timedelta] = PAUSES
    probes: Sequence[timedelta] = PROBES
    _sizes: dict[tuple[UUID, str, str], int] = field(default_factory=dict)
    _looked: dict[tuple[UUID, str], int] = field(default_factory=dict)

    async def due(self, scope: Scope, readers: Sequence[Reader]) -> list[Reader]:
        """Those that have something to hear now. Reads only, so a commit that concerns no reader costs no write."""
        places = await rows(
            _Place,
            "SELECT reader, position, failures, in_a_row FROM delivery WHERE NOT held"
            " AND position < (SELECT last FROM activity_head) AND (retry_at IS NULL OR retry_at <= :now)",
            now=scope.now(),
        )
        by_name = {reader.name: reader for reader in readers}
        here = [place for place in places if place.reader in by_name]
        if not here:
            return []
        head = int(await value("SELECT last FROM activity_head"))
        begin = {place.reader: self._begin(scope, place, head) for place in here}
        near = [name for name, position in begin.items() if head - position <= AT_ONCE]
        latest = await _latest(min((begin[name] for name in near), default=head), head)
        found = []
        for place in here:
            reader = by_name[place.reader]
            concerns = any(latest.get(kind, 0) > begin[place.reader] for kind in reader.kinds)
            if place.reader not in near or concerns or head - place.position > AT_ONCE:
                found.append(reader)
            else:
                self._looked[scope.tenant.uuid, place.reader] = head
        return found

    def _begin(self, scope: Scope, place: _Place, head: int) -> int:
        """Up to where nothing can be for it: its place, or what was looked at before (unless a backup was restored)."""
        looked = self._looked.get((scope.tenant.uuid, place.reader), 0)
        return max(place.position, looked if looked <= head else 0)

    async def turn(self, scope: Scope, reader: Reader) -> Turn | None:
        """One turn, one commit. None: another process is at it, or it is paused, held, or too early."""
        async with unit_of_work(scope):
            place = await row(
                _Place,
                "SELECT reader, position, failures, in_a_row, paused_at, error FROM delivery WHERE reader = :reader"
                " AND NOT held AND (retry_at IS NULL OR retry_at <= :now) FOR UPDATE SKIP LOCKED",
                reader=reader.name,
                now=scope.now(),
            )
            if place is None:
                return None
            head = int(await value("SELECT last FROM activity_head"))
            limit = 1 if place.failures or place.paused_at else AT_ONCE
            lines = await rows(
                Line,
                # The kind is no plain column here: by its index all that wait would be sorted for each piece of them.
                f"SELECT {LINE} FROM activity WHERE position > :position AND position <= :head"
                " AND (kind || '') IN :kinds ORDER BY position LIMIT :limit",
                position=place.position,
                head=head,
                kinds=sorted(reader.kinds),
                limit=limit,
            )
            step = _Step(place.position, place.failures, place.in_a_row, place.paused_at, place.error)
            await self._tell_all(scope, reader, lines, step)
            if len(lines) < limit and (not lines or step.position == lines[-1].position):
                step.position = head
            await _keep(reader.name, step)
        return Turn(step.passed, more=step.retry_at is None and step.position < head, retry_at=step.retry_at)

    async def _tell_all(self, scope: Scope, reader: Reader, lines: Sequence[Line], step: _Step) -> None:
        """Call by call, until the time is up or one event cannot be told."""
        started, i, singly = monotonic(), 0, 0
        while i < len(lines) and (i == 0 or monotonic() - started < self.budget):
            key = (scope.tenant.uuid, reader.name, lines[i].kind)
            size = 1 if singly else self._sizes.get(key, FIRST_SIZE)
            run = _same_kind(lines[i : i + size])
            began = monotonic()
            error = await self._tell(scope, reader, run)
            if error is None:
                self._adapt(key, run, monotonic() - began)
                step.went_well(run)
            elif len(run) > 1:
                singly = len(run)
                continue
            elif not await self._failed(scope, reader, run[0], step, error):
                return
            i += len(run)
            singly = max(0, singly - len(run))

    async def _tell(self, scope: Scope, reader: Reader, run: Sequence[Line], *, late: bool = False) -> Exception | None:
        """One call, in a savepoint. Gives what it raised; TryAgain goes on, since it is no fault of the handler's."""
        try:
            async with savepoint(), asyncio.timeout(self.limit):
                with caused_by(tuple(line.cause for line in run), late=late):
                    await reader.hear(scope, run)
        except TryAgain:
            raise
        except Exception as error:
            positions = (run[0].position, run[-1].position)
            _log.warning("reader failed", reader=reader.name, kind=run[0].kind, positions=positions, exc_info=error)
            return error
        return None

    async def _failed(self, scope: Scope, reader: Reader, line: Line, step: _Step, error: Exception) -> bool:
        """One event alone could not be told: again later, or parked. True: parked, and the turn goes on behind it.

        What is unavailable (a full disk, a lost connection) is no fault of the event's: it waits, and is never parked.
        """
        step.error = _reason(error)
        now = scope.now()
        if step.paused_at is not None:
            step.retry_at = now + self.probes[min(step.failures, len(self.probes) - 1)]
            step.failures += 1
            return False
        if isinstance(error, Unavailable):
            step.retry_at = now + self.pauses[-1]
            return False
        if step.failures < len(self.pauses):
            step.retry_at = now + self.pauses[step.failures]
            step.failures += 1
            return False
        await execute(
            "INSERT INTO delivery_parked (reader, position, error, failures, parked_at)"
            " VALUES (:reader, :position, :error, :failures, :now)",
            reader=reader.name,
            position=line.position,
            error=step.error,
            failures=step.failures + 1,
            now=now,
        )
        step.passes([line])
        step.failures, step.in_a_row = 0, step.in_a_row + 1
        if step.in_a_row >= PARKED_IN_A_ROW:
            step.paused_at, step.retry_at, step.failures = now, now + self.probes[0], 1
            return False
        return True

    async def tell_late(self, scope: Scope, reader: Reader, line: Line) -> str | None:
        """Inside a unit: tell a parked event again. Gives the reason when it failed again."""
        error = await self._tell(scope, reader, [line], late=True)
        return None if error is None else _reason(error)

    def _adapt(self, key: tuple[UUID, str, str], run: Sequence[Line], took: float) -> None:
        size = self._sizes.get(key, FIRST_SIZE)
        if took < QUICK and len(run) >= size:
            self._sizes[key] = min(AT_ONCE, size * 2)
        elif took > SLOW:
            self._sizes[key] = max(1, min(size, len(run)) // 2)


class _Latest(Struct, frozen=True):
    kind: str
    position: int


async def _latest(after: int, head: int) -> Mapping[str, int]:
    """The last position of each kind in this stretch of the log."""
    if after >= head:
        return {}
    found = await rows(
        _Latest,
        "SELECT kind, max(position) AS position FROM activity WHERE position > :after AND position <= :head"
        " GROUP BY kind",
        after=after,
        head=head,
    )
    return {each.kind: each.position for each in found}


def _same_kind(lines: Sequence[Line]) -> Sequence[Line]:
    """As many from the beginning as are of one kind."""
    kind = lines[0].kind
    end = next((i for i, line in enumerate(lines) if line.kind != kind), len(lines))
    return lines[:end]


async def _keep(reader: str, step: _Step) -> None:
    await execute(
        "UPDATE delivery SET position = :position, failures = :failures, in_a_row = :in_a_row, retry_at = :retry_at,"
        " paused_at = :paused_at, error = :error WHERE reader = :reader",
        reader=reader,
        position=step.position,
        failures=step.failures,
        in_a_row=step.in_a_row,
        retry_at=step.retry_at,
        paused_at=step.paused_at,
        error=step.error,
    )


class _Soonest(Struct, frozen=True):
    at: datetime | None


async def next_retry(readers: Sequence[Reader]) -> datetime | None:
    """When a reader that failed or is paused is tried next."""
    found = await row(
        _Soonest,
        "SELECT min(retry_at) AS at FROM delivery WHERE NOT held AND reader IN :names",
        names=[reader.name for reader in readers],
    )
    return found.at if found else None


def _reason(error: BaseException) -> str:
    """For the page of plugins: what was raised, without the stack."""
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, TimeoutError) and not text:
        return _("It took longer than it may.")
    return f"{type(error).__name__}: {text}"[:500] if text else type(error).__name__


def plugin_reader(name: str, events: Sequence[str], specs: ModuleType) -> Reader:
    """The reader of a plugin, from the events of its manifest."""
    return PluginReader(name, frozenset(events), specs)
