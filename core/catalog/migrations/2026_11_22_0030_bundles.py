"""Bundles: products sold together, under one name and at a price of their own."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:30:00"
VERSION = "1"
DESCRIPTION = "bundles"

TABLES = """
CREATE TABLE bundle (
    id {id_never_reused},
    code {key} NOT NULL UNIQUE CHECK (code <> ''),
    name text NOT NULL CHECK (name <> ''),
    description text NOT NULL DEFAULT '',
    shares text NOT NULL DEFAULT 'prices' CHECK (shares IN ('prices', 'weights')),
    available_from date,
    available_to date,
    position integer NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 1
);
CREATE TABLE bundle_member (
    id {id},
    bundle_id bigint NOT NULL REFERENCES bundle (id),
    position integer NOT NULL,
    product_id bigint NOT NULL REFERENCES product (id),
    quantity_e6 bigint NOT NULL CHECK (quantity_e6 BETWEEN 1 AND 1000000000000),
    weight bigint NOT NULL DEFAULT 0 CHECK (weight BETWEEN 0 AND 1000000000000),
    UNIQUE (bundle_id, position),
    UNIQUE (bundle_id, product_id)
);
CREATE INDEX bundle_member_product ON bundle_member (product_id);
CREATE TABLE bundle_price (
    id {id},
    bundle_id bigint NOT NULL REFERENCES bundle (id),
    currency text NOT NULL CHECK (length(currency) = 3),
    cycle_unit text NOT NULL CHECK (cycle_unit IN ('day', 'week', 'month', 'year')),
    cycle_count integer NOT NULL CHECK (cycle_count BETWEEN 1 AND 1096),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 0 AND 1000000000000),
    setup_minor bigint NOT NULL DEFAULT 0 CHECK (setup_minor BETWEEN 0 AND 1000000000000),
    termination_minor bigint NOT NULL DEFAULT 0 CHECK (termination_minor BETWEEN 0 AND 1000000000000),
    tax_inclusive boolean NOT NULL DEFAULT FALSE,
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to > valid_from),
    UNIQUE (bundle_id, currency, cycle_unit, cycle_count, valid_from)
);
"""


async def forwards() -> None:
    await run_sql(TABLES)
