"""The log as it grows, for live pages: told by each commit of this process, else looked at once a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from core.activity.queries import Entry, entries_after, head
from core.activity.unit import listen
from core.database import Database, bind, current, spawn
from core.errors import Unavailable

if TYPE_CHECKING:
    from uuid import UUID

    from core.scope import Scope

_log = structlog.stdlib.get_logger(__name__)

EVERY: Final = 1.0
"""Seconds between two looks for what other processes have committed: one look a tenant, however many watch."""


async def watch(
    scope: Scope, *, customer_id: int | None = None, after: int | None = None, database: Database | None = None
) -> AsyncGenerator[Entry, None]:
    """Each new line in the actor's reach, of one customer or of all, in order and without a gap; from now on, or after
    a position (the last one that a page has shown). Never ends by itself: close it.

    Binds the database for each look only, so it may be read where nothing is bound (`database` from where it was).
    """
    database = database or current()
    async with _pulse(scope.tenant.uuid, database) as pulse:
        with bind(database):
            position = after if after is not None else await head()
        while True:
            with bind(database):
                seen = await head()
                found = await entries_after(scope, position, customer_id=customer_id)
            for entry in found:
                yield entry
                position = entry.position
            if not found:
                position = max(position, seen)
                await pulse.beyond(seen)


class _Pulse:
    """One a tenant and process while anybody watches: knows the head of the log, and wakes those who wait."""

    def __init__(self, tenant: UUID, database: Database) -> None:
        self.watchers = 0
        self._tenant = tenant
        self._head = 0
        self._moved = asyncio.Event()
        self._deaf = listen(self._hear)
        with bind(database):
            self._looking = spawn(self._keep_looking())

    async def beyond(self, position: int) -> None:
        """Waits until the log is longer than this."""
        while self._head <= position:
            await self._moved.wait()

    def stop(self) -> None:
        self._deaf()
        self._looking.cancel()

    def _hear(self, tenant: UUID, last: int | None) -> None:
        if tenant == self._tenant and last is not None:
            self._move(last)

    def _move(self, last: int) -> None:
        if last > self._head:
            self._head = last
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()

    async def _keep_looking(self) -> None:
        """What other processes commit is seen here; a database that cannot be asked is asked again."""
        while True:
            try:
                self._move(await head())
            except Unavailable:
                _log.warning("the log cannot be looked at", tenant=str(self._tenant))
            await asyncio.sleep(EVERY)


_pulses: Final[dict[UUID, _Pulse]] = {}


@asynccontextmanager
async def _pulse(tenant: UUID, database: Database) -> AsyncIterator[_Pulse]:
    """The tenant's pulse; the last one to leave stops it."""
    pulse = _pulses.get(tenant)
    if pulse is None:
        pulse = _pulses[tenant] = _Pulse(tenant, database)
    pulse.watchers += 1
    try:
        yield pulse
    finally:
        pulse.watchers -= 1
        if not pulse.watchers:
            pulse.stop()
            _pulses.pop(tenant, None)
