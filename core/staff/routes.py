"""Staff users, roles, and what log-ins need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Struct

from core.activity.queries import timeline
from core.activity.unit import unit_of_work
from core.errors import Conflict, Forbidden, Invalid, Stale
from core.hooks import Permission
from core.messages.queries import mail_is_set_up
from core.staff import actions, queries
from core.staff.listing import STAFF
from core.staff.schemas import Invite, NewRole, RoleRow, StaffForm, StaffRow
from core.staff.second_factors import reset_second_factor as reset_factor
from core.staff.settings import SecuritySettings
from core.texts import N_, _, ngettext
from core.web.parts import Conflict as Saved
from core.web.parts import Difference, MenuEntry
from core.web.routing import get, post
from core.web.settings_pages import declare_settings, form_page
from core.web.view import PageView, View, errors_by_field

if TYPE_CHECKING:
    from core.hooks import Plugin
    from core.scope import Scope
    from core.staff.queries import HeldToken
    from core.web.jsonapi import ApiCall

PERMISSIONS: Final = (
    Permission("staff.view", N_("See staff and roles")),
    Permission("staff.edit", N_("Invite and change staff, roles and API tokens")),
)


@get("/settings/staff", permission="staff.view")
async def list_staff(view: View) -> Response[str]:
    return await STAFF.page(view, "staff/list.html", buttons=_inviting(view.scope))


@get("/settings/staff/new", permission="staff.edit")
async def show_invite(view: View) -> Response[str]:
    return await _invite_page(view, {})


@post("/settings/staff", permission="staff.edit", fresh=True)
async def invite(view: View) -> Response[str]:
    """The link goes by mail; where no mail can be sent, it is shown once, to be handed over."""
    try:
        data = await view.form(Invite)
        async with unit_of_work(view.scope):
            made = await actions.invite_staff(view.scope, data)
            mailed = await mail_is_set_up()
            if mailed:
                await actions.mail_link(view.scope, made.staff_id)
    except Invalid as error:
        return await _invite_page(view, errors_by_field(error), status=422)
    if mailed:
        return view.go("/settings/staff", _("The invitation goes to %(email)s.", email=data.email))
    return _link_page(view, data.name, made.token)


@get("/settings/staff/{staff_id:int}", permission="staff.view")
async def show_staff(view: View, staff_id: FromPath[int]) -> Response[str]:
    return await _one_staff_page(view, staff_id, {})


@post("/settings/staff/{staff_id:int}", permission="staff.edit", fresh=True)
async def change_staff(view: View, staff_id: FromPath[int]) -> Response[str]:
    try:
        data = await view.form(StaffForm)
        before = await queries.list_held_tokens(view.scope, staff_id=staff_id)
        await actions.change_staff(view.scope, staff_id, data, version=data.version)
    except Stale as error:
        return await _one_staff_page(view, staff_id, {}, status=409, stale=error)
    except (Invalid, Conflict, Forbidden) as error:
        errors = errors_by_field(error) if isinstance(error, Invalid) else {"": error.message}
        return await _one_staff_page(view, staff_id, errors, status=error.status)
    after = await queries.list_held_tokens(view.scope, staff_id=staff_id)
    return view.go("/settings/staff", _saved(_("Saved."), before, after))


@post("/settings/staff/{staff_id:int}/link", permission="staff.edit", fresh=True)
async def make_link(view: View, staff_id: FromPath[int]) -> Response[str]:
    """A link that is shown once, to be handed over."""
    made = await actions.make_link(view.scope, staff_id)
    return _link_page(view, (await queries.get_staff(view.scope, staff_id)).name, made.token)


@post("/settings/staff/{staff_id:int}/mail", permission="staff.edit", fresh=True)
async def mail_link(view: View, staff_id: FromPath[int]) -> Response[str]:
    one = await queries.get_staff(view.scope, staff_id)
    await actions.mail_link(view.scope, staff_id)
    return view.go("/settings/staff", _("A link goes to %(email)s.", email=one.email))


@post("/settings/staff/{staff_id:int}/second-factor/removal", permission="staff.edit", fresh=True)
async def reset_second_factor(view: View, staff_id: FromPath[int]) -> Response[str]:
    """For somebody who has lost the device."""
    await reset_factor(view.scope, staff_id)
    return view.go(f"/settings/staff/{staff_id}", _("The second factor is reset. The person is told by mail."))


@post("/settings/staff/{staff_id:int}/second-factor/demand", permission="staff.edit", fresh=True)
async def ask_for_second_factor(view: View, staff_id: FromPath[int]) -> Response[str]:
    """Whatever the role says; `needed=no` takes it back."""
    await view.read()
    needed = view.typed.get("needed", ["yes"])[-1] != "no"
    try:
        await actions.ask_for_second_factor(view.scope, staff_id, needed=needed)
    except (Conflict, Forbidden) as error:
        view.typed = {}
        return await _one_staff_page(view, staff_id, {"": error.message}, status=error.status)
    said = _("A second factor is needed from now on.") if needed else _("The role alone decides from now on.")
    return view.go(f"/settings/staff/{staff_id}", said)


@post("/settings/staff/{staff_id:int}/sessions/removal", permission="staff.edit")
async def end_sessions(view: View, staff_id: FromPath[int]) -> Response[str]:
    await actions.end_sessions_of(view.scope, staff_id)
    return view.go(f"/settings/staff/{staff_id}", _("Logged out everywhere."))


declare_settings(
    "/settings/security", SecuritySettings, read="staff.view", write="staff.edit", save=actions.save_security
)


@get("/settings/security", permission="staff.view")
async def show_security(view: View) -> Response[str]:
    return await _security_page(view, {})


@post("/settings/security", permission="staff.edit", fresh=True)
async def save_security(view: View) -> Response[str]:
    await view.read()
    try:
        await actions.save_security(view.scope, view.typed)
    except Invalid as error:
        return await _security_page(view, errors_by_field(error), status=422)
    return view.go("/settings/security", _("Saved."))


@post("/settings/staff/{staff_id:int}/withdrawal", permission="staff.edit", fresh=True)
async def withdraw_invitation(view: View, staff_id: FromPath[int]) -> Response[str]:
    await actions.withdraw_invitation(view.scope, staff_id)
    return view.go("/settings/staff", _("The invitation is withdrawn."))


async def _security_page(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    return await form_page(
        view,
        SecuritySettings,
        "/settings/security",
        title=N_("Log-in"),
        noun=N_("log-in settings"),
        write="staff.edit",
        errors=errors,
        status=status,
    )


def _inviting(scope: Scope) -> list[MenuEntry]:
    if not scope.may("staff.edit"):
        return []
    return [MenuEntry(label=_("Invite somebody"), href="/settings/staff/new", icon="user-plus", key="n")]


async def _invite_page(view: View, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    return view.page(
        "staff/invite.html",
        status=status,
        roles=await _givable(view.scope),
        mail=await mail_is_set_up(),
        values=view.shown(name="", email="", role_id=""),
        errors=errors,
    )


def _link_page(view: View, name: str, token: str) -> Response[str]:
    """The one-time link, shown this once."""
    return view.page("staff/link.html", name=name, link=f"{view.scope.tenant.address}/welcome/{token}")


async def _one_staff_page(
    view: View, staff_id: int, errors: dict[str, str], *, status: int = 200, stale: Stale | None = None
) -> Response[str]:
    one = await queries.get_staff(view.scope, staff_id)
    conflict = None
    if stale is not None:
        conflict, view.typed = await _conflict(view.scope, staff_id, stale), {}
    roles = await _givable(view.scope, or_of=one)
    tokens = await queries.list_held_tokens(view.scope, staff_id=staff_id)
    losses = [
        Losing(_(role.label), words)
        for role in roles
        if (words := _losing(tokens, dict.fromkeys(tokens, role.permissions)))
    ]
    return view.page(
        "staff/edit.html",
        status=status,
        one=one,
        roles=roles,
        values=_typed(view, name=one.name, email=one.email, role_id=one.role_id, active=one.active),
        errors=errors,
        version=(view.typed.get("version") or [str(one.version)])[-1],
        conflict=conflict,
        mail=await mail_is_set_up(),
        own=await actions.is_own(view.scope, staff_id),
        tokens=len(tokens),
        losses=losses,
        out_of_reach=not actions.may_give(view.scope, one.permissions),
    )


class Losing(Struct, frozen=True):
    """A role with which these API tokens, in words, would do less."""

    role: str
    tokens: str


_NAMED: Final = 5
"""API tokens that are named; of more, only how many."""


def _losing(tokens: Iterable[HeldToken], roles: Mapping[HeldToken, str]) -> str:
    """API tokens that do less when their makers may do what stands beside them, and how much less; empty for none."""
    told = []
    for one in tokens:
        gone = queries.lost(one.permissions, one.maker_permissions, roles.get(one, one.maker_permissions))
        if "*" in gone:
            told.append(_("%(token)s (all but what the role allows)", token=one.name))
        elif gone:
            each = ngettext(
                "%(token)s (%(num)s permission)", "%(token)s (%(num)s permissions)", len(gone), token=one.name
            )
            told.append(each)
    return _few(told)


def _few(told: Sequence[str]) -> str:
    """Names of API tokens in a line."""
    more = len(told) - _NAMED
    return ", ".join((*told[:_NAMED], ngettext("%(num)s more", "%(num)s more", more)) if more > 0 else told)


def _saved(said: str, before: Iterable[HeldToken], after: Iterable[HeldToken]) -> str:
    """What is said when somebody's role, or a role, was saved: with the API tokens that do less from now on."""
    now = {one.id: one.maker_permissions for one in after}
    words = _losing(before, {one: now[one.id] for one in before if one.id in now})
    return said + " " + _("API tokens that do less now: %(tokens)s.", tokens=words) if words else said


_LABELS: Final = {"name": N_("Name"), "email": N_("E-mail"), "role_id": N_("Role"), "active": N_("May log in")}


async def _conflict(scope: Scope, staff_id: int, stale: Stale) -> Saved:
    """What somebody else saved meanwhile, beside what was typed."""
    latest = await timeline(scope, subject=("staff", staff_id), kinds=["staff_changed"], limit=1)
    by = (await queries.names_of([latest[0].actor]))[latest[0].actor] if latest else _("Somebody else")
    roles = {role.id: _(role.label) for role in await queries.list_roles(scope)}

    def sent(value: object) -> str:
        return "yes" if value is True else "" if value is False else str(value)

    def shown(field: str, value: object) -> str:
        if field == "role_id" and isinstance(value, int):
            return roles.get(value, str(value))
        return _("Yes") if value is True else _("No") if value is False else str(value)

    return Saved(
        by=by,
        at=latest[0].at if latest else None,
        differences=[
            Difference(
                field=field,
                label=_(_LABELS[field]),
                theirs=sent(theirs),
                yours=sent(yours),
                theirs_shown=shown(field, theirs),
                yours_shown=shown(field, yours),
            )
            for field, (theirs, yours) in stale.fields.items()
        ],
    )


def _typed(view: PageView, **defaults: object) -> dict[str, object]:
    """What was typed, else the defaults: a switch that is off sends nothing."""
    return view.shown(**(dict.fromkeys(defaults, "") if view.typed else defaults))


async def _givable(scope: Scope, or_of: StaffRow | None = None) -> list[RoleRow]:
    """The roles that the actor may give, and the one that the staff user has."""
    return [
        role
        for role in await queries.list_roles(scope)
        if actions.may_give(scope, role.permissions) or (or_of is not None and or_of.role_id == role.id)
    ]


class RoleLine(Struct, frozen=True):
    """A role with how many people have it."""

    id: int
    label: str
    builtin: bool
    people: int
    second_factor: bool


class Given(Struct, frozen=True):
    """A permission in the table of roles: one answer a role."""

    key: str
    label: str
    given: list[bool]


class Choosable(Struct, frozen=True):
    """A permission in the form of a role."""

    key: str
    label: str
    help: str
    given: bool
    may_give: bool
    tokens: str = ""
    """API tokens that use it, of people who have the role."""


class Area(Struct, frozen=True):
    """Permissions of one feature or plugin."""

    label: str
    key: str
    rows: list[Given] = []
    permissions: list[Choosable] = []


def _by_area(permissions: Iterable[Permission]) -> dict[str, list[Permission]]:
    areas: dict[str, list[Permission]] = {}
    for permission in permissions:
        areas.setdefault(permission.key.partition(".")[0], []).append(permission)
    return areas


AREAS: Final = {"catalog": N_("Catalogue"), "lists": N_("Lists")}
"""Features whose name is no heading of a page, and so none of the texts, by the beginning of their permissions."""


def _area(view: PageView, key: str) -> str:
    """A plugin as people call it, or a feature of the core."""
    plugin: Plugin | None = view.request.app.state.plugins.get(key)
    if plugin is not None and plugin.loaded is not None:
        return _(plugin.manifest.label)
    return _(AREAS.get(key, key.capitalize()))


def _has(held: frozenset[str], key: str) -> bool:
    return "*" in held or key in held


@get("/settings/roles", permission="staff.view")
async def list_roles(view: View) -> Response[str]:
    roles = await queries.list_roles(view.scope)
    people = await queries.count_by_role(view.scope)
    held = [queries.permission_set(role.permissions) for role in roles]
    return view.page(
        "staff/roles.html",
        roles=[
            RoleLine(role.id, role.label, role.builtin, people.get(role.id, 0), role.second_factor) for role in roles
        ],
        areas=[
            Area(
                label=_area(view, key),
                key=key,
                rows=[Given(one.key, _(one.label), [_has(each, one.key) for each in held]) for one in permissions],
            )
            for key, permissions in _by_area(known_permissions(view)).items()
        ],
        may_change=view.scope.may("staff.edit"),
    )


@get("/settings/roles/new", permission="staff.edit")
async def show_new_role(view: View) -> Response[str]:
    """A new role; as a copy of another one where the address names it."""
    copied = view.query.get("from", "")
    like = await queries.get_role(view.scope, int(copied)) if copied.isdecimal() and len(copied) < 19 else None
    return await _role_page(view, None, {}, like=like)


@post("/settings/roles", permission="staff.edit", fresh=True)
async def create_role(view: View) -> Response[str]:
    try:
        await actions.create_role(view.scope, await view.form(NewRole), _keys(view))
    except Invalid as error:
        return await _role_page(view, None, errors_by_field(error), status=422)
    return view.go("/settings/roles", _("Role created."))


@get("/settings/roles/{role_id:int}", permission="staff.view")
async def show_role(view: View, role_id: FromPath[int]) -> Response[str]:
    return await _role_page(view, role_id, {})


@post("/settings/roles/{role_id:int}", permission="staff.edit", fresh=True)
async def change_role(view: View, role_id: FromPath[int]) -> Response[str]:
    try:
        data = await view.form(NewRole)
        before = await queries.list_held_tokens(view.scope, role_id=role_id)
        await actions.change_role(view.scope, role_id, data, _keys(view))
    except (Invalid, Conflict, Forbidden) as error:
        errors = errors_by_field(error) if isinstance(error, Invalid) else {"": error.message}
        return await _role_page(view, role_id, errors, status=error.status)
    after = await queries.list_held_tokens(view.scope, role_id=role_id)
    return view.go("/settings/roles", _saved(_("Role saved."), before, after))


@post("/settings/roles/{role_id:int}/removal", permission="staff.edit", fresh=True)
async def remove_role(view: View, role_id: FromPath[int]) -> Response[str]:
    try:
        await actions.remove_role(view.scope, role_id)
    except Conflict as error:
        return await _role_page(view, role_id, {"": error.message}, status=409)
    return view.go("/settings/roles", _("Role removed."))


def _keys(view: PageView) -> frozenset[str]:
    return frozenset(permission.key for permission in known_permissions(view))


async def _role_page(
    view: PageView, role_id: int | None, errors: dict[str, str], *, status: int = 200, like: RoleRow | None = None
) -> Response[str]:
    role = await queries.get_role(view.scope, role_id) if role_id is not None else None
    shown = role or like
    held = queries.permission_set(shown.permissions) if shown else frozenset[str]()
    builtin = role.builtin if role else False
    if view.typed and not builtin:
        held = frozenset(view.typed.get("permissions", []))
    label = role.label if role else _("Copy of %(role)s", role=_(like.label)) if like else ""
    out_of_reach = role is not None and not actions.may_give(view.scope, role.permissions)
    people = await queries.count_by_role(view.scope)
    used: dict[str, list[str]] = {}
    for token in await queries.list_held_tokens(view.scope, role_id=role.id) if role and not builtin else ():
        for key in queries.still_held(token.permissions, token.maker_permissions):
            used.setdefault(key, []).append(token.name)
    return view.page(
        "staff/role.html",
        status=status,
        role_id=role_id,
        title=role.label if role else _("New role"),
        action=f"/settings/roles/{role_id}" if role else "/settings/roles",
        values=_typed(view, label=label, second_factor=shown.second_factor if shown else False),
        errors=errors,
        areas=[
            Area(
                label=_area(view, key),
                key=key,
                permissions=[
                    Choosable(
                        one.key,
                        _(one.label),
                        _(one.description) if one.description else "",
                        _has(held, one.key) and (builtin or out_of_reach or view.scope.may(one.key)),
                        view.scope.may(one.key),
                        _few(used.get(one.key, [])),
                    )
                    for one in permissions
                ],
            )
            for key, permissions in _by_area(known_permissions(view)).items()
        ],
        builtin=builtin,
        people=people.get(role_id, 0) if role_id else 0,
        out_of_reach=out_of_reach,
        may_edit=view.scope.may("staff.edit"),
        may_change=view.scope.may("staff.edit") and not builtin and not out_of_reach,
    )


def known_permissions(view: PageView | ApiCall) -> tuple[Permission, ...]:
    """Everything that can be given here: the application keeps it. What the console needs, in its tenant only."""
    known: tuple[Permission, ...] = view.request.app.state.permissions
    console: str = view.request.app.state.console
    if not console or console in view.scope.plugins:
        return known
    return tuple(one for one in known if one.key.partition(".")[0] != console)


HANDLERS = (
    list_staff,
    show_invite,
    invite,
    show_staff,
    change_staff,
    make_link,
    mail_link,
    withdraw_invitation,
    reset_second_factor,
    ask_for_second_factor,
    end_sessions,
    show_security,
    save_security,
    list_roles,
    show_new_role,
    create_role,
    show_role,
    change_role,
    remove_role,
)
