"""What happened to hardware."""

from core.activity.events import Event


class InventoryVendorAdded(Event, subject="inventory_vendor"):
    inventory_vendor_id: int


class InventoryVendorChanged(Event, subject="inventory_vendor"):
    inventory_vendor_id: int


class InventoryLocationAdded(Event, subject="inventory_location"):
    inventory_location_id: int


class InventoryLocationChanged(Event, subject="inventory_location"):
    inventory_location_id: int


class InventoryProductAdded(Event, subject="inventory_product"):
    inventory_product_id: int


class InventoryProductChanged(Event, subject="inventory_product"):
    inventory_product_id: int


class InventoryItemAdded(Event, subject="inventory_item"):
    inventory_item_id: int


class InventoryItemChanged(Event, subject="inventory_item"):
    inventory_item_id: int
    customer_id: int | None = None


class InventoryItemAssigned(Event, subject="inventory_item"):
    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryItemSold(Event, subject="inventory_item"):
    inventory_item_id: int
    customer_id: int
    serial: str
    charge_id: int


class InventoryItemRented(Event, subject="inventory_item"):
    inventory_item_id: int
    customer_id: int
    serial: str
    subscription_id: int


class InventoryReturnAsked(Event, subject="inventory_item"):
    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryItemKept(Event, subject="inventory_item"):
    """It was asked back, and stays after all."""

    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryItemReturned(Event, subject="inventory_item"):
    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryItemMoved(Event, subject="inventory_item"):
    inventory_item_id: int


class InventoryItemRestocked(Event, subject="inventory_item"):
    inventory_item_id: int


class InventoryItemInUse(Event, subject="inventory_item"):
    inventory_item_id: int


class InventoryItemWrittenOff(Event, subject="inventory_item"):
    inventory_item_id: int
    customer_id: int | None = None


class InventoryImportTaken(Event, subject="inventory_import"):
    """A file of items was taken over; each of them is told too."""

    inventory_import_id: int
    made: int
