"""Messages with their files, and the tenant's own words for them. A message outlives its customer's row."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "messages"

TABLES = """
CREATE TABLE message (
    id {id_never_reused},
    kind text NOT NULL,
    customer_id bigint,
    language text NOT NULL,
    recipients text NOT NULL,
    copies text NOT NULL DEFAULT '[]',
    fields text NOT NULL,
    subject text NOT NULL DEFAULT '',
    body text NOT NULL DEFAULT '',
    message_id text NOT NULL UNIQUE,
    dedupe_key text UNIQUE,
    job_id bigint,
    answer text NOT NULL DEFAULT '',
    refused text NOT NULL DEFAULT '{}',
    sent_by text NOT NULL DEFAULT '' CHECK (sent_by IN ('', 'server', 'hand')),
    actor text NOT NULL,
    created_at timestamptz NOT NULL,
    sent_at timestamptz
);
CREATE INDEX message_customer ON message (customer_id, id) WHERE customer_id IS NOT NULL;
CREATE INDEX message_without_job ON message (id) WHERE job_id IS NULL AND sent_at IS NULL;
CREATE INDEX message_unsent ON message (id) WHERE sent_at IS NULL;
CREATE INDEX message_job ON message (job_id);
CREATE TABLE message_file (
    id {id},
    message_id bigint NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    position integer NOT NULL,
    file_id bigint NOT NULL REFERENCES stored_file (id),
    UNIQUE (message_id, position)
);
CREATE INDEX message_file_file ON message_file (file_id);
CREATE TABLE message_template (
    id {id},
    kind text NOT NULL,
    language text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    changed_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    UNIQUE (kind, language)
);
"""


async def forwards() -> None:
    await run_sql(TABLES)
