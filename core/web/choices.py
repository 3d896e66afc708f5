"""Countries, currencies, time zones and languages to choose from, by their names in the language that is spoken."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import available_timezones

from babel import Locale
from babel.core import get_global
from babel.numbers import get_currency_name

from core.texts import LANGUAGES
from core.web.parts import Choice

_AREAS = (
    "Africa/", "America/", "Antarctica/", "Arctic/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Indian/",
    "Pacific/",
)  # fmt: skip


def kept(choices: tuple[Choice, ...], now: str) -> tuple[Choice, ...]:
    """The choices, and what is chosen now where it is none of them."""
    return choices if not now or any(one.value == now for one in choices) else (*choices, Choice(now, now))


@lru_cache(maxsize=8)
def countries(locale: str) -> tuple[Choice, ...]:
    """Every country, by its name."""
    names = Locale.parse(locale, sep=_between(locale)).territories
    found = sorted(
        (str(name), code) for code, name in names.items() if len(code) == 2 and code.isalpha() and code < "ZZ"
    )
    return tuple(Choice(code, name) for name, code in found)


@lru_cache(maxsize=8)
def currencies(locale: str) -> tuple[Choice, ...]:
    """Those that a country pays with today, by their codes."""
    used = get_global("territory_currencies").values()
    codes = {code for some in used for code, _begin, end, tender in some if tender and not end}
    names = locale.replace("-", "_")
    return tuple(Choice(code, f"{code}, {get_currency_name(code, locale=names)}") for code in sorted(codes))


@lru_cache(maxsize=1)
def time_zones() -> tuple[Choice, ...]:
    """By the area before the place."""
    found = sorted(name for name in available_timezones() if name.startswith(_AREAS) or name == "UTC")
    return tuple(Choice(name, name) for name in found)


@lru_cache(maxsize=8)
def languages(locale: str) -> tuple[Choice, ...]:
    """Every language, by its name."""
    names = Locale.parse(locale, sep=_between(locale)).languages
    found = sorted((str(name), code) for code, name in names.items() if len(code) == 2)
    return tuple(Choice(code, f"{name[:1].upper()}{name[1:]}") for name, code in found)


def offered(what: str, locale: str, now: str) -> tuple[Choice, ...]:
    """What a setting chooses from: country, currency, time_zone, or a language that the product speaks."""
    spoken = tuple(Choice(code, name) for code, name in LANGUAGES.items())
    every = {
        "country": countries(locale),
        "currency": currencies(locale),
        "time_zone": time_zones(),
        "language": spoken,
    }
    return kept(every[what], now)


def _between(locale: str) -> str:
    return "-" if "-" in locale else "_"
