"""The list of customers taken away as CSV and as a workbook, as its page and the API do: speed, and whether memory
grows."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import TYPE_CHECKING, Final

from bench.harness import Options, Row, at_least, at_most, memory_mib, timed
from bench.list import LIST, fill
from core.database import Partitions, value
from core.lists.exporting import content_of
from core.lists.showing import shown_of
from core.lists.views import condition
from core.scope import ALL_PERMISSIONS, Actor
from core.testing import MIGRATIONS, tenant_on
from tests.databases import fresh
from tests.postgres import ENVIRONMENT, start_cluster

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.lists.exporting import Format
    from core.scope import Scope

CUSTOMERS_THERE: Final = 100_000
RATES: Final = {"csv": 5_000, "xlsx": 3_000}
ROOM: Final = 48
"""MiB that an export may take besides what was taken before, however many rows it has."""


async def run(options: Options) -> list[Row]:
    many = options.sizes[0] if options.sizes else CUSTOMERS_THERE
    found: list[Row] = []
    for kind in options.databases:
        if kind == "postgresql":
            os.environ[ENVIRONMENT] = start_cluster("bench", durable=True)
        async with (
            fresh(kind, options.folder, list(MIGRATIONS)) as database,
            tenant_on(database, folder=options.folder) as tenant,
        ):
            await fill(tenant, many)
            options.say(f"{kind}: {many:,} customers")
            scope = tenant.scope()
            reseller = tenant.scope(actor=Actor("staff", 1, "Reseller", Partitions((1,)), ALL_PERMISSIONS))
            await _exported(scope, {"id.to": "3000"}, "csv")  # what is only done once is not counted
            for wanted in ("csv", "xlsx"):
                form: Format = "csv" if wanted == "csv" else "xlsx"
                for what, who, asked in (
                    ("by name", scope, {}),
                    ("active, by joined", scope, {"status": "active", "sort": "-joined"}),
                    ("by city and name", scope, {"sort": "city,-name"}),
                    ("a reseller's", reseller, {"sort": "-balance"}),
                ):
                    rows, seconds, grown = await _exported(who, asked, form)
                    options.say(f"  {wanted}, {what}: {rows:,} rows in {seconds:.1f} s")
                    found.append(at_least(f"{wanted}, {what}", kind, rows / seconds, "rows/s", RATES[wanted]))
                    found.append(at_most(f"{wanted}, {what}, memory grown", kind, grown, "MiB", ROOM))
    return found


async def _exported(scope: Scope, asked: Mapping[str, str], wanted: Format) -> tuple[int, float, float]:
    """Rows, seconds, and MiB that it took at most besides what was taken before."""
    gc.collect()
    before = most = memory_mib()
    size = 0
    with timed() as took:
        shown = await shown_of(LIST, scope, asked)
        async for piece in content_of(scope, shown, wanted):
            size += piece.count(b"\n") if wanted == "csv" else 0
            most = max(most, memory_mib())
            await asyncio.sleep(0)
    if wanted == "xlsx":
        size = await _counted(scope, asked)
    else:
        size -= 1
    return size, took.milliseconds / 1000, most - before


async def _counted(scope: Scope, asked: Mapping[str, str]) -> int:
    meant = await condition(scope, LIST, asked)
    return int(await value(f"SELECT count(*) FROM ({meant.sql}) AS meant", **meant.values))
