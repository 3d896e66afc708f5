"""A day of billing, killed at one of its statements and lived on by another process: whichever statement it was, all is
as if nothing had been.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import UUID

import asyncpg
import msgspec
import pytest

from core.database import PostgresDatabase, SqliteDatabase
from tests.books import APPS
from tests.databases import APP, KINDS, SCHEMA, dsn, fresh, postgres_database
from tests.faults.full_day import make_day
from tests.faults.log_process import address_of
from tests.faults.statement_process import Days, ToLive
from tests.renewal import as_new, remember_as_new

Tables = dict[str, list[str]]
"""By name of a table: its rows, sorted."""
Death = tuple[int, bool]
"""At which statement, and whether before it, or as a commit of which nobody knows whether it came through."""

RANDOM: Final = frozenset({"salt", "digest", "message_id"})
"""Columns that are never twice the same."""
KNOWN: Final = frozenset({
    "account_id", "beneficiary_id", "customer_id", "partition_id", "payer_id", "price_id", "product_id", "seller_id",
    "status_id", "step_id", "subscription_id", "tax_rate_id",
})  # fmt: skip
"""Columns that name rows which were there before the day."""
NAMING: Final = frozenset({"id", "facts", "payload", "fields", "dedupe_key"})
"""Columns that do not end in _id, and name rows of the day all the same."""


class World(Protocol):
    """A tenant on the morning of the day, which can be had again."""

    address: str
    uuid: UUID

    async def again(self) -> None: ...

    async def tables(self) -> Tables: ...


class OnSqlite:
    """A file, and a copy of it as it was in the morning."""

    def __init__(self, database: SqliteDatabase, uuid: UUID) -> None:
        self.address, self.uuid = address_of(database), uuid
        self._path = Path(database.path)
        self._morning = self._path.with_suffix(".morning")
        shutil.copyfile(self._path, self._morning)

    async def again(self) -> None:
        for more in ("-wal", "-shm"):
            Path(f"{self._path}{more}").unlink(missing_ok=True)
        shutil.copyfile(self._morning, self._path)

    async def tables(self) -> Tables:
        """Every row with every number: a transaction that is undone gives back the numbers that it took."""
        connection = sqlite3.connect(self._path)
        connection.row_factory = sqlite3.Row
        try:
            assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            names = connection.execute(  # customer_pieces has no texts of its own; the tables that keep it are read
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'customer_pieces'"
            ).fetchall()
            return {
                name: _sorted((dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')), RANDOM.__contains__)
                for (name,) in names
            }
        finally:
            connection.close()


class OnPostgresql:
    """A database, whose rows are put back."""

    def __init__(self, name: str, uuid: UUID) -> None:
        self.address, self.uuid = f"{dsn(name, APP)} {SCHEMA}", uuid
        self._superuser = dsn(name)

    async def again(self) -> None:
        for _ in range(20):  # a slow machine takes its time to end those who were connected
            if await as_new(self._superuser):
                return
        raise AssertionError("the morning could not be had again")

    async def tables(self) -> Tables:
        """Every row without the numbers of what the day brought: an undone transaction has used up those it took."""
        connection = await asyncpg.connect(self._superuser)
        try:
            found = {}
            for (name,) in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", SCHEMA):
                rows = await connection.fetch(f'SELECT CAST(to_jsonb(t) AS text) FROM {SCHEMA}."{name}" t')
                found[str(name)] = _sorted((msgspec.json.decode(row) for (row,) in rows), _differs)
            return found
        finally:
            await connection.close()


def _differs(column: str) -> bool:
    return column in RANDOM or column in NAMING or (column.endswith("_id") and column not in KNOWN)


def _sorted(rows: Iterable[dict[str, Any]], left_out: Callable[[str], bool]) -> list[str]:
    return sorted(str({name: value for name, value in row.items() if not left_out(name)}) for row in rows)


@asynccontextmanager
async def world_on(kind: str, folder: Path) -> AsyncIterator[World]:
    async with fresh(kind, folder, APPS) as database:
        uuid = await make_day(database)
        if isinstance(database, SqliteDatabase):
            await database.close()
            yield OnSqlite(database, uuid)
            return
        assert isinstance(database, PostgresDatabase)
        await database.server.close()
        name = f"{database.server.name}_day"
        await postgres_database(name, template=database.server.name)
        try:
            await _ask(dsn(name), "DROP SCHEMA renewal CASCADE")  # that remembers an empty one
            await remember_as_new(dsn(name), SCHEMA)
            yield OnPostgresql(name, uuid)
        finally:
            await _ask(dsn("postgres"), f'DROP DATABASE "{name}" WITH (FORCE)')


async def _ask(superuser: str, text: str) -> None:
    connection = await asyncpg.connect(superuser)
    try:
        await connection.execute(text)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def days() -> Iterator[Days]:
    made = Days()
    yield made
    made.close()


async def kill_at(kind: str, folder: Path, days: Days, chosen: Callable[[list[str]], Iterable[Death]]) -> int:
    """The day undisturbed, and then once for each chosen death: killed there, and lived on by another. How many."""
    kills = 0
    async with world_on(kind, folder) as world:
        asked = ToLive(world.address, world.uuid, str(folder / "told"))
        undisturbed = days.live(asked)
        assert undisturbed is not None
        assert undisturbed.wrong == []
        wanted, statements = await world.tables(), undisturbed.statements
        for at, in_doubt in chosen(statements):
            where = f"killed at {at} of {len(statements)}, in doubt: {in_doubt}: {statements[at - 1]}"
            await world.again()
            assert days.live(msgspec.structs.replace(asked, dies_at=at, in_doubt=in_doubt)) is None, where
            kills += 1
            again = days.live(asked)
            assert again is not None, where
            assert again.wrong == [], where
            found = await world.tables()
            for name in wanted:
                assert found[name] == wanted[name], f"{name}, {where}"
    return kills


def commits(statements: list[str]) -> list[int]:
    return [at for at, text in enumerate(statements, start=1) if text == "COMMIT"]


def _every_one(statements: list[str]) -> list[Death]:
    """Before each statement; each commit also when nobody knows whether it still came through."""
    return [(at, False) for at in range(1, len(statements) + 1)] + [(at, True) for at in commits(statements)]


def _some(statements: list[str]) -> list[Death]:
    """In the middle of the largest transaction, which is a chunk of the run; at its commit; and behind that."""
    ends = [0, *commits(statements)]
    size, end = max((end - before, end) for before, end in pairwise(ends))
    return [(end - size // 2, False), (end, True), (end + 1, False)]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
async def test_B10_a_day_killed_at_a_statement_and_lived_on_is_as_one_undisturbed(
    kind: str, tmp_path: Path, days: Days
) -> None:
    assert await kill_at(kind, tmp_path, days, _some) == 3


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS)
async def test_B10_a_day_killed_at_each_of_its_statements(kind: str, tmp_path: Path, days: Days) -> None:
    kills = await kill_at(kind, tmp_path, days, _every_one)

    print(f"{kind}: killed at each statement and each commit of a day, {kills} times")
    assert kills > 600
