"""What a list is made of: its columns as they are declared, and the conditions that they and the search become.

Knows neither pages nor requests, so that a feature can offer a column to the list of a lower one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from core.database import Reach
    from core.scope import Scope

SIZE: Final = 50
SIZES: Final = (25, 50, 100)
"""Rows of a page, as its reader chooses."""
PARTITIONS: Final = 50
"""Partitions of a reach that are looked for in an index of words or of pieces."""
REACH: Final = "\ue000"
"""A letter for private use, which stands there with a partition's id."""

Kind = Literal["text", "number", "amount", "date", "datetime", "flag", "choice"]


class Loaded(Struct, frozen=True):
    """Values of columns by key, then by the row's id. `failed`: columns whose values could not be had, with the id of
    the failure."""

    values: Mapping[str, Mapping[int, Any]]
    failed: Mapping[str, str] = {}


Load = Callable[["Scope", Sequence[int], Sequence[str]], Awaitable[Loaded]]
"""The values of several columns for the rows of a page: asked once for all columns that name the same function."""


class Total(Struct, frozen=True):
    """How an amount is added up: as SQL of the rows that match, and of a row that is shown; without `of`, the amount
    that it shows. None counts for nothing."""

    sql: str
    of: Callable[[Any], int | None] | None = None


class ListColumn(Struct, frozen=True, kw_only=True):
    """A column that a list can be sorted and filtered by, and shows.

    `expr` is SQL that is never NULL where `sorts`, or `by` says what is sorted by in its place. `indexed`: an index on
    (what is sorted by, id) carries the sort; else the list is sorted by it only while `listing.SORTED` rows match at
    most. Of a choice that is sorted `by` its name, of some hundred at most, `groups` is a SELECT of the names' keys
    (`at`) with the choices' ids, no two alike and none empty, as rows without a choice are; an index on (`expr`, id)
    carries the sort. `in_reach`: there is one that begins with the partition, too. `beside` names columns whose values
    its index holds too: what its filter leaves is put in their order by the index alone. Without an `expr` the column
    is shown alone. `keyed` says that it holds `sort_key`s, so that text is compared in that form. `join` is a further
    table that `expr` stands in, with one row for each of the list's; `tie` is the list's id there, as the join's own
    index has it, and `bare` that table by itself: what stands after FROM, up to a condition. What a row may have
    several of has `among`: a SELECT of the list's ids up to the column that holds the choice ("SELECT customer_id FROM
    customer_tag WHERE tag_id"). Of text that stands anywhere in it an index of pieces of three letters tells where: on
    SQLite `pieces` names that table, an FTS5 of the list's columns and of the row's `reach` by the list's ids; on
    PostgreSQL it is one of the list's table, where `pieces_further` of the column from its second letter on. `filled`
    names an index of the rows that have something in it, and only these. `alike` says that few values are in it, by an
    index.

    Its value is the row's `field` (the key where left out), or what `load` gives for the page's rows; an amount is
    Money, or minor units in the row's currency. `cell` draws it otherwise: text, or Markup. `cls` are classes of its
    cells, `role` its place on a phone (c-name, c-meta, c-status, c-amount; c-way: what is done there, below all). A
    column that is not `shown` is hidden until somebody shows it, one that is not `drawn` is never in the table: it is
    filtered by alone.
    """

    key: str
    label: str
    expr: str = ""
    by: str = ""
    kind: Kind = "text"
    keyed: bool = False
    sorts: bool = True
    indexed: bool = False
    groups: str = ""
    in_reach: bool = False
    beside: tuple[str, ...] = ()
    join: str = ""
    tie: str = ""
    bare: str = ""
    among: str = ""
    pieces: str = ""
    pieces_further: bool = False
    filled: str = ""
    alike: bool = False
    shown: bool = True
    drawn: bool = True
    field: str = ""
    load: Load | None = None
    cell: Callable[[Any, Any], str] | None = None
    value: Callable[[Any], Any] | None = None
    cls: str = ""
    role: str = ""
    toned: bool = False
    """An amount that is drawn as owed where it is negative, as credit where it is positive."""
    total: Total | None = None
    offers: Callable[[Scope], Sequence[ListChoice]] | None = None
    """What it can be filtered by, where the list itself does not know."""

    @property
    def is_number(self) -> bool:
        return self.kind in {"number", "amount"} and self.key != "id"

    @property
    def order(self) -> str:
        """SQL of the values that are sorted by."""
        return self.by or self.expr

    @property
    def can_sort(self) -> bool:
        return self.sorts and bool(self.expr)

    @property
    def is_carried(self) -> bool:
        """Whether an index gives the rows in this order, however many there are."""
        return self.indexed or self.key == "id"


class ListChoice(Struct, frozen=True):
    """A value that a column of choices can be filtered by: in the address, as read, and in the table. With `sql` the
    choice is a condition of its own, with `values`. `tone` says how rows that have it stand: "bad", "warn"."""

    key: str
    label: str
    value: int | str = ""
    sql: str = ""
    values: Mapping[str, object] = {}
    tone: str = ""


class Condition(Struct, frozen=True):
    """SQL that is true for the rows that are wanted, with its values.

    `walk` says the same for when rows are looked at one after the other in the list's order, `walks_alone` that it asks
    for the row's id alone; empty: as `sql`. `far` is how many are looked at so before a list of all that are found
    costs less, where that is not `ways.FAR`. `few` is how many are collected to be sorted, where that is not
    `ways.FEW`. `filled` names the index by which SQLite finds them, in whatever reach.

    `source` is a FROM in which they are found, `found` the condition there, `beside` the join of the list's table to
    it, `joined` the condition with that, where it is another one: for when the first some thousand are wanted, in any
    order, and the database should not look for all of them before. `source_id` is the list's id in it, by which it can
    be walked in either order; `perhaps` is true there for all that may be wanted and for some more, and reads no row of
    the list's table. `begin` says that a column begins with what is looked for anywhere in it, `rest` is true for all
    in which it stands further on, and may be for others. `looked` is the condition for when its rows are looked at so,
    empty where what is found comes in that order by itself. `widely` is the order, as in an address, in which many are
    found soonest: more than are counted are shown in it, where no other is asked for.

    `prepared` gives the condition as its rows are found soonest in a reach; it may ask the database for that. `about`
    is how many rows that are by an estimate, which is good where it says that they are many; `reached` says that what
    is found and looked for are only those in that reach.
    """

    sql: str
    values: Mapping[str, object] = {}
    walk: str = ""
    walks_alone: bool = False
    far: int = 0
    few: int = 0
    filled: str = ""
    source: str = ""
    source_id: str = ""
    beside: str = ""
    found: str = ""
    joined: str = ""
    perhaps: str = ""
    begin: str = ""
    rest: str = ""
    looked: str = ""
    widely: str = ""
    prepared: Callable[[Reach], Awaitable[Condition]] | None = None
    about: int | None = None
    reached: bool = False

    @property
    def one_by_one(self) -> str:
        """For when rows are looked at one after the other."""
        return self.walk or self.sql
