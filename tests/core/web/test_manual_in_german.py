"""The manual in German tells what the English one tells: whoever changes one of them changes the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from core.testing import TestTenant
from core.web.catalogues import catalogue_at, packages
from core.web.catalogues import file_of as catalogue_of
from core.web.manual import CHAPTERS, DOCS, Chapter, chapter, file_of
from tenants.generated import ROOT

NAMES = [name for name, _ in CHAPTERS]
BY_THEIR_WORDS = {"glossary"}
"""Chapters whose rows stand in the order of the alphabet, another one in each language."""


class Block(NamedTuple):
    """A heading, paragraph, entry, cell or block of code, by what no translation changes."""

    at: str
    links: list[str]
    code: list[str]
    figures: list[str]


@pytest.mark.parametrize("name", NAMES)
def test_F8_each_chapter_is_written_in_german(name: str) -> None:
    assert file_of(name, "de").is_file()


def test_F8_no_chapter_is_translated_that_help_does_not_show() -> None:
    assert {path.stem for path in (DOCS / "de").glob("*")} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_F8_both_languages_have_the_same_headings_paragraphs_lists_tables_links_code_and_figures(name: str) -> None:
    english, german = list(blocks(name, "en")), list(blocks(name, "de"))

    if name in BY_THEIR_WORDS:
        english, german = sorted(english), sorted(german)
    for meant, told in zip(english, german, strict=False):
        assert told == meant
    assert len(german) == len(english)


@pytest.mark.parametrize("name", NAMES)
def test_F8_what_the_manual_calls_buttons_and_pages_is_what_german_pages_call_them(name: str) -> None:
    pages = texts()

    for meant, told in zip(named(name, "en"), named(name, "de"), strict=True):
        for words in sorted(meant & set(pages)):
            assert pages[words] & told, f"{words!r} is {pages[words]} on pages, but here {told}"


def test_F8_the_glossary_has_each_english_word() -> None:
    english = {row[0] for row in rows("glossary", "en")}

    assert {re.sub(r".*\((.+)\)", r"\1", row[0]) for row in rows("glossary", "de")} == english


@pytest.mark.parametrize("name", NAMES)
def test_F8_the_parts_have_the_same_anchors_in_both_languages(name: str) -> None:
    english, german = chapter(name), chapter(name, "de")
    assert english is not None
    assert german is not None

    assert [part.anchor for part in german.parts] == [part.anchor for part in english.parts]
    assert all(f'<h2 id="{part.anchor}">' in german.html for part in english.parts)
    assert led_to(german) == led_to(english)
    assert "<script" not in german.html
    assert german.language == "de"


def test_F8_a_chapter_that_is_not_written_in_a_language_is_english() -> None:
    assert chapter("glossary", "fr") is chapter("glossary")
    assert chapter("hosting", "de") is None


async def test_F8_whoever_reads_german_is_helped_in_german_at_the_same_place(tenant: TestTenant) -> None:
    page = await tenant.browser()

    led = await page.get("/help?at=/settings/dunning", headers={"accept-language": "de-AT"})
    german = (await page.get("/help/glossary", headers={"accept-language": "de-AT"})).text
    english = (await page.get("/help/glossary", headers={"accept-language": "fr, en;q=0.5"})).text

    assert led.headers["location"] == "/help/money#what-is-overdue"
    assert '<article class="t-card" lang="de"' in german
    assert "Nummernkreis (series)" in german
    assert ">Glossar</a>" in german
    assert '<article class="t-card" lang="en"' in english
    assert "Nummernkreis" not in english


def blocks(name: str, language: str) -> Iterator[Block]:
    """All of a chapter in order, each at its place: the kind of its parents, and the section that it stands in."""
    file = file_of(name, language)
    section, above = 0, []
    for token in tokens(name, language):
        section += token.type == "heading_open"
        if token.nesting:
            above = above[:-1] if token.nesting < 0 else [*above, token.tag]
            continue
        at = f"{section} {' '.join(above)}"
        inside = token.children or []
        if token.type == "inline":
            words = " ".join(each.content for each in inside if each.type == "text")
            yield Block(
                at,
                sorted(where(str(each.attrGet("href")), file.parent) for each in inside if each.type == "link_open"),
                sorted(keys(each.content) for each in inside if each.type == "code_inline"),
                sorted(re.sub(r"\D", "", each) for each in re.findall(r"\d+(?:[.,]\d+)*", words)),
            )
        else:
            yield Block(at, [], [token.content], [])


def named(name: str, language: str) -> list[set[str]]:
    """What each block of a chapter names in italics: buttons, pages, statuses; of a way, Settings, Tax, its parts."""
    found = []
    for token in tokens(name, language):
        inside, words, begun = token.children or [], set[str](), 0
        for at, each in enumerate(inside):
            if each.type == "em_open":
                begun = at
            elif each.type == "em_close":
                whole = "".join(each.content or " " for each in inside[begun + 1 : at])
                words |= {part.strip(" .…") for part in (whole, *re.split(r", | → ", whole))}
        if token.type == "inline":
            found.append(words)
    return found


def texts() -> dict[str, set[str]]:
    """All texts of all German catalogues, without the dots at their end."""
    found = dict[str, set[str]]()
    for package in packages():
        for message in catalogue_at(catalogue_of(package, "de"), "de"):
            if isinstance(message.id, str) and message.id and message.string:
                found.setdefault(message.id.strip(" .…"), set()).add(str(message.string).strip(" .…"))
    return found


def rows(name: str, language: str) -> list[list[str]]:
    """The cells of a chapter's tables, without their headings."""
    found = list[list[str]]()
    inside = tokens(name, language)
    for at, token in enumerate(inside):
        if token.type == "tr_open":
            found.append([])
        elif token.type == "td_open":
            found[-1].append(inside[at + 1].content)
    return [row for row in found if row]


def tokens(name: str, language: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(file_of(name, language).read_text(encoding="utf-8"))


def where(address: str, folder: Path) -> str:
    """A link's target: a chapter by its name, another file of the repository by its place in it."""
    if address.startswith("https://") or re.match(r"\w+\.md|#", address):
        return address
    return (folder / address).resolve().relative_to(ROOT).as_posix()


def keys(code: str) -> str:
    """Keys that are called otherwise on a German keyboard by their English names."""
    return code.replace("Strg", "Ctrl").replace("Eingabe", "Enter")


def led_to(found: Chapter) -> list[str]:
    return sorted(re.findall(r'href="([^"]+)"', found.html))
