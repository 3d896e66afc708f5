"""Time, from one place: instants are UTC, dates are those of a zone at that instant."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from time import monotonic
from typing import Protocol
from zoneinfo import ZoneInfo

from core.errors import Invalid
from core.texts import _


class Clock(Protocol):
    def now(self) -> datetime:
        """The instant, UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class FixedClock:
    """Stands still until it is moved: for tests and for a tenant's test clock."""

    def __init__(self, now: datetime) -> None:
        self.set(now)

    def now(self) -> datetime:
        return self._now

    def set(self, now: datetime) -> None:
        if now.tzinfo is None:
            raise ValueError("a clock needs an instant with its zone")
        self._now = now.astimezone(UTC)

    def move(self, by: timedelta) -> None:
        self._now += by


class Seldom:
    """What is the same again and again is said once a minute: for lines in the log."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._said: dict[tuple[object, str], float] = {}

    def is_new(self, about: object, what: str) -> bool:
        """Whether it was not said of the same in the last minute; it is now."""
        now = monotonic()
        if self._said.get((about, what), 0.0) > now:
            return False
        if len(self._said) > 1000:
            self._said.clear()
        self._said[about, what] = now + self._seconds
        return True


def today(clock: Clock, zone: str) -> date:
    """The date in this zone now."""
    return date_in(clock.now(), zone)


def date_in(instant: datetime, zone: str) -> date:
    """The date in this zone at an instant, by the rules the zone had or will have then."""
    if instant.tzinfo is None:
        raise ValueError("a date needs an instant with its zone")
    return instant.astimezone(ZoneInfo(zone)).date()


def instant_of(day: date, at: time, zone: str) -> datetime:
    """The instant at which a zone's clocks show this date and time.

    A time that is skipped in spring is the instant of the change; one that comes twice in autumn is the first; a day
    that a zone left out (Apia, 30 December 2011) is the instant at which the next one began.
    """
    local = datetime.combine(day, at, ZoneInfo(zone))
    instant = local.astimezone(UTC)
    if instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    before, after = instant - timedelta(days=2), instant + timedelta(days=2)
    wanted = local.replace(tzinfo=None)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(ZoneInfo(zone)).replace(tzinfo=None) < wanted:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def check_zone(zone: str) -> str:
    """The name of a zone, or Invalid."""
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise Invalid(
            _("There is no time zone “%(zone)s”. Use a name such as Europe/Berlin.", zone=zone), field="time_zone"
        ) from None
    return zone
