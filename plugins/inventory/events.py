"""What happened to hardware."""

from core.activity.events import Event


class InventoryVendorAdded(Event, subject="inventory_vendor", text="Vendor added"):
    inventory_vendor_id: int


class InventoryVendorChanged(Event, subject="inventory_vendor", text="Vendor changed"):
    inventory_vendor_id: int


class InventoryLocationAdded(Event, subject="inventory_location", text="Location added"):
    inventory_location_id: int


class InventoryLocationChanged(Event, subject="inventory_location", text="Location changed"):
    inventory_location_id: int


class InventoryProductAdded(Event, subject="inventory_product", text="Hardware product added"):
    inventory_product_id: int


class InventoryProductChanged(Event, subject="inventory_product", text="Hardware product changed"):
    inventory_product_id: int


class InventoryItemAdded(Event, subject="inventory_item", text="Hardware added to the stock"):
    inventory_item_id: int


class InventoryItemChanged(Event, subject="inventory_item", text="Hardware changed"):
    inventory_item_id: int
    customer_id: int | None = None


class InventoryItemAssigned(Event, subject="inventory_item", text="Hardware {serial} assigned"):
    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryItemSold(Event, subject="inventory_item", text="Hardware {serial} sold"):
    inventory_item_id: int
    customer_id: int
    serial: str
    charge_id: int


class InventoryItemRented(Event, subject="inventory_item", text="Hardware {serial} rented out"):
    inventory_item_id: int
    customer_id: int
    serial: str
    subscription_id: int


class InventoryReturnAsked(Event, subject="inventory_item", text="Hardware {serial} asked back"):
    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryItemKept(Event, subject="inventory_item", text="Hardware {serial} left with the customer"):
    """It was asked back, and stays after all."""

    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryItemReturned(Event, subject="inventory_item", text="Hardware {serial} taken back"):
    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryItemMoved(Event, subject="inventory_item", text="Hardware moved"):
    inventory_item_id: int


class InventoryItemRestocked(Event, subject="inventory_item", text="Hardware put into stock"):
    inventory_item_id: int


class InventoryItemInUse(Event, subject="inventory_item", text="Hardware put to use"):
    inventory_item_id: int


class InventoryItemWrittenOff(Event, subject="inventory_item", text="Hardware written off"):
    inventory_item_id: int
    customer_id: int | None = None


class InventoryImportTaken(Event, subject="inventory_import", text="Import of hardware: {made} items"):
    """A file of items was taken over; each of them is told too."""

    inventory_import_id: int
    made: int
