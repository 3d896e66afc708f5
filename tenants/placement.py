"""Where a tenant's data lies: a file of its own, or a schema of a PostgreSQL database."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import structlog
from msgspec import Struct

from core.database import Database, PostgresDatabase, PostgresServer, SqliteDatabase
from core.database.postgresql import drop_schema, spare_schemas
from core.errors import Conflict, Invalid, Unavailable
from core.texts import _, number
from tenants.spares import TEMPLATES, Spares
from tenants.status import TenantStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from core.config import Config
    from tenants.registry import TenantRecord

LOG: Final = structlog.stdlib.get_logger("tenantry.tenants")

SQLITE: Final = "sqlite"
CONTROL: Final = "control.sqlite"
TENANTS: Final = "tenants"
TURN: Final = "placement.lock"
TURN_WITHIN: Final = 60.0


class Fullness(Struct, frozen=True, kw_only=True):
    """How full a place is. SQLite has no limit but the disk."""

    name: str
    schemas: int = 0
    """All that count."""
    ready: int = 0
    """Of them: kept for new tenants."""
    limit: int = 0
    """0: none."""
    for_new: bool = False
    """Whether new tenants go there by themselves."""
    error: str = ""
    """Why nobody can tell."""

    @property
    def room(self) -> int:
        """New tenants that fit."""
        return max(0, self.limit - self.schemas + self.ready)

    @property
    def has_room(self) -> bool:
        return not self.error and (not self.limit or self.room > 0)

    @property
    def share(self) -> float:
        """Of what it may hold; one without a limit is taken when no other has room."""
        return (self.schemas - self.ready) / self.limit if self.limit else 1.0

    @property
    def said(self) -> str:
        if self.error:
            return self.error
        if not self.limit:
            return _("no limit but the disk")
        used, limit = number(self.schemas), number(self.limit)
        if self.ready:
            return _(
                "%(used)s of %(limit)s schemas, %(ready)s of them kept ready", used=used, limit=limit, ready=self.ready
            )
        return _("%(used)s of %(limit)s schemas", used=used, limit=limit)


class Placement:
    """The databases of a deployment, by tenant. Files are named by uuid, never by something that somebody typed."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._open: dict[tuple[UUID, int], Database] = {}
        self._spares: dict[str, Spares] = {}
        self.servers = {
            name: PostgresServer(name, server.app_dsn, server.owner_dsn) for name, server in config.databases.items()
        }

    def control(self) -> SqliteDatabase:
        return SqliteDatabase(self._config.data / CONTROL, create=True, files=None)

    async def start(self) -> None:
        """Check each PostgreSQL database: its roles, and that no transaction pooler stands in between."""
        (self._config.data / TENANTS).mkdir(parents=True, exist_ok=True)
        for server in self.servers.values():
            await server.start()

    async def close(self) -> None:
        for database in self._open.values():
            await database.close()
        self._open.clear()
        for server in self.servers.values():
            await server.close()

    def check(self, placement: str) -> str:
        """A place that there is, or Invalid."""
        if placement != SQLITE and placement not in self.servers:
            known = ", ".join((SQLITE, *self.servers))
            raise Invalid(
                _("There is no database “%(placement)s”. There are: %(known)s.", placement=placement, known=known),
                field="placement",
            )
        return placement

    async def fullness(self, name: str, expected: Iterable[str] = ()) -> Fullness:
        """Of one place; `expected` are schemas of tenants that are being made there."""
        for_new = name in self._config.placement.places
        if name == SQLITE:
            return Fullness(name=name, for_new=for_new)
        limit = self._config.placement.schemas
        try:
            spares = self.spares(name)
            there = await spares.schemas()
        except (Unavailable, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            LOG.warning("a database does not tell how full it is", database=name, reason=str(error))
            why = error.message if isinstance(error, Unavailable) else _("it does not answer")
            return Fullness(name=name, limit=limit, for_new=for_new, error=why)
        ready, coming = len(spares.ready(there)), len(set(expected).difference(there))
        taken = min(ready, coming)
        return Fullness(
            name=name, schemas=len(there) + coming - taken, ready=ready - taken, limit=limit, for_new=for_new
        )

    async def all_fullness(self) -> list[Fullness]:
        return [await self.fullness(name) for name in (SQLITE, *self.servers)]

    async def choose(self, wanted: str, known: Callable[[], Awaitable[Iterable[TenantRecord]]]) -> str:
        """Where a new tenant goes: as asked, else to the least full of the usual places. Conflict where none has room.

        Inside `in_turn()`, until the registry knows of the tenant: `known` gives those that it knows.
        """
        names = (self.check(wanted),) if wanted else self._config.placement.places
        if names == (SQLITE,):
            return SQLITE
        making = [record for record in await known() if record.status == TenantStatus.CREATING]
        found = [
            await self.fullness(name, [schema_of(one.uuid) for one in making if one.placement == name])
            for name in names
        ]
        if free := [one for one in found if one.has_room]:
            return min(free, key=lambda one: one.share).name
        told = "; ".join(f"{one.name}: {one.said}" for one in found)
        if all(one.error for one in found):
            raise Unavailable(_("No database for a new tenant answers (%(told)s).", told=told), retry_after=60)
        raise Conflict(
            _(
                "There is no room for another tenant (%(told)s). Name a further database under "
                "[placement], move tenants to another one, or raise placement.schemas.",
                told=told,
            )
        )

    @asynccontextmanager
    async def in_turn(self, wanted: str = "") -> AsyncIterator[None]:
        """One at a time chooses a place, of all processes of the deployment. SQLite takes as many as come."""
        if ((wanted,) if wanted else self._config.placement.places) == (SQLITE,):
            yield
            return
        handle = os.open(self._config.data / TURN, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = monotonic() + TURN_WITHIN
            while not _locks(handle):
                if monotonic() > deadline:
                    raise Unavailable(
                        _("Others are making tenants at this moment. Try again in a minute."), retry_after=60
                    )
                await asyncio.sleep(0.02)
            yield
        finally:
            os.close(handle)

    def folder(self, uuid: UUID) -> Path:
        """Where the tenant's file and its documents lie, wherever its rows do."""
        return self._config.data / TENANTS / str(uuid)

    def find(self, record: TenantRecord) -> Database:
        """The tenant's database. Opening it is left to the first statement."""
        database = self._open.get((record.uuid, record.generation))
        if database is None:
            database = self.at(record.uuid, record.placement, record.generation)
            self._open[record.uuid, record.generation] = database
        return database

    def at(self, uuid: UUID, placement: str, generation: int) -> Database:
        """The database of this name, whether there is one yet or not."""
        if placement == SQLITE:
            return SqliteDatabase(self.file(uuid, generation))
        return PostgresDatabase(self.server(placement), schema_of(uuid, generation))

    def server(self, name: str) -> PostgresServer:
        """Unavailable where the configuration does not name it (any more)."""
        server = self.servers.get(name)
        if server is None:
            raise Unavailable(_("The database “%(placement)s” is not in the configuration.", placement=name))
        return server

    def file(self, uuid: UUID, generation: int = 0) -> Path:
        return self.folder(uuid) / (f"tenant-{generation}.sqlite" if generation else "tenant.sqlite")

    def migrating(self, record: TenantRecord) -> Database:
        """The tenant's database as its migrations need it: on PostgreSQL by the owner's role."""
        database = self.find(record)
        return database.owned() if isinstance(database, PostgresDatabase) else database

    async def forget(self, uuid: UUID) -> None:
        """Close what is open of the tenant."""
        for key in [key for key in self._open if key[0] == uuid]:
            await self._open.pop(key).close()

    def spares(self, placement: str) -> Spares:
        """The schemas that a PostgreSQL database keeps ready."""
        if placement not in self._spares:
            server = self.servers[placement]
            self._spares[placement] = Spares(
                owner_dsn(server), app_role(server), self._config.placement.schemas, self._config.data / TEMPLATES
            )
        return self._spares[placement]

    async def make_room(self, uuid: UUID, placement: str) -> bool:
        """A migrated schema; or an empty one, or the folder of a file: then False."""
        self.folder(uuid).mkdir(parents=True, exist_ok=True)
        return placement != SQLITE and await self.spares(placement).take_or_make(schema_of(uuid))

    async def remove_databases(self, uuid: UUID, placement: str, *, but: int | None = None) -> None:
        """Take away the tenant's databases, those that earlier restores left too; `but` the one of this generation."""
        await self.forget(uuid)
        if placement == SQLITE:
            kept = None if but is None else self.file(uuid, but).name
            for path in self.folder(uuid).glob("tenant*.sqlite*"):
                if path.name not in {kept, f"{kept}-wal", f"{kept}-shm"}:
                    path.unlink(missing_ok=True)
            return
        owner = owner_dsn(self.server(placement))
        for schema in await spare_schemas(owner, schema_of(uuid)):
            if but is None or schema != schema_of(uuid, but):
                await drop_schema(owner, schema)

    async def remove(self, uuid: UUID, placement: str) -> None:
        """Take away what `make_room` and all that came after made. There is no way back."""
        await self.remove_databases(uuid, placement)
        shutil.rmtree(self.folder(uuid), ignore_errors=True)


def _locks(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def app_role(server: PostgresServer) -> str:
    return urlsplit(server.app_dsn).username or ""


def schema_of(uuid: UUID, generation: int = 0) -> str:
    return f"t_{uuid.hex}_{generation}" if generation else f"t_{uuid.hex}"


def owner_dsn(server: PostgresServer) -> str:
    """The address of the role that owns the schemas; Unavailable where this process is not told."""
    if server.owner_dsn is None:
        raise Unavailable(
            _("The owner's address of the database “%(name)s” is not in the configuration.", name=server.name)
        )
    return server.owner_dsn
