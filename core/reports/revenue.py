"""Revenue by product and month, as it stands on 4000 and the other accounts of income, in the tenant's currency."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from core.database import dialect, rows
from core.ledger.accounts import MAIN_BOOK
from core.ledger.queries import booked
from core.periods import Cycle, nth

if TYPE_CHECKING:
    from collections.abc import Sequence


class Earned(Struct, frozen=True):
    """Income of an account and product in a month, named by its first day."""

    code: str
    account: str
    product_id: int
    product: str
    month: date
    amount_minor: int


def months_between(since: date, until: date, most: int = 36) -> list[date]:
    """First days of the months that these days are in."""
    month, found = since.replace(day=1), list[date]()
    while month <= until and len(found) < most:
        found.append(month)
        month = nth(month, Cycle("month"), 1)
    return found


async def revenue_by_month(months: Sequence[date], book_id: int = MAIN_BOOK) -> list[Earned]:
    """Income of these months by account, product and month: positive is earned."""
    month = (
        "date(x.booked_on, 'start of month')"
        if dialect() == "sqlite"
        else "CAST(date_trunc('month', x.booked_on) AS date)"
    )
    income = "account_id IN (SELECT id FROM account WHERE book_id = :book AND kind = 'income')"
    return await rows(
        Earned,
        f"SELECT a.code, a.name AS account, x.product_id, coalesce(p.name, '') AS product, x.month,"
        " CAST(-sum(x.base_minor) AS bigint) AS amount_minor"
        f" FROM (SELECT account_id, product_id, {month} AS month, base_minor FROM (SELECT * FROM"
        f" {booked(f'{income} AND booked_on BETWEEN :since AND :until')}) x) x"
        " JOIN account a ON a.id = x.account_id LEFT JOIN product p ON p.id = x.product_id"
        " GROUP BY a.code, a.name, x.product_id, p.name, x.month ORDER BY a.code, p.name, x.product_id, x.month",
        book=book_id,
        since=months[0],
        until=nth(months[-1], Cycle("month"), 1) - timedelta(days=1),
    )
