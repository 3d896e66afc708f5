"""A tenant's database as one SQLite file: one writer and two readers, kept open while the tenant is in use.

Write-ahead log, every commit on the disk before it is answered, foreign keys kept, no other file can be attached. The
writer never waits inside a thread for another process: the event loop asks again. The files that are open at once are
counted for the whole process; the ones used longest ago are closed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sqlite3
import unicodedata
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, Final, Literal, TypeVar, TypeVarTuple
from urllib.parse import quote

import piccolo.engine.sqlite  # noqa: F401  # first, so that its converters do not take the place of ours

from core.database.binding import SEAL, Database, Rows, Session, Transaction, Values
from core.database.errors import (
    CLOSED,
    BrokenReference,
    ClosedForWrites,
    ConstraintFailed,
    Damaged,
    DiskFull,
    Duplicate,
    Refused,
    TransactionError,
)
from core.database.statements import Dialect, encode, traits
from core.database.threads import THREADS, give_back
from core.errors import DomainError, Invalid, Unavailable
from core.ids import sort_key
from core.texts import _

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Kind = Literal["writer", "reader"]

READERS: Final = 2
FILES: Final = 40
HOT: Final = 6
ASKED_AGAIN: Final = 0.003
"""Seconds after which a lock that another process has is asked for again."""
PATIENCE: Final = 5.0
"""Seconds that a write, or a file to be opened, waits for its turn before the answer is 503."""
PRIVATE: Final = "\ue000"
"""The first letter for private use."""
CHECKPOINT: Final = 16_000
"""Pages of the log, 64 MiB, after which a commit brings it into the file, whoever wrote them."""
SELDOM: Final = 14_000
"""The same for who writes much: sooner, so that it is its own commit. Of large indexes that are written in the order of
something else the fewer pages go to the file, the more seldom that is.
"""
OFTEN: Final = 4_000
"""The same for who writes much that is new: then all of it goes to the file, and others wait for less at once."""
ROWS_AT_ONCE: Final = 1000
"""Rows that `execute_many` hands to a thread in one go: others wait for the thread meanwhile."""

_COMMON: Final = (
    ("synchronous", "FULL", 2),
    ("foreign_keys", "ON", 1),
    ("recursive_triggers", "ON", 1),  # else INSERT OR REPLACE deletes without asking the delete triggers
    ("secure_delete", "ON", 1),
    ("temp_store", "MEMORY", 2),
    ("busy_timeout", "0", 0),
)
_OWN: Final[dict[Kind, tuple[tuple[str, str, int], ...]]] = {
    "writer": (
        *_COMMON,
        ("query_only", "OFF", 0),
        ("cache_size", "-8192", -8192),
        ("journal_size_limit", "67108864", 67108864),
        ("wal_autocheckpoint", str(CHECKPOINT), CHECKPOINT),
    ),
    "reader": (*_COMMON, ("query_only", "ON", 1)),
}
_READERS_CACHE: Final = (2048, 16384)
"""KiB of pages that a reader keeps: a sixty-fourth of the file, within these."""

log = logging.getLogger(__name__)


def _instant(value: bytes) -> datetime:
    found = datetime.fromisoformat(value.decode())
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


# Piccolo's own converters stand in the same table of the sqlite3 module, and are slower.
sqlite3.register_converter("INTEGER", int)
sqlite3.register_converter("BOOLEAN", lambda value: value == b"1")
sqlite3.register_converter("DATE", lambda value: date.fromisoformat(value.decode()))
sqlite3.register_converter("TIMESTAMPTZ", _instant)


class OpenFiles:
    """The databases of the process that are open: `cap` at most, those used longest ago are closed for others.

    A connection costs nearly one MiB, for the schema that it holds. So only the `hot` ones used last keep all of
    theirs; one that is merely warm keeps a reader.
    """

    def __init__(self, cap: int = FILES, hot: int = HOT) -> None:
        self.cap = cap
        self.hot = hot
        self._closed = 0
        self._open: OrderedDict[SqliteDatabase, None] = OrderedDict()
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, database: object) -> bool:
        return database in self._open

    def touch(self, database: SqliteDatabase) -> bool:
        """Whether it is open; if so, it is now the one used last."""
        if database not in self._open or database.closing is not None:
            return False
        self._open.move_to_end(database)
        return True

    async def admit(self, database: SqliteDatabase) -> None:
        """Makes room, if need be by closing one that nobody uses; waits where all are in use."""
        deadline = monotonic() + PATIENCE
        while not self.touch(database):
            if database.closing is not None:  # for another, while this one waited to be let in
                await asyncio.shield(database.closing)
                continue
            if len(self._open) < self.cap:
                self._open[database] = None
                return
            idle = next((other for other in self._open if not other.busy), None)
            if idle is not None:
                await idle.close()
                self._closed += 1
                if self._closed % self.cap == 0:
                    await THREADS.call(give_back)
                continue
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                async with asyncio.timeout(deadline - monotonic()):
                    await waiter
            except TimeoutError:
                raise Unavailable(_("Too many tenants are busy at the moment. Try again in a moment.")) from None
            finally:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)

    async def thin_out(self) -> None:
        """After a connection was opened: those that are merely warm give up what they can do without for a moment."""
        warm = len(self._open) - self.hot
        if warm > 0:
            for database in [each for each in islice(self._open, warm) if each.connections > 1 and not each.busy]:
                await database.thin_out()

    def forget(self, database: SqliteDatabase) -> None:
        self._open.pop(database, None)
        self.idle()

    def idle(self) -> None:
        """One became idle: whoever waits for room looks again."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


OPEN_FILES: Final = OpenFiles()


class SqliteDatabase(Database):
    """One file. `create` makes it where there is none; `files=None` keeps it open for good (the control database)."""

    dialect: ClassVar[Dialect] = "sqlite"

    def __init__(self, path: str | Path, *, create: bool = False, files: OpenFiles | None = OPEN_FILES) -> None:
        super().__init__()
        self.path = Path(path)
        self.create = create
        self.files = files
        self.users = 0
        self.closing: asyncio.Future[None] | None = None
        """While its connections are being closed: it still counts as open, but nobody may begin to use it."""
        self._writer: sqlite3.Connection | None = None
        self._idle: list[sqlite3.Connection] = []
        self._write_lock = asyncio.Lock()
        self._read_slots = asyncio.Semaphore(READERS)
        self._much: list[int] = []
        """After how many pages each who writes much brings the log into the file."""
        self._checkpoint = CHECKPOINT
        """What the writer was told of it."""

    def __repr__(self) -> str:
        return f"<SqliteDatabase {self.path.name}>"

    @property
    def busy(self) -> bool:
        return self.users > 0 or self.closing is not None

    @asynccontextmanager
    async def writer(self) -> AsyncIterator[sqlite3.Connection]:
        """The one connection that writes, for as long as the caller keeps it."""
        async with self._used(), _in_turn(self._write_lock):
            if self._writer is None:
                self._writer, self._checkpoint = await self.open("writer"), CHECKPOINT
            if self._checkpoint != (wanted := min(self._much, default=CHECKPOINT)):
                await call(self._writer, run, f"PRAGMA wal_autocheckpoint = {wanted}", ())
                self._checkpoint = wanted
            yield self._writer

    @asynccontextmanager
    async def writing_much(self, *, seldom: bool = False) -> AsyncIterator[None]:
        """What is left of the log at the end goes to the file from a reader: nobody's commit waits for it."""
        pages = SELDOM if seldom else OFTEN
        self._much.append(pages)
        try:
            yield
        finally:
            self._much.remove(pages)
            if not self._much:
                await self._bring_in()

    async def _bring_in(self) -> None:
        try:
            async with self.reader() as connection:
                await call(connection, fetch, "PRAGMA wal_checkpoint(PASSIVE)", ())
        except (sqlite3.Error, DomainError) as error:
            log.info("%s: the log stays long until the next commit: %s", self.path.name, error)

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[sqlite3.Connection]:
        """One of the connections that cannot write."""
        async with self._used(), _in_turn(self._read_slots):
            connection = self._idle.pop() if self._idle else await self.open("reader")
            try:
                yield connection
            finally:
                self._idle.append(connection)

    @asynccontextmanager
    async def _used(self) -> AsyncIterator[None]:
        if self.files is not None:
            if not self.files.touch(self):
                await self.files.admit(self)
        else:
            while self.closing is not None:
                await asyncio.shield(self.closing)
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1
            if self.files is not None and not self.users:
                self.files.idle()

    async def open(self, kind: Kind) -> sqlite3.Connection:
        """A connection of its own with the product's settings; who opens it closes it."""
        opened = await asked_again(lambda: THREADS.call(_open, self.path, kind, self.create))
        if self.files is not None:
            await self.files.thin_out()
        return opened

    @property
    def connections(self) -> int:
        """How many it keeps open while nobody uses it."""
        return len(self._idle) + (self._writer is not None)

    async def thin_out(self) -> None:
        """Keeps one connection, a reader if there is one; the next statement that needs another opens it again."""
        self._idle, spare = self._idle[:1], self._idle[1:]
        if self._idle and self._writer is not None:
            spare.append(self._writer)
            self._writer = None
        await THREADS.call_to_the_end(_close, spare)

    async def close(self) -> None:
        """Closes what is open, once nobody uses it; the next statement opens it again."""
        deadline = monotonic() + PATIENCE
        while self.busy:
            if monotonic() > deadline:
                raise TransactionError(f"{self!r} is in use and cannot be closed.")
            await asyncio.sleep(0.005)
        closing = self.closing = asyncio.get_running_loop().create_future()
        connections = [*self._idle, *([self._writer] if self._writer else [])]
        self._idle, self._writer = [], None
        try:
            if connections:
                await THREADS.call(_close, connections)
        finally:
            self.closing = None
            closing.set_result(None)
            if self.files is not None:
                self.files.forget(self)

    async def discard_writer(self) -> None:
        """When the connection's state is unknown or unusual: the next write opens a new one."""
        connection, self._writer = self._writer, None
        if connection is not None:
            await THREADS.call_to_the_end(connection.close)

    async def vacuum_into(self, target: Path) -> None:
        """A complete, compact copy, made by the writer, which holds the schema already; the target must not exist."""
        async with self.writer() as connection:
            await call(connection, _vacuum_into, target)

    async def copy_into(self, target: Path) -> None:
        """A complete copy, page by page as the file stands, in a file of its own; the target must not exist.

        Half the work of `vacuum_into`, which makes every table, index and trigger anew.
        """
        async with self.writer() as connection:
            await call(connection, _copy_into, target)

    async def fetch(self, text: str, values: Values) -> Rows:
        self._tell(text)
        if traits(text).reads:
            async with self.reader() as connection:
                return await call(connection, fetch, text, values, interrupt=True)
        async with self.writer() as connection:
            return await call(connection, fetch, text, values)

    async def run(self, text: str, values: Values) -> int:
        self._tell(text)
        async with self.writer() as connection:
            return await call(connection, run, text, values)

    async def run_many(self, text: str, rows: Iterable[Values]) -> int:
        opened = await self.begin()
        try:
            count = await opened.run_many(text, rows)
        except BaseException:
            await opened.finish(keep=False)
            raise
        await opened.finish(keep=True)
        return count

    async def script(self, text: str) -> None:
        opened = await self.begin()
        try:
            await opened.script(text)
        except BaseException:
            await opened.finish(keep=False)
            raise
        await opened.finish(keep=True)

    async def pieces(self, text: str, values: Values, size: int) -> AsyncIterator[Rows]:
        self._tell(text)
        async with self.reader() as connection:
            async for piece in _pieces(connection, text, values, size):
                yield piece

    def _tell(self, text: str) -> None:
        for watcher in self.watchers:
            watcher(text)

    async def begin(self, *, reading: bool = False, foreign_keys: bool = True) -> SqliteTransaction:
        """Without `foreign_keys` they are not kept until it ends: for migrations, which check them all at last."""
        opened = SqliteTransaction(self, reading=reading, foreign_keys=foreign_keys)
        await opened.start()
        return opened


class SqliteTransaction(Transaction):
    """BEGIN IMMEDIATE on the writer, or BEGIN on a reader."""

    database: SqliteDatabase

    def __init__(self, database: SqliteDatabase, *, reading: bool, foreign_keys: bool = True) -> None:
        super().__init__(database, reading=reading)
        self.foreign_keys = foreign_keys
        self._holder = database.reader() if reading else database.writer()
        self._raw: sqlite3.Connection | None = None

    @property
    def raw(self) -> sqlite3.Connection:
        if self._raw is None:
            raise TransactionError("The transaction has ended.")
        return self._raw

    async def start(self) -> None:
        self._raw = await self._holder.__aenter__()
        try:
            await call(self.raw, begin, self.reading, self.foreign_keys)
        except BaseException:
            await self._undo()  # who is cancelled meanwhile has begun it all the same
            await self._let_go()
            raise

    async def fetch(self, text: str, values: Values) -> Rows:
        return await self._call(fetch, text, values)

    async def run(self, text: str, values: Values) -> int:
        return await self._call(run, text, values)

    async def run_many(self, text: str, rows: Iterable[Values]) -> int:
        count = 0
        source = iter(rows)
        while some := list(islice(source, ROWS_AT_ONCE)):
            await self._call(_run_many, text, some)
            count += len(some)
        return count

    async def run_all(self, statements: Sequence[tuple[str, Values]]) -> list[int]:
        """In one go on the thread: a set-based chunk of forty statements is not forty turns of the event loop."""
        told = "; ".join(text for text, _ in statements)
        return await self._call(_run_all, told, statements, interrupt=False)

    async def load(self, table: str, columns: Sequence[str], rows: Sequence[Values]) -> None:
        names = ", ".join(f'"{name}"' for name in columns)
        text = f'INSERT INTO "{table}" ({names}) VALUES ({", ".join("?" * len(columns))})'
        await self.run_many(text, (encode(row, "sqlite") for row in rows))

    async def script(self, text: str) -> None:
        for statement in split(text):
            await self._call(run, statement, ())

    async def pieces(self, text: str, values: Values, size: int) -> AsyncIterator[Rows]:
        self._before(text)
        try:
            async for piece in _pieces(self.raw, text, values, size):
                yield piece
        except sqlite3.Error as error:
            self.failure = error
            raise

    async def _call(
        self,
        function: Callable[[sqlite3.Connection, str, Any], T],
        text: str,
        values: Any,
        *,
        interrupt: bool | None = None,
    ) -> T:
        self._before(text)
        try:
            # Interrupting a statement that writes would undo the whole transaction, savepoints and all.
            stop = traits(text).reads if interrupt is None else interrupt
            return await call(self.raw, function, text, values, interrupt=stop)
        except BaseException as error:
            self.failure = error
            raise

    def _before(self, text: str) -> None:
        self.check()
        self._check_that_it_lives()
        for watcher in self.database.watchers:
            watcher(text)

    async def command(self, text: str) -> None:
        try:
            if text == SEAL:
                _, cancelled = await THREADS.call_to_the_end(_seal, self.raw)
            else:
                self._check_that_it_lives()
                _, cancelled = await THREADS.call_to_the_end(run, self.raw, text, ())
        except sqlite3.Error as error:
            self.failure = error
            raise translated(error) from error
        if cancelled is not None:
            raise cancelled

    def _check_that_it_lives(self) -> None:
        """Some errors (a full disk) make SQLite undo the transaction by itself. What came after would then be kept,
        each statement by itself.
        """
        if not self.raw.in_transaction:
            raise TransactionError("The database has ended the transaction by itself; nothing of it is kept.")

    async def finish(self, *, keep: bool) -> None:
        cancelled: asyncio.CancelledError | None = None
        try:
            if keep and self.failure is None:
                self.kept, cancelled = await self._commit()
            else:
                await self._undo()
                if keep:
                    self.check()
        finally:
            self.open = False
            await self._let_go()
        if cancelled is not None:
            raise cancelled

    async def _commit(self) -> tuple[bool, asyncio.CancelledError | None]:
        try:
            self._check_that_it_lives()
            _, cancelled = await THREADS.call_to_the_end(run, self.raw, "COMMIT", ())
        except sqlite3.Error as error:
            await self._undo()
            raise translated(error) from error
        return True, cancelled

    async def _undo(self) -> None:
        """Leaves no state behind, whatever SQLite did to the transaction by itself."""
        try:
            await THREADS.call_to_the_end(_undo, self.raw, self.reading)
        except sqlite3.Error:
            log.exception("Rolling back failed; the connection is given up.")
            if not self.reading:
                await self.database.discard_writer()

    async def _let_go(self) -> None:
        self._raw = None
        if not self.foreign_keys:
            await self.database.discard_writer()  # the next one is opened with foreign keys kept, and that is checked
        await self._holder.__aexit__(None, None, None)


async def call(
    connection: sqlite3.Connection,
    function: Callable[[sqlite3.Connection, *Ts], T],
    *arguments: *Ts,
    interrupt: bool = False,
) -> T:
    """The function on one of the threads; asked again while another process has the lock."""
    stop = connection.interrupt if interrupt else None
    return await asked_again(lambda: THREADS.call(function, connection, *arguments, interrupt=stop))


async def asked_again(ask: Callable[[], Awaitable[T]]) -> T:
    """Busy is asked again from the event loop after 1, 2, then every 3 ms, for five seconds: no thread waits
    meanwhile.
    """
    deadline = 0.0
    pause = 0.001
    while True:
        try:
            return await ask()
        except sqlite3.Error as error:
            if _primary(error) != sqlite3.SQLITE_BUSY:
                if (known := translated(error)) is error:
                    raise
                raise known from error
            now = monotonic()
            deadline = deadline or now + PATIENCE
            if now >= deadline:
                raise _too_busy() from error
        except OverflowError:
            raise Invalid(_("A number is too large.")) from None
        await asyncio.sleep(pause)
        pause = min(pause * 2, ASKED_AGAIN)


@asynccontextmanager
async def _in_turn(lock: asyncio.Lock | asyncio.Semaphore) -> AsyncIterator[None]:
    if lock.locked():
        try:
            async with asyncio.timeout(PATIENCE):
                await lock.acquire()
        except TimeoutError:
            raise _too_busy() from None
    else:
        await lock.acquire()
    try:
        yield
    finally:
        lock.release()


async def _pieces(connection: sqlite3.Connection, text: str, values: Values, size: int) -> AsyncIterator[Rows]:
    cursor = await call(connection, sqlite3.Connection.execute, text, values)
    try:
        names = tuple(column[0] for column in cursor.description or ())
        while rows := await THREADS.call(cursor.fetchmany, size, interrupt=connection.interrupt):
            yield names, rows
    finally:
        cursor.close()


def _too_busy() -> Unavailable:
    return Unavailable(_("This is being changed by many at the moment. Try again in a few seconds."), retry_after=5)


def _open(path: Path, kind: Kind, create: bool) -> sqlite3.Connection:
    if not path.exists():
        if not create:
            raise Damaged(
                _("The database file %(name)s is missing. It needs to be restored from a backup.", name=path.name)
            )
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
        detect_types=sqlite3.PARSE_DECLTYPES,
        cached_statements=256,
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        for name, value, _expected in _OWN[kind]:
            connection.execute(f"PRAGMA {name} = {value}")
        for name, _value, expected in (("journal_mode", "", "wal"), *_OWN[kind]):
            found = connection.execute(f"PRAGMA {name}").fetchone()[0]
            if found != expected:
                raise Unavailable(
                    _(
                        "%(file)s: SQLite keeps %(name)s at %(found)s where %(expected)s is needed.",
                        file=path.name,
                        name=name,
                        found=repr(found),
                        expected=repr(expected),
                    )
                )
        if kind == "reader":
            least, most = _READERS_CACHE
            kept = min(max(path.stat().st_size // (64 * 1024), least), most)
            connection.execute(f"PRAGMA cache_size = {-kept}")
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.create_function("begins_word", 2, begins_word, deterministic=True)
    except BaseException:
        connection.close()
        raise
    return connection


def begins_word(text: str, word: str) -> bool:
    """Whether one of the text's words begins so, both as FTS5 cuts and compares them: for rows that are walked, where
    asking FTS5 would mean collecting all that it finds. `word` has no accents and no capitals. From a letter for
    private use on nothing is looked at: what follows it stands there for nobody to type.
    """
    text = text.partition(PRIVATE)[0]
    text = text.lower() if text.isascii() else sort_key(text)
    at = text.find(word)
    while at > 0 and _in_word(text[at - 1]):
        at = text.find(word, at + 1)
    return at >= 0


def _in_word(letter: str) -> bool:
    return letter.isalnum() or (not letter.isascii() and unicodedata.category(letter)[0] == "M")


def _close(connections: list[sqlite3.Connection]) -> None:
    for connection in connections:
        connection.close()


def _vacuum_into(connection: sqlite3.Connection, target: Path) -> None:
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 1)  # VACUUM INTO attaches its target
    connection.execute("PRAGMA synchronous = OFF")  # of the target, which is brought to the disk once, when it is whole
    try:
        connection.execute("VACUUM INTO ?", (str(target),))
        _sync(target)
    finally:
        connection.execute("PRAGMA synchronous = FULL")
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)


def _copy_into(connection: sqlite3.Connection, target: Path) -> None:
    target.touch(mode=0o600, exist_ok=False)
    copy = sqlite3.connect(target, isolation_level=None)
    try:
        copy.execute("PRAGMA synchronous = OFF")  # brought to the disk once, when it is whole
        connection.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, that needs nothing beside it
    finally:
        copy.close()
    _sync(target)


def _sync(file: Path) -> None:
    for path in (file, file.parent):
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def begin(connection: sqlite3.Connection, reading: bool, foreign_keys: bool) -> None:
    if not foreign_keys:
        connection.execute("PRAGMA foreign_keys = OFF")  # has no effect once a transaction is open
    if not connection.in_transaction:  # asked again after the picture could not be taken
        connection.execute("BEGIN" if reading else "BEGIN IMMEDIATE")
    if reading:
        connection.execute("SELECT 1 FROM sqlite_schema").fetchone()  # the picture is taken by the first read
        connection.execute("PRAGMA query_only = OFF")  # it would forbid temporary tables too


def fetch(connection: sqlite3.Connection, text: str, values: Values) -> Rows:
    cursor = connection.execute(text, values)
    if cursor.description is None:
        return (), []
    return tuple(column[0] for column in cursor.description), cursor.fetchall()


def run(connection: sqlite3.Connection, text: str, values: Values) -> int:
    cursor = connection.execute(text, values)
    if cursor.description is not None:
        cursor.fetchall()
    return cursor.rowcount


def _run_all(connection: sqlite3.Connection, _: str, statements: Sequence[tuple[str, Values]]) -> list[int]:
    return [run(connection, text, values) for text, values in statements]


def _run_many(connection: sqlite3.Connection, text: str, rows: list[Values]) -> int:
    return connection.executemany(text, rows).rowcount


_WRITES: Final = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})


def _only_temporary(action: int, _1: str | None, _2: str | None, where: str | None, _4: str | None) -> int:
    return sqlite3.SQLITE_DENY if action in _WRITES and where != "temp" else sqlite3.SQLITE_OK


def _seal(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT 1 FROM json_each('[]')").fetchall()  # its first use declares a table, which is refused
    connection.set_authorizer(_only_temporary)


def _undo(connection: sqlite3.Connection, reading: bool) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    if reading:
        connection.set_authorizer(None)
        connection.execute("PRAGMA query_only = ON")


def split(text: str) -> Iterable[str]:
    """The statements of a text; a trigger's inner semicolons, quoted ones and those in comments part nothing."""
    statement = ""
    for part in re.split(r"(?<=;)", text):
        statement += part
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""
    if _says_something(statement):
        yield statement.strip()


def _says_something(text: str) -> bool:
    return re.sub(r"--[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL).strip() != ""


def _primary(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def translated(error: sqlite3.Error) -> Exception:
    """The product's own words for what SQLite refuses; an error of ours in the SQL stays what it is."""
    code = getattr(error, "sqlite_errorcode", 0)
    message = str(error)
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # the first file that is made beside a database when it is opened
        return DiskFull()
    match code & 0xFF:
        case sqlite3.SQLITE_CONSTRAINT:
            return _constraint(code, message)
        case sqlite3.SQLITE_BUSY:
            return _too_busy()
        case sqlite3.SQLITE_FULL:
            return DiskFull()
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PROTOCOL:
            return Unavailable(_("The database file cannot be read or written at the moment."), retry_after=60)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Damaged(_("The database file is damaged. It needs to be restored from a backup."), retry_after=3600)
    return error


def _constraint(code: int, message: str) -> Exception:
    detail = message.partition("failed: ")[2]
    if code in {
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
        sqlite3.SQLITE_CONSTRAINT_ROWID,
    }:
        names = [name.rpartition(".") for name in detail.split(", ")]
        return Duplicate(names[0][0], tuple(name for _, dot, name in names if dot))
    if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        return BrokenReference()
    if code == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
        return ClosedForWrites() if message == CLOSED else Refused(message)
    return ConstraintFailed(message)


__all__ = [
    "ASKED_AGAIN",
    "OPEN_FILES",
    "OpenFiles",
    "Session",
    "SqliteDatabase",
    "SqliteTransaction",
    "split",
    "translated",
]
