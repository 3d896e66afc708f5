"""Sums of the books by day, so that no report reads every posting; books that are closed; numbers of other packages.

`ledger_day` holds what was posted by transactions up to `ledger_mark.folded_id`; what came after it is read from the
postings themselves. It is filled by a job and proven by `verify`.
"""

from core.database.migrations import run_sql

ID = "2026-11-22T00:03:00"
VERSION = "1"
DESCRIPTION = "sums by day, closed books"

TABLES = """
ALTER TABLE account ADD COLUMN export_number text NOT NULL DEFAULT '';
CREATE TABLE ledger_day (
    account_id bigint NOT NULL REFERENCES account (id),
    booked_on date NOT NULL,
    currency text NOT NULL,
    product_id bigint NOT NULL,
    tax_rate_id bigint NOT NULL,
    debit_minor bigint NOT NULL,
    credit_minor bigint NOT NULL,
    base_minor bigint NOT NULL,
    PRIMARY KEY (account_id, booked_on, currency, product_id, tax_rate_id)
)CLUSTERED;
CREATE TABLE ledger_mark (
    one integer PRIMARY KEY CHECK (one = 1),
    folded_id bigint NOT NULL,
    seen_id bigint NOT NULL,
    seen_at timestamptz
);
INSERT INTO ledger_mark (one, folded_id, seen_id) VALUES (1, 0, 0);
CREATE TABLE ledger_lock (
    one integer PRIMARY KEY CHECK (one = 1),
    closed_until date
);
INSERT INTO ledger_lock (one) VALUES (1);
"""

SQLITE_TRIGGERS = """
CREATE TRIGGER ledger_transaction_after_closing BEFORE INSERT ON ledger_transaction
WHEN EXISTS (SELECT 1 FROM ledger_lock WHERE closed_until >= NEW.booked_on)
BEGIN SELECT RAISE(ABORT, 'the books of this day are closed'); END;
"""

POSTGRESQL_TRIGGERS = """
CREATE FUNCTION ledger_transaction_after_closing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM ledger_lock l WHERE l.closed_until >= (SELECT min(booked_on) FROM added)) THEN
        RAISE EXCEPTION 'the books of this day are closed';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_transaction_after_closing AFTER INSERT ON ledger_transaction REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_transaction_after_closing();
"""


async def forwards() -> None:
    await run_sql(
        sqlite=TABLES.replace("CLUSTERED", " WITHOUT ROWID"),
        postgresql=TABLES.replace("CLUSTERED", ""),
    )
    await run_sql(sqlite=SQLITE_TRIGGERS, postgresql=POSTGRESQL_TRIGGERS)
