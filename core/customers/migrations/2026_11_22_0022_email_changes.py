"""New e-mails of users that wait to be confirmed where they are: one a user, its link only as a hash."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:22:00"
VERSION = "1"
DESCRIPTION = "changes of e-mails"

TABLES = """
CREATE TABLE email_change (
    id {id_never_reused},
    customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    contact_id bigint NOT NULL UNIQUE REFERENCES contact (id) ON DELETE CASCADE,
    email text NOT NULL,
    email_key {key} NOT NULL,
    token_hash {key} NOT NULL DEFAULT '',
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL,
    expires_at timestamptz
);
CREATE INDEX email_change_customer ON email_change (customer_id);
CREATE UNIQUE INDEX email_change_token ON email_change (token_hash) WHERE token_hash <> '';
"""


async def forwards() -> None:
    await run_sql(TABLES)
