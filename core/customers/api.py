"""Customers over JSON."""

from __future__ import annotations

from typing import Annotated

from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from core.customers import actions, queries
from core.customers.listing import CUSTOMERS, choices_for
from core.customers.schemas import (
    CustomerChange,
    CustomerDetail,
    CustomerItem,
    NewCustomer,
    NewNote,
    NoteChange,
    NotePinning,
    NoteRow,
    StatusChange,
)
from core.errors import Invalid
from core.texts import _
from core.web.jsonapi import Call, Page, api_delete, api_get, api_patch, api_post, api_put

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Words = Annotated[str, QueryParameter(max_length=200, description="Beginnings of words to search for")]
Sort = Annotated[str, QueryParameter(max_length=60, description="A column, with - before it from its other end")]
Status = Annotated[str, QueryParameter(max_length=500, description="Keys of statuses, with commas between")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]


@api_get(
    "/customers",
    permission="customers.view",
    summary="List customers",
    description="Filters by column: `name.has`, `joined.from`, `joined.to`, `phone.empty=yes`, `status=active`,"
    " `tags=3,5` (any of these tags), `tags.all=3,5`, `location=2`, `parent=10477`.",
)
async def list_customers(
    call: Call, limit: Limit = 50, cursor: Cursor = "", q: Words = "", sort: Sort = "", status: Status = ""
) -> Page[CustomerItem]:
    address = dict(call.request.query_params)
    choices = await choices_for(call.scope, address)
    return await CUSTOMERS.api_page(call.scope, address, choices=choices, cursor=cursor, limit=limit)


@api_post("/customers", permission="customers.create", summary="Create a customer")
async def create_customer(call: Call, data: JSONBody[NewCustomer]) -> CustomerDetail:
    customer_id = await actions.create_customer(call.scope, data)
    return await queries.get_customer(call.scope, customer_id)


@api_get("/customers/{customer_id:int}", permission="customers.view", summary="One customer")
async def get_customer(call: Call, customer_id: FromPath[int]) -> CustomerDetail:
    return await queries.get_customer(call.scope, customer_id)


@api_patch("/customers/{customer_id:int}", permission="customers.edit", summary="Change sections of a customer")
async def change_customer(call: Call, customer_id: FromPath[int], data: JSONBody[CustomerChange]) -> CustomerDetail:
    sections = [section for section in (data.main, data.address, data.billing) if section is not None]
    if not sections:
        raise Invalid(_("Give at least one of main, address and billing."), field="main")
    await actions.change_sections(call.scope, customer_id, sections, version=data.version)
    return await queries.get_customer(call.scope, customer_id)


@api_post(
    "/customers/{customer_id:int}/status",
    permission="customers.edit",
    summary="Change the status",
    description="At once, or `on` a day to come. A `plan` that is out of date is refused; `details` has the new one.",
    status_code=200,
)
async def change_status(call: Call, customer_id: FromPath[int], data: JSONBody[StatusChange]) -> CustomerDetail:
    if data.on is None or data.on == call.scope.today():
        await actions.change_status(call.scope, customer_id, data.status, note=data.reason, seen=data.plan)
    else:
        await actions.plan_status(call.scope, customer_id, data.status, data.on, note=data.reason, seen=data.plan)
    return await queries.get_customer(call.scope, customer_id)


class CreatedNote(Struct, frozen=True):
    id: int


@api_post("/customers/{customer_id:int}/notes", permission="customers.edit", summary="Write a note")
async def add_note(call: Call, customer_id: FromPath[int], data: JSONBody[NewNote]) -> CreatedNote:
    return CreatedNote(id=await actions.add_note(call.scope, customer_id, data.text, pinned=data.pinned))


@api_get("/customers/{customer_id:int}/notes", permission="customers.view", summary="Notes of a customer")
async def list_notes(call: Call, customer_id: FromPath[int]) -> list[NoteRow]:
    await queries.get_customer(call.scope, customer_id)
    return await queries.list_notes(call.scope, customer_id)


@api_put("/customers/{customer_id:int}/notes/{note_id:int}", permission="customers.edit", summary="Change a note")
async def change_note(
    call: Call, customer_id: FromPath[int], note_id: FromPath[int], data: JSONBody[NoteChange]
) -> NoteRow:
    await actions.change_note(call.scope, customer_id, note_id, data.text, version=data.version)
    return await queries.get_note(call.scope, customer_id, note_id)


@api_put(
    "/customers/{customer_id:int}/notes/{note_id:int}/pinned",
    permission="customers.edit",
    summary="Pin or unpin a note",
)
async def pin_note(
    call: Call, customer_id: FromPath[int], note_id: FromPath[int], data: JSONBody[NotePinning]
) -> NoteRow:
    await actions.pin_note(call.scope, customer_id, note_id, pinned=data.pinned)
    return await queries.get_note(call.scope, customer_id, note_id)


class DeletedNote(Struct, frozen=True):
    id: int


@api_delete("/customers/{customer_id:int}/notes/{note_id:int}", permission="customers.edit", summary="Delete a note")
async def delete_note(call: Call, customer_id: FromPath[int], note_id: FromPath[int]) -> DeletedNote:
    await actions.delete_note(call.scope, customer_id, note_id)
    return DeletedNote(id=note_id)


HANDLERS = (
    list_customers,
    create_customer,
    get_customer,
    change_customer,
    change_status,
    add_note,
    list_notes,
    change_note,
    pin_note,
    delete_note,
)
