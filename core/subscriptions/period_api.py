"""The days of subscriptions over JSON: the period that runs, the billing day of a customer."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from msgspec.structs import replace

from core.billing.actions.periods import change_billing_day, edit_period
from core.billing.queries import get_document
from core.billing.schemas import DocumentDetail
from core.subscriptions import queries
from core.subscriptions.actions.periods import running_period
from core.subscriptions.actions.shared import lock
from core.subscriptions.changes import PeriodEdit
from core.subscriptions.schemas import SubscriptionRow
from core.web.changes import rehearse
from core.web.jsonapi import Call, api_get, api_patch, api_post, api_put


class PeriodOf(Struct, frozen=True):
    """The period that can be edited, half open. `charged`: its days are charged, or free; then its start stays."""

    subscription_id: int
    start_on: date
    end_on: date
    charged: bool


class EditedPeriod(Struct, frozen=True):
    """The subscription after it, and the credit notes of days cut off."""

    subscription: SubscriptionRow
    documents: list[DocumentDetail]


class NewBillingDay(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A day of the month; a short month bills on its last day."""

    billing_day: Annotated[int, Meta(ge=1, le=31)]


class Moved(Struct, frozen=True):
    """The subscriptions whose next period follows the new billing day."""

    subscriptions: list[SubscriptionRow]


@api_get(
    "/subscriptions/{subscription_id:int}/period",
    permission="subscriptions.change",
    summary="The period that can be edited",
)
async def get_period(call: Call, subscription_id: FromPath[int]) -> PeriodOf:
    async def look() -> PeriodOf:
        found = await running_period(call.scope, await lock(call.scope, subscription_id))
        return PeriodOf(subscription_id, found.start, found.end, found.charged)

    return await rehearse(call.scope, look)


@api_patch(
    "/subscriptions/{subscription_id:int}/period",
    permission="subscriptions.change",
    summary="Edit the period: its start while nothing is charged, its end, which becomes the anchor",
)
async def change_period(call: Call, subscription_id: FromPath[int], data: JSONBody[PeriodEdit]) -> EditedPeriod:
    return await _edit(call, subscription_id, data)


@api_post(
    "/subscriptions/{subscription_id:int}/period/preview",
    permission="subscriptions.change",
    summary="What editing the period would do: its days, what is credited. Nothing is written",
    status_code=200,
)
async def preview_period(call: Call, subscription_id: FromPath[int], data: JSONBody[PeriodEdit]) -> EditedPeriod:
    shown = await rehearse(call.scope, lambda: _edit(call, subscription_id, data))
    return EditedPeriod(shown.subscription, [replace(each, number=None) for each in shown.documents])


async def _edit(call: Call, subscription_id: int, data: PeriodEdit) -> EditedPeriod:
    notes = await edit_period(call.scope, subscription_id, data)
    return EditedPeriod(
        await queries.get_subscription(call.scope, subscription_id),
        [await get_document(call.scope, each) for each in notes],
    )


@api_put(
    "/customers/{customer_id:int}/billing-day",
    permission="subscriptions.change",
    summary="Bill a customer on another day of the month; a short period leads there",
)
async def set_billing_day(call: Call, customer_id: FromPath[int], data: JSONBody[NewBillingDay]) -> Moved:
    moved = await change_billing_day(call.scope, customer_id, data.billing_day)
    return Moved([await queries.get_subscription(call.scope, each) for each in moved])


HANDLERS = (get_period, change_period, preview_period, set_billing_day)
