"""A rate agreed with a customer may end: from that day on the tenant's own converts its prices again."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:02:00"
VERSION = "1"
DESCRIPTION = "rates of customers"

TABLES = """
ALTER TABLE customer_fx_rate ADD COLUMN valid_to date CHECK (valid_to > valid_from);
"""


async def forwards() -> None:
    await run_sql(TABLES)
