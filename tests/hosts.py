"""A deployment of its own for each test, on SQLite files and on schemas of a PostgreSQL database."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from functools import cache
from itertools import count
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from core.app import create_app
from core.clock import FixedClock
from core.config import load_config
from core.testing import START, installed
from tenants.asgi import around
from tenants.console import CONSOLE
from tenants.deployment import Deployment
from tenants.provisioning import CreatedTenant, NewTenant, create_tenant
from tests.databases import APP, OWNER, dsn, postgres_database

_number = count(1)
PLACES = ("sqlite", "postgresql")


@pytest.fixture(params=PLACES)
async def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Deployment]:
    """Started, without a tenant; new tenants go to `request.param`."""
    environment = {"TENANTRY_DATA": str(tmp_path / "data")}
    if request.param == "postgresql":
        name = f"host_{os.environ.get('PYTEST_XDIST_WORKER', 'gw')}_{os.getpid()}_{next(_number)}"
        await postgres_database(name)
        environment["TENANTRY__DATABASE__MAIN__APP_DSN"] = dsn(name, APP)
        environment["TENANTRY__DATABASE__MAIN__OWNER_DSN"] = dsn(name, OWNER)
        environment["TENANTRY__PLACEMENT__DEFAULT"] = "main"
    made = Deployment(load_config(environment=environment), clock=FixedClock(START))
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def made(deployment: Deployment, slug: str) -> CreatedTenant:
    """A tenant of this short name."""
    return await create_tenant(deployment, NewTenant(slug=slug, name=slug.capitalize(), email=f"admin@{slug}.example"))


@cache
def pages_of_all() -> Litestar:
    """The application with the installed plugins; it takes a second to make and knows no deployment."""
    return create_app(installed(), console=CONSOLE)


def visitor(deployment: Deployment, host: str) -> httpx.AsyncClient:
    """A browser at a host name of the deployment, through its outermost layer."""
    transport = httpx.ASGITransport(app=around(deployment, pages_of_all()), raise_app_exceptions=False)  # type: ignore[arg-type]
    headers = {"origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers)


def environment_of(deployment: Deployment) -> dict[str, str]:
    """What leads a process of its own to the same data and databases."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("TENANTRY")}
    environment["TENANTRY_DATA"] = str(deployment.config.data)
    for name, server in deployment.config.databases.items():
        environment[f"TENANTRY__DATABASE__{name.upper()}__APP_DSN"] = server.app_dsn
        environment[f"TENANTRY__DATABASE__{name.upper()}__OWNER_DSN"] = server.owner_dsn
    environment["TENANTRY__PLACEMENT__DEFAULT"] = deployment.config.placement.default
    return environment
