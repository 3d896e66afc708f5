"""Messages over JSON."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from core.customers.queries import get_customer
from core.documents.files import read_file
from core.messages import actions, queries
from core.messages.listing import MESSAGES
from core.messages.routes import file_answer, message_file
from core.messages.schemas import MessageFull, MessageRow, NewMessage
from core.web.jsonapi import Call, Page, api_get, api_post

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]


@api_get(
    "/messages",
    permission="messages.view",
    summary="List messages, the latest first",
    description="Takes the parameters of the page's address: `q`, `sort`, `state`, `kind`, `customer_id`,"
    " `sent.from` …",
)
async def list_messages(call: Call, limit: Limit = 50, cursor: Cursor = "") -> Page[MessageRow]:
    found = await MESSAGES.api(call, cursor=cursor, limit=limit)
    return Page(items=[queries.as_row(one) for one in found.items], next=found.next)


@api_get("/messages/{message_id:int}", permission="messages.view", summary="One message")
async def get_message(call: Call, message_id: FromPath[int]) -> MessageFull:
    return await queries.get_message(call.scope, message_id)


@api_post("/messages", permission="messages.send", summary="Write a message to a customer")
async def write_message(call: Call, data: JSONBody[NewMessage]) -> MessageFull:
    await get_customer(call.scope, data.customer_id)
    to = data.to or await queries.customer_addresses(call.scope, data.customer_id)
    message_id = await actions.write_message(
        call.scope, data.customer_id, subject=data.subject, text=data.text, to=to, cc=data.cc
    )
    return await queries.get_message(call.scope, message_id)


@api_post("/messages/{message_id:int}/repetition", permission="messages.send", summary="Send again", status_code=200)
async def send_again(call: Call, message_id: FromPath[int]) -> MessageFull:
    await actions.send_again(call.scope, message_id)
    return await queries.get_message(call.scope, message_id)


@api_post(
    "/messages/{message_id:int}/settlement",
    permission="messages.send",
    summary="It was sent: settle one whose end nobody knows",
    status_code=200,
)
async def mark_as_sent(call: Call, message_id: FromPath[int]) -> MessageFull:
    await actions.mark_as_sent(call.scope, message_id)
    return await queries.get_message(call.scope, message_id)


@api_post("/messages/{message_id:int}/cancellation", permission="messages.send", summary="Cancel", status_code=200)
async def cancel_message(call: Call, message_id: FromPath[int]) -> MessageFull:
    await actions.cancel_message(call.scope, message_id)
    return await queries.get_message(call.scope, message_id)


class MessageFile(Struct, frozen=True):
    """A file that goes with a message."""

    id: int
    name: str
    media_type: str
    size: int


@api_get("/messages/{message_id:int}/files", permission="messages.view", summary="The files that go with a message")
async def list_files(call: Call, message_id: FromPath[int]) -> list[MessageFile]:
    await queries.get_message(call.scope, message_id)
    found = await queries.list_message_files(call.scope, message_id)
    return [MessageFile(one.id, one.name, one.media_type, one.size) for one in found]


@api_get(
    "/messages/{message_id:int}/files/{file_id:int}",
    permission="messages.view",
    summary="A file that goes with a message, as it was sent",
    media_type="application/octet-stream",
)
async def get_file(call: Call, message_id: FromPath[int], file_id: FromPath[int]) -> Response[bytes]:
    file = await message_file(call.scope, message_id, file_id)
    return file_answer(await read_file(call.scope, file), file.name, file.media_type, saved=True)


HANDLERS: Final = (
    list_messages,
    get_message,
    write_message,
    send_again,
    mark_as_sent,
    cancel_message,
    list_files,
    get_file,
)
