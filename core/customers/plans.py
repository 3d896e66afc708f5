"""What follows from a change of a customer's status or payer, worked out before it is made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct

from core import hookspecs
from core.errors import Conflict
from core.hooks import plan_digest
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.customers.schemas import StatusRow
    from core.hooks import Effect
    from core.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPlan:
    """A customer's way from one status to another on a day. `later`: the day is to come."""

    customer_id: int
    from_key: str
    from_label: str
    to: StatusRow
    on: date
    later: bool
    effects: tuple[Effect, ...]

    @property
    def fingerprint(self) -> str:
        """The same for two plans exactly when they say and rest on the same."""
        told = f"{self.from_key} {self.to.key} {self.on} {self.later} {plan_digest(self.effects)}"
        return hashlib.sha256(told.encode()).hexdigest()[:32]


class EffectAnswer(Struct, frozen=True):
    """One line of a plan: document, service, money, message, warning or when, with its amount where it has one."""

    kind: str
    text: str
    amount_minor: int | None
    currency: str | None


class PlanAnswer(Struct, frozen=True):
    """What a change of status would do. `plan` is its fingerprint: sent with the change, that only is done."""

    plan: str
    from_status: str
    status: str
    on: date
    effects: list[EffectAnswer]


def plan_answer(plan: StatusPlan) -> PlanAnswer:
    return PlanAnswer(
        plan=plan.fingerprint,
        from_status=plan.from_key,
        status=plan.to.key,
        on=plan.on,
        effects=[EffectAnswer(each.kind, each.text, each.amount_minor, each.currency) for each in plan.effects],
    )


class PlanChanged(Conflict):
    """Something came between a plan and its act. `seen` is the fingerprint of what was shown, `plan` the new plan."""

    def __init__(self, plan: StatusPlan, seen: str) -> None:
        super().__init__(_("Something has changed since this was worked out. Look at the new plan, then send it."))
        self.plan = plan
        self.seen = seen

    @property
    def details(self) -> Mapping[str, object]:
        return {"seen": self.seen, "plan": plan_answer(self.plan)}


async def plan_status_change(scope: Scope, customer_id: int, status_key: str, on: date) -> list[Effect]:
    """What upper features and plugins would do, in their order. Raises PluginFailed where one cannot say."""
    parts = await scope.hooks.plan(
        hookspecs.plan_customer_status_change, scope=scope, customer_id=customer_id, status_key=status_key, on=on
    )
    return [effect for part in parts.values() for effect in part]


async def plan_status_date(scope: Scope, customer_id: int, status_key: str, on: date | None) -> list[Effect]:
    """What is done at once because a status was set for a later day; for no day, because that was given up."""
    parts = await scope.hooks.plan(
        hookspecs.plan_customer_status_date, scope=scope, customer_id=customer_id, status_key=status_key, on=on
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
