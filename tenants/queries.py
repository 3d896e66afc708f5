"""What the console reads: tenants from the registry, never from their own databases; work, and files of backups."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from core.database import bind, rows, within
from core.errors import DomainError, NotFound
from core.ids import LARGEST_ID, sort_key
from core.jobs.queries import JobRow, get_job
from core.jobs.tables import Job
from tenants.archives import read_manifest
from tenants.backups import BACKUPS
from tenants.facts import backup_made
from tenants.jobs import BACK_UP_ALL, JOBS, LOOK, UPGRADE_ALL, Made, MadeAll

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from core.scope import Scope
    from tenants.deployment import Deployment

KINDS: Final = tuple(kind.name for kind in JOBS)
_OF_ALL: Final = frozenset({UPGRADE_ALL.name, BACK_UP_ALL.name, LOOK.name})


class TenantHit(Struct, frozen=True):
    """A tenant that a search found."""

    id: int
    name: str
    slug: str
    host: str | None


class TenantLine(Struct, frozen=True):
    """A tenant as its list shows it; what is not in the registry is as it was last looked at."""

    id: int
    uuid: UUID
    slug: str
    name: str
    status: str
    reason: str
    placement: str
    is_provider: bool
    created_at: datetime
    host: str
    plugins: int
    schema_version: str
    behind: int
    files_bytes: int
    waiting: int
    health: str
    """ok, warn, fail, or empty before anybody has looked."""
    customers: int | None = None
    users: int | None = None
    database_bytes: int | None = None
    last_activity_at: datetime | None = None
    backed_up_at: datetime | None = None
    looked_at: datetime | None = None
    clock_at: datetime | None = None
    """What its test clock shows, if it has one."""

    @property
    def size(self) -> int | None:
        return None if self.database_bytes is None else self.database_bytes + self.files_bytes


LINES: Final = """
SELECT tenant.id, tenant.uuid, tenant.slug, tenant.name, tenant.status, tenant.reason, tenant.placement,
       tenant.is_provider, tenant.created_at, tenant.clock_at,
       coalesce((SELECT h.host FROM tenant_host h WHERE h.tenant_id = tenant.id AND h.main), '') AS host,
       (SELECT count(*) FROM tenant_plugin p WHERE p.tenant_id = tenant.id) AS plugins,
       f.schema_version, f.behind, f.files_bytes, f.waiting, f.state AS health, f.customers, f.users,
       f.database_bytes,
       f.last_activity_at, f.backed_up_at, f.looked_at
FROM tenant JOIN tenant_facts f ON f.tenant_id = tenant.id
"""

WITH_NAME: Final = """
(f.name_key LIKE :words ESCAPE '~' OR tenant.slug LIKE :words ESCAPE '~'
 OR EXISTS (SELECT 1 FROM tenant_host h WHERE h.tenant_id = tenant.id AND h.host LIKE :words ESCAPE '~'))
"""


def pattern(typed: str) -> str:
    """What is searched for, anywhere in a name or host."""
    escaped = "".join(f"~{one}" if one in "%_~" else one for one in sort_key(typed))
    return f"%{escaped}%"


async def find_tenants(deployment: Deployment, typed: str, limit: int) -> list[TenantHit]:
    """By name, short name or host."""
    if not sort_key(typed):
        return []
    with bind(deployment.registry.database):
        return await rows(
            TenantHit,
            "SELECT tenant.id, tenant.name, tenant.slug,"
            " (SELECT h.host FROM tenant_host h WHERE h.tenant_id = tenant.id AND h.main) AS host"
            " FROM tenant JOIN tenant_facts f ON f.tenant_id = tenant.id"
            f" WHERE {WITH_NAME} ORDER BY f.name_key, tenant.id LIMIT :limit",
            words=pattern(typed),
            limit=limit,
        )


async def count_by_place(deployment: Deployment) -> dict[str, int]:
    """Tenants that have a database, by where it is."""
    with bind(deployment.registry.database):
        found = await rows(
            _Place, "SELECT placement, count(*) AS tenants FROM tenant WHERE status <> 'archived' GROUP BY placement"
        )
    return {one.placement: one.tenants for one in found}


class _Place(Struct, frozen=True):
    placement: str
    tenants: int


# -- work -------------------------------------------------------------------------------------------------------------


class _About(Struct, frozen=True):
    """What the payloads of the console's work have in common."""

    tenant_id: int | None = None
    slug: str = ""
    file: str = ""
    copy: str = ""


class Work(Struct, frozen=True):
    """A job of the console, and what it is about."""

    job: JobRow
    about: _About

    @property
    def is_under_way(self) -> bool:
        return self.job.state.value in ("waiting", "running", "sending")

    @property
    def made(self) -> Made | None:
        if self.job.result is None or self.job.kind in _OF_ALL or self.job.kind == "tenants.upgrade":
            return None
        return msgspec.json.decode(self.job.result, type=Made)

    @property
    def made_all(self) -> MadeAll | None:
        if self.job.result is None or not (self.job.kind in _OF_ALL or self.job.kind == "tenants.upgrade"):
            return None
        return msgspec.json.decode(self.job.result, type=MadeAll)


class _Payload(Struct, frozen=True):
    id: int
    payload: str


async def get_work(scope: Scope, job_id: int) -> Work:
    """A job of the console, or NotFound: others' work has pages of its own."""
    job = await get_job(scope, job_id)
    if job.kind not in KINDS:
        raise NotFound(f"job {job_id}")
    return (await _with_payloads(scope, [job]))[0]


async def list_work(scope: Scope, *, before: int | None = None, limit: int = 200) -> list[Work]:
    """The console's latest work, but the looking around; `before` is where the last page ended."""
    found = await rows(
        JobRow,
        "SELECT id, kind, policy, state, due_at, attempts, progress_done, progress_total, progress_text, cancel_asked,"
        " created_at, customer_id, result, error, started_at, finished_at FROM job"
        " WHERE kind IN :kinds AND id < :before AND :reach ORDER BY id DESC LIMIT :limit",
        before=before or LARGEST_ID,
        kinds=[kind for kind in KINDS if kind != LOOK.name],
        reach=within(Job, scope.actor.reach),
        limit=limit,
    )
    return await _with_payloads(scope, found)


async def _with_payloads(scope: Scope, jobs: Iterable[JobRow]) -> list[Work]:
    jobs = list(jobs)
    payloads = {
        one.id: msgspec.json.decode(one.payload, type=_About)
        for one in await rows(
            _Payload,
            "SELECT id, payload FROM job WHERE id IN :ids AND :reach",
            ids=[job.id for job in jobs],
            reach=within(Job, scope.actor.reach),
        )
    }
    return [Work(job, payloads[job.id]) for job in jobs]


# -- backups ----------------------------------------------------------------------------------------------------------


class BackupFile(Struct, frozen=True):
    """A file in the deployment's folder of backups."""

    file: str
    slug: str
    made_at: datetime
    size: int


class BackupOf(Struct, frozen=True):
    """What a backup's manifest says; `error` where it cannot be read."""

    backup: BackupFile
    uuid: UUID | None = None
    name: str = ""
    version: str = ""
    placement: str = ""
    error: str = ""


async def list_backups(deployment: Deployment, slugs: Iterable[str] | None = None) -> list[BackupFile]:
    """Newest first; of these short names only, where they are named."""
    wanted = None if slugs is None else frozenset(slugs)
    return await asyncio.to_thread(_files, deployment.config.data / BACKUPS, wanted)


def _files(folder: Path, slugs: frozenset[str] | None) -> list[BackupFile]:
    found = []
    for path in folder.glob("*.tar"):
        made = backup_made(path.name)
        if made is None or (slugs is not None and made[0] not in slugs):
            continue
        try:
            found.append(BackupFile(path.name, made[0], made[1], path.stat().st_size))
        except FileNotFoundError:
            continue
    return sorted(found, key=lambda one: (one.made_at, one.file), reverse=True)


async def get_backup(deployment: Deployment, file: str) -> BackupOf:
    """The backup of this name, or NotFound. Nothing but a backup's name leads to a file."""
    made = backup_made(file)
    place = deployment.config.data / BACKUPS / file
    if made is None or not await asyncio.to_thread(place.is_file):
        raise NotFound(f"backup {file}")
    size = (await asyncio.to_thread(place.stat)).st_size
    return (await describe(deployment, [BackupFile(file, made[0], made[1], size)]))[0]


async def describe(deployment: Deployment, files: Iterable[BackupFile]) -> list[BackupOf]:
    """What the manifests of these say. Each file is looked into once."""
    folder = deployment.config.data / BACKUPS
    return await asyncio.to_thread(lambda: [_described(folder, one) for one in files])


@lru_cache(maxsize=20_000)
def _described(folder: Path, file: BackupFile) -> BackupOf:
    try:
        manifest = read_manifest(folder / file.file)
    except DomainError as error:
        return BackupOf(file, error=error.message)
    return BackupOf(file, manifest.uuid, manifest.name, manifest.version, manifest.placement)


async def backups_of(deployment: Deployment, uuid: UUID, slug: str) -> list[BackupOf]:
    """Those of one tenant, under every short name that it had: its old addresses lead to it still."""
    domain = f".{deployment.config.server.domain}"
    hosts = await deployment.registry.hosts(uuid)
    slugs = {slug, *(host.removesuffix(domain) for host in hosts if host.endswith(domain))}
    found = await describe(deployment, await list_backups(deployment, slugs))
    return [one for one in found if one.uuid == uuid or one.error]
