"""The registry: one small control database that says which tenants there are and where they lie."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final
from uuid import UUID

from msgspec import Struct

from core.database import SqliteDatabase, bind, execute, row, rows, transaction, value, values
from core.database.migrations import MigrationApp, migrate
from core.errors import Conflict, Invalid, Unavailable
from core.ids import check_slug, sort_key
from core.texts import _
from tenants.status import TenantStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

MIGRATIONS: Final = MigrationApp("tenants", Path(__file__).parent / "migrations")
REMEMBERED: Final = 2.0
"""Seconds that a look-up is believed; then the control database is asked again, as another process may change it."""


class RegistryClosed(Exception):
    """The control database cannot be opened, so nobody knows which tenants there are. The start is refused."""


class TenantRecord(Struct, frozen=True):
    """A tenant as the registry knows it."""

    id: int
    uuid: UUID
    slug: str
    name: str
    status: str
    reason: str
    placement: str
    is_provider: bool
    created_at: datetime
    active_at: datetime | None
    host: str
    plugins: tuple[str, ...] = ()
    generation: int = 0
    """How often it was restored or moved: part of the name of its database, as each restore makes a new one."""
    archive: str = ""
    """Of an archived one: the file that brings it back."""
    clock_at: datetime | None = None
    """What its test clock shows; None: it lives in the time that it is."""


class Aside(Struct, frozen=True):
    """A database of a tenant beside the one it is in: where it was before it moved, or where it was about to move."""

    id: int
    uuid: UUID
    placement: str
    generation: int
    remove_at: datetime


class Found(Struct, frozen=True):
    state: str
    tenants: int
    waiting: int


class _Row(Struct, frozen=True):
    id: int
    uuid: UUID
    slug: str
    name: str
    status: str
    reason: str
    placement: str
    is_provider: bool
    created_at: datetime
    active_at: datetime | None
    host: str | None
    generation: int
    archive: str
    clock_at: datetime | None


class _Plugin(Struct, frozen=True):
    tenant_id: int
    plugin: str


class _Count(Struct, frozen=True):
    status: TenantStatus
    tenants: int


_TENANT: Final = """
SELECT tenant.id, tenant.uuid, tenant.slug, tenant.name, tenant.status, tenant.reason, tenant.placement,
       tenant.is_provider, tenant.created_at, tenant.active_at, main.host, tenant.generation, tenant.archive,
       tenant.clock_at
FROM tenant LEFT JOIN tenant_host main ON main.tenant_id = tenant.id AND main.main
"""


class Registry:
    """Reads and writes of the control database. Each method binds it for itself; the tenant's binding stays."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.database = database
        self._by_host: dict[str, tuple[float, TenantRecord | None]] = {}

    async def start(self) -> None:
        """Raises RegistryClosed, which names the file."""
        with bind(self.database):
            try:
                await migrate([MIGRATIONS])
            except Unavailable as error:
                raise RegistryClosed(f"{self.database.path}, which names all tenants: {error.message}") from error

    async def close(self) -> None:
        await self.database.close()

    def forget(self) -> None:
        """Ask the control database again at the next look-up."""
        self._by_host.clear()

    async def find_by_host(self, host: str) -> TenantRecord | None:
        """The tenant of an exact host name, remembered for two seconds."""
        known = self._by_host.get(host)
        if known is not None and known[0] > monotonic():
            return known[1]
        with bind(self.database):
            tenant_id = await value("SELECT tenant_id FROM tenant_host WHERE host = :host", host=host)
            found = await self._get("tenant.id = :id", id=tenant_id) if tenant_id is not None else None
        if len(self._by_host) > 10_000:
            self._by_host.clear()
        self._by_host[host] = (monotonic() + REMEMBERED, found)
        return found

    async def find_by_slug(self, slug: str) -> TenantRecord | None:
        with bind(self.database):
            return await self._get("tenant.slug = :slug", slug=slug)

    async def get_by_slug(self, slug: str) -> TenantRecord:
        found = await self.find_by_slug(slug)
        if found is None:
            with bind(self.database):
                known = await values("SELECT slug FROM tenant ORDER BY slug LIMIT 20")
            raise Invalid(
                _(
                    "There is no tenant “%(slug)s”. There are: %(known)s.",
                    slug=slug,
                    known=", ".join(known) or _("none yet"),
                ),
                field="tenant",
            )
        return found

    async def find_by_uuid(self, uuid: UUID) -> TenantRecord | None:
        with bind(self.database):
            return await self._get("tenant.uuid = :uuid", uuid=uuid)

    async def find(self, tenant_id: int) -> TenantRecord | None:
        with bind(self.database):
            return await self._get("tenant.id = :id", id=tenant_id)

    async def find_provider(self) -> TenantRecord | None:
        """The tenant that has the console, if there is one."""
        with bind(self.database):
            return await self._get("tenant.is_provider")

    async def hosts(self, uuid: UUID) -> list[str]:
        """The host names that lead to the tenant, the main one first."""
        with bind(self.database):
            return await values(
                "SELECT host FROM tenant_host h JOIN tenant t ON t.id = h.tenant_id WHERE t.uuid = :uuid"
                " ORDER BY h.main DESC, h.id",
                uuid=uuid,
            )

    async def _get(self, where: str, **values: object) -> TenantRecord | None:
        found = await row(_Row, f"{_TENANT} WHERE {where}", **values)
        if found is None:
            return None
        plugins = await rows(
            _Plugin,
            "SELECT tenant_id, plugin FROM tenant_plugin WHERE tenant_id = :id ORDER BY position, id",
            id=found.id,
        )
        return _record(found, [plugin.plugin for plugin in plugins])

    async def list_tenants(self) -> list[TenantRecord]:
        with bind(self.database):
            found = await rows(_Row, f"{_TENANT} ORDER BY tenant.slug")
            plugins: dict[int, list[str]] = {}
            for plugin in await rows(_Plugin, "SELECT tenant_id, plugin FROM tenant_plugin ORDER BY position, id"):
                plugins.setdefault(plugin.tenant_id, []).append(plugin.plugin)
        return [_record(one, plugins.get(one.id, [])) for one in found]

    async def count_by_status(self) -> dict[TenantStatus, int]:
        with bind(self.database):
            found = await rows(_Count, "SELECT status, count(*) AS tenants FROM tenant GROUP BY status")
        return {**dict.fromkeys(TenantStatus, 0), **{each.status: each.tenants for each in found}}

    async def count_by_finding(self) -> list[Found]:
        """What was found of the tenants that were looked at, when that was last done."""
        with bind(self.database):
            return await rows(
                Found,
                "SELECT state, count(*) AS tenants, sum(waiting) AS waiting FROM tenant_facts"
                " WHERE looked_at IS NOT NULL GROUP BY state",
            )

    async def add(
        self,
        uuid: UUID,
        slug: str,
        name: str,
        hosts: Sequence[str],
        placement: str,
        now: datetime,
        *,
        status: TenantStatus = TenantStatus.CREATING,
        plugins: Sequence[str] = (),
        is_provider: bool = False,
        clock_at: datetime | None = None,
    ) -> TenantRecord:
        """A tenant that is being created (or was restored: then it has a `status` at once); `hosts` begins with the
        main one. With `clock_at` it has a test clock from its first moment on.

        Raises Invalid or Conflict naming what is taken.
        """
        check_slug(slug)
        with bind(self.database):
            async with transaction():
                if await value("SELECT 1 FROM tenant WHERE slug = :slug", slug=slug):
                    raise Conflict(_("There is a tenant “%(slug)s” already. Choose another short name.", slug=slug))
                for host in hosts:
                    if await value("SELECT 1 FROM tenant_host WHERE host = :host", host=host):
                        raise Conflict(_("The host name %(host)s leads to another tenant already.", host=host))
                if is_provider and (other := await value("SELECT slug FROM tenant WHERE is_provider")):
                    raise Conflict(_("The provider's tenant is “%(other)s”: there can be one only.", other=other))
                await execute(
                    "INSERT INTO tenant (uuid, slug, name, status, placement, is_provider, created_at, clock_at)"
                    " VALUES (:uuid, :slug, :name, :status, :placement, :is_provider, :now, :clock_at)",
                    clock_at=clock_at,
                    is_provider=is_provider,
                    status=status.value,
                    uuid=uuid,
                    slug=slug,
                    name=name,
                    placement=placement,
                    now=now,
                )
                await execute(
                    "INSERT INTO tenant_facts (tenant_id, name_key) SELECT id, :key FROM tenant WHERE uuid = :uuid",
                    key=sort_key(name),
                    uuid=uuid,
                )
                for at, host in enumerate(hosts):
                    await execute(
                        "INSERT INTO tenant_host (host, tenant_id, main)"
                        " SELECT :host, id, :main FROM tenant WHERE uuid = :uuid",
                        host=host,
                        main=at == 0,
                        uuid=uuid,
                    )
                await self._set_plugins(uuid, plugins, now)
        self.forget()
        return await self.get_by_slug(slug)

    async def _set_plugins(self, uuid: UUID, plugins: Sequence[str], now: datetime) -> None:
        await execute(
            "DELETE FROM tenant_plugin WHERE tenant_id IN (SELECT id FROM tenant WHERE uuid = :uuid)", uuid=uuid
        )
        for position, plugin in enumerate(plugins):
            await execute(
                "INSERT INTO tenant_plugin (tenant_id, plugin, position, enabled_at)"
                " SELECT id, :plugin, :position, :now FROM tenant WHERE uuid = :uuid",
                plugin=plugin,
                position=position,
                now=now,
                uuid=uuid,
            )

    async def switch(
        self,
        uuid: UUID,
        *,
        generation: int,
        placement: str,
        plugins: Sequence[str],
        status: str,
        reason: str,
        now: datetime,
    ) -> TenantRecord:
        """From here on the tenant is what was restored."""
        async with self.writing():
            await execute(
                "UPDATE tenant SET generation = :generation, placement = :placement, status = :status,"
                " reason = :reason, archive = '' WHERE uuid = :uuid",
                generation=generation,
                placement=placement,
                status=status,
                reason=reason,
                uuid=uuid,
            )
            await self._set_plugins(uuid, plugins, now)
        found = await self.find_by_uuid(uuid)
        assert found is not None
        return found

    async def move(self, before: TenantRecord, placement: str, generation: int, keep_until: datetime) -> None:
        """From here on the tenant is in this database; the one it was in is kept aside. Conflict where it has been
        exchanged meanwhile.
        """
        async with self.writing():
            moved = await execute(
                "UPDATE tenant SET placement = :placement, generation = :generation"
                " WHERE uuid = :uuid AND generation = :before AND placement = :place AND status = :status",
                placement=placement,
                generation=generation,
                uuid=before.uuid,
                before=before.generation,
                place=before.placement,
                status=before.status,
            )
            if moved != 1:
                raise Conflict(_("%(slug)s has been changed meanwhile. Nothing was moved.", slug=before.slug))
            await execute(
                "DELETE FROM tenant_aside WHERE uuid = :uuid AND placement = :placement AND generation = :generation",
                uuid=before.uuid,
                placement=placement,
                generation=generation,
            )
            await self._put_aside(before.uuid, before.placement, before.generation, keep_until)

    async def set_clock(self, before: TenantRecord, at: datetime) -> TenantRecord:
        """Move a test clock forward. Conflict where it was moved meanwhile, or is none."""
        async with self.writing():
            moved = await execute(
                "UPDATE tenant SET clock_at = :at WHERE uuid = :uuid AND clock_at = :before AND clock_at <= :at",
                at=at,
                uuid=before.uuid,
                before=before.clock_at,
            )
            if moved != 1:
                raise Conflict(_("The test clock of %(slug)s was moved by somebody else.", slug=before.slug))
        return await self.get_by_slug(before.slug)

    async def note_aside(self, uuid: UUID, placement: str, generation: int, remove_at: datetime) -> None:
        """There is, or will be, a database of this name that is not the tenant's."""
        async with self.writing():
            await self._put_aside(uuid, placement, generation, remove_at)

    async def _put_aside(self, uuid: UUID, placement: str, generation: int, remove_at: datetime) -> None:
        await execute(
            "INSERT INTO tenant_aside (uuid, placement, generation, remove_at)"
            " VALUES (:uuid, :placement, :generation, :remove_at)"
            " ON CONFLICT (uuid, placement, generation) DO UPDATE SET remove_at = excluded.remove_at",
            uuid=uuid,
            placement=placement,
            generation=generation,
            remove_at=remove_at,
        )

    async def list_aside(self) -> list[Aside]:
        """The databases that are kept aside, or that were left behind."""
        with bind(self.database):
            return await rows(Aside, "SELECT id, uuid, placement, generation, remove_at FROM tenant_aside ORDER BY id")

    async def forget_aside(self, id: int) -> None:
        await self._change("DELETE FROM tenant_aside WHERE id = :id", id=id)

    async def set_status(self, uuid: UUID, status: TenantStatus, reason: str = "") -> None:
        await self._change(
            "UPDATE tenant SET status = :status, reason = :reason WHERE uuid = :uuid",
            status=status.value,
            reason=reason,
            uuid=uuid,
        )

    async def rename(self, uuid: UUID, name: str) -> None:
        async with self.writing():
            await execute("UPDATE tenant SET name = :name WHERE uuid = :uuid", name=name, uuid=uuid)
            await execute(
                "UPDATE tenant_facts SET name_key = :key WHERE tenant_id = (SELECT id FROM tenant WHERE uuid = :uuid)",
                key=sort_key(name),
                uuid=uuid,
            )

    async def set_archived(self, uuid: UUID, file: str) -> None:
        """From here on this backup is all there is of the tenant."""
        await self._change(
            "UPDATE tenant SET status = 'archived', reason = '', archive = :file WHERE uuid = :uuid",
            file=file,
            uuid=uuid,
        )

    async def rename_slug(self, uuid: UUID, slug: str, domain: str) -> None:
        """Another short name, with its host under the domain as the main one if the old one's was; the others stay."""
        check_slug(slug)
        async with self.writing():
            if await value("SELECT 1 FROM tenant WHERE slug = :slug", slug=slug):
                raise Conflict(_("There is a tenant “%(slug)s” already. Choose another short name.", slug=slug))
            host = f"{slug}.{domain}"
            if await value(
                "SELECT 1 FROM tenant_host h JOIN tenant t ON t.id = h.tenant_id WHERE h.host = :host"
                " AND t.uuid <> :uuid",
                host=host,
                uuid=uuid,
            ):
                raise Conflict(_("The host name %(host)s leads to another tenant already.", host=host))
            old = await value("SELECT slug FROM tenant WHERE uuid = :uuid", uuid=uuid)
            tenant_id = await value("SELECT id FROM tenant WHERE uuid = :uuid", uuid=uuid)
            await execute("UPDATE tenant SET slug = :slug WHERE id = :id", slug=slug, id=tenant_id)
            usual = await execute(
                "UPDATE tenant_host SET main = FALSE WHERE tenant_id = :id AND host = :old AND main",
                id=tenant_id,
                old=f"{old}.{domain}",
            )
            await execute(
                "INSERT INTO tenant_host (host, tenant_id, main) VALUES (:host, :id, :main)"
                " ON CONFLICT (host) DO UPDATE SET main = excluded.main OR tenant_host.main",
                host=host,
                id=tenant_id,
                main=usual == 1,
            )

    async def change_hosts(
        self, uuid: UUID, *, add: Sequence[str] = (), remove: Sequence[str] = (), main: str = ""
    ) -> None:
        """Host names that lead to the tenant besides, those that do no longer, and which of all is the main one. Raises
        Conflict for one that is another tenant's, and where the main one would go.
        """
        async with self.writing():
            tenant_id = await value("SELECT id FROM tenant WHERE uuid = :uuid", uuid=uuid)
            for host in add:
                owner = await value("SELECT tenant_id FROM tenant_host WHERE host = :host", host=host)
                if owner not in {None, tenant_id}:
                    raise Conflict(_("The host name %(host)s leads to another tenant already.", host=host))
                await execute(
                    "INSERT INTO tenant_host (host, tenant_id, main) VALUES (:host, :id, FALSE) ON CONFLICT DO NOTHING",
                    host=host,
                    id=tenant_id,
                )
            if main:
                await execute(
                    "UPDATE tenant_host SET main = FALSE WHERE tenant_id = :id AND main AND host <> :host",
                    id=tenant_id,
                    host=main,
                )
                await execute(
                    "UPDATE tenant_host SET main = TRUE WHERE tenant_id = :id AND host = :host", id=tenant_id, host=main
                )
            for host in remove:
                await execute("DELETE FROM tenant_host WHERE tenant_id = :id AND host = :host", id=tenant_id, host=host)
            if not await value("SELECT count(*) FROM tenant_host WHERE tenant_id = :id AND main", id=tenant_id):
                raise Conflict(
                    _("%(host)s cannot be that: a tenant has one main host name, of its own.", host=main or remove[0])
                )

    async def remove(self, uuid: UUID) -> None:
        """Forget a tenant: its short name and hosts are free."""
        await self._change("DELETE FROM tenant WHERE uuid = :uuid", uuid=uuid)

    async def enable_plugin(self, uuid: UUID, plugin: str, now: datetime) -> None:
        await self._change(
            "INSERT INTO tenant_plugin (tenant_id, plugin, position, enabled_at)"
            " SELECT id, :plugin, (SELECT count(*) FROM tenant_plugin p WHERE p.tenant_id = tenant.id), :now"
            " FROM tenant WHERE uuid = :uuid ON CONFLICT DO NOTHING",
            plugin=plugin,
            now=now,
            uuid=uuid,
        )

    async def disable_plugin(self, uuid: UUID, plugin: str) -> None:
        await self._change(
            "DELETE FROM tenant_plugin WHERE plugin = :plugin"
            " AND tenant_id IN (SELECT id FROM tenant WHERE uuid = :uuid)",
            plugin=plugin,
            uuid=uuid,
        )

    async def note_due(self, uuid: UUID, at: datetime) -> None:
        """A hint that the tenant has work at an instant: kept if it is earlier than the one that stands there."""
        with bind(self.database):
            async with transaction():  # it is in no record, so what is remembered of them stays right
                await execute(
                    "UPDATE tenant SET due_at = :at WHERE uuid = :uuid AND (due_at IS NULL OR due_at > :at)",
                    at=at,
                    uuid=uuid,
                )

    async def take_due(self, now: datetime) -> list[UUID]:
        """The active tenants whose hint has come; the hints are cleared, each visit leaves a new one."""
        with bind(self.database):
            if not await value("SELECT 1 FROM tenant WHERE due_at <= :now LIMIT 1", now=now):
                return []
            async with transaction():
                due = await rows(
                    _Due,
                    "SELECT uuid, status FROM tenant WHERE due_at <= :now ORDER BY due_at, id LIMIT 1000",
                    now=now,
                )
                await execute("UPDATE tenant SET due_at = NULL WHERE due_at <= :now AND status = 'active'", now=now)
        return [one.uuid for one in due if one.status == TenantStatus.ACTIVE]

    async def list_active(self) -> list[UUID]:
        with bind(self.database):
            return [one.uuid for one in await rows(_Due, "SELECT uuid, status FROM tenant WHERE status = 'active'")]

    async def _change(self, sql: str, **values: object) -> None:
        async with self.writing():
            await execute(sql, **values)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """A transaction of the control database."""
        with bind(self.database):
            async with transaction():
                yield
        self.forget()


class _Due(Struct, frozen=True):
    uuid: UUID
    status: str


def _record(found: _Row, plugins: Sequence[str]) -> TenantRecord:
    return TenantRecord(
        id=found.id,
        uuid=found.uuid,
        slug=found.slug,
        name=found.name,
        status=found.status,
        reason=found.reason,
        placement=found.placement,
        is_provider=found.is_provider,
        created_at=found.created_at,
        active_at=found.active_at,
        host=found.host or "",
        plugins=tuple(plugins),
        generation=found.generation,
        archive=found.archive,
        clock_at=found.clock_at,
    )
