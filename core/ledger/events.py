"""What happened to the books' settings."""

from core.activity.events import Event
from core.texts import N_


class CustomerFxRateSet(Event, subject="customer", text=N_("Exchange rate agreed")):
    customer_id: int


class CustomerFxRateRemoved(Event, subject="customer", text=N_("Agreed exchange rate removed")):
    customer_id: int


class FxRateSet(Event, subject="fx_rate"):
    fx_rate_id: int


class AccountChanged(Event, subject="account"):
    account_id: int


class BooksClosed(Event, subject="books"):
    """Up to another day than before; the day stands in what changed."""


class RevenueRecognised(Event, subject="recognition"):
    """Deferred revenue of a month became revenue. `sums`: how many products and currencies."""

    month: str
    sums: int
