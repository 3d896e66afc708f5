"""Bundles that customers have: subscriptions that belong together, each with its share of one price."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:30:00"
VERSION = "1"
DESCRIPTION = "bundles of customers"

TABLES = """
CREATE TABLE customer_bundle (
    id {id_never_reused},
    customer_id bigint NOT NULL REFERENCES customer (id),
    bundle_id bigint NOT NULL REFERENCES bundle (id),
    label text NOT NULL DEFAULT '',
    quantity_e6 bigint NOT NULL CHECK (quantity_e6 BETWEEN 1 AND 1000000000000),
    currency text NOT NULL CHECK (length(currency) = 3),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 0 AND 1000000000000),
    cycle_unit text NOT NULL CHECK (cycle_unit IN ('day', 'week', 'month', 'year')),
    cycle_count integer NOT NULL CHECK (cycle_count BETWEEN 1 AND 1096),
    tax_inclusive boolean NOT NULL DEFAULT FALSE,
    dissolved_on date,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1
);
CREATE INDEX customer_bundle_customer ON customer_bundle (customer_id, id);
CREATE INDEX customer_bundle_of ON customer_bundle (bundle_id);
ALTER TABLE subscription ADD COLUMN customer_bundle_id bigint REFERENCES customer_bundle (id);
ALTER TABLE subscription ADD COLUMN bundle_weight bigint NOT NULL DEFAULT 0;
ALTER TABLE subscription ADD COLUMN bundle_quantity_e6 bigint;
CREATE INDEX subscription_bundle ON subscription (customer_bundle_id) WHERE customer_bundle_id IS NOT NULL;
ALTER TABLE subscription_discount ADD COLUMN of_bundle boolean NOT NULL DEFAULT FALSE;
"""


async def forwards() -> None:
    await run_sql(TABLES)
