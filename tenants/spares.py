"""Schemas made ahead: a PostgreSQL schema takes the server a quarter of a second, so each database keeps a few migrated
ones that nobody has claimed, as new SQLite tenants have their template file. A new tenant takes one under its own name.

The name says which migrations made it (`spare_` and a hash): another version of the code takes no notice of it. The
first of a version is migrated; its outline is kept as a file, and the others are made from that.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
import structlog

from core.app import MIGRATIONS
from core.database import outlines
from core.database.migrations import load, script_of
from core.database.outlines import MAKING, Outline, drop_interrupted, make_first_schema, make_schema
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
TEMPLATES: Final = "templates"
"""The folder of what new tenants are made from, one a version of the code."""
NOT_OURS: Final = frozenset({"public", "information_schema", EXTENSIONS})
LOOK_AGAIN: Final = 30.0
"""Seconds between two looks at the stock, where this process takes none."""
LATER: Final = 1.0
"""Seconds after one was taken until the next is made: who makes several tenants shares the server with this process."""
_known: Final[dict[str, Outline]] = {}
"""Outlines by the names of their files."""


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

    def __init__(self, owner_dsn: str, role: str, limit: int, templates: Path) -> None:
        """`limit`: how many schemas the database may hold, these too. `templates`: the folder of outlines."""
        self._owner_dsn = owner_dsn
        self._role = role
        self._limit = limit
        self._templates = templates
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
        await self._make(schema, script)
        return bool(script)

    async def fill(self, count: int) -> int:
        """Makes what is missing of so many; gives how many that were."""
        script = await self._prepared() if count else ""
        if not script:
            return 0
        there = await self.schemas()
        missing = min(count - len(self.ready(there)), self._limit - len(there))
        for _ in range(missing):
            await self._make(f"{self._beginning}{new_uuid().hex[:12]}", script)
        return max(missing, 0)

    async def schemas(self) -> list[str]:
        """All that count: tenants', these, and what is being restored or moved."""
        found = await spare_schemas(self._owner_dsn, "")
        return [name for name in found if name not in NOT_OURS and not name.startswith(("pg_", MAKING))]

    def ready(self, schemas: Iterable[str]) -> list[str]:
        """Those that a new tenant can take."""
        return [name for name in schemas if name.startswith(self._beginning)]

    async def clear_out(self) -> None:
        """Takes away what other versions of the code have left."""
        for schema in await spare_schemas(self._owner_dsn, SPARE):
            if not schema.startswith(self._beginning):
                await drop_schema(self._owner_dsn, schema)

    async def clear_interrupted(self) -> None:
        """Takes away what a process that is no more was making."""
        await drop_interrupted(self._owner_dsn)

    async def _make(self, schema: str, script: str) -> None:
        if not script:
            await provision_schema(self._owner_dsn, schema, self._role)
        elif outline := await asyncio.to_thread(_read, self._templates):
            await make_schema(self._owner_dsn, schema, self._role, outline)
        else:
            outline = await make_first_schema(self._owner_dsn, schema, self._role, script)
            await asyncio.to_thread(_write, self._templates, outline)

    async def _prepared(self) -> str:
        """What makes a schema's tables; empty where they must be migrated. The database is made ready for it."""
        if self._script is None:
            await prepare_database(self._owner_dsn, self._role)
            self._script = await script_of(MIGRATIONS) or ""
        return self._script


@cache
def _file() -> str:
    """Also another version of what makes outlines makes its own."""
    return f"{version()}-{hashlib.sha256(Path(outlines.__file__).read_bytes()).hexdigest()[:8]}.postgresql"


def _read(templates: Path) -> Outline | None:
    if _file() not in _known:
        with suppress(FileNotFoundError, msgspec.DecodeError):
            _known[_file()] = msgspec.json.decode((templates / _file()).read_bytes(), type=Outline)
    return _known.get(_file())


def _write(templates: Path, outline: Outline) -> None:
    _known[_file()] = outline
    templates.mkdir(parents=True, exist_ok=True)
    part = templates / f"{_file()}.{new_uuid().hex}.part"
    part.write_bytes(msgspec.json.encode(outline))
    part.replace(templates / _file())


async def keep(spares: Spares, count: int) -> None:
    """Keeps so many in stock, and takes away what is left of others, until it is cancelled. What fails is tried again:
    new tenants are made without a stock meanwhile.
    """
    cleared = False
    while True:
        try:
            if not cleared:
                await spares.clear_out()
                cleared = True
            await spares.clear_interrupted()
            spares.taken.clear()
            await spares.fill(count)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            LOG.warning("no schemas made ahead", reason=str(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AGAIN):
                await spares.taken.wait()
                await asyncio.sleep(LATER)
