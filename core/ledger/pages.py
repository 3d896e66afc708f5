"""What the page of currencies shows and takes."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

from babel import Locale
from babel.core import get_global
from msgspec import Meta, Struct

from core.errors import Invalid
from core.ledger.schemas import NewFxRate
from core.texts import _
from core.web.amounts import Fields, decimal_text, typed_decimal
from core.web.forms import checked
from core.web.parts import Choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.ledger.schemas import FxRateRow


class FxRateForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    from_currency: Annotated[str, Meta(min_length=3, max_length=3)]
    rate: Annotated[str, Meta(min_length=1, max_length=20)]
    valid_on: date


def new_fx_rate(form: FxRateForm, to_currency: str) -> NewFxRate:
    with Fields() as read:
        rate = read("rate", typed_rate, form.rate, default=0)
    return checked(
        NewFxRate,
        {
            "from_currency": form.from_currency.upper(),
            "to_currency": to_currency,
            "valid_on": form.valid_on,
            "rate_e10": rate,
        },
    )


def typed_rate(text: str) -> int:
    """A rate of at most ten decimals, scaled: 0.92 is 9,200,000,000."""
    rate = typed_decimal(text, 10, most=10**16)
    if rate <= 0:
        raise Invalid(_("Type a rate above zero."))
    return rate


def currency_choices(locale: str, but: str) -> list[Choice]:
    """Every currency that is legal tender somewhere, but one, by its code and its name in the language."""
    names = Locale.parse(locale.replace("-", "_")).currencies
    used = {
        code
        for some in get_global("territory_currencies").values()
        for code, _, until, is_tender in some
        if is_tender and until is None
    }
    return [Choice(code, f"{code} {names.get(code, '')}".strip()) for code in sorted(used - {but})]


def rate_text(rate_e10: int) -> str:
    """At least four decimals, so that rates of one column can be compared."""
    whole, _, parts = decimal_text(rate_e10, 10).partition(".")
    return f"{whole}.{parts.ljust(4, '0')}"


class FxRateItem(Struct, frozen=True, kw_only=True):
    """A rate in the table of currencies."""

    from_currency: str
    name: str
    to_currency: str
    rate: str
    valid_on: date
    state: str
    """live, new (from a later day) or ended (another one holds)."""


def fx_rate_items(rates: Sequence[FxRateRow], today: date, locale: str) -> list[FxRateItem]:
    """By currency, the newest first; which of them holds today is marked."""
    names = Locale.parse(locale.replace("-", "_")).currencies
    held: set[tuple[str, str]] = set()
    items = []
    for rate in rates:
        key = (rate.from_currency, rate.to_currency)
        state = "new" if rate.valid_on > today else "ended" if key in held else "live"
        if state == "live":
            held.add(key)
        items.append(
            FxRateItem(
                from_currency=rate.from_currency,
                name=names.get(rate.from_currency, rate.from_currency),
                to_currency=rate.to_currency,
                rate=rate_text(rate.rate_e10),
                valid_on=rate.valid_on,
                state=state,
            )
        )
    return items
