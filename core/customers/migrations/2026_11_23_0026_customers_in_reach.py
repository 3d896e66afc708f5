"""Customers by partition are in an index only if they have one: imports write two indexes less for all others."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:26:00"
VERSION = "1"
DESCRIPTION = "customers by partition without those of none"

INDEXES = """
DROP INDEX customer_by_partition_name;
DROP INDEX customer_by_partition_status;
CREATE INDEX customer_by_partition_name ON customer (partition_id, name_key, id) WHERE partition_id IS NOT NULL;
CREATE INDEX customer_by_partition_status ON customer (partition_id, status_id, id, name_key)
    WHERE partition_id IS NOT NULL;
"""


async def forwards() -> None:
    await run_sql(INDEXES)
