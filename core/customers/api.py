"""Customers over JSON."""

from __future__ import annotations

from typing import Annotated

from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from core.customers import actions, queries
from core.customers.schemas import (
    CustomerChange,
    CustomerDetail,
    CustomerItem,
    NewCustomer,
    NewNote,
    NoteRow,
    StatusChange,
)
from core.errors import Invalid
from core.ids import sort_key
from core.web.jsonapi import Call, Page, api_get, api_patch, api_post, decode_cursor, encode_cursor

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]


@api_get("/customers", permission="customers.view", summary="List customers by name")
async def list_customers(call: Call, limit: Limit = 50, cursor: Cursor = "") -> Page[CustomerItem]:
    after = decode_cursor(cursor, tuple[str, int]) if cursor else None
    found = await queries.list_customers(call.scope, after=after, limit=limit + 1)
    shown = found[:limit]
    more = encode_cursor(sort_key(shown[-1].full_name), shown[-1].id) if len(found) > limit else None
    return Page(items=shown, next=more)


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
        raise Invalid("Give at least one of main, address and billing.", field="main")
    await actions.change_sections(call.scope, customer_id, sections, version=data.version)
    return await queries.get_customer(call.scope, customer_id)


@api_post(
    "/customers/{customer_id:int}/status", permission="customers.edit", summary="Change the status", status_code=200
)
async def change_status(call: Call, customer_id: FromPath[int], data: JSONBody[StatusChange]) -> CustomerDetail:
    await actions.change_status(call.scope, customer_id, data.status, reason=data.reason or "hand")
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


HANDLERS = (list_customers, create_customer, get_customer, change_customer, change_status, add_note, list_notes)
