"""The version of a staff user: who saves says which one was read."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:12"
VERSION = "5"
DESCRIPTION = "versions of staff users"


async def forwards() -> None:
    await run_sql("ALTER TABLE staff ADD COLUMN version integer NOT NULL DEFAULT 1")
