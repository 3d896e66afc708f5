"""Instants are UTC; dates are those of a zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest

from core.clock import FixedClock, SystemClock, check_zone, date_in, instant_of, today
from core.errors import Invalid


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "zone", "day"),
    [
        # Apia: UTC+13, +14 in summer until 2021; it left out 30 December 2011
        ("2011-12-30 09:59", "Pacific/Apia", "2011-12-29"), ("2011-12-30 10:00", "Pacific/Apia", "2011-12-31"),
        ("2026-11-22 10:59", "Pacific/Apia", "2026-11-22"), ("2026-11-22 11:00", "Pacific/Apia", "2026-11-23"),
        # São Paulo: UTC−3, −2 in the summers up to 2019, changing at midnight
        ("2018-11-04 02:59", "America/Sao_Paulo", "2018-11-03"),
        ("2018-11-04 03:00", "America/Sao_Paulo", "2018-11-04"),
        ("2019-01-01 01:59", "America/Sao_Paulo", "2018-12-31"),
        ("2019-01-01 02:00", "America/Sao_Paulo", "2019-01-01"),
        ("2026-11-22 02:59", "America/Sao_Paulo", "2026-11-21"),
        ("2026-11-22 03:00", "America/Sao_Paulo", "2026-11-22"),
        # Berlin: UTC+1, +2 in summer
        ("2026-12-31 22:59", "Europe/Berlin", "2026-12-31"), ("2026-12-31 23:00", "Europe/Berlin", "2027-01-01"),
        ("2026-06-30 21:59", "Europe/Berlin", "2026-06-30"), ("2026-06-30 22:00", "Europe/Berlin", "2026-07-01"),
        ("2026-12-31 23:59", "UTC", "2026-12-31"),
    ],
)  # fmt: skip
def test_today_is_the_date_in_the_tenant_s_zone(instant: str, zone: str, day: str) -> None:
    clock = FixedClock(utc(instant))

    assert today(clock, zone) == date_in(clock.now(), zone) == date.fromisoformat(day)


def test_one_instant_has_three_dates_around_the_world() -> None:
    clock = FixedClock(utc("2026-11-22 10:30"))

    dates = {zone: str(today(clock, zone)) for zone in ("Pacific/Apia", "Pacific/Kiritimati", "Pacific/Pago_Pago")}

    assert dates == {
        "Pacific/Apia": "2026-11-22",
        "Pacific/Kiritimati": "2026-11-23",
        "Pacific/Pago_Pago": "2026-11-21",
    }


@pytest.mark.parametrize(
    ("day", "at", "zone", "instant"),
    [
        ("2026-11-22", "03:00", "Europe/Berlin", "2026-11-22 02:00"),
        ("2026-07-01", "03:00", "Europe/Berlin", "2026-07-01 01:00"),
        # skipped in spring: the instant of the change
        ("2026-03-29", "02:00", "Europe/Berlin", "2026-03-29 01:00"),
        ("2026-03-29", "02:30", "Europe/Berlin", "2026-03-29 01:00"),
        ("2018-11-04", "00:00", "America/Sao_Paulo", "2018-11-04 03:00"),
        ("2018-11-04", "00:45", "America/Sao_Paulo", "2018-11-04 03:00"),
        # twice in autumn: the first
        ("2026-10-25", "02:30", "Europe/Berlin", "2026-10-25 00:30"),
        ("2019-02-16", "23:30", "America/Sao_Paulo", "2019-02-17 01:30"),
        # a day that was left out: the next one's beginning
        ("2011-12-30", "00:00", "Pacific/Apia", "2011-12-30 10:00"),
        ("2011-12-30", "18:00", "Pacific/Apia", "2011-12-30 10:00"),
        ("2011-12-31", "00:00", "Pacific/Apia", "2011-12-30 10:00"),
        ("2011-12-29", "23:59", "Pacific/Apia", "2011-12-30 09:59"),
    ],
)  # fmt: skip
def test_a_local_time_is_one_instant(day: str, at: str, zone: str, instant: str) -> None:
    assert instant_of(date.fromisoformat(day), time.fromisoformat(at), zone) == utc(instant)


@pytest.mark.parametrize(
    "zone", ["Pacific/Apia", "America/Sao_Paulo", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Tehran"]
)
def test_a_day_begins_where_the_one_before_ends(zone: str) -> None:
    start = date(2011, 1, 1)

    for n in range(366 * 8):
        day = start + timedelta(days=n)
        begins = instant_of(day, time(0), zone)
        if (zone, str(day)) == ("Pacific/Apia", "2011-12-30"):
            continue  # there was no such day
        assert date_in(begins, zone) == day
        assert date_in(begins - timedelta(seconds=1), zone) < day


def test_a_fixed_clock_stands_still_until_it_is_moved() -> None:
    clock = FixedClock(utc("2026-11-22 10:00"))

    assert clock.now() == clock.now() == utc("2026-11-22 10:00")
    clock.move(timedelta(days=1, minutes=5))
    assert clock.now() == utc("2026-11-23 10:05")
    clock.set(datetime(2027, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))))
    assert clock.now() == utc("2027-01-01 00:00")
    assert clock.now().tzinfo is UTC


def test_the_system_s_clock_gives_utc() -> None:
    before = datetime.now(UTC)

    now = SystemClock().now()

    assert now.tzinfo is UTC
    assert before <= now <= datetime.now(UTC)


def test_an_instant_without_a_zone_is_refused() -> None:
    naive = datetime(2026, 11, 22)  # noqa: DTZ001  # what this test is about

    with pytest.raises(ValueError, match="with its zone"):
        FixedClock(naive)
    with pytest.raises(ValueError, match="with its zone"):
        date_in(naive, "UTC")


def test_zones_are_known_by_name() -> None:
    assert check_zone("Europe/Berlin") == "Europe/Berlin"


@pytest.mark.parametrize(
    "zone", ["", "Berlin", "Europe/Nowhere", "../etc/passwd", "/etc/localtime", "Europe", "+01:00"]
)
def test_what_is_no_zone_is_refused_by_the_field_s_name(zone: str) -> None:
    with pytest.raises(Invalid, match="Europe/Berlin") as refused:
        check_zone(zone)

    assert refused.value.errors[0].field == "time_zone"
