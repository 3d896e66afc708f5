"""Tax relief of bad debts: by rate, and taken back where the loss is."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:40:00"
VERSION = "1"
DESCRIPTION = "tax relief"

TABLES = """
CREATE TABLE tax_relief (
    id {id_never_reused},
    document_id bigint NOT NULL REFERENCES document (id),
    tax_rate_id bigint REFERENCES tax_rate (id),
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    base_minor bigint NOT NULL,
    reason text NOT NULL DEFAULT '',
    granted_on date NOT NULL
);
CREATE INDEX tax_relief_document ON tax_relief (document_id);
"""


async def forwards() -> None:
    await run_sql(TABLES)
