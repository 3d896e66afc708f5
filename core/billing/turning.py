"""What a day brings before it is billed."""

from __future__ import annotations

import asyncio
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from core.activity.unit import again, unit_of_work
from core.billing.actions.changing import changes_due
from core.billing.actions.credit_notes import void
from core.billing.actions.pausing import pauses_due
from core.database import value, values
from core.errors import DomainError
from core.subscriptions.actions import convert_due, end_due, lapse, wake

if TYPE_CHECKING:
    from core.scope import Scope


async def turn_day(scope: Scope, day: date, most: int = 500) -> None:
    """What a day brings before it is billed: ends, changes, trials that convert, what was not paid or is billed again.

    Each step by itself and once a date: repeating it finds nothing (architecture.md §5, order of a tenant's day).
    """
    while await again(partial(end_due, scope, day, most)):  # noqa: ASYNC110 - others get their turn between two
        await asyncio.sleep(0)
    await pauses_due(scope, day)
    await changes_due(scope, day)
    while await again(partial(convert_due, scope, day, most)):  # noqa: ASYNC110 - others get their turn between two
        await asyncio.sleep(0)
    for subscription_id in await values(
        "SELECT id FROM subscription WHERE state = 'pending' AND pending_until < :day ORDER BY pending_until, id",
        day=day,
    ):
        try:
            await again(partial(_lapse, scope, int(subscription_id)))
        except DomainError:
            continue  # its invoice cannot be voided now: it stays as it is, and is tried again with the next run
    for subscription_id in await values(
        "SELECT s.subscription_id FROM subscription_schedule s JOIN subscription u ON u.id = s.subscription_id"
        " JOIN customer c ON c.id = u.customer_id JOIN status ON status.id = c.status_id"
        " WHERE s.due_on IS NULL AND (u.state = 'active' OR u.state = 'suspended' AND u.state_reason = 'hand')"
        " AND u.timing <> 'prepaid' AND status.bill"
    ):
        await again(partial(wake, scope, int(subscription_id)))


async def _lapse(scope: Scope, subscription_id: int) -> None:
    """Not settled in time: its invoice is voided, part payments become credit, and it is over.

    Unless it was settled, or another worker did this, since it was looked up.
    """
    async with unit_of_work(scope):
        if await value("SELECT state FROM subscription WHERE id = :id FOR UPDATE", id=subscription_id) != "pending":
            return
        document_id = await value(
            "SELECT d.id FROM charge k JOIN document_line l ON l.charge_id = k.id"
            " JOIN document d ON d.id = l.document_id AND d.state = 'issued'"
            " WHERE k.subscription_id = :id AND k.kind = 'recurring' AND k.period_start IS NULL"
            " AND k.state = 'invoiced'"
            " ORDER BY d.id LIMIT 1",
            id=subscription_id,
        )
        if document_id is not None:
            await void(scope, int(document_id), "Not settled in time")
        if await value("SELECT state FROM subscription WHERE id = :id", id=subscription_id) == "pending":
            await lapse(scope, subscription_id)
