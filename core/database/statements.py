"""SQL text as the product writes it: one text for both databases, values as `:name`.

Beside values, four things are translated, so that one text serves both:

- `id IN :ids` and `id NOT IN :ids` take a list of any length, also an empty one;
- `:day::date` and `sum(x)::bigint` name a type where PostgreSQL needs it; SQLite does not see it;
- `FOR UPDATE` (with `OF`, `SKIP LOCKED`, `NOWAIT`) locks rows on PostgreSQL; on SQLite the transaction is the lock;
- a value that is a Piccolo `QueryString` (`within(...)`) is put in as SQL, with its own values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import msgspec
from piccolo.querystring import QueryString

from core.errors import Invalid
from core.texts import _

Dialect = Literal["sqlite", "postgresql"]

_TOKEN: Final = re.compile(
    r"""
      '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/
    | (?P<cast>::[ ]*(?:bigint|integer|smallint|boolean|text|date|timestamptz|numeric|double[ ]precision|uuid|bytea
                       |jsonb?)\b(?:\[\])?)
    | (?P<lock>\bFOR\s+(?:NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)\b
               (?:\s+OF\s+\w+(?:\s*,\s*\w+)*)?(?:\s+SKIP\s+LOCKED|\s+NOWAIT)?)
    | (?:\b(?P<in>(?:NOT\s+)?IN)\s+:(?P<list>[a-z_][a-z0-9_]*))
    | (?<![:\w]):(?P<name>[a-z_][a-z0-9_]*)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_ASIDE: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_FIRST_WORD: Final = re.compile(r"[\s(]*([a-z]+)", re.IGNORECASE)
_WRITES: Final = re.compile(r"\b(?:INSERT|UPDATE|DELETE|REPLACE\s+INTO|MERGE)\b", re.IGNORECASE)
_TEMPORARY: Final = re.compile(r"\bTEMP(?:ORARY)?\b", re.IGNORECASE)
_SESSION: Final = re.compile(
    r"^\s*(?:SET\s+(?!LOCAL\b|TRANSACTION\b|CONSTRAINTS\b)|RESET\b|LISTEN\b|DECLARE\b|PREPARE\b)|\bpg_(?:try_)?advisory_lock|\bset_config\b",
    re.IGNORECASE,
)


class Traits(NamedTuple):
    """What a statement is seen to be by its text."""

    reads: bool
    """It cannot write."""
    temporary: bool
    """It may leave a temporary table behind on its connection."""
    session: bool
    """It may change the connection for those who use it later."""


@lru_cache(maxsize=8192)
def traits(text: str) -> Traits:
    """Told by the words outside of text and comments; remembered, since statements are few."""
    bare = _ASIDE.sub(" ", text)
    found = _FIRST_WORD.match(bare)
    word = found[1].upper() if found else ""
    reads = word in {"SELECT", "VALUES", "EXPLAIN"} or (word == "WITH" and _WRITES.search(bare) is None)
    return Traits(reads, _TEMPORARY.search(bare) is not None, _SESSION.search(bare) is not None)


class Piece(NamedTuple):
    """A stretch of SQL, and the value that follows it."""

    text: str
    name: str = ""
    among: str = ""
    """`IN` or `NOT IN`, if the value is a list."""


class Statement(NamedTuple):
    """SQL taken apart at its values, and ready for use where no SQL needs to be put in."""

    pieces: tuple[Piece, ...]
    text: str
    names: tuple[str, ...]


@lru_cache(maxsize=8192)
def take_apart(sql: str, dialect: Dialect) -> Statement:
    """Finds the values outside of text, quoted names and comments."""
    pieces: list[Piece] = []
    text = ""
    at = 0
    for found in _TOKEN.finditer(sql):
        kind = found.lastgroup
        if kind is None:
            continue
        text += sql[at : found.start()]
        at = found.end()
        if kind in {"cast", "lock"}:
            text += "" if dialect == "sqlite" else found[0]
        elif kind == "list":
            pieces.append(Piece(text, found["list"], "NOT IN" if found["in"].upper() != "IN" else "IN"))
            text = ""
        else:
            pieces.append(Piece(text, found["name"]))
            text = ""
    pieces.append(Piece(text + sql[at:]))
    names: list[str] = []
    whole = "".join(piece.text + _place(piece, names, dialect) for piece in pieces)
    return Statement(tuple(pieces), whole, tuple(names))


def _place(piece: Piece, names: list[str], dialect: Dialect) -> str:
    """The mark that stands for a value; PostgreSQL's carry a number, so a name used twice is sent once."""
    if not piece.name:
        return ""
    if dialect == "sqlite":
        names.append(piece.name)
        return f"{piece.among} (SELECT value FROM json_each(?))" if piece.among else "?"
    if piece.name not in names:
        names.append(piece.name)
    mark = f"${names.index(piece.name) + 1}"
    return {"": mark, "IN": f"= ANY({mark})", "NOT IN": f"<> ALL({mark})"}[piece.among]


def compile_statement(sql: str, values: Mapping[str, Any], dialect: Dialect) -> tuple[str, list[Any]]:
    """Text and values as the database's driver takes them."""
    statement = take_apart(sql, dialect)
    try:
        given = [values[name] for name in statement.names]
    except KeyError as missing:
        raise TypeError(f"The statement names :{missing.args[0]}, which was not given: {sql.strip()[:200]}") from None
    if any(isinstance(value, QueryString) for value in given):
        return _with_sql_in_values(statement, values, dialect)
    return statement.text, encode(given, dialect)


def _with_sql_in_values(statement: Statement, values: Mapping[str, Any], dialect: Dialect) -> tuple[str, list[Any]]:
    text: list[str] = []
    arguments: list[Any] = []
    numbers: dict[str, int] = {}
    for piece in statement.pieces:
        text.append(piece.text)
        if not piece.name:
            continue
        value = values[piece.name]
        if isinstance(value, QueryString):
            if piece.among:
                raise TypeError(f":{piece.name} is SQL; put it in brackets after {piece.among}")
            _, fragments, inner = value.bundle(start_index=len(arguments) + 1, bundled=[], combined_args=[])
            text.extend(
                fragment.prefix + ("" if fragment.no_arg else "?" if dialect == "sqlite" else f"${fragment.index}")
                for fragment in fragments
            )
            arguments.extend(encode(inner, dialect))
        elif dialect == "sqlite":
            text.append(_place(piece, [], dialect))
            arguments.extend(encode([value], dialect))
        else:
            if piece.name not in numbers:
                arguments.extend(encode([value], dialect))
                numbers[piece.name] = len(arguments)
            mark = f"${numbers[piece.name]}"
            text.append({"": mark, "IN": f"= ANY({mark})", "NOT IN": f"<> ALL({mark})"}[piece.among])
    return "".join(text), arguments


def encode(values: Sequence[Any], dialect: Dialect) -> list[Any]:
    """Values as the driver takes them. What could not be stored alike on both databases is refused on both."""
    known = _FOR_SQLITE if dialect == "sqlite" else _FOR_POSTGRESQL
    return [value if (how := known.get(type(value), _by_class)) is None else how(value, dialect) for value in values]


def encode_column(values: Sequence[Any], dialect: Dialect) -> Sequence[Any]:
    """As `encode`, for many values that are mostly of one kind: texts are looked at all together."""
    kinds = set(map(type, values))
    if kinds == {str}:
        _text("".join(values), dialect)
        return values
    return encode(values, dialect)


def instant_text(value: datetime) -> str:
    """An instant as SQLite keeps it: always UTC, always 32 characters, so that text and time have one order."""
    return value.astimezone(UTC).isoformat(" ", "microseconds")


def _text(value: str, dialect: Dialect) -> str:
    if "\0" in value:
        raise Invalid(_("A text contains a character that cannot be stored (NUL)."))
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Invalid(_("A text contains half a character that cannot be stored.")) from None
    return value


def _aware(value: datetime, dialect: Dialect) -> Any:
    if value.tzinfo is None:
        raise TypeError(f"{value!r} has no time zone: instants are UTC, take them from scope.now()")
    return instant_text(value) if dialect == "sqlite" else value


def _integer(value: int, dialect: Dialect) -> int:
    if not -(2**63) <= value < 2**63:
        raise Invalid(_("A number is too large."))
    return value


def _number(value: float, dialect: Dialect) -> float:
    if value != value or value in {float("inf"), float("-inf")}:
        raise Invalid(_("A number is not finite."))
    return value


def _decimal(value: Decimal, _: Dialect) -> Any:
    raise TypeError(
        f"{value!r}: SQLite would store it as a float. Store whole minor units, or an integer scaled by 10^6."
    )


def _list(value: Sequence[Any], dialect: Dialect) -> Any:
    if any(isinstance(item, bytes) for item in value):
        raise TypeError("A list of bytes cannot be a value of a statement")
    items = encode(value, dialect)
    return msgspec.json.encode(items).decode() if dialect == "sqlite" else items


def _by_class(value: Any, dialect: Dialect) -> Any:
    """Subclasses of what is known: enums of text and numbers, dates of a test's clock."""
    if isinstance(value, Enum):
        return encode([value.value], dialect)[0]
    if isinstance(value, str):
        return _text(value, dialect)
    if isinstance(value, int):
        return _integer(value, dialect)
    if isinstance(value, float):
        return _number(value, dialect)
    if isinstance(value, datetime):
        return _aware(value, dialect)
    if isinstance(value, date):
        return value.isoformat() if dialect == "sqlite" else value
    if isinstance(value, UUID):
        return str(value) if dialect == "sqlite" else value
    if isinstance(value, frozenset | set):
        return _list(sorted(value), dialect)
    raise TypeError(f"{type(value).__name__} cannot be a value of a statement")


Encoder = Callable[[Any, Dialect], Any]
_FOR_POSTGRESQL: Final[dict[type, Encoder | None]] = {
    type(None): None,
    bool: None,
    bytes: None,
    date: None,
    UUID: None,
    str: _text,
    int: _integer,
    float: _number,
    datetime: _aware,
    Decimal: _decimal,
    list: _list,
    tuple: _list,
}
_FOR_SQLITE: Final[dict[type, Encoder | None]] = {
    **_FOR_POSTGRESQL,
    bool: lambda value, _: int(value),
    date: lambda value, _: value.isoformat(),
    UUID: lambda value, _: str(value),
}
