"""The next period of a subscription, and when it is charged. Boundaries are anchor + n × cycle (core.periods)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from core.periods import Cycle, cycle_index, due_periods, nth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.periods import CycleUnit, FirstPart, LastPart, Period, Timing


class Rhythm(Struct, frozen=True):
    """What decides the periods of a subscription."""

    anchor_on: date
    cycle_unit: str
    cycle_count: int
    timing: str
    proration: str
    final_proration: str
    ends_on: date | None = None

    @property
    def cycle(self) -> Cycle:
        return Cycle(cast("CycleUnit", self.cycle_unit), self.cycle_count)

    @property
    def charged_at(self) -> Timing:
        """In arrears on the day a period ends; else, also prepaid, on its first day."""
        return "arrears" if self.timing == "arrears" else "advance"


class NextPeriod(Struct, frozen=True):
    cycle_no: int
    start: date
    end: date
    due_on: date


def next_period(rhythm: Rhythm, start: date) -> NextPeriod | None:
    """The period that begins on a day; None where nothing more is to come."""
    found = next(_periods(rhythm, start, date.max), None)
    if found is None:
        return None
    due_on = found.end if rhythm.charged_at == "arrears" else found.start
    return NextPeriod(cycle_index(rhythm.anchor_on, rhythm.cycle, start), found.start, found.end, due_on)


def periods_due(rhythm: Rhythm, start: date, as_of: date, most: int) -> tuple[list[Period], NextPeriod | None]:
    """The periods from a day on that are due by another, at most `most` + 1 of them, and the one after."""
    due: list[Period] = []
    for period in _periods(rhythm, start, as_of):
        due.append(period)
        if len(due) > most:
            break
    return due, next_period(rhythm, due[-1].end if due else start)


def cycle_end(rhythm: Rhythm, day: date) -> date:
    """The end of the cycle that holds a day."""
    return nth(rhythm.anchor_on, rhythm.cycle, cycle_index(rhythm.anchor_on, rhythm.cycle, day) + 1)


def _periods(rhythm: Rhythm, start: date, as_of: date) -> Iterator[Period]:
    return due_periods(
        rhythm.anchor_on,
        rhythm.cycle,
        start,
        rhythm.ends_on,
        as_of,
        timing=rhythm.charged_at,
        first=cast("FirstPart", rhythm.proration),
        last=cast("LastPart", rhythm.final_proration),
    )
