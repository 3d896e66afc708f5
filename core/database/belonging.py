"""How each table belongs to a customer, and who may see which of its rows.

Every table says it in its class body: `belongs = OWN` (the customer itself), `via("customer_id")` (through that
foreign key), `STAFF_ONLY` (unrestricted staff), `SHARED` (everybody reads, restricted actors never write).
`scoped(Table, scope)` is how a handler gets rows: one outside the actor's reach is answered like one that does not
exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from piccolo.columns import And, Column, ForeignKey, Or, Where
from piccolo.columns.combination import WhereRaw
from piccolo.columns.m2m import M2MSelect
from piccolo.columns.readable import Readable
from piccolo.query import Count, Delete, Exists, Objects, Select, Update
from piccolo.query.methods.raw import Raw
from piccolo.query.mixins import WhereDelegate
from piccolo.querystring import QueryString
from piccolo.table import Table

from core.errors import NotFound

T = TypeVar("T", bound=Table)
Q = TypeVar("Q")


class Ownership(Enum):
    """Ways to belong that need no foreign key."""

    OWN = "the customer itself"
    STAFF_ONLY = "unrestricted staff"
    SHARED = "everybody reads"


@dataclass(frozen=True, slots=True)
class via:
    """Through this foreign key: whoever may see the row it points to may see this one."""

    column: str


Belongs = Ownership | via
OWN: Final = Ownership.OWN
STAFF_ONLY: Final = Ownership.STAFF_ONLY
SHARED: Final = Ownership.SHARED


@dataclass(frozen=True, slots=True)
class Everything:
    """Unrestricted: every row of the tenant."""


@dataclass(frozen=True, slots=True)
class Partitions:
    """A reseller: customers of these partitions, and what belongs to them."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OneCustomer:
    """A customer in the portal: itself, and what belongs to it."""

    id: int


Reach = Everything | Partitions | OneCustomer


class _Actor(Protocol):
    @property
    def reach(self) -> Reach: ...


class HasReach(Protocol):
    """As much of a Scope as is needed here."""

    @property
    def actor(self) -> _Actor: ...


def belonging(table: type[Table]) -> Belongs:
    """What the table says in its own class body; inherited words do not count."""
    found = vars(table).get("belongs")
    if not isinstance(found, Ownership | via):
        raise LookupError(f"{table.__name__} does not say how it belongs to a customer")
    return found


def within(table: type[Table], reach: Reach, *, write: bool = False, alias: str | None = None) -> QueryString:
    """SQL that is true for the rows in reach: `"document"."payer_id" IN (SELECT "id" FROM "customer" WHERE …)`.

    Everything gives TRUE, no partition gives FALSE. It stands in any WHERE, also of UPDATE, DELETE and INSERT …
    SELECT. Where the statement gives the table another name, that is the `alias`.
    """
    belongs = belonging(table)
    if isinstance(reach, Everything):
        return QueryString("TRUE")
    name = f'"{alias}"' if alias else f'"{table._meta.tablename}"'
    if isinstance(belongs, via):
        key = _foreign_key(table, belongs.column)
        parent = key._foreign_key_meta.resolved_references
        if isinstance(reach, OneCustomer) and belonging(parent) is OWN:
            return QueryString(f'{name}."{belongs.column}" = {{}}', reach.id)
        return QueryString(
            f'{name}."{belongs.column}" IN (SELECT "id" FROM "{parent._meta.tablename}" WHERE {{}})',
            within(parent, reach, write=write),
        )
    if belongs is OWN:
        if isinstance(reach, OneCustomer):
            return QueryString(f'{name}."id" = {{}}', reach.id)
        if not reach.ids:
            return QueryString("FALSE")
        return QueryString(f'{name}."partition_id" IN ({", ".join("{}" for _ in reach.ids)})', *reach.ids)
    if belongs is SHARED and not write:
        return QueryString("TRUE")
    return QueryString("FALSE")


def scoped(table: type[T], scope: HasReach) -> Scoped[T]:
    """The rows of the table that the scope's actor may reach."""
    return Scoped(table, scope.actor.reach)


class Scoped(Generic[T]):
    """Piccolo's own queries, with the reach in their WHERE. Joined tables are not filtered by it: for a restricted
    actor every column that is reached by another key than the one the table belongs by, or one to a SHARED table, is
    refused.
    """

    def __init__(self, table: type[T], reach: Reach) -> None:
        self.table = table
        self.reach = reach

    async def get(self, id: int) -> T:
        """The row, or NotFound: outside the reach as for one that does not exist."""
        if not -(2**63) <= id < 2**63:
            raise NotFound(f"{self.table.__name__} {id}")
        found = await self.objects().where(self.table._meta.primary_key == id).first()
        if found is None:
            raise NotFound(f"{self.table.__name__} {id}")
        return found

    def select(self, *columns: Any) -> Select[T]:
        return self._limited(cast("Select[T]", _guarded(Select)(self.table, columns_list=self._columns(columns))))

    def objects(self, *prefetch: ForeignKey[Any] | list[ForeignKey[Any]]) -> Objects[T]:
        return self._limited(cast("Objects[T]", _guarded(Objects)(self.table, prefetch=prefetch)))

    def count(self) -> Count:
        return self._limited(cast("Count", _guarded(Count)(self.table)))

    def exists(self) -> Exists[T]:
        return self._limited(cast("Exists[T]", _guarded(Exists)(self.table)))

    def update(self, values: dict[Any, Any]) -> Update[T]:
        return self._limited(cast("Update[T]", _guarded(Update)(self.table)), write=True).values(values)

    def delete(self) -> Delete:
        return self._limited(cast("Delete", _guarded(Delete)(self.table)), write=True)

    def raw(self, sql: str, *values: Any) -> Raw:
        """SQL of one's own, `{within}` exactly once where the reach belongs; `{}` for values. Further tables need a
        `within()` of their own among the values.
        """
        if sql.count("{within}") != 1:
            raise ValueError("Raw SQL must contain {within} exactly once.")
        before = sql.partition("{within}")[0].count("{}")
        given = [*values[:before], self.fragment(), *values[before:]]
        return self.table.raw(sql.replace("{within}", "{}"), *given)

    def _columns(self, given: Iterable[Any]) -> list[Any]:
        return [self.table._meta.get_column_by_name(each) if isinstance(each, str) else each for each in given]

    def fragment(self, *, write: bool = False, alias: str | None = None) -> QueryString:
        """The reach as SQL, for `rows(..., mine=scoped(Document, scope).fragment())`."""
        return within(self.table, self.reach, write=write, alias=alias)

    async def require(self, ids: Iterable[int]) -> None:
        """All of them are in reach, or NotFound and nothing is done: for bulk actions on ids that a page sent."""
        wanted = set(ids)
        if any(not -(2**63) <= id < 2**63 for id in wanted):
            raise NotFound(self.table.__name__)
        left = sorted(wanted)
        found = 0
        for start in range(0, len(left), 500):
            found += await self.count().where(self.table._meta.primary_key.is_in(left[start : start + 500]))
        if found != len(wanted):
            raise NotFound(self.table.__name__)

    def _limited(self, query: Q, *, write: bool = False) -> Q:
        limited: Any = query
        limited.reach = self.reach
        limited.within = self.fragment(write=write)
        return query


def refuse_out_of_reach(table: type[Table], reach: Reach, columns: Iterable[Column]) -> None:
    """LookupError for a column behind a key that leads out of reach. It goes by key, not by table: `customer.parent`
    is a customer too, but another row.
    """
    if isinstance(reach, Everything):
        return
    for column in columns:
        at = table
        for step in column._meta.call_chain:
            to = step._foreign_key_meta.resolved_references
            belongs = belonging(at)
            own_way = isinstance(belongs, via) and belongs.column == step._meta.name
            if not own_way and belonging(to) is not SHARED:
                raise LookupError(f"{at.__name__}.{step._meta.name} leads out of the actor's reach")
            at = to


class _Bounded(And):
    """The reach, and what the caller asks for. In brackets: an OR in the caller's raw SQL must not widen the reach."""

    @property
    def querystring(self) -> QueryString:
        return QueryString("(({}) AND ({}))", self.first.querystring, self.second.querystring)

    @property
    def querystring_for_update_and_delete(self) -> QueryString:
        wanted = self.second.querystring_for_update_and_delete
        return QueryString("(({}) AND ({}))", self.first.querystring, wanted)


class _Guarded:
    """Mixed into Piccolo's queries: bounds the query, and looks at every column that it uses, however the caller got it
    in, at the moment when its SQL is made (so also as a part of another query).
    """

    __slots__ = ()

    table: type[Table]
    reach: Reach
    within: QueryString
    where_delegate: WhereDelegate

    @property
    def default_querystrings(self) -> Sequence[QueryString]:
        if not isinstance(self.reach, Everything):
            refuse_out_of_reach(self.table, self.reach, _columns(self))
        wanted = self.where_delegate._where
        bound = WhereRaw("{}", self.within)
        self.where_delegate._where = bound if wanted is None else _Bounded(bound, wanted)
        try:
            made: Sequence[QueryString] = super().default_querystrings  # type: ignore[misc]  # the query it is mixed into
        finally:
            self.where_delegate._where = wanted
        return made


_GUARDED: dict[type[Any], type[Any]] = {}


def _guarded(kind: type[Any]) -> type[Any]:
    if kind not in _GUARDED:
        _GUARDED[kind] = type(f"Scoped{kind.__name__}", (_Guarded, kind), {"__slots__": ("reach", "within")})
    return _GUARDED[kind]


def _columns(query: Any) -> Iterator[Column]:
    """Every column a query reads: selected, prefetched, compared, ordered, grouped, returned."""
    for name in ("columns_delegate", "prefetch_delegate", "where_delegate", "having_delegate", "order_by_delegate"):
        delegate = getattr(query, name, None)
        if delegate is not None:
            yield from _in_delegate(name, delegate)
    grouped = getattr(getattr(query, "group_by_delegate", None), "_group_by", None)
    if grouped is not None:
        yield from _in_values(grouped.columns)
    distinct = getattr(getattr(query, "distinct_delegate", None), "_distinct", None)
    if distinct is not None and distinct.on:
        yield from _in_values(distinct.on)
    returning = getattr(getattr(query, "returning_delegate", None), "_returning", None)
    if returning is not None:
        yield from _in_values(returning.columns)
    if isinstance(query, Count):
        yield from _in_values([query.column, *(query._distinct or ())])
    if isinstance(query, Update):
        yield from _in_values(query.values_delegate._values.values())


def _in_delegate(name: str, delegate: Any) -> Iterator[Column]:
    if name == "columns_delegate":
        yield from _in_values(delegate.selected_columns)
    elif name == "prefetch_delegate":
        for key in delegate.fk_columns:
            yield from key.all_columns()
    elif name == "order_by_delegate":
        yield from _in_values(delegate.get_order_by_columns())
    elif delegate._where is not None:
        yield from _in_condition(delegate._where)


def _in_condition(condition: Any) -> Iterator[Column]:
    if isinstance(condition, And | Or):
        yield from _in_condition(condition.first)
        yield from _in_condition(condition.second)
    elif isinstance(condition, Where):
        yield from _in_values([condition.column, condition.value])
        yield from _in_values([condition.values] if isinstance(condition.values, QueryString) else [])
        if isinstance(condition.values, list):
            yield from _in_values(condition.values)
    elif isinstance(condition, WhereRaw):
        yield from _in_values([condition.querystring])
    else:
        yield from _in_values([condition])


def _in_values(values: Iterable[Any]) -> Iterator[Column]:
    for value in values:
        if isinstance(value, Column):
            yield value
        elif isinstance(value, QueryString | Readable):
            yield from value.columns
        elif isinstance(value, M2MSelect):
            raise LookupError("Rows through a table between two others lead out of the actor's reach")


def declaration_faults(tables: Iterable[type[Table]]) -> list[str]:
    """What is wrong with the tables' words about belonging, a line each; the start is refused unless it is empty."""
    faults: list[str] = []
    for table in tables:
        fault = _fault(table)
        if fault is not None:
            faults.append(fault)
    return faults


def _fault(table: type[Table]) -> str | None:
    at: type[Table] = table
    seen = [table]
    while True:
        belongs = vars(at).get("belongs")
        if not isinstance(belongs, Ownership | via):
            return f"{table.__name__}: {at.__name__} does not say how it belongs to a customer"
        if isinstance(belongs, Ownership):
            if belongs is OWN and at.__name__ != "Customer":
                return f"{table.__name__}: {at.__name__} says OWN, but only Customer is the customer"
            if belongs is not OWN and at is not table:
                return f"{table.__name__}: its way ends at {at.__name__}, which belongs to no customer"
            return None
        try:
            key = _foreign_key(at, belongs.column)
        except LookupError as error:
            return f"{table.__name__}: {error}"
        if not key._meta.index and not key._meta.unique:
            return f"{table.__name__}: {at.__name__}.{belongs.column} needs an index"
        at = key._foreign_key_meta.resolved_references
        if at in seen:
            return f"{table.__name__}: its way to a customer runs in a circle at {at.__name__}"
        seen.append(at)


def _foreign_key(table: type[Table], column: str) -> ForeignKey[Any]:
    for key in table._meta.foreign_key_columns:
        if key._meta.name == column:
            return key
    raise LookupError(f"{table.__name__} belongs via “{column}”, which is no foreign key of it")
