"""The accounts that rules post to. Each book has all of them; a tenant may add more (one a payment method)."""

from enum import StrEnum
from typing import Final


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
