"""How many rows each saved view of a list leaves: counted after the page has come, as far as somebody would wait."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.errors import Invalid
from core.lists.views import ALL, kept_of
from core.lists.ways import COUNTED
from core.texts import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.lists.listing import Listing
    from core.scope import Scope

SECONDS: Final = 1.0
"""After these no further view is counted: its tab stays without a number."""
MOST: Final = 20
"""Views that are counted."""


class ViewCount(Struct, frozen=True):
    """How many rows a view leaves, as it is read, and whether that is bad news. `key` is its id, or `all`."""

    key: str
    said: str
    tone: str


def capped(count: int) -> str:
    """A count as a list says it: 1,000+ where more were not counted."""
    return number(count) if count <= COUNTED else f"{number(COUNTED)}+"


async def counts_of(scope: Scope, listing: Listing[Any]) -> list[ViewCount]:
    """Of the whole list and of each view. One that cannot be told (its filter is gone) is left out."""
    began = monotonic()
    listing = await listing.whole(scope)
    kept = await kept_of(scope, listing.key)
    addresses: list[tuple[str, Mapping[str, str]]] = [(ALL, {}), *((str(one.id), one.query) for one in kept.views)]
    found = []
    for key, address in addresses[:MOST]:
        if monotonic() - began > SECONDS:
            break
        try:
            asked = listing.asked(scope, address, await listing.choices_for(scope, address))
        except Invalid:
            continue
        count = await listing.count(scope, asked, COUNTED + 1)
        found.append(ViewCount(key, capped(count), asked.tone if count else ""))
    return found
