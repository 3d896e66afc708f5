"""Moving customers between statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core import hookspecs
from core.activity.unit import record, unit_of_work
from core.customers import queries
from core.customers.events import CustomerStatusChanged
from core.customers.plans import carry_out, plan_status_change
from core.database import execute
from core.errors import Conflict

if TYPE_CHECKING:
    from core.scope import Scope


async def change_status(scope: Scope, customer_id: int, to_key: str, *, reason: str = "hand") -> None:
    """Move a customer to another status by the table of transitions; plugins may refuse.

    The same status again does nothing.
    """
    async with unit_of_work(scope):
        customer = await queries.get_customer(scope, customer_id)
        if customer.status == to_key:
            return
        allowed = await queries.list_next_statuses(customer.status)
        target = next((status for status in allowed if status.key == to_key), None)
        if target is None:
            others = ", ".join(status.label for status in allowed) or "no other"
            raise Conflict(
                f"A customer that is {customer.status_label} cannot become “{to_key}”. It can become: {others}."
            )
        await scope.hooks.validate(
            hookspecs.validate_customer_status_change,
            scope=scope,
            customer_id=customer_id,
            status_key=to_key,
            reason=reason,
        )
        effects = await plan_status_change(scope, customer_id, to_key, scope.today())
        await execute(
            "UPDATE customer SET status_id = :status_id, status_reason = :reason, version = version + 1 WHERE id = :id",
            status_id=target.id,
            reason=reason,
            id=customer_id,
        )
        record(
            scope,
            CustomerStatusChanged(customer_id=customer_id, from_key=customer.status, to_key=to_key, reason=reason),
            changes={"status": (customer.status_label, target.label)},
        )
        await carry_out(scope, effects)
