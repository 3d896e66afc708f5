"""The one list: sorted by any columns, filtered and searched by its address, page by page in both directions.

A list is declared once:

    INVOICES = Listing(
        key="invoices", href="/invoices", permission="documents.view", title=N_("Invoices"), noun="invoice",
        table=Document, into=InvoiceItem,
        select="SELECT document.id, document.number, … FROM document JOIN customer ON …",
        columns=(
            ListColumn(key="number", label=N_("Number"), expr="document.number"),
            ListColumn(key="issued", label=N_("Issued"), expr="document.issued_on", kind="date", field="issued_on"),
            ListColumn(key="total", label=N_("Total"), expr="document.total_minor", kind="amount", field="total_minor"),
            ListColumn(key="state", label=N_("State"), expr="document.state", kind="choice"),
        ),
        sort="-issued", search=lambda typed: Condition("document.number LIKE :begin", {"begin": typed + "%"}),
        choices=invoice_choices,
    )

and its page is `return await INVOICES.page(view)`: head, views, search, filters, columns, rows, totals, export.
`INVOICES.read(scope, asked)` gives the rows to the API. `into` has the `id` of its row. `select` has neither WHERE nor
ORDER BY. What stands in the application's list of lists has its views, columns and export kept under its `key`.

The address: `sort=x`, `-x` from its other end, `-x,y` by several; `q=` the search; `view=5` a saved view; `columns=x,y`
what is shown; `after=`, `before=` a cursor; and the filters, see `core.lists.filters`.

How it keeps quick with a million rows: where the search and the filters leave `FEW` rows at most, these are found first
and only they are sorted, in one statement; where they leave more, the index of the sort is walked until the page is
full. What is found nowhere near is looked for once more from its other end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from core.database import Everything, dialect, rows, value, within
from core.errors import Invalid
from core.lists.columns import SIZE, Condition, ListChoice, ListColumn
from core.lists.filters import Filter, filters_of, names_of
from core.texts import N_, _, number
from core.web.jsonapi import Page, decode_cursor, encode_cursor

if TYPE_CHECKING:
    from litestar import Response
    from piccolo.querystring import QueryString
    from piccolo.table import Table

    from core.lists.row_ends import RowEnds
    from core.scope import Scope
    from core.web.jsonapi import Call
    from core.web.parts import MenuEntry, Pager
    from core.web.view import View

R = TypeVar("R", bound=Struct)
Choices = Mapping[str, Sequence[ListChoice]]

COUNTED: Final = 1000
FEW: Final = 8000
FAR: Final = 40_000
"""Rows that are walked before the other way is taken."""
SORTED: Final = 100_000
"""Rows that are sorted for a page where no index carries the sort; of more, none are."""
SORTS: Final = 3
"""Columns that a list is sorted by at most."""
_KEYS: Final[dict[str, Any]] = {
    "text": str,
    "choice": str | int,
    "number": int,
    "amount": int,
    "date": date,
    "datetime": datetime,
}
"""What a cursor holds of a column."""
PLACE: Final = frozenset({"after", "before", "cursor", "limit"})
"""Parameters that say where in the list, not what of it."""


class Found(Struct, Generic[R], frozen=True):
    """A page of a list. `count` is exact up to `COUNTED`; a cursor is empty where nothing follows."""

    rows: list[R]
    count: int
    before: str
    after: str


class _Key(Struct, frozen=True):
    at: Any
    id: int
    at_1: Any = None
    at_2: Any = None


class _Counted(Struct, frozen=True):
    many: int
    at: Any
    id: int
    at_1: Any = None
    at_2: Any = None


@dataclass(frozen=True, slots=True)
class Sorted:
    """A column that a list is sorted by."""

    column: ListColumn
    descending: bool

    @property
    def text(self) -> str:
        return f"-{self.column.key}" if self.descending else self.column.key


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks of a list."""

    q: str
    sorts: tuple[Sorted, ...]
    conditions: tuple[Condition, ...]
    filters: tuple[Filter, ...]
    joins: tuple[str, ...]
    """Tables that a filter stands in."""
    kept: Mapping[str, str]
    """The parameters that say so, without the place in the list."""
    ignored: tuple[str, ...] = ()
    """Parameters that are not the list's."""
    order_beside: bool = False
    """Whether the index that its one filter is looked up in holds what is sorted by, too."""

    @property
    def order(self) -> str:
        return ",".join(one.text for one in self.sorts)

    @property
    def tone(self) -> str:
        """Of rows that are left by its filters."""
        return next((one.tone for one in self.filters if one.tone), "")

    @property
    def is_carried(self) -> bool:
        """Whether an index gives the rows in this order. Of a choice there are many rows, which none sorts further."""
        first = self.sorts[0].column
        return first.is_carried and (len(self.sorts) == 1 or first.kind != "choice")

    def check_all_known(self) -> None:
        """Raises Invalid where something was asked that is not the list's: rows would be meant that nobody means."""
        for name in self.ignored:
            raise Invalid(_("This list cannot be filtered by “%(name)s”.", name=name), field=name)


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
    key: str = ""
    """What its views and everybody's columns are kept under; a plugin's begins with its name ("inventory.items")."""
    permission: str = ""
    """Who may see it."""
    title: str = ""
    placeholder: str = ""
    """What can be searched for."""
    counted: Callable[[int], str] | None = None
    """So many rows in words, "3 customers". With it rows can be ticked, and deeds done to many: `core.lists.bulk`."""
    ends: Callable[[Scope, Sequence[R]], Awaitable[RowEnds]] | None = None
    """What stands at the ends of these rows for this actor."""
    none: tuple[str, str] = ("", "")
    """What is said while there is nothing: a title and a sentence."""
    no_match: str = N_("Nothing matches")
    """What is said where nothing is left by the search and the filters."""
    given: Callable[[Scope], Mapping[str, object]] | None = None
    """Values that stand in `select`."""
    choices: Callable[[Scope, Mapping[str, str]], Awaitable[Choices]] | None = None
    """What columns of choices can be filtered by, for this address."""
    further: Callable[[Scope], Awaitable[Sequence[ListColumn]]] | None = None
    """Columns that plugins add for this tenant; asked for once a page."""
    link: Callable[[R], str] | None = None
    """The address of a row's own page."""
    name_of: Callable[[R], str] | None = None
    """What a row is called."""
    currency: Callable[[R], str] | None = None
    """The currency of a row's amounts; the tenant's where left out."""
    total_currency: str = ""
    """SQL of the same, where the list can be added up."""
    totals_of: str = ""
    """What is added up, where that is not every row."""
    tells_apart: str = "id"
    """The table's column that tells rows apart, and that rows of `into` have as `id`."""
    first_views: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Shared views that a new tenant begins with: what they leave, by name."""

    def having(self, *columns: ListColumn) -> Listing[R]:
        """With further columns, behind its own."""
        return replace(self, columns=(*self.columns, *columns))

    async def whole(self, scope: Scope) -> Listing[R]:
        """With the columns that plugins add in this tenant."""
        return self if self.further is None else self.having(*await self.further(scope))

    async def choices_for(self, scope: Scope, address: Mapping[str, str]) -> Choices:
        found = {} if self.choices is None else await self.choices(scope, address)
        return {**found, **{one.key: one.offers(scope) for one in self.columns if one.offers is not None}}

    async def page(
        self, view: View, template: str = "lists/page.html", *, buttons: Sequence[MenuEntry] = (), **values: Any
    ) -> Response[str]:
        """The list's page, or the part of it that changes. `buttons` stand in the head, and where nothing is yet; the
        last is the one that most come for."""
        from core.lists.showing import page_of  # which draws what is declared here

        return await page_of(self, view, template, buttons=buttons, **values)

    async def show(self, view: View, *, choices: Choices | None = None) -> dict[str, Any]:
        """The values of a template of the list's own, for lists without saved views and columns of one's own."""
        from core.lists.showing import values_of  # as above

        return await values_of(self, view, choices or {})

    async def embedded(self, view: View, address: Mapping[str, str], path: str, **kept: str) -> tuple[list[R], Pager]:
        """Rows of it on another page, at `path`: what `address` asks for, wherever the pages have turned to."""
        from core.lists.showing import embedded  # as above

        return await embedded(self, view, address, path, kept)

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
        asked = self.asked(scope, address, choices or {})
        return await self.found(scope, asked, after=after, before=before, limit=limit)

    async def api(self, call: Call, *, cursor: str, limit: int, **asked: str) -> Page[R]:
        """The operation that lists it: its parameters are those of the page's address, also `view`, a saved view's id.
        `asked` stands for parameters of other names."""
        from core.lists.views import expanded  # which keeps what is declared here

        address = await expanded(call.scope, self, {**dict(call.request.query_params), **asked})
        choices = await self.choices_for(call.scope, address)
        if not cursor:
            await self.check_order(call.scope, self.asked(call.scope, address, choices))
        return await self.api_page(call.scope, address, choices=choices, cursor=cursor, limit=limit)

    async def api_page(
        self, scope: Scope, address: Mapping[str, str], *, choices: Choices, cursor: str, limit: int
    ) -> Page[R]:
        found = await self.read(scope, address, choices=choices, after=cursor, limit=limit)
        return Page(items=found.rows, next=found.after or None)

    def asked(self, scope: Scope, address: Mapping[str, str], choices: Choices) -> Asked:
        """The address, checked and taken apart. Parameters that are not the list's are left alone.

        Raises Invalid where a column cannot be filtered so: left out, the filter would let all rows through.
        """
        q = address.get("q", "").strip()[:200]
        conditions: list[Condition] = []
        filters: list[Filter] = []
        joins: dict[str, None] = {}
        if q and self.search is not None:
            conditions.append(self.search(q) or Condition("1 = 0"))
        names = {"q", "sort", "view", "columns"}
        for one in self.columns:
            for condition, found in filters_of(one, address, choices.get(one.key, ()), scope):
                names.add(found.name)
                conditions.append(condition)
                filters.append(msgspec.structs.replace(found, column=one.key))
                joins[one.join] = None
        given = {name: text for name, text in address.items() if text.strip() and name not in PLACE}
        for column in self.columns:
            for name in names_of(column):
                if name in given and name not in names:
                    raise Invalid(_("%(label)s cannot be filtered so.", label=_(column.label)), field=name)
        kept = {name: text for name, text in given.items() if name in names}
        sorts = self._sorts(address.get("sort") or self.sort)
        ignored = tuple(name for name in given if name not in names)
        beside = self._beside(filters, sorts) and not (q and self.search)
        return Asked(q, sorts, tuple(conditions), tuple(filters), tuple(joins), kept, ignored, beside)

    def _beside(self, filters: Sequence[Filter], sorts: Sequence[Sorted]) -> bool:
        filtered = {one.column for one in filters}
        held = {key for column in self.columns if column.key in filtered for key in column.beside}
        return len(filtered) == 1 and all(one.column.key in held for one in sorts)

    def parameters(self) -> frozenset[str]:
        """The parameters of an address that say what of the list is shown, and how."""
        return frozenset({"q", "sort", "columns", *(name for column in self.columns for name in names_of(column))})

    def known(self, address: Mapping[str, str]) -> dict[str, str]:
        """What of an address is the list's, the view that is open with it."""
        names = self.parameters() | {"view"}
        return {name: text for name, text in address.items() if name in names}

    def _sorts(self, order: str) -> tuple[Sorted, ...]:
        sorts: dict[str, Sorted] = {}
        for text in order.split(","):
            key = text.removeprefix("-")
            sorts.setdefault(key, Sorted(self._sortable(key), text.startswith("-")))
        if len(sorts) > SORTS:
            raise Invalid(_("This list can be sorted by %(most)s columns at most.", most=SORTS), field="sort")
        return tuple(sorts.values())

    def _sortable(self, key: str) -> ListColumn:
        for column in self.columns:
            if column.key == key and column.can_sort:
                return column
        known = ", ".join(column.key for column in self.columns if column.can_sort)
        raise Invalid(_("This list can be sorted by %(known)s.", known=known), field="sort")

    async def check_order(self, scope: Scope, asked: Asked) -> None:
        """Raises Invalid where no index carries the sort and more rows match than are sorted for a page."""
        if asked.is_carried:
            return
        if await self.count(scope, asked, SORTED + 1) > SORTED:
            labels = ", ".join(_(one.column.label) for one in asked.sorts)
            told = _(
                "More than %(most)s rows are not sorted by %(labels)s. Filter them first.",
                most=number(SORTED),
                labels=labels,
            )
            raise Invalid(told, field="sort")

    def address(self, kept: Mapping[str, str], **changed: str) -> str:
        """The list's address with these parameters; what is empty is left out."""
        query = {name: text for name, text in {**kept, **changed}.items() if text}
        return f"{self.href}?{urlencode(query)}" if query else self.href

    def matching(self, scope: Scope, asked: Asked) -> Condition:
        """All that match, in the actor's reach: `sql` is a SELECT of their ids, `values` what stands in it. Goes into
        any statement: `WHERE customer_id IN (…)`. Raises Invalid for what is not the list's."""
        asked.check_all_known()
        return self._matching(scope, asked)

    async def count(self, scope: Scope, asked: Asked, most: int | None = None) -> int:
        """How many match, in the actor's reach; more than `most` are not counted."""
        meant = self._matching(scope, asked)
        limit = "" if most is None else f" LIMIT {most}"
        return int(await value(f"SELECT count(*) FROM ({meant.sql}{limit}) AS counted", **meant.values))

    def _matching(self, scope: Scope, asked: Asked) -> Condition:
        where = _all(one.sql for one in asked.conditions)
        return Condition(
            f"SELECT {self.row_id} AS id FROM {self.table_name} {' '.join(asked.joins)} WHERE {where}",
            {"list_reach": within(self.table, scope.actor.reach), **_given(asked)},
        )

    @property
    def table_name(self) -> str:
        return self.table._meta.tablename

    @property
    def row_id(self) -> str:
        """SQL of what tells rows apart."""
        return f"{self.table_name}.{self.tells_apart}"

    async def rows_of(self, scope: Scope, ids: Sequence[int]) -> list[R]:
        """These rows, in this order; what is gone or out of reach is left out."""
        if not ids:
            return []
        by_id = {
            _id(one): one
            for one in await rows(
                self.into,
                f"{self.select} WHERE {self.row_id} IN :list_ids AND :list_reach",
                list_ids=list(ids),
                list_reach=within(self.table, scope.actor.reach),
                **({} if self.given is None else self.given(scope)),
            )
        }
        return [by_id[one] for one in ids if one in by_id]

    async def found(
        self, scope: Scope, asked: Asked, *, after: str = "", before: str = "", limit: int = SIZE
    ) -> Found[R]:
        """A page of what is asked."""
        reach = within(self.table, scope.actor.reach)
        backwards = bool(before) and not after
        place = _place(asked, before if backwards else after)
        order = _Order(asked.sorts, self.row_id, backwards, place, limit + 1)
        keys, count = await self._first(scope, asked, reach, order)
        more, keys = len(keys) > limit, keys[:limit]
        if backwards:
            keys.reverse()
        found = await self.rows_of(scope, [key.id for key in keys])
        there_before, there_after = (more, True) if backwards else (place is not None, more)
        return Found(
            found,
            count,
            _cursor(asked, keys[0]) if keys and there_before else "",
            _cursor(asked, keys[-1]) if keys and there_after else "",
        )

    async def _first(self, scope: Scope, asked: Asked, reach: QueryString, order: _Order) -> tuple[list[_Key], int]:
        """The keys of the page, and how many rows there are in all."""
        everything = isinstance(scope.actor.reach, Everything)
        if not asked.conditions and everything:
            counting = f"SELECT count(*) FROM (SELECT 1 FROM {self.table_name} LIMIT {COUNTED + 1}) AS counted"
            found = await rows(
                _Counted,
                f"SELECT ({counting}) AS many, {order.head} FROM {self.table_name} {order.join}"
                f" WHERE TRUE{order.keyset} ORDER BY {order.by()} LIMIT :list_limit",
                **order.given,
            )
            if found or order.place is None:
                return [_key(one) for one in found], found[0].many if found else 0
            return [], int(await value(counting))
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
        source = first.source if first else self.table_name
        where = _all(one.found if one is first else one.sql for one in asked.conditions)
        picked = order.head if asked.order_beside else self.row_id
        few = f"SELECT {picked} FROM {source} {' '.join(asked.joins)} WHERE {where}"
        if len(asked.conditions) == 1 and asked.conditions[0].ids and everything:
            few = asked.conditions[0].ids
        table, kept = self.table_name, "few (id)"
        if asked.order_beside:  # the index has it all: no row is read for it
            kept = "few"
            ready = replace(order, source="few")
            from_few = f"few WHERE (SELECT count(*) FROM few) <= {FEW}"
            head, keyset, by = ready.head, ready.keyset, ready.by()
        elif dialect() == "sqlite":  # IN: after a join it would build a filter from all rows of the next table
            # Whether they are few stands inside: outside it, a list of them all would be made first.
            few_ones = f"SELECT id FROM few WHERE (SELECT count(*) FROM few) <= {FEW}"
            from_few = f"{table} {order.join} WHERE {self.row_id} IN ({few_ones})"
            head, keyset, by = order.head, order.keyset, order.by("+")
        else:
            from_few = (  # one by one, not by reading all rows for them
                f"few CROSS JOIN LATERAL (SELECT {order.head} FROM {table} {order.join}"
                f" WHERE {self.row_id} = few.id OFFSET 0) AS there WHERE (SELECT count(*) FROM few) <= {FEW}"
            )
            there = order.there
            head, keyset, by = there.heads_again, there.keyset, there.by()
        found = await rows(
            _Counted,
            f"WITH {kept} AS MATERIALIZED ({few} LIMIT {FEW + 1})"
            f" SELECT counted.many, {order.again('page')}, coalesce(page.id, 0) AS id"
            " FROM (SELECT count(*) AS many FROM few) AS counted"
            f" LEFT JOIN (SELECT {head} FROM {from_few}{keyset}"
            f" ORDER BY {by} LIMIT :list_limit) AS page ON TRUE"
            f" ORDER BY {order.by_again('page')}",
            list_reach=reach,
            **order.given,
            **_given(asked),
        )
        return [_key(one) for one in found if one.id], found[0].many

    async def _walked(self, asked: Asked, reach: QueryString, order: _Order) -> list[_Key]:
        """The first that are wanted, in the order of the sort."""
        joins = " ".join(dict.fromkeys((*order.joins, *asked.joins)))
        given = {**order.given, "list_reach": reach, **_given(asked)}
        if not asked.conditions:
            return await rows(
                _Key,
                f"SELECT {order.head} FROM {self.table_name} {joins} WHERE :list_reach{order.keyset}"
                f" ORDER BY {order.by()} LIMIT :list_limit",
                **given,
            )
        test = " AND ".join(f"({one.walk or one.sql})" for one in asked.conditions)
        reached = ":list_reach"
        if dialect() == "sqlite" and order.sorts[0].column.tie:
            # The sort's index is another table's: told who is in reach, SQLite would find and sort them all.
            test, reached = f"(:list_reach AND {test})", "TRUE"
        found = await rows(
            _Key,
            f"SELECT {order.again('walked')}, walked.id FROM (SELECT {order.head}, {test} AS wanted"
            f" FROM {self.table_name} {joins} WHERE {reached}{order.keyset}"
            f" ORDER BY {order.by()} LIMIT {FAR}) AS walked WHERE wanted LIMIT :list_limit",
            **given,
        )
        if len(found) == order.given["list_limit"]:
            return found
        off = "+" if dialect() == "sqlite" else ""
        return await rows(
            _Key,
            f"SELECT {order.head} FROM {self.table_name} {joins} WHERE {_all(one.sql for one in asked.conditions)}"
            f"{order.keyset} ORDER BY {order.by(off)} LIMIT :list_limit",
            **given,
        )


@dataclass(frozen=True, slots=True)
class _Order:
    """How the rows of a page follow each other, from a place on."""

    sorts: tuple[Sorted, ...]
    row_id: str
    backwards: bool
    place: tuple[Any, ...] | None
    limit: int
    source: str = ""
    """Where the values stand that were picked already, under the names of `_Key`."""

    @property
    def _exprs(self) -> list[str]:
        if self.source:
            return [f"{self.source}.{name}" for name in _AT[: len(self.sorts)]]
        return [one.column.order for one in self.sorts]

    @property
    def _tie(self) -> str:
        """The id; of the first column's own index where that is another table's."""
        if self.source:
            return f"{self.source}.id"
        return self.sorts[0].column.tie or self.row_id

    def _down(self, at: int) -> bool:
        return self.sorts[min(at, len(self.sorts) - 1)].descending is not self.backwards

    @property
    def joins(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.column.join for one in self.sorts))

    @property
    def join(self) -> str:
        return " ".join(self.joins)

    @property
    def there(self) -> _Order:
        return replace(self, source="there")

    @property
    def head(self) -> str:
        picked = [f"{expr} AS {name}" for expr, name in zip(self._exprs, _AT, strict=False)]
        return ", ".join((*picked, f"{self._tie} AS id"))

    @property
    def heads_again(self) -> str:
        return ", ".join((*self._exprs, self._tie))

    def again(self, source: str) -> str:
        """What `head` picked, out of a sub-select of this name."""
        return ", ".join(f"{source}.{name}" for name in _AT[: len(self.sorts)])

    def by_again(self, source: str) -> str:
        return replace(self, source=source).by()

    @property
    def keyset(self) -> str:
        """Beyond the place. With one column it is a comparison of rows, which an index answers."""
        if self.place is None:
            return ""
        exprs, tie = self._exprs, self._tie
        if len(exprs) == 1:
            return f" AND ({exprs[0]}, {tie}) {'<' if self._down(0) else '>'} (:list_at, :list_id)"
        test = f"{tie} {'<' if self._down(len(exprs)) else '>'} :list_id"
        for at in range(len(exprs) - 1, -1, -1):
            beyond, slot = "<" if self._down(at) else ">", _SLOTS[at]
            test = f"({exprs[at]} {beyond} :{slot} OR ({exprs[at]} = :{slot} AND {test}))"
        return f" AND {exprs[0]} {'<=' if self._down(0) else '>='} :{_SLOTS[0]} AND {test}"

    @property
    def given(self) -> dict[str, Any]:
        if self.place is None:
            return {"list_limit": self.limit}
        *values, row_id = self.place
        return {"list_limit": self.limit, "list_id": row_id, **dict(zip(_SLOTS, values, strict=False))}

    def by(self, off: str = "") -> str:
        """For ORDER BY; `off` before it keeps SQLite from walking an index for it."""
        ways = ["DESC" if self._down(at) else "ASC" for at in range(len(self.sorts) + 1)]
        parts = [f"{expr} {way}" for expr, way in zip((*self._exprs, self._tie), ways, strict=True)]
        return off + ", ".join(parts)


_AT: Final = ("at", "at_1", "at_2")
_SLOTS: Final = ("list_at", "list_at_1", "list_at_2")


def _key(found: _Counted) -> _Key:
    return _Key(found.at, found.id, found.at_1, found.at_2)


def _cursor(asked: Asked, key: _Key) -> str:
    return encode_cursor(asked.order, *(key.at, key.at_1, key.at_2)[: len(asked.sorts)], key.id)


def _id(row: Any) -> int:
    found: int = row.id
    return found


def _all(tests: Iterable[str]) -> str:
    return " AND ".join((":list_reach", *(f"({test})" for test in tests)))


def _given(asked: Asked) -> dict[str, Any]:
    return {name: given for condition in asked.conditions for name, given in condition.values.items()}


def _place(asked: Asked, cursor: str) -> tuple[Any, ...] | None:
    if not cursor:
        return None
    kinds: Any = tuple.__class_getitem__((str, *(_KEYS[one.column.kind] for one in asked.sorts), int))
    order, *place = decode_cursor(cursor, kinds)
    if order != asked.order:
        raise Invalid(_("This cursor is of another order of this list. Begin again without it."), field="cursor")
    return tuple(place)
