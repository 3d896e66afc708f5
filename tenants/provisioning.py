"""Making a tenant: its database, its settings, its first administrator."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.app import LISTS, MIGRATIONS
from core.catalog import actions as catalog
from core.clock import check_zone
from core.config import LOOPBACK
from core.customers.actions import status_table
from core.database import SqliteDatabase, bind, claim, copy_template, migrate, value
from core.errors import Invalid
from core.ids import check_slug, new_uuid
from core.lists.views import create_first_views
from core.payments import actions as payments
from core.scope import command_actor
from core.settings.actions import save_settings
from core.settings.company import CompanySettings
from core.staff import actions as staff
from core.staff.actions import email_of, invite_staff
from core.staff.schemas import Invite
from core.texts import _, speaking
from tenants.backups import locked
from tenants.placement import SQLITE
from tenants.registry import TenantRecord
from tenants.spares import TEMPLATES, version
from tenants.status import TenantStatus

if TYPE_CHECKING:
    from uuid import UUID

    from tenants.deployment import Deployment

_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


class NewTenant(Struct, frozen=True, kw_only=True):
    """What a tenant is made from."""

    slug: str
    name: str
    email: str
    """Of its first administrator."""
    person: str = "Administrator"
    country: str = "IE"
    currency: str = "EUR"
    time_zone: str = "Europe/Dublin"
    language: str = "en"
    vocabulary: str = ""
    """The words of its trade for statuses of customers; the product's own where it is empty."""
    placement: str = ""
    hosts: tuple[str, ...] = ()
    is_provider: bool = False
    """Whether it has the console; there can be one only."""


class CreatedTenant(Struct, frozen=True):
    """The tenant, and the one-time link by which its administrator sets a password."""

    record: TenantRecord
    link: str


async def create_tenant(deployment: Deployment, new: NewTenant) -> CreatedTenant:
    """Make a tenant that answers at once. Whatever fails on the way is taken back: nothing half made is left."""
    check_slug(new.slug)
    email_of(new.email)
    check_zone(new.time_zone)
    hosts = tuple(map(host_name, new.hosts)) or (f"{new.slug}.{deployment.config.server.domain}",)
    uuid = new_uuid()
    with locked(deployment, uuid, new.slug):  # ends with the process: what is left then is taken away
        return await _created(deployment, new, uuid, hosts)


async def _created(deployment: Deployment, new: NewTenant, uuid: UUID, hosts: tuple[str, ...]) -> CreatedTenant:
    async with deployment.placement.in_turn(new.placement):
        placement = await deployment.placement.choose(new.placement, deployment.registry.list_tenants)
        record = await deployment.registry.add(
            uuid, new.slug, new.name, hosts, placement, deployment.clock.now(), is_provider=new.is_provider
        )
    try:
        migrated = await deployment.placement.make_room(uuid, placement)
        if placement == SQLITE:
            template = await migrated_template(deployment.config.data / TEMPLATES)
            await asyncio.to_thread(copy_template, template, deployment.placement.file(uuid))
        with bind(deployment.placement.migrating(record)):
            if placement != SQLITE and not migrated:
                await migrate(MIGRATIONS)
            await claim(uuid)
        token = await _fill(deployment, record, new)
        await deployment.registry.set_status(uuid, TenantStatus.ACTIVE)
    except BaseException:
        await deployment.placement.remove(uuid, placement)
        await deployment.registry.remove(uuid)
        raise
    made = await deployment.registry.get_by_slug(new.slug)
    return CreatedTenant(record=made, link=f"{deployment.config.server.address_of(made.host)}/welcome/{token}")


def host_name(typed: str) -> str:
    """As requests name it. Raises Invalid where a browser could not: `https://…`, a port, a path, an umlaut."""
    host = typed.strip().rstrip(".").lower()
    if len(host) > 253 or not _HOST.fullmatch(host) or host in LOOPBACK:
        raise Invalid(
            _(
                "“%(host)s” cannot be a tenant's host name. Write it as in the DNS, without a port: isp.example.net.",
                host=typed,
            ),
            field="host",
        )
    return host


async def _fill(deployment: Deployment, record: TenantRecord, new: NewTenant) -> str:
    """The operator's settings and its first administrator; gives the token of the one-time link."""
    async with (
        deployment.scope(record, command_actor("tenant create"), settled=False) as scope,
        unit_of_work(scope),  # one for all of it: the disk is waited for once
    ):
        await save_settings(
            scope,
            CompanySettings(
                name=new.name,
                country=new.country,
                currency=new.currency,
                time_zone=new.time_zone,
                language=new.language,
            ),
        )
        with speaking(new.language):
            for feature in (status_table, staff, catalog, payments):
                await feature.name_shipped()
            if new.vocabulary:
                await status_table.take_vocabulary(scope, new.vocabulary)
            for listing in LISTS:
                await create_first_views(scope, listing)
        role = await value("SELECT id FROM role WHERE permissions = :all ORDER BY id", all='["*"]')
        invitation = await invite_staff(scope, Invite(name=new.person, email=new.email, role_id=role))
    return invitation.token


async def migrated_template(folder: Path) -> Path:
    """A file with the core's schema and no owner, made once a version of the code: a new tenant is a copy of it."""
    template = folder / f"{version()}.sqlite"
    if await asyncio.to_thread(template.exists):
        return template
    part = template.with_suffix(f".{new_uuid().hex}.part")
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    database = SqliteDatabase(part, create=True, files=None)
    try:
        with bind(database):
            await migrate(MIGRATIONS)
            await value("PRAGMA wal_checkpoint(TRUNCATE)")
        await database.close()
        await asyncio.to_thread(part.replace, template)
    finally:
        await asyncio.to_thread(_remove_leftovers, part)
    return template


def _remove_leftovers(part: Path) -> None:
    """What a half-made file leaves: itself, and SQLite's files beside it."""
    for leftover in part.parent.glob(f"{part.name}*"):
        leftover.unlink()
