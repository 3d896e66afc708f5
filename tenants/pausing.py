"""A tenant out of use for a moment: nobody is served, none of its work runs, so that its database can be exchanged."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from core.database import bind, value
from core.database.copying import close_for_writes, open_for_writes
from core.errors import Conflict, DomainError
from core.texts import N_, _
from tenants import registry
from tenants.backups import Busy, locked
from tenants.status import MOVING, TenantStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord

LOG: Final = structlog.stdlib.get_logger("tenantry.tenants")
PAUSED: Final = N_("its database is being exchanged")
SETTLING: Final = registry.REMEMBERED + 0.5
"""Seconds until every process has seen that the tenant is not served, and what had begun has been answered."""
VISITED: Final = 0.5
"""Seconds until a worker that was visiting the tenant has begun its last job there."""
WORK_ENDS_WITHIN: Final = 30.0


@asynccontextmanager
async def paused(deployment: Deployment, record: TenantRecord, *, watching: bool = True) -> AsyncIterator[None]:
    """Not served and not worked for inside. Unless the inside says otherwise, it is as it was afterwards.

    Raises Conflict where its work does not end in time. `watching=False`: its database cannot be asked.
    """
    if record.status != TenantStatus.ACTIVE:
        yield
        return
    await deployment.registry.set_status(record.uuid, TenantStatus.SUSPENDED, PAUSED)
    try:
        await asyncio.sleep(SETTLING)
        if watching:
            await _work_ends(deployment, record)
        yield
    finally:
        found = await deployment.registry.find_by_uuid(record.uuid)
        if found is not None and (found.status, found.reason) == (TenantStatus.SUSPENDED, PAUSED):
            await deployment.registry.set_status(record.uuid, TenantStatus.ACTIVE)


def refuse_archived(record: TenantRecord) -> None:
    """Conflict where all there is of it is a backup: nothing can be looked at, and nothing changed."""
    if record.status == TenantStatus.ARCHIVED:
        raise Conflict(
            _(
                "%(slug)s is archived. It comes back with: tenantry tenant restore %(archive)s",
                slug=record.slug,
                archive=record.archive,
            )
        )


def refuse_paused(record: TenantRecord) -> None:
    """Conflict while its database is being exchanged: whoever does that decides what it is afterwards."""
    if (record.status, record.reason) == (TenantStatus.SUSPENDED, PAUSED):
        raise Conflict(
            _(
                "%(slug)s is out of use for a moment, since %(why)s. Try again when that is done.",
                slug=record.slug,
                why=_(PAUSED),
            )
        )
    if (record.status, record.reason) == (TenantStatus.ACTIVE, MOVING):
        raise Conflict(_("%(slug)s is being moved at this moment. Try again when that is done.", slug=record.slug))


@asynccontextmanager
async def closed(deployment: Deployment, record: TenantRecord) -> AsyncIterator[None]:
    """Read and not changed inside: whoever tries is answered with 503, and none of its work runs. However it ends, the
    database that is the tenant's then takes changes again.
    """
    database = deployment.placement.find(record)
    if record.status == TenantStatus.ACTIVE:
        await deployment.registry.set_status(record.uuid, TenantStatus.ACTIVE, MOVING)
    try:
        deadline = monotonic() + WORK_ENDS_WITHIN
        if record.status == TenantStatus.ACTIVE:
            await asyncio.sleep(VISITED)
        while True:
            await _work_ends(deployment, record, deadline)
            await close_for_writes(database)
            with bind(database):
                if not await value(_AT_WORK, now=deployment.clock.now()):
                    break
            await open_for_writes(database)  # a job began at the last moment: it is to be able to end
        yield
    finally:
        await serve_again(deployment, record.uuid)


async def serve_again(deployment: Deployment, uuid: UUID) -> None:
    """The database that is the tenant's takes changes, and its work is done."""
    record = await deployment.registry.find_by_uuid(uuid)
    if record is None:
        return
    await open_for_writes(deployment.placement.find(record))
    if (record.status, record.reason) == (TenantStatus.ACTIVE, MOVING):
        await deployment.registry.set_status(uuid, TenantStatus.ACTIVE)
    await deployment.registry.note_due(uuid, deployment.clock.now())


_AT_WORK: Final = "SELECT kind FROM job WHERE state IN ('running', 'sending') AND lease_until > :now LIMIT 1"


async def _work_ends(deployment: Deployment, record: TenantRecord, deadline: float = 0.0) -> None:
    deadline = deadline or monotonic() + WORK_ENDS_WITHIN
    with bind(deployment.placement.find(record)):
        while kind := await value(_AT_WORK, now=deployment.clock.now()):
            if monotonic() > deadline:
                raise Conflict(
                    _(
                        "%(slug)s is at work (%(kind)s), and that does not end. Wait until it is done, or cancel it.",
                        slug=record.slug,
                        kind=kind,
                    )
                )
            await asyncio.sleep(0.2)


async def release_abandoned(deployment: Deployment) -> None:
    """Serve those again whose exchange or move ended with its process; what a killed one half made goes."""
    for record in await deployment.registry.list_tenants():
        if record.status == TenantStatus.CREATING:
            await _remove_half_made(deployment, record)
        if (record.status, record.reason) == (TenantStatus.ACTIVE, MOVING):
            try:
                with locked(deployment, record.uuid, record.slug):
                    await serve_again(deployment, record.uuid)
            except Busy:
                continue  # it is being moved at this moment
            except DomainError as error:
                LOG.warning("still closed for changes", slug=record.slug, reason=error.message)
        if (record.status, record.reason) == (TenantStatus.SUSPENDED, PAUSED):
            try:
                with locked(deployment, record.uuid, record.slug):
                    await deployment.registry.set_status(record.uuid, TenantStatus.ACTIVE)
            except Conflict:
                continue


async def _remove_half_made(deployment: Deployment, record: TenantRecord) -> None:
    """A tenant is made by one process, which holds its lock meanwhile. Nobody has seen it: its name is free then."""
    try:
        with locked(deployment, record.uuid, record.slug):
            now = await deployment.registry.find_by_uuid(record.uuid)
            if now is None or now.status != TenantStatus.CREATING:
                return
            await deployment.placement.remove(record.uuid, record.placement)
            await deployment.registry.remove(record.uuid)
            LOG.warning("a tenant that was half made is taken away", slug=record.slug)
    except Busy:
        return
    except (DomainError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        LOG.warning("a tenant that is half made is still there", slug=record.slug, reason=str(error))
