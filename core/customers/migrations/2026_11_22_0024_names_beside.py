"""The name beside what customers are filtered by most: those of a status or a month in order, without reading a row."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:24:00"
VERSION = "1"
DESCRIPTION = "customers of a status and of a month in the order of their names"

INDEXES = """
DROP INDEX customer_by_joined;
DROP INDEX customer_by_status;
DROP INDEX customer_by_partition_status;
CREATE INDEX customer_by_joined ON customer (joined_on, id, name_key);
CREATE INDEX customer_by_status ON customer (status_id, id, name_key);
CREATE INDEX customer_by_partition_status ON customer (partition_id, status_id, id, name_key);
"""


async def forwards() -> None:
    await run_sql(INDEXES)
