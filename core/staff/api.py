"""Staff users, API tokens and roles over JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from litestar import Response
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from core.messages.queries import mail_is_set_up
from core.staff import actions, queries
from core.staff.listing import STAFF, TOKENS
from core.staff.routes import known_permissions
from core.staff.schemas import (
    Invite,
    NewRole,
    NewToken,
    RoleItem,
    RoleRow,
    SessionItem,
    StaffItem,
    StaffPut,
    StaffRow,
    TokenItem,
    TokenRow,
)
from core.staff.second_factors import reset_second_factor as reset_factor
from core.web import sessions
from core.web.jsonapi import Call, Page, api_delete, api_get, api_post, api_put, version_read

if TYPE_CHECKING:
    from core.web.jsonapi import ApiCall

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]


class Removed(Struct, frozen=True):
    id: int


class InvitedStaff(Struct, frozen=True):
    """Who was invited. `link` is the one-time link where no mail server is set up; else it went by mail."""

    staff: StaffItem
    link: str | None


class FactorAsked(Struct, forbid_unknown_fields=True, frozen=True):
    needed: bool


class EndedSessions(Struct, frozen=True):
    ended: int


class MadeToken(Struct, frozen=True):
    """The token itself is in this answer alone."""

    api_token: TokenItem
    token: str


def _staff(row: StaffRow) -> StaffItem:
    return StaffItem(
        id=row.id,
        name=row.name,
        email=row.email,
        role_id=row.role_id,
        role=row.role,
        active=row.active,
        has_password=row.has_password,
        second_factor=row.has_second_factor,
        asked_second_factor=row.asked_second_factor,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        version=row.version,
    )


def _role(row: RoleRow, people: int) -> RoleItem:
    return RoleItem(
        id=row.id,
        label=row.label,
        permissions=msgspec.json.decode(row.permissions, type=list[str]),
        builtin=row.builtin,
        second_factor=row.second_factor,
        people=people,
    )


def _known(call: ApiCall) -> frozenset[str]:
    return frozenset(one.key for one in known_permissions(call))


async def _one_role(call: ApiCall, role_id: int) -> RoleItem:
    people = await queries.count_by_role(call.scope)
    return _role(await queries.get_role(call.scope, role_id), people.get(role_id, 0))


def _token(row: TokenRow) -> TokenItem:
    return TokenItem(
        id=row.id,
        name=row.name,
        permissions=msgspec.json.decode(row.permissions, type=list[str]),
        made_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        staff_id=row.staff_id,
        maker_off=row.maker_off,
        resting=queries.resting(row.permissions, row.maker_permissions),
    )


@api_get(
    "/staff",
    permission="staff.view",
    summary="Staff users",
    description="Takes the parameters of the page's address: `q`, `sort`, `role`, `state`, `factor`, `seen.from` …",
)
async def list_staff(call: Call, limit: Limit = 50, cursor: Cursor = "") -> Page[StaffItem]:
    found = await STAFF.api(call, cursor=cursor, limit=limit)
    return Page(items=[_staff(one) for one in found.items], next=found.next)


@api_post(
    "/staff",
    permission="staff.edit",
    summary="Invite a staff user",
    sealed=True,
    description="The role may not do more than the token. The link goes by mail where a mail server is set up.",
)
async def invite_staff(call: Call, data: JSONBody[Invite]) -> InvitedStaff:
    made = await actions.invite_staff(call.scope, data)
    mailed = await mail_is_set_up()
    if mailed:
        await actions.mail_link(call.scope, made.staff_id)
    link = None if mailed else f"{call.scope.tenant.address}/welcome/{made.token}"
    return InvitedStaff(_staff(await queries.get_staff(call.scope, made.staff_id)), link)


@api_get(
    "/staff/{staff_id:int}",
    permission="staff.view",
    summary="A staff user",
    description="`ETag` is its version, for `If-Match` of a change.",
)
async def show_staff(call: Call, staff_id: FromPath[int]) -> Response[StaffItem]:
    one = await queries.get_staff(call.scope, staff_id)
    return Response(_staff(one), headers={"ETag": f'"{one.version}"'})


@api_put(
    "/staff/{staff_id:int}",
    permission="staff.edit",
    summary="Change a staff user, or switch it off",
    description="Another role, or `active: false`, ends its sessions. Its API tokens do no more than the role allows:"
    " see `resting` of a token. While it is switched off, they are answered with 401. Another address is told to the"
    " old one by mail. The version that was read stands in `version` or in `If-Match`. Where somebody saved it since,"
    " nothing is saved: `details.fields` of the 409 holds both values of each field that differs, `details.version` the"
    " version to send the choice against.",
)
async def change_staff(call: Call, staff_id: FromPath[int], data: JSONBody[StaffPut]) -> StaffItem:
    await actions.change_staff(call.scope, staff_id, data, version=version_read(call, data.version))
    return _staff(await queries.get_staff(call.scope, staff_id))


@api_delete("/staff/{staff_id:int}/invitation", permission="staff.edit", summary="Withdraw an invitation")
async def withdraw_invitation(call: Call, staff_id: FromPath[int]) -> Removed:
    await actions.withdraw_invitation(call.scope, staff_id)
    return Removed(staff_id)


@api_put(
    "/staff/{staff_id:int}/second-factor",
    permission="staff.edit",
    summary="Ask a staff user for a second factor, or no longer",
    description="Whatever its role says. Who has none is logged out, and sets one up at the next log-in.",
)
async def ask_for_second_factor(call: Call, staff_id: FromPath[int], data: JSONBody[FactorAsked]) -> StaffItem:
    await actions.ask_for_second_factor(call.scope, staff_id, needed=data.needed)
    return _staff(await queries.get_staff(call.scope, staff_id))


@api_delete(
    "/staff/{staff_id:int}/second-factor",
    permission="staff.edit",
    summary="Reset the second factor of a staff user who has lost the device",
    description="App, passkeys and recovery codes go, sessions end, and the person is told by mail.",
)
async def reset_second_factor(call: Call, staff_id: FromPath[int]) -> StaffItem:
    await reset_factor(call.scope, staff_id)
    return _staff(await queries.get_staff(call.scope, staff_id))


@api_post(
    "/staff/{staff_id:int}/link",
    permission="staff.edit",
    summary="Make a staff user a new link",
    sealed=True,
    description="To the invitation, or to a new password. It goes by mail where a mail server is set up; else it is in"
    " this answer alone, and older ones stop working.",
)
async def make_link(call: Call, staff_id: FromPath[int]) -> InvitedStaff:
    link = None
    if await mail_is_set_up():
        await actions.mail_link(call.scope, staff_id)
    else:
        made = await actions.make_link(call.scope, staff_id)
        link = f"{call.scope.tenant.address}/welcome/{made.token}"
    return InvitedStaff(_staff(await queries.get_staff(call.scope, staff_id)), link)


@api_get("/staff/{staff_id:int}/sessions", permission="staff.view", summary="Where a staff user is logged in")
async def list_sessions(call: Call, staff_id: FromPath[int]) -> list[SessionItem]:
    await queries.get_staff(call.scope, staff_id)
    return [SessionItem.of(one) for one in await sessions.list_sessions(actions.FULL, staff_id, call.scope.now())]


@api_delete(
    "/staff/{staff_id:int}/sessions/{session_id:int}",
    permission="staff.edit",
    summary="Log a staff user out on one device",
)
async def end_session(call: Call, staff_id: FromPath[int], session_id: FromPath[int]) -> EndedSessions:
    await actions.end_session_of(call.scope, staff_id, session_id)
    return EndedSessions(1)


@api_delete("/staff/{staff_id:int}/sessions", permission="staff.edit", summary="Log a staff user out everywhere")
async def end_sessions(call: Call, staff_id: FromPath[int]) -> EndedSessions:
    return EndedSessions(await actions.end_sessions_of(call.scope, staff_id))


@api_get(
    "/tokens",
    permission="staff.view",
    summary="API tokens",
    description="Takes the parameters of the page's address: `q`, `sort`, `state`, `used.from` … None is shown itself.",
)
async def list_tokens(call: Call, limit: Limit = 50, cursor: Cursor = "") -> Page[TokenItem]:
    found = await TOKENS.api(call, cursor=cursor, limit=limit)
    return Page(items=[_token(one) for one in found.items], next=found.next)


@api_post(
    "/tokens",
    permission="staff.edit",
    summary="Make an API token",
    sealed=True,
    description="No permission can be given that the token does not have, and it works at most as long as that, and"
    " while the person behind it may log in. It may do no more than that person may. The new one is in this answer"
    " alone.",
)
async def create_token(call: Call, data: JSONBody[NewToken]) -> MadeToken:
    made = await actions.create_token(call.scope, data, _known(call))
    return MadeToken(_token(await queries.get_token(call.scope, made.id)), made.token)


@api_get("/tokens/{token_id:int}", permission="staff.view", summary="An API token")
async def show_token(call: Call, token_id: FromPath[int]) -> TokenItem:
    return _token(await queries.get_token(call.scope, token_id))


@api_delete("/tokens/{token_id:int}", permission="staff.edit", summary="Revoke an API token")
async def revoke_token(call: Call, token_id: FromPath[int]) -> TokenItem:
    await actions.revoke_token(call.scope, token_id)
    return _token(await queries.get_token(call.scope, token_id))


@api_get("/roles", permission="staff.view", summary="Roles")
async def list_roles(call: Call) -> list[RoleItem]:
    people = await queries.count_by_role(call.scope)
    return [_role(one, people.get(one.id, 0)) for one in await queries.list_roles(call.scope)]


@api_post(
    "/roles",
    permission="staff.edit",
    summary="Create a role",
    description="No permission can be given that the token does not have.",
)
async def create_role(call: Call, data: JSONBody[NewRole]) -> RoleItem:
    return await _one_role(call, await actions.create_role(call.scope, data, _known(call)))


@api_get("/roles/{role_id:int}", permission="staff.view", summary="A role")
async def show_role(call: Call, role_id: FromPath[int]) -> RoleItem:
    return await _one_role(call, role_id)


@api_put(
    "/roles/{role_id:int}",
    permission="staff.edit",
    summary="Change a role",
    description="It holds from the next request of everybody who has the role, and of their API tokens. One that came"
    " with the product keeps its label and permissions; whether it asks for a second factor can be changed.",
)
async def change_role(call: Call, role_id: FromPath[int], data: JSONBody[NewRole]) -> RoleItem:
    await actions.change_role(call.scope, role_id, data, _known(call))
    return await _one_role(call, role_id)


@api_delete("/roles/{role_id:int}", permission="staff.edit", summary="Remove a role that nobody has")
async def remove_role(call: Call, role_id: FromPath[int]) -> Removed:
    await actions.remove_role(call.scope, role_id)
    return Removed(role_id)


HANDLERS = (
    list_staff,
    invite_staff,
    show_staff,
    change_staff,
    withdraw_invitation,
    ask_for_second_factor,
    reset_second_factor,
    make_link,
    list_sessions,
    end_session,
    end_sessions,
    list_tokens,
    create_token,
    show_token,
    revoke_token,
    list_roles,
    create_role,
    show_role,
    change_role,
    remove_role,
)
