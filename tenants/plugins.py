"""Switching plugins on and off for a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.actions import disable_reader, enable_reader
from core.activity.unit import record, unit_of_work
from core.app import migrations_of
from core.database import bind, migrate
from core.database.errors import ClosedForWrites
from core.errors import Conflict, NotFound
from core.hooks import usable
from core.settings.events import PluginDisabled, PluginEnabled
from core.texts import _, listed
from tenants.pausing import refuse_archived
from tenants.status import MOVING

if TYPE_CHECKING:
    from core.scope import Actor, Scope
    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord


class HostSwitches:
    """What the tenant's own page of plugins may do."""

    def __init__(self, deployment: Deployment, record_of: TenantRecord) -> None:
        self._deployment = deployment
        self._record = record_of

    async def enable(self, scope: Scope, plugin: str) -> None:
        await enable_plugin(self._deployment, self._record, plugin, scope.actor)

    async def disable(self, scope: Scope, plugin: str) -> None:
        await disable_plugin(self._deployment, self._record, plugin, scope.actor)


async def enable_plugin(deployment: Deployment, record_of: TenantRecord, name: str, actor: Actor) -> None:
    """Make the plugin's tables and switch it on: from here on it hears what happens. Switching on again does nothing.

    Raises NotFound for a plugin that is not installed, Conflict when it cannot be loaded or needs one that is off.
    """
    plugin = deployment.plugins.get(name)
    if plugin is None:
        raise NotFound(f"plugin {name}")
    if plugin.loaded is None:
        raise Conflict(_("The plugin %(name)s cannot be switched on: %(error)s.", name=name, error=plugin.error))
    refuse_archived(record_of)
    enabled = deployment.enabled(record_of)
    if name in enabled:
        return
    now = await deployment.registry.find_by_uuid(record_of.uuid)
    if now is not None and now.reason == MOVING:
        raise ClosedForWrites
    if missing := [need for need in plugin.manifest.needs if need not in enabled]:
        raise Conflict(
            _(
                "%(label)s needs %(missing)s: switch that on first.",
                label=plugin.manifest.label,
                missing=listed(missing),
            )
        )
    with bind(deployment.placement.migrating(record_of)):
        await migrate(migrations_of(deployment.plugins, enabled | {name}))
    async with deployment.scope(record_of, actor) as scope, unit_of_work(scope):
        if plugin.manifest.events:
            await enable_reader(scope, name)
        record(scope, PluginEnabled(plugin=name))
    await deployment.registry.enable_plugin(record_of.uuid, name, deployment.clock.now())
    await deployment.registry.note_due(record_of.uuid, deployment.clock.now())  # at the commit it was not on yet


async def disable_plugin(deployment: Deployment, record_of: TenantRecord, name: str, actor: Actor) -> None:
    """Switch it off: its pages are gone and it hears nothing; its tables and settings stay as they are."""
    if name not in record_of.plugins:
        return
    needed_by = [
        plugin.manifest.label
        for other, plugin in usable(deployment.plugins).items()
        if other in record_of.plugins and name in plugin.manifest.needs
    ]
    if needed_by:
        raise Conflict(_("%(needed_by)s needs it: switch that off first.", needed_by=listed(needed_by)))
    async with deployment.scope(record_of, actor) as scope, unit_of_work(scope):
        await disable_reader(scope, name)
        record(scope, PluginDisabled(plugin=name))
    await deployment.registry.disable_plugin(record_of.uuid, name)
