"""Hardware over JSON."""

from __future__ import annotations

from typing import Annotated

from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from core.customers.queries import get_customer
from core.web.jsonapi import Call, Page, api_delete, api_get, api_post, api_put
from plugins.inventory import actions, listing, queries
from plugins.inventory.schemas import (
    Assignment,
    ItemChange,
    ItemRow,
    LocationFields,
    LocationRow,
    Move,
    NewItem,
    ProductChange,
    ProductFields,
    ProductRow,
    Rental,
    Return,
    Sale,
    VendorFields,
    VendorRow,
    WriteOff,
)

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]
Sort = Annotated[str, QueryParameter(max_length=40, description="A column, `-` before it for descending")]
Words = Annotated[str, QueryParameter(max_length=200, description="What is looked for")]
Filter = Annotated[str, QueryParameter(max_length=200, description="One or several, with commas between")]


class Removed(Struct, frozen=True):
    id: int


# -- items ------------------------------------------------------------------------------------------------------------


@api_get("/inventory/items", permission="inventory.view", summary="List items")
async def list_items(
    call: Call,
    q: Words = "",
    status: Filter = "",
    condition: Filter = "",
    location: Filter = "",
    sort: Sort = "id",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[ItemRow]:
    return await listing.ITEM_LIST.api_page(
        call.scope,
        {"q": q, "status": status, "condition": condition, "location": location, "sort": sort},
        choices=await listing.item_choices(),
        cursor=cursor,
        limit=limit,
    )


@api_post("/inventory/items", permission="inventory.edit", summary="Add an item")
async def add_item(call: Call, data: JSONBody[NewItem]) -> ItemRow:
    return await queries.item_after(await actions.add_item(call.scope, data))


@api_get("/inventory/items/{item_id:int}", permission="inventory.view", summary="One item")
async def get_item(call: Call, item_id: FromPath[int]) -> ItemRow:
    return await queries.get_item(call.scope, item_id)


@api_put("/inventory/items/{item_id:int}", permission="inventory.edit", summary="Change what an item is known by")
async def change_item(call: Call, item_id: FromPath[int], data: JSONBody[ItemChange]) -> ItemRow:
    await actions.change_item(call.scope, item_id, data, version=data.version)
    return await queries.get_item(call.scope, item_id)


@api_delete("/inventory/items/{item_id:int}", permission="inventory.edit", summary="Remove an item added by mistake")
async def remove_item(call: Call, item_id: FromPath[int]) -> Removed:
    await actions.remove_item(call.scope, item_id)
    return Removed(item_id)


Code = Annotated[str, QueryParameter(max_length=200, description="Barcode, serial number or MAC address")]


@api_get("/inventory/scan", permission="inventory.view", summary="The items that a code is read from")
async def scan(call: Call, code: Code = "") -> list[ItemRow]:
    return await queries.find_by_code(call.scope, code)


@api_get("/inventory/customers/{customer_id:int}/items", permission="inventory.view", summary="A customer's items")
async def list_of_customer(call: Call, customer_id: FromPath[int]) -> list[ItemRow]:
    await get_customer(call.scope, customer_id)
    return await queries.list_of_customer(call.scope, customer_id)


# -- where items go ---------------------------------------------------------------------------------------------------


@api_post("/inventory/items/{item_id:int}/assignment", permission="inventory.edit", summary="Lend it", status_code=200)
async def assign(call: Call, item_id: FromPath[int], data: JSONBody[Assignment]) -> ItemRow:
    await actions.assign_item(call.scope, item_id, data.customer_id)
    return await queries.item_after(item_id)


@api_post(
    "/inventory/items/{item_id:int}/sale",
    permission="inventory.edit",
    summary="Sell it",
    description="Makes a charge. Needs `subscriptions.change` too, and `documents.issue` to invoice it now.",
    status_code=200,
)
async def sell(call: Call, item_id: FromPath[int], data: JSONBody[Sale]) -> ItemRow:
    await actions.sell_item(call.scope, item_id, data)
    return await queries.item_after(item_id)


@api_post(
    "/inventory/items/{item_id:int}/rental",
    permission="inventory.edit",
    summary="Rent it out",
    description="Makes a subscription. Needs `subscriptions.change` too.",
    status_code=200,
)
async def rent(call: Call, item_id: FromPath[int], data: JSONBody[Rental]) -> ItemRow:
    await actions.rent_item(call.scope, item_id, data)
    return await queries.item_after(item_id)


@api_post(
    "/inventory/items/{item_id:int}/return",
    permission="inventory.edit",
    summary="Take it back",
    description="Its rent ends, and a charge for it that is not invoiced yet is waived: both need"
    " `subscriptions.change`.",
    status_code=200,
)
async def give_back(call: Call, item_id: FromPath[int], data: JSONBody[Return]) -> ItemRow:
    await actions.return_item(call.scope, item_id, data)
    return await queries.item_after(item_id)


@api_post(
    "/inventory/items/{item_id:int}/keeping",
    permission="inventory.edit",
    summary="Leave it with the customer after all",
    status_code=200,
)
async def keep(call: Call, item_id: FromPath[int]) -> ItemRow:
    await actions.keep_item(call.scope, item_id)
    return await queries.item_after(item_id)


@api_post("/inventory/items/{item_id:int}/move", permission="inventory.edit", summary="Move it", status_code=200)
async def move(call: Call, item_id: FromPath[int], data: JSONBody[Move]) -> ItemRow:
    await actions.move_item(call.scope, item_id, data)
    return await queries.item_after(item_id)


@api_post(
    "/inventory/items/{item_id:int}/internal-use",
    permission="inventory.edit",
    summary="Use it ourselves",
    status_code=200,
)
async def use(call: Call, item_id: FromPath[int], data: JSONBody[Move]) -> ItemRow:
    await actions.use_item(call.scope, item_id, data)
    return await queries.item_after(item_id)


@api_post(
    "/inventory/items/{item_id:int}/restocking",
    permission="inventory.edit",
    summary="Put it into stock",
    status_code=200,
)
async def restock(call: Call, item_id: FromPath[int], data: JSONBody[Move]) -> ItemRow:
    await actions.restock_item(call.scope, item_id, data)
    return await queries.item_after(item_id)


@api_post(
    "/inventory/items/{item_id:int}/write-off", permission="inventory.edit", summary="Write it off", status_code=200
)
async def write_off(call: Call, item_id: FromPath[int], data: JSONBody[WriteOff]) -> ItemRow:
    await actions.write_off_item(call.scope, item_id, data)
    return await queries.item_after(item_id)


# -- products, vendors, locations -------------------------------------------------------------------------------------


@api_get("/inventory/products", permission="inventory.view", summary="List products")
async def list_products(
    call: Call, q: Words = "", sort: Sort = "name", limit: Limit = 50, cursor: Cursor = ""
) -> Page[ProductRow]:
    return await listing.PRODUCT_LIST.api_page(
        call.scope, {"q": q, "sort": sort}, choices={}, cursor=cursor, limit=limit
    )


@api_post("/inventory/products", permission="inventory.edit", summary="Add a product")
async def add_product(call: Call, data: JSONBody[ProductFields]) -> ProductRow:
    return await queries.get_product(await actions.add_product(call.scope, data))


@api_get("/inventory/products/{model_id:int}", permission="inventory.view", summary="One product")
async def get_product(call: Call, model_id: FromPath[int]) -> ProductRow:
    return await queries.get_product(model_id)


@api_put("/inventory/products/{model_id:int}", permission="inventory.edit", summary="Change a product")
async def change_product(call: Call, model_id: FromPath[int], data: JSONBody[ProductChange]) -> ProductRow:
    await actions.change_product(call.scope, model_id, data, version=data.version)
    return await queries.get_product(model_id)


@api_delete("/inventory/products/{model_id:int}", permission="inventory.edit", summary="Remove a product without items")
async def remove_product(call: Call, model_id: FromPath[int]) -> Removed:
    await actions.remove_product(call.scope, model_id)
    return Removed(model_id)


@api_get("/inventory/vendors", permission="inventory.view", summary="List vendors")
async def list_vendors(call: Call) -> list[VendorRow]:
    return await queries.list_vendors()


@api_post("/inventory/vendors", permission="inventory.edit", summary="Add a vendor")
async def add_vendor(call: Call, data: JSONBody[VendorFields]) -> VendorRow:
    return await queries.get_vendor(await actions.add_vendor(call.scope, data))


@api_put("/inventory/vendors/{vendor_id:int}", permission="inventory.edit", summary="Change a vendor")
async def change_vendor(call: Call, vendor_id: FromPath[int], data: JSONBody[VendorFields]) -> VendorRow:
    await actions.change_vendor(call.scope, vendor_id, data)
    return await queries.get_vendor(vendor_id)


@api_delete("/inventory/vendors/{vendor_id:int}", permission="inventory.edit", summary="Remove a vendor of nothing")
async def remove_vendor(call: Call, vendor_id: FromPath[int]) -> Removed:
    await actions.remove_vendor(call.scope, vendor_id)
    return Removed(vendor_id)


@api_get("/inventory/locations", permission="inventory.view", summary="List locations")
async def list_locations(call: Call) -> list[LocationRow]:
    return await queries.list_locations()


@api_post("/inventory/locations", permission="inventory.edit", summary="Add a location")
async def add_location(call: Call, data: JSONBody[LocationFields]) -> LocationRow:
    return await queries.get_location(await actions.add_location(call.scope, data))


@api_put("/inventory/locations/{place_id:int}", permission="inventory.edit", summary="Change a location")
async def change_location(call: Call, place_id: FromPath[int], data: JSONBody[LocationFields]) -> LocationRow:
    await actions.change_location(call.scope, place_id, data)
    return await queries.get_location(place_id)


@api_delete("/inventory/locations/{place_id:int}", permission="inventory.edit", summary="Remove an empty location")
async def remove_location(call: Call, place_id: FromPath[int]) -> Removed:
    await actions.remove_location(call.scope, place_id)
    return Removed(place_id)


HANDLERS = (
    list_items,
    add_item,
    get_item,
    change_item,
    remove_item,
    scan,
    list_of_customer,
    assign,
    sell,
    rent,
    give_back,
    keep,
    move,
    use,
    restock,
    write_off,
    list_products,
    add_product,
    get_product,
    change_product,
    remove_product,
    list_vendors,
    add_vendor,
    change_vendor,
    remove_vendor,
    list_locations,
    add_location,
    change_location,
    remove_location,
)
