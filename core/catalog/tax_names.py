"""What the tenant's tax is called on documents and pages: as the country of the seller proposes, or as it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from core.documents.words import LANGUAGES, NamedTax, tax_of, words_for
from core.settings.actions import save_settings
from core.settings.queries import load_settings
from core.texts import N_

if TYPE_CHECKING:
    from core.scope import Scope


class TaxSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """By language of documents; where nothing is said it is called as the country of the seller proposes."""

    en: Annotated[str, Meta(max_length=30, title=N_("On English documents"))] = ""
    de: Annotated[str, Meta(max_length=30, title=N_("On German documents"))] = ""


async def named_tax(country: str) -> NamedTax:
    """What the tax of a seller in this country is called now. Issued documents keep what they said."""
    return named(country, await load_settings(TaxSettings))


def named(country: str, settings: TaxSettings) -> NamedTax:
    """As it is typed, else as it is proposed."""
    proposed = tax_of(country)
    names = proposed.names | {language: name for language, name in msgspec.structs.asdict(settings).items() if name}
    usual = {language: words.vat for language, words in LANGUAGES.items()}
    return msgspec.structs.replace(
        proposed, names={language: name for language, name in names.items() if name != usual[language]}
    )


def proposed_names(country: str) -> dict[str, str]:
    """By language of documents."""
    return {language: words_for(language, tax_of(country)).vat for language in LANGUAGES}


async def tax_names_now(country: str) -> dict[str, str]:
    """By language of documents, as it is typed, else as it is proposed."""
    tax = await named_tax(country)
    return {language: words_for(language, tax).vat for language in LANGUAGES}


async def name_tax(scope: Scope, settings: TaxSettings, country: str) -> None:
    """Say what it is called; what is as it is proposed goes on to follow the country."""
    proposed = proposed_names(country)
    typed = {language: name.strip() for language, name in msgspec.structs.asdict(settings).items()}
    kept = {language: "" if name == proposed[language] else name for language, name in typed.items()}
    await save_settings(scope, TaxSettings(**kept))
