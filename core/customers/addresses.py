"""E-mails, phones, countries, VAT ids, zones and days as people type them, in the one form that is stored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache, lru_cache
from typing import Any, Final

import phonenumbers
from babel import Locale
from email_validator import EmailNotValidError, validate_email
from phonenumbers import ValidationResult
from stdnum import get_cc_module
from stdnum.ch import uid
from stdnum.eu import vat
from stdnum.exceptions import ValidationError as NotVat

from core.customers.explaining import explained_within
from core.errors import FieldError, Invalid
from core.ids import sort_key
from core.money import exponent
from core.texts import N_, _, language_of, locale_now

COUNTRY_NAMES: Final = ("en", "de")
GREECE: Final = "EL"
"""As Greece writes its VAT ids."""
BEFORE: Final = {"AU": ("ABN",), "BR": ("CNPJ",), "IN": ("GSTIN",), "JP": ("JPT", "T"), "RU": ("INN", "ИНН")}
"""What is written before an id, by country, beside the country's letters."""
KEPT_BEFORE: Final = {"T": "T", "JPT": "T"}
"""Letters that belong to it: to the number of who may write invoices in Japan."""
EARLIEST: Final = date(1900, 1, 1)
"""Before it nobody who is a customer today became one."""
AHEAD: Final = timedelta(days=366)
"""So far ahead a day of joining may be typed: what is farther is a slip."""
_IMPOSSIBLE: Final = {
    ValidationResult.TOO_SHORT: N_("“%(text)s” has too few digits for a phone number."),
    ValidationResult.TOO_LONG: N_("“%(text)s” has too many digits for a phone number."),
    ValidationResult.INVALID_COUNTRY_CODE: N_("“%(text)s” begins with the code of no country."),
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: N_("“%(text)s” has no area code."),
}


def split_list(typed: str) -> list[str]:
    """What was typed with commas, semicolons or line breaks between, as a list."""
    return [part.strip() for part in re.split(r"[,;\n]", typed) if part.strip()]


def check_emails(typed: Iterable[str], field: str, errors: list[FieldError]) -> list[str]:
    """The addresses in their usual form, each once. What cannot be one is named in `errors`."""
    found: list[str] = []
    for text in typed:
        try:
            address = validate_email(text, check_deliverability=False, test_environment=True).normalized
        except EmailNotValidError as error:
            told = _("“%(text)s” is no e-mail address: %(error)s", text=text, error=explained_within(error))
            errors.append(FieldError(field, told))
            continue
        if address.casefold() not in (known.casefold() for known in found):
            found.append(address)
    return found


def check_phones(typed: Iterable[str], country: str, field: str, errors: list[FieldError]) -> list[tuple[str, str]]:
    """(as shown, E.164) of each number; one without + is of `country`. What cannot be one is named in `errors`."""
    found: list[tuple[str, str]] = []
    for text in typed:
        try:
            number = phonenumbers.parse(text, country or None)
        except phonenumbers.NumberParseException:
            digits = _("“%(text)s” is no phone number. Check the digits.", text=text)
            begin = _("“%(text)s” is no phone number. Begin with + and the country's code.", text=text)
            errors.append(FieldError(field, digits if country else begin))
            continue
        possible = phonenumbers.is_possible_number_with_reason(number)
        if possible != ValidationResult.IS_POSSIBLE:
            why = _IMPOSSIBLE.get(possible, N_("“%(text)s” has too many or too few digits for a phone number."))
            errors.append(FieldError(field, _(why, text=text)))
            continue
        e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        shown = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
        if shown not in (known for known, __ in found):  # of two extensions of one number both stay
            found.append((shown, e164))
    return found


@lru_cache(maxsize=8192)
def grouped(e164: str) -> str:
    """A number in groups as it is read, "+353 65 555 0142"; as it is where it is none."""
    if not e164.startswith("+"):
        return e164
    try:
        return phonenumbers.format_number(phonenumbers.parse(e164), phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    except phonenumbers.NumberParseException:
        return e164


@cache
def _countries() -> dict[str, str]:
    found: dict[str, str] = {}
    for language in COUNTRY_NAMES:
        for code, name in Locale(language).territories.items():
            if len(code) == 2 and code.isalpha():
                found[sort_key(code)] = code
                found[sort_key(name)] = code
    return found


def country_code(typed: str) -> str | None:
    """ISO 3166 alpha-2 of a code or a name in English or German; "" for nothing typed; None for no such country."""
    return _countries().get(sort_key(typed)) if typed.strip() else ""


def check_country(typed: str, field: str, errors: list[FieldError]) -> str:
    code = country_code(typed)
    if code is None:
        errors.append(
            FieldError(
                field, _("There is no country “%(typed)s”. Use its name or its code of two letters.", typed=typed)
            )
        )
        return ""
    return code


def why_not_joined_on(day: date, today: date) -> str:
    """Why nobody joined on that day; nothing where somebody may have."""
    if EARLIEST <= day <= today + AHEAD:
        return ""
    return _("Give a day from %(first)s to %(last)s.", first=EARLIEST, last=today + AHEAD)


def check_language(typed: str, field: str, errors: list[FieldError]) -> str:
    """A language's code, with a country where one was given: "en", "pt-BR"."""
    text = typed.strip().replace("_", "-")
    if not text:
        return ""
    language, _dash, country = text.partition("-")
    code = language.lower()
    if code not in _languages() or (country and not re.fullmatch(r"[A-Za-z]{2}", country)):
        told = _("There is no language “%(typed)s”. Use its code of two letters: en.", typed=typed)
        errors.append(FieldError(field, told))
        return ""
    return f"{code}-{country.upper()}" if country else code


@cache
def _languages() -> frozenset[str]:
    return frozenset(str(code) for code in Locale("en").languages if re.fullmatch("[a-z]{2,3}", str(code)))


def check_currency(typed: str, field: str, errors: list[FieldError]) -> str:
    """ISO 4217."""
    code = typed.strip().upper()
    try:
        exponent(code)
    except (Invalid, ValueError, KeyError):
        told = _("There is no currency “%(typed)s”. Use its code of three letters: EUR.", typed=typed)
        errors.append(FieldError(field, told))
    return code


def check_vat_id(typed: str, country: str, field: str, errors: list[FieldError]) -> str:
    """A VAT id in its usual form, its check digits proven: of the EU country that it begins with, else of `country`.

    A country of the EU is put before it where it was left out. For a country whose ids nobody can check, what is typed
    is kept. Whether it is registered is asked elsewhere.
    """
    text = typed.strip()
    if not text:
        return ""
    bare = re.sub(r"[\s.\-/]", "", text).upper()
    begins = bare[:2].lower().replace("el", "gr")
    try:
        if begins in vat.MEMBER_STATES and not _belongs_elsewhere(bare, country):
            return _as_written(vat.validate(bare))
        if country.lower() in vat.MEMBER_STATES:
            return _as_written(vat.validate((GREECE if country == "GR" else country) + bare))
        own = get_cc_module(country, "vat") if country else None
        if own is not None:
            return _of_its_own(own, country, text, bare)
    except NotVat as error:
        if country == "CH" and uid.is_valid(bare):
            told = _("“%(typed)s” is not complete: MWST, TVA, IVA or TPV stands behind it.", typed=typed)
            errors.append(FieldError(field, told))
            return ""
        of = begins.upper() if begins in vat.MEMBER_STATES and not _belongs_elsewhere(bare, country) else country
        told = _(
            "“%(typed)s” is no VAT id of %(country)s: %(error)s",
            typed=typed,
            country=country_name(of),
            error=explained_within(error),
        )
        errors.append(FieldError(field, told))
        return ""
    if not re.fullmatch(r"[A-Z0-9+*]{2,20}", bare):
        errors.append(FieldError(field, _("“%(typed)s” is no VAT id. Use letters and digits.", typed=typed)))
        return ""
    return bare


def _of_its_own(own: Any, country: str, text: str, bare: str) -> str:
    """An id by the rules of a country outside the EU, also with the letters before it that people write there."""
    try:
        return str(own.validate(text))
    except NotVat:
        for letters in (*BEFORE.get(country, ()), country, "VAT"):
            rest = bare.removeprefix(letters)
            if rest != bare and own.is_valid(rest):
                return f"{KEPT_BEFORE.get(letters, '')}{own.validate(rest)}"
        raise


def _belongs_elsewhere(bare: str, country: str) -> bool:
    """Whether the letters of an EU country at the beginning are there by chance: a Mexican number may begin with SI."""
    if bare.startswith("XI") or not country or country.lower() in vat.MEMBER_STATES:
        return False
    own = get_cc_module(country, "vat")
    return own is not None and bool(own.is_valid(bare))


def _as_written(number: str) -> str:
    return f"{GREECE}{number[2:]}" if number.startswith("GR") else str(number)


def country_name(code: str) -> str:
    """A country's name in the language that is spoken now."""
    return str(Locale(language_of(locale_now())).territories.get(code, code))
