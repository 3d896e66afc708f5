"""Products and items."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "items"

TABLES = """
CREATE TABLE inventory_product (
    id {id},
    vendor text NOT NULL DEFAULT '',
    name text NOT NULL CHECK (name <> ''),
    UNIQUE (vendor, name)
);
CREATE TABLE inventory_item (
    id {id_never_reused},
    product_id bigint NOT NULL REFERENCES inventory_product (id),
    serial text NOT NULL CHECK (serial <> ''),
    serial_key {key} NOT NULL UNIQUE,
    barcode text NOT NULL DEFAULT '',
    status text NOT NULL CHECK (status IN ('in_stock', 'assigned', 'to_return', 'written_off')),
    customer_id bigint REFERENCES customer (id),
    note text NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL,
    CHECK ((customer_id IS NOT NULL) = (status IN ('assigned', 'to_return')))
);
CREATE INDEX inventory_item_product ON inventory_item (product_id);
CREATE INDEX inventory_item_customer ON inventory_item (customer_id);
CREATE INDEX inventory_item_status ON inventory_item (status, id);
"""


async def forwards() -> None:
    await run_sql(TABLES)
