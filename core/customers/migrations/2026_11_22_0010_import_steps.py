"""What is made of the records of an import once its customers are here: how far each step has come, and of which records
it has made something, each once for ever. A record's id is never given twice, so the key outlives the record.

Beside it three things that a record says: whether it continues the one above, the number of what is owed, and the texts
of fields that plugins have asked for.
"""

from core.database.migrations import run_sql

ID = "2026-11-22T00:10:00"
VERSION = "1"
DESCRIPTION = "steps of imports"

TABLES = """
CREATE TABLE import_step (
    id {id_never_reused},
    batch_id bigint NOT NULL REFERENCES import_batch (id) ON DELETE CASCADE,
    key {key} NOT NULL,
    state {key} NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'taking', 'done', 'undoing', 'undone')),
    choices text NOT NULL DEFAULT '{}',
    turn bigint NOT NULL DEFAULT 0,
    taken_to bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,
    taken bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    made_by text NOT NULL DEFAULT '',
    started_at timestamptz,
    finished_at timestamptz,
    UNIQUE (batch_id, key)
);
CREATE TABLE import_taken (
    step {key} NOT NULL,
    row_id bigint NOT NULL,
    batch_id bigint NOT NULL REFERENCES import_batch (id) ON DELETE CASCADE,
    record bigint NOT NULL,
    turn bigint NOT NULL,
    refused text NOT NULL DEFAULT '',
    PRIMARY KEY (step, row_id)
)CLUSTERED;
CREATE INDEX import_taken_batch ON import_taken (batch_id, step, record);
ALTER TABLE import_row ADD COLUMN continues boolean NOT NULL DEFAULT FALSE;
ALTER TABLE import_row ADD COLUMN opening_number text NOT NULL DEFAULT '';
ALTER TABLE import_row ADD COLUMN more text NOT NULL DEFAULT '';
UPDATE import_row SET continues = TRUE WHERE good AND NOT is_customer AND services LIKE '%"customer_login":""%';
"""


async def forwards() -> None:
    await run_sql(
        sqlite=TABLES.replace("CLUSTERED", " WITHOUT ROWID"),
        postgresql=TABLES.replace("CLUSTERED", ""),
    )
