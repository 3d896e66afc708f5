"""Customers, their addresses, contacts, tags and notes; the statuses and what they do."""

from core.customers.status import TRANSITIONS
from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "customers"

TABLES = """
CREATE TABLE status (
    id {id},
    key text NOT NULL UNIQUE,
    label text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('lead', 'new', 'live', 'blocked', 'ended')),
    position integer NOT NULL,
    bill boolean NOT NULL,
    serve boolean NOT NULL,
    log_in boolean NOT NULL,
    notify boolean NOT NULL,
    dun boolean NOT NULL,
    may_order boolean NOT NULL,
    may_delete boolean NOT NULL
);
CREATE TABLE status_transition (
    id {id},
    from_id bigint NOT NULL REFERENCES status (id) ON DELETE CASCADE,
    to_id bigint NOT NULL REFERENCES status (id) ON DELETE CASCADE,
    UNIQUE (from_id, to_id)
);
CREATE TABLE location (
    id {id},
    name text NOT NULL,
    name_key {key} NOT NULL UNIQUE
);
CREATE TABLE customer (
    id {id_never_reused},
    kind text NOT NULL DEFAULT 'person' CHECK (kind IN ('person', 'company')),
    full_name text NOT NULL CHECK (full_name <> ''),
    name_key {key} NOT NULL,
    company text NOT NULL DEFAULT '',
    login text NOT NULL DEFAULT '',
    login_key {key} NOT NULL DEFAULT '',
    email_key {key} NOT NULL DEFAULT '',
    phone_e164 {key} NOT NULL DEFAULT '',
    street text NOT NULL DEFAULT '',
    zip {key} NOT NULL DEFAULT '',
    city text NOT NULL DEFAULT '',
    city_key {key} NOT NULL DEFAULT '',
    country {key} NOT NULL DEFAULT '',
    lat double precision,
    lon double precision,
    location_id bigint REFERENCES location (id),
    partition_id bigint,
    parent_id bigint REFERENCES customer (id),
    payer_id bigint REFERENCES customer (id),
    status_id bigint NOT NULL REFERENCES status (id),
    status_reason text NOT NULL DEFAULT 'hand',
    billing_type {key} NOT NULL DEFAULT 'recurring' CHECK (billing_type IN ('recurring', 'prepaid')),
    billing_day integer CHECK (billing_day BETWEEN 1 AND 31),
    currency text NOT NULL CHECK (length(currency) = 3),
    language text NOT NULL DEFAULT '',
    time_zone text NOT NULL DEFAULT '',
    vat_id text NOT NULL DEFAULT '',
    tax_profile text NOT NULL DEFAULT 'standard' CHECK (tax_profile IN ('standard', 'reverse_charge', 'exempt', 'outside')),
    terms_days integer CHECK (terms_days BETWEEN 0 AND 365),
    grace_days integer CHECK (grace_days BETWEEN 0 AND 365),
    minimum_balance_minor bigint NOT NULL DEFAULT 0,
    never_block boolean NOT NULL DEFAULT FALSE,
    send_by text NOT NULL DEFAULT 'email' CHECK (send_by IN ('email', 'post', 'none')),
    live_subscriptions integer NOT NULL DEFAULT 0,
    tags_key {key} NOT NULL DEFAULT '',
    joined_on date NOT NULL,
    external_ref text NOT NULL DEFAULT '',
    anonymised_at timestamptz,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX customer_login ON customer (login_key) WHERE login_key <> '';
CREATE UNIQUE INDEX customer_external_ref ON customer (external_ref) WHERE external_ref <> '';
CREATE INDEX customer_by_name ON customer (name_key, id);
CREATE INDEX customer_by_login ON customer (login_key, id);
CREATE INDEX customer_by_email ON customer (email_key, id);
CREATE INDEX customer_by_phone ON customer (phone_e164, id);
CREATE INDEX customer_by_joined ON customer (joined_on, id);
CREATE INDEX customer_by_status ON customer (status_id, id);
CREATE INDEX customer_by_billing_type ON customer (billing_type, id);
CREATE INDEX customer_by_location ON customer (location_id, id);
CREATE INDEX customer_by_city ON customer (city_key, id);
CREATE INDEX customer_by_zip ON customer (zip, id);
CREATE INDEX customer_by_country ON customer (country, id);
CREATE INDEX customer_by_services ON customer (live_subscriptions, id);
CREATE INDEX customer_by_tags ON customer (tags_key, id);
CREATE INDEX customer_by_partition_name ON customer (partition_id, name_key, id);
CREATE INDEX customer_by_partition_status ON customer (partition_id, status_id, id);
CREATE INDEX customer_parent ON customer (parent_id);
CREATE INDEX customer_payer ON customer (payer_id) WHERE payer_id IS NOT NULL;
CREATE TABLE customer_address (
    id {id},
    customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('email', 'billing_email', 'phone')),
    position integer NOT NULL CHECK (position >= 0),
    value text NOT NULL,
    value_key {key} NOT NULL,
    UNIQUE (customer_id, kind, position)
);
CREATE INDEX customer_address_value ON customer_address (value_key);
CREATE TABLE contact (
    id {id},
    customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    is_user boolean NOT NULL DEFAULT FALSE,
    salutation text NOT NULL DEFAULT '',
    first_name text NOT NULL DEFAULT '',
    surname text NOT NULL DEFAULT '',
    email text NOT NULL DEFAULT '',
    email_key {key} NOT NULL DEFAULT '',
    phone text NOT NULL DEFAULT '',
    role text NOT NULL DEFAULT '',
    gets_documents boolean NOT NULL DEFAULT FALSE
);
CREATE INDEX contact_customer ON contact (customer_id);
CREATE INDEX contact_email ON contact (email_key);
CREATE TABLE tag (
    id {id},
    name text NOT NULL,
    name_key {key} NOT NULL UNIQUE,
    colour integer NOT NULL DEFAULT 6 CHECK (colour BETWEEN 1 AND 6)
);
CREATE TABLE customer_tag (
    id {id},
    customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    tag_id bigint NOT NULL REFERENCES tag (id) ON DELETE CASCADE,
    UNIQUE (customer_id, tag_id)
);
CREATE INDEX customer_tag_tag ON customer_tag (tag_id, customer_id);
CREATE TABLE note (
    id {id},
    customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    text text NOT NULL CHECK (text <> ''),
    pinned boolean NOT NULL DEFAULT FALSE,
    author text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz
);
CREATE INDEX note_customer ON note (customer_id, id);
INSERT INTO status (key, label, kind, position, bill, serve, log_in, notify, dun, may_order, may_delete) VALUES
    ('new', 'New', 'new', 1, FALSE, FALSE, TRUE, TRUE, FALSE, TRUE, FALSE),
    ('active', 'Active', 'live', 2, TRUE, TRUE, TRUE, TRUE, TRUE, TRUE, FALSE),
    ('blocked', 'Blocked', 'blocked', 3, TRUE, FALSE, TRUE, TRUE, TRUE, FALSE, FALSE),
    ('inactive', 'Inactive', 'ended', 4, FALSE, FALSE, TRUE, FALSE, FALSE, FALSE, TRUE),
    ('closed', 'Closed', 'ended', 5, FALSE, FALSE, FALSE, FALSE, FALSE, FALSE, FALSE),
    ('cancelled', 'Cancelled', 'ended', 6, FALSE, FALSE, FALSE, TRUE, TRUE, FALSE, FALSE),
    ('terminated', 'Terminated', 'ended', 7, FALSE, FALSE, FALSE, TRUE, TRUE, FALSE, FALSE);
"""


async def forwards() -> None:
    await run_sql(TABLES)
    for start, ends in TRANSITIONS.items():
        for end in sorted(ends):
            await run_sql(
                "INSERT INTO status_transition (from_id, to_id) "
                f"SELECT f.id, t.id FROM status f, status t WHERE f.key = '{start}' AND t.key = '{end}'"
            )
