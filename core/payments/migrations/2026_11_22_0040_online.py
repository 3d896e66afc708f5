"""Payments through gateways: what was ordered, what the gateways said, and what they paid out."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:40:00"
VERSION = "1"
DESCRIPTION = "online payments"

TABLES = """
CREATE TABLE online_payment (
    payment_id bigint PRIMARY KEY REFERENCES payment (id) ON DELETE CASCADE,
    gateway {key} NOT NULL CHECK (gateway <> ''),
    key {key} NOT NULL UNIQUE CHECK (key <> ''),
    reference {key} NOT NULL DEFAULT '',
    page text NOT NULL DEFAULT '',
    documents text NOT NULL,
    reason text NOT NULL DEFAULT '',
    begun_by text NOT NULL,
    asked bigint NOT NULL DEFAULT 0
);
CREATE INDEX online_payment_reference ON online_payment (gateway, reference) WHERE reference <> '';
CREATE TABLE gateway_event (
    id {id},
    gateway {key} NOT NULL,
    event_id {key} NOT NULL,
    payment_id bigint REFERENCES payment (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('payment', 'refund', 'payout')),
    state text NOT NULL CHECK (state IN ('pending', 'received', 'failed')),
    received_at timestamptz NOT NULL,
    UNIQUE (gateway, event_id)
);
CREATE INDEX gateway_event_payment ON gateway_event (payment_id);
CREATE TABLE gateway_payout (
    id {id_never_reused},
    gateway {key} NOT NULL,
    event_id {key} NOT NULL,
    currency text NOT NULL CHECK (length(currency) = 3),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    paid_on date NOT NULL,
    UNIQUE (gateway, event_id)
);
"""


async def forwards() -> None:
    await run_sql(TABLES)
