"""Rows of the control database: tenants, their host names, their plugins."""

from piccolo.columns import UUID, BigInt, Boolean, ForeignKey, Integer, Serial, Text, Timestamptz
from piccolo.table import Table

from core.database import STAFF_ONLY


class TenantRow(Table, tablename="tenant"):
    """One tenant: where its data lies and whether it is served."""

    belongs = STAFF_ONLY

    id: Serial
    uuid = UUID(unique=True)
    slug = Text(unique=True)
    name = Text()
    status = Text()
    reason = Text()
    placement = Text()
    generation = BigInt()
    archive = Text()
    is_provider = Boolean()
    created_at = Timestamptz()
    due_at = Timestamptz(null=True)
    active_at = Timestamptz(null=True)
    changes = BigInt()


class TenantFacts(Table):
    """What was last found out about a tenant."""

    belongs = STAFF_ONLY

    id: Serial
    tenant_id = ForeignKey(TenantRow, unique=True)
    name_key = Text()
    schema_version = Text()
    behind = BigInt()
    customers = BigInt(null=True)
    users = BigInt(null=True)
    database_bytes = BigInt(null=True)
    files_bytes = BigInt()
    waiting = BigInt()
    state = Text()
    last_activity_at = Timestamptz(null=True)
    backed_up_at = Timestamptz(null=True)
    looked_at = Timestamptz(null=True)


class TenantHost(Table):
    """A host name that leads to a tenant, exactly as browsers send it: lower case, no port."""

    belongs = STAFF_ONLY

    id: Serial
    host = Text(unique=True)
    tenant_id = ForeignKey(TenantRow, index=True)
    main = Boolean()


class TenantPlugin(Table):
    """A plugin that is switched on for a tenant."""

    belongs = STAFF_ONLY

    id: Serial
    tenant_id = ForeignKey(TenantRow, index=True)
    plugin = Text()
    position = Integer()
    enabled_at = Timestamptz()


class TenantAside(Table):
    """A database of a tenant beside the one that it is in."""

    belongs = STAFF_ONLY

    id: Serial
    uuid = UUID()
    placement = Text()
    generation = BigInt()
    remove_at = Timestamptz()
