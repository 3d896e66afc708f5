"""The lists of items and products, as they are declared for their pages and for the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from core.ids import sort_key
from core.lists.columns import Condition, ListChoice, ListColumn
from core.lists.listing import Choices, Listing
from core.texts import N_, _
from plugins.inventory import queries
from plugins.inventory.queries import END, ITEMS, PRODUCTS, item_search
from plugins.inventory.schemas import ItemRow, ProductRow
from plugins.inventory.status import CONDITIONS, LABELS, pill_of
from plugins.inventory.tables import InventoryItem, InventoryProduct

if TYPE_CHECKING:
    from core.web.view import PageView

ITEM_LIST: Final = Listing(
    href="/inventory/items",
    table=InventoryItem,
    into=ItemRow,
    select=ITEMS,
    noun="item",
    sort="-id",
    search=item_search,
    columns=(
        ListColumn(
            key="product",
            label=N_("Product"),
            expr="lp.name_key",
            keyed=True,
            join="JOIN inventory_product lp ON lp.id = inventory_item.product_id",
        ),
        ListColumn(key="id", label=N_("Id"), expr="inventory_item.id", kind="number"),
        ListColumn(key="serial", label=N_("Serial number"), expr="inventory_item.serial_key", keyed=True),
        ListColumn(key="mac", label=N_("MAC address"), expr="coalesce(inventory_item.mac, '')", sorts=False),
        ListColumn(
            key="customer",
            label=N_("Customer"),
            expr="coalesce(lc.name_key, '')",
            keyed=True,
            join="LEFT JOIN customer lc ON lc.id = inventory_item.customer_id",
        ),
        ListColumn(
            key="location",
            label=N_("Location"),
            expr="coalesce(inventory_item.location_id, 0)",
            kind="choice",
            sorts=False,
        ),
        ListColumn(key="condition", label=N_("Condition"), expr="inventory_item.condition", kind="choice", sorts=False),
        ListColumn(key="status", label=N_("Status"), expr="inventory_item.status", kind="choice"),
    ),
    heads={"product": "c-name", "serial": "c-meta", "status": "c-status"},
)


async def item_choices() -> Choices:
    """What columns of choices can be filtered by."""
    return {
        "status": [ListChoice(key.value, pill_of(key)[0], key.value) for key in LABELS],
        "condition": [ListChoice(key.value, _(label), key.value) for key, label in CONDITIONS.items()],
        "location": [
            *(ListChoice(str(one.id), one.name, one.id) for one in await queries.list_locations()),
            ListChoice("0", _("No location"), 0),
        ],
    }


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


PRODUCT_LIST: Final = Listing(
    href="/inventory/products",
    table=InventoryProduct,
    into=ProductRow,
    select=PRODUCTS,
    noun="product",
    sort="name",
    search=_product_search,
    columns=(
        ListColumn(key="name", label=N_("Model"), expr="inventory_product.name_key", keyed=True),
        ListColumn(
            key="vendor",
            label=N_("Vendor"),
            expr="coalesce(lv.name_key, '')",
            keyed=True,
            join="LEFT JOIN inventory_vendor lv ON lv.id = inventory_product.vendor_id",
        ),
        ListColumn(key="category", label=N_("Category"), expr="inventory_product.category", kind="choice"),
        ListColumn(key="price", label=N_("Price"), expr="inventory_product.sell_minor", kind="amount", sorts=False),
        ListColumn(key="warranty", label=N_("Warranty"), expr="inventory_product.warranty_months", kind="number"),
        ListColumn(
            key="stock",
            label=N_("In stock"),
            expr="(SELECT count(*) FROM inventory_item si"
            " WHERE si.product_id = inventory_product.id AND si.status = 'in_stock')",
            kind="number",
            sorts=False,
        ),
        ListColumn(
            key="items",
            label=N_("Items"),
            expr="(SELECT count(*) FROM inventory_item si WHERE si.product_id = inventory_product.id)",
            kind="number",
            sorts=False,
        ),
    ),
    heads={"name": "c-name", "vendor": "c-meta", "price": "c-amount", "stock": "c-status"},
)


async def product_choices() -> Choices:
    return {"category": [ListChoice(one, one, one) for one in await queries.list_categories() if "," not in one]}


async def item_values(view: PageView) -> dict[str, Any]:
    """The values of inventory/_items.html for the address that was asked for."""
    return await ITEM_LIST.show(view, choices=await item_choices())


async def product_values(view: PageView) -> dict[str, Any]:
    """The values of inventory/_products.html for the address that was asked for."""
    return await PRODUCT_LIST.show(view, choices=await product_choices())
