"""Hardware over JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from litestar import Response
from litestar.datastructures import UploadFile
from litestar.params import FromPath, FromQuery, JSONBody, MultipartBody, QueryParameter
from msgspec import Struct

from core.customers.queries import get_customer
from core.documents.pictures import MEDIA_TYPE
from core.errors import Invalid
from core.ids import LARGEST_ID, Id
from core.texts import _
from core.web.jsonapi import (
    Call,
    Page,
    api_delete,
    api_get,
    api_post,
    api_put,
    decode_cursor,
    encode_cursor,
    version_read,
)
from core.web.reach import check_sees_everyone
from plugins.inventory import actions, importing, listing, queries
from plugins.inventory.importing import ImportRow, Report
from plugins.inventory.labels import MOST, PER_SHEET, LabelSheet, labels_of
from plugins.inventory.schemas import (
    Assignment,
    ItemChange,
    ItemRow,
    LocationFields,
    LocationPut,
    LocationRow,
    Move,
    NewItem,
    ProductChange,
    ProductFields,
    ProductRow,
    Rental,
    Return,
    Sale,
    Valuation,
    VendorFields,
    VendorPut,
    VendorRow,
    WriteOff,
)
from plugins.inventory.valuation import valuation

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
    asked = {} if "view" in call.request.query_params else {"sort": sort}
    return await listing.ITEM_LIST.api(call, cursor=cursor, limit=limit, **asked)


@api_post("/inventory/items", permission="inventory.edit", summary="Add an item")
async def add_item(call: Call, data: JSONBody[NewItem]) -> ItemRow:
    return await queries.item_after(await actions.add_item(call.scope, data))


@api_get("/inventory/items/{item_id:int}", permission="inventory.view", summary="One item")
async def get_item(call: Call, item_id: FromPath[int]) -> ItemRow:
    return await queries.get_item(call.scope, item_id)


@api_put(
    "/inventory/items/{item_id:int}",
    permission="inventory.edit",
    summary="Change what an item is known by",
    description="With `product_id` it is of another product: for what was typed in wrongly.",
)
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
async def list_of_customer(
    call: Call, customer_id: FromPath[int], limit: Limit = 50, cursor: Cursor = ""
) -> Page[ItemRow]:
    await get_customer(call.scope, customer_id)
    after = decode_cursor(cursor, tuple[int])[0] if cursor else 0
    found = await queries.list_of_customer(call.scope, customer_id, after=after, limit=limit + 1)
    shown = found[:limit]
    return Page(items=shown, next=encode_cursor(shown[-1].id) if len(found) > limit else None)


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
    return await listing.PRODUCT_LIST.api(call, cursor=cursor, limit=limit)


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


@api_get(
    "/inventory/products/{model_id:int}/photo",
    permission="inventory.view",
    summary="The product's photo as JPEG",
    media_type=MEDIA_TYPE,
)
async def get_photo(call: Call, model_id: FromPath[int]) -> Response[bytes]:
    return Response(
        await queries.read_photo(call.scope, model_id),
        media_type=MEDIA_TYPE,
        headers={"X-Content-Type-Options": "nosniff"},
    )


@dataclass
class Photo:
    """A JPEG, PNG or WebP file. It is kept as JPEG, 1,024 pixels at most, without place and time."""

    photo: UploadFile


@api_put("/inventory/products/{model_id:int}/photo", permission="inventory.edit", summary="Set the product's photo")
async def set_photo(call: Call, model_id: FromPath[int], data: MultipartBody[Photo]) -> ProductRow:
    await actions.set_photo(call.scope, model_id, await data.photo.read())
    return await queries.get_product(model_id)


@api_delete("/inventory/products/{model_id:int}/photo", permission="inventory.edit", summary="Remove the photo")
async def remove_photo(call: Call, model_id: FromPath[int]) -> ProductRow:
    await actions.remove_photo(call.scope, model_id)
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


@api_put(
    "/inventory/vendors/{vendor_id:int}",
    permission="inventory.edit",
    summary="Change a vendor",
    description="Against the `version` that was read, there or in `If-Match`; 409 where somebody saved it since.",
)
async def change_vendor(call: Call, vendor_id: FromPath[int], data: JSONBody[VendorPut]) -> VendorRow:
    await actions.change_vendor(call.scope, vendor_id, data, version=version_read(call, data.version))
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


@api_put(
    "/inventory/locations/{place_id:int}",
    permission="inventory.edit",
    summary="Change a location",
    description="Against the `version` that was read, there or in `If-Match`; 409 where somebody saved it since.",
)
async def change_location(call: Call, place_id: FromPath[int], data: JSONBody[LocationPut]) -> LocationRow:
    await actions.change_location(call.scope, place_id, data, version=version_read(call, data.version))
    return await queries.get_location(place_id)


@api_delete("/inventory/locations/{place_id:int}", permission="inventory.edit", summary="Remove an empty location")
async def remove_location(call: Call, place_id: FromPath[int]) -> Removed:
    await actions.remove_location(call.scope, place_id)
    return Removed(place_id)


# -- valuation, labels, imports ---------------------------------------------------------------------------------------


@api_get("/inventory/valuation", permission="inventory.view", summary="What the hardware has cost, by where it is")
async def show_valuation(call: Call) -> Valuation:
    return await valuation(call.scope)


Item = Annotated[int, QueryParameter(ge=0, le=LARGEST_ID, description="Of this item alone")]
Used = Annotated[int, QueryParameter(ge=0, le=PER_SHEET - 1, description="Labels of the first sheet that are gone")]


@api_get(
    "/inventory/labels",
    permission="inventory.view",
    summary="Labels as PDF",
    description=f"Of the items that the same parameters list, {MOST} at most.",
    media_type="application/pdf",
)
async def print_labels(
    call: Call,
    kind: FromQuery[Literal["a4", "roll"]] = "a4",
    used: Used = 0,
    q: Words = "",
    status: Filter = "",
    location: Filter = "",
    item: Item = 0,
) -> Response[bytes]:
    pdf = await labels_of(
        call.scope,
        {"q": q, "status": status, "location": location, "sort": "id", **_only(item)},
        LabelSheet(kind, used),
    )
    return Response(pdf, media_type="application/pdf")


def _only(item_id: int) -> dict[str, str]:
    return {"id.from": str(item_id), "id.to": str(item_id)} if item_id else {}


@dataclass
class Upload:
    """A file of items; those that name no location go to `location_id`."""

    file: UploadFile
    location_id: Id | None = None


class ImportDetail(Struct, frozen=True):
    """A file of items, what would come of it, and what has."""

    id: int
    state: str
    file_name: str
    made: int
    made_by: str
    created_at: datetime
    job_id: int | None
    report: Report


def _detail(found: ImportRow) -> ImportDetail:
    return ImportDetail(
        found.id,
        found.state,
        found.file_name,
        found.made,
        found.made_by,
        found.created_at,
        found.job_id,
        found.told(),
    )


@api_post(
    "/inventory/imports",
    permission="inventory.edit",
    summary="Upload a file of items",
    description="CSV or XLSX, one item in a row. It is checked, nothing is imported: read its report, then start it.",
)
async def upload(call: Call, data: MultipartBody[Upload]) -> ImportDetail:
    if not data.file.filename:
        raise Invalid(_("Choose a file."), field="file")
    check_sees_everyone(call.scope)
    import_id = await importing.check_file(
        call.scope, await data.file.read(), name=data.file.filename, location_id=data.location_id
    )
    return _detail(await importing.get_import(call.scope, import_id))


@api_get("/inventory/imports", permission="inventory.edit", summary="List imports of items, the latest first")
async def list_imports(call: Call, limit: Limit = 50, cursor: Cursor = "") -> Page[ImportDetail]:
    before = decode_cursor(cursor, tuple[int])[0] if cursor else None
    found = await importing.list_imports(call.scope, before=before, limit=limit + 1)
    shown = found[:limit]
    return Page(items=[_detail(one) for one in shown], next=encode_cursor(shown[-1].id) if len(found) > limit else None)


@api_get("/inventory/imports/{import_id:int}", permission="inventory.edit", summary="One import and its report")
async def get_import(call: Call, import_id: FromPath[int]) -> ImportDetail:
    return _detail(await importing.get_import(call.scope, import_id))


@api_post(
    "/inventory/imports/{import_id:int}/start",
    permission="inventory.edit",
    summary="Make items of what is right",
    status_code=202,
)
async def start_import(call: Call, import_id: FromPath[int]) -> ImportDetail:
    await importing.start_import(call.scope, import_id)
    return _detail(await importing.get_import(call.scope, import_id))


@api_delete("/inventory/imports/{import_id:int}", permission="inventory.edit", summary="Forget a file not imported")
async def discard_import(call: Call, import_id: FromPath[int]) -> Removed:
    await importing.discard_import(call.scope, import_id)
    return Removed(import_id)


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
    get_photo,
    set_photo,
    remove_photo,
    remove_product,
    list_vendors,
    add_vendor,
    change_vendor,
    remove_vendor,
    list_locations,
    add_location,
    change_location,
    remove_location,
    show_valuation,
    print_labels,
    upload,
    list_imports,
    get_import,
    start_import,
    discard_import,
)
