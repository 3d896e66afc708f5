"""What staff puts on lists, the deeds for many at once, and what the search finds of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.hooks import SearchHit, hookimpl
from core.staff import bulk, queries
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.hooks import BulkAction
    from core.scope import Scope


@hookimpl
async def bulk_actions(listing: str) -> Sequence[BulkAction[Any]]:
    """Switching off, logging out, asking for a second factor; revoking tokens; taking both away."""
    return {"staff": bulk.STAFF_ACTIONS, "tokens": bulk.TOKEN_ACTIONS}.get(listing, ())


@hookimpl
async def search_results(scope: Scope, text: str, limit: int) -> Sequence[SearchHit]:
    """Staff users, by any part of the name or the address."""
    if not scope.may("staff.view"):
        return ()
    return [
        SearchHit(kind=_("Staff"), label=one.name, href=f"/settings/staff/{one.id}", detail=one.email)
        for one in await queries.search_staff(scope, text, limit=limit)
    ]
