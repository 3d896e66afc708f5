"""Reads of staff users, roles and tokens."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core.database import Everything, row, rows, value, within
from core.errors import NotFound, Unauthenticated
from core.ids import hash_token, sort_key
from core.scope import ALL_PERMISSIONS, Actor
from core.staff.schemas import RoleRow, StaffRow, TokenRow
from core.staff.tables import ApiToken, Role, Staff
from core.texts import _
from core.web.sessions import LIVE, SessionRow, live

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from core.scope import Scope

STAFF: Final = """
SELECT staff.id, staff.name, staff.email, staff.role_id, role.label AS role, staff.active,
       staff.password_hash <> '' AS has_password, staff.created_at, staff.last_seen_at, role.permissions, staff.version,
       staff.second_factor AS asked_second_factor, role.second_factor AS role_second_factor,
       staff.totp_sealed <> '' AS totp, (SELECT count(*) FROM passkey WHERE passkey.staff_id = staff.id) AS passkeys,
       (SELECT max(l.expires_at) FROM one_time_link l
        WHERE l.staff_id = staff.id AND l.used_at IS NULL) AS invited_until
FROM staff JOIN role ON role.id = staff.role_id
"""
TOKEN: Final = """
SELECT api_token.id, api_token.name, api_token.permissions, api_token.created_by, api_token.created_at,
       api_token.expires_at, api_token.last_used_at, api_token.revoked_at, maker.name AS maker, maker.id AS staff_id,
       NOT coalesce(maker.active, TRUE) AS maker_off, maker_role.label AS maker_role,
       maker_role.permissions AS maker_permissions
FROM api_token LEFT JOIN staff maker ON maker.id = api_token.staff_id
LEFT JOIN role maker_role ON maker_role.id = maker.role_id
"""


async def get_staff(scope: Scope, staff_id: int) -> StaffRow:
    found = await row(
        StaffRow, f"{STAFF} WHERE staff.id = :id AND :within", within=within(Staff, scope.actor.reach), id=staff_id
    )
    if found is None:
        raise NotFound("This staff user does not exist.")
    return found


async def find_by_address(scope: Scope, email_key: str) -> int | None:
    """The id of the staff user with this address, switched off or not."""
    found: int | None = await value(
        "SELECT id FROM staff WHERE email_key = :key AND :within",
        key=email_key,
        within=within(Staff, scope.actor.reach),
    )
    return found


class StaffHit(Struct, frozen=True):
    """A staff user that a search found."""

    id: int
    name: str
    email: str


async def search_staff(scope: Scope, text: str, *, limit: int) -> list[StaffHit]:
    """By any part of the name or the address, those who may log in first."""
    key = sort_key(text)
    if not key:
        return []
    return await rows(
        StaffHit,
        "SELECT id, name, email FROM staff WHERE (name_key LIKE :like ESCAPE '~' OR email_key LIKE :like ESCAPE '~')"
        " AND :within ORDER BY active DESC, name_key, id LIMIT :limit",
        like=anywhere(key),
        within=within(Staff, scope.actor.reach),
        limit=limit,
    )


def anywhere(text: str) -> str:
    """A pattern for LIKE … ESCAPE '~' that finds a text wherever it stands."""
    return "%" + "".join(f"~{one}" if one in "%_~" else one for one in text) + "%"


async def list_roles(scope: Scope) -> list[RoleRow]:
    return await rows(
        RoleRow,
        "SELECT id, label, permissions, builtin, second_factor FROM role WHERE :within ORDER BY id",
        within=within(Role, scope.actor.reach),
    )


async def get_role(scope: Scope, role_id: int) -> RoleRow:
    for role in await list_roles(scope):
        if role.id == role_id:
            return role
    raise NotFound("This role does not exist.")


class _People(Struct, frozen=True):
    role_id: int
    people: int


async def count_by_role(scope: Scope) -> dict[int, int]:
    """How many staff users have each role."""
    found = await rows(
        _People,
        "SELECT role_id, count(*) AS people FROM staff WHERE :within GROUP BY role_id",
        within=within(Staff, scope.actor.reach),
    )
    return {one.role_id: one.people for one in found}


async def get_token(scope: Scope, token_id: int) -> TokenRow:
    found = await row(
        TokenRow,
        f"{TOKEN} WHERE api_token.id = :id AND :within",
        within=within(ApiToken, scope.actor.reach),
        id=token_id,
    )
    if found is None:
        raise NotFound("This API token does not exist.")
    return found


async def count_working_tokens(staff_id: int, now: datetime) -> int:
    """How many API tokens of a person work while it may log in."""
    found: int = await value(
        "SELECT count(*) FROM api_token WHERE staff_id = :id AND revoked_at IS NULL"
        " AND (expires_at IS NULL OR expires_at > :now)",
        id=staff_id,
        now=now,
    )
    return found


class HeldToken(Struct, frozen=True):
    """An API token in time, with what it was made for and what the role of the person behind it gives."""

    id: int
    name: str
    permissions: str
    maker_permissions: str


async def list_held_tokens(scope: Scope, *, staff_id: int = 0, role_id: int = 0) -> list[HeldToken]:
    """API tokens in time of this person, or of everybody who has this role, by their names."""
    return await rows(
        HeldToken,
        "SELECT api_token.id, api_token.name, api_token.permissions, role.permissions AS maker_permissions"
        " FROM api_token JOIN staff ON staff.id = api_token.staff_id JOIN role ON role.id = staff.role_id"
        f" WHERE {'staff.id' if staff_id else 'role.id'} = :id AND :within AND api_token.revoked_at IS NULL"
        " AND (api_token.expires_at IS NULL OR api_token.expires_at > :now) ORDER BY api_token.name, api_token.id",
        id=staff_id or role_id,
        within=within(ApiToken, scope.actor.reach),
        now=scope.now(),
    )


class Known(Struct, frozen=True):
    """A staff user as log-in and session need it."""

    id: int
    name: str
    email: str
    password_hash: str
    permissions: str
    theme: str
    narrow: bool
    language: str
    time_zone: str
    totp_sealed: str
    passkeys: int
    needs_second_factor: bool
    """Its role asks for one, or somebody asked just this user."""

    @property
    def has_second_factor(self) -> bool:
        return bool(self.totp_sealed) or self.passkeys > 0


_KNOWN: Final = """staff.id, staff.name, staff.email, staff.password_hash, role.permissions,
       staff.theme, staff.narrow, staff.language, staff.time_zone, staff.totp_sealed,
       (SELECT count(*) FROM passkey WHERE passkey.staff_id = staff.id) AS passkeys,
       role.second_factor OR staff.second_factor AS needs_second_factor"""
KNOWN: Final = f"SELECT {_KNOWN} FROM staff JOIN role ON role.id = staff.role_id WHERE "


async def find_by_email(email_key: str) -> Known | None:
    """An active staff user with this address, before anybody is logged in."""
    return await row(Known, KNOWN + "staff.active AND staff.email_key = :email_key", email_key=email_key)


async def find_known(staff_id: int) -> Known | None:
    """An active staff user, for its session."""
    return await row(Known, KNOWN + "staff.active AND staff.id = :id", id=staff_id)


class _Recognised(Known, frozen=True):
    """The same with the session that it came by."""

    session_id: int
    actor_kind: str
    began_at: datetime
    last_used_at: datetime
    address: str
    agent: str
    proved_at: datetime


async def find_by_session(token: str, now: datetime) -> tuple[SessionRow, Known] | None:
    """The live session of a cookie's value, and the active staff user of its id: every page asks, so it is one
    statement. Whose session it is says its kind, which the caller looks at.
    """
    found = await row(
        _Recognised,
        f"SELECT {_KNOWN}, session.id AS session_id, session.actor_kind, session.created_at AS began_at,"
        " session.last_used_at, session.address, session.agent,"
        " coalesce(session.proved_at, session.created_at) AS proved_at"
        " FROM session JOIN staff ON staff.id = session.actor_id JOIN role ON role.id = staff.role_id"
        f" WHERE staff.active AND {LIVE}",
        **live(token, now),
    )
    if found is None:
        return None
    session = SessionRow(
        id=found.session_id,
        actor_kind=found.actor_kind,
        actor_id=found.id,
        created_at=found.began_at,
        last_used_at=found.last_used_at,
        address=found.address,
        agent=found.agent,
        proved_at=found.proved_at,
    )
    return session, found


async def find_anybody(staff_id: int) -> Known | None:
    """A staff user, switched off or not: for what it is told."""
    return await row(Known, KNOWN + "staff.id = :id", id=staff_id)


REACH: Final = Everything()
"""What staff see, whatever their role, and so their API tokens."""


def actor_of(known: Known) -> Actor:
    return Actor("staff", known.id, known.name, REACH, permission_set(known.permissions))


def permission_set(text: str) -> frozenset[str]:
    return frozenset(msgspec.json.decode(text, type=list[str]))


def still_held(made_with: str, maker: str | None) -> frozenset[str]:
    """What an API token may do: what it was made with, as far as the person behind it may do that now. All of it where
    nobody is behind it."""
    held, own = permission_set(made_with), permission_set(maker) if maker is not None else ALL_PERMISSIONS
    if "*" in own:
        return held
    return own if "*" in held else held & own


def resting(made_with: str, maker: str | None) -> list[str]:
    """What an API token was made with and the person behind it may not do now: ["*"] where it was made for everything
    and that person may do less."""
    return sorted(permission_set(made_with) - still_held(made_with, maker))


def lost(made_with: str, before: str, after: str) -> frozenset[str]:
    """What an API token can do no longer when the person behind it may do this instead of that; "*" is everything but
    what is left."""
    left = still_held(made_with, after)
    return frozenset() if "*" in left else still_held(made_with, before) - left


class _Token(Struct, frozen=True):
    id: int
    name: str
    permissions: str
    expires_at: datetime | None
    maker_off: bool
    maker_permissions: str | None


class MakerSwitchedOff(Unauthenticated):
    """The token is right, and the person behind it may not log in."""

    def __init__(self) -> None:
        super().__init__(
            _(
                "The staff user who made this token is switched off. It works again when that person is switched on;"
                " else somebody else makes a token."
            )
        )


async def find_token_actor(token: str, now: datetime) -> Actor | None:
    """Who an API token speaks for; None when it is unknown, revoked or over. It may do no more than the person behind
    it may do now. Raises MakerSwitchedOff."""
    found = await row(
        _Token,
        "SELECT t.id, t.name, t.permissions, t.expires_at, NOT coalesce(maker.active, TRUE) AS maker_off,"
        " role.permissions AS maker_permissions"
        " FROM api_token t LEFT JOIN staff maker ON maker.id = t.staff_id LEFT JOIN role ON role.id = maker.role_id"
        " WHERE t.token_hash = :token_hash AND t.revoked_at IS NULL",
        token_hash=hash_token(token),
    )
    if found is None or (found.expires_at is not None and found.expires_at <= now):
        return None
    if found.maker_off:
        raise MakerSwitchedOff
    may = still_held(found.permissions, found.maker_permissions)
    return Actor("token", found.id, found.name, REACH, may)


class LinkRow(Struct, frozen=True):
    id: int
    staff_id: int
    purpose: str
    name: str
    email: str


async def find_link(token: str, now: datetime) -> LinkRow | None:
    """The one-time link of this token while it may still be used."""
    return await row(
        LinkRow,
        "SELECT l.id, l.staff_id, l.purpose, staff.name, staff.email FROM one_time_link l"
        " JOIN staff ON staff.id = l.staff_id"
        " WHERE l.token_hash = :token_hash AND l.used_at IS NULL AND l.expires_at > :now AND staff.active",
        token_hash=hash_token(token),
        now=now,
    )


class _Named(Struct, frozen=True):
    id: int
    name: str


async def names_of(keys: Iterable[str]) -> dict[str, str]:
    """How actors of the activity ("staff:7", "schedule:billing") read; people by their names, in one query."""
    found = {key: in_words(key) for key in keys}
    ids = [int(key.removeprefix("staff:")) for key in found if key.startswith("staff:")]
    if ids:
        for one in await rows(_Named, "SELECT id, name FROM staff WHERE id IN :ids", ids=ids):
            found[f"staff:{one.id}"] = one.name
    return found


async def actor_names(keys: Collection[str] | None = None) -> list[tuple[str, str]]:
    """Staff users as actors, with their names and in their order: all, or those of these keys."""
    found = await rows(_Named, "SELECT id, name FROM staff ORDER BY name_key, id")
    named = [(f"staff:{one.id}", one.name) for one in found]
    return [one for one in named if keys is None or one[0] in keys]


def in_words(key: str) -> str:
    """An actor without the name that a staff user has."""
    kind, __, name = key.partition(":")
    if kind == "anonymous":
        return _("Not logged in")
    words = {
        "command": _("Command line"),
        "schedule": _("Schedule"),
        "plugin": _("Plugin"),
        "token": _("API token"),
        "staff": _("Staff"),
        "customer": _("Customer"),
    }
    return f"{words.get(kind, kind.capitalize())} {name}".strip()
