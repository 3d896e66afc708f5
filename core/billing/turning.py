"""What a day brings before it is billed."""

from __future__ import annotations

import asyncio
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from core.activity.unit import again
from core.billing.actions.changing import changes_due
from core.billing.actions.credit_notes import lapse_unpaid
from core.billing.actions.pausing import pauses_due
from core.database import values
from core.errors import DomainError
from core.subscriptions.actions import convert_due, end_due, wake

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
            await again(partial(lapse_unpaid, scope, int(subscription_id)))
        except DomainError:
            continue  # its invoice cannot be voided now: it stays as it is, and is tried again with the next run
    for subscription_id in await values(
        "SELECT s.subscription_id FROM subscription_schedule s JOIN subscription u ON u.id = s.subscription_id"
        " JOIN customer c ON c.id = u.customer_id JOIN status ON status.id = c.status_id"
        " WHERE s.due_on IS NULL AND (u.state = 'active' OR u.state = 'suspended' AND u.state_reason = 'hand')"
        " AND u.timing <> 'prepaid' AND status.bill"
    ):
        await again(partial(wake, scope, int(subscription_id)))
