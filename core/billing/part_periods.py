"""What makes the amount of a line: quantity × price × its days ÷ those of a full period, less the discount."""

from __future__ import annotations

from datetime import date
from typing import Final, Protocol

from core.money import exponent, half_up

NEARLY: Final = 1
"""Minor units: of a period that is parted the last part takes the rest of the rounding."""


class Priced(Protocol):
    """A line, be it stored, read or typed."""

    @property
    def quantity_e6(self) -> int: ...
    @property
    def unit_price_e6(self) -> int: ...
    @property
    def days(self) -> int: ...
    @property
    def of_days(self) -> int: ...
    @property
    def discount_minor(self) -> int: ...
    @property
    def amount_minor(self) -> int: ...


def reckoned(quantity_e6: int, unit_price_e6: int, currency: str, days: int = 1, of_days: int = 1) -> int:
    """What so many cost, in minor units: all of a period, or some of its days."""
    return half_up(quantity_e6 * unit_price_e6 * 10 ** exponent(currency) * days, 10**12 * of_days)


def is_made(line: Priced, currency: str) -> bool:
    """Whether quantity, price, days and discount make its amount."""
    made = reckoned(line.quantity_e6, line.unit_price_e6, currency, line.days, line.of_days) - line.discount_minor
    return abs(made - line.amount_minor) <= (NEARLY if line.days != line.of_days else 0)


def share_of(line: Priced, currency: str) -> tuple[int, int]:
    """By what its price is multiplied: (1, 1) for a full period, and where its days do not make the amount, since the
    price is that of the days already."""
    return (line.days, line.of_days) if line.days != line.of_days and is_made(line, currency) else (1, 1)


def as_counted(share: tuple[int, int], start: date | None, end: date | None) -> tuple[int, int]:
    """A part of a part is kept as the product of both, 85 of 510: it is the 5 days of its period, of 30."""
    days, of_days = share
    length = (end - start).days if start is not None and end is not None else 0
    if 0 < length < days and days % length == 0 and of_days % (days // length) == 0:
        return length, of_days // (days // length)
    return share
