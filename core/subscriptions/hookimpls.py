"""What subscriptions put on pages of customers: their tab, and what may be ordered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.customers.leads import LEAD
from core.customers.status import StatusKey
from core.errors import Conflict
from core.hooks import Action, CurrencyLock, Effect, Erasure, ImportStep, KnownCustomer, Tab, hookimpl
from core.subscriptions import erasing, queries, statuses
from core.subscriptions.importing import step_of_services
from core.subscriptions.paying import plan_payer_change
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from core.scope import Scope


@hookimpl
async def customer_tabs(scope: Scope, customer: KnownCustomer) -> Sequence[Tab]:
    if not scope.may("subscriptions.view"):
        return ()
    return (
        Tab(
            key="subscriptions",
            label=_("Subscriptions"),
            href=f"/customers/{customer.id}/subscriptions",
            count=customer.live_subscriptions,
        ),
    )


@hookimpl
async def customer_actions(scope: Scope, customer: KnownCustomer) -> Sequence[Action]:
    if not scope.may("subscriptions.change"):
        return ()
    refused = (
        "" if customer.may_order else _("A customer that is %(status)s cannot order", status=_(customer.status_label))
    )
    return (
        Action(
            label=_("Subscription…"),
            href=f"/customers/{customer.id}/subscriptions",
            icon="repeat",
            group="create",
            refused=refused,
        ),
    )


@hookimpl
def collect_currency_locks() -> Sequence[CurrencyLock]:
    return (CurrencyLock(queries.HAS_ANY, _("It has or had a subscription or a charge, in its currency.")),)


@hookimpl
async def validate_customer_status_change(customer_id: int, status_key: str) -> None:
    """Closed is who never had a subscription (domain.md, Status); a lead neither had one nor a charge."""
    if status_key == LEAD and await queries.has_any(customer_id):
        raise Conflict(_("It has or had a subscription or a charge, so it cannot become a lead."))
    if status_key == StatusKey.CLOSED and await queries.had_one(customer_id):
        raise Conflict(_("It has or had a subscription, so it cannot be closed. It can be cancelled or terminated."))


@hookimpl
async def plan_customer_status_change(scope: Scope, customer_id: int, status_key: str, on: date) -> Sequence[Effect]:
    return await statuses.plan_change(scope, customer_id, status_key, on)


@hookimpl
async def plan_customer_erasure(customer_ids: Sequence[int]) -> Erasure:
    return await erasing.plan_erasure(customer_ids)


@hookimpl
async def plan_customer_payer_change(customer_id: int, payer_id: int) -> Sequence[Effect]:
    return await plan_payer_change(customer_id, payer_id)


@hookimpl
async def plan_customer_status_date(
    scope: Scope, customer_id: int, status_key: str, on: date | None
) -> Sequence[Effect]:
    return await statuses.plan_date(scope, customer_id, status_key, on)


@hookimpl
async def plan_status_effects_change(
    scope: Scope, status_id: int, before: Mapping[str, bool], after: Mapping[str, bool]
) -> Sequence[Effect]:
    return await statuses.plan_effects_change(scope, status_id, before, after)


@hookimpl
async def plan_import() -> Sequence[ImportStep]:
    return (step_of_services(),)
