"""Rows of the catalogue. Keys, indexes and checks stand in the migrations."""

from piccolo.columns import BigInt, Boolean, Date, ForeignKey, Integer, Text
from piccolo.table import Table

from core.database import SHARED


class TaxCategory(Table):
    """A kind of supply that is taxed alike: standard, reduced, zero, outside VAT, and what the tenant adds.

    `einvoice_code` is the category of EN 16931 that it has at home: S taxed, Z zero rated, E exempt, O outside VAT.
    """

    belongs = SHARED

    code = Text(unique=True)
    name = Text()
    einvoice_code = Text()
    position = Integer()


class TaxRate(Table):
    """The rate of a category in a country from a date on, in millionths: 20 % is 200,000."""

    belongs = SHARED

    country = Text()
    category = Text()
    valid_from = Date()
    rate_ppm = BigInt()


class ProductGroup(Table):
    """Products of which a customer has one live at a time (plans), or many (modules, services)."""

    belongs = SHARED

    code = Text(unique=True)
    name = Text()
    one_live = Boolean()
    position = Integer()


class Product(Table):
    """What is sold: a plan, module or service by the cycle, or a one-off item.

    Its terms are copied when a subscription starts, so that changing it changes nobody's subscription. `change_policy`
    is JSON by direction (upgrade, downgrade, cycle): when, what becomes of the unused part, fee, minimum.
    """

    belongs = SHARED

    code = Text(unique=True)
    name = Text()
    name_key = Text()
    description = Text()
    group_id = ForeignKey(ProductGroup, null=True, index=True)
    kind = Text()
    rank = Integer()
    timing = Text()
    activation = Text()
    trial_days = Integer()
    at_trial_end = Text()
    proration = Text()
    final_proration = Text()
    pending_days = Integer()
    tax_category = Text()
    requires_group_id = ForeignKey(ProductGroup, null=True)
    min_term_unit = Text(null=True)
    min_term_count = Integer(null=True)
    notice_days = Integer()
    renew_unit = Text(null=True)
    renew_count = Integer(null=True)
    change_policy = Text()
    available_from = Date(null=True)
    available_to = Date(null=True)
    position = Integer()
    version = BigInt()


class PriceList(Table):
    """Prices that belong together: retail, or a reseller's."""

    belongs = SHARED

    code = Text(unique=True)
    name = Text()
    is_default = Boolean()


class Price(Table):
    """What a product costs for a cycle in a currency, from a date on. `once` is the cycle of one-off items.

    `termination_minor` is charged for an end before the contract allows it; `intro_minor` is the price of the first
    `intro_cycles`.
    """

    belongs = SHARED

    product_id = ForeignKey(Product, index=True)
    price_list_id = ForeignKey(PriceList)
    currency = Text()
    cycle_unit = Text()
    cycle_count = Integer()
    amount_minor = BigInt()
    setup_minor = BigInt()
    termination_minor = BigInt()
    intro_minor = BigInt(null=True)
    intro_cycles = Integer(null=True)
    tax_inclusive = Boolean()
    valid_from = Date()
    valid_to = Date(null=True)


class Bundle(Table):
    """Products sold together under one name. `shares`: its price is shared by their own prices, or by weights."""

    belongs = SHARED

    code = Text(unique=True)
    name = Text()
    description = Text()
    shares = Text()
    available_from = Date(null=True)
    available_to = Date(null=True)
    position = Integer()
    version = BigInt()


class BundleMember(Table):
    """A product of a bundle, and how many of it. The first leads: its contract binds the whole."""

    belongs = SHARED

    bundle_id = ForeignKey(Bundle)
    position = Integer()
    product_id = ForeignKey(Product, index=True)
    quantity_e6 = BigInt()
    weight = BigInt()


class BundlePrice(Table):
    """What one bundle costs for a cycle in a currency, from a date on."""

    belongs = SHARED

    bundle_id = ForeignKey(Bundle)
    currency = Text()
    cycle_unit = Text()
    cycle_count = Integer()
    amount_minor = BigInt()
    setup_minor = BigInt()
    termination_minor = BigInt()
    tax_inclusive = Boolean()
    valid_from = Date()
    valid_to = Date(null=True)
