"""Amounts by a rate, and which rate counts on a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.ledger.actions import set_fx_rate
from core.ledger.fx import ONE, convert, convert_parts, find_rate, part_of_base, price_rate
from core.ledger.schemas import NewFxRate
from tests.books import a_customer, day

if TYPE_CHECKING:
    from core.scope import Scope


@pytest.mark.parametrize(
    ("minor", "one", "other", "rate_e10", "converted"),
    [
        (10_000, "USD", "EUR", 9 * ONE // 10, 9_000),
        (1, "USD", "EUR", ONE // 2, 1),
        (-1, "USD", "EUR", ONE // 2, -1),
        (1, "USD", "EUR", ONE // 2 - 1, 0),
        (10_000, "JPY", "EUR", ONE // 200, 5_000),
        (5_000, "EUR", "JPY", 200 * ONE, 10_000),
        (1_499, "KWD", "EUR", 3 * ONE, 450),
        (10_000, "EUR", "EUR", 2 * ONE, 10_000),
    ],
)
def test_B7_an_amount_is_converted_by_its_rate_between_the_decimals_of_both(
    minor: int, one: str, other: str, rate_e10: int, converted: int
) -> None:
    assert convert(minor, one, other, rate_e10) == converted


def test_B7_parts_come_to_their_sum_converted_once_also_where_they_cancel_each_other_out() -> None:
    rate = 9 * ONE // 10

    assert convert_parts([1, 1, 1], "USD", "EUR", rate) == (3, [1, 1, 1])
    assert convert_parts([2, 1, 2], "USD", "EUR", rate) == (5, [2, 1, 2])
    assert convert_parts([3, 2, 1], "USD", "EUR", rate) == (5, [2, 2, 1])
    assert convert_parts([-1200, 1000, 200], "USD", "EUR", rate) == (0, [-1080, 900, 180])
    assert convert_parts([10_000, -9_999], "USD", "EUR", rate) == (1, [9000, -8999])
    assert convert_parts([-10_000, 9_999], "USD", "EUR", rate) == (-1, [-9000, 8999])
    assert convert_parts([1, 2], "JPY", "EUR", ONE // 200) == (2, [1, 1])
    assert convert_parts([], "USD", "EUR", rate) == (0, [])


def test_B7_the_last_part_of_an_amount_takes_what_is_left_of_its_worth() -> None:
    assert part_of_base(100, 3, 1) == 33
    assert part_of_base(67, 2, 1) == 34
    assert part_of_base(100, 7, 3) == 43
    assert part_of_base(33, 1, 1) == 33
    assert part_of_base(-67, -2, -1) == -34
    assert part_of_base(1, 0, 0) == 1


async def test_B7_a_currency_is_worth_itself_whether_a_rate_is_known_or_not(scope: Scope) -> None:
    customer = await a_customer(scope, currency="USD")

    assert await find_rate("USD", "USD", day("2027-05-01")) == ONE
    assert await price_rate("EUR", customer, "USD", "USD", day("2027-05-01")) == ONE
    assert await find_rate("USD", "EUR", day("2027-05-01")) is None
    assert await price_rate("EUR", customer, "EUR", "USD", day("2027-05-01")) is None


async def test_B7_the_rate_of_a_day_is_the_latest_published_by_then(scope: Scope) -> None:
    for currency, on, rate in (
        ("USD", "2027-01-01", 80),
        ("USD", "2027-05-01", 90),
        ("USD", "2027-05-02", 95),
        ("GBP", "2027-05-01", 120),
    ):
        await set_fx_rate(scope, NewFxRate(from_currency=currency, valid_on=day(on), rate_e10=rate * ONE // 100))

    found = [await find_rate("USD", "EUR", day(on)) for on in ("2026-12-31", "2027-04-30", "2027-05-01", "2027-05-02")]

    assert found == [None, 80 * ONE // 100, 90 * ONE // 100, 95 * ONE // 100]
    assert await find_rate("EUR", "USD", day("2027-05-01")) is None
    # From pounds into dollars over the euro: 1.20 ÷ 0.90.
    assert await price_rate("EUR", 1, "GBP", "USD", day("2027-05-01")) == 13_333_333_333
    assert await price_rate("EUR", 1, "GBP", "CHF", day("2027-05-01")) is None
    assert await price_rate("EUR", 1, "CHF", "GBP", day("2027-05-01")) is None
