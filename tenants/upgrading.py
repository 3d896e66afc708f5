"""Bringing tenants' databases to the version of the code: a backup first, one by one; one that fails stops no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog
from msgspec import Struct

from core.app import migrations_of
from core.database import SqliteDatabase, bind, migrate, pending, prove_owner, transaction
from tenants.status import TenantStatus

if TYPE_CHECKING:
    from pathlib import Path

    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord

LOG: Final = structlog.stdlib.get_logger("tenantry.tenants")
BACKUPS: Final = "backups"
AT_ONCE: Final = 2
"""Tenants that are upgraded at the same time: as many as the owner of a PostgreSQL database has connections."""


class Upgraded(Struct, frozen=True):
    """What became of one tenant: the migrations that ran (none: it was current), or why it failed."""

    slug: str
    ran: tuple[str, ...] = ()
    error: str = ""
    backup: str = ""


async def upgrade_tenant(deployment: Deployment, record: TenantRecord) -> Upgraded:
    """Run what is missing, all or nothing. A tenant that fails answers 503 until it is mended; repeated, it goes on."""
    if record.status == TenantStatus.ARCHIVED:
        return Upgraded(record.slug, error="It is archived: restoring it brings it up to date.")
    try:
        with bind(deployment.placement.find(record)):
            async with transaction():  # by the writer: a SQLite file is opened once for all that follows
                await prove_owner(record.uuid)
                missing = await pending(migrations_of(deployment.plugins, deployment.enabled(record)))
        if not missing:
            if record.status == TenantStatus.FAILED:
                await deployment.registry.set_status(record.uuid, TenantStatus.ACTIVE)
            return Upgraded(record.slug)
        backup = await _back_up(deployment, record)
        with bind(deployment.placement.migrating(record)):
            ran = await migrate(migrations_of(deployment.plugins, deployment.enabled(record)))
    except Exception as error:
        LOG.exception("upgrade failed", slug=record.slug)
        if record.status == TenantStatus.ACTIVE:
            await deployment.registry.set_status(record.uuid, TenantStatus.FAILED, f"Upgrade: {error}")
        return Upgraded(record.slug, error=f"{type(error).__name__}: {error}")
    if record.status == TenantStatus.FAILED:
        await deployment.registry.set_status(record.uuid, TenantStatus.ACTIVE)
    return Upgraded(record.slug, tuple(ran), backup=str(backup or ""))


async def upgrade_all(
    deployment: Deployment, told: Callable[[int, int, Upgraded], None] = lambda done, total, one: None
) -> list[Upgraded]:
    """Every tenant, a few at a time; `told` hears (done, total, result) after each."""
    records = [record for record in await deployment.registry.list_tenants() if record.status != TenantStatus.ARCHIVED]
    waiting = iter(enumerate(records))
    results: dict[int, Upgraded] = {}

    async def work() -> None:
        for number, record in waiting:
            results[number] = await upgrade_tenant(deployment, record)
            told(len(results), len(records), results[number])

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return [results[number] for number in range(len(records))]


async def _back_up(deployment: Deployment, record: TenantRecord) -> Path | None:
    """A copy of a SQLite tenant beside it; a PostgreSQL tenant's backup is the provider's base backup (or pg_dump)."""
    database = deployment.placement.find(record)
    if not isinstance(database, SqliteDatabase):
        return None
    folder = deployment.placement.folder(record.uuid) / BACKUPS
    folder.mkdir(exist_ok=True)
    target = folder / f"before-upgrade-{deployment.clock.now():%Y%m%dT%H%M%S%f}.sqlite"
    await database.vacuum_into(target)
    target.chmod(0o600)
    return target
