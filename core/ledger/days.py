"""Sums of the books by day: what was posted is added up once, by a job, so that reports need not read every posting.

A transaction belongs to the sums up to the mark, or it is read from its postings; never both. On SQLite one writes at
a time, so everything there is can be added. On PostgreSQL an earlier id may be committed after a later one: what was
there at the last look is added at the next, at least an hour later.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.database import dialect, execute, row, value

if TYPE_CHECKING:
    from core.scope import Scope

AT_ONCE: Final = 20_000
"""Transactions that are added up in one unit of work."""
SETTLED_AFTER: Final = timedelta(hours=1)
"""No unit of work is open for so long."""

_FOLD: Final = """
INSERT INTO ledger_day (account_id, booked_on, currency, product_id, tax_rate_id, debit_minor, credit_minor, base_minor)
SELECT account_id, booked_on, currency, coalesce(product_id, 0), coalesce(tax_rate_id, 0),
       CAST(sum(CASE WHEN amount_minor > 0 THEN amount_minor ELSE 0 END) AS bigint),
       CAST(sum(CASE WHEN amount_minor < 0 THEN -amount_minor ELSE 0 END) AS bigint), CAST(sum(base_minor) AS bigint)
FROM posting WHERE transaction_id > :after AND transaction_id <= :last
GROUP BY account_id, booked_on, currency, coalesce(product_id, 0), coalesce(tax_rate_id, 0)
ON CONFLICT (account_id, booked_on, currency, product_id, tax_rate_id) DO UPDATE SET
    debit_minor = ledger_day.debit_minor + excluded.debit_minor,
    credit_minor = ledger_day.credit_minor + excluded.credit_minor,
    base_minor = ledger_day.base_minor + excluded.base_minor
"""


class _Mark(Struct, frozen=True):
    folded_id: int
    seen_id: int
    seen_at: datetime | None


async def add_up_days(scope: Scope) -> int:
    """Bring the sums up to date; gives how many transactions were added. Repeatable, and may be broken off anywhere."""
    added = 0
    last = await _settled(scope)
    while True:
        async with unit_of_work(scope):
            mark = await _mark()
            upto = min(mark.folded_id + AT_ONCE, last)
            if upto <= mark.folded_id:
                return added
            await execute(_FOLD, after=mark.folded_id, last=upto)
            await execute("UPDATE ledger_mark SET folded_id = :upto", upto=upto)
        added += upto - mark.folded_id


async def _settled(scope: Scope) -> int:
    """The last transaction before which no other can still appear."""
    async with unit_of_work(scope):
        mark = await _mark()
        newest = int(await value("SELECT coalesce(max(id), 0) FROM ledger_transaction"))
        if dialect() == "sqlite":
            return newest
        now = scope.now()
        if mark.seen_at is None or mark.seen_at + SETTLED_AFTER <= now:
            await execute("UPDATE ledger_mark SET seen_id = :id, seen_at = :now", id=newest, now=now)
            return mark.seen_id
        return mark.folded_id


async def _mark() -> _Mark:
    found = await row(_Mark, "SELECT folded_id, seen_id, seen_at FROM ledger_mark WHERE one = 1 FOR UPDATE")
    assert found is not None
    return found
