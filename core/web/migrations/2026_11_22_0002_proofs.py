"""When a session's person last proved who it is."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:01"
VERSION = "2"
DESCRIPTION = "proofs"


async def forwards() -> None:
    await run_sql("ALTER TABLE session ADD COLUMN proved_at timestamptz;")
