"""PostgreSQL's pieces of names begin with the second letter: whose name begins with a text stand together in the index
of names, and to know whether others have it further on, those need not be read.
"""

from core.database.migrations import run_sql

ID = "2026-11-23T00:35:00"
VERSION = "1"
DESCRIPTION = "pieces of names from their second letter on"

OTHERS = ("login_key", "email_key", "phone_e164", "city_key", "company", "street", "zip", "external_ref")
POSTGRESQL = f"""
DROP INDEX customer_pieces;
CREATE INDEX customer_pieces ON customer USING gin (
    substr(name_key, 2) extensions.gin_trgm_ops, {", ".join(f"{name} extensions.gin_trgm_ops" for name in OTHERS)}
);
"""


async def forwards() -> None:
    await run_sql(postgresql=POSTGRESQL)
