"""Imports: what a file held, record by record, until it is taken over; and which record became which customer.

The customer's columns stand in `import_row` under their own names, so that taking over is one `INSERT … SELECT`; what a
record has several of stands there as JSON. What was never mapped, and what is never imported (cards, secrets), is not in
here. A record is known by an id of its own, so that joining it needs no statistics of the batch.
"""

from core.database.migrations import run_sql

ID = "2026-11-22T00:02:00"
VERSION = "1"
DESCRIPTION = "imports"

TABLES = """
CREATE TABLE import_batch (
    id {id_never_reused},
    state {key} NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'checked', 'taking', 'done', 'undoing', 'undone')),
    file_name text NOT NULL,
    file_path text NOT NULL DEFAULT '',
    file_sha256 {key} NOT NULL,
    mapping text NOT NULL,
    checked_as text NOT NULL DEFAULT '',
    report text NOT NULL DEFAULT '',
    mode text NOT NULL DEFAULT '',
    taken_to bigint NOT NULL DEFAULT 0,
    made bigint NOT NULL DEFAULT 0,
    kept bigint NOT NULL DEFAULT 0,
    job_id bigint,
    made_by text NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE UNIQUE INDEX import_batch_file ON import_batch (file_sha256) WHERE state <> 'undone';
CREATE TABLE import_row (
    id {id_never_reused},
    batch_id bigint NOT NULL REFERENCES import_batch (id) ON DELETE CASCADE,
    record bigint NOT NULL,
    line bigint NOT NULL,
    name text NOT NULL,
    good boolean NOT NULL,
    is_customer boolean NOT NULL,
    kind text NOT NULL DEFAULT '',
    full_name text NOT NULL DEFAULT '',
    name_key {key} NOT NULL DEFAULT '',
    company text NOT NULL DEFAULT '',
    login text NOT NULL DEFAULT '',
    login_key {key} NOT NULL DEFAULT '',
    external_ref text NOT NULL DEFAULT '',
    email_key {key} NOT NULL DEFAULT '',
    phone_e164 {key} NOT NULL DEFAULT '',
    street text NOT NULL DEFAULT '',
    zip {key} NOT NULL DEFAULT '',
    city text NOT NULL DEFAULT '',
    city_key {key} NOT NULL DEFAULT '',
    country {key} NOT NULL DEFAULT '',
    lat double precision,
    lon double precision,
    location text NOT NULL DEFAULT '',
    location_key {key} NOT NULL DEFAULT '',
    status_key text NOT NULL DEFAULT '',
    currency text NOT NULL DEFAULT '',
    language text NOT NULL DEFAULT '',
    vat_id text NOT NULL DEFAULT '',
    tax_profile text NOT NULL DEFAULT '',
    billing_day integer,
    joined_on date,
    opening_minor bigint NOT NULL DEFAULT 0,
    note text NOT NULL DEFAULT '',
    contact_first_name text NOT NULL DEFAULT '',
    contact_surname text NOT NULL DEFAULT '',
    contact_role text NOT NULL DEFAULT '',
    contact_email text NOT NULL DEFAULT '',
    parent_ref text NOT NULL DEFAULT '',
    addresses text NOT NULL DEFAULT '[]',
    tags text NOT NULL DEFAULT '[]',
    children text NOT NULL DEFAULT '[]',
    services text NOT NULL DEFAULT '',
    errors text NOT NULL DEFAULT '',
    warnings text NOT NULL DEFAULT '',
    cells text NOT NULL DEFAULT '',
    UNIQUE (batch_id, record)
);
CREATE TABLE import_customer (
    row_id bigint PRIMARY KEY,
    batch_id bigint NOT NULL REFERENCES import_batch (id) ON DELETE CASCADE,
    customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
)CLUSTERED;
CREATE UNIQUE INDEX import_customer_customer ON import_customer (customer_id);
CREATE INDEX import_customer_batch ON import_customer (batch_id, customer_id);
"""


async def forwards() -> None:
    await run_sql(
        sqlite=TABLES.replace("CLUSTERED", " WITHOUT ROWID"),
        postgresql=TABLES.replace("CLUSTERED", ""),
    )
