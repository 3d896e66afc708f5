"""Cycles and the periods they cut time into: half-open local dates `[start, end)`.

Every boundary is anchor + n × cycle, never the last boundary plus one cycle: from 31 January the months end on 28
February, 31 March, 30 April.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final, Literal, cast

from msgspec import Struct

from core.errors import Invalid
from core.texts import _

CycleUnit = Literal["day", "week", "month", "year"]
MOST_OF_A_UNIT: Final[dict[CycleUnit, int]] = {"day": 1096, "week": 156, "month": 36, "year": 3}
"""At most three years: nothing is billed further ahead."""

FirstPart = Literal["by_day", "full", "none", "merged"]
LastPart = Literal["by_day", "full", "none"]
Timing = Literal["advance", "arrears"]


class Cycle(Struct, frozen=True):
    """How long a full period is: one month, 30 days, 2 years."""

    unit: CycleUnit
    count: int = 1

    def __post_init__(self) -> None:
        if self.unit not in MOST_OF_A_UNIT or not 1 <= self.count <= MOST_OF_A_UNIT[self.unit]:
            raise Invalid(
                _("A cycle lasts from a day to three years, not %(cycle)s.", cycle=f"{self.count} {self.unit}s"),
                field="cycle",
            )

    @classmethod
    def parse(cls, text: str) -> Cycle:
        """Of "1 month" or "30 days", as it is stored."""
        found = re.fullmatch(r"([1-9]\d{0,3}) (day|week|month|year)s?", text)
        if found is None:
            raise Invalid(_("“%(text)s” is no cycle. Write it like 1 month or 30 days.", text=text), field="cycle")
        return cls(cast("CycleUnit", found[2]), int(found[1]))

    def __str__(self) -> str:
        return f"{self.count} {self.unit}" + ("s" if self.count > 1 else "")

    @property
    def months(self) -> int:
        """Its length in months; 0 for days and weeks."""
        return {"month": 1, "year": 12}.get(self.unit, 0) * self.count

    @property
    def days(self) -> int:
        """Its length in days; 0 for months and years."""
        return {"day": 1, "week": 7}.get(self.unit, 0) * self.count


class Period(Struct, frozen=True):
    """Days `[start, end)` and their share of the price of a full cycle, days / of_days: 1/1 for a full one."""

    start: date
    end: date
    days: int = 1
    of_days: int = 1

    @property
    def is_full(self) -> bool:
        """It costs what a full cycle does."""
        return self.days == self.of_days


def nth(anchor: date, cycle: Cycle, n: int) -> date:
    """anchor + n × cycle; n may be negative. A month without that day takes its last one."""
    if cycle.days:
        return anchor + timedelta(days=n * cycle.days)
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + n * cycle.months, 12)
    return date(year, month + 1, min(anchor.day, monthrange(year, month + 1)[1]))


def cycle_index(anchor: date, cycle: Cycle, day: date) -> int:
    """The n of the cycle that holds this day: 0 from the anchor on, −1 in the cycle before it."""
    if cycle.days:
        return (day - anchor).days // cycle.days
    n = ((day.year - anchor.year) * 12 + day.month - anchor.month) // cycle.months
    return n if nth(anchor, cycle, n) <= day else n - 1


def anchor_for(starts_on: date, cycle: Cycle, billing_day: int | None = None) -> date:
    """The anchor of a subscription that starts on this day; `billing_day` is None for the day of joining.

    The first billing day on or after the start begins the first full cycle. Where that month is too short for the
    billing day the anchor lies some cycles earlier, in a month that has the day, so that no later period forgets it.
    Cycles of days and weeks begin on the first charged day.
    """
    if billing_day is None or cycle.days:
        return starts_on
    if not 1 <= billing_day <= 31:
        raise Invalid(_("The billing day is a day of the month, 1 to 31."), field="billing_day")
    month = starts_on.year * 12 + starts_on.month - 1
    if _in_month(month, billing_day) < starts_on:
        month += 1
    candidates = [_in_month(month - n * cycle.months, billing_day) for n in range(144 // cycle.months + 1)]
    return max(candidates, key=lambda day: (day.day, day))


def due_periods(
    anchor: date,
    cycle: Cycle,
    billed_until: date,
    ends_on: date | None,
    as_of: date,
    *,
    timing: Timing = "advance",
    first: FirstPart = "by_day",
    last: LastPart = "by_day",
) -> Iterator[Period]:
    """The periods from `billed_until` on that are due: in advance on their first day, in arrears on the day they end.

    They tile: each begins where the one before ended, none goes past `ends_on`. One that begins inside a cycle is a
    first part, one that `ends_on` cuts off is a last part; by day, a part is its days ÷ the days of the cycle that it
    lies in. "merged" gives a first part and the full cycle behind it as one period, unless that cycle is cut off too.
    """
    n = cycle_index(anchor, cycle, billed_until)
    start = billed_until
    while ends_on is None or start < ends_on:
        cycle_start, cycle_end = nth(anchor, cycle, n), nth(anchor, cycle, n + 1)
        end = cycle_end if ends_on is None else min(cycle_end, ends_on)
        part, whole = (end - start).days, (cycle_end - cycle_start).days
        if (start, end) == (cycle_start, cycle_end):
            days, of_days = 1, 1
        elif start > cycle_start:
            days, of_days = _share(first, part, whole)
            merged_end = nth(anchor, cycle, n + 2)
            if first == "merged" and (ends_on is None or merged_end <= ends_on):
                end, n = merged_end, n + 1
                days += whole
        else:
            days, of_days = _share(last, part, whole)
        if as_of < (start if timing == "advance" else end):
            return
        yield Period(start, end, days, of_days)
        start, n = end, n + 1


def _share(policy: FirstPart, part: int, whole: int) -> tuple[int, int]:
    match policy:
        case "by_day" | "merged":
            return part, whole
        case "full":
            return 1, 1
        case "none":
            return 0, 1


def _in_month(month: int, day: int) -> date:
    """This day of a month counted from year 0, or the last one that it has."""
    year, month = divmod(month, 12)
    return date(year, month + 1, min(day, monthrange(year, month + 1)[1]))
