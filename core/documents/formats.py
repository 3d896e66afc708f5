"""Amounts, numbers and dates as they are written on documents and in messages, in the reader's language."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_decimal

from core.money import MINUS, as_decimal, exponent, format_money

NO_BREAK = "\u00a0"


class Formats:
    """How one language writes amounts of one currency, numbers and dates."""

    def __init__(self, language: str, currency: str) -> None:
        self.currency = currency
        self.places = exponent(currency)
        self._locale = _locale(language)
        self._amount = "#,##0" + ("." + "0" * self.places if self.places else "")

    def amount(self, minor: int) -> str:
        """For columns, the currency stands in the head: 1,257.29"""
        return self._signed(format_decimal(as_decimal(minor, self.currency), self._amount, self._locale))

    def money(self, minor: int) -> str:
        """For running text: €1,257.29"""
        return format_money(minor, self.currency, str(self._locale))

    def price(self, price: Decimal) -> str:
        """A unit price, which may be finer than a minor unit: 0.0125"""
        finest = "#,##0." + "0" * self.places + "#" * max(0, 8 - self.places)
        return self._signed(format_decimal(price, finest, self._locale))

    def number(self, number: Decimal | int) -> str:
        return write_number(number, str(self._locale))

    def percent(self, ppm: int) -> str:
        """A rate in parts per million: 135000 is 13.5 %"""
        return f"{self.number(Decimal(ppm).scaleb(-4))}{NO_BREAK}%"

    def day(self, day: date) -> str:
        return write_day(day, str(self._locale)).replace(" ", NO_BREAK)

    def period(self, start: date, end: date) -> str:
        """A half-open period by its first and last day: 1–30 Nov 2026. A single day stands alone."""
        last = end - timedelta(days=1)
        if last <= start:
            return self.day(start)
        if self._locale.language != "en":
            return f"{self.day(start)}–{self.day(last)}"
        if (start.year, start.month) == (last.year, last.month):
            return f"{start.day}–{self.day(last)}"
        if start.year == last.year:
            return f"{format_date(start, 'd MMM', self._locale)} – {self.day(last)}".replace(" ", NO_BREAK)
        return f"{self.day(start)}{NO_BREAK}–{NO_BREAK}{self.day(last)}"

    def _signed(self, text: str) -> str:
        return text.replace("-", MINUS)


def write_day(day: date, language: str) -> str:
    """1 Dec 2026 or 01.12.2026"""
    locale = _locale(language)
    return format_date(day, "d MMM yyyy" if locale.language == "en" else "medium", locale)


def write_number(number: Decimal | int, language: str) -> str:
    """1,257.5 or 1.257,5"""
    return format_decimal(number, "#,##0.########", _locale(language)).replace("-", MINUS)


def _locale(language: str) -> Locale:
    try:
        return Locale.parse(language.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        return Locale("en")
