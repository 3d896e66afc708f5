"""The manual inside the product: the pages of docs/ for operators, and which part of them a page belongs to. Other
languages stand beside them, docs/de/operators.md, with the same headings in the same order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from markupsafe import Markup
from msgspec import Struct

from core.ids import sort_key
from core.texts import LANGUAGES, N_, SOURCE

if TYPE_CHECKING:
    from markdown_it.token import Token

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"

CHAPTERS: Final = (
    ("operators", N_("Manual")),
    ("importing", N_("Importing")),
    ("money", N_("How money is worked out")),
    ("glossary", N_("Glossary")),
)
"""By the names of their files."""

PARTS: Final = (
    ("/customers/import", "importing"),
    ("/customers", "operators#customers"),
    ("/settings/customers", "operators#customers"),
    ("/settings/statuses", "operators#statuses"),
    ("/settings/staff", "operators#staff-and-logging-in"),
    ("/settings/roles", "operators#staff-and-logging-in"),
    ("/settings/security", "operators#staff-and-logging-in"),
    ("/settings/tokens", "operators#api"),
    ("/settings/mail", "operators#messages-and-mail"),
    ("/settings/messages", "operators#messages-and-mail"),
    ("/settings/tags", "operators#customers"),
    ("/settings/locations", "operators#customers"),
    ("/settings/activity", "operators#customers"),
    ("/settings/documents", "operators#invoices-and-payments"),
    ("/settings/seller", "operators#invoices-and-payments"),
    ("/settings/billing", "operators#billing-run"),
    ("/settings/dunning", "money#what-is-overdue"),
    ("/settings/numbering", "money#documents-and-numbers"),
    ("/settings/datev", "money#the-books"),
    ("/settings/tax", "money"),
    ("/settings/currencies", "money"),
    ("/profile", "operators#staff-and-logging-in"),
    ("/products", "operators#subscriptions"),
    ("/subscriptions", "operators#subscriptions"),
    ("/invoices", "operators#invoices-and-payments"),
    ("/payments", "operators#invoices-and-payments"),
    ("/messages", "operators#messages-and-mail"),
    ("/figures", "operators#figures"),
    ("/ledger", "money#the-books"),
    ("/billing", "operators#billing-run"),
    ("/inventory", "operators#hardware"),
    ("/settings", "operators#settings"),
    ("/jobs", "operators#settings"),
    ("/", "operators#your-first-hour"),
)
"""Where pages whose address begins so are told about: a chapter, with the anchor of its part."""

TABS: Final = {
    "subscriptions": "operators#subscriptions",
    "bundles": "operators#subscriptions",
    "discounts": "operators#subscriptions",
    "charges": "operators#subscriptions",
    "billing-day": "operators#subscriptions",
    "transactions": "operators#invoices-and-payments",
    "invoices": "operators#invoices-and-payments",
    "credit-notes": "operators#invoices-and-payments",
    "payments": "operators#invoices-and-payments",
    "statement": "operators#invoices-and-payments",
    "credit": "money#payments-credit-balance",
    "deposits": "money#payments-credit-balance",
    "refund": "money#payments-credit-balance",
    "fx-rates": "money#other-currencies",
    "vat-checks": "money#tax",
    "messages": "operators#messages-and-mail",
    "status": "operators#statuses",
    "planned-statuses": "operators#statuses",
    "deletion": "operators#customers",
    "anonymisation": "operators#customers",
}
"""The same for what stands behind a customer's own address."""
_TAB: Final = re.compile(r"/customers/(?:\d+/)?([a-z-]+)")


class Part(Struct, frozen=True):
    """A heading of a chapter."""

    anchor: str
    title: str


class Chapter(Struct, frozen=True):
    """A page of the manual, ready to be shown."""

    name: str
    language: str
    title: str
    html: str
    parts: Sequence[Part]


def part_for(path: str) -> str:
    """Where the manual tells about the page of this address: "operators#statuses"."""
    tab = _TAB.match(path)
    if tab is not None and tab[1] in TABS:
        return TABS[tab[1]]
    fitting = (place for start, place in PARTS if path == start or path.startswith(f"{start.rstrip('/')}/"))
    return next(fitting, PARTS[-1][1])


def file_of(name: str, language: str = SOURCE) -> Path:
    """Where a chapter is written in a language."""
    return (DOCS if language == SOURCE else DOCS / language) / f"{name}.md"


@lru_cache(maxsize=len(CHAPTERS) * (1 + len(LANGUAGES)))
def chapter(name: str, language: str = SOURCE) -> Chapter | None:
    """A chapter, in English where it is not written in this language; None where there is none of this name, or the
    manual does not lie beside the product."""
    if name not in dict(CHAPTERS):
        return None
    file = file_of(name, language)
    if not file.is_file():
        return None if language == SOURCE else chapter(name)
    from markdown_it import MarkdownIt  # which nobody waits for at a start

    english = None if language == SOURCE else chapter(name)
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(file.read_text(encoding="utf-8"))
    parts: list[Part] = []
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            title = _plain(tokens[at + 1])
            parts.append(Part(_anchor(title, len(parts), english), title))
            token.attrSet("id", parts[-1].anchor)
        elif token.type == "table_open":
            token.attrSet("class", "t-table plain wrap")
        elif token.type == "inline":
            _lead_inside(token.children or [])
    title = _plain(tokens[1]) if tokens and tokens[0].tag == "h1" else name
    html = markdown.renderer.render(tokens[3:], markdown.options, {})
    return Chapter(name, language, title, Markup(html), tuple(parts))


def _plain(token: Token) -> str:
    return "".join(child.content for child in token.children or ())


def _anchor(title: str, place: int, english: Chapter | None) -> str:
    """The same in every language: a link into the manual leads to the same part for each reader."""
    if english is not None and place < len(english.parts):
        return english.parts[place].anchor
    return re.sub(r"[^a-z0-9]+", "-", sort_key(title)).strip("-")


def _lead_inside(tokens: Sequence[Token]) -> None:
    """Links between chapters lead to their pages here; those to other files of the repository stay words."""
    hidden = False
    for token in tokens:
        if token.type == "link_open":
            address = str(token.attrGet("href") or "")
            known = re.fullmatch(r"(\w+)\.md(#[\w-]+)?", address)
            if known and known[1] in dict(CHAPTERS):
                token.attrSet("href", f"/help/{known[1]}{known[2] or ''}")
            elif not address.startswith(("https://", "#")):
                hidden, token.tag = True, "span"
                token.attrs = {}
        elif token.type == "link_close" and hidden:
            hidden, token.tag = False, "span"
