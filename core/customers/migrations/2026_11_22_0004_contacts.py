"""Contacts: which documents they get, a note, and the version that they are saved against."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:04:00"
VERSION = "1"
DESCRIPTION = "documents of contacts"

TABLES = """
ALTER TABLE contact ADD COLUMN note text NOT NULL DEFAULT '';
ALTER TABLE contact ADD COLUMN gets_invoices boolean NOT NULL DEFAULT FALSE;
ALTER TABLE contact ADD COLUMN gets_reminders boolean NOT NULL DEFAULT FALSE;
ALTER TABLE contact ADD COLUMN gets_statements boolean NOT NULL DEFAULT FALSE;
ALTER TABLE contact ADD COLUMN version bigint NOT NULL DEFAULT 1;
UPDATE contact SET gets_invoices = gets_documents, gets_reminders = gets_documents, gets_statements = gets_documents;
ALTER TABLE contact DROP COLUMN gets_documents;
CREATE UNIQUE INDEX contact_user ON contact (customer_id, email_key) WHERE is_user AND email_key <> '';
"""


async def forwards() -> None:
    await run_sql(TABLES)
