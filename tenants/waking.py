"""Work that this process leaves for a worker in another one: a hint in the registry, where workers look each second."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Final

import structlog

from core.activity.unit import listen

if TYPE_CHECKING:
    from uuid import UUID

    from core.clock import Clock
    from tenants.registry import Registry

PAUSE: Final = 0.25
"""Seconds between two rounds of hints: however much is committed, a tenant has one a round."""

_log = structlog.stdlib.get_logger(__name__)


class Waking:
    """Hears each commit that leaves work, and notes its tenant as due. For processes without a worker of their own."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry, self._clock = registry, clock
        self._left: set[UUID] = set()
        self._telling: asyncio.Task[None] | None = None
        self._deaf = listen(self._hear)

    def _hear(self, tenant: UUID, _last: int | None) -> None:
        self._left.add(tenant)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell(), context=Context())

    async def _tell(self) -> None:
        while self._left:
            await self._note()
            await asyncio.sleep(PAUSE)

    async def _note(self) -> None:
        tenants, self._left = self._left, set()
        try:
            for tenant in tuple(tenants):
                await self._registry.note_due(tenant, self._clock.now())
                tenants.discard(tenant)
        except asyncio.CancelledError:  # this process ends: `stop` notes the rest
            self._left |= tenants
            raise
        except Exception:
            _log.exception("the registry could not be told of work", tenants=len(tenants))  # found within the hour

    async def stop(self) -> None:
        """What was heard is noted before this returns."""
        self._deaf()
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait({self._telling})
        await self._note()
