"""What runs by the owner's rights is for the application alone: PostgreSQL lets everybody call a new function."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:32:00"
VERSION = "1"
DESCRIPTION = "words sorted in by the application alone"

POSTGRESQL = """
REVOKE ALL ON FUNCTION customer_search_sort_in(regclass) FROM PUBLIC;
DO $do$
DECLARE
    application regrole;
BEGIN
    FOR application IN
        SELECT rights.grantee FROM pg_catalog.pg_namespace, pg_catalog.aclexplode(nspacl) AS rights
        WHERE nspname = current_schema() AND rights.privilege_type = 'USAGE' AND rights.grantee NOT IN (0, nspowner)
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION customer_search_sort_in(regclass) TO %s', application);
    END LOOP;
END $do$;
"""
"""While a backup is restored nobody has rights in the schema yet: they are given when it gets its name."""


async def forwards() -> None:
    await run_sql(postgresql=POSTGRESQL)
