"""Charges of no subscription are found by their customer."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:11:00"
VERSION = "1"
DESCRIPTION = "charges of no subscription"

INDEX = "CREATE INDEX charge_loose ON charge (customer_id) WHERE subscription_id IS NULL;"


async def forwards() -> None:
    await run_sql(INDEX)
