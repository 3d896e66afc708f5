"""A text that stands anywhere in a column is found by its pieces of three letters, and customers of a country or a
currency by an index of it: lists are filtered by them.

SQLite has the pieces in FTS5, column by column, without the texts and without where in them a piece stands: what is
found so is looked at once more. Its triggers go by the columns alone. In one more column stands the customer's
partition, between letters for private use. PostgreSQL has the pieces in an index of the table.
"""

from core.database.migrations import run_sql

ID = "2026-11-23T00:31:00"
VERSION = "1"
DESCRIPTION = "customers by what stands anywhere in a column"

COLUMNS = (
    "name_key",
    "login_key",
    "email_key",
    "phone_e164",
    "city_key",
    "company",
    "street",
    "zip",
    "external_ref",
)
PRIVATE = "\ue000"
NAMES = f"{', '.join(COLUMNS)}, reach"


def _values(of: str) -> str:
    reach = f"CASE WHEN {of}.partition_id IS NULL THEN '' ELSE '{PRIVATE}' || {of}.partition_id || '{PRIVATE}' END"
    return f"{', '.join(f'{of}.{name}' for name in COLUMNS)}, {reach}"


ADD = f"INSERT INTO customer_pieces (rowid, {NAMES}) VALUES (NEW.id, {_values('NEW')});"
TAKE = f"""
    INSERT INTO customer_pieces (customer_pieces, rowid, {NAMES}) VALUES ('delete', OLD.id, {_values("OLD")});"""
CHANGED = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in (*COLUMNS, "partition_id"))
SQLITE_ALL = f"""
INSERT INTO customer_pieces (customer_pieces) VALUES ('delete-all');
INSERT INTO customer_pieces (rowid, {NAMES}) SELECT c.id, {_values("c")} FROM customer c;
"""
"""The pieces of all customers, anew."""
SQLITE = f"""
CREATE VIRTUAL TABLE customer_pieces USING fts5 (
    {NAMES}, content='', detail=column, columnsize=0, tokenize='trigram'
);
{SQLITE_ALL}
CREATE TRIGGER customer_pieces_insert AFTER INSERT ON customer BEGIN {ADD} END;
CREATE TRIGGER customer_pieces_delete AFTER DELETE ON customer BEGIN {TAKE} END;
CREATE TRIGGER customer_pieces_update AFTER UPDATE OF {", ".join(COLUMNS)}, partition_id ON customer WHEN {CHANGED}
BEGIN {TAKE} {ADD} END;
"""
POSTGRESQL = f"""
CREATE INDEX customer_pieces ON customer USING gin ({", ".join(f"{name} extensions.gin_trgm_ops" for name in COLUMNS)});
"""
BOTH = """
DROP INDEX customer_without_country;
CREATE INDEX customer_by_country ON customer (country, id);
CREATE INDEX customer_by_currency ON customer (currency, id);
"""


async def forwards() -> None:
    await run_sql(sqlite=SQLITE, postgresql=POSTGRESQL)
    await run_sql(BOTH)
