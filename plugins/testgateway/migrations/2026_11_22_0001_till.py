"""What the test gateway was asked for, and what its payers did."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "till"

TABLES = """
CREATE TABLE testgateway_payment (
    id {id},
    token {key} NOT NULL UNIQUE,
    order_key {key} NOT NULL UNIQUE,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    text text NOT NULL,
    back text NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'paid', 'declined')),
    fee_minor bigint NOT NULL DEFAULT 0,
    paid_out boolean NOT NULL DEFAULT FALSE,
    created_at timestamptz NOT NULL
);
CREATE TABLE testgateway_refund (
    id {id},
    order_key {key} NOT NULL UNIQUE,
    payment_id bigint NOT NULL REFERENCES testgateway_payment (id),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0)
);
"""


async def forwards() -> None:
    await run_sql(TABLES)
