"""Which database is bound, and which transaction is open: one context variable for all tenants of the process.

The variable holds (database, transaction, task). A query asks it whose rows it may touch; a task that inherited an open
transaction from another one (`create_task`, `gather`) is refused, since two tasks on one connection mix up their work.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context, ContextVar, Token
from typing import Any, ClassVar, NamedTuple, TypeVar
from uuid import UUID

from core.database.errors import NoTenantBound, StatementFailed, TransactionError
from core.database.statements import Dialect

T = TypeVar("T")
Values = Sequence[Any]
Rows = tuple[tuple[str, ...], list[tuple[Any, ...]]]
"""Names of the columns (empty where there is no row), and the rows."""

log = logging.getLogger(__name__)


class Session(ABC):
    """Where a statement goes: a connection of its own for a moment, or the open transaction."""

    @abstractmethod
    async def fetch(self, text: str, values: Values) -> Rows: ...

    @abstractmethod
    async def run(self, text: str, values: Values) -> int:
        """Rows touched; -1 where the statement touches none (DDL)."""

    @abstractmethod
    async def run_many(self, text: str, rows: Iterable[Values]) -> int: ...

    async def run_all(self, statements: Sequence[tuple[str, Values]]) -> list[int]:
        """Statements one after the other, each as `run`."""
        return [await self.run(text, values) for text, values in statements]

    @abstractmethod
    async def script(self, text: str) -> None:
        """Several statements without values: DDL."""

    @abstractmethod
    def pieces(self, text: str, values: Values, size: int) -> AsyncIterator[Rows]:
        """The rows in pieces. Without a transaction it keeps a connection until it is closed: `stream()` does not."""


class Transaction(Session):
    """Work that is kept as a whole or not at all, of one task."""

    def __init__(self, database: Database, *, reading: bool) -> None:
        self.database = database
        self.reading = reading
        self.task = _this_task()
        self.open = True
        self.kept = False
        self.failure: BaseException | None = None
        """The error after which nothing of it can be kept (until it goes back to a savepoint)."""
        self.after_commit: list[Callable[[], None]] = []
        self._savepoints = 0

    def check(self) -> None:
        """Refuses a statement that would not belong to the transaction any more."""
        if not self.open:
            raise TransactionError("The transaction has ended.")
        if self.failure is not None:
            raise StatementFailed(
                f"An earlier statement of this transaction failed ({self.failure!r})."
            ) from self.failure

    @abstractmethod
    async def load(self, table: str, columns: Sequence[str], rows: Sequence[Values]) -> None:
        """Puts rows into a table, the quickest way that the database has."""

    @abstractmethod
    async def command(self, text: str) -> None:
        """A statement that steers the transaction itself, brought to its end even when the task is cancelled."""

    @abstractmethod
    async def finish(self, *, keep: bool) -> None:
        """Commits or rolls back, and gives the connection back whatever happens. Sets `kept`. Rolling back raises
        nothing.
        """

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What happens inside is undone when it raises; the transaction goes on."""
        self.check()
        self._savepoints += 1
        name = f"savepoint_{self._savepoints}"
        callbacks = len(self.after_commit)
        await self.command(f"SAVEPOINT {name}")
        try:
            yield
            self.check()
            await self.command(f"RELEASE SAVEPOINT {name}")
        except BaseException:
            if self.open:
                await self.command(f"ROLLBACK TO SAVEPOINT {name}")
                await self.command(f"RELEASE SAVEPOINT {name}")
                self.failure = None
                del self.after_commit[callbacks:]
            raise
        finally:
            self._savepoints -= 1


class Database(Session):
    """The database of one tenant (or the control database): a SQLite file, or a schema of a PostgreSQL database."""

    dialect: ClassVar[Dialect]

    def __init__(self) -> None:
        self.owner: UUID | None = None
        """The tenant that it was proven to belong to: a unit of work of another tenant's scope is refused."""
        self.on_commit: list[Callable[[], None]] = []
        """Called after each transaction that was kept: how a commit wakes the tenant's worker. Must not raise nor
        wait.
        """
        self.watchers: list[Callable[[str], None]] = []
        """Told the text of each statement: query budgets in tests, slow-query logs."""

    @abstractmethod
    async def begin(self, *, reading: bool = False) -> Transaction: ...

    @abstractmethod
    async def close(self) -> None: ...

    @asynccontextmanager
    async def writing_much(self, *, seldom: bool = False) -> AsyncIterator[None]:
        """For work of very many commits: SQLite brings what it writes into the file as it goes, `seldom` for less work
        on the whole, so that no other's commit has to.
        """
        yield

    def session(self) -> Session:
        """The open transaction of this task, if it is this database's; else the database itself."""
        binding = _binding.get()
        if binding is not None and binding.database is self and (transaction := binding.mine()) is not None:
            return transaction
        return self


class Binding(NamedTuple):
    database: Database
    transaction: Transaction | None = None
    task: asyncio.Task[Any] | None = None

    def mine(self) -> Transaction | None:
        """The open transaction; None once it has ended (a task may outlive the transaction that it was started in)."""
        transaction = self.transaction
        if transaction is None or not transaction.open:
            return None
        if self.task is not _this_task():
            raise TransactionError(
                "This transaction belongs to another task. Await the work in the task that opened it, or spawn() it."
            )
        return transaction


_binding: ContextVar[Binding | None] = ContextVar("tenant", default=None)
_spawned: set[asyncio.Task[Any]] = set()


def _this_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


def _restore(token: Token[Binding | None]) -> None:
    try:
        _binding.reset(token)
    except ValueError:
        pass  # a generator that was closed by the event loop: the context that it was opened in is gone


@contextmanager
def bind(database: Database) -> Iterator[Database]:
    """Every query inside goes to this database."""
    binding = _binding.get()
    if binding is not None and binding.database is not database and binding.transaction and binding.transaction.open:
        raise TransactionError("The tenant cannot be changed inside an open transaction.")
    if binding is not None and binding.database is database:
        yield database
        return
    token = _binding.set(Binding(database))
    try:
        yield database
    finally:
        _restore(token)


def current() -> Database:
    """The bound database, or NoTenantBound."""
    binding = _binding.get()
    if binding is None:
        raise NoTenantBound
    return binding.database


def session() -> Session:
    """Where the next statement goes."""
    binding = _binding.get()
    if binding is None:
        raise NoTenantBound
    return binding.mine() or binding.database


def in_transaction() -> bool:
    """Whether this task has a transaction open."""
    return open_transaction() is not None


def open_transaction() -> Transaction | None:
    binding = _binding.get()
    return None if binding is None else binding.mine()


def dialect() -> Dialect:
    """ "sqlite" or "postgresql": for the few places where one text cannot serve both."""
    return current().dialect


def spawn(work: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
    """Starts work in the background: bound to the same database, but with no transaction and nothing else inherited."""
    context = Context()
    context.run(_binding.set, Binding(current()))
    task = asyncio.get_running_loop().create_task(work, name=name, context=context)
    _spawned.add(task)  # the event loop keeps only weak references
    task.add_done_callback(_spawned.discard)
    return task


@asynccontextmanager
async def transaction() -> AsyncIterator[Transaction]:
    """All of it or nothing. One inside another joins it, and the outer one commits.

    SQLite: takes the database's one write lock at once. A database error ends it, also when it is caught, and so does
    an exception that leaves an inner one: what it did could not be told from the rest. Only `core.activity`,
    `core.jobs` and migrations may use it: everything else writes in a `unit_of_work`.
    """
    outer = open_transaction()
    if outer is not None:
        if outer.reading:
            raise TransactionError("Nothing can be written inside reading().")
        try:
            yield outer
        except BaseException as error:
            outer.failure = outer.failure or error
            raise
        return
    async with opened(current().begin()) as begun:
        yield begun


@asynccontextmanager
async def reading(staging: str = "") -> AsyncIterator[Transaction]:
    """One unchanging picture of the database; nothing of it is kept.

    `staging` is DDL of temporary tables (`CREATE TEMP TABLE …`), which may be filled inside; anything else cannot be
    written. Inside an open transaction it is refused: that has its own picture.
    """
    if open_transaction() is not None:
        raise TransactionError("A transaction is open already: it sees its own writes, which reading() could not.")
    async with opened(current().begin(reading=True)) as begun:
        if staging:
            await begun.script(staging)
        await begun.command(SEAL)
        yield begun


@asynccontextmanager
async def opened(opening: Coroutine[Any, Any, Transaction]) -> AsyncIterator[Transaction]:
    """Statements of this task go into the transaction until the block ends; then it is kept, or undone."""
    begun = await opening
    token = _binding.set(Binding(begun.database, begun, begun.task))
    try:
        yield begun
    except BaseException:
        await begun.finish(keep=False)
        raise
    else:
        await begun.finish(keep=not begun.reading)
    finally:
        begun.open = False
        _restore(token)
        if begun.kept:
            _tell(begun)


def _tell(kept: Transaction) -> None:
    for callback in (*kept.after_commit, *kept.database.on_commit):
        try:
            callback()
        except Exception:
            log.exception("A callback after a commit failed; what was committed stands.")


SEAL = "SET TRANSACTION READ ONLY"
"""PostgreSQL's own words; temporary tables may still be written after them. SQLite's engine does the same on seeing
them.
"""


@asynccontextmanager
async def savepoint() -> AsyncIterator[None]:
    """What happens inside is undone when it raises; the transaction around it goes on."""
    outer = open_transaction()
    if outer is None:
        raise TransactionError("A savepoint needs a transaction around it.")
    async with outer.savepoint():
        yield


def after_commit(callback: Callable[[], None]) -> None:
    """Called once the open transaction is kept; forgotten when it, or the savepoint around the call, is undone."""
    outer = open_transaction()
    if outer is None:
        raise TransactionError("No transaction is open. For every commit of a tenant, use `database.on_commit`.")
    outer.after_commit.append(callback)


@contextmanager
def watched(database: Database | None = None) -> Iterator[list[str]]:
    """The statements made inside, in order: for query budgets."""
    database = database or current()
    seen: list[str] = []
    database.watchers.append(seen.append)
    try:
        yield seen
    finally:
        database.watchers.remove(seen.append)
