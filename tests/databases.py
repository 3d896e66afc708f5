"""Databases for tests: each test has one of its own, on SQLite and on PostgreSQL.

`database` is empty and bound; `two_databases` are two of a kind, none of them bound. A migrated one is a copy of a
template that each worker makes once: `fresh(kind, folder, apps)`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import asyncpg
import pytest

from core.database import (
    Database,
    MigrationApp,
    PostgresDatabase,
    PostgresServer,
    SqliteDatabase,
    bind,
    copy_template,
    current,
    drop_schema,
    migrate,
    prepare_database,
    provision_schema,
    run_sql,
)
from core.database.postgresql import TenantConnection
from tests.postgres import start_cluster
from tests.renewal import as_new, let_go, remember_as_new

KINDS: Final = ("sqlite", "postgresql")
OWNER: Final = "tenantry_owner"
APP: Final = "tenantry_app"
SCHEMA: Final = "tenant"
WORKER: Final = os.environ.get("PYTEST_XDIST_WORKER", "gw")

_number = count(1)
_files: dict[str, Path] = {}
_made: set[str] = set()
_unused: dict[str, list[PostgresServer]] = {}


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database of the test's own, bound; on PostgreSQL by the app role: tables by `migrate` or `define`."""
    async with fresh(request.param, tmp_path) as made:
        with bind(made):
            yield made


@pytest.fixture(params=KINDS)
async def two_databases(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Database, Database]]:
    """Two empty databases of one kind, none of them bound; on PostgreSQL two schemas on one pool."""
    async with fresh(request.param, tmp_path) as first:
        if isinstance(first, PostgresDatabase):
            async with _schema(first.server) as second:
                yield first, second
        else:
            async with fresh("sqlite", tmp_path) as other:
                yield first, other


async def define(text: str | None = None, *, sqlite: str | None = None, postgresql: str | None = None) -> None:
    """Tables for a test, in the words of `run_sql`; on PostgreSQL made by the owner."""
    bound = current()
    with bind(bound.owned() if isinstance(bound, PostgresDatabase) else bound):
        await run_sql(text, sqlite=sqlite, postgresql=postgresql)


@asynccontextmanager
async def fresh(kind: str, folder: Path, apps: Sequence[MigrationApp] = ()) -> AsyncIterator[Database]:
    """A database of its own: empty, or with these apps' migrations done, of which each worker makes a template once."""
    if kind == "sqlite":
        target = folder / f"tenant-{next(_number)}.db"
        if apps:
            copy_template(await _template_file(apps), target)
        database = SqliteDatabase(target, create=not apps)
        try:
            yield database
        finally:
            await database.close()
        return
    if not apps:
        async with _server(await _shared_database()) as server, _schema(server) as made:
            yield made
        return
    template = await _template_database(apps)
    unused = _unused.setdefault(template, [])
    if unused:
        server = unused.pop()
        for connection in _idle(server):  # plans for the few rows of the tests before would be kept for many
            with suppress(asyncpg.ConnectionDoesNotExistError):  # the test before had it ended: another is opened
                await connection.execute("DISCARD PLANS")
    else:
        name = f"{WORKER}_{os.getpid()}_{next(_number)}"
        await postgres_database(name, template=template)
        server = PostgresServer(name, dsn(name, APP), dsn(name, OWNER))
    try:
        yield PostgresDatabase(server, SCHEMA)
    finally:
        if await as_new(dsn(server.name), _kept(server)):
            unused.append(server)
        else:
            server.terminate()
            await _as_superuser(start_cluster(), f'DROP DATABASE "{server.name}" WITH (FORCE)')


def _kept(server: PostgresServer) -> list[int]:
    """Processes of the connections that the next test goes on with; what was set on them is put back first."""
    found = _idle(server)
    for connection in found:
        connection.unclean = True
    return [connection.get_server_pid() for connection in found]


def _idle(server: PostgresServer) -> list[TenantConnection]:
    holders = [holder for pool in server._pools.values() for holder in pool._holders if holder._in_use is None]
    connections = [holder._con for holder in holders]
    return [one for one in connections if isinstance(one, TenantConnection) and not one.is_closed()]


@asynccontextmanager
async def _server(name: str) -> AsyncIterator[PostgresServer]:
    server = PostgresServer(name, dsn(name, APP), dsn(name, OWNER))
    try:
        yield server
    finally:
        server.terminate()


@asynccontextmanager
async def _schema(server: PostgresServer) -> AsyncIterator[PostgresDatabase]:
    owner = dsn(server.name, OWNER)
    schema = f"{SCHEMA}_{next(_number)}"
    await provision_schema(owner, schema, APP)
    try:
        yield PostgresDatabase(server, schema)
    finally:
        server.terminate()
        await drop_schema(owner, schema)


async def _shared_database() -> str:
    """Where a worker's empty schemas are made: a schema costs a tenth of a database."""
    name = f"{WORKER}_{os.getpid()}_shared"
    if name not in _made:
        await postgres_database(name)
        _made.add(name)
    return name


def dsn(database: str, role: str | None = None, *, cluster: str | None = None) -> str:
    """Address of a database of this run's server (or another `cluster`), for one of the roles."""
    found = (cluster or start_cluster()).replace("/postgres?", f"/{database}?")
    return found if role is None else found.replace("://tenantry@", f"://{role}@")


async def postgres_database(name: str, *, template: str | None = None, cluster: str | None = None) -> None:
    """A database that the owner's role owns and the app role may use."""
    server = cluster or start_cluster()
    empty = f"{WORKER}_{os.getpid()}_empty"
    if template is None and f"{server} {empty}" not in _made:
        await _make_roles(server)
        await _as_superuser(server, f'CREATE DATABASE "{empty}" OWNER {OWNER}')
        await prepare_database(dsn(empty, OWNER, cluster=server), APP)
        _made.add(f"{server} {empty}")
    if template is not None:
        await let_go(dsn(template, cluster=server))
    await _as_superuser(server, f'CREATE DATABASE "{name}" OWNER {OWNER} TEMPLATE "{template or empty}"')


def _key(apps: Sequence[MigrationApp]) -> str:
    return hashlib.sha256(repr([(app.name, str(app.folder)) for app in apps]).encode()).hexdigest()[:12]


async def _template_file(apps: Sequence[MigrationApp]) -> Path:
    key = _key(apps)
    if key not in _files:
        path = Path(mkdtemp(prefix="tenantry-template-")) / "template.db"
        made = SqliteDatabase(path, create=True)
        with bind(made):
            await migrate(apps)
        await made.close()
        _files[key] = path
    return _files[key]


async def _template_database(apps: Sequence[MigrationApp]) -> str:
    name = f"{WORKER}_{os.getpid()}_template_{_key(apps)}"
    if name not in _made:
        await postgres_database(name)
        await provision_schema(dsn(name, OWNER), SCHEMA, APP)
        server = PostgresServer(name, dsn(name, APP), dsn(name, OWNER))
        with bind(PostgresDatabase(server, SCHEMA, as_owner=True)):
            await migrate(apps)
        await server.close()
        await remember_as_new(dsn(name), SCHEMA)
        _made.add(name)
    return name


async def _make_roles(server: str) -> None:
    for role in (OWNER, APP):
        with suppress(asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):  # another worker was first
            await _as_superuser(server, f"CREATE ROLE {role} LOGIN")


async def _as_superuser(server: str, text: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(text)
    finally:
        await connection.close()
