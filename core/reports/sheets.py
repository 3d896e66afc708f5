"""A report as a sheet: one set of columns and lines, shown as a page and taken away as CSV: both say the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final, Literal, TypedDict

from litestar.response import Stream
from msgspec import Struct

from core.lists.writing import Cell as Written
from core.lists.writing import ExportColumn, csv_pieces, csv_stream
from core.money import Money, as_decimal, format_amount
from core.texts import figures, number
from core.web.amounts import percent_text
from core.web.templating import month_written, written

if TYPE_CHECKING:
    from core.scope import Scope

Kind = Literal["text", "money", "number", "date", "rate", "month"]
Cell = Money | int | date | str | None

_TYPES: Final = {"money": "decimal", "number": "integer", "date": "date", "rate": "text", "month": "text"}
LONG: Final = 32
"""Letters of a text that one line of a cell holds."""
_NUMBERS: Final = frozenset({"money", "number", "rate"})
CSV: Final = "text/csv"


class Column(Struct, frozen=True):
    """A column. `role` is where it stands on a phone: name, amount, meta, status, or nowhere."""

    key: str
    label: str
    kind: Kind = "text"
    role: str = ""
    only_csv: bool = False
    head: str = ""
    """What pages say in place of the label, which files have."""


class Line(Struct, frozen=True):
    """Cells in the order of the columns; `links` are addresses of cells by their columns' keys."""

    cells: tuple[Cell, ...]
    links: dict[str, str] = {}
    begins: bool = False
    """It is the first of several that belong together."""


class Sheet(Struct, frozen=True, kw_only=True):
    """A table. `total` stands below it, its first cell a heading."""

    key: str
    title: str
    columns: Sequence[Column]
    lines: Sequence[Line]
    totals: Sequence[Line] = ()
    note: str = ""
    empty: str = ""
    more: str = ""
    cards: bool = False
    """On a phone each line is a card of the columns that have a role; else it is read sideways."""

    @property
    def shown(self) -> list[Column]:
        return [each for each in self.columns if not each.only_csv]


class ShownCell(Struct, frozen=True):
    text: str
    cls: str
    href: str = ""


def drawn(sheet: Sheet, lines: Iterable[Line], locale: str) -> list[list[ShownCell]]:
    """The cells of a page, as they read."""
    return [
        [
            ShownCell(text, classes(column, text), line.links.get(column.key, ""))
            for column, cell in zip(sheet.columns, line.cells, strict=True)
            if not column.only_csv
            for text in (text_of(column, cell, locale),)
        ]
        for line in lines
    ]


def classes(column: Column, text: str = "") -> str:
    """`text`: what stands in the cell; a long one is broken, so that the amounts beside it are seen."""
    found = [*(["t-num"] if column.kind in _NUMBERS else []), *([f"c-{column.role}"] if column.role else [])]
    if column.kind == "date":
        found.append("t-nowrap")
    if column.kind == "text" and len(text) > LONG:
        found.append("t-long")
    return " ".join(found)


def text_of(column: Column, cell: Cell, locale: str) -> str:
    if cell is None:
        return ""
    if isinstance(cell, Money):
        return format_amount(cell.minor, cell.currency)
    if isinstance(cell, date):
        return month_written(cell, locale) if column.kind == "month" else written(cell, locale)
    if isinstance(cell, int):
        return percent_text(cell) if column.kind == "rate" else number(cell).replace("-", "\N{MINUS SIGN}")
    return cell


def _written(column: Column, cell: Cell) -> Written:
    if isinstance(cell, Money):
        return as_decimal(cell.minor, cell.currency)
    if isinstance(cell, date) and column.kind == "month":
        return cell.isoformat()[:7]
    if isinstance(cell, int) and column.kind == "rate":
        return percent_text(cell).replace("\N{NO-BREAK SPACE}", "")  # as spreadsheets take it for a number
    return cell


def csv_of(scope: Scope, sheet: Sheet) -> Stream:
    """The sheet as a file; its totals are left out, so that it can be summed up anew."""
    rows = (
        [_written(column, cell) for column, cell in zip(sheet.columns, line.cells, strict=True)] for line in sheet.lines
    )
    return _file(scope, sheet.key, csv_pieces(export_columns(sheet.columns), rows, **_signs()))


def csv_of_stream(scope: Scope, key: str, columns: Sequence[Column], lines: AsyncIterator[Line]) -> Stream:
    """The same from lines that come out of the database bit by bit."""

    async def rows() -> AsyncIterator[Sequence[Written]]:
        async for line in lines:
            yield [_written(column, cell) for column, cell in zip(columns, line.cells, strict=True)]

    return _file(scope, key, csv_stream(export_columns(columns), rows(), **_signs()))


class _Signs(TypedDict):
    delimiter: str
    decimal: str


def _signs() -> _Signs:
    """What the reader's spreadsheet takes for a new column and for decimals: where that is a comma, columns are parted
    by semicolons.
    """
    decimal = figures(".")
    return {"delimiter": ";" if decimal == "," else ",", "decimal": decimal}


def export_columns(columns: Sequence[Column]) -> list[ExportColumn]:
    return [ExportColumn(each.key, each.label, _TYPES.get(each.kind, "text")) for each in columns]  # type: ignore[arg-type]  # one of its literals


def _file(scope: Scope, key: str, content: Iterable[bytes] | AsyncIterator[bytes]) -> Stream:
    name = f"{key}-{scope.today().isoformat()}.csv"
    return Stream(content, media_type=CSV, headers={"content-disposition": f'attachment; filename="{name}"'})
