"""A refund is taken off one payout, also where its payment was paid out before."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:02:00"
VERSION = "1"
DESCRIPTION = "refunds paid out"

TABLES = """
ALTER TABLE testgateway_refund ADD COLUMN paid_out boolean NOT NULL DEFAULT FALSE;
UPDATE testgateway_refund SET paid_out = TRUE
WHERE payment_id IN (SELECT id FROM testgateway_payment WHERE paid_out);
"""


async def forwards() -> None:
    await run_sql(TABLES)
