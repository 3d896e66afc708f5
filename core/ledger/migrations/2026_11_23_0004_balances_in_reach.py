"""Balances by partition are in the index only of customers who have one: a run writes one page less for each of the others."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:04:00"
VERSION = "1"
DESCRIPTION = "balances by partition without customers of none"

INDEXES = """
DROP INDEX customer_balance_partition;
CREATE INDEX customer_balance_partition ON customer_balance (partition_id, balance_minor, customer_id)
    WHERE is_main AND partition_id IS NOT NULL;
"""


async def forwards() -> None:
    await run_sql(INDEXES)
