"""How often a tenant was restored (each time into a new database), and where the backup of an archived one lies."""

from core.database.migrations import rebuild_table

ID = "2026-11-22T00:02:00"
VERSION = "1"
DESCRIPTION = "restored"

TENANT = """
CREATE TABLE tenant (
    id {id_never_reused},
    uuid uuid NOT NULL UNIQUE,
    slug text NOT NULL UNIQUE,
    name text NOT NULL,
    status text NOT NULL CHECK (status IN ('creating', 'active', 'suspended', 'failed', 'archived')),
    reason text NOT NULL DEFAULT '',
    placement text NOT NULL,
    generation bigint NOT NULL DEFAULT 0,
    archive text NOT NULL DEFAULT '',
    is_provider boolean NOT NULL DEFAULT FALSE,
    created_at timestamptz NOT NULL,
    due_at timestamptz,
    active_at timestamptz,
    changes bigint NOT NULL DEFAULT 0
)
"""


async def forwards() -> None:
    await rebuild_table("tenant", TENANT)
