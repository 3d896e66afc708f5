"""Tenants over JSON, as the console does it; at the provider's address alone."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import File
from msgspec import Meta, Struct

from core.database import bind
from core.errors import NotFound
from core.hooks import usable
from core.jobs.status import JobState
from core.web.jsonapi import (
    Call,
    Page,
    api_delete,
    api_get,
    api_patch,
    api_post,
    api_put,
    decode_cursor,
    encode_cursor,
)
from tenants import actions, forms, queries
from tenants.facts import backups_by_name, see
from tenants.forms import NewTenantForm
from tenants.host import apart, host_of
from tenants.jobs import Failure
from tenants.listing import TENANTS, choices
from tenants.queries import BackupFile, BackupOf, TenantLine, Work
from tenants.routes import backup_file

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]
Sort = Annotated[str, QueryParameter(max_length=40, description="A column, `-` before it for descending")]
Words = Annotated[str, QueryParameter(max_length=200, description="Part of a name, short name or host")]
Filter = Annotated[str, QueryParameter(max_length=200, description="One or several, with commas between")]


class TenantDetail(Struct, frozen=True, kw_only=True):
    """One tenant, its health as it is now. `users` are staff who may log in; `waiting` counts work and events that
    failed and wait for a person."""

    id: int
    uuid: UUID
    slug: str
    name: str
    status: str
    reason: str
    placement: str
    address: str
    hosts: list[str]
    plugins: list[str]
    created_at: datetime
    clock_at: datetime | None = None
    health: str
    finding: str
    way_out: str
    behind: int
    customers: int | None
    users: int | None
    waiting: int
    database_bytes: int | None
    files_bytes: int
    last_activity_at: datetime | None
    backed_up_at: datetime | None


class CreatedTenant(Struct, frozen=True):
    """A tenant that was made; `link` is told this once."""

    id: int
    uuid: UUID
    slug: str
    address: str
    link: str


class Renaming(Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays."""

    name: Annotated[str, Meta(max_length=200)] = ""
    slug: Annotated[str, Meta(max_length=32)] = ""


class Suspension(Struct, frozen=True, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(min_length=1, max_length=500, description="For the provider; visitors do not see it")]


class Repeated(Struct, frozen=True, forbid_unknown_fields=True):
    repeated: Annotated[str, Meta(max_length=32, description="The tenant's short name once more")]


class Copying(Struct, frozen=True, forbid_unknown_fields=True):
    file: Annotated[str, Meta(max_length=100, description="Name of the backup")]
    slug: Annotated[str, Meta(max_length=32, description="Short name of the copy")]


class TestClock(Struct, frozen=True, forbid_unknown_fields=True):
    copy: Annotated[str, Meta(max_length=32, description="Short name of the copy on which time is tried out")]


class Forwarding(Struct, frozen=True, forbid_unknown_fields=True):
    until: Annotated[date, Meta(description="The last day that is lived through")]


class Returning(Struct, frozen=True, forbid_unknown_fields=True):
    file: Annotated[str, Meta(max_length=100, description="Name of the backup")]
    repeated: Annotated[str, Meta(max_length=32, description="The tenant's short name once more")]


class BackupItem(Struct, frozen=True, kw_only=True):
    """A backup; `error` says why it cannot be read."""

    file: str
    slug: str
    made_at: datetime
    size: int
    uuid: UUID | None
    version: str
    error: str


class WorkItem(Struct, frozen=True, kw_only=True):
    """Work at tenants: how far it is, and what came of it."""

    id: int
    kind: str
    state: JobState
    done: int
    total: int
    text: str
    error: str | None
    tenant_id: int | None
    file: str
    failures: list[Failure]


class MoveTo(Struct, frozen=True, forbid_unknown_fields=True):
    placement: Annotated[str, Meta(max_length=64, description="Name of a database")]


class DatabaseItem(Struct, frozen=True, kw_only=True):
    """A place for tenants. `schemas` counts those that are kept `ready` too; a `limit` of 0 is none."""

    name: str
    tenants: int
    schemas: int
    ready: int
    limit: int
    for_new: bool
    error: str


class Switched(Struct, frozen=True):
    plugin: str
    on: bool


@api_get("/tenants", permission="tenants.view", summary="List tenants")
async def list_tenants(
    call: Call,
    q: Words = "",
    status: Filter = "",
    health: Filter = "",
    placement: Filter = "",
    sort: Sort = "",
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Page[TenantLine]:
    deployment = host_of(call.scope).deployment
    address = {"q": q, "status": status, "health": health, "placement": placement, "sort": sort}

    async def read() -> Page[TenantLine]:
        with bind(deployment.registry.database):
            return await TENANTS.api_page(call.scope, address, choices=choices(deployment), cursor=cursor, limit=limit)

    return await apart(read())


@api_post("/tenants", permission="tenants.create", summary="Make a tenant", sealed=True)
async def create(call: Call, data: JSONBody[NewTenantForm]) -> CreatedTenant:
    new = forms.new_tenant_of(data)
    await actions.free_slug(call.scope, new.slug)
    made = await actions.create(call.scope, new)
    address = host_of(call.scope).deployment.config.server.address_of(made.record.host)
    return CreatedTenant(made.record.id, made.record.uuid, made.record.slug, address, made.link)


@api_get("/tenants/{tenant_id:int}", permission="tenants.view", summary="Get a tenant")
async def show(call: Call, tenant_id: FromPath[int]) -> TenantDetail:
    return await _detail(call, tenant_id)


@api_patch("/tenants/{tenant_id:int}", permission="tenants.manage", summary="Rename a tenant")
async def rename(call: Call, tenant_id: FromPath[int], data: JSONBody[Renaming]) -> TenantDetail:
    tenant = await host_of(call.scope).get(tenant_id)
    await actions.rename(call.scope, tenant, slug=data.slug or tenant.slug, name=data.name or tenant.name)
    return await _detail(call, tenant_id)


@api_post(
    "/tenants/{tenant_id:int}/suspension", permission="tenants.manage", summary="Suspend a tenant", status_code=200
)
async def suspend(call: Call, tenant_id: FromPath[int], data: JSONBody[Suspension]) -> TenantDetail:
    tenant = await host_of(call.scope).get(tenant_id)
    await actions.suspend(call.scope, tenant, data.reason)
    return await _detail(call, tenant_id)


@api_delete("/tenants/{tenant_id:int}/suspension", permission="tenants.manage", summary="Resume a tenant")
async def resume(call: Call, tenant_id: FromPath[int]) -> TenantDetail:
    tenant = await host_of(call.scope).get(tenant_id)
    await actions.resume(call.scope, tenant)
    return await _detail(call, tenant_id)


@api_put(
    "/tenants/{tenant_id:int}/plugins/{plugin_name:str}",
    permission="tenants.manage",
    summary="Switch a plugin on for a tenant",
)
async def enable_plugin(call: Call, tenant_id: FromPath[int], plugin_name: FromPath[str]) -> Switched:
    return await _switch(call, tenant_id, plugin_name, on=True)


@api_delete(
    "/tenants/{tenant_id:int}/plugins/{plugin_name:str}",
    permission="tenants.manage",
    summary="Switch a plugin off for a tenant",
)
async def disable_plugin(call: Call, tenant_id: FromPath[int], plugin_name: FromPath[str]) -> Switched:
    return await _switch(call, tenant_id, plugin_name, on=False)


async def _switch(call: Call, tenant_id: int, plugin: str, *, on: bool) -> Switched:
    host = host_of(call.scope)
    tenant = await host.get(tenant_id)
    if plugin not in usable(host.deployment.plugins):
        raise NotFound(f"plugin {plugin}")
    await actions.switch_plugin(call.scope, tenant, plugin, on=on)
    return Switched(plugin, on)


# -- what takes a while -----------------------------------------------------------------------------------------------


@api_post("/tenants/{tenant_id:int}/upgrade", permission="tenants.manage", summary="Upgrade a tenant", status_code=202)
async def upgrade(call: Call, tenant_id: FromPath[int]) -> WorkItem:
    tenant = await host_of(call.scope).get(tenant_id)
    return await _work(call, await actions.ask_upgrade(call.scope, tenant))


@api_post("/tenants/upgrades", permission="tenants.manage", summary="Upgrade all tenants", status_code=202)
async def upgrade_all(call: Call) -> WorkItem:
    return await _work(call, await actions.ask_all_upgrades(call.scope))


@api_post("/tenants/{tenant_id:int}/backups", permission="tenants.manage", summary="Back a tenant up", status_code=202)
async def back_up(call: Call, tenant_id: FromPath[int]) -> WorkItem:
    tenant = await host_of(call.scope).get(tenant_id)
    return await _work(call, await actions.ask_backup(call.scope, tenant))


@api_get("/tenants/{tenant_id:int}/backups", permission="tenants.view", summary="List the backups of a tenant")
async def list_backups(
    call: Call, tenant_id: FromPath[int], limit: Limit = 100, cursor: Cursor = ""
) -> Page[BackupItem]:
    host = host_of(call.scope)
    tenant = await host.get(tenant_id)
    found = await apart(queries.backups_of(host.deployment, tenant.uuid, tenant.slug))
    there = [one for one in found if _comes_after(cursor, one.backup)]
    return _page([_item(one) for one in there[: limit + 1]], limit)


@api_post("/tenants/backups", permission="tenants.manage", summary="Back all tenants up", status_code=202)
async def back_up_all(call: Call) -> WorkItem:
    return await _work(call, await actions.ask_all_backups(call.scope))


@api_get("/tenants/backups", permission="tenants.view", summary="List the backups of all tenants, the latest first")
async def list_all_backups(
    call: Call, slug: FromQuery[str] = "", limit: Limit = 100, cursor: Cursor = ""
) -> Page[BackupItem]:
    deployment = host_of(call.scope).deployment
    found = await apart(queries.list_backups(deployment, [slug] if slug else None))
    there = [one for one in found if _comes_after(cursor, one)]
    return _page([_item(one) for one in await apart(queries.describe(deployment, there[: limit + 1]))], limit)


@api_post(
    "/tenants/backups/{file:str}/download",
    permission="tenants.download",
    summary="Download a backup",
    description="All that a tenant has, as it lies on the server; who took it stands in the activity.",
    media_type="application/x-tar",
    status_code=200,
    kept=False,
)
async def download(call: Call, file: FromPath[str]) -> File:
    deployment = host_of(call.scope).deployment
    backup = await apart(queries.get_backup(deployment, file))
    await actions.note_download(call.scope, backup)
    return backup_file(deployment, backup)


@api_post(
    "/tenants/backups/copies",
    permission="tenants.create",
    summary="Restore a backup as a copy",
    description="A tenant of its own under another short name; nothing is done to the one that the backup is of.",
    status_code=202,
)
async def copy(call: Call, data: JSONBody[Copying]) -> WorkItem:
    backup = await apart(queries.get_backup(host_of(call.scope).deployment, data.file))
    return await _work(call, await actions.ask_copy(call.scope, backup, data.slug))


@api_post(
    "/tenants/{tenant_id:int}/test-clock",
    permission="tenants.create",
    summary="Make a copy to try out time",
    description="A tenant of its own whose clock stands still; nothing is ever sent from it.",
    status_code=202,
)
async def try_time(call: Call, tenant_id: FromPath[int], data: JSONBody[TestClock]) -> WorkItem:
    tenant = await host_of(call.scope).get(tenant_id)
    return await _work(call, await actions.ask_test_clock(call.scope, tenant, data.copy))


@api_post(
    "/tenants/{tenant_id:int}/test-clock/forward",
    permission="tenants.manage",
    summary="Run time forward on a copy",
    description="Day by day through the jobs that the clock starts. The books are proven at the end.",
    status_code=202,
)
async def run_forward(call: Call, tenant_id: FromPath[int], data: JSONBody[Forwarding]) -> WorkItem:
    tenant = await host_of(call.scope).get(tenant_id)
    return await _work(call, await actions.ask_forward(call.scope, tenant, data.until))


@api_post(
    "/tenants/backups/returns",
    permission="tenants.delete",
    summary="Restore a backup in place of its tenant",
    description="What is there now is backed up first; one that is gone comes back.",
    status_code=202,
)
async def bring_back(call: Call, data: JSONBody[Returning]) -> WorkItem:
    backup = await apart(queries.get_backup(host_of(call.scope).deployment, data.file))
    return await _work(call, await actions.ask_return(call.scope, backup, data.repeated))


@api_post(
    "/tenants/{tenant_id:int}/move",
    permission="tenants.manage",
    summary="Move a tenant into another database",
    description="It is copied while it is used, proven, and takes no changes for some seconds.",
    status_code=202,
)
async def move(call: Call, tenant_id: FromPath[int], data: JSONBody[MoveTo]) -> WorkItem:
    tenant = await host_of(call.scope).get(tenant_id)
    return await _work(call, await actions.ask_move(call.scope, tenant, data.placement))


@api_post(
    "/tenants/{tenant_id:int}/archiving", permission="tenants.delete", summary="Archive a tenant", status_code=202
)
async def archive(call: Call, tenant_id: FromPath[int], data: JSONBody[Repeated]) -> WorkItem:
    tenant = await host_of(call.scope).get(tenant_id)
    return await _work(call, await actions.ask_archive(call.scope, tenant, data.repeated))


@api_post(
    "/tenants/{tenant_id:int}/deletion",
    permission="tenants.delete",
    summary="Delete a tenant",
    description="All of it goes but a last backup, which `GET /api/v1/tenants/work/{job_id}` names.",
    status_code=202,
)
async def delete(call: Call, tenant_id: FromPath[int], data: JSONBody[Repeated]) -> WorkItem:
    tenant = await host_of(call.scope).get(tenant_id)
    return await _work(call, await actions.ask_deletion(call.scope, tenant, data.repeated))


@api_post(
    "/tenants/looks",
    permission="tenants.view",
    summary="Look at all tenants anew",
    description="What their list says of health, size and use is as they were last looked at.",
    status_code=202,
)
async def look(call: Call) -> WorkItem:
    return await _work(call, await actions.ask_look(call.scope))


@api_get("/tenants/databases", permission="tenants.view", summary="List the databases and how full they are")
async def list_databases(call: Call) -> list[DatabaseItem]:
    deployment = host_of(call.scope).deployment
    counts = await apart(queries.count_by_place(deployment))
    return [
        DatabaseItem(
            name=one.name,
            tenants=counts.get(one.name, 0),
            schemas=one.schemas,
            ready=one.ready,
            limit=one.limit,
            for_new=one.for_new,
            error=one.error,
        )
        for one in await apart(deployment.placement.all_fullness())
    ]


@api_get("/tenants/work", permission="tenants.view", summary="List work at tenants, the latest first")
async def list_work(call: Call, limit: Limit = 100, cursor: Cursor = "") -> Page[WorkItem]:
    before = decode_cursor(cursor, tuple[int])[0] if cursor else None
    found = await queries.list_work(call.scope, before=before, limit=limit + 1)
    shown = [_work_item(one) for one in found[:limit]]
    return Page(items=shown, next=encode_cursor(shown[-1].id) if len(found) > limit else None)


@api_post(
    "/tenants/work/{job_id:int}/repetition",
    permission="tenants.manage",
    summary="Start work again that failed",
    status_code=202,
)
async def repeat_work(call: Call, job_id: FromPath[int]) -> WorkItem:
    await actions.repeat_work(call.scope, job_id)
    return await _work(call, job_id)


@api_get("/tenants/work/{job_id:int}", permission="tenants.view", summary="How far work at tenants is")
async def show_work(call: Call, job_id: FromPath[int]) -> WorkItem:
    return await _work(call, job_id)


async def _work(call: Call, job_id: int) -> WorkItem:
    return _work_item(await queries.get_work(call.scope, job_id))


def _work_item(work: Work) -> WorkItem:
    job, made, many = work.job, work.made, work.made_all
    return WorkItem(
        id=job.id,
        kind=job.kind,
        state=job.state,
        done=job.progress_done,
        total=job.progress_total,
        text=made.text if made is not None else many.text if many is not None else job.progress_text,
        error=job.error,
        tenant_id=(made.tenant_id or None) if made is not None else work.about.tenant_id,
        file=made.file if made is not None else "",
        failures=list(many.failures) if many is not None else [],
    )


def _comes_after(cursor: str, one: BackupFile) -> bool:
    """Whether it stands behind the last one of the page before: backups are listed from the latest on."""
    return not cursor or (one.made_at.isoformat(), one.file) < decode_cursor(cursor, tuple[str, str])


def _page(found: list[BackupItem], limit: int) -> Page[BackupItem]:
    """`found`: one more than is shown, where there is more."""
    shown = found[:limit]
    last = shown[-1] if len(found) > limit else None
    return Page(items=shown, next=encode_cursor(last.made_at.isoformat(), last.file) if last is not None else None)


def _item(one: BackupOf) -> BackupItem:
    file = one.backup
    return BackupItem(
        file=file.file,
        slug=file.slug,
        made_at=file.made_at,
        size=file.size,
        uuid=one.uuid,
        version=one.version,
        error=one.error,
    )


async def _detail(call: Call, tenant_id: int) -> TenantDetail:
    host = host_of(call.scope)
    deployment = host.deployment
    tenant = await host.get(tenant_id)
    seen = await apart(see(deployment, tenant, await backups_by_name(deployment)))
    return TenantDetail(
        id=tenant.id,
        uuid=tenant.uuid,
        slug=tenant.slug,
        name=tenant.name,
        status=tenant.status,
        reason=tenant.reason,
        placement=tenant.placement,
        address=deployment.config.server.address_of(tenant.host),
        hosts=await apart(deployment.registry.hosts(tenant.uuid)),
        plugins=list(tenant.plugins),
        created_at=tenant.created_at,
        clock_at=tenant.clock_at,
        health=seen.finding.state,
        finding=seen.finding.detail,
        way_out=seen.finding.way_out,
        behind=seen.behind,
        customers=seen.customers,
        users=seen.users,
        waiting=seen.waiting,
        database_bytes=seen.database_bytes,
        files_bytes=seen.files_bytes,
        last_activity_at=seen.last_activity_at,
        backed_up_at=seen.backed_up_at,
    )


HANDLERS = (
    list_tenants,
    create,
    show,
    rename,
    suspend,
    resume,
    enable_plugin,
    disable_plugin,
    upgrade,
    upgrade_all,
    back_up,
    list_backups,
    back_up_all,
    list_all_backups,
    download,
    copy,
    try_time,
    run_forward,
    bring_back,
    move,
    archive,
    delete,
    look,
    list_databases,
    list_work,
    repeat_work,
    show_work,
)
