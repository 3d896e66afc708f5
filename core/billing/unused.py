"""Days that are charged and not used: what a credit for them is worth. Reads only."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct

from core.database import rows
from core.money import half_up

if TYPE_CHECKING:
    from collections.abc import Sequence

Days = tuple[date, date]
"""From a day up to another, which is the first not in it."""


class Unused(Struct, frozen=True):
    """Days of a line of an issued invoice that are charged, not credited yet, and not used. `spans`: which, where a
    pause lies between them."""

    document_id: int
    line_id: int
    charge_id: int
    from_on: date
    to_on: date
    net_minor: int
    spans: tuple[Days, ...]


class _Charged(Struct, frozen=True):
    subscription_id: int
    document_id: int
    line_id: int
    charge_id: int
    period_from: date
    period_to: date
    credited_from: date | None
    replaced_from: date | None
    net_minor: int


class _Paused(Struct, frozen=True):
    charge_id: int
    from_on: date
    to_on: date


async def unused_lines(subscription_id: int, from_on: date, to_on: date | None = None) -> list[Unused]:
    """Lines of issued invoices that charge days of this subscription from a day on (up to one), with the net amount of
    those days. Unused part = net × unused days ÷ days that the charge covers (domain.md, Upgrade), less what was
    credited before: for an end, from a day on to the end of the charge, so what is left lies before it; for a pause,
    the days between."""
    return (await unused_of([subscription_id], from_on, to_on))[subscription_id]


async def unused_of(
    subscription_ids: Sequence[int], from_on: date, to_on: date | None = None
) -> dict[int, list[Unused]]:
    """`unused_lines` of several."""
    found = await rows(
        _Charged,
        "SELECT k.subscription_id, d.id AS document_id, l.id AS line_id, k.id AS charge_id,"
        " coalesce(l.period_from, k.period_start) AS period_from, coalesce(l.period_to, k.period_end) AS period_to,"
        " (SELECT min(s.from_on) FROM credited_span s WHERE s.charge_id = k.id AND s.pause_id IS NULL)"
        " AS credited_from, k.replaced_from, l.net_minor"
        " FROM charge k JOIN document_line l ON l.charge_id = k.id JOIN document d ON d.id = l.document_id"
        " WHERE k.subscription_id IN :ids AND k.kind = 'recurring' AND k.state = 'invoiced' AND d.state = 'issued'"
        " AND k.period_end > :day AND k.period_start IS NOT NULL ORDER BY d.id, l.id",
        ids=list(subscription_ids),
        day=from_on,
    )
    pauses = await rows(
        _Paused,
        "SELECT charge_id, from_on, to_on FROM credited_span WHERE charge_id IN :ids AND pause_id IS NOT NULL"
        " ORDER BY from_on",
        ids=[each.charge_id for each in found],
    )
    unused: dict[int, list[Unused]] = {one: [] for one in subscription_ids}
    for each in found:
        start = max(from_on, each.period_from)
        end = min(day for day in (each.period_to, each.credited_from, each.replaced_from, to_on) if day is not None)
        spans = _without(start, end, [one for one in pauses if one.charge_id == each.charge_id])
        if not spans:
            continue
        days = (each.period_to - each.period_from).days
        if to_on is None and spans == ((start, end),):
            net = half_up(each.net_minor * (each.period_to - start).days, days)
            net -= half_up(each.net_minor * (each.period_to - end).days, days)
        else:
            net = half_up(each.net_minor * sum((last - first).days for first, last in spans), days)
        line = Unused(each.document_id, each.line_id, each.charge_id, spans[0][0], spans[-1][1], net, spans)
        unused[each.subscription_id].append(line)
    return unused


def _without(start: date, end: date, pauses: Sequence[_Paused]) -> tuple[Days, ...]:
    """The days from one to another that lie in none of these pauses."""
    found: list[Days] = []
    for pause in pauses:
        if start < min(pause.from_on, end):
            found.append((start, min(pause.from_on, end)))
        start = max(start, pause.to_on)
    if start < end:
        found.append((start, end))
    return tuple(found)
