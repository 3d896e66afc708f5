"""What takes a while, as jobs of the provider's tenant: each shows how far it is, and may be started again."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import structlog
from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.database import spawn
from core.errors import Conflict, NotFound, Unavailable
from core.jobs.kinds import PROGRESS_EVERY, Job, JobKind
from core.jobs.schedules import Every, Schedule, Scheduled
from core.money import format_money
from core.texts import N_, _, ngettext, number
from tenants.backups import BACKUPS, back_up, back_up_all, back_up_registry
from tenants.clocks import run_forward, try_time
from tenants.ending import archive_tenant, delete_tenant
from tenants.events import (
    TenantArchived,
    TenantBackedUp,
    TenantDeleted,
    TenantMoved,
    TenantRestored,
    TenantUpgraded,
    TenantUpgradeFailed,
)
from tenants.facts import backups_by_name, look_again, look_at
from tenants.host import apart, host_of
from tenants.moving import Moved, move_tenant
from tenants.restoring import restore
from tenants.status import TenantStatus
from tenants.upgrading import upgrade_all, upgrade_tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from core.scope import Scope
    from tenants.backups import BackedUp
    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord
    from tenants.upgrading import Upgraded

LOG: Final = structlog.stdlib.get_logger("tenantry.tenants")

T = TypeVar("T")


class Says(Protocol):
    """Hears how far the work is, and what it does at this moment."""

    def __call__(self, now: int, of: int, what: str = "", /) -> None: ...


class OfTenant(Struct, frozen=True):
    """Work at one tenant."""

    tenant_id: int
    slug: str


class OfAll(Struct, frozen=True):
    """Work at each tenant."""


class Moving(Struct, frozen=True, kw_only=True):
    """A tenant that is to be moved into another database."""

    tenant_id: int
    slug: str
    placement: str


class Restoring(Struct, frozen=True, kw_only=True):
    """A backup that is to be restored, as a copy under `copy`, or in place of the tenant that it is of."""

    file: str
    """Its name in the deployment's folder of backups."""
    copy: str = ""
    tenant_id: int | None = None
    """Of the tenant that is replaced."""
    generation: int = 0
    """Of its database when it was asked for: an attempt after that is another one finds it done."""
    slug: str = ""


class Trying(Struct, frozen=True, kw_only=True):
    """A tenant of which a copy is to be made, to try out time on it."""

    tenant_id: int
    slug: str
    copy: str


class Forward(Struct, frozen=True, kw_only=True):
    """A copy whose clock is to go on to the end of a day."""

    tenant_id: int
    slug: str
    until: date


class Made(Struct, frozen=True, omit_defaults=True):
    """What came of work at a tenant: its backup, the tenant that is there now."""

    text: str
    file: str = ""
    tenant_id: int = 0


class Failure(Struct, frozen=True):
    """A tenant where it did not work out, and the way out of it."""

    tenant_id: int
    slug: str
    error: str
    way_out: str


class MadeAll(Struct, frozen=True, omit_defaults=True):
    """What came of work at many tenants."""

    text: str
    failures: tuple[Failure, ...] = ()


async def shown(job: Job[Any], work: Callable[[Says], Coroutine[Any, Any, T]], text: str) -> T:
    """The work apart from the job's own claim and transactions, and how far it is on the job's page meanwhile."""
    done, total = 0, 0

    def told(now: int, of: int, what: str = "") -> None:
        nonlocal done, total, text
        done, total, text = now, of, what or text

    task = spawn(work(told))
    try:
        while not task.done():
            await asyncio.wait([task], timeout=PROGRESS_EVERY)
            most = total if task.done() else total - 1  # what is whole has ended
            await job.progress(min(done, most), total, text) if total else await job.progress(0, 1, text)
        return task.result()
    except BaseException:
        task.cancel()
        await asyncio.wait([task])
        raise


def file_of(deployment: Deployment, name: str) -> Path:
    """The place of a backup of this name."""
    return deployment.config.data / BACKUPS / name


# -- backups ----------------------------------------------------------------------------------------------------------


async def run_backup(scope: Scope, job: Job[OfTenant]) -> Made:
    host = host_of(scope)
    tenant = await host.get(job.payload.tenant_id)
    done = await shown(
        job, lambda told: back_up(host.deployment, tenant, told=told), _("Backing up %(slug)s", slug=tenant.slug)
    )
    name = await _note_backup(scope, tenant, done)
    await apart(look_again(host.deployment, tenant))
    return Made(_("%(name)s is backed up.", name=tenant.name), file=name, tenant_id=tenant.id)


async def _note_backup(scope: Scope, tenant: TenantRecord, done: BackedUp) -> str:
    name = done.file.rpartition("/")[2]
    async with unit_of_work(scope):
        record(scope, TenantBackedUp(tenant_id=tenant.id, slug=tenant.slug, file=name, size=done.size))
    return name


async def run_all_backups(scope: Scope, job: Job[OfAll]) -> MadeAll:
    """Each tenant that has a database. One that fails stops no other."""
    host = host_of(scope)

    async def work(told: Says) -> list[BackedUp]:
        done = await back_up_all(host.deployment, told=lambda done, total, one: told(done, total))
        try:
            await back_up_registry(host.deployment)
        except Unavailable as error:
            LOG.warning("no copy of the registry", reason=error.message)
        return done

    results = await shown(job, work, _("Backing up all tenants"))
    records = {each.slug: each for each in await apart(host.deployment.registry.list_tenants())}
    failures = []
    for one in results:
        tenant = records.get(one.slug)
        if tenant is None:
            continue
        if one.error:
            failures.append(Failure(tenant.id, one.slug, one.error, _("Look at its page, then back it up by itself.")))
        else:
            await _note_backup(scope, tenant, one)
    await look_at_all(scope, job)
    made = len(results) - len(failures)
    return MadeAll(
        _("%(made)s of %(results)s tenants are backed up.", made=number(made), results=number(len(results))),
        tuple(failures),
    )


# -- upgrades ---------------------------------------------------------------------------------------------------------


async def run_upgrade(scope: Scope, job: Job[OfTenant]) -> MadeAll:
    host = host_of(scope)
    tenant = await host.get(job.payload.tenant_id)
    done = await shown(
        job, lambda told: upgrade_tenant(host.deployment, tenant), _("Upgrading %(slug)s", slug=tenant.slug)
    )
    return await _note_upgrades(scope, [done])


async def run_all_upgrades(scope: Scope, job: Job[OfAll]) -> MadeAll:
    """Each tenant. One that fails stops no other; started again, it goes on with those that are behind."""
    host = host_of(scope)

    async def work(told: Says) -> list[Upgraded]:
        return await upgrade_all(host.deployment, lambda done, total, one: told(done, total))

    return await _note_upgrades(scope, await shown(job, work, _("Upgrading all tenants")))


async def _note_upgrades(scope: Scope, results: list[Upgraded]) -> MadeAll:
    deployment = host_of(scope).deployment
    records = {each.slug: each for each in await apart(deployment.registry.list_tenants())}
    failures = []
    for one in results:
        tenant = records.get(one.slug)
        if tenant is None or not (one.ran or one.error):
            continue
        async with unit_of_work(scope):
            if one.error:
                record(
                    scope,
                    TenantUpgradeFailed(tenant_id=tenant.id, slug=one.slug),
                    changes={"error": (None, one.error)},
                )
            else:
                record(scope, TenantUpgraded(tenant_id=tenant.id, slug=one.slug, migrations=len(one.ran)))
        if one.error:
            failures.append(
                Failure(
                    tenant.id,
                    one.slug,
                    one.error,
                    _(
                        "It answers 503 and is as it was before. Mend what the error names, then upgrade it again;"
                        " or restore a backup of it."
                    ),
                )
            )
        await apart(look_again(deployment, tenant))
    ran = sum(1 for one in results if one.ran and not one.error)
    current = sum(1 for one in results if not one.ran and not one.error)
    text = ngettext(
        "%(num)s tenant upgraded, %(current)s current already.",
        "%(num)s tenants upgraded, %(current)s current already.",
        ran,
        current=number(current),
    )
    return MadeAll(text, tuple(failures))


# -- moving -----------------------------------------------------------------------------------------------------------


async def run_move(scope: Scope, job: Job[Moving]) -> Made:
    host, asked = host_of(scope), job.payload
    tenant = await host.get(asked.tenant_id)
    if tenant.placement == asked.placement and tenant.status != TenantStatus.ARCHIVED:
        return Made(
            _("%(slug)s is in %(placement)s.", slug=tenant.slug, placement=asked.placement), tenant_id=tenant.id
        )

    async def work(told: Says) -> Moved:
        return await move_tenant(
            host.deployment, tenant, asked.placement, told=lambda what, done, total: told(done, total, what)
        )

    done = await shown(job, work, _("Moving %(slug)s", slug=tenant.slug))
    async with unit_of_work(scope):
        record(
            scope,
            TenantMoved(tenant_id=tenant.id, slug=tenant.slug, came_from=done.came_from, went_to=done.went_to),
        )
    await apart(look_again(host.deployment, tenant))
    return Made(
        _(
            "%(slug)s is in %(went_to)s: %(rows)s rows of %(tables)s tables, each found to be the same. It took no"
            " changes for %(paused)s s. The old database is kept until %(keep_until)s UTC: %(kept)s",
            slug=tenant.slug,
            went_to=done.went_to,
            rows=number(done.rows),
            tables=number(done.tables),
            paused=f"{done.paused:.1f}",
            keep_until=f"{done.keep_until:%Y-%m-%d %H:%M}",
            kept=done.kept,
        ),
        tenant_id=tenant.id,
    )


# -- trying out time --------------------------------------------------------------------------------------------------


async def run_try(scope: Scope, job: Job[Trying]) -> Made:
    host, asked = host_of(scope), job.payload
    deployment = host.deployment
    made = await apart(deployment.registry.find_by_slug(asked.copy))
    if made is None:
        tenant = await host.get(asked.tenant_id)
        await shown(
            job,
            lambda told: try_time(deployment, tenant, asked.copy, told=told),
            _("Copying %(slug)s", slug=tenant.slug),
        )
        made = await apart(deployment.registry.get_by_slug(asked.copy))
    await apart(look_again(deployment, made))
    return Made(
        _(
            "%(slug)s answers at %(address)s. Its clock stands still: run it forward from its page.",
            slug=made.slug,
            address=deployment.config.server.address_of(made.host),
        ),
        tenant_id=made.id,
    )


async def run_time(scope: Scope, job: Job[Forward]) -> Made:
    host, asked = host_of(scope), job.payload
    tenant = await host.get(asked.tenant_id)
    done = await shown(
        job,
        lambda told: run_forward(host.deployment, tenant, asked.until, told=told),
        _("Running %(slug)s forward", slug=tenant.slug),
    )
    await apart(look_again(host.deployment, tenant))
    parts = [
        _("By %(day)s, from %(since)s:", day=f"{asked.until}", since=f"{done.since:%Y-%m-%d}"),
        *(
            _(
                "%(month)s: %(kind)s × %(count)s, %(total)s.",
                month=one.month,
                count=number(one.count),
                kind=one.kind.replace("_", " "),
                total=format_money(one.total_minor, one.currency, scope.locale),
            )
            for one in done.documents
        ),
        ngettext(
            "%(num)s message written, none sent.",
            "%(num)s messages written, none sent.",
            sum(one.count for one in done.messages),
        ),
        ngettext("%(num)s document is still to be drawn.", "%(num)s documents are still to be drawn.", done.undrawn),
        _("The books are in order.")
        if not done.violations
        else _("The books are wrong: %(what)s.", what=done.violations[0].rule),
    ]
    return Made(" ".join(parts), tenant_id=tenant.id)


# -- restoring, archiving, deleting -----------------------------------------------------------------------------------


async def run_restore(scope: Scope, job: Job[Restoring]) -> Made:
    host, asked = host_of(scope), job.payload
    deployment = host.deployment
    file = file_of(deployment, asked.file)
    if not await asyncio.to_thread(file.is_file):
        raise NotFound(f"backup {asked.file}")
    if asked.tenant_id is not None:
        now = await apart(deployment.registry.find(asked.tenant_id))
        if now is not None and now.generation > asked.generation and now.status != TenantStatus.ARCHIVED:
            return Made(_("%(slug)s is restored.", slug=now.slug), tenant_id=now.id)
        if now is not None and host.is_self(now):
            raise Conflict(_("The tenant that you work in is restored by command: tenantry tenant restore."))
    done = await shown(
        job,
        lambda told: restore(deployment, file, copy=asked.copy, replace=asked.tenant_id is not None, told=told),
        _("Restoring %(file)s", file=asked.file),
    )
    tenant = await apart(deployment.registry.get_by_slug(done.slug))
    async with unit_of_work(scope):
        record(scope, TenantRestored(tenant_id=tenant.id, slug=tenant.slug, file=asked.file))
    await apart(look_again(deployment, tenant))
    text = _("%(slug)s answers at %(address)s as the backup has it.", slug=tenant.slug, address=done.address)
    if done.held:
        held = _(
            "%(count)s jobs that would send something are held: let them go there where nothing went out yet.",
            count=number(done.held),
        )
        text = f"{text} {held}"
    if done.missing_keys:
        lost = _("Secrets sealed with the keys %(keys)s cannot be read here.", keys=", ".join(done.missing_keys))
        text = f"{text} {lost}"
    return Made(text, file=done.backup.rpartition("/")[2], tenant_id=tenant.id)


async def run_archive(scope: Scope, job: Job[OfTenant]) -> Made:
    host = host_of(scope)
    tenant = await host.get(job.payload.tenant_id)
    file = tenant.archive
    if tenant.status != TenantStatus.ARCHIVED:
        done = await shown(
            job,
            lambda told: archive_tenant(host.deployment, tenant, told=told),
            _("Archiving %(slug)s", slug=tenant.slug),
        )
        file = done.file
    name = file.rpartition("/")[2]
    async with unit_of_work(scope):
        record(scope, TenantArchived(tenant_id=tenant.id, slug=tenant.slug, file=name))
    await apart(look_again(host.deployment, tenant))
    return Made(
        _("%(name)s is archived. Restoring its backup brings it back.", name=tenant.name),
        file=name,
        tenant_id=tenant.id,
    )


async def run_deletion(scope: Scope, job: Job[OfTenant]) -> Made:
    host, asked = host_of(scope), job.payload
    tenant = await apart(host.deployment.registry.find(asked.tenant_id))
    if tenant is None:
        return Made(_("%(slug)s is deleted.", slug=asked.slug))
    gone = tenant
    file = await shown(
        job, lambda told: delete_tenant(host.deployment, gone, told=told), _("Deleting %(slug)s", slug=gone.slug)
    )
    name = file.rpartition("/")[2]
    async with unit_of_work(scope):
        record(scope, TenantDeleted(tenant_id=gone.id, slug=gone.slug, file=name))
    return Made(_("%(name)s is deleted. Its last backup is kept.", name=gone.name), file=name)


# -- looking ----------------------------------------------------------------------------------------------------------


async def run_look(scope: Scope, job: Job[Scheduled]) -> None:
    await look_at_all(scope, job)


async def look_at_all(scope: Scope, job: Job[Any]) -> None:
    """At each tenant, one after the other, so that nobody waits for it."""
    deployment = host_of(scope).deployment

    async def work(told: Says) -> None:
        newest = await backups_by_name(deployment)
        tenants = await deployment.registry.list_tenants()
        for at, tenant in enumerate(tenants):
            await look_at(deployment, tenant, newest)
            told(at + 1, len(tenants))
            await asyncio.sleep(0)

    await shown(job, work, _("Looking at each tenant"))


BACK_UP: Final = JobKind("tenants.back_up", OfTenant, run_backup, attempts=3, limit=None, label=N_("Back up a tenant"))
BACK_UP_ALL: Final = JobKind(
    "tenants.back_up_all", OfAll, run_all_backups, attempts=3, limit=None, label=N_("Back up all tenants")
)
UPGRADE: Final = JobKind("tenants.upgrade", OfTenant, run_upgrade, attempts=3, limit=None, label=N_("Upgrade a tenant"))
UPGRADE_ALL: Final = JobKind(
    "tenants.upgrade_all", OfAll, run_all_upgrades, attempts=3, limit=None, label=N_("Upgrade all tenants")
)
RESTORE: Final = JobKind(
    "tenants.restore", Restoring, run_restore, attempts=3, limit=None, label=N_("Restore a backup")
)
MOVE: Final = JobKind("tenants.move", Moving, run_move, attempts=3, limit=None, label=N_("Move a tenant"))
ARCHIVE: Final = JobKind("tenants.archive", OfTenant, run_archive, attempts=3, limit=None, label=N_("Archive a tenant"))
DELETE: Final = JobKind("tenants.delete", OfTenant, run_deletion, attempts=3, limit=None, label=N_("Delete a tenant"))
LOOK: Final = JobKind("tenants.look", Scheduled, run_look, attempts=2, limit=None, label=N_("Look at all tenants"))

TRY: Final = JobKind(
    "tenants.try_time", Trying, run_try, attempts=3, limit=None, label=N_("Make a copy to try out time")
)
FORWARD: Final = JobKind(
    "tenants.forward", Forward, run_time, attempts=3, limit=None, label=N_("Run time forward on a copy")
)

JOBS: Final = (BACK_UP, BACK_UP_ALL, UPGRADE, UPGRADE_ALL, MOVE, RESTORE, TRY, FORWARD, ARCHIVE, DELETE, LOOK)
SCHEDULES: Final = (Schedule("tenants.look", LOOK, Every(30)),)
