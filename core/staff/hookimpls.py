"""What staff puts on lists: the deeds for many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.hooks import hookimpl
from core.staff import bulk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.hooks import BulkAction


@hookimpl
async def bulk_actions(listing: str) -> Sequence[BulkAction[Any]]:
    """Switching off, logging out, asking for a second factor; revoking tokens; taking both away."""
    return {"staff": bulk.STAFF_ACTIONS, "tokens": bulk.TOKEN_ACTIONS}.get(listing, ())
