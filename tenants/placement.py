"""Where a tenant's data lies: a file of its own, or a schema of a PostgreSQL database."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from uuid import UUID

from core.database import Database, PostgresDatabase, PostgresServer, SqliteDatabase
from core.database.postgresql import drop_schema, spare_schemas
from core.errors import Invalid, Unavailable
from tenants.spares import Spares

if TYPE_CHECKING:
    from core.config import Config
    from tenants.registry import TenantRecord

SQLITE: Final = "sqlite"
CONTROL: Final = "control.sqlite"
TENANTS: Final = "tenants"


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
            raise Invalid(f"There is no database “{placement}”. There are: {known}.", field="placement")
        return placement

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
        server = self.servers.get(placement)
        if server is None:
            raise Unavailable(f"The database “{placement}” is not in the configuration.")
        return PostgresDatabase(server, schema_of(uuid, generation))

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
            self._spares[placement] = Spares(owner_dsn(server), app_role(server))
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
        owner = owner_dsn(self.servers[placement])
        for schema in await spare_schemas(owner, schema_of(uuid)):
            if but is None or schema != schema_of(uuid, but):
                await drop_schema(owner, schema)

    async def remove(self, uuid: UUID, placement: str) -> None:
        """Take away what `make_room` and all that came after made. There is no way back."""
        await self.remove_databases(uuid, placement)
        shutil.rmtree(self.folder(uuid), ignore_errors=True)


def app_role(server: PostgresServer) -> str:
    return urlsplit(server.app_dsn).username or ""


def schema_of(uuid: UUID, generation: int = 0) -> str:
    return f"t_{uuid.hex}_{generation}" if generation else f"t_{uuid.hex}"


def owner_dsn(server: PostgresServer) -> str:
    """The address of the role that owns the schemas; Unavailable where this process is not told."""
    if server.owner_dsn is None:
        raise Unavailable(f"The owner's address of the database “{server.name}” is not in the configuration.")
    return server.owner_dsn
