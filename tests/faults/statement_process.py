"""Processes that live one day of a tenant, and die at a statement: `python -m tests.faults.statement_process`.

That process has imported everything. For each line that it reads it forks one that does what is asked for, waits until
that is gone, and answers how it went. What the forked one has to tell it writes into a file.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from core.billing.verify import verify
from core.database import Database, bind, postgresql, sqlite
from tests.faults.full_day import live_the_day, scope_on
from tests.faults.log_process import _open

ROOT: Final = Path(__file__).parents[2]


class ToLive(Struct, frozen=True):
    """A day of a tenant, until that many statements have been made; with none given, to its end.

    `in_doubt`, of a commit: it dies once the server has been asked for it, or the file has it, and before it knows.
    """

    address: str
    tenant: UUID
    told: str
    dies_at: int | None = None
    in_doubt: bool = False


class Told(Struct, frozen=True):
    """What a day came to that was lived to its end: its statements in order, and what `verify` finds wrong."""

    statements: list[str]
    wrong: list[str]


class Counter:
    """Counts the statements of this process, commits with them, and ends it by kill -9 at the one asked for."""

    def __init__(self, asked: ToLive) -> None:
        self._asked = asked
        self.statements: list[str] = []

    def hear(self, text: str) -> None:
        self.next(text)

    def next(self, text: str) -> bool:
        """Called before a statement goes to the database. Whether it is the one at which to die, but later."""
        self.statements.append(text)
        if len(self.statements) != self._asked.dies_at:
            return False
        if not self._asked.in_doubt:
            self.die()
        return True

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, database: Database) -> None:
        """Each statement of a set that SQLite makes in one go counts by itself, and so does each commit."""
        database.watchers.append(self.hear)
        sqlite._run_all = self._run_all
        finish, command = sqlite.SqliteTransaction.finish, postgresql._command

        async def finish_on_sqlite(opened: sqlite.SqliteTransaction, *, keep: bool) -> None:
            dies_later = self.next("COMMIT" if keep else "ROLLBACK")
            await finish(opened, keep=keep)
            if dies_later:
                self.die()

        async def on_postgresql(taken: Any, text: str) -> str:
            if not self.next(text):
                return await command(taken, text)
            on_its_way = asyncio.ensure_future(command(taken, text))
            for _ in range(5):
                await asyncio.sleep(0)
            self.die()
            return await on_its_way

        sqlite.SqliteTransaction.finish = finish_on_sqlite  # type: ignore[method-assign, assignment]  # in this process alone
        postgresql._command = on_postgresql

    def _run_all(self, connection: sqlite3.Connection, _: str, statements: Sequence[tuple[str, Any]]) -> list[int]:
        found = []
        for text, values in statements:
            self.next(text)
            found.append(sqlite.run(connection, text, values))
        return found


async def _live(asked: ToLive) -> None:
    database = _open(asked.address)
    scope = scope_on(database, asked.tenant)
    counter = Counter(asked)
    with bind(database):
        counter.watch(database)
        await live_the_day(scope)
        statements = list(counter.statements)
        wrong = [f"{each.rule}: {each.example}" for each in await verify(scope)]
    await database.close()
    Path(asked.told).write_bytes(msgspec.json.encode(Told(statements, wrong)))


def _begin(asked: ToLive) -> None:
    """Become the process that is asked for."""
    nothing = os.open(os.devnull, os.O_RDWR)
    errors = os.open(f"{asked.told}.log", os.O_WRONLY | os.O_TRUNC | os.O_CREAT)
    for place, instead in ((0, nothing), (1, errors), (2, errors)):
        os.dup2(instead, place)
    asyncio.run(_live(asked))


def main() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                _begin(msgspec.json.decode(line, type=ToLive))
                code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


# -- in the test ------------------------------------------------------------------------------------------------------


class Days:
    """Where such processes come from."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.statement_process"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def live(self, asked: ToLive) -> Told | None:
        """To the end; None where it was killed on the way."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        told = Path(asked.told)
        told.unlink(missing_ok=True)
        self._process.stdin.write(msgspec.json.encode(asked).decode() + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        if code == -signal.SIGKILL:
            return None
        assert code == 0, Path(f"{asked.told}.log").read_text()
        return msgspec.json.decode(told.read_bytes(), type=Told)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


if __name__ == "__main__":
    main()
