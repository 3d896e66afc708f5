"""Customers over JSON."""

from __future__ import annotations

from typing import Annotated

from litestar import Response
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Struct

from core.billing import queries as billing
from core.customers import actions, queries
from core.customers.listing import CUSTOMERS
from core.customers.schemas import (
    AddressData,
    BillingData,
    CustomerChange,
    CustomerDetail,
    CustomerItem,
    MainData,
    NewCustomer,
    NewNote,
    NoteChange,
    NotePinning,
    NoteRow,
    StatusChange,
)
from core.customers.sections import patched
from core.errors import Invalid
from core.ledger import queries as ledger
from core.texts import _
from core.web.jsonapi import Call, Page, api_delete, api_get, api_patch, api_post, api_put, version_read

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
    return await CUSTOMERS.having(ledger.MAIN_BALANCE, billing.OVERDUE).api(call, cursor=cursor, limit=limit)


@api_post("/customers", permission="customers.create", summary="Create a customer")
async def create_customer(call: Call, data: JSONBody[NewCustomer]) -> CustomerDetail:
    customer_id = await actions.create_customer(call.scope, data)
    return await queries.get_customer(call.scope, customer_id)


@api_get(
    "/customers/{customer_id:int}",
    permission="customers.view",
    summary="One customer",
    description="`ETag` is its version, for `If-Match` of a change.",
)
async def get_customer(call: Call, customer_id: FromPath[int]) -> Response[CustomerDetail]:
    customer = await queries.get_customer(call.scope, customer_id)
    return Response(customer, headers={"ETag": f'"{customer.version}"'})


@api_patch(
    "/customers/{customer_id:int}",
    permission="customers.edit",
    summary="Change a customer",
    description="Fields left out stay as they are. All is saved or nothing. The version that was read stands in"
    " `version` or in `If-Match`. Where the customer was saved since and a field that is sent stands there otherwise,"
    " nothing is saved: `details.fields` of the 409 holds both values of each, `details.version` the version to send"
    " the choice against.",
)
async def change_customer(call: Call, customer_id: FromPath[int], data: JSONBody[CustomerChange]) -> CustomerDetail:
    scope = call.scope
    now = await queries.get_customer(scope, customer_id)
    given = ((MainData, data.main), (AddressData, data.address), (BillingData, data.billing))
    patches = [(section, patch) for section, patch in given if patch is not None]
    if not patches:
        raise Invalid(_("Give at least one of main, address and billing."), field="main")
    sections = [patched(now, section, patch) for section, patch in patches]
    left_out = [name for __, patch in patches for name in patch.__struct_fields__ if getattr(patch, name) is UNSET]
    seen = {name: getattr(now, name) for name in left_out}
    await actions.change_sections(scope, customer_id, sections, version=version_read(call, data.version), seen=seen)
    return await queries.get_customer(scope, customer_id)


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
