"""Rows of subscriptions and charges. Keys, indexes, checks and triggers stand in the migrations."""

from typing import Any

from piccolo.columns import BigInt, Boolean, Date, ForeignKey, Integer, Text, Timestamptz
from piccolo.table import Table

from core.catalog.tables import Bundle, Price, Product, ProductGroup
from core.customers.tables import Customer
from core.database import via


class CustomerBundle(Table):
    """A bundle that a customer has, at the price agreed: its subscriptions name it, each with its share.

    It lives as long as they do; dissolved, they go on by themselves.
    """

    belongs = via("customer_id")

    customer_id = ForeignKey(Customer, index=True)
    bundle_id = ForeignKey(Bundle, index=True)
    label = Text()
    quantity_e6 = BigInt()
    currency = Text()
    amount_minor = BigInt()
    cycle_unit = Text()
    cycle_count = Integer()
    tax_inclusive = Boolean()
    dissolved_on = Date(null=True)
    created_at = Timestamptz()
    version = BigInt()


class Subscription(Table):
    """A product that a customer has. `exclusive_group_id` is null where the group allows many.

    `ends_on` is the first day without service; `trial_ends_on` the first charged day. Part of a bundle, it has so many
    of its product in one bundle and so much weight in sharing the price.
    """

    belongs = via("customer_id")

    customer_id = ForeignKey(Customer, index=True)
    product_id = ForeignKey(Product, index=True)
    exclusive_group_id = ForeignKey(ProductGroup, null=True)
    parent_id: ForeignKey[Any] = ForeignKey("self", null=True)
    label = Text()
    state = Text()
    state_reason = Text()
    timing = Text()
    anchor_on = Date(null=True)
    started_on = Date(null=True)
    trial_ends_on = Date(null=True)
    at_trial_end = Text(null=True)
    ends_on = Date(null=True)
    end_reason = Text()
    ended_on = Date(null=True)
    min_term_ends_on = Date(null=True)
    notice_days = Integer()
    renew_unit = Text(null=True)
    renew_count = Integer(null=True)
    termination_minor = BigInt()
    pending_until = Date(null=True)
    external_ref = Text()
    created_at = Timestamptz()
    version = BigInt()
    customer_bundle_id = ForeignKey(CustomerBundle, null=True, index=True)
    bundle_weight = BigInt()
    bundle_quantity_e6 = BigInt(null=True)


class SubscriptionTerm(Table):
    """What was agreed, copied from the catalogue: price of one unit and cycle, quantity, cycle, tax.

    `gross_minor` is price × quantity of a full cycle, `cycle_minor` the same after discounts: rated once, here, so that
    a billing run multiplies by days only. A period belongs to the term in force on its first day.
    """

    belongs = via("subscription_id")

    subscription_id = ForeignKey(Subscription, index=True)
    valid_from = Date()
    valid_to = Date(null=True)
    revision = Integer()
    in_force = Boolean()
    product_id = ForeignKey(Product)
    price_rate_e10 = BigInt(null=True)
    price_id = ForeignKey(Price, null=True)
    amount_minor = BigInt()
    currency = Text()
    quantity_e6 = BigInt()
    cycle_unit = Text()
    cycle_count = Integer()
    tax_category = Text()
    tax_inclusive = Boolean()
    proration = Text()
    final_proration = Text()
    gross_minor = BigInt()
    cycle_minor = BigInt()


class SubscriptionDiscount(Table):
    """A discount, in its order on what the previous left: a percentage (1 % is 1,000,000) or an amount a cycle."""

    belongs = via("subscription_id")

    subscription_id = ForeignKey(Subscription, index=True)
    position = Integer()
    label = Text()
    percent_e6 = BigInt(null=True)
    amount_minor = BigInt(null=True)
    until_on = Date(null=True)
    cycles = Integer(null=True)
    of_bundle = Boolean()


class SubscriptionSchedule(Table):
    """The next period to charge, and when. Narrow, because each billing run rewrites it.

    No row: nothing more will be charged. `due_on` null: it waits (status that is not billed, prepaid not renewed).
    """

    belongs = via("subscription_id")

    subscription_id = ForeignKey(Subscription, primary_key=True, index=True)
    payer_id = ForeignKey(Customer)
    cycle_no = Integer()
    period_start = Date()
    period_end = Date()
    due_on = Date(null=True)


class SubscriptionChange(Table):
    """A change that is planned for a day, or that waits for its invoice to be settled: one a subscription.

    What is planned writes nothing to the ledger until it happens; what waits is void after `until_on`.
    """

    belongs = via("subscription_id")

    subscription_id = ForeignKey(Subscription, index=True)
    kind = Text()
    happens_on = Date()
    state = Text()
    plan = Text()
    plan_hash = Text()
    document_id = BigInt(null=True)
    until_on = Date(null=True)


class SubscriptionPause(Table):
    """A window without service and without a bill; at most one of a subscription is planned or running.

    `to_on` is the day on which it was to go on, `resumed_on` the one on which it did. `by_customer`: it was planned by
    the customer itself, or in its place.
    """

    belongs = via("subscription_id")

    subscription_id = ForeignKey(Subscription, index=True)
    from_on = Date()
    to_on = Date()
    resumed_on = Date(null=True)
    hold_minor = BigInt()
    reason = Text()
    state = Text()
    by_customer = Boolean()
    created_at = Timestamptz()


class UnbilledSpan(Table):
    """Days of a subscription that are never charged, and why. With the charges they tile its life."""

    belongs = via("subscription_id")

    subscription_id = ForeignKey(Subscription, index=True)
    from_on = Date()
    to_on = Date()
    reason = Text()


class Charge(Table):
    """Something to be paid, rated and signed: rating writes it, an invoice takes it up.

    `days` ÷ `of_days` is its share of the full cycle. The period is empty for one-off charges, and for what is invoiced
    first until it is activated. `unit_price_e6` is in whole units of the currency × 10⁶.

    From `replaced_from` on other terms charge its days. A run takes it up from `due_on` on, or at once.
    """

    belongs = via("customer_id")

    subscription_id = ForeignKey(Subscription, null=True, index=True)
    term_id = ForeignKey(SubscriptionTerm, null=True)
    customer_id = ForeignKey(Customer, index=True)
    payer_id = ForeignKey(Customer, index=True)
    product_id = ForeignKey(Product, null=True)
    kind = Text()
    component = Text()
    description = Text()
    period_start = Date(null=True)
    period_end = Date(null=True)
    days = Integer()
    of_days = Integer()
    quantity_e6 = BigInt()
    unit_price_e6 = BigInt()
    discount_minor = BigInt()
    amount_minor = BigInt()
    currency = Text()
    tax_category = Text()
    tax_inclusive = Boolean()
    revision = Integer()
    state = Text()
    closed_on = Date(null=True)
    source_key = Text(null=True)
    run_id = BigInt(null=True)
    replaced_from = Date(null=True)
    due_on = Date(null=True)


class CreditedSpan(Table):
    """Days of a charge that are credited again, and how much of its amount. A charge of the component `again:` and the
    span's id takes them back: it stands beside the charge that covers these days. Of a pause that ended early, it is
    `resumed:` and the id."""

    belongs = via("subscription_id")

    subscription_id = ForeignKey(Subscription, index=True)
    charge_id = ForeignKey(Charge)
    from_on = Date()
    to_on = Date()
    amount_minor = BigInt()
    pause_id = ForeignKey(SubscriptionPause, null=True)
