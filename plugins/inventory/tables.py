"""Rows of products and items."""

from piccolo.columns import ForeignKey, Serial, Text, Timestamptz
from piccolo.table import Table

from core.customers.tables import Customer
from core.database import SHARED, via


class InventoryProduct(Table):
    """A kind of device: vendor and model."""

    belongs = SHARED

    id: Serial
    vendor = Text()
    name = Text()


class InventoryItem(Table):
    """One device. Without a customer it is in stock, and unrestricted staff's to see."""

    belongs = via("customer_id")

    id: Serial
    product_id = ForeignKey(InventoryProduct, index=True)
    serial = Text()
    serial_key = Text(unique=True)
    barcode = Text()
    status = Text()
    customer_id = ForeignKey(Customer, null=True, index=True)
    note = Text()
    changed_at = Timestamptz()
