"""Numbers of documents: a pattern for each kind and seller, counted by year or for ever, gapless, in order of dates."""

from __future__ import annotations

import re
import secrets
from datetime import date
from typing import Final

from msgspec import Struct

from core.activity.asking import is_rehearsed
from core.database import execute, row, value
from core.errors import Conflict, Invalid
from core.texts import _

_PLACE: Final = re.compile(r"\{(YYYY|YY|seq(?::0([1-9]))?)\}")


class Pattern(Struct, frozen=True):
    """{YYYY}-{seq:06} taken apart for a year: what stands before and behind the number, and its least width."""

    before: str
    width: int
    behind: str

    def number(self, seq: int) -> str:
        return f"{self.before}{seq:0{self.width}}{self.behind}"


def check_pattern(pattern: str, reset: str) -> str:
    """The pattern, or Invalid: {YYYY}, {YY} and once {seq} or {seq:06}; a yearly reset needs the year in it (B10)."""
    places = [found[1] for found in _PLACE.finditer(pattern)]
    rest = _PLACE.sub("", pattern)
    if "{" in rest or "}" in rest:
        raise Invalid(_("Use {YYYY}, {YY} and {seq} or {seq:06}."), field="pattern")
    if sum(place.startswith("seq") for place in places) != 1:
        raise Invalid(_("The number itself must stand in it once: {seq} or {seq:06}."), field="pattern")
    if len(rest) > 30 or any(ord(character) < 32 for character in rest):
        raise Invalid(_("Use at most 30 further characters."), field="pattern")
    if reset == "yearly" and not any(place.startswith("Y") for place in places):
        raise Invalid(_("Numbers that begin anew each year need the year in the pattern: {YYYY}."), field="pattern")
    return pattern


def pattern_for(pattern: str, year: int) -> Pattern:
    text = pattern.replace("{YYYY}", f"{year:04}").replace("{YY}", f"{year % 100:02}")
    found = _PLACE.search(text)
    assert found is not None
    return Pattern(text[: found.start()], int(found[2] or 1), text[found.end() :])


class NoNumbers(Conflict):
    """Nothing can be issued by this series now: it does not exist, or time went backwards."""


class Numbers(Struct, frozen=True):
    """Consecutive numbers that were taken: the first, and how they are written."""

    series_id: int
    year: int
    first: int
    pattern: Pattern


class _Series(Struct, frozen=True):
    id: int
    pattern: str
    reset: str
    last_issued_on: date | None


async def take_numbers(kind: str, seller_id: int, issued_on: date, count: int) -> Numbers:
    """The next numbers of a series, locked until the commit: the last thing done before the log (security.md 7).

    A rollback gives them back. NoNumbers where the series has a later date already: time went backwards. In a rehearsal
    they are numbers that nobody else can have, and the series is left alone.
    """
    made_up = is_rehearsed()
    series = await row(
        _Series,
        "SELECT id, pattern, reset, last_issued_on FROM number_series WHERE kind = :kind AND seller_id = :seller"
        f"{'' if made_up else ' FOR NO KEY UPDATE'}",
        kind=kind,
        seller=seller_id,
    )
    if series is None:
        raise NoNumbers(_("This seller has no number series for such documents yet. Make one in the billing settings."))
    if series.last_issued_on is not None and series.last_issued_on > issued_on:
        raise NoNumbers(
            _(
                "The last document of this series is of %(last_issued_on)s: nothing can be issued on "
                "%(issued_on)s. Look at the clock of the machine.",
                last_issued_on=series.last_issued_on,
                issued_on=issued_on,
            )
        )
    if made_up:
        return Numbers(series.id, issued_on.year, 10**15 + secrets.randbelow(10**15) * 1000, Pattern("?", 1, ""))
    year = issued_on.year if series.reset == "yearly" else 0
    await execute(
        "UPDATE number_series SET last_issued_on = :day WHERE id = :id"
        " AND (last_issued_on IS NULL OR last_issued_on < :day)",
        id=series.id,
        day=issued_on,
    )
    after = await value(
        "INSERT INTO number_counter (series_id, year, next) VALUES (:id, :year, 1 + :count::bigint)"
        " ON CONFLICT (series_id, year) DO UPDATE SET next = number_counter.next + :count::bigint RETURNING next",
        id=series.id,
        year=year,
        count=count,
    )
    return Numbers(series.id, issued_on.year, int(after) - count, pattern_for(series.pattern, issued_on.year))
