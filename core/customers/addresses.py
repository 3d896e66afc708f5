"""E-mails, phones, countries, VAT ids and zones as people type them, in the one form that is stored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Final

import phonenumbers
from babel import Locale
from email_validator import EmailNotValidError, validate_email
from stdnum.eu import vat
from stdnum.exceptions import ValidationError as NotVat

from core.customers.explaining import explained_within
from core.errors import FieldError
from core.ids import sort_key
from core.texts import _

COUNTRY_NAMES: Final = ("en", "de")


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
        if not phonenumbers.is_possible_number(number):
            errors.append(
                FieldError(field, _("“%(text)s” has too many or too few digits for a phone number.", text=text))
            )
            continue
        e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        shown = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
        if e164 not in (known for __, known in found):
            found.append((shown, e164))
    return found


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


def check_vat_id(typed: str, field: str, errors: list[FieldError]) -> str:
    """An EU VAT id without spaces, its check digits proven. Whether it is registered is asked elsewhere."""
    if not typed.strip():
        return ""
    try:
        return str(vat.validate(typed))
    except NotVat:
        errors.append(
            FieldError(
                field, _("“%(typed)s” is no EU VAT id. It begins with the country's code: DE123456788.", typed=typed)
            )
        )
        return ""
