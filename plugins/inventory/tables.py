"""Rows of vendors, products, locations, items and imports. Keys, indexes and checks stand in the migration."""

from piccolo.columns import BigInt, Boolean, Date, ForeignKey, Integer, Serial, Text, Timestamptz
from piccolo.table import Table

from core.customers.tables import Customer
from core.database import SHARED, STAFF_ONLY, via
from core.subscriptions.tables import Charge, Subscription


class InventoryVendor(Table):
    """Who makes or delivers hardware."""

    belongs = SHARED

    id: Serial
    name = Text()
    name_key = Text(unique=True)
    contact = Text()
    version = BigInt()


class InventoryProduct(Table):
    """A kind of device: vendor and model, what it costs and what it is sold and rented for, in the tenant's currency.

    `rent_product_id` is the product of the catalogue that it is rented as.
    """

    belongs = SHARED

    id: Serial
    vendor_id = ForeignKey(InventoryVendor, null=True, index=True)
    name = Text()
    name_key = Text()
    category = Text()
    cost_minor = BigInt(null=True)
    sell_minor = BigInt(null=True)
    tax_category = Text()
    tax_inclusive = Boolean()
    rent_product_id = BigInt(null=True)
    warranty_months = Integer()
    note = Text()
    photo_file_id = BigInt(null=True)
    version = BigInt()


class InventoryLocation(Table):
    """Where hardware lies that no customer has: a store room, a van, a site."""

    belongs = SHARED

    id: Serial
    name = Text()
    name_key = Text(unique=True)
    note = Text()
    version = BigInt()


class InventoryImport(Table):
    """A file of items that somebody brought, and what became of it."""

    belongs = STAFF_ONLY

    id: Serial
    state = Text()
    file_name = Text()
    file_id = BigInt(null=True)
    location_id = ForeignKey(InventoryLocation, null=True)
    report = Text()
    job_id = BigInt(null=True)
    made = BigInt()
    made_by = Text()
    created_at = Timestamptz()


class InventoryItem(Table):
    """One device. Without a customer it is the operator's, and unrestricted staff's to see.

    `charge_id` is what it was sold for, `subscription_id` what it is rented as.
    """

    belongs = via("customer_id")

    id: Serial
    product_id = ForeignKey(InventoryProduct, index=True)
    serial = Text()
    serial_key = Text(unique=True)
    mac = Text(null=True, unique=True)
    barcode = Text()
    barcode_key = Text(null=True, unique=True)
    status = Text()
    condition = Text()
    location_id = ForeignKey(InventoryLocation, null=True, index=True)
    customer_id = ForeignKey(Customer, null=True, index=True)
    charge_id = ForeignKey(Charge, null=True)
    subscription_id = ForeignKey(Subscription, null=True)
    cost_minor = BigInt(null=True)
    bought_on = Date(null=True)
    note = Text()
    import_id = ForeignKey(InventoryImport, null=True)
    changed_at = Timestamptz()
    version = BigInt()
