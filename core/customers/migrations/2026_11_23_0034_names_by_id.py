"""Names by id on SQLite, as PostgreSQL has them (0025): of many customers who may be meant the first by name are found
without reading a customer.
"""

from core.database.migrations import run_sql

ID = "2026-11-23T00:34:00"
VERSION = "1"
DESCRIPTION = "names of customers by id"


async def forwards() -> None:
    await run_sql(sqlite="CREATE INDEX customer_beside_id ON customer (id, name_key)")
