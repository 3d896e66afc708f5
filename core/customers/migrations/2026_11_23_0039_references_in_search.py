"""Customers are found by their reference, the number that another system knows them by, too."""

from importlib import import_module

from core.database import dialect, value
from core.database.migrations import run_sql

ID = "2026-11-23T00:39:00"
VERSION = "1"
DESCRIPTION = "references in the search of customers"

first = import_module("core.customers.migrations.2026_11_22_0003_search")
before = import_module("core.customers.migrations.2026_11_23_0027_beginnings_and_reach")

SEARCHED = [*before.SEARCHED, "external_ref"]
MANY = 10_000
"""Customers with a reference, for whom the indexes are not kept while words are added but made anew."""


def _words(of: str, bare: str, place: str) -> str:
    reference = bare.replace("TEXT", f"{of}.external_ref")
    return f"{first._words(of, bare, place)} || CASE WHEN {of}.external_ref = '' THEN '' ELSE ' ' || {reference} END"


SQLITE_ALL = (
    before._typed(f"{_words('c', first.SQLITE_BARE, 'instr')} || ' ' || {first._further('group_concat', 'instr')}")
    + f" || {before._ends(before.SQLITE_TURNED, 'group_concat')} || {before._reach('c')}"
)
SQLITE_CHANGED = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in SEARCHED)


def _sqlite_again(customer_id: str) -> str:
    """Writes the words of a customer that have changed. Nothing where it has just been deleted."""
    return f"""
    UPDATE customer_search SET text = now.text
    FROM (SELECT c.id, {SQLITE_ALL} AS text FROM customer c WHERE c.id = {customer_id}) now
    WHERE customer_search.customer_id = now.id AND customer_search.text <> now.text;"""


SQLITE = f"""
DROP TRIGGER customer_search_insert;
CREATE TRIGGER customer_search_insert AFTER INSERT ON customer
BEGIN
    INSERT INTO customer_search (customer_id, text)
    VALUES (
        NEW.id,
        {before._typed(_words("NEW", first.SQLITE_BARE, "instr"))} || ' '
        || {before._end("NEW.phone_e164", before.SQLITE_TURNED)} || {before._reach("NEW")}
    );
END;
DROP TRIGGER customer_search_update;
CREATE TRIGGER customer_search_update AFTER UPDATE OF {", ".join(SEARCHED)} ON customer WHEN {SQLITE_CHANGED}
BEGIN {_sqlite_again("NEW.id")} END;
DROP TRIGGER customer_search_address_insert;
CREATE TRIGGER customer_search_address_insert AFTER INSERT ON customer_address
WHEN NOT EXISTS (SELECT 1 FROM customer WHERE id = NEW.customer_id AND NEW.value_key IN (email_key, phone_e164))
BEGIN {_sqlite_again("NEW.customer_id")} END;
DROP TRIGGER customer_search_address_delete;
CREATE TRIGGER customer_search_address_delete AFTER DELETE ON customer_address
BEGIN {_sqlite_again("OLD.customer_id")} END;
DROP TRIGGER customer_search_address_update;
CREATE TRIGGER customer_search_address_update AFTER UPDATE ON customer_address
BEGIN {_sqlite_again("OLD.customer_id")} {_sqlite_again("NEW.customer_id")} END;
"""
SQLITE_FILL = f"""
UPDATE customer_search SET text = now.text
FROM (SELECT c.id, {SQLITE_ALL} AS text FROM customer c WHERE c.external_ref <> '') now
WHERE customer_search.customer_id = now.id AND customer_search.text <> now.text;
"""
SQLITE_FILL_MANY = f"""
DROP TRIGGER customer_search_words_update;
DROP TRIGGER customer_words_sample_update;
{SQLITE_FILL}
INSERT INTO customer_words (customer_words) VALUES ('rebuild');
INSERT INTO customer_words_sample (customer_words_sample) VALUES ('delete-all');
INSERT INTO customer_words_sample (rowid, text)
SELECT customer_id, text FROM customer_search WHERE customer_id % {before.SAMPLED} = 0;
CREATE TRIGGER customer_search_words_update AFTER UPDATE ON customer_search
BEGIN
    INSERT INTO customer_words (customer_words, rowid, text) VALUES ('delete', OLD.customer_id, OLD.text);
    INSERT INTO customer_words (rowid, text) VALUES (NEW.customer_id, NEW.text);
END;
CREATE TRIGGER customer_words_sample_update AFTER UPDATE ON customer_search WHEN NEW.customer_id % {before.SAMPLED} = 0
BEGIN
    INSERT INTO customer_words_sample (customer_words_sample, rowid, text)
    VALUES ('delete', OLD.customer_id, OLD.text);
    INSERT INTO customer_words_sample (rowid, text) VALUES (NEW.customer_id, NEW.text);
END;
"""

POSTGRESQL_WORDS = (
    before._typed(
        first._postgresql_text(
            f"{_words('c', first.POSTGRESQL_BARE, 'strpos')} || ' ' || {first._further('string_agg', 'strpos')}"
        )
    )
    + f" || {before.POSTGRESQL_ENDS} || {before._reach('c')}"
)
POSTGRESQL_FIRST_WORDS = (
    before._typed(first._postgresql_text(f"{_words('c', first.POSTGRESQL_BARE, 'strpos')} || ' '"))
    + f" || {before._end('c.phone_e164', before.POSTGRESQL_TURNED)} || {before._reach('c')}"
)
POSTGRESQL_CHANGED = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in SEARCHED)


def _postgresql_again(some: str) -> str:
    return f"""
    UPDATE customer_search SET text = now.text
    FROM (SELECT c.id, {POSTGRESQL_WORDS} AS text FROM customer c WHERE c.id IN (SELECT customer_id FROM {some})) now
    WHERE customer_search.customer_id = now.id AND customer_search.text <> now.text;"""


POSTGRESQL = f"""
CREATE OR REPLACE FUNCTION customer_search_insert() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    INSERT INTO customer_search (customer_id, text) SELECT c.id, {POSTGRESQL_FIRST_WORDS} FROM added c;
    RETURN NULL;
END $body$;
CREATE OR REPLACE FUNCTION customer_search_update() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    {_postgresql_again("(SELECT NEW.id AS customer_id) one")}
    RETURN NULL;
END $body$;
DROP TRIGGER customer_search_update ON customer;
CREATE TRIGGER customer_search_update AFTER UPDATE OF {", ".join(SEARCHED)} ON customer
    FOR EACH ROW WHEN ({POSTGRESQL_CHANGED}) EXECUTE FUNCTION customer_search_update();
CREATE OR REPLACE FUNCTION customer_search_address_insert() RETURNS trigger LANGUAGE plpgsql {first.BY_INDEX} AS $body$
BEGIN
    {
    _postgresql_again(
        "(SELECT customer_id FROM added JOIN customer k ON k.id = added.customer_id"
        " AND added.value_key NOT IN (k.email_key, k.phone_e164)) further_ones"
    )
}
    RETURN NULL;
END $body$;
CREATE OR REPLACE FUNCTION customer_search_address_delete() RETURNS trigger LANGUAGE plpgsql {first.BY_INDEX} AS $body$
BEGIN
    {_postgresql_again("removed")}
    RETURN NULL;
END $body$;
CREATE OR REPLACE FUNCTION customer_search_address_update() RETURNS trigger LANGUAGE plpgsql {first.BY_INDEX} AS $body$
BEGIN
    {_postgresql_again("removed")}
    {_postgresql_again("added")}
    RETURN NULL;
END $body$;
"""
POSTGRESQL_FILL = f"""
DO $do$
DECLARE
    is_many boolean := (SELECT count(*) FROM (SELECT 1 FROM customer WHERE external_ref <> '' LIMIT {MANY}) c) = {MANY};
BEGIN
    IF is_many THEN
        DROP INDEX customer_search_words;
        DROP INDEX customer_search_sample;
    END IF;
    {_postgresql_again("(SELECT id AS customer_id FROM customer WHERE external_ref <> '') with_one")}
    IF is_many THEN
        CREATE INDEX customer_search_words ON customer_search USING gin (customer_search_words(text));
        CREATE INDEX customer_search_sample ON customer_search USING gin (customer_search_words(text))
            WHERE customer_id % {before.SAMPLED} = 0;
    END IF;
END $do$;
"""


async def forwards() -> None:
    await run_sql(sqlite=SQLITE, postgresql=POSTGRESQL + POSTGRESQL_FILL)
    if dialect() == "sqlite":
        with_one = f"SELECT 1 FROM customer WHERE external_ref <> '' LIMIT {MANY}"
        there = int(await value(f"SELECT count(*) FROM ({with_one})"))
        await run_sql(sqlite=SQLITE_FILL_MANY if there == MANY else SQLITE_FILL)
