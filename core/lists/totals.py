"""Sums under a list: of the page at once, of all that match when they are asked for; one for each currency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from core.database import rows
from core.lists.drawing import currency_of, value_of
from core.money import Money, format_amount

if TYPE_CHECKING:
    from core.lists.asked import Asked
    from core.lists.columns import ListColumn
    from core.lists.drawing import Drawing
    from core.lists.listing import Listing
    from core.scope import Scope


class TotalCell(Struct, frozen=True):
    """What stands under a column: a sum for each currency, nothing under one that is not added up."""

    sums: tuple[str, ...] = ()
    role: str = ""
    is_number: bool = False


class TotalRow(Struct, frozen=True):
    """The foot of a list. `before` is how many columns its label spans."""

    before: int
    cells: tuple[TotalCell, ...]


class _Sum(Struct, frozen=True):
    currency: str
    total: int
    total_1: int = 0
    total_2: int = 0
    total_3: int = 0


def page_totals(
    listing: Listing[Any], columns: Sequence[ListColumn], found: Sequence[Any], drawing: Drawing
) -> TotalRow | None:
    """Of the rows that are shown; nothing where no column that is shown is added up."""
    sums: dict[str, dict[str, int]] = {}
    for column in columns:
        if column.total is None:
            continue
        by_currency = sums.setdefault(column.key, {})
        amount = _amount(listing, column, drawing)
        for one in found:
            shown = amount(one)
            if shown is not None:
                by_currency[shown.currency] = by_currency.get(shown.currency, 0) + shown.minor
    return _row(columns, sums, drawing.scope)


def _amount(listing: Listing[Any], column: ListColumn, drawing: Drawing) -> Callable[[Any], Money | None]:
    """What a row adds to its column's sum."""
    of = None if column.total is None else column.total.of
    if of is None:
        value_in = value_of(column, drawing, listing)
        return lambda row: found if isinstance(found := value_in(row), Money) else None

    def amount(row: Any) -> Money | None:
        minor = of(row)
        return None if minor is None else Money(minor, currency_of(listing, row, drawing.scope))

    return amount


async def all_totals(
    listing: Listing[Any], columns: Sequence[ListColumn], asked: Asked, scope: Scope
) -> TotalRow | None:
    """Of all that match, in the actor's reach."""
    summed = [column for column in columns if column.total is not None][:4]
    if not summed:
        return None
    matching = listing.matching(scope, asked)
    joins = " ".join(dict.fromkeys(column.join for column in summed if column.join))
    picked = ", ".join(
        f"CAST(coalesce(sum({column.total.sql}), 0) AS bigint) AS {name}"
        for column, name in zip(summed, ("total", "total_1", "total_2", "total_3"), strict=False)
        if column.total is not None
    )
    currency = listing.total_currency or ":list_currency"
    values = (
        dict(matching.values) if listing.total_currency else {**matching.values, "list_currency": scope.tenant.currency}
    )
    by = f" GROUP BY {currency}" if listing.total_currency else ""
    found = await rows(
        _Sum,
        f"SELECT {currency} AS currency, {picked} FROM {listing.table_name} {joins}"
        f" WHERE {listing.row_id} IN ({matching.sql}){by}",
        **values,
    )
    sums = {
        column.key: {one.currency: (one.total, one.total_1, one.total_2, one.total_3)[at] for one in found}
        for at, column in enumerate(summed)
    }
    return _row(columns, sums, scope)


def _row(columns: Sequence[ListColumn], sums: dict[str, dict[str, int]], scope: Scope) -> TotalRow | None:
    if not sums:
        return None
    before = next(at for at, column in enumerate(columns) if column.key in sums)
    home = scope.tenant.currency
    cells = []
    for column in columns[before:]:
        by_currency = sums.get(column.key)
        said = [
            format_amount(minor, one)
            if by_currency and set(by_currency) == {home}
            else f"{format_amount(minor, one)} {one}"
            for one, minor in sorted((by_currency or {}).items())
        ]
        if by_currency is not None and not said:
            said = [format_amount(0, home)]
        cells.append(TotalCell(tuple(said), column.role, column.is_number))
    return TotalRow(before, tuple(cells))
