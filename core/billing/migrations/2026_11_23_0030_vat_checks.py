"""Checks of VAT ids: who answered and for whom it was asked; two by hand on one day stand beside each other."""

from core.database.migrations import rebuild_table, run_sql

ID = "2026-11-23T00:30:00"
VERSION = "1"
DESCRIPTION = "who checked a VAT id"

DEFINITION = """
CREATE TABLE vat_check (
    id {id},
    vat_id text NOT NULL,
    checked_at timestamptz NOT NULL,
    valid boolean NOT NULL,
    consultation text NOT NULL DEFAULT '',
    customer_id bigint,
    source text NOT NULL DEFAULT '',
    trader_name text NOT NULL DEFAULT '',
    trader_address text NOT NULL DEFAULT ''
)
"""
POSTGRESQL = """
ALTER TABLE vat_check DROP CONSTRAINT vat_check_vat_id_checked_at_key;
ALTER TABLE vat_check ADD COLUMN customer_id bigint;
ALTER TABLE vat_check ADD COLUMN source text NOT NULL DEFAULT '';
ALTER TABLE vat_check ADD COLUMN trader_name text NOT NULL DEFAULT '';
ALTER TABLE vat_check ADD COLUMN trader_address text NOT NULL DEFAULT '';
"""
INDEXES = """
CREATE INDEX vat_check_latest ON vat_check (vat_id, checked_at, id);
CREATE INDEX vat_check_customer ON vat_check (customer_id);
"""


async def forwards() -> None:
    await rebuild_table("vat_check", DEFINITION, postgresql=POSTGRESQL)
    await run_sql(INDEXES)
