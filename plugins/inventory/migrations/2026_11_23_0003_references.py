"""Whoever deletes a charge is asked about by items that were sold by it: by this index, not by reading them all."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:03:00"
VERSION = "1"
DESCRIPTION = "items by the charge that they were sold by"


async def forwards() -> None:
    await run_sql("CREATE INDEX inventory_item_charge ON inventory_item (charge_id) WHERE charge_id IS NOT NULL")
