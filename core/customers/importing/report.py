"""What is told about an import: the same for a dry run, for the command line and for the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from core.customers.importing.gathering import Gathering
from core.customers.importing.profiles import FIELDS, Layout, Mapping, known_columns, lay_out, may_be_matched
from core.customers.importing.records import Context, Finding, Row
from core.customers.importing.validating import validate
from core.lists.reading import LIMITS, Limits, Record, Table, open_table
from core.money import format_amount
from core.texts import _

MOST_FINDINGS: Final = 5_000
"""So many of each are listed; all are counted, and all stand in the file of refused records."""
PREVIEW: Final = 20
SAMPLES: Final = 3


class ColumnReport(Struct, frozen=True):
    """What becomes of a column."""

    column: str
    field: str | None
    label: str
    samples: tuple[str, ...] = ()
    """Its first values; none of columns that are never imported."""


class Report(Struct):
    """Record 1 is the first after the header."""

    file: str
    format: str
    encoding: str | None
    delimiter: str | None
    records: int = 0
    ok: int = 0
    """Customers that can be imported; in a file of services alone, services."""
    errors: list[Finding] = []
    warnings: list[Finding] = []
    services: int = 0
    ignored_blank: int = 0
    errors_total: int = 0
    warnings_total: int = 0
    refused: int = 0
    """Records with an error in what they are about."""
    notes: list[str] = []
    type: str = "csv"
    sheet: str | None = None
    header_line: int = 1
    columns: list[ColumnReport] = []
    preview: list[Row] = []
    dry_run: bool = True
    mode: str = ""
    imported: int = 0
    """Customers made by now."""
    batch: int | None = None
    already: bool = False
    """This very file was imported before: nothing was done again."""

    def take(self, row: Row, subject: str) -> None:
        """Count what became of a record."""
        self.services += len(row.services)
        good = row.customer is not None if subject == "customers" else bool(row.services)
        self.ok += good
        self.refused += bool(row.errors) and not good
        self.errors_total += len(row.errors)
        self.warnings_total += len(row.warnings)
        self.errors.extend(row.errors[: max(0, MOST_FINDINGS - len(self.errors))])
        self.warnings.extend(row.warnings[: max(0, MOST_FINDINGS - len(self.warnings))])
        if len(self.preview) < PREVIEW and (row.customer is not None or row.services):
            self.preview.append(row)


class Examination:
    """A file read from beginning to end: gives its records one by one, and knows at the end what there is to tell."""

    def __init__(self, table: Table, layout: Layout, name: str) -> None:
        self.table = table
        self.layout = layout
        self.report = Report(
            file=name,
            format=layout.profile.key,
            encoding=table.encoding,
            delimiter=table.delimiter,
            type=table.type,
            sheet=table.sheet,
            header_line=table.header_line,
            columns=[
                ColumnReport(c.name, c.field, FIELDS.get(c.field, c.field) if c.field else c.why_not)
                for c in layout.columns
            ],
        )
        self._gathering = Gathering(layout)
        self._openings: dict[str, list[int]] = {}

    def sample(self, records: Sequence[Record]) -> None:
        """Show the first values of each column beside its name."""
        shown = [record.cells for record in records if not record.fault][:SAMPLES]
        self.report.columns = [
            told if not may_be_matched(told.column) else replace(told, samples=tuple(cells[at][:60] for cells in shown))
            for at, told in enumerate(self.report.columns)
        ]

    def gather(self, rows: Iterable[Row]) -> list[Row]:
        """Validated rows in the order of the file → the same, judged against each other."""
        return list(self._gathering.add(list(rows)))

    def count(self, rows: Iterable[Row]) -> None:
        """What became of them, finally."""
        for row in rows:
            self.report.take(row, self.layout.profile.subject)
            if row.customer is not None and row.customer.opening_minor:
                sums = self._openings.setdefault(row.customer.currency, [0, 0, 0])
                sums[0] += 1
                sums[1 if row.customer.opening_minor > 0 else 2] += row.customer.opening_minor

    def finish(self) -> Report:
        """After the last record."""
        report = self.report
        late = list(self._gathering.finish())
        report.warnings = sorted([*report.warnings, *late], key=lambda found: found.record)[:MOST_FINDINGS]
        report.warnings_total += len(late)
        report.records = self.table.read
        report.ignored_blank = self.table.blank
        report.notes = list(self._notes())
        return report

    def _notes(self) -> Iterator[str]:
        for column in self.layout.columns:
            if column.field is None or column.name in self.layout.profile.left_out:
                why = self.layout.profile.left_out.get(column.name, column.why_not)
                yield _("Column “%(name)s” is not imported. %(why)s", name=column.name, why=_(why))
        for currency, (many, credit, debt) in sorted(self._openings.items()):
            yield _(
                "%(many)s opening balances in %(currency)s: %(credit)s customers’ credit, %(debt)s owed by them. They"
                " are booked once the customers are here.",
                many=many,
                currency=currency,
                credit=format_amount(credit, currency),
                debt=format_amount(-debt, currency),
            )
        if self.report.services:
            yield _(
                "%(count)s services were read. They become subscriptions once the customers are here.",
                count=self.report.services,
            )


def examine(path: Path, mapping: Mapping, *, name: str | None = None, limits: Limits = LIMITS) -> Examination:
    """Open a file and match its columns. Raises UnreadableFile, or Invalid where no column names the customer."""
    table = open_table(
        path,
        header_score=known_columns,
        encoding=mapping.encoding,
        delimiter=mapping.delimiter,
        sheet=mapping.sheet,
        header_line=mapping.header_line,
        limits=limits,
    )
    return Examination(table, lay_out(table.headers, mapping), name or path.name)


def report_on(path: Path, mapping: Mapping, context: Context, *, name: str | None = None) -> Report:
    """The whole of a file in this process, without a database."""
    examination = examine(path, mapping, name=name)
    for number, piece in enumerate(examination.table.slices()):
        if number == 0:
            examination.sample(piece)
        examination.count(examination.gather(validate(examination.layout, context, piece)))
    return examination.finish()
