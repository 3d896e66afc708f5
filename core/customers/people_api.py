"""Users, contacts and the hierarchy of customers over JSON."""

from __future__ import annotations

import msgspec
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from core.customers import actions, queries
from core.customers.schemas import (
    ContactChange,
    ContactFields,
    ContactItem,
    ContactRow,
    CustomerDetail,
    HierarchyChange,
    UserChange,
    UserFields,
    UserItem,
)
from core.web.jsonapi import Call, api_delete, api_get, api_post, api_put


class Removed(Struct, frozen=True):
    id: int


def _user(row: ContactRow) -> UserItem:
    return msgspec.convert(row, UserItem, from_attributes=True)


def _contact(row: ContactRow) -> ContactItem:
    return msgspec.convert(row, ContactItem, from_attributes=True)


@api_get("/customers/{customer_id:int}/users", permission="customers.view", summary="Users of a customer")
async def list_users(call: Call, customer_id: FromPath[int]) -> list[UserItem]:
    await queries.get_customer(call.scope, customer_id)
    return [_user(one) for one in await queries.list_contacts(call.scope, customer_id) if one.is_user]


@api_post("/customers/{customer_id:int}/users", permission="customers.edit", summary="Add a user")
async def add_user(call: Call, customer_id: FromPath[int], data: JSONBody[UserFields]) -> UserItem:
    contact_id = await actions.add_user(call.scope, customer_id, data)
    return _user(await queries.get_contact(call.scope, customer_id, contact_id))


@api_put(
    "/customers/{customer_id:int}/users/{contact_id:int}",
    permission="customers.edit",
    summary="Change a user",
    description="A new e-mail waits as `pending_email` until it is confirmed at the new address by a link, and the old"
    " address is told. With `change_email` “now” it is changed at once: nothing is confirmed, nobody is told, and the"
    " user may not be able to log in any more.",
)
async def change_user(
    call: Call, customer_id: FromPath[int], contact_id: FromPath[int], data: JSONBody[UserChange]
) -> UserItem:
    await actions.change_user(
        call.scope, customer_id, contact_id, data, version=data.version, change_email=data.change_email
    )
    return _user(await queries.get_contact(call.scope, customer_id, contact_id))


@api_post(
    "/customers/{customer_id:int}/users/{contact_id:int}/email-change",
    permission="customers.edit",
    summary="Mail the link to a new e-mail again",
    status_code=200,
)
async def mail_again(call: Call, customer_id: FromPath[int], contact_id: FromPath[int]) -> UserItem:
    await actions.mail_again(call.scope, customer_id, contact_id)
    return _user(await queries.get_contact(call.scope, customer_id, contact_id))


@api_delete(
    "/customers/{customer_id:int}/users/{contact_id:int}/email-change",
    permission="customers.edit",
    summary="Give a new e-mail up",
)
async def cancel_email_change(call: Call, customer_id: FromPath[int], contact_id: FromPath[int]) -> UserItem:
    await actions.cancel_email_change(call.scope, customer_id, contact_id)
    return _user(await queries.get_contact(call.scope, customer_id, contact_id))


@api_get("/customers/{customer_id:int}/contacts", permission="customers.view", summary="Contacts of a customer")
async def list_contacts(call: Call, customer_id: FromPath[int]) -> list[ContactItem]:
    await queries.get_customer(call.scope, customer_id)
    return [_contact(one) for one in await queries.list_contacts(call.scope, customer_id) if not one.is_user]


@api_post("/customers/{customer_id:int}/contacts", permission="customers.edit", summary="Add a contact")
async def add_contact(call: Call, customer_id: FromPath[int], data: JSONBody[ContactFields]) -> ContactItem:
    contact_id = await actions.add_contact(call.scope, customer_id, data)
    return _contact(await queries.get_contact(call.scope, customer_id, contact_id))


@api_put(
    "/customers/{customer_id:int}/contacts/{contact_id:int}", permission="customers.edit", summary="Change a contact"
)
async def change_contact(
    call: Call, customer_id: FromPath[int], contact_id: FromPath[int], data: JSONBody[ContactChange]
) -> ContactItem:
    await actions.change_contact(call.scope, customer_id, contact_id, data, version=data.version)
    return _contact(await queries.get_contact(call.scope, customer_id, contact_id))


@api_delete(
    "/customers/{customer_id:int}/contacts/{contact_id:int}",
    permission="customers.edit",
    summary="Remove a user or contact",
)
async def remove_contact(call: Call, customer_id: FromPath[int], contact_id: FromPath[int]) -> Removed:
    await actions.remove_contact(call.scope, customer_id, contact_id)
    return Removed(contact_id)


@api_put(
    "/customers/{customer_id:int}/hierarchy",
    permission="customers.edit",
    summary="Change parent and payer",
    description="The payer is the customer itself (null) or stands above it, in the same currency. Charges that are not"
    " invoiced yet go with the payer; invoices stay. Children: `GET /customers?parent=`.",
)
async def change_hierarchy(call: Call, customer_id: FromPath[int], data: JSONBody[HierarchyChange]) -> CustomerDetail:
    await actions.change_hierarchy(call.scope, customer_id, data, version=data.version)
    return await queries.get_customer(call.scope, customer_id)


HANDLERS = (
    change_hierarchy,
    list_users,
    add_user,
    change_user,
    mail_again,
    cancel_email_change,
    list_contacts,
    add_contact,
    change_contact,
    remove_contact,
)
