"""Amounts: integer minor units beside an ISO currency. Never a float; a decimal only until it is rounded, once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.numbers import (
    format_currency,
    get_currency_precision,
    get_currency_symbol,
    get_decimal_symbol,
    get_group_symbol,
    is_currency,
)
from msgspec import Struct

from core.errors import Invalid
from core.texts import N_, _, figures, ngettext

MINUS: Final = "\N{MINUS SIGN}"
MOST_MINOR: Final = 10**12
"""The largest amount, of either sign: set-based money needs twice this, times a million, within 64 bits."""
MOST_FACTOR: Final = 10**6


class MixedCurrencies(ValueError):
    """Amounts of two currencies met in one calculation. A fault of the program, never of the input."""


class Money(Struct, frozen=True):
    """An amount in minor units of a currency: Money(125729, "EUR") is € 1,257.29."""

    minor: int
    currency: str

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __mul__(self, times: int) -> Money:
        if not isinstance(times, int):
            return NotImplemented
        return Money(self.minor * times, self.currency)

    __rmul__ = __mul__

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __abs__(self) -> Money:
        return Money(abs(self.minor), self.currency)

    def __bool__(self) -> bool:
        return self.minor != 0

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.minor > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.minor >= self._same(other)

    def share(self, n: int, d: int) -> Money:
        """n d-ths of it, rounded half up."""
        return Money(half_up(self.minor * n, d), self.currency)

    def allocate(self, weights: Sequence[int]) -> list[Money]:
        """Parts in proportion to the weights that sum to the whole; see `allocate`."""
        return [Money(part, self.currency) for part in allocate(self.minor, weights)]

    def decimal(self) -> Decimal:
        """In whole units: Decimal("1257.29")."""
        return as_decimal(self.minor, self.currency)

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise MixedCurrencies(f"{self.currency} and {other.currency} do not mix")
        return other.minor


def total(amounts: Iterable[Money], currency: str) -> Money:
    """The sum, zero of that currency for none."""
    return sum(amounts, Money(0, currency))


def allocate(minor: int, weights: Sequence[int]) -> list[int]:
    """Split an amount in proportion to the weights, by largest remainder, ties in order; the parts sum to it exactly.

    A negative amount is split as its positive one, mirrored. Weights may be of both signs (a discount among the lines)
    as long as they do not cancel out; nothing can be split over any weights.
    """
    if minor == 0:
        return [0] * len(weights)
    if minor < 0:
        return [-part for part in allocate(-minor, weights)]
    whole = sum(weights)
    if whole == 0:
        raise ValueError("weights that sum to zero cannot share an amount")
    if whole < 0:
        whole, weights = -whole, [-weight for weight in weights]
    parts = [minor * weight // whole for weight in weights]
    left = minor - sum(parts)
    # sorted() keeps ties in their order
    for i in sorted(range(len(parts)), key=lambda i: -(minor * weights[i] % whole))[:left]:
        parts[i] += 1
    return parts


def half_up(n: int, d: int) -> int:
    """n ÷ d rounded to an integer, halves away from zero, so that a credit mirrors its charge."""
    if d < 0:
        n, d = -n, -d
    return -((-2 * n + d) // (2 * d)) if n < 0 else (2 * n + d) // (2 * d)


def half_up_sql(amount: str, n: str, d: str) -> str:
    """`half_up(amount * n, d)` as an SQL expression, the same on both databases, which divide towards zero.

    NULL outside |amount| ≤ 10¹², 0 ≤ n ≤ 10⁶, 1 ≤ d ≤ 10⁶: beyond these SQLite would turn the product into a float
    without a word. The arguments stand in it several times: give column names.
    """
    a, n, d = (f"CAST({part} AS bigint)" for part in (amount, n, d))
    return (
        f"CASE WHEN {a} NOT BETWEEN -{MOST_MINOR} AND {MOST_MINOR} OR {n} NOT BETWEEN 0 AND {MOST_FACTOR}"
        f" OR {d} NOT BETWEEN 1 AND {MOST_FACTOR} THEN NULL"
        f" WHEN {a} < 0 THEN -((-2 * {a} * {n} + {d}) / (2 * {d}))"
        f" ELSE (2 * {a} * {n} + {d}) / (2 * {d}) END"
    )


@lru_cache
def exponent(currency: str) -> int:
    """How many decimals the currency has: EUR 2, JPY 0, KWD 3."""
    return get_currency_precision(check_currency(currency))


def check_currency(currency: str) -> str:
    """The code of a currency, or Invalid."""
    if not is_currency(currency):
        raise Invalid(
            _("“%(currency)s” is no currency. Use its three letters, such as EUR.", currency=currency), field="currency"
        )
    return currency


def as_decimal(minor: int, currency: str) -> Decimal:
    """Minor units as a decimal of whole units, exactly."""
    sign, digits = int(minor < 0), tuple(map(int, str(abs(minor))))
    return Decimal((sign, digits, -exponent(currency)))


def from_decimal(amount: Decimal, currency: str) -> int:
    """Minor units of a decimal of whole units (a unit price times a quantity), rounded half up."""
    n, d = amount.as_integer_ratio()
    return half_up(n * 10 ** exponent(currency), d)


def format_amount(minor: int, currency: str) -> str:
    """For tables of one currency, without it, as the locale that is spoken now has it: 1,257.29 or −0.05."""
    places = exponent(currency)
    units, rest = divmod(abs(minor), 10**places)
    return figures(f"{MINUS if minor < 0 else ''}{units:,}" + (f".{rest:0{places}}" if places else ""))


_LETTER_AT_DIGIT: Final = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")


def format_money(minor: int, currency: str, locale: str) -> str:
    """With its currency as the language writes it: €1,257.29 or 1.257,29 €."""
    with localcontext() as context:
        context.prec = 40
        text = format_currency(as_decimal(minor, currency), currency, locale=_locale(locale))
    text = _LETTER_AT_DIGIT.sub("\N{NO-BREAK SPACE}", text)
    return text.replace("-", MINUS, 1) if minor < 0 else text


_SIGNS_SHARED: Final = {
    "$": (
        "USD AUD BBD BMD BND BSD BZD CAD FJD GYD HKD JMD KYD LRD NAD NZD SBD SGD SRD TTD TWD XCD"
        " ARS CLP COP CUP DOP MXN UYU"
    ),
    "£": "GBP EGP FKP GIP LBP SHP SSP SYP",
    "¥": "JPY CNY",
    "kr": "SEK NOK DKK ISK",
    "₱": "PHP",
    "fr": "CHF XAF XOF XPF",
    "sfr": "CHF",
    "r": "ZAR",
    "rs": "INR PKR LKR NPR MUR",
    "€": "EUR",
}
_AS_ASCII: Final = str.maketrans(
    {
        **dict.fromkeys("’`´\N{ARABIC THOUSANDS SEPARATOR}", "'"),
        "\N{ARABIC DECIMAL SEPARATOR}": ",",
        **dict.fromkeys("\N{MINUS SIGN}\N{HYPHEN}\N{NON-BREAKING HYPHEN}", "-"),
        **dict.fromkeys("\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}\N{ARABIC LETTER MARK}", None),
    }
)
_NUMBER: Final = re.compile(r"\d+(?:[.,' ]\d+)*|[.,]\d+")
_NO_NUMBER: Final = N_("This is no amount. Write it like 1249.00.")


def parse_amount(text: str, currency: str, locale: str) -> int:
    """Minor units of an amount as a person or another system wrote it: 1.249,00 € · 1'310.81 · $-142.85 · (12.50).

    What can be read in one way only is read so in every language; `locale` decides what could be read in two (1.249).
    What stays unclear, has more decimals than the currency, or names another currency is Invalid.
    """
    number, negative = _bare_number(text, currency, locale)
    whole, fraction = _split_at_decimal_sign(number, currency, locale)
    places = exponent(currency)
    if fraction[places:].strip("0"):
        raise Invalid(
            ngettext("%(currency)s has one decimal.", "%(currency)s has %(num)s decimals.", places, currency=currency)
            if places
            else _("%(currency)s has no decimals.", currency=currency)
        )
    minor = int(whole + fraction[:places].ljust(places, "0") or "0")
    if minor > MOST_MINOR:
        raise Invalid(_("The amount is too large: at most %(amount)s.", amount=format_amount(MOST_MINOR, currency)))
    return -minor if negative else minor


def _bare_number(text: str, currency: str, locale: str) -> tuple[str, bool]:
    """Digits and separators alone, and whether a minus stood before or behind them, or brackets around."""
    if any(c.isnumeric() and not c.isdecimal() for c in text):
        raise Invalid(_(_NO_NUMBER))  # 10² would become 102
    bare = " ".join(unicodedata.normalize("NFKC", text).translate(_AS_ASCII).split())
    bare = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in bare)
    in_brackets = bare.startswith("(") and bare.endswith(")")
    found = _NUMBER.search(bare.strip("()") if in_brackets else bare)
    if found is None:
        raise Invalid(_(_NO_NUMBER))
    around = found.string[: found.start()] + " " + found.string[found.end() :]
    signs = [c for c in around if c in "+-"]
    if len(signs) + in_brackets > 1:
        raise Invalid(_(_NO_NUMBER))
    named = re.sub("[+-]", " ", around).strip()
    if named and named.casefold().rstrip(".") not in _names_of(currency, locale):
        raise Invalid(
            _(
                "“%(named)s” does not fit: write the amount in %(currency)s, like 1249.00.",
                named=named,
                currency=currency,
            )
        )
    return found.group(), in_brackets or signs == ["-"]


def _split_at_decimal_sign(number: str, currency: str, locale: str) -> tuple[str, str]:
    """The digits before and after the decimal sign."""
    signs = [c for c in number if not c.isdigit()]
    if not signs:
        return number, ""
    last = signs[-1]
    if len(set(signs)) == 1 and (len(signs) > 1 or last in "' "):
        return _ungrouped(number, last), ""
    if len(set(signs)) > 2 or (len(set(signs)) == 2 and (signs.count(last) > 1 or last in "' ")):
        raise Invalid(_(_NO_NUMBER))
    whole, fraction = number.rsplit(last, 1)
    if len(set(signs)) == 2:
        return _ungrouped(whole, signs[0]), fraction
    if len(fraction) != 3 or not whole or len(whole) > 3 or whole == "0":
        return whole, fraction
    if last == get_group_symbol(_locale(locale)):
        return whole + fraction, ""
    if last == get_decimal_symbol(_locale(locale)) and exponent(currency) >= 3:
        return whole, fraction
    raise Invalid(_("%(number)s can be read in two ways. Write it without a sign for thousands.", number=number))


def _ungrouped(whole: str, sign: str) -> str:
    """The digits of 1.249.000, and of 12,34,567 as India writes it."""
    first, *others = whole.split(sign)
    threes = len(first) <= 3 and all(len(group) == 3 for group in others)
    indian = sign == "," and len(first) <= 2 and len(others[-1]) == 3 and all(len(group) == 2 for group in others[:-1])
    if not first or first.startswith("0") or not (threes or indian):
        raise Invalid(_(_NO_NUMBER))
    return first + "".join(others)


@lru_cache(maxsize=512)
def _names_of(currency: str, locale: str) -> frozenset[str]:
    names = {currency, get_currency_symbol(currency, _locale(locale)), get_currency_symbol(currency, Locale("en"))}
    signs = {sign for sign, currencies in _SIGNS_SHARED.items() if currency in currencies.split()}
    names.update(signs, (currency[:2] + sign for sign in signs))
    return frozenset(unicodedata.normalize("NFKC", name).casefold().rstrip(".") for name in names)


@lru_cache(maxsize=512)
def _locale(name: str) -> Locale:
    try:
        return Locale.parse(name, sep="-" if "-" in name else "_")
    except (UnknownLocaleError, ValueError):
        raise Invalid(
            _("There is no language “%(name)s”. Use a code such as en or de-AT.", name=name), field="language"
        ) from None
