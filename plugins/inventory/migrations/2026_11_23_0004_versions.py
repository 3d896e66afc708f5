"""Vendors and locations have a version: who saves later is told of who saved before."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:04:00"
VERSION = "1"
DESCRIPTION = "versions of vendors and locations"


async def forwards() -> None:
    await run_sql("""
    ALTER TABLE inventory_vendor ADD COLUMN version bigint NOT NULL DEFAULT 1;
    ALTER TABLE inventory_location ADD COLUMN version bigint NOT NULL DEFAULT 1;
    CREATE INDEX inventory_item_subscription ON inventory_item (subscription_id) WHERE subscription_id IS NOT NULL;
    """)
