"""A tenant out of use for a moment: nobody is served, none of its work runs, so that its database can be exchanged."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final

from core.database import bind, value
from core.errors import Conflict
from tenants import registry
from tenants.backups import locked
from tenants.status import TenantStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord

PAUSED: Final = "its database is being exchanged"
SETTLING: Final = registry.REMEMBERED + 0.5
"""Seconds until every process has seen that the tenant is not served, and what had begun has been answered."""
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


async def _work_ends(deployment: Deployment, record: TenantRecord) -> None:
    deadline = monotonic() + WORK_ENDS_WITHIN
    with bind(deployment.placement.find(record)):
        while kind := await value(
            "SELECT kind FROM job WHERE state IN ('running', 'sending') AND lease_until > :now LIMIT 1",
            now=deployment.clock.now(),
        ):
            if monotonic() > deadline:
                raise Conflict(
                    f"{record.slug} is at work ({kind}), and that does not end. Wait until it is done, or cancel it."
                )
            await asyncio.sleep(0.2)


async def release_abandoned(deployment: Deployment) -> None:
    """Serve those again whose exchange ended with its process."""
    for record in await deployment.registry.list_tenants():
        if (record.status, record.reason) == (TenantStatus.SUSPENDED, PAUSED):
            try:
                with locked(deployment, record.uuid, record.slug):
                    await deployment.registry.set_status(record.uuid, TenantStatus.ACTIVE)
            except Conflict:
                continue
