"""What the plugin's pages and API take and give. Amounts are in minor units of the tenant's currency."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from core.ids import Id
from plugins.inventory.identifiers import mac_text

Name = Annotated[str, Meta(min_length=1, max_length=120)]
Text = Annotated[str, Meta(max_length=120)]
Note = Annotated[str, Meta(max_length=2000)]
AmountMinor = Annotated[int, Meta(ge=0, le=10**12)]
Shape = Literal["new", "used", "broken"]


class VendorFields(Struct, frozen=True, forbid_unknown_fields=True):
    """Who makes or delivers hardware."""

    name: Name
    contact: Annotated[str, Meta(max_length=500)] = ""


class VendorPut(VendorFields, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of a vendor, against the version that was read: in `version`, or in `If-Match`."""

    version: Annotated[int, Meta(ge=1)] | None = None


class LocationFields(Struct, frozen=True, forbid_unknown_fields=True):
    """Where hardware lies: a store room, a van, a site."""

    name: Name
    note: Annotated[str, Meta(max_length=500)] = ""


class LocationPut(LocationFields, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of a location, against the version that was read: in `version`, or in `If-Match`."""

    version: Annotated[int, Meta(ge=1)] | None = None


class ProductFields(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A kind of device. Its vendor is found by name, or made.

    `rent_product_id` is the product of the catalogue that it is rented as.
    """

    name: Name
    vendor: Text = ""
    category: Text = ""
    cost_minor: AmountMinor | None = None
    sell_minor: AmountMinor | None = None
    tax_category: Annotated[str, Meta(max_length=60)] = "standard"
    tax_inclusive: bool = False
    rent_product_id: Id | None = None
    warranty_months: Annotated[int, Meta(ge=0, le=600)] = 0
    note: Note = ""


class ProductChange(ProductFields, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All fields of a product, against the version that was read."""

    version: Annotated[int, Meta(ge=1)]


class NewItem(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A device; its product and location are found by their names, or made."""

    product: Name
    serial: Name
    vendor: Text = ""
    mac: Annotated[str, Meta(max_length=40)] = ""
    barcode: Annotated[str, Meta(max_length=80)] = ""
    location: Text = ""
    condition: Shape = "new"
    cost_minor: AmountMinor | None = None
    bought_on: date | None = None
    note: Note = ""


class ItemFields(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What can be changed about a device that is there. Without `product_id` it stays what it is."""

    product_id: Id | None = None
    serial: Name
    mac: Annotated[str, Meta(max_length=40)] = ""
    barcode: Annotated[str, Meta(max_length=80)] = ""
    condition: Shape = "new"
    cost_minor: AmountMinor | None = None
    bought_on: date | None = None
    note: Note = ""


class ItemChange(ItemFields, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All fields of an item, against the version that was read."""

    version: Annotated[int, Meta(ge=1)]


class Assignment(Struct, frozen=True, forbid_unknown_fields=True):
    """To whom it is lent."""

    customer_id: Id


class Sale(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Left out: the customer who has it, the product's price and tax.

    The amount is in the customer's currency; `invoice` says whether it waits for the next invoice or is invoiced now,
    with everything that is open for whoever pays.
    """

    customer_id: Id | None = None
    amount_minor: AmountMinor | None = None
    tax_category: Annotated[str, Meta(max_length=60)] | None = None
    tax_inclusive: bool | None = None
    invoice: Literal["next", "now"] = "next"


class Rental(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """At a price of the catalogue, or at another amount agreed. Left out: the customer who has it, the first price of
    what the product is rented as, today.
    """

    customer_id: Id | None = None
    price_id: Id | None = None
    amount_minor: AmountMinor | None = None
    starts_on: date | None = None


class Return(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where it goes and in what shape. `checked`: it can be given out again.

    `rent` says what becomes of the subscription that it is rented as: over today, at its expiry, or left alone.
    """

    location_id: Id | None = None
    condition: Shape | None = None
    checked: bool = True
    rent: Literal["today", "expiry", "leave"] = "today"


class Move(Struct, frozen=True, forbid_unknown_fields=True):
    """To which location; null: none."""

    location_id: Id | None = None


class WriteOff(Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is counted no more."""

    reason: Annotated[str, Meta(max_length=500)] = ""


class VendorRow(Struct, frozen=True):
    id: int
    name: str
    contact: str
    version: int
    products: int


class LocationRow(Struct, frozen=True):
    id: int
    name: str
    note: str
    version: int
    items: int


class ProductRow(Struct, frozen=True):
    """A kind of device, with how many are in stock, out with customers, and there at all."""

    id: int
    vendor_id: int | None
    vendor: str
    name: str
    category: str
    cost_minor: int | None
    sell_minor: int | None
    tax_category: str
    tax_inclusive: bool
    rent_product_id: int | None
    rent_product: str | None
    warranty_months: int
    note: str
    photo_file_id: int | None
    version: int
    in_stock: int
    items: int

    @property
    def full_name(self) -> str:
        return f"{self.vendor} {self.name}".strip()


class ItemRow(Struct, frozen=True):
    """A device with its product, and where it is. `mac` is twelve hexadecimal digits."""

    id: int
    product_id: int
    vendor: str
    product: str
    serial: str
    mac: str | None
    barcode: str
    status: str
    condition: str
    location_id: int | None
    location: str | None
    customer_id: int | None
    customer: str | None
    charge_id: int | None
    subscription_id: int | None
    cost_minor: int | None
    bought_on: date | None
    note: str
    changed_at: datetime
    version: int

    @property
    def name(self) -> str:
        """Vendor and model."""
        return f"{self.vendor} {self.product}".strip()

    @property
    def mac_text(self) -> str:
        return mac_text(self.mac)


class ValueRow(Struct, frozen=True):
    """How many devices stand under a heading, and what they cost. `unpriced` of them have no cost price."""

    id: int | None
    label: str
    items: int
    unpriced: int
    cost_minor: int


class Valuation(Struct, frozen=True):
    """What the hardware that the operator owns has cost, in the tenant's currency."""

    currency: str
    items: int
    unpriced: int
    cost_minor: int
    by_location: list[ValueRow]
    by_product: list[ValueRow]
    by_state: list[ValueRow]
