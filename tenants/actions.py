"""What the provider's people do with tenants: each act is recorded in the provider's own activity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from core.activity.unit import again, record, unit_of_work
from core.database import all_of, value
from core.errors import Conflict, Invalid
from core.ids import check_slug
from core.jobs.actions import enqueue, start_again
from core.jobs.schedules import Scheduled
from core.texts import N_, _
from tenants import queries
from tenants.backups import has_database
from tenants.clocks import MOST
from tenants.ending import may_become, rename_tenant
from tenants.events import (
    AllBackupsAsked,
    AllUpgradesAsked,
    BackupCopyAsked,
    BackupDownloaded,
    BackupReturnAsked,
    TenantArchivingAsked,
    TenantBackupAsked,
    TenantClockAsked,
    TenantCreated,
    TenantDeletionAsked,
    TenantForwardAsked,
    TenantMoveAsked,
    TenantPluginDisabled,
    TenantPluginEnabled,
    TenantRenamed,
    TenantRestoreAsked,
    TenantResumed,
    TenantSuspended,
    TenantUpgradeAsked,
)
from tenants.facts import look_again
from tenants.host import apart, host_of
from tenants.jobs import (
    ARCHIVE,
    BACK_UP,
    BACK_UP_ALL,
    DELETE,
    FORWARD,
    LOOK,
    MOVE,
    RESTORE,
    TRY,
    UPGRADE,
    UPGRADE_ALL,
    Forward,
    Moving,
    OfAll,
    OfTenant,
    Trying,
)
from tenants.jobs import Restoring as RestoringJob
from tenants.pausing import refuse_paused
from tenants.status import TenantStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from core.activity.events import Event
    from core.jobs.kinds import JobKind
    from core.scope import Scope
    from tenants.provisioning import CreatedTenant, NewTenant
    from tenants.queries import BackupOf, Work
    from tenants.registry import TenantRecord

OWN: Final = N_("This is the tenant that you work in: do that by command, from outside.")


async def create(scope: Scope, new: NewTenant) -> CreatedTenant:
    """A tenant that answers at once, with the link of its administrator."""
    host = host_of(scope)
    made = await host.create(new)
    await _note(scope, TenantCreated(tenant_id=made.record.id, slug=made.record.slug))
    await apart(look_again(host.deployment, made.record))
    return made


async def suspend(scope: Scope, tenant: TenantRecord, reason: str) -> None:
    """Nobody is served and none of its work is done until it is resumed."""
    host = host_of(scope)
    refuse_own(scope, tenant)
    if not reason.strip():
        raise Invalid(_("Say why: whoever resumes it will want to know."), field="reason")
    if len(reason) > 500:
        raise Invalid(_("Use at most 500 characters."), field="reason")
    await host.suspend_tenant(tenant.uuid, reason.strip())
    await _note(
        scope,
        TenantSuspended(tenant_id=tenant.id, slug=tenant.slug),
        {"reason": (None, reason.strip())},
    )


async def resume(scope: Scope, tenant: TenantRecord) -> None:
    """Served again."""
    await host_of(scope).resume_tenant(tenant.uuid)
    await _note(scope, TenantResumed(tenant_id=tenant.id, slug=tenant.slug), {"reason": (tenant.reason, None)})


async def rename(scope: Scope, tenant: TenantRecord, *, slug: str, name: str) -> None:
    """Another short name, and with it another address, another name, or both."""
    host = host_of(scope)
    name = " ".join(name.split())
    slug = slug.strip()
    if not name or len(name) > 200:
        raise Invalid(_("Use 1 to 200 characters."), field="name")
    changes: dict[str, tuple[object, object]] = {}
    if name != tenant.name:
        changes["name"] = (tenant.name, name)
    if slug != tenant.slug:
        changes["short_name"] = (tenant.slug, slug)
    if not changes:
        raise Invalid(_("Nothing is changed yet."), field="name")
    try:
        await apart(rename_tenant(host.deployment, tenant, slug=slug, name=name))
    except Conflict as error:
        raise Invalid(error.message, field="slug") from error
    await _note(scope, TenantRenamed(tenant_id=tenant.id, slug=slug), changes)


async def switch_plugin(scope: Scope, tenant: TenantRecord, plugin: str, *, on: bool) -> None:
    """Made ready and heard of events from here on; or off, with its data kept."""
    host = host_of(scope)
    if host.is_self(tenant):
        raise Conflict(_("Switch the plugins of your own tenant under Settings, Plugins."))
    if tenant.status != TenantStatus.ACTIVE:
        raise Conflict(
            _(
                "%(slug)s is not served: its plugins are switched while it is.",
                slug=tenant.slug,
            )
        )
    if on == (plugin in tenant.plugins):
        return
    if on:
        await host.enable_plugin(tenant.uuid, plugin)
        event: Event = TenantPluginEnabled(tenant_id=tenant.id, slug=tenant.slug, plugin=plugin)
    else:
        await host.disable_plugin(tenant.uuid, plugin)
        event = TenantPluginDisabled(tenant_id=tenant.id, slug=tenant.slug, plugin=plugin)
    await _note(scope, event)


# -- what takes a while -----------------------------------------------------------------------------------------------


async def ask_backup(scope: Scope, tenant: TenantRecord) -> int:
    """Gives the job's id, as all that follow do."""
    if not has_database(tenant):
        raise Conflict(_("%(slug)s has no database: there is nothing to back up.", slug=tenant.slug))
    return await _ask(
        scope,
        BACK_UP,
        _of(tenant),
        lambda job_id: TenantBackupAsked(tenant_id=tenant.id, slug=tenant.slug, job_id=job_id),
    )


async def ask_upgrade(scope: Scope, tenant: TenantRecord) -> int:
    if not has_database(tenant):
        raise Conflict(_("%(slug)s has no database: restoring it brings it up to date.", slug=tenant.slug))
    return await _ask(
        scope,
        UPGRADE,
        _of(tenant),
        lambda job_id: TenantUpgradeAsked(tenant_id=tenant.id, slug=tenant.slug, job_id=job_id),
    )


async def ask_move(scope: Scope, tenant: TenantRecord, placement: str) -> int:
    """Into another database; what it had aside is kept for some days."""
    placed = host_of(scope).deployment.placement
    refuse_own(scope, tenant)
    refuse_paused(tenant)
    if not has_database(tenant):
        raise Conflict(_("%(slug)s has no database: there is nothing to move.", slug=tenant.slug))
    placed.check(placement)
    if placement == tenant.placement:
        raise Invalid(_("%(slug)s is there already.", slug=tenant.slug), field="placement")
    full = await apart(placed.fullness(placement))
    if not full.has_room:
        raise Invalid(
            _("There is no room in %(placement)s (%(said)s).", placement=placement, said=full.said), field="placement"
        )
    payload = Moving(tenant_id=tenant.id, slug=tenant.slug, placement=placement)
    return await _ask(
        scope,
        MOVE,
        payload,
        lambda job_id: TenantMoveAsked(tenant_id=tenant.id, slug=tenant.slug, job_id=job_id, placement=placement),
    )


async def ask_archive(scope: Scope, tenant: TenantRecord, repeated: str) -> int:
    refuse_own(scope, tenant)
    if not has_database(tenant):
        raise Conflict(_("%(slug)s has no database: it cannot be archived.", slug=tenant.slug))
    refuse_paused(tenant)
    _check_repeated(tenant.slug, repeated)
    return await _ask(
        scope,
        ARCHIVE,
        _of(tenant),
        lambda job_id: TenantArchivingAsked(tenant_id=tenant.id, slug=tenant.slug, job_id=job_id),
    )


async def ask_deletion(scope: Scope, tenant: TenantRecord, repeated: str) -> int:
    refuse_own(scope, tenant)
    if tenant.status == TenantStatus.CREATING:
        raise Conflict(_("%(slug)s is being made at this moment.", slug=tenant.slug))
    refuse_paused(tenant)
    _check_repeated(tenant.slug, repeated)
    return await _ask(
        scope,
        DELETE,
        _of(tenant),
        lambda job_id: TenantDeletionAsked(tenant_id=tenant.id, slug=tenant.slug, job_id=job_id),
    )


async def ask_test_clock(scope: Scope, tenant: TenantRecord, copy: str) -> int:
    """A copy of it as it is now, on which time can be tried out."""
    if not has_database(tenant):
        raise Conflict(_("%(slug)s has no database: there is nothing to copy.", slug=tenant.slug))
    refuse_paused(tenant)
    await free_slug(scope, copy)
    return await _ask(
        scope,
        TRY,
        Trying(tenant_id=tenant.id, slug=tenant.slug, copy=copy),
        lambda job_id: TenantClockAsked(tenant_id=tenant.id, slug=tenant.slug, job_id=job_id, copy=copy),
    )


async def ask_forward(scope: Scope, tenant: TenantRecord, until: date) -> int:
    """Let the clock of a copy go on to the end of this day."""
    if tenant.clock_at is None:
        raise Conflict(_("%(slug)s lives in real time: make a copy of it to try out time.", slug=tenant.slug))
    if until < tenant.clock_at.date():
        raise Invalid(
            _("It is %(now)s there already: time goes forward only.", now=f"{tenant.clock_at:%Y-%m-%d}"), field="until"
        )
    if until > scope.today() + MOST:
        raise Invalid(_("At most ten years from today."), field="until")
    return await _ask(
        scope,
        FORWARD,
        Forward(tenant_id=tenant.id, slug=tenant.slug, until=until),
        lambda job_id: TenantForwardAsked(tenant_id=tenant.id, slug=tenant.slug, job_id=job_id, until=until),
    )


async def ask_copy(scope: Scope, backup: BackupOf, slug: str) -> int:
    """A tenant of its own, as a backup has it."""
    await free_slug(scope, slug)
    file = backup.backup.file
    payload = RestoringJob(file=file, copy=slug, slug=slug)
    return await _ask(scope, RESTORE, payload, lambda job_id: BackupCopyAsked(job_id=job_id, slug=slug, file=file))


async def ask_return(scope: Scope, backup: BackupOf, repeated: str) -> int:
    """The backup's own tenant as it was then: in the place of what is there, or back where it is gone."""
    host = host_of(scope)
    tenant = await apart(host.deployment.registry.find_by_uuid(backup.uuid)) if backup.uuid is not None else None
    slug, file = backup.backup.slug, backup.backup.file
    if tenant is None:
        await free_slug(scope, slug)
        _check_repeated(slug, repeated)
        payload = RestoringJob(file=file, slug=slug)
        return await _ask(
            scope, RESTORE, payload, lambda job_id: BackupReturnAsked(job_id=job_id, slug=slug, file=file)
        )
    refuse_own(scope, tenant)
    refuse_paused(tenant)
    _check_repeated(tenant.slug, repeated)
    payload = RestoringJob(file=file, tenant_id=tenant.id, generation=tenant.generation, slug=tenant.slug)
    return await _ask(
        scope,
        RESTORE,
        payload,
        lambda job_id: TenantRestoreAsked(tenant_id=tenant.id, slug=tenant.slug, job_id=job_id, file=file),
    )


async def ask_all_upgrades(scope: Scope) -> int:
    return await _ask(scope, UPGRADE_ALL, OfAll(), lambda job_id: AllUpgradesAsked(job_id=job_id))


async def ask_all_backups(scope: Scope) -> int:
    return await _ask(scope, BACK_UP_ALL, OfAll(), lambda job_id: AllBackupsAsked(job_id=job_id))


async def repeat_work(scope: Scope, job_id: int) -> None:
    """Start work again that failed, was held, or of which nobody knows how it ended; whoever may ask for it may."""
    work = await queries.get_work(scope, job_id)
    scope.require(_permission_of(work))
    await start_again(scope, job_id)


def _permission_of(work: Work) -> str:
    """What asking for such work needs."""
    if work.job.kind in ("tenants.archive", "tenants.delete"):
        return "tenants.delete"
    if work.job.kind == "tenants.restore":
        return "tenants.create" if work.about.copy else "tenants.delete"
    return "tenants.create" if work.job.kind == "tenants.try_time" else "tenants.manage"


async def ask_look(scope: Scope) -> int:
    """Look at each tenant anew."""

    async def ask() -> int:
        async with unit_of_work(scope):
            return await _under_way(LOOK, None) or await enqueue(scope, LOOK, Scheduled(scope.today()))

    return await again(ask)


async def note_download(scope: Scope, backup: BackupOf) -> None:
    """Who took a backup away stands in the activity before the first byte leaves."""
    host = host_of(scope)
    tenant = await apart(host.deployment.registry.find_by_uuid(backup.uuid)) if backup.uuid is not None else None
    await _note(scope, BackupDownloaded(file=backup.backup.file, tenant_id=tenant.id if tenant is not None else None))


# -- checks -----------------------------------------------------------------------------------------------------------


def refuse_own(scope: Scope, tenant: TenantRecord) -> None:
    """Conflict for the provider's own tenant: who does it would saw off the branch."""
    if host_of(scope).is_self(tenant):
        raise Conflict(_(OWN))


def may_be_suspended(tenant: TenantRecord) -> bool:
    try:
        may_become(tenant, TenantStatus.SUSPENDED)
    except Conflict:
        return False
    return tenant.status != TenantStatus.SUSPENDED


async def free_slug(scope: Scope, slug: str) -> str:
    """The address that a tenant of this short name would have; Invalid where it cannot be or is taken."""
    deployment = host_of(scope).deployment
    check_slug(slug)
    if await apart(deployment.registry.find_by_slug(slug)) is not None:
        raise Invalid(_("There is a tenant “%(slug)s” already.", slug=slug), field="slug")
    host = f"{slug}.{deployment.config.server.domain}"
    other = await apart(deployment.registry.find_by_host(host))
    if other is not None:
        raise Invalid(
            _("The address %(host)s leads to %(slug)s, which was called so once.", host=host, slug=other.slug),
            field="slug",
        )
    return deployment.config.server.address_of(host)


def _check_repeated(slug: str, repeated: str) -> None:
    if repeated.strip() != slug:
        raise Invalid(_("Type %(slug)s, so that it is surely the one that you mean.", slug=slug), field="repeated")


def _of(tenant: TenantRecord) -> OfTenant:
    return OfTenant(tenant_id=tenant.id, slug=tenant.slug)


async def _ask(scope: Scope, kind: JobKind[Any], payload: Struct, asked: Callable[[int], Event]) -> int:
    """Asked for once: as long as the same is under way, that is given."""

    async def ask() -> int:
        async with unit_of_work(scope):
            there = await _under_way(kind, payload)
            if there is not None:
                return there
            job_id = await enqueue(scope, kind, payload)
            record(scope, asked(job_id))
            return job_id

    return await again(ask)


async def _under_way(kind: JobKind[Any], payload: Struct | None) -> int | None:
    found: int | None = await value(
        "SELECT max(id) FROM job WHERE kind = :kind AND state IN ('waiting', 'running')"
        f" AND {all_of(payload is not None and 'payload = :payload')}",
        kind=kind.name,
        payload=msgspec.json.encode(payload).decode() if payload is not None else None,
    )
    return found


async def _note(scope: Scope, event: Event, changes: dict[str, tuple[object, object]] | None = None) -> None:
    async def note() -> None:
        async with unit_of_work(scope):
            record(scope, event, changes=changes)

    await again(note)
