"""What libraries say is wrong with an e-mail address or a VAT id, in the language that is spoken now."""

from __future__ import annotations

from typing import Final

from core.texts import N_, SOURCE, _, language_of, locale_now

KNOWN: Final = frozenset({
    N_("An email address must have an @-sign."),
    N_("There must be something before the @-sign."),
    N_("There must be something after the @-sign."),
    N_("There can't be anything after the email address."),
    N_("The part after the @-sign is not valid. It should have a period."),
    N_("The part after the @-sign is not valid. It is not within a valid top-level domain."),
    N_("An email address cannot have two periods in a row."),
    N_("An email address cannot start with a period."),
    N_("An email address cannot have a period immediately before the @-sign."),
    N_("An email address cannot have a period immediately after the @-sign."),
    N_("An email address cannot end with a period."),
    N_("An email address cannot have a hyphen immediately after the @-sign."),
    N_("The part after the @-sign is a special-use or reserved name that cannot be used with email."),
    N_("The email address contains invalid characters before the @-sign."),
    N_("The number has an invalid format."),
    N_("The number has an invalid length."),
    N_("The number's checksum or check digit is invalid."),
    N_("One of the parts of the number are invalid or unknown."),
})  # fmt: skip
"""Sentences of theirs that have a translation."""
NAMING: Final = {
    "The email address contains invalid characters before the @-sign": N_(
        "The email address contains invalid characters before the @-sign: %(which)s"
    ),
    "The part after the @-sign contains invalid characters": N_(
        "The part after the @-sign contains invalid characters: %(which)s"
    ),
}
"""Those that name characters, by what stands before the colon."""


def explained(wrong: Exception) -> str:
    """The library's own sentence where it can be told in this language, else one that says no more than it must."""
    text = str(wrong)
    head, _colon, which = text.partition(": ")
    if which and head in NAMING:
        return _(NAMING[head], which=which)
    if text in KNOWN or language_of(locale_now()) == SOURCE:
        return _(text)
    return _("It is not written as it should be.")


def explained_within(wrong: Exception) -> str:
    """The same behind a colon: English goes on in small letters there."""
    text = explained(wrong)
    return text[:1].lower() + text[1:] if language_of(locale_now()) == SOURCE else text
