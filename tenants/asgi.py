"""The ASGI application of a deployment: all tenants, the worker beside them, started and stopped together."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from core.app import create_app
from core.config import load_config
from tenants.deployment import Deployment
from tenants.routing import TenantRouting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar import Litestar
    from litestar.types import ASGIApp


def make_asgi(deployment: Deployment, *, worker: bool = True) -> ASGIApp:
    """The application around a deployment that starts and stops with it."""

    @asynccontextmanager
    async def running(app: Litestar) -> AsyncIterator[None]:
        await deployment.start()
        try:
            yield
        finally:
            await deployment.stop()

    app = create_app(deployment.plugins, secure=deployment.config.server.secure, lifespan=[running])
    return TenantRouting(deployment, app)


def create() -> ASGIApp:
    """For a server that is given a factory: `uvicorn --factory tenants.asgi:create`."""
    config = load_config()
    return make_asgi(Deployment(config))
