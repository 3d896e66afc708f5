"""The list of tenants, as it is declared for its page and for the API: read from the registry alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from core.lists.columns import Condition, ListChoice, ListColumn
from core.lists.listing import Choices, Listing
from core.web.parts import TabItem
from tenants.placement import SQLITE
from tenants.queries import LINES, TenantLine, pattern
from tenants.status import TenantStatus
from tenants.tables import TenantRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenants.deployment import Deployment
    from tenants.facts import Totals

FACTS: Final = "JOIN tenant_facts f ON f.tenant_id = tenant.id"
STATES: Final = {
    TenantStatus.ACTIVE: ("Open", "live"),
    TenantStatus.CREATING: ("Being made", "new"),
    TenantStatus.SUSPENDED: ("Suspended", "ended"),
    TenantStatus.FAILED: ("Failed upgrade", "blocked"),
    TenantStatus.ARCHIVED: ("Archived", "ended"),
}
"""How a state reads, and the kind of its pill."""
HEALTH: Final = {"ok": ("Well", "live"), "warn": ("Needs a look", "warn"), "fail": ("Fails", "blocked")}


def _search(typed: str) -> Condition | None:
    return Condition(
        "tenant.id IN (SELECT sf.tenant_id FROM tenant_facts sf WHERE sf.name_key LIKE :words ESCAPE '~'"
        " UNION SELECT sh.tenant_id FROM tenant_host sh WHERE sh.host LIKE :words ESCAPE '~'"
        " UNION SELECT st.id FROM tenant st WHERE st.slug LIKE :words ESCAPE '~')",
        {"words": pattern(typed)},
    )


TENANTS: Final = Listing(
    href="/tenants",
    table=TenantRow,
    into=TenantLine,
    select=LINES,
    noun="tenant",
    sort="name",
    search=_search,
    columns=(
        ListColumn(key="name", label="Tenant", expr="f.name_key", keyed=True, join=FACTS),
        ListColumn(
            key="host",
            label="Host",
            expr="coalesce((SELECT h.host FROM tenant_host h WHERE h.tenant_id = tenant.id AND h.main), '')",
        ),
        ListColumn(key="status", label="State", expr="tenant.status", kind="choice"),
        ListColumn(key="health", label="Health", expr="f.state", kind="choice", join=FACTS),
        ListColumn(key="version", label="Version", expr="f.behind", kind="number", join=FACTS),
        ListColumn(key="placement", label="Database", expr="tenant.placement", kind="choice"),
        ListColumn(
            key="plugins",
            label="Plugins",
            expr="(SELECT count(*) FROM tenant_plugin p WHERE p.tenant_id = tenant.id)",
            kind="number",
        ),
        ListColumn(key="customers", label="Customers", expr="coalesce(f.customers, -1)", kind="number", join=FACTS),
        ListColumn(
            key="size",
            label="Size, MB",
            expr="(coalesce(f.database_bytes, 0) + f.files_bytes)",
            kind="number",
            join=FACTS,
        ),
        ListColumn(key="backup", label="Backup", expr="coalesce(CAST(f.backed_up_at AS text), '')", join=FACTS),
        ListColumn(key="used", label="Last used", expr="coalesce(CAST(f.last_activity_at AS text), '')", join=FACTS),
    ),
    heads={
        "name": "c-name",
        "host": "c-meta",
        "status": "c-status",
        "size": "c-amount",
        "backup": "t-num",
        "used": "t-num",
    },
)


def choices(deployment: Deployment) -> Choices:
    """What columns of choices can be filtered by."""
    return {
        "status": [ListChoice(key.value, label, key.value) for key, (label, _) in STATES.items()],
        "health": [ListChoice(key, label, key) for key, (label, _) in HEALTH.items()],
        "placement": [ListChoice(one, one, one) for one in (SQLITE, *deployment.placement.servers)],
    }


def views(found: Totals, kept: Mapping[str, Any]) -> list[TabItem]:
    """The list, and those parts of it that somebody should look at."""
    open_at = {name: text for name, text in kept.items() if name not in ("q", "sort")}
    known = [
        ("All", {}, found.tenants, ""),
        ("To look at", {"health": "warn,fail"}, found.to_look_at, "warn"),
        ("Failed upgrades", {"status": "failed"}, found.failed, "bad"),
        ("Behind", {"version.from": "1"}, found.behind, "warn"),
        ("Suspended", {"status": "suspended"}, found.suspended, ""),
        ("Archived", {"status": "archived"}, found.archived, ""),
    ]
    return [
        TabItem(
            label=label,
            href="/tenants" + "".join(f"?{name}={text}" for name, text in asked.items()),
            count=f"{count:,}",
            tone=tone if count else "",
            current=asked == open_at,
        )
        for label, asked, count, tone in known
        if count or not asked
    ]
