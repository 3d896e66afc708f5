"""What is done to many rows of a list at once: the selection as it stood when it was made, and what became of each row."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:10:00"
VERSION = "1"
DESCRIPTION = "deeds on many rows of a list"

TABLES = """
CREATE TABLE bulk_run (
    id {id_never_reused},
    listing {key} NOT NULL,
    action {key} NOT NULL,
    state {key} NOT NULL CHECK (state IN ('chosen', 'planning', 'planned', 'doing', 'done')),
    form text NOT NULL DEFAULT '{}',
    address text,
    total bigint NOT NULL,
    plan text NOT NULL DEFAULT '{}',
    turn bigint NOT NULL DEFAULT 0,
    at_once boolean NOT NULL DEFAULT FALSE,
    job_id bigint,
    after_id bigint,
    made_by text NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE INDEX bulk_run_created ON bulk_run (created_at);
CREATE TABLE bulk_row (
    run_id bigint NOT NULL REFERENCES bulk_run (id) ON DELETE CASCADE,
    row_id bigint NOT NULL,
    state {key} NOT NULL DEFAULT 'chosen' CHECK (state IN
        ('chosen', 'ready', 'nothing', 'refused', 'changed', 'done')),
    digest text NOT NULL DEFAULT '',
    told text NOT NULL DEFAULT '',
    PRIMARY KEY (run_id, row_id)
)CLUSTERED;
CREATE INDEX bulk_row_state ON bulk_row (run_id, state, row_id);
CREATE INDEX bulk_row_row ON bulk_row (row_id);
"""


async def forwards() -> None:
    await run_sql(sqlite=TABLES.replace("CLUSTERED", " WITHOUT ROWID"), postgresql=TABLES.replace("CLUSTERED", ""))
