"""Files by the hash of what is in them."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "documents"

TABLES = """
CREATE TABLE stored_file (
    id {id_never_reused},
    sha256 {key} NOT NULL CHECK (length(sha256) = 64),
    size bigint NOT NULL CHECK (size >= 0),
    media_type text NOT NULL,
    name text NOT NULL CHECK (name <> ''),
    customer_id bigint,
    created_at timestamptz NOT NULL
);
CREATE INDEX stored_file_customer ON stored_file (customer_id, id) WHERE customer_id IS NOT NULL;
CREATE INDEX stored_file_sha256 ON stored_file (sha256);
"""


async def forwards() -> None:
    await run_sql(TABLES)
