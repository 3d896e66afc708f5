"""The provider's console, declared as a plugin is: it belongs to the host, and is on in the provider's tenant alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core import hookspecs
from core.hooks import Card, Manifest, MenuItem, Permission, Plugin, SearchHit, hookimpl
from core.hooks.manifest import check_manifest
from core.texts import N_, _, know, number
from tenants import api, jobs, queries, routes
from tenants.facts import totals
from tenants.host import apart, host_of
from tenants.names import OURS

if TYPE_CHECKING:
    from core.scope import Scope

MANIFEST = Manifest(
    name="tenants",
    label="Console",
    version="1.0",
    hook_version="1.0",
    description="The tenants of this deployment: make, keep, upgrade, back up, restore and take them away.",
    order=1,
    routes=(*routes.HANDLERS, *api.HANDLERS),
    permissions=(
        Permission("tenants.view", N_("See all tenants of the deployment")),
        Permission("tenants.create", N_("Make tenants, restore backups as new ones")),
        Permission("tenants.manage", N_("Suspend, resume, rename, upgrade and back up tenants, switch their plugins")),
        Permission("tenants.delete", N_("Archive and delete tenants, put a backup in a tenant's place")),
        Permission("tenants.download", N_("Download backups: all that a tenant has")),
    ),
    jobs=jobs.JOBS,
    menu=(MenuItem(area="", label=N_("Tenants"), href="/tenants", permission="tenants.view", icon="building"),),
    icons=("building", "server", "cloud-upload", "archive"),
)


@hookimpl
async def search_results(scope: Scope, text: str, limit: int) -> Sequence[SearchHit]:
    if not scope.may("tenants.view"):
        return ()
    found = await apart(queries.find_tenants(host_of(scope).deployment, text, limit))
    return [
        SearchHit(kind=_("Tenants"), label=one.name, href=f"/tenants/{one.id}", detail=one.host or one.slug)
        for one in found
    ]


@hookimpl
async def dashboard_cards(scope: Scope) -> Sequence[Card]:
    if not scope.may("tenants.view"):
        return ()
    found = await apart(totals(host_of(scope).deployment))
    if not found.to_look_at:
        return ()
    return (
        Card(
            key="tenants",
            label=_("Tenants to look at"),
            value=number(found.to_look_at),
            detail=_("of %(count)s", count=number(found.tenants)),
            href="/tenants?health=warn,fail",
            tone="warn",
        ),
    )


know([Path(__file__).with_name("locale")])

CONSOLE: Final = Plugin(
    MANIFEST.name,
    OURS,
    loaded=(check_manifest(MANIFEST, sys.modules[__name__], hookspecs, name=MANIFEST.name), sys.modules[__name__]),
)
