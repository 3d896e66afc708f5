"""What happened to the catalogue."""

from core.activity.events import Event


class ProductCreated(Event, subject="product"):
    product_id: int


class ProductChanged(Event, subject="product"):
    product_id: int


class ProductGroupCreated(Event, subject="product_group"):
    product_group_id: int


class PriceSet(Event, subject="product"):
    product_id: int
    price_id: int


class TaxRateSet(Event, subject="tax_rate"):
    tax_rate_id: int


class TaxCategoryCreated(Event, subject="tax_category"):
    tax_category_id: int


class BundleCreated(Event, subject="bundle"):
    bundle_id: int


class BundleChanged(Event, subject="bundle"):
    bundle_id: int


class BundlePriceSet(Event, subject="bundle"):
    bundle_id: int
    price_id: int
