"""What a full cycle costs, rated once when terms are agreed, so that a billing run only multiplies by days."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.errors import Invalid
from core.money import MOST_MINOR, exponent, half_up
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence

E6: Final = 10**6


class Discount(Struct, frozen=True, kw_only=True):
    """A percentage (1 % is 1,000,000) or an amount a cycle, on what the discounts before it left."""

    percent_e6: int | None = None
    amount_minor: int | None = None
    until_on: date | None = None


class Rated(Struct, frozen=True):
    """A full cycle: before discounts, and what is charged."""

    gross_minor: int
    cycle_minor: int


def rate_cycle(
    amount_minor: int, quantity_e6: int, discounts: Sequence[Discount] = (), on: date | None = None
) -> Rated:
    """Price × quantity rounded half up to a minor unit, less the discounts in force on a day, never below 0."""
    gross = half_up(amount_minor * quantity_e6, E6)
    if gross > MOST_MINOR:
        raise Invalid(_("This is more than can be charged in one cycle."), field="quantity")
    left = gross
    for discount in discounts:
        if discount.until_on is not None and on is not None and discount.until_on <= on:
            continue
        if discount.percent_e6 is not None:
            left -= half_up(left * discount.percent_e6, 100 * E6)
        if discount.amount_minor is not None:
            left -= discount.amount_minor
        left = max(left, 0)
    return Rated(gross, left)


def unit_price_e6(amount_minor: int, currency: str) -> int:
    """A price of whole minor units as lines state it: in whole units × 10⁶."""
    return int(amount_minor * 10 ** (6 - exponent(currency)))
