"""The application's lists, by their keys: core's, and those that plugins name in their manifests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from core.errors import NotFound

if TYPE_CHECKING:
    from litestar import Litestar

    from core.lists.listing import Listing
    from core.scope import Scope

STATE: Final = "lists"


class ListFault(Exception):
    """A list that cannot be found by its key. Raised at start-up."""


def lists_by_key(listings: list[tuple[str, Listing[Any]]]) -> dict[str, tuple[str, Listing[Any]]]:
    """With the plugin that each is of, nothing for the core's. Raises for a key that is missing or taken."""
    found: dict[str, tuple[str, Listing[Any]]] = {}
    for plugin, listing in listings:
        if not listing.key or not listing.permission or listing.key in found:
            raise ListFault(f"the list at {listing.href} needs a key of its own and a permission")
        if plugin and not listing.key.startswith(f"{plugin}."):
            raise ListFault(f"the key of the list at {listing.href} must begin with {plugin} and a point")
        found[listing.key] = (plugin, listing)
    return found


def get_list(app: Litestar, scope: Scope, key: str) -> Listing[Any]:
    """The list of this key, for an actor who may see it. NotFound where its plugin is off."""
    known: Mapping[str, tuple[str, Listing[Any]]] = app.state[STATE]
    plugin, listing = known.get(key, ("", None))
    if listing is None or (plugin and plugin not in scope.plugins):
        raise NotFound(f"list {key}")
    scope.require(listing.permission)
    return listing


def lists_for(app: Litestar, scope: Scope) -> list[Listing[Any]]:
    """The lists that an actor may see."""
    known: Mapping[str, tuple[str, Listing[Any]]] = app.state[STATE]
    return [
        listing
        for plugin, listing in known.values()
        if (not plugin or plugin in scope.plugins) and scope.may(listing.permission)
    ]
