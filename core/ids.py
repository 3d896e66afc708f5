"""Identities, tokens, slugs, and the keys that text is sorted and found by."""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Annotated, Final
from uuid import UUID, uuid4

from msgspec import Meta

from core.errors import Invalid
from core.texts import _

LARGEST_ID: Final = 2**63 - 1
_FEW: Final = 100

Id = Annotated[int, Meta(ge=1, le=LARGEST_ID)]
"""The id of a row, as forms and the API are given it."""

SLUG: Final = re.compile(r"[a-z][a-z0-9-]{1,30}[a-z0-9]")
_LETTERS_WITH_A_STROKE: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}
)


def new_uuid() -> UUID:
    """An identity that nobody can guess and nobody else has."""
    return uuid4()


def new_token(nbytes: int = 32) -> str:
    """A secret for a link, a session or the API: letters, digits, - and _."""
    return secrets.token_urlsafe(nbytes)


def hash_token(token: str) -> str:
    """What is stored of a token: SHA-256 in hex. The token is random, so it needs no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def check_slug(slug: str) -> str:
    """The slug, or Invalid. It becomes a host name: lower case, 3 to 32 characters."""
    if not SLUG.fullmatch(slug):
        raise Invalid(_("Use 3 to 32 small letters, digits and hyphens, a letter first, no hyphen last."), field="slug")
    return slug


def sort_key(text: str) -> str:
    """What text is sorted, found and compared by: case, accents, width and outer spaces make no difference.

    Accents are taken off Latin and Greek letters only: in other scripts a mark is part of the letter.
    """
    if text.isascii():
        plain = text if text.isprintable() else text.translate(_CONTROLS_OFF)
        return " ".join(plain.casefold().split())
    plain = text.translate(_western())
    return sort_key(plain) if plain.isascii() else _key_of_any(text)


def _key_of_any(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept: list[str] = []
    bare = False
    for character in unicodedata.normalize("NFKD", folded):
        if "\u0300" <= character <= "\u036f":
            if bare:
                continue
        elif (takes := _takes_off_accents(character)) is None:
            continue
        else:
            bare = takes
        kept.append(character)
    return " ".join(unicodedata.normalize("NFKC", "".join(kept)).translate(_LETTERS_WITH_A_STROKE).casefold().split())


@lru_cache(maxsize=1)
def _western() -> dict[int, str]:
    """Letters of most European languages that become plain ones, each by itself: text that has no others need not be
    taken apart."""
    keys = {number: _key_of_any(chr(number)) for number in range(0xC0, 0x180)}
    return {number: key for number, key in keys.items() if key.isascii() and key.isalpha()}


@lru_cache(maxsize=4_096)
def _takes_off_accents(character: str) -> bool | None:
    """Whether marks that follow it are taken off; None where it is left out itself."""
    if not character.isspace() and unicodedata.category(character) in {"Cc", "Cs", "Cf"}:
        return None
    return unicodedata.name(character, "").startswith(("LATIN", "GREEK"))


_CONTROLS_OFF: Final = dict.fromkeys((*range(9), *range(14, 28), 127))


def says_one_of(texts: Collection[str]) -> Callable[[str], bool]:
    """Whether a text holds one of these, which may be very many: then they are found by how they begin."""
    if len(texts) < _FEW:
        return lambda said: any(text in said for text in texts)
    begin = min(map(len, texts))
    by_beginning: dict[str, list[str]] = {}
    for text in texts:
        by_beginning.setdefault(text[:begin], []).append(text)

    def says(said: str) -> bool:
        return any(
            said.startswith(text, at)
            for at in range(len(said) - begin + 1)
            for text in by_beginning.get(said[at : at + begin], ())
        )

    return says
