"""How many people of a tenant may log in is kept with what else was found out about it."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:06:00"
VERSION = "1"
DESCRIPTION = "users"


async def forwards() -> None:
    await run_sql("ALTER TABLE tenant_facts ADD COLUMN users bigint")
