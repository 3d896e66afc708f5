"""The bar that stands over a list while rows are ticked: what can be done to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from core.lists import bulk
from core.texts import _, number

if TYPE_CHECKING:
    from core.hooks import BulkAction
    from core.lists.listing import Listing
    from core.scope import Scope


class BarEntry(Struct, frozen=True, kw_only=True):
    """A deed in the bar."""

    key: str
    label: str
    icon: str
    danger: bool


class BarGroup(Struct, frozen=True, kw_only=True):
    """Deeds under one button; without a label the first stands alone."""

    label: str
    icon: str
    entries: tuple[BarEntry, ...]


class BulkBar(Struct, frozen=True, kw_only=True):
    """The bar that stands in the place of the tools while rows are ticked."""

    href: str
    groups: tuple[BarGroup, ...]
    address: str
    matching: str
    """How many match in all, as it is read; empty where all of them stand on this page."""


async def bar_of(
    scope: Scope, listing: Listing[Any], *, address: str, count: int, shown: int, most: int
) -> BulkBar | None:
    """The bar of a list; none where its rows cannot be ticked. `address` is what it was found by."""
    if listing.counted is None or not listing.key:
        return None
    groups: dict[str, list[BulkAction[Any]]] = {}
    for action in await bulk.list_actions(scope, listing.key):
        groups.setdefault(action.group or action.key, []).append(action)
    return BulkBar(
        href=f"{listing.href}/bulk",
        groups=tuple(
            BarGroup(
                label=_(some[0].group) if some[0].group else "",
                icon=some[0].icon,
                entries=tuple(
                    BarEntry(key=one.key, label=_(one.label), icon=one.icon or "chevron-right", danger=one.danger)
                    for one in some
                ),
            )
            for some in groups.values()
        ),
        address=address,
        matching=(number(count) if count <= most else f"{number(most)}+") if count > shown else "",
    )
