"""What is done to a tenant from its page, with what it means: shown first in a drawer, then done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from core.errors import Conflict, Invalid, NotFound
from core.texts import N_, _, number
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, drawer
from core.web.parts import Choice, Field
from core.web.view import errors_by_field
from tenants import actions
from tenants.backups import has_database
from tenants.host import apart, host_of
from tenants.placement import SQLITE
from tenants.status import TenantStatus
from tenants.words import sized

if TYPE_CHECKING:
    from litestar import Response

    from core.scope import Scope
    from core.web.view import PageView
    from tenants.facts import Totals
    from tenants.queries import BackupOf
    from tenants.registry import TenantRecord

Typed = Mapping[str, Sequence[str]]
Act = Callable[["Scope", "TenantRecord", Typed], Awaitable[str]]
"""Does it; gives the address that is seen next."""

AWAY: Final = N_("Its pages and its API answer 503 and say so")


def typed_in(typed: Typed, name: str) -> str:
    return typed.get(name, [""])[-1]


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that may be done: who may, when, and how it reads."""

    key: str
    label: str
    icon: str
    permission: str
    fields: Callable[[Scope, TenantRecord], Sequence[Field]]
    plan: Callable[[TenantRecord], ChangePlan]
    act: Act
    said: str
    refused: Callable[[TenantRecord], str]
    """Why it cannot be done now; empty: it can."""
    danger: bool = False
    leaves: bool = False
    """Whether it takes the tenant out of use for a moment."""


def _repeat(scope: Scope, tenant: TenantRecord) -> Sequence[Field]:
    return (
        Field(
            name="repeated",
            label=_("Type %(slug)s to confirm", slug=tenant.slug),
            required=True,
            max_length=32,
            autocomplete="off",
            wide=True,
        ),
    )


def _part(title: str, *lines: str) -> PlanPart:
    return PlanPart(title=title, lines=[PlanLine(text=line) for line in lines])


def _at(tenant: TenantRecord) -> str:
    return f"/tenants/{tenant.id}"


def _work(job_id: int) -> str:
    return f"/tenants/work/{job_id}"


# -- suspending and resuming ------------------------------------------------------------------------------------------


def _plan_suspension(tenant: TenantRecord) -> ChangePlan:
    return ChangePlan(
        title=_("Suspend %(name)s", name=tenant.name),
        button=_("Suspend %(slug)s", slug=tenant.slug),
        parts=[
            _part(_("Access"), _(AWAY), _("Whoever is logged in sees that page at the next click")),
            _part(_("Work"), _("No billing, no mail, nothing else of it runs until it is resumed")),
            _part(_("Data"), _("Stay as they are")),
        ],
        danger=True,
        keep=_("Leave it open"),
    )


async def _suspend(scope: Scope, tenant: TenantRecord, typed: Typed) -> str:
    await actions.suspend(scope, tenant, typed_in(typed, "reason"))
    return _at(tenant)


def _no_suspension(tenant: TenantRecord) -> str:
    return "" if tenant.status == TenantStatus.ACTIVE else _("Only while it is open")


def _plan_resumption(tenant: TenantRecord) -> ChangePlan:
    return ChangePlan(
        title=_("Resume %(name)s", name=tenant.name),
        button=_("Resume %(slug)s", slug=tenant.slug),
        parts=[
            _part(_("Access"), _("Its pages and its API answer again")),
            _part(_("Work"), _("What was due meanwhile is done now: schedules once each, waiting jobs and mail")),
        ],
        warnings=[_("It was suspended because: %(reason)s", reason=tenant.reason)] if tenant.reason else [],
        keep=_("Leave it suspended"),
    )


async def _resume(scope: Scope, tenant: TenantRecord, typed: Typed) -> str:
    await actions.resume(scope, tenant)
    return _at(tenant)


def _no_resumption(tenant: TenantRecord) -> str:
    return "" if tenant.status == TenantStatus.SUSPENDED else _("Only while it is suspended")


# -- renaming ---------------------------------------------------------------------------------------------------------


def _rename_fields(scope: Scope, tenant: TenantRecord) -> Sequence[Field]:
    return (
        Field(name="name", label=_("Name"), value=tenant.name, required=True, max_length=200),
        Field(
            name="slug",
            label=_("Short name"),
            value=tenant.slug,
            required=True,
            max_length=32,
            autocomplete="off",
            help=_("Small letters, digits and hyphens; its address begins with it"),
        ),
    )


def _plan_renaming(tenant: TenantRecord) -> ChangePlan:
    return ChangePlan(
        title=_("Rename %(name)s", name=tenant.name),
        button=_("Rename %(slug)s", slug=tenant.slug),
        parts=[
            _part(_("Name"), _("As you call it here; what customers read is a setting of the tenant's own")),
            _part(
                _("Address"),
                _("Another short name gives it another address, where everybody logs in anew"),
                _("Its old address goes on to lead there"),
            ),
        ],
        keep=_("Leave its names"),
    )


async def _rename(scope: Scope, tenant: TenantRecord, typed: Typed) -> str:
    await actions.rename(scope, tenant, slug=typed_in(typed, "slug"), name=typed_in(typed, "name"))
    return _at(tenant)


# -- upgrading --------------------------------------------------------------------------------------------------------

UPGRADED: Final = (
    N_("A backup of each SQLite database first; one transaction each, all of it or nothing"),
    N_("One that fails answers 503, is as it was before, and stops no other"),
)
UPGRADES: Final = Place(title=N_("Upgrade all tenants"), asked="/tenants/upgrades", sent="/tenants/upgrades")


def plan_upgrades(known: Totals) -> ChangePlan:
    """What an upgrade of all does."""
    behind = _(
        "%(behind)s were behind when they were last looked at, %(failed)s failed before",
        behind=number(known.behind),
        failed=number(known.failed),
    )
    return ChangePlan(
        title=_("Upgrade all tenants"),
        button=_("Upgrade all tenants"),
        parts=[
            _part(
                _("Tenants"),
                _(
                    "%(count)s are gone through, those that are behind upgraded",
                    count=number(known.tenants - known.archived),
                ),
                behind,
            ),
            _part(_("Each"), *map(_, UPGRADED)),
            _part(_("Again"), _("Repeated, it goes on with those that are left")),
        ],
    )


def _plan_upgrade(tenant: TenantRecord) -> ChangePlan:
    return ChangePlan(
        title=_("Upgrade %(name)s", name=tenant.name),
        button=_("Upgrade %(slug)s", slug=tenant.slug),
        parts=[_part(_("What is done"), _("Its database is brought to the version of this code"), *map(_, UPGRADED))],
    )


async def _upgrade(scope: Scope, tenant: TenantRecord, typed: Typed) -> str:
    return _work(await actions.ask_upgrade(scope, tenant))


# -- moving -----------------------------------------------------------------------------------------------------------


def _places(scope: Scope, tenant: TenantRecord) -> Sequence[Field]:
    placed = host_of(scope).deployment.placement
    others = [Choice(name, name) for name in (SQLITE, *placed.servers) if name != tenant.placement]
    return (Field(name="placement", label=_("To"), kind="select", choices=others, required=True, wide=True),)


def _plan_moving(tenant: TenantRecord) -> ChangePlan:
    return ChangePlan(
        title=_("Move %(name)s", name=tenant.name),
        button=_("Move %(slug)s", slug=tenant.slug),
        parts=[
            _part(_("Meanwhile"), _("It is copied while it is used"), _("Then it takes no changes for some seconds")),
            _part(_("Proof"), _("Every row is compared and the books of the copy are proven before it is switched to")),
            _part(
                _("After"),
                _("Its database in %(placement)s is kept aside for some days", placement=tenant.placement),
                _("Its files stay in place"),
            ),
        ],
        keep=_("Leave it there"),
    )


async def _move(scope: Scope, tenant: TenantRecord, typed: Typed) -> str:
    return _work(await actions.ask_move(scope, tenant, typed_in(typed, "placement")))


def _no_moving(tenant: TenantRecord) -> str:
    return "" if has_database(tenant) else _("It has no database")


# -- trying out time --------------------------------------------------------------------------------------------------


def _copy_fields(scope: Scope, tenant: TenantRecord) -> Sequence[Field]:
    return (
        Field(
            name="slug",
            label=_("Short name of the copy"),
            value=f"{tenant.slug[:28].rstrip('-')}-try",
            required=True,
            max_length=32,
            wide=True,
        ),
    )


def _plan_trying(tenant: TenantRecord) -> ChangePlan:
    return ChangePlan(
        title=_("Try out time on a copy of %(name)s", name=tenant.name),
        button=_("Make the copy"),
        parts=[
            _part(_("The copy"), _("A tenant of its own, as this one is now, at an address of its own")),
            _part(_("Its clock"), _("Stands still, until you run it forward from its page")),
            _part(_("Outside"), _("Nothing is ever sent from it: no message, no payment, no call")),
        ],
    )


async def _try(scope: Scope, tenant: TenantRecord, typed: Typed) -> str:
    return _work(await actions.ask_test_clock(scope, tenant, typed_in(typed, "slug").strip()))


def _until(scope: Scope, tenant: TenantRecord) -> Sequence[Field]:
    return (
        Field(
            name="until",
            label=_("To the end of"),
            kind="date",
            required=True,
            wide=True,
            help=_("In the copy it is %(at)s now", at=f"{tenant.clock_at:%Y-%m-%d}" if tenant.clock_at else ""),
        ),
    )


def _plan_forward(tenant: TenantRecord) -> ChangePlan:
    return ChangePlan(
        title=_("Run time forward in %(name)s", name=tenant.name),
        button=_("Run it forward"),
        parts=[
            _part(_("Each day"), _("What the clock starts is done by the same jobs: billing, changes, dunning")),
            _part(_("Then"), _("Documents and messages stand in the copy; none is sent"), _("The books are proven")),
            _part(_("Back"), _("Time goes forward only: make another copy to begin anew")),
        ],
    )


async def _forward(scope: Scope, tenant: TenantRecord, typed: Typed) -> str:
    try:
        until = date.fromisoformat(typed_in(typed, "until"))
    except ValueError:
        raise Invalid(_("Write a day, such as 2026-12-31."), field="until") from None
    return _work(await actions.ask_forward(scope, tenant, until))


def _no_trying(tenant: TenantRecord) -> str:
    return "" if has_database(tenant) else _("It has no database")


# -- archiving and deleting -------------------------------------------------------------------------------------------


def _plan_archiving(tenant: TenantRecord) -> ChangePlan:
    return ChangePlan(
        title=_("Archive %(name)s", name=tenant.name),
        button=_("Archive %(slug)s", slug=tenant.slug),
        parts=[
            _part(_("First"), _("A backup of it: its database and its files. Without that nothing goes on")),
            _part(
                _("Then"), _("Its database and its files go"), _(AWAY), _("Its name, addresses and plugins are kept")
            ),
            _part(_("Back"), _("Restoring that backup brings it back as it was")),
        ],
        danger=True,
        keep=_("Keep it open"),
    )


async def _archive(scope: Scope, tenant: TenantRecord, typed: Typed) -> str:
    return _work(await actions.ask_archive(scope, tenant, typed_in(typed, "repeated")))


def _no_archiving(tenant: TenantRecord) -> str:
    return "" if has_database(tenant) else _("It has no database")


def _plan_deletion(tenant: TenantRecord) -> ChangePlan:
    archived = tenant.status == TenantStatus.ARCHIVED
    first = _("The backup that it was archived with is kept") if archived else _("A last backup of it, which is kept")
    return ChangePlan(
        title=_("Delete %(name)s", name=tenant.name),
        button=_("Delete %(slug)s", slug=tenant.slug),
        parts=[
            _part(_("First"), first),
            _part(
                _("Then"),
                _("Its database, its files and its place in this list go"),
                _("Its addresses answer as if it had never been"),
                _("The short name %(slug)s is free", slug=tenant.slug),
            ),
            _part(_("Back"), _("Only by restoring the last backup")),
        ],
        danger=True,
        keep=_("Keep the tenant"),
    )


async def _delete(scope: Scope, tenant: TenantRecord, typed: Typed) -> str:
    return _work(await actions.ask_deletion(scope, tenant, typed_in(typed, "repeated")))


def _no_deletion(tenant: TenantRecord) -> str:
    return _("It is being made") if tenant.status == TenantStatus.CREATING else ""


def _reason(scope: Scope, tenant: TenantRecord) -> Sequence[Field]:
    return (
        Field(
            name="reason",
            label=_("Reason"),
            required=True,
            max_length=500,
            wide=True,
            help=_("For you and your colleagues; visitors do not see it"),
        ),
    )


def _nothing(scope: Scope, tenant: TenantRecord) -> Sequence[Field]:
    return ()


def _always(tenant: TenantRecord) -> str:
    return ""


DEEDS: Final = {
    deed.key: deed
    for deed in (
        Deed(
            key="renaming",
            label=N_("Rename…"),
            icon="pencil",
            permission="tenants.manage",
            fields=_rename_fields,
            plan=_plan_renaming,
            act=_rename,
            said=N_("Renamed."),
            refused=_always,
        ),
        Deed(
            key="upgrading",
            label=N_("Upgrade…"),
            icon="cloud-upload",
            permission="tenants.manage",
            fields=_nothing,
            plan=_plan_upgrade,
            act=_upgrade,
            said=N_("It is being upgraded."),
            refused=_no_archiving,
        ),
        Deed(
            key="moving",
            label=N_("Move…"),
            icon="server",
            permission="tenants.manage",
            fields=_places,
            plan=_plan_moving,
            act=_move,
            said=N_("It is being moved."),
            refused=_no_moving,
            leaves=True,
        ),
        Deed(
            key="trying",
            label=N_("Try out time…"),
            icon="flask",
            permission="tenants.create",
            fields=_copy_fields,
            plan=_plan_trying,
            act=_try,
            said=N_("The copy is being made."),
            refused=_no_trying,
        ),
        Deed(
            key="forward",
            label=N_("Run time forward…"),
            icon="clock",
            permission="tenants.manage",
            fields=_until,
            plan=_plan_forward,
            act=_forward,
            said=N_("Time goes on."),
            refused=_no_trying,
        ),
        Deed(
            key="suspension",
            label=N_("Suspend…"),
            icon="player-pause",
            permission="tenants.manage",
            fields=_reason,
            plan=_plan_suspension,
            act=_suspend,
            said=N_("Suspended."),
            refused=_no_suspension,
            danger=True,
        ),
        Deed(
            key="resumption",
            label=N_("Resume…"),
            icon="player-play",
            permission="tenants.manage",
            fields=_nothing,
            plan=_plan_resumption,
            act=_resume,
            said=N_("It is served again."),
            refused=_no_resumption,
        ),
        Deed(
            key="archiving",
            label=N_("Archive…"),
            icon="archive",
            permission="tenants.delete",
            fields=_repeat,
            plan=_plan_archiving,
            act=_archive,
            said=N_("It is being archived."),
            refused=_no_archiving,
            danger=True,
        ),
        Deed(
            key="deletion",
            label=N_("Delete…"),
            icon="trash",
            permission="tenants.delete",
            fields=_repeat,
            plan=_plan_deletion,
            act=_delete,
            said=N_("It is being deleted."),
            refused=_no_deletion,
            danger=True,
        ),
    )
}


def deed_of(key: str) -> Deed:
    if key not in DEEDS:
        raise NotFound(f"deed {key}")
    return DEEDS[key]


def may_do(scope: Scope, tenant: TenantRecord) -> list[tuple[Deed, str]]:
    """What the actor is offered, each with why it cannot be done now. Resuming stands where suspending would."""
    own = host_of(scope).is_self(tenant)
    found = []
    for deed in DEEDS.values():
        if not scope.may(deed.permission):
            continue
        refused = deed.refused(tenant)
        if deed.key == "resumption" and refused:
            continue
        if deed.key == "forward" and tenant.clock_at is None:
            continue
        if deed.key == "moving" and not host_of(scope).deployment.placement.servers:
            continue
        if deed.key == "suspension" and tenant.status == TenantStatus.SUSPENDED:
            continue
        found.append((deed, _("By command only: you work in it") if own and (deed.danger or deed.leaves) else refused))
    return found


async def show_deed(view: PageView, tenant: TenantRecord, deed: Deed, typed: Typed) -> Response[str]:
    """The drawer: what it would do, or why it cannot be done."""
    place = _place(view.scope, tenant, deed)
    if why := _refused(view.scope, tenant, deed):
        return drawer(view, place, typed, refused=why)
    return drawer(view, place, typed, plan=deed.plan(tenant))


async def do_deed(view: PageView, tenant: TenantRecord, deed: Deed) -> Response[str]:
    """Done as it was shown; else the drawer again, and nothing is done."""
    await view.read()
    typed, place = view.typed, _place(view.scope, tenant, deed)
    if why := _refused(view.scope, tenant, deed):
        return drawer(view, place, typed, refused=why)
    plan = deed.plan(tenant)
    if typed_in(typed, "seen") != plan.seen:
        return drawer(view, place, typed, plan=plan.against(typed_in(typed, "seen")), stale=True)
    try:
        to = await deed.act(view.scope, tenant, typed)
    except Invalid as error:
        return drawer(view, place, typed, plan=plan, errors=errors_by_field(error))
    except Conflict as error:
        return drawer(view, place, typed, refused=error.message)
    return view.go(to, _(deed.said))


def _refused(scope: Scope, tenant: TenantRecord, deed: Deed) -> str:
    offered = next((why for other, why in may_do(scope, tenant) if other.key == deed.key), None)
    return (deed.refused(tenant) or _("Not now")) if offered is None else offered


def _place(scope: Scope, tenant: TenantRecord, deed: Deed) -> Place:
    at = f"/tenants/{tenant.id}/deeds/{deed.key}"
    return Place(
        title=f"{_(deed.label).rstrip('…')} {tenant.name}", asked=at, sent=at, options=deed.fields(scope, tenant)
    )


# -- restoring --------------------------------------------------------------------------------------------------------

RESTORED: Final = (
    N_("What would have been sent when the backup was made is held, until somebody lets it go"),
    N_("Everybody logs in again"),
)


async def show_restoring(view: PageView, backup: BackupOf, typed: Typed) -> Response[str]:
    """The drawer of a backup: as a copy, or back to what it is of."""
    there = await _there(view.scope, backup)
    place = _restoring_place(view.scope, backup, there, typed)
    if backup.error:
        return drawer(view, place, typed, refused=backup.error)
    return drawer(view, place, typed, plan=_restoring_plan(backup, there, _way(view.scope, typed)))


async def do_restoring(view: PageView, backup: BackupOf) -> Response[str]:
    scope = view.scope
    await view.read()
    typed = view.typed
    there = await _there(scope, backup)
    place, way = _restoring_place(scope, backup, there, typed), _way(scope, typed)
    if backup.error:
        return drawer(view, place, typed, refused=backup.error)
    plan = _restoring_plan(backup, there, way)
    if typed_in(typed, "seen") != plan.seen:
        return drawer(
            view, place, typed, plan=plan.against(typed_in(typed, "seen")), stale=bool(typed_in(typed, "seen"))
        )
    try:
        if way == "copy":
            scope.require("tenants.create")
            job_id = await actions.ask_copy(scope, backup, typed_in(typed, "slug").strip())
        else:
            scope.require("tenants.delete")
            job_id = await actions.ask_return(scope, backup, typed_in(typed, "repeated"))
    except Invalid as error:
        return drawer(view, place, typed, plan=plan, errors=errors_by_field(error))
    except Conflict as error:
        return drawer(view, place, typed, refused=error.message)
    return view.go(_work(job_id), _("The backup is being restored."))


def may_restore(scope: Scope) -> bool:
    return scope.may("tenants.create") or scope.may("tenants.delete")


async def _there(scope: Scope, backup: BackupOf) -> TenantRecord | None:
    if backup.uuid is None:
        return None
    return await apart(host_of(scope).deployment.registry.find_by_uuid(backup.uuid))


def _ways(scope: Scope, there: TenantRecord | None) -> list[Choice]:
    back = _("Back as it was") if there is None else _("In place of what %(slug)s is now", slug=there.slug)
    ways = (("copy", _("As a copy, beside what is there"), "tenants.create"), ("back", back, "tenants.delete"))
    return [Choice(key, label) for key, label, permission in ways if scope.may(permission)]


def _way(scope: Scope, typed: Typed) -> str:
    wanted = typed_in(typed, "way")
    if wanted in ("copy", "back"):
        return wanted
    return "copy" if scope.may("tenants.create") else "back"


def _restoring_place(scope: Scope, backup: BackupOf, there: TenantRecord | None, typed: Typed) -> Place:
    slug = there.slug if there is not None else backup.backup.slug
    way = _way(scope, typed)
    at = f"/tenants/backups/{backup.backup.file}/restoring"
    fields = [Field(name="way", label=_("How"), kind="select", value=way, choices=_ways(scope, there), wide=True)]
    if way == "copy":
        fields.append(
            Field(
                name="slug",
                label=_("Short name of the copy"),
                required=True,
                max_length=32,
                autocomplete="off",
                help=_("Small letters, digits and hyphens; its address begins with it"),
                wide=True,
            )
        )
    else:
        fields.append(
            Field(
                name="repeated",
                label=_("Type %(slug)s to confirm", slug=slug),
                required=True,
                max_length=32,
                autocomplete="off",
                wide=True,
            )
        )
    return Place(title=_("Restore a backup"), asked=at, sent=at, options=fields)


def _restoring_plan(backup: BackupOf, there: TenantRecord | None, way: str) -> ChangePlan:
    of = f"{backup.name}, {sized(backup.backup.size)}"
    if way == "copy":
        return ChangePlan(
            title=_("Restore as a copy"),
            button=_("Restore the copy"),
            parts=[
                _part(_("The backup"), of, _("Checked whole and by hash before anything of it is used")),
                _part(_("The copy"), _("A tenant of its own, at an address of its own"), *map(_, RESTORED)),
            ],
            warnings=[_("What the copy does anew is sent: give it other mail settings before it bills anybody.")],
            keep=_("Restore nothing"),
        )
    if there is None:
        now = [_part(_("Now"), _("No tenant of this deployment is it; its name and addresses must be free"))]
    elif has_database(there):
        now = [
            _part(
                _("First"), _("A backup of what %(slug)s is now", slug=there.slug), _("It answers 503 for some seconds")
            ),
            _part(_("Lost"), _("What happened in %(slug)s since the backup, but for that new backup", slug=there.slug)),
        ]
    else:
        now = [_part(_("Now"), _("%(slug)s has no database now: it comes back", slug=there.slug))]
    slug = there.slug if there is not None else backup.backup.slug
    return ChangePlan(
        title=_("Restore %(slug)s", slug=slug),
        button=_("Restore %(slug)s", slug=slug),
        parts=[
            _part(_("The backup"), of, _("Checked whole and by hash before anything of it is used")),
            *now,
            _part(_("Then"), *map(_, RESTORED)),
        ],
        danger=True,
        keep=_("Restore nothing"),
    )
