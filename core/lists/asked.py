"""What an address asks of a list, taken apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.database import Everything, Partitions
from core.errors import Invalid
from core.texts import _

if TYPE_CHECKING:
    from core.database import Reach
    from core.lists.columns import Condition, ListColumn
    from core.lists.filters import Filter
    from core.lists.ordering import Sorted


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
    def given(self) -> dict[str, Any]:
        """The values of all conditions."""
        return {name: given for condition in self.conditions for name, given in condition.values.items()}

    @property
    def order(self) -> str:
        return order_of(self.sorts)

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

    @property
    def is_grouped(self) -> bool:
        """Whether the rows of one choice come after those of another, in the order of their names."""
        return len(self.sorts) == 1 and bool(self.sorts[0].column.groups)

    def held_in(self, reach: Reach) -> Asked:
        """The same, told whether it `is_held`."""
        column, filtered = self.sorts[0].column, {one.column for one in self.filters}
        if self.q or len(self.sorts) > 1 or filtered != {column.key} or not all(one.few for one in self.conditions):
            return self
        is_one = isinstance(reach, Partitions) and len(reach.ids) == 1
        return replace(self, is_held=isinstance(reach, Everything) or (column.in_reach and is_one))

    def check_all_known(self) -> None:
        """Raises Invalid where something was asked that is not the list's: rows would be meant that nobody means."""
        for name in self.ignored:
            raise Invalid(_("This list cannot be filtered by “%(name)s”.", name=name), field=name)


def order_of(sorts: Sequence[Sorted]) -> str:
    return ",".join(one.text for one in sorts)


def all_of(tests: Iterable[str]) -> str:
    """In reach, and what these say."""
    return " AND ".join((":list_reach", *(f"({test})" for test in tests)))
