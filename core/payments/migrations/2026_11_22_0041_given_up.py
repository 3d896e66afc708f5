"""Online payments that were given up while their gateway knew nothing for certain: it is asked on for some days."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:40:01"
VERSION = "1"
DESCRIPTION = "given up online payments"

COLUMNS = """
ALTER TABLE online_payment ADD COLUMN given_up_at timestamptz;
ALTER TABLE online_payment ADD COLUMN asked_after bigint NOT NULL DEFAULT 0;
CREATE INDEX online_payment_given_up ON online_payment (asked_after) WHERE given_up_at IS NOT NULL
"""


async def forwards() -> None:
    await run_sql(COLUMNS)
