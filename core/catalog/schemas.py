"""What the catalogue's pages and the API take and give. Amounts are in minor units of their currency."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct

from core.ids import Id
from core.texts import N_

Code = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9._-]{0,59}$", description=N_("Lower-case letters, digits, . _ -"))]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
LongText = Annotated[str, Meta(max_length=4000)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
AmountMinor = Annotated[int, Meta(ge=0, le=10**12)]
CycleUnit = Literal["day", "week", "month", "year"]
PriceUnit = Literal["once", "day", "week", "month", "year"]
Kind = Literal["plan", "module", "service", "one_off"]
Timing = Literal["advance", "arrears", "prepaid"]
SoldState = Literal["sold", "to_come", "ended"]


class NewPrice(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A price from a date on (None: today). Setting it again for the same cycle and currency ends the one before.

    `termination_minor`: for an end before the contract allows it. `intro_minor`: the price of the first `intro_cycles`.
    """

    cycle_unit: PriceUnit
    cycle_count: Annotated[int, Meta(ge=1, le=1096)] = 1
    amount_minor: AmountMinor
    setup_minor: AmountMinor = 0
    termination_minor: AmountMinor = 0
    intro_minor: AmountMinor | None = None
    intro_cycles: Annotated[int, Meta(ge=1, le=120)] | None = None
    currency: Currency | None = None
    tax_inclusive: bool = False
    valid_from: date | None = None
    price_list_id: Id | None = None


class ProductFields(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What can be changed about a product. None of it changes a subscription that exists."""

    name: Name
    description: LongText = ""
    rank: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    timing: Timing = "advance"
    activation: Literal["on_account", "invoice_first"] = "on_account"
    trial_days: Annotated[int, Meta(ge=0, le=1096)] = 0
    at_trial_end: Literal["end", "convert", "invoice_first"] = "end"
    proration: Literal["by_day", "full", "none", "merged"] = "by_day"
    final_proration: Literal["by_day", "full", "none"] = "by_day"
    pending_days: Annotated[int, Meta(ge=1, le=365)] = 30
    tax_category: Annotated[str, Meta(max_length=60)] = "standard"
    requires_group_id: Id | None = None
    min_term_unit: CycleUnit | None = None
    min_term_count: Annotated[int, Meta(ge=1, le=120)] | None = None
    notice_days: Annotated[int, Meta(ge=0, le=366)] = 0
    renew_unit: CycleUnit | None = None
    renew_count: Annotated[int, Meta(ge=1, le=120)] | None = None
    available_from: date | None = None
    available_to: date | None = None
    position: Annotated[int, Meta(ge=0, le=100_000)] = 0


class NewProduct(ProductFields, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A new product with its first prices. Without a group it goes into the one of its kind, without a code it gets one
    that is made of its name.
    """

    code: Code | None = None
    kind: Kind
    group_id: Id | None = None
    prices: Annotated[list[NewPrice], Meta(max_length=50)] = []


class Direction(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How a change in one direction is made: when, what becomes of the unused part, and what it costs at least.

    Amounts are in the tenant's currency. `minimum_minor`: where the new part less the unused one comes to less, the
    rest is charged too; of changes that are made at once.
    """

    when: Literal["now", "period_end"] = "now"
    unused: Literal["credit", "none"] = "credit"
    fee_minor: AmountMinor = 0
    minimum_minor: AmountMinor = 0


class ChangePolicy(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How subscriptions of a product are changed: to a higher rank, a lower one, another cycle of the same product.

    `cycle_anchor`: another cycle begins anew on the day of change, or keeps the anchor and begins with a part.
    `setup`: who changes to this product pays its set-up fee too.
    """

    upgrade: Direction = Direction()
    downgrade: Direction = Direction(when="period_end")
    cycle: Direction = Direction()
    cycle_anchor: Literal["restart", "keep"] = "restart"
    setup: bool = False


class NewGroup(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    code: Code
    name: Name
    one_live: bool
    position: Annotated[int, Meta(ge=0, le=100_000)] = 0


class NewTaxRate(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A rate in millionths: 20 % is 200,000."""

    country: Country
    category: Annotated[str, Meta(max_length=60)]
    valid_from: date
    rate_ppm: Annotated[int, Meta(ge=0, le=1_000_000, multiple_of=10)]


class NewTaxCategory(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    code: Code
    name: Name
    einvoice_code: Literal["S", "Z", "E", "O"] = "S"


class ProductRow(Struct, frozen=True):
    """A product with its group."""

    id: int
    code: str
    name: str
    description: str
    kind: str
    group_id: int | None
    group_code: str | None
    group_name: str | None
    one_live: bool | None
    rank: int
    timing: str
    activation: str
    trial_days: int
    at_trial_end: str
    proration: str
    final_proration: str
    pending_days: int
    tax_category: str
    requires_group_id: int | None
    min_term_unit: str | None
    min_term_count: int | None
    notice_days: int
    renew_unit: str | None
    renew_count: int | None
    available_from: date | None
    available_to: date | None
    position: int
    version: int


class ProductItem(ProductRow, frozen=True, kw_only=True):
    """A product in the list. `state`: whether it is sold today."""

    state: SoldState


class PriceRow(Struct, frozen=True):
    id: int
    product_id: int
    price_list_id: int
    currency: str
    cycle_unit: str
    cycle_count: int
    amount_minor: int
    setup_minor: int
    tax_inclusive: bool
    valid_from: date
    valid_to: date | None
    termination_minor: int = 0
    intro_minor: int | None = None
    intro_cycles: int | None = None
    rate_e10: int | None = None
    """By which it was turned into a customer's currency; null for a price as it stands in its list."""


class ProductDetail(ProductRow, frozen=True, kw_only=True):
    """A product with all its prices, the newest first."""

    prices: list[PriceRow] = []


class GroupRow(Struct, frozen=True):
    id: int
    code: str
    name: str
    one_live: bool
    position: int


class TaxRateRow(Struct, frozen=True):
    id: int
    country: str
    category: str
    valid_from: date
    rate_ppm: int


class TaxCategoryRow(Struct, frozen=True):
    id: int
    code: str
    name: str
    einvoice_code: str
