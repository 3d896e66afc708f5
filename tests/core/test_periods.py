"""Cycles and periods: every boundary is anchor + n × cycle, and periods tile."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Invalid
from core.money import MOST_FACTOR, half_up
from core.periods import (
    MOST_OF_A_UNIT,
    Cycle,
    CycleUnit,
    FirstPart,
    LastPart,
    Period,
    Timing,
    anchor_for,
    cycle_index,
    due_periods,
    nth,
)

CASES = [pytest.param(500, id="500"), pytest.param(10_000, marks=pytest.mark.long, id="10000")]
MONTH, QUARTER, YEAR, WEEK = Cycle("month"), Cycle("month", 3), Cycle("year"), Cycle("week")

days = st.dates(date(1999, 1, 1), date(2101, 12, 31))
cycles = st.sampled_from(sorted(MOST_OF_A_UNIT)).flatmap(
    lambda unit: st.builds(Cycle, st.just(unit), st.integers(1, MOST_OF_A_UNIT[unit]) | st.integers(1, 3))
)
month_cycles = st.sampled_from([1, 2, 3, 4, 6, 12, 24, 36]).map(lambda count: Cycle("month", count))


def on(text: str) -> date:
    return date.fromisoformat(text)


def spans(periods: list[Period]) -> list[str]:
    return [f"{p.start:%d %b} - {p.end:%d %b} {p.days}/{p.of_days}" for p in periods]


# ------------------------------------------------------------------ cycles


@pytest.mark.parametrize(
    "text", ["1 month", "3 months", "1 year", "30 days", "1 day", "2 weeks", "36 months", "1096 days"]
)
def test_a_cycle_is_stored_as_it_is_said(text: str) -> None:
    assert str(Cycle.parse(text)) == text


def test_a_cycle_may_be_said_without_the_plural() -> None:
    assert Cycle.parse("3 month") == Cycle("month", 3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "month",
        "0 months",
        "-1 month",
        "1.5 months",
        "1 fortnight",
        "37 months",
        "1097 days",
        "157 weeks",
        "4 years",
        "01 month",
        "1  month",
        " 1 month",
        "1 month\n",
    ],
)
def test_what_is_no_cycle_is_refused_by_the_field_s_name(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        Cycle.parse(text)

    assert refused.value.errors[0].field == "cycle"


@pytest.mark.parametrize(("unit", "count"), [("month", 0), ("day", -1), ("year", 4), ("hour", 1)])
def test_an_impossible_cycle_cannot_be_made(unit: CycleUnit, count: int) -> None:
    with pytest.raises(Invalid, match="A cycle lasts"):
        Cycle(unit, count)


def test_a_year_is_twelve_months_and_a_week_seven_days() -> None:
    assert (YEAR.months, QUARTER.months, WEEK.months) == (12, 3, 0)
    assert (Cycle("week", 2).days, Cycle("day", 30).days, YEAR.days) == (14, 30, 0)
    assert [nth(on("2024-02-29"), YEAR, n) for n in range(6)] == [
        nth(on("2024-02-29"), Cycle("month", 12), n) for n in range(6)
    ]


# ------------------------------------------------------------------ anchor + n


def test_the_31st_comes_back_after_every_short_month() -> None:
    ends = [nth(on("2027-01-31"), MONTH, n) for n in range(1, 13)]

    assert [f"{end:%d %b}" for end in ends] == [
        "28 Feb", "31 Mar", "30 Apr", "31 May", "30 Jun", "31 Jul", "31 Aug", "30 Sep", "31 Oct", "30 Nov",
        "31 Dec", "31 Jan",
    ]  # fmt: skip


def test_the_29th_of_february_comes_back_in_leap_years() -> None:
    assert [str(nth(on("2024-02-29"), YEAR, n)) for n in (-4, -1, 0, 1, 2, 3, 4)] == [
        "2020-02-29", "2023-02-28", "2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29",
    ]  # fmt: skip
    assert nth(on("2096-02-29"), YEAR, 4) == on("2100-02-28")
    assert nth(on("2096-02-29"), YEAR, 8) == on("2104-02-29")


def test_before_28_february_of_anchor_31_lies_31_january() -> None:
    anchor = on("2027-05-31")

    assert nth(anchor, MONTH, -3) == on("2027-02-28")
    assert nth(anchor, MONTH, -4) == on("2027-01-31")


def test_chained_months_would_drift_and_ours_do_not() -> None:
    chained = on("2027-01-31")
    for _ in range(3):
        chained = nth(chained, MONTH, 1)

    assert chained == on("2027-04-28")
    assert nth(on("2027-01-31"), MONTH, 3) == on("2027-04-30")


@pytest.mark.parametrize(
    ("anchor", "cycle", "day", "index"),
    [
        ("2027-01-31", MONTH, "2027-01-31", 0), ("2027-01-31", MONTH, "2027-01-30", -1),
        ("2027-01-31", MONTH, "2027-02-27", 0), ("2027-01-31", MONTH, "2027-02-28", 1),
        ("2027-01-31", MONTH, "2027-03-30", 1), ("2027-01-31", MONTH, "2027-03-31", 2),
        ("2024-02-29", YEAR, "2025-02-27", 0), ("2024-02-29", YEAR, "2025-02-28", 1),
        ("2027-01-15", QUARTER, "2027-04-14", 0), ("2027-01-15", QUARTER, "2027-04-15", 1),
        ("2027-01-15", QUARTER, "2026-10-15", -1), ("2027-01-15", QUARTER, "2026-10-14", -2),
        ("2027-01-04", WEEK, "2027-01-10", 0), ("2027-01-04", WEEK, "2027-01-11", 1),
        ("2027-01-04", WEEK, "2027-01-03", -1), ("2027-01-04", Cycle("day", 30), "2027-02-03", 1),
    ],
)  # fmt: skip
def test_a_day_lies_in_one_cycle(anchor: str, cycle: Cycle, day: str, index: int) -> None:
    assert cycle_index(on(anchor), cycle, on(day)) == index


@pytest.mark.parametrize("cases", CASES)
def test_every_day_lies_in_exactly_the_cycle_of_its_index(cases: int) -> None:
    @settings(max_examples=cases, deadline=None)
    @given(days, cycles, days)
    def check(anchor: date, cycle: Cycle, day: date) -> None:
        n = cycle_index(anchor, cycle, day)

        assert nth(anchor, cycle, n) <= day < nth(anchor, cycle, n + 1)

    check()


@pytest.mark.parametrize("cases", CASES)
def test_boundaries_rise_and_each_is_as_near_to_the_anchor_s_day_as_its_month_allows(cases: int) -> None:
    @settings(max_examples=cases, deadline=None)
    @given(days, cycles, st.integers(-20, 20))
    def check(anchor: date, cycle: Cycle, n: int) -> None:
        boundary = nth(anchor, cycle, n)

        assert boundary < nth(anchor, cycle, n + 1)
        assert cycle_index(anchor, cycle, boundary) == n
        assert nth(anchor, cycle, 0) == anchor
        if cycle.months:
            assert boundary.day <= anchor.day
            assert boundary.day == anchor.day or (boundary + timedelta(days=1)).day == 1
        else:
            assert (boundary - anchor).days == n * cycle.days

    check()


# ------------------------------------------------------------------ the anchor of a billing day


@pytest.mark.parametrize(
    ("starts_on", "cycle", "billing_day", "first_full"),
    [
        ("2027-01-10", MONTH, None, "2027-01-10"), ("2027-01-10", MONTH, 10, "2027-01-10"),
        ("2027-01-10", MONTH, 1, "2027-02-01"), ("2027-01-10", MONTH, 15, "2027-01-15"),
        ("2027-02-10", MONTH, 31, "2027-02-28"), ("2027-02-28", MONTH, 31, "2027-02-28"),
        ("2027-02-10", MONTH, 30, "2027-02-28"), ("2028-02-29", MONTH, 30, "2028-02-29"),
        ("2027-04-30", MONTH, 31, "2027-04-30"), ("2027-12-31", MONTH, 30, "2028-01-30"),
        ("2027-01-10", QUARTER, 1, "2027-02-01"), ("2027-01-10", QUARTER, 10, "2027-01-10"),
        ("2027-02-10", QUARTER, 31, "2027-02-28"),
        ("2027-02-10", YEAR, 31, "2027-02-28"), ("2027-04-02", YEAR, 31, "2027-04-30"),
        ("2027-01-10", WEEK, 1, "2027-01-10"), ("2027-01-10", Cycle("day", 30), 31, "2027-01-10"),
    ],
)  # fmt: skip
def test_the_first_billing_day_on_or_after_the_start_begins_the_first_full_cycle(
    starts_on: str, cycle: Cycle, billing_day: int | None, first_full: str
) -> None:
    anchor = anchor_for(on(starts_on), cycle, billing_day)

    due = due_periods(anchor, cycle, on(starts_on), None, on("2031-01-01"))
    assert next(p.start for p in due if p.is_full) == on(first_full)


def test_a_subscription_that_starts_in_february_still_bills_on_the_31st_of_march() -> None:
    anchor = anchor_for(on("2027-02-10"), MONTH, 31)

    assert spans(list(due_periods(anchor, MONTH, on("2027-02-10"), None, on("2027-04-30")))) == [
        "10 Feb - 28 Feb 18/28", "28 Feb - 31 Mar 1/1", "31 Mar - 30 Apr 1/1", "30 Apr - 31 May 1/1",
    ]  # fmt: skip


def test_a_cycle_of_three_years_from_february_remembers_the_29th() -> None:
    three_years = Cycle("month", 36)
    anchor = anchor_for(on("2025-02-10"), three_years, 29)

    assert anchor == on("2016-02-29")
    assert [nth(anchor, three_years, n) for n in (3, 4)] == [on("2025-02-28"), on("2028-02-29")]


@pytest.mark.parametrize(
    ("starts_on", "billing_day", "anchor"),
    [("2027-01-10", 15, "2027-01-15"), ("2027-01-20", 15, "2027-02-15"), ("2027-02-10", 31, "2027-01-31"),
     ("2027-04-30", 31, "2027-03-31")],
)  # fmt: skip
def test_the_anchor_is_the_last_one_that_has_the_day_and_never_ahead_of_the_first_full_cycle(
    starts_on: str, billing_day: int, anchor: str
) -> None:
    assert anchor_for(on(starts_on), MONTH, billing_day) == on(anchor)


@pytest.mark.parametrize("billing_day", [0, 32, -1])
def test_a_billing_day_is_a_day_of_the_month(billing_day: int) -> None:
    with pytest.raises(Invalid, match="1 to 31"):
        anchor_for(on("2027-01-10"), MONTH, billing_day)


@pytest.mark.parametrize("cases", CASES)
def test_whatever_the_start_every_boundary_falls_on_the_billing_day_or_a_short_month_s_last(cases: int) -> None:
    @settings(max_examples=cases, deadline=None)
    @given(days, month_cycles, st.integers(1, 31), st.integers(0, 60))
    def check(starts_on: date, cycle: Cycle, billing_day: int, n: int) -> None:
        anchor = anchor_for(starts_on, cycle, billing_day)
        first = cycle_index(anchor, cycle, starts_on - timedelta(days=1)) + 1
        boundary = nth(anchor, cycle, first + n)

        assert starts_on <= nth(anchor, cycle, first) < starts_on + timedelta(days=32)
        last_of_month = (boundary + timedelta(days=1)).day == 1
        assert boundary.day == billing_day or (last_of_month and boundary.day < billing_day)

    check()


# ------------------------------------------------------------------ due periods


def due(
    anchor: str, cycle: Cycle, billed_until: str, ends_on: str | None, as_of: str, *, timing: Timing = "advance",
    first: FirstPart = "by_day", last: LastPart = "by_day",
) -> list[str]:  # fmt: skip
    end = on(ends_on) if ends_on else None
    periods = due_periods(on(anchor), cycle, on(billed_until), end, on(as_of), timing=timing, first=first, last=last)
    return spans(list(periods))


def test_in_advance_a_period_is_due_on_its_first_day() -> None:
    assert due("2027-01-15", MONTH, "2027-02-15", None, "2027-02-14") == []
    assert due("2027-01-15", MONTH, "2027-02-15", None, "2027-02-15") == ["15 Feb - 15 Mar 1/1"]
    assert due("2027-01-15", MONTH, "2027-02-15", None, "2027-03-14") == ["15 Feb - 15 Mar 1/1"]


def test_in_arrears_a_period_is_due_on_the_day_it_ends() -> None:
    assert due("2027-01-15", MONTH, "2027-01-15", None, "2027-02-14", timing="arrears") == []
    assert due("2027-01-15", MONTH, "2027-01-15", None, "2027-02-15", timing="arrears") == ["15 Jan - 15 Feb 1/1"]
    assert due("2027-01-15", MONTH, "2027-01-15", "2027-01-20", "2027-01-20", timing="arrears") == [
        "15 Jan - 20 Jan 5/31"
    ]


def test_catching_up_gives_every_missed_period() -> None:
    assert due("2027-01-31", MONTH, "2027-01-31", None, "2027-04-30") == [
        "31 Jan - 28 Feb 1/1", "28 Feb - 31 Mar 1/1", "31 Mar - 30 Apr 1/1", "30 Apr - 31 May 1/1",
    ]  # fmt: skip


def test_a_first_part_is_divided_by_the_cycle_that_ends_at_its_end() -> None:
    assert due("2027-02-01", MONTH, "2027-01-10", None, "2027-02-01") == [
        "10 Jan - 01 Feb 22/31",
        "01 Feb - 01 Mar 1/1",
    ]
    assert due("2027-02-01", QUARTER, "2027-01-10", None, "2027-01-10") == ["10 Jan - 01 Feb 22/92"]
    assert due("2027-05-31", MONTH, "2027-02-10", None, "2027-02-10") == ["10 Feb - 28 Feb 18/28"]


def test_a_last_part_is_divided_by_the_cycle_that_starts_at_its_start() -> None:
    assert due("2027-01-31", MONTH, "2027-02-28", "2027-03-15", "2027-03-20") == ["28 Feb - 15 Mar 15/31"]
    assert due("2024-02-29", YEAR, "2027-02-28", "2027-03-10", "2027-02-28") == ["28 Feb - 10 Mar 10/366"]


def test_a_part_that_is_cut_on_both_sides_lies_in_one_cycle() -> None:
    assert due("2027-02-01", MONTH, "2027-01-10", "2027-01-20", "2027-02-01") == ["10 Jan - 20 Jan 10/31"]
    assert due("2027-02-01", MONTH, "2027-01-10", "2027-01-20", "2027-02-01", first="none") == ["10 Jan - 20 Jan 0/1"]
    assert due("2027-02-01", MONTH, "2027-01-10", "2027-01-20", "2027-02-01", first="merged") == [
        "10 Jan - 20 Jan 10/31"
    ]


def test_nothing_is_due_from_the_end_on() -> None:
    assert due("2027-01-15", MONTH, "2027-02-15", "2027-02-15", "2027-06-01") == []
    assert due("2027-01-15", MONTH, "2027-01-15", "2027-02-15", "2027-06-01") == ["15 Jan - 15 Feb 1/1"]
    assert due("2027-01-15", MONTH, "2027-03-15", "2027-02-15", "2027-06-01") == []


@pytest.mark.parametrize(
    ("first", "periods"),
    [
        ("by_day", ["10 Jan - 01 Feb 22/31", "01 Feb - 01 Mar 1/1"]),
        ("full", ["10 Jan - 01 Feb 1/1", "01 Feb - 01 Mar 1/1"]),
        ("none", ["10 Jan - 01 Feb 0/1", "01 Feb - 01 Mar 1/1"]),
        ("merged", ["10 Jan - 01 Mar 53/31"]),
    ],
)
def test_a_first_part_is_charged_as_the_product_says(first: FirstPart, periods: list[str]) -> None:
    assert due("2027-02-01", MONTH, "2027-01-10", None, "2027-02-01", first=first) == periods


@pytest.mark.parametrize(("last", "share"), [("by_day", "14/28"), ("full", "1/1"), ("none", "0/1")])
def test_a_last_part_is_charged_as_the_product_says(last: LastPart, share: str) -> None:
    assert due("2027-02-01", MONTH, "2027-02-01", "2027-02-15", "2027-03-01", last=last) == [f"01 Feb - 15 Feb {share}"]


def test_a_merged_first_part_costs_its_days_and_a_full_cycle() -> None:
    merged = next(due_periods(on("2027-02-01"), MONTH, on("2027-01-10"), None, on("2027-01-10"), first="merged"))

    assert half_up(3100 * merged.days, merged.of_days) == 3100 + half_up(3100 * 22, 31)
    assert not merged.is_full


def test_a_merged_first_part_is_due_when_it_begins_or_in_arrears_when_the_full_cycle_ends() -> None:
    merged = ["10 Jan - 01 Mar 53/31"]

    assert due("2027-02-01", MONTH, "2027-01-10", None, "2027-01-10", first="merged") == merged
    assert due("2027-02-01", MONTH, "2027-01-10", None, "2027-02-28", first="merged", timing="arrears") == []
    assert due("2027-02-01", MONTH, "2027-01-10", None, "2027-03-01", first="merged", timing="arrears") == merged


def test_a_first_part_is_not_merged_with_a_cycle_that_is_cut_off() -> None:
    assert due("2027-02-01", MONTH, "2027-01-10", "2027-02-15", "2027-03-01", first="merged") == [
        "10 Jan - 01 Feb 22/31", "01 Feb - 15 Feb 14/28",
    ]  # fmt: skip
    assert due("2027-02-01", MONTH, "2027-01-10", "2027-03-01", "2027-03-01", first="merged") == [
        "10 Jan - 01 Mar 53/31"
    ]


def test_days_and_weeks_go_on_through_leap_days() -> None:
    assert due("2028-02-14", WEEK, "2028-02-21", None, "2028-03-06") == [
        "21 Feb - 28 Feb 1/1", "28 Feb - 06 Mar 1/1", "06 Mar - 13 Mar 1/1",
    ]  # fmt: skip
    assert due("2027-02-15", Cycle("day", 30), "2027-02-15", None, "2027-02-15") == ["15 Feb - 17 Mar 1/1"]


def test_an_open_end_is_worked_out_only_as_far_as_it_is_asked() -> None:
    periods = due_periods(on("2027-01-31"), MONTH, on("2027-01-31"), None, on("9000-01-01"))

    assert [str(next(periods).end) for _ in range(2)] == ["2027-02-28", "2027-03-31"]


@pytest.mark.parametrize("cases", CASES)
def test_periods_tile_and_end_on_anchor_plus_n(cases: int) -> None:
    @settings(max_examples=cases, deadline=None)
    @given(
        days, cycles, st.integers(0, 800), st.none() | st.integers(1, 4000), st.integers(-10, 4000),
        st.sampled_from(["advance", "arrears"]), st.sampled_from(["by_day", "full", "none", "merged"]),
        st.sampled_from(["by_day", "full", "none"]),
    )  # fmt: skip
    def check(
        anchor: date,
        cycle: Cycle,
        after: int,
        lasts: int | None,
        later: int,
        timing: Timing,
        first: FirstPart,
        last: LastPart,
    ) -> None:
        start = anchor + timedelta(days=after - 400)
        ends_on = None if lasts is None else start + timedelta(days=lasts)
        as_of = start + timedelta(days=later)

        periods = list(due_periods(anchor, cycle, start, ends_on, as_of, timing=timing, first=first, last=last))

        assert all(p.start < p.end for p in periods)
        assert all(before.end == after.start for before, after in pairwise(periods))
        assert [p.start for p in periods[:1]] == [start][: len(periods)]
        for p in periods:
            assert (p.start if timing == "advance" else p.end) <= as_of
            assert p.end == ends_on or p.end == nth(anchor, cycle, cycle_index(anchor, cycle, p.end))
            assert ends_on is None or p.end <= ends_on
            assert 0 <= p.days <= MOST_FACTOR
            assert 1 <= p.of_days <= MOST_FACTOR
        reached = periods[-1].end if periods else start
        if ends_on is None or reached < ends_on:
            more = next(
                due_periods(anchor, cycle, reached, ends_on, date(9000, 1, 1), timing=timing, first=first, last=last)
            )
            assert (more.start if timing == "advance" else more.end) > as_of

    check()


@pytest.mark.parametrize("cases", CASES)
def test_billing_day_by_day_gives_what_billing_at_once_gives(cases: int) -> None:
    @settings(max_examples=cases, deadline=None)
    @given(
        days,
        cycles,
        st.integers(0, 400),
        st.none() | st.integers(1, 900),
        st.lists(st.integers(0, 900), max_size=6),
        st.booleans(),
    )
    def check(anchor: date, cycle: Cycle, after: int, lasts: int | None, stops: list[int], in_advance: bool) -> None:
        start = anchor + timedelta(days=after - 200)
        ends_on = None if lasts is None else start + timedelta(days=lasts)
        timing: Timing = "advance" if in_advance else "arrears"
        asked = sorted(start + timedelta(days=stop) for stop in [*stops, 900])

        step_by_step: list[Period] = []
        for as_of in asked:
            reached = step_by_step[-1].end if step_by_step else start
            step_by_step += due_periods(anchor, cycle, reached, ends_on, as_of, timing=timing)

        assert step_by_step == list(due_periods(anchor, cycle, start, ends_on, asked[-1], timing=timing))

    check()


@pytest.mark.parametrize("cases", CASES)
def test_a_full_cycle_cut_in_two_by_day_is_whole_again(cases: int) -> None:
    @settings(max_examples=cases, deadline=None)
    @given(days, cycles, st.integers(1, 2000))
    def check(anchor: date, cycle: Cycle, cut: int) -> None:
        whole = (nth(anchor, cycle, 1) - anchor).days
        middle = anchor + timedelta(days=cut % whole)

        before = list(due_periods(anchor, cycle, anchor, middle, anchor))
        behind = next(due_periods(anchor, cycle, middle, None, middle))

        if middle == anchor:
            assert (before, behind.is_full) == ([], True)
        else:
            assert before[0].days + behind.days == before[0].of_days == behind.of_days == whole

    check()


def test_ten_years_of_months_are_120_periods_without_a_gap() -> None:
    periods = list(
        takewhile(
            lambda p: p.start < on("2037-01-31"),
            due_periods(on("2027-01-31"), MONTH, on("2027-01-31"), None, on("2040-01-01")),
        )
    )

    assert len(periods) == 120
    assert sum((p.end - p.start).days for p in periods) == (on("2037-01-31") - on("2027-01-31")).days
