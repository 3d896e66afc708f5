"""PostgreSQL's indexes of words can be told to sort in what is new: only an owner may, and the application owns none."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:28:00"
VERSION = "1"
DESCRIPTION = "words of customers sorted in on demand"

POSTGRESQL = """
CREATE FUNCTION customer_search_sort_in(words regclass) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $body$ SELECT gin_clean_pending_list(words) $body$;
"""


async def forwards() -> None:
    await run_sql(postgresql=POSTGRESQL)
