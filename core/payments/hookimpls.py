"""What payments put on pages of customers: the tab Transactions, and registering a payment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from core.billing.tables import DocumentState
from core.database import row, within
from core.hooks import Action, BulkAction, Erasure, Panel, Tab, hookimpl
from core.payments import bulk, erasing
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope


class _Open(Struct, frozen=True):
    documents: int
    overdue: int


@hookimpl
async def bulk_actions(listing: str) -> Sequence[BulkAction[Any]]:
    """Allocating what is free of many, and taking them away."""
    return bulk.ACTIONS if listing == "payments" else ()


@hookimpl
async def customer_tabs(scope: Scope, customer_id: int) -> Sequence[Tab]:
    if not scope.may("documents.view"):
        return ()
    found = await row(
        _Open,
        "SELECT count(*) AS documents, CAST(coalesce(sum(CASE WHEN due_on < :today THEN 1 ELSE 0 END), 0) AS bigint)"
        " AS overdue FROM document_state WHERE open_minor > 0 AND payer_id = :id AND :within",
        id=customer_id,
        today=scope.today(),
        within=within(DocumentState, scope.actor.reach),
    )
    assert found is not None
    return (
        Tab(
            key="transactions",
            label=_("Transactions"),
            href=f"/customers/{customer_id}/transactions",
            count=found.documents or None,
            tone="bad" if found.overdue else "",
        ),
    )


@hookimpl
async def customer_panels(scope: Scope, customer_id: int) -> Sequence[Panel]:
    """The card of credit asks for itself when the page is there."""
    if not scope.may("payments.view"):
        return ()
    values = {"customer_id": customer_id}
    return (Panel(key="credit", title=_("Credit"), template="payments/_credit_card.html", values=values),)


@hookimpl
async def customer_actions(scope: Scope, customer_id: int) -> Sequence[Action]:
    if not scope.may("payments.register"):
        return ()
    return (
        Action(
            label=_("Payment…"), href=f"/customers/{customer_id}/transactions?open=pay", icon="coins", group="create"
        ),
    )


@hookimpl
async def plan_customer_erasure(scope: Scope, customer_ids: Sequence[int]) -> Erasure:
    return await erasing.plan_erasure(scope, customer_ids)
