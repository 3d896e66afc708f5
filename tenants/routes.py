"""The console: pages of the provider's tenant about all tenants of the deployment."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING, Any, Final

import msgspec
from litestar import Response
from litestar.params import FromPath
from litestar.response import File, ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from core.activity.queries import timeline
from core.customers.timeline import in_words
from core.database import bind, current
from core.errors import Conflict, Invalid, NotFound
from core.hooks import usable
from core.texts import N_, _, ngettext, number
from core.web.changes import asked, drawer
from core.web.feeds import feed
from core.web.jobs_pages import LOOK_EVERY, running_job
from core.web.parts import Figure, RunningJob, TabItem
from core.web.plugin_pages import declared_by
from core.web.proof import ask_for_proof
from core.web.routing import get, post, put
from core.web.view import View, errors_by_field
from tenants import actions, deeds, forms, queries
from tenants.backups import has_database
from tenants.facts import backups_by_name, see, totals
from tenants.forms import NewTenantForm
from tenants.host import apart, host_of
from tenants.jobs import file_of
from tenants.listing import HEALTH, STATES, TENANTS, choices, views
from tenants.placement import SQLITE
from tenants.status import TenantStatus
from tenants.words import ago, megabytes, sized

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.scope import Scope
    from core.web.view import PageView
    from tenants.deployment import Deployment
    from tenants.facts import Totals
    from tenants.queries import BackupOf, Work

BACKUPS_SHOWN: Final = 50
UNDER_WAY: Final = ("waiting", "running")


def tabs(here: str) -> list[TabItem]:
    """The console's own pages."""
    known = (
        (N_("Tenants"), "/tenants"),
        (N_("Backups"), "/tenants/backups"),
        (N_("Databases"), "/tenants/databases"),
        (N_("Work"), "/tenants/work"),
    )
    return [TabItem(label=_(label), href=href, current=label == here) for label, href in known]


# -- the list ---------------------------------------------------------------------------------------------------------


@get("/tenants", permission="tenants.view")
async def list_tenants(view: View) -> Response[str]:
    deployment = host_of(view.scope).deployment
    with bind(deployment.registry.database):
        shown = await TENANTS.show(view, choices=choices(deployment))
    found = await apart(totals(deployment))
    if view.is_htmx:
        return view.page("tenants/_list.html", **shown, **_drawing(view.scope), known=found)
    work = [one for one in await queries.list_work(view.scope, limit=20) if one.is_under_way]
    return view.page(
        "tenants/list.html",
        **shown,
        **_drawing(view.scope),
        known=found,
        tabs=tabs("Tenants"),
        views=views(found, view.query),
        figures=_figures(view.scope, found),
        work=[work_shown(one) for one in work],
    )


def _drawing(scope: Scope) -> dict[str, Any]:
    """What tables of tenants are drawn with."""
    now = scope.now()
    return {
        "states": STATES,
        "health": HEALTH,
        "megabytes": megabytes,
        "sized": sized,
        "ago": lambda at: ago(now, at),
    }


def _figures(scope: Scope, found: Totals) -> list[Figure]:
    deployment = host_of(scope).deployment
    disk = shutil.disk_usage(deployment.config.data)
    now = scope.now()
    late = _("each has one") if found.backed_up_at else _("not looked at yet")
    if found.never_backed_up:
        late = _("%(count)s have none", count=number(found.never_backed_up))
    away = [
        *([_("%(count)s suspended", count=number(found.suspended))] if found.suspended else ()),
        *([_("%(count)s archived", count=number(found.archived))] if found.archived else ()),
    ]
    return [
        Figure(label=_("Tenants"), value=number(found.tenants), detail=", ".join(away) or _("all open")),
        Figure(
            label=_("To look at"),
            value=number(found.to_look_at),
            detail=ngettext(
                "%(num)s job or event waits for a person", "%(num)s jobs and events wait for a person", found.waiting
            ),
            tone="owes" if found.to_look_at else "",
        ),
        Figure(
            label=_("Behind this version"),
            value=number(found.behind),
            detail=_("%(failed)s upgrades failed", failed=number(found.failed))
            if found.failed
            else _("no upgrade failed"),
            tone="owes" if found.failed else "",
        ),
        Figure(label=_("Oldest last backup"), value=ago(now, found.backed_up_at), detail=late),
        Figure(label=_("Data"), value=sized(found.size or None), detail=_("databases and files")),
        Figure(
            label=_("Disk"),
            value=f"{disk.used * 100 // disk.total}\u00a0%",
            detail=_("%(free)s free of %(total)s", free=sized(disk.free), total=sized(disk.total)),
        ),
    ]


@post("/tenants/looks", permission="tenants.view")
async def look(view: View) -> Response[str]:
    return view.go(f"/tenants/work/{await actions.ask_look(view.scope)}")


# -- a new one --------------------------------------------------------------------------------------------------------


@get("/tenants/new", permission="tenants.create")
async def show_new(view: View) -> Response[str]:
    return await _new(view, {})


@get("/tenants/new/short-name", permission="tenants.create")
async def check_short_name(view: View) -> Response[str]:
    """What is said below the field while it is typed."""
    slug = view.query.get("slug", "").strip()
    try:
        said, wrong = await actions.free_slug(view.scope, slug), False
    except Invalid as error:
        said, wrong = errors_by_field(error).get("slug", error.message), True
    return view.page("tenants/_short_name.html", said=said, wrong=wrong, empty=not slug)


@post("/tenants", permission="tenants.create")
async def create(view: View) -> Response[str]:
    """Made at once; the one-time link is in the answer, and nowhere else."""
    try:
        form = await view.form(NewTenantForm)
        new = forms.new_tenant_of(form)
        await actions.free_slug(view.scope, new.slug)
        made = await actions.create(view.scope, new)
    except Invalid as error:
        return await _new(view, errors_by_field(error), status=422)
    except Conflict as error:
        return await _new(view, {"": error.message}, status=422)
    return view.page(
        "tenants/created.html",
        made=made.record,
        link=made.link,
        email=new.email,
        address=host_of(view.scope).deployment.config.server.address_of(made.record.host),
    )


async def _new(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    scope = view.scope
    deployment = host_of(scope).deployment
    places = await apart(deployment.placement.all_fullness())
    own = scope.tenant
    return view.page(
        "tenants/new.html",
        status=status,
        fields=forms.fields(scope.locale.replace("-", "_"), places),
        values=view.shown(
            country=own.country, currency=own.currency, time_zone=own.time_zone, language=own.language, placement=""
        ),
        errors=errors,
        zones=forms.zones(),
        usual=forms.usual_place(places),
        domain=deployment.config.server.domain,
    )


# -- one tenant -------------------------------------------------------------------------------------------------------


@get("/tenants/{tenant_id:int}", permission="tenants.view")
async def show_tenant(view: View, tenant_id: FromPath[int]) -> Response[str]:
    scope, host = view.scope, host_of(view.scope)
    deployment = host.deployment
    tenant = await host.get(tenant_id)
    seen = await apart(see(deployment, tenant, await backups_by_name(deployment)))
    backups = await apart(queries.backups_of(deployment, tenant.uuid, tenant.slug))
    work = [one for one in await queries.list_work(scope) if one.about.tenant_id == tenant_id]
    entries = await timeline(scope, subject=("tenant", tenant_id), limit=30)
    return view.page(
        "tenants/tenant.html",
        record=tenant,
        seen=seen,
        hosts=await apart(deployment.registry.hosts(tenant.uuid)),
        address=deployment.config.server.address_of(tenant.host),
        own=host.is_self(tenant),
        deeds=deeds.may_do(scope, tenant),
        plugins=_plugins(scope, tenant.plugins, deployment.plugins),
        may_switch=scope.may("tenants.manage") and tenant.status == TenantStatus.ACTIVE and not host.is_self(tenant),
        backups=backups[:BACKUPS_SHOWN],
        more_backups=max(0, len(backups) - BACKUPS_SHOWN),
        work=[work_shown(one) for one in work if one.is_under_way],
        may_work=scope.may("tenants.manage") and has_database(tenant),
        may_restore=deeds.may_restore(scope),
        happenings=await in_words(scope, entries),
        **_drawing(scope),
    )


def _plugins(scope: Scope, on: tuple[str, ...], installed: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "label": _(plugin.manifest.label),
            "version": plugin.manifest.version,
            "text": _(plugin.manifest.description),
            "on": name in on,
            "declared": [fact for fact in declared_by(plugin.manifest) if fact.value],
        }
        for name, plugin in usable(installed).items()
    ]


@put("/tenants/{tenant_id:int}/plugins/{plugin_name:str}", permission="tenants.manage")
async def switch_plugin(view: View, tenant_id: FromPath[int], plugin_name: FromPath[str]) -> Response[str]:
    """On with on=yes, off without."""
    host = host_of(view.scope)
    tenant = await host.get(tenant_id)
    if plugin_name not in usable(host.deployment.plugins):
        raise NotFound(f"plugin {plugin_name}")
    await view.read()
    on = view.typed.get("on") == ["yes"]
    await actions.switch_plugin(view.scope, tenant, plugin_name, on=on)
    label = _(host.deployment.plugins[plugin_name].manifest.label)
    said = _("%(label)s is on.", label=label) if on else _("%(label)s is off. Its data are kept.", label=label)
    return view.go(f"/tenants/{tenant_id}", said)


@get("/tenants/{tenant_id:int}/deeds/{deed:str}", permission="tenants.view")
async def show_deed(view: View, tenant_id: FromPath[int], deed: FromPath[str]) -> Response[str]:
    wanted = await _may_do(view, deed)
    tenant = await host_of(view.scope).get(tenant_id)
    return await deeds.show_deed(view, tenant, wanted, asked(view))


@post("/tenants/{tenant_id:int}/deeds/{deed:str}", permission="tenants.view")
async def do_deed(view: View, tenant_id: FromPath[int], deed: FromPath[str]) -> Response[str]:
    wanted = await _may_do(view, deed)
    tenant = await host_of(view.scope).get(tenant_id)
    return await deeds.do_deed(view, tenant, wanted)


async def _may_do(view: PageView, key: str) -> deeds.Deed:
    """What takes a tenant away wants a fresh proof."""
    deed = deeds.deed_of(key)
    view.scope.require(deed.permission)
    if deed.permission == "tenants.delete":
        await ask_for_proof(view.request)
    return deed


@get("/tenants/upgrades", permission="tenants.manage")
async def show_upgrade_all(view: View) -> Response[str]:
    """The drawer: what an upgrade of all does."""
    found = await apart(totals(host_of(view.scope).deployment))
    return drawer(view, deeds.UPGRADES, {}, plan=deeds.plan_upgrades(found))


@post("/tenants/upgrades", permission="tenants.manage")
async def upgrade_all(view: View) -> Response[str]:
    return view.go(f"/tenants/work/{await actions.ask_all_upgrades(view.scope)}")


# -- backups ----------------------------------------------------------------------------------------------------------


@get("/tenants/backups", permission="tenants.view")
async def list_backups(view: View) -> Response[str]:
    scope = view.scope
    deployment = host_of(scope).deployment
    files = await apart(queries.list_backups(deployment))
    q = view.query.get("q", "").strip().lower()
    if q:
        files = [one for one in files if q in one.slug]
    before = view.query.get("before", "")
    rest = [one for one in files if not before or one.made_at.isoformat() < before]
    shown = await apart(queries.describe(deployment, rest[:BACKUPS_SHOWN]))
    records = {record.uuid: record for record in await apart(deployment.registry.list_tenants())}
    older = rest[BACKUPS_SHOWN - 1].made_at.isoformat() if len(rest) > BACKUPS_SHOWN else ""
    return view.page(
        "tenants/backups.html",
        tabs=tabs("Backups"),
        backups=shown,
        tenants={one.backup.file: records.get(one.uuid) for one in shown if one.uuid is not None},
        total=len(files),
        size=sum(one.size for one in files),
        folder=str(file_of(deployment, "")),
        older=older,
        q=q,
        may_restore=deeds.may_restore(scope),
        **_drawing(scope),
    )


@post("/tenants/backups", permission="tenants.manage")
async def back_up_all(view: View) -> Response[str]:
    return view.go(f"/tenants/work/{await actions.ask_all_backups(view.scope)}")


@post("/tenants/{tenant_id:int}/backups", permission="tenants.manage")
async def back_up(view: View, tenant_id: FromPath[int]) -> Response[str]:
    tenant = await host_of(view.scope).get(tenant_id)
    return view.go(f"/tenants/work/{await actions.ask_backup(view.scope, tenant)}")


@post("/tenants/backups/{file:str}/download", permission="tenants.download", fresh=True)
async def download(view: View, file: FromPath[str]) -> File:
    """Sent as it is; who took it stands in the activity."""
    deployment = host_of(view.scope).deployment
    backup = await apart(queries.get_backup(deployment, file))
    await actions.note_download(view.scope, backup)
    return backup_file(deployment, backup)


def backup_file(deployment: Deployment, backup: BackupOf) -> File:
    """A backup as it is sent: to be saved, kept by no cache."""
    return File(
        path=file_of(deployment, backup.backup.file),
        filename=backup.backup.file,
        media_type="application/x-tar",
        content_disposition_type="attachment",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )


@get("/tenants/backups/{file:str}/restoring", permission="tenants.view", fresh=True)
async def show_restoring(view: View, file: FromPath[str]) -> Response[str]:
    _may_restore(view.scope)
    backup = await apart(queries.get_backup(host_of(view.scope).deployment, file))
    return await deeds.show_restoring(view, backup, asked(view))


@post("/tenants/backups/{file:str}/restoring", permission="tenants.view", fresh=True)
async def do_restoring(view: View, file: FromPath[str]) -> Response[str]:
    _may_restore(view.scope)
    backup = await apart(queries.get_backup(host_of(view.scope).deployment, file))
    return await deeds.do_restoring(view, backup)


def _may_restore(scope: Scope) -> None:
    if not deeds.may_restore(scope):
        scope.require("tenants.create")


# -- databases --------------------------------------------------------------------------------------------------------


@get("/tenants/databases", permission="tenants.view")
async def list_databases(view: View) -> Response[str]:
    deployment = host_of(view.scope).deployment
    return view.page(
        "tenants/databases.html",
        tabs=tabs("Databases"),
        places=await apart(deployment.placement.all_fullness()),
        counts=await apart(queries.count_by_place(deployment)),
        sqlite=SQLITE,
        limit=deployment.config.placement.schemas,
        **_drawing(view.scope),
    )


# -- work -------------------------------------------------------------------------------------------------------------


def work_shown(work: Work) -> RunningJob:
    """A job of the console with its own address, its sizes written as sizes."""
    job = running_job(work.job)
    detail = job.detail
    if work.job.progress_total > 100_000:
        detail = _("%(done)s of %(total)s", done=sized(work.job.progress_done), total=sized(work.job.progress_total))
    elif work.job.progress_total <= 1:
        detail = ""
    label = job.label
    if work.about.slug:
        label = f"{job.label}: {work.about.slug}"
    text = job.text
    if work.made is not None:
        text = work.made.text
    elif work.made_all is not None:
        text = work.made_all.text
    percent = job.percent if work.job.progress_total > 1 or job.state == "done" else None
    return msgspec.structs.replace(
        job,
        label=label,
        detail=detail,
        text=text,
        percent=percent,
        href=f"/tenants/work/{job.id}",
        events=f"/tenants/work/{job.id}/events",
    )


WORK_PAGE: Final = 100


@get("/tenants/work", permission="tenants.view")
async def list_work(view: View) -> Response[str]:
    text = view.query.get("before", "")
    before = int(text) if text.isdecimal() and len(text) < 19 else None
    found = await queries.list_work(view.scope, before=before, limit=WORK_PAGE + 1)
    return view.page(
        "tenants/works.html",
        tabs=tabs("Work"),
        work=[(one, work_shown(one)) for one in found[:WORK_PAGE]],
        newest="/tenants/work" if before is not None else "",
        older=f"/tenants/work?before={found[WORK_PAGE - 1].job.id}" if len(found) > WORK_PAGE else "",
    )


@get("/tenants/work/{job_id:int}", permission="tenants.view")
async def show_work(view: View, job_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    work = await queries.get_work(scope, job_id)
    tenant = None
    tenant_id = (work.made.tenant_id if work.made is not None else 0) or work.about.tenant_id
    if tenant_id:
        tenant = await apart(host_of(scope).deployment.registry.find(tenant_id))
    return view.page(
        "tenants/work.html",
        work=work,
        job=work_shown(work),
        record=tenant,
        failures=work.made_all.failures if work.made_all is not None else (),
        file=work.made.file if work.made is not None else "",
        may_repeat=work.job.state.value in ("failed", "unknown", "held") and scope.may("tenants.manage"),
        again="/tenants/upgrades" if work.job.kind == "tenants.upgrade_all" and not work.is_under_way else "",
    )


@post("/tenants/work/{job_id:int}/repetition", permission="tenants.manage")
async def repeat(view: View, job_id: FromPath[int]) -> Response[str]:
    await actions.repeat_work(view.scope, job_id)
    return view.go(f"/tenants/work/{job_id}", _("Started again."))


@get("/tenants/work/{job_id:int}/events", permission="tenants.view")
async def stream_work(view: View, job_id: FromPath[int]) -> ServerSentEvent:
    """Live progress: unnamed messages with the card's inside, then the event `done`."""
    await queries.get_work(view.scope, job_id)
    return feed(_progress(view, job_id))


async def _progress(view: PageView, job_id: int) -> AsyncIterator[ServerSentEventMessage]:
    database, last = current(), ""
    while True:
        with bind(database):
            job = work_shown(await queries.get_work(view.scope, job_id))
        html = view.part("_partials/job.html", job=job)
        if html != last:
            last = html
            yield ServerSentEventMessage(data=html)
        if job.state not in UNDER_WAY:
            yield ServerSentEventMessage(event="done", data="")
            return
        await asyncio.sleep(LOOK_EVERY)


HANDLERS = (
    list_tenants,
    look,
    show_new,
    check_short_name,
    create,
    show_tenant,
    switch_plugin,
    show_deed,
    do_deed,
    show_upgrade_all,
    upgrade_all,
    list_backups,
    back_up_all,
    back_up,
    download,
    show_restoring,
    do_restoring,
    list_databases,
    list_work,
    show_work,
    repeat,
    stream_work,
)
