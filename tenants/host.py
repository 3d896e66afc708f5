"""The host as the provider's own tenant has it in hand: `scope.host`, given to that tenant alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from core.database import spawn
from core.errors import NotFound
from core.scope import Actor, MadeTenant, command_actor
from tenants.ending import may_become
from tenants.pausing import refuse_paused
from tenants.plugins import disable_plugin, enable_plugin
from tenants.provisioning import CreatedTenant, NewTenant, create_tenant
from tenants.status import TenantStatus

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any
    from uuid import UUID

    from core.scope import Scope
    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord

T = TypeVar("T")


async def apart(work: Coroutine[Any, Any, T]) -> T:
    """Awaits work on other databases as if nothing were open here: neither a unit of work nor a job's claim."""
    return await spawn(work)


class ProviderHost:
    """What the console may do with the deployment. Each call is awaited apart from what the caller has open."""

    def __init__(self, deployment: Deployment, provider: TenantRecord) -> None:
        self.deployment = deployment
        self._provider = provider

    async def create(self, new: NewTenant) -> CreatedTenant:
        return await apart(create_tenant(self.deployment, new))

    async def create_tenant(self, slug: str, name: str, *, email: str, person: str = "Administrator") -> MadeTenant:
        made = await self.create(NewTenant(slug=slug, name=name, email=email, person=person))
        address = self.deployment.config.server.address_of(made.record.host)
        return MadeTenant(made.record.uuid, address, made.link)

    async def suspend_tenant(self, uuid: UUID, reason: str) -> None:
        record = await self._found(uuid)
        may_become(record, TenantStatus.SUSPENDED)
        refuse_paused(record)
        await apart(self.deployment.registry.set_status(uuid, TenantStatus.SUSPENDED, reason))

    async def resume_tenant(self, uuid: UUID) -> None:
        record = await self._found(uuid)
        may_become(record, TenantStatus.ACTIVE)
        refuse_paused(record)
        await apart(self.deployment.registry.set_status(uuid, TenantStatus.ACTIVE))

    async def enable_plugin(self, uuid: UUID, plugin: str) -> None:
        record = await self._found(uuid)
        await apart(enable_plugin(self.deployment, record, plugin, self._actor()))

    async def disable_plugin(self, uuid: UUID, plugin: str) -> None:
        record = await self._found(uuid)
        await apart(disable_plugin(self.deployment, record, plugin, self._actor()))

    async def get(self, tenant_id: int) -> TenantRecord:
        """The tenant with this id in the registry, or NotFound."""
        record = await apart(self.deployment.registry.find(tenant_id))
        if record is None:
            raise NotFound(f"tenant {tenant_id}")
        return record

    def is_self(self, record: TenantRecord) -> bool:
        return record.uuid == self._provider.uuid

    async def _found(self, uuid: UUID) -> TenantRecord:
        record = await apart(self.deployment.registry.find_by_uuid(uuid))
        if record is None:
            raise NotFound(f"tenant {uuid}")
        return record

    def _actor(self) -> Actor:
        """Who acts in a tenant for the provider; the person stands in the provider's own activity."""
        return replace(command_actor("console"), on_behalf_of=f"tenant:{self._provider.slug}")


def host_of(scope: Scope) -> ProviderHost:
    """The host, or NotFound: this is not the provider's tenant."""
    if not isinstance(scope.host, ProviderHost):
        raise NotFound("There is no such page.")
    return scope.host
