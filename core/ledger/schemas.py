"""What queries of the books give."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType


class Balance(Struct, frozen=True):
    """A customer's money in one currency. Positive: the operator owes; deposits are outside."""

    currency: str
    is_main: bool
    receivable_minor: int
    credit_minor: int
    deposit_minor: int
    balance_minor: int


class TrialBalanceRow(Struct, frozen=True):
    """An account in one currency: what stood on it before, what was debited and credited in the period, and the
    difference of these, also in the base currency."""

    code: str
    name: str
    kind: str
    currency: str
    opening_minor: int
    debit_minor: int
    credit_minor: int
    balance_minor: int
    base_minor: int


class AccountRow(Struct, frozen=True):
    """An account of the chart. `export_number`: what the accountant's own books call it."""

    id: int
    code: str
    kind: str
    name: str
    export_number: str


class AccountChange(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How an account is called here, and in the books that it is exported to. What is left out stays as it is."""

    name: Annotated[str, Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    export_number: Annotated[str, Meta(max_length=9, pattern="^[0-9]*$")] | UnsetType = UNSET


class PostingRow(Struct, frozen=True):
    """A posting with the transaction it belongs to."""

    transaction_id: int
    line: int
    booked_on: date
    kind: str
    source_kind: str
    source_id: int
    code: str
    account: str
    customer_id: int | None
    currency: str
    amount_minor: int
    base_minor: int


class MainBalance(Struct, frozen=True):
    """A customer's balance in its own currency: minus owes, plus is credit."""

    customer_id: int
    currency: str
    balance_minor: int


CurrencyCode = Annotated[str, Meta(pattern="^[A-Z]{3}$")]


class NewFxRate(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One unit of a currency is rate_e10 ÷ 10¹⁰ of the tenant's, from a day on: 0.92 is 9,200,000,000."""

    from_currency: CurrencyCode
    to_currency: CurrencyCode | None = None
    valid_on: date
    rate_e10: Annotated[int, Meta(ge=1, le=10**16)]


class NewCustomerFxRate(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One unit of a currency of the price lists is rate_e10 ÷ 10¹⁰ of the customer's, from a day on; `valid_to` is the
    first day on which it is so no more."""

    from_currency: CurrencyCode
    valid_from: date
    valid_to: date | None = None
    rate_e10: Annotated[int, Meta(ge=1, le=10**16)]


class CustomerFxRateRow(Struct, frozen=True):
    """A rate agreed with a customer, which turns list prices into its currency when a term starts."""

    id: int
    customer_id: int
    from_currency: str
    to_currency: str
    valid_from: date
    valid_to: date | None
    rate_e10: int


class FxRateRow(Struct, frozen=True):
    """An official rate, in force from its day until the next one of the same currencies."""

    id: int
    from_currency: str
    to_currency: str
    valid_on: date
    rate_e10: int
