"""The accounts that rules post to. Each book has all of them; a tenant may add more (one a payment method)."""

from enum import StrEnum
from typing import Final

from core.texts import N_, _


class Code(StrEnum):
    """Debit is positive, credit negative (ledger.md, Accounts and signs)."""

    RECEIVABLE = "1100"
    BANK = "1200"
    IN_TRANSIT = "1210"
    INPUT_TAX = "1250"
    CUSTOMER_CREDIT = "2000"
    DEPOSITS = "2100"
    TAX_PAYABLE = "2200"
    DEFERRED_REVENUE = "2300"
    COMMISSION_PAYABLE = "2400"
    SUSPENSE = "2500"
    OWED_TO_TENANT = "2600"
    REVENUE = "4000"
    LATE_FEES = "4100"
    FORFEITED_CREDIT = "4200"
    GOODWILL = "4900"
    BAD_DEBTS = "5000"
    COMMISSION = "5100"
    PAYMENT_FEES = "5200"
    WHOLESALE_COST = "5300"
    FX_DIFFERENCES = "7000"
    ROUNDING = "7100"
    FX_CLEARING = "9000"
    OPENING = "9100"


OF_CUSTOMERS: Final = frozenset({Code.RECEIVABLE, Code.CUSTOMER_CREDIT, Code.DEPOSITS})
"""Postings on these name the customer, and move its balance."""

MAIN_BOOK: Final = 1
"""The tenant's own book, made with its database."""

NAMES: Final = {
    Code.RECEIVABLE: N_("Receivable"),
    Code.BANK: N_("Bank or cash"),
    Code.IN_TRANSIT: N_("Payments in transit"),
    Code.INPUT_TAX: N_("Input tax"),
    Code.CUSTOMER_CREDIT: N_("Customer credit"),
    Code.DEPOSITS: N_("Deposits"),
    Code.TAX_PAYABLE: N_("Tax payable"),
    Code.DEFERRED_REVENUE: N_("Deferred revenue"),
    Code.COMMISSION_PAYABLE: N_("Commission payable"),
    Code.SUSPENSE: N_("Suspense"),
    Code.OWED_TO_TENANT: N_("Owed to the tenant"),
    Code.REVENUE: N_("Revenue"),
    Code.LATE_FEES: N_("Late fees"),
    Code.FORFEITED_CREDIT: N_("Forfeited credit"),
    Code.GOODWILL: N_("Goodwill"),
    Code.BAD_DEBTS: N_("Bad debts"),
    Code.COMMISSION: N_("Commission"),
    Code.PAYMENT_FEES: N_("Payment fees"),
    Code.WHOLESALE_COST: N_("Wholesale cost"),
    Code.FX_DIFFERENCES: N_("FX differences"),
    Code.ROUNDING: N_("Rounding"),
    Code.FX_CLEARING: N_("FX clearing"),
    Code.OPENING: N_("Opening balances"),
}
"""As a new tenant's accounts are called."""


def account_name(code: str, name: str) -> str:
    """An account's name: the one that somebody typed, else the usual one in the language that is spoken."""
    return _(name) if name in NAMES.values() else name
