"""A PostgreSQL database used again by the next test: its rows and sequences put back as they were in the template.

Making a database costs ten times as much. One whose tables, triggers or functions a test has changed is not used again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import cache
from typing import Final

import asyncpg

_REMEMBER: Final = r"""
CREATE SCHEMA renewal;
CREATE TABLE renewal.rows (name text PRIMARY KEY, columns text NOT NULL, has_rows boolean NOT NULL);
CREATE TABLE renewal.numbers (name text PRIMARY KEY, last bigint);
CREATE TABLE renewal.shape (hash text NOT NULL);

DO $$
DECLARE each record; filled boolean;
BEGIN
    FOR each IN
        SELECT c.relname AS name, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS columns
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind = 'r'
            AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        GROUP BY c.relname
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM {schema}.%I)', each.name) INTO filled;
        INSERT INTO renewal.rows VALUES (each.name, each.columns, filled);
        IF filled THEN
            EXECUTE format(
                'CREATE TABLE renewal.%I AS SELECT %s FROM {schema}.%I', 'of_' || each.name, each.columns, each.name
            );
        END IF;
    END LOOP;
    INSERT INTO renewal.numbers
        SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = '{schema}';
    EXECUTE (  -- each table by its name, so that a connection that stays keeps the plans
        SELECT 'CREATE FUNCTION renewal.put_rows_back() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN ' || string_agg(
            format('IF EXISTS (SELECT 1 FROM {schema}.%1$I) THEN DELETE FROM {schema}.%1$I; END IF; ', name)
            || CASE WHEN has_rows THEN
                format('INSERT INTO {schema}.%I (%s) SELECT * FROM renewal.%I; ', name, columns, 'of_' || name)
            ELSE '' END, ''
        ) || 'END $f$' FROM renewal.rows
    );
END $$;

CREATE FUNCTION renewal.hash() RETURNS text LANGUAGE sql AS $$
    WITH lasting AS (
        SELECT c.oid, c.xmin FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relpersistence <> 't' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
    ), shape AS (
        SELECT 'class' AS kind, oid, xmin FROM lasting
        UNION ALL SELECT 'column', attrelid, xmin FROM pg_attribute WHERE attrelid IN (SELECT oid FROM lasting)
        UNION ALL SELECT 'trigger', oid, xmin FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM lasting)
        UNION ALL SELECT 'constraint', oid, xmin FROM pg_constraint WHERE conrelid IN (SELECT oid FROM lasting)
        UNION ALL SELECT 'function', oid, xmin FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT 'schema', oid, xmin FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%'
    )
    SELECT count(*) || ' ' || sum(hashtext(kind || oid || ' ' || xmin)::bigint) FROM shape
$$;

CREATE FUNCTION renewal.renew() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE each record;
BEGIN
    IF renewal.hash() <> (SELECT hash FROM renewal.shape) THEN
        RETURN FALSE;
    END IF;
    SET LOCAL session_replication_role = replica;  -- no trigger is asked
    PERFORM renewal.put_rows_back();
    FOR each IN
        SELECT s.sequencename AS name, n.last, s.start_value AS start FROM pg_sequences s
        JOIN renewal.numbers n ON n.name = s.sequencename
        WHERE s.schemaname = '{schema}' AND s.last_value IS DISTINCT FROM n.last
    LOOP
        PERFORM setval(format('{schema}.%I', each.name), coalesce(each.last, each.start), each.last IS NOT NULL);
    END LOOP;
    RETURN TRUE;
END $$;
"""


_open: dict[str, asyncpg.Connection[asyncpg.Record]] = {}

_END_OTHERS: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND pid <> ALL ($1::int[])
  AND datname = current_database() AND backend_type = 'client backend'
"""


async def remember_as_new(superuser: str, schema: str) -> None:
    """Notes in a fresh database, of which copies will be made, what there is in it."""
    connection = await asyncpg.connect(superuser)
    try:
        await connection.execute(_REMEMBER.replace("{schema}", schema))
        await connection.execute("INSERT INTO renewal.shape SELECT renewal.hash()")
    finally:
        await connection.close()


async def as_new(superuser: str, kept: Sequence[int] = ()) -> bool:
    """Puts the rows and sequences of the schema back; whether it is as new.

    Whoever is still connected is ended before, but for the `kept` processes of the server.
    """
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_renewed(superuser, kept), _beside()))


async def let_go(superuser: str) -> None:
    """Ends the connection that stays: the database becomes a template, which nobody may use meanwhile."""
    if superuser in _open:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_open.pop(superuser).close(), _beside()))


async def _renewed(superuser: str, kept: Sequence[int]) -> bool:
    connection = _open.get(superuser)
    if connection is None or connection.is_closed():
        connection = _open[superuser] = await asyncpg.connect(superuser)
    for pause in (0, 0.005, 0.02, 0.1, 0.5):
        await asyncio.sleep(pause)
        if not await connection.fetchval(_END_OTHERS, kept):
            if await connection.fetchval("SELECT renewal.renew()"):
                return True
            break
    await _open.pop(superuser).close()
    return False


@cache
def _beside() -> asyncio.AbstractEventLoop:
    """A loop that outlives the tests: what a connection has learnt of a hundred tables is most of the cost."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="renewal", daemon=True).start()
    return loop
