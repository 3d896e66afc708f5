"""The index of days holds the status beside the name: what a span of days and a status leave is found, counted and put
in the order of names by it alone.
"""

from core.database.migrations import run_sql

ID = "2026-11-23T00:33:00"
VERSION = "1"
DESCRIPTION = "status of customers in the index of days"

INDEXES = """
DROP INDEX customer_by_joined;
CREATE INDEX customer_by_joined ON customer (joined_on, id, name_key, status_id);
"""


async def forwards() -> None:
    await run_sql(INDEXES)
