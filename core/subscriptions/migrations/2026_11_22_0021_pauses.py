"""Pauses: a planned window without service and without a bill. What is credited for one is told apart from an end's."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:21:00"
VERSION = "1"
DESCRIPTION = "pauses"

TABLES = """
CREATE TABLE subscription_pause (
    id {id_never_reused},
    subscription_id bigint NOT NULL REFERENCES subscription (id),
    from_on date NOT NULL,
    to_on date NOT NULL CHECK (to_on > from_on),
    resumed_on date,
    hold_minor bigint NOT NULL DEFAULT 0 CHECK (hold_minor BETWEEN 0 AND 1000000000000),
    reason text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'running', 'done', 'dropped')),
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX subscription_pause_open ON subscription_pause (subscription_id) WHERE state IN ('planned', 'running');
CREATE INDEX subscription_pause_of ON subscription_pause (subscription_id);
CREATE INDEX subscription_pause_begins ON subscription_pause (from_on) WHERE state = 'planned';
CREATE INDEX subscription_pause_ends ON subscription_pause (to_on) WHERE state = 'running';
ALTER TABLE credited_span ADD COLUMN pause_id bigint REFERENCES subscription_pause (id);
"""


async def forwards() -> None:
    await run_sql(TABLES)
