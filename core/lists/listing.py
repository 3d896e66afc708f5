"""The one list: sorted by any column, filtered and searched by its address, page by page in both directions.

A list is declared once:

    INVOICES = Listing(
        href="/invoices", table=Document, into=InvoiceItem, noun="invoice",
        select="SELECT document.id, document.number, … FROM document JOIN customer ON …",
        columns=(
            ListColumn(key="number", label="Number", expr="document.number"),
            ListColumn(key="issued", label="Issued", expr="document.issued_on", kind="date"),
            ListColumn(key="total", label="Total", expr="document.total_minor", kind="amount"),
            ListColumn(key="state", label="State", expr="document.state", kind="choice"),
        ),
        sort="-issued", search=lambda typed: Condition("document.number LIKE :begin", {"begin": typed + "%"}),
    )

and shown by `values = await INVOICES.show(view, choices={"state": [ListChoice("draft", "Draft", "draft"), …]})`: what
`m.list_tools`, `m.list_head` and `m.pager` take, with `rows`. `INVOICES.read(scope, asked)` gives the rows to the API.
`into` has the `id` of its row. `select` has neither WHERE nor ORDER BY.

The address, for a column `x`: `sort=x` or `sort=-x`; `x=a,b` one of its choices; `x.all=a,b` all of them, where a row
may have several; `x.has=` text in it; `x.from=` and
`x.to=` of a number or date, both included; `x.empty=yes` or `no`; `q=` the search; `after=`, `before=` a cursor.

How it keeps quick with a million rows: where the search and the filters leave `FEW` rows at most, these are found first
and only they are sorted, in one statement; where they leave more, the index of the sort is walked until the page is
full. What is found nowhere near is looked for once more from its other end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.parse import urlencode

from msgspec import Struct

from core.database import Everything, dialect, rows, value, within
from core.errors import Invalid
from core.ids import sort_key
from core.lists.columns import Condition, ListChoice, ListColumn
from core.money import exponent
from core.texts import _, number
from core.web.jsonapi import Page, decode_cursor, encode_cursor
from core.web.parts import Chip, FilterChoice, Head, Pager, TabItem

if TYPE_CHECKING:
    from piccolo.querystring import QueryString
    from piccolo.table import Table

    from core.scope import Scope
    from core.web.view import View

R = TypeVar("R", bound=Struct)
Choices = Mapping[str, Sequence[ListChoice]]

SIZE: Final = 50
COUNTED: Final = 1000
FEW: Final = 8000
FAR: Final = 40_000
"""Rows that are walked before the other way is taken."""
_CURSORS: Final[dict[str, Any]] = {
    "text": tuple[str, str, int],
    "choice": tuple[str, str | int, int],
    "number": tuple[str, int, int],
    "amount": tuple[str, int, int],
    "date": tuple[str, date, int],
}
"""What a cursor holds: the order, the value of the column it is by, the id."""
_PAGING: Final = frozenset({"after", "before", "cursor", "limit"})


class Filter(Struct, frozen=True):
    """A filter that is set: the parameter in the address that sets it, and how it reads."""

    name: str
    field: str
    relation: str
    value: str


class Found(Struct, Generic[R], frozen=True):
    """A page of a list. `count` is exact up to `COUNTED`; a cursor is empty where nothing follows."""

    rows: list[R]
    count: int
    before: str
    after: str


class _Key(Struct, frozen=True):
    at: Any
    id: int


class _Counted(Struct, frozen=True):
    many: int
    at: Any
    id: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks of a list."""

    q: str
    column: ListColumn
    descending: bool
    conditions: tuple[Condition, ...]
    filters: tuple[Filter, ...]
    joins: tuple[str, ...]
    """Tables that a filter stands in."""
    kept: Mapping[str, str]
    """The parameters that say so, without the place in the list."""

    @property
    def order(self) -> str:
        return f"-{self.column.key}" if self.descending else self.column.key


@dataclass(frozen=True)
class Listing(Generic[R]):
    """A list as it is declared."""

    href: str
    table: type[Table]
    into: type[R]
    select: str
    columns: tuple[ListColumn, ...]
    sort: str
    noun: str
    search: Callable[[str], Condition | None] | None = None
    heads: Mapping[str, str] = field(default_factory=dict)
    """Classes of columns' heads, by key."""

    def having(self, *columns: ListColumn) -> Listing[R]:
        """With further columns, behind its own."""
        return replace(self, columns=(*self.columns, *columns))

    async def read(
        self,
        scope: Scope,
        address: Mapping[str, str],
        *,
        choices: Choices | None = None,
        after: str = "",
        before: str = "",
        limit: int = SIZE,
    ) -> Found[R]:
        """A page of what the address asks for. Raises Invalid for a filter, sort or cursor that cannot be."""
        return await self._found(scope, self.asked(scope, address, choices or {}), after, before, limit)

    async def api_page(
        self, scope: Scope, address: Mapping[str, str], *, choices: Choices, cursor: str, limit: int
    ) -> Page[R]:
        found = await self.read(scope, address, choices=choices, after=cursor, limit=limit)
        return Page(items=found.rows, next=found.after or None)

    async def show(self, view: View, *, choices: Choices | None = None) -> dict[str, Any]:
        """The values of the list's template."""
        choices, query = choices or {}, view.query
        asked = self.asked(view.scope, query, choices)
        found = await self._found(view.scope, asked, query.get("after", ""), query.get("before", ""), SIZE)
        kept, set_ones = asked.kept, {one.name for one in asked.filters}
        unfiltered = {name: text for name, text in kept.items() if name not in set_ones}
        ids = [_id(one) for one in found.rows]
        shown = _(
            "%(done)s of %(total)s",
            done=number(len(ids)),
            total=number(found.count) if found.count <= COUNTED else f"{number(COUNTED)}+",
        )
        return {
            "rows": found.rows,
            "heads": [self._head(column, asked) for column in self.columns if column.shown],
            "q": asked.q,
            "chips": [
                Chip(field=one.field, relation=one.relation, value=one.value, off=self._address(kept, **{one.name: ""}))
                for one in asked.filters
            ],
            "filters": [
                FilterChoice(
                    label=_(column.label),
                    choices=self._choices_among(column, choices[column.key], kept)
                    if column.among
                    else [
                        TabItem(
                            label=_(choice.label),
                            href=self._address(kept, **{column.key: choice.key}),
                            current=kept.get(column.key) == choice.key,
                        )
                        for choice in choices[column.key]
                    ],
                )
                for column in self.columns
                if choices.get(column.key)
            ],
            "pager": Pager(
                said=shown,
                range=_("Ids %(first)s to %(last)s", first=ids[0], last=ids[-1]) if ids else "",
                first=self._address(kept) if found.before else "",
                previous=self._address(kept, before=found.before) if found.before else "",
                next=self._address(kept, after=found.after) if found.after else "",
            ),
            "filtered": bool(asked.q or asked.filters),
            "kept": {name: text for name, text in kept.items() if name != "q"},
            "none_text": _none_text(asked),
            "without": None,
            "clear_filters": self._address(unfiltered),
            "clear_all": self.href,
        }

    def asked(self, scope: Scope, address: Mapping[str, str], choices: Choices) -> Asked:
        """The address, checked and taken apart. Parameters that are not the list's are left alone."""
        order = address.get("sort") or self.sort
        column = self._column(order.lstrip("-"))
        q = address.get("q", "").strip()[:200]
        conditions: list[Condition] = []
        filters: list[Filter] = []
        joins: dict[str, None] = {}
        if q and self.search is not None:
            conditions.append(self.search(q) or Condition("1 = 0"))
        names = {"q", "sort"}
        for one in self.columns:
            for condition, found in _filters(one, address, choices.get(one.key, ()), scope.tenant.currency):
                names.add(found.name)
                conditions.append(condition)
                filters.append(found)
                joins[one.join] = None
        kept = {name: text for name, text in address.items() if text and name in names and name not in _PAGING}
        return Asked(q, column, order.startswith("-"), tuple(conditions), tuple(filters), tuple(joins), kept)

    def _column(self, key: str) -> ListColumn:
        for column in self.columns:
            if column.key == key and column.sorts:
                return column
        known = ", ".join(column.key for column in self.columns if column.sorts)
        raise Invalid(_("This list can be sorted by %(known)s.", known=known), field="sort")

    def _head(self, column: ListColumn, asked: Asked) -> Head:
        current = column.key == asked.column.key
        order = f"-{column.key}" if current and not asked.descending else column.key
        return Head(
            label=_(column.label),
            href=self._address(asked.kept, sort=order) if column.sorts else "",
            sort=("descending" if asked.descending else "ascending") if current else "",
            number=column.is_number,
            cls=self.heads.get(column.key, ""),
        )

    def _choices_among(
        self, column: ListColumn, choices: Sequence[ListChoice], kept: Mapping[str, str]
    ) -> list[TabItem]:
        """What a row may have several of is ticked one by one; with two, whether any or all of them are meant."""
        key, every = column.key, f"{column.key}.all"
        name = every if every in kept else key
        chosen = [one for one in kept.get(name, "").split(",") if one]
        other = key if name == every else every
        switch = TabItem(
            label=_("With any of them") if name == every else _("With all of them"),
            href=self._address(kept, **{name: "", other: ",".join(chosen)}),
        )
        return [
            *([switch] if len(chosen) > 1 else []),
            *(
                TabItem(
                    label=one.label,
                    href=self._address(
                        kept,
                        **{
                            name: ",".join(
                                [each for each in chosen if each != one.key]
                                if one.key in chosen
                                else [*chosen, one.key]
                            )
                        },
                    ),
                    current=one.key in chosen,
                )
                for one in choices
            ),
        ]

    def _address(self, kept: Mapping[str, str], **changed: str) -> str:
        query = {name: text for name, text in {**kept, **changed}.items() if text}
        return f"{self.href}?{urlencode(query)}" if query else self.href

    @property
    def _table(self) -> str:
        return self.table._meta.tablename

    async def _found(self, scope: Scope, asked: Asked, after: str, before: str, limit: int) -> Found[R]:
        reach = within(self.table, scope.actor.reach)
        backwards = bool(before) and not after
        place = _place(asked, before if backwards else after)
        order = _Order(asked.column, self._table, asked.descending is not backwards, place, limit + 1)
        keys, count = await self._first(scope, asked, reach, order)
        more, keys = len(keys) > limit, keys[:limit]
        if backwards:
            keys.reverse()
        by_id = {
            _id(one): one
            for one in await rows(
                self.into,
                f"{self.select} WHERE {self._table}.id IN :list_ids AND :list_reach",
                list_ids=[key.id for key in keys],
                list_reach=reach,
            )
        }
        there_before, there_after = (more, True) if backwards else (place is not None, more)
        return Found(
            [by_id[key.id] for key in keys if key.id in by_id],
            count,
            encode_cursor(asked.order, keys[0].at, keys[0].id) if keys and there_before else "",
            encode_cursor(asked.order, keys[-1].at, keys[-1].id) if keys and there_after else "",
        )

    async def _first(self, scope: Scope, asked: Asked, reach: QueryString, order: _Order) -> tuple[list[_Key], int]:
        """The keys of the page, and how many rows there are in all."""
        everything = isinstance(scope.actor.reach, Everything)
        if not asked.conditions and everything:
            counting = f"SELECT count(*) FROM (SELECT 1 FROM {self._table} LIMIT {COUNTED + 1}) AS counted"
            found = await rows(
                _Counted,
                f"SELECT ({counting}) AS many, {order.head} FROM {self._table} {order.column.join}"
                f" WHERE TRUE{order.keyset} ORDER BY {order.by()} LIMIT :list_limit",
                **order.given,
            )
            return [_Key(one.at, one.id) for one in found], found[0].many if found else int(await value(counting))
        surely = [one.surely for one in asked.conditions if one.surely]
        if surely and everything and len(asked.conditions) == 1:
            sure = await value(f"SELECT count(*) FROM ({surely[0]} LIMIT {FEW + 1}) AS counted", **_given(asked))
            if int(sure) > FEW:
                return await self._walked(asked, reach, order), COUNTED + 1
        keys, count = await self._sorted(everything, asked, reach, order)
        if count <= FEW:
            return keys, count
        return await self._walked(asked, reach, order), COUNTED + 1

    async def _sorted(
        self, everything: bool, asked: Asked, reach: QueryString, order: _Order
    ) -> tuple[list[_Key], int]:
        """What is left, if it is few rows, found before it is sorted; and how many."""
        first = next((one for one in asked.conditions if one.source), None)
        source = first.source if first else self._table
        where = _all(one.found if one is first else one.sql for one in asked.conditions)
        few = f"SELECT {self._table}.id FROM {source} {' '.join(asked.joins)} WHERE {where}"
        if len(asked.conditions) == 1 and asked.conditions[0].ids and everything:
            few = asked.conditions[0].ids
        table, column = self._table, order.column
        if dialect() == "sqlite":  # IN: after a join it would build a filter from all rows of the next table
            from_few = f"{table} {column.join} WHERE {table}.id IN (SELECT id FROM few)"
            head, keyset, by = order.head, order.keyset, order.by("+")
        else:
            from_few = (  # one by one, not by reading all rows for them
                f"few CROSS JOIN LATERAL (SELECT {order.head} FROM {table} {column.join}"
                f" WHERE {table}.id = few.id OFFSET 0) AS there WHERE TRUE"
            )
            there = replace(order, column=_THERE, table="there")
            head, keyset, by = "there.at, there.id", there.keyset, there.by()
        found = await rows(
            _Counted,
            f"WITH few (id) AS MATERIALIZED ({few} LIMIT {FEW + 1})"
            " SELECT counted.many, page.at, coalesce(page.id, 0) AS id"
            " FROM (SELECT count(*) AS many FROM few) AS counted"
            f" LEFT JOIN (SELECT {head} FROM {from_few} AND (SELECT count(*) FROM few) <= {FEW}{keyset}"
            f" ORDER BY {by} LIMIT :list_limit) AS page ON TRUE"
            f" ORDER BY page.at {order.direction}, page.id {order.direction}",
            list_reach=reach,
            **order.given,
            **_given(asked),
        )
        return [_Key(one.at, one.id) for one in found if one.id], found[0].many

    async def _walked(self, asked: Asked, reach: QueryString, order: _Order) -> list[_Key]:
        """The first that are wanted, in the order of the sort."""
        joins = " ".join(dict.fromkeys((order.column.join, *asked.joins)))
        given = {**order.given, "list_reach": reach, **_given(asked)}
        if not asked.conditions:
            return await rows(
                _Key,
                f"SELECT {order.head} FROM {self._table} {joins} WHERE :list_reach{order.keyset}"
                f" ORDER BY {order.by()} LIMIT :list_limit",
                **given,
            )
        test = " AND ".join(f"({one.walk or one.sql})" for one in asked.conditions)
        found = await rows(
            _Key,
            f"SELECT at, id FROM (SELECT {order.head}, {test} AS wanted FROM {self._table} {joins}"
            f" WHERE :list_reach{order.keyset} ORDER BY {order.by()} LIMIT {FAR}) AS walked"
            " WHERE wanted LIMIT :list_limit",
            **given,
        )
        if len(found) == order.given["list_limit"]:
            return found
        off = "+" if dialect() == "sqlite" else ""
        return await rows(
            _Key,
            f"SELECT {order.head} FROM {self._table} {joins} WHERE {_all(one.sql for one in asked.conditions)}"
            f"{order.keyset} ORDER BY {order.by(off)} LIMIT :list_limit",
            **given,
        )


@dataclass(frozen=True, slots=True)
class _Order:
    """How the rows of a page follow each other, from a place on."""

    column: ListColumn
    table: str
    down: bool
    place: tuple[Any, int] | None
    limit: int

    @property
    def tie(self) -> str:
        return self.column.tie or f"{self.table}.id"

    @property
    def head(self) -> str:
        return f"{self.column.expr} AS at, {self.tie} AS id"

    @property
    def direction(self) -> str:
        return "DESC" if self.down else "ASC"

    @property
    def keyset(self) -> str:
        beyond = "<" if self.down else ">"
        return "" if self.place is None else f" AND ({self.column.expr}, {self.tie}) {beyond} (:list_at, :list_id)"

    @property
    def given(self) -> dict[str, Any]:
        place = {} if self.place is None else {"list_at": self.place[0], "list_id": self.place[1]}
        return {"list_limit": self.limit, **place}

    def by(self, off: str = "") -> str:
        """For ORDER BY; `off` before it keeps SQLite from walking an index for it."""
        return f"{off}{self.column.expr} {self.direction}, {self.tie} {self.direction}"


_THERE: Final = ListColumn(key="", label="", expr="there.at", tie="there.id")


def _id(row: Any) -> int:
    found: int = row.id
    return found


def _all(tests: Iterable[str]) -> str:
    return " AND ".join((":list_reach", *(f"({test})" for test in tests)))


def _given(asked: Asked) -> dict[str, Any]:
    return {name: given for condition in asked.conditions for name, given in condition.values.items()}


def _place(asked: Asked, cursor: str) -> tuple[Any, int] | None:
    if not cursor:
        return None
    order, at, row_id = decode_cursor(cursor, _CURSORS[asked.column.kind])
    if order != asked.order:
        raise Invalid(_("This cursor is of another order of this list. Begin again without it."), field="cursor")
    return at, row_id


def _filters(
    column: ListColumn, address: Mapping[str, str], choices: Sequence[ListChoice], currency: str
) -> Iterator[tuple[Condition, Filter]]:
    """The filters that the address sets for a column."""
    key, expr = column.key, column.expr
    slot = f"filter_{key}"
    if column.among:
        yield from _filters_among(column, address, choices)
    elif choices and (text := address.get(key, "")):
        known = {choice.key: choice for choice in choices}
        chosen = [known[one] for one in text.split(",") if one in known]
        if len(chosen) != len(text.split(",")):
            raise Invalid(_("%(label)s is one of %(known)s.", label=_(column.label), known=", ".join(known)), field=key)
        yield (
            Condition(f"{expr} IN :{slot}", {slot: [one.value for one in chosen]}),
            Filter(key, _(column.label), _("is"), f" {_('or')} ".join(_(one.label) for one in chosen)),
        )
    if column.kind == "text" and (text := address.get(f"{key}.has", "").strip()):
        pattern = "".join(f"~{one}" if one in "%_~" else one for one in (sort_key(text) if column.keyed else text))
        yield (
            Condition(f"{expr} LIKE :{slot}_has ESCAPE '~'", {f"{slot}_has": f"%{pattern}%"}),
            Filter(f"{key}.has", _(column.label), _("has"), text),
        )
    if column.kind in {"number", "amount", "date"}:
        for end, sign, relation in (("from", ">=", _("from")), ("to", "<=", _("to"))):
            if text := address.get(f"{key}.{end}", "").strip():
                name = f"{slot}_{end}"
                given = _typed(column, text, currency, f"{key}.{end}")
                yield (
                    Condition(f"{expr} {sign} :{name}", {name: given}),
                    Filter(f"{key}.{end}", _(column.label), relation, text),
                )
    if (text := address.get(f"{key}.empty", "")) in {"yes", "no"}:
        empty = f"{expr} = ''" if column.kind == "text" or column.among else f"{expr} IS NULL"
        yield (
            Condition(empty if text == "yes" else f"NOT {empty}"),
            Filter(f"{key}.empty", _(column.label), _("is"), _("empty") if text == "yes" else _("not empty")),
        )


def _filters_among(
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
        slots = {
            f"filter_{column.key}_{'all' if every else 'any'}_{at}": known[one].value for at, one in enumerate(asked)
        }
        tests = [f"{column.tie} IN ({column.among} = :{slot})" for slot in slots]
        several = f" {_('and') if every else _('or')} "
        yield (
            Condition((" AND " if every else " OR ").join(tests), slots),
            Filter(name, _(column.label), _("are"), several.join(known[one].label for one in asked)),
        )


def _typed(column: ListColumn, text: str, currency: str, name: str) -> int | date:
    try:
        match column.kind:
            case "date":
                return date.fromisoformat(text)
            case "amount":
                scaled = Decimal(text).scaleb(exponent(currency))
                if not scaled.is_finite() or abs(scaled) >= 2**63:
                    raise Invalid(_("A number is too large."), field=name)
                return int(scaled.to_integral_value())
            case _:
                return int(text)
    except (ValueError, InvalidOperation):
        wanted = _("Give a day as 2026-12-31.") if column.kind == "date" else _("Give a number.")
        raise Invalid(wanted, field=name) from None


def _none_text(asked: Asked) -> str:
    filtered = f" {_('and')} ".join(f"{one.field} {one.relation} {one.value}" for one in asked.filters)
    if asked.q and filtered:
        return _("Nothing is found for “%(q)s” where %(filters)s.", q=asked.q, filters=filtered)
    if filtered:
        return _("Nothing is found where %(filters)s.", filters=filtered)
    return _("Nothing is found for “%(q)s”.", q=asked.q) if asked.q else _("Nothing is found.")
