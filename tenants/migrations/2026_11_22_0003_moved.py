"""Databases beside the one that a tenant is in: where it was before it moved, or where it was about to move."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:03:00"
VERSION = "1"
DESCRIPTION = "moved"

TABLES = """
CREATE TABLE tenant_aside (
    id {id},
    uuid uuid NOT NULL,
    placement text NOT NULL,
    generation bigint NOT NULL,
    remove_at timestamptz NOT NULL,
    UNIQUE (uuid, placement, generation)
);
"""


async def forwards() -> None:
    await run_sql(TABLES)
