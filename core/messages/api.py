"""Messages over JSON."""

from __future__ import annotations

from typing import Annotated, Final

from litestar.params import FromPath, JSONBody, QueryParameter

from core.customers.queries import get_customer
from core.messages import actions, queries
from core.messages.schemas import MessageFull, MessageRow, NewMessage
from core.messages.status import MessageState
from core.web.jsonapi import Call, Page, api_get, api_post, decode_cursor, encode_cursor

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]
Customer = Annotated[int | None, QueryParameter(ge=1, description="Only messages to this customer")]
State = Annotated[MessageState | None, QueryParameter(name="state", description="Only messages in this state")]


@api_get("/messages", permission="messages.view", summary="List messages, the latest first")
async def list_messages(
    call: Call, limit: Limit = 50, cursor: Cursor = "", in_state: State = None, customer_id: Customer = None
) -> Page[MessageRow]:
    found = await queries.list_messages(
        call.scope,
        states=[in_state] if in_state else (),
        customer_id=customer_id,
        before=decode_cursor(cursor, tuple[int])[0] if cursor else None,
        limit=limit + 1,
    )
    shown = found[:limit]
    return Page(items=shown, next=encode_cursor(shown[-1].id) if len(found) > limit else None)


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


HANDLERS: Final = (list_messages, get_message, write_message, send_again, mark_as_sent, cancel_message)
