"""What a cycle costs: quantity, discounts, set-up, agreed prices, one-off items (domain.md, Lines)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.catalog.actions import set_price
from core.catalog.schemas import NewPrice
from core.errors import Invalid
from tests.books import day
from tests.stories.story import Money, off, percent

if TYPE_CHECKING:
    from tests.stories.story import Story


async def nets(story: Story) -> list[int]:
    return [line[3] for line in await story.lines()]


async def test_quantity_times_price_is_rounded_once(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("seats", 333, kind="module")
    await story.subscribes("seats", quantity_e6=2_500_000)
    await story.bill()

    (line,) = (await story.document(1)).lines
    assert (line.quantity_e6, line.unit_price_e6, line.net_minor) == (2_500_000, 3_330_000, 833)
    await story.nothing_more_is_due()


async def test_discounts_go_one_after_the_other_each_on_what_is_left(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 25000)
    await story.subscribes("fibre", discounts=[percent(10), percent(10), percent(20)])
    await story.bill()

    # 250.00 × 0.9 × 0.9 × 0.8
    (line,) = (await story.document(1)).lines
    assert (line.discount_minor, line.net_minor) == (8800, 16200)
    assert await story.papers() == [("2027-05-01", "194.40", "open")]
    await story.nothing_more_is_due()


async def test_their_order_counts_and_nothing_falls_below_zero(story: Story) -> None:
    await story.begins("2027-05-01")
    for code, discounts in (
        ("amount-first", [off(500), percent(10)]),
        ("percent-first", [percent(10), off(500)]),
        ("too-much", [off(4000), percent(10)]),
    ):
        await story.sells(code, 3000, kind="module")
        await story.subscribes(code, discounts=discounts)

    await story.bill()

    assert await nets(story) == [2250, 2200, 0]
    await story.nothing_more_is_due()


async def test_a_discount_with_an_end_is_gone_from_the_first_period_behind_it(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre", discounts=[percent(50, until="2027-07-01"), off(100)])

    await story.months_pass(3)

    assert await nets(story) == [1400, 1400, 2900, 2900]
    await story.nothing_more_is_due()


async def test_a_discount_is_shared_by_a_part_of_a_period(story: Story) -> None:
    await story.begins("2027-05-21", billing_day=1)
    await story.sells("fibre", 3100)
    await story.subscribes("fibre", discounts=[percent(50)])
    await story.bill()

    # 11 of 31 days: 11.00 less 5.50
    (line,) = (await story.document(1)).lines
    assert (line.discount_minor, line.net_minor) == (550, 550)
    await story.nothing_more_is_due()


async def test_P1_the_set_up_is_charged_once_and_outside_the_discount(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, setup_minor=4900)
    await story.subscribes("fibre", discounts=[percent(50)])

    await story.months_pass(1)

    assert await story.lines() == [
        ("Fibre: set-up", None, None, 4900),
        ("Fibre", "2027-05-01", "2027-06-01", 1500),
        ("Fibre", "2027-06-01", "2027-07-01", 1500),
    ]
    await story.nothing_more_is_due()


async def test_P1_a_new_price_leaves_what_was_agreed(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    await set_price(
        story.scope,
        story.products["fibre"],
        NewPrice(cycle_unit="month", amount_minor=4000, valid_from=day("2027-05-15")),
    )

    await story.months_pass(2)

    assert await nets(story) == [3000, 3000, 3000]
    with pytest.raises(Invalid, match="not offered today"):
        await story.subscribes("fibre")
    await story.nothing_more_is_due()


async def test_a_price_agreed_for_one_customer(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre", amount_minor=2499, label="Fibre, as agreed")
    await story.bill()

    assert await story.lines() == [("Fibre, as agreed", "2027-05-01", "2027-06-01", 2499)]
    await story.nothing_more_is_due()


async def test_a_price_of_nothing_is_told_without_an_invoice(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 0)
    await story.subscribes("fibre")

    await story.months_pass(2)

    assert await story.papers() == []
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_a_one_off_waits_for_the_next_invoice_and_its_key_is_charged_once(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    await story.bill()
    first = await story.is_charged("Visit", 6500, quantity_e6=1_500_000, source_key="ticket-7")
    assert await story.is_charged("Visit", 6500, source_key="ticket-7") == first

    story.on("2027-06-01")
    await story.bill()

    assert await story.papers() == [("2027-05-01", "36.00", "overdue"), ("2027-06-01", "153.00", "open")]
    assert await story.books("4000", "2300") == ["-97.50", "-60.00"]
    await story.nothing_more_is_due()


async def test_one_invoice_a_subscription_where_the_tenant_wants_it(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.bills(invoice_per="subscription", terms_days=7)
    await story.sells("fibre", 3000)
    await story.sells("tv", 1000, kind="module")
    await story.subscribes("fibre")
    await story.subscribes("tv")

    await story.bill()

    assert await story.papers() == [("2027-05-01", "36.00", "open"), ("2027-05-01", "12.00", "open")]
    assert (await story.document(1)).due_on == day("2027-05-08")
    await story.nothing_more_is_due()
