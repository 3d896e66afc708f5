"""What was owed on a day: open documents, and their age. The sum is what stood on 1100 then."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.billing.staging import days_between
from core.billing.tables import Document
from core.database import rows, within
from core.ledger.accounts import MAIN_BOOK, Code
from core.ledger.queries import booked

if TYPE_CHECKING:
    from core.scope import Scope

BUCKETS: Final = ((0, "current"), (30, "to_30"), (60, "to_60"), (90, "to_90"), (None, "over_90"))
"""Days overdue at most, by the name of the bucket."""


def open_on(day: str, *, now: bool = False) -> str:
    """Every document that was open at the end of a day, as SQL to select from. `now`: the day is today or later."""
    still = "s.open_minor > 0"
    asked = still if now else f"({still} OR s.settled_on IS NULL OR s.settled_on > {day})"
    return f"""(
    SELECT x.*, x.total_minor - x.settled_minor AS open_minor FROM (
        SELECT d.id, d.payer_id, d.kind, d.number, d.currency, d.issued_on, s.due_on, d.total_minor, d.book_id,
               coalesce((SELECT sum(a.amount_minor) FROM allocation a
                   WHERE a.document_id = d.id AND a.allocated_on <= {day}), 0)
               + coalesce((SELECT sum(w.amount_minor) FROM write_off w
                   WHERE w.document_id = d.id AND w.written_on <= {day}), 0) AS settled_minor
        FROM document_state s
        JOIN document d ON d.id = s.document_id
        LEFT JOIN opening_balance o ON o.document_id = d.id
        WHERE d.state = 'issued' AND d.kind <> 'credit_note' AND coalesce(o.booked_on, d.issued_on) <= {day}
          AND {asked}
    ) x WHERE x.total_minor <> x.settled_minor
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
    overdue = days_between("owed.due_on", ":day::date")
    parts, least = [], None
    for most, name in BUCKETS:
        test = " AND ".join(
            [
                *([f"{overdue} > {least}"] if least is not None else []),
                *([f"{overdue} <= {most}"] if most is not None else []),
            ]
        )
        parts.append(f"CAST(sum(CASE WHEN {test} THEN owed.open_minor ELSE 0 END) AS bigint) AS {name}_minor")
        least = most
    return ", ".join([*parts, "CAST(sum(owed.open_minor) AS bigint) AS total_minor", "count(*) AS documents"])


async def aged_by_currency(scope: Scope, day: date) -> list[Aged]:
    """All of it, a line a currency."""
    return await rows(
        Aged,
        f"SELECT NULL::bigint AS customer_id, '' AS customer, owed.currency, {_ages()}"
        f" FROM {open_on(':day::date', now=day >= scope.today())} JOIN document ON document.id = owed.id WHERE :within"
        " GROUP BY owed.currency ORDER BY owed.currency",
        day=day,
        within=within(Document, scope.actor.reach),
    )


async def aged_by_customer(scope: Scope, day: date, *, limit: int = 200) -> list[Aged]:
    """Who owes, the most first."""
    return await rows(
        Aged,
        f"SELECT owed.payer_id AS customer_id, customer.full_name AS customer, owed.currency, {_ages()}"
        f" FROM {open_on(':day::date', now=day >= scope.today())} JOIN document ON document.id = owed.id"
        " JOIN customer ON customer.id = owed.payer_id WHERE :within"
        " GROUP BY owed.payer_id, customer.full_name, owed.currency"
        " ORDER BY 10 DESC, owed.payer_id, owed.currency LIMIT :limit".replace("10 DESC", "total_minor DESC"),
        day=day,
        limit=limit,
        within=within(Document, scope.actor.reach),
    )


async def open_items(
    scope: Scope, day: date, *, after: tuple[date, int] | None = None, limit: int = 100
) -> list[OpenItem]:
    """Each open document, the oldest due first."""
    due_on, last = after or (date.min, 0)
    return await rows(
        OpenItem,
        "SELECT owed.id, coalesce(owed.number, '') AS number, owed.payer_id AS customer_id,"
        " customer.full_name AS customer, owed.issued_on, owed.due_on,"
        f" {days_between('owed.due_on', ':day::date')} AS days_overdue, owed.currency, owed.total_minor,"
        f" CAST(owed.open_minor AS bigint) AS open_minor FROM {open_on(':day::date', now=day >= scope.today())}"
        " JOIN document ON document.id = owed.id JOIN customer ON customer.id = owed.payer_id"
        " WHERE (owed.due_on > :due_on OR (owed.due_on = :due_on AND owed.id > :last)) AND :within"
        " ORDER BY owed.due_on, owed.id LIMIT :limit",
        day=day,
        due_on=due_on,
        last=last,
        limit=limit,
        within=within(Document, scope.actor.reach),
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
