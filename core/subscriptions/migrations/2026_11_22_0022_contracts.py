"""What was agreed of a contract is copied when it starts: notice, renewal, the fee for ending it early. A discount may
hold for so many cycles from the first charged day on."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:22:00"
VERSION = "1"
DESCRIPTION = "contracts"

TABLES = """
ALTER TABLE subscription ADD COLUMN notice_days integer NOT NULL DEFAULT 0 CHECK (notice_days BETWEEN 0 AND 366);
ALTER TABLE subscription ADD COLUMN renew_unit text CHECK (renew_unit IN ('day', 'week', 'month', 'year'));
ALTER TABLE subscription ADD COLUMN renew_count integer CHECK (renew_count > 0);
ALTER TABLE subscription ADD COLUMN termination_minor bigint NOT NULL DEFAULT 0
    CHECK (termination_minor BETWEEN 0 AND 1000000000000);
ALTER TABLE subscription_discount ADD COLUMN cycles integer CHECK (cycles BETWEEN 1 AND 120);
UPDATE subscription SET notice_days = (SELECT p.notice_days FROM product p WHERE p.id = subscription.product_id);
"""


async def forwards() -> None:
    await run_sql(TABLES)
