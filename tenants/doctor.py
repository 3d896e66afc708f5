"""`tenantry doctor`: what keeps a deployment from serving well, tenant by tenant, and the way out of it."""

from __future__ import annotations

import asyncio
import shutil
import stat
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from core.app import migrations_of
from core.database import (
    Damaged,
    SchemaTooNew,
    UnsafeServer,
    WrongDatabase,
    bind,
    dialect,
    pending,
    prove_owner,
    row,
    value,
)
from core.errors import Unavailable
from core.hooks import usable
from core.web.assets import MissingAsset, load_manifest
from tenants.moving import name_of
from tenants.status import TenantStatus
from tenants.watching import LEAST_FREE, answers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.config import Config
    from core.database import PostgresServer
    from tenants.deployment import Deployment
    from tenants.placement import Fullness
    from tenants.registry import RegistryClosed, TenantRecord

State = Literal["ok", "warn", "fail"]
LATE: Final = timedelta(minutes=15)
"""How long after its time a job may wait before somebody should look."""


class Finding(Struct, frozen=True):
    what: str
    state: State
    detail: str
    way_out: str = ""


async def examine(deployment: Deployment) -> AsyncIterator[Finding]:
    """Everything that was looked at, the deployment first, then its tenants by name. Reads only."""
    for finding in beneath(deployment.config):
        yield finding
    check = await answers(deployment.registry.count_by_status())
    way_out = "" if check.ok else "is the data folder writable?"
    yield Finding("registry", "ok" if check.ok else "fail", check.detail or "answers", way_out)
    for name, server in deployment.placement.servers.items():
        yield await _server(f"database {name}", server)
    for place in await deployment.placement.all_fullness():
        if place.limit:
            yield _room(place)
    for name, plugin in deployment.plugins.items():
        good = name in usable(deployment.plugins)
        reason = "" if good else str(plugin.error)
        yield Finding(f"plugin {name}", "ok" if good else "fail", reason or plugin.distribution)
    for tenant in await deployment.registry.list_tenants():
        yield await examine_tenant(deployment, tenant, thorough=True)
    for old in await deployment.registry.list_aside():
        name = name_of(deployment, old.uuid, old.placement, old.generation)
        if old.remove_at > deployment.clock.now():
            yield Finding("kept aside", "ok", f"{name}: until {old.remove_at:%Y-%m-%d}")
        else:
            yield Finding("kept aside", "warn", f"{name}: should be gone", "is `tenantry worker` (or serve) running?")


def beneath(config: Config) -> tuple[Finding, ...]:
    """What can be looked at before the registry is opened."""
    return _keys(config), _assets(), _disk(config)


def without_registry(config: Config, error: RegistryClosed) -> list[Finding]:
    """All that can be said where it does not open."""
    way_out = "after what fails above; where it is damaged: docs/hosting.md, Backups"
    return [*beneath(config), Finding("registry", "fail", str(error), way_out)]


def _keys(config: Config) -> Finding:
    file = config.data / "keys"
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        return Finding("keys", "fail", f"{file} can be read by others ({mode:o})", f"chmod 600 {file}")
    return Finding("keys", "ok", f"{file}; keep a copy apart from the backups")


def _assets() -> Finding:
    try:
        load_manifest()
    except MissingAsset as error:
        return Finding("assets", "fail", str(error), "./run sets them up")
    return Finding("assets", "ok", "complete and unchanged")


def _disk(config: Config) -> Finding:
    usage = shutil.disk_usage(config.data)
    detail = f"{usage.free // 2**20:,} MiB free of {usage.total // 2**20:,}"
    if usage.free < LEAST_FREE:
        return Finding("disk", "fail", detail, f"make room on the disk of {config.data}")
    if usage.free < usage.total // 10:
        return Finding("disk", "warn", detail, "less than a tenth is left")
    return Finding("disk", "ok", detail)


def _room(place: Fullness) -> Finding:
    what = f"room in {place.name}"
    if place.error:
        return Finding(what, "warn", place.said, "is the owner's address of the database right?")
    if not place.has_room:
        return Finding(what, "warn", place.said, "full: name a further database under [placement], or move tenants")
    if place.room <= place.limit // 10:
        return Finding(what, "warn", place.said, "less than a tenth is left")
    return Finding(what, "ok", place.said)


async def _server(what: str, server: PostgresServer) -> Finding:
    """What a start looks at: that it answers, what its roles may, that no pooler mixes up tenants."""
    try:
        await server.start()
    except Unavailable as error:
        return Finding(what, "fail", error.message, "is PostgreSQL up, and its app_dsn right?")
    except UnsafeServer as error:
        return Finding(what, "fail", str(error), "no server starts until it is mended")
    return Finding(what, "ok", "answers")


class _Work(Struct, frozen=True):
    late: int
    for_a_person: int
    parked: int


async def examine_tenant(deployment: Deployment, tenant: TenantRecord, *, thorough: bool = False) -> Finding:
    """What keeps one tenant from being served well. Reads only; `thorough`: all of an SQLite file."""
    what = f"tenant {tenant.slug}"
    if tenant.status == TenantStatus.CREATING:
        return Finding(what, "ok", "is being made")
    if tenant.status == TenantStatus.ARCHIVED:
        if await asyncio.to_thread(Path(tenant.archive).is_file):
            return Finding(what, "ok", f"archived: {tenant.archive}")
        return Finding(
            what, "fail", f"is archived, but its backup is gone: {tenant.archive}", "put the file back there"
        )
    try:
        with bind(deployment.placement.find(tenant)):
            await prove_owner(tenant.uuid)
            if thorough and dialect() == "sqlite" and (found := await value("PRAGMA quick_check(1)")) != "ok":
                raise Damaged(f"The database file is damaged: {found}")
            missing = await pending(migrations_of(deployment.plugins, deployment.enabled(tenant)))
            upgrade = f"tenantry tenant upgrade {tenant.slug}"
            if tenant.status == TenantStatus.FAILED:
                return Finding(what, "fail", tenant.reason or "its upgrade failed", upgrade)
            if missing:
                return Finding(what, "fail", f"{len(missing)} migrations behind", upgrade)
            work = await row(
                _Work,
                "SELECT (SELECT count(*) FROM job WHERE state = 'waiting' AND crowd = false"
                " AND due_at < :late) AS late,"
                " (SELECT count(*) FROM job WHERE state IN ('failed', 'unknown', 'held')) AS for_a_person,"
                " (SELECT count(*) FROM delivery_parked) AS parked",
                late=deployment.clock.now() - LATE,
            )
    except SchemaTooNew as error:
        return Finding(what, "fail", str(error), "docs/hosting.md, Upgrades: the way back")
    except WrongDatabase as error:
        return Finding(what, "fail", str(error), "put its own database back, from a backup")
    except Damaged as error:
        return Finding(what, "fail", error.message, "tenantry tenant restore FILE --replace --no-backup")
    except Exception as error:
        return Finding(what, "fail", f"{type(error).__name__}: {error}", "the log of the server says more")
    assert work is not None
    if tenant.status != TenantStatus.ACTIVE:
        return Finding(what, "warn", f"is {tenant.status}", f"tenantry tenant resume {tenant.slug}")
    if gone := [name for name in tenant.plugins if name not in usable(deployment.plugins)]:
        detail = f"on, but not installed or not to be loaded: {', '.join(gone)}"
        way_out = f"install it again, or: tenantry plugin disable {gone[0]} --tenant {tenant.slug}"
        return Finding(what, "fail", detail, way_out)
    if work.late:
        detail = f"{work.late} jobs are late by more than {LATE.seconds // 60} minutes"
        return Finding(what, "warn", detail, "is `tenantry worker` (or serve) running?")
    if work.for_a_person or work.parked:
        detail = f"{work.for_a_person} jobs and {work.parked} events wait for a person"
        return Finding(what, "warn", detail, "look at Jobs and at Settings, Plugins")
    return Finding(what, "ok", "current")
