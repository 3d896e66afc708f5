"""Contracts that renew after their minimum term, and introductory prices."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:20:00"
VERSION = "1"
DESCRIPTION = "contracts and introductory prices"

TABLES = """
ALTER TABLE product ADD COLUMN renew_unit text CHECK (renew_unit IN ('day', 'week', 'month', 'year'));
ALTER TABLE product ADD COLUMN renew_count integer CHECK (renew_count > 0);
ALTER TABLE price ADD COLUMN intro_minor bigint CHECK (intro_minor BETWEEN 0 AND 1000000000000);
ALTER TABLE price ADD COLUMN intro_cycles integer CHECK (intro_cycles BETWEEN 1 AND 120);
"""


async def forwards() -> None:
    await run_sql(TABLES)
