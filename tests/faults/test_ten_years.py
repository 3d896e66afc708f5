"""Ten years of months in five zones through the real run: every month once, then nothing more."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from time import perf_counter
from typing import Final
from zoneinfo import ZoneInfo

import pytest

from core.billing.run import run_billing
from core.billing.verify import verify
from core.catalog.actions import create_product, set_tax_rate
from core.catalog.schemas import NewPrice, NewProduct, NewTaxRate
from core.clock import FixedClock
from core.database import bind, claim, value, values
from core.ids import new_uuid
from core.periods import Cycle, nth
from core.subscriptions.actions import subscribe
from core.subscriptions.schemas import NewSubscription
from tests.books import APPS, a_customer, scope_of
from tests.databases import KINDS, fresh

ZONES: Final = ("Pacific/Apia", "America/Sao_Paulo", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Auckland")
BEGIN: Final = date(2026, 1, 31)


async def ten_years(kind: str, folder: Path, zone: str, subscriptions: int, months: int) -> tuple[int, float]:
    """Invoices made, and the seconds that the runs took."""
    clock = FixedClock(datetime.combine(BEGIN, time(9), ZoneInfo(zone)).astimezone(UTC))
    chance = random.Random(zone)
    async with fresh(kind, folder, APPS) as database:
        with bind(database):
            database.owner = new_uuid()
            await claim(database.owner)
            scope = scope_of(database, clock)
            scope = replace(scope, tenant=replace(scope.tenant, time_zone=zone))
            await set_tax_rate(
                scope, NewTaxRate(country="AT", category="standard", valid_from=date(2000, 1, 1), rate_ppm=200_000)
            )
            price = NewPrice(cycle_unit="month", amount_minor=4990, valid_from=date(2000, 1, 1))
            product = await create_product(scope, NewProduct(code="fibre", name="Fibre", kind="plan", prices=[price]))
            price_id = await value("SELECT max(id) FROM price")
            for number in range(subscriptions):
                customer = await a_customer(
                    scope, f"Customer {number}", billing_day=chance.choice((None, 1, 29, 30, 31))
                )
                await subscribe(scope, NewSubscription(customer_id=customer, product_id=product, price_id=price_id))
            began, made = perf_counter(), 0
            for month in range(months):
                clock.set(datetime.combine(nth(BEGIN, Cycle("month"), month), time(3), ZoneInfo(zone)).astimezone(UTC))
                made += (await run_billing(scope, scope.today(), pause=0, confirmed=True)).invoices
            seconds = perf_counter() - began
            again = await run_billing(scope, scope.today(), pause=0, confirmed=True)
            assert (again.invoices, again.charges) == (0, 0)
            assert await verify(scope) == []
            per = await values(
                "SELECT DISTINCT count(*) FROM charge WHERE kind = 'recurring' AND days = of_days"
                " GROUP BY subscription_id"
            )
            assert set(per) <= {months - 1, months}, "each full month once"
            return made, seconds


@pytest.mark.parametrize("kind", KINDS)
async def test_B12_every_month_once(kind: str, tmp_path: Path) -> None:
    made, _ = await ten_years(kind, tmp_path, "Pacific/Apia", 3, 14)

    assert made >= 3 * 14


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", KINDS)
async def test_B12_two_hundred_subscriptions_for_ten_years_in_five_zones(kind: str, tmp_path: Path) -> None:
    total = 0.0
    for zone in ZONES:
        made, seconds = await ten_years(kind, tmp_path, zone, 200, 120)
        assert made >= 200 * 119
        print(f"{kind}, {zone}: {made:,} invoices in {seconds:.1f} s")
        total += seconds
    print(f"{kind}: {total:.1f} s in all")
