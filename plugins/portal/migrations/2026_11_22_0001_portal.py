"""Passwords of users, links to a new one, and visits of the staff in a customer's place."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "portal"

TABLES = """
CREATE TABLE portal_user (
    contact_id bigint PRIMARY KEY REFERENCES contact (id) ON DELETE CASCADE,
    customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    password_hash text NOT NULL CHECK (password_hash <> ''),
    password_set_at timestamptz NOT NULL
);
CREATE INDEX portal_user_customer ON portal_user (customer_id);
CREATE TABLE portal_link (
    id {id},
    customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    contact_id bigint REFERENCES contact (id) ON DELETE CASCADE,
    token_hash {key} NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX portal_link_customer ON portal_link (customer_id);
CREATE INDEX portal_link_contact ON portal_link (contact_id);
CREATE TABLE portal_visit (
    id {id_never_reused},
    customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    staff_id bigint NOT NULL REFERENCES staff (id),
    begun_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX portal_visit_customer ON portal_visit (customer_id);
"""


async def forwards() -> None:
    await run_sql(TABLES)
