"""What makes the amount of a line, in whole cents."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec import Struct

from core.billing.part_periods import as_counted, is_made, reckoned, share_of


class Line(Struct, kw_only=True):
    """One at 100.00, of which 17 of 31 days are 54.84."""

    quantity_e6: int = 10**6
    unit_price_e6: int = 100 * 10**6
    days: int = 17
    of_days: int = 31
    discount_minor: int = 0
    amount_minor: int


def test_B11_quantity_times_price_is_rounded_once_in_any_currency() -> None:
    assert reckoned(2_500_000, 3_330_000, "EUR") == 833
    assert reckoned(10**6, 1000 * 10**6, "JPY", 1, 3) == 333
    assert reckoned(-(10**6), 5_000, "EUR") == -1


@pytest.mark.parametrize(("amount", "made"), [(5484, True), (5485, True), (5483, True), (5486, False), (5482, False)])
def test_B11_a_part_may_be_a_cent_off_since_the_last_part_takes_the_rest(amount: int, made: bool) -> None:
    line = Line(amount_minor=amount)

    assert is_made(line, "EUR") is made
    assert share_of(line, "EUR") == ((17, 31) if made else (1, 1))


@pytest.mark.parametrize(("amount", "made"), [(10000, True), (10001, False), (9999, False)])
def test_B11_a_full_period_is_what_it_costs_to_the_cent(amount: int, made: bool) -> None:
    line = Line(amount_minor=amount, days=5, of_days=5)

    assert is_made(line, "EUR") is made
    assert share_of(line, "EUR") == (1, 1)


def test_B11_the_discount_comes_off_behind_the_days() -> None:
    assert is_made(Line(amount_minor=4935, discount_minor=549), "EUR")
    assert not is_made(Line(amount_minor=4935), "EUR")


def test_B11_a_part_of_one_day_is_counted_too_and_one_without_an_end_as_it_is() -> None:
    first, second = date(2027, 1, 15), date(2027, 1, 16)

    assert as_counted((17, 510), first, second) == (1, 30)
    assert as_counted((17, 510), first, None) == as_counted((17, 510), None, second) == (17, 510)
