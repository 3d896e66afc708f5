"""By which check of the buyer's VAT id an invoice has no tax: noted as it is issued, kept as long as its buyer is."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:31:00"
VERSION = "1"
DESCRIPTION = "checks of VAT ids that invoices rest on"

SQL = """
CREATE TABLE document_vat_check (
    document_id DOCUMENT_KEY REFERENCES document (id) DEFERRABLE INITIALLY DEFERRED,
    vat_check_id bigint NOT NULL REFERENCES vat_check (id)
);
CREATE INDEX document_vat_check_check ON document_vat_check (vat_check_id);
"""


async def forwards() -> None:
    await run_sql(
        sqlite=SQL.replace("DOCUMENT_KEY", "INTEGER PRIMARY KEY"),
        postgresql=SQL.replace("DOCUMENT_KEY", "bigint PRIMARY KEY"),
    )
