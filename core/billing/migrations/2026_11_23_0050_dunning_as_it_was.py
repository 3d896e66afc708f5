"""What an invoice had of dunning stays as it was then; promises and disputes say how they ended."""

from core.database import dialect, execute, value
from core.database.migrations import rebuild_table, run_sql

ID = "2026-11-23T00:50:00"
VERSION = "1"
DESCRIPTION = "dunning as it was then"

EVENTS = """
ALTER TABLE dunning_event ADD COLUMN days integer NOT NULL DEFAULT 0;
ALTER TABLE dunning_event ADD COLUMN message text NOT NULL DEFAULT '';
CREATE INDEX dunning_event_charge ON dunning_event (charge_id) WHERE charge_id IS NOT NULL;
"""
OF_BEFORE = """
UPDATE dunning_event SET
    days = (SELECT t.days FROM dunning_step t WHERE t.id = dunning_event.step_id),
    message = coalesce((SELECT m.kind FROM message m WHERE m.id = dunning_event.message_id), '')
"""
PROMISE = """
CREATE TABLE promise (
    id {id_never_reused},
    document_id bigint NOT NULL REFERENCES document (id),
    until_on date NOT NULL,
    note text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'kept', 'broken', 'withdrawn', 'replaced', 'credited', 'written_off')),
    made_by text NOT NULL,
    made_on date NOT NULL,
    closed_on date,
    CHECK ((state = 'open') = (closed_on IS NULL))
)
"""
PROMISE_POSTGRESQL = """
ALTER TABLE promise DROP CONSTRAINT promise_state_check;
ALTER TABLE promise ADD CONSTRAINT promise_state_check
    CHECK (state IN ('open', 'kept', 'broken', 'withdrawn', 'replaced', 'credited', 'written_off'));
"""
DISPUTE = """
CREATE TABLE dispute (
    id {id_never_reused},
    document_id bigint NOT NULL REFERENCES document (id),
    reason text NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed', 'settled', 'credited', 'written_off')),
    answer text NOT NULL DEFAULT '',
    made_by text NOT NULL,
    made_on date NOT NULL,
    closed_on date,
    CHECK ((state = 'open') = (closed_on IS NULL))
)
"""
DISPUTE_POSTGRESQL = """
ALTER TABLE dispute DROP CONSTRAINT dispute_state_check;
ALTER TABLE dispute ADD CONSTRAINT dispute_state_check
    CHECK (state IN ('open', 'closed', 'settled', 'credited', 'written_off'));
"""
ENDED = """
UPDATE {table} SET state = CASE WHEN document_id IN (SELECT w.document_id FROM write_off w
        WHERE w.kind = 'bad_debt' AND w.amount_minor > 0 AND w.written_on = {table}.closed_on)
    THEN 'written_off' ELSE 'credited' END
WHERE state = '{paid}' AND (
    document_id IN (SELECT w.document_id FROM write_off w
        WHERE w.kind = 'bad_debt' AND w.amount_minor > 0 AND w.written_on = {table}.closed_on)
    OR document_id IN (SELECT n.corrects_id FROM document n JOIN document d ON d.id = n.corrects_id
        WHERE n.kind = 'credit_note' AND n.issued_on = {table}.closed_on
        GROUP BY n.corrects_id, d.total_minor HAVING sum(n.total_minor) = d.total_minor))
"""
"""What was called paid though it was given up, or credited in full, on that day."""


async def forwards() -> None:
    await run_sql(EVENTS)
    await rebuild_table("promise", PROMISE, postgresql=PROMISE_POSTGRESQL)
    await rebuild_table("dispute", DISPUTE, postgresql=DISPUTE_POSTGRESQL)
    await tell_of_before()


async def tell_of_before() -> None:
    """A new tenant has nothing of before, nor messages."""
    await run_sql(
        postgresql=f"DO $do$ BEGIN IF EXISTS (SELECT 1 FROM dunning_event) THEN {OF_BEFORE}; END IF; END $do$"
    )
    if dialect() == "sqlite" and await value("SELECT 1 FROM dunning_event LIMIT 1"):
        await execute(OF_BEFORE)
    for table, paid in (("promise", "kept"), ("dispute", "settled")):
        await execute(ENDED.format(table=table, paid=paid))
