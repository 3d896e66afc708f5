"""Cells of a list: what a column says of a row, on the page and in an export."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from markupsafe import Markup
from msgspec import Struct

from core.lists.columns import Load, Loaded
from core.lists.writing import Cell, ColumnType, ExportColumn
from core.money import Money, exponent, format_amount
from core.texts import _, number
from core.web.templating import all_shown, in_time, marked, shown, written

if TYPE_CHECKING:
    from core.lists.columns import ListColumn
    from core.lists.listing import Choices, Listing
    from core.lists.row_ends import RowEnds
    from core.scope import Scope

NOTHING: Final = Markup('<span class="t-2">–</span>')
_TYPES: Final[dict[str, ColumnType]] = {
    "number": "integer",
    "amount": "decimal",
    "date": "date",
    "datetime": "instant",
    "flag": "boolean",
}
_CLASSES: Final = {
    "number": "t-num",
    "amount": "t-num",
    "date": "t-nowrap t-date",
    "datetime": "t-nowrap t-date",
    "text": "t-clip",
    "choice": "t-nowrap",
}


def link(href: str, text: str, *, title: str = "") -> Markup:
    """A link in a cell."""
    told = f' title="{shown(title)}"' if title else ""
    return marked(f'<a href="{shown(href)}"{told}>{shown(text)}</a>')


@lru_cache(maxsize=512, typed=True)
def pill(label: str, kind: str) -> Markup:
    """A status in a cell."""
    return marked(f'<span class="t-pill k-{shown(kind)}">{shown(label)}</span>')


@dataclass(frozen=True, slots=True)
class Drawing:
    """What cells are drawn with: who reads them, and the values that were had for all rows at once."""

    scope: Scope
    loaded: Mapping[str, Mapping[int, Any]] = field(default_factory=dict)
    labels: Mapping[str, Mapping[Any, str]] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    reader_zone: str = ""
    """The time zone of who reads them, where that is another one than the tenant's."""

    @property
    def locale(self) -> str:
        return self.scope.locale


class Line(NamedTuple):
    """A row of the page, ready to be read."""

    id: int
    name: str
    cells: str
    row: Any
    """The row itself, for what stands at its end."""


async def drawing_of(
    scope: Scope,
    columns: Sequence[ListColumn],
    ids: Sequence[int],
    choices: Choices | None = None,
    reader_zone: str = "",
) -> Drawing:
    """Made ready for these rows: each function that several columns name is asked once."""
    asked: dict[Load, list[str]] = {}
    for column in columns:
        if column.load is not None:
            asked.setdefault(column.load, []).append(column.key)
    values: dict[str, Mapping[int, Any]] = {}
    failed: dict[str, str] = {}
    for load, keys in asked.items():
        found = await load(scope, ids, keys) if ids else Loaded({})
        values.update(found.values)
        failed.update(found.failed)
    labels = {
        column.key: {one.value: _(one.label) for one in choices.get(column.key, ())}
        for column in columns
        if choices and column.kind == "choice"
    }
    return Drawing(scope, values, labels, failed, reader_zone)


def value_of(column: ListColumn, drawing: Drawing, listing: Listing[Any]) -> Callable[[Any], Any]:
    """How what a column says is had of a row: a plain value, an amount as Money."""
    if column.load is not None:
        loaded = drawing.loaded.get(column.key, {})
        return lambda row: loaded.get(row.id)
    had = column.value or attrgetter(column.field or column.key)
    if column.kind != "amount":
        return had

    def money(row: Any) -> Any:
        found = had(row)
        return Money(found, currency_of(listing, row, drawing.scope)) if isinstance(found, int) else found

    return money


def currency_of(listing: Listing[Any], row: Any, scope: Scope) -> str:
    return scope.tenant.currency if listing.currency is None else listing.currency(row)


def text_of(value: Any, scope: Scope) -> str:
    """As the list writes it: dates in words, in the tenant's zone, figures with their thousands apart."""
    match value:
        case None | False:
            return ""
        case True:
            return _("Yes")
        case int():
            return number(value)
        case Money():
            return format_amount(value.minor, value.currency)
        case str():
            return value
        case datetime():
            here = value.astimezone(ZoneInfo(scope.tenant.time_zone))
            return f"{written(here.date(), scope.locale)} {here:%H:%M}"
        case date():
            return written(value, scope.locale)
        case _:
            return ", ".join(str(one) for one in value)


def lines_of(
    listing: Listing[Any], columns: Sequence[ListColumn], rows: Sequence[Any], drawing: Drawing, *, one_currency: bool
) -> list[Line]:
    """The rows of a page. Nothing on it is drawn as often as a cell, so each column is drawn for all rows at once."""
    drawn = [_cells(listing, column, rows, drawing, one_currency=one_currency) for column in columns]
    name_of = listing.name_of
    return [
        Line(row.id, str(row.id) if name_of is None else name_of(row), "".join(cells), row)
        for row, *cells in zip(rows, *drawn, strict=True)
    ]


def body_of(
    lines: Iterable[Line], noun: str, icon: Callable[[str], str], ends: RowEnds | None, *, ticked: bool
) -> Markup:
    """The same as the body of a table: `ticked` where rows can be, each with what stands at its end."""
    before, after = (shown(one) for one in _("Select %(name)s", name="{}").split("{}"))
    end_of = None if ends is None else ends.drawn_with(icon)
    told = []
    for line in lines:
        told.append(f'<tr id="{noun}-{line.id}">')
        if ticked:
            told.append(
                '<td class="c-check"><label><input class="form-check-input" type="checkbox" data-select name="id"'
                f' value="{line.id}" form="bulk" aria-label="{before}{shown(line.name)}{after}"></label></td>'
            )
        told.append(line.cells)
        if end_of is not None:
            told.append(f'<td class="c-do">{end_of(line.row)}</td>')
        told.append("</tr>\n")
    return marked("".join(told))


def _cells(
    listing: Listing[Any], column: ListColumn, rows: Sequence[Any], drawing: Drawing, *, one_currency: bool
) -> list[str]:
    """A column's cells, one for each row."""
    is_first, cell = column is listing.columns[0], column.cell
    usual = "t-id" if column.key == "id" else _CLASSES.get(column.kind, "")
    classes = " ".join(one for one in ("c-name" if is_first else "", column.role, column.cls or usual) if one)
    begin = f'<td class="{classes}">' if classes else "<td>"
    values = list(map(value_of(column, drawing, listing), rows))
    if cell is not None:
        scope, labels, zone = drawing.scope, drawing.labels, drawing.reader_zone
        return [
            f"{begin}{shown(cell(row, Given(value, scope, labels, zone)))}</td>"
            for row, value in zip(rows, values, strict=True)
        ]
    told = all_shown(_texts(column, values, drawing))
    if is_first and listing.link is not None:
        hrefs = all_shown(list(map(listing.link, rows)))
        return [
            f'{begin}<a href="{href}" title="{text}">{text}</a></td>'
            if text
            else f'{begin}<a href="{href}">{shown(_("None"))}</a></td>'
            for href, text in zip(hrefs, told, strict=True)
        ]
    nothing = f"{begin}{NOTHING}</td>"
    if column.kind == "text":
        titled = f'<td class="{classes}" title="' if "t-clip" in classes else ""
        if titled:
            return [f'{titled}{text}">{text}</td>' if text else nothing for text in told]
        return [f"{begin}{text}</td>" if text else nothing for text in told]
    return [
        f"{begin}{_dressed(column, value, text, drawing, one_currency)}</td>" if text else nothing
        for value, text in zip(values, told, strict=True)
    ]


def _texts(column: ListColumn, values: Sequence[Any], drawing: Drawing) -> list[str]:
    scope = drawing.scope
    if column.key == "id":
        return list(map(str, values))
    if column.kind == "choice":
        labels = drawing.labels.get(column.key, {})
        return [
            text_of(value, scope) if isinstance(value, (list, tuple)) else labels.get(value) or text_of(value, scope)
            for value in values
        ]
    return [value if type(value) is str else text_of(value, scope) for value in values]


def _dressed(column: ListColumn, value: Any, told: str, drawing: Drawing, one_currency: bool) -> str:
    """What stands in a cell, as its kind is shown."""
    if isinstance(value, datetime):
        return Given(value, drawing.scope, drawing.labels, drawing.reader_zone).instant(value)
    if isinstance(value, Money):
        return _amount(column, value, told, one_currency)
    if column.kind == "number" and not value and column.key != "id":
        return f'<span class="t-2">{told}</span>'
    return told


class Given(Struct, frozen=True, gc=False):
    """What a column's own way of drawing has besides the row."""

    value: Any
    scope: Scope
    labels: Mapping[str, Mapping[Any, str]]
    reader_zone: str = ""

    def instant(self, at: datetime) -> Markup:
        """As lists show it, to whoever reads it."""
        scope = self.scope
        return in_time(at, scope.now(), locale=scope.locale, zone=scope.tenant.time_zone, own=self.reader_zone)


def _amount(column: ListColumn, value: Money, told: str, one_currency: bool) -> str:
    if not one_currency:
        told = f'{told} <span class="t-2 t-small">{shown(value.currency)}</span>'
    if not column.toned:
        return told if value.minor else f'<span class="t-2">{told}</span>'
    tone = "t-owes" if value.minor < 0 else "t-plus" if value.minor > 0 else "t-2"
    return f'<span class="{tone}">{told}</span>'


def head_of(column: ListColumn, drawing: Drawing, currency: str = "") -> str:
    """What stands over a column: an amount names its currency where it is one."""
    label = _(column.label)
    if column.key in drawing.failed:
        return _("%(label)s (failed, %(error)s)", label=label, error=drawing.failed[column.key])
    if column.kind == "amount" and currency:
        return _("%(label)s, %(currency)s", label=label, currency=currency)
    return label


def currencies(
    listing: Listing[Any], columns: Sequence[ListColumn], rows: Sequence[Any], drawing: Drawing
) -> frozenset[str]:
    """Of the amounts of a page."""
    amounts = [column for column in columns if column.kind == "amount"]
    found = (value(row) for value in [value_of(one, drawing, listing) for one in amounts] for row in rows)
    return frozenset(one.currency for one in found if isinstance(one, Money))


# -- the same, to be taken away ---------------------------------------------------------------------------------------

CURRENCY: Final = "currency"


def export_columns(listing: Listing[Any], columns: Sequence[ListColumn]) -> list[ExportColumn]:
    """The columns as shown; where there are amounts, the currency that stands in their cells has one of its own."""
    made = [
        ExportColumn(one.key, _(one.label), _TYPES.get(one.kind, "text") if one.key != "id" else "integer")
        for one in columns
    ]
    if any(one.kind == "amount" for one in columns) and not any(one.key == CURRENCY for one in columns):
        made.append(ExportColumn(CURRENCY, _("Currency")))
    return made


def export_lines(
    listing: Listing[Any], columns: Sequence[ListColumn], rows: Iterable[Any], drawing: Drawing
) -> list[list[Cell]]:
    """Rows as they are taken away."""
    values = [value_of(column, drawing, listing) for column in columns]
    adds_currency = any(one.kind == "amount" for one in columns) and not any(one.key == CURRENCY for one in columns)
    lines = []
    for row in rows:
        cells: list[Cell] = []
        currency = ""
        for column, value_in in zip(columns, values, strict=True):
            value = value_in(row)
            if isinstance(value, Money):
                currency = currency or value.currency
                cells.append(Decimal(value.minor).scaleb(-exponent(value.currency)))
            elif isinstance(value, datetime):
                cells.append(value.astimezone(ZoneInfo(drawing.scope.tenant.time_zone)))
            elif column.kind == "choice" and not isinstance(value, (list, tuple)):
                cells.append(drawing.labels.get(column.key, {}).get(value) or text_of(value, drawing.scope))
            elif value is None or isinstance(value, (str, int, date)):
                cells.append(value)
            else:
                cells.append(text_of(value, drawing.scope))
        if adds_currency:
            cells.append(currency or currency_of(listing, row, drawing.scope))
        lines.append(cells)
    return lines
