"""Deposits: what was held is kept in the tenant's currency too, and what became of it is written down row by row."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:20:00"
VERSION = "1"
DESCRIPTION = "deposits"

TABLES = """
ALTER TABLE deposit ADD COLUMN base_minor bigint NOT NULL DEFAULT 0;
ALTER TABLE deposit ADD COLUMN base_left_minor bigint NOT NULL DEFAULT 0;
ALTER TABLE deposit ADD COLUMN reference text NOT NULL DEFAULT '';
CREATE TABLE deposit_use (
    id {id_never_reused},
    deposit_id bigint NOT NULL REFERENCES deposit (id),
    kind text NOT NULL CHECK (kind IN ('applied', 'paid_back')),
    method_id bigint REFERENCES payment_method (id),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    base_minor bigint NOT NULL,
    reason text NOT NULL DEFAULT '',
    reference text NOT NULL DEFAULT '',
    used_on date NOT NULL
);
CREATE INDEX deposit_use_deposit ON deposit_use (deposit_id);
"""

SQLITE_TRIGGERS = """
CREATE TRIGGER deposit_use_stays_update BEFORE UPDATE OF deposit_id, kind, amount_minor, base_minor, used_on ON deposit_use
BEGIN SELECT RAISE(ABORT, 'what became of a deposit stays as it was written'); END;
CREATE TRIGGER deposit_use_stays_delete BEFORE DELETE ON deposit_use
BEGIN SELECT RAISE(ABORT, 'what became of a deposit stays as it was written'); END;
CREATE TRIGGER deposit_stays_update BEFORE UPDATE OF customer_id, currency, amount_minor, base_minor, received_on ON deposit
BEGIN SELECT RAISE(ABORT, 'a deposit that was received keeps its amount'); END;
CREATE TRIGGER deposit_stays_delete BEFORE DELETE ON deposit
BEGIN SELECT RAISE(ABORT, 'a deposit that was received stays'); END;
"""

POSTGRESQL_TRIGGERS = """
CREATE FUNCTION deposit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'a deposit that was received, and what became of it, stays as it was written'; END $$;
CREATE TRIGGER deposit_use_stays_update BEFORE UPDATE OF deposit_id, kind, amount_minor, base_minor, used_on ON deposit_use
    FOR EACH ROW EXECUTE FUNCTION deposit_stays();
CREATE TRIGGER deposit_use_stays_delete BEFORE DELETE ON deposit_use FOR EACH ROW EXECUTE FUNCTION deposit_stays();
CREATE TRIGGER deposit_stays_update BEFORE UPDATE OF customer_id, currency, amount_minor, base_minor, received_on ON deposit
    FOR EACH ROW EXECUTE FUNCTION deposit_stays();
CREATE TRIGGER deposit_stays_delete BEFORE DELETE ON deposit FOR EACH ROW EXECUTE FUNCTION deposit_stays();
"""


async def forwards() -> None:
    await run_sql(TABLES)
    await run_sql(sqlite=SQLITE_TRIGGERS, postgresql=POSTGRESQL_TRIGGERS)
