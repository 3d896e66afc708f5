"""Settings of the tenant."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "settings"

TABLES = """
CREATE TABLE setting (
    key text NOT NULL PRIMARY KEY,
    value text NOT NULL,
    changed_at timestamptz NOT NULL
);
"""


async def forwards() -> None:
    await run_sql(TABLES)
