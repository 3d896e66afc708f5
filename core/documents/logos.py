"""Logos that people upload: small, with nothing in them that could act. Pictures are drawn anew, drawings sifted."""

from __future__ import annotations

import asyncio
import io
import re
from typing import Final
from xml.etree import ElementTree

from msgspec import Struct
from PIL import Image, ImageOps, UnidentifiedImageError

from core.errors import Invalid
from core.texts import _

MOST_BYTES: Final = 2 << 20
MOST_PIXELS: Final = 20_000_000
SIDE: Final = 1200
SVG: Final = "{http://www.w3.org/2000/svg}"
ELEMENTS: Final = frozenset(
    [
        "svg",
        "g",
        "defs",
        "title",
        "desc",
        "path",
        "rect",
        "circle",
        "ellipse",
        "line",
        "polyline",
        "polygon",
        "clipPath",
        "linearGradient",
        "radialGradient",
        "stop",
        "text",
        "tspan",
    ]
)
"""What a drawing may be of: shapes, colours, letters. No script, style sheet, picture or link, nothing foreign."""
ATTRIBUTES: Final = frozenset(
    [
        "id",
        "viewBox",
        "width",
        "height",
        "x",
        "y",
        "x1",
        "y1",
        "x2",
        "y2",
        "cx",
        "cy",
        "r",
        "rx",
        "ry",
        "d",
        "points",
        "transform",
        "preserveAspectRatio",
        "version",
        "fill",
        "fill-rule",
        "fill-opacity",
        "stroke",
        "stroke-width",
        "stroke-linecap",
        "stroke-linejoin",
        "stroke-miterlimit",
        "stroke-dasharray",
        "stroke-opacity",
        "opacity",
        "clip-path",
        "clip-rule",
        "clipPathUnits",
        "gradientUnits",
        "gradientTransform",
        "spreadMethod",
        "fx",
        "fy",
        "offset",
        "stop-color",
        "stop-opacity",
        "font-family",
        "font-size",
        "font-weight",
        "font-style",
        "text-anchor",
        "letter-spacing",
        "dx",
        "dy",
    ]
)
_INNER: Final = re.compile(r"\s*url\(\s*#[\w.-]+\s*\)\s*(none)?\s*")
_DECLARATION: Final = re.compile(r"<!(DOCTYPE|ENTITY|ELEMENT|ATTLIST)", re.IGNORECASE)


class Logo(Struct, frozen=True):
    """A logo as it is kept. Its suffix says which kind of picture it is."""

    data: bytes
    suffix: str
    media_type: str


async def logo_of(data: bytes, *, field: str = "logo") -> Logo:
    """A PNG, JPEG or SVG file made harmless. Raises Invalid that says what is wrong with it."""
    if len(data) > MOST_BYTES:
        raise Invalid(_("A logo has at most %(most)s MB.", most=MOST_BYTES >> 20), field=field)
    unreadable = _("This is no logo that can be read. Use a PNG, JPEG or SVG file.")
    try:
        if data.lstrip()[:1] == b"<" or data[:3] == b"\xef\xbb\xbf":
            return Logo(await asyncio.to_thread(_sifted, data), ".svg", "image/svg+xml")
        return await asyncio.to_thread(_drawn_anew, data)
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        RecursionError,
        SyntaxError,
        ValueError,
    ) as error:
        raise Invalid(unreadable, field=field) from error


def _drawn_anew(data: bytes) -> Logo:
    with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise ValueError("too many pixels")
        jpeg = picture.format == "JPEG"
        upright = ImageOps.exif_transpose(picture)
        bare = Image.new("RGB" if jpeg else "RGBA", upright.size)
        bare.paste(upright.convert(bare.mode))
        bare.thumbnail((SIDE, SIDE))
        out = io.BytesIO()
        bare.save(out, "JPEG" if jpeg else "PNG", optimize=True, **({"quality": 90} if jpeg else {}))
    return Logo(out.getvalue(), ".jpg" if jpeg else ".png", "image/jpeg" if jpeg else "image/png")


def _sifted(data: bytes) -> bytes:
    """The drawing with what is known to be harmless, and nothing else."""
    text = data.decode("utf-8-sig")
    if _DECLARATION.search(text):
        raise ValueError("it declares entities")
    root = ElementTree.fromstring(text)
    if root.tag != f"{SVG}svg":
        raise ValueError("no drawing")
    _sift(root)
    if not any(element.tag.removeprefix(SVG) not in ("svg", "g", "defs", "title", "desc") for element in root.iter()):
        raise ValueError("nothing is left of it")
    ElementTree.register_namespace("", SVG[1:-1])
    sifted: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return sifted


def _sift(element: ElementTree.Element) -> None:
    for name, value in [*element.attrib.items(), *_styled(element)]:
        if name not in ATTRIBUTES or not _harmless(value):
            element.attrib.pop(name, None)
        else:
            element.set(name, value)
    element.attrib.pop("style", None)
    for child in list(element):
        if not str(child.tag).startswith(SVG) or child.tag.removeprefix(SVG) not in ELEMENTS:
            element.remove(child)
        else:
            _sift(child)


def _styled(element: ElementTree.Element) -> list[tuple[str, str]]:
    """What an attribute `style` says, as attributes."""
    parts = (part.partition(":") for part in element.get("style", "").split(";"))
    return [(name.strip(), value.strip()) for name, _colon, value in parts if value.strip()]


def _harmless(value: str) -> bool:
    """No address but that of a part of the drawing itself."""
    return len(value) < 200_000 and ("url" not in value.lower() or bool(_INNER.fullmatch(value))) and "\\" not in value
