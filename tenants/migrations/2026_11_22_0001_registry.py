"""The registry of tenants, their host names and their plugins."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "registry"

TABLES = """
CREATE TABLE tenant (
    id {id_never_reused},
    uuid uuid NOT NULL UNIQUE,
    slug text NOT NULL UNIQUE,
    name text NOT NULL,
    status text NOT NULL CHECK (status IN ('creating', 'active', 'suspended', 'failed')),
    reason text NOT NULL DEFAULT '',
    placement text NOT NULL,
    is_provider boolean NOT NULL DEFAULT FALSE,
    created_at timestamptz NOT NULL,
    due_at timestamptz,
    active_at timestamptz,
    changes bigint NOT NULL DEFAULT 0
);
CREATE INDEX tenant_due ON tenant (due_at) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX tenant_provider ON tenant (is_provider) WHERE is_provider;
CREATE TABLE tenant_host (
    id {id},
    host text NOT NULL UNIQUE,
    tenant_id bigint NOT NULL REFERENCES tenant (id) ON DELETE CASCADE,
    main boolean NOT NULL DEFAULT FALSE
);
CREATE INDEX tenant_host_tenant ON tenant_host (tenant_id);
CREATE TABLE tenant_plugin (
    id {id},
    tenant_id bigint NOT NULL REFERENCES tenant (id) ON DELETE CASCADE,
    plugin text NOT NULL,
    position integer NOT NULL,
    enabled_at timestamptz NOT NULL,
    UNIQUE (tenant_id, plugin)
);
"""


async def forwards() -> None:
    await run_sql(TABLES)
