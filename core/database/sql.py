"""Queries written as SQL: one text for both databases, values as `:name`, rows into structs. See `statements` for the
text.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from inspect import signature
from operator import itemgetter
from typing import Any, Final, TypeVar, get_args

import msgspec
from msgspec.structs import fields

from core.database.binding import current, session, transaction
from core.database.statements import compile_statement, encode, encode_column, take_apart

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")

PIECE: Final = 2000
LOOKED_AT: Final = 1000
"""Rows of an index that SQLite looks at for its statistics."""


def all_of(*tests: str | bool) -> str:
    """SQL that is true where each test is. What is False is not asked for, and left out, as in
    `all_of(payer_id is not None and "payer_id = :payer_id")`. For `payer_id = :payer_id OR :any_payer` SQLite would
    look at every row.
    """
    return " AND ".join(test for test in tests if isinstance(test, str)) or "TRUE"


async def rows(into: type[S], sql: str, **values: Any) -> list[S]:
    """Every row as a struct, by the names of the columns. Columns that the struct does not have are left out."""
    dialect = current().dialect
    text, arguments = compile_statement(sql, values, dialect)
    names, found = await session().fetch(text, arguments)
    return _reader(into, names)(found) if found else []


async def row(into: type[S], sql: str, **values: Any) -> S | None:
    """The first row, or None."""
    found = await rows(into, sql, **values)
    return found[0] if found else None


async def value(sql: str, **values: Any) -> Any:
    """First column of the first row, or None.

    Columns come back as they are declared. What SQLite computes has no declared type: an instant, date or boolean of an
    expression (`max(issued_on)`, `a = b`) needs `value_as`.
    """
    found = await _first_columns(sql, values)
    return found[0] if found else None


async def values(sql: str, **values: Any) -> list[Any]:
    """First column of every row."""
    return await _first_columns(sql, values)


async def value_as(kind: type[T], sql: str, **values: Any) -> T | None:
    """As `value`, with the type that is meant: `await value_as(date, "SELECT max(issued_on) FROM document")`."""
    found = await values_as(kind, sql, **values)
    return found[0] if found else None


async def values_as(kind: type[T], sql: str, **values: Any) -> list[T | None]:
    """As `values`, with the type that is meant."""
    found = await _first_columns(sql, values)
    if kind is bool:
        found = [item if item is None else bool(item) for item in found]
    wanted: list[T | None] = msgspec.convert(found, list[kind | None])  # type: ignore[valid-type]  # a type made while running
    return wanted


async def execute(sql: str, **values: Any) -> int:
    """Rows touched."""
    text, arguments = compile_statement(sql, values, current().dialect)
    return await session().run(text, arguments)


async def execute_all(statements: Iterable[tuple[str, Mapping[str, Any]]]) -> list[int]:
    """Statements one after the other, in the transaction that is open; the rows that each touched. On SQLite they go to
    the thread together.
    """
    dialect = current().dialect
    compiled = [compile_statement(sql, values, dialect) for sql, values in statements]
    return await session().run_all(compiled)


async def execute_many(sql: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """The statement once for each set of values, all or none; rows are taken a thousand at a time. How many there
    were.
    """
    dialect = current().dialect
    statement = take_apart(sql, dialect)

    arguments = (encode([each[name] for name in statement.names], dialect) for each in rows)
    return await session().run_many(statement.text, arguments)


async def insert_columns(table: str, columns: Mapping[str, Sequence[Any]], types: Mapping[str, str]) -> int:
    """Many rows of a table, given column by column, all equally long; how many there were. Inside a transaction.

    `types` are those of the columns that are not text. On PostgreSQL it is one statement, ten times as fast as one for
    each row; on SQLite the values of a column are looked at together, not one by one.
    """
    dialect = current().dialect
    encoded = [encode_column(column, dialect) for column in columns.values()]
    head = f"INSERT INTO {table} ({', '.join(columns)})"
    if dialect == "sqlite":
        return await session().run_many(f"{head} VALUES ({', '.join('?' * len(encoded))})", zip(*encoded, strict=True))
    lists = ", ".join(f"${at}::{types.get(name, 'text')}[]" for at, name in enumerate(columns, 1))
    return await session().run(f"{head} SELECT * FROM unnest({lists})", encoded)


async def stream(into: type[S], sql: str, key: str = "id", size: int = PIECE, **values: Any) -> AsyncIterator[S]:
    """Rows of any number, in the order of `key`, read in pieces: between two of them neither a connection nor a
    snapshot is held, so a page may write meanwhile. `key` is a column of the statement, unique and never null.
    """
    quoted = '"' + key.replace('"', '""') + '"'
    first = f"SELECT * FROM ({sql}) AS piece ORDER BY {quoted} LIMIT :size_of_piece"
    further = f"SELECT * FROM ({sql}) AS piece WHERE {quoted} > :last_of_piece ORDER BY {quoted} LIMIT :size_of_piece"
    last: Any = None
    while True:
        given = {**values, "last_of_piece": last, "size_of_piece": size}
        text, arguments = compile_statement(first if last is None else further, given, current().dialect)
        names, found = await session().fetch(text, arguments)
        if found:
            for item in _reader(into, names)(found):
                yield item
            last = found[-1][names.index(key)]
        if len(found) < size:
            return


async def analyze() -> None:
    """Tells the query planner how the tables have grown: each night, after an import and other large changes. No
    transaction may be open; on PostgreSQL the owner's function does it, since only an owner may.
    """
    if current().dialect == "sqlite":
        await execute(f"PRAGMA analysis_limit = {LOOKED_AT}")
        for table in await values("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"):
            await execute(f'ANALYZE "{table}"')  # others write between two of them
        async with transaction():  # connections that are open read it anew once the schema is another
            await execute("CREATE TABLE analyzed (id integer)")
            await execute("DROP TABLE analyzed")
    else:
        await value("SELECT analyze_tables()")


async def _first_columns(sql: str, values: Mapping[str, Any]) -> list[Any]:
    text, arguments = compile_statement(sql, values, current().dialect)
    _, found = await session().fetch(text, arguments)
    return [each[0] for each in found]


@lru_cache(maxsize=4096)
def _reader(into: type[S], names: tuple[str, ...]) -> Callable[[list[tuple[Any, ...]]], list[S]]:
    """Checks and converts whole rows at once, then makes the structs: for 50 rows about 10 µs."""
    known = {field.name: field.type for field in fields(into)}
    missing = [field.name for field in fields(into) if field.required and field.name not in names]
    if missing:
        raise TypeError(f"{into.__name__} has {', '.join(missing)}, but the statement gives {', '.join(names)}")
    row_type: Any = tuple.__class_getitem__(tuple(_read_as(known.get(name, Any)) for name in names))
    kind = list[row_type]
    booleans = [place for place, name in enumerate(names) if _is_boolean(known.get(name))]
    places = [place for place, name in enumerate(names) if name in known]
    used = [names[place] for place in places]
    pick = _picker(places) if len(places) < len(names) else None
    in_order = used == _positional(into)[: len(used)]

    def read(found: list[tuple[Any, ...]]) -> list[S]:
        try:
            checked: list[tuple[Any, ...]] = msgspec.convert(found, kind)
        except msgspec.ValidationError as error:
            raise TypeError(f"{into.__name__} from ({', '.join(names)}): {error}") from error
        if booleans:
            checked = [_with_booleans(row, booleans) for row in checked]
        if pick is not None:
            checked = [pick(row) for row in checked]
        if in_order:
            return [into(*row) for row in checked]
        return [into(**dict(zip(used, row, strict=True))) for row in checked]

    return read


def _positional(into: type[msgspec.Struct]) -> list[str]:
    parameters = signature(into).parameters.items()
    return [name for name, given in parameters if given.kind is given.POSITIONAL_OR_KEYWORD]


def _picker(places: list[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: tuple(row[place] for place in places)


def _is_boolean(kind: Any) -> bool:
    return kind is bool or (bool in get_args(kind) and set(get_args(kind)) <= {bool, type(None)})


def _read_as(kind: Any) -> Any:
    """What SQLite computes as a boolean arrives as 0 or 1."""
    if not _is_boolean(kind):
        return kind
    return bool | int if kind is bool else bool | int | None


def _with_booleans(row: tuple[Any, ...], places: list[int]) -> tuple[Any, ...]:
    """What SQLite computed as 0 or 1."""
    if all(type(row[place]) is not int for place in places):
        return row
    changed = list(row)
    for place in places:
        changed[place] = None if row[place] is None else bool(row[place])
    return tuple(changed)
