"""Staff users and roles over JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from core.messages.queries import mail_is_set_up
from core.staff import actions, queries
from core.staff.routes import known_permissions
from core.staff.schemas import Invite, NewRole, RoleItem, RoleRow, StaffChange, StaffItem, StaffRow
from core.web.jsonapi import Call, api_delete, api_get, api_post, api_put

if TYPE_CHECKING:
    from core.web.jsonapi import ApiCall


class Removed(Struct, frozen=True):
    id: int


class InvitedStaff(Struct, frozen=True):
    """Who was invited. `link` is the one-time link where no mail server is set up; else it went by mail."""

    staff: StaffItem
    link: str | None


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
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
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


@api_get("/staff", permission="staff.view", summary="Staff users")
async def list_staff(call: Call) -> list[StaffItem]:
    return [_staff(one) for one in await queries.list_staff(call.scope)]


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


@api_get("/staff/{staff_id:int}", permission="staff.view", summary="A staff user")
async def show_staff(call: Call, staff_id: FromPath[int]) -> StaffItem:
    return _staff(await queries.get_staff(call.scope, staff_id))


@api_put(
    "/staff/{staff_id:int}",
    permission="staff.edit",
    summary="Change a staff user, or switch it off",
    description="Another role, or `active: false`, ends its sessions. Another address is told to the old one by mail.",
)
async def change_staff(call: Call, staff_id: FromPath[int], data: JSONBody[StaffChange]) -> StaffItem:
    await actions.change_staff(call.scope, staff_id, data)
    return _staff(await queries.get_staff(call.scope, staff_id))


@api_delete("/staff/{staff_id:int}/invitation", permission="staff.edit", summary="Withdraw an invitation")
async def withdraw_invitation(call: Call, staff_id: FromPath[int]) -> Removed:
    await actions.withdraw_invitation(call.scope, staff_id)
    return Removed(staff_id)


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
    description="It holds from the next request of everybody who has the role. One that came with the product keeps its"
    " label and permissions; whether it asks for a second factor can be changed.",
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
    list_roles,
    create_role,
    show_role,
    change_role,
    remove_role,
)
