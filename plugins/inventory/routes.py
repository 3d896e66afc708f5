"""Pages of the inventory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.params import FromPath

from core.activity.queries import timeline
from core.catalog.queries import list_tax_categories
from core.customers.head import head_values
from core.customers.queries import get_customer
from core.customers.timeline import in_words
from core.database import Everything
from core.documents.pictures import MEDIA_TYPE
from core.errors import Invalid, Stale
from core.jobs.queries import get_job
from core.money import format_amount, format_money
from core.texts import _, in_sentence, number
from core.web.changes import asked, do_plan, show_plan
from core.web.forms import from_form
from core.web.jobs_pages import running_job
from core.web.parts import Choice, Figure, MenuEntry
from core.web.reach import check_sees_everyone
from core.web.routing import delete, get, post, put
from core.web.view import PageView, View, errors_by_field
from plugins.inventory import actions, deeds, importing, labels, listing, pages, queries
from plugins.inventory.labels import LabelSheet
from plugins.inventory.schemas import LocationFields, VendorFields
from plugins.inventory.status import Deed, ItemStatus, pill_of
from plugins.inventory.valuation import first_of, valuation
from plugins.inventory.words import items, products

if TYPE_CHECKING:
    from core.web.parts import Section
    from plugins.inventory.schemas import ProductRow


# -- items ------------------------------------------------------------------------------------------------------------


@get("/inventory", permission="inventory.view")
async def begin(view: View) -> Response[str]:
    """Where the menu leads: its entry stands for all pages below this address."""
    return view.go("/inventory/items")


@get("/inventory/items", permission="inventory.view", uses=("camera",))
async def list_items(view: View) -> Response[str]:
    may_add = view.scope.may("inventory.edit") and isinstance(view.scope.actor.reach, Everything)
    buttons = [
        MenuEntry(label=_("Import"), icon="upload", href="/inventory/import"),
        MenuEntry(label=_("New item"), icon="plus", href="/inventory/items/new", key="n"),
    ]
    return await listing.ITEM_LIST.page(
        view,
        "inventory/items.html",
        buttons=buttons if may_add else (),
        tabs=pages.tabs(view.scope),
        tools_inside="inventory/_tools.html",
    )


@get("/inventory/items/new", permission="inventory.edit", uses=("camera",))
async def show_new_item(view: View) -> Response[str]:
    return await _new_item(view, {})


@post("/inventory/items", permission="inventory.edit", uses=("camera",))
async def add_item(view: View) -> Response[str]:
    scope = view.scope
    try:
        form = await view.form(pages.NewItemForm)
        item_id = await actions.add_item(scope, pages.new_item_of(form, scope.tenant.currency, scope.locale))
    except Invalid as error:
        return await _new_item(view, errors_by_field(error), status=422)
    return view.go(f"/inventory/items/{item_id}", _("Item added."))


async def _new_item(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    scope = view.scope
    products = await queries.list_product_names()
    locations = await queries.list_locations()
    fields = pages.new_item_fields(products, locations, scope.tenant.currency)
    given = {name: view.query[name] for name in ("product", "vendor", "location") if name in view.query}
    return view.page(
        "inventory/new_item.html",
        status=status,
        fields=fields,
        values={**given, **view.shown()},
        errors=errors,
        scanned=("serial", "mac", "barcode"),
        known={
            "product": sorted({one.name for one in products}),
            "vendor": [one.name for one in await queries.list_vendors()],
            "location": [one.name for one in locations],
        },
    )


@get("/inventory/items/{item_id:int}", permission="inventory.view")
async def show_item(view: View, item_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    item = await queries.get_item(scope, item_id)
    product = await queries.get_product(item.product_id)
    history = await _history(view, ("inventory_item", item_id), f"/inventory/items/{item_id}")
    label, kind = pill_of(item.status)
    return view.page(
        "inventory/item.html",
        item=item,
        product=product,
        label=label,
        kind=kind,
        section=pages.item_section(item, product, scope),
        warranty=pages.warranty_until(item, product.warranty_months),
        buttons=[
            {
                "label": _(deeds.BUTTONS[deed][0]),
                "icon": deeds.BUTTONS[deed][1],
                "at": f"/inventory/items/{item_id}/deeds/{deed}",
                "danger": deed is Deed.WRITE_OFF,
            }
            for deed in deeds.may_do(scope, item)
        ],
        **history,
        may_remove=item.status == ItemStatus.IN_STOCK and scope.may("inventory.edit"),
    )


@get("/inventory/items/{item_id:int}/section", permission="inventory.view")
async def show_item_section(view: View, item_id: FromPath[int]) -> Response[str]:
    return _section(view, await _item_section(view, item_id))


@get("/inventory/items/{item_id:int}/section/edit", permission="inventory.edit")
async def edit_item_section(view: View, item_id: FromPath[int]) -> Response[str]:
    return _section(view, await _item_section(view, item_id, editing=True), editing=True)


@put("/inventory/items/{item_id:int}/section", permission="inventory.edit")
async def save_item_section(view: View, item_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    section = await _item_section(view, item_id, editing=True)
    try:
        version, form = await _versioned(view, pages.ItemForm)
        await actions.change_item(
            scope, item_id, pages.item_of(form, scope.tenant.currency, scope.locale), version=version
        )
    except Invalid as error:
        return _section(view, section, editing=True, status=422, errors=errors_by_field(error))
    except Stale as error:
        return await _stale(view, section, error, ("inventory_item", item_id))
    return _section(view, await _item_section(view, item_id))


async def _item_section(view: PageView, item_id: int, *, editing: bool = False) -> Section:
    item = await queries.get_item(view.scope, item_id)
    products = await queries.list_product_names() if editing else ()
    return pages.item_section(item, await queries.get_product(item.product_id), view.scope, products)


@delete("/inventory/items/{item_id:int}", permission="inventory.edit")
async def remove_item(view: View, item_id: FromPath[int]) -> Response[str]:
    await actions.remove_item(view.scope, item_id)
    return view.go("/inventory/items", _("Item removed."))


HISTORY_PAGE: Final = 50


async def _history(view: PageView, subject: tuple[str, int], at: str) -> dict[str, Any]:
    """What happened to it, the latest first, with the ways to what came before and back."""
    text = view.query.get("before", "")
    before = int(text) if text.isdecimal() and len(text) < 19 else None
    found = await timeline(view.scope, subject=subject, before=before, limit=HISTORY_PAGE + 1)
    shown = found[:HISTORY_PAGE]
    return {
        "happenings": await in_words(view.scope, shown),
        "older": f"{at}?before={shown[-1].position}" if len(found) > HISTORY_PAGE else "",
        "newest": at if before is not None else "",
    }


# -- deeds ------------------------------------------------------------------------------------------------------------


@get("/inventory/items/{item_id:int}/deeds/{deed:str}", permission="inventory.edit")
async def show_deed(view: View, item_id: FromPath[int], deed: FromPath[str]) -> Response[str]:
    item, wanted = await queries.get_item(view.scope, item_id), deeds.deed_of(deed)
    place = await deeds.place_of(view.scope, item, wanted, asked(view))
    typed = deeds.filled(place, asked(view))
    return await show_plan(view, place, typed, deeds.deed_for(view.scope, item, wanted, typed))


@post("/inventory/items/{item_id:int}/deeds/{deed:str}", permission="inventory.edit")
async def carry_out_deed(view: View, item_id: FromPath[int], deed: FromPath[str]) -> Response[str]:
    scope = view.scope
    item, wanted = await queries.get_item(scope, item_id), deeds.deed_of(deed)
    await view.read()
    place = await deeds.place_of(scope, item, wanted, view.typed)
    run = deeds.deed_for(scope, item, wanted, view.typed)
    if not view.typed.get("seen", [""])[-1]:
        return await show_plan(view, place, view.typed, run)  # Enter in a field, before there was a plan to confirm
    sees_it = isinstance(scope.actor.reach, Everything)
    to = f"/inventory/items/{item_id}" if sees_it else "/inventory/items"
    back = view.typed.get("back", [""])[-1]
    if back.startswith("/inventory/customers/"):
        to = back
    return await do_plan(view, place, run, to=to, said=_(deeds.SAID[wanted]))


# -- scanning ---------------------------------------------------------------------------------------------------------


@get("/inventory/scan", permission="inventory.view")
async def scan(view: View) -> Response[str]:
    """What a scanner typed: straight to the item, or to the list of what is like it."""
    code = view.query.get("code", "").strip()[:200]
    found = await queries.find_by_code(view.scope, code)
    if len(found) == 1:
        return view.go(f"/inventory/items/{found[0].id}")
    return view.go(pages.items_at(q=code))


@get("/inventory/customers/{customer_id:int}/scan", permission="inventory.edit")
async def scan_for_customer(view: View, customer_id: FromPath[int]) -> Response[str]:
    """What a scanner typed at a customer: one in stock is assigned, one that the customer has is taken back."""
    scope = view.scope
    customer = await get_customer(scope, customer_id)
    code = view.query.get("code", "").strip()[:200]
    found = await queries.find_by_code(scope, code)
    if len(found) != 1:
        several = _("%(count)s items have the code “%(code)s”.", count=len(found), code=code)
        told = several if found else _("Nothing has the code “%(code)s”.", code=code)
        return view.drawer("inventory/scanned.html", title=_("Not found"), text=told, page_title=_("Not found"))
    item = found[0]
    if item.customer_id == customer_id:
        wanted = Deed.RETURN
    elif item.status == ItemStatus.IN_STOCK:
        wanted = Deed.ASSIGN
    else:
        name, state = f"{item.name} {item.serial}", in_sentence(pill_of(item.status)[0])
        told = _("%(item)s is %(state)s.", item=name, state=state)
        if item.customer:
            told = _("%(item)s is %(state)s, with %(customer)s.", item=name, state=state, customer=item.customer)
        return view.drawer(
            "inventory/scanned.html", title=_("It cannot be assigned"), text=told, page_title=_("Not assigned")
        )
    given = {"back": [f"/inventory/customers/{customer_id}"]}
    if wanted is Deed.ASSIGN:
        given["customer"] = [str(customer.id)]
    place = await deeds.place_of(scope, item, wanted, given)
    typed = deeds.filled(place, given)
    return await show_plan(view, place, typed, deeds.deed_for(scope, item, wanted, typed))


# -- a customer -------------------------------------------------------------------------------------------------------


CUSTOMERS_PAGE: Final = 100


@get("/inventory/customers/{customer_id:int}", permission="inventory.view", uses=("camera",))
async def show_customer(view: View, customer_id: FromPath[int]) -> Response[str]:
    """The tab Hardware of a customer."""
    head = await head_values(view, customer_id, _("Hardware"))
    text = view.query.get("after", "")
    after = int(text) if text.isdecimal() and len(text) < 19 else 0
    items = await queries.list_of_customer(view.scope, customer_id, after=after, limit=CUSTOMERS_PAGE + 1)
    base, more = f"/inventory/customers/{customer_id}", len(items) > CUSTOMERS_PAGE
    items = items[:CUSTOMERS_PAGE]
    return view.page(
        "inventory/customer.html",
        **head,
        sees_stock=isinstance(view.scope.actor.reach, Everything),
        first=base if after else "",
        further=f"{base}?after={items[-1].id}" if more else "",
        items=[
            {
                "item": item,
                "deeds": [
                    {
                        "label": _(deeds.BUTTONS[deed][0]),
                        "at": f"/inventory/items/{item.id}/deeds/{deed}?back=/inventory/customers/{customer_id}",
                    }
                    for deed in deeds.may_do(view.scope, item)
                    if deed in (Deed.RETURN, Deed.KEEP)
                ],
            }
            for item in items
        ],
        pills={state.value: pill_of(state) for state in ItemStatus},
        shape=pages.shape,
    )


# -- products ---------------------------------------------------------------------------------------------------------


@get("/inventory/products", permission="inventory.view")
async def list_products(view: View) -> Response[str]:
    new = MenuEntry(label=_("New product"), icon="plus", href="/inventory/products/new", key="n")
    return await listing.PRODUCT_LIST.page(
        view,
        "inventory/products.html",
        buttons=[new] if view.scope.may("inventory.edit") else (),
        tabs=pages.tabs(view.scope),
    )


@get("/inventory/products/new", permission="inventory.edit")
async def show_new_product(view: View) -> Response[str]:
    return await _new_product(view, {})


@post("/inventory/products", permission="inventory.edit")
async def add_product(view: View) -> Response[str]:
    scope = view.scope
    try:
        form = await view.form(pages.ProductForm)
        model_id = await actions.add_product(scope, pages.product_of(form, scope.tenant.currency, scope.locale))
    except Invalid as error:
        return await _new_product(view, errors_by_field(error), status=422)
    return view.go(f"/inventory/products/{model_id}", _("Product added."))


async def _new_product(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    return view.page(
        "inventory/new_product.html",
        status=status,
        fields=await pages.product_fields(view.scope),
        values=view.shown(),
        errors=errors,
    )


@get("/inventory/products/{model_id:int}", permission="inventory.view")
async def show_product(view: View, model_id: FromPath[int]) -> Response[str]:
    return await _product(view, model_id, {})


async def _product(view: PageView, model_id: int, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    scope = view.scope
    found = await queries.get_product(model_id)
    return view.page(
        "inventory/product.html",
        status=status,
        errors=errors,
        product=found,
        price=_price(found, scope.tenant.currency),
        warranty=pages.warranty_text(found.warranty_months),
        tax={one.code: one.name for one in await list_tax_categories()}.get(found.tax_category, ""),
        section=await pages.product_section(found, scope),
        items_at=pages.items_at(**{"product.has": found.name}),
        **await _history(view, ("inventory_product", model_id), f"/inventory/products/{model_id}"),
        may_remove=not found.items and scope.may("inventory.edit"),
    )


def _price(found: ProductRow, currency: str) -> str:
    return f"{format_amount(found.sell_minor, currency)} {currency}" if found.sell_minor is not None else ""


@get("/inventory/products/{model_id:int}/photo", permission="inventory.view")
async def show_photo(view: View, model_id: FromPath[int]) -> Response[bytes]:
    """Its address on pages ends with the file's id, so that a browser may keep it."""
    return Response(
        await queries.read_photo(view.scope, model_id),
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"},
    )


@post("/inventory/products/{model_id:int}/photo", permission="inventory.edit")
async def set_photo(view: View, model_id: FromPath[int]) -> Response[str]:
    await view.read()
    file = view.files.get("photo")
    try:
        if file is None or not file.filename:
            raise Invalid(_("Choose a picture."), field="photo")
        await actions.set_photo(view.scope, model_id, await file.read())
    except Invalid as error:
        return await _product(view, model_id, errors_by_field(error), status=422)
    return view.go(f"/inventory/products/{model_id}", _("Photo saved."))


@delete("/inventory/products/{model_id:int}/photo", permission="inventory.edit")
async def remove_photo(view: View, model_id: FromPath[int]) -> Response[str]:
    await actions.remove_photo(view.scope, model_id)
    return view.go(f"/inventory/products/{model_id}", _("Photo removed."))


@get("/inventory/products/{model_id:int}/section", permission="inventory.view")
async def show_product_section(view: View, model_id: FromPath[int]) -> Response[str]:
    return _section(view, await pages.product_section(await queries.get_product(model_id), view.scope))


@get("/inventory/products/{model_id:int}/section/edit", permission="inventory.edit")
async def edit_product_section(view: View, model_id: FromPath[int]) -> Response[str]:
    section = await pages.product_section(await queries.get_product(model_id), view.scope)
    return _section(view, section, editing=True)


@put("/inventory/products/{model_id:int}/section", permission="inventory.edit")
async def save_product_section(view: View, model_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    section = await pages.product_section(await queries.get_product(model_id), scope)
    try:
        version, form = await _versioned(view, pages.ProductForm)
        data = pages.product_of(form, scope.tenant.currency, scope.locale)
        await actions.change_product(scope, model_id, data, version=version)
    except Invalid as error:
        return _section(view, section, editing=True, status=422, errors=errors_by_field(error))
    except Stale as error:
        return await _stale(view, section, error, ("inventory_product", model_id))
    return _section(view, await pages.product_section(await queries.get_product(model_id), scope))


@delete("/inventory/products/{model_id:int}", permission="inventory.edit")
async def remove_product(view: View, model_id: FromPath[int]) -> Response[str]:
    await actions.remove_product(view.scope, model_id)
    return view.go("/inventory/products", _("Product removed."))


# -- vendors and locations --------------------------------------------------------------------------------------------


@get("/inventory/vendors", permission="inventory.view")
async def list_vendors(view: View) -> Response[str]:
    return await _vendors(view)


@post("/inventory/vendors", permission="inventory.edit")
async def add_vendor(view: View) -> Response[str]:
    try:
        await actions.add_vendor(view.scope, await view.form(VendorFields))
    except Invalid as error:
        return await _vendors(view, errors_by_field(error), status=422)
    return view.go("/inventory/vendors", _("Vendor added."))


async def _vendors(view: PageView, errors: dict[str, str] | None = None, *, status: int = 200) -> Response[str]:
    return view.page(
        "inventory/vendors.html",
        status=status,
        vendors=await queries.list_vendors(),
        fields=pages.vendor_fields(),
        values=view.shown(),
        errors=errors or {},
        tabs=pages.tabs(view.scope),
    )


@get("/inventory/vendors/{vendor_id:int}", permission="inventory.edit")
async def edit_vendor(view: View, vendor_id: FromPath[int]) -> Response[str]:
    return await _vendor(view, vendor_id, {})


@post("/inventory/vendors/{vendor_id:int}", permission="inventory.edit")
async def save_vendor(view: View, vendor_id: FromPath[int]) -> Response[str]:
    try:
        version, form = await _versioned(view, VendorFields)
        await actions.change_vendor(view.scope, vendor_id, form, version=version)
    except Invalid as error:
        return await _vendor(view, vendor_id, errors_by_field(error), status=422)
    except Stale as error:
        return await _vendor(view, vendor_id, pages.saved_meanwhile(error), status=409)
    return view.go("/inventory/vendors", _("Vendor saved."))


async def _vendor(view: PageView, vendor_id: int, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    found = await queries.get_vendor(vendor_id)
    return view.page(
        "inventory/place.html",
        status=status,
        title=_("Vendor"),
        at=f"/inventory/vendors/{vendor_id}",
        version=_read(view, status, found.version),
        refused=_("It has %(products)s", products=products(found.products)) if found.products else "",
        plural=_("Vendors"),
        fields=pages.vendor_fields(found),
        values=view.shown(),
        errors=errors,
    )


@delete("/inventory/vendors/{vendor_id:int}", permission="inventory.edit")
async def remove_vendor(view: View, vendor_id: FromPath[int]) -> Response[str]:
    await actions.remove_vendor(view.scope, vendor_id)
    return view.go("/inventory/vendors", _("Vendor removed."))


@get("/inventory/locations", permission="inventory.view")
async def list_locations(view: View) -> Response[str]:
    return await _locations(view)


@post("/inventory/locations", permission="inventory.edit")
async def add_location(view: View) -> Response[str]:
    try:
        await actions.add_location(view.scope, await view.form(LocationFields))
    except Invalid as error:
        return await _locations(view, errors_by_field(error), status=422)
    return view.go("/inventory/locations", _("Location added."))


async def _locations(view: PageView, errors: dict[str, str] | None = None, *, status: int = 200) -> Response[str]:
    return view.page(
        "inventory/locations.html",
        status=status,
        locations=await queries.list_locations(),
        fields=pages.place_fields(),
        values=view.shown(),
        errors=errors or {},
        tabs=pages.tabs(view.scope),
    )


@get("/inventory/locations/{place_id:int}", permission="inventory.edit")
async def edit_location(view: View, place_id: FromPath[int]) -> Response[str]:
    return await _location(view, place_id, {})


@post("/inventory/locations/{place_id:int}", permission="inventory.edit")
async def save_location(view: View, place_id: FromPath[int]) -> Response[str]:
    try:
        version, form = await _versioned(view, LocationFields)
        await actions.change_location(view.scope, place_id, form, version=version)
    except Invalid as error:
        return await _location(view, place_id, errors_by_field(error), status=422)
    except Stale as error:
        return await _location(view, place_id, pages.saved_meanwhile(error), status=409)
    return view.go("/inventory/locations", _("Location saved."))


async def _location(view: PageView, place_id: int, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    found = await queries.get_location(place_id)
    return view.page(
        "inventory/place.html",
        status=status,
        title=_("Location"),
        at=f"/inventory/locations/{place_id}",
        version=_read(view, status, found.version),
        refused=_("It holds %(items)s", items=items(found.items)) if found.items else "",
        plural=_("Locations"),
        fields=pages.place_fields(found),
        values=view.shown(),
        errors=errors,
    )


@delete("/inventory/locations/{place_id:int}", permission="inventory.edit")
async def remove_location(view: View, place_id: FromPath[int]) -> Response[str]:
    await actions.remove_location(view.scope, place_id)
    return view.go("/inventory/locations", _("Location removed."))


# -- import -----------------------------------------------------------------------------------------------------------


@get("/inventory/import", permission="inventory.edit")
async def choose_file(view: View) -> Response[str]:
    return await _choose(view, {})


@post("/inventory/import", permission="inventory.edit")
async def upload(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    await view.read()
    file = view.files.get("file")
    if file is None or not file.filename:
        return await _choose(view, {"file": _("Choose a file.")}, status=422)
    place = view.typed.get("location_id", [""])[-1]
    try:
        import_id = await importing.check_file(
            view.scope,
            await file.read(),
            name=file.filename,
            location_id=int(place) if place.isdecimal() and len(place) < 19 else None,
        )
    except Invalid as error:
        return await _choose(view, errors_by_field(error), status=422)
    return view.go(f"/inventory/import/{import_id}")


async def _choose(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    return view.page(
        "inventory/import.html",
        status=status,
        imports=await importing.list_imports(view.scope),
        places=[Choice("", _("None")), *(Choice(str(one.id), one.name) for one in await queries.list_locations())],
        columns=[_(name) for name in importing.FIELDS.values()],
        values=view.shown(location_id=""),
        errors=errors,
    )


@get("/inventory/import/{import_id:int}", permission="inventory.edit")
async def show_import(view: View, import_id: FromPath[int]) -> Response[str]:
    found = await importing.get_import(view.scope, import_id)
    job = await get_job(view.scope, found.job_id) if found.job_id is not None else None
    report = found.told()
    return view.page(
        "inventory/import_report.html",
        found=found,
        report=report,
        columns=[(header, _(field) if field else "") for header, field in report.columns],
        job=running_job(job, streams=view.scope.may("jobs.view"))
        if job is not None and found.state == "taking"
        else None,
        figures=[
            Figure(label=_("Rows"), value=number(report.records)),
            Figure(label=_("Right"), value=number(report.good), detail=_("become items")),
            Figure(
                label=_("Wrong"),
                value=number(report.records - report.good),
                detail=_("are left out"),
                tone="owes" if report.records > report.good else "",
            ),
            *([Figure(label=_("Items made"), value=number(found.made))] if found.state == "done" else []),
        ],
    )


@get("/inventory/import/{import_id:int}/state", permission="inventory.edit")
async def import_state(view: View, import_id: FromPath[int]) -> Response[str]:
    """Asked every two seconds while items are made: answers with the page itself once it is over."""
    found = await importing.get_import(view.scope, import_id)
    if found.state == "done":
        return view.go(f"/inventory/import/{import_id}")
    return Response("", status_code=200, media_type="text/html")


@post("/inventory/import/{import_id:int}/start", permission="inventory.edit")
async def start_import(view: View, import_id: FromPath[int]) -> Response[str]:
    await importing.start_import(view.scope, import_id)
    return view.go(f"/inventory/import/{import_id}")


@post("/inventory/import/{import_id:int}/discard", permission="inventory.edit")
async def discard_import(view: View, import_id: FromPath[int]) -> Response[str]:
    await importing.discard_import(view.scope, import_id)
    return view.go("/inventory/import", _("Forgotten. Nothing was imported."))


# -- valuation and labels ---------------------------------------------------------------------------------------------


VALUED: Final = 25
"""Products that the valuation shows by themselves, those of the highest value first; the address `?all=yes` all."""


@get("/inventory/valuation", permission="inventory.view")
async def show_valuation(view: View) -> Response[str]:
    found = await valuation(view.scope)
    most = len(found.by_product) if view.query.get("all") == "yes" else VALUED
    shown, others = first_of(found.by_product, most)
    return view.page(
        "inventory/valuation.html",
        found=found,
        others=others,
        figures=[
            Figure(label=_("At cost"), value=format_money(found.cost_minor, found.currency, view.scope.locale)),
            Figure(label=_("Items"), value=number(found.items), detail=_("without those sold and written off")),
            Figure(
                label=_("Without a cost price"), value=number(found.unpriced), tone="owes" if found.unpriced else ""
            ),
        ],
        parts=[
            (_("By location"), "location", found.by_location),
            (_("By state"), "state", found.by_state),
            (_("By product"), "product", shown),
        ],
        heads={"location": _("Location"), "product": _("Product"), "state": _("State")},
        tabs=pages.tabs(view.scope),
    )


@get("/inventory/labels", permission="inventory.view")
async def show_labels(view: View) -> Response[str]:
    """The drawer that asks for the sheet; the address says of which items."""
    kept = {name: text for name, text in view.query.items() if name not in LabelSheet.__struct_fields__}
    return view.drawer(
        "inventory/labels.html", page_title=_("Labels"), kept=kept, most=labels.MOST, per_sheet=labels.PER_SHEET
    )


@get("/inventory/labels.pdf", permission="inventory.view")
async def print_labels(view: View) -> Response[bytes]:
    given = {name: [view.query[name]] for name in LabelSheet.__struct_fields__ if view.query.get(name)}
    address = {name: text for name, text in view.query.items() if name not in LabelSheet.__struct_fields__}
    return Response(
        await labels.labels_of(view.scope, address, from_form(LabelSheet, given)),
        media_type="application/pdf",
        headers={"Content-Disposition": 'inline; filename="labels.pdf"', "X-Content-Type-Options": "nosniff"},
    )


# -- sections ---------------------------------------------------------------------------------------------------------


async def _versioned(view: PageView, form: Any) -> tuple[int, Any]:
    """The version that was read, and what was typed."""
    await view.read()
    text = view.typed.get("version", [""])[-1]
    if not text.isdecimal() or len(text) > 18:
        raise Invalid(_("Load the page again."), field="version")
    return int(text), from_form(form, {name: texts for name, texts in view.typed.items() if name != "version"})


def _read(view: PageView, status: int, latest: int) -> int:
    """The version that a form is against: the one it was begun with while something in it is wrong, else the latest."""
    text = view.typed.get("version", [""])[-1]
    return int(text) if status == 422 and text.isdecimal() and len(text) < 19 else latest


def _section(
    view: PageView,
    section: Section,
    *,
    editing: bool = False,
    status: int = 200,
    errors: dict[str, str] | None = None,
    **more: Any,
) -> Response[str]:
    values = {name: texts[-1] for name, texts in view.typed.items()} if editing else {}
    return view.page(
        "_partials/section.html",
        status=status,
        **{"section": section, "editing": editing, "values": values, "errors": errors or {}, "conflict": None, **more},
    )


async def _stale(view: PageView, section: Section, error: Stale, subject: tuple[str, int]) -> Response[str]:
    latest = await in_words(view.scope, await timeline(view.scope, subject=subject, limit=1))
    by, at = (latest[0].by, latest[0].at) if latest else (_("Somebody else"), None)
    conflict = pages.conflict_of(error, section, by, at, view.scope.tenant.currency)
    theirs = {one.field for one in conflict.differences}
    values = {name: texts[-1] for name, texts in view.typed.items() if name not in theirs}
    return _section(view, section, editing=True, status=409, conflict=conflict, values=values)


HANDLERS = (
    begin,
    list_items,
    show_new_item,
    add_item,
    show_item,
    show_item_section,
    edit_item_section,
    save_item_section,
    remove_item,
    show_deed,
    carry_out_deed,
    scan,
    scan_for_customer,
    show_customer,
    list_products,
    show_new_product,
    add_product,
    show_product,
    show_photo,
    set_photo,
    remove_photo,
    show_product_section,
    edit_product_section,
    save_product_section,
    remove_product,
    list_vendors,
    add_vendor,
    edit_vendor,
    save_vendor,
    remove_vendor,
    list_locations,
    add_location,
    edit_location,
    save_location,
    remove_location,
    choose_file,
    upload,
    show_import,
    import_state,
    start_import,
    discard_import,
    show_valuation,
    show_labels,
    print_labels,
)
