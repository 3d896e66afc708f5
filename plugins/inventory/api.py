"""Items over JSON."""

from __future__ import annotations

from typing import Annotated

from litestar.params import FromPath, JSONBody, QueryParameter

from core.web.jsonapi import Call, Page, api_get, api_post, decode_cursor, encode_cursor
from plugins.inventory import actions, queries
from plugins.inventory.schemas import Assignment, ItemRow, NewItem

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]


@api_get("/inventory/items", permission="inventory.view", summary="List items")
async def list_items(call: Call, limit: Limit = 50, cursor: Cursor = "") -> Page[ItemRow]:
    after = decode_cursor(cursor, tuple[int])[0] if cursor else 0
    found = await queries.list_items(call.scope, after=after, limit=limit + 1)
    shown = found[:limit]
    return Page(items=shown, next=encode_cursor(shown[-1].id) if len(found) > limit else None)


@api_post("/inventory/items", permission="inventory.edit", summary="Add an item")
async def add_item(call: Call, data: JSONBody[NewItem]) -> ItemRow:
    return await queries.get_item(call.scope, await actions.add_item(call.scope, data))


@api_get("/inventory/items/{item_id:int}", permission="inventory.view", summary="One item")
async def get_item(call: Call, item_id: FromPath[int]) -> ItemRow:
    return await queries.get_item(call.scope, item_id)


@api_post(
    "/inventory/items/{item_id:int}/assignment",
    permission="inventory.edit",
    summary="Give it to a customer",
    status_code=200,
)
async def assign(call: Call, item_id: FromPath[int], data: JSONBody[Assignment]) -> ItemRow:
    await actions.assign_item(call.scope, item_id, data.customer_id)
    return await queries.get_item(call.scope, item_id)


@api_post("/inventory/items/{item_id:int}/return", permission="inventory.edit", summary="Take it back", status_code=200)
async def give_back(call: Call, item_id: FromPath[int]) -> ItemRow:
    await actions.return_item(call.scope, item_id)
    return await queries.get_item(call.scope, item_id)


HANDLERS = (list_items, add_item, get_item, assign, give_back)
