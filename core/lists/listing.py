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

How it keeps quick with a million rows: `core.lists.ways`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from core.database import Everything, rows, value, within
from core.errors import FieldError, Invalid
from core.lists.asked import Asked, all_of, order_of
from core.lists.columns import SIZE, Condition, ListChoice, ListColumn
from core.lists.filters import Filter, filters_of, names_of
from core.lists.ordering import Order, Sorted
from core.lists.ways import Key, Ways
from core.texts import N_, _, number
from core.web.jsonapi import Page, decode_cursor, encode_cursor
from core.web.routing import names_sent

if TYPE_CHECKING:
    from litestar import Response
    from piccolo.table import Table

    from core.lists.row_ends import RowEnds
    from core.scope import Scope
    from core.web.jsonapi import Call
    from core.web.parts import MenuEntry, Pager
    from core.web.view import View

R = TypeVar("R", bound=Struct)
Choices = Mapping[str, Sequence[ListChoice]]

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
        `asked` stands for parameters of other names. Raises Invalid for one that there is not: left out, it would let
        all rows through.
        """
        from core.lists.views import expanded  # which keeps what is declared here

        whole = await self.whole(call.scope)
        known = whole.parameters() | {"view"} | {*names_sent(call.request).values()}
        if unknown := [name for name in call.request.query_params if name not in known]:
            told = N_("There is no parameter “%(name)s” here.")
            raise Invalid(errors=[FieldError(name, _(told, name=name)) for name in unknown])
        address = await expanded(call.scope, whole, {**dict(call.request.query_params), **asked})
        choices = await whole.choices_for(call.scope, address)
        if not cursor:
            await whole.check_order(call.scope, whole.asked(call.scope, address, choices))
        return await whole.api_page(call.scope, address, choices=choices, cursor=cursor, limit=limit)

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
        if asked.is_carried or asked.is_grouped:
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
        where = all_of(one.sql for one in asked.conditions)
        return Condition(
            f"SELECT {self.row_id} AS id FROM {self.table_name} {' '.join(asked.joins)} WHERE {where}",
            {"list_reach": within(self.table, scope.actor.reach), **asked.given},
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
        asked = asked.held_in(scope.actor.reach)
        backwards = bool(before) and not after
        cursor = before if backwards else after
        known = _is_of(asked.widely, cursor)
        if cursor:
            asked = asked.wide if known else replace(asked, widely=())
        place = _place(asked, cursor)
        order = Order(asked.sorts, self.row_id, backwards, place, limit + 1)
        ways = Ways(self.table_name, self.row_id, self.by_id, everything, reach, asked, order)
        if asked.is_grouped:
            keys, many = await ways.grouped()
        else:
            keys, many, asked = await (ways.walked() if known else ways.keys(widely=not cursor))
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


@lru_cache(maxsize=4096)
def _address(href: str, query: tuple[tuple[str, str], ...]) -> str:
    return f"{href}?{urlencode(query)}" if query else href


def _cursor(asked: Asked, key: Key) -> str:
    return encode_cursor(asked.order, *(key.at, key.at_1, key.at_2)[: len(asked.sorts)], key.id)


def _id(row: Any) -> int:
    found: int = row.id
    return found


async def _prepared(conditions: Sequence[Condition], scope: Scope) -> tuple[Condition, ...]:
    return tuple([one if one.prepared is None else await one.prepared(scope.actor.reach) for one in conditions])


def _is_of(sorts: Sequence[Sorted], cursor: str) -> bool:
    """Whether a cursor was made in this order."""
    return bool(sorts and cursor) and decode_cursor(cursor, list[Any])[:1] == [order_of(sorts)]


def _place(asked: Asked, cursor: str) -> tuple[Any, ...] | None:
    if not cursor:
        return None
    kinds: Any = tuple.__class_getitem__((str, *(_KEYS[one.column.kind] for one in asked.sorts), int))
    order, *place = decode_cursor(cursor, kinds)
    if order != asked.order:
        raise Invalid(_("This cursor is of another order of this list. Begin again without it."), field="cursor")
    return tuple(place)
