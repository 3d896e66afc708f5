"""A list taken away as a file: exactly what is shown, its columns, order, filter and sort, streamed.

Rows are read a piece at a time along the list's own order, so memory does not grow with their number, and what is
changed meanwhile elsewhere neither blocks nor is blocked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Literal

from litestar.response import Stream

from core.activity.unit import record, unit_of_work
from core.database import bind, current
from core.errors import Invalid
from core.lists.drawing import drawing_of, export_columns, export_lines
from core.lists.view_events import ListExported
from core.lists.writing import XLSX_ROWS, Cell, XlsxWriter, csv_stream, too_many_for_xlsx
from core.texts import _

if TYPE_CHECKING:
    from core.lists.showing import Shown
    from core.scope import Scope

Format = Literal["csv", "xlsx"]
PIECE: Final = 1000
"""Rows that are read at once."""
BLOCK: Final = 65_536
TYPES: Final = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


async def export_of(scope: Scope, shown: Shown, wanted: Format) -> Stream:
    """The answer that is the file. Raises Invalid for what is not the list's, and for more rows than it holds."""
    shown.asked.check_all_known()
    if wanted == "xlsx":
        await _check_fits(scope, shown)
    await _note_export(scope, shown, wanted)
    return Stream(
        bound(content_of(scope, shown, wanted)),
        media_type=TYPES[wanted],
        headers={"content-disposition": f'attachment; filename="{file_name(scope, shown, wanted)}"'},
    )


async def _check_fits(scope: Scope, shown: Shown) -> None:
    if await shown.listing.count(scope, shown.asked, XLSX_ROWS) >= XLSX_ROWS:
        raise Invalid(too_many_for_xlsx(), field="format")


async def _note_export(scope: Scope, shown: Shown, wanted: Format) -> None:
    """Who took what away stands in the activity, before the first byte leaves."""
    async with unit_of_work(scope):
        record(
            scope,
            ListExported(listing=shown.listing.key, format=wanted.upper()),
            changes={
                "address": (None, shown.listing.address(shown.asked.kept)),
                "columns": (None, ", ".join(one.key for one in shown.picked.columns)),
            },
        )


def file_name(scope: Scope, shown: Shown, wanted: Format) -> str:
    """customers-2026-11-22.csv"""
    return f"{shown.listing.key.replace('.', '-')}-{scope.today().isoformat()}.{wanted}"


def bound(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """For an answer that is sent when the request's own binding has ended: the database is bound again for each piece,
    and nothing is held while the reader is slow."""
    database = current()

    async def streamed() -> AsyncIterator[bytes]:
        while True:
            with bind(database):
                piece = await anext(pieces, None)
            if piece is None:
                return
            yield piece

    return streamed()


async def rows_of(scope: Scope, shown: Shown) -> AsyncIterator[list[list[Cell]]]:
    """All rows, a piece at a time."""
    listing, columns = shown.listing, shown.picked.columns
    after = ""
    while True:
        found = await listing.found(scope, shown.asked, after=after, limit=PIECE)
        drawing = await drawing_of(scope, columns, [one.id for one in found.rows], shown.choices)
        yield export_lines(listing, columns, found.rows, drawing)
        after = found.after
        if not after:
            return


async def csv_of(scope: Scope, shown: Shown) -> AsyncIterator[bytes]:
    """As CSV, in pieces of about 64 KiB."""
    columns = export_columns(shown.listing, shown.picked.columns)

    async def one_by_one() -> AsyncIterator[Sequence[Cell]]:
        async for piece in rows_of(scope, shown):
            for one in piece:
                yield one

    async for block in csv_stream(columns, one_by_one()):
        yield block


async def xlsx_of(scope: Scope, shown: Shown) -> AsyncIterator[bytes]:
    """As a workbook. Its parts can only be put together once the last row is known, so it goes by a file."""
    columns = export_columns(shown.listing, shown.picked.columns)
    with TemporaryDirectory(prefix="export-") as folder:
        file = Path(folder) / "export.xlsx"
        writer = XlsxWriter(file, columns, sheet=_(shown.listing.title))
        async for piece in rows_of(scope, shown):
            await asyncio.to_thread(_write, writer, piece)
        await asyncio.to_thread(writer.close)
        with file.open("rb") as made:
            while block := await asyncio.to_thread(made.read, BLOCK):
                yield block


def _write(writer: XlsxWriter, piece: Sequence[Sequence[Cell]]) -> None:
    for one in piece:
        writer.write(one)


def content_of(scope: Scope, shown: Shown, wanted: Format) -> AsyncIterator[bytes]:
    return csv_of(scope, shown) if wanted == "csv" else xlsx_of(scope, shown)
