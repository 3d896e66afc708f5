"""What a staff user logs in with beside the password, its own time zone, and roles that ask for a second factor."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:01"
VERSION = "2"
DESCRIPTION = "second factors"

TABLES = """
ALTER TABLE staff ADD COLUMN time_zone text NOT NULL DEFAULT '';
ALTER TABLE staff ADD COLUMN totp_sealed text NOT NULL DEFAULT '';
ALTER TABLE staff ADD COLUMN totp_step bigint NOT NULL DEFAULT 0;
ALTER TABLE staff ADD COLUMN totp_since timestamptz;
ALTER TABLE role ADD COLUMN second_factor boolean NOT NULL DEFAULT FALSE;
CREATE TABLE recovery_code (
    id {id},
    staff_id bigint NOT NULL REFERENCES staff (id) ON DELETE CASCADE,
    code_hash text NOT NULL,
    used_at timestamptz,
    UNIQUE (staff_id, code_hash)
);
CREATE TABLE passkey (
    id {id},
    staff_id bigint NOT NULL REFERENCES staff (id) ON DELETE CASCADE,
    name text NOT NULL CHECK (name <> ''),
    credential_id text NOT NULL UNIQUE,
    public_key text NOT NULL,
    sign_count bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz
);
CREATE INDEX passkey_staff ON passkey (staff_id);
CREATE TABLE passkey_challenge (
    id {id},
    challenge_hash text NOT NULL UNIQUE,
    purpose text NOT NULL CHECK (purpose IN ('add', 'log-in')),
    staff_id bigint REFERENCES staff (id) ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
CREATE INDEX passkey_challenge_expires ON passkey_challenge (expires_at);
"""


async def forwards() -> None:
    await run_sql(TABLES)
