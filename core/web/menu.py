"""Entries of the side bar and tabs of the settings: the core's, and those of plugins' manifests."""

from __future__ import annotations

from msgspec import Struct

from core.hooks import MenuItem


class MenuEntry(Struct, frozen=True, kw_only=True):
    """An entry that the core or a plugin's manifest always has. `key` is typed after g."""

    area: str
    label: str
    href: str
    icon: str
    permission: str
    key: str = ""
    plugin: str = ""


class Place(Struct, frozen=True):
    """Somewhere to go, or something to begin (`deed`), as the search on top of every page offers it."""

    label: str
    href: str
    icon: str
    detail: str = ""
    deed: bool = False


def entry_of(item: MenuItem, plugin: str) -> MenuEntry:
    """A manifest's entry of the side bar."""
    return MenuEntry(
        area=item.area,
        label=item.label,
        href=item.href,
        icon=item.icon or "plug",
        permission=item.permission,
        plugin=plugin,
    )
