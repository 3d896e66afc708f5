"""The one way to post. What is posted is closed at once and never changes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from core.database import dialect, execute, value
from core.ledger.accounts import MAIN_BOOK, OF_CUSTOMERS, Code

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date


class Unbalanced(ValueError):
    """Entries that do not sum to zero. A fault of the program, never of the input; the database refuses them too."""


class Entry(Struct, frozen=True, kw_only=True):
    """One posting to be: debit positive, credit negative. `base_minor` is the same in the tenant's currency."""

    account: str
    amount_minor: int
    base_minor: int
    currency: str
    customer_id: int | None = None
    product_id: int | None = None
    tax_rate_id: int | None = None


async def post(
    entries: Sequence[Entry],
    *,
    kind: str,
    source_kind: str,
    source_id: int,
    booked_on: date,
    revision: int = 0,
    book_id: int = MAIN_BOOK,
    run_id: int | None = None,
) -> int:
    """Book what happened, in the unit of work that is open; gives the transaction's id.

    Entries of zero are left out. The customer's balances move by the same statement (a trigger), the transaction's row
    comes last and closes it: then the database checks the sums. The same (kind, source, revision) a second time is a
    Duplicate.
    """
    check(entries)
    lines = [entry for entry in entries if entry.amount_minor or entry.base_minor]
    transaction_id = int(await value(_next_id()))
    if lines:
        await execute(
            _insert(len(lines)),
            transaction_id=transaction_id,
            book_id=book_id,
            booked_on=booked_on,
            **{
                f"{name}_{at}": getattr(line, name)
                for at, line in enumerate(lines, start=1)
                for name in Entry.__struct_fields__
            },
        )
    await execute(
        "INSERT INTO ledger_transaction (id, book_id, kind, source_kind, source_id, revision, booked_on, run_id)"
        " VALUES (:id, :book_id, :kind, :source_kind, :source_id, :revision, :booked_on, :run_id)",
        id=transaction_id,
        book_id=book_id,
        kind=kind,
        source_kind=source_kind,
        source_id=source_id,
        revision=revision,
        booked_on=booked_on,
        run_id=run_id,
    )
    return transaction_id


def check(entries: Sequence[Entry]) -> None:
    """Each sums to zero by currency and in the base currency, and names a customer where its account asks for one."""
    by_currency: Counter[str] = Counter()
    for entry in entries:
        by_currency[entry.currency] += entry.amount_minor
        if (entry.account in OF_CUSTOMERS) != (entry.customer_id is not None):
            raise Unbalanced(f"a posting on {entry.account} with customer {entry.customer_id}")
    wrong = {currency: amount for currency, amount in by_currency.items() if amount}
    base = sum(entry.base_minor for entry in entries)
    if wrong or base:
        raise Unbalanced(f"the postings sum to {wrong or 0} and to {base} in the base currency")


def _next_id() -> str:
    """On PostgreSQL only the sequence knows; on SQLite the transaction holds the write lock, and no row ever goes."""
    if dialect() == "sqlite":
        return "SELECT coalesce(max(id), 0) + 1 FROM ledger_transaction"
    return "SELECT nextval('ledger_transaction_id_seq')"


def _insert(lines: int) -> str:
    """One statement for all lines: the balances of a customer move once."""
    picked = " UNION ALL ".join(
        f"SELECT :transaction_id::bigint, {at}, account.id, :customer_id_{at}::bigint, :product_id_{at}::bigint,"
        f" :tax_rate_id_{at}::bigint, :booked_on::date, :currency_{at}::text, :amount_minor_{at}::bigint,"
        f" :base_minor_{at}::bigint FROM account WHERE book_id = :book_id AND code = :account_{at}"
        for at in range(1, lines + 1)
    )
    return (
        "INSERT INTO posting (transaction_id, line, account_id, customer_id, product_id, tax_rate_id, booked_on,"
        f" currency, amount_minor, base_minor) {picked}"
    )


def debit(
    account: Code | str, amount_minor: int, currency: str, base_minor: int | None = None, **of: int | None
) -> Entry:
    return Entry(
        account=str(account),
        amount_minor=amount_minor,
        base_minor=amount_minor if base_minor is None else base_minor,
        currency=currency,
        **of,
    )


def credit(
    account: Code | str, amount_minor: int, currency: str, base_minor: int | None = None, **of: int | None
) -> Entry:
    return debit(account, -amount_minor, currency, None if base_minor is None else -base_minor, **of)
