"""Staff, roles, one-time links and API tokens; the roles that every tenant starts with."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "staff"

TABLES = """
CREATE TABLE role (
    id {id},
    label text NOT NULL UNIQUE,
    permissions text NOT NULL,
    builtin boolean NOT NULL DEFAULT FALSE
);
CREATE TABLE staff (
    id {id_never_reused},
    name text NOT NULL CHECK (name <> ''),
    email text NOT NULL,
    email_key {key} NOT NULL UNIQUE,
    password_hash text NOT NULL DEFAULT '',
    role_id bigint NOT NULL REFERENCES role (id),
    active boolean NOT NULL DEFAULT TRUE,
    theme text NOT NULL DEFAULT 'auto' CHECK (theme IN ('auto', 'light', 'dark')),
    narrow boolean NOT NULL DEFAULT FALSE,
    language text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz
);
CREATE INDEX staff_role ON staff (role_id);
CREATE TABLE one_time_link (
    id {id},
    staff_id bigint NOT NULL REFERENCES staff (id) ON DELETE CASCADE,
    purpose text NOT NULL CHECK (purpose IN ('invitation', 'reset')),
    token_hash text NOT NULL UNIQUE,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX one_time_link_staff ON one_time_link (staff_id);
CREATE TABLE api_token (
    id {id},
    name text NOT NULL CHECK (name <> ''),
    token_hash text NOT NULL UNIQUE,
    permissions text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
);
INSERT INTO role (label, permissions, builtin) VALUES
    ('Administrator', '["*"]', TRUE),
    ('Accounts', '["activity.view","billing.run","billing.view","catalog.view","customers.create","customers.edit","customers.view","documents.edit","documents.issue","documents.view","messages.view","payments.register","payments.view","subscriptions.change","subscriptions.view"]', TRUE),
    ('Support', '["activity.view","catalog.view","customers.create","customers.edit","customers.view","documents.view","messages.view","payments.view","subscriptions.change","subscriptions.view"]', TRUE),
    ('Read only', '["activity.view","billing.view","catalog.view","customers.view","documents.view","messages.view","payments.view","subscriptions.view"]', TRUE);
"""


async def forwards() -> None:
    await run_sql(TABLES)
