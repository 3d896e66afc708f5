"""What happened to subscriptions."""

from datetime import date

from core.activity.events import Event


class SubscriptionActivated(Event, subject="subscription"):
    """It is live: free, on trial, on account, or because its first invoice was settled."""

    subscription_id: int
    customer_id: int
    product_id: int
    state: str


class SubscriptionRequested(Event, subject="subscription"):
    """It waits for its first invoice to be settled."""

    subscription_id: int
    customer_id: int
    product_id: int


class TrialEnded(Event, subject="subscription"):
    """A trial has become a paid subscription, or waits for its first invoice to be settled."""

    subscription_id: int
    customer_id: int
    state: str


class SubscriptionEndSet(Event, subject="subscription"):
    """It will end on a day ahead. Can be undone until then."""

    subscription_id: int
    customer_id: int
    ends_on: date


class SubscriptionEndDropped(Event, subject="subscription"):
    subscription_id: int
    customer_id: int


class SubscriptionSuspended(Event, subject="subscription"):
    subscription_id: int
    customer_id: int
    reason: str


class SubscriptionResumed(Event, subject="subscription"):
    subscription_id: int
    customer_id: int


class DiscountAdded(Event, subject="subscription"):
    """It costs less from a day on."""

    subscription_id: int
    customer_id: int
    from_on: date


class DiscountRemoved(Event, subject="subscription"):
    subscription_id: int
    customer_id: int
    from_on: date


class PausePlanned(Event, subject="subscription"):
    """It will not be served, nor billed, from a day up to another. Can be undone until then."""

    subscription_id: int
    customer_id: int


class PauseDropped(Event, subject="subscription"):
    subscription_id: int
    customer_id: int


class SubscriptionPaused(Event, subject="subscription"):
    """Its pause has begun; it goes on by itself on the day that is named."""

    subscription_id: int
    customer_id: int
    until_on: date


class SubscriptionEnded(Event, subject="subscription"):
    """It is over: expired, terminated, lapsed unpaid, voided, or withdrawn."""

    subscription_id: int
    customer_id: int
    product_id: int
    reason: str


class ChargeAdded(Event, subject="charge"):
    """Something to be paid was added by hand; the next invoice takes it up."""

    charge_id: int
    customer_id: int


class SubscriptionChanged(Event, subject="subscription"):
    """It has other terms from this day on: an upgrade, a downgrade, another cycle."""

    subscription_id: int
    customer_id: int
    product_id: int
    how: str


class ChangePlanned(Event, subject="subscription"):
    """It will be changed on a day ahead, or once the invoice of the change is settled. Can be undone until then."""

    subscription_id: int
    customer_id: int
    product_id: int
    happens_on: date | None


class ChangeDropped(Event, subject="subscription"):
    subscription_id: int
    customer_id: int


class PeriodEdited(Event, subject="subscription"):
    """Its period has other days, by hand or for another billing day; the next charge follows them."""

    subscription_id: int
    customer_id: int
    starts_on: date
    ends_on: date


class PriceApplied(Event, subject="subscription"):
    """It has another price from the first period on that begins on a day or later: its product's price was changed."""

    subscription_id: int
    customer_id: int
    amount_minor: int
    from_on: date


class BundleSubscribed(Event, subject="customer_bundle"):
    """A customer has a bundle: its parts are live, or wait for their first invoice to be settled."""

    customer_bundle_id: int
    customer_id: int


class BundleQuantityChanged(Event, subject="customer_bundle"):
    customer_bundle_id: int
    customer_id: int


class BundleDissolved(Event, subject="customer_bundle"):
    """Its parts go on by themselves, at their own prices from the next period on."""

    customer_bundle_id: int
    customer_id: int
    from_on: date
