"""Tables that people take away."""

import csv
import io
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from core.errors import Invalid
from core.lists import writing
from core.lists.reading import open_table
from core.lists.writing import Cell, ExportColumn, XlsxWriter, csv_pieces, csv_stream, harmless

COLUMNS = (
    ExportColumn("id", "Id", "integer"),
    ExportColumn("name", "Name"),
    ExportColumn("balance", "Balance", "decimal"),
    ExportColumn("joined_on", "Joined", "date"),
    ExportColumn("seen_at", "Seen", "instant"),
    ExportColumn("blocked", "Blocked", "boolean"),
)
ROW: tuple[Cell, ...] = (
    7,
    "Zoë; “Best”, Ltd",
    Decimal("-1257.29"),
    date(2024, 2, 29),
    datetime(2024, 2, 29, 8, 30, tzinfo=UTC),
    True,
)
FORMULAS = ["=1+1", "+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", " =1+1", "\u00a0=1", "＝1+1", '=HYPERLINK("x")']


def read_csv(pieces: Iterator[bytes], delimiter: str = ",") -> list[list[str]]:
    text = b"".join(pieces).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def read_xlsx(path: Path) -> list[list[object]]:
    return CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()


def test_a_csv_holds_exactly_the_declared_columns_in_their_order() -> None:
    rows = read_csv(csv_pieces(COLUMNS, [ROW]))

    assert rows == [
        ["Id", "Name", "Balance", "Joined", "Seen", "Blocked"],
        ["7", "Zoë; “Best”, Ltd", "-1257.29", "2024-02-29", "2024-02-29 08:30:00+00:00", "yes"],
    ]


def test_csv_begins_with_a_bom_for_excel_and_ends_lines_as_the_standard_says() -> None:
    content = b"".join(csv_pieces(COLUMNS[:2], [(1, "a")]))

    assert content == b"\xef\xbb\xbfId,Name\r\n1,a\r\n"


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_would_run_in_a_spreadsheet_is_made_harmless(text: str) -> None:
    rows = read_csv(csv_pieces(COLUMNS[1:2], [(text,)]))

    assert rows[1] == ["'" + text]


def test_negative_amounts_stay_numbers() -> None:
    rows = read_csv(
        csv_pieces((ExportColumn("balance", "Balance", "decimal"),), [(Decimal("-0.05"),), (Decimal("1E+3"),)])
    )

    assert rows[1:] == [["-0.05"], ["1000"]]


def test_a_number_in_a_text_column_is_text() -> None:
    rows = read_csv(csv_pieces(COLUMNS[1:2], [(-5,), (None,)]))

    assert rows[1:] == [["'-5"], [""]]


def test_headings_are_made_harmless_too() -> None:
    rows = read_csv(csv_pieces((ExportColumn("x", "=cmd"),), []))

    assert rows == [["'=cmd"]]


@given(st.text(max_size=30))
def test_no_text_leaves_as_a_formula(text: str) -> None:
    out = harmless(text)

    assert not out.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))
    assert out in {text, "'" + text}


def test_a_row_of_another_length_is_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match="2 cells for 6 columns"):
        list(csv_pieces(COLUMNS, [(1, "a")]))


def test_csv_is_streamed_in_pieces_with_flat_memory() -> None:
    def rows(count: int) -> Iterator[Sequence[Cell]]:
        return (ROW for _ in range(count))

    peaks = []
    for count in (5_000, 50_000):
        tracemalloc.start()
        sizes = [len(piece) for piece in csv_pieces(COLUMNS, rows(count))]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert max(sizes) < 2 * 65_536

    assert peaks[1] < peaks[0] + 100_000


async def test_rows_of_a_database_are_streamed_as_they_come() -> None:
    async def rows() -> AsyncIterator[Sequence[Cell]]:
        for number in range(3_000):
            yield number, "x" * 50

    pieces = [piece async for piece in csv_stream(COLUMNS[:2], rows(), delimiter=";")]

    assert len(pieces) > 1
    assert len(read_csv(iter(pieces), ";")) == 3_001


def test_a_workbook_holds_typed_cells(tmp_path: Path) -> None:
    path = tmp_path / "export.xlsx"
    book = XlsxWriter(path, COLUMNS)
    book.write(ROW)
    book.write((8, None, None, None, None, False))
    book.close()

    rows = read_xlsx(path)

    assert rows[0] == ["Id", "Name", "Balance", "Joined", "Seen", "Blocked"]
    assert rows[1][:4] == [7.0, "Zoë; “Best”, Ltd", -1257.29, date(2024, 2, 29)]
    assert [str(cell) for cell in rows[1][4:]] == ["2024-02-29 08:30:00", "True"]
    assert rows[2] == [8.0, "", "", "", "", False]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_workbook_holds_no_formula_and_no_link(tmp_path: Path, text: str) -> None:
    path = tmp_path / "export.xlsx"
    book = XlsxWriter(path, COLUMNS[1:2])
    book.write((text,))
    book.write(("https://example.com",))
    book.close()

    rows = read_xlsx(path)

    assert str(rows[1][0]).startswith("'")
    assert rows[2] == ["https://example.com"]
    content = path.read_bytes()
    assert b"hyperlink" not in content


def test_more_rows_than_a_sheet_holds_are_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "XLSX_ROWS", 3)
    book = XlsxWriter(tmp_path / "export.xlsx", COLUMNS[1:2])
    book.write(("a",))
    book.write(("b",))

    with pytest.raises(Invalid, match="Export as CSV"):
        book.write(("c",))


def test_what_is_exported_can_be_imported_again(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    rows = [(1, "Zoë\nGroß"), (2, 'a "b", c'), (3, "+49 351 555"), (4, "=1+1"), (5, "'quoted'")]
    path.write_bytes(b"".join(csv_pieces(COLUMNS[:2], rows)))

    table = open_table(path, header_score=len)

    assert [record.cells for record in table.records()] == [(str(number), text) for number, text in rows]
