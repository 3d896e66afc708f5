"""Tags and locations over JSON: those of the tenant, and the tags of a customer."""

from __future__ import annotations

from litestar.params import FromPath, JSONBody
from msgspec import Struct

from core.customers import actions, queries
from core.customers.schemas import LocationFields, LocationUse, MergeInto, NewTag, TagFields, TagRow, TagUse
from core.web.jsonapi import Call, api_delete, api_get, api_post, api_put
from core.web.reach import check_sees_everyone


class Gone(Struct, frozen=True):
    """What is no longer there, and of how many customers it was taken."""

    id: int
    customers: int


@api_get("/tags", permission="customers.view", summary="List tags")
async def list_tags(call: Call) -> list[TagUse]:
    check_sees_everyone(call.scope)
    return await queries.list_tag_uses()


@api_post("/tags", permission="settings.edit", summary="Create a tag")
async def create_tag(call: Call, data: JSONBody[TagFields]) -> TagUse:
    return await queries.get_tag(await actions.create_tag(call.scope, data))


@api_put("/tags/{tag_id:int}", permission="settings.edit", summary="Rename or recolour a tag")
async def change_tag(call: Call, tag_id: FromPath[int], data: JSONBody[TagFields]) -> TagUse:
    await actions.change_tag(call.scope, tag_id, data)
    return await queries.get_tag(tag_id)


@api_post("/tags/{tag_id:int}/merge", permission="settings.edit", summary="Merge a tag into another", status_code=200)
async def merge_tag(call: Call, tag_id: FromPath[int], data: JSONBody[MergeInto]) -> TagUse:
    await actions.merge_tag(call.scope, tag_id, data.into)
    return await queries.get_tag(data.into)


@api_delete("/tags/{tag_id:int}", permission="settings.edit", summary="Remove a tag from all customers")
async def delete_tag(call: Call, tag_id: FromPath[int]) -> Gone:
    return Gone(tag_id, await actions.delete_tag(call.scope, tag_id))


@api_get("/customers/{customer_id:int}/tags", permission="customers.view", summary="Tags of a customer")
async def list_customer_tags(call: Call, customer_id: FromPath[int]) -> list[TagRow]:
    await queries.get_customer(call.scope, customer_id)
    return await queries.list_customer_tags(customer_id)


@api_post(
    "/customers/{customer_id:int}/tags",
    permission="customers.edit",
    summary="Put a tag on a customer",
    description="A name that no tag has yet makes one. Gives the customer's tags.",
    status_code=200,
)
async def add_tag(call: Call, customer_id: FromPath[int], data: JSONBody[NewTag]) -> list[TagRow]:
    await actions.add_tag(call.scope, customer_id, data.name)
    return await queries.list_customer_tags(customer_id)


@api_delete(
    "/customers/{customer_id:int}/tags/{tag_id:int}", permission="customers.edit", summary="Take a tag off a customer"
)
async def remove_tag(call: Call, customer_id: FromPath[int], tag_id: FromPath[int]) -> list[TagRow]:
    await actions.remove_tag(call.scope, customer_id, tag_id)
    return await queries.list_customer_tags(customer_id)


@api_get(
    "/locations",
    permission="customers.view",
    summary="List locations",
    description="All of them, with how many customers are there of those that you see.",
)
async def list_locations(call: Call) -> list[LocationUse]:
    return await queries.list_location_uses(call.scope)


@api_post("/locations", permission="settings.edit", summary="Add a location")
async def add_location(call: Call, data: JSONBody[LocationFields]) -> LocationUse:
    return await queries.get_location(await actions.add_location(call.scope, data))


@api_put("/locations/{location_id:int}", permission="settings.edit", summary="Rename a location")
async def rename_location(call: Call, location_id: FromPath[int], data: JSONBody[LocationFields]) -> LocationUse:
    await actions.rename_location(call.scope, location_id, data)
    return await queries.get_location(location_id)


@api_post(
    "/locations/{location_id:int}/merge",
    permission="settings.edit",
    summary="Merge a location into another",
    status_code=200,
)
async def merge_location(call: Call, location_id: FromPath[int], data: JSONBody[MergeInto]) -> LocationUse:
    await actions.merge_location(call.scope, location_id, data.into)
    return await queries.get_location(data.into)


@api_delete("/locations/{location_id:int}", permission="settings.edit", summary="Remove a location where nobody is")
async def remove_location(call: Call, location_id: FromPath[int]) -> Gone:
    await actions.remove_location(call.scope, location_id)
    return Gone(location_id, 0)


HANDLERS = (
    list_tags,
    create_tag,
    change_tag,
    merge_tag,
    delete_tag,
    list_customer_tags,
    add_tag,
    remove_tag,
    list_locations,
    add_location,
    rename_location,
    merge_location,
    remove_location,
)
