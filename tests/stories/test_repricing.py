"""A new price for those who have a product, from the first period that begins on or after a day (P20)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.catalog.actions import set_price
from core.catalog.schemas import NewPrice
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import value, values
from core.errors import Invalid
from core.subscriptions.actions.repricing import ToApply, apply_price, apply_to_all, preview_price
from core.subscriptions.queries import get_subscription
from tests.books import day
from tests.stories.story import percent

if TYPE_CHECKING:
    from tests.stories.story import Story


async def _dearer(story: Story, code: str, minor: int, **fields: object) -> int:
    price = NewPrice(cycle_unit="month", amount_minor=minor, **fields)  # type: ignore[arg-type]  # by name
    return await set_price(story.scope, story.products[code], price)


async def test_P20_a_price_holds_from_the_first_period_that_begins_on_the_day_or_later(story: Story) -> None:
    await story.begins("2026-06-10")
    await story.taxes(0)
    await story.sells("plan", 3000, kind="service")
    mine = await story.subscribes("plan")
    three = await story.subscribes("plan", quantity_e6=3_000_000, discounts=[percent(10)])
    agreed = await story.subscribes("plan", amount_minor=2500)
    await story.bill()
    price = await _dearer(story, "plan", 3300)

    found = await preview_price(story.scope, price, day("2026-07-01"))
    assert (found.count, found.customers, found.agreed) == (2, 1, 1)
    assert (found.before_minor, found.after_minor, found.currency) == (3000 + 8100, 3300 + 8910, "EUR")
    assert await apply_to_all(story.scope, ToApply(price, day("2026-07-01"), tell=False)) == 2
    assert await apply_to_all(story.scope, ToApply(price, day("2026-07-01"), tell=False)) == 0
    assert (await preview_price(story.scope, price, day("2026-07-01"))).count == 0

    await story.nothing_more_is_due()
    await story.months_pass(1)
    assert [line[-1] for line in (await story.lines())[-3:]] == [3300, 8910, 2500]
    assert (await get_subscription(story.scope, mine)).cycle_minor == 3300
    assert (await get_subscription(story.scope, three)).cycle_minor == 8910
    assert (await get_subscription(story.scope, agreed)).cycle_minor == 2500
    await story.expects("price_applied", on=["2026-06-10", "2026-06-10"])
    await story.nothing_more_is_due()


async def test_P20_a_period_that_has_begun_before_stays_at_its_price_in_arrears_too(story: Story) -> None:
    await story.begins("2026-06-10")
    await story.taxes(0)
    await story.sells("plan", 3000, timing="arrears")
    await story.subscribes("plan")
    price = await _dearer(story, "plan", 3300)
    await apply_to_all(story.scope, ToApply(price, day("2026-07-01"), tell=False))

    await story.months_pass(2)
    assert [line[-1] for line in await story.lines()] == [3000, 3300]
    await story.nothing_more_is_due()


async def test_P20_a_later_change_of_quantity_keeps_the_price_to_come(story: Story) -> None:
    await story.begins("2026-06-01")
    await story.taxes(0)
    await story.sells("plan", 3000)
    mine = await story.subscribes("plan")
    await story.bill()
    price = await _dearer(story, "plan", 3300)
    await apply_to_all(story.scope, ToApply(price, day("2026-07-01"), tell=False))

    story.on("2026-06-16")
    await story.changes(mine, quantity_e6=2_000_000)
    await story.days_pass(15)
    assert [line[-1] for line in await story.lines()] == [3000, 1500, 6600]
    await story.nothing_more_is_due()


async def test_P20_customers_are_told_once_where_they_are_written_to_at_all(story: Story) -> None:
    await story.begins("2026-06-01")
    await story.taxes(0)
    await story.sells("plan", 3000)
    await story.subscribes("plan")
    reached = await create_customer(
        story.scope, NewCustomer(full_name="Bo Berg", country="DE", emails=["bo@berg.example"])
    )
    await story.subscribes("plan", customer_id=reached)
    await story.bill()
    price = await _dearer(story, "plan", 3300)
    await apply_to_all(story.scope, ToApply(price, day("2026-07-01"), tell=True))

    assert await values("SELECT customer_id FROM message WHERE kind = 'price_changes'") == [reached]


async def test_P20_it_is_left_for_the_worker_once_and_refused_where_it_makes_no_sense(story: Story) -> None:
    await story.begins("2026-06-01")
    await story.sells("plan", 3000)
    price = await _dearer(story, "plan", 3300, valid_from=day("2026-07-01"))

    job = await apply_price(story.scope, price, day("2026-07-01"), tell=True)
    assert await apply_price(story.scope, price, day("2026-07-01"), tell=True) == job
    with pytest.raises(Invalid, match="not in force"):
        await apply_price(story.scope, price, day("2026-06-15"), tell=False)
    with pytest.raises(Invalid, match="later day"):
        await preview_price(story.scope, price, day("2026-05-01"))
    assert await value("SELECT kind FROM job WHERE id = :id", id=job) == "subscriptions.apply_price"


async def test_P20_what_waits_for_its_first_payment_has_the_new_price_from_its_day_beside_an_introduction(
    story: Story,
) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("plan", 10000, activation="invoice_first")
    introduced = {"intro_minor": 4000, "intro_cycles": 2, "valid_from": day("2000-01-01")}
    story.prices["plan"] = await _dearer(story, "plan", 10000, **introduced)
    _, invoice = await story.asks_for("plan")
    price = await _dearer(story, "plan", 12000, valid_from=day("2027-01-03"))
    story.on("2027-01-05")

    assert await apply_to_all(story.scope, ToApply(price, day("2027-02-15"), tell=False)) == 1
    await story.pays(4000, invoice)
    await story.months_pass(3)

    assert [net for *_, net in await story.lines()] == [4000, 4000, 12000, 12000]
    await story.nothing_more_is_due()
