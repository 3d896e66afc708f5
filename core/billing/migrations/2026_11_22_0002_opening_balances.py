"""Opening balances: which record of an import was booked as which credit or document. One for a record, for ever.

`transaction_id` is no reference: SQLite would look for it at each transaction that is written, whatever it is about.
"""

from core.database.migrations import run_sql

ID = "2026-11-22T00:02:00"
VERSION = "1"
DESCRIPTION = "opening balances"

TABLES = """
CREATE TABLE opening_balance (
    row_id bigint PRIMARY KEY,
    batch_id bigint NOT NULL,
    record bigint NOT NULL,
    customer_id bigint NOT NULL REFERENCES customer (id),
    currency text NOT NULL CHECK (length(currency) = 3),
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    base_minor bigint NOT NULL,
    rate_e10 bigint CHECK (rate_e10 > 0),
    number {key} NOT NULL,
    booked_on date NOT NULL,
    due_on date NOT NULL,
    document_id bigint UNIQUE REFERENCES document (id) DEFERRABLE INITIALLY DEFERRED,
    credit_entry_id bigint UNIQUE REFERENCES credit_entry (id) DEFERRABLE INITIALLY DEFERRED,
    transaction_id bigint NOT NULL,
    reversed_on date,
    UNIQUE (batch_id, record),
    CHECK ((document_id IS NULL) <> (credit_entry_id IS NULL)),
    CHECK ((amount_minor > 0) = (credit_entry_id IS NOT NULL))
)CLUSTERED;
CREATE INDEX opening_balance_customer ON opening_balance (customer_id);
"""


async def forwards() -> None:
    await run_sql(
        sqlite=TABLES.replace("CLUSTERED", " WITHOUT ROWID"),
        postgresql=TABLES.replace("CLUSTERED", ""),
    )
