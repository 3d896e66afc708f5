"""How documents look: logo, colour, columns, texts in each language, the code for a transfer.

It is part of what a document keeps of its seller: what was issued keeps the look that it had.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from core.activity.unit import record, unit_of_work
from core.billing.events import DocumentLayoutChanged
from core.database import execute, value
from core.documents.files import get_shared_file, read_file, store_file
from core.documents.logos import Logo, logo_of
from core.documents.model import COLUMNS, Look
from core.errors import Invalid, Stale
from core.texts import LANGUAGES, _

if TYPE_CHECKING:
    from core.scope import Scope

KEY: Final = "document_layout"
COLOUR: Final = re.compile(r"#[0-9a-f]{6}")
LEAST_CONTRAST: Final = 3.0
Short = Annotated[str, Meta(max_length=600)]


class LayoutTexts(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What documents say in one language beside their lines; empty says nothing."""

    intro: Short = ""
    payment: Short = ""
    closing: Short = ""
    legal: Short = ""


class LayoutFields(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What can be changed about the look. `columns`: those that are shown beside description and amount.

    `texts` by language: above the lines, how to pay, under the totals, in the foot.
    """

    colour: Annotated[str, Meta(max_length=7)] = ""
    columns: list[Annotated[str, Meta(max_length=20)]] = msgspec.field(default_factory=lambda: list(COLUMNS))
    show_name: bool = True
    code: bool = True
    texts: dict[Annotated[str, Meta(max_length=2)], LayoutTexts] = {}


class DocumentLayout(LayoutFields, frozen=True, kw_only=True):
    """The look of documents to come, with its logo."""

    logo_file_id: int | None = None
    logo_name: str = ""
    version: int = 0


async def load_layout() -> DocumentLayout:
    """The look of documents to come; where nobody set one, the plain one."""
    return (await _stored())[1]


async def _stored() -> tuple[str | None, DocumentLayout]:
    """The look as it is kept, and what it says."""
    text = await value("SELECT value FROM setting WHERE key = :key", key=KEY)
    return text, msgspec.json.decode(text, type=DocumentLayout) if text else DocumentLayout()


async def save_layout(scope: Scope, data: LayoutFields, *, version: int) -> DocumentLayout:
    """Save the look of documents to come. What was issued keeps its own."""
    _check(data)
    async with unit_of_work(scope):
        text, now = await _stored()
        if now.version != version:
            raise Stale
        texts = {key: each for key, each in data.texts.items() if each != LayoutTexts()}
        fields = {name: getattr(data, name) for name in LayoutFields.__struct_fields__} | {"texts": texts}
        new = msgspec.structs.replace(now, **fields, version=now.version + 1)
        await _store(scope, text, now, new)
        return new


async def set_logo(scope: Scope, data: bytes) -> DocumentLayout:
    """A new logo, made harmless. Documents that were issued keep the one they had."""
    logo = await logo_of(data)
    stored = await store_file(scope, logo.data, name=f"logo{logo.suffix}", media_type=logo.media_type)
    async with unit_of_work(scope):
        text, now = await _stored()
        name = f"logo-{stored.sha256[:12]}{logo.suffix}"
        new = msgspec.structs.replace(now, logo_file_id=stored.id, logo_name=name, version=now.version + 1)
        await _store(scope, text, now, new)
        return new


async def remove_logo(scope: Scope) -> DocumentLayout:
    async with unit_of_work(scope):
        text, now = await _stored()
        new = msgspec.structs.replace(now, logo_file_id=None, logo_name="", version=now.version + 1)
        await _store(scope, text, now, new)
        return new


async def read_logo(scope: Scope, layout: DocumentLayout) -> Logo | None:
    """The bytes of a layout's logo, also of one that was replaced since."""
    if layout.logo_file_id is None:
        return None
    file = await get_shared_file(layout.logo_file_id)
    suffix = "." + layout.logo_name.rpartition(".")[2]
    return Logo(await read_file(scope, file), suffix, file.media_type)


async def assets_of(scope: Scope, layout: DocumentLayout) -> dict[str, bytes]:
    """What a PDF in this look shows beside its text."""
    logo = await read_logo(scope, layout)
    return {layout.logo_name: logo.data} if logo is not None else {}


async def layout_assets(scope: Scope) -> dict[str, bytes]:
    """What a PDF shows that is no issued document: it looks as documents do now."""
    return await assets_of(scope, await load_layout())


def look_of(layout: DocumentLayout, language: str) -> Look:
    """The look in one language; in a language without texts, those of English are not taken."""
    texts = layout.texts.get(language[:2].lower(), LayoutTexts())
    return Look(
        colour=layout.colour,
        columns=tuple(layout.columns),
        show_name=layout.show_name or not layout.logo_name,
        code=layout.code,
        intro=texts.intro,
        payment=texts.payment,
        closing=texts.closing,
        legal=texts.legal,
    )


def kept(layout: DocumentLayout) -> dict[str, Any] | None:
    """What a document keeps of its look; nothing of the plain one."""
    bare = msgspec.structs.replace(layout, version=0)
    return None if bare == DocumentLayout() else msgspec.to_builtins(bare)


def of_snapshot(said: dict[str, Any]) -> DocumentLayout:
    """The look that a document was issued with."""
    return msgspec.convert(said.get("layout") or {}, DocumentLayout)


async def _store(scope: Scope, text: str | None, now: DocumentLayout, new: DocumentLayout) -> None:
    """In the place of what was read. Raises Stale where somebody else has changed it since."""
    if text is None:
        sql = "INSERT INTO setting (key, value, changed_at) VALUES (:key, :value, :now) ON CONFLICT (key) DO NOTHING"
    else:
        sql = "UPDATE setting SET value = :value, changed_at = :now WHERE key = :key AND value = :text"
    old = {"text": text} if text is not None else {}
    if not await execute(sql, key=KEY, value=msgspec.json.encode(new).decode(), now=scope.now(), **old):
        raise Stale
    names = [
        name
        for name in ("colour", "columns", "show_name", "code", "logo_name")
        if getattr(now, name) != getattr(new, name)
    ]
    record(
        scope,
        DocumentLayoutChanged(version=new.version),
        changes={name: (str(getattr(now, name)), str(getattr(new, name))) for name in names},
    )


def _check(data: LayoutFields) -> None:
    check_colour(data.colour)
    if not set(data.columns) <= set(COLUMNS) or len(set(data.columns)) != len(data.columns):
        raise Invalid(_("Choose columns of the list."), field="columns")
    if not set(data.texts) <= set(LANGUAGES):
        raise Invalid(_("Choose languages of the list."), field="texts")


def check_colour(colour: str) -> None:
    """Raises Invalid where documents cannot be printed in it; none at all is black."""
    if colour and not COLOUR.fullmatch(colour):
        raise Invalid(_("Write a colour like #0b6b60."), field="colour")
    if colour and contrast(colour) < LEAST_CONTRAST:
        raise Invalid(_("This colour is too pale to be read on white paper."), field="colour")


def contrast(colour: str) -> float:
    """How a colour stands out from white, as WCAG reckons it: 1 to 21."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
