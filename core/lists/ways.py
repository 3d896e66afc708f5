"""How the keys of a page are found among a million rows: which rows come next in the order asked for, and how many are
left in all.

Where the search and the filters leave `FEW` rows at most, these are found first and only they are sorted, in one
statement; where they leave more, the index of the sort is walked until the page is full. PostgreSQL, which looks up one
row after the other, walks that index among some thousand that it has found. What is found nowhere near is looked for
once more from its other end. Where nothing tells how many several filters leave, the first rows of the order are looked
at before; along an index that holds what is looked for, as many as it takes. Of a search for which no order is asked,
those that are counted are sorted; more stand as the search finds them soonest, which its page says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.database import dialect, rows, value
from core.lists.asked import all_of

if TYPE_CHECKING:
    from piccolo.querystring import QueryString

    from core.lists.asked import Asked
    from core.lists.columns import Condition
    from core.lists.ordering import Order

COUNTED: Final = 1000
"""Rows that are counted; of more it is said that there are more."""
FEW: Final = 8000
"""Rows that are collected to be sorted."""
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


class Key(Struct, frozen=True):
    """A row by what it is sorted by, and its id."""

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


class _Group(Struct, frozen=True):
    at: str
    id: int | None


class _Id(Struct, frozen=True):
    id: int


class _Near(_Counted, frozen=True, kw_only=True):
    looked: int
    """Of so many."""


@dataclass(frozen=True, slots=True)
class Ways:
    """A page of a list that is looked for."""

    table_name: str
    row_id: str
    """SQL of what tells rows of that table apart."""
    by_id: tuple[str, frozenset[str]]
    """As the list's."""
    everything: bool
    """Whether all rows are in reach."""
    reach: QueryString
    asked: Asked
    order: Order

    async def keys(self, widely: bool) -> tuple[list[Key], int, Asked]:
        """The keys of the page, how many rows are left in all, and what was asked in the order that they stand in.
        `widely`: more rows than are counted may stand in the order of what is found soonest."""
        keys, many = await self._near()
        for way in (self._begun, self._likely):
            if keys is None:
                keys, many = await way()
        if keys is None and widely and (keys := await self._widely()):
            return keys, COUNTED + 1, self.asked.wide
        if keys is None:
            keys, many = await self._first()
        return (keys, many, self.asked) if keys is not None else await self.walked()

    async def walked(self) -> tuple[list[Key], int, Asked]:
        """The same where more rows are left than are counted."""
        asked = self.asked.wide if self.asked.widely else self.asked
        ways = replace(self, asked=asked, order=replace(self.order, sorts=asked.sorts))
        return await ways._walked(), COUNTED + 1, asked

    async def grouped(self) -> tuple[list[Key], int]:
        """The keys of a page in the order of the names of choices, and how many rows are left in all: the rows of one
        choice come after those of another, each by their ids, as the index of the choice has them."""
        asked, order = self.asked, self.order
        if asked.conditions or not self.everything:
            found, many = await self._first()
            if found is not None:
                return found, many
        else:
            many = int(await value(f"SELECT count(*) FROM (SELECT 1 FROM {self.table_name} LIMIT {COUNTED + 1}) AS c"))
        column, (beyond, way) = order.sorts[0].column, ("<", "DESC") if order.is_down else (">", "ASC")
        at, after = order.place or (None, None)
        groups = await rows(
            _Group,
            f"SELECT at, id FROM ({column.groups}) AS named"
            f" WHERE EXISTS (SELECT 1 FROM {self.table_name} WHERE {column.expr} = named.id) ORDER BY at",
        )
        groups.insert(0, _Group("", None))
        if order.is_down:
            groups.reverse()
        tests = all_of(one.one_by_one for one in asked.conditions)
        keys: list[Key] = []
        for group in groups:
            if at is not None and (group.at > at if order.is_down else group.at < at):
                continue
            among = f"{column.expr} IS NULL" if group.id is None else f"{column.expr} = :list_group"
            further = f" AND {self.row_id} {beyond} :list_id" if group.at == at else ""
            ids = await rows(  # IS TRUE: by no other index
                _Id,
                f"SELECT {self.row_id} AS id FROM {self.table_name} {' '.join(asked.joins)}"
                f" WHERE {among}{further} AND ({tests}) IS TRUE"
                f" ORDER BY {column.expr} {way}, {self.row_id} {way} LIMIT :list_limit",
                **asked.given,
                list_reach=self.reach,
                list_limit=order.limit - len(keys),
                **({} if group.id is None else {"list_group": group.id}),
                **({"list_id": after} if further else {}),
            )
            keys += [Key(group.at, one.id) for one in ids]
            if len(keys) == order.limit:
                break
        return keys, many

    async def _near(self) -> tuple[list[Key] | None, int]:
        """The same as `_first`, where so many are left that the page is full among the first of all."""
        asked, order = self.asked, self.order
        if not asked.reads_rows or asked.order_beside or not asked.is_carried:
            return None, 0
        joins = " ".join(dict.fromkeys((*order.joins, *asked.joins)))
        given = {**order.given, "list_reach": self.reach, **asked.given}
        walk = self._walk(joins, [one.one_by_one for one in asked.conditions])
        nearby = NEARBY if not asked.is_held else FAR // 2 if asked.conditions[0].begin else FAR
        whole = self._walk(order.join, ["TRUE"])
        found = f"SELECT count(*) FROM ({self._found(self.row_id)} LIMIT {COUNTED + 1}) AS counted"
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
            keys = await self._walked()
        return keys, int(await value(found, **given))

    async def _begun(self) -> tuple[list[Key] | None, int]:
        """The same for a text anywhere in the column that the list is in the order of: those that begin with it stand
        together in its index, and the others are collected where few have it further on."""
        asked, order = self.asked, self.order
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
            list_reach=self.reach,
            **asked.given,
        )
        if there[0].looked > first.few:
            return None, 0
        return [_key(one) for one in there if one.id], min(there[0].many, COUNTED + 1)

    async def _likely(self) -> tuple[list[Key] | None, int]:
        """The same, where an index tells which may be wanted and another one, by their ids, which of them come first:
        only these are looked at."""
        asked, order = self.asked, self.order
        first, (index, held) = next((one for one in asked.conditions if one.perhaps), None), self.by_id
        if first is None or not asked.reads_rows or any(one.column.key not in held for one in order.sorts):
            return None, 0
        joins, where = " ".join(asked.joins), all_of(one.one_by_one for one in asked.conditions)

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
            list_reach=self.reach,
            **asked.given,
        )
        keys = [_key(one) for one in there if one.id]
        if there[0].looked <= NEARBY or len(keys) == order.given["list_limit"]:
            return keys, there[0].many
        return None, 0

    async def _first(self) -> tuple[list[Key] | None, int]:
        """The keys of the page, and how many rows there are in all; None where too many are left to be sorted."""
        asked, order = self.asked, self.order
        if not asked.conditions and self.everything:
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
        keys, count = await self._sorted(most)
        return (keys, count) if count <= most else (None, COUNTED + 1)

    async def _sorted(self, most: int) -> tuple[list[Key], int]:
        """What is left, if it is `most` rows at most, found before it is sorted; and how many."""
        asked, order = self.asked, self.order
        at_once = asked.order_beside or (asked.reads_rows and not order.join and asked.apart is None)
        few = self._found(order.head if at_once else self.row_id)
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
            list_reach=self.reach,
            **order.given,
            **asked.given,
        )
        return [_key(one) for one in found if one.id], found[0].many

    def _found(self, picked: str) -> str:
        """SELECT of all that is left, in any order."""
        asked = self.asked
        first = next((one for one in asked.conditions if one.source), None)
        if self.everything and asked.apart is not None and not asked.order_beside:
            where = " AND ".join(f"({one.sql})" for one in asked.conditions)
            return f"SELECT {asked.apart.tie} FROM {asked.apart.bare} AND {where}"
        if first is None:
            where = all_of(one.sql for one in asked.conditions)
            filled = next((one.filled for one in asked.conditions if one.filled), "")
            if filled:  # and no other index for the reach
                where = where.replace(":list_reach", "coalesce(:list_reach, 0)", 1)
            source = f"{self.table_name} INDEXED BY {filled}" if filled else self.table_name
            return f"SELECT {picked} FROM {source} {' '.join(asked.joins)} WHERE {where}"
        by_id = picked == self.row_id
        if by_id and self._is_alone(first):
            return f"SELECT {first.source_id} FROM {first.source} WHERE ({first.found})"
        tests = [first.joined or first.found if one is first else one.one_by_one for one in asked.conditions]
        picked = first.source_id if by_id else picked
        return f"SELECT {picked} FROM {first.source} {_beside(asked, first)} WHERE {all_of(tests)}"

    async def _walked(self) -> list[Key]:
        """The first that are wanted, in the order of the sort."""
        asked, order = self.asked, self.order
        joins = " ".join(dict.fromkeys((*order.joins, *asked.joins)))
        given = {**order.given, "list_reach": self.reach, **asked.given}
        if not asked.conditions and not _beside_the_reach(order):
            walk = order.walk(f"SELECT {order.head} FROM {self.table_name} {joins} WHERE :list_reach")
            return await rows(Key, f"{walk} LIMIT :list_limit", **given)
        first = next((one for one in asked.conditions if one.source), None)
        if first is not None and [one.column.order for one in order.sorts] == [self.row_id]:
            return await self._walked_by_id(first, given)
        off = "+" if dialect() == "sqlite" else ""
        if asked.is_held:  # IS TRUE: by no other index
            test = " AND ".join(f"({one.one_by_one})" for one in asked.conditions)
            walk = f"SELECT {order.head} FROM {self.table_name} {joins} WHERE :list_reach AND ({test}) IS TRUE"
            return await rows(Key, f"{order.walk(walk)} LIMIT :list_limit", **given)
        others = (
            f"SELECT {order.head} FROM {self.table_name} {joins} WHERE {all_of(one.sql for one in asked.conditions)}"
            f"{order.keyset}"
        )
        if dialect() == "postgresql" and any(one.few for one in asked.conditions):  # found, not walked to once more
            others = f"SELECT * FROM ({others} OFFSET 0) AS those ORDER BY {order.by_picked}"
        else:
            others += f" ORDER BY {order.by(off)}"
        probed = min((one.far or FAR for one in asked.conditions), default=FAR)
        tests = [one.one_by_one for one in asked.conditions] or ["TRUE"]
        walks = [(self._walk(joins, tests), probed)]
        if probed < FAR:  # further on, each is looked up among all that are found
            tests = [one.sql for one in asked.conditions]
            walks.append((self._walk(joins, tests), FAR))
        for walk, far in walks:
            found = await rows(
                Key,
                f"SELECT {order.again('walked')}, walked.id FROM ({walk} LIMIT {far}) AS walked"
                " WHERE wanted LIMIT :list_limit",
                **given,
            )
            if len(found) == order.given["list_limit"]:
                return found
        return await rows(Key, f"{others} LIMIT :list_limit", **given)

    async def _walked_by_id(self, first: Condition, given: Mapping[str, Any]) -> list[Key]:
        """The same in the order of the ids, in which that is kept where the condition finds its rows."""
        asked, order = self.asked, self.order
        row_id, alone = first.source_id, self._is_alone(first)
        if first.looked and (first.about is None or first.about > FEW):
            found = await rows(Key, self._looked_at(first, order, FAR), **given)
            if len(found) == order.given["list_limit"]:
                return found
        beside = "" if alone else _beside(asked, first)
        others = f"SELECT {row_id} AS at, {row_id} AS id FROM {first.source} {beside}"
        others += f" WHERE {self._those(first, first.found)}"
        if first.looked:  # all are found before they are sorted: PostgreSQL would look at rows one by one for few
            others, row_id = f"SELECT at, id FROM ({others} OFFSET 0) AS those WHERE TRUE", "id"
        return await rows(Key, f"{order.by_id(others, row_id)} LIMIT :list_limit", **given)

    def _looked_at(self, first: Condition, order: Order, far: int) -> str:
        """Those that are wanted of the first in the order of the ids, by looking at each."""
        asked = self.asked
        row_id, beside = first.source_id, "" if self._is_alone(first) else _beside(asked, first)
        walk = order.by_id(f"SELECT * FROM {first.source} WHERE TRUE", row_id)
        walk = f"SELECT {row_id} AS at, {row_id} AS id FROM ({walk} LIMIT {far}) AS {row_id.partition('.')[0]} {beside}"
        walk = order.by_id(f"{walk} WHERE {self._those(first, first.looked)}", row_id)  # a join may turn them
        return f"{walk} LIMIT :list_limit"

    async def _widely(self) -> list[Key] | None:
        """The keys of the page in the order of more rows than are counted, if so many are among the first of all."""
        asked, order = self.asked, self.order
        first = next((one for one in asked.conditions if one.looked), None)
        if not asked.widely or first is None or len(asked.conditions) == 1 or (first.about or 0) < MANY:
            return None
        wide = replace(order, sorts=asked.widely, limit=COUNTED + 1)
        if [one.column.order for one in wide.sorts] != [self.row_id]:
            return None
        sql = self._looked_at(first, wide, FIRST)
        found = await rows(Key, sql, **wide.given, list_reach=self.reach, **asked.given)
        return found[: order.limit] if len(found) > COUNTED else None

    def _walk(self, joins: str, tests: Sequence[str]) -> str:
        """The rows in the order of the sort, each with whether it is wanted."""
        asked, order = self.asked, self.order
        test, reached = " AND ".join(f"({one})" for one in tests), ":list_reach"
        first = asked.conditions[0] if asked.conditions else None
        if order.bare and first is not None and first.walks_alone and self._is_alone(first):
            return order.walk(
                f"SELECT {order.head}, {test.replace(self.row_id, order.tie)} AS wanted FROM {order.bare}"
            )
        if _beside_the_reach(order):
            test, reached = f"(:list_reach AND {test})", "TRUE"
        return order.walk(f"SELECT {order.head}, {test} AS wanted FROM {self.table_name} {joins} WHERE {reached}")

    def _is_alone(self, first: Condition) -> bool:
        """Whether a condition is all that is asked, so that what it is found in tells which rows are left."""
        return len(self.asked.conditions) == 1 and (self.everything or first.reached)

    def _those(self, first: Condition, way: str) -> str:
        """All conditions where the first one's rows are found, or looked at, this way."""
        if self._is_alone(first):
            return f"({way})"
        return all_of(way if one is first else one.one_by_one for one in self.asked.conditions)


def _is_walked_among(asked: Asked, order: Order) -> bool:
    """Whether one index alone gives the rows in this order, and PostgreSQL goes by it among those that it has found."""
    if dialect() == "sqlite" or asked.order_beside or len(order.sorts) > 1:
        return False
    return asked.is_carried and (bool(order.bare) or not order.join)


def _beside_the_reach(order: Order) -> bool:
    """Whether the sort's index is another table's: told who is in reach, SQLite would find and sort them all."""
    return dialect() == "sqlite" and bool(order.sorts[0].column.tie)


def _key(found: _Counted) -> Key:
    return Key(found.at, found.id, found.at_1, found.at_2)


def _beside(asked: Asked, first: Condition) -> str:
    """What stands beside the source of a condition in FROM: the list's table, of which something else is asked."""
    return f"{first.beside} {' '.join(asked.joins)}"
