"""Adding, assigning, returning and writing off items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.unit import record, unit_of_work
from core.customers.queries import get_customer
from core.database import execute, value
from core.errors import Conflict, Invalid
from core.ids import sort_key
from plugins.inventory.events import (
    InventoryItemAdded,
    InventoryItemAssigned,
    InventoryItemReturned,
    InventoryItemWrittenOff,
    InventoryReturnAsked,
)
from plugins.inventory.queries import get_item, list_of_customer
from plugins.inventory.status import LABELS, TRANSITIONS, ItemStatus
from plugins.inventory.tables import InventoryItem, InventoryProduct

if TYPE_CHECKING:
    from core.scope import Scope
    from plugins.inventory.schemas import ItemRow, NewItem


async def add_item(scope: Scope, data: NewItem) -> int:
    """A device in stock; gives its id. A serial number exists once."""
    serial = " ".join(data.serial.split())
    async with unit_of_work(scope):
        if await value("SELECT 1 FROM inventory_item WHERE serial_key = :key", key=sort_key(serial)):
            raise Invalid("An item with this serial number is there already.", field="serial")
        item = InventoryItem(
            product_id=await _product(data.vendor.strip(), " ".join(data.product.split())),
            serial=serial,
            serial_key=sort_key(serial),
            barcode=data.barcode.strip(),
            status=ItemStatus.IN_STOCK.value,
            customer_id=None,
            note=data.note,
            changed_at=scope.now(),
        )
        await item.save()
        record(scope, InventoryItemAdded(inventory_item_id=int(item.id)), changes={"serial": (None, serial)})
        return int(item.id)


async def _product(vendor: str, name: str) -> int:
    found = await value(
        "SELECT id FROM inventory_product WHERE vendor = :vendor AND name = :name", vendor=vendor, name=name
    )
    if found is None:
        product = InventoryProduct(vendor=vendor, name=name)
        await product.save()
        found = product.id
    return int(found)


async def assign_item(scope: Scope, item_id: int, customer_id: int) -> None:
    """Give an item to a customer."""
    async with unit_of_work(scope):
        item = await get_item(scope, item_id)
        await get_customer(scope, customer_id)
        await _move(scope, item, ItemStatus.ASSIGNED, customer_id)
        record(scope, InventoryItemAssigned(inventory_item_id=item_id, customer_id=customer_id, serial=item.serial))


async def return_item(scope: Scope, item_id: int) -> None:
    """The item is back in stock."""
    async with unit_of_work(scope):
        item = await get_item(scope, item_id)
        if item.customer_id is None:
            raise Conflict("Nobody has this item: there is nothing to return.")
        await _move(scope, item, ItemStatus.IN_STOCK, None)
        record(
            scope, InventoryItemReturned(inventory_item_id=item_id, customer_id=item.customer_id, serial=item.serial)
        )


async def write_off_item(scope: Scope, item_id: int) -> None:
    """Lost or broken: it is counted no more."""
    async with unit_of_work(scope):
        item = await get_item(scope, item_id)
        await _move(scope, item, ItemStatus.WRITTEN_OFF, None)
        record(scope, InventoryItemWrittenOff(inventory_item_id=item_id))


async def ask_back(scope: Scope, customer_id: int) -> int:
    """All that a customer who has ended still has is to be returned; gives how many items."""
    async with unit_of_work(scope):
        items = [item for item in await list_of_customer(scope, customer_id) if item.status == ItemStatus.ASSIGNED]
        for item in items:
            await _move(scope, item, ItemStatus.TO_RETURN, customer_id)
            record(scope, InventoryReturnAsked(inventory_item_id=item.id, customer_id=customer_id, serial=item.serial))
        return len(items)


async def _move(scope: Scope, item: ItemRow, to: ItemStatus, customer_id: int | None) -> None:
    before = ItemStatus(item.status)
    if to not in TRANSITIONS[before]:
        raise Conflict(f"An item that is {LABELS[before][0].lower()} cannot become {LABELS[to][0].lower()}.")
    await execute(
        "UPDATE inventory_item SET status = :status, customer_id = :customer_id, changed_at = :now WHERE id = :id",
        status=to.value,
        customer_id=customer_id,
        now=scope.now(),
        id=item.id,
    )
