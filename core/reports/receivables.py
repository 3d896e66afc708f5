"""What was owed on a day: open documents, and their age. The sum is what stood on 1100 then."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.billing.staging import days_between
from core.billing.tables import DocumentState
from core.database import all_of, rows, within
from core.ledger.accounts import MAIN_BOOK, Code
from core.ledger.queries import booked

if TYPE_CHECKING:
    from core.scope import Scope

BUCKETS: Final = ((0, "current"), (30, "to_30"), (60, "to_60"), (90, "to_90"), (None, "over_90"))
"""Days overdue at most, by the name of the bucket."""


LATER: Final = """
WITH not_yet AS MATERIALIZED (
    SELECT d.id AS document_id FROM document d LEFT JOIN opening_balance o ON o.document_id = d.id
    WHERE d.issued_on > :day AND o.document_id IS NULL
    UNION ALL SELECT document_id FROM opening_balance WHERE booked_on > :day AND document_id IS NOT NULL
), since AS MATERIALIZED (
    SELECT s.document_id, s.payer_id, s.due_on, s.currency, s.open_minor AS now_minor,
           s.open_minor + settled.minor AS open_minor
    FROM (
        SELECT document_id, sum(amount_minor) AS minor FROM (
            SELECT document_id, amount_minor FROM allocation WHERE allocated_on > :day
            UNION ALL SELECT document_id, amount_minor FROM write_off WHERE written_on > :day
        ) amounts GROUP BY document_id
    ) settled
    JOIN document_state s ON s.document_id = settled.document_id
    LEFT JOIN not_yet ON not_yet.document_id = s.document_id
    WHERE not_yet.document_id IS NULL
)
"""
"""What came after `:day`: documents that were not there yet, and those that had something settled since, with what is
open now and what was then. As of today both are empty.
"""


_CAME: Final = "CASE WHEN s.open_minor <> 0 THEN 1 ELSE 0 END - CASE WHEN s.now_minor <> 0 THEN 1 ELSE 0 END"
"""By how many more documents were open then than now."""


def _sums(tests: str) -> str:
    """What comes to what was open at the end of `:day`, as SQL behind `LATER`: what is open now, and what was settled
    since. `tests` are on `s`, which both have.
    """
    return f"""(
    SELECT s.payer_id, s.due_on, s.currency, s.open_minor, 1 AS documents
    FROM document_state s LEFT JOIN not_yet ON not_yet.document_id = s.document_id
    WHERE s.open_minor > 0 AND not_yet.document_id IS NULL AND {tests}
    UNION ALL
    SELECT s.payer_id, s.due_on, s.currency, s.open_minor - s.now_minor, {_CAME}
    FROM since s WHERE {tests}
) owed"""


def _first(tests: str) -> str:
    """The first `:limit` documents that were open then, the oldest due first, in the same way."""
    return f"""(
    SELECT * FROM (
        SELECT s.document_id AS id, s.payer_id, s.due_on, s.currency, s.open_minor
        FROM document_state s LEFT JOIN not_yet ON not_yet.document_id = s.document_id
        LEFT JOIN since ON since.document_id = s.document_id
        WHERE s.open_minor > 0 AND not_yet.document_id IS NULL AND since.document_id IS NULL AND {tests}
        ORDER BY s.due_on, s.document_id LIMIT :limit
    ) untouched
    UNION ALL
    SELECT * FROM (
        SELECT s.document_id AS id, s.payer_id, s.due_on, s.currency, s.open_minor
        FROM since s WHERE s.open_minor <> 0 AND {tests}
        ORDER BY s.due_on, s.document_id LIMIT :limit
    ) touched
    ORDER BY due_on, id LIMIT :limit
) owed"""


class Aged(Struct, frozen=True):
    """What is open by age, in one currency; of one customer or of all."""

    customer_id: int | None
    customer: str
    currency: str
    documents: int
    current_minor: int
    to_30_minor: int
    to_60_minor: int
    to_90_minor: int
    over_90_minor: int
    total_minor: int


class OpenItem(Struct, frozen=True):
    id: int
    number: str
    customer_id: int
    customer: str
    issued_on: date
    due_on: date
    days_overdue: int
    currency: str
    total_minor: int
    open_minor: int


class Booked(Struct, frozen=True):
    currency: str
    amount_minor: int


def _ages() -> str:
    parts, least = [], ""
    for most, name in BUCKETS:
        test = " AND ".join(
            [*([f"owed.due_on < :{least}"] if least else []), *([f"owed.due_on >= :{name}"] * (most is not None))]
        )
        parts.append(f"CAST(sum(CASE WHEN {test} THEN owed.open_minor ELSE 0 END) AS bigint) AS {name}_minor")
        least = name
    return ", ".join(
        [
            *parts,
            "CAST(sum(owed.open_minor) AS bigint) AS total_minor",
            "CAST(sum(owed.documents) AS bigint) AS documents",
        ]
    )


def _due_from(day: date) -> dict[str, date]:
    """The earliest day on which something was due that is in a bucket."""
    return {name: date.fromordinal(max(1, day.toordinal() - most)) for most, name in BUCKETS if most is not None}


def _by_day(tests: str) -> str:
    """The same sums by currency and the day on which it was due, as an index has them."""
    return f"""(
    SELECT s.currency, s.due_on, sum(s.open_minor) AS open_minor, count(*) AS documents
    FROM document_state s LEFT JOIN not_yet ON not_yet.document_id = s.document_id
    WHERE s.open_minor > 0 AND not_yet.document_id IS NULL AND {tests} GROUP BY s.due_on, s.currency
    UNION ALL
    SELECT s.currency, s.due_on, s.open_minor - s.now_minor, {_CAME}
    FROM since s WHERE {tests}
) owed"""


async def aged_by_currency(scope: Scope, day: date, currency: str = "") -> list[Aged]:
    """All of it, a line a currency; or of one alone, which is quicker."""
    tests = all_of(bool(currency) and "s.currency = :currency", ":within")
    return await rows(
        Aged,
        f"{LATER} SELECT NULL::bigint AS customer_id, '' AS customer, owed.currency, {_ages()} FROM {_by_day(tests)}"
        " GROUP BY owed.currency HAVING sum(owed.documents) <> 0 ORDER BY owed.currency",
        day=day,
        currency=currency,
        **_due_from(day),
        within=within(DocumentState, scope.actor.reach, alias="s"),
    )


async def aged_by_customer(scope: Scope, day: date, *, limit: int = 200) -> list[Aged]:
    """Who owes, the most first."""
    return await rows(
        Aged,
        f"{LATER}, most AS MATERIALIZED ("
        f" SELECT payer_id, currency, sum(open_minor) AS minor FROM {_sums(':within')} GROUP BY payer_id, currency"
        " HAVING sum(documents) <> 0 ORDER BY minor DESC, payer_id, currency LIMIT :limit"
        f") SELECT owed.payer_id AS customer_id, customer.full_name AS customer, owed.currency, {_ages()}"
        f" FROM {_sums('s.payer_id IN (SELECT payer_id FROM most)')}"
        " JOIN most ON most.payer_id = owed.payer_id AND most.currency = owed.currency"
        " JOIN customer ON customer.id = owed.payer_id"
        " GROUP BY owed.payer_id, customer.full_name, owed.currency"
        " ORDER BY total_minor DESC, owed.payer_id, owed.currency",
        day=day,
        limit=limit,
        **_due_from(day),
        within=within(DocumentState, scope.actor.reach, alias="s"),
    )


async def open_items(
    scope: Scope, day: date, *, after: tuple[date, int] | None = None, limit: int = 100
) -> list[OpenItem]:
    """Each open document, the oldest due first."""
    due_on, last = after or (date.min, 0)
    return await rows(
        OpenItem,
        f"{LATER} SELECT owed.id, coalesce(d.number, '') AS number, owed.payer_id AS customer_id,"
        " customer.full_name AS customer, d.issued_on, owed.due_on,"
        f" {days_between('owed.due_on', ':day::date')} AS days_overdue, owed.currency, d.total_minor,"
        " CAST(owed.open_minor AS bigint) AS open_minor"
        f" FROM {_first('(s.due_on, s.document_id) > (:due_on, :last) AND :within')}"
        " JOIN document d ON d.id = owed.id JOIN customer ON customer.id = owed.payer_id"
        " ORDER BY owed.due_on, owed.id",
        day=day,
        due_on=due_on,
        last=last,
        limit=limit,
        within=within(DocumentState, scope.actor.reach, alias="s"),
    )


async def receivable_in_books(day: date) -> list[Booked]:
    """What stands on 1100 at the end of a day: what the documents must come to."""
    account = "(SELECT id FROM account WHERE book_id = :book AND code = :code)"
    return await rows(
        Booked,
        "SELECT currency, CAST(sum(debit_minor - credit_minor) AS bigint) AS amount_minor"
        f" FROM {booked(f'account_id = {account} AND booked_on <= :day')}"
        " GROUP BY currency HAVING sum(debit_minor - credit_minor) <> 0 ORDER BY currency",
        book=MAIN_BOOK,
        code=str(Code.RECEIVABLE),
        day=day,
    )
