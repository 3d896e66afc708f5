"""What is found out about tenants from time to time, and kept in the registry: their list opens none of them."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.app import migrations_of
from core.database import SchemaTooNew, bind, execute, pending, row, rows
from tenants.backups import BACKUPS
from tenants.doctor import Finding, examine_tenant
from tenants.sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord

NAME: Final = re.compile(r"(?P<slug>[a-z][a-z0-9-]{1,30}[a-z0-9])-(?P<at>\d{8}T\d{12})Z(?:-\d+)?\.tar")
"""A backup's file: whose it is and of which instant."""


class Totals(Struct, frozen=True):
    """Of all tenants, as they were last looked at."""

    tenants: int = 0
    suspended: int = 0
    archived: int = 0
    failed: int = 0
    to_look_at: int = 0
    waiting: int = 0
    behind: int = 0
    never_backed_up: int = 0
    size: int = 0
    backed_up_at: datetime | None = None
    """The oldest of their last backups."""
    looked_at: datetime | None = None
    """When the one was looked at that was not for longest."""


class _Counts(Struct, frozen=True):
    customers: int
    users: int
    waiting: int


def backup_made(name: str) -> tuple[str, datetime] | None:
    """Whose backup a file of this name is, and of which instant; None for any other file."""
    found = NAME.fullmatch(name)
    if found is None:
        return None
    return found["slug"], datetime.strptime(found["at"], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)


def newest_backups(folder: Path) -> dict[str, datetime]:
    """The instant of the newest backup by short name."""
    newest: dict[str, datetime] = {}
    for path in folder.glob("*.tar"):
        if made := backup_made(path.name):
            slug, at = made
            newest[slug] = max(at, newest.get(slug, at))
    return newest


class Seen(Struct, frozen=True, kw_only=True):
    """A tenant as it is now. What lies in its database is None where that cannot be opened."""

    finding: Finding
    version: str
    behind: int
    waiting: int
    files_bytes: int
    customers: int | None
    users: int | None
    """Staff who may log in."""
    database_bytes: int | None
    last_activity_at: datetime | None
    backed_up_at: datetime | None

    @property
    def size(self) -> int | None:
        return None if self.database_bytes is None else self.database_bytes + self.files_bytes


async def see(deployment: Deployment, record: TenantRecord, newest: Mapping[str, datetime]) -> Seen:
    """Opens the tenant and looks; writes nothing."""
    size, finding = await size_of(deployment, record), await examine_tenant(deployment, record)
    counts, behind = _Counts(0, 0, 0), 0
    known = size.schema_version is not None
    if known:
        with bind(deployment.placement.find(record)):
            counts = await row(_Counts, _COUNTS) or counts
            with suppress(SchemaTooNew):  # the finding says so
                behind = len(await pending(migrations_of(deployment.plugins, deployment.enabled(record))))
    backed_up_at = newest.get(record.slug)
    if backed_up_at is not None and backed_up_at < record.created_at:
        backed_up_at = None  # of another tenant that had its name
    return Seen(
        finding=finding,
        version=size.schema_version or "",
        behind=behind,
        waiting=counts.waiting,
        files_bytes=size.files_bytes,
        customers=counts.customers if known else None,
        users=counts.users if known else None,
        database_bytes=size.database_bytes,
        last_activity_at=size.last_activity_at,
        backed_up_at=backed_up_at,
    )


async def look_at(deployment: Deployment, record: TenantRecord, newest: Mapping[str, datetime]) -> None:
    """See it, and keep what was seen; a tenant that cannot be opened is kept as that."""
    seen = await see(deployment, record, newest)
    async with deployment.registry.writing():
        await execute(
            "UPDATE tenant_facts SET schema_version = :version, behind = :behind, customers = :customers,"
            " users = :users, database_bytes = :database_bytes, files_bytes = :files_bytes, waiting = :waiting,"
            " state = :state, last_activity_at = :last, backed_up_at = :backed_up_at, looked_at = :now"
            " WHERE tenant_id = :id",
            version=seen.version,
            behind=seen.behind,
            customers=seen.customers,
            users=seen.users,
            database_bytes=seen.database_bytes,
            files_bytes=seen.files_bytes,
            waiting=seen.waiting,
            state=seen.finding.state,
            last=seen.last_activity_at,
            backed_up_at=seen.backed_up_at,
            now=deployment.clock.now(),
            id=record.id,
        )


_COUNTS: Final = """
SELECT (SELECT count(*) FROM customer) AS customers,
       (SELECT count(*) FROM staff WHERE active) AS users,
       (SELECT count(*) FROM job WHERE state IN ('failed', 'unknown', 'held'))
       + (SELECT count(*) FROM delivery_parked) AS waiting
"""


async def look_again(deployment: Deployment, record: TenantRecord) -> None:
    """At one tenant, after something was done to it. One that is gone is left alone."""
    now = await deployment.registry.find(record.id)
    if now is not None:
        await look_at(deployment, now, await backups_by_name(deployment))


async def backups_by_name(deployment: Deployment) -> dict[str, datetime]:
    return await asyncio.to_thread(newest_backups, deployment.config.data / BACKUPS)


async def totals(deployment: Deployment) -> Totals:
    with bind(deployment.registry.database):
        found = await rows(Totals, _TOTALS)
    return found[0]


_TOTALS: Final = """
SELECT count(*) AS tenants,
       count(*) FILTER (WHERE status = 'suspended') AS suspended,
       count(*) FILTER (WHERE status = 'archived') AS archived,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       count(*) FILTER (WHERE f.state IN ('warn', 'fail') AND status = 'active' OR status = 'failed') AS to_look_at,
       coalesce(sum(f.waiting), 0) AS waiting,
       count(*) FILTER (WHERE f.behind > 0) AS behind,
       count(*) FILTER (WHERE f.backed_up_at IS NULL AND f.looked_at IS NOT NULL AND status <> 'archived')
       AS never_backed_up,
       coalesce(sum(coalesce(f.database_bytes, 0) + f.files_bytes), 0) AS size,
       min(f.backed_up_at) AS backed_up_at,
       CASE WHEN count(f.looked_at) = count(*) THEN min(f.looked_at) END AS looked_at
FROM tenant JOIN tenant_facts f ON f.tenant_id = tenant.id
"""
