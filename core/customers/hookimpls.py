"""What customers put on pages below them: what can be done to many of them, and planned changes that were refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.customers.bulk import ACTIONS
from core.customers.statuses import count_refused
from core.hooks import BulkAction, Card, hookimpl
from core.texts import _, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope


@hookimpl
async def dashboard_cards(scope: Scope) -> Sequence[Card]:
    if not scope.may("customers.edit"):
        return ()
    refused = await count_refused(scope)
    if not refused:
        return ()
    return (
        Card(
            key="refused_statuses",
            label=_("Planned changes refused"),
            value=number(refused),
            detail=_("of customers' statuses"),
            href="/customers/planned-statuses?state=refused",
            tone="bad",
        ),
    )


@hookimpl
async def bulk_actions(listing: str) -> Sequence[BulkAction[Any]]:
    return ACTIONS if listing == "customers" else ()
