"""What the clock starts, at each tenant's local time: a row says when next, so no scheduler has to be elected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.clock import date_in, instant_of
from core.database import execute, row, rows
from core.jobs.actions import enqueue
from core.scope import schedule_actor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.jobs.kinds import JobKind
    from core.scope import Scope

_DAY: Final = timedelta(days=1)


class When(Protocol):
    def after(self, instant: datetime, zone: str) -> datetime:
        """The first time after this instant."""


@dataclass(frozen=True, slots=True)
class DailyAt:
    """Once a day when the tenant's clocks show this time; a time that spring skips is the instant of the change."""

    hour: int
    minute: int = 0

    def after(self, instant: datetime, zone: str) -> datetime:
        day = date_in(instant, zone)
        while (found := instant_of(day, time(self.hour, self.minute), zone)) <= instant:
            day += _DAY
        return found


@dataclass(frozen=True, slots=True)
class Every:
    """Every so many minutes, counted from midnight UTC."""

    minutes: int

    def after(self, instant: datetime, zone: str) -> datetime:
        step = timedelta(minutes=self.minutes)
        midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
        return min(midnight + step * ((instant - midnight) // step + 1), midnight + _DAY)


class Scheduled(Struct, frozen=True):
    """The payload of a job that the clock started: the tenant's date on which it was due."""

    on: date


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job that comes again and again: Schedule("billing", BILLING_RUN, DailyAt(3)).

    Its kind takes `Scheduled`, unless `payload` makes another from the date. What was missed while nothing ran is
    started once, for the last date.
    """

    name: str
    kind: str | JobKind[Any]
    when: When
    payload: Callable[[date], Struct] = Scheduled


class _Due(Struct, frozen=True):
    name: str
    next_at: datetime


async def start_due(scope: Scope, schedules: Sequence[Schedule]) -> datetime | None:
    """Enqueue what is due, and say when next. Gives the instant at which the next one will be due."""
    now, zone = scope.now(), scope.tenant.time_zone
    known = {each.name: each.next_at for each in await rows(_Due, "SELECT name, next_at FROM schedule_due")}
    soonest: list[datetime] = []
    for schedule in schedules:
        due = known.get(schedule.name)
        if due is not None and due > now:
            soonest.append(due)
            continue
        following = schedule.when.after(now, zone)
        soonest.append(following)
        if due is None:
            await _begin(scope, schedule, following)
        else:
            await _start(scope, schedule, due, following)
    return min(soonest, default=None)


async def _begin(scope: Scope, schedule: Schedule, first: datetime) -> None:
    async with unit_of_work(scope):
        await execute(
            "INSERT INTO schedule_due (name, next_at) VALUES (:name, :at) ON CONFLICT (name) DO NOTHING",
            name=schedule.name,
            at=first,
        )


async def _start(scope: Scope, schedule: Schedule, due: datetime, following: datetime) -> None:
    """The row is claimed by writing its next date over the old one: of several workers one does."""
    async with unit_of_work(scope):
        mine = await execute(
            "UPDATE schedule_due SET next_at = :next, last_at = :due WHERE name = :name AND next_at = :due",
            name=schedule.name,
            due=due,
            next=following,
        )
        if not mine:
            return
        last = _last_before(schedule, due, scope)
        await enqueue(
            scope.as_actor(schedule_actor(schedule.name)),
            schedule.kind,
            schedule.payload(date_in(last, scope.tenant.time_zone)),
            dedupe_key=f"schedule:{schedule.name}:{last.isoformat()}",
        )


def _last_before(schedule: Schedule, due: datetime, scope: Scope) -> datetime:
    """The latest time that has come by now: days that nobody was there are made up by one job."""
    now, zone = scope.now(), scope.tenant.time_zone
    guess = now - _DAY * 2
    if due < guess:
        due = schedule.when.after(guess, zone)
    while (following := schedule.when.after(due, zone)) <= now:
        due = following
    return due


async def next_start(name: str) -> datetime | None:
    """When this schedule starts its job next; None before the worker has first seen it."""
    found = await row(_Due, "SELECT name, next_at FROM schedule_due WHERE name = :name", name=name)
    return found.next_at if found else None
