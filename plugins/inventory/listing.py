"""The lists of items and products, as they are declared for their pages, their exports and the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from core.ids import sort_key
from core.lists.columns import Condition, ListChoice, ListColumn
from core.lists.drawing import NOTHING, link, pill
from core.lists.listing import Choices, Listing
from core.texts import N_, _, number
from plugins.inventory import queries
from plugins.inventory.pages import warranty_text
from plugins.inventory.queries import END, ITEMS, PRODUCTS, item_search
from plugins.inventory.schemas import ItemRow, ProductRow
from plugins.inventory.status import CONDITIONS, LABELS, pill_of
from plugins.inventory.tables import InventoryItem, InventoryProduct
from plugins.inventory.words import items

if TYPE_CHECKING:
    from core.lists.drawing import Given
    from core.scope import Scope

WIDE: Final = "t-clip wide"
PRODUCT: Final = "JOIN inventory_product lp ON lp.id = inventory_item.product_id"
IN_STOCK: Final = (
    "(SELECT count(*) FROM inventory_item si WHERE si.product_id = inventory_product.id AND si.status = 'in_stock')"
)


async def item_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    """What columns of choices can be filtered by."""
    return {
        "status": [ListChoice(key.value, pill_of(key)[0], key.value) for key in LABELS],
        "condition": [ListChoice(key.value, _(label), key.value) for key, label in CONDITIONS.items()],
        "location": [
            *(ListChoice(str(one.id), one.name, one.id) for one in await queries.list_locations()),
            ListChoice("0", _("No location"), 0),
        ],
    }


def _serial(row: ItemRow, given: Given) -> Markup:
    """On a phone with who has it, or where it lies."""
    where = row.customer or row.location
    beside = Markup('<span class="only-phone"> · {}</span>').format(where) if where else ""
    return Markup("{}{}").format(row.serial, beside)


ITEM_LIST: Final = Listing(
    key="inventory.items",
    href="/inventory/items",
    permission="inventory.view",
    title=N_("Items"),
    noun="item",
    counted=items,
    placeholder=N_("Serial, MAC, barcode, product or customer"),
    none=(
        N_("No items yet"),
        N_("Every device by its serial number: where it is, which customer has it, whether it was sold or is rented."),
    ),
    no_match=N_("No item matches"),
    table=InventoryItem,
    into=ItemRow,
    select=ITEMS,
    sort="-id",
    search=item_search,
    choices=item_choices,
    link=lambda row: f"/inventory/items/{row.id}",
    name_of=lambda row: f"{row.name} {row.serial}",
    columns=(
        ListColumn(
            key="product", label=N_("Product"), expr="lp.name_key", keyed=True, join=PRODUCT, field="name", cls=WIDE
        ),
        ListColumn(key="id", label=N_("Id"), expr="inventory_item.id", kind="number"),
        ListColumn(
            key="serial",
            label=N_("Serial number"),
            expr="inventory_item.serial_key",
            indexed=True,
            keyed=True,
            role="c-meta",
            cls="t-mono t-clip",
            cell=_serial,
        ),
        ListColumn(
            key="mac",
            label=N_("MAC address"),
            expr="coalesce(inventory_item.mac, '')",
            sorts=False,
            field="mac_text",
            cls="t-mono t-nowrap",
        ),
        ListColumn(
            key="customer",
            label=N_("Customer"),
            expr="coalesce(lc.name_key, '')",
            keyed=True,
            join="LEFT JOIN customer lc ON lc.id = inventory_item.customer_id",
            cell=lambda row, given: link(f"/customers/{row.customer_id}", row.customer) if row.customer_id else NOTHING,
        ),
        ListColumn(
            key="location",
            label=N_("Location"),
            expr="coalesce(inventory_item.location_id, 0)",
            by="coalesce(ll.name_key, '')",
            join="LEFT JOIN inventory_location ll ON ll.id = inventory_item.location_id",
            kind="choice",
        ),
        ListColumn(key="condition", label=N_("Condition"), expr="inventory_item.condition", kind="choice", sorts=False),
        ListColumn(
            key="status",
            label=N_("Status"),
            expr="inventory_item.status",
            indexed=True,
            kind="choice",
            role="c-status",
            cell=lambda row, given: pill(*pill_of(row.status)),
        ),
        ListColumn(
            key="barcode",
            label=N_("Barcode"),
            expr="coalesce(inventory_item.barcode_key, '')",
            keyed=True,
            shown=False,
            cls="t-mono t-clip",
        ),
        ListColumn(
            key="cost",
            label=N_("Cost price"),
            expr="inventory_item.cost_minor",
            by="coalesce(inventory_item.cost_minor, -1)",
            kind="amount",
            field="cost_minor",
            shown=False,
        ),
        ListColumn(
            key="bought",
            label=N_("Bought on"),
            expr="inventory_item.bought_on",
            by="coalesce(inventory_item.bought_on, '0001-01-01')",
            kind="date",
            field="bought_on",
            shown=False,
        ),
        ListColumn(
            key="note",
            label=N_("Note"),
            expr="inventory_item.note",
            sorts=False,
            shown=False,
            cls="t-clip wide",
        ),
    ),
)


def _product_search(typed: str) -> Condition | None:
    key = sort_key(typed)
    if not key:
        return None
    pattern = "".join(f"~{one}" if one in "%_~" else one for one in key)
    return Condition(
        "(inventory_product.name_key LIKE :words ESCAPE '~' OR inventory_product.vendor_id IN"
        " (SELECT sv.id FROM inventory_vendor sv WHERE sv.name_key >= :vendor AND sv.name_key < :vendor_end))",
        {"words": f"%{pattern}%", "vendor": key, "vendor_end": key + END},
    )


async def product_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    return {"category": [ListChoice(one, one, one) for one in await queries.list_categories() if "," not in one]}


def _in_stock(row: ProductRow, given: Given) -> Markup:
    return Markup('<span class="only-phone">{} </span>{}').format(_("In stock:"), number(row.in_stock))


PRODUCT_LIST: Final = Listing(
    key="inventory.products",
    href="/inventory/products",
    permission="inventory.view",
    title=N_("Products"),
    noun="product",
    placeholder=N_("Model or vendor"),
    none=(
        N_("No products yet"),
        N_(
            "A product is a kind of device: vendor and model, price, warranty."
            " It is made by itself with its first item."
        ),
    ),
    no_match=N_("No product matches"),
    table=InventoryProduct,
    into=ProductRow,
    select=PRODUCTS,
    sort="name",
    search=_product_search,
    choices=product_choices,
    link=lambda row: f"/inventory/products/{row.id}",
    name_of=lambda row: row.name,
    columns=(
        ListColumn(
            key="name", label=N_("Model"), expr="inventory_product.name_key", indexed=True, keyed=True, cls=WIDE
        ),
        ListColumn(
            key="vendor",
            label=N_("Vendor"),
            expr="coalesce(lv.name_key, '')",
            keyed=True,
            join="LEFT JOIN inventory_vendor lv ON lv.id = inventory_product.vendor_id",
            role="c-meta",
        ),
        ListColumn(key="category", label=N_("Category"), expr="inventory_product.category", kind="choice"),
        ListColumn(
            key="price",
            label=N_("Price"),
            expr="inventory_product.sell_minor",
            kind="amount",
            sorts=False,
            field="sell_minor",
            role="c-amount",
        ),
        ListColumn(
            key="warranty",
            label=N_("Warranty"),
            expr="inventory_product.warranty_months",
            kind="number",
            field="warranty_months",
            cell=lambda row, given: warranty_text(row.warranty_months) or NOTHING,
        ),
        ListColumn(
            key="stock",
            label=N_("In stock"),
            expr=IN_STOCK,
            kind="number",
            sorts=False,
            field="in_stock",
            cell=_in_stock,
        ),
        ListColumn(
            key="items",
            label=N_("Items"),
            expr="(SELECT count(*) FROM inventory_item si WHERE si.product_id = inventory_product.id)",
            kind="number",
            sorts=False,
        ),
    ),
)
