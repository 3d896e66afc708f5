"""A photo of each product."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:02:00"
VERSION = "1"
DESCRIPTION = "photos of products"


async def forwards() -> None:
    await run_sql("ALTER TABLE inventory_product ADD COLUMN photo_file_id bigint REFERENCES stored_file (id)")
