"""Bringing tenants' databases to the version of the code: a backup first, one by one; one that fails stops no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog
from msgspec import Struct

from core.app import migrations_of
from core.database import (
    Damaged,
    DiskFull,
    SqliteDatabase,
    WrongDatabase,
    bind,
    migrate,
    pending,
    prove_owner,
    reading,
    transaction,
)
from core.errors import Unavailable
from tenants.archives import room_on, sync_folder
from tenants.backups import Busy, dump_picture, worked_on
from tenants.placement import SQLITE
from tenants.status import TenantStatus

if TYPE_CHECKING:
    from pathlib import Path

    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord

LOG: Final = structlog.stdlib.get_logger("tenantry.tenants")
BACKUPS: Final = "backups"
COPY: Final = "before-upgrade-%Y%m%dT%H%M%S%f"
"""What the copy made before an upgrade is called: the instant, in UTC."""
PATIENCE: Final = 120.0
"""Seconds that a backup under way, or whoever writes just then, is waited for."""
PAUSE: Final = 0.5
"""Seconds before it is tried again."""
FIRST: Final = 3
"""Tenants that are tried before the rest: where none of them can be upgraded, the fault is the version's."""
NOT_BEGUN: Final = "Not begun, and as it was: none of the first {first} could be upgraded, so the version is to blame."
AT_ONCE: Final = 4
"""Tenants that are upgraded at the same time: while one waits for the disk, another works."""
OWNERS: Final = 2
"""Of them on PostgreSQL: as many as the owner of a database has connections."""


class Upgraded(Struct, frozen=True):
    """What became of one tenant: the migrations that ran (none: it was current), or why it failed."""

    slug: str
    ran: tuple[str, ...] = ()
    error: str = ""
    backup: str = ""


async def upgrade_tenant(deployment: Deployment, record: TenantRecord, *, dump: bool = True) -> Upgraded:
    """Run what is missing, all or nothing, after a backup (of a PostgreSQL tenant only with `dump`). One that fails
    answers 503 until it is mended; repeated, it goes on.
    """
    if record.status == TenantStatus.CREATING:
        return Upgraded(record.slug, error="It is being made at this moment.")
    if record.status == TenantStatus.ARCHIVED:
        return Upgraded(record.slug, error="It is archived: restoring it brings it up to date.")
    try:
        if not await _missing(deployment, record):
            await _serve(deployment, record)
            return Upgraded(record.slug)
        async with _alone(deployment, record):
            backup = await _back_up(deployment, record, dump=dump) if await _missing(deployment, record) else None
            ran = await _migrated(deployment, record)
            if backup is not None:
                await asyncio.to_thread(_clear_out, deployment, backup)
    except Busy as error:
        return Upgraded(record.slug, error=error.message)
    except Exception as error:
        said = isinstance(error, WrongDatabase | Damaged | DiskFull)  # where it comes from says no more
        LOG.error("upgrade failed", slug=record.slug, reason=str(error), exc_info=not said)
        if record.status in {TenantStatus.ACTIVE, TenantStatus.FAILED}:
            await deployment.registry.set_status(record.uuid, TenantStatus.FAILED, f"Upgrade: {error}")
        return Upgraded(record.slug, error=f"{type(error).__name__}: {error}")
    await _serve(deployment, record)
    return Upgraded(record.slug, tuple(ran), backup=str(backup or ""))


def _clear_out(deployment: Deployment, newest: Path) -> None:
    """Copies that are older than any way back goes; never the newest."""
    oldest = deployment.clock.now() - timedelta(days=deployment.config.placement.keep_upgraded)
    for path in newest.parent.glob("before-upgrade-*"):
        try:
            made_at = datetime.strptime(path.stem, COPY).replace(tzinfo=UTC)
        except ValueError:
            continue
        if path != newest and made_at < oldest:
            path.unlink(missing_ok=True)


async def _missing(deployment: Deployment, record: TenantRecord) -> list[str]:
    migrations = migrations_of(deployment.plugins, deployment.enabled(record))
    with bind(deployment.placement.find(record)):
        try:
            async with transaction():  # by the writer: a SQLite file is opened once for all that follows
                await prove_owner(record.uuid)
                return await pending(migrations)
        except Unavailable:  # an import by command writes for long, say: to look needs no turn
            async with reading():
                await prove_owner(record.uuid)
                return await pending(migrations)


async def _migrated(deployment: Deployment, record: TenantRecord) -> list[str]:
    """All or nothing, once whoever writes has ended."""
    deadline = monotonic() + PATIENCE
    while True:
        try:
            with bind(deployment.placement.migrating(record)):
                return await migrate(migrations_of(deployment.plugins, deployment.enabled(record)))
        except (DiskFull, Damaged):
            raise
        except Unavailable:
            if monotonic() > deadline:
                raise
            await asyncio.sleep(PAUSE)  # it may have been refused at once


async def _serve(deployment: Deployment, record: TenantRecord) -> None:
    if record.status == TenantStatus.FAILED:
        await deployment.registry.set_status(record.uuid, TenantStatus.ACTIVE)


@asynccontextmanager
async def _alone(deployment: Deployment, record: TenantRecord) -> AsyncIterator[None]:
    """Nobody backs it up or moves it inside; a backup that is being made is waited for."""
    deadline = monotonic() + PATIENCE
    with ExitStack() as holding:
        while True:
            try:
                holding.enter_context(worked_on(deployment, record))
                break
            except Busy:
                if monotonic() > deadline:
                    raise
            await asyncio.sleep(0.2)
        yield


async def upgrade_all(
    deployment: Deployment,
    told: Callable[[int, int, Upgraded], None] = lambda done, total, one: None,
    *,
    dump: bool = False,
) -> list[Upgraded]:
    """Every tenant, a few at a time; `told` hears (done, total, result) after each. Where none of the first few that
    were served can be upgraded, the others are left alone. Of PostgreSQL the provider has a base backup, unless a
    `dump` of each tenant is asked for.
    """
    left_out = {TenantStatus.ARCHIVED, TenantStatus.CREATING}
    records = [record for record in await deployment.registry.list_tenants() if record.status not in left_out]
    waiting = iter(enumerate(records))
    results: dict[int, Upgraded] = {}
    tried: list[bool] = []
    owners = asyncio.Semaphore(OWNERS)

    async def upgraded(record: TenantRecord) -> Upgraded:
        if record.placement == SQLITE:
            return await upgrade_tenant(deployment, record, dump=dump)
        async with owners:
            return await upgrade_tenant(deployment, record, dump=dump)

    async def work() -> None:
        for number, record in waiting:
            if tried[:FIRST] == [False] * FIRST:
                results[number] = Upgraded(record.slug, error=NOT_BEGUN.format(first=FIRST))
            else:
                results[number] = await upgraded(record)
                if record.status != TenantStatus.FAILED and (results[number].ran or results[number].error):
                    tried.append(bool(results[number].ran))
            told(len(results), len(records), results[number])

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return [results[number] for number in range(len(records))]


async def _back_up(deployment: Deployment, record: TenantRecord, *, dump: bool) -> Path | None:
    """A copy of the database beside the tenant's files; under its name it is whole."""
    database = deployment.placement.find(record)
    if not isinstance(database, SqliteDatabase) and not dump:
        return None
    folder = deployment.placement.folder(record.uuid) / BACKUPS
    with room_on(folder):
        folder.mkdir(exist_ok=True)
        for left in folder.glob(".*.part"):
            left.unlink()
        name = f"{deployment.clock.now():{COPY}}"
        target = folder / f"{name}{'.sqlite' if isinstance(database, SqliteDatabase) else '.pgdump'}"
        part = folder / f".{name}.part"
        try:
            if isinstance(database, SqliteDatabase):
                await database.copy_into(part)
            else:
                with bind(deployment.placement.migrating(record)):
                    async with reading():
                        await dump_picture(deployment, record, part)
                await asyncio.to_thread(sync_folder, part)
            part.replace(target)
            await asyncio.to_thread(sync_folder, folder)
        finally:
            part.unlink(missing_ok=True)
    return target
