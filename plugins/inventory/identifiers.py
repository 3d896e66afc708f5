"""What a device is known by: serial number, MAC address, barcode."""

from __future__ import annotations

import re
from typing import Final

from core.errors import Invalid
from core.ids import sort_key
from core.texts import _

_MAC: Final = re.compile(r"[0-9a-f]{12}")
_SEPARATORS: Final = re.compile(r"[\s:.\-]")


def one_line(text: str) -> str:
    """Without outer and doubled blanks."""
    return " ".join(text.split())


def serial_key(text: str) -> str:
    """What serial numbers and barcodes are compared by: case and blanks make no difference."""
    return sort_key(text).replace(" ", "")


def mac_key(text: str) -> str:
    """Twelve small hexadecimal digits, or nothing where the text is no MAC address."""
    bare = _SEPARATORS.sub("", text.lower())
    return bare if _MAC.fullmatch(bare) else ""


def check_mac(text: str) -> str | None:
    """The address as it is stored; None for an empty text. Raises Invalid for what is the address of no device.

    Written with colons, hyphens, points or without anything between the digits. The lowest bit of the first octet marks
    addresses of groups (IEEE 802), which no device has.
    """
    if not text.strip():
        return None
    key = mac_key(text)
    if not key:
        raise Invalid(_("A MAC address has twelve hexadecimal digits, like 00:1A:2B:3C:4D:5E."), field="mac")
    if key == "0" * 12 or int(key[:2], 16) & 1:
        raise Invalid(_("This is the address of a group, not of a device."), field="mac")
    return key


def mac_text(key: str | None) -> str:
    """As it reads: 00:1A:2B:3C:4D:5E."""
    return ":".join(key[at : at + 2] for at in range(0, 12, 2)).upper() if key else ""
