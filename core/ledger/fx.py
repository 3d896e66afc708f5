"""Rates between currencies, and amounts by them.

A rate is scaled: one unit of the first is rate_e10 ÷ 10¹⁰ of the second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.database import value
from core.money import exponent, half_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

ONE: Final = 10**10
"""The rate of a currency to itself."""


async def find_rate(from_currency: str, to_currency: str, on: date) -> int | None:
    """The official rate in force on a day: the latest one published by then. None where none ever was."""
    if from_currency == to_currency:
        return ONE
    found = await value(
        "SELECT rate_e10 FROM fx_rate WHERE from_currency = :one AND to_currency = :other AND valid_on <= :day"
        " ORDER BY valid_on DESC LIMIT 1",
        one=from_currency,
        other=to_currency,
        day=on,
    )
    return int(found) if found is not None else None


async def official_rate(base: str, from_currency: str, to_currency: str, on: date) -> int | None:
    """As `find_rate`, between any two currencies: rates are entered into the tenant's alone (`base`), and lead from
    there to any other. None where one is missing."""
    if from_currency == to_currency:
        return ONE
    into_base, from_base = await find_rate(from_currency, base, on), await find_rate(to_currency, base, on)
    return half_up(into_base * ONE, from_base) if into_base is not None and from_base is not None else None


async def price_rate(base: str, customer_id: int, from_currency: str, to_currency: str, on: date) -> int | None:
    """The rate that turns a list price into a customer's currency: the one agreed with it, else the tenant's own.

    `base` is the tenant's currency: its rates lead there, and from there to any other. None where one is missing. It
    converts prices only; tax and books go by the official rate.
    """
    if from_currency == to_currency:
        return ONE
    agreed = await value(
        "SELECT rate_e10 FROM customer_fx_rate WHERE customer_id = :id AND from_currency = :one"
        " AND to_currency = :other AND valid_from <= :day AND (valid_to IS NULL OR valid_to > :day)"
        " ORDER BY valid_from DESC LIMIT 1",
        id=customer_id,
        one=from_currency,
        other=to_currency,
        day=on,
    )
    if agreed is not None:
        return int(agreed)
    return await official_rate(base, from_currency, to_currency, on)


def convert(minor: int, from_currency: str, to_currency: str, rate_e10: int) -> int:
    """Minor units of the other currency, rounded half up."""
    if from_currency == to_currency:
        return minor
    return half_up(minor * rate_e10 * 10 ** exponent(to_currency), ONE * 10 ** exponent(from_currency))


def convert_parts(minors: Sequence[int], from_currency: str, to_currency: str, rate_e10: int) -> tuple[int, list[int]]:
    """Their sum converted once, and each part less than a unit off its own worth, so that they come to it.

    By largest remainder, ties in order. Parts may cancel each other out: a rate of each is not the rate of the sum.
    """
    whole = sum(minors)
    if whole < 0:
        total, parts = convert_parts([-minor for minor in minors], from_currency, to_currency, rate_e10)
        return -total, [-part for part in parts]
    n, d = rate_e10 * 10 ** exponent(to_currency), ONE * 10 ** exponent(from_currency)
    total, parts = half_up(whole * n, d), [minor * n // d for minor in minors]
    largest = sorted(range(len(parts)), key=lambda at: -(minors[at] * n % d))
    for at in largest[: total - sum(parts)]:
        parts[at] += 1
    return total, parts


def part_of_base(base_left: int, left: int, part: int) -> int:
    """The share in the base currency of a part of an amount: the last part takes the rest, so nothing is left over."""
    return base_left if part == left else half_up(base_left * part, left)
