"""Reads of the books."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from core.database import all_of, row, rows, value_as, values, within
from core.errors import NotFound
from core.ledger.accounts import MAIN_BOOK
from core.ledger.schemas import AccountRow, Balance, FxRateRow, MainBalance, PostingRow, TrialBalanceRow
from core.ledger.tables import CustomerBalance, Posting
from core.lists.columns import ListColumn, Loaded, Total
from core.money import Money
from core.texts import N_

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope

_BALANCE = (
    "SELECT currency, is_main, receivable_minor, credit_minor, deposit_minor, balance_minor FROM customer_balance"
)

_POSTING = """
SELECT posting.transaction_id, posting.line, posting.booked_on, t.kind, t.source_kind, t.source_id, account.code,
       account.name AS account, posting.customer_id, posting.currency, posting.amount_minor, posting.base_minor
FROM posting
JOIN ledger_transaction t ON t.id = posting.transaction_id
JOIN account ON account.id = posting.account_id
"""


async def _load_balances(scope: Scope, customer_ids: Sequence[int], keys: Sequence[str]) -> Loaded:
    """Balances of these customers, each in its own currency."""
    found = await rows(
        MainBalance,
        "SELECT customer_id, currency, balance_minor FROM customer_balance"
        " WHERE customer_id IN :ids AND is_main AND :within",
        ids=list(customer_ids),
        within=within(CustomerBalance, scope.actor.reach),
    )
    return Loaded({"balance": {one.customer_id: Money(one.balance_minor, one.currency) for one in found}})


MAIN_BALANCE: Final = ListColumn(
    key="balance",
    label=N_("Balance"),
    kind="amount",
    expr="main_balance.balance_minor",
    indexed=True,
    join="JOIN customer_balance main_balance ON main_balance.customer_id = customer.id AND main_balance.is_main",
    tie="main_balance.customer_id",
    bare="customer_balance main_balance WHERE main_balance.is_main",
    load=_load_balances,
    toned=True,
    role="c-amount",
    total=Total("main_balance.balance_minor"),
)
"""The column of lists of customers."""


async def list_balances(scope: Scope, customer_id: int) -> list[Balance]:
    """A customer's balances, the main currency first."""
    return await rows(
        Balance,
        f"{_BALANCE} WHERE customer_id = :id AND :within ORDER BY is_main DESC, currency",
        id=customer_id,
        within=within(CustomerBalance, scope.actor.reach),
    )


async def get_balance(scope: Scope, customer_id: int, currency: str | None = None) -> Balance:
    """In the customer's own currency, or in another: zero where nothing was ever posted in it."""
    found = await row(
        Balance,
        f"{_BALANCE} WHERE customer_id = :id AND {'currency = :currency' if currency else 'is_main'} AND :within",
        id=customer_id,
        currency=currency,
        within=within(CustomerBalance, scope.actor.reach),
    )
    if found is not None:
        return found
    if currency is None:
        raise NotFound(f"customer {customer_id}")
    return Balance(currency, False, 0, 0, 0, 0)


# Everything that is booked, by account, day, currency, product and rate: sums of days, and postings since.
BOOKED: Final = """(
    SELECT account_id, booked_on, currency, product_id, tax_rate_id, debit_minor, credit_minor, base_minor
    FROM ledger_day WHERE {days}
    UNION ALL
    SELECT account_id, booked_on, currency, coalesce(product_id, 0), coalesce(tax_rate_id, 0),
           CASE WHEN amount_minor > 0 THEN amount_minor ELSE 0 END,
           CASE WHEN amount_minor < 0 THEN -amount_minor ELSE 0 END, base_minor
    FROM (
        SELECT +account_id AS account_id, booked_on, currency, product_id, tax_rate_id, amount_minor, base_minor
        FROM posting WHERE transaction_id > (SELECT folded_id FROM ledger_mark)
    ) since WHERE {days}
) booked"""
"""By +account_id no index of accounts is read for the postings since: it has all that an account ever had."""


def booked(days: str = "TRUE") -> str:
    """What is booked, to select from: `days` is a condition on `booked_on`. Reads sums, never every posting."""
    return BOOKED.format(days=days)


async def trial_balance(
    *, until: date | None = None, since: date | None = None, book_id: int = MAIN_BOOK
) -> list[TrialBalanceRow]:
    """Every account of a book by currency, as booked in these days (both included), with what stood on it before.

    The sums over all accounts are zero.
    """
    return await rows(
        TrialBalanceRow,
        f"""
        SELECT account.code, account.name, account.kind, sums.currency, sums.opening_minor, sums.debit_minor,
               sums.credit_minor, sums.balance_minor, sums.base_minor
        FROM (
            SELECT account_id, currency,
                   CAST(sum(CASE WHEN earlier THEN debit_minor - credit_minor ELSE 0 END) AS bigint) AS opening_minor,
                   CAST(sum(CASE WHEN earlier THEN 0 ELSE debit_minor END) AS bigint) AS debit_minor,
                   CAST(sum(CASE WHEN earlier THEN 0 ELSE credit_minor END) AS bigint) AS credit_minor,
                   CAST(sum(CASE WHEN earlier THEN 0 ELSE debit_minor - credit_minor END) AS bigint) AS balance_minor,
                   CAST(sum(CASE WHEN earlier THEN 0 ELSE base_minor END) AS bigint) AS base_minor
            FROM (
                SELECT booked.*, {"booked_on < :since" if since is not None else "FALSE"} AS earlier
                FROM {booked(all_of(until is not None and "booked_on <= :until"))}
            ) dated
            GROUP BY account_id, currency
        ) sums
        JOIN account ON account.id = sums.account_id
        WHERE account.book_id = :book_id
          AND (opening_minor <> 0 OR debit_minor <> 0 OR credit_minor <> 0 OR sums.base_minor <> 0)
        ORDER BY account.code, sums.currency
        """,
        since=since,
        until=until,
        book_id=book_id,
    )


async def list_accounts(book_id: int = MAIN_BOOK) -> list[AccountRow]:
    """The chart of accounts."""
    return await rows(
        AccountRow,
        "SELECT id, code, kind, name, export_number FROM account WHERE book_id = :book_id ORDER BY code",
        book_id=book_id,
    )


async def get_account(code: str, book_id: int = MAIN_BOOK) -> AccountRow:
    found = await row(
        AccountRow,
        "SELECT id, code, kind, name, export_number FROM account WHERE book_id = :book_id AND code = :code",
        book_id=book_id,
        code=code,
    )
    if found is None:
        raise NotFound(f"account {code}")
    return found


async def closed_until() -> date | None:
    """The last day of the books that are closed."""
    return await value_as(date, "SELECT closed_until FROM ledger_lock")


async def list_postings(
    scope: Scope, *, customer_id: int | None = None, transaction_ids: Sequence[int] = (), limit: int = 200
) -> list[PostingRow]:
    """Postings of a customer's accounts, or of some transactions; the newest transaction first."""
    asked = all_of(
        customer_id is not None and "posting.customer_id = :customer_id",
        bool(transaction_ids) and "posting.transaction_id IN :ids",
    )
    return await rows(
        PostingRow,
        f"{_POSTING} WHERE {asked} AND :within"
        " ORDER BY posting.booked_on DESC, posting.transaction_id DESC, posting.line LIMIT :limit",
        customer_id=customer_id,
        ids=list(transaction_ids),
        limit=limit,
        within=within(Posting, scope.actor.reach),
    )


async def postings_of(source_kind: str, source_id: int) -> list[PostingRow]:
    """What was booked for one thing, in the order in which it was."""
    return await rows(
        PostingRow,
        f"{_POSTING} WHERE t.source_kind = :kind AND t.source_id = :id ORDER BY posting.transaction_id, posting.line",
        kind=source_kind,
        id=source_id,
    )


async def list_fx_rates(currency: str | None = None, *, limit: int = 500) -> list[FxRateRow]:
    """Rates from every currency or from one, the newest of each first."""
    return await rows(
        FxRateRow,
        "SELECT id, from_currency, to_currency, valid_on, rate_e10 FROM fx_rate"
        f" WHERE {all_of(currency is not None and 'from_currency = :currency')}"
        " ORDER BY from_currency, to_currency, valid_on DESC LIMIT :limit",
        currency=currency,
        limit=limit,
    )


async def currencies_without_rate(currency: str, on: date) -> list[str]:
    """Currencies of customers that have no rate into this one on a day: what is billed in them waits."""
    return [
        str(each)
        for each in await values(
            "SELECT DISTINCT b.currency FROM customer_balance b WHERE b.currency <> :currency AND NOT EXISTS ("
            "SELECT 1 FROM fx_rate r WHERE r.from_currency = b.currency AND r.to_currency = :currency"
            " AND r.valid_on <= :day) ORDER BY b.currency",
            currency=currency,
            day=on,
        )
    ]
