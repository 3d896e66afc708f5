"""A change of a subscription as it is asked for, and as it was agreed: one object for the preview and for the act."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct

from core.ids import Id
from core.subscriptions.schemas import NewDiscount, QuantityE6

When = Literal["policy", "now", "period_end"]
Kind = Literal["upgrade", "downgrade", "cycle"]


class ChangeOrder(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is to be different; what is left out stays as it is.

    `price_id` is a price of this product (another cycle) or of another one of its group. `when` and `unused` as the
    product's change policy says, unless said otherwise; `on` is a day to come. `discounts` take the place of those that
    it has.
    """

    price_id: Id | None = None
    quantity_e6: QuantityE6 | None = None
    amount_minor: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    discounts: Annotated[list[NewDiscount], Meta(max_length=10)] | None = None
    when: When = "policy"
    on: date | None = None
    unused: Literal["policy", "credit", "none"] = "policy"


class AgreedChange(Struct, frozen=True, kw_only=True):
    """A change with all that decides it, copied when it was agreed. `quantity_e6` is null where it stays what it is.

    `waits` belongs to one that waits for its invoice: the credit of its old lines and what its charges are for, both
    fixed when it was asked for.
    """

    kind: Kind
    product_id: int
    price_id: int | None
    amount_minor: int
    currency: str
    price_rate_e10: int | None
    cycle_unit: str
    cycle_count: int
    tax_inclusive: bool
    setup_minor: int
    fee_minor: int
    minimum_minor: int
    unused: Literal["credit", "none"]
    anchor: Literal["restart", "keep"]
    quantity_e6: int | None = None
    discounts: list[NewDiscount] | None = None
    replaces_terms: bool = True
    """Not where the quantity alone is another one: then only the difference is charged, or credited."""
    waits: WaitsFor | None = None


class WaitsFor(Struct, frozen=True, kw_only=True):
    """`credits`: net of what is credited, by line. `parts`: until which day each charge is for, by charge."""

    credits: dict[int, int]
    parts: dict[int, date]


class PeriodEdit(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Other days of the period that runs. The next charge begins at its end, which becomes the anchor.

    `added`: days behind the end are free, or charged by day. `cut`: days cut off are credited, or given up, which needs
    a reason.
    """

    start_on: date | None = None
    end_on: date | None = None
    added: Literal["free", "charged"] = "free"
    cut: Literal["credit", "give_up"] = "credit"
    reason: Annotated[str, Meta(max_length=500)] = ""
