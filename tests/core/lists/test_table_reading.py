"""Reading tables that people bring."""

import csv
import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from core.lists.reading import Limits, Record, Table, UnreadableFile, header_key, open_table

Write = Callable[[bytes | str], Path]


def known(cells: Sequence[str]) -> int:
    return sum(header_key(cell) in {"name", "email", "phone", "city"} for cell in cells)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(content: bytes | str) -> Path:
        path = tmp_path / "table"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return to_file


def read(path: Path, **settings: object) -> tuple[Table, list[Record]]:
    table = open_table(path, header_score=known, **settings)  # type: ignore[arg-type]  # settings of several types
    return table, list(table.records())


def cells(records: Sequence[Record]) -> list[tuple[str, ...]]:
    return [record.cells for record in records]


def workbook(path: Path, sheets: dict[str, list[list[object]]]) -> Path:
    book = xlsxwriter.Workbook(str(path), {"default_date_format": "yyyy-mm-dd"})
    for name, rows in sheets.items():
        sheet = book.add_worksheet(name)
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    book.close()
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", "~", ":"])
def test_any_delimiter_is_found(write: Write, delimiter: str) -> None:
    path = write(f"name{delimiter}email\nAda{delimiter}ada@example.com\n")

    table, records = read(path)

    assert table.delimiter == delimiter
    assert cells(records) == [("Ada", "ada@example.com")]


def test_commas_inside_fields_do_not_hide_the_semicolon(write: Write) -> None:
    path = write("name;city\nDoe, John;Bonn, Rhein\nRoe, Jane;Köln, Rhein\n")

    table, records = read(path)

    assert table.delimiter == ";"
    assert cells(records) == [("Doe, John", "Bonn, Rhein"), ("Roe, Jane", "Köln, Rhein")]


def test_excels_separator_line_names_the_delimiter(write: Write) -> None:
    path = write("sep=;\r\nname;email\r\nAda;ada@example.com\r\n")

    table, records = read(path)

    assert (table.delimiter, table.header_line) == (";", 2)
    assert (records[0].number, records[0].line) == (1, 3)


def test_one_column_needs_no_delimiter(write: Write) -> None:
    table, records = read(write("email\nada@example.com\nbo@example.com\n"))

    assert table.headers == ("email",)
    assert cells(records) == [("ada@example.com",), ("bo@example.com",)]


@pytest.mark.parametrize(
    ("codec", "told"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8 with BOM"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16"),
        ("utf-16-be", "utf-16"),
        ("utf-32", "utf-32"),
        ("cp1252", "windows-1252"),
    ],
)
def test_the_encoding_is_found(write: Write, codec: str, told: str) -> None:
    path = write("name;city\nZoë Groß;Œuvre – 5 €\n".encode(codec))

    table, records = read(path)

    assert table.encoding == told
    assert table.headers == ("name", "city")
    assert cells(records) == [("Zoë Groß", "Œuvre – 5 €")]


def test_a_given_encoding_overrules_what_would_be_found(write: Write) -> None:
    path = write("name,city\nŁódź,Pięć\n".encode("iso-8859-2"))

    _, records = read(path, encoding="iso-8859-2")

    assert cells(records) == [("Łódź", "Pięć")]


def test_one_bad_byte_makes_one_bad_record_not_a_file_of_gibberish(write: Write) -> None:
    good = "".join(f"Jürgen {n},Köln\n" for n in range(20))
    path = write(b"name,city\n" + good.encode() + b"M\xfcller,Bonn\n" + good.encode())

    table, records = read(path)

    assert table.encoding == "utf-8"
    assert [record.number for record in records if record.fault] == [21]
    assert records[-1].cells == ("Jürgen 19", "Köln")


def test_lines_may_end_in_three_ways_in_one_file(write: Write) -> None:
    path = write('name,email\r\nAda,"a@example.com"\nBo,b@example.com\rCy,"c@example.com"\r\n')

    _, records = read(path)

    assert [record.cells[0] for record in records] == ["Ada", "Bo", "Cy"]
    assert [record.line for record in records] == [2, 3, 4]


def test_fields_span_lines_inside_quotation_marks(write: Write) -> None:
    path = write('name,city\n"Ada\r\nLovelace","London\n\nW1"\nBo,Bonn\n')

    _, records = read(path)

    assert cells(records) == [("Ada\nLovelace", "London\n\nW1"), ("Bo", "Bonn")]
    assert records[1].line == 6


def test_blank_lines_are_counted_and_passed_over(write: Write) -> None:
    table, records = read(write("name,email\n\nAda,a@example.com\n , \n\nBo,b@example.com\n"))

    assert [record.number for record in records] == [1, 3]
    assert (table.blank, table.read) == (3, 3)


@pytest.mark.parametrize("line", ["Dee,d@example.com,extra", "Eve", 'Eve,"a",b,c'])
def test_a_wrong_number_of_fields_is_the_error_of_that_record(write: Write, line: str) -> None:
    _, records = read(write(f"name,email\n{line}\nBo,b@example.com\n"))

    assert "the header has 2" in records[0].fault
    assert records[0].cells[0] == line[:3]
    assert records[1] == Record(2, 3, ("Bo", "b@example.com"))


def test_empty_fields_at_the_end_of_a_line_are_no_fault(write: Write) -> None:
    _, records = read(write("name,email,,\nAda,a@example.com,,,\n"))

    assert records == [Record(1, 2, ("Ada", "a@example.com"))]


@pytest.mark.parametrize(
    "broken",
    [
        '"Fay","fay@example.com',
        '"Fay,fay@example.com',
        'Fay,"fay@example.com',
        '"Fay","',
        '"Fay","fay"@example.com',
        '"Fay" "x,fay@example.com',
    ],
)
def test_an_unclosed_quotation_mark_swallows_nothing_of_the_rest(write: Write, broken: str) -> None:
    path = write(f'name,email\n{broken}\nGus,"gus@example.com"\n"Hal","hal@example.com"\nIda,i@example.com\n')

    _, records = read(path)

    assert records[0].fault or records[0].remark
    assert "Fay" in records[0].cells[0]
    assert [record.cells[0] for record in records[1:]] == ["Gus", "Hal", "Ida"]
    assert [record.line for record in records] == [2, 3, 4, 5]


def test_an_unclosed_quotation_mark_that_another_record_closes_swallows_nothing(write: Write) -> None:
    path = write('name,email,city\nFay,"fay@example.com\nGus,gus@example.com,Ulm\nHal,hal@example.com,Kiel"\n')

    _, records = read(path)

    assert [bool(record.fault) for record in records] == [True, False, False]
    assert records[1].cells == ("Gus", "gus@example.com", "Ulm")


def test_quotation_marks_that_were_not_doubled_are_read_as_written(write: Write) -> None:
    path = write('"name";"email"\n"Budi "Jaya" Santoso";"b@example.com"\n"Ends "so"";"e@example.com"\n')

    _, records = read(path)

    assert cells(records) == [('Budi "Jaya" Santoso', "b@example.com"), ('Ends "so"', "e@example.com")]
    assert all("read as written" in record.remark for record in records)


def test_quotation_marks_inside_bare_fields_are_text(write: Write) -> None:
    _, records = read(write('name,city\nRory O"Neil,5" disk\n'))

    assert records == [Record(1, 2, ('Rory O"Neil', '5" disk'))]


def test_a_nul_character_is_the_error_of_its_record(write: Write) -> None:
    _, records = read(write("name,email\nA\0da,a@example.com\nBo,b@example.com\n"))

    assert [bool(record.fault) for record in records] == [True, False]


def test_the_header_is_found_below_titles(write: Write) -> None:
    path = write('"Export of 3 May, 2024","",""\n"","",""\nCLIENTS,,\nName,Phone,Phone\nAda,1,2\n')

    table, records = read(path)

    assert table.header_line == 4
    assert table.headers == ("Name", "Phone", "Phone (2)")
    assert records == [Record(1, 5, ("Ada", "1", "2"))]


def test_without_a_known_name_the_first_line_is_the_header(write: Write) -> None:
    table, records = read(write("foo;bar;\n1;2;3\n"))

    assert table.headers == ("foo", "bar")
    assert "the header has 2" in records[0].fault


def test_a_file_may_have_no_header(write: Write) -> None:
    table, records = read(write("Ada;Bonn\nBo;Kiel\n"), header_line=0, delimiter=";")

    assert table.headers == ("Column 1", "Column 2")
    assert cells(records) == [("Ada", "Bonn"), ("Bo", "Kiel")]


def test_only_a_header_is_a_table_without_records(write: Write) -> None:
    table, records = read(write("name,email\r\n"))

    assert records == []
    assert table.read == 0


def test_records_can_be_read_twice_and_in_slices(write: Write) -> None:
    path = write("name\n" + "".join(f"N{n}\n" for n in range(25)))

    table, records = read(path)

    assert [len(piece) for piece in table.slices(10)] == [10, 10, 5]
    assert [record for piece in table.slices(10) for record in piece] == records


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b" \r\n \r\n", "empty"),
        (b"%PDF-1.7 rest", "PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "old Excel"),
        (b"\x1f\x8b\x08rest", "compressed"),
        (b"<html><table><tr><td>name</td></tr></table>", "web page"),
        (b"\x89PNG\r\n\x1a\n" + b"\0\1\2" * 200, "not a text file"),
        (b"PK\x03\x04 but no archive", "damaged"),
    ],
)
def test_what_is_no_table_is_refused_by_name(write: Write, content: bytes, told: str) -> None:
    with pytest.raises(UnreadableFile, match=told):
        read(write(content))


def test_a_file_beyond_the_limits_is_refused(write: Write) -> None:
    path = write("name,email\n" + "Ada,a@example.com\n" * 10)

    with pytest.raises(UnreadableFile, match="at most"):
        read(path, limits=Limits(file_bytes=50))
    with pytest.raises(UnreadableFile, match="more than 9 records"):
        read(path, limits=Limits(records=9))
    with pytest.raises(UnreadableFile, match="2 columns; at most 1"):
        read(path, limits=Limits(columns=1))


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(write: Write) -> None:
    path = write("name,email\n" + "x" * 3_000_000)

    with pytest.raises(UnreadableFile, match="Line 2 is longer"):
        read(path)


def test_a_field_beyond_the_limit_is_the_error_of_its_record(write: Write) -> None:
    _, records = read(write("name,email\n" + "x" * 40_000 + ",a@example.com\nBo,b@example.com\n"))

    assert "longer than 32,767" in records[0].fault
    assert records[1].fault == ""


def test_many_unclosed_quotation_marks_cost_no_more_than_their_lines(write: Write) -> None:
    path = write("name,email\n" + '"Fay,fay@example.com\n' * 3_000)

    _, records = read(path)

    assert len(records) == 3_000
    assert all(record.fault for record in records)


def test_reading_holds_no_more_than_a_few_records(write: Write) -> None:
    small, large = "name,city\n" + "Ada,Bonn\n" * 2_000, "name,city\n" + "Ada,Bonn\n" * 60_000
    peaks = []
    for content in (small, large):
        table = open_table(write(content), header_score=known)
        tracemalloc.start()
        for _ in table.records():
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < peaks[0] + 200_000


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12), min_size=3, max_size=3),
        max_size=8,
    )
)
def test_what_csv_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([["name", "email", "city"], *rows])
    path.write_bytes(buffer.getvalue().encode())

    _, records = read(path, delimiter=",")

    assert cells(records) == [kept for row in rows if any(kept := tuple(cell.strip() for cell in row))]
    assert not any(record.fault for record in records)


# Workbooks


def test_a_workbook_is_read_as_if_it_were_typed(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["Name", "City", "Phone", "Email"],
        ["Zoë", 1067.0, 34.95, True],
        ["Bo", 1.249, 4915112345678, "x"],
    ]
    path = workbook(tmp_path / "t.xlsx", {"Sheet1": rows})

    table, records = read(path)

    assert (table.type, table.encoding, table.delimiter, table.sheet) == ("xlsx", None, None, "Sheet1")
    assert cells(records) == [("Zoë", "1067", "34.95", "TRUE"), ("Bo", "1.2490", "4915112345678", "x")]
    assert [record.line for record in records] == [2, 3]


def test_dates_of_a_workbook_come_as_iso(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["Name", "City"],
        [date(2024, 2, 29), datetime(2024, 2, 29, 8, 30, tzinfo=UTC).replace(tzinfo=None)],
    ]
    path = workbook(tmp_path / "t.xlsx", {"S": rows})

    _, records = read(path)

    assert records[0].cells[0] == "2024-02-29"
    assert records[0].cells[1] in {"2024-02-29", "2024-02-29 08:30:00"}


def test_the_sheet_with_the_header_is_found(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "t.xlsx",
        {
            "Read me": [["Fill in the second sheet"]],
            "Data": [[], ["A title"], [], ["Name", "Email"], ["Ada", "a@b.example"]],
        },
    )

    table, records = read(path)

    assert (table.sheet, table.header_line) == ("Data", 4)
    assert records == [Record(1, 5, ("Ada", "a@b.example"))]


def test_a_sheet_can_be_named(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", {"One": [["Name"], ["Ada"]], "Two": [["Name"], ["Bo"]]})

    _, records = read(path, sheet="Two")

    assert cells(records) == [("Bo",)]
    with pytest.raises(UnreadableFile, match=r"no sheet “Three”\. There are: One, Two"):
        read(path, sheet="Three")


def test_blank_rows_of_a_workbook_are_not_numbered(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", {"S": [["Name", "City"], [], ["Ada", "Bonn"], ["", " "], ["Bo", ""]]})

    table, records = read(path)

    assert [(record.number, record.line) for record in records] == [(1, 3), (2, 5)]
    assert table.blank == 2


def test_an_archive_that_is_no_workbook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")

    with pytest.raises(UnreadableFile, match="no XLSX"):
        read(path)


def test_a_workbook_that_unfolds_too_far_is_refused_by_its_directory(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (40 * 2**20))

    with pytest.raises(UnreadableFile, match="unfolds"):
        read(path)


def test_a_workbook_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", {"S": [["Name"], *([["x" * 3_000]] * 2)]})
    content = bytearray(path.read_bytes())
    start = 0
    while (start := content.find(b"PK\x01\x02", start)) >= 0:  # each entry of the directory
        struct.pack_into("<I", content, start + 24, 10)
        start += 4
    path.write_bytes(content)

    with pytest.raises(UnreadableFile):
        read(path)


def test_two_cells_far_apart_end_the_child_and_not_the_server(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    book = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet()
    sheet.write(0, 0, "Name")
    sheet.write(1_048_575, 16_383, "x")
    book.close()

    with pytest.raises(UnreadableFile, match="memory or time"):
        read(path)


def test_a_damaged_workbook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook><sheets><sheet")

    with pytest.raises(UnreadableFile, match="damaged"):
        read(path)
