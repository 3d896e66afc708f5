"""The password of a customer's portal: its hash, and where the tenant keeps one the sealed copy that can be shown."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:21:00"
VERSION = "1"
DESCRIPTION = "passwords of customers"

TABLES = """
ALTER TABLE customer ADD COLUMN password_hash text NOT NULL DEFAULT '';
ALTER TABLE customer ADD COLUMN password_copy text NOT NULL DEFAULT '';
ALTER TABLE customer ADD COLUMN password_set_at timestamptz;
"""


async def forwards() -> None:
    await run_sql(TABLES)
