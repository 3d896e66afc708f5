"""Customers are found by the beginnings of their words and, in the same index, by their partition and by the last digits
of their phone numbers; and a sample of them tells how many there are before anybody looks for them.

Words that nobody can type stand for the partition and for the end of a number: a letter for private use, then the
partition's id; two of them, then the digits from the last to the first. They come after all other words, with a blank
around each. PostgreSQL's index holds the first two, three and five letters of a word beside the word: what it holds to
the letter it finds without collecting all customers of the word, as FTS5 does on SQLite. The sample is every 251st
customer, a number that nothing else goes by.
"""

from importlib import import_module

from core.database.migrations import run_sql

ID = "2026-11-23T00:27:00"
VERSION = "1"
DESCRIPTION = "search of customers by beginnings of words, in reach"

first = import_module("core.customers.migrations.2026_11_22_0003_search")

PRIVATE = "\ue000"
SAMPLED = 251
SEARCHED = [*first.SEARCHED, "partition_id"]


def _typed(words: str) -> str:
    """Words of what people have written, who might have written such a letter, too: it is no part of a word of theirs."""
    return f"replace({words}, '{PRIVATE}', ' ')"


def _reach(of: str) -> str:
    return f"CASE WHEN {of}.partition_id IS NULL THEN '' ELSE ' {PRIVATE}' || {of}.partition_id || ' ' END"


def _end(number: str, turned: str) -> str:
    """`turned` is the number from the last digit to the first."""
    return f"CASE WHEN {number} = '' THEN '' ELSE ' {PRIVATE * 2}' || {turned.replace('NUMBER', number)} || ' ' END"


def _ends(turned: str, gather: str) -> str:
    """Of all phone numbers of a customer."""
    return f"""{_end("c.phone_e164", turned)} || (SELECT coalesce({gather}(word, ''), '') FROM (
        SELECT {_end("a.value_key", turned)} AS word FROM customer_address a
        WHERE a.customer_id = c.id AND a.kind = 'phone' AND a.value_key <> c.phone_e164 ORDER BY a.position) further)"""


SQLITE_TURNED = " || ".join(f"substr(NUMBER, {at}, 1)" for at in range(16, 1, -1))
SQLITE_ALL = f"{_typed(first.SQLITE_ALL)} || {_ends(SQLITE_TURNED, 'group_concat')} || {_reach('c')}"
SQLITE_CHANGED = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in SEARCHED)


def _sqlite_again(customer_id: str) -> str:
    """Writes the words of a customer that have changed. Nothing where it has just been deleted."""
    return f"""
    UPDATE customer_search SET text = now.text
    FROM (SELECT c.id, {SQLITE_ALL} AS text FROM customer c WHERE c.id = {customer_id}) now
    WHERE customer_search.customer_id = now.id AND customer_search.text <> now.text;"""


# All is written anew, not row by row: a million customers take a quarter of the time, and no room is left behind.
SQLITE = f"""
DROP TRIGGER customer_search_words_update;
UPDATE customer_search SET text = {_typed("customer_search.text")} || {_ends(SQLITE_TURNED, "group_concat")} || {_reach("c")}
FROM customer c WHERE c.id = customer_search.customer_id
AND (c.partition_id IS NOT NULL OR EXISTS (SELECT 1 FROM customer_address WHERE customer_id = c.id AND kind = 'phone')
     OR c.phone_e164 <> '' OR instr(customer_search.text, '{PRIVATE}') > 0);
INSERT INTO customer_words (customer_words) VALUES ('rebuild');
CREATE TRIGGER customer_search_words_update AFTER UPDATE ON customer_search
BEGIN
    INSERT INTO customer_words (customer_words, rowid, text) VALUES ('delete', OLD.customer_id, OLD.text);
    INSERT INTO customer_words (rowid, text) VALUES (NEW.customer_id, NEW.text);
END;
CREATE VIRTUAL TABLE customer_words_sample USING fts5 (
    text, content='customer_search', content_rowid='customer_id', prefix='2 3 4 5', detail=none, columnsize=0,
    tokenize='unicode61 remove_diacritics 2'
);
INSERT INTO customer_words_sample (rowid, text)
SELECT customer_id, text FROM customer_search WHERE customer_id % {SAMPLED} = 0;
CREATE TRIGGER customer_words_sample_insert AFTER INSERT ON customer_search WHEN NEW.customer_id % {SAMPLED} = 0
BEGIN INSERT INTO customer_words_sample (rowid, text) VALUES (NEW.customer_id, NEW.text); END;
CREATE TRIGGER customer_words_sample_delete AFTER DELETE ON customer_search WHEN OLD.customer_id % {SAMPLED} = 0
BEGIN
    INSERT INTO customer_words_sample (customer_words_sample, rowid, text)
    VALUES ('delete', OLD.customer_id, OLD.text);
END;
CREATE TRIGGER customer_words_sample_update AFTER UPDATE ON customer_search WHEN NEW.customer_id % {SAMPLED} = 0
BEGIN
    INSERT INTO customer_words_sample (customer_words_sample, rowid, text)
    VALUES ('delete', OLD.customer_id, OLD.text);
    INSERT INTO customer_words_sample (rowid, text) VALUES (NEW.customer_id, NEW.text);
END;
DROP TRIGGER customer_search_insert;
CREATE TRIGGER customer_search_insert AFTER INSERT ON customer
BEGIN
    INSERT INTO customer_search (customer_id, text)
    VALUES (
        NEW.id,
        {_typed(first._words("NEW", first.SQLITE_BARE, "instr"))} || ' ' || {_end("NEW.phone_e164", SQLITE_TURNED)}
        || {_reach("NEW")}
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

POSTGRESQL_TURNED = "reverse(substr(NUMBER, 2))"
POSTGRESQL_ENDS = _ends(POSTGRESQL_TURNED, "string_agg")
POSTGRESQL_WORDS = f"{_typed(first.POSTGRESQL_WORDS)} || {POSTGRESQL_ENDS} || {_reach('c')}"
POSTGRESQL_FIRST_WORDS = (
    f"{_typed(first.POSTGRESQL_FIRST_WORDS)} || {_end('c.phone_e164', POSTGRESQL_TURNED)} || {_reach('c')}"
)
POSTGRESQL_CHANGED = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in SEARCHED)


def _postgresql_again(some: str) -> str:
    return f"""
    UPDATE customer_search SET text = now.text
    FROM (SELECT c.id, {POSTGRESQL_WORDS} AS text FROM customer c WHERE c.id IN (SELECT customer_id FROM {some})) now
    WHERE customer_search.customer_id = now.id AND customer_search.text <> now.text;"""


# A tsvector has no words of 2,048 bytes and more, and is no longer than 1 MiB. The cost says what a row that is looked at
# without the index costs: the planner would take the making of a tsvector for nothing.
POSTGRESQL = rf"""
DROP INDEX customer_search_words;
DROP FUNCTION customer_search_words(text);
CREATE FUNCTION customer_search_words(words text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL RESTRICTED COST 1000 AS $body$
DECLARE
    many text[];
    word text;
BEGIN
    IF octet_length(words) >= 800 THEN
        words := left(regexp_replace(words, '([^ ]{{200}})[^ ]+', '\1', 'g'), 100000);
    END IF;
    many := string_to_array(words, ' ');
    FOREACH word IN ARRAY many LOOP
        IF length(word) > 2 AND ascii(word) <> {ord(PRIVATE)} THEN
            many := many || left(word, 2);
            IF length(word) > 3 THEN
                many := many || left(word, 3);
                IF length(word) > 5 THEN
                    many := many || left(word, 5);
                END IF;
            END IF;
        END IF;
    END LOOP;
    RETURN array_to_tsvector(array_remove(many, ''));
END $body$;
TRUNCATE customer_search;
INSERT INTO customer_search (customer_id, text) SELECT c.id, {POSTGRESQL_WORDS} FROM customer c ORDER BY c.id;
CREATE INDEX customer_search_words ON customer_search USING gin (customer_search_words(text));
CREATE INDEX customer_search_sample ON customer_search USING gin (customer_search_words(text))
    WHERE customer_id % {SAMPLED} = 0;

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


async def forwards() -> None:
    await run_sql(sqlite=SQLITE, postgresql=POSTGRESQL)
