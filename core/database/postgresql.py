"""A tenant's database as a schema of a PostgreSQL database, on one pool of connections that all its tenants share.

A connection remembers the schema that it is set to, and `SET search_path` is sent only when that changes. `public` is
never in the path. Two roles: the owner migrates and provisions, the app role owns nothing and can create nothing.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import asyncpg

from core.database.binding import SEAL, Database, Rows, Transaction, Values
from core.database.errors import (
    BrokenReference,
    ClosedForWrites,
    ConstraintFailed,
    DiskFull,
    Duplicate,
    Refused,
    TransactionError,
    UnsafeServer,
)
from core.database.statements import Dialect, traits
from core.errors import Invalid, TryAgain, Unavailable
from core.texts import _

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]
    Plain = asyncpg.Connection[asyncpg.Record]
else:
    Plain = asyncpg.Connection

T = TypeVar("T")

POOL: Final = 10
PATIENCE: Final = 5.0
"""Seconds that a statement waits for a connection or a lock before the answer is 503."""
ROWS_AT_ONCE: Final = 1000
EXTENSIONS: Final = "extensions"
"""The schema of what all tenants share: extensions, never tables. It is not in the search path."""
WAY_OUT: Final = "docs/hosting.md says how its roles and its database are made."
PROBES: Final = 4

_SETTINGS: Final = {
    "application_name": "tenantry",
    "search_path": "",
    "timezone": "UTC",
    "jit": "off",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}
_CLEAN: Final = (  # all that DISCARD ALL does, but for the prepared statements, which asyncpg remembers
    "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; "
    "SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD SEQUENCES; DISCARD TEMP"
)
PICTURE: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1"  # the picture is taken by the first query
_PROCESS: Final = "SELECT pg_catalog.pg_backend_pid()"
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")

log = logging.getLogger(__name__)


class ConnectionLost(Unavailable):
    """The server went away, or the network did."""

    def __init__(self) -> None:
        super().__init__(_("The connection to the database was lost. Try again in a moment."))


class TenantConnection(Plain):
    """A connection that knows which schema it is set to, and whether something was left behind on it."""

    __slots__ = ("schema", "temporary", "unclean")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.schema = ""
        self.temporary = False
        self.unclean = False

    async def turn_to(self, schema: str) -> None:
        """Every name from here on is looked up in this schema. What the tenant before left behind is gone."""
        if self.unclean:
            await self.execute(_CLEAN)
            self.unclean = self.temporary = False
            self.schema = ""
        if self.schema != schema:
            self.schema = ""
            discard = "DISCARD TEMP; " if self.temporary else ""
            await self.execute(f'{discard}SET search_path TO "{schema}"')
            self.temporary = False
            self.schema = schema

    def note(self, text: str) -> None:
        """What a statement may leave behind on the connection."""
        seen = traits(text)
        if seen.temporary:
            self.temporary = True
        if seen.session:
            self.unclean = True


async def _keep_as_it_is(_: object) -> None:
    """Instead of asyncpg's reset, a round trip for each use: nothing is left behind that `turn_to` would not clear."""


class PostgresServer:
    """One database of a PostgreSQL server and the pool on it. The owner's address is known to the host only."""

    def __init__(self, name: str, app_dsn: str, owner_dsn: str | None = None, *, size: int = POOL) -> None:
        self.name = name
        self.app_dsn = app_dsn
        self.owner_dsn = owner_dsn
        self.size = size
        self._pools: dict[bool, asyncpg.Pool[asyncpg.Record]] = {}
        self._starting = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<PostgresServer {self.name}>"

    async def start(self) -> None:
        """Checks the server, then opens the pool. UnsafeServer says what is wrong with it."""
        try:
            await refuse_transaction_pooling(self.name, self.app_dsn)
            await refuse_powerful_role(self.name, self.app_dsn, self.owner_dsn)
            if self.owner_dsn is not None:
                await refuse_unfit_database(self.name, self.app_dsn, self.owner_dsn)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if isinstance(translated(error), Unavailable):
                said = str(error) or f"{PATIENCE:.0f} s"  # a timeout says nothing
                raise Unavailable(
                    _("The PostgreSQL server “%(name)s” does not answer: %(error)s", name=self.name, error=said)
                ) from error
            raise UnsafeServer(f"PostgreSQL “{self.name}”: {error}. {WAY_OUT}") from error
        _pool = await self.pool()

    async def pool(self, *, owner: bool = False) -> asyncpg.Pool[asyncpg.Record]:
        found = self._pools.get(owner)
        if found is not None:
            return found
        dsn = self.owner_dsn if owner else self.app_dsn
        if dsn is None:
            raise TransactionError(f"{self!r}: the owner's address is not known here; only the host migrates.")
        async with self._starting:
            if owner not in self._pools:
                self._pools[owner] = await asyncpg.create_pool(
                    dsn,
                    min_size=0,
                    max_size=2 if owner else self.size,
                    connection_class=TenantConnection,
                    reset=_keep_as_it_is,
                    server_settings=_SETTINGS,
                    timeout=PATIENCE,
                )
            return self._pools[owner]

    async def close(self) -> None:
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.close()

    def terminate(self) -> None:
        """Ends all connections at once, without a word to the server."""
        for pool in self._pools.values():
            pool.terminate()
        self._pools = {}


class PostgresDatabase(Database):
    """One schema. With `as_owner` for migrations; everything else goes by the app role."""

    dialect: ClassVar[Dialect] = "postgresql"

    def __init__(self, server: PostgresServer, schema: str, *, as_owner: bool = False) -> None:
        super().__init__()
        self.server = server
        self.schema = check_schema(schema)
        self.as_owner = as_owner

    def __repr__(self) -> str:
        return f"<PostgresDatabase {self.server.name}/{self.schema}{' as owner' if self.as_owner else ''}>"

    def owned(self) -> PostgresDatabase:
        """The same schema by the owner's role: for migrations."""
        return PostgresDatabase(self.server, self.schema, as_owner=True)

    async def close(self) -> None:
        """The pool is the server's: nothing to close."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One of the pool's connections, set to this schema."""
        pool = self.server._pools.get(self.as_owner) or await self.server.pool(owner=self.as_owner)
        try:
            taken = await pool.acquire(timeout=PATIENCE)
        except TimeoutError:
            raise Unavailable(_("The database is busy at the moment. Try again in a few seconds.")) from None
        except Exception as error:
            raise translated(error) from error
        raw = _raw(taken)
        try:
            if raw.schema != self.schema or raw.unclean:
                await raw.turn_to(self.schema)
            yield taken
        finally:
            if not raw.is_closed() and raw.is_in_transaction():
                raw.terminate()  # never to be handed to anybody else
            await pool.release(taken)

    async def fetch(self, text: str, values: Values) -> Rows:
        try:
            return await self._alone(text, lambda taken: _fetch(taken, text, values))
        except ConnectionLost:
            if not traits(text).reads:
                raise
        # A connection that was cut off while it lay in the pool: reading twice does no harm.
        return await self._alone(text, lambda taken: _fetch(taken, text, values))

    async def run(self, text: str, values: Values) -> int:
        return await self._alone(text, lambda taken: _run(taken, text, values))

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
        await self._alone(text, lambda taken: taken.execute(text))

    async def pieces(self, text: str, values: Values, size: int) -> AsyncIterator[Rows]:
        opened = await self.begin(reading=True)
        try:
            async for piece in opened.pieces(text, values, size):
                yield piece
        finally:
            await opened.finish(keep=False)

    async def _alone(self, text: str, ask: Callable[[Connection], Awaitable[T]]) -> T:
        for watcher in self.watchers:
            watcher(text)
        async with self.connection() as taken:
            _raw(taken).note(text)
            try:
                return await ask(taken)
            except Exception as error:
                if (known := translated(error)) is error:
                    raise
                raise known from error

    async def begin(self, *, reading: bool = False) -> PostgresTransaction:
        opened = PostgresTransaction(self, reading=reading)
        await opened.start()
        return opened


class PostgresTransaction(Transaction):
    """READ COMMITTED for writing, REPEATABLE READ for `reading()`."""

    database: PostgresDatabase

    def __init__(self, database: PostgresDatabase, *, reading: bool) -> None:
        super().__init__(database, reading=reading)
        self._holder = database.connection()
        self._taken: Connection | None = None
        self._raw: TenantConnection | None = None

    @property
    def taken(self) -> Connection:
        if self._taken is None:
            raise TransactionError("The transaction has ended.")
        return self._taken

    async def start(self) -> None:
        self._taken = await self._holder.__aenter__()
        self._raw = _raw(self._taken)
        try:
            await _translating(self.taken.execute(PICTURE if self.reading else "BEGIN"))
        except BaseException:
            await self._let_go()
            raise

    async def fetch(self, text: str, values: Values) -> Rows:
        return await self._ask(text, lambda taken: _fetch(taken, text, values))

    async def run(self, text: str, values: Values) -> int:
        return await self._ask(text, lambda taken: _run(taken, text, values))

    async def run_many(self, text: str, rows: Iterable[Values]) -> int:
        count = 0
        source = iter(rows)
        while some := list(islice(source, ROWS_AT_ONCE)):
            await self._ask(text, lambda taken, some=some: taken.executemany(text, some))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            count += len(some)
        return count

    async def load(self, table: str, columns: Sequence[str], rows: Sequence[Values]) -> None:
        await self._ask(
            f"COPY {table}",
            lambda taken: taken.copy_records_to_table(
                table, records=rows, columns=list(columns), schema_name=self.database.schema
            ),
        )

    async def script(self, text: str) -> None:
        await self._ask(text, lambda taken: taken.execute(text))

    async def pieces(self, text: str, values: Values, size: int) -> AsyncIterator[Rows]:
        cursor = await self._ask(text, lambda taken: taken.cursor(text, *values))
        while records := await self._ask(text, lambda _: cursor.fetch(size)):
            yield tuple(records[0].keys()), list(map(tuple, records))

    async def _ask(self, text: str, ask: Callable[[Connection], Awaitable[T]]) -> T:
        self.check()
        for watcher in self.database.watchers:
            watcher(text)
        try:
            _raw(self.taken).note(text)
            return await ask(self.taken)
        except BaseException as error:
            self.failure = error
            if not isinstance(error, Exception) or (known := translated(error)) is error:
                raise
            raise known from error

    async def command(self, text: str) -> None:
        _, cancelled = await self._to_the_end(text)
        if cancelled is not None:
            raise cancelled

    async def _to_the_end(self, text: str) -> tuple[str, asyncio.CancelledError | None]:
        """The server's answer, awaited even when the task is cancelled meanwhile."""
        asked = asyncio.ensure_future(_command(self.taken, text))
        cancelled: asyncio.CancelledError | None = None
        while not asked.done():
            try:
                await asyncio.shield(asked)
            except asyncio.CancelledError as error:
                cancelled = error
            except Exception:
                break
        try:
            return asked.result(), cancelled
        except Exception as error:
            self.failure = self.failure or error
            raise translated(error) from error

    async def finish(self, *, keep: bool) -> None:
        cancelled: asyncio.CancelledError | None = None
        try:
            if keep and self.failure is None:
                answer, cancelled = await self._to_the_end("COMMIT")
                self.kept = answer == "COMMIT"
                if not self.kept:
                    raise TransactionError("The server undid the transaction instead of keeping it.")
            else:
                await self._undo()
                if keep:
                    self.check()
        finally:
            self.open = False
            await self._let_go()
        if cancelled is not None:
            raise cancelled

    async def _undo(self) -> None:
        raw = self._raw
        if raw is None or raw.is_closed():
            return
        try:
            await self._to_the_end("ROLLBACK")
        except Exception:
            log.warning("Rolling back failed; the connection is given up.", exc_info=True)
            raw.terminate()

    async def _let_go(self) -> None:
        self._taken = None
        await self._holder.__aexit__(None, None, None)


def _raw(taken: Connection) -> TenantConnection:
    """What the pool lent; ConnectionLost once the pool took it back because the server went away."""
    raw: TenantConnection | None = getattr(taken, "_con")  # noqa: B009  # asyncpg shows it to nobody, but it is where `schema` is
    if raw is None:
        raise ConnectionLost
    return raw


async def _command(taken: Connection, text: str) -> str:
    return await taken.execute(text)


async def _fetch(taken: Connection, text: str, values: Values) -> Rows:
    records = await taken.fetch(text, *values)
    if not records:
        return (), []
    return tuple(records[0].keys()), list(map(tuple, records))


async def _run(taken: Connection, text: str, values: Values) -> int:
    answer = await taken.execute(text, *values)
    touched = answer.rpartition(" ")[2]
    return int(touched) if touched.isdigit() else -1


async def _translating(asked: Awaitable[T]) -> T:
    try:
        return await asked
    except Exception as error:
        if (known := translated(error)) is error:
            raise
        raise known from error


_AGAIN: Final = (
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
    asyncpg.TransactionRollbackError,  # serialization failures, deadlocks
)
_GONE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InternalClientError,
    ConnectionError,
    OSError,
)
_COLUMNS: Final = re.compile(r"\(([^)]*)\)=")


def translated(error: Exception) -> Exception:
    """The product's own words for what PostgreSQL refuses; an error of ours in the SQL stays what it is, without the
    row that PostgreSQL adds: errors stand in logs and at jobs, rows are somebody's.
    """
    detail = ""
    if isinstance(error, asyncpg.PostgresError):
        detail = vars(error).setdefault("unsaid", error.detail or "")
        error.detail = None
    match error:
        case asyncpg.QueryCanceledError():
            return error
        case asyncpg.UniqueViolationError():
            columns = _COLUMNS.search(detail)
            return Duplicate(
                error.table_name or "", tuple((columns[1] if columns else "").replace('"', "").split(", "))
            )
        case asyncpg.ForeignKeyViolationError():
            return BrokenReference(error.table_name or "")
        case asyncpg.RaiseError():
            return Refused(str(error))
        case asyncpg.CheckViolationError() | asyncpg.NotNullViolationError():
            return ConstraintFailed(str(error))
        case asyncpg.DataError() if "out of" in str(error):
            return Invalid(_("A number is too large."))
        case asyncpg.InsufficientPrivilegeError() if "for table" in str(error):
            return ClosedForWrites()
        case asyncpg.LockNotAvailableError():
            return Unavailable(_("This is being changed by many at the moment. Try again in a few seconds."))
        case asyncpg.DiskFullError():
            return DiskFull()
        case asyncpg.InterfaceError() if "closed" in str(error) or "released" in str(error):
            return ConnectionLost()
    if isinstance(error, _AGAIN):
        return TryAgain(str(error))
    if isinstance(error, _GONE):
        return ConnectionLost()
    return error


def check_schema(schema: str) -> str:
    """The name, if it can be one: it becomes part of SQL text."""
    if not _SCHEMA.fullmatch(schema) or schema in {"public", EXTENSIONS} or schema.startswith("pg_"):
        raise ValueError(f"{schema!r} cannot be the name of a tenant's schema")
    return schema


async def refuse_transaction_pooling(name: str, dsn: str) -> None:
    """A pooler that hands connections out by transaction would mix up the tenants' search paths: UnsafeServer.

    One connection asks for its server process; others hold transactions open meanwhile. With connections of their
    own, none of them can get that process, and it stays the same.
    """
    opened: list[Plain] = []
    try:
        for _ in range(PROBES):
            opened += [await asyncpg.connect(dsn, statement_cache_size=0, timeout=PATIENCE, command_timeout=PATIENCE)]
        pooled = await _share_a_process(opened)
    except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError):
        pooled = True  # a statement that was prepared on one connection was asked of another
    finally:
        for connection in opened:
            connection.terminate()
    if pooled:
        raise UnsafeServer(
            f"PostgreSQL “{name}”: between us and the server stands a pooler that shares connections by transaction. "
            "It would answer one tenant with another's rows. Connect directly, or set it to pool_mode = session."
        )


async def _share_a_process(connections: list[Plain]) -> bool:
    first, *others = connections
    process = await first.fetchval(_PROCESS)
    held: set[int] = set()
    for other in others:
        await other.execute("BEGIN")
        taken = await other.fetchval(_PROCESS)
        if taken == process or taken in held or await first.fetchval(_PROCESS) != process:
            return True
        held.add(taken)
    return False


async def refuse_powerful_role(name: str, app_dsn: str, owner_dsn: str | None) -> None:
    """The app role owns nothing, creates nothing, and no rule is lifted for it: else UnsafeServer, with the reasons."""
    connection = await asyncpg.connect(app_dsn, timeout=PATIENCE)
    try:
        role = await connection.fetchrow(
            """
            SELECT r.rolname, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb,
                   EXISTS (SELECT 1 FROM pg_class c WHERE c.relowner = r.oid AND c.relpersistence <> 't') AS owns,
                   EXISTS (SELECT 1 FROM pg_namespace n WHERE n.nspowner = r.oid) AS owns_schema,
                   EXISTS (SELECT 1 FROM pg_database d
                           WHERE d.datdba = r.oid AND d.datname = current_database()) AS owns_database,
                   has_database_privilege(r.oid, current_database(), 'CREATE') AS may_create
            FROM pg_roles r WHERE r.rolname = current_user
            """
        )
    finally:
        await connection.close()
    if role is None:
        raise UnsafeServer(f"PostgreSQL “{name}”: the app role cannot be found.")
    faults = {
        "rolsuper": "is a superuser",
        "rolbypassrls": "has BYPASSRLS",
        "rolcreaterole": "may create roles",
        "rolcreatedb": "may create databases",
        "owns": "owns tables",
        "owns_schema": "owns a schema",
        "owns_database": "owns the database",
        "may_create": "may create schemas",
    }
    found = [fault for key, fault in faults.items() if role[key]]
    if owner_dsn is not None:
        owner = await asyncpg.connect(owner_dsn, timeout=PATIENCE)
        try:
            if await owner.fetchval("SELECT pg_has_role($1::name, current_user, 'MEMBER')", role["rolname"]):
                found.append("is the owner's role or a member of it")
        finally:
            await owner.close()
    if found:
        raise UnsafeServer(
            f"PostgreSQL “{name}”: the app role “{role['rolname']}” {', '.join(found)}. It must own and create nothing."
        )


async def refuse_unfit_database(name: str, app_dsn: str, owner_dsn: str) -> None:
    """Both roles are in one database, of Unicode, in which the owner may make schemas: else UnsafeServer."""
    app = await asyncpg.connect(app_dsn, timeout=PATIENCE)
    try:
        database = await app.fetchval("SELECT current_database()")
    finally:
        await app.close()
    owner = await asyncpg.connect(owner_dsn, timeout=PATIENCE)
    try:
        found = await owner.fetchrow(
            """
            SELECT current_user AS role, current_database() AS database, current_setting('server_encoding') AS encoding,
                   has_database_privilege(current_database(), 'CREATE') AS may_create
            """
        )
    finally:
        await owner.close()
    assert found is not None
    fault = ""
    if found["database"] != database:
        fault = f"app_dsn leads to the database “{database}”, owner_dsn to “{found['database']}”. Name the same one"
    elif found["encoding"] != "UTF8":
        fault = f"the database “{database}” is written in {found['encoding']}, not in UTF8: names could not be kept"
    elif not found["may_create"]:
        fault = f"the owner's role “{found['role']}” may not make schemas in the database “{database}”"
    if fault:
        raise UnsafeServer(f"PostgreSQL “{name}”: {fault}. {WAY_OUT}")


async def prepare_database(owner_dsn: str, app_role: str) -> None:
    """Once a database: what tenants share, and nothing in `public` for anybody."""
    connection = await asyncpg.connect(owner_dsn, timeout=PATIENCE)
    try:
        app = await quoted(connection, app_role)
        async with connection.transaction():
            # In turn: PostgreSQL refuses two GRANTs on one object at once.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('tenantry prepare_database'))")
            await connection.execute(
                f"""
                CREATE SCHEMA IF NOT EXISTS {EXTENSIONS};
                CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA {EXTENSIONS};
                GRANT USAGE ON SCHEMA {EXTENSIONS} TO {app};
                """
            )
            database = await quoted(connection, await connection.fetchval("SELECT current_database()"))
            await connection.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {app}")
    finally:
        await connection.close()


async def provision_schema(owner_dsn: str, schema: str, app_role: str, script: str = "") -> None:
    """A schema for a tenant: the owner's, readable and writable for the app role, nothing for anybody else. Empty, or
    with what the `script` makes in it; as a whole or not at all.
    """
    check_schema(schema)
    connection = await asyncpg.connect(owner_dsn, timeout=PATIENCE)
    try:
        app = await quoted(connection, app_role)
        await connection.execute(
            f"""
            BEGIN;
            CREATE SCHEMA "{schema}";
            {rights_in(schema, app)}
            SET LOCAL search_path TO "{schema}";
            {script};
            COMMIT;
            """
        )
    finally:
        await connection.close()


async def hand_over_schema(owner_dsn: str, found: str, schema: str, app_role: str) -> None:
    """A schema that was filled otherwise (restored) gets its name, and becomes as `provision_schema` makes one."""
    check_schema(found)
    check_schema(schema)
    connection = await asyncpg.connect(owner_dsn, timeout=PATIENCE)
    try:
        app = await quoted(connection, app_role)
        async with connection.transaction():
            await connection.execute(
                f"""
                ALTER SCHEMA "{found}" RENAME TO "{schema}";
                {rights_in(schema, app)}
                GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{schema}" TO {app};
                GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA "{schema}" TO {app};
                {for_the_application_alone(schema, app)}
                """
            )
    finally:
        await connection.close()


def rights_in(schema: str, app: str) -> str:
    """The app role reads and writes what is made in the schema from here on, and nobody else does."""
    return f"""
            GRANT USAGE ON SCHEMA "{schema}" TO {app};
            ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app};
            ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" GRANT USAGE, SELECT ON SEQUENCES TO {app};
            {_analyze_tables(schema, app)}
    """


def for_the_application_alone(schema: str, app: str) -> str:
    """The functions that run by the owner's rights: a dump brings them without their own."""
    return f"""
            DO $do$
            DECLARE
                function regprocedure;
            BEGIN
                FOR function IN
                    SELECT oid FROM pg_proc WHERE pronamespace = '"{schema}"'::regnamespace AND prosecdef
                LOOP
                    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', function);
                    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', function, $role${app}$role$);
                END LOOP;
            END $do$;
    """


def give_name(found: str, schema: str, app: str) -> str:
    """Another name for a schema, also where that stands in it."""
    return f'ALTER SCHEMA "{found}" RENAME TO "{schema}"; {_analyze_tables(schema, app)}'


def _analyze_tables(schema: str, app: str) -> str:
    """The function by which the app role, which owns no table, brings the statistics up to date."""
    return f"""
            CREATE OR REPLACE FUNCTION "{schema}".analyze_tables() RETURNS void
                LANGUAGE plpgsql SECURITY DEFINER SET search_path = "{schema}" AS $body$
                DECLARE each name;
                BEGIN
                    FOR each IN SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = '{schema}' LOOP
                        EXECUTE pg_catalog.format('ANALYZE %I', each);
                    END LOOP;
                END $body$;
            REVOKE ALL ON FUNCTION "{schema}".analyze_tables() FROM PUBLIC;
            GRANT EXECUTE ON FUNCTION "{schema}".analyze_tables() TO {app};
    """


async def spare_schemas(owner_dsn: str, beginning: str) -> list[str]:
    """The schemas whose names begin so, oldest first."""
    connection = await asyncpg.connect(owner_dsn, timeout=PATIENCE)
    try:
        return await schemas_beginning(connection, beginning)
    finally:
        await connection.close()


async def take_schema(owner_dsn: str, beginning: str, schema: str, app_role: str) -> bool:
    """Gives one of the schemas whose names begin so its name for good; False if there is none. Whoever else takes one
    at the same time gets another.
    """
    check_schema(schema)
    connection = await asyncpg.connect(owner_dsn, timeout=PATIENCE)
    try:
        app = await quoted(connection, app_role)
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('tenantry take_schema'))")
            found = await schemas_beginning(connection, beginning)
            if not found:
                return False
            await connection.execute(give_name(check_schema(found[0]), schema, app))
        return True
    finally:
        await connection.close()


async def schemas_beginning(connection: Plain, beginning: str) -> list[str]:
    """The schemas whose names begin so, oldest first."""
    found = await connection.fetch(
        "SELECT nspname::text FROM pg_catalog.pg_namespace WHERE starts_with(nspname::text, $1) ORDER BY oid", beginning
    )
    return [record[0] for record in found]


async def drop_schema(owner_dsn: str, schema: str) -> None:
    """The tenant's schema with all that is in it. There is no way back."""
    check_schema(schema)
    connection = await asyncpg.connect(owner_dsn, timeout=PATIENCE)
    try:
        await connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
    finally:
        await connection.close()


async def quoted(connection: Plain, name: str) -> str:
    """The name of a role or a database, to become part of SQL text."""
    found: str = await connection.fetchval("SELECT quote_ident($1)", name)
    return found


__all__ = [
    "SEAL",
    "PostgresDatabase",
    "PostgresServer",
    "PostgresTransaction",
    "drop_schema",
    "hand_over_schema",
    "prepare_database",
    "provision_schema",
    "spare_schemas",
    "take_schema",
    "translated",
]
