"""Periods over months: short months, leap years, anchors, parts of a cycle, ends (domain.md, Subscription)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.stories.story import Story


async def test_31st_of_january_bills_on_the_last_day_of_short_months(story: Story) -> None:
    await story.begins("2027-01-31")
    await story.sells("fibre-100", 3000)
    await story.subscribes("fibre-100", starting="2027-01-31")

    await story.months_pass(3)

    await story.expects("invoice_issued", on=["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30"])
    await story.nothing_more_is_due()


async def test_29th_of_february_returns_in_the_next_leap_year(story: Story) -> None:
    await story.begins("2028-02-29")
    await story.sells("hosting", 12000, per="year")
    await story.subscribes("hosting")

    await story.months_pass(48)

    await story.expects("invoice_issued", on=["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"])
    await story.nothing_more_is_due()


async def test_a_billing_day_makes_a_first_part_by_day(story: Story) -> None:
    await story.begins("2027-05-20", billing_day=1)
    await story.sells("fibre-100", 3100)
    await story.subscribes("fibre-100")

    await story.months_pass(1)

    assert await story.lines() == [
        ("Fibre-100", "2027-05-20", "2027-06-01", 1200),
        ("Fibre-100", "2027-06-01", "2027-07-01", 3100),
    ]
    await story.nothing_more_is_due()
