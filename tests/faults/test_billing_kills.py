"""Billing runs whose workers are killed at random: in the end every charge is on one invoice, as if nothing had been.

The control takes the numbers of a chunk in a commit of their own: a kill leaves a gap, and the same test finds it.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from core.billing.run import run_billing
from tests.billing_world import books, parked, plans
from tests.databases import KINDS
from tests.faults.billing_harness import Harness, check_books, undisturbed, world_on
from tests.faults.billing_process import Forge


async def kill_often(kind: str, folder: Path, kills: int) -> Harness:
    """So many kills of two workers, month after month; then all is as in an undisturbed world."""
    forge = Forge(folder)
    try:
        async with world_on(kind, folder) as scope:
            harness = Harness(scope, forge)
            while harness.kills < kills:
                await harness.bill_and_kill(2, min(kills - harness.kills, random.randint(3, 12)))
                await check_books(scope)
            found = await books(), await plans(), await parked()
            again = await run_billing(scope, scope.today(), confirmed=True, pause=0)
            assert (again.invoices, again.charges) == (0, 0)
    finally:
        forge.close()
    wanted = await undisturbed(kind, folder, harness.months)
    assert len(found[0]) == len(wanted[0]) > 100
    assert found == wanted
    return harness


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", KINDS)
async def test_workers_killed_in_a_billing_run_leave_the_books_of_an_undisturbed_one(kind: str, tmp_path: Path) -> None:
    harness = await kill_often(kind, tmp_path, 6)

    assert harness.kills == 6


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
async def test_five_hundred_kills(kind: str, tmp_path: Path) -> None:
    harness = await kill_often(kind, tmp_path, 500)

    print(f"{kind}: {harness.kills} kills, {harness.in_chunk} inside a chunk, {harness.months} months")
    assert harness.in_chunk > 125


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", KINDS)
async def test_B10_control_a_number_taken_in_its_own_commit_is_found_missing(kind: str, tmp_path: Path) -> None:
    forge = Forge(tmp_path)
    try:
        async with world_on(kind, tmp_path) as scope:
            harness = Harness(scope, forge, apart=True)
            await harness.bill_and_kill(1, 0)
            await check_books(scope)

            with pytest.raises(AssertionError, match="run from 1 without a gap"):  # noqa: PT012 - one of these kills
                for _ in range(20):
                    await harness.bill_and_kill(1, 2)
                    await check_books(scope)
    finally:
        forge.close()
