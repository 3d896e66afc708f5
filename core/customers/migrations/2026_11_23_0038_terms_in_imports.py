"""What files say of how a customer is billed stands in the staging table under the names of the customer's columns."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:38:00"
VERSION = "1"
DESCRIPTION = "billing settings in imports"

COLUMNS = """
ALTER TABLE import_row ADD COLUMN billing_type {key} NOT NULL DEFAULT 'recurring';
ALTER TABLE import_row ADD COLUMN time_zone text NOT NULL DEFAULT '';
ALTER TABLE import_row ADD COLUMN tax_reason text NOT NULL DEFAULT '';
ALTER TABLE import_row ADD COLUMN terms_days integer;
ALTER TABLE import_row ADD COLUMN grace_days integer;
ALTER TABLE import_row ADD COLUMN minimum_balance_minor bigint NOT NULL DEFAULT 0;
ALTER TABLE import_row ADD COLUMN never_block boolean NOT NULL DEFAULT FALSE;
ALTER TABLE import_row ADD COLUMN send_by text NOT NULL DEFAULT 'email';
"""


async def forwards() -> None:
    await run_sql(COLUMNS)
