"""One's own account over JSON: the token that asks, and the staff user behind it.

Passwords, apps and new passkeys need the person itself and its browser: they have pages alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from core.staff import account, actions, passkeys, queries
from core.staff.schemas import AS_ASKED, Name, OwnProfile, PasskeyName, PasskeyRow, SessionItem
from core.texts import LANGUAGES
from core.web import sessions
from core.web.jsonapi import Call, api_delete, api_get, api_patch
from core.web.routing import SIGNED_IN

if TYPE_CHECKING:
    from core.staff.queries import Known
    from core.web.jsonapi import ApiCall


class Me(Struct, frozen=True, kw_only=True):
    """The token that asks: what it may do now, until when it works, and which staff user is behind it."""

    token_id: int
    name: str
    permissions: list[str]
    expires_at: datetime | None
    staff_id: int | None
    staff: str | None


class ProfileItem(Struct, frozen=True, kw_only=True):
    """The staff user behind the token. An empty time zone is the company's; `language` is `browser` where it is the one
    that the browser asks for."""

    id: int
    name: str
    email: str
    time_zone: str
    language: str
    theme: str
    narrow: bool
    has_app: bool
    passkeys: int


class ProfileChange(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is left out stays."""

    name: Name | None = None
    time_zone: Annotated[str, Meta(max_length=60)] | None = None
    language: Annotated[str, Meta(pattern=f"^({'|'.join(LANGUAGES)}|{AS_ASKED})$")] | None = None
    theme: Annotated[str, Meta(pattern="^(auto|light|dark)$")] | None = None
    narrow: bool | None = None


class SessionsLeft(Struct, frozen=True):
    ended: int


class PasskeyGone(Struct, frozen=True):
    id: int


@api_get("/me", permission=SIGNED_IN, summary="The token that asks: who it is and what it may do")
async def show_me(call: Call) -> Me:
    token = await queries.get_token(call.scope, call.scope.actor.id or 0)
    return Me(
        token_id=token.id,
        name=token.name,
        permissions=sorted(call.scope.actor.permissions),
        expires_at=token.expires_at,
        staff_id=token.staff_id,
        staff=token.maker,
    )


@api_get(
    "/me/profile",
    permission="staff.view",
    summary="The staff user behind the token",
    description="404 where nobody is: a token that was made by command.",
)
async def show_profile(call: Call) -> ProfileItem:
    return _profile(await account.get_own(call.scope))


@api_patch(
    "/me/profile",
    permission="staff.edit",
    summary="Change name, time zone, language and looks of the staff user behind the token",
    description="What is left out stays. Password, app and new passkeys are set in the browser. 403 where that person"
    " may do more than the token.",
)
async def change_profile(call: Call, data: JSONBody[ProfileChange]) -> ProfileItem:
    known = await _touched(call)
    name, zone = data.name, data.time_zone
    profile = OwnProfile(name=known.name if name is None else name, time_zone=known.time_zone if zone is None else zone)
    await account.change_profile(call.scope, profile)
    narrow = "" if data.narrow is None else "yes" if data.narrow else "no"
    await actions.set_preferences(call.scope, theme=data.theme or "", narrow=narrow, language=data.language or "")
    return _profile(await account.get_own(call.scope))


@api_get("/me/sessions", permission="staff.view", summary="Where the staff user behind the token is logged in")
async def list_sessions(call: Call) -> list[SessionItem]:
    known = await account.get_own(call.scope)
    return [SessionItem.of(one) for one in await sessions.list_sessions(actions.FULL, known.id, call.scope.now())]


@api_delete("/me/sessions", permission="staff.edit", summary="Log the staff user behind the token out everywhere")
async def end_sessions(call: Call) -> SessionsLeft:
    await _touched(call)
    return SessionsLeft(await account.end_others(call.scope, 0))


@api_delete("/me/sessions/{session_id:int}", permission="staff.edit", summary="End one session of that staff user")
async def end_session(call: Call, session_id: FromPath[int]) -> SessionsLeft:
    await _touched(call)
    await account.end_own(call.scope, session_id)
    return SessionsLeft(1)


@api_get("/me/passkeys", permission="staff.view", summary="Passkeys of the staff user behind the token")
async def list_passkeys(call: Call) -> list[PasskeyRow]:
    known = await account.get_own(call.scope)
    return await passkeys.list_passkeys(call.scope, known.id)


@api_patch("/me/passkeys/{passkey_id:int}", permission="staff.edit", summary="Call a passkey otherwise")
async def rename_passkey(call: Call, passkey_id: FromPath[int], data: JSONBody[PasskeyName]) -> list[PasskeyRow]:
    known = await _touched(call)
    await passkeys.rename_passkey(call.scope, passkey_id, data.name)
    return await passkeys.list_passkeys(call.scope, known.id)


@api_delete(
    "/me/passkeys/{passkey_id:int}",
    permission="staff.edit",
    summary="Remove a passkey",
    description="It opens nothing any more; every session ends, and the person is told by mail. 409 where it is the"
    " last second factor of somebody who needs one.",
)
async def remove_passkey(call: Call, passkey_id: FromPath[int]) -> PasskeyGone:
    await _touched(call)
    await passkeys.remove_passkey(call.scope, passkey_id)
    return PasskeyGone(passkey_id)


async def _touched(call: ApiCall) -> Known:
    """The person behind the token, for a change. Raises Forbidden where it may do more than the token."""
    known = await account.get_own(call.scope)
    await actions.touchable(call.scope, known.id)
    return known


def _profile(known: Known) -> ProfileItem:
    return ProfileItem(
        id=known.id,
        name=known.name,
        email=known.email,
        time_zone=known.time_zone,
        language=known.language or AS_ASKED,
        theme=known.theme,
        narrow=known.narrow,
        has_app=bool(known.totp_sealed),
        passkeys=known.passkeys,
    )


HANDLERS: Final = (
    show_me,
    show_profile,
    change_profile,
    list_sessions,
    end_sessions,
    end_session,
    list_passkeys,
    rename_passkey,
    remove_passkey,
)
