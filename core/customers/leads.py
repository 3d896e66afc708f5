"""Whether a customer may become a lead: only while it is new, and where a plugin takes leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core import hookspecs
from core.customers.status import StatusKey
from core.texts import _

if TYPE_CHECKING:
    from core.hooks import Effect
    from core.scope import Scope

LEAD: Final = "lead"
"""The key of the status, which the plugin that takes leads brings."""


def lead_refusal(scope: Scope, status: str, label: str) -> str:
    """Why a customer with this status cannot become a lead, as far as is known without asking the books; or nothing."""
    if not scope.hooks.implementers(hookspecs.plan_customer_to_lead):
        return _("No plugin that takes leads is switched on")
    if status != StatusKey.NEW:
        return _("Only a new customer can become a lead, this one is %(status)s", status=label)
    return ""


async def plan_lead(scope: Scope, customer_id: int) -> list[Effect]:
    """What the plugins that take leads make of it."""
    parts = await scope.hooks.plan(hookspecs.plan_customer_to_lead, scope=scope, customer_id=customer_id)
    return [effect for part in parts.values() for effect in part]
