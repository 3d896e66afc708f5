"""Pauses as billing carries them out: what was charged ahead for their days is a forward credit, by day (row 28)."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING

from core.activity.unit import again, unit_of_work
from core.billing.actions.unused import credit_unused
from core.database import values
from core.errors import DomainError
from core.subscriptions.actions.pausing import begin_pause, end_pause, plan_pause
from core.subscriptions.actions.shared import refuse_part
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope
    from core.subscriptions.schemas import NewPause


async def pause(
    scope: Scope, subscription_id: int, data: NewPause, *, whole: bool = False, by_customer: bool = False
) -> None:
    """Planned; one that is to begin today does so at once. `whole`: with the rest of its bundle. `by_customer`: by the
    customer itself."""
    async with unit_of_work(scope):
        if not whole:
            await refuse_part(subscription_id)
        planned = await plan_pause(scope, subscription_id, data, by_customer=by_customer)
        if planned.from_on <= scope.today():
            await begin(scope, planned.id)


async def begin(scope: Scope, pause_id: int) -> None:
    """Its first day has come: no service, no charge, and a credit note for the paused days that are charged."""
    async with unit_of_work(scope):
        begun = await begin_pause(scope, pause_id)
        if begun is None:
            return

        def why() -> str:
            return _("Paused from %(first)s to %(last)s", first=begun.from_on, last=begun.to_on - timedelta(days=1))

        await credit_unused(scope, begun.subscription_id, begun.from_on, why, to_on=begun.to_on, pause_id=begun.id)


async def pauses_due(scope: Scope, day: date) -> None:
    """Pauses that begin by a day, and those that end: each in a unit of work of its own. One that cannot begin or end
    now stays as it is, and is tried again with the next run."""
    for pause_id in await values(
        "SELECT id FROM subscription_pause WHERE state = 'planned' AND from_on <= :day ORDER BY from_on, id", day=day
    ):
        try:
            await again(partial(begin, scope, int(pause_id)))
        except DomainError:
            continue
    for subscription_id in await values(
        "SELECT subscription_id FROM subscription_pause WHERE state = 'running' AND to_on <= :day"
        " ORDER BY to_on, subscription_id",
        day=day,
    ):
        try:
            await again(partial(end_pause, scope, int(subscription_id), day))
        except DomainError:
            continue
