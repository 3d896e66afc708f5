"""Rows of the books. Keys, indexes, checks and triggers stand in the migrations."""

from piccolo.columns import BigInt, Boolean, Date, ForeignKey, Integer, Text, Timestamptz
from piccolo.table import Table

from core.customers.tables import Customer
from core.database import SHARED, STAFF_ONLY, via


class Book(Table):
    """A set of accounts: the tenant's own, and one for each reseller that sells in its own name."""

    belongs = STAFF_ONLY

    reseller_id = BigInt(null=True, unique=True)
    name = Text()


class Account(Table):
    """An account of a book; the codes that rules need stand in `core.ledger.accounts`.

    `export_number` is what the accountant's own books call it; empty where nobody said.
    """

    belongs = STAFF_ONLY

    book_id = ForeignKey(Book)
    code = Text()
    kind = Text()
    name = Text()
    export_number = Text()


class LedgerTransaction(Table):
    """What was booked at once and why. Written after its postings: its row closes them.

    Never changed, never deleted.
    """

    belongs = STAFF_ONLY

    book_id = ForeignKey(Book)
    kind = Text()
    source_kind = Text()
    source_id = BigInt()
    revision = Integer()
    booked_on = Date()
    run_id = BigInt(null=True)


class Posting(Table):
    """An amount on an account: debit positive, credit negative, in its currency and in the tenant's."""

    belongs = via("customer_id")

    transaction_id = ForeignKey(LedgerTransaction)
    line = Integer()
    account_id = ForeignKey(Account, index=True)
    customer_id = ForeignKey(Customer, null=True, index=True)
    product_id = BigInt(null=True)
    tax_rate_id = BigInt(null=True)
    booked_on = Date()
    currency = Text()
    amount_minor = BigInt()
    base_minor = BigInt()


class CustomerBalance(Table):
    """What a customer owes and has, by currency: sums of its postings, moved by the statement that posts.

    `receivable_minor` is Σ 1100, `credit_minor` −Σ 2000, `deposit_minor` −Σ 2100; `balance_minor` = credit −
    receivable. The row of the customer's own currency exists from the customer's creation on.
    """

    belongs = via("customer_id")

    customer_id = ForeignKey(Customer, index=True)
    currency = Text()
    is_main = Boolean()
    partition_id = BigInt(null=True)
    receivable_minor = BigInt()
    credit_minor = BigInt()
    deposit_minor = BigInt()
    balance_minor = BigInt()


class LedgerDay(Table):
    """What was posted on an account on a day, by currency, product and tax rate (0: none): sums of postings."""

    belongs = STAFF_ONLY

    account_id = ForeignKey(Account, index=True)
    booked_on = Date()
    currency = Text()
    product_id = BigInt()
    tax_rate_id = BigInt()
    debit_minor = BigInt()
    credit_minor = BigInt()
    base_minor = BigInt()


class LedgerMark(Table):
    """Up to which transaction `ledger_day` holds everything. `seen_id`: the last one there was at `seen_at`."""

    belongs = STAFF_ONLY

    one = Integer(primary_key=True)
    folded_id = BigInt()
    seen_id = BigInt()
    seen_at = Timestamptz(null=True)


class LedgerLock(Table):
    """The last day of the books that are closed: nothing is booked on it or before it any more."""

    belongs = STAFF_ONLY

    one = Integer(primary_key=True)
    closed_until = Date(null=True)


class Recognition(Table):
    """A month whose revenue was moved from deferred revenue, by book and product."""

    belongs = STAFF_ONLY

    book_id = ForeignKey(Book)
    product_id = BigInt()
    month = Date()


class FxRate(Table):
    """The official rate of a day: one unit of the first currency is rate_e10 ÷ 10¹⁰ units of the second."""

    belongs = SHARED

    from_currency = Text()
    to_currency = Text()
    valid_on = Date()
    rate_e10 = BigInt()


class CustomerFxRate(Table):
    """A rate agreed with a customer; it converts list prices only, never tax."""

    belongs = via("customer_id")

    customer_id = ForeignKey(Customer, index=True)
    from_currency = Text()
    to_currency = Text()
    valid_from = Date()
    valid_to = Date(null=True)
    rate_e10 = BigInt()
