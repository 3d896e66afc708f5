"""Amounts, quantities and percentages as people type them into forms, and as fields show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

from core.errors import FieldError, Invalid
from core.money import as_decimal, parse_amount
from core.texts import _, figures

T = TypeVar("T")

MOST_E6: Final = 10**12


def amount_text(minor: int | None, currency: str) -> str:
    """For a field: 1257.29, or 1257,29, without signs for thousands; empty for none."""
    return "" if minor is None else figures(str(as_decimal(minor, currency)))


def decimal_text(scaled: int | None, places: int) -> str:
    """For a field: a scaled integer as a number, without zeros that say nothing: 1500000 of six places is 1.5."""
    if scaled is None:
        return ""
    text = f"{Decimal(scaled).scaleb(-places):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent_text(ppm: int) -> str:
    """A rate in millionths as it reads: 13.5 %."""
    return f"{figures(decimal_text(ppm, 4))}\N{NO-BREAK SPACE}%"


def typed_amount(text: str, currency: str, locale: str, *, least: int | None = 0) -> int:
    """Minor units of what was typed; Invalid says what would be right. `least` is None where a minus is meant."""
    minor = parse_amount(text, currency, locale)
    if least is not None and minor < least:
        raise Invalid(_("Type an amount above zero.") if least > 0 else _("Type an amount of zero or more."))
    return minor


def typed_decimal(text: str, places: int, *, most: int = MOST_E6) -> int:
    """A number with at most so many decimals, as a scaled integer. Point or comma, no signs for thousands."""
    try:
        number = Decimal(text.strip().replace(",", ".")).scaleb(places)
    except InvalidOperation:
        raise Invalid(_("Type a number, like 1.5.")) from None
    if not number.is_finite() or abs(number) > most:
        raise Invalid(_("This number is too large."))
    if number != number.to_integral_value():
        raise Invalid(_("Use at most %(places)s decimals.", places=places))
    return int(number)


def typed_percent(text: str) -> int:
    """A percentage in millionths: 20 % is 200,000."""
    ppm = typed_decimal(text.replace("%", ""), 4)
    if not 0 <= ppm <= 1_000_000:
        raise Invalid(_("Type a percentage of 0 to 100."))
    return ppm


class Fields:
    """Reads several typed texts and keeps what is wrong with each, so that all of it is said at once.

    with Fields() as read:
        amount = read("amount", typed_amount, form.amount, "EUR", "en")
    """

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        """`names`: what a field of an error is called in this form, where that differs."""
        self._errors: list[FieldError] = []
        self._names = names or {}

    def __call__(self, field: str, read: Callable[..., T], *given: Any, default: T, **more: Any) -> T:
        """What `read` makes of it; `default` where nothing was typed, or where it is wrong."""
        if given and given[0] == "":
            return default
        try:
            return read(*given, **more)
        except Invalid as error:
            self.wrong(field, error.errors[0].message if error.errors else error.message)
            return default

    def wrong(self, field: str, message: str) -> None:
        self._errors.append(FieldError(self._names.get(field, field), message))

    def __enter__(self) -> Fields:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None and self._errors:
            raise Invalid(errors=self._errors)
