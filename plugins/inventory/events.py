"""What happened to hardware."""

from core.activity.events import Event, Reading
from core.texts import N_
from plugins.inventory.status import CONDITIONS, LABELS

YES_OR_NO = {"yes": N_("Yes"), "no": N_("No")}
ITEM_FIELDS = {
    "product": Reading(N_("Product")),
    "status": Reading(
        N_("Status"), words={"Sold": N_("Sold to customer"), **{label: label for label, _kind in LABELS.values()}}
    ),
    "serial": Reading(N_("Serial number")),
    "mac": Reading(N_("MAC address")),
    "barcode": Reading(N_("Barcode")),
    "condition": Reading(N_("Condition"), words={key.value: label for key, label in CONDITIONS.items()}),
    "cost_minor": Reading(N_("Cost price"), own=True),
    "bought_on": Reading(N_("Bought on")),
    "location": Reading(N_("Location")),
    "note": Reading(N_("Note")),
    "reason": Reading(N_("Why")),
}
PRODUCT_FIELDS = {
    "name": Reading(N_("Model")),
    "vendor": Reading(N_("Vendor")),
    "category": Reading(N_("Category")),
    "cost_minor": Reading(N_("Cost price"), own=True),
    "sell_minor": Reading(N_("Price"), own=True),
    "tax_category": Reading(N_("Tax")),
    "tax_inclusive": Reading(N_("Includes tax"), words=YES_OR_NO),
    "rent_product": Reading(N_("Rented as")),
    "rent_product_id": Reading(N_("Rented as")),
    "warranty_months": Reading(N_("Warranty, months")),
    "note": Reading(N_("Note")),
    "photo": Reading(N_("Photo"), words=YES_OR_NO),
}
PLACE_FIELDS = {"name": Reading(N_("Name")), "note": Reading(N_("Note")), "contact": Reading(N_("Contact"))}


class InventoryVendorAdded(Event, subject="inventory_vendor", text="Vendor added", fields=PLACE_FIELDS):
    inventory_vendor_id: int


class InventoryVendorChanged(Event, subject="inventory_vendor", text="Vendor changed", fields=PLACE_FIELDS):
    inventory_vendor_id: int


class InventoryLocationAdded(Event, subject="inventory_location", text="Location added", fields=PLACE_FIELDS):
    inventory_location_id: int


class InventoryLocationChanged(Event, subject="inventory_location", text="Location changed", fields=PLACE_FIELDS):
    inventory_location_id: int


class InventoryProductAdded(Event, subject="inventory_product", text="Hardware product added", fields=PRODUCT_FIELDS):
    inventory_product_id: int


class InventoryProductChanged(
    Event, subject="inventory_product", text="Hardware product changed", fields=PRODUCT_FIELDS
):
    inventory_product_id: int


class InventoryItemAdded(Event, subject="inventory_item", text="Hardware added to the stock", fields=ITEM_FIELDS):
    inventory_item_id: int


class InventoryItemChanged(Event, subject="inventory_item", text="Hardware changed", fields=ITEM_FIELDS):
    inventory_item_id: int
    customer_id: int | None = None


class InventoryItemAssigned(Event, subject="inventory_item", text="Hardware {serial} assigned", fields=ITEM_FIELDS):
    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryItemSold(Event, subject="inventory_item", text="Hardware {serial} sold", fields=ITEM_FIELDS):
    inventory_item_id: int
    customer_id: int
    serial: str
    charge_id: int


class InventoryItemRented(Event, subject="inventory_item", text="Hardware {serial} rented out", fields=ITEM_FIELDS):
    inventory_item_id: int
    customer_id: int
    serial: str
    subscription_id: int


class InventoryReturnAsked(Event, subject="inventory_item", text="Hardware {serial} asked back", fields=ITEM_FIELDS):
    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryItemKept(
    Event, subject="inventory_item", text="Hardware {serial} left with the customer", fields=ITEM_FIELDS
):
    """It was asked back, and stays after all."""

    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryItemReturned(Event, subject="inventory_item", text="Hardware {serial} taken back", fields=ITEM_FIELDS):
    inventory_item_id: int
    customer_id: int
    serial: str


class InventoryItemMoved(Event, subject="inventory_item", text="Hardware moved", fields=ITEM_FIELDS):
    inventory_item_id: int


class InventoryItemRestocked(Event, subject="inventory_item", text="Hardware put into stock", fields=ITEM_FIELDS):
    inventory_item_id: int


class InventoryItemInUse(Event, subject="inventory_item", text="Hardware put to use", fields=ITEM_FIELDS):
    inventory_item_id: int


class InventoryItemWrittenOff(Event, subject="inventory_item", text="Hardware written off", fields=ITEM_FIELDS):
    inventory_item_id: int
    customer_id: int | None = None


class InventoryImportTaken(Event, subject="inventory_import", text="Import of hardware: {made} items"):
    """A file of items was taken over; each of them is told too."""

    inventory_import_id: int
    made: int
