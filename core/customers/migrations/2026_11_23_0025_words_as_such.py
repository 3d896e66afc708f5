"""PostgreSQL finds the beginnings of customers' words by an index of words, no longer by one of all their trigrams, and
puts those found in order, and in reach, without reading their rows."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:25:00"
VERSION = "1"
DESCRIPTION = "search of customers by their words"

# A tsvector has no words of 2,048 bytes and more, and is no longer than 1 MiB. The cost says what a row that is looked at
# without the index costs: the planner would take the making of a tsvector for nothing.
POSTGRESQL = r"""
CREATE FUNCTION customer_search_words(words text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL RESTRICTED COST 1000 AS $body$
BEGIN
    IF octet_length(words) >= 800 THEN
        words := left(regexp_replace(words, '([^ ]{200})[^ ]+', '\1', 'g'), 200000);
    END IF;
    RETURN array_to_tsvector(array_remove(string_to_array(words, ' '), ''));
END $body$;
DROP INDEX customer_search_text;
CREATE INDEX customer_search_words ON customer_search USING gin (customer_search_words(text));
CREATE INDEX customer_beside_id ON customer (id, partition_id, name_key);
"""


async def forwards() -> None:
    await run_sql(postgresql=POSTGRESQL)
