"""Help and support, at the top right of every page."""

from __future__ import annotations

import re
from typing import Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Struct

from core.errors import NotFound
from core.settings.company import CompanySettings
from core.settings.queries import load_settings
from core.texts import _, language_of, locale_now
from core.web.manual import CHAPTERS, chapter, part_for
from core.web.routing import SIGNED_IN, get
from core.web.view import View

_ADDRESS: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_PHONE: Final = re.compile(r"\+?[\d ()/-]{5,}")


class Contact(Struct, frozen=True):
    """Who helps staff: as it is read, and where it leads; "" where it is only words."""

    text: str
    href: str


@get("/help", permission=SIGNED_IN)
async def show_help(view: View) -> Response[str]:
    """The part of the manual that tells about the page `at`."""
    return view.go(f"/help/{part_for(view.query.get('at', '/'))}")


@get("/help/{chapter_name:str}", permission=SIGNED_IN)
async def show_chapter(view: View, chapter_name: FromPath[str]) -> Response[str]:
    found = chapter(chapter_name, language_of(locale_now()))
    if found is None and chapter_name not in dict(CHAPTERS):
        raise NotFound(f"chapter {chapter_name}")
    company = await load_settings(CompanySettings, view.scope.keys)
    return view.page(
        "help.html",
        chapter=found,
        name=chapter_name,
        chapters=[(key, _(title)) for key, title in CHAPTERS if chapter(key) is not None],
        contact=contact_of(company.support),
    )


def contact_of(text: str) -> Contact:
    """An address, a number or a page of the web can be followed."""
    bare = text.strip()
    if _ADDRESS.fullmatch(bare):
        return Contact(bare, f"mailto:{bare}")
    if bare.startswith("https://") and " " not in bare:
        return Contact(bare.removeprefix("https://"), bare)
    if _PHONE.fullmatch(bare):
        return Contact(bare, "tel:" + re.sub(r"[^\d+]", "", bare))
    return Contact(bare, "")


HANDLERS = (show_help, show_chapter)
