"""PostgreSQL's index of main balances by customer holds the balance, too: lists sort some thousand by it, and would read
a page of the table for each. No write gets more to do: a balance that changes was in each index anew before.
"""

from core.database.migrations import run_sql

ID = "2026-11-23T00:05:00"
VERSION = "1"
DESCRIPTION = "main balances in the index of their customers"

POSTGRESQL = """
DROP INDEX customer_balance_main;
CREATE UNIQUE INDEX customer_balance_main ON customer_balance (customer_id) INCLUDE (balance_minor) WHERE is_main;
"""


async def forwards() -> None:
    await run_sql(postgresql=POSTGRESQL)
