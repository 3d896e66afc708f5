"""Sessions, and answers kept for idempotency keys."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "web"

TABLES = """
CREATE TABLE session (
    id {id},
    token_hash text NOT NULL UNIQUE,
    actor_kind text NOT NULL,
    actor_id bigint NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    address text NOT NULL DEFAULT '',
    agent text NOT NULL DEFAULT ''
);
CREATE INDEX session_actor ON session (actor_kind, actor_id);
CREATE INDEX session_expires ON session (expires_at);
CREATE TABLE idempotency (
    id {id},
    actor text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    body_hash text NOT NULL,
    status integer NOT NULL,
    answer text NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (actor, route, key)
);
CREATE INDEX idempotency_created ON idempotency (created_at);
"""


async def forwards() -> None:
    await run_sql(TABLES)
