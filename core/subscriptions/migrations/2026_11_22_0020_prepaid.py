"""Prepaid subscriptions are few beside the others: those of a customer, and those that wait, are found at once."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:20:00"
VERSION = "1"
DESCRIPTION = "prepaid subscriptions"

INDEX = "CREATE INDEX subscription_prepaid ON subscription (customer_id, state) WHERE timing = 'prepaid';"


async def forwards() -> None:
    await run_sql(INDEX)
