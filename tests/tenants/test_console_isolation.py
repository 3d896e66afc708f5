"""Every route of the console, asked by all who must not be let in; made from the route table.

Where a tenant is not the provider's the console does not exist: 404 for whoever asks, its administrator too.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from core.app import create_app
from core.config import load_config
from core.testing import installed
from core.web.routing import http_handlers
from tenants.console import CONSOLE, MANIFEST
from tenants.deployment import Deployment
from tenants.registry import TenantRecord
from tests.consoles import person, program, provider, worked
from tests.hosts import made, visitor

ROUTES = sorted(
    (method, path, str(handler.opt["permission"]))
    for method, path, handler in http_handlers(create_app(installed(), console=CONSOLE))
    if handler.opt.get("plugin") == CONSOLE.name
)
PAGES = [route for route in ROUTES if not route[1].startswith("/api/")]
API = [route for route in ROUTES if route[1].startswith("/api/")]
BODIES: dict[str, dict[str, str]] = {
    "/api/v1/tenants": {"slug": "new", "name": "New", "email": "new@new.example"},
    "/api/v1/tenants/{tenant_id:int}/suspension": {"reason": "x"},
    "/api/v1/tenants/{tenant_id:int}/archiving": {"repeated": "alpha"},
    "/api/v1/tenants/{tenant_id:int}/deletion": {"repeated": "alpha"},
    "/api/v1/tenants/backups/copies": {"file": "alpha-20261122T000000000000Z.tar", "slug": "copy"},
    "/api/v1/tenants/backups/returns": {"file": "alpha-20261122T000000000000Z.tar", "repeated": "alpha"},
}


class World:
    """A provider's tenant and another one, with who must not be let in."""

    def __init__(self, deployment: Deployment, host: TenantRecord, other: TenantRecord, job_id: int) -> None:
        self.deployment, self.host, self.other = deployment, host, other
        self.ids = {
            "tenant_id": str(other.id),
            "job_id": str(job_id),
            "plugin_name": "inventory",
            "deed": "suspension",
            "file": "alpha-20261122T000000000000Z.tar",
        }
        self.clients: dict[str, httpx.AsyncClient] = {}

    def path(self, path: str) -> str:
        def place(match: re.Match[str]) -> str:
            assert match[1] in self.ids, f"{path}: nothing is known for {match[1]}"
            return self.ids[match[1]]

        return re.sub(r"\{(\w+):\w+\}", place, path)

    async def ask(self, client: httpx.AsyncClient, method: str, path: str) -> httpx.Response:
        if method in ("GET", "DELETE"):
            return await client.request(method, self.path(path))
        if path.startswith("/api/"):
            return await client.request(method, self.path(path), json=BODIES.get(path, {}))
        return await client.request(method, self.path(path), data={})


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder: Path = tmp_path_factory.mktemp("console")
    deployment = Deployment(load_config(environment={"TENANTRY_DATA": str(folder)}))
    await deployment.start()
    try:
        host, other = await provider(deployment), (await made(deployment, "alpha")).record
        inside = await person(deployment, host)
        asked = await inside.post("/tenants/looks")
        await worked(deployment, host)
        found = World(deployment, host, other, int(asked.headers["location"].rpartition("/")[2]))
        found.clients = {
            "anonymous": visitor(deployment, host.host),
            "without": await person(deployment, host, ["customers.view"]),
            "without by token": await program(deployment, host, ["customers.view"]),
            "elsewhere": await person(deployment, other),
            "elsewhere anonymous": visitor(deployment, other.host),
            "elsewhere by token": await program(deployment, other),
        }
        stranger = await program(deployment, other)
        stranger.base_url = httpx.URL(f"http://{host.host}")
        found.clients["token of elsewhere"] = stranger
        yield found
    finally:
        await deployment.stop()


def test_the_matrix_holds_the_whole_console() -> None:
    assert len(PAGES) == len({(method, path) for method, path, _ in PAGES}) > 15
    assert len(API) > 15
    assert {permission for *_, permission in ROUTES} <= {one.key for one in MANIFEST.permissions}


@pytest.mark.parametrize(("method", "path", "permission"), ROUTES)
async def test_where_the_tenant_is_not_the_providers_no_route_of_the_console_is_there(
    world: World, method: str, path: str, permission: str
) -> None:
    for who in ("elsewhere", "elsewhere anonymous", "elsewhere by token"):
        assert (await world.ask(world.clients[who], method, path)).status_code == 404, who


@pytest.mark.parametrize(("method", "path", "permission"), PAGES)
async def test_no_page_of_the_console_is_for_strangers_or_without_its_permission(
    world: World, method: str, path: str, permission: str
) -> None:
    stranger = await world.ask(world.clients["anonymous"], method, path)
    without = await world.ask(world.clients["without"], method, path)

    assert (stranger.status_code, stranger.headers["location"].startswith("/login")) == (303, True)
    assert without.status_code == 403


@pytest.mark.parametrize(("method", "path", "permission"), API)
async def test_no_operation_of_the_console_is_for_strangers_or_without_its_permission(
    world: World, method: str, path: str, permission: str
) -> None:
    answers = {
        who: (await world.ask(world.clients[who], method, path)).status_code
        for who in ("anonymous", "token of elsewhere", "without by token")
    }

    assert answers == {"anonymous": 401, "token of elsewhere": 401, "without by token": 403}


@pytest.mark.parametrize(
    ("at", "permission"),
    [
        ("/tenants/{tenant_id:int}/deeds/suspension", "tenants.manage"),
        ("/tenants/{tenant_id:int}/deeds/resumption", "tenants.manage"),
        ("/tenants/{tenant_id:int}/deeds/renaming", "tenants.manage"),
        ("/tenants/{tenant_id:int}/deeds/archiving", "tenants.delete"),
        ("/tenants/{tenant_id:int}/deeds/deletion", "tenants.delete"),
    ],
)
async def test_a_deed_needs_the_permission_of_its_own(world: World, at: str, permission: str) -> None:
    everything_else = [one.key for one in MANIFEST.permissions if one.key != permission]
    viewer = await person(world.deployment, world.host, everything_else)

    answers = [(await world.ask(viewer, method, at)).status_code for method in ("GET", "POST")]

    assert answers == [403, 403]
    assert (await world.deployment.registry.get_by_slug("alpha")).status == "active"


async def test_the_consoles_permissions_are_given_in_the_providers_tenant_alone(world: World) -> None:
    here = await person(world.deployment, world.host)
    there = world.clients["elsewhere"]

    for path in ("/settings/roles/new", "/settings/tokens/new"):
        assert "See all tenants of the deployment" in (await here.get(path)).text
        assert "See all tenants of the deployment" not in (await there.get(path)).text
    forged = await there.post("/settings/tokens", data={"name": "x", "days": "1", "permissions": "tenants.view"})
    assert forged.status_code == 422
    api = await program(world.deployment, world.other)
    given = await api.post("/api/v1/roles", json={"label": "x", "permissions": ["tenants.view"]})
    assert given.status_code == 422


async def test_the_side_bar_and_the_search_know_tenants_in_the_providers_tenant_alone(world: World) -> None:
    here, there = await person(world.deployment, world.host), world.clients["elsewhere"]

    assert 'href="/tenants"' in (await here.get("/customers")).text
    assert 'href="/tenants"' not in (await there.get("/customers")).text
    assert f"/tenants/{world.other.id}" in (await here.get("/search", params={"q": "alpha"})).text
    assert "/tenants/" not in (await there.get("/search", params={"q": "alpha"})).text


async def test_the_document_of_the_api_tells_of_the_console_in_the_providers_tenant_alone(world: World) -> None:
    here = (await (await program(world.deployment, world.host)).get("/api/v1/openapi.json")).json()
    there = (await world.clients["elsewhere by token"].get("/api/v1/openapi.json")).json()
    told = {(method.upper(), path) for path, operations in here["paths"].items() for method in operations}

    assert {(method, re.sub(r":\w+}", "}", path)) for method, path, _ in API} <= told
    assert not [path for path in there["paths"] if path.startswith(("/api/v1/tenants", "/api/v1/inventory"))]
    assert "TenantLine" in str(here["components"])
    assert "TenantLine" not in str(there)
    assert "/api/v1/customers" in there["paths"]


async def test_every_operation_of_the_console_says_what_it_does_and_names_its_fields(world: World) -> None:
    document = (await (await program(world.deployment, world.host)).get("/api/v1/openapi.json")).json()

    for path, operations in document["paths"].items():
        if path.startswith("/api/v1/tenants"):
            for method, operation in operations.items():
                assert operation["summary"], (method, path)
                assert {"401", "403", "404", "422"} <= operation["responses"].keys(), (method, path)
