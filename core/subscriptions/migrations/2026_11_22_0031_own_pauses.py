"""Which pauses customers planned by themselves: these count against what they may, and only these they take back."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:31:00"
VERSION = "1"
DESCRIPTION = "pauses by customers"


async def forwards() -> None:
    await run_sql("ALTER TABLE subscription_pause ADD COLUMN by_customer boolean NOT NULL DEFAULT FALSE")
