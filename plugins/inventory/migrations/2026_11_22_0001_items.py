"""Vendors, products, locations, items and imports of them."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "items"

TABLES = """
CREATE TABLE inventory_vendor (
    id {id},
    name text NOT NULL CHECK (name <> ''),
    name_key {key} NOT NULL UNIQUE,
    contact text NOT NULL DEFAULT ''
);
CREATE TABLE inventory_product (
    id {id},
    vendor_id bigint REFERENCES inventory_vendor (id),
    name text NOT NULL CHECK (name <> ''),
    name_key {key} NOT NULL,
    category text NOT NULL DEFAULT '',
    cost_minor bigint CHECK (cost_minor >= 0),
    sell_minor bigint CHECK (sell_minor >= 0),
    tax_category text NOT NULL DEFAULT 'standard',
    tax_inclusive boolean NOT NULL DEFAULT FALSE,
    rent_product_id bigint REFERENCES product (id),
    warranty_months integer NOT NULL DEFAULT 0 CHECK (warranty_months BETWEEN 0 AND 600),
    note text NOT NULL DEFAULT '',
    version bigint NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX inventory_product_name ON inventory_product (coalesce(vendor_id, 0), name_key);
CREATE INDEX inventory_product_vendor ON inventory_product (vendor_id);
CREATE INDEX inventory_product_sorted ON inventory_product (name_key, id);
CREATE TABLE inventory_location (
    id {id},
    name text NOT NULL CHECK (name <> ''),
    name_key {key} NOT NULL UNIQUE,
    note text NOT NULL DEFAULT ''
);
CREATE TABLE inventory_import (
    id {id},
    state text NOT NULL CHECK (state IN ('checked', 'taking', 'done')),
    file_name text NOT NULL,
    file_id bigint,
    location_id bigint REFERENCES inventory_location (id),
    report text NOT NULL DEFAULT '',
    job_id bigint,
    made bigint NOT NULL DEFAULT 0,
    made_by text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE inventory_item (
    id {id_never_reused},
    product_id bigint NOT NULL REFERENCES inventory_product (id),
    serial text NOT NULL CHECK (serial <> ''),
    serial_key {key} NOT NULL UNIQUE,
    mac {key} UNIQUE CHECK (mac <> ''),
    barcode text NOT NULL DEFAULT '',
    barcode_key {key} UNIQUE CHECK (barcode_key <> ''),
    status text NOT NULL CHECK (status IN ('in_stock', 'internal_use', 'assigned', 'rented', 'sold', 'to_return',
        'returned', 'written_off')),
    condition text NOT NULL DEFAULT 'new' CHECK (condition IN ('new', 'used', 'broken')),
    location_id bigint REFERENCES inventory_location (id),
    customer_id bigint REFERENCES customer (id),
    charge_id bigint REFERENCES charge (id),
    subscription_id bigint REFERENCES subscription (id),
    cost_minor bigint CHECK (cost_minor >= 0),
    bought_on date,
    note text NOT NULL DEFAULT '',
    import_id bigint REFERENCES inventory_import (id),
    changed_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    CHECK ((customer_id IS NOT NULL) = (status IN ('assigned', 'rented', 'sold', 'to_return'))),
    CHECK (location_id IS NULL OR status IN ('in_stock', 'internal_use', 'returned'))
);
CREATE INDEX inventory_item_product ON inventory_item (product_id);
CREATE INDEX inventory_item_customer ON inventory_item (customer_id);
CREATE INDEX inventory_item_location ON inventory_item (location_id);
CREATE INDEX inventory_item_status ON inventory_item (status, id);
CREATE INDEX inventory_item_import ON inventory_item (import_id);
"""


async def forwards() -> None:
    await run_sql(TABLES)
