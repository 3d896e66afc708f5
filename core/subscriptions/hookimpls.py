"""What subscriptions put on pages of customers: their tab, and what may be ordered."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from core.customers.status import StatusKind
from core.database import row
from core.hooks import Action, Effect, KnownCustomer, Tab, hookimpl
from core.subscriptions import paying
from core.subscriptions.actions import charge_arrears, rest, resume, suspend, uncharged_days, wake
from core.subscriptions.queries import active_ones, is_charged, resting_ones
from core.subscriptions.status import StateReason

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


class _Target(Struct, frozen=True):
    kind: str
    bill: bool


@hookimpl
async def plan_customer_status_change(customer_id: int, status_key: str, on: date) -> Sequence[Effect]:
    """Days up to the one on which a customer is billed no more are charged; the days behind it never are.

    A status that ends suspends what is active; a live one takes up again what a status suspended or left unbilled.
    """
    target = await row(_Target, "SELECT kind, bill FROM status WHERE key = :key", key=status_key)
    if target is None:
        return ()
    effects: list[Effect] = []
    if not target.bill:
        effects += [
            Effect(
                text=f"Days before {on} that are not charged yet are charged",
                kind="money",
                inputs=str(subscription_id),
                apply=partial(charge_arrears, subscription_id=subscription_id, day=on),
            )
            for subscription_id in await uncharged_days(customer_id, on)
        ]
        if await is_charged(customer_id):
            text = f"No days from {on} on are charged"
            effects.append(Effect(text=text, kind="money", apply=partial(rest, customer_id=customer_id)))
    if target.kind == StatusKind.ENDED:
        effects += [
            Effect(
                text=f"{each.label} is suspended",
                kind="service",
                inputs=str(each.id),
                apply=partial(suspend, subscription_id=each.id, reason=StateReason.STATUS),
            )
            for each in await active_ones(customer_id)
        ]
    if target.kind == StatusKind.LIVE:
        effects += [
            Effect(
                text=f"{each.label} goes on" if each.suspended else f"{each.label} is charged again",
                kind="service",
                inputs=str(each.id),
                apply=partial(resume if each.suspended else wake, subscription_id=each.id),
            )
            for each in await resting_ones(customer_id)
        ]
    return effects


@hookimpl
async def plan_customer_payer_change(customer_id: int, payer_id: int) -> Sequence[Effect]:
    return await paying.plan_payer_change(customer_id, payer_id)
