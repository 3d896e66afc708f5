"""The order of a list: how the rows of a page follow each other, as SQL."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from core.database import dialect

if TYPE_CHECKING:
    from core.lists.columns import ListColumn

AT: Final = ("at", "at_1", "at_2")
"""Names under which the values that are sorted by are picked; the id is `id`."""
SLOTS: Final = ("list_at", "list_at_1", "list_at_2")
"""Those of a place, as they are given to a statement."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """A column that a list is sorted by."""

    column: ListColumn
    descending: bool

    @property
    def text(self) -> str:
        return f"-{self.column.key}" if self.descending else self.column.key


@dataclass(frozen=True, slots=True)
class Order:
    """How the rows of a page follow each other, from a place on."""

    sorts: tuple[Sorted, ...]
    row_id: str
    backwards: bool
    place: tuple[Any, ...] | None
    limit: int
    source: str = ""
    """Where the values stand that were picked already, under the names of `AT`."""

    @property
    def _exprs(self) -> list[str]:
        if self.source:
            return [f"{self.source}.{name}" for name in AT[: len(self.sorts)]]
        return [one.column.order for one in self.sorts]

    @property
    def tie(self) -> str:
        """The id; of the first column's own index where that is another table's."""
        if self.source:
            return f"{self.source}.id"
        return self.sorts[0].column.tie or self.row_id

    @property
    def is_down(self) -> bool:
        return self._down(0)

    def _down(self, at: int) -> bool:
        return self.sorts[min(at, len(self.sorts) - 1)].descending is not self.backwards

    @property
    def joins(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.column.join for one in self.sorts))

    @property
    def join(self) -> str:
        return " ".join(self.joins)

    @property
    def bare(self) -> str:
        """FROM of the one further table in which all that is sorted by stands, up to a condition; empty where there is
        none, or several."""
        return self.sorts[0].column.bare if len(self.joins) == 1 else ""

    @property
    def there(self) -> Order:
        return replace(self, source="there")

    @property
    def head(self) -> str:
        picked = [f"{expr} AS {name}" for expr, name in zip(self._exprs, AT, strict=False)]
        return ", ".join((*picked, f"{self.tie} AS id"))

    @property
    def heads_again(self) -> str:
        return ", ".join((*self._exprs, self.tie))

    def again(self, source: str) -> str:
        """What `head` picked, out of a sub-select of this name."""
        return ", ".join(f"{source}.{name}" for name in AT[: len(self.sorts)])

    def by_again(self, source: str) -> str:
        return replace(self, source=source).by()

    @property
    def keyset(self) -> str:
        """Beyond the place. With one column it is a comparison of rows, which an index answers."""
        if self.place is None:
            return ""
        exprs, tie = self._exprs, self.tie
        if len(exprs) == 1:
            return f" AND ({exprs[0]}, {tie}) {'<' if self._down(0) else '>'} (:list_at, :list_id)"
        test = f"{tie} {'<' if self._down(len(exprs)) else '>'} :list_id"
        for at in range(len(exprs) - 1, -1, -1):
            beyond, slot = "<" if self._down(at) else ">", SLOTS[at]
            test = f"({exprs[at]} {beyond} :{slot} OR ({exprs[at]} = :{slot} AND {test}))"
        return f" AND {exprs[0]} {'<=' if self._down(0) else '>='} :{SLOTS[0]} AND {test}"

    def walk(self, select: str) -> str:
        """The select, which has picked `head`, in this order from the place on.

        Of a comparison of rows SQLite looks up the first value alone where the second is the table's own id, and would
        read over all that share it: there the rest of those that share it and what comes after are looked up apart.
        """
        if self._exprs == [self.tie]:
            return self.by_id(select, self.tie)
        if self.place is None or len(self.sorts) > 1 or dialect() != "sqlite":
            return f"{select}{self.keyset} ORDER BY {self.by()}"
        (expr,), beyond = self._exprs, "<" if self._down(0) else ">"
        alike = f"{select} AND {expr} = :list_at AND {self.tie} {beyond} :list_id"
        return f"{alike} UNION ALL {select} AND {expr} {beyond} :list_at ORDER BY {self.by_picked}"

    def by_id(self, select: str, row_id: str) -> str:
        """The select in the order of these ids, which alone are the order."""
        down = self._down(0)
        beyond = f" AND {row_id} {'<' if down else '>'} :list_id" if self.place is not None else ""
        return f"{select}{beyond} ORDER BY {row_id} {'DESC' if down else 'ASC'}"

    @property
    def by_picked(self) -> str:
        """For ORDER BY of what has picked `head` more than once."""
        return ", ".join(f"{name} {way}" for name, way in zip((*AT[: len(self.sorts)], "id"), self._ways, strict=True))

    @property
    def given(self) -> dict[str, Any]:
        if self.place is None:
            return {"list_limit": self.limit}
        *values, row_id = self.place
        return {"list_limit": self.limit, "list_id": row_id, **dict(zip(SLOTS, values, strict=False))}

    def by(self, off: str = "") -> str:
        """For ORDER BY; `off` before it keeps SQLite from walking an index for it."""
        parts = [f"{expr} {way}" for expr, way in zip((*self._exprs, self.tie), self._ways, strict=True)]
        return off + ", ".join(parts)

    @property
    def _ways(self) -> list[str]:
        return ["DESC" if self._down(at) else "ASC" for at in range(len(self.sorts) + 1)]
