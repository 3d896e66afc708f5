"""The figures of the business: steps of recurring revenue come to what the terms say, revenue to what is booked."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from random import Random
from typing import Any

import pytest

from core.billing.actions import withdraw_subscription
from core.billing.actions.pausing import pause
from core.billing.verify import verify
from core.catalog.actions import create_product
from core.catalog.schemas import NewPrice, NewProduct
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import execute_many, value, values
from core.reports import mrr
from core.reports.figures import charts_of, plan_mix
from core.reports.mrr import mrr_by_month, step_mrr
from core.subscriptions.actions import subscribe
from core.subscriptions.actions.pausing import end_pause
from core.subscriptions.schemas import NewPause, NewSubscription
from core.testing import TestTenant
from tests.books import day
from tests.stories.conftest import story
from tests.stories.story import Story

__all__ = ["story"]


async def _by_terms(story: Story) -> int:
    """What the live terms bring a month, reckoned apart from the steps."""
    return int(
        await value(
            f"SELECT coalesce(sum({mrr.monthly_sql()}), 0) FROM subscription s JOIN subscription_term t"
            " ON t.subscription_id = s.id AND t.in_force AND t.valid_from <= :today"
            " AND (t.valid_to IS NULL OR t.valid_to > :today) WHERE s.state IN ('active', 'suspended')",
            today=story.today,
        )
    )


@pytest.mark.parametrize(
    ("unit", "count", "monthly"),
    [
        ("day", 1, 304_375),
        ("day", 1096, 278),
        ("week", 1, 43_482),
        ("week", 1096, 40),
        ("month", 3, 3_333),
        ("year", 1, 833),
    ],
)
async def test_B13_a_cycle_of_any_length_brings_something_a_month(
    tenant: TestTenant, unit: str, count: int, monthly: int
) -> None:
    term = f"(SELECT '{unit}' AS cycle_unit, {count} AS cycle_count, 10000 AS cycle_minor) t"

    assert await value(f"SELECT {mrr.monthly_sql()} FROM {term}") == monthly


async def test_B13_the_steps_of_a_customer_are_new_more_less_lost_and_back_again(story: Story) -> None:
    await story.begins("2027-01-10")
    await story.taxes(0)
    await story.sells("line", 3_000)
    await story.sells("year", 12_000, per="year", kind="module")
    first = await story.subscribes("line")
    await step_mrr(story.scope)
    story.on("2027-02-05")
    second = await story.subscribes("year")
    await step_mrr(story.scope)
    story.on("2027-03-05")
    await withdraw_subscription(story.scope, second)
    await step_mrr(story.scope)
    story.on("2027-04-05")
    await withdraw_subscription(story.scope, first)
    await step_mrr(story.scope)
    story.on("2027-06-05")
    await story.subscribes("line")
    await step_mrr(story.scope)
    again = await step_mrr(story.scope)

    months = [date(2027, month, 1) for month in range(1, 7)]
    found = await mrr_by_month(story.scope, months, "EUR")

    assert [each.new_minor for each in found] == [3_000, 0, 0, 0, 0, 0]
    assert [each.expansion_minor for each in found] == [0, 1_000, 0, 0, 0, 0]
    assert [each.contraction_minor for each in found] == [0, 0, -1_000, 0, 0, 0]
    assert [each.churn_minor for each in found] == [0, 0, 0, -3_000, 0, 0]
    assert [each.reactivation_minor for each in found] == [0, 0, 0, 0, 0, 3_000]
    assert [each.closing_minor for each in found] == [3_000, 4_000, 3_000, 0, 0, 3_000]
    assert [(each.customers_before, each.won, each.lost) for each in found][3:] == [(1, 0, 1), (0, 0, 0), (0, 1, 0)]
    assert again == 0
    assert await verify(story.scope) == []


async def test_B13_months_before_the_first_step_are_made_up_for_from_the_terms(story: Story) -> None:
    await story.begins("2027-01-10")
    await story.taxes(0)
    await story.sells("line", 3_000)
    await story.subscribes("line")
    story.on("2027-04-20")

    await step_mrr(story.scope)

    found = await mrr_by_month(story.scope, [date(2027, 1, 1), date(2027, 2, 1)], "EUR")
    assert [(each.new_minor, each.closing_minor) for each in found] == [(3_000, 3_000), (0, 3_000)]


async def _a_line_that_pauses(story: Story, *, stepped: bool) -> list[tuple[int, int, int]]:
    """From January to April; February is paused for a hold fee, and so is what begins at the end of March."""
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("line", 3_000, timing="arrears")
    line = await story.subscribes("line")
    for first, last, hold in (("2027-02-01", "2027-03-01", 500), ("2027-03-25", "2027-05-01", 0)):
        await pause(story.scope, line, NewPause(from_on=day(first), to_on=day(last), hold_minor=hold))
        while story.today < min(day(last), date(2027, 4, 10)):
            await story.days_pass(9 if stepped else 80)
            if stepped:
                await step_mrr(story.scope)
    await step_mrr(story.scope)
    found = await mrr_by_month(story.scope, [date(2027, month, 1) for month in range(1, 5)], "EUR")
    return [(each.closing_minor, each.won, each.lost) for each in found]


@pytest.mark.parametrize("stepped", [True, False], ids=["stepped in time", "made up for"])
async def test_B13_a_pause_brings_nothing_a_month_whether_it_is_stepped_in_time_or_made_up_for(
    story: Story, stepped: bool
) -> None:
    found = await _a_line_that_pauses(story, stepped=stepped)

    assert [closing for closing, _won, _lost in found] == [3_000, 0, 0, 0]


async def test_B13_a_hold_fee_is_revenue_of_once_and_the_months_come_to_what_is_booked(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("line", 3_000, timing="arrears")
    line = await story.subscribes("line")
    await pause(story.scope, line, NewPause(from_on=day("2027-02-01"), to_on=day("2027-03-01"), hold_minor=500))
    await story.months_pass(4)

    await step_mrr(story.scope)

    months = [date(2027, month, 1) for month in range(1, 5)]
    found = await mrr_by_month(story.scope, months, "EUR")
    assert [each.closing_minor for each in found] == [3_000, 0, 3_000, 3_000]
    assert [each.churn_minor for each in found] == [0, -3_000, 0, 0]
    assert [each.reactivation_minor for each in found] == [0, 0, 3_000, 0]
    # What is paid to hold it was invoiced ahead, on 2300 until it is recognised.
    assert await story.books("4000", "2300") == ["-90.00", "-5.00"]
    assert sum(each.closing_minor for each in found) == 9_000
    assert await verify(story.scope) == []


async def test_B13_a_pause_that_was_ended_early_counts_again_from_the_day_it_was_served(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("line", 3_000, timing="arrears")
    line = await story.subscribes("line")
    await pause(story.scope, line, NewPause(from_on=day("2027-01-20"), to_on=day("2027-06-01")))
    await story.days_pass(50)
    await end_pause(story.scope, line)
    await story.days_pass(30)

    await step_mrr(story.scope)

    found = await mrr_by_month(story.scope, [date(2027, 1, 1), date(2027, 2, 1), date(2027, 3, 1)], "EUR")
    assert story.today == date(2027, 3, 22)
    assert [each.closing_minor for each in found] == [0, 3_000, 3_000]


@pytest.mark.parametrize("seed", range(2))
async def test_B13_whatever_happens_the_sum_of_all_steps_is_what_the_terms_say(story: Story, seed: int) -> None:
    dice = Random(seed)
    await story.begins("2027-01-05")
    await story.taxes(0)
    for code, amount, per in (
        ("day", 137, "day"),
        ("week", 999, "week"),
        ("line", 33, "month"),
        ("year", 9_999, "year"),
    ):
        await story.sells(code, amount, per=per, kind="module")
    others = [await create_customer(story.scope, NewCustomer(full_name=f"Customer {n}")) for n in range(3)]
    live: list[int] = []
    for month in range(1, 7):
        story.on(date(2027, month, dice.randint(6, 28)))
        for _ in range(3):
            live.append(
                await story.subscribes(
                    dice.choice(("day", "week", "line", "year")), customer_id=dice.choice((story.customer, *others))
                )
            )
        if len(live) > 3:
            await withdraw_subscription(story.scope, live.pop(dice.randrange(len(live))))
        if dice.random() < 0.7:
            await step_mrr(story.scope)
    await step_mrr(story.scope)

    steps = int(await value("SELECT sum(amount_minor) FROM mrr_movement"))
    (last,) = await mrr_by_month(story.scope, [date(2027, 6, 1)], "EUR")

    assert steps == last.closing_minor == await _by_terms(story)
    mix = await plan_mix(story.scope, "EUR")
    assert sum(each.mrr_minor for each in mix) == steps
    assert {each.product_id: each.subscriptions for each in mix} == Counter(
        await values("SELECT product_id FROM subscription WHERE state = 'active'")
    )
    assert last.customers_before + last.won - last.lost == await value(
        "SELECT count(*) FROM customer_mrr WHERE mrr_minor > 0"
    )


async def test_B13_a_step_that_is_broken_off_goes_on_where_it_was(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await story.begins("2027-01-05")
    await story.taxes(0)
    await story.sells("line", 3_000)
    for name in ("One", "Two", "Three"):
        customer_id = await create_customer(story.scope, NewCustomer(full_name=name))
        await story.subscribes("line", customer_id=customer_id)
    monkeypatch.setattr(mrr, "AT_ONCE", 1)
    real, calls = execute_many, []

    async def breaks(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 6:  # the third customer's standing
            raise RuntimeError("the light went out")
        await real(*args)

    monkeypatch.setattr("core.reports.mrr.execute_many", breaks)
    with pytest.raises(RuntimeError):
        await step_mrr(story.scope)
    monkeypatch.setattr("core.reports.mrr.execute_many", real)
    rest = await step_mrr(story.scope)

    assert rest == 1
    assert await value("SELECT count(*) FROM mrr_movement") == 3
    assert await value("SELECT sum(mrr_minor) FROM customer_mrr") == 9_000


async def test_B13_revenue_of_a_chart_is_what_stands_on_4000(story: Story) -> None:
    await story.begins("2027-01-05")
    await story.taxes(0)
    await story.sells("line", 3_000, timing="arrears")
    await story.subscribes("line")
    story.on("2027-02-10")
    await story.bill()
    await story.is_invoiced(("Visit", 5_000))

    _figures, charts = await charts_of(story.scope)

    revenue = next(each for each in charts if each.key == "revenue")
    (booked,) = await story.books("4000")
    assert [bar.values[0].text for bar in revenue.bars if bar.values[0].drawn] == [booked.lstrip("-")]


async def test_B13_the_figures_are_shown_lead_to_their_customers_and_stand_over_json(tenant: TestTenant) -> None:
    scope = tenant.scope()
    ids = await _a_tenant_with_a_line(tenant)
    await step_mrr(scope)
    page, api = await tenant.browser(), await tenant.api()
    month = scope.today().isoformat()[:7]

    start = await page.get("/")
    whole = await page.get("/figures")
    part = await page.get("/figures", headers={"hx-request-type": "partial"})
    who = await page.get("/figures/movements", params={"month": month, "kind": "new"})
    nobody = await page.get("/figures/movements", params={"month": month, "kind": "churn"})
    nonsense = await page.get("/figures/movements", params={"month": "soon"})
    over_json = (await api.get("/api/v1/figures/mrr", params={"months": 1})).json()
    moved = (await api.get("/api/v1/figures/movements", params={"month": scope.today().isoformat()})).json()
    plans = (await api.get("/api/v1/figures/plans")).json()

    assert {each.status_code for each in (start, whole, part, who, nobody, nonsense)} == {200}
    assert "<html" not in part.text
    assert f'href="/figures/movements?month={month}&amp;kind=new"' in whole.text
    for made_of in (f"/figures/movements?month={month}&amp;kind=churn", "/subscriptions?status=active"):
        assert f'<dt><a href="{made_of}">' in whole.text
    assert re.search(r'<dt><a href="/ledger/revenue\?since=[0-9-]+&amp;until=[0-9-]+">', whole.text)
    assert re.search(r"/invoices\?status=overdue&amp;due.from=[0-9-]+&amp;due.to=[0-9-]+", whole.text)
    assert "Ann Arbor" in who.text
    assert "Nothing moved in this month" in nobody.text
    assert over_json[0]["closing_minor"] == 2_500
    assert [each["customer_id"] for each in moved["items"]] == [ids]
    assert [(each["subscriptions"], each["mrr_minor"]) for each in plans] == [(1, 2_500)]


async def _a_tenant_with_a_line(tenant: TestTenant) -> int:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Ann Arbor"))
    price = NewPrice(cycle_unit="month", amount_minor=2_500, valid_from=date(2000, 1, 1))
    product_id = await create_product(scope, NewProduct(code="line", name="Line", kind="plan", prices=[price]))
    price_id = await value("SELECT id FROM price WHERE product_id = :id", id=product_id)
    await subscribe(scope, NewSubscription(customer_id=customer_id, product_id=product_id, price_id=int(price_id)))
    return customer_id
