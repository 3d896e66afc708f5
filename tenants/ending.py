"""Tenants put away and taken away: archived (a backup is all there is of it), deleted, and named otherwise."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import nullcontext
from typing import TYPE_CHECKING

from core.errors import Conflict, Invalid
from core.texts import _
from tenants.backups import back_up_in, has_database, nobody, worked_on
from tenants.moving import remove_aside
from tenants.pausing import paused, refuse_archived
from tenants.status import TRANSITIONS, TenantStatus, called

if TYPE_CHECKING:
    from pathlib import Path

    from tenants.archives import Told
    from tenants.backups import BackedUp
    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord


def may_become(record: TenantRecord, status: TenantStatus) -> None:
    """Conflict where a tenant in its state cannot be brought into this one by hand."""
    if record.status != status and status not in TRANSITIONS[TenantStatus(record.status)]:
        raise Conflict(
            _(
                "%(slug)s is %(status)s: it cannot become %(new)s.",
                slug=record.slug,
                status=called(record.status),
                new=called(status),
            )
        )
    refuse_archived(record)


async def archive_tenant(
    deployment: Deployment, record: TenantRecord, folder: Path | None = None, *, told: Told = nobody
) -> BackedUp:
    """Backed up, then its database and files go; its name, hosts and plugins are kept. `restore` of the backup brings
    it back.
    """
    if not has_database(record):
        raise Conflict(
            _("%(slug)s is %(status)s: it cannot be archived.", slug=record.slug, status=called(record.status))
        )
    with worked_on(deployment, record) as staging:
        async with paused(deployment, record):
            done = await back_up_in(deployment, record, staging, folder, told=told)
            await deployment.registry.set_archived(record.uuid, done.file)
        await _emptied(deployment, record)
    return done


async def delete_tenant(
    deployment: Deployment,
    record: TenantRecord,
    folder: Path | None = None,
    *,
    back_up: bool = True,
    told: Told = nobody,
) -> str:
    """All of it goes but a last backup, whose file is given; its short name and hosts are free afterwards.
    `back_up=False`: where none can be made.
    """
    file = record.archive
    if record.status == TenantStatus.CREATING:
        raise Conflict(_("%(slug)s is being made at this moment.", slug=record.slug))
    if has_database(record) and back_up:
        file = (await archive_tenant(deployment, record, folder, told=told)).file
    pause = nullcontext() if back_up else paused(deployment, record, watching=False)
    with worked_on(deployment, record):
        async with pause:
            await _emptied(deployment, record)
            await deployment.registry.remove(record.uuid)
    return file


async def _emptied(deployment: Deployment, record: TenantRecord) -> None:
    await remove_aside(deployment, record.uuid)
    await deployment.placement.remove_databases(record.uuid, record.placement)
    await asyncio.to_thread(shutil.rmtree, deployment.placement.folder(record.uuid), ignore_errors=True)
    deployment.forget(record.uuid)


async def rename_tenant(deployment: Deployment, record: TenantRecord, *, slug: str = "", name: str = "") -> None:
    """Another short name, another name, or both. Under a new short name it answers at a new address, and still at the
    old one, since links to that are about.
    """
    if not slug and not name:
        raise Invalid(_("Give a new short name, --name, or both."), field="NEW")
    if slug and slug != record.slug:
        await deployment.registry.rename_slug(record.uuid, slug, deployment.config.server.domain)
    if name:
        await deployment.registry.rename(record.uuid, name)
    deployment.forget(record.uuid)
