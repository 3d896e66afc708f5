"""The list of tenants, as it is declared for its page and for the API: read from the registry alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from core.lists.columns import Condition, ListChoice, ListColumn
from core.lists.listing import Choices, Listing
from core.texts import N_, _, number
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
    TenantStatus.ACTIVE: (N_("Open"), "live"),
    TenantStatus.CREATING: (N_("Being made"), "new"),
    TenantStatus.SUSPENDED: (N_("Suspended"), "ended"),
    TenantStatus.FAILED: (N_("Failed upgrade"), "blocked"),
    TenantStatus.ARCHIVED: (N_("Archived"), "ended"),
}
"""How a state reads, and the kind of its pill."""
HEALTH: Final = {"ok": (N_("Well"), "live"), "warn": (N_("Needs a look"), "warn"), "fail": (N_("Fails"), "blocked")}


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
        ListColumn(key="name", label=N_("Tenant"), expr="f.name_key", keyed=True, join=FACTS),
        ListColumn(
            key="host",
            label=N_("Host"),
            expr="coalesce((SELECT h.host FROM tenant_host h WHERE h.tenant_id = tenant.id AND h.main), '')",
        ),
        ListColumn(key="status", label=N_("State"), expr="tenant.status", kind="choice"),
        ListColumn(key="health", label=N_("Health"), expr="f.state", kind="choice", join=FACTS),
        ListColumn(key="version", label=N_("Version"), expr="f.behind", kind="number", join=FACTS),
        ListColumn(key="placement", label=N_("Database"), expr="tenant.placement", kind="choice"),
        ListColumn(
            key="plugins",
            label=N_("Plugins"),
            expr="(SELECT count(*) FROM tenant_plugin p WHERE p.tenant_id = tenant.id)",
            kind="number",
        ),
        ListColumn(key="customers", label=N_("Customers"), expr="coalesce(f.customers, -1)", kind="number", join=FACTS),
        ListColumn(key="users", label=N_("Staff"), expr="coalesce(f.users, -1)", kind="number", join=FACTS),
        ListColumn(
            key="size",
            label=N_("Size, MB"),
            expr="(coalesce(f.database_bytes, 0) + f.files_bytes)",
            kind="number",
            join=FACTS,
        ),
        ListColumn(key="backup", label=N_("Backup"), expr="coalesce(CAST(f.backed_up_at AS text), '')", join=FACTS),
        ListColumn(
            key="used", label=N_("Last used"), expr="coalesce(CAST(f.last_activity_at AS text), '')", join=FACTS
        ),
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
        "status": [ListChoice(key.value, _(label), key.value) for key, (label, _kind) in STATES.items()],
        "health": [ListChoice(key, _(label), key) for key, (label, _kind) in HEALTH.items()],
        "placement": [ListChoice(one, one, one) for one in (SQLITE, *deployment.placement.servers)],
    }


def views(found: Totals, kept: Mapping[str, Any]) -> list[TabItem]:
    """The list, and those parts of it that somebody should look at."""
    open_at = {name: text for name, text in kept.items() if name not in ("q", "sort")}
    known = [
        (_("All"), {}, found.tenants, ""),
        (_("To look at"), {"health": "warn,fail"}, found.to_look_at, "warn"),
        (_("Failed upgrades"), {"status": "failed"}, found.failed, "bad"),
        (_("Behind"), {"version.from": "1"}, found.behind, "warn"),
        (_("Suspended"), {"status": "suspended"}, found.suspended, ""),
        (_("Archived"), {"status": "archived"}, found.archived, ""),
    ]
    return [
        TabItem(
            label=label,
            href="/tenants" + "".join(f"?{name}={text}" for name, text in asked.items()),
            count=number(count),
            tone=tone if count else "",
            current=asked == open_at,
        )
        for label, asked, count, tone in known
        if count or not asked
    ]
