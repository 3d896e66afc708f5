"""The one reader of tables that people bring: CSV with any delimiter and any usual encoding, and XLSX.

It streams, holds no more than a record at a time, and never gives up over one bad record: what cannot be read as one
is handed on with its fault, and reading goes on with the next line. What the cells mean is not its business.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import subprocess
import sys
import unicodedata
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, Literal, TextIO

import msgspec
from msgspec import Struct

from core.errors import Invalid
from core.texts import _, figures, ngettext, number

DELIMITERS: Final = ",;\t|^~:"
FORMULA_STARTS: Final = frozenset("=+-@＝＋－＠")
HEAD_RECORDS: Final = 30
"""The header is looked for among the first so many records, since exports put titles above it."""
_UTF16: Final = "utf-16"
_WINDOWS: Final = "windows-1252"
_SHEETS: Final = Path(__file__).with_name("sheets.py")

HeaderScore = Callable[[Sequence[str]], int]
"""How many of these cells are names of columns that the caller knows."""


class UnreadableFile(Invalid):
    """The file as a whole cannot be read as a table."""

    def __init__(self, message: str) -> None:
        super().__init__(message, field="file")


class Limits(Struct, frozen=True):
    """How much one file may cost. What goes beyond is refused by name, never cut off."""

    file_bytes: int = 100 * 2**20
    unpacked_bytes: int = 600 * 2**20
    ratio: int = 200
    """Unpacked to packed bytes of a workbook; looked at from 10 MiB unpacked."""
    records: int = 1_000_000
    columns: int = 500
    line_characters: int = 1_000_000
    cell_characters: int = 32_767
    record_lines: int = 1_000
    """Lines that one record may span: where quotes are not closed, the reader looks no further."""
    sheet_memory: int = 1_500 * 2**20
    sheet_seconds: int = 120


LIMITS: Final = Limits()


class Record(Struct, frozen=True, array_like=True, gc=False):
    """One record after the header. `number` counts from 1; `line` is where it begins in the file."""

    number: int
    line: int
    cells: tuple[str, ...]
    """As many as the header has columns, without outer spaces; all that could be made out where there is a fault."""
    fault: str = ""
    remark: str = ""
    """Why it was not read to the letter."""


class Table:
    """A file that was recognised as a table: how it is written, its header, and its records in order."""

    def __init__(
        self,
        source: _Source,
        *,
        header_line: int,
        header: Sequence[str],
        limits: Limits,
    ) -> None:
        self._source = source
        self._limits = limits
        self.type: Literal["csv", "xlsx"] = source.type
        self.encoding = source.encoding
        self.delimiter = source.delimiter
        self.sheet = source.sheet
        self.header_line = header_line
        """0 where the file has none."""
        self.headers = _labels(header)
        self.blank = 0
        """Lines without anything in them, counted while reading."""
        self.read = 0
        """Records, counted while reading: also those with nothing but delimiters, which editors count too."""

    def records(self) -> Iterator[Record]:
        """From the first; each call reads the file anew. Those with nothing in them are passed over."""
        self.blank = self.read = 0
        width = len(self.headers)
        count = 0
        for raw in self._source.records(width):
            if raw.line <= self.header_line:
                continue
            cells = tuple(_plain(cell) for cell in raw.cells)
            if not any(cells) and not raw.fault:
                self.blank += 1
                if not raw.cells or self.type == "xlsx":
                    continue
                count += 1
                continue
            count += 1
            if count > self._limits.records:
                raise UnreadableFile(
                    _("The file has more than %(records)s records. Split it.", records=number(self._limits.records))
                )
            self.read = count
            yield _judged(raw, count, cells, width, self._limits)
        self.read = count

    def slices(self, size: int = 1_000) -> Iterator[list[Record]]:
        """The records in pieces, for work in several processes."""
        records = self.records()
        while piece := list(islice(records, size)):
            yield piece


def open_table(
    path: Path,
    *,
    header_score: HeaderScore,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    header_line: int | None = None,
    limits: Limits = LIMITS,
) -> Table:
    """Recognise a file by its content, whatever its name says. Each of the four settings overrules what would be found.

    Raises UnreadableFile where it is no table, too large, or unfolds to something too large.
    """
    size = path.stat().st_size
    if size > limits.file_bytes:
        raise UnreadableFile(
            _(
                "The file has %(size)s; at most %(file_bytes)s are read. Split it.",
                size=_mebibytes(size),
                file_bytes=_mebibytes(limits.file_bytes),
            )
        )
    with path.open("rb") as file:
        start = file.read(65_536)
    if not start.strip():
        raise UnreadableFile(_("The file is empty."))
    sources: list[_Source]
    if start.startswith(b"PK"):
        _check_archive(path, limits)
        sources = list(_open_workbook(path, sheet, limits))
    else:
        _refuse_other_formats(start)
        name, errors = _encoding(path, start, encoding)
        candidates = [delimiter] if delimiter else _delimiters(path, name, errors, limits)
        sources = [_Text(path, name, errors, candidate, limits) for candidate in candidates]
    return _best(sources, header_score, header_line, limits)


def _plain(cell: str) -> str:
    """Without outer spaces, and without the apostrophe that our own export puts before what looks like a formula."""
    cell = cell.strip()
    return cell[1:] if cell[:1] == "'" and cell[1:2] in FORMULA_STARTS else cell


def header_key(name: str) -> str:
    """What names of columns are compared by: "E-Mail ", "e_mail" and "EMAIL" are one, so are "Straße" and "strasse"."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return re.sub(r"[\W_]+", "", "".join(c for c in folded if not unicodedata.combining(c)))


# How a table is found in the file


class _Raw(Struct, frozen=True, array_like=True):
    line: int
    cells: Sequence[str]
    fault: str = ""
    remark: str = ""


class _Source:
    """Something that records can be read from, before anybody knows which of them is the header."""

    type: Literal["csv", "xlsx"]
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None

    def head(self) -> list[_Raw]:
        return list(islice(self.records(None), HEAD_RECORDS))

    def records(self, width: int | None) -> Iterator[_Raw]:
        raise NotImplementedError


def _best(sources: Sequence[_Source], header_score: HeaderScore, header_line: int | None, limits: Limits) -> Table:
    """The reading whose header names most known columns; of equals, the one whose records agree best in length."""
    found: tuple[tuple[float, ...], _Source, list[_Raw], int] | None = None
    for rank, source in enumerate(sources):
        head = source.head()
        if header_line:
            places = [i for i, raw in enumerate(head) if raw.line == header_line]
        else:
            places = [i for i, raw in enumerate(head) if any(cell.strip() for cell in raw.cells)]
        if header_line == 0:
            places = [0] if head else []
        if not places:
            continue
        place = max(places, key=lambda i: (header_score(head[i].cells), -i))
        width = len(head[place].cells)
        agreeing = [len(raw.cells) == width for raw in head[place:] if any(cell.strip() for cell in raw.cells)]
        alike = sum(agreeing) / len(agreeing) if agreeing else 0.0
        score = (header_score(head[place].cells), alike if width > 1 else 0.5, min(width, 50), -rank)
        if found is None or score > found[0]:
            found = (score, source, head, place)
    if found is None:
        raise UnreadableFile(
            _("There is nothing in line %(header_line)s.", header_line=header_line)
            if header_line
            else _("No line of the file has anything in it.")
        )
    source, head, place = found[1:]
    header = [cell.strip().lstrip("\ufeff") for cell in head[place].cells]
    if header_line == 0:
        return Table(source, header_line=0, header=[""] * len(header), limits=limits)
    if head[place].fault:
        raise UnreadableFile(
            _("The header in line %(line)s cannot be read: %(fault)s", line=head[place].line, fault=head[place].fault)
        )
    while header and not header[-1]:
        header.pop()
    if len(header) > limits.columns:
        raise UnreadableFile(
            _(
                "The header has %(count)s columns; at most %(columns)s are read.",
                count=number(len(header)),
                columns=limits.columns,
            )
        )
    return Table(source, header_line=head[place].line, header=header, limits=limits)


def _labels(header: Sequence[str]) -> tuple[str, ...]:
    """Names that say which column is meant, where the file repeats a name or has none."""
    taken: dict[str, int] = {}
    labels = []
    for place, name in enumerate(header, 1):
        label = " ".join(name.split())[:200] or _("Column %(place)s", place=place)
        taken[label] = taken.get(label, 0) + 1
        labels.append(label if taken[label] == 1 else f"{label} ({taken[label]})")
    return tuple(labels)


def _judged(raw: _Raw, place: int, cells: tuple[str, ...], width: int, limits: Limits) -> Record:
    fault = raw.fault
    if len(cells) != width:
        if len(cells) > width and not any(cells[width:]):
            cells = cells[:width]
        elif not fault:
            fault = ngettext(
                "It has 1 field, the header has %(width)s.",
                "It has %(num)s fields, the header has %(width)s.",
                len(cells),
                width=width,
            )
    if not fault and any(len(cell) > limits.cell_characters for cell in cells):
        fault = _("A field is longer than %(count)s characters.", count=number(limits.cell_characters))
    return Record(place, raw.line, cells, fault, raw.remark)


# Text


class _Lines:
    """Lines of a text, whichever of the three ways each of them ends, with a way to step back."""

    def __init__(self, text: TextIO, limits: Limits) -> None:
        self._text = text
        self._limits = limits
        self._put_back: deque[str] = deque()
        self.taken: list[str] = []
        """Since the record began."""
        self._characters = 0
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._put_back:
            line = self._put_back.popleft()
        else:
            line = self._text.readline(self._limits.line_characters)
            if not line:
                raise StopIteration
            if len(line) >= self._limits.line_characters:
                raise UnreadableFile(
                    _(
                        "Line %(number)s is longer than %(line_characters)s characters.",
                        number=self.number + 1,
                        line_characters=number(self._limits.line_characters),
                    )
                )
        self.number += 1
        if self.taken:
            self._characters += len(line)
            if len(self.taken) >= self._limits.record_lines or self._characters > 2 * self._limits.cell_characters:
                self.taken.append(line)
                raise _TooFar
        self.taken.append(line)
        return line

    def begin(self) -> None:
        self.taken.clear()
        self._characters = 0

    def step_back(self) -> None:
        """To the end of the first line of this record."""
        later = self.taken[1:]
        self._put_back.extendleft(reversed(later))
        self.number -= len(later)
        del self.taken[1:]


class _TooFar(Exception):
    """No end of the record within the limits."""


class _Text(_Source):
    type = "csv"

    def __init__(self, path: Path, encoding: str, errors: str, delimiter: str, limits: Limits) -> None:
        self._path = path
        self._codec = encoding
        self._errors = errors
        self._limits = limits
        self.delimiter = delimiter
        self.encoding = {"utf-8-sig": "utf-8 with BOM", "utf-16-le": _UTF16, "utf-16-be": _UTF16}.get(
            encoding, encoding
        )

    def records(self, width: int | None) -> Iterator[_Raw]:
        with self._path.open("rb") as file:
            text = io.TextIOWrapper(file, self._codec, self._errors, newline=None)
            lines = _Lines(text, self._limits)
            if _separator_line(text) is None:
                text.seek(0)
            else:
                lines.number = 1
            yield from self._read(lines, width)

    def _read(self, lines: _Lines, width: int | None) -> Iterator[_Raw]:
        delimiter = self.delimiter or ","
        anew = partial(csv.reader, lines, delimiter=delimiter, strict=True, skipinitialspace=delimiter != " ")
        reader = anew()
        while True:
            lines.begin()
            line = lines.number + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, _TooFar):
                lines.step_back()
                yield self._mended(lines.taken[0], line, width, delimiter)
                reader = anew()
                continue
            if len(lines.taken) > 1 and width is not None and len(cells) != width:
                later = [next(csv.reader([text], delimiter=delimiter), []) for text in lines.taken[1:]]
                if any(len(other) == width for other in later):  # it swallowed records: a quote was never closed
                    lines.step_back()
                    yield self._mended(lines.taken[0], line, width, delimiter)
                    reader = anew()
                    continue
            yield _Raw(line, cells, self._damage(lines.taken))

    def _mended(self, text: str, line: int, width: int | None, delimiter: str) -> _Raw:
        cells = _as_written(text, delimiter)
        if cells is not None and (width is None or len(cells) == width):
            remark = _("Quotation marks inside a field were not doubled; it was read as written.")
            return _Raw(line, cells, self._damage([text]), remark)
        bare = [cell.strip(' "') for cell in text.rstrip("\n").split(delimiter)]
        return _Raw(line, bare, _("Its quotation marks do not close, or are not doubled inside a field."))

    def _damage(self, taken: Sequence[str]) -> str:
        for text in taken:
            if "\0" in text:
                return _("It contains a NUL character.")
            if self._errors == "replace" and "\ufffd" in text:
                return _("It contains bytes that are not %(encoding)s.", encoding=self.encoding)
        return ""


def _as_written(text: str, delimiter: str) -> list[str] | None:
    """The fields of one line by whoever does not double quotation marks: one closes a field only before a delimiter or
    the end of the line. None where a field never closes."""
    text = text.rstrip("\n")
    cells: list[str] = []
    place = 0
    while True:
        while place < len(text) and text[place] == " ":
            place += 1
        if text[place : place + 1] == '"':
            end = re.compile(f'"(?= *(?:{re.escape(delimiter)}|$))').search(text, place + 1)
            if end is None:
                return None
            cells.append(re.sub(r'""(?=[^"])', '"', text[place + 1 : end.start()]))
            place = end.end()
            while place < len(text) and text[place] == " ":
                place += 1
        else:
            stop = text.find(delimiter, place)
            stop = len(text) if stop < 0 else stop
            cells.append(text[place:stop])
            place = stop
        if place >= len(text):
            return cells
        place += 1  # the delimiter


def _separator_line(text: TextIO) -> str | None:
    """Excel's own first line, `sep=;`, where there is one; leaves the text after it."""
    found = re.fullmatch(r'"?sep=(.)"?\n?', text.readline(16), re.IGNORECASE)
    return found[1] if found else None


def _delimiters(path: Path, encoding: str, errors: str, limits: Limits) -> list[str]:
    """Those that occur in the first lines, the usual ones first."""
    with path.open("rb") as file:
        text = io.TextIOWrapper(file, encoding, errors, newline=None)
        named = _separator_line(text)
        if named is not None:
            return [named]
        text.seek(0)
        start = text.read(65_536)
    return [candidate for candidate in DELIMITERS if candidate in start] or [","]


def _encoding(path: Path, start: bytes, wanted: str | None) -> tuple[str, str]:
    """Codec and how it treats bytes that do not fit."""
    if wanted is not None:
        try:
            return codecs.lookup(wanted.split(" ", 1)[0] if wanted != "utf-8 with BOM" else "utf-8-sig").name, "replace"
        except LookupError as unknown:
            raise UnreadableFile(_("There is no encoding “%(wanted)s”.", wanted=wanted)) from unknown
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32", "replace"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _UTF16, "replace"
    sample = start[:4096]
    if sample[1::2].count(0) > 0.4 * len(sample[1::2]):
        return "utf-16-le", "replace"
    if sample[0::2].count(0) > 0.4 * len(sample[0::2]):
        return "utf-16-be", "replace"
    if sample.count(0) > 0.1 * len(sample):
        raise UnreadableFile(_("This is not a text file. Export the customers as CSV or XLSX."))
    plain = "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else "utf-8"
    bad, good = _fits_utf8(path)
    if bad == 0:
        return plain, "strict"
    if plain == "utf-8-sig" or good > 4 * bad:
        return plain, "replace"
    return _WINDOWS, "replace"


def _fits_utf8(path: Path) -> tuple[int, int]:
    """Sequences of the whole file that are not UTF-8, and characters beyond ASCII that are."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    bad = good = 0
    with path.open("rb") as file:
        while True:
            piece = file.read(1 << 20)
            text = decoder.decode(piece, final=not piece)
            if not text.isascii():
                wrong = text.count("\ufffd")
                bad += wrong
                good += len(re.findall(r"[^\x00-\x7f]", text)) - wrong
            if not piece:
                return bad, good


def _refuse_other_formats(start: bytes) -> None:
    told = {
        b"\xd0\xcf\x11\xe0": _(
            "This is an old Excel file, or one with a password. Save it as XLSX or CSV without one."
        ),
        b"%PDF": _("This is a PDF. Export the customers as CSV or XLSX."),
        b"\x1f\x8b": _("This file is compressed. Unpack it first."),
        b"{\\rtf": _("This is a text document. Export the customers as CSV or XLSX."),
    }
    for magic, message in told.items():
        if start.startswith(magic):
            raise UnreadableFile(message)
    if re.match(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|\?xml|table)", start, re.IGNORECASE):
        raise UnreadableFile(_("This is a web page or XML, whatever its name says. Save it as XLSX or CSV."))


# Workbooks


def _check_archive(path: Path, limits: Limits) -> None:
    """Refuse what its own directory gives away; what it hides runs into the limits of the child process."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, UnicodeDecodeError, OSError, ValueError) as broken:
        raise UnreadableFile(_("The file is damaged, or no workbook. Save it as XLSX again.")) from broken
    names = {entry.filename for entry in entries}
    if "xl/workbook.xml" not in names:
        raise UnreadableFile(_("This archive is no XLSX workbook. Save the table as XLSX or CSV."))
    unpacked = sum(entry.file_size for entry in entries)
    packed = max(1, sum(entry.compress_size for entry in entries))
    if unpacked > limits.unpacked_bytes or (unpacked > 10 * 2**20 and unpacked > limits.ratio * packed):
        raise UnreadableFile(
            _(
                "The workbook unfolds from %(packed)s to %(unpacked)s: too much. Save it as CSV.",
                packed=_mebibytes(packed),
                unpacked=_mebibytes(unpacked),
            )
        )
    if len(entries) > 10_000 or any(entry.flag_bits & 1 for entry in entries):
        raise UnreadableFile(_("The workbook has a password, or too many parts. Save it as CSV."))


def _open_workbook(path: Path, sheet: str | None, limits: Limits) -> Iterator[_Sheet]:
    with _Child(path, limits) as child:
        heads = child.heads
    if sheet is not None and sheet not in heads:
        raise UnreadableFile(
            _("There is no sheet “%(sheet)s”. There are: %(heads)s.", sheet=sheet, heads=", ".join(heads))
        )
    for name, head in heads.items():
        if sheet is None or name == sheet:
            yield _Sheet(path, name, head, limits)


class _Sheet(_Source):
    type = "xlsx"

    def __init__(self, path: Path, sheet: str, head: list[_Raw], limits: Limits) -> None:
        self._path = path
        self._head = head
        self._limits = limits
        self.sheet = sheet

    def head(self) -> list[_Raw]:
        return self._head

    def records(self, width: int | None) -> Iterator[_Raw]:
        with _Child(self._path, self._limits) as child:
            yield from child.rows(self.sheet or "")


class _Child:
    """The process that unpacks a workbook, for as long as it is asked."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._limits = limits
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_SHEETS), str(path), str(limits.sheet_memory), str(limits.sheet_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
        )
        self.heads: dict[str, list[_Raw]] = {}

    def __enter__(self) -> _Child:
        try:
            self.heads = msgspec.json.decode(self._line(), type=dict[str, list[_Raw]])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
        self._process.kill()
        self._process.wait()

    def rows(self, sheet: str) -> Iterator[_Raw]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the child was started without pipes")
        self._process.stdin.write(msgspec.json.encode(sheet) + b"\n")
        self._process.stdin.flush()
        decoder = msgspec.json.Decoder(_Raw)
        unpacked = 0
        for line in self._process.stdout:
            unpacked += len(line)
            if unpacked > self._limits.unpacked_bytes:
                raise UnreadableFile(
                    _(
                        "The sheet holds more than %(unpacked_bytes)s of text. Save it as CSV.",
                        unpacked_bytes=_mebibytes(self._limits.unpacked_bytes),
                    )
                )
            yield decoder.decode(line)
        self._ended()

    def _line(self) -> bytes:
        line = self._process.stdout.readline() if self._process.stdout is not None else b""
        if not line.endswith(b"\n"):
            self._ended(too_early=True)
        return line

    def _ended(self, *, too_early: bool = False) -> None:
        code = self._process.wait()
        if code == 4:
            raise UnreadableFile(_("The workbook is damaged, or has a password. Save it as XLSX or CSV again."))
        if code != 0 or too_early:
            raise UnreadableFile(
                _("The workbook needs more memory or time than is given to one. Save the sheet as CSV.")
            )


def _mebibytes(size: int) -> str:
    return figures(f"{max(0.1, size / 2**20):,.1f}") + " MiB"
