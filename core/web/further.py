"""Lists that are read on by a place in the page's address: the newest first, from before an id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.web.view import PageView

T = TypeVar("T")
SIZE: Final = 100
"""Rows of a page."""


class Further(Struct, frozen=True):
    """Addresses of the first page, where this is not it, and of the one after it; empty where there is none."""

    first: str = ""
    next: str = ""


def place_in(view: PageView, name: str) -> int:
    """The id where the page before ended; 0 on the first one."""
    text = view.query.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def read_on(view: PageView, name: str, found: Sequence[T], ids: Sequence[int], base: str) -> tuple[list[T], Further]:
    """What is shown of one row more than a page holds, and the ways to the other pages of `base`."""
    more = len(found) > SIZE
    sign = "&" if "?" in base else "?"
    return list(found[:SIZE]), Further(
        first=base if place_in(view, name) else "", next=f"{base}{sign}{name}={ids[SIZE - 1]}" if more else ""
    )
