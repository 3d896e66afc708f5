"""Dunning: the steps of the policy, which of them an invoice had, promises to pay and disputes.

A policy to begin with stands ready; nothing is dunned before somebody switches it on.
"""

from core.database.migrations import run_sql

ID = "2026-11-22T00:30:00"
VERSION = "1"
DESCRIPTION = "dunning"

TABLES = """
CREATE TABLE dunning_step (
    id {id_never_reused},
    days integer NOT NULL CHECK (days BETWEEN 1 AND 730),
    message text NOT NULL DEFAULT '',
    effect text NOT NULL DEFAULT '' CHECK (effect IN ('', 'blocked', 'inactive', 'terminated')),
    fee_minor bigint NOT NULL DEFAULT 0 CHECK (fee_minor BETWEEN 0 AND 1000000000000),
    in_force boolean NOT NULL DEFAULT TRUE
);
CREATE UNIQUE INDEX dunning_step_days ON dunning_step (days) WHERE in_force;
CREATE TABLE dunning_event (
    id {id_never_reused},
    document_id bigint NOT NULL REFERENCES document (id),
    step_id bigint NOT NULL REFERENCES dunning_step (id),
    payer_id bigint NOT NULL REFERENCES customer (id),
    done_on date NOT NULL,
    counted_on date NOT NULL,
    effect text NOT NULL DEFAULT '',
    refused text NOT NULL DEFAULT '',
    message_id bigint,
    charge_id bigint,
    fee_minor bigint NOT NULL DEFAULT 0,
    currency text NOT NULL
);
CREATE UNIQUE INDEX dunning_event_once ON dunning_event (document_id, step_id);
CREATE INDEX dunning_event_payer ON dunning_event (payer_id);
CREATE INDEX dunning_event_step ON dunning_event (step_id);
CREATE TABLE promise (
    id {id_never_reused},
    document_id bigint NOT NULL REFERENCES document (id),
    until_on date NOT NULL,
    note text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'kept', 'broken', 'withdrawn')),
    made_by text NOT NULL,
    made_on date NOT NULL,
    closed_on date,
    CHECK ((state = 'open') = (closed_on IS NULL))
);
CREATE UNIQUE INDEX promise_open ON promise (document_id) WHERE state = 'open';
CREATE INDEX promise_document ON promise (document_id);
CREATE INDEX promise_until ON promise (until_on) WHERE state = 'open';
CREATE TABLE dispute (
    id {id_never_reused},
    document_id bigint NOT NULL REFERENCES document (id),
    reason text NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed', 'settled')),
    answer text NOT NULL DEFAULT '',
    made_by text NOT NULL,
    made_on date NOT NULL,
    closed_on date,
    CHECK ((state = 'open') = (closed_on IS NULL))
);
CREATE UNIQUE INDEX dispute_open ON dispute (document_id) WHERE state = 'open';
CREATE INDEX dispute_document ON dispute (document_id);
INSERT INTO dunning_step (days, message, effect) VALUES
    (3, 'payment_reminder', ''), (10, 'payment_warning', ''), (14, 'service_blocked', 'blocked');
"""


async def forwards() -> None:
    await run_sql(TABLES)
