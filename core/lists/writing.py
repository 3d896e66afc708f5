"""The one writer of tables that people take away: CSV and XLSX, streamed.

Text that a spreadsheet would take for a formula gets an apostrophe in front, so that opening an export runs nothing
that a customer typed into a form.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Final, Literal

from msgspec import Struct

from core.errors import Invalid
from core.texts import _, number

ColumnType = Literal["text", "integer", "decimal", "date", "instant", "boolean"]
Cell = str | int | Decimal | date | datetime | bool | None

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_PIECE: Final = 65_536
XLSX_ROWS: Final = 1_048_576
XLSX_CELL: Final = 32_767


class ExportColumn(Struct, frozen=True):
    """A column of an export. Only columns that are declared can be exported."""

    key: str
    label: str
    type: ColumnType = "text"


def harmless(text: str) -> str:
    """The text so that a spreadsheet shows it and does not run it. Leading spaces do not hide a formula."""
    return f"'{text}" if text.lstrip(" \n\u00a0\ufeff").startswith(_FORMULA) else text


def too_many_for_xlsx() -> str:
    return _(
        "XLSX holds %(xlsx_rows)s rows at most. Export as CSV, or narrow the list.", xlsx_rows=number(XLSX_ROWS - 1)
    )


def csv_pieces(
    columns: Sequence[ExportColumn],
    rows: Iterable[Sequence[Cell]],
    *,
    delimiter: str = ",",
    decimal: str = ".",
    bom: bool = True,
) -> Iterator[bytes]:
    """UTF-8 in pieces of about 64 KiB. The BOM is for Excel, which takes CSV without one for Windows-1252."""
    writer = _CsvWriter(columns, delimiter, decimal, bom=bom)
    for row in rows:
        writer.write(row)
        if writer.full:
            yield writer.take()
    yield writer.take()


async def csv_stream(
    columns: Sequence[ExportColumn],
    rows: AsyncIterator[Sequence[Cell]],
    *,
    delimiter: str = ",",
    decimal: str = ".",
    bom: bool = True,
) -> AsyncIterator[bytes]:
    """The same from rows that come out of a database bit by bit."""
    writer = _CsvWriter(columns, delimiter, decimal, bom=bom)
    async for row in rows:
        writer.write(row)
        if writer.full:
            yield writer.take()
    yield writer.take()


class XlsxWriter:
    """A workbook with one sheet, written row by row in constant memory to a file.

    Text cells are written as strings and never as formulas or links, and carry the same apostrophe as in CSV: whoever
    receives the file may save it as CSV.
    """

    def __init__(self, target: Path | IO[bytes], columns: Sequence[ExportColumn], *, sheet: str = "") -> None:
        self._columns = tuple(columns)
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "default_date_format": "yyyy-mm-dd",
            "remove_timezone": True,
        }
        import xlsxwriter  # by who writes a workbook, not by everybody's start

        self._book = xlsxwriter.Workbook(str(target) if isinstance(target, Path) else target, options)
        self._sheet = self._book.add_worksheet((sheet or _("Export"))[:31])
        self._instant = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        bold = self._book.add_format({"bold": True})
        self._sheet.freeze_panes(1, 0)
        for place, column in enumerate(self._columns):
            self._sheet.write_string(0, place, harmless(column.label), bold)
        self._row = 0

    def write(self, row: Sequence[Cell]) -> None:
        if len(row) != len(self._columns):
            raise ValueError(f"{len(row)} cells for {len(self._columns)} columns")
        self._row += 1
        if self._row >= XLSX_ROWS:
            raise Invalid(too_many_for_xlsx())
        for place, (column, cell) in enumerate(zip(self._columns, row, strict=True)):
            self._write_cell(place, column, cell)

    def _write_cell(self, place: int, column: ExportColumn, cell: Cell) -> None:
        if cell is None or cell == "":
            return
        if isinstance(cell, bool):
            self._sheet.write_boolean(self._row, place, cell)
        elif isinstance(cell, int | Decimal) and column.type != "text" and -(10**15) < cell < 10**15:
            self._sheet.write_number(self._row, place, float(cell))
        elif isinstance(cell, datetime):
            self._sheet.write_datetime(self._row, place, cell, self._instant)
        elif isinstance(cell, date):
            self._sheet.write_datetime(self._row, place, cell)
        else:
            self._sheet.write_string(self._row, place, _text(column, cell)[:XLSX_CELL])

    def close(self) -> None:
        """Put the parts together. Before this there is no file."""
        self._book.close()


class _CsvWriter:
    def __init__(self, columns: Sequence[ExportColumn], delimiter: str, decimal: str, *, bom: bool) -> None:
        self._columns = tuple(columns)
        self._decimal = decimal
        self._buffer = io.StringIO(newline="")
        self._writer = csv.writer(self._buffer, delimiter=delimiter, lineterminator="\r\n")
        if bom:
            self._buffer.write("\ufeff")
        self._writer.writerow([harmless(column.label) for column in self._columns])

    def write(self, row: Sequence[Cell]) -> None:
        if len(row) != len(self._columns):
            raise ValueError(f"{len(row)} cells for {len(self._columns)} columns")
        self._writer.writerow(
            [_text(column, cell, self._decimal) for column, cell in zip(self._columns, row, strict=True)]
        )

    @property
    def full(self) -> bool:
        return self._buffer.tell() >= _PIECE

    def take(self) -> bytes:
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return text.encode("utf-8", "replace")


def _text(column: ExportColumn, cell: Cell, decimal: str = ".") -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="seconds")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, int | Decimal) and column.type != "text":
        return format(cell, "f").replace(".", decimal) if isinstance(cell, Decimal) else str(cell)
    return harmless(str(cell))
