"""The ASGI application of a deployment: all tenants, the worker beside them, started and stopped together."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from core.app import create_app, surrounded
from core.config import load_config
from tenants.console import CONSOLE
from tenants.deployment import Deployment
from tenants.loading import loading
from tenants.logs import set_up_logs
from tenants.routing import TenantRouting
from tenants.waking import Waking
from tenants.watching import Watched
from tenants.working import make_worker, work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar import Litestar
    from litestar.types import ASGIApp


def make_asgi(deployment: Deployment, *, worker: bool = True) -> ASGIApp:
    """The application around a deployment that starts and stops with it."""

    @asynccontextmanager
    async def running(app: Litestar) -> AsyncIterator[None]:
        await deployment.start()
        gc.freeze()  # what is loaded by now stays for good: a collection that looks it over stops all tenants for 0.1 s
        working = make_worker(deployment) if worker else None
        waking = None if worker else Waking(deployment.registry, deployment.clock)
        at_work = asyncio.create_task(work(deployment, working)) if working is not None else None
        try:
            yield
        finally:
            if working is not None and at_work is not None:
                await working.stop()
                await at_work
            if waking is not None:
                await waking.stop()
            await deployment.stop()

    with loading():
        app = create_app(deployment.plugins, console=CONSOLE, lifespan=[running])
    return around(deployment, app)


def around(deployment: Deployment, app: Litestar) -> ASGIApp:
    """The pages and the API of all tenants behind what finds the tenant, holds the limits and says how it went."""
    config = deployment.config
    inside = surrounded(app, secure=config.server.secure, limits=config.limits)
    return Watched(deployment, TenantRouting(deployment, inside))


def create() -> ASGIApp:
    """For a server that is given a factory: `uvicorn --factory tenants.asgi:create`."""
    config = load_config()
    set_up_logs(config.log)
    return make_asgi(Deployment(config))
