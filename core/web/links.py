"""Addresses of pages with what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode


def address(path: str, kept: Mapping[str, object], **changed: object) -> str:
    """The list's address with these parameters; what is empty is left out."""
    given = {name: str(text) for name, text in {**kept, **changed}.items() if text not in ("", None, 0)}
    return f"{path}?{urlencode(given)}" if given else path
