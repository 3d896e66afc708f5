"""What a cell means: e-mail addresses, phone numbers, countries, dates, amounts, coordinates.

Each function gives the value, or raises ValueError with a sentence for whoever made the file.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from functools import lru_cache
from typing import Final, Literal

import phonenumbers
from babel import Locale
from babel.core import get_global
from babel.numbers import is_currency
from email_validator import EmailNotValidError, validate_email
from msgspec import Struct
from phonenumbers.phonemetadata import PhoneMetadata
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError

from core.customers.addresses import GREECE
from core.customers.explaining import explained, explained_within
from core.errors import Invalid
from core.lists.reading import header_key
from core.money import parse_amount
from core.texts import _, language_of, locale_now

DateStyle = Literal["iso", "any"]
NumberStyle = Literal["point", "any"]
PLACEHOLDERS: Final = frozenset(
    {"-", "--", "—", ".", "0", "1", "n/a", "na", "none", "null", "nil", "unknown", "x", "keine", "k.a."}
)
"""What people type where a system insists on a value."""


def one_line(text: str) -> str:
    """Text for a field of one line: lines joined by a comma, other white space single."""
    text = unicodedata.normalize("NFC", text)
    if text.isprintable() and "  " not in text:  # no white space but single spaces, no control characters
        return text.strip()
    lines = [" ".join(_bare(line).split()) for line in re.split(r"[\r\n\x0b\x0c\x85\u2028\u2029]+", text)]
    return ", ".join(bare for line in lines if (bare := line.rstrip(", ")))


def many_lines(text: str) -> str:
    """Text as it was typed, without control characters."""
    text = unicodedata.normalize("NFC", text)
    if text.isprintable():
        return text.strip()
    return "\n".join(_bare(line).rstrip() for line in text.splitlines()).strip()


def _bare(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text)


# E-mail

_PLAIN_LOCAL: Final = re.compile(r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*")


def split_emails(text: str) -> list[str]:
    """The addresses of a cell; `Name <a@b.example>` is the address alone."""
    parts = re.findall(r"<([^<>]+)>", text) if "<" in text and ">" in text else re.split(r"[,;|\s]+", text)
    return [part.strip().removeprefix("mailto:") for part in parts if part.strip()]


def email(text: str) -> str:
    """The address as it is stored: its domain in lower case. Nothing is asked of the network."""
    local, at, domain = text.rpartition("@")
    if at and len(local) <= 64 and len(text) <= 254 and _PLAIN_LOCAL.fullmatch(local):
        return f"{local}@{_domain(domain)}"
    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as wrong:
        raise ValueError(_("“%(text)s” is no e-mail address. %(why)s", text=text[:80], why=explained(wrong))) from None


@lru_cache(maxsize=20_000)
def _domain(domain: str) -> str:
    try:
        return validate_email(f"a@{domain}", check_deliverability=False, test_environment=True).domain
    except EmailNotValidError as wrong:
        raise ValueError(
            _("The address ends in “@%(domain)s”. %(why)s", domain=domain[:80], why=explained(wrong))
        ) from None


# Phone


class Phone(Struct, frozen=True):
    """A number as it was typed, and as the network knows it where that could be made out (else empty)."""

    typed: str
    e164: str


_PHONE_LOOKS: Final = re.compile(
    r"[+(]?[\d\s()./+#*-]*\d[\d\s()./+#*-]*(?:\s*(?:x|ext|ext\.|app|dw)\.?\s*\d{1,7})?", re.IGNORECASE
)


def split_phones(text: str) -> list[str]:
    """The numbers of a cell. A slash parts two only where each side is long enough to be one: 0351/5550101 is one."""
    parts: list[str] = []
    for part in re.split(r"[,;|\n]+|\s+(?:or|and|oder|und)\s+", text):
        sides = part.split("/")
        numbers = sides if len(sides) > 1 and all(sum(map(str.isdigit, side)) >= 7 for side in sides) else [part]
        parts.extend(" ".join(number.split()) for number in numbers if number.strip())
    return parts


def phone(text: str, country: str | None, *, sure: bool = True) -> tuple[Phone, str]:
    """The number, and a warning where it cannot be one; it is kept as typed then.

    `sure` is false where the country is only that of the tenant: a number of another country does not fit it, and that
    is nobody's fault.
    """
    if not _PHONE_LOOKS.fullmatch(text):
        return Phone(text, ""), _("“%(text)s” does not look like a phone number. It is kept as typed.", text=text[:40])
    number = "+" + text[2:] if text.startswith("00") else text
    if not 4 <= sum(map(str.isdigit, text)) <= 20:
        return Phone(text, ""), _("“%(text)s” is not as long as a phone number. It is kept as typed.", text=text[:40])
    if country is None and not number.startswith("+"):
        return Phone(text, ""), ""
    quick = _quick_e164(number, country)
    if quick:
        return Phone(text, quick), ""
    sure = sure or number.startswith("+")
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        return Phone(text, ""), _no_phone(text, country) if sure else ""
    if not phonenumbers.is_possible_number(parsed):
        return Phone(text, ""), _wrong_length(text, country) if sure else ""
    return Phone(text, phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)), ""


class _Dialling(Struct, frozen=True):
    """How a country dials, where that is simple."""

    code: str
    prefix: str
    """Before numbers within the country; empty where there is none, or where it is not simple."""
    may_begin: str
    """What begins a number that the library has to take apart."""
    abroad: str
    """What begins a number that leads out of the country."""
    number: str
    lengths: frozenset[int]


_SEPARATORS: Final = {ord(c): None for c in " -./()"}


def _quick_e164(text: str, country: str | None) -> str:
    """What the library would make of a plain number, for the many that need none of its care; else nothing."""
    digits = text.translate(_SEPARATORS)
    if digits[:1] == "+":
        digits = digits[1:]
        if not digits.isdecimal() or not digits.isascii() or digits.startswith("0"):
            return ""
        dialling = next((found for size in (1, 2, 3) if (found := _of_code(digits[:size])) is not None), None)
        if dialling is None:
            return ""
        rest = digits[len(dialling.code) :]
        if dialling.may_begin and re.match(dialling.may_begin, rest):
            return ""
    else:
        dialling = _of_country(country) if country else None
        if dialling is None or not dialling.prefix or not digits.startswith(dialling.prefix):
            return ""
        rest = digits[len(dialling.prefix) :]
        if not digits.isdecimal() or not digits.isascii() or re.match(dialling.abroad, digits):
            return ""
        if not re.fullmatch(dialling.number, rest):
            return ""
    return f"+{dialling.code}{rest}" if rest[:1] not in {"", "0"} and len(rest) in dialling.lengths else ""


@lru_cache(maxsize=1_000)
def _of_code(code: str) -> _Dialling | None:
    region = phonenumbers.region_code_for_country_code(int(code))
    if region in {"ZZ", "001"}:
        return None
    return _dialling(PhoneMetadata.metadata_for_region(region))


@lru_cache(maxsize=300)
def _of_country(country: str) -> _Dialling | None:
    return _dialling(PhoneMetadata.metadata_for_region(country))


def _dialling(known: PhoneMetadata | None) -> _Dialling | None:
    if known is None or known.general_desc is None:
        return None
    prefix, begins, code = known.national_prefix or "", known.national_prefix_for_parsing or "", str(known.country_code)
    simple = prefix == begins and not known.national_prefix_transform_rule and not prefix.startswith(code)
    return _Dialling(
        code=code,
        prefix=prefix if simple and prefix == "0" else "",
        may_begin=begins,
        abroad=known.international_prefix or "00",
        number=known.general_desc.national_number_pattern or "",
        lengths=frozenset(known.general_desc.possible_length),
    )


def _no_phone(text: str, country: str | None) -> str:
    if not country:
        return _("“%(text)s” is no phone number. It is kept as typed.", text=text[:40])
    return _(
        "“%(text)s” is no phone number in %(country)s. It is kept as typed.", text=text[:40], country=_name(country)
    )


def _wrong_length(text: str, country: str | None) -> str:
    if not country:
        return _("“%(text)s” is too short or too long for a number. It is kept as typed.", text=text[:40])
    return _(
        "“%(text)s” is too short or too long for a number in %(country)s. It is kept as typed.",
        text=text[:40],
        country=_name(country),
    )


def _name(country: str) -> str:
    return str(Locale(language_of(locale_now())).territories.get(country, country))


# Country

_LANGUAGES: Final = (
    "en", "de", "fr", "es", "pt", "it", "nl", "pl", "cs", "da", "sv", "nb", "fi", "lt", "id", "tr", "ro", "hu",
)  # fmt: skip
_COUNTRY_ALIASES: Final = {
    "england": "GB", "scotland": "GB", "wales": "GB", "northernireland": "GB", "greatbritain": "GB", "brd": "DE",
    "holland": "NL", "unitedstatesofamerica": "US", "republicofireland": "IE", "eire": "IE", "czechrepublic": "CZ",
    "turkey": "TR", "russia": "RU", "southkorea": "KR", "korea": "KR", "ivorycoast": "CI", "burma": "MM",
    "macedonia": "MK", "capeverde": "CV", "bosnia": "BA", "uae": "AE", "thephilippines": "PH", "hongkong": "HK",
    "swaziland": "SZ", "macau": "MO",
    "vietnam": "VN", "laos": "LA", "moldova": "MD", "drc": "CD", "schweizsuissesvizzera": "CH",
}  # fmt: skip


def country(text: str) -> str:
    """The two letters of ISO 3166: from the code of two or three letters, or the name in one of eighteen languages."""
    found = _countries().get(header_key(text))
    if found is None:
        raise ValueError(_("“%(text)s” is no country. Write its name, or two letters such as DE.", text=text[:60]))
    return found


def country_code(text: str) -> str:
    """For layouts that promise two letters: nothing else is taken."""
    if text.upper() not in _codes():
        raise ValueError(_("“%(text)s” is no country code of two letters, such as US.", text=text[:60]))
    return text.upper()


@lru_cache(maxsize=1)
def _codes() -> frozenset[str]:
    codes = frozenset(str(code) for code in Locale("en").territories)
    return frozenset(code for code in codes if re.fullmatch("[A-Z]{2}", code)) - {"EU", "EZ", "UN", "ZZ", "XA", "XB"}


@lru_cache(maxsize=1)
def _countries() -> dict[str, str]:
    found: dict[str, str] = {}
    for language in reversed(_LANGUAGES):
        for code, name in Locale(language).territories.items():
            if code in _codes():
                found[header_key(name)] = code
    for alias, codes in get_global("territory_aliases").items():
        if re.fullmatch("[A-Z]{2,3}", alias) and len(codes) == 1 and codes[0] in _codes():
            found[alias.casefold()] = codes[0]
    return found | _COUNTRY_ALIASES | {code.casefold(): code for code in _codes()}


# Dates

_ISO: Final = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)?(?: ?(?:Z|[+-]\d{2}:?\d{2}))?"
)
_DAY_FIRST: Final = re.compile(r"(\d{1,2})[.](\d{1,2})[.](\d{2}|\d{4})(?: \d{1,2}:\d{2}(?::\d{2})?)?")
_EITHER: Final = re.compile(
    r"(\d{1,2})([/-])(\d{1,2})\2(\d{4})(?: \d{1,2}:\d{2}(?::\d{2})?(?: ?[AP]M)?)?", re.IGNORECASE
)
_COMPACT: Final = re.compile(r"(\d{4})[/]?(\d{2})[/]?(\d{2})")
_MONTH_FIRST_COUNTRIES: Final = frozenset({"US", "PH", "FM", "PW", "MH", "PR", "GU"})


def is_zero_date(text: str) -> bool:
    """0000-00-00 and its like: how MySQL says that there is none."""
    return text[:1] == "0" and not text.translate(_ZERO_DATE_CHARACTERS)


_ZERO_DATE_CHARACTERS: Final = {ord(c): None for c in "0-./: T"}


def a_date(text: str, style: DateStyle, country: str | None) -> date:
    """A day. Of an instant with an offset the day as it is written: the offset is that of the system it comes from.

    `any` takes 2024-02-29, 29.02.2024, and 29/02/2024, which starts with the month in the United States and the
    Philippines; where only one of the two readings is a date, that one.
    """
    iso = _ISO.fullmatch(text)
    if iso:
        return _day(int(iso[1]), int(iso[2]), int(iso[3]))
    if style == "iso":
        raise ValueError(_("“%(text)s” is no date as this layout writes them, 2024-12-31.", text=text[:40]))
    if found := _DAY_FIRST.fullmatch(text):
        year = int(found[3])
        return _day(year if year > 99 else year + (2000 if year < 70 else 1900), int(found[2]), int(found[1]))
    if found := _EITHER.fullmatch(text):
        first, second, year = int(found[1]), int(found[3]), int(found[4])
        month_first = found[2] == "/" and country in _MONTH_FIRST_COUNTRIES
        if (first > 12) != (second > 12):
            month_first = second > 12
        return _day(year, first, second) if month_first else _day(year, second, first)
    if found := _COMPACT.fullmatch(text):
        return _day(int(found[1]), int(found[2]), int(found[3]))
    raise ValueError(_("“%(text)s” is no date. Write it like 2024-12-31 or 31.12.2024.", text=text[:40]))


def _day(year: int, month: int, day: int) -> date:
    if not 1 <= month <= 12:
        raise ValueError(_("There is no month %(month)s.", month=month))
    if not 1900 <= year <= 2199:
        raise ValueError(_("The year %(year)s cannot be meant.", year=year))
    try:
        return date(year, month, day)
    except ValueError:
        named = Locale(language_of(locale_now())).months["format"]["wide"][month]
        raise ValueError(_("There is no %(day)s %(month)s %(year)s.", day=day, month=named, year=year)) from None


# Amounts and numbers

_SIGNS: Final = {
    "€": "EUR", "$": "USD", "us$": "USD", "£": "GBP", "¥": "JPY", "₱": "PHP", "₹": "INR", "zł": "PLN", "kč": "CZK",
    "ft": "HUF", "r$": "BRL", "rp": "IDR", "fr": "CHF", "sfr": "CHF", "₺": "TRY", "₴": "UAH", "₦": "NGN", "₩": "KRW",
    "₫": "VND", "฿": "THB",
}  # fmt: skip
_POINT_NUMBER: Final = re.compile(r"\d{1,3}(?:[,' ’]\d{3})+(?:\.\d+)?|\d*\.?\d+")


def amount(text: str, currency: str, style: NumberStyle, locale: str) -> tuple[int, str]:
    """Minor units and their currency: the one named in the cell, else the given one.

    `point` is for layouts that write a decimal point: there 100,00 is refused and not guessed at.
    """
    bare = text.strip()
    if style == "point":
        number = re.search(r"\d(?:[\d.,'’ ]*\d)?", bare)
        if number and not _POINT_NUMBER.fullmatch(number.group()):
            raise ValueError(_("“%(text)s” is no amount as this layout writes them, 1249.00.", text=bare[:40]))
        locale = "en"
    try:
        try:
            return parse_amount(bare, currency, locale), currency
        except Invalid:
            named = _named_currency(bare)
            if named is None or named == currency:
                raise
            return parse_amount(bare, named, locale), named
    except Invalid as wrong:
        raise ValueError(f"“{bare[:40]}”: {wrong.message}") from None


def _named_currency(text: str) -> str | None:
    names = re.sub(r"[\d\s.,'’()+\u2212-]", "", text)
    if len(names) == 3 and is_currency(names.upper()):
        return names.upper()
    return _SIGNS.get(names.casefold())


def coordinate(text: str, most: float) -> float:
    """Degrees, with a decimal point or comma."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        raise ValueError(_("“%(text)s” is no coordinate. Write degrees like 51.0504.", text=text[:40])) from None
    if not -most <= value <= most:  # also NaN
        raise ValueError(_("%(text)s is not between −%(most)s and %(most)s degrees.", text=text[:40], most=f"{most:g}"))
    return value


def vat_id(text: str) -> str:
    """A VAT id in capitals without separators. Form and check digit of the EU's must be right; others stay as typed.
    One of Greece begins with EL, whatever was typed."""
    bare = re.sub("^GR", GREECE, re.sub(r"[\s.\-/]", "", text).upper())
    if bare[:2].casefold() not in _EU_PREFIXES or not bare[2:]:
        return one_line(text)
    try:
        return str(eu_vat.validate(bare))
    except ValidationError as wrong:
        raise ValueError(
            _(
                "“%(text)s” is no VAT id of %(country)s: %(why)s",
                text=text[:40],
                country=bare[:2],
                why=explained_within(wrong),
            )
        ) from None


_EU_PREFIXES: Final = frozenset({
    "at", "be", "bg", "cy", "cz", "de", "dk", "ee", "el", "es", "fi", "fr", "hr", "hu", "ie", "it", "lt", "lu", "lv",
    "mt", "nl", "pl", "pt", "ro", "se", "si", "sk",
})  # fmt: skip


def yes_or_no(text: str) -> bool:
    """Whether something is so, in the usual spellings."""
    key = text.strip().casefold()
    if key in {"1", "yes", "y", "true", "t", "on", "ja", "j", "wahr", "oui", "si", "sí", "x"}:
        return True
    if key in {"", "0", "no", "n", "false", "f", "off", "nein", "falsch", "non", "-"}:
        return False
    raise ValueError(_("“%(text)s” is neither yes nor no.", text=text[:40]))
