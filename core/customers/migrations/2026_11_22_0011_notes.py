"""Notes: whose each is, and the version that it is saved against."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:11:00"
VERSION = "1"
DESCRIPTION = "writers of notes"

TABLES = """
ALTER TABLE note ADD COLUMN actor text NOT NULL DEFAULT '';
ALTER TABLE note ADD COLUMN version bigint NOT NULL DEFAULT 1;
"""


async def forwards() -> None:
    await run_sql(TABLES)
