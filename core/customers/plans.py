"""What follows from a change of a customer's status or payer, worked out before it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core import hookspecs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from core.hooks import Effect
    from core.scope import Scope


async def plan_status_change(scope: Scope, customer_id: int, status_key: str, on: date) -> list[Effect]:
    """What upper features and plugins would do, in their order. Raises PluginFailed where one cannot say."""
    parts = await scope.hooks.plan(
        hookspecs.plan_customer_status_change, scope=scope, customer_id=customer_id, status_key=status_key, on=on
    )
    return [effect for part in parts.values() for effect in part]


async def plan_payer_change(scope: Scope, customer_id: int, payer_id: int) -> list[Effect]:
    """What upper features and plugins would do when somebody else pays. Raises PluginFailed where one cannot say."""
    parts = await scope.hooks.plan(
        hookspecs.plan_customer_payer_change, scope=scope, customer_id=customer_id, payer_id=payer_id
    )
    return [effect for part in parts.values() for effect in part]


async def carry_out(scope: Scope, effects: Sequence[Effect]) -> None:
    """Each effect's deed, in the unit of work that is open."""
    for effect in effects:
        if effect.apply is not None:
            await effect.apply(scope)
