"""Pictures that people upload: kept small, in one format, and without what a camera writes into them."""

from __future__ import annotations

import asyncio
import io
import warnings
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

from core.errors import Invalid
from core.texts import _

FORMATS: Final = ("JPEG", "PNG", "WEBP")
MOST_PIXELS: Final = 50_000_000
"""More than any camera in a pocket takes; what claims to unfold to more is not unfolded."""
MOST_BYTES: Final = 15 << 20
SIDE: Final = 1024
MEDIA_TYPE: Final = "image/jpeg"


async def small_picture(data: bytes, *, field: str, side: int = SIDE) -> bytes:
    """The picture as JPEG, upright, `side` pixels at most, without place, camera and time. Raises Invalid naming the
    field for what is no picture of `FORMATS`, or too large a one."""
    if len(data) > MOST_BYTES:
        raise Invalid(_("A picture has at most %(most)s MB.", most=MOST_BYTES >> 20), field=field)
    try:
        return await asyncio.to_thread(_made_small, data, side)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError, Warning) as error:
        raise Invalid(_("This is no picture that can be read. Use a JPEG, PNG or WebP file."), field=field) from error


def _made_small(data: bytes, side: int) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError("too many pixels")
            picture.draft("RGB", (side, side))
            upright = ImageOps.exif_transpose(picture)
            upright.thumbnail((side, side))
            bare = Image.new("RGB", upright.size, "white")
            bare.paste(upright, mask=upright.getchannel("A") if "A" in upright.getbands() else None)
            out = io.BytesIO()
            bare.save(out, "JPEG", quality=85, optimize=True)
            return out.getvalue()
