"""What a list is made of: its columns as they are declared, and the conditions that they and the search become.

Knows neither pages nor requests, so that a feature can offer a column to the list of a lower one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Kind = Literal["text", "number", "amount", "date", "choice"]


class ListColumn(Struct, frozen=True, kw_only=True):
    """A column that a list can be sorted and filtered by.

    `expr` is SQL that is never NULL where `sorts`; an index on (expr, id) carries the sort. `keyed` says that it holds
    `sort_key`s, so that text is compared in that form. `join` is a further table that `expr` stands in, with one row
    for each of the list's; `tie` is the list's id there, as the join's own index has it. What a row may have several of
    has `among`: a SELECT of the list's ids up to the column that holds the choice ("SELECT customer_id FROM
    customer_tag WHERE tag_id"). A column that is not `shown` has no head in the table: it is sorted and filtered by.
    """

    key: str
    label: str
    expr: str
    kind: Kind = "text"
    keyed: bool = False
    sorts: bool = True
    join: str = ""
    tie: str = ""
    among: str = ""
    shown: bool = True

    @property
    def is_number(self) -> bool:
        return self.kind in {"number", "amount"}


class ListChoice(Struct, frozen=True):
    """A value that a column of choices can be filtered by: in the address, as read, and in the table."""

    key: str
    label: str
    value: int | str


class Condition(Struct, frozen=True):
    """SQL that is true for the rows that are wanted, with its values.

    `walk` says the same for when rows are looked at one after the other in the list's order; empty: as `sql`. `source`
    is a FROM that leads from what is looked for to the list's table, and `found` the condition there: for when the
    first some thousand are wanted, in any order, and the database should not look for all of them before. `ids` is a
    SELECT of their ids for when nothing else is asked for; `surely`, one of some of them, which costs less where they
    are many and is enough to tell so.
    """

    sql: str
    values: Mapping[str, object] = {}
    walk: str = ""
    source: str = ""
    found: str = ""
    ids: str = ""
    surely: str = ""
