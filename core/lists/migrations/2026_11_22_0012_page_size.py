"""How many rows a page of a list has for somebody."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:12:00"
VERSION = "1"
DESCRIPTION = "rows of a page"


async def forwards() -> None:
    await run_sql("ALTER TABLE list_layout ADD COLUMN size integer")
