"""By login, ZIP and country customers are looked for only where it is missing: imports write three indexes less.

A login itself is found by the index that keeps it from being given twice: say `AND login_key <> ''` beside it.
"""

from core.database.migrations import run_sql

ID = "2026-11-23T00:29:00"
VERSION = "1"
DESCRIPTION = "customers without login, ZIP or country"

INDEXES = """
DROP INDEX customer_by_login;
DROP INDEX customer_by_zip;
DROP INDEX customer_by_country;
CREATE INDEX customer_without_login ON customer (id) WHERE login_key = '';
CREATE INDEX customer_without_zip ON customer (id) WHERE zip = '';
CREATE INDEX customer_without_country ON customer (id) WHERE country = '';
"""


async def forwards() -> None:
    await run_sql(INDEXES)
