"""Payments, refunds and deposits, and the methods by which money moves."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "payments"

TABLES = """
CREATE TABLE payment_method (
    id {id},
    code {key} NOT NULL UNIQUE CHECK (code <> ''),
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('cash', 'transfer', 'card', 'debit', 'gateway', 'other')),
    account_code text NOT NULL DEFAULT '1200',
    active boolean NOT NULL DEFAULT TRUE,
    position integer NOT NULL DEFAULT 0
);
CREATE TABLE payment (
    id {id_never_reused},
    payer_id bigint REFERENCES customer (id),
    method_id bigint NOT NULL REFERENCES payment_method (id),
    state text NOT NULL CHECK (state IN ('pending', 'received', 'failed', 'part_reversed', 'reversed', 'unknown')),
    currency text NOT NULL CHECK (length(currency) = 3),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 1 AND 1000000000000),
    bank_currency text NOT NULL,
    bank_amount_minor bigint NOT NULL CHECK (bank_amount_minor > 0),
    fee_minor bigint NOT NULL DEFAULT 0 CHECK (fee_minor >= 0),
    received_on date NOT NULL,
    reference text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    names_document_id bigint REFERENCES document (id),
    provider text,
    provider_event_id text,
    reversed_minor bigint NOT NULL DEFAULT 0 CHECK (reversed_minor BETWEEN 0 AND amount_minor),
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX payment_event ON payment (provider, provider_event_id) WHERE provider IS NOT NULL;
CREATE INDEX payment_payer ON payment (payer_id, received_on, id);
CREATE INDEX payment_received ON payment (received_on, id);
CREATE INDEX payment_waiting ON payment (state) WHERE state IN ('pending', 'unknown');
CREATE TABLE refund (
    id {id_never_reused},
    credit_entry_id bigint NOT NULL REFERENCES credit_entry (id),
    customer_id bigint NOT NULL REFERENCES customer (id),
    method_id bigint NOT NULL REFERENCES payment_method (id),
    state text NOT NULL CHECK (state IN ('pending', 'done', 'failed', 'unknown')),
    currency text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    reason text NOT NULL DEFAULT '',
    reference text NOT NULL DEFAULT '',
    refunded_on date NOT NULL,
    provider text,
    provider_key text,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX refund_key ON refund (provider, provider_key) WHERE provider IS NOT NULL;
CREATE INDEX refund_customer ON refund (customer_id, refunded_on, id);
CREATE INDEX refund_credit ON refund (credit_entry_id);
CREATE TABLE deposit (
    id {id_never_reused},
    customer_id bigint NOT NULL REFERENCES customer (id),
    method_id bigint REFERENCES payment_method (id),
    currency text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    left_minor bigint NOT NULL CHECK (left_minor BETWEEN 0 AND amount_minor),
    state text NOT NULL CHECK (state IN ('held', 'applied', 'paid_back')),
    reason text NOT NULL DEFAULT '',
    received_on date NOT NULL
);
CREATE INDEX deposit_customer ON deposit (customer_id, id);
INSERT INTO payment_method (code, name, kind, account_code, position) VALUES
    ('transfer', 'Bank transfer', 'transfer', '1200', 1),
    ('cash', 'Cash', 'cash', '1200', 2),
    ('card', 'Card terminal', 'card', '1200', 3);
"""

SQLITE_TRIGGERS = """
CREATE TRIGGER payment_stays_update BEFORE UPDATE OF currency, amount_minor, bank_currency, bank_amount_minor, fee_minor ON payment
WHEN OLD.state NOT IN ('pending', 'unknown')
BEGIN SELECT RAISE(ABORT, 'a payment that was received keeps its amounts'); END;
CREATE TRIGGER payment_stays_delete BEFORE DELETE ON payment WHEN OLD.state NOT IN ('pending', 'failed')
BEGIN SELECT RAISE(ABORT, 'a payment that was received stays'); END;
"""

POSTGRESQL_TRIGGERS = """
CREATE FUNCTION payment_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'a payment that was received keeps its amounts'; END $$;
CREATE TRIGGER payment_stays_update BEFORE UPDATE OF currency, amount_minor, bank_currency, bank_amount_minor, fee_minor ON payment
    FOR EACH ROW WHEN (OLD.state NOT IN ('pending', 'unknown')) EXECUTE FUNCTION payment_stays();
CREATE TRIGGER payment_stays_delete BEFORE DELETE ON payment
    FOR EACH ROW WHEN (OLD.state NOT IN ('pending', 'failed')) EXECUTE FUNCTION payment_stays();
"""


async def forwards() -> None:
    await run_sql(TABLES)
    await run_sql(sqlite=SQLITE_TRIGGERS, postgresql=POSTGRESQL_TRIGGERS)
