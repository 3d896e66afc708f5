"""Reads of hardware, through the actor's reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.database import row, rows, value, within
from core.documents.files import get_shared_file, read_file
from core.errors import NotFound
from core.ids import sort_key
from core.lists.columns import Condition
from plugins.inventory.identifiers import mac_key, serial_key
from plugins.inventory.schemas import ItemRow, LocationRow, ProductRow, VendorRow
from plugins.inventory.status import LENT, ItemStatus
from plugins.inventory.tables import InventoryItem

if TYPE_CHECKING:
    from core.scope import Scope

ITEMS: Final = """
SELECT inventory_item.id, inventory_item.product_id, coalesce(v.name, '') AS vendor, p.name AS product,
       inventory_item.serial, inventory_item.mac, inventory_item.barcode, inventory_item.status,
       inventory_item.condition, inventory_item.location_id, l.name AS location, inventory_item.customer_id,
       c.full_name AS customer, inventory_item.charge_id, inventory_item.subscription_id,
       inventory_item.cost_minor, inventory_item.bought_on, inventory_item.note, inventory_item.changed_at,
       inventory_item.version
FROM inventory_item
JOIN inventory_product p ON p.id = inventory_item.product_id
LEFT JOIN inventory_vendor v ON v.id = p.vendor_id
LEFT JOIN inventory_location l ON l.id = inventory_item.location_id
LEFT JOIN customer c ON c.id = inventory_item.customer_id
"""
PRODUCTS: Final = """
SELECT inventory_product.id, inventory_product.vendor_id, coalesce(v.name, '') AS vendor, inventory_product.name,
       inventory_product.category, inventory_product.cost_minor, inventory_product.sell_minor,
       inventory_product.tax_category, inventory_product.tax_inclusive, inventory_product.rent_product_id,
       r.name AS rent_product, inventory_product.warranty_months, inventory_product.note,
       inventory_product.photo_file_id, inventory_product.version,
       (SELECT count(*) FROM inventory_item i WHERE i.product_id = inventory_product.id AND i.status = 'in_stock')
           AS in_stock,
       (SELECT count(*) FROM inventory_item i WHERE i.product_id = inventory_product.id) AS items
FROM inventory_product
LEFT JOIN inventory_vendor v ON v.id = inventory_product.vendor_id
LEFT JOIN product r ON r.id = inventory_product.rent_product_id
"""
LABEL_PREFIX: Final = "ITEM-"
"""What a label holds where an item has neither a barcode nor a serial number that fits."""
END: Final = "\U0010ffff"


# -- items ------------------------------------------------------------------------------------------------------------


async def get_item(scope: Scope, item_id: int) -> ItemRow:
    """The item, or NotFound: out of reach as for one that does not exist."""
    found = await row(
        ItemRow,
        f"{ITEMS} WHERE :within AND inventory_item.id = :id",
        within=within(InventoryItem, scope.actor.reach),
        id=item_id,
    )
    if found is None:
        raise NotFound(f"item {item_id}")
    return found


async def item_after(item_id: int) -> ItemRow:
    """As it stands now, for who had it in reach a moment ago."""
    found = await row(ItemRow, f"{ITEMS} WHERE inventory_item.id = :id", id=item_id)
    if found is None:
        raise NotFound(f"item {item_id}")
    return found


async def find_by_code(scope: Scope, code: str) -> list[ItemRow]:
    """What a scanner read: the whole barcode, serial number, MAC address, or the number of our own label."""
    typed = code.strip()[:200]
    if not typed:
        return []
    number = typed.upper().removeprefix(LABEL_PREFIX) if typed.upper().startswith(LABEL_PREFIX) else ""
    return await rows(
        ItemRow,
        f"{ITEMS} WHERE :within AND (inventory_item.barcode_key = :key OR inventory_item.serial_key = :key"
        " OR inventory_item.mac = :mac OR inventory_item.id = :id) ORDER BY inventory_item.id LIMIT 5",
        within=within(InventoryItem, scope.actor.reach),
        key=serial_key(typed),
        mac=mac_key(typed) or None,
        id=int(number) if number.isdecimal() and len(number) < 19 else 0,
    )


def item_search(typed: str) -> Condition | None:
    """The beginning of a serial number, barcode or MAC address, a word of the product, or a customer's name."""
    key = sort_key(typed)
    if not key:
        return None
    code = serial_key(typed)
    mac = "".join(one for one in typed.lower() if one in "0123456789abcdef")
    pattern = "".join(f"~{one}" if one in "%_~" else one for one in key)
    values: dict[str, object] = {"code": code, "code_end": code + END, "name": f"%{pattern}%"}
    values.update(customer=key, customer_end=key + END)
    ways = [
        "(inventory_item.serial_key >= :code AND inventory_item.serial_key < :code_end)",
        "(inventory_item.barcode_key >= :code AND inventory_item.barcode_key < :code_end)",
        "inventory_item.product_id IN (SELECT sp.id FROM inventory_product sp LEFT JOIN inventory_vendor sv"
        " ON sv.id = sp.vendor_id WHERE sp.name_key LIKE :name ESCAPE '~' OR sv.name_key LIKE :name ESCAPE '~')",
        "inventory_item.customer_id IN (SELECT sc.id FROM customer sc"
        " WHERE sc.name_key >= :customer AND sc.name_key < :customer_end)",
    ]
    if len(mac) >= 4:
        ways.append("(inventory_item.mac >= :mac AND inventory_item.mac < :mac_end)")
        values.update(mac=mac, mac_end=mac + END)
    return Condition(f"({' OR '.join(ways)})", values)


async def search_items(scope: Scope, text: str, limit: int) -> list[ItemRow]:
    """For the search on top of every page."""
    condition = item_search(text)
    if condition is None:
        return []
    return await rows(
        ItemRow,
        f"{ITEMS} WHERE :within AND {condition.sql} ORDER BY inventory_item.id LIMIT :limit",
        within=within(InventoryItem, scope.actor.reach),
        limit=limit,
        **condition.values,
    )


async def list_of_customer(scope: Scope, customer_id: int, *, after: int = 0, limit: int = 200) -> list[ItemRow]:
    """By id; `after` is where the last page ended."""
    return await rows(
        ItemRow,
        f"{ITEMS} WHERE :within AND inventory_item.customer_id = :customer_id AND inventory_item.id > :after"
        " ORDER BY inventory_item.id LIMIT :limit",
        within=within(InventoryItem, scope.actor.reach),
        customer_id=customer_id,
        after=after,
        limit=limit,
    )


async def lent_to(customer_id: int) -> list[ItemRow]:
    """What a customer has that is not its own, and was not asked back yet."""
    return await rows(
        ItemRow,
        f"{ITEMS} WHERE inventory_item.customer_id = :customer_id AND inventory_item.status IN :states"
        " ORDER BY inventory_item.id",
        customer_id=customer_id,
        states=sorted(LENT),
    )


async def rented_as(subscription_ids: Sequence[int]) -> list[ItemRow]:
    """What customers have as these subscriptions, and was not asked back yet."""
    return await rows(
        ItemRow,
        f"{ITEMS} WHERE inventory_item.subscription_id IN :ids AND inventory_item.status = :status"
        " ORDER BY inventory_item.id",
        ids=list(subscription_ids),
        status=ItemStatus.RENTED.value,
    )


class _Count(Struct, frozen=True):
    customer_id: int
    items: int


async def count_by_customer(scope: Scope, customer_ids: Sequence[int]) -> dict[int, int]:
    """How many devices each of these customers has, in one query."""
    found = await rows(
        _Count,
        "SELECT customer_id, count(*) AS items FROM inventory_item"
        " WHERE customer_id IN :ids AND :within GROUP BY customer_id",
        ids=list(customer_ids),
        within=within(InventoryItem, scope.actor.reach),
    )
    return {one.customer_id: one.items for one in found}


async def count_waiting(scope: Scope) -> int:
    """Devices that customers still have to give back."""
    return int(
        await value(
            "SELECT count(*) FROM inventory_item WHERE status = :status AND :within",
            status=ItemStatus.TO_RETURN.value,
            within=within(InventoryItem, scope.actor.reach),
        )
    )


# -- vendors, products, locations -------------------------------------------------------------------------------------


_VENDORS: Final = (
    "SELECT id, name, contact, version,"
    " (SELECT count(*) FROM inventory_product p WHERE p.vendor_id = inventory_vendor.id) AS products"
    " FROM inventory_vendor"
)


async def list_vendors() -> list[VendorRow]:
    return await rows(
        VendorRow,
        f"{_VENDORS} ORDER BY name_key, id",
    )


async def get_vendor(vendor_id: int) -> VendorRow:
    found = await row(
        VendorRow,
        f"{_VENDORS} WHERE id = :id",
        id=vendor_id,
    )
    if found is None:
        raise NotFound(f"vendor {vendor_id}")
    return found


_LOCATIONS: Final = (
    "SELECT id, name, note, version,"
    " (SELECT count(*) FROM inventory_item i WHERE i.location_id = inventory_location.id) AS items"
    " FROM inventory_location"
)


async def list_locations() -> list[LocationRow]:
    return await rows(LocationRow, f"{_LOCATIONS} ORDER BY name_key, id")


async def get_location(location_id: int) -> LocationRow:
    found = await row(LocationRow, f"{_LOCATIONS} WHERE id = :id", id=location_id)
    if found is None:
        raise NotFound(f"location {location_id}")
    return found


async def get_product(product_id: int) -> ProductRow:
    found = await row(ProductRow, f"{PRODUCTS} WHERE inventory_product.id = :id", id=product_id)
    if found is None:
        raise NotFound(f"product {product_id}")
    return found


async def read_photo(scope: Scope, product_id: int) -> bytes:
    """The product's picture as JPEG, or NotFound where it has none."""
    found = await get_product(product_id)
    if found.photo_file_id is None:
        raise NotFound(f"photo of product {product_id}")
    return await read_file(scope, await get_shared_file(found.photo_file_id))


async def list_product_names() -> list[ProductRow]:
    """All of them by name, for forms."""
    return await rows(ProductRow, f"{PRODUCTS} ORDER BY inventory_product.name_key, inventory_product.id")


async def list_categories() -> list[str]:
    return [
        one.name
        for one in await rows(
            _Name, "SELECT DISTINCT category AS name FROM inventory_product WHERE category <> '' ORDER BY category"
        )
    ]


class _Name(Struct, frozen=True):
    name: str
