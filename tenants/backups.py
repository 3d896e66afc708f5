"""Backups: one file a tenant, its database and its stored files as they were at one instant, while it is in use."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from contextlib import contextmanager
from importlib.metadata import version
from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING, Final

import structlog
from msgspec import Struct

from core.database import (
    Damaged,
    SqliteDatabase,
    bind,
    dialect,
    execute,
    prove_owner,
    reading,
    rows,
    value,
    values,
)
from core.errors import Conflict, DomainError, Unavailable
from core.texts import _
from tenants.archives import DATABASES, FORMAT, Manifest, in_thread, room_on, sync_folder, write_archive
from tenants.dumping import dump_schema, program
from tenants.names import OURS
from tenants.placement import SQLITE, owner_dsn, schema_of
from tenants.status import TenantStatus, called

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from threading import Event
    from uuid import UUID

    from tenants.archives import Told
    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord

LOG: Final = structlog.stdlib.get_logger("tenantry.tenants")
BACKUPS: Final = "backups"
REGISTRY: Final = "(registry)"
"""Where results name tenants: no tenant is called so."""
WORKING: Final = "working"
FILES: Final = "files"
_EXPECTED: Final = (DomainError, OSError)


class BackedUp(Struct, frozen=True):
    """What became of one tenant's backup: its file, or why there is none."""

    slug: str
    file: str = ""
    size: int = 0
    seconds: float = 0.0
    missing: int = 0
    """Stored files that were gone from the disk already: they are in no backup."""
    error: str = ""


class Busy(Conflict):
    """Another process works on the tenant."""


def nobody(done: int, total: int) -> None:
    """Hears of progress where nobody asks."""


async def back_up(
    deployment: Deployment, record: TenantRecord, folder: Path | None = None, *, told: Told = nobody
) -> BackedUp:
    """The tenant's backup in this folder (the deployment's `backups`), while it is being used. Whatever goes wrong, no
    half of one is left.
    """
    with worked_on(deployment, record) as staging:
        return await back_up_in(deployment, record, staging, folder, told=told)


async def back_up_all(
    deployment: Deployment,
    folder: Path | None = None,
    told: Callable[[int, int, BackedUp], None] = lambda done, total, one: None,
) -> list[BackedUp]:
    """Each tenant that has a database, one after the other; one that fails stops no other."""
    records = [record for record in await deployment.registry.list_tenants() if has_database(record)]
    results: list[BackedUp] = []
    for record in records:
        try:
            results.append(await back_up(deployment, record, folder))
        except _EXPECTED as error:
            LOG.warning("no backup", slug=record.slug, reason=str(error))
            results.append(BackedUp(record.slug, error=error.message if isinstance(error, DomainError) else str(error)))
        told(len(results), len(records), results[-1])
    return results


async def back_up_registry(deployment: Deployment, folder: Path | None = None) -> BackedUp:
    """A copy of the registry beside the tenants' backups: their names, hosts, plugins, and where each lies."""
    started = perf_counter()
    folder = folder or deployment.config.data / BACKUPS
    target = folder / f"registry-{deployment.clock.now():%Y%m%dT%H%M%S%fZ}.sqlite"
    part = folder / f".registry.{os.getpid()}.part"
    with room_on(folder):
        folder.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        try:
            await deployment.registry.database.copy_into(part)
            part.replace(target)
            await asyncio.to_thread(sync_folder, folder)
        finally:
            part.unlink(missing_ok=True)
        size = target.stat().st_size
    return BackedUp(REGISTRY, str(target), size, round(perf_counter() - started, 3))


def has_database(record: TenantRecord) -> bool:
    return record.status in {TenantStatus.ACTIVE, TenantStatus.SUSPENDED, TenantStatus.FAILED}


async def back_up_in(
    deployment: Deployment, record: TenantRecord, staging: Path, folder: Path | None = None, *, told: Told = nobody
) -> BackedUp:
    """As `back_up`, for one who works on the tenant already."""
    if not has_database(record):
        raise Conflict(
            _("%(slug)s is %(status)s: there is nothing to back up.", slug=record.slug, status=called(record.status))
        )
    folder = folder or deployment.config.data / BACKUPS
    started = perf_counter()
    with room_on(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f".{record.uuid}.*.part"):
            left.unlink(missing_ok=True)
    part = folder / f".{record.uuid}.{os.getpid()}.part"
    made_at = deployment.clock.now()
    target = _free(folder, f"{record.slug}-{made_at:%Y%m%dT%H%M%S%fZ}")
    try:
        with room_on(deployment.config.data):
            stored = deployment.placement.folder(record.uuid) / FILES
            await in_thread(lambda stop: _hold(stored, staging / "held", stop))
            database = staging / DATABASES["sqlite" if record.placement == SQLITE else "postgresql"]
            seen = await _copy(deployment, record, database)
        sources = [(database.name, database)]
        missing = []
        for sha256 in seen.files:
            place = f"{sha256[:2]}/{sha256}"
            found = next((path for path in (staging / "held" / place, stored / place) if path.is_file()), None)
            if found is None:
                missing.append(sha256)
            else:
                sources.append((f"{FILES}/{place}", found))
        manifest = Manifest(
            format=FORMAT,
            version=version(OURS),
            made_at=made_at,
            uuid=record.uuid,
            slug=record.slug,
            name=record.name,
            hosts=tuple(await deployment.registry.hosts(record.uuid)),
            created_at=record.created_at,
            clock_at=record.clock_at,
            placement=record.placement,
            dialect="sqlite" if record.placement == SQLITE else "postgresql",
            schema="" if record.placement == SQLITE else schema_of(record.uuid, record.generation),
            schema_version=seen.schema_version,
            migrations=seen.migrations,
            plugins=record.plugins,
            counts=seen.counts,
            keys=deployment.keys.ids,
            missing=tuple(missing),
        )
        with room_on(folder):
            await in_thread(lambda stop: write_archive(part, target, manifest, sources, stop, told))
    except Unavailable as error:
        raise Unavailable(
            _("No backup of %(slug)s: %(why)s", slug=record.slug, why=error.message), retry_after=error.retry_after
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return BackedUp(
        record.slug, str(target), target.stat().st_size, round(perf_counter() - started, 3), missing=len(missing)
    )


def _free(folder: Path, name: str) -> Path:
    """No backup takes another's place."""
    return next(path for n in count(1) if not (path := folder / f"{name}{f'-{n}' if n > 1 else ''}.tar").exists())


@contextmanager
def worked_on(deployment: Deployment, record: TenantRecord) -> Iterator[Path]:
    """One at a time makes or restores a tenant's backup; gives an empty folder for it, gone afterwards.

    The lock ends with the process, however that ends; what it left in the folder goes when the next one comes. (The
    file that is locked stays: to take it away would let two have one each.)
    """
    with locked(deployment, record.uuid, record.slug) as staging:
        yield staging


@contextmanager
def locked(deployment: Deployment, uuid: UUID, slug: str) -> Iterator[Path]:
    """As `worked_on`, for a tenant that is not there yet."""
    working = deployment.config.data / WORKING
    staging = working / str(uuid)
    with room_on(working):
        working.mkdir(parents=True, exist_ok=True)
        handle = os.open(working / f"{uuid}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(_("Somebody else backs up, restores or moves %(slug)s at this moment.", slug=slug)) from None
        try:
            shutil.rmtree(staging, ignore_errors=True)
            with room_on(working):
                staging.mkdir(mode=0o700)
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    finally:
        os.close(handle)


def _hold(stored: Path, held: Path, stop: Event) -> None:
    """Links to the files that are there now: one that is removed after the database was looked at is not missed."""
    for path in stored.glob("??/*"):
        if len(path.name) != 64 or stop.is_set():
            continue
        link = held / path.parent.name / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, link)
        except FileNotFoundError:
            continue


class _Seen(Struct, frozen=True):
    """What the copy holds."""

    schema_version: str
    migrations: dict[str, tuple[str, ...]]
    counts: dict[str, int]
    files: list[str]


async def _copy(deployment: Deployment, record: TenantRecord, target: Path) -> _Seen:
    """The database as it is at one instant, proven to be the tenant's and sound."""
    database = deployment.placement.migrating(record)
    if isinstance(database, SqliteDatabase):
        await database.vacuum_into(target)
        return await _seen_in_file(record.uuid, target)
    program("pg_dump")
    with bind(database):
        async with reading():
            await prove_owner(record.uuid)
            seen = await look_at()
            await dump_picture(deployment, record, target)
    return seen


async def dump_picture(deployment: Deployment, record: TenantRecord, target: Path) -> None:
    """The schema as the transaction that is open sees it."""
    await execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    snapshot = await value("SELECT pg_catalog.pg_export_snapshot()")
    server = deployment.placement.servers[record.placement]
    await dump_schema(owner_dsn(server), schema_of(record.uuid, record.generation), snapshot, target)


async def _seen_in_file(uuid: UUID, file: Path) -> _Seen:
    copy = SqliteDatabase(file, files=None)
    try:
        with bind(copy):
            found = await value("PRAGMA quick_check")
            if found != "ok":
                raise Damaged(_("The database is damaged: %(found)s", found=found))
            await prove_owner(uuid)
            return await look_at()
    finally:
        await copy.close()


async def look_at() -> _Seen:
    """What the bound database holds."""
    done = await rows(_Done, "SELECT app, id FROM migration ORDER BY app, id")
    apps: dict[str, tuple[str, ...]] = {}
    for each in done:
        apps[each.app] = (*apps.get(each.app, ()), each.id)
    return _Seen(
        schema_version=await value("SELECT schema_version FROM tenant_meta WHERE one = 1"),
        migrations=apps,
        counts={name: await value(f'SELECT count(*) FROM "{name}"') for name in await values(_TABLES[dialect()])},
        files=await values("SELECT DISTINCT sha256 FROM stored_file ORDER BY sha256"),
    )


class _Done(Struct, frozen=True):
    app: str
    id: str


_TABLES: Final = {
    "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    " AND sql NOT LIKE '%, content='''', %' ORDER BY name",  # an index that holds no rows of its own
    "postgresql": "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema() ORDER BY tablename",
}
