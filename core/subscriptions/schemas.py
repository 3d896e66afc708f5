"""What pages and the API of subscriptions take and give. Amounts are in minor units of their currency."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct

from core.ids import Id
from core.texts import N_

Label = Annotated[str, Meta(max_length=200)]
QuantityE6 = Annotated[int, Meta(ge=1, le=10**12, description=N_("Quantity × 1,000,000"))]
ONE_E6 = 1_000_000


class NewDiscount(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A percentage (1 % is 1,000,000) or an amount a cycle, until a day, for so many cycles, or for good."""

    percent_e6: Annotated[int, Meta(ge=1, le=100_000_000)] | None = None
    amount_minor: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    until_on: date | None = None
    cycles: Annotated[int, Meta(ge=1, le=120)] | None = None
    label: Label = ""


class NewSubscription(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A product at one of its prices, or at a price agreed for this customer alone."""

    customer_id: Id
    product_id: Id
    price_id: Id
    starts_on: date | None = None
    quantity_e6: QuantityE6 = ONE_E6
    amount_minor: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    anchor_on: date | None = None
    discounts: Annotated[list[NewDiscount], Meta(max_length=10)] = []
    label: Label = ""
    external_ref: Annotated[str, Meta(max_length=100)] = ""


class NewFreeSubscription(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Live at once at an agreed price of 0: open-ended, or until a day at which it ends or becomes payable."""

    customer_id: Id
    product_id: Id
    until_on: date | None = None
    then: Literal["end", "invoice_first"] = "end"
    price_id: Id | None = None
    label: Label = ""


class NewTrial(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The test time of a product; the cycle of the price is what it becomes.

    `days` (by staff) replaces the product's.
    """

    customer_id: Id
    product_id: Id
    price_id: Id
    days: Annotated[int, Meta(ge=1, le=1096)] | None = None
    again: bool = False
    label: Label = ""


class NewCharge(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Something to be paid once: a one-off item, a fee. The next invoice takes it up."""

    customer_id: Id
    description: Annotated[str, Meta(min_length=1, max_length=500)]
    amount_minor: Annotated[int, Meta(ge=-(10**12), le=10**12)]
    quantity_e6: QuantityE6 = ONE_E6
    product_id: Id | None = None
    subscription_id: Id | None = None
    kind: Literal["one_off", "fee"] = "one_off"
    tax_category: Annotated[str, Meta(max_length=60)] | None = None
    tax_inclusive: bool = False
    source_key: Annotated[str, Meta(max_length=200)] | None = None


class NewPause(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """No service and no bill from a day (today) up to the one on which it goes on by itself.

    `hold_minor`: what keeping it costs, once for the whole pause.
    """

    from_on: date | None = None
    to_on: date
    hold_minor: Annotated[int, Meta(ge=0, le=10**12)] = 0
    reason: Annotated[str, Meta(max_length=500)] = ""


class Buyer(Struct, frozen=True):
    """What of a customer decides its subscriptions. `payer_id` is itself where nobody else pays."""

    id: int
    payer_id: int
    currency: str
    billing_day: int | None
    billing_type: str
    status_key: str
    status_kind: str
    status_label: str
    may_order: bool


class SubscriptionRow(Struct, frozen=True):
    """A subscription with its product, the terms in force and what comes next.

    Part of a bundle, it names the one that its customer has: it is acted on with that as a whole.
    """

    id: int
    customer_id: int
    customer: str
    payer_id: int
    product_id: int
    product_code: str
    product: str
    kind: str
    label: str
    state: str
    state_reason: str
    timing: str
    currency: str
    amount_minor: int
    quantity_e6: int
    cycle_minor: int
    cycle_unit: str
    cycle_count: int
    anchor_on: date | None
    started_on: date | None
    trial_ends_on: date | None
    at_trial_end: str | None
    ends_on: date | None
    ended_on: date | None
    pending_until: date | None
    min_term_ends_on: date | None
    notice_days: int
    renew_unit: str | None
    renew_count: int | None
    termination_minor: int
    pause_from: date | None
    pause_to: date | None
    pause_by_customer: bool
    next_from: date | None
    next_to: date | None
    due_on: date | None
    bundle_id: int | None
    version: int


class ChargeRow(Struct, frozen=True):
    id: int
    subscription_id: int | None
    kind: str
    description: str
    period_start: date | None
    period_end: date | None
    quantity_e6: int
    unit_price_e6: int
    discount_minor: int
    amount_minor: int
    currency: str
    state: str
    revision: int


class BoxAction(Struct, frozen=True, kw_only=True):
    """Something that can be done with a product for a customer. `refused` says why not now; then it is shown greyed.

    `prepaid`: it is paid ahead from the balance.
    """

    key: Literal[
        "activate_free",
        "start_trial",
        "invoice",
        "subscribe",
        "cancel_at_expiry",
        "undo_cancellation",
        "terminate",
        "suspend",
        "resume",
        "pause",
        "undo_pause",
        "end_pause",
        "withdraw",
        "upgrade",
        "downgrade",
        "cycle",
        "change",
        "undo_change",
        "edit_period",
    ]
    subscription_id: int | None = None
    price_id: int | None = None
    amount_minor: int | None = None
    currency: str | None = None
    cycle_unit: str | None = None
    cycle_count: int | None = None
    days: int | None = None
    on: date | None = None
    prepaid: bool = False
    invoice_first: bool = False
    """It happens once its invoice is paid."""
    refused: str = ""


class PlannedChange(Struct, frozen=True, kw_only=True):
    """A change ahead: planned for a day, or waiting for its invoice until one."""

    id: int
    subscription_id: int
    kind: Literal["upgrade", "downgrade", "cycle"]
    state: Literal["planned", "waiting"]
    happens_on: date
    product_id: int
    product: str
    amount_minor: int
    currency: str
    cycle_unit: str
    cycle_count: int
    quantity_e6: int | None
    document_id: int | None
    until_on: date | None


class PlanBox(Struct, frozen=True, kw_only=True):
    """A product as a box of the Plans, Modules or Services tab: what the customer has of it, and what can be done."""

    product_id: int
    code: str
    name: str
    description: str
    kind: str
    group_id: int | None
    group: str | None
    rank: int
    subscription: SubscriptionRow | None
    planned: PlannedChange | None = None
    actions: list[BoxAction]
