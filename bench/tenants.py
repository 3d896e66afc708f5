"""A thousand tenants: made, touched, upgraded, and what they cost while idle."""

from __future__ import annotations

import asyncio
import gc
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Final

import httpx

from bench.harness import Options, Row, at_most, percentile, timed
from core.config import load_config
from core.database import bind, execute, transaction
from tenants.asgi import make_asgi
from tenants.deployment import Deployment
from tenants.placement import SQLITE
from tenants.provisioning import NewTenant, create_tenant
from tenants.spares import keep
from tenants.upgrading import upgrade_all
from tests.databases import APP, OWNER, dsn, postgres_database
from tests.postgres import start_cluster

if TYPE_CHECKING:
    from pathlib import Path

    from tenants.registry import TenantRecord

TENANTS: Final = 1000
SCHEMAS: Final = 50
"""Of PostgreSQL: the figure is one a tenant."""
LAST_FEATURE: Final = "web"
"""Whose migration is forgotten in each tenant, so that the upgrade has something to run."""


async def run(options: Options) -> list[Row]:
    logging.getLogger("httpx").setLevel(logging.WARNING)
    rows: list[Row] = []
    if "sqlite" in options.databases:
        rows.extend(await _sqlite(options, options.sizes[0] if options.sizes else TENANTS))
    if "postgresql" in options.databases:
        rows.extend(await _postgresql(options, min(options.sizes[0] if options.sizes else SCHEMAS, SCHEMAS)))
    return rows


@asynccontextmanager
async def _deployment(folder: Path, environment: dict[str, str]) -> AsyncIterator[Deployment]:
    shutil.rmtree(folder, ignore_errors=True)
    deployment = Deployment(load_config(environment={"TENANTRY_DATA": str(folder), **environment}))
    await deployment.start()
    try:
        yield deployment
    finally:
        await deployment.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _make(deployment: Deployment, number: int) -> float:
    began = perf_counter()
    await create_tenant(deployment, NewTenant(slug=f"t{number:05}", name=f"Tenant {number}", email="a@b.example"))
    return (perf_counter() - began) * 1000


def _resident() -> float:
    """MiB of memory that the process holds."""
    gc.collect()
    with open("/proc/self/statm") as file:  # noqa: PTH123  # read at once, of this process
        return int(file.read().split()[1]) * 4096 / 2**20


async def _sqlite(options: Options, tenants: int) -> list[Row]:
    rows: list[Row] = []
    async with _deployment(options.folder / "tenants", {}) as deployment:
        await _make(deployment, 0)
        app = make_asgi(deployment, worker=False)
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # httpx types the application loosely

        async def first_page(record: TenantRecord) -> float:
            began = perf_counter()
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{record.host}") as client:
                answer = await client.get("/login")
            assert answer.status_code == 200, answer.text[:200]
            return (perf_counter() - began) * 1000

        first = (await deployment.registry.list_tenants())[0]
        warm_page = [await first_page(first) for _ in range(20)][-1]
        with_one = _resident()

        options.say(f"making {tenants} tenants")
        made = [await _make(deployment, number) for number in range(1, tenants)]
        rows.append(at_most("new tenant, p50", SQLITE, percentile(made, 50), "ms", 50))
        rows.append(at_most("new tenant, p99", SQLITE, percentile(made, 99), "ms", 50))

        records = await deployment.registry.list_tenants()
        for record in records:
            await deployment.placement.forget(record.uuid)
        deployment.forget_all()
        deployment.registry.forget()
        options.say("opening each")
        cold = [await first_page(record) for record in records]
        warm = [await first_page(first) for _ in range(200)]
        warm_p50 = percentile(warm, 50)
        rows.append(Row("warm tenant's page, p50", SQLITE, warm_p50, "ms"))
        for share, limit in ((50, 50), (99, 100)):
            above = percentile(cold, share) - warm_p50
            rows.append(at_most(f"cold tenant's first page above a warm one, p{share}", SQLITE, above, "ms", limit))
        rows.append(at_most(f"memory of {tenants} tenants above one", SQLITE, _resident() - with_one, "MiB", 60))
        assert warm_page

        options.say("upgrading all, with a backup of each")
        for record in records:
            with bind(deployment.placement.find(record)):
                async with transaction():
                    await execute("DELETE FROM migration WHERE app = :app", app=LAST_FEATURE)
                    await execute("DROP TABLE idempotency")
                    await execute("DROP TABLE session")
        began = perf_counter()
        results = await upgrade_all(deployment)
        seconds = perf_counter() - began
        assert not any(result.error for result in results), next(result.error for result in results if result.error)
        assert all(result.ran for result in results)
        rows.append(at_most(f"upgrade of {tenants} with a copy of each", SQLITE, seconds, "s", 30 * tenants / 1000))
    return rows


async def _postgresql(options: Options, tenants: int) -> list[Row]:
    cluster = start_cluster(run="bench", durable=True)
    name = "bench_tenants"
    await postgres_database(name, cluster=cluster)
    environment = {
        "TENANTRY__DATABASE__MAIN__APP_DSN": dsn(name, APP, cluster=cluster),
        "TENANTRY__DATABASE__MAIN__OWNER_DSN": dsn(name, OWNER, cluster=cluster),
        "TENANTRY__PLACEMENT__DEFAULT": "main",
    }
    async with _deployment(options.folder / "tenants", environment) as deployment:
        options.say(f"making {tenants} schemas, then as many with one ready for each")
        without = [await _make(deployment, number) for number in range(tenants)]
        made, ahead = [], []
        for number in range(tenants, 2 * tenants):
            with timed() as timer:
                await deployment.placement.spares("main").fill(1)
            ahead.append(timer.milliseconds)
            made.append(await _make(deployment, number))
        options.say(f"making {tenants} more one after the other, while a worker makes schemas ahead")
        worker = asyncio.create_task(keep(deployment.placement.spares("main"), deployment.config.placement.spare))
        in_a_row = [await _make(deployment, number) for number in range(2 * tenants, 3 * tenants)]
        worker.cancel()
        await asyncio.wait([worker])
    return [
        at_most("new tenant, p50", "postgresql", percentile(made, 50), "ms", 300),
        at_most("new tenant, p99", "postgresql", percentile(made, 99), "ms", 300),
        at_most("new tenants in a row beside a worker, each", "postgresql", sum(in_a_row) / len(in_a_row), "ms", 300),
        Row("schema made ahead, p50", "postgresql", percentile(ahead, 50), "ms"),
        at_most("new tenant where none is ready, p50", "postgresql", percentile(without, 50), "ms", 300),
    ]
