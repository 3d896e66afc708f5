"""What subscriptions put on pages of customers: their tab, and what may be ordered."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from core.customers.tables import Customer
from core.database import row, value, within
from core.hooks import Action, Effect, Tab, hookimpl
from core.subscriptions.actions import charge_arrears, running_arrears

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from core.scope import Scope


@hookimpl
async def customer_tabs(scope: Scope, customer_id: int) -> Sequence[Tab]:
    if not scope.may("subscriptions.view"):
        return ()
    live = await value(
        "SELECT live_subscriptions FROM customer WHERE id = :id AND :within",
        id=customer_id,
        within=within(Customer, scope.actor.reach),
    )
    return (
        Tab(key="subscriptions", label="Subscriptions", href=f"/customers/{customer_id}/subscriptions", count=live),
    )


class _Standing(Struct, frozen=True):
    label: str
    may_order: bool


@hookimpl
async def customer_actions(scope: Scope, customer_id: int) -> Sequence[Action]:
    if not scope.may("subscriptions.change"):
        return ()
    status = await row(
        _Standing,
        "SELECT status.label, status.may_order FROM customer JOIN status ON status.id = customer.status_id"
        " WHERE customer.id = :id AND :within",
        id=customer_id,
        within=within(Customer, scope.actor.reach),
    )
    refused = "" if status is None or status.may_order else f"A customer that is {status.label} cannot order"
    return (
        Action(
            label="Subscription…",
            href=f"/customers/{customer_id}/subscriptions",
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
