"""Reads of items, through the actor's reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from core.database import row, rows, value, within
from core.errors import NotFound
from core.ids import sort_key
from plugins.inventory.schemas import ItemRow
from plugins.inventory.tables import InventoryItem

if TYPE_CHECKING:
    from core.scope import Scope

ITEM = """
SELECT inventory_item.id, p.vendor, p.name AS product, inventory_item.serial, inventory_item.barcode,
       inventory_item.status, inventory_item.customer_id, customer.full_name AS customer, inventory_item.note,
       inventory_item.changed_at
FROM inventory_item
JOIN inventory_product p ON p.id = inventory_item.product_id
LEFT JOIN customer ON customer.id = inventory_item.customer_id
WHERE :within
"""


async def get_item(scope: Scope, item_id: int) -> ItemRow:
    found = await row(
        ItemRow, f"{ITEM} AND inventory_item.id = :id", within=within(InventoryItem, scope.actor.reach), id=item_id
    )
    if found is None:
        raise NotFound(f"item {item_id}")
    return found


async def list_items(scope: Scope, *, q: str = "", status: str = "", after: int = 0, limit: int = 50) -> list[ItemRow]:
    """Items by id, from behind `after` on; `q` is the beginning of a serial number or barcode."""
    conditions, values = ["inventory_item.id > :after"], dict[str, Any](after=after, limit=limit)
    if q:
        conditions.append(
            "((inventory_item.serial_key >= :q AND inventory_item.serial_key < :end)"
            " OR inventory_item.barcode = :barcode)"
        )
        values.update(q=sort_key(q), end=sort_key(q) + "\U0010ffff", barcode=q)
    if status:
        conditions.append("inventory_item.status = :status")
        values["status"] = status
    return await rows(
        ItemRow,
        f"{ITEM} AND {' AND '.join(conditions)} ORDER BY inventory_item.id LIMIT :limit",
        within=within(InventoryItem, scope.actor.reach),
        **values,
    )


async def list_of_customer(scope: Scope, customer_id: int) -> list[ItemRow]:
    return await rows(
        ItemRow,
        f"{ITEM} AND inventory_item.customer_id = :customer_id ORDER BY inventory_item.id LIMIT 100",
        within=within(InventoryItem, scope.actor.reach),
        customer_id=customer_id,
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
            "SELECT count(*) FROM inventory_item WHERE status = 'to_return' AND :within",
            within=within(InventoryItem, scope.actor.reach),
        )
    )
