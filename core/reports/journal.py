"""The journal: every transaction with its postings, the newest first on pages, the earliest first in files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.database import bind, current, rows
from core.ledger.accounts import MAIN_BOOK

if TYPE_CHECKING:
    from collections.abc import Sequence

PIECE: Final = 500
"""Transactions that are read at once into a file."""


class JournalFilter(Struct, frozen=True, kw_only=True):
    """What of the journal is wanted; days are both included."""

    since: date | None = None
    until: date | None = None
    account: str = ""
    customer_id: int | None = None
    kind: str = ""


class JournalPosting(Struct, frozen=True):
    """A posting with its transaction, and what it is about by name."""

    transaction_id: int
    line: int
    booked_on: date
    kind: str
    source_kind: str
    source_id: int
    document_id: int | None
    reference: str
    code: str
    account: str
    export_number: str
    customer_id: int | None
    customer: str
    product: str
    rate_ppm: int | None
    currency: str
    amount_minor: int
    base_minor: int


class _Found(Struct, frozen=True):
    id: int
    booked_on: date


_POSTINGS: Final = """
SELECT t.id AS transaction_id, p.line, t.booked_on, t.kind, t.source_kind, t.source_id,
       coalesce(d.id, ad.id) AS document_id, coalesce(d.number, ad.number, pay.reference, '') AS reference,
       a.code, a.name AS account, a.export_number, p.customer_id, coalesce(c.full_name, '') AS customer,
       coalesce(product.name, '') AS product, r.rate_ppm, p.currency, p.amount_minor, p.base_minor
FROM {transactions} t
JOIN posting p ON p.transaction_id = t.id
JOIN account a ON a.id = p.account_id
LEFT JOIN document d ON t.source_kind = 'document' AND d.id = t.source_id
LEFT JOIN allocation al ON t.source_kind = 'allocation' AND al.id = t.source_id
LEFT JOIN document ad ON ad.id = al.document_id
LEFT JOIN payment pay ON t.source_kind = 'payment' AND pay.id = t.source_id
LEFT JOIN customer c ON c.id = p.customer_id
LEFT JOIN product ON product.id = p.product_id
LEFT JOIN tax_rate r ON r.id = p.tax_rate_id
"""


async def list_journal(
    wanted: JournalFilter, *, before: tuple[date, int] | None = None, limit: int = 50
) -> tuple[list[JournalPosting], tuple[date, int] | None]:
    """Transactions that have a posting as wanted, whole, the newest first; and where the next page begins."""
    day, last = before or (date.max, 2**63 - 1)
    found = await _chosen(wanted, "{on} <= :day AND ({on} < :day OR {key} < :last)", "DESC", day, last, limit + 1)
    more = (found[limit - 1].booked_on, found[limit - 1].id) if len(found) > limit else None
    return await _postings([each.id for each in found[:limit]], "DESC"), more


async def _chosen(wanted: JournalFilter, place: str, order: str, day: date, last: int, limit: int) -> list[_Found]:
    """The next transactions that have a posting as wanted. `place`: which lie beyond the last one that was read."""
    if wanted.account or wanted.customer_id is not None:
        source, on, key = "posting", "posting.booked_on", "posting.transaction_id"
        joined = " JOIN ledger_transaction t ON t.id = posting.transaction_id" if wanted.kind else ""
    else:
        source, on, key, joined = "ledger_transaction t", "t.booked_on", "t.id", ""
    return await rows(
        _Found,
        f"SELECT {'DISTINCT ' if source == 'posting' else ''}{key} AS id, {on} AS booked_on FROM {source}{joined}"
        f" WHERE {place.format(on=on, key=key)}"
        + (f" AND {on} >= :since" if wanted.since else "")
        + (f" AND {on} <= :until" if wanted.until else "")
        + (
            " AND posting.account_id = (SELECT id FROM account WHERE book_id = :book AND code = :code)"
            if wanted.account
            else ""
        )
        + (" AND posting.customer_id = :customer" if wanted.customer_id is not None else "")
        + (" AND t.kind = :kind" if wanted.kind else "")
        + f" ORDER BY 2 {order}, 1 {order} LIMIT :limit",
        day=day,
        last=last,
        since=wanted.since,
        until=wanted.until,
        book=MAIN_BOOK,
        code=wanted.account,
        customer=wanted.customer_id,
        kind=wanted.kind,
        limit=limit,
    )


async def _postings(ids: Sequence[int], order: str) -> list[JournalPosting]:
    return await rows(
        JournalPosting,
        _POSTINGS.format(transactions="ledger_transaction")
        + f" WHERE t.id IN :ids ORDER BY t.booked_on {order}, t.id {order}, p.line",
        ids=list(ids),
    )


async def stream_journal(wanted: JournalFilter) -> AsyncIterator[JournalPosting]:
    """Every posting of the transactions that have one as wanted, the earliest first; the database is held for a piece
    at a time only.
    """
    database = current()
    day, last = date.min, 0
    while True:
        with bind(database):
            found = await _chosen(wanted, "{on} >= :day AND ({on} > :day OR {key} > :last)", "ASC", day, last, PIECE)
            postings = await _postings([each.id for each in found], "ASC")
        for posting in postings:
            yield posting
        if len(found) < PIECE:
            return
        day, last = found[-1].booked_on, found[-1].id
