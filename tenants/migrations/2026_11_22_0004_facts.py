"""What was last found out about each tenant, so that their list opens none of their databases."""

from msgspec import Struct

from core.database import execute, rows
from core.database.migrations import run_sql
from core.ids import sort_key

ID = "2026-11-22T00:04:00"
VERSION = "1"
DESCRIPTION = "facts"

TABLES = """
CREATE TABLE tenant_facts (
    tenant_id bigint PRIMARY KEY REFERENCES tenant (id) ON DELETE CASCADE,
    name_key {key} NOT NULL,
    schema_version text NOT NULL DEFAULT '',
    behind bigint NOT NULL DEFAULT 0,
    customers bigint,
    database_bytes bigint,
    files_bytes bigint NOT NULL DEFAULT 0,
    waiting bigint NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT '' CHECK (state IN ('', 'ok', 'warn', 'fail')),
    last_activity_at timestamptz,
    backed_up_at timestamptz,
    looked_at timestamptz
);
CREATE INDEX tenant_facts_name ON tenant_facts (name_key, tenant_id);
"""


class _Named(Struct, frozen=True):
    id: int
    name: str


async def forwards() -> None:
    await run_sql(TABLES)
    for tenant in await rows(_Named, "SELECT id, name FROM tenant"):
        await execute(
            "INSERT INTO tenant_facts (tenant_id, name_key) VALUES (:id, :key)", id=tenant.id, key=sort_key(tenant.name)
        )
