"""Labels with barcodes, as PDF: sheets of A4 to be cut or peeled, or a roll."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Final, Literal

from barcode.codex import Code128
from barcode.errors import BarcodeError
from markupsafe import Markup
from msgspec import Meta, Struct

from core.documents.pdf import render_pdf
from core.errors import Invalid
from core.texts import _
from plugins.inventory import listing
from plugins.inventory.queries import LABEL_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.scope import Scope
    from plugins.inventory.schemas import ItemRow

MOST: Final = 240
"""Labels of one PDF."""
LONGEST_CODE: Final = 24
"""Characters of a code that a label of 70 mm holds with bars that can be read (0.2 mm)."""
PER_SHEET: Final = 24
QUIET: Final = 10
"""Widths of a bar that stay white on either side (ISO/IEC 15417)."""


class LabelSheet(Struct, frozen=True, forbid_unknown_fields=True):
    """On what is printed; `used` labels of the first sheet are gone already."""

    kind: Literal["a4", "roll"] = "a4"
    used: Annotated[int, Meta(ge=0, le=PER_SHEET - 1)] = 0


async def labels_of(scope: Scope, address: Mapping[str, str], sheet: LabelSheet) -> bytes:
    """The PDF of the labels of the items that an address of the list asks for. Raises Invalid for none or too many."""
    found = await listing.ITEM_LIST.read(
        scope,
        address,
        choices=await listing.item_choices(scope, address),
        after=address.get("after", ""),
        limit=MOST + 1,
    )
    if not found.rows:
        raise Invalid(_("There is no item to print a label of."), field="")
    if len(found.rows) > MOST:
        raise Invalid(_("These are more than %(most)s items. Filter the list first.", most=MOST), field="")
    return await make_labels(scope, found.rows, sheet)


async def make_labels(scope: Scope, items: Sequence[ItemRow], sheet: LabelSheet) -> bytes:
    labels = [_label(scope.tenant.name, item) for item in items]
    if sheet.kind == "roll":
        return await render_pdf(_page("roll", labels), css=ROLL)
    return await render_pdf(_page("a4", [Markup("<div class=label></div>")] * sheet.used + labels), css=A4)


def code_of(item: ItemRow) -> str:
    """What a label holds: the barcode, else the serial number where it fits, else our own number of the item."""
    for code in (item.barcode, item.serial):
        if code and len(code) <= LONGEST_CODE and code.isascii() and code.isprintable():
            return code
    return f"{LABEL_PREFIX}{item.id}"


def bars(code: str) -> Markup:
    """Code 128 as a picture that can be stretched: one path, a bar each part. Raises Invalid for other characters."""
    try:
        (modules,) = Code128(code).build()
    except BarcodeError as error:
        raise Invalid(str(error), field="barcode") from None
    path, at = [], QUIET
    for bit, run in groupby(modules):
        width = len(list(run))
        if bit == "1":
            path.append(f"M{at} 0h{width}v10h-{width}z")
        at += width
    return Markup(
        '<svg class="bars" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} 10" preserveAspectRatio="none">'
        '<path d="{}" fill="#000"/></svg>'
    ).format(len(modules) + 2 * QUIET, "".join(path))


def _label(owner: str, item: ItemRow) -> Markup:
    code = code_of(item)
    mac = Markup("<span class=mac>{}</span>").format(item.mac_text) if item.mac else ""
    return Markup(
        "<div class=label><p class=name>{name}</p><p class=known>{serial} {mac}</p>{bars}<p class=code>{code}</p>"
        "<p class=owner>{owner}</p></div>"
    ).format(name=item.name, serial=item.serial, mac=mac, bars=bars(code), code=code, owner=owner)


def _page(kind: str, labels: Sequence[Markup]) -> str:
    page = Markup('<!doctype html><html lang="en"><title>Labels</title><body class="{}">{}</body></html>')
    return str(page.format(kind, Markup("").join(labels)))


_PLAIN: Final = "@top-right { content: none; } @bottom-left { content: none; } @bottom-right { content: none; }"
_LABEL: Final = """
.label { box-sizing: border-box; overflow: hidden; text-align: center; color: #000; }
.label p { margin: 0; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.name { font-size: 9pt; line-height: 11pt; font-weight: 700; }
.known { font-size: 6.5pt; line-height: 8.5pt; }
.mac { padding-left: 2mm; }
.bars { display: block; width: 100%; margin: 1mm 0 .6mm; }
.code { font-size: 8pt; line-height: 9.5pt; letter-spacing: .04em; }
.owner { font-size: 5.5pt; line-height: 7pt; }
"""
A4: Final = (
    f"@page {{ size: A4; margin: .5mm 0 0; {_PLAIN} }} {_LABEL}"
    " .a4 .label { float: left; width: 69.98mm; height: 37mm; padding: 4mm 5mm 2mm; } .a4 .bars { height: 13mm; }"
)
"""Three by eight labels of 70 × 37 mm, without gaps: the commonest sheet."""
ROLL: Final = (
    f"@page {{ size: 62mm 29mm; margin: 0; {_PLAIN} }} {_LABEL}"
    " .roll .label { width: 62mm; height: 29mm; padding: 1.5mm 3mm 0; break-after: page; }"
    " .roll .bars { height: 11mm; }"
)
"""A label of 62 × 29 mm each page, as label printers take them."""
