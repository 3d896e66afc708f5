"""Which log-in of the staff a visit was begun in: it ends with it."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:02:00"
VERSION = "1"
DESCRIPTION = "log-ins of visits"


async def forwards() -> None:
    await run_sql("ALTER TABLE portal_visit ADD COLUMN session_id bigint")
