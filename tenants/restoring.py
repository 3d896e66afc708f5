"""Restoring a backup: into a new database, which is brought up to date and proven before anything is switched."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from importlib.metadata import version
from time import perf_counter
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core.app import migrations_of
from core.database import (
    Damaged,
    PostgresDatabase,
    SqliteDatabase,
    analyze,
    bind,
    execute,
    migrate,
    prepare_database,
    prove_owner,
    transaction,
    value,
)
from core.database.migrations import load
from core.database.postgresql import drop_schema, hand_over_schema, spare_schemas
from core.errors import Conflict
from core.hooks import usable
from core.ids import check_slug, new_uuid
from core.scope import command_actor
from core.settings.actions import save_settings
from core.settings.company import CompanySettings
from core.settings.queries import load_settings
from core.texts import _
from tenants.archives import DATABASES, Manifest, extract, in_thread, read_manifest, room_on, sync_folder
from tenants.backups import FILES, back_up_in, has_database, locked, look_at, nobody
from tenants.dumping import restore_schema
from tenants.names import OURS
from tenants.pausing import paused
from tenants.placement import SQLITE, app_role, owner_dsn, schema_of
from tenants.status import TenantStatus

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from core.database import Database
    from tenants.archives import Told
    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord

RESTORING: Final = "restoring_"
"""A schema's name until it is whole."""
LOST: Final = "It was being sent when the backup was made: nobody can tell from here whether it went out."


class Restored(Struct, frozen=True):
    """What was restored as what."""

    slug: str
    uuid: UUID
    address: str
    ran: tuple[str, ...]
    """Migrations that the backup did not have yet."""
    held: int
    """Jobs that would have sent something: a person lets them go."""
    backup: str
    """Of what was there before."""
    missing_keys: tuple[str, ...]
    """Keys that the tenant's secrets may be sealed with, which this deployment does not have."""
    seconds: float


async def restore(
    deployment: Deployment,
    file: Path,
    *,
    copy: str = "",
    replace: bool = False,
    back_up: bool = True,
    placement: str = "",
    test_clock: bool = False,
    told: Told = nobody,
) -> Restored:
    """The tenant of a backup as it was then; or a `copy` of it under this short name, a tenant of its own; with
    `test_clock` one whose time stands still from its first moment, and which sends nothing.

    One that is still there is replaced only if that is asked for, after a backup of it (`back_up=False`: where none can
    be made). Until the last step, one row of the registry, everything is as it was.
    """
    started = perf_counter()
    manifest = await asyncio.to_thread(read_manifest, file)
    _refuse_newer(deployment, manifest)
    uuid = new_uuid() if copy else manifest.uuid
    before = await deployment.registry.find_by_uuid(uuid)
    slug = check_slug(copy) if copy else (before or manifest).slug
    await _refuse_taken(deployment, before, slug, replace=replace)
    placement = _place(deployment, manifest, placement)
    with locked(deployment, uuid, slug) as staging:
        new = staging / "new"
        await in_thread(lambda stop: extract(file, manifest, new, stop, told))
        generation = before.generation + 1 if before is not None else 0
        backup = ""
        await _clear_out(deployment, before, uuid, placement)
        try:
            ran, held = await _filled(deployment, manifest, new, uuid, placement, generation)
            await asyncio.to_thread(_keep_files, new / FILES, deployment.placement.folder(uuid) / FILES)
            if before is None:
                clock_at = manifest.clock_at or (deployment.clock.now() if test_clock else None)
                record = await _registered(
                    deployment, manifest, uuid, slug, placement, copied=bool(copy), clock_at=clock_at
                )
            else:
                pause = paused(deployment, before, watching=back_up) if has_database(before) else nullcontext()
                async with pause:
                    if back_up and has_database(before):
                        (staging / "old").mkdir()
                        backup = (await back_up_in(deployment, before, staging / "old")).file
                    record = await _switched(deployment, manifest, before, placement, generation)
        except BaseException:
            await _undone(deployment, before, uuid, placement)
            raise
        if before is not None:
            await deployment.placement.remove_databases(uuid, placement, but=generation)
            if before.placement != placement:
                await deployment.placement.remove_databases(uuid, before.placement)
    deployment.forget(uuid)
    if copy:
        await _own_address(deployment, record)
    await deployment.registry.note_due(uuid, deployment.clock.now())
    return Restored(
        slug=record.slug,
        uuid=uuid,
        address=deployment.config.server.address_of(record.host),
        ran=tuple(ran),
        held=held,
        backup=backup,
        missing_keys=tuple(key for key in manifest.keys if key not in deployment.keys.ids),
        seconds=round(perf_counter() - started, 3),
    )


def _refuse_newer(deployment: Deployment, manifest: Manifest) -> None:
    ours = version(OURS)
    newer = [
        f"{app.name} {id}"
        for app in migrations_of(deployment.plugins, frozenset(usable(deployment.plugins)))
        for id in manifest.migrations.get(app.name, ())
        if id not in load(app)
    ]
    if newer or _numbers(manifest.version) > _numbers(ours):
        raise Conflict(
            _(
                "The backup was made by a newer version of Tenantry (%(version)s; here is %(ours)s; it has %(newer)s)."
                " Restore it with that version. Nothing was changed.",
                version=manifest.version,
                ours=ours,
                newer=", ".join(newer),
            )
            if newer
            else _(
                "The backup was made by a newer version of Tenantry (%(version)s; here is %(ours)s). Restore it with"
                " that version. Nothing was changed.",
                version=manifest.version,
                ours=ours,
            )
        )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


async def _refuse_taken(deployment: Deployment, before: TenantRecord | None, slug: str, *, replace: bool) -> None:
    if before is None:
        if await deployment.registry.find_by_slug(slug):
            raise Conflict(
                _("There is another tenant “%(slug)s”. Rename that one, or give --as another short name.", slug=slug)
            )
    elif before.status == TenantStatus.CREATING:
        raise Conflict(_("%(slug)s is being made at this moment.", slug=slug))
    elif has_database(before) and not replace:
        raise Conflict(
            _(
                "%(slug)s is still there. --replace takes it back to this backup, after a backup of "
                "what it is now; --as SLUG makes a copy beside it.",
                slug=slug,
            )
        )


def _place(deployment: Deployment, manifest: Manifest, wanted: str) -> str:
    """Where it goes: as asked, else where it was, else the usual place, else the only one of its kind."""
    places = [SQLITE] if manifest.dialect == "sqlite" else [*deployment.placement.servers]
    kind = "SQLite" if manifest.dialect == "sqlite" else "PostgreSQL"
    if wanted:
        if deployment.placement.check(wanted) not in places:
            raise Conflict(
                _(
                    "The backup is of a %(kind)s tenant: it cannot be restored into “%(wanted)s”.",
                    kind=kind,
                    wanted=wanted,
                )
            )
        return wanted
    for place in (manifest.placement, deployment.config.placement.default):
        if place in places:
            return place
    if len(places) != 1:
        if places:
            message = _(
                "The backup is of a %(kind)s tenant and needs such a database (--database); name one: %(places)s.",
                kind=kind,
                places=", ".join(places),
            )
        else:
            message = _(
                "The backup is of a %(kind)s tenant and needs such a database (--database);"
                " the configuration has none.",
                kind=kind,
            )
        raise Conflict(message)
    return places[0]


async def _clear_out(deployment: Deployment, before: TenantRecord | None, uuid: UUID, placement: str) -> None:
    """What a restore that was killed has left under the names that are needed now."""
    if before is None and placement != SQLITE:
        server = deployment.placement.servers[placement]
        if found := await spare_schemas(owner_dsn(server), schema_of(uuid)):
            raise Conflict(
                _(
                    "The database “%(placement)s” has a schema %(found)s already, of which this "
                    "deployment knows no tenant: is it another deployment's? Restore into another "
                    "database (--database), or make a copy (--as SLUG).",
                    placement=placement,
                    found=found[0],
                )
            )
        return
    but = before.generation if before is not None and has_database(before) and before.placement == placement else None
    await deployment.placement.remove_databases(uuid, placement, but=but)


async def _filled(
    deployment: Deployment, manifest: Manifest, new: Path, uuid: UUID, placement: str, generation: int
) -> tuple[list[str], int]:
    """The new database, as the backup has it, proven, brought up to date, nothing of it sent. Nobody uses it yet."""
    found = new / DATABASES[manifest.dialect]
    if manifest.dialect == "sqlite":
        staged = SqliteDatabase(found, files=None)
        try:
            done = await _made_ready(deployment, manifest, staged, uuid)
            with bind(staged):
                await value("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            await staged.close()
        target = deployment.placement.file(uuid, generation)
        await asyncio.to_thread(_move, found, target)
        return done
    server = deployment.placement.servers[placement]
    owner, staging = owner_dsn(server), f"{RESTORING}{uuid.hex}"
    try:
        with room_on(new):
            await prepare_database(owner, app_role(server))
            await restore_schema(owner, found, manifest.schema, staging)
        done = await _made_ready(deployment, manifest, PostgresDatabase(server, staging, as_owner=True), uuid)
        await hand_over_schema(owner, staging, schema_of(uuid, generation), app_role(server))
    except BaseException:
        await drop_schema(owner, staging)
        raise
    with bind(deployment.placement.at(uuid, placement, generation)):
        await analyze()
    return done


def _move(found: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    found.replace(target)
    sync_folder(target.parent)


async def _made_ready(
    deployment: Deployment, manifest: Manifest, database: Database, uuid: UUID
) -> tuple[list[str], int]:
    with bind(database):
        if manifest.dialect == "sqlite" and (found := await value("PRAGMA quick_check")) != "ok":
            raise Damaged(_("The database in the backup is damaged: %(found)s", found=found))
        await prove_owner(manifest.uuid)
        seen = await look_at()
        if seen.counts != dict(manifest.counts):
            raise Conflict(
                _("The restored tables have not the rows that the backup's manifest says. Nothing was changed.")
            )
        enabled = frozenset(manifest.plugins) & usable(deployment.plugins).keys()
        ran = await migrate(migrations_of(deployment.plugins, enabled))
        async with transaction():
            await execute(
                "UPDATE tenant_meta SET uuid = :new WHERE one = 1 AND uuid = :old",
                new=str(uuid),
                old=str(manifest.uuid),
            )
            held = await _hold(deployment)
            await execute("DELETE FROM session")
        await prove_owner(uuid)
    return ran, held


async def _hold(deployment: Deployment) -> int:
    """What was under way when the backup was made has no worker now; what would be sent waits for a person."""
    await execute(
        "UPDATE job SET state = 'unknown', lease_until = NULL, finished_at = :now, error = :lost"
        " WHERE state = 'sending' AND policy = 'once'",
        now=deployment.clock.now(),
        lost=LOST,
    )
    await execute("UPDATE job SET state = 'waiting', lease_until = NULL WHERE state IN ('running', 'sending')")
    return await execute("UPDATE job SET state = 'held' WHERE state = 'waiting' AND policy = 'once'")


def _keep_files(new: Path, kept: Path) -> None:
    """The stored files to the tenant's own: each has its hash for a name, so none takes the place of another."""
    for path in sorted(new.glob("??/*")):
        target = kept / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        sync_folder(target.parent)


async def _registered(
    deployment: Deployment,
    manifest: Manifest,
    uuid: UUID,
    slug: str,
    placement: str,
    *,
    copied: bool,
    clock_at: datetime | None,
) -> TenantRecord:
    return await deployment.registry.add(
        uuid,
        slug,
        manifest.name,
        (f"{slug}.{deployment.config.server.domain}",) if copied else manifest.hosts,
        placement,
        deployment.clock.now() if copied else manifest.created_at,
        status=TenantStatus.ACTIVE,
        plugins=manifest.plugins,
        clock_at=clock_at,
    )


async def _switched(
    deployment: Deployment, manifest: Manifest, before: TenantRecord, placement: str, generation: int
) -> TenantRecord:
    stays = before.status == TenantStatus.SUSPENDED
    return await deployment.registry.switch(
        before.uuid,
        generation=generation,
        placement=placement,
        plugins=manifest.plugins,
        status=TenantStatus.SUSPENDED if stays else TenantStatus.ACTIVE,
        reason=before.reason if stays else "",
        now=deployment.clock.now(),
    )


async def _undone(deployment: Deployment, before: TenantRecord | None, uuid: UUID, placement: str) -> None:
    """The new database goes. Files that came with it go at the next sweep, or with the folder of one that is new."""
    now = await deployment.registry.find_by_uuid(uuid)
    if now is not None and (before is None or now.generation != before.generation):
        return  # it was switched to the new one, what failed came after
    if before is None:
        await deployment.placement.remove(uuid, placement)
    else:
        await _clear_out(deployment, before, uuid, placement)


async def _own_address(deployment: Deployment, record: TenantRecord) -> None:
    """A copy's links lead to itself."""
    async with deployment.scope(record, command_actor("tenant restore")) as scope:
        company = await load_settings(CompanySettings)
        if company.address:
            await save_settings(scope, msgspec.structs.replace(company, address=""))
