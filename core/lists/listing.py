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
full. PostgreSQL, which looks up one row after the other, walks that index among some thousand that it has found. What
is found nowhere near is looked for once more from its other end. Where nothing tells how many several filters leave,
the first rows of the order are looked at before; along an index that holds what is looked for, as many as it takes. Of
a search for which no order is asked, those that are counted are sorted; more stand as the search finds them soonest,
which its page says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from core.database import Everything, Partitions, dialect, rows, value, within
from core.errors import Invalid
from core.lists.columns import SIZE, Condition, ListChoice, ListColumn
from core.lists.filters import Filter, filters_of, names_of
from core.lists.ordering import Order, Sorted
from core.texts import N_, _, number
from core.web.jsonapi import Page, decode_cursor, encode_cursor

if TYPE_CHECKING:
    from litestar import Response
    from piccolo.querystring import QueryString
    from piccolo.table import Table

    from core.database import Reach
    from core.lists.row_ends import RowEnds
    from core.scope import Scope
    from core.web.jsonapi import Call
    from core.web.parts import MenuEntry, Pager
    from core.web.view import View

R = TypeVar("R", bound=Struct)
Choices = Mapping[str, Sequence[ListChoice]]

COUNTED: Final = 1000
FEW: Final = 8000
FOUND: Final = 12_000
"""Those of which there are about so many by an estimate, where the sort's index is walked among them."""
LOOKED_UP: Final = 3000
"""Rows that are looked up one by one in another table to be found, or by PostgreSQL to be sorted; of more the sort's
index tells sooner which come first."""
NEARBY: Final = 1000
"""Rows that are walked before any are collected, where nothing tells how many are left, and the index of the order does
not hold what they are looked at for."""
DENSE: Final = 8
"""Of those so many that are wanted promise a page not far from there."""
PERHAPS: Final = 30_000
"""Rows that may be wanted of which SQLite looks up in an index by their ids which come first."""
BEGUN: Final = 100_000
"""Rows that begin with a text, of which SQLite counts whether others may have it."""
FAR: Final = 40_000
"""Rows that are walked before the other way is taken."""
MANY: Final = 50_000
"""Rows that one of several conditions leaves by an estimate, where the first of all are looked at before some thousand
are collected."""
FIRST: Final = 20_000
"""Of those so many are looked at."""
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
    asked: Asked
    """In the order that the rows stand in."""


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


class _Near(_Counted, frozen=True, kw_only=True):
    looked: int
    """Of so many."""


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
    widely: tuple[Sorted, ...] = ()
    """The order of more rows than are counted, where none is asked for."""
    is_wide: bool = False
    """Whether it is in that order."""
    apart: ListColumn | None = None
    """The column that alone is filtered by, where it stands in a table of its own."""
    is_held: bool = False
    """Whether the index of its order holds the text that it is filtered by, and leads along this reach alone."""

    @property
    def order(self) -> str:
        return _order(self.sorts)

    @property
    def wide(self) -> Asked:
        """The same in the order of more rows than are counted."""
        return replace(self, sorts=self.widely, widely=(), order_beside=False, is_wide=True)

    @property
    def tone(self) -> str:
        """Of rows that are left by its filters."""
        return next((one.tone for one in self.filters if one.tone), "")

    @property
    def reads_rows(self) -> bool:
        """Whether no index alone tells which are left: rows are looked at one by one."""
        together = len({one.column for one in self.filters}) > 1 or any(one.few for one in self.conditions)
        return (together or any(self.joins)) and not self.q

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
    by_id: tuple[str, frozenset[str]] = ("", frozenset())
    """On SQLite an index by the table's ids, and the keys of the columns that it holds beside them."""
    first_views: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Shared views that a new tenant begins with: what they leave, by name."""

    def having(self, *columns: ListColumn) -> Listing[R]:
        """With further columns, behind its own."""
        return replace(self, columns=(*self.columns, *columns))

    async def whole(self, scope: Scope) -> Listing[R]:
        """With the columns that plugins add in this tenant."""
        further = () if self.further is None else await self.further(scope)
        return self.having(*further) if further else self

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
        for column in self.columns if given.keys() - names else ():
            for name in names_of(column):
                if name in given and name not in names:
                    raise Invalid(_("%(label)s cannot be filtered so.", label=_(column.label)), field=name)
        kept = {name: text for name, text in given.items() if name in names}
        sorts = self._sorts(address.get("sort") or self.sort)
        ignored = tuple(name for name in given if name not in names)
        beside = self._beside(filters, sorts) and not (q and self.search)
        widely = next((self._sorts(one.widely) for one in conditions if one.widely and not address.get("sort")), ())
        by = [one for one in self.columns if one.key in {one.column for one in filters}]
        apart = by[0] if len(by) == 1 and by[0].bare and not (q and self.search) else None
        return Asked(
            q, sorts, tuple(conditions), tuple(filters), tuple(joins), kept, ignored, beside, widely, apart=apart
        )

    def _beside(self, filters: Sequence[Filter], sorts: Sequence[Sorted]) -> bool:
        filtered, sorted_by = {one.column for one in filters}, {one.column.key for one in sorts}
        return any(
            column.key in filtered and (filtered - {column.key}) | sorted_by <= set(column.beside)
            for column in self.columns
        )

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
        return _address(self.href, tuple([pair for pair in {**kept, **changed}.items() if pair[1]]))

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
        reach, everything = within(self.table, scope.actor.reach), isinstance(scope.actor.reach, Everything)
        if any(one.prepared for one in asked.conditions):
            asked = replace(asked, conditions=await _prepared(asked.conditions, scope))
        asked = replace(asked, is_held=_is_held(asked, scope.actor.reach))
        backwards = bool(before) and not after
        cursor = before if backwards else after
        known = _is_of(asked.widely, cursor)
        if cursor:
            asked = asked.wide if known else replace(asked, widely=())
        place = _place(asked, cursor)
        order = Order(asked.sorts, self.row_id, backwards, place, limit + 1)
        keys, many = None, COUNTED + 1
        if not known:
            keys, many = await self._near(everything, asked, reach, order)
            if keys is None:
                keys, many = await self._begun(asked, reach, order)
            if keys is None:
                keys, many = await self._likely(asked, reach, order)
            if keys is None and not cursor and (keys := await self._widely(everything, asked, reach, order)):
                asked, many = asked.wide, COUNTED + 1
            if keys is None:
                keys, many = await self._first(everything, asked, reach, order)
        if keys is None:
            if asked.widely:
                asked = asked.wide
                order = replace(order, sorts=asked.sorts)
            keys = await self._walked(everything, asked, reach, order)
        more, keys = len(keys) > limit, keys[:limit]
        if backwards:
            keys.reverse()
        found = await self.rows_of(scope, [key.id for key in keys])
        there_before, there_after = (more, True) if backwards else (place is not None, more)
        return Found(
            found,
            many,
            _cursor(asked, keys[0]) if keys and there_before else "",
            _cursor(asked, keys[-1]) if keys and there_after else "",
            asked,
        )

    async def _near(
        self, everything: bool, asked: Asked, reach: QueryString, order: Order
    ) -> tuple[list[_Key] | None, int]:
        """The same as `_first`, where so many are left that the page is full among the first of all."""
        if not asked.reads_rows or asked.order_beside or not asked.is_carried:
            return None, 0
        joins = " ".join(dict.fromkeys((*order.joins, *asked.joins)))
        given = {**order.given, "list_reach": reach, **_given(asked)}
        walk = self._walk(everything, asked, order, joins, [one.one_by_one for one in asked.conditions])
        nearby = NEARBY if not asked.is_held else FAR // 2 if asked.conditions[0].begin else FAR
        whole = self._walk(everything, asked, order, order.join, ["TRUE"])
        found = f"SELECT count(*) FROM ({self._found(everything, asked, self.row_id)} LIMIT {COUNTED + 1}) AS counted"
        there = await rows(
            _Near,
            f"WITH page AS MATERIALIZED (SELECT {order.again('walked')}, walked.id FROM ({walk} LIMIT {nearby}) AS"
            " walked WHERE wanted LIMIT :list_limit), told AS (SELECT count(*) AS many FROM page)"
            f" SELECT CASE WHEN told.many < :list_limit THEN (SELECT count(*) FROM ({whole} LIMIT {NEARBY}) AS whole)"
            f" ELSE {NEARBY} END AS looked,"
            f" CASE WHEN told.many < :list_limit THEN told.many ELSE ({found}) END AS many,"
            f" {order.again('page')}, coalesce(page.id, 0) AS id FROM told LEFT JOIN page ON TRUE"
            f" ORDER BY {order.by_again('page')}",
            **given,
        )
        keys = [_key(one) for one in there if one.id]
        if len(keys) == order.given["list_limit"] or (there[0].looked < NEARBY and order.place is None):
            return keys, there[0].many  # that is the page, or all there is
        if there[0].looked == NEARBY:
            if asked.is_held or there[0].many < DENSE:
                return None, 0
            keys = await self._walked(everything, asked, reach, order)
        return keys, int(await value(found, **given))

    async def _begun(self, asked: Asked, reach: QueryString, order: Order) -> tuple[list[_Key] | None, int]:
        """The same for a text anywhere in the column that the list is in the order of: those that begin with it stand
        together in its index, and the others are collected where few have it further on."""
        first = asked.conditions[0] if len(asked.conditions) == 1 else None
        if first is None or not asked.is_held or not first.begin:
            return None, 0
        begun = f"SELECT {order.head} FROM {self.table_name} WHERE :list_reach AND {first.begin}"
        if first.perhaps:  # all that begin with it are among these: where these are as many, there are no others
            perhaps = f"SELECT 1 FROM {first.source} WHERE {first.perhaps} LIMIT {BEGUN + first.few + 1}"
            told = (
                f"SELECT (SELECT count(*) FROM ({perhaps}) AS perhaps)"
                f" - (SELECT count(*) FROM ({begun} LIMIT {BEGUN}) AS begun) AS looked"
            )
            further = (
                f"SELECT {order.head} FROM {first.source} {first.beside} WHERE (SELECT looked FROM told) BETWEEN 1 AND"
                f" {first.few} AND {first.source_id} NOT IN (SELECT id FROM ({begun})) AND :list_reach AND {first.rest}"
            )
        else:
            told = "SELECT count(*) AS looked FROM further"
            further = (
                f"SELECT {order.head} FROM {self.table_name} WHERE :list_reach AND {first.rest} AND NOT {first.begin}"
                f" LIMIT {first.few + 1}"
            )
        ways = [f"told AS MATERIALIZED ({told})", f"further AS MATERIALIZED ({further})"]
        ready = ", ".join(ways if first.perhaps else reversed(ways))
        beyond = replace(order, source="further").keyset
        there = await rows(
            _Near,
            f"WITH {ready},"
            f" page AS MATERIALIZED (SELECT * FROM (SELECT * FROM ({order.walk(begun)} LIMIT :list_limit) AS begun"
            f" UNION ALL SELECT {order.again('further')}, further.id FROM further WHERE TRUE{beyond}) AS found"
            f" ORDER BY {order.by_picked} LIMIT :list_limit)"
            f" SELECT told.looked, (SELECT count(*) FROM ({begun} LIMIT {COUNTED + 1}) AS begun)"
            f" + (SELECT count(*) FROM further) AS many, {order.again('page')}, coalesce(page.id, 0) AS id"
            f" FROM told LEFT JOIN page ON TRUE ORDER BY {order.by_again('page')}",
            **order.given,
            list_reach=reach,
            **_given(asked),
        )
        if there[0].looked > first.few:
            return None, 0
        return [_key(one) for one in there if one.id], min(there[0].many, COUNTED + 1)

    async def _likely(self, asked: Asked, reach: QueryString, order: Order) -> tuple[list[_Key] | None, int]:
        """The same, where an index tells which may be wanted and another one, by their ids, which of them come first:
        only these are looked at."""
        first, (index, held) = next((one for one in asked.conditions if one.perhaps), None), self.by_id
        if first is None or not asked.reads_rows or any(one.column.key not in held for one in order.sorts):
            return None, 0
        joins, where = " ".join(asked.joins), _all(one.one_by_one for one in asked.conditions)

        def those(of: str) -> str:
            return f"WHERE EXISTS (SELECT 1 FROM {self.table_name} {joins} WHERE {self.row_id} = {of}.id AND {where})"

        there = await rows(
            _Near,
            f"WITH perhaps (id) AS MATERIALIZED (SELECT {first.source_id} FROM {first.source} WHERE {first.perhaps}"
            f" LIMIT {PERHAPS + 1}), told AS MATERIALIZED (SELECT count(*) AS looked FROM perhaps),"
            f" page AS MATERIALIZED (SELECT {order.again('nearest')}, nearest.id FROM (SELECT {order.head} FROM perhaps"
            f" CROSS JOIN {self.table_name} INDEXED BY {index} ON {self.row_id} = perhaps.id"
            f" WHERE (SELECT looked FROM told) <= {PERHAPS}{order.keyset} ORDER BY {order.by('+')} LIMIT {NEARBY})"
            f" AS nearest {those('nearest')} LIMIT :list_limit)"
            f" SELECT told.looked, CASE WHEN told.looked <= {NEARBY} OR (SELECT count(*) FROM page) = :list_limit"
            f" THEN (SELECT count(*) FROM (SELECT 1 FROM perhaps {those('perhaps')} LIMIT {COUNTED + 1})) ELSE 0 END"
            " AS many,"
            f" {order.again('page')}, coalesce(page.id, 0) AS id FROM told LEFT JOIN page ON TRUE"
            f" ORDER BY {order.by_again('page')}",
            **order.given,
            list_reach=reach,
            **_given(asked),
        )
        keys = [_key(one) for one in there if one.id]
        if there[0].looked <= NEARBY or len(keys) == order.given["list_limit"]:
            return keys, there[0].many
        return None, 0

    async def _first(
        self, everything: bool, asked: Asked, reach: QueryString, order: Order
    ) -> tuple[list[_Key] | None, int]:
        """The keys of the page, and how many rows there are in all; None where too many are left to be sorted."""
        if not asked.conditions and everything:
            counting = f"SELECT count(*) FROM (SELECT 1 FROM {self.table_name} LIMIT {COUNTED + 1}) AS counted"
            found = await rows(
                _Counted,
                order.walk(f"SELECT ({counting}) AS many, {order.head} FROM {self.table_name} {order.join} WHERE TRUE")
                + " LIMIT :list_limit",
                **order.given,
            )
            if found or order.place is None:
                return [_key(one) for one in found], found[0].many if found else 0
            return [], int(await value(counting))
        about = asked.conditions[0].about if len(asked.conditions) == 1 else None
        few = min((one.few or FEW for one in asked.conditions), default=FEW)
        if any(asked.joins) and not asked.q:
            few = min(few, LOOKED_UP)
        most = FOUND if about and not asked.widely and _is_walked_among(asked, order) else few
        if (about or 0) > most:
            return None, COUNTED + 1
        if asked.widely:
            most = min(COUNTED, FEW)
        keys, count = await self._sorted(everything, asked, reach, order, most)
        return (keys, count) if count <= most else (None, COUNTED + 1)

    async def _sorted(
        self, everything: bool, asked: Asked, reach: QueryString, order: Order, most: int
    ) -> tuple[list[_Key], int]:
        """What is left, if it is `most` rows at most, found before it is sorted; and how many."""
        at_once = asked.order_beside or (asked.reads_rows and not order.join and asked.apart is None)
        few = self._found(everything, asked, order.head if at_once else self.row_id)
        kept, among = "few (id)", ""
        source = (
            f"{order.bare} AND {order.tie}" if order.bare else f"{self.table_name} {order.join} WHERE {self.row_id}"
        )
        counted = "(SELECT many FROM counted)"
        if at_once:  # what is sorted by was read with them
            kept = "few"
            ready = replace(order, source="few")
            from_few = f"few WHERE {counted} <= {most}"
            head, keyset, by = ready.head, ready.keyset, ready.by()
        elif dialect() == "sqlite":  # IN: after a join it would build a filter from all rows of the next table
            # Whether they are few stands inside: outside it, a list of them all would be made first.
            few_ones = f"SELECT id FROM few WHERE {counted} <= {most}"
            from_few = f"{source} IN ({few_ones})"
            head, keyset, by = order.head, order.keyset, order.by("+")
        else:
            from_few = (  # one by one, not by reading all rows for them
                f"few CROSS JOIN LATERAL (SELECT {order.head} FROM {source} = few.id OFFSET 0) AS there"
                f" WHERE {counted} <= {most}"
            )
            there = order.there
            head, keyset, by = there.heads_again, there.keyset, there.by()
        picked = f"SELECT {head} FROM {from_few}{keyset} ORDER BY {by} LIMIT :list_limit"
        if most > LOOKED_UP and _is_walked_among(asked, order):
            rows_there = order.bare or f"{self.table_name} WHERE TRUE"
            walk = order.walk(
                f"SELECT {order.head}, {order.tie} IN (SELECT id FROM few) AS wanted FROM {rows_there}"
                f" AND {counted} > {LOOKED_UP} AND {counted} <= {most}"
            )
            values = f"{order.again('walked')}, walked.id"
            among = (
                f", walked AS MATERIALIZED (SELECT {values} FROM ({walk} LIMIT {FAR}) AS walked WHERE wanted"
                " LIMIT :list_limit)"
            )
            full = "(SELECT count(*) FROM walked) = :list_limit"
            picked = (
                f"SELECT {values} FROM walked WHERE {full} UNION ALL"
                f" (SELECT {head} FROM {from_few} AND NOT {full}{keyset} ORDER BY {by} LIMIT :list_limit)"
            )
        found = await rows(
            _Counted,
            f"WITH {kept} AS MATERIALIZED ({few} LIMIT {most + 1}),"
            f" counted AS MATERIALIZED (SELECT count(*) AS many FROM few){among}"
            f" SELECT counted.many, {order.again('page')}, coalesce(page.id, 0) AS id"
            f" FROM counted LEFT JOIN ({picked}) AS page ON TRUE ORDER BY {order.by_again('page')}",
            list_reach=reach,
            **order.given,
            **_given(asked),
        )
        return [_key(one) for one in found if one.id], found[0].many

    def _found(self, everything: bool, asked: Asked, picked: str) -> str:
        """SELECT of all that is left, in any order."""
        first = next((one for one in asked.conditions if one.source), None)
        if everything and asked.apart is not None and not asked.order_beside:
            where = " AND ".join(f"({one.sql})" for one in asked.conditions)
            return f"SELECT {asked.apart.tie} FROM {asked.apart.bare} AND {where}"
        if first is None:
            where = _all(one.sql for one in asked.conditions)
            filled = next((one.filled for one in asked.conditions if one.filled), "")
            if filled:  # and no other index for the reach
                where = where.replace(":list_reach", "coalesce(:list_reach, 0)", 1)
            source = f"{self.table_name} INDEXED BY {filled}" if filled else self.table_name
            return f"SELECT {picked} FROM {source} {' '.join(asked.joins)} WHERE {where}"
        by_id = picked == self.row_id
        if by_id and _alone(everything, asked, first):
            return f"SELECT {first.source_id} FROM {first.source} WHERE ({first.found})"
        tests = [first.joined or first.found if one is first else one.one_by_one for one in asked.conditions]
        picked = first.source_id if by_id else picked
        return f"SELECT {picked} FROM {first.source} {_beside(asked, first)} WHERE {_all(tests)}"

    async def _walked(self, everything: bool, asked: Asked, reach: QueryString, order: Order) -> list[_Key]:
        """The first that are wanted, in the order of the sort."""
        joins = " ".join(dict.fromkeys((*order.joins, *asked.joins)))
        given = {**order.given, "list_reach": reach, **_given(asked)}
        if not asked.conditions and not _beside_the_reach(order):
            walk = order.walk(f"SELECT {order.head} FROM {self.table_name} {joins} WHERE :list_reach")
            return await rows(_Key, f"{walk} LIMIT :list_limit", **given)
        first = next((one for one in asked.conditions if one.source), None)
        if first is not None and [one.column.order for one in order.sorts] == [self.row_id]:
            return await self._walked_by_id(everything, asked, first, order, given)
        off = "+" if dialect() == "sqlite" else ""
        if asked.is_held:  # IS TRUE: by no other index
            test = " AND ".join(f"({one.one_by_one})" for one in asked.conditions)
            walk = f"SELECT {order.head} FROM {self.table_name} {joins} WHERE :list_reach AND ({test}) IS TRUE"
            return await rows(_Key, f"{order.walk(walk)} LIMIT :list_limit", **given)
        others = (
            f"SELECT {order.head} FROM {self.table_name} {joins} WHERE {_all(one.sql for one in asked.conditions)}"
            f"{order.keyset}"
        )
        if dialect() == "postgresql" and any(one.few for one in asked.conditions):  # found, not walked to once more
            others = f"SELECT * FROM ({others} OFFSET 0) AS those ORDER BY {order.by_picked}"
        else:
            others += f" ORDER BY {order.by(off)}"
        probed = min((one.far or FAR for one in asked.conditions), default=FAR)
        tests = [one.one_by_one for one in asked.conditions] or ["TRUE"]
        walks = [(self._walk(everything, asked, order, joins, tests), probed)]
        if probed < FAR:  # further on, each is looked up among all that are found
            tests = [one.sql for one in asked.conditions]
            walks.append((self._walk(everything, asked, order, joins, tests), FAR))
        for walk, far in walks:
            found = await rows(
                _Key,
                f"SELECT {order.again('walked')}, walked.id FROM ({walk} LIMIT {far}) AS walked"
                " WHERE wanted LIMIT :list_limit",
                **given,
            )
            if len(found) == order.given["list_limit"]:
                return found
        return await rows(_Key, f"{others} LIMIT :list_limit", **given)

    async def _walked_by_id(
        self, everything: bool, asked: Asked, first: Condition, order: Order, given: Mapping[str, Any]
    ) -> list[_Key]:
        """The same in the order of the ids, in which that is kept where the condition finds its rows."""
        row_id, alone = first.source_id, _alone(everything, asked, first)
        if first.looked and (first.about is None or first.about > FEW):
            found = await rows(_Key, self._looked_at(everything, asked, first, order, FAR), **given)
            if len(found) == order.given["list_limit"]:
                return found
        beside = "" if alone else _beside(asked, first)
        others = f"SELECT {row_id} AS at, {row_id} AS id FROM {first.source} {beside}"
        others += f" WHERE {_those(everything, asked, first, first.found)}"
        if first.looked:  # all are found before they are sorted: PostgreSQL would look at rows one by one for few
            others, row_id = f"SELECT at, id FROM ({others} OFFSET 0) AS those WHERE TRUE", "id"
        return await rows(_Key, f"{order.by_id(others, row_id)} LIMIT :list_limit", **given)

    def _looked_at(self, everything: bool, asked: Asked, first: Condition, order: Order, far: int) -> str:
        """Those that are wanted of the first in the order of the ids, by looking at each."""
        row_id, beside = first.source_id, "" if _alone(everything, asked, first) else _beside(asked, first)
        walk = order.by_id(f"SELECT * FROM {first.source} WHERE TRUE", row_id)
        walk = f"SELECT {row_id} AS at, {row_id} AS id FROM ({walk} LIMIT {far}) AS {row_id.partition('.')[0]} {beside}"
        walk = order.by_id(
            f"{walk} WHERE {_those(everything, asked, first, first.looked)}", row_id
        )  # a join may turn them
        return f"{walk} LIMIT :list_limit"

    async def _widely(self, everything: bool, asked: Asked, reach: QueryString, order: Order) -> list[_Key] | None:
        """The keys of the page in the order of more rows than are counted, if so many are among the first of all."""
        first = next((one for one in asked.conditions if one.looked), None)
        if not asked.widely or first is None or len(asked.conditions) == 1 or (first.about or 0) < MANY:
            return None
        wide = replace(order, sorts=asked.widely, limit=COUNTED + 1)
        if [one.column.order for one in wide.sorts] != [self.row_id]:
            return None
        sql = self._looked_at(everything, asked, first, wide, FIRST)
        found = await rows(_Key, sql, **wide.given, list_reach=reach, **_given(asked))
        return found[: order.limit] if len(found) > COUNTED else None

    def _walk(self, everything: bool, asked: Asked, order: Order, joins: str, tests: Sequence[str]) -> str:
        """The rows in the order of the sort, each with whether it is wanted."""
        test, reached = " AND ".join(f"({one})" for one in tests), ":list_reach"
        first = asked.conditions[0] if asked.conditions else None
        if order.bare and first is not None and first.walks_alone and _alone(everything, asked, first):
            return order.walk(
                f"SELECT {order.head}, {test.replace(self.row_id, order.tie)} AS wanted FROM {order.bare}"
            )
        if _beside_the_reach(order):
            test, reached = f"(:list_reach AND {test})", "TRUE"
        return order.walk(f"SELECT {order.head}, {test} AS wanted FROM {self.table_name} {joins} WHERE {reached}")


def _is_held(asked: Asked, reach: Reach) -> bool:
    column, filtered = asked.sorts[0].column, {one.column for one in asked.filters}
    if asked.q or len(asked.sorts) > 1 or filtered != {column.key} or not all(one.few for one in asked.conditions):
        return False
    return isinstance(reach, Everything) or (column.in_reach and isinstance(reach, Partitions) and len(reach.ids) == 1)


def _is_walked_among(asked: Asked, order: Order) -> bool:
    """Whether one index alone gives the rows in this order, and PostgreSQL goes by it among those that it has found."""
    if dialect() == "sqlite" or asked.order_beside or len(order.sorts) > 1:
        return False
    return asked.is_carried and (bool(order.bare) or not order.join)


def _beside_the_reach(order: Order) -> bool:
    """Whether the sort's index is another table's: told who is in reach, SQLite would find and sort them all."""
    return dialect() == "sqlite" and bool(order.sorts[0].column.tie)


@lru_cache(maxsize=4096)
def _address(href: str, query: tuple[tuple[str, str], ...]) -> str:
    return f"{href}?{urlencode(query)}" if query else href


def _key(found: _Counted) -> _Key:
    return _Key(found.at, found.id, found.at_1, found.at_2)


def _cursor(asked: Asked, key: _Key) -> str:
    return encode_cursor(asked.order, *(key.at, key.at_1, key.at_2)[: len(asked.sorts)], key.id)


def _id(row: Any) -> int:
    found: int = row.id
    return found


def _all(tests: Iterable[str]) -> str:
    return " AND ".join((":list_reach", *(f"({test})" for test in tests)))


def _alone(everything: bool, asked: Asked, first: Condition) -> bool:
    """Whether a condition is all that is asked, so that what it is found in tells which rows are left."""
    return len(asked.conditions) == 1 and (everything or first.reached)


def _those(everything: bool, asked: Asked, first: Condition, way: str) -> str:
    """All conditions where the first one's rows are found, or looked at, this way."""
    if _alone(everything, asked, first):
        return f"({way})"
    return _all(way if one is first else one.one_by_one for one in asked.conditions)


def _beside(asked: Asked, first: Condition) -> str:
    """What stands beside the source of a condition in FROM: the list's table, of which something else is asked."""
    return f"{first.beside} {' '.join(asked.joins)}"


async def _prepared(conditions: Sequence[Condition], scope: Scope) -> tuple[Condition, ...]:
    return tuple([one if one.prepared is None else await one.prepared(scope.actor.reach) for one in conditions])


def _given(asked: Asked) -> dict[str, Any]:
    return {name: given for condition in asked.conditions for name, given in condition.values.items()}


def _is_of(sorts: Sequence[Sorted], cursor: str) -> bool:
    """Whether a cursor was made in this order."""
    return bool(sorts and cursor) and decode_cursor(cursor, list[Any])[:1] == [_order(sorts)]


def _order(sorts: Sequence[Sorted]) -> str:
    return ",".join(one.text for one in sorts)


def _place(asked: Asked, cursor: str) -> tuple[Any, ...] | None:
    if not cursor:
        return None
    kinds: Any = tuple.__class_getitem__((str, *(_KEYS[one.column.kind] for one in asked.sorts), int))
    order, *place = decode_cursor(cursor, kinds)
    if order != asked.order:
        raise Invalid(_("This cursor is of another order of this list. Begin again without it."), field="cursor")
    return tuple(place)
