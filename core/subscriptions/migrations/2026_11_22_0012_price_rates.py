"""The rate that turned a list price into the currency of a term, kept with the term."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:12:00"
VERSION = "1"
DESCRIPTION = "price rates"

TABLES = """
ALTER TABLE subscription_term ADD COLUMN price_rate_e10 bigint CHECK (price_rate_e10 > 0);
"""


async def forwards() -> None:
    await run_sql(TABLES)
