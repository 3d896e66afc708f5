"""The worker's view of the host: which tenants have work, how one is opened, and what may be done there."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from core import hookspecs
from core.activity.delivery import plugin_reader
from core.app import JOBS, SCHEDULES
from core.database import bind
from core.hooks import usable
from core.jobs.schedules import Schedule
from core.jobs.worker import NotServed, Work, Worker
from tenants.moving import keep_tidy
from tenants.spares import keep
from tenants.status import MOVING, TenantStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    from core.scope import Actor, Scope
    from tenants.deployment import Deployment


class HostOfWork:
    """What `core.jobs.worker` asks of the registry."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._moving: set[UUID] = set()
        """Begin nothing there; what has begun may end."""

    async def due(self, now: datetime) -> Sequence[UUID]:
        return await self._deployment.registry.take_due(now)

    async def every(self) -> Sequence[UUID]:
        return await self._deployment.registry.list_active()

    @asynccontextmanager
    async def open(self, tenant: UUID) -> AsyncIterator[Callable[[Actor], Scope]]:
        record = await self._deployment.registry.find_by_uuid(tenant)
        if record is None or record.status != TenantStatus.ACTIVE:
            raise NotServed(f"tenant {tenant}")
        (self._moving.add if record.reason == MOVING else self._moving.discard)(tenant)
        database, bound = await self._deployment.open(record)
        with structlog.contextvars.bound_contextvars(tenant=record.slug), bind(database):
            yield bound.scope

    async def note_due(self, tenant: UUID, at: datetime) -> None:
        await self._deployment.registry.note_due(tenant, at)

    def work(self, scope: Scope) -> Work:
        """The core's jobs and schedules, and what the plugins bring that this tenant has switched on."""
        if scope.tenant.uuid in self._moving:
            return Work(kinds={})
        console = self._deployment.console
        usual = {**usable(self._deployment.plugins), console.name: console}
        on = [plugin for name, plugin in usual.items() if name in scope.plugins]
        kinds = {kind.name: kind for kind in JOBS}
        kinds.update({kind.name: kind for plugin in on for kind in plugin.manifest.jobs})  # type: ignore[misc]  # manifests name them by what the core needs to know
        readers = [
            plugin_reader(plugin.name, plugin.manifest.events, hookspecs) for plugin in on if plugin.manifest.events
        ]
        if scope.tenant.test_clock:
            kinds = {name: kind for name, kind in kinds.items() if kind.policy != "once"}  # nothing leaves it
        schedules: list[Schedule] = [*SCHEDULES]
        for plugin in on:
            schedules += plugin.manifest.schedules  # type: ignore[arg-type]  # as above
        if console.name in scope.plugins:
            schedules += self._deployment.console_schedules
        return Work(kinds=kinds, schedules=schedules, readers=readers)


def make_worker(deployment: Deployment) -> Worker:
    host = HostOfWork(deployment)
    return Worker(registry=host, work=host.work, clock=deployment.clock)


async def work(deployment: Deployment, worker: Worker) -> None:
    """Runs the worker until it is told to stop; beside it keeps schemas ready for new tenants, and takes away what
    moved ones have left.
    """
    placement, wanted = deployment.placement, deployment.config.placement.spare
    stocks = [asyncio.create_task(keep(placement.spares(name), wanted)) for name in placement.servers]
    stocks.append(asyncio.create_task(keep_tidy(deployment)))
    try:
        await worker.run()
    finally:
        for stock in stocks:
            stock.cancel()
        await asyncio.gather(*stocks, return_exceptions=True)
