"""Five processes at the same date at the same moment, by command and by job: each charge, document and number once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from core.billing.starting import start_run
from core.database import value
from tests.billing_world import books, parked, plans
from tests.databases import KINDS
from tests.faults.billing_harness import Harness, check_books, set_day, undisturbed, world_on
from tests.faults.billing_process import Forge, Sign


async def bill_at_once(harness: Harness, folder: Path, month: int) -> None:
    """Two workers with a job each and three commands, which all begin at one moment, and bill when three are at it."""
    scope = harness.scope
    set_day(scope, month)
    day = scope.today()
    jobs = [await start_run(scope, day, confirmed=True), await start_run(scope, day)]
    now, together = folder / f"now-{month}", folder / f"together-{month}"
    files = {"begin_with": str(now), "bill_with": str(together)}
    workers = [harness.forge.start(harness.asked("worker", **files)) for _ in range(2)]
    commands = [harness.forge.start(harness.asked("command", as_of=day, **files)) for _ in range(3)]
    try:
        async with asyncio.timeout(90):
            while not all(Sign.READY in each.signs for each in (*workers, *commands)):
                await asyncio.sleep(0.005)
            now.touch()
            # On a machine with much to do one alone could be over before others have looked.
            while sum(Sign.CHUNK in each.signs for each in (*workers, *commands)) < 3:
                await harness.at_work(jobs)
                await asyncio.sleep(0.005)
            together.touch()
            while await harness.at_work(jobs) or not all(each.is_gone for each in commands):
                await asyncio.sleep(0.02)
    finally:
        for each in (*workers, *commands):
            each.kill()
    for each in commands:
        assert Sign.OVER in each.signs, each.errors


async def bill_at_once_often(kind: str, folder: Path, times: int) -> None:
    forge = Forge(folder)
    try:
        async with world_on(kind, folder) as scope:
            harness = Harness(scope, forge)
            for month in range(times):
                await bill_at_once(harness, folder, month)
                await check_books(scope)
                assert await value("SELECT count(*) FROM billing_run WHERE state IN ('open', 'waiting')") == 0
            found = await books(), await plans(), await parked()
    finally:
        forge.close()
    assert found == await undisturbed(kind, folder, times)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", KINDS)
async def test_five_at_one_date_bill_nothing_twice(kind: str, tmp_path: Path) -> None:
    await bill_at_once_often(kind, tmp_path, 2)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
async def test_five_at_one_date_fifty_times(kind: str, tmp_path: Path) -> None:
    await bill_at_once_often(kind, tmp_path, 50)
