"""One deployment: its configuration, registry, plugins, and the tenants that are open."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog

from core import hookspecs
from core.activity.asking import nothing_kept
from core.activity.unit import listen
from core.app import HOOK_MODULES, RESERVED, migrations_of
from core.clock import FixedClock, Seldom, SystemClock
from core.database import WrongDatabase, bind, prove_owner
from core.errors import Unavailable
from core.hooks import HookSets, find_plugins, usable
from core.scope import Tenant
from core.settings.company import CompanySettings
from core.settings.queries import load_settings
from core.web.visit import Bound
from tenants.console import CONSOLE
from tenants.host import ProviderHost
from tenants.jobs import SCHEDULES as CONSOLE_SCHEDULES
from tenants.names import check_names
from tenants.pausing import refuse_archived, release_abandoned
from tenants.placement import Placement
from tenants.plugins import HostSwitches
from tenants.registry import Registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from core.clock import Clock
    from core.config import Config
    from core.database import Database
    from core.hooks import Hooks
    from core.scope import Actor, Scope
    from tenants.registry import TenantRecord

LOG: Final = structlog.stdlib.get_logger("tenantry.tenants")
REMEMBERED: Final = 2.0
"""Seconds that a tenant's own settings are believed; a change in this process is seen at once."""


@dataclass(slots=True)
class _Known:
    """What is remembered of an open tenant."""

    bound: Bound
    record: TenantRecord
    until: float


class Deployment:
    """Everything that is the same for all tenants, and the way to each of them."""

    def __init__(self, config: Config, *, clock: Clock | None = None) -> None:
        self.config = config
        self.keys = config.keys
        self.clock = clock or SystemClock()
        self.plugins = find_plugins(hookspecs, taken=RESERVED)
        self.console, self.console_schedules = CONSOLE, CONSOLE_SCHEDULES
        self.hook_sets = HookSets(
            hookspecs,
            HOOK_MODULES,
            [*((name, plugin.module) for name, plugin in usable(self.plugins).items()), (CONSOLE.name, CONSOLE.module)],
            guard=nothing_kept,
        )
        self.placement = Placement(config)
        self.registry = Registry(self.placement.control())
        self._known: dict[UUID, _Known] = {}
        self._refused = Seldom()
        self._started = False
        self._unlisten = listen(lambda uuid, last: self.forget(uuid) if last is not None else None)

    async def start(self, *, unchecked: bool = False) -> None:
        """Open the registry and check the databases; once, however often it is called. `unchecked`: whoever asks looks
        at the databases himself, and serves nobody.
        """
        if self._started:
            return
        await asyncio.to_thread(check_names)
        self.config.data.mkdir(parents=True, exist_ok=True)
        await self.registry.start()
        if not unchecked:
            await self.placement.start()
            await release_abandoned(self)
        self._started = True

    async def stop(self) -> None:
        if not self._started:
            return
        self._started = False
        self._unlisten()
        self._known.clear()
        await self.placement.close()
        await self.registry.close()

    def forget(self, uuid: UUID) -> None:
        """Read the tenant's own settings again at the next request: they may have changed."""
        known = self._known.get(uuid)
        if known is not None:
            known.until = 0.0

    async def leave(self, uuid: UUID) -> None:
        """Close what is open of the tenant, and prove its database again at its next request: it may be another one."""
        self._known.pop(uuid, None)
        await self.placement.forget(uuid)

    def forget_all(self) -> None:
        """Prove every tenant's database again at its next request."""
        self._known.clear()

    def enabled(self, record: TenantRecord) -> frozenset[str]:
        """The plugins that are switched on and installed."""
        return frozenset(record.plugins) & usable(self.plugins).keys()

    def switched_on(self, record: TenantRecord) -> frozenset[str]:
        """What answers for the tenant: its plugins, and the console where it is the provider's."""
        return self.enabled(record) | ({CONSOLE.name} if record.is_provider else set())

    def hooks(self, record: TenantRecord) -> Hooks:
        return self.hook_sets.of(self.switched_on(record))

    async def open(self, record: TenantRecord) -> tuple[Database, Bound]:
        """The tenant's database, proven to be its own and of the current schema, and what requests need to know of it.
        Raises Unavailable when it cannot be opened; the reason is in the log."""
        database = self.placement.find(record)
        known = self._known.get(record.uuid)
        if known is not None and known.until > monotonic() and known.record == record:
            return database, known.bound
        with bind(database):
            if known is None or known.record.generation != record.generation:
                await self._prove(record)
            bound = await self._bound(record)
        self._known[record.uuid] = _Known(bound, record, monotonic() + REMEMBERED)
        return database, bound

    async def _prove(self, record: TenantRecord) -> None:
        try:
            await prove_owner(record.uuid, migrations_of(self.plugins, self.enabled(record)))
        except (WrongDatabase, Unavailable) as error:
            if self._refused.is_new(record.uuid, str(error)):
                LOG.error("tenant not served", slug=record.slug, reason=str(error))
            if isinstance(error, Unavailable):
                raise
            raise Unavailable(str(error), retry_after=60) from error

    async def _bound(self, record: TenantRecord, company: CompanySettings | None = None) -> Bound:
        company = company or await load_settings(CompanySettings)
        tenant = Tenant(
            uuid=record.uuid,
            slug=record.slug,
            name=company.name,
            address=company.address.strip().rstrip("/") or self.config.server.address_of(record.host),
            time_zone=company.time_zone,
            currency=company.currency,
            country=company.country,
            language=company.language,
            is_provider=record.is_provider,
            folder=self.placement.folder(record.uuid),
            internal_hosts=self.config.internal_hosts,
            test_clock=record.clock_at is not None,
        )
        return Bound(
            tenant=tenant,
            hooks=self.hooks(record),
            plugins=self.switched_on(record),
            clock=self.clock if record.clock_at is None else FixedClock(record.clock_at),
            keys=self.keys,
            host=ProviderHost(self, record) if record.is_provider else None,
            secure=self.config.server.secure,
            switches=HostSwitches(self, record),
        )

    @asynccontextmanager
    async def scope(self, record: TenantRecord, actor: Actor, *, settled: bool = True) -> AsyncIterator[Scope]:
        """The tenant bound, for a command or a job: `async with deployment.scope(record, actor) as scope`.
        `settled=False` while the tenant is being made and has no settings of its own yet."""
        if settled:
            refuse_archived(record)
            database, bound = await self.open(record)
        else:
            database = self.placement.find(record)
            with bind(database):
                await prove_owner(record.uuid)
                bound = await self._bound(record, CompanySettings(name=record.name))
        with bind(database):
            yield bound.scope(actor)
