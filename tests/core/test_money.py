"""Amounts: what is added, shared, rounded, read and written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from core.database import Database, execute_many, rows
from core.errors import Invalid
from core.money import (
    MOST_FACTOR,
    MOST_MINOR,
    MixedCurrencies,
    Money,
    allocate,
    as_decimal,
    exponent,
    format_amount,
    format_money,
    from_decimal,
    half_up,
    half_up_sql,
    parse_amount,
    total,
)
from tests.databases import define

CASES = [pytest.param(500, id="500"), pytest.param(10_000, marks=pytest.mark.long, id="10000")]
amounts = st.integers(-MOST_MINOR, MOST_MINOR)
factors = st.integers(0, MOST_FACTOR)
divisors = st.integers(1, MOST_FACTOR)


def test_the_exponent_is_the_currency_s() -> None:
    assert [exponent(currency) for currency in ("EUR", "JPY", "KWD", "USD", "CHF")] == [2, 0, 3, 2, 2]


@pytest.mark.parametrize("currency", ["", "eur", "XYZ1", "EU", "€"])
def test_what_is_no_currency_is_refused_by_the_field_s_name(currency: str) -> None:
    with pytest.raises(Invalid) as refused:
        exponent(currency)

    assert refused.value.errors[0].field == "currency"


def test_money_adds_subtracts_and_multiplies_by_whole_numbers() -> None:
    ten = Money(1000, "EUR")

    assert ten + Money(5, "EUR") == Money(1005, "EUR")
    assert ten - Money(1005, "EUR") == Money(-5, "EUR")
    assert 3 * ten == ten * 3 == Money(3000, "EUR")
    assert -ten == Money(-1000, "EUR")
    assert abs(-ten) == ten
    assert total([ten, ten], "EUR") == Money(2000, "EUR")
    assert total([], "JPY") == Money(0, "JPY")


def test_money_is_ordered_and_false_when_it_is_nothing() -> None:
    assert Money(1, "EUR") < Money(2, "EUR")
    assert Money(2, "EUR") <= Money(2, "EUR")
    assert Money(2, "EUR") > Money(1, "EUR")
    assert Money(2, "EUR") >= Money(2, "EUR")
    assert not Money(2, "EUR") < Money(2, "EUR")
    assert not Money(2, "EUR") > Money(2, "EUR")
    assert not Money(3, "EUR") <= Money(2, "EUR")
    assert not Money(1, "EUR") >= Money(2, "EUR")
    assert not Money(0, "EUR")
    assert Money(-1, "EUR")


@pytest.mark.parametrize(
    "calculation",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a < b,
        lambda a, b: a <= b,
        lambda a, b: a > b,
        lambda a, b: a >= b,
        lambda a, b: total([a, b], a.currency),
    ],
)
def test_currencies_do_not_mix(calculation: Callable[[Money, Money], object]) -> None:
    with pytest.raises(MixedCurrencies, match="do not mix"):
        calculation(Money(1, "EUR"), Money(1, "USD"))


def test_money_is_not_multiplied_by_a_float() -> None:
    with pytest.raises(TypeError):
        Money(100, "EUR") * 1.19  # type: ignore[operator]  # mypy refuses it as well


@pytest.mark.parametrize(
    ("n", "d", "rounded"),
    [
        (5, 10, 1), (-5, 10, -1), (4, 10, 0), (-4, 10, 0), (15, 10, 2), (-15, 10, -2), (25, 10, 3), (0, 7, 0),
        (1, 3, 0), (2, 3, 1), (-1, 3, 0), (-2, 3, -1), (5, -10, -1), (-5, -10, 1), (3, 1, 3), (-3, 1, -3),
    ],
)  # fmt: skip
def test_halves_are_rounded_away_from_zero(n: int, d: int, rounded: int) -> None:
    assert half_up(n, d) == rounded


@pytest.mark.parametrize("cases", CASES)
def test_half_up_is_what_exact_decimals_say(cases: int) -> None:
    @settings(max_examples=cases, deadline=None)
    @given(
        st.integers(-(10**18), 10**18), st.sampled_from([1, 2, 4, 5, 8, 10, 16, 20, 25, 40, 50, 80, 100, 1000, 10**6])
    )
    def check(n: int, d: int) -> None:
        exact = Decimal(n) / Decimal(d)

        assert half_up(n, d) == int(exact.quantize(Decimal(1), ROUND_HALF_UP))
        assert half_up(-n, d) == -half_up(n, d)

    check()


@pytest.mark.parametrize("cases", CASES)
def test_rounding_in_sql_is_the_rounding_in_python(cases: int) -> None:
    connection = sqlite3.connect(":memory:")
    statement = f"SELECT r, typeof(r) FROM (SELECT {half_up_sql(':a', ':n', ':d')} AS r)"

    @settings(max_examples=cases, deadline=None)
    @given(amounts, factors, divisors)
    def check(a: int, n: int, d: int) -> None:
        rounded, kind = connection.execute(statement, {"a": a, "n": n, "d": d}).fetchone()

        assert (rounded, kind) == (half_up(a * n, d), "integer")

    check()


@pytest.mark.parametrize(
    ("a", "n", "d"),
    [
        (MOST_MINOR, MOST_FACTOR, 1), (-MOST_MINOR, MOST_FACTOR, 1), (MOST_MINOR, MOST_FACTOR, MOST_FACTOR),
        (-MOST_MINOR, MOST_FACTOR, MOST_FACTOR), (1, 1, 2), (-1, 1, 2), (0, 0, 1),
    ],
)  # fmt: skip
def test_rounding_in_sql_holds_at_its_limits(a: int, n: int, d: int) -> None:
    statement = f"SELECT {half_up_sql(':a', ':n', ':d')}"

    rounded = sqlite3.connect(":memory:").execute(statement, {"a": a, "n": n, "d": d}).fetchone()[0]

    assert rounded == half_up(a * n, d)


@pytest.mark.parametrize(
    ("a", "n", "d"),
    [
        (MOST_MINOR + 1, 1, 1), (-MOST_MINOR - 1, 1, 1), (1, MOST_FACTOR + 1, 1), (1, -1, 1), (1, 1, 0), (1, 1, -1),
        (1, 1, MOST_FACTOR + 1), (None, 1, 1), (1, None, 1), (1, 1, None),
    ],
)  # fmt: skip
def test_rounding_in_sql_gives_null_beyond_its_limits_never_a_wrong_amount(
    a: int | None, n: int | None, d: int | None
) -> None:
    statement = f"SELECT {half_up_sql(':a', ':n', ':d')}"

    rounded = sqlite3.connect(":memory:").execute(statement, {"a": a, "n": n, "d": d}).fetchone()[0]

    assert rounded is None


class Case(Struct):
    """A row of the table that both databases round."""

    a: int
    n: int
    d: int
    rounded: int | None


@pytest.mark.parametrize(
    "cases", [pytest.param(2_000, id="2000"), pytest.param(20_000, marks=pytest.mark.long, id="20000")]
)
async def test_rounding_of_a_whole_table_is_the_rounding_in_python_on_both_databases(
    database: Database, cases: int
) -> None:
    chance = Random(1)
    limits = [(1, 2), (5, 10), (15, 10), (MOST_FACTOR, 1), (MOST_FACTOR, MOST_FACTOR), (0, 1)]
    factors = [*limits, *((chance.randint(0, MOST_FACTOR), chance.randint(1, MOST_FACTOR)) for _ in range(cases))]
    amounts = [MOST_MINOR, -MOST_MINOR, 1, -1, MOST_MINOR + 1, -MOST_MINOR - 1]
    table = [
        {"a": a * chance.choice((1, -1)), "n": n, "d": d}
        for n, d in factors
        for a in (chance.choice(amounts), chance.randint(0, 10 ** chance.randint(1, 12)))
    ]
    await define("CREATE TABLE half (a bigint, n bigint, d bigint)")
    await execute_many("INSERT INTO half (a, n, d) VALUES (:a, :n, :d)", table)

    found = await rows(Case, f"SELECT a, n, d, {half_up_sql('a', 'n', 'd')} AS rounded FROM half")

    assert len(found) == len(table)
    for case in found:
        within = abs(case.a) <= MOST_MINOR
        assert case.rounded == (half_up(case.a * case.n, case.d) if within else None), case


def test_the_unguarded_product_would_be_a_float_on_sqlite() -> None:
    product, kind = (
        sqlite3.connect(":memory:")
        .execute("SELECT x, typeof(x) FROM (SELECT :a * :n AS x)", {"a": 5 * 10**13, "n": 10**6})
        .fetchone()
    )

    assert (product, kind) == (5e19, "real")


@pytest.mark.parametrize(
    ("minor", "weights", "parts"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (-100, [1, 1, 1], [-34, -33, -33]),
        (5, [3, 7], [2, 3]),
        (101, [50, 50], [51, 50]),
        (1000, [0, 1, 0], [0, 1000, 0]),
        (10, [1, 2, 3, 4], [1, 2, 3, 4]),
        (1, [1, 1, 2], [0, 0, 1]),
        (1900, [10000, -500, 500], [1900, -95, 95]),
        (-1900, [-10000, 500, -500], [-1900, 95, -95]),
        (0, [], []),
        (0, [0, 0], [0, 0]),
        (0, [5, -5], [0, 0]),
    ],
)
def test_parts_go_by_largest_remainder_and_ties_in_order(minor: int, weights: list[int], parts: list[int]) -> None:
    assert allocate(minor, weights) == parts
    assert [part.minor for part in Money(minor, "EUR").allocate(weights)] == parts


@pytest.mark.parametrize("weights", [[], [0], [0, 0], [3, -3]])
def test_an_amount_cannot_be_shared_over_nothing(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="sum to zero"):
        allocate(1, weights)


@pytest.mark.parametrize("cases", CASES)
def test_parts_sum_to_the_whole_and_none_is_a_unit_off(cases: int) -> None:
    @settings(max_examples=cases, deadline=None)
    @given(amounts, st.lists(st.integers(0, 10**12), min_size=1, max_size=40).filter(any))
    def check(minor: int, weights: list[int]) -> None:
        parts = allocate(minor, weights)

        assert sum(parts) == minor
        assert allocate(-minor, weights) == [-part for part in parts]
        for part, weight in zip(parts, weights, strict=True):
            assert abs(part * sum(weights) - minor * weight) < sum(weights)
            assert part == 0 or weight > 0

    check()


@pytest.mark.parametrize("cases", CASES)
def test_parts_by_weights_of_both_signs_sum_to_the_whole_too(cases: int) -> None:
    @settings(max_examples=cases, deadline=None)
    @given(amounts, st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20).filter(sum))
    def check(minor: int, weights: list[int]) -> None:
        parts = allocate(minor, weights)

        assert sum(parts) == minor
        assert allocate(minor, [-weight for weight in weights]) == parts
        for part, weight in zip(parts, weights, strict=True):
            assert abs(part * sum(weights) - minor * weight) < abs(sum(weights))

    check()


def test_a_share_is_rounded_half_up() -> None:
    assert Money(10000, "EUR").share(16, 31) == Money(5161, "EUR")
    assert Money(-10000, "EUR").share(16, 31) == Money(-5161, "EUR")


def test_decimals_are_exact_and_rounded_once() -> None:
    assert as_decimal(-125729, "EUR") == Money(-125729, "EUR").decimal() == Decimal("-1257.29")
    assert str(as_decimal(5, "KWD")) == "0.005"
    assert str(as_decimal(0, "EUR")) == "0.00"
    assert str(as_decimal(500, "JPY")) == "500"
    assert from_decimal(Decimal("0.0042") * 1250, "EUR") == 525
    assert from_decimal(Decimal("1.005"), "EUR") == 101
    assert from_decimal(Decimal("-1.005"), "EUR") == -101
    assert from_decimal(Decimal("1.0005"), "KWD") == 1001
    assert from_decimal(Decimal("0.5"), "JPY") == 1


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (125729, "EUR", "1,257.29"), (-5, "EUR", "−0.05"), (0, "EUR", "0.00"), (100000000, "USD", "1,000,000.00"),
        (1499, "JPY", "1,499"), (-1499, "JPY", "−1,499"), (1, "KWD", "0.001"), (1234567, "KWD", "1,234.567"),
    ],
)  # fmt: skip
def test_amounts_in_columns_look_the_same_in_every_language(minor: int, currency: str, text: str) -> None:
    assert format_amount(minor, currency) == text


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "text"),
    [
        (125729, "EUR", "en", "€1,257.29"),
        (-125729, "EUR", "en", "−€1,257.29"),
        (125729, "EUR", "de", "1.257,29\N{NO-BREAK SPACE}€"),
        (-125729, "EUR", "de-AT", "−€\N{NO-BREAK SPACE}1.257,29"),
        (131081, "CHF", "de_CH", "CHF\N{NO-BREAK SPACE}1’310.81"),
        (1499, "JPY", "en", "¥1,499"),
        (1499, "KWD", "en", "KWD\N{NO-BREAK SPACE}1.499"),
        (10**15 + 1, "EUR", "en", "€10,000,000,000,000.01"),
    ],
)
def test_money_is_written_as_the_language_does(minor: int, currency: str, locale: str, text: str) -> None:
    assert format_money(minor, currency, locale) == text


def test_a_language_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Invalid, match="no language “xx-yy-zz”"):
        format_money(1, "EUR", "xx-yy-zz")


@pytest.mark.parametrize(
    ("text", "currency", "locale", "minor"),
    [
        # what can be read in one way only, in whatever language
        ("1.249,00", "EUR", "de", 124900), ("1.249,00", "EUR", "en", 124900), ("1,249.00", "EUR", "de", 124900),
        ("1'310.81", "CHF", "de-CH", 131081), ("1’310.81", "CHF", "en", 131081), ("1 249,50", "EUR", "fr", 124950),
        ("1\N{NARROW NO-BREAK SPACE}249,50", "EUR", "fr", 124950), ("1\N{NO-BREAK SPACE}249.50", "EUR", "en", 124950),
        ("1.249.000", "EUR", "en", 124900000), ("1,249,000", "EUR", "de", 124900000),
        ("12,34,567.89", "INR", "en-IN", 123456789), ("1.249.000,5", "EUR", "en", 124900050),
        ("12,50", "EUR", "en", 1250), ("12.5", "EUR", "de", 1250), ("1249", "EUR", "en", 124900),
        ("0.05", "EUR", "de", 5), (".5", "EUR", "en", 50), ("0", "EUR", "en", 0), ("007.10", "EUR", "en", 710),
        ("0.000", "EUR", "en", 0), ("0,120", "EUR", "en", 12), ("10.0000", "EUR", "en", 1000),
        ("1'310", "EUR", "en", 131000), ("1234.560", "EUR", "en", 123456), ("1234,5600", "EUR", "de", 123456),
        # what the language decides
        ("1.249", "EUR", "de", 124900), ("1,249", "EUR", "en", 124900), ("1,249", "JPY", "en", 1249),
        ("1.249", "KWD", "en", 1249), ("1,249", "KWD", "de", 1249), ("1,249", "KWD", "en", 1249000),
        ("123.456", "EUR", "de", 12345600), ("1,23,456", "INR", "en", 12345600),
        # signs
        ("$-142.85", "USD", "en", -14285), ("-$142.85", "USD", "en", -14285), ("−142,85 €", "EUR", "de", -14285),
        ("142,85-", "EUR", "de", -14285), ("(142.85)", "USD", "en", -14285), ("($142.85)", "USD", "en", -14285),
        ("+5.00", "EUR", "en", 500), ("-0", "EUR", "en", 0),
        # currencies
        ("₱1,499.00", "PHP", "en", 149900), ("€ 5", "EUR", "en", 500), ("5 EUR", "EUR", "en", 500),
        ("eur 5,00", "EUR", "de", 500), ("A$5", "AUD", "en", 500), ("US$5.00", "USD", "de", 500),
        ("$5", "CAD", "en", 500), ("CA$5", "CAD", "en", 500), ("Fr. 5.00", "CHF", "de-CH", 500),
        ("5 kr.", "DKK", "da", 500), ("5 kr", "SEK", "sv", 500), ("￥1,499", "JPY", "ja", 1499),
        ("Rs. 50", "INR", "en", 5000),
        # digits and signs of other scripts
        ("١٢٣٫٥٠", "EUR", "ar", 12350), ("１２．５０", "EUR", "ja", 1250), ("￥１２", "JPY", "ja", 12),
        ("١٢٫٥٠٠٠", "EUR", "ar", 1250), ("۰٫۱۲۰", "EUR", "fa", 12),
    ],
)  # fmt: skip
def test_amounts_are_read_as_people_and_systems_write_them(text: str, currency: str, locale: str, minor: int) -> None:
    assert parse_amount(text, currency, locale) == minor
    assert parse_amount(f"  {text}\N{NO-BREAK SPACE}", currency, locale) == minor


@pytest.mark.parametrize(
    ("text", "currency", "locale", "reason"),
    [
        ("1.249", "EUR", "en", "read in two ways"), ("1,249", "EUR", "de", "read in two ways"),
        ("12.345", "EUR", "en", "read in two ways"), ("1.249", "EUR", "fr", "read in two ways"),
        ("1.2345", "EUR", "en", "2 decimals"), ("0.001", "EUR", "en", "2 decimals"),
        ("1,499.5", "JPY", "en", "no decimals"),
        ("12.50", "JPY", "en", "no decimals"), ("1.23456", "KWD", "en", "3 decimals"),
        ("", "EUR", "en", "no amount"), ("   ", "EUR", "en", "no amount"), ("abc", "EUR", "en", "no amount"),
        ("-", "EUR", "en", "no amount"), ("€", "EUR", "en", "no amount"), ("()", "EUR", "en", "no amount"),
        ("1.2.3", "EUR", "en", "no amount"), ("1,2,3", "EUR", "en", "no amount"),
        ("1.249,000.00", "EUR", "en", "no amount"),
        ("1,24.9", "EUR", "en", "no amount"), ("1234,567.00", "EUR", "en", "no amount"),
        ("0,123,456", "EUR", "en", "no amount"),
        ("1.249'00", "EUR", "en", "no amount"), ("1 2", "EUR", "en", "no amount"), ("12 50", "EUR", "en", "no amount"),
        ("1'234,567.89", "EUR", "en", "no amount"), ("1.249,00,00", "EUR", "de", "no amount"),
        ("12,34,56", "INR", "en", "no amount"), ("123,45,678", "INR", "en", "no amount"),
        ("1,23,456,789", "INR", "en", "no amount"), ("12,3,567", "INR", "en", "no amount"),
        ("1.2,3,45", "EUR", "de", "no amount"),
        ("1,234,56,789.00", "INR", "en", "no amount"), ("123.456", "EUR", "en", "read in two ways"),
        ("--5", "EUR", "en", "no amount"), ("-5-", "EUR", "en", "no amount"), ("(-5)", "EUR", "en", "no amount"),
        ("5 6", "EUR", "en", "no amount"), ("1,249 EUR,00", "EUR", "en", "does not fit"),
        ("12.", "EUR", "en", "does not fit"),
        ("1e5", "EUR", "en", "does not fit"), ("5%", "EUR", "en", "does not fit"), ("5 €", "USD", "en", "does not fit"),
        ("$5", "EUR", "en", "does not fit"), ("£5", "EUR", "en", "does not fit"), ("5 €€", "EUR", "en", "does not fit"),
        ("NaN", "EUR", "en", "no amount"), ("Infinity", "EUR", "en", "no amount"),
        ("0x10", "EUR", "en", "does not fit"),
        ("1_000", "EUR", "en", "does not fit"), ("=5", "EUR", "en", "does not fit"),
        ("(5", "EUR", "en", "does not fit"),
        ("EUR 5 EUR", "EUR", "en", "does not fit"), ("10²", "EUR", "en", "no amount"), ("1½", "EUR", "en", "no amount"),
        ("10000000000.01", "EUR", "en", "too large"), ("9" * 400, "EUR", "en", "too large"),
    ],
)  # fmt: skip
def test_what_is_unclear_or_no_amount_is_refused(text: str, currency: str, locale: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        parse_amount(text, currency, locale)


@pytest.mark.parametrize("cases", CASES)
def test_what_is_written_can_be_read_again(cases: int) -> None:
    @settings(max_examples=cases, deadline=None)
    @given(
        amounts,
        st.sampled_from(["EUR", "USD", "GBP", "CHF", "JPY", "PHP", "INR", "SEK", "BRL", "ZAR", "PLN"]),
        st.sampled_from(["en", "de", "de-AT", "de-CH", "fr", "es", "sv", "pl", "pt-BR", "en-IN", "ja", "it-CH"]),
    )
    def check(minor: int, currency: str, locale: str) -> None:
        assert parse_amount(format_money(minor, currency, locale), currency, locale) == minor
        assert parse_amount(format_amount(minor, currency), currency, "en") == minor

    check()


@pytest.mark.parametrize("cases", CASES)
def test_whatever_is_typed_is_read_or_refused_and_never_breaks(cases: int) -> None:
    @settings(max_examples=cases, deadline=None)
    @given(st.text(max_size=20) | st.text("0123456789.,' -+()€$", max_size=12), st.sampled_from(["EUR", "JPY", "KWD"]))
    def check(text: str, currency: str) -> None:
        try:
            minor = parse_amount(text, currency, "en")
        except Invalid:
            return
        assert abs(minor) <= MOST_MINOR

    check()
