import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from core.clock import FixedClock
from core.database import spawn, values
from core.errors import TryAgain
from core.jobs.kinds import Job, JobKind
from core.jobs.schedules import DailyAt, Every, Schedule, Scheduled, next_start, start_due
from core.scope import Scope


async def nothing(scope: Scope, job: Job[Scheduled]) -> None:
    """Only its being enqueued counts here."""


NIGHTLY = Schedule("test_nightly", JobKind("test_nightly", Scheduled, run=nothing), DailyAt(3))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "after", "due"),
    [
        ("Europe/Berlin", "2027-03-01 01:59", "2027-03-01 02:00"),
        ("Europe/Berlin", "2027-03-01 02:00", "2027-03-02 02:00"),
        ("Europe/Berlin", "2027-07-01 02:00", "2027-07-02 01:00"),
        ("America/Sao_Paulo", "2027-03-01 02:00", "2027-03-01 06:00"),
        ("Pacific/Apia", "2027-03-01 13:59", "2027-03-01 14:00"),
    ],
)
def test_once_a_day_means_the_tenants_own_clock(zone: str, after: str, due: str) -> None:
    assert DailyAt(3).after(utc(after), zone) == utc(due)


def test_a_time_that_spring_skips_comes_at_the_change_and_one_that_autumn_repeats_comes_once() -> None:
    half_past_two = DailyAt(2, 30)

    spring = half_past_two.after(utc("2027-03-27 12:00"), "Europe/Berlin")
    autumn = half_past_two.after(utc("2027-10-30 12:00"), "Europe/Berlin")

    assert spring == utc("2027-03-28 01:00")
    assert half_past_two.after(spring, "Europe/Berlin") == utc("2027-03-29 00:30")
    assert autumn == utc("2027-10-31 00:30")
    assert half_past_two.after(autumn, "Europe/Berlin") == utc("2027-11-01 01:30")


def test_every_so_many_minutes_counts_from_midnight() -> None:
    assert Every(15).after(utc("2027-03-01 10:07"), "Europe/Berlin") == utc("2027-03-01 10:15")
    assert Every(15).after(utc("2027-03-01 10:15"), "Europe/Berlin") == utc("2027-03-01 10:30")
    assert Every(50).after(utc("2027-03-01 23:40"), "Europe/Berlin") == utc("2027-03-02 00:00")


async def started() -> list[str]:
    """The dates of the jobs that were enqueued."""
    payloads = await values("SELECT payload FROM job ORDER BY id")
    return [str(msgspec.json.decode(text, type=Scheduled).on) for text in payloads]


async def test_the_first_time_is_the_next_one_and_then_every_day_brings_one_job(
    scope: Scope, clock: FixedClock
) -> None:
    begin = await start_due(scope, [NIGHTLY])
    assert (await started(), begin) == ([], utc("2027-03-02 02:00"))

    for _ in range(3 * 24):
        clock.move(timedelta(hours=1))
        await start_due(scope, [NIGHTLY])

    assert await started() == ["2027-03-02", "2027-03-03", "2027-03-04"]
    assert await next_start("test_nightly") == utc("2027-03-05 02:00")


async def test_days_on_which_nothing_ran_are_made_up_by_one_job(scope: Scope, clock: FixedClock) -> None:
    await start_due(scope, [NIGHTLY])

    clock.move(timedelta(days=9))
    await start_due(scope, [NIGHTLY])
    await start_due(scope, [NIGHTLY])

    assert await started() == ["2027-03-10"]


async def test_of_several_workers_one_starts_it(scope: Scope, clock: FixedClock) -> None:
    await start_due(scope, [NIGHTLY])
    clock.move(timedelta(days=1))

    async def start() -> None:
        try:
            await start_due(scope, [NIGHTLY])
        except TryAgain:
            await start_due(scope, [NIGHTLY])

    await asyncio.gather(*(spawn(start()) for _ in range(6)))

    assert await started() == ["2027-03-02"]


async def test_the_job_is_the_schedules_own_and_on_the_tenants_date(scope: Scope, clock: FixedClock) -> None:
    samoa = replace(scope, tenant=replace(scope.tenant, time_zone="Pacific/Apia"))
    await start_due(samoa, [NIGHTLY])

    clock.set(utc("2027-03-01 14:00"))
    await start_due(samoa, [NIGHTLY])

    assert await started() == [str(date(2027, 3, 2))]
    assert '"kind":"schedule"' in (await values("SELECT actor FROM job"))[0]
