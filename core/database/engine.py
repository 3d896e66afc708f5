"""Piccolo's engine for all tables: it forwards every query to the database that is bound.

`Table._meta.db` is read with every query, so no table knows about tenants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, Self

from piccolo.engine.base import BaseBatch, BaseTransaction, Engine
from piccolo.engine.postgres import Atomic
from piccolo.querystring import QueryString

from core.database.binding import Rows, Session, current, in_transaction, session, transaction
from core.database.statements import encode

_PICCOLO_NAMES = {"sqlite": "sqlite", "postgresql": "postgres"}


class _Query(Protocol):
    """A query of Piccolo's, as far as it is read in pieces."""

    @property
    def querystrings(self) -> Any: ...

    _process_results: Callable[[list[dict[str, Any]]], Any]


class Block(BaseTransaction):
    """Piccolo's way of asking for a transaction: ours, which an inner one joins."""

    def __init__(self) -> None:
        self._holder = transaction()

    async def __aenter__(self, *_: Any, **__: Any) -> Any:
        return await self._holder.__aenter__()

    async def __aexit__(self, *raised: Any, **_: Any) -> bool:
        return bool(await self._holder.__aexit__(*raised))


class Batch(BaseBatch):
    """The answer to a query in pieces. Outside of a transaction it keeps a connection: for long reads there is
    `stream()`.
    """

    def __init__(self, query: _Query, size: int) -> None:
        self._query = query
        self._size = size

    async def __aenter__(self, *_: Any, **__: Any) -> Self:
        where, text, values = compiled(self._query.querystrings[0])
        self._pieces = where.pieces(text, values, self._size)
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[dict[str, Any]]:
        rows = await anext(self._pieces)
        found: list[dict[str, Any]] = await self._query._process_results(as_dicts(rows))
        return found

    async def __aexit__(self, *_: Any, **__: Any) -> bool:
        close: Callable[[], Any] | None = getattr(self._pieces, "aclose", None)
        if close is not None:
            await close()
        return False


class TenantEngine(Engine[Block]):
    """Nothing in it is a tenant's: it looks the bound database up each time."""

    def __init__(self) -> None:
        # Not the base class's: that asks the server for its version, and no tenant is bound yet.
        self.log_queries = self.log_responses = False

    @property
    def engine_type(self) -> str:  # type: ignore[override]  # an attribute there; here it depends on the tenant
        return _PICCOLO_NAMES[current().dialect]

    @property
    def min_version_number(self) -> float:  # type: ignore[override]  # as above
        return self.get_version_sync()

    @property
    def current_transaction(self) -> Any:  # type: ignore[override]  # as above; read by nothing that we use
        raise AttributeError("ask core.database.in_transaction()")

    def transaction_exists(self) -> bool:
        return in_transaction()

    async def get_version(self) -> float:
        return self.get_version_sync()

    def get_version_sync(self) -> float:
        """Both are new enough for everything that Piccolo asks about (3.35 for RETURNING)."""
        return 3.4 if current().dialect == "sqlite" else 15.0

    async def prep_database(self) -> None: ...

    async def run_querystring(self, querystring: QueryString, in_pool: bool = True) -> list[dict[str, Any]]:
        where, text, values = compiled(querystring)
        return as_dicts(await where.fetch(text, values))

    async def run_ddl(self, ddl: str, in_pool: bool = True) -> list[dict[str, Any]]:
        await session().run(ddl, ())
        return []

    async def batch(self, query: Any, batch_size: int = 100, node: str | None = None) -> Batch:
        return Batch(query, batch_size)

    def transaction(self, *_: Any, **__: Any) -> Block:
        return Block()

    def atomic(self) -> Atomic:
        # It asks its engine for nothing but `transaction()`.
        return Atomic(engine=self)  # type: ignore[arg-type]  # declared for PostgreSQL's engine only


def compiled(querystring: QueryString) -> tuple[Session, str, list[Any]]:
    """Where it goes, its text and its values."""
    where = session()
    dialect = current().dialect
    text, values = querystring.compile_string(engine_type=_PICCOLO_NAMES[dialect])
    return where, text, encode(values, dialect)


def as_dicts(rows: Rows) -> list[dict[str, Any]]:
    names, found = rows
    return [dict(zip(names, row, strict=True)) for row in found]
