"""Schemas made ahead: a PostgreSQL schema takes the server a third of a second, so each database keeps a few migrated
ones that nobody has claimed, as new SQLite tenants have their template file. A new tenant takes one under its own name.

The name says which migrations made it (`spare_` and a hash): another version of the code takes no notice of it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from typing import Final

import asyncpg
import structlog

from core.app import MIGRATIONS
from core.database.migrations import load, script_of
from core.database.postgresql import (
    EXTENSIONS,
    drop_schema,
    prepare_database,
    provision_schema,
    spare_schemas,
    take_schema,
)
from core.ids import new_uuid

LOG: Final = structlog.stdlib.get_logger("tenantry.tenants")
SPARE: Final = "spare_"
NOT_OURS: Final = frozenset({"public", "information_schema", EXTENSIONS})
LOOK_AGAIN: Final = 30.0
"""Seconds between two looks at the stock, where this process takes none."""


@cache
def version() -> str:
    """A name for the migrations that a new tenant is made by, whatever of them changes."""
    made = hashlib.sha256()
    for app in MIGRATIONS:
        for id, module in load(app).items():
            made.update(f"{app.name}:{id}\n".encode())
            if module.__file__ is not None:
                with open(module.__file__, "rb") as file:  # noqa: PTH123  # read once a process
                    made.update(file.read())
    return made.hexdigest()[:16]


class Spares:
    """The stock of one database."""

    def __init__(self, owner_dsn: str, role: str, limit: int) -> None:
        """`limit`: how many schemas the database may hold, these too."""
        self._owner_dsn = owner_dsn
        self._role = role
        self._limit = limit
        self._beginning = f"{SPARE}{version()}_"
        self._script: str | None = None
        self.taken = asyncio.Event()
        """Set when one was taken, so that the next is made."""

    async def take_or_make(self, schema: str) -> bool:
        """A migrated schema of this name that belongs to nobody yet: one of the stock, else a new one. False: it is
        empty, since its migrations must be run one by one.
        """
        if await take_schema(self._owner_dsn, self._beginning, schema, self._role):
            self.taken.set()
            return True
        script = await self._prepared()
        await provision_schema(self._owner_dsn, schema, self._role, script)
        return bool(script)

    async def fill(self, count: int) -> int:
        """Makes what is missing of so many; gives how many that were."""
        script = await self._prepared()
        if not script:
            return 0
        there = await self.schemas()
        missing = min(count - len(self.ready(there)), self._limit - len(there))
        for _ in range(missing):
            await provision_schema(self._owner_dsn, f"{self._beginning}{new_uuid().hex[:12]}", self._role, script)
        return max(missing, 0)

    async def schemas(self) -> list[str]:
        """All that count: tenants', these, and what is being restored or moved."""
        found = await spare_schemas(self._owner_dsn, "")
        return [name for name in found if name not in NOT_OURS and not name.startswith("pg_")]

    def ready(self, schemas: Iterable[str]) -> list[str]:
        """Those that a new tenant can take."""
        return [name for name in schemas if name.startswith(self._beginning)]

    async def clear_out(self) -> None:
        """Takes away what other versions of the code have left."""
        for schema in await spare_schemas(self._owner_dsn, SPARE):
            if not schema.startswith(self._beginning):
                await drop_schema(self._owner_dsn, schema)

    async def _prepared(self) -> str:
        """What makes a schema's tables; empty where they must be migrated. The database is made ready for it."""
        if self._script is None:
            await prepare_database(self._owner_dsn, self._role)
            self._script = await script_of(MIGRATIONS) or ""
        return self._script


async def keep(spares: Spares, count: int) -> None:
    """Keeps so many in stock until it is cancelled. What fails is tried again: new tenants are made without a stock
    meanwhile.
    """
    cleared = False
    while True:
        try:
            if not cleared:
                await spares.clear_out()
                cleared = True
            spares.taken.clear()
            await spares.fill(count)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            LOG.warning("no schemas made ahead", reason=str(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AGAIN):
                await spares.taken.wait()
