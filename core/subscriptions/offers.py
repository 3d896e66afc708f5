"""What a subscription can be changed to: upgrades, downgrades, other cycles; and the change that is ahead of it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from core.database import rows
from core.subscriptions.changes import AgreedChange
from core.subscriptions.schemas import BoxAction, PlannedChange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.catalog.schemas import ChangePolicy, PriceRow, ProductRow
    from core.subscriptions.changes import Kind
    from core.subscriptions.schemas import SubscriptionRow


class _Ahead(Struct, frozen=True):
    id: int
    subscription_id: int
    state: str
    happens_on: date
    plan: str
    document_id: int | None
    until_on: date | None


async def changes_ahead(subscription_ids: Sequence[int]) -> dict[int, PlannedChange]:
    """Planned changes and those that wait for their invoice, by subscription."""
    if not subscription_ids:
        return {}
    found = await rows(
        _Ahead,
        "SELECT c.id, c.subscription_id, c.state, c.happens_on, c.plan, c.document_id, c.until_on"
        " FROM subscription_change c WHERE c.subscription_id IN :ids AND c.state IN ('planned', 'waiting')",
        ids=list(subscription_ids),
    )
    if not found:
        return {}
    plans = {each.id: msgspec.json.decode(each.plan, type=AgreedChange) for each in found}
    names = {
        each.id: each.name
        for each in await rows(
            _Named, "SELECT id, name FROM product WHERE id IN :ids", ids=[plan.product_id for plan in plans.values()]
        )
    }
    return {
        each.subscription_id: PlannedChange(
            id=each.id,
            subscription_id=each.subscription_id,
            kind=plan.kind,
            state="waiting" if each.state == "waiting" else "planned",
            happens_on=each.happens_on,
            product_id=plan.product_id,
            product=names[plan.product_id],
            amount_minor=plan.amount_minor,
            currency=plan.currency,
            cycle_unit=plan.cycle_unit,
            cycle_count=plan.cycle_count,
            quantity_e6=plan.quantity_e6,
            document_id=each.document_id,
            until_on=each.until_on,
        )
        for each in found
        for plan in [plans[each.id]]
    }


class _Named(Struct, frozen=True):
    id: int
    name: str


def may_change(mine: SubscriptionRow) -> bool:
    """Whether its state lets it be changed at all."""
    if mine.bundle_id is not None:
        return False
    return mine.state == "trial" or (
        (mine.state == "active" or (mine.state == "suspended" and mine.state_reason == "hand"))
        and (mine.due_on is not None or mine.next_from is None)
    )


def change_actions(
    mine: SubscriptionRow,
    own: ProductRow,
    policy: ChangePolicy,
    others: Sequence[ProductRow],
    prices: Mapping[int, Sequence[PriceRow]],
    today: date,
) -> dict[int, list[BoxAction]]:
    """By product, what can be pressed of one that may be changed: for each price of another one of its group, for other
    cycles of its own."""
    found: dict[int, list[BoxAction]] = {}
    for product in (own, *others):
        if mine.timing == "prepaid" and own.timing == "prepaid" != product.timing:
            continue  # billed on account, unless the customer pays all ahead: its page has that
        if product.timing == "prepaid" != mine.timing:
            continue
        for price in prices.get(product.id, ()):
            same = (price.cycle_unit, price.cycle_count) == (mine.cycle_unit, mine.cycle_count)
            if price.cycle_unit == "once" or (product.id == own.id and same):
                continue
            kind: Kind = (
                "cycle"
                if product.id == own.id
                else "upgrade"
                if (product.rank, price.amount_minor) >= (own.rank, mine.amount_minor)
                else "downgrade"
            )
            at_once = getattr(policy, kind).when == "now" or mine.state == "trial"
            found.setdefault(product.id, []).append(
                BoxAction(
                    key=kind,
                    subscription_id=mine.id,
                    price_id=price.id,
                    amount_minor=price.amount_minor,
                    currency=price.currency,
                    cycle_unit=price.cycle_unit,
                    cycle_count=price.cycle_count,
                    on=None if at_once else ends_period_on(mine, today),
                    invoice_first=at_once
                    and product.activation == "invoice_first"
                    and mine.state != "trial"
                    and mine.timing != "prepaid",
                )
            )
    return found


def ends_period_on(mine: SubscriptionRow, today: date) -> date | None:
    """The end of the period that runs."""
    if mine.next_from is not None and mine.next_from > today:
        return mine.next_from
    return mine.next_to
