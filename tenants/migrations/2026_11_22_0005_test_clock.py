"""A copy of a tenant may have a clock of its own, which stands still until somebody runs it forward."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:05:00"
VERSION = "1"
DESCRIPTION = "test clock"


async def forwards() -> None:
    await run_sql("ALTER TABLE tenant ADD COLUMN clock_at timestamptz")
