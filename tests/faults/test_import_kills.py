"""Booking balances and making subscriptions of an import, killed in the middle: in the end as if nothing had been."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import pytest

from core.billing.run import run_billing
from core.billing.verify import verify
from core.catalog.actions import create_product, set_tax_rate
from core.catalog.schemas import NewPrice, NewProduct, NewTaxRate
from core.clock import FixedClock
from core.customers.importing import steps
from core.customers.importing.actions import stage_import, take_over
from core.customers.importing.status import StepState
from core.database import bind, claim, current, values
from core.ids import new_uuid
from core.scope import Scope
from tests.books import APPS, START, scope_of
from tests.databases import KINDS, fresh
from tests.faults.import_process import of_features
from tests.faults.log_process import address_of

RECORDS = 200
ROOT = Path(__file__).parents[2]
STEPS = ("openings", "subscriptions")


@asynccontextmanager
async def world_on(kind: str, folder: Path) -> AsyncIterator[tuple[Scope, int]]:
    """A tenant into which a file was taken over, the same each time, and the import's number."""
    file = folder / "customers.csv"
    with file.open("w", encoding="utf-8") as out:
        out.write("login,name,status,balance,plan,price,start\n")
        for n in range(RECORDS):
            status = ("active", "blocked", "new", "inactive", "cancelled")[n % 5]
            out.write(f"u{n},Name {n},{status},{n % 7 - 3}.50,Fibre 50,{50 + n % 9}.00,2024-{n % 12 + 1:02}-15\n")
    async with fresh(kind, folder, APPS) as database:
        with bind(database):
            database.owner = new_uuid()
            await claim(database.owner)
            scope = of_features(scope_of(database, FixedClock(START)))
            price = NewPrice(cycle_unit="month", amount_minor=9000, valid_from=date(2000, 1, 1))
            await create_product(scope, NewProduct(code="fibre-50", name="Fibre 50", kind="plan", prices=[price]))
            rate = NewTaxRate(country="AT", category="standard", valid_from=date(2000, 1, 1), rate_ppm=200_000)
            await set_tax_rate(scope, rate)
            staged = await stage_import(scope, file, plans={"Fibre 50": "fibre-50"})
            assert staged.batch is not None
            await take_over(scope, staged.batch)
            yield scope, staged.batch


SAID = (
    "SELECT CAST(record AS text) || ' ' || number || ' ' || CAST(amount_minor AS text) AS line FROM opening_balance",
    "SELECT c.login || ' ' || CAST(b.receivable_minor AS text) || ' ' || CAST(b.credit_minor AS text) AS line"
    " FROM customer_balance b JOIN customer c ON c.id = b.customer_id",
    "SELECT c.login || ' ' || u.state || ' ' || CAST(u.started_on AS text) || ' ' || CAST(t.cycle_minor AS text)"
    " || ' ' || coalesce(CAST(s.due_on AS text), 'waits') AS line FROM subscription u"
    " JOIN customer c ON c.id = u.customer_id JOIN subscription_term t ON t.subscription_id = u.id"
    " LEFT JOIN subscription_schedule s ON s.subscription_id = u.id",
    "SELECT step || ' ' || CAST(record AS text) || ' ' || refused AS line FROM import_taken",
    "SELECT kind || ' ' || CAST(count(*) AS text) AS line FROM activity GROUP BY kind",
    "SELECT c.login || ' ' || s.key AS line FROM customer c JOIN status s ON s.id = c.status_id",
    "SELECT c.login || ' ' || CAST(d.total_minor AS text) || ' ' || d.kind AS line FROM document d"
    " JOIN customer c ON c.id = d.payer_id",
)


async def said() -> list[list[str]]:
    """All that came of it, whichever ids it has."""
    return [sorted(await values(sql)) for sql in SAID]


async def finish(scope: Scope) -> None:
    await run_billing(scope, date(2027, 6, 1), confirmed=True, pause=0.0)
    assert await verify(scope) == []


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", KINDS)
async def test_steps_of_an_import_killed_in_the_middle_end_as_if_nothing_had_been(kind: str, tmp_path: Path) -> None:
    kills = 0
    async with world_on(kind, tmp_path) as (scope, batch):
        for step in STEPS:
            await steps.begin_step(scope, batch, step)
            for _ in range(2):
                kills += await _killed_in_the_middle(batch, step)
                assert await verify(scope) == []
            done = await steps.take_step(scope, batch, step)
            assert done.state is StepState.DONE
        await finish(scope)
        found = await said()
    async with world_on(kind, tmp_path) as (scope, batch):
        for step in STEPS:
            await steps.begin_step(scope, batch, step)
            await steps.take_step(scope, batch, step)
        await finish(scope)
        wanted = await said()

    assert kills == 4
    assert found == wanted
    assert len(wanted[0]) == RECORDS
    assert len(wanted[2]) == RECORDS * 4 // 5


async def _killed_in_the_middle(batch: int, step: str) -> int:
    """Let a process work on it, which is killed after some chunks; whether it was still at work."""
    database = current()
    given = (address_of(database), str(database.owner), str(batch), step, str(random.randint(3, 7)))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.import_process", *given, cwd=ROOT
    )
    return int(await process.wait() == -signal.SIGKILL)
