"""Anchors, cycles, leap years and zones: which days a period has, and on which day it is invoiced."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING

import pytest

from core.billing.recognition import recognise
from core.billing.verify import verify
from core.billing.writing import write
from core.database import ConstraintFailed, value_as, values
from tests.books import a_customer, day
from tests.stories.story import Money

if TYPE_CHECKING:
    from core.billing.plan import Counts, Plan
    from core.billing.writing import Written
    from tests.stories.story import Story


async def periods(story: Story) -> list[tuple[str | None, int]]:
    """First day and net of every line."""
    return [(line[1], line[3]) for line in await story.lines()]


@pytest.mark.parametrize(
    ("policy", "lines"),
    [
        ("by_day", [("2027-05-20", 1200), ("2027-06-01", 3100)]),
        ("full", [("2027-05-20", 3100), ("2027-06-01", 3100)]),
        ("none", [("2027-06-01", 3100)]),
        ("merged", [("2027-05-20", 4300)]),
    ],
)
async def test_a_first_part_is_priced_as_the_product_says(
    story: Story, policy: str, lines: list[tuple[str, int]]
) -> None:
    await story.begins("2027-05-20", billing_day=1)
    await story.sells("fibre", 3100, proration=policy)
    await story.subscribes("fibre")

    await story.days_pass(20)

    assert await periods(story) == lines
    await story.nothing_more_is_due()


async def test_a_first_part_before_a_short_month_is_of_the_cycle_that_ends_with_it(story: Story) -> None:
    await story.begins("2027-02-10", billing_day=31)
    await story.sells("fibre", 2800)
    await story.subscribes("fibre")

    await story.days_pass(60)

    # 18 of the 28 days from 31 January to 28 February.
    assert await periods(story) == [("2027-02-10", 1800), ("2027-02-28", 2800), ("2027-03-31", 2800)]
    await story.nothing_more_is_due()


async def test_the_billing_day_29_in_a_leap_february_and_in_others(story: Story) -> None:
    await story.begins("2027-12-29", billing_day=29)
    await story.sells("fibre", 2900)
    await story.subscribes("fibre")

    await story.months_pass(3)
    assert [first for first, _ in await periods(story)] == ["2027-12-29", "2028-01-29", "2028-02-29", "2028-03-29"]
    await story.months_pass(12)
    assert ("2029-02-28", 2900) in await periods(story)
    assert ("2029-03-29", 2900) in await periods(story)
    await story.nothing_more_is_due()


async def test_quarters_and_years_begin_on_the_first_billing_day(story: Story) -> None:
    await story.begins("2027-05-20", billing_day=1)
    await story.sells("hosting", 36500, per="year", kind="service")
    await story.sells("backup", 9200, count=3, kind="service")
    await story.subscribes("hosting")
    await story.subscribes("backup")

    await story.months_pass(4)

    # 12 of 365 days from 1 June 2026, and 12 of 92 from 1 March.
    assert await periods(story) == [
        ("2027-05-20", 1200),
        ("2027-05-20", 1200),
        ("2027-06-01", 36500),
        ("2027-06-01", 9200),
        ("2027-09-01", 9200),
    ]
    await story.nothing_more_is_due()


@pytest.mark.parametrize(
    ("per", "count", "starts"),
    [
        ("day", 1, ["2027-03-26", "2027-03-27", "2027-03-28", "2027-03-29", "2027-03-30"]),
        ("day", 3, ["2027-03-26", "2027-03-29"]),
        ("week", 1, ["2027-03-26"]),
        ("day", 2, ["2027-03-26", "2027-03-28", "2027-03-30"]),
    ],
)
async def test_cycles_of_days_and_weeks_begin_on_the_first_day_over_the_change_of_the_clock(
    story: Story, per: str, count: int, starts: list[str]
) -> None:
    await story.begins("2027-03-26", billing_day=1)
    await story.sells("hotspot", 100, per=per, count=count)
    await story.subscribes("hotspot")

    await story.days_pass(4)

    assert [first for first, _ in await periods(story)] == starts
    await story.nothing_more_is_due()


async def test_four_weeks_are_not_a_month(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.sells("hotspot", 2000, per="week", count=4)
    await story.subscribes("hotspot")

    await story.months_pass(12)

    assert len(await periods(story)) == 14
    assert (await periods(story))[-1][0] == "2027-12-31"
    await story.nothing_more_is_due()


async def test_a_year_of_366_days(story: Story) -> None:
    await story.begins("2027-12-22", billing_day=1)
    await story.sells("hosting", 36600, per="year")
    await story.subscribes("hosting")
    story.on("2028-06-01")
    await story.bill()

    # 10 of the 365 days of 2027, then 2028 in full.
    assert await periods(story) == [("2027-12-22", 1003), ("2028-01-01", 36600)]
    await story.nothing_more_is_due()


async def test_in_arrears_a_period_is_charged_on_the_day_it_is_over(story: Story) -> None:
    await story.begins("2027-05-20", billing_day=1)
    await story.sells("fibre", 3100, timing="arrears")
    await story.subscribes("fibre")
    await story.bill()
    assert await story.papers() == []

    await story.months_pass(2)

    await story.expects("invoice_issued", on=["2027-06-01", "2027-07-01"])
    assert await periods(story) == [("2027-05-20", 1200), ("2027-06-01", 3100)]
    assert await story.books("2300", "4000") == ["0.00", "-43.00"]
    await story.nothing_more_is_due()


async def test_what_lies_behind_is_earned_and_what_is_ahead_is_deferred(story: Story) -> None:
    await story.begins("2027-06-11")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre", starting="2027-06-01")
    await story.bill()

    assert await story.books("4000", "2300", "2200") == ["-10.00", "-20.00", "-6.00"]
    await story.nothing_more_is_due()


async def test_months_that_were_missed_are_made_up_for_on_one_invoice(story: Story) -> None:
    await story.begins("2027-01-31")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")

    story.on("2027-04-15")
    await story.bill()

    assert [first for first, _ in await periods(story)] == ["2027-01-31", "2027-02-28", "2027-03-31"]
    assert await story.papers() == [("2027-04-15", "108.00", "open")]
    await story.nothing_more_is_due()


async def test_billed_ahead_the_issue_date_is_today_and_nothing_comes_twice(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")

    await story.bill("2027-07-01")
    await story.months_pass(3)

    assert [first for first, _ in await periods(story)] == ["2027-05-01", "2027-06-01", "2027-07-01", "2027-08-01"]
    await story.expects("invoice_issued", on=["2027-05-01", "2027-08-01"])
    await story.nothing_more_is_due()


ZONES = [
    ("Pacific/Apia", "2027-04-30T12:00:00", "2027-05-01"),
    ("Europe/Berlin", "2027-04-30T22:30:00", "2027-05-01"),
    ("America/Sao_Paulo", "2027-05-02T02:30:00", "2027-05-01"),
    ("America/Juneau", "2027-05-02T07:30:00", "2027-05-01"),
]


@pytest.mark.parametrize(("zone", "instant", "today"), ZONES, ids=[each[0] for each in ZONES])
async def test_the_tenants_zone_decides_the_day(story: Story, zone: str, instant: str, today: str) -> None:
    story.lives_in(zone)
    await story.begins("2027-04-01")
    story.clock.set(datetime.fromisoformat(instant).replace(tzinfo=UTC))
    assert story.today == day(today)
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    await story.bill()

    invoice = await story.document(1)
    assert (invoice.issued_on, invoice.due_on) == (date(2027, 5, 1), date(2027, 5, 15))
    assert await periods(story) == [("2027-05-01", 3000)]
    await story.nothing_more_is_due()


async def test_a_customers_zone_decides_nothing(story: Story) -> None:
    await story.begins("2027-05-01", time_zone="Pacific/Honolulu")
    story.on("2027-05-01", time(1))
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    await story.bill()

    assert await story.papers() == [("2027-05-01", "36.00", "open")]
    await story.nothing_more_is_due()


@pytest.mark.parametrize(
    ("zone", "first", "at", "following"),
    [
        ("Europe/Berlin", "2027-03-28", time(2, 30), ["2027-04-28", "2027-05-28"]),
        ("Europe/Berlin", "2027-10-31", time(2, 30), ["2027-11-30", "2027-12-31"]),
        ("America/Los_Angeles", "2027-03-14", time(2), ["2027-04-14", "2027-05-14"]),
        ("Africa/Cairo", "2027-04-30", time(0, 30), ["2027-05-30", "2027-06-30"]),
    ],
)
async def test_an_hour_that_is_left_out_or_comes_twice_moves_no_day(
    story: Story, zone: str, first: str, at: time, following: list[str]
) -> None:
    story.lives_in(zone)
    await story.begins(first)
    story.on(first, at)
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")

    await story.months_pass(2)

    await story.expects("invoice_issued", on=[first, *following])
    await story.nothing_more_is_due()


async def test_apia_goes_from_one_year_to_the_next_before_all_others(story: Story) -> None:
    story.lives_in("Pacific/Apia", currency="NZD", country="WS")
    await story.begins("2027-12-31", currency="NZD")
    await story.sells("fibre", 3000, currency="NZD")
    await story.subscribes("fibre", anchor_on=day("2028-01-01"))
    await story.bill()
    story.clock.set(datetime(2027, 12, 31, 11, 0, 1, tzinfo=UTC))
    await story.bill()

    assert [(await story.document(each)).number for each in (1, 2)] == ["2027-000001", "2028-000001"]
    # 1 of 31 days, and January.
    assert await periods(story) == [("2027-12-31", 97), ("2028-01-01", 3000)]
    assert await story.money() == Money("30.97", "0.00", "-30.97")
    await story.nothing_more_is_due()


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
async def test_a_chunk_that_midnight_falls_into_is_made_anew_on_the_day_on_which_it_is_written(
    story: Story, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    """Nothing of it stays on the day before: its books may be closed before it is written."""
    await story.begins("2027-05-10")
    await story.taxes(0)
    await story.sells("line", 31_00)
    line = await story.subscribes("line")
    tries = 0

    async def past_midnight(plan: Plan, counts: Counts, *, singly: bool = False) -> Written:
        nonlocal tries
        tries += 1
        written = await write(plan, counts, singly=singly)
        if tries == 1:
            story.on("2027-06-01", time(0, 1))
            if closed:
                raise ConstraintFailed("the books of this day are closed")
        return written

    monkeypatch.setattr("core.billing.chunks.write", past_midnight)
    story.on("2027-05-31", time(23, 59))
    report = await story.bill(chunk_size=1)

    assert report.parked == []
    assert (report.state, report.invoices, tries) == ("done", 1, 2)
    assert await story.papers() == [("2027-06-01", "31.00", "open")]
    assert await values("SELECT DISTINCT booked_on FROM ledger_transaction") == [day("2027-06-01")]
    assert await story.state_of(line) == "active"
    monkeypatch.undo()
    await recognise(story.scope)
    await story.nothing_more_is_due()


async def test_a_run_that_goes_on_past_midnight_dates_each_document_by_the_day_on_which_it_is_issued(
    story: Story,
) -> None:
    """By then May is recognised: nothing may be booked into it any more."""
    await story.begins("2027-05-10", currency="USD", tax_profile="outside", terms_days=14)
    await story.rate("USD", "0.9", since="2027-05-01")
    await story.rate("USD", "0.8", since="2027-06-01")
    await story.sells("line", 31_00, currency="USD")
    first = story.customer
    second = await a_customer(story.scope, "Bea Binder", currency="USD", tax_profile="outside", terms_days=14)
    for each in (first, second):
        await story.subscribes("line", customer_id=each)

    async def midnight(_done: int, _of: int, _text: str) -> None:
        if story.today == day("2027-05-31"):
            story.on("2027-06-01", time(0, 1))
            await recognise(story.scope)

    story.on("2027-05-31", time(23, 59))
    report = await story.bill(chunk_size=1, progress=midnight)

    assert (report.state, report.invoices) == ("done", 2)
    made = [await story.document(each) for each in (1, 2)]
    assert [(each.payer_id, str(each.issued_on), str(each.due_on)) for each in made] == [
        (first, "2027-05-31", "2027-06-14"),
        (second, "2027-06-01", "2027-06-15"),
    ]
    assert [each.number for each in made] == ["2027-000001", "2027-000002"]
    receivable = "SELECT base_minor FROM posting JOIN account a ON a.id = account_id WHERE a.code = '1100' ORDER BY 1"
    assert await values(receivable) == [2480, 2790]
    assert await value_as(date, "SELECT issued_on FROM billing_run") == day("2027-05-31")
    story.on("2027-07-01")
    await recognise(story.scope)
    await story.bill()
    assert await verify(story.scope) == []
