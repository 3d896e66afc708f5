"""What subscriptions put on pages of customers: their tab, and what may be ordered."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from core.database import value
from core.hooks import Action, Effect, KnownCustomer, Tab, hookimpl
from core.subscriptions.actions import charge_arrears, running_arrears

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from core.scope import Scope


@hookimpl
async def customer_tabs(scope: Scope, customer: KnownCustomer) -> Sequence[Tab]:
    if not scope.may("subscriptions.view"):
        return ()
    return (
        Tab(
            key="subscriptions",
            label="Subscriptions",
            href=f"/customers/{customer.id}/subscriptions",
            count=customer.live_subscriptions,
        ),
    )


@hookimpl
async def customer_actions(scope: Scope, customer: KnownCustomer) -> Sequence[Action]:
    if not scope.may("subscriptions.change"):
        return ()
    refused = "" if customer.may_order else f"A customer that is {customer.status_label} cannot order"
    return (
        Action(
            label="Subscription…",
            href=f"/customers/{customer.id}/subscriptions",
            icon="repeat",
            group="create",
            refused=refused,
        ),
    )


@hookimpl
async def plan_customer_status_change(customer_id: int, status_key: str, on: date) -> Sequence[Effect]:
    """Arrears up to the day on which a customer is billed no more are charged; the days behind it never are."""
    if await value("SELECT bill FROM status WHERE key = :key", key=status_key):
        return ()
    return [
        Effect(
            text=f"What runs in arrears is charged up to {on}",
            kind="money",
            inputs=str(subscription_id),
            apply=partial(charge_arrears, subscription_id=subscription_id, day=on),
        )
        for subscription_id in await running_arrears(customer_id, on)
    ]
