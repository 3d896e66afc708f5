"""Monthly recurring revenue: where each customer stands, and every step that led there.

A customer stands at the sum of its steps. Steps are written once a day, by the difference to the terms that are agreed.
"""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "monthly recurring revenue"

TABLES = """
CREATE TABLE customer_mrr (
    customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    currency text NOT NULL,
    mrr_minor bigint NOT NULL CHECK (mrr_minor >= 0),
    PRIMARY KEY (customer_id, currency)
);
CREATE TABLE mrr_movement (
    id {id},
    moved_on date NOT NULL,
    customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    currency text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('new', 'reactivation', 'expansion', 'contraction', 'churn')),
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    after_minor bigint NOT NULL
);
CREATE INDEX mrr_movement_day ON mrr_movement (moved_on, kind, currency, amount_minor);
CREATE INDEX mrr_movement_customer ON mrr_movement (customer_id);
CREATE TABLE mrr_mark (
    one integer PRIMARY KEY CHECK (one = 1),
    as_of_on date
);
INSERT INTO mrr_mark (one) VALUES (1);
"""


async def forwards() -> None:
    await run_sql(TABLES)
