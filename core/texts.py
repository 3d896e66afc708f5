"""Texts in the reader's language. English stands in the code; a catalogue gives the others, `locale/de.po` beside the
feature or plugin whose texts they are.

    _("Saved.")                                                       in the language of whoever is answered now
    _("%(name)s was saved.", name=name)                               values by name, in both languages the same
    ngettext("%(num)s customer", "%(num)s customers", count)          `num` is the count itself
    pgettext("verb", "Open")                                          where one English word is two in another language
    N_("Customers")                                                   a constant: marked here, `_` where it is shown

Templates have the same functions and {% trans %}. The locale is set for a request and for a job; where nobody set one
it is English: commands, logs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date
from functools import lru_cache
from gettext import c2py
from pathlib import Path
from typing import Final

SOURCE: Final = "en"
LANGUAGES: Final[dict[str, str]] = {SOURCE: "English", "de": "Deutsch"}
"""Languages that the product's own texts are in, each by its own name."""

CATALOGUE: Final = "{language}.po"
MOST_ACCEPTED: Final = 300
"""Characters of an Accept-Language that are looked at."""

_LOCALE: Final[ContextVar[str]] = ContextVar("locale", default=SOURCE)
_PLACE: Final = re.compile(r"%\((\w+)\)[a-z]|%%")

Key = str | tuple[str, str]
"""The English text; with its context where it has one."""


class Texts:
    """All texts of one language: the catalogues of the core, then those of the plugins. What came first stays."""

    def __init__(self) -> None:
        self.one: dict[Key, str] = {}
        self.many: dict[Key, tuple[str, ...]] = {}
        self.form: Callable[[int], int] = _english_form

    def read(self, file: Path, language: str) -> None:
        from babel.messages.pofile import read_po  # only where a language other than English is asked for

        with file.open("rb") as opened:
            catalogue = read_po(opened, locale=language)
        self.form = c2py(catalogue.plural_expr)
        for message in catalogue:
            if not message.id or message.fuzzy:
                continue
            meant, said = forms_of(message.id), forms_of(message.string)
            if not all(said) or not _same_places(meant, said):
                continue
            key: Key = (str(message.context), meant[0]) if message.context else meant[0]
            if len(meant) > 1:
                self.many.setdefault(key, said)
            else:
                self.one.setdefault(key, said[0])


def _english_form(count: int) -> int:
    return int(count != 1)


def forms_of(message: object) -> tuple[str, ...]:
    """A text of a catalogue, or its forms by count."""
    return tuple(map(str, message)) if isinstance(message, tuple | list) else (str(message or ""),)


def places(text: str) -> set[str]:
    """The names of a text's values: what `%(name)s` says."""
    return {name for name in _PLACE.findall(text) if name}


def _same_places(meant: tuple[str, ...], said: tuple[str, ...]) -> bool:
    """Whether the text can be filled in as the English one is. A form for one may leave its number out."""
    known = set[str]().union(*(places(text) for text in meant))
    return all(places(text) <= known for text in said) and places(said[-1]) == places(meant[-1])


_ENGLISH: Final = Texts()
_read: dict[str, Texts] = {}
_folders: list[Path] = []
_found: set[Path] = set()


def know(folders: Iterable[Path]) -> None:
    """Catalogues of these `locale` folders belong to the texts from now on: plugins' and the host's. The core's own are
    known from the beginning."""
    new = [folder for folder in folders if folder not in _found]
    if new:
        _folders.extend(new)
        _found.update(new)
        _read.clear()


def _texts(locale: str) -> Texts:
    found = _read.get(locale)
    return found if found is not None else _first_read(locale)


def _first_read(locale: str) -> Texts:
    """The language's texts, read when it is first spoken in this process."""
    language = language_of(locale)
    if language == SOURCE:
        texts = _ENGLISH
    elif language == locale:
        texts = Texts()
        for folder in (*sorted(Path(__file__).parent.glob("*/locale")), *_folders):
            file = folder / CATALOGUE.format(language=language)
            if file.is_file():
                texts.read(file, language)
    else:
        texts = _texts(language)
    if len(_read) < 100:
        _read[locale] = texts
    return texts


def language_of(locale: str) -> str:
    """The language that texts are in for a locale: "de" for de-AT, English where there is no catalogue."""
    language = locale.replace("_", "-").partition("-")[0].lower()
    return language if language in LANGUAGES else SOURCE


def tag_of(locale: str) -> str:
    """What `lang` of a page says: the locale, or English where the texts are."""
    language = language_of(locale)
    return locale.replace("_", "-") if locale.lower().startswith(language) else language


@lru_cache(maxsize=512)
def accepted(header: str) -> str:
    """The locale that an Accept-Language likes best of those there are texts for, as it names it; "" for none."""
    best, liked = "", 0.0
    for part in header[:MOST_ACCEPTED].split(","):
        tag, _, quality = part.strip().partition(";")
        tag = tag.strip()
        if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag) or language_of(tag) != tag[:2].lower():
            continue
        try:
            weight = float(quality.strip().removeprefix("q=")) if quality else 1.0
        except ValueError:
            continue
        if weight > liked:
            best, liked = tag, weight
    return best


def fitting(asked: str, own: str) -> str:
    """The locale to write in for somebody who asked for a language: the operator's own way of writing numbers and dates
    where it is of the same language."""
    if not asked or language_of(asked) == own.replace("_", "-").partition("-")[0].lower():
        return own
    return asked


def locale_now() -> str:
    """The locale that is spoken now."""
    return _LOCALE.get()


@contextmanager
def speaking(locale: str) -> Iterator[None]:
    """Texts are in this locale's language within."""
    token = _LOCALE.set(locale or SOURCE)
    try:
        yield
    finally:
        _LOCALE.reset(token)


def said(message: str, context: str = "") -> str:
    """The text in the language that is spoken now, the places of its values still in it."""
    return _texts(_LOCALE.get()).one.get((context, message) if context else message, message)


def said_of(one: str, many: str, num: int, context: str = "") -> str:
    """The form for this count, the places of its values still in it."""
    texts = _texts(_LOCALE.get())
    forms = texts.many.get((context, one) if context else one)
    if forms is None:
        return one if num == 1 else many
    return forms[min(texts.form(num), len(forms) - 1)]


def gettext(message: str, /, **values: object) -> str:
    """The text in the language that is spoken now, its values filled in: days as the locale writes them."""
    text = said(message)
    return text % _in_words(values) if values else text


def _in_words(values: Mapping[str, object]) -> Mapping[str, object]:
    if not any(type(each) is date for each in values.values()):
        return values
    locale = _LOCALE.get()
    return {name: _day(each, locale) if type(each) is date else each for name, each in values.items()}


@lru_cache(maxsize=1000)
def _day(on: date, locale: str) -> str:
    """1 Dec 2026, 1. Dez. 2026: as pages write it (`core.web.templating.written`), for messages and documents."""
    from babel import Locale, UnknownLocaleError  # only where a day is said
    from babel.dates import format_date, format_skeleton

    try:
        known = Locale.parse(locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return on.isoformat()
    if known.language == SOURCE:
        return format_date(on, "d MMM y", locale=known)
    return format_skeleton("yMMMd", on, locale=known)


def ngettext(one: str, many: str, num: int, /, **values: object) -> str:
    """The form for this count, which the text names as `%(num)s`; its thousands are apart."""
    return said_of(one, many, num) % {"num": number(num), **_in_words(values)}


def pgettext(context: str, message: str, /, **values: object) -> str:
    """The text as it reads in this context, its values filled in."""
    text = said(message, context)
    return text % values if values else text


def npgettext(context: str, one: str, many: str, num: int, /, **values: object) -> str:
    """The form for this count as it reads in this context."""
    return said_of(one, many, num, context) % {"num": number(num), **values}


def number(count: int) -> str:
    """A count in a text, its thousands apart as the locale that is spoken now writes them."""
    return figures(f"{count:,}")


def figures(text: str) -> str:
    """A number that is written as English does, 1,257.29, with the signs of the locale that is spoken now."""
    locale = _LOCALE.get()
    return text if locale.startswith(SOURCE) else text.translate(_signs(locale))


@lru_cache(maxsize=100)
def _signs(locale: str) -> dict[int, str]:
    """What the locale writes for the signs of English numbers."""
    from babel import Locale, UnknownLocaleError  # only where another language than English is spoken
    from babel.numbers import get_decimal_symbol, get_group_symbol

    try:
        known = Locale.parse(locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return {}
    return str.maketrans({",": get_group_symbol(known), ".": get_decimal_symbol(known)})


def ordinal(number: int) -> str:
    """1st, 22nd; 1. and 22. in German."""
    if language_of(_LOCALE.get()) != SOURCE:
        return f"{number}."
    ending = "th" if 10 < number % 100 < 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def listed(names: Iterable[str]) -> str:
    """Each once: “a”, “a and b”, “a, b and c”."""
    *most, last = dict.fromkeys(names)
    return _("%(some)s and %(last)s", some=", ".join(most), last=last) if most else last


def in_sentence(noun: str) -> str:
    """A heading within a sentence: English writes it small there, other languages as it is."""
    return noun.lower() if language_of(_LOCALE.get()) == SOURCE else noun


def texts_of(messages: Iterable[str]) -> Mapping[str, str]:
    """Of these texts those that read otherwise in the language spoken now, for scripts."""
    known = _texts(_LOCALE.get()).one
    return {message: known[message] for message in messages if message in known}


def N_(message: str) -> str:
    """Marks a constant for the catalogues and gives it back as it is."""
    return message


_ = gettext
