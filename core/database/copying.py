"""The rows of all tables from one database into another of the same migrations, SQLite or PostgreSQL, and the proof
that they are the same.

A row's canonical text decides whether two are the same: JSON of its values in the order of the columns' names, read on
both sides as the types that they are declared as. While rows come in, the target's triggers and references are off:
what they would do or refuse has been done already. `close_for_writes()` keeps everybody else from changing the source.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from operator import itemgetter
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from core.database.binding import Database, Transaction, bind, opened, transaction
from core.database.errors import CLOSED
from core.database.migrations import run_sql
from core.database.postgresql import PostgresDatabase
from core.database.sql import execute, rows, value, values
from core.database.sqlite import SqliteDatabase
from core.errors import Conflict, Invalid
from core.texts import _

PIECE: Final = 2000
WRITERS_END_WITHIN: Final = 20.0

Row = tuple[Any, ...]
Told = Callable[[str, int], None]
"""Hears the table, and how many of its rows are done."""


class Unlike(Conflict):
    """The two databases have not the same tables, or a value is not of its column's type."""


class Layout(Struct, frozen=True):
    """A table: its columns in the order of their names, those of them that are written, and its key."""

    name: str
    columns: tuple[str, ...]
    written: tuple[str, ...]
    key: tuple[str, ...]
    order: str
    """The key as rows are sorted by it: texts byte by byte, as Python compares them."""


class Likeness(Struct, frozen=True):
    """A table on both sides: so many rows, whose digests sum up to this, in whatever order."""

    table: str
    rows: int
    digest: str
    differences: int
    """Rows that were missing, superfluous or different, and are mended now."""


class _Column(Struct, frozen=True):
    table: str
    name: str
    position: int | None
    generated: bool
    text: bool


_COLUMNS: Final = {
    "sqlite": """
        SELECT t.name AS "table", x.name AS name, CASE WHEN x.pk > 0 THEN x.pk END AS position,
               x.hidden <> 0 AS generated, FALSE AS text
        FROM pragma_table_list t JOIN pragma_table_xinfo(t.name) x
        WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite~_%' ESCAPE '~'
    """,
    "postgresql": """
        SELECT CAST(c.relname AS text) AS "table", CAST(a.attname AS text) AS name,
               CAST(array_position(CAST(i.indkey AS int2[]), a.attnum) AS bigint) AS position,
               a.attgenerated <> '' AS generated, a.attcollation <> 0 AS text
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
        WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND c.relkind = 'r'
    """,
}


async def layouts(database: Database) -> dict[str, Layout]:
    """The tables by name; what only one kind of database has (an index of words) is none of them."""
    with bind(database):
        found = await rows(_Column, _COLUMNS[database.dialect])
    tables: dict[str, list[_Column]] = {}
    for column in sorted(found, key=lambda each: (each.table, each.name)):
        tables.setdefault(column.table, []).append(column)
    return {name: _layout(name, columns) for name, columns in tables.items()}


def _layout(name: str, columns: Sequence[_Column]) -> Layout:
    key = sorted((each for each in columns if each.position is not None), key=lambda each: each.position or 0)
    return Layout(
        name=name,
        columns=tuple(each.name for each in columns),
        written=tuple(each.name for each in columns if not each.generated),
        key=tuple(each.name for each in key),
        order=", ".join(_quoted(each.name) + (' COLLATE "C"' if each.text else "") for each in key),
    )


async def shared_layouts(source: Database, target: Database, *, but: Collection[str] = ()) -> list[Layout]:
    """The tables of the source, sorted as the source sorts them; Unlike where the target has others."""
    wanted, found = await layouts(source), await layouts(target)
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            raise Unlike(f"The table {name} is made by no migration of this version: it cannot be copied.")
        if name not in wanted:
            raise Unlike(f"The table {name} is missing. Upgrade first.")
        if wanted[name].columns != found[name].columns or wanted[name].key != found[name].key:
            raise Unlike(f"The table {name} has other columns or another key than this version makes.")
        if not wanted[name].key:
            raise Unlike(f"The table {name} has no primary key: its rows cannot be told apart.")
    return [layout for name, layout in wanted.items() if name not in but]


@asynccontextmanager
async def picture(database: Database) -> AsyncIterator[Transaction]:
    """The database as it is now, unchanging, for as long as it takes."""
    taken = await database.begin(reading=True)
    try:
        if database.dialect == "postgresql":
            await taken.run("SET LOCAL idle_in_transaction_session_timeout = 0", ())
        yield taken
    finally:
        await taken.finish(keep=False)


async def count_rows(source: Transaction, tables: Sequence[Layout]) -> dict[str, int]:
    found = {}
    for layout in tables:
        _, ((found[layout.name],),) = await source.fetch(f"SELECT count(*) FROM {_quoted(layout.name)}", ())
    return found


async def copy_table(source: Transaction, target: Database, layout: Layout, told: Told) -> int:
    """All rows into a table that nobody uses; what a migration has put there goes. How many there were."""
    done = 0
    text = _select(source.database, layout, layout.written)
    async with _writing(target) as into:
        await into.run(f"DELETE FROM {_quoted(layout.name)}", ())
        async with aclosing(_pieces(source, layout, text)) as pieces:
            async for piece in pieces:
                await _load(into, layout, piece)
                done += len(piece)
                told(layout.name, done)
    return done


async def level_table(source: Transaction, target: Database, layout: Layout) -> Likeness:
    """Compares the rows one by one and makes the target's the same. Without a difference it proves that they are."""
    gone: list[Row] = []
    new: list[Row] = []
    digest, differences = 0, 0
    async with picture(target) as copy, aclosing(_keyed(source, layout)) as ours, aclosing(_keyed(copy, layout)) as its:
        left, right = _Side(ours), _Side(its)
        while await left.fill() | await right.fill():
            if not left.at and not right.at and left.piece == right.piece:  # as most are
                left.skip()
                right.skip()
                continue
            wanted, found = left.first, right.first
            if found is None or (wanted is not None and wanted[0] < found[0]):
                assert wanted is not None
                new.append(wanted[2])
                left.at += 1
                differences += 1
            elif wanted is None or found[0] < wanted[0]:
                gone.append(found[0])
                right.at += 1
                differences += 1
            else:
                if wanted[1] != found[1]:
                    gone.append(found[0])
                    new.append(wanted[2])
                    differences += 1
                left.at += 1
                right.at += 1
        count, digest = left.count, left.digest
    if differences:
        await _mend(target, layout, gone, new)
    elif (right.count, right.digest) != (count, digest):
        raise Unlike(f"The rows of {layout.name} are not the same on both sides.")
    return Likeness(layout.name, count, f"{digest:032x}", differences)


async def _mend(target: Database, layout: Layout, gone: list[Row], new: list[Row]) -> None:
    """What is to go first: two rows may have exchanged a value that only one of them can have."""
    places = [layout.columns.index(name) for name in layout.written]
    mark = iter(range(1, len(layout.key) + 1))
    where = " AND ".join(
        f"{_quoted(name)} = {'?' if target.dialect == 'sqlite' else f'${next(mark)}'}" for name in layout.key
    )
    async with _writing(target) as into:
        if gone:
            await into.run_many(f"DELETE FROM {_quoted(layout.name)} WHERE {where}", gone)
        for start in range(0, len(new), PIECE):
            some = new[start : start + PIECE]
            await _load(into, layout, [tuple(row[place] for place in places) for row in some])


_Keyed = tuple[Row, bytes, Row]
"""Key, canonical text, and the row."""


async def _keyed(source: Transaction, layout: Layout) -> AsyncGenerator[list[_Keyed], None]:
    key = _picker([layout.columns.index(name) for name in layout.key])
    text = _select(source.database, layout, layout.columns)
    encode = msgspec.json.Encoder().encode
    async with aclosing(_pieces(source, layout, text)) as pieces:
        async for piece in pieces:
            yield [(key(row), encode(row), row) for row in piece]


class _Side:
    """The rows of one side, and what of them was seen: their number, and the sum of their digests."""

    def __init__(self, pieces: AsyncIterator[list[_Keyed]]) -> None:
        self._pieces = pieces
        self.piece: list[_Keyed] = []
        self.at = 0
        self.count = 0
        self.digest = 0

    async def fill(self) -> bool:
        """Whether there is a row."""
        if self.at >= len(self.piece):
            self.piece, self.at = await anext(self._pieces, []), 0
            self.count += len(self.piece)
            self.digest += sum(
                int.from_bytes(hashlib.blake2b(text, digest_size=16).digest()) for _, text, _ in self.piece
            )
            self.digest %= 1 << 128
        return bool(self.piece)

    @property
    def first(self) -> _Keyed | None:
        return self.piece[self.at] if self.at < len(self.piece) else None

    def skip(self) -> None:
        self.at = len(self.piece)


def _picker(places: Sequence[int]) -> Callable[[Row], Row]:
    if len(places) == 1:
        place = places[0]
        return lambda row: (row[place],)
    return itemgetter(*places)


def _select(database: Database, layout: Layout, columns: Sequence[str]) -> str:
    order = layout.order if database.dialect == "postgresql" else ", ".join(map(_quoted, layout.key))
    return f"SELECT {', '.join(map(_quoted, columns))} FROM {_quoted(layout.name)} ORDER BY {order}"


async def _pieces(source: Transaction, layout: Layout, text: str) -> AsyncGenerator[list[Row], None]:
    pieces = source.pieces(text, (), PIECE)
    while True:
        try:
            _, piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except (ValueError, OverflowError) as error:  # by the converters of SQLite's declared types
            raise Unlike(f"The table {layout.name} has a value that is not of its column's type: {error}") from error
        yield piece


async def _load(into: Transaction, layout: Layout, piece: Sequence[Row]) -> None:
    try:
        await into.load(layout.name, layout.written, piece)
    except (Invalid, TypeError, ValueError, OverflowError) as error:
        raise Unlike(f"The table {layout.name} has a value that is not of its column's type: {error}") from error


@asynccontextmanager
async def _writing(target: Database) -> AsyncIterator[Transaction]:
    beginning = target.begin(foreign_keys=False) if isinstance(target, SqliteDatabase) else target.begin()
    with bind(target):
        async with opened(beginning) as begun:
            yield begun


class _Named(Struct, frozen=True):
    table: str
    name: str
    text: str


class Rules(Struct, frozen=True):
    """The triggers and references that were taken off."""

    triggers: tuple[_Named, ...]
    references: tuple[_Named, ...]


_TRIGGERS: Final = (
    "SELECT tbl_name AS \"table\", name, sql AS text FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid"
)
_ORPHANS: Final = 'SELECT DISTINCT "table" || \' → \' || "parent" FROM pragma_foreign_key_check'
_REFERENCES: Final = """
    SELECT CAST(c.relname AS text) AS "table", CAST(k.conname AS text) AS name, pg_get_constraintdef(k.oid) AS text
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
    WHERE k.connamespace = CAST(current_schema() AS regnamespace) AND k.contype = 'f' ORDER BY 1, 2
"""


async def take_rules_off(target: Database, tables: Sequence[Layout]) -> Rules:
    """Rows come in as they are. On PostgreSQL `target` is the owner's."""
    with bind(target):
        async with transaction():
            if isinstance(target, SqliteDatabase):
                triggers = await rows(_Named, _TRIGGERS)
                for trigger in triggers:
                    await run_sql(f"DROP TRIGGER {_quoted(trigger.name)}")
                return Rules(tuple(triggers), ())
            references = await rows(_Named, _REFERENCES)
            for each in references:
                await run_sql(f"ALTER TABLE {_quoted(each.table)} DROP CONSTRAINT {_quoted(each.name)}")
            for layout in tables:
                await run_sql(f"ALTER TABLE {_quoted(layout.name)} DISABLE TRIGGER USER")
            return Rules((), tuple(references))


async def put_triggers_on(target: Database, tables: Sequence[Layout], rules: Rules) -> None:
    """As they were."""
    with bind(target):
        async with transaction():
            for trigger in rules.triggers:
                await run_sql(trigger.text)
            if isinstance(target, PostgresDatabase):
                for layout in tables:
                    await run_sql(f"ALTER TABLE {_quoted(layout.name)} ENABLE TRIGGER USER")


async def put_references_on(target: Database, rules: Rules) -> None:
    """As they were; each row is checked."""
    with bind(target):
        async with transaction():
            for each in rules.references:
                await run_sql(f"ALTER TABLE {_quoted(each.table)} ADD CONSTRAINT {_quoted(each.name)} {each.text}")
            if isinstance(target, SqliteDatabase) and (orphans := await values(_ORPHANS)):
                raise Unlike(f"Rows point to nothing: {', '.join(orphans)}.")


class _Counter(Struct, frozen=True):
    table: str
    name: str
    sequence: str
    last: int | None


_COUNTERS: Final = """
    SELECT "table", name, sequence, pg_sequence_last_value(CAST(sequence AS regclass)) AS last
    FROM (SELECT CAST(c.relname AS text) AS "table", CAST(a.attname AS text) AS name,
                 pg_get_serial_sequence(format('%I.%I', current_schema(), c.relname), a.attname) AS sequence
          FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attidentity <> ''
          WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND c.relkind = 'r') counted
    ORDER BY 1
"""
_NEVER_REUSED: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"


async def counters(database: Database) -> dict[str, int]:
    """The last id that each table has given, also where its row is gone."""
    with bind(database):
        if database.dialect == "postgresql":
            return {each.table: each.last for each in await rows(_Counter, _COUNTERS) if each.last is not None}
        if not await value("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'"):
            return {}
        found = await rows(_Counter, "SELECT name AS \"table\", name, '' AS sequence, seq AS last FROM sqlite_sequence")
        return {each.table: each.last for each in found if each.last is not None}


async def set_counters(target: Database, last: Mapping[str, int]) -> None:
    """New ids come after these, and after those that are there."""
    with bind(target):
        async with transaction():
            if target.dialect == "postgresql":
                for each in await rows(_Counter, _COUNTERS):
                    highest = await value(f"SELECT max({_quoted(each.name)}) FROM {_quoted(each.table)}")
                    highest = max(highest or 0, last.get(each.table, 0))
                    await value(
                        "SELECT setval(CAST(CAST(:sequence AS text) AS regclass), :highest, :given)",
                        sequence=each.sequence,
                        highest=highest or 1,
                        given=bool(highest),
                    )
                return
            for name in await values(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"
            ):
                highest = await value(f"SELECT max(rowid) FROM {_quoted(name)}")
                await execute("DELETE FROM sqlite_sequence WHERE name = :name", name=name)
                if highest := max(highest or 0, last.get(name, 0)):
                    await execute(
                        "INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :highest)", name=name, highest=highest
                    )


async def close_for_writes(database: Database) -> None:
    """From here on the tenant's database can be read, and every change is answered with 503, whoever has it open. What
    had begun before has ended when this returns. Owner's work on PostgreSQL (migrations) is not concerned.
    """
    if isinstance(database, SqliteDatabase):
        with bind(database):
            async with transaction():
                for text in _closing(await layouts(database)):
                    await run_sql(text)
        return
    await _allow(database, "REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} FROM {app}")
    deadline = monotonic() + WRITERS_END_WITHIN
    with bind(database):
        while await value(_WRITERS):
            if monotonic() > deadline:
                await open_for_writes(database)
                raise Conflict(_("A change that has begun does not end. Nothing was changed; try again later."))
            await asyncio.sleep(0.02)


async def open_for_writes(database: Database) -> None:
    """The opposite; does nothing where it is open already."""
    if isinstance(database, SqliteDatabase):
        with bind(database):
            async with transaction():
                for name in await values(
                    "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'closed~_%' ESCAPE '~'"
                ):
                    await run_sql(f"DROP TRIGGER {_quoted(name)}")
        return
    await _allow(database, "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {app}")


_WRITERS: Final = """
    SELECT 1 FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
    WHERE l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
      AND c.relnamespace = CAST(current_schema() AS regnamespace) AND l.mode = 'RowExclusiveLock' AND l.granted LIMIT 1
"""


def _closing(tables: Mapping[str, Layout]) -> Iterator[str]:
    for name in tables:
        for what in ("insert", "update", "delete"):
            yield (
                f"CREATE TRIGGER IF NOT EXISTS {_quoted(f'closed_{what}_{name}')} BEFORE {what} ON {_quoted(name)}"
                f" BEGIN SELECT RAISE(ABORT, '{CLOSED}'); END"
            )


async def _allow(database: Database, text: str) -> None:
    assert isinstance(database, PostgresDatabase)
    role = urlsplit(database.server.app_dsn).username or ""
    with bind(database.owned()):
        app = await value("SELECT quote_ident(:role)", role=role)
        await run_sql(text.format(schema=_quoted(database.schema), app=app))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
