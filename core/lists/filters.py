"""Filters as they stand in a list's address: what they mean to the database, and how they read.

For a column `x`: `x=a,b` one of its choices; `x.all=a,b` all of them, where a row may have several; `x=5` exactly this
number or day; `x.has=` text in it; `x.from=` and `x.to=` of a number or day, both included; `x.empty=yes` or `no`.
An instant is filtered by days of the tenant's zone. A day is 2026-12-31, or moves with the calendar: today, today-30,
month, year (the first day of this one).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.clock import instant_of
from core.database import Partitions, dialect
from core.errors import Invalid
from core.ids import sort_key
from core.lists.columns import PARTITIONS, REACH, Condition, ListChoice, ListColumn
from core.money import exponent
from core.texts import _
from core.web.templating import written

if TYPE_CHECKING:
    from core.database import Reach
    from core.scope import Scope

RANGES: Final = frozenset({"number", "amount", "date", "datetime"})
DAYS: Final = frozenset({"date", "datetime"})
"""Columns that are filtered by days."""
LARGEST: Final = 2**63
PIECE: Final = 3
"""Letters of the pieces that an index of pieces holds."""
PIECES: Final = 5
"""Of a text so many are looked for."""
COLLECTED: Final = 3000
"""Rows with a text somewhere in a column that are looked up one by one before the list's order is walked instead."""
_MOVING: Final = re.compile(r"(today|month|year)(?:([+-])(\d{1,4}))?")


class Filter(Struct, frozen=True):
    """A filter that is set: the parameter in the address that sets it, and how it reads."""

    name: str
    field: str
    relation: str
    value: str
    column: str = ""
    """The key of the column."""
    tone: str = ""
    """Of what is asked for, where it is one choice."""


def names_of(column: ListColumn) -> tuple[str, ...]:
    """The parameters that filter by a column."""
    return _names(column.key)


@lru_cache(maxsize=4096)
def _names(key: str) -> tuple[str, ...]:
    return (key, *(f"{key}.{end}" for end in ("all", "has", "from", "to", "empty")))


def filters_of(
    column: ListColumn, address: Mapping[str, str], choices: Sequence[ListChoice], scope: Scope
) -> Iterator[tuple[Condition, Filter]]:
    """The filters that the address sets for a column. Raises Invalid for what cannot be."""
    if not column.expr or address.keys().isdisjoint(names_of(column)):
        return
    if column.among:
        yield from _among(column, address, choices)
    elif choices:
        yield from _chosen(column, address, choices)
    key, expr, slot = column.key, column.expr, _slot(column)
    if column.kind == "text" and (text := address.get(f"{key}.has", "").strip()):
        looked_for = sort_key(text) if column.keyed else text
        yield (
            _having(column, looked_for, f"{slot}_has", scope.actor.reach) if looked_for else Condition("1 = 0"),
            Filter(f"{key}.has", _(column.label), _("has"), text),
        )
    if column.kind == "datetime":
        yield from _within_days(column, address, scope)
    elif column.kind in RANGES:
        for end, sign, relation in (("", "=", _("is")), ("from", ">=", _("from")), ("to", "<=", _("to"))):
            name = f"{key}.{end}" if end else key
            if text := address.get(name, "").strip():
                given = _typed(column, text, scope, name)
                yield (
                    Condition(f"{expr} {sign} :{slot}_{end}", {f"{slot}_{end}": given}),
                    Filter(name, _(column.label), relation, _read(text, given, scope.locale)),
                )
    if (text := address.get(f"{key}.empty", "")) in {"yes", "no"}:
        is_text = column.kind == "text" or bool(column.among)
        empty, something = (f"{expr} = ''", f"{expr} > ''") if is_text else (f"{expr} IS NULL", f"{expr} IS NOT NULL")
        if column.kind == "text" and column.by:
            empty, something = f"coalesce({expr}, '') = ''", f"coalesce({expr}, '') > ''"
        if column.kind == "choice" and column.by and column.indexed:  # by the index of the order, in its order
            something = f"{column.by} > ''"
        yield (
            Condition(empty if text == "yes" else something),
            Filter(f"{key}.empty", _(column.label), _("is"), _("empty") if text == "yes" else _("not empty")),
        )


def _slot(column: ListColumn) -> str:
    """What its values are called in a statement: the key of a plugin's column has a point."""
    return f"filter_{column.key.replace('.', '__')}"


def _having(column: ListColumn, text: str, slot: str, reach: Reach) -> Condition:
    """The text stands somewhere in the column."""
    pattern = "".join(f"~{one}" if one in "%_~" else one for one in text)
    like = "ILIKE" if dialect() == "postgresql" and not column.keyed else "LIKE"
    has = f"{column.expr} {like} :{slot} ESCAPE '~'"
    values: dict[str, object] = {slot: f"%{pattern}%"}
    table, _dot, name = column.expr.partition(".")
    if column.alike:  # from each value to the next one
        there = (
            f"WITH RECURSIVE there (at) AS (SELECT min({name}) FROM {table} UNION ALL SELECT (SELECT min({name}) FROM"
            f" {table} WHERE {name} > there.at) FROM there WHERE there.at IS NOT NULL)"
        )
        return Condition(f"{column.expr} IN ({there} SELECT at FROM there WHERE at {like} :{slot} ESCAPE '~')", values)
    if not column.pieces:
        return Condition(has, values)
    if len(text) < PIECE:  # nor is it in an empty text: of the others there may be an index
        unlike = ">" if dialect() == "postgresql" else "<>"
        filled = column.filled if dialect() == "sqlite" else ""
        return Condition(f"{has} AND {column.expr} {unlike} ''", values, walk=has, few=COLLECTED, filled=filled)
    begin = _begun(column, text, slot, values)
    if dialect() == "postgresql":  # the row itself is asked for: an index in the text's order could stand in for it
        row_itself = f"{table}.ctid IS NOT NULL"
        if not column.pieces_further or not begin:
            return Condition(f"{has} AND {row_itself}", values, walk=has, few=COLLECTED)
        further = f"substr({column.expr}, 2) {like} :{slot} ESCAPE '~'"
        return Condition(
            f"({begin} OR {further}) AND {row_itself}",
            values,
            walk=has,
            few=COLLECTED,
            begin=begin,
            rest=f"{further} AND {row_itself}",
        )
    found, asked = f"{column.pieces} MATCH :{slot}_pieces", f"{name} : ({' AND '.join(_pieces(text))})"
    if isinstance(reach, Partitions) and 0 < len(reach.ids) <= PARTITIONS:
        reached = (f"({' AND '.join(_pieces(f'{REACH}{one}{REACH}'))})" for one in reach.ids)
        asked += f" AND reach : ({' OR '.join(reached)})"
    return Condition(
        f"{table}.id IN (SELECT rowid FROM {column.pieces} WHERE {found}) AND {has}",
        {**values, f"{slot}_pieces": asked},
        walk=has,
        few=COLLECTED,
        source=column.pieces,
        source_id=f"{column.pieces}.rowid",
        beside=f"CROSS JOIN {table} ON {table}.id = {column.pieces}.rowid",
        found=f"{found} AND (SELECT {has} FROM {table} WHERE {table}.id = {column.pieces}.rowid)",
        joined=f"{found} AND {has}",
        perhaps=found,
        begin=begin,
        rest=f"{found} AND {has}",
    )


def _begun(column: ListColumn, text: str, slot: str, values: dict[str, object]) -> str:
    """That the column begins with the text, as an index of it is asked; empty where it cannot be."""
    over = text.rstrip("\U0010ffff")
    if not column.keyed or not over:
        return ""
    following = ord(over[-1]) + 1
    values |= {f"{slot}_from": text, f"{slot}_over": over[:-1] + chr(0xE000 if following == 0xD800 else following)}
    return f"({column.expr} >= :{slot}_from AND {column.expr} < :{slot}_over)"


def _pieces(text: str) -> list[str]:
    """Some of a text, in the language of FTS5: side by side, the last up to its end."""
    last = len(text) - PIECE
    starts = [*range(0, last, PIECE)][: PIECES - 1]
    pieces = dict.fromkeys(text[start : start + PIECE] for start in (*starts, last))
    return ['"' + piece.replace('"', '""') + '"' for piece in pieces]


def _within_days(column: ListColumn, address: Mapping[str, str], scope: Scope) -> Iterator[tuple[Condition, Filter]]:
    """An instant is filtered by the days of the tenant's zone that it lies in."""
    key, slot = column.key, _slot(column)
    for end, relation in (("", _("is")), ("from", _("from")), ("to", _("to"))):
        name = f"{key}.{end}" if end else key
        if text := address.get(name, "").strip():
            day = _date(text, scope, name)
            begin, over = f"{slot}_{end}_begin", f"{slot}_{end}_over"
            tests: list[str] = []
            values: dict[str, object] = {}
            if end != "to":
                tests.append(f"{column.expr} >= :{begin}")
                values[begin] = _midnight(day, 0, scope, name)
            if end != "from":
                tests.append(f"{column.expr} < :{over}")
                values[over] = _midnight(day, 1, scope, name)
            yield (
                Condition(" AND ".join(tests), values),
                Filter(name, _(column.label), relation, _read(text, day, scope.locale)),
            )


def _chosen(
    column: ListColumn, address: Mapping[str, str], choices: Sequence[ListChoice]
) -> Iterator[tuple[Condition, Filter]]:
    key, slot = column.key, _slot(column)
    text = address.get(key, "")
    if not text:
        return
    known = {choice.key: choice for choice in choices}
    chosen = [known[one] for one in dict.fromkeys(text.split(",")) if one in known]
    if len(chosen) != len(set(text.split(","))):
        raise Invalid(_("%(label)s is one of %(known)s.", label=_(column.label), known=", ".join(known)), field=key)
    plain = [one.value for one in chosen if not one.sql]
    tests = [f"({one.sql})" for one in chosen if one.sql]
    values: dict[str, object] = {}
    if len(plain) == 1:  # of a list SQLite's planner does not know how long it is
        tests.append(f"{column.expr} = :{slot}")
        values[slot] = plain[0]
    elif plain:
        tests.append(f"{column.expr} IN :{slot}")
        values[slot] = plain
    for one in chosen:
        values.update(one.values)
    yield (
        Condition(" OR ".join(tests), values),
        Filter(
            key,
            _(column.label),
            _("is"),
            f" {_('or')} ".join(_(one.label) for one in chosen),
            tone=chosen[0].tone if len(chosen) == 1 else "",
        ),
    )


def _among(
    column: ListColumn, address: Mapping[str, str], choices: Sequence[ListChoice]
) -> Iterator[tuple[Condition, Filter]]:
    """Rows that have any of the choices, or all of them."""
    known = {choice.key: choice for choice in choices}
    for name, every in ((column.key, False), (f"{column.key}.all", True)):
        asked = [one for one in address.get(name, "").split(",") if one]
        if not asked:
            continue
        if any(one not in known for one in asked):
            raise Invalid(_("This is none of the choices of %(label)s.", label=_(column.label)), field=name)
        slots = {f"{_slot(column)}_{'all' if every else 'any'}_{at}": known[one].value for at, one in enumerate(asked)}
        tests = [f"{column.tie} IN ({column.among} = :{slot})" for slot in slots]
        several = f" {_('and') if every else _('or')} "
        yield (
            Condition((" AND " if every else " OR ").join(tests), slots),
            Filter(name, _(column.label), _("are"), several.join(known[one].label for one in asked)),
        )


def _read(text: str, given: int | date, locale: str) -> str:
    """A day in words, a moving one by its name with it."""
    if not isinstance(given, date):
        return text
    day = written(given, locale)
    return day if text[:1].isdecimal() else f"{_moving_words(text)} ({day})"


def _moving_words(text: str) -> str:
    match = _MOVING.fullmatch(text)
    if match is None:
        return text
    word, sign, days = match.groups()
    begin = {"today": _("today"), "month": _("begin of the month"), "year": _("begin of the year")}[word]
    if not days or not int(days):
        return begin
    return f"{begin} {'−' if sign == '-' else '+'} {_('%(days)s days', days=days)}"


def _midnight(day: date, later: int, scope: Scope, name: str) -> datetime:
    """The instant at which a day begins, so many days later."""
    try:
        return instant_of(day + timedelta(days=later), time(), scope.tenant.time_zone)
    except OverflowError:
        raise Invalid(_("Give a day as 2026-12-31."), field=name) from None


def _date(text: str, scope: Scope, name: str) -> date:
    try:
        return _day(text, scope)
    except (ValueError, OverflowError):
        raise Invalid(_("Give a day as 2026-12-31."), field=name) from None


def _typed(column: ListColumn, text: str, scope: Scope, name: str) -> int | date:
    if column.kind == "date":
        return _date(text, scope, name)
    try:
        match column.kind:
            case "amount":
                scaled = Decimal(text).scaleb(exponent(scope.tenant.currency))
                number = int(scaled.to_integral_value()) if scaled.is_finite() and abs(scaled) < LARGEST else LARGEST
            case _:
                number = int(text) if len(text) < 20 else LARGEST
    except (ValueError, InvalidOperation, OverflowError):
        raise Invalid(_("Give a number."), field=name) from None
    if abs(number) >= LARGEST:
        raise Invalid(_("A number is too large."), field=name)
    return number


def _day(text: str, scope: Scope) -> date:
    moving = _MOVING.fullmatch(text)
    if moving is None:
        return date.fromisoformat(text)
    word, sign, days = moving.groups()
    today = scope.today()
    begin = {"today": today, "month": today.replace(day=1), "year": today.replace(month=1, day=1)}[word]
    return begin + timedelta(days=int(days or 0) * (-1 if sign == "-" else 1))
