"""What happened to items."""

from core.activity.events import Event


class InventoryItemAdded(Event, subject="inventory_item"):
    inventory_item_id: int


class InventoryItemAssigned(Event, subject="inventory_item"):
    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryItemReturned(Event, subject="inventory_item"):
    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryReturnAsked(Event, subject="inventory_item"):
    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryItemWrittenOff(Event, subject="inventory_item"):
    inventory_item_id: int
