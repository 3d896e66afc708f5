"""Inviting, changing and logging in staff; roles; API tokens.

Nobody gives what it does not have: neither by a role, nor by a link into the account of somebody who may do more.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
from email_validator import EmailNotValidError, validate_email
from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.database import Everything, all_of, execute, execute_many, row, scoped, value, value_as, values
from core.errors import Conflict, Forbidden, Invalid, NotFound, Stale
from core.ids import hash_token, new_token, sort_key
from core.jobs.actions import enqueue
from core.settings.actions import save_form
from core.staff import queries
from core.staff.events import (
    ApiTokenCreated,
    ApiTokenRevoked,
    PasswordSet,
    RoleChanged,
    RoleCreated,
    RoleRemoved,
    SessionsEnded,
    StaffChanged,
    StaffInvitationWithdrawn,
    StaffInvited,
    StaffLinkMade,
    StaffLoggedIn,
    StaffLoggedOut,
)
from core.staff.passwords import PASSWORDS, check_password
from core.staff.schemas import AS_ASKED, MailNotice, MailStaff, StaffChange
from core.staff.settings import SecuritySettings
from core.staff.tables import ApiToken, OneTimeLink, Role, Staff
from core.texts import N_, _, ngettext, pgettext
from core.web.sessions import LASTS, begin_session, end_session, end_sessions, list_sessions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from core.scope import Scope
    from core.staff.schemas import Invite, NewRole, NewToken

INVITATION_LASTS: Final = timedelta(days=7)
"""Where it is handed over by a person."""
MAILED_LASTS: Final = timedelta(minutes=60)
"""A link in a mail, and one that lets a forgotten password be replaced."""
MAIL: Final = "mail_staff"
"""Name of the job kind, declared in `jobs`: it makes the link when it is sent, so that no job holds one."""
FULL: Final = "staff"
"""Kind of a session of somebody who is logged in."""
HALF: Final = "staff-code"
"""Of somebody whose password was right, and who has still to show a second factor: it gets nowhere."""
NEWCOMER: Final = "staff-setup"
"""Of somebody who has to set a second factor up before anything else."""
HALF_LASTS: Final = timedelta(minutes=10)


class Invitation(Struct, frozen=True):
    """A one-time link; the token is shown once and kept nowhere."""

    staff_id: int
    token: str


def email_of(typed: str, *, field: str = "email") -> str:
    """The address in its usual form. Raises Invalid when it cannot be one; nothing is looked up in the network."""
    try:
        return validate_email(typed.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise Invalid(_("%(error)s Check the address.", error=error), field=field) from error


async def invite_staff(scope: Scope, data: Invite) -> Invitation:
    """Make a staff user without a password, and a link that lets the person set one within seven days."""
    email = email_of(data.email)
    async with unit_of_work(scope):
        await _check_role(scope, data.role_id)
        await _check_free(email)
        staff = Staff(
            name=data.name.strip(),
            name_key=sort_key(data.name),
            email=email,
            email_key=sort_key(email),
            password_hash="",
            role_id=data.role_id,
            active=True,
            theme="auto",
            narrow=False,
            language="",
            created_at=scope.now(),
            last_seen_at=None,
            time_zone="",
            totp_sealed="",
            totp_step=0,
            totp_since=None,
            second_factor=False,
            version=1,
        )
        await staff.save()
        staff_id = int(staff.id)
        record(scope, StaffInvited(staff_id=staff_id), changes={"name": (None, staff.name), "email": (None, email)})
        return await _link(scope, staff_id, "invitation", INVITATION_LASTS)


async def _check_role(scope: Scope, role_id: int) -> None:
    """Raises Invalid for a role that does not exist, or that may do what the actor may not."""
    if not await scoped(Role, scope).exists().where(Role.id == role_id):
        raise Invalid(_("Choose a role of the list."), field="role_id")
    role = await scoped(Role, scope).get(role_id)
    if not may_give(scope, role.permissions):
        raise Invalid(
            _("You cannot give the role %(role)s: it may do more than you.", role=role.label), field="role_id"
        )


def may_give(scope: Scope, permissions: str) -> bool:
    """Whether the actor has all of these permissions itself."""
    return all(scope.may(one) for one in queries.permission_set(permissions))


async def _check_free(email: str, but: int = 0) -> None:
    if await value("SELECT id FROM staff WHERE email_key = :key AND id <> :but", key=sort_key(email), but=but):
        raise Invalid(_("A staff user with this address exists already."), field="email")


async def touchable(scope: Scope, staff_id: int) -> Staff:
    """The staff user, locked, for a change by somebody else. Raises Forbidden where it may do more than the actor."""
    await value("SELECT 1 FROM staff WHERE id = :id FOR UPDATE", id=staff_id)
    staff = await scoped(Staff, scope).get(staff_id)
    if not may_give(scope, str(await value("SELECT permissions FROM role WHERE id = :id", id=staff.role_id))):
        raise Forbidden(_("%(name)s may do more than you: somebody who may as much has to do this.", name=staff.name))
    return staff


async def make_link(scope: Scope, staff_id: int) -> Invitation:
    """A new link, to be handed over, for a staff user that has lost its password or its invitation; older ones stop
    working."""
    async with unit_of_work(scope):
        staff = await touchable(scope, staff_id)
        if not staff.active:
            raise Conflict(_("%(name)s is switched off and may not log in. Switch it on first.", name=staff.name))
        record(scope, StaffLinkMade(staff_id=staff_id))
        if staff.password_hash:
            return await _link(scope, staff_id, "reset", MAILED_LASTS)
        return await _link(scope, staff_id, "invitation", INVITATION_LASTS)


async def make_mailed_link(scope: Scope, staff_id: int, *, beside: bool = False) -> Invitation:
    """The link of a mail that is about to be sent. `beside` others: whoever knows an address cannot void by asking what
    was handed over to its owner."""
    async with unit_of_work(scope):
        has_password = await value("SELECT password_hash <> '' FROM staff WHERE id = :id", id=staff_id)
        record(scope, StaffLinkMade(staff_id=staff_id))
        purpose = "reset" if has_password else "invitation"
        return await _link(scope, staff_id, purpose, MAILED_LASTS, beside=beside)


async def mail_link(scope: Scope, staff_id: int) -> None:
    """Have a link mailed to a staff user: its invitation, or the way to a new password."""
    async with unit_of_work(scope):
        staff = await touchable(scope, staff_id)
        if not staff.active:
            raise Conflict(_("%(name)s is switched off and may not log in. Switch it on first.", name=staff.name))
        await enqueue(scope, MAIL, MailStaff(staff_id=staff_id))


async def ask_for_link(scope: Scope, email: str) -> None:
    """Somebody has forgotten the password of this address. The same work is done whether anybody has it."""
    asking = replace(scope.actor, reach=Everything())
    async with unit_of_work(scope):
        await enqueue(scope.as_actor(asking), MAIL, MailStaff(email=sort_key(email.strip())))


async def withdraw_invitation(scope: Scope, staff_id: int) -> None:
    """Take back an invitation that nobody has followed: the staff user is gone."""
    async with unit_of_work(scope):
        staff = await touchable(scope, staff_id)
        gone = await execute(
            "DELETE FROM staff WHERE id = :id AND password_hash = '' AND last_seen_at IS NULL", id=staff_id
        )
        if not gone:
            raise Conflict(
                _("%(name)s has followed the invitation already. Switch the user off instead.", name=staff.name)
            )
        record(scope, StaffInvitationWithdrawn(staff_id=staff_id), changes={"email": (staff.email, None)})


async def _link(scope: Scope, staff_id: int, purpose: str, lasts: timedelta, *, beside: bool = False) -> Invitation:
    if not beside:
        await _void_links(scope, staff_id)
    token = new_token()
    await OneTimeLink(
        staff_id=staff_id,
        purpose=purpose,
        token_hash=hash_token(token),
        expires_at=scope.now() + lasts,
        used_at=None,
    ).save()
    return Invitation(staff_id=staff_id, token=token)


async def _void_links(scope: Scope, staff_id: int) -> None:
    await execute(
        "UPDATE one_time_link SET used_at = :now WHERE staff_id = :id AND used_at IS NULL", now=scope.now(), id=staff_id
    )


async def set_password(scope: Scope, token: str, password: str, repeated: str) -> int:
    """Set the password that a one-time link allows. Uses this and every other link up, ends all sessions of the user;
    gives its id."""
    if password != repeated:
        raise Invalid(_("The two passwords differ. Type the same one twice."), field="repeated")
    link = await queries.find_link(token, scope.now())
    if link is None:
        raise NotFound("This link has been used or is too old. Ask for a new one.")
    check_password(password, name=link.name, email=link.email)
    password_hash = await PASSWORDS.hash(password)
    async with unit_of_work(scope):
        used = await execute(
            "UPDATE one_time_link SET used_at = :now WHERE id = :id AND used_at IS NULL", now=scope.now(), id=link.id
        )
        if not used:
            raise Conflict(_("This link has just been used. Log in, or ask for a new one."))
        await _void_links(scope, link.staff_id)
        await execute("UPDATE staff SET password_hash = :hash WHERE id = :id", hash=password_hash, id=link.staff_id)
        await end_everywhere(scope, link.staff_id)
        record(scope, PasswordSet(staff_id=link.staff_id))
    return link.staff_id


async def check_log_in(email: str, password: str) -> queries.Known | None:
    """The staff user with this address and password. The same work is done for an address that nobody has."""
    known = await queries.find_by_email(sort_key(email.strip()))
    right = await PASSWORDS.verify(known.password_hash if known else "", password)
    return known if right else None


async def begin_staff_session(scope: Scope, staff_id: int, *, address: str, agent: str) -> str:
    """Log a staff user in; gives the new session's token. The log-in stands in the activity."""
    async with unit_of_work(scope):
        token = await begin_session(scope, FULL, staff_id, address=address, agent=agent)
        await execute("UPDATE staff SET last_seen_at = :now WHERE id = :id", now=scope.now(), id=staff_id)
        record(scope, StaffLoggedIn(staff_id=staff_id))
    return token


async def begin_half_session(scope: Scope, kind: str, staff_id: int, *, address: str, agent: str) -> str:
    """The password was right, and something is still missing: a second factor shown, or set up."""
    lasts = HALF_LASTS if kind == HALF else LASTS
    return await begin_session(scope, kind, staff_id, address=address, agent=agent, lasts=lasts)


async def end_everywhere(scope: Scope, staff_id: int) -> int:
    """Log a staff user out everywhere, also where it is half way in. Gives how many sessions ended."""
    async with unit_of_work(scope):
        return sum([await end_sessions(scope, kind, staff_id) for kind in (FULL, HALF, NEWCOMER)])


async def end_sessions_of(scope: Scope, staff_id: int) -> int:
    """Log somebody else out everywhere. Gives how many sessions ended."""
    async with unit_of_work(scope):
        await touchable(scope, staff_id)
        if await is_own(scope, staff_id):
            raise Conflict(_("These are your own sessions: end them in your profile."))
        if ended := await end_everywhere(scope, staff_id):
            record(scope, SessionsEnded(staff_id=staff_id, sessions=ended))
        return ended


async def end_session_of(scope: Scope, staff_id: int, session_id: int) -> None:
    """Log somebody else out on one device."""
    async with unit_of_work(scope):
        await touchable(scope, staff_id)
        if await is_own(scope, staff_id):
            raise Conflict(_("These are your own sessions: end them in your profile."))
        if session_id not in {one.id for one in await list_sessions(FULL, staff_id, scope.now())}:
            raise NotFound(f"session {session_id}")
        await end_session(scope, session_id)
        record(scope, SessionsEnded(staff_id=staff_id, sessions=1))


async def end_staff_session(scope: Scope, session_id: int) -> None:
    async with unit_of_work(scope):
        await end_session(scope, session_id)
        if scope.actor.id is not None:
            record(scope, StaffLoggedOut(staff_id=scope.actor.id))


async def change_staff(scope: Scope, staff_id: int, data: StaffChange, *, version: int) -> None:
    """Name, address, role and whether the person may log in. Another role, or none of the right to log in, ends its
    sessions; another address is told to the old one. Nobody changes its own role, nor switches itself off. Raises Stale
    where somebody saved it after this version."""
    email = email_of(data.email)
    async with unit_of_work(scope):
        await _one_at_a_time()
        staff = await touchable(scope, staff_id)
        changes: dict[str, tuple[object, object]] = {}
        wanted = {"name": data.name.strip(), "email": email, "role_id": data.role_id, "active": data.active}
        for field, new in wanted.items():
            old = getattr(staff, field)
            if old != new:
                changes[field] = (old, new)
                setattr(staff, field, new)
        if not changes:
            return
        if staff.version != version:
            raise Stale(fields=changes, version=staff.version)
        staff.version = version + 1
        if await is_own(scope, staff_id) and {"role_id", "active"} & set(changes):
            raise Conflict(_("Nobody takes the own role or log-in away. Ask another person who manages the staff."))
        if "name" in changes:
            staff.name_key = sort_key(staff.name)
        if "role_id" in changes:
            await _check_role(scope, data.role_id)
        if "email" in changes:
            await _check_free(email, but=staff_id)
            staff.email_key = sort_key(email)
            await notify(scope, staff_id, N_("Your address for logging in was changed."), to=str(changes["email"][0]))
        before = await _administrators()
        await staff.save()
        if "role_id" in changes or "active" in changes:
            _refuse_nobody(before, await _administrators())
            await end_everywhere(scope, staff_id)
        record(scope, StaffChanged(staff_id=staff_id), changes=changes)


async def is_own(scope: Scope, staff_id: int) -> bool:
    """Whether this staff user is the actor, or behind the API token that acts."""
    return staff_id == await staff_behind(scope)


async def notify(scope: Scope, staff_id: int, what: str, *, to: str = "") -> None:
    """Tell a staff user by mail what happened to its account; `what` is a marked text, `to` an older address."""
    await enqueue(scope, "notify_staff", MailNotice(staff_id=staff_id, what=what, to=to))


async def _one_at_a_time() -> None:
    """Roles and log-ins are changed one after the other: two who take them from each other see what the other did."""
    await value("SELECT id FROM role WHERE permissions = :all ORDER BY id FOR UPDATE", all='["*"]')


class _Administrators(Struct, frozen=True):
    """How many may do everything: those who can log in, and those who are invited and never did."""

    able: int
    invited: int


async def _administrators() -> _Administrators:
    found = await row(
        _Administrators,
        "SELECT count(CASE WHEN staff.password_hash <> '' THEN 1 END) AS able,"
        " count(CASE WHEN staff.password_hash = '' THEN 1 END) AS invited"
        " FROM staff JOIN role ON role.id = staff.role_id WHERE staff.active AND role.permissions = :all",
        all='["*"]',
    )
    assert found is not None
    return found


def _refuse_nobody(before: _Administrators, after: _Administrators) -> None:
    """The last who can log in stays, whoever is invited: an invitation may never be followed."""
    if after.able or (after.invited and not before.able):
        return
    if after.invited:
        raise Conflict(
            _(
                "Nobody would be left who may do everything and can log in. Whoever is invited as Administrator has to"
                " follow the invitation first."
            )
        )
    raise Conflict(_("Nobody would be left who may do everything. Give another person the role Administrator first."))


async def set_preferences(scope: Scope, *, theme: str = "", narrow: str = "", language: str = "") -> None:
    """How the pages look for the staff user itself; not worth a line in the activity."""
    staff_id = await staff_behind(scope)
    if not staff_id:
        raise NotFound("There is no staff user to keep this with.")
    async with unit_of_work(scope):
        if theme:
            await execute("UPDATE staff SET theme = :theme WHERE id = :id", theme=theme, id=staff_id)
        if narrow:
            await execute("UPDATE staff SET narrow = :narrow WHERE id = :id", narrow=narrow == "yes", id=staff_id)
        if language:
            kept = "" if language == AS_ASKED else language
            await execute("UPDATE staff SET language = :language WHERE id = :id", language=kept, id=staff_id)


async def create_role(scope: Scope, data: NewRole, known: Collection[str]) -> int:
    async with unit_of_work(scope):
        if await value("SELECT id FROM role WHERE label = :label", label=data.label.strip()):
            raise Invalid(_("A role of this name exists already."), field="label")
        role = Role(
            label=data.label.strip(),
            permissions=_permissions(scope, data.permissions, known),
            builtin=False,
            second_factor=data.second_factor,
        )
        await role.save()
        record(
            scope,
            RoleCreated(role_id=int(role.id)),
            changes={"label": (None, role.label), "permissions": (None, role.permissions)},
        )
        return int(role.id)


async def change_role(scope: Scope, role_id: int, data: NewRole, known: Collection[str]) -> None:
    """Change what a role may do: it holds from the next request of everybody who has it. One that came with the product
    keeps its name and permissions. Asking for a second factor logs out whoever has none."""
    async with unit_of_work(scope):
        role = await scoped(Role, scope).get(role_id)
        if not may_give(scope, role.permissions):
            raise Forbidden(_("The role %(role)s may do more than you.", role=role.label))
        wanted: dict[str, object] = {"second_factor": data.second_factor}
        if not role.builtin:
            label = data.label.strip()
            if await value("SELECT id FROM role WHERE label = :label AND id <> :id", label=label, id=role_id):
                raise Invalid(_("A role of this name exists already."), field="label")
            wanted |= {"label": label, "permissions": _permissions(scope, data.permissions, known)}
        elif data.label.strip() != role.label or set(data.permissions) - queries.permission_set(role.permissions):
            raise Conflict(_("The roles that came with the product stay as they are. Make a new one."))
        changes = {name: (getattr(role, name), new) for name, new in wanted.items() if getattr(role, name) != new}
        if not changes:
            return
        for name, new in wanted.items():
            setattr(role, name, new)
        await role.save()
        if "second_factor" in changes and data.second_factor:
            await require_second_factor(scope, role_id)
        record(scope, RoleChanged(role_id=role_id), changes=changes)


async def require_second_factor(scope: Scope, role_id: int | None = None) -> None:
    """From now on everybody (with this role) needs a second factor: whoever has none is logged out and sets one up at
    the next log-in. Raises Invalid where that is the actor itself."""
    async with unit_of_work(scope):
        without = await values(
            f"SELECT id FROM staff WHERE totp_sealed = '' AND {all_of(role_id is not None and 'role_id = :role_id')}"
            " AND NOT EXISTS (SELECT 1 FROM passkey WHERE passkey.staff_id = staff.id)",
            role_id=role_id,
        )
        if await staff_behind(scope) in without:
            raise Invalid(_("Set up your own second factor first, in your profile."), field="second_factor")
        for staff_id in without:
            await end_everywhere(scope, staff_id)


async def save_security(scope: Scope, typed: Mapping[str, str | Sequence[str]]) -> SecuritySettings:
    """What the tenant asks of its staff's log-ins. Where everybody needs a second factor from now on, whoever has none
    is logged out."""
    async with unit_of_work(scope):
        saved = await save_form(scope, SecuritySettings, typed)
        if saved.everybody:
            try:
                await require_second_factor(scope)
            except Invalid as error:
                raise Invalid(error.message, field="everybody") from None
    return saved


async def ask_for_second_factor(scope: Scope, staff_id: int, *, needed: bool) -> bool:
    """Whether this staff user needs a second factor whatever its role says. Who needs one and has none is logged out,
    and sets one up at the next log-in. Gives whether anything changed."""
    async with unit_of_work(scope):
        staff = await touchable(scope, staff_id)
        if bool(staff.second_factor) is needed:
            return False
        if not needed and await is_own(scope, staff_id):
            raise Conflict(_("Nobody takes the own second factor away. Ask another person who manages the staff."))
        has_one = (await queries.get_staff(scope, staff_id)).has_second_factor
        if needed and not has_one and await is_own(scope, staff_id):
            raise Conflict(_("Set up your own second factor first, in your profile."))
        await execute("UPDATE staff SET second_factor = :needed WHERE id = :id", needed=needed, id=staff_id)
        if needed and not has_one:
            await end_everywhere(scope, staff_id)
        record(scope, StaffChanged(staff_id=staff_id), changes={"second_factor": (not needed, needed)})
        return True


async def switch_off(scope: Scope, staff_id: int) -> bool:
    """Somebody may no longer log in; its sessions end, its API tokens rest. Gives whether anything changed."""
    async with unit_of_work(scope):
        await _one_at_a_time()
        one = await queries.get_staff(scope, staff_id)
        if one.active:
            off = StaffChange(one.name, one.email, one.role_id, active=False)
            await change_staff(scope, staff_id, off, version=one.version)
        return one.active


async def remove_role(scope: Scope, role_id: int) -> None:
    """Remove a role that nobody has."""
    async with unit_of_work(scope):
        role = await scoped(Role, scope).get(role_id)
        if role.builtin:
            raise Conflict(_("The roles that came with the product stay as they are. Make a new one."))
        people = await value("SELECT count(*) FROM staff WHERE role_id = :id", id=role_id)
        if people:
            raise Conflict(
                ngettext(
                    "%(num)s person has this role. Give the person another one first.",
                    "%(num)s people have this role. Give them another one first.",
                    people,
                )
            )
        await execute("DELETE FROM role WHERE id = :id", id=role_id)
        record(
            scope,
            RoleRemoved(role_id=role_id),
            changes={"label": (role.label, None), "permissions": (role.permissions, None)},
        )


def _permissions(scope: Scope, wanted: Sequence[str], known: Collection[str]) -> str:
    """As JSON. Nobody gives what it does not have, and only what exists can be given."""
    for permission in wanted:
        if permission not in known:
            raise Invalid(_("There is no permission “%(permission)s”.", permission=permission), field="permissions")
        if not scope.may(permission):
            raise Invalid(
                _("You cannot give “%(permission)s”: you do not have it yourself.", permission=permission),
                field="permissions",
            )
    return msgspec.json.encode(sorted(set(wanted))).decode()


class CreatedToken(Struct, frozen=True):
    """The token itself is shown this once."""

    id: int
    token: str


async def create_token(scope: Scope, data: NewToken, known: Collection[str]) -> CreatedToken:
    """A bearer token with some of the actor's own permissions, for a number of days.

    One that a token makes works at most as long as that itself. The person behind both is the same.
    """
    if not data.permissions:
        raise Invalid(_("Choose at least one permission."), field="permissions")
    everything = list(data.permissions) == ["*"] and scope.may("*")
    permissions = '["*"]' if everything else _permissions(scope, data.permissions, known)
    token = f"tnt_{new_token()}"
    expires_at = scope.now() + timedelta(days=data.days)
    if scope.actor.kind == "token":
        own = await value_as(datetime, "SELECT expires_at FROM api_token WHERE id = :id", id=scope.actor.id)
        expires_at = min(expires_at, own or expires_at)
    async with unit_of_work(scope):
        staff_id = await value("SELECT id FROM staff WHERE id = :id", id=await staff_behind(scope))
        made = ApiToken(
            name=data.name.strip(),
            token_hash=hash_token(token),
            permissions=permissions,
            created_by=scope.actor.key,
            staff_id=staff_id,
            created_at=scope.now(),
            expires_at=expires_at,
            last_used_at=None,
            revoked_at=None,
        )
        await made.save()
        record(scope, ApiTokenCreated(api_token_id=int(made.id)), changes={"permissions": (None, permissions)})
    return CreatedToken(id=int(made.id), token=token)


async def staff_behind(scope: Scope) -> int:
    """The id of the staff user that acts: itself, or through an API token. 0 where nobody is."""
    if scope.actor.kind == "staff":
        return scope.actor.id or 0
    if scope.actor.kind != "token":
        return 0
    return int(await value("SELECT staff_id FROM api_token WHERE id = :id", id=scope.actor.id) or 0)


async def note_token_use(scope: Scope, token_id: int) -> None:
    """Keep when a token was last used; not worth a line in the activity."""
    async with unit_of_work(scope):
        await execute("UPDATE api_token SET last_used_at = :now WHERE id = :id", now=scope.now(), id=token_id)


async def revoke_token(scope: Scope, token_id: int) -> bool:
    """Programs that use it stop working at once. Gives whether it worked until now."""
    async with unit_of_work(scope):
        await scoped(ApiToken, scope).get(token_id)
        revoked = await execute(
            "UPDATE api_token SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL", now=scope.now(), id=token_id
        )
        if revoked:
            record(scope, ApiTokenRevoked(api_token_id=token_id))
        return bool(revoked)


async def name_shipped() -> None:
    """Roles as they come with the product are called so in the language that is spoken: for a tenant that is made."""
    said = {
        "Administrator": pgettext("role", "Administrator"),
        "Accounts": pgettext("role", "Accounts"),
        "Support": pgettext("role", "Support"),
        "Read only": pgettext("role", "Read only"),
    }
    await execute_many(
        "UPDATE role SET label = :said WHERE label = :label AND builtin",
        [{"label": label, "said": text} for label, text in said.items()],
    )
