"""Another key for the secrets in tenants' databases: a new one seals from now on, what the old ones sealed is sealed
anew, tenant by tenant.

Processes that run take the new key from the file when they come upon something that it has sealed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from msgspec import Struct

from core.config import SealedOtherwise
from core.customers.actions import reseal_passwords
from core.errors import DomainError
from core.messages.actions import reseal_messages
from core.scope import command_actor
from core.settings.actions import rotate_sealed
from core.staff.second_factors import reseal_apps
from tenants.backups import has_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord

LOG: Final = structlog.stdlib.get_logger("tenantry.tenants")


class Resealed(Struct, frozen=True):
    """What of one tenant is sealed with the newest key since now, or why not all of it is."""

    slug: str
    settings: int = 0
    passwords: int = 0
    apps: int = 0
    messages: int = 0
    error: str = ""


async def reseal(deployment: Deployment, record: TenantRecord) -> Resealed:
    if not has_database(record):
        return Resealed(record.slug, error=f"It is {record.status}: its backup needs the keys that it was made with.")
    try:
        async with deployment.scope(record, command_actor("keys rotate")) as scope:
            return Resealed(
                record.slug,
                settings=await rotate_sealed(scope),
                passwords=await reseal_passwords(scope),
                apps=await reseal_apps(scope),
                messages=await reseal_messages(scope),
            )
    except DomainError as error:
        return Resealed(record.slug, error=error.message)
    except SealedOtherwise as error:
        return Resealed(record.slug, error=f"{error}.")


async def reseal_all(
    deployment: Deployment, told: Callable[[int, int], None] = lambda done, total: None
) -> list[Resealed]:
    """Each tenant, one after the other; one that fails stops no other, and repeating it does what is left."""
    records = await deployment.registry.list_tenants()
    results = []
    for record in records:
        results.append(await reseal(deployment, record))
        told(len(results), len(records))
    return results
