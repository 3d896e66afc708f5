"""Changes of subscriptions over JSON: upgrade, downgrade, another cycle or quantity; what is planned, and its undo."""

from __future__ import annotations

from datetime import date

from litestar.params import FromPath, JSONBody
from msgspec import Struct
from msgspec.structs import replace

from core.billing.actions.changing import Changed, change_subscription, undo_change
from core.billing.queries import get_document
from core.billing.schemas import DocumentDetail
from core.errors import NotFound
from core.subscriptions import queries
from core.subscriptions.changes import ChangeOrder
from core.subscriptions.offers import changes_ahead
from core.subscriptions.schemas import PlannedChange, SubscriptionRow
from core.web.changes import rehearse
from core.web.jsonapi import Call, api_delete, api_get, api_post


class ChangeDone(Struct, frozen=True):
    """What a change came to: made (both days are null), planned for a day, or waiting for its invoice until one.

    `documents` are what was issued, or what would be.
    """

    subscription: SubscriptionRow
    documents: list[DocumentDetail]
    happens_on: date | None
    waits_until: date | None


async def _done(call: Call, changed: Changed, *, numbered: bool = True) -> ChangeDone:
    documents = [await get_document(call.scope, each) for each in changed.document_ids]
    return ChangeDone(
        await queries.get_subscription(call.scope, changed.subscription_id),
        documents if numbered else [replace(each, number=None) for each in documents],
        changed.happens_on,
        changed.waits_until,
    )


@api_post(
    "/subscriptions/{subscription_id:int}/change",
    permission="subscriptions.change",
    summary="Upgrade, downgrade, change the cycle, the price or the quantity",
    description="At once, at the end of the period, on a day, or once its invoice is paid: as the product's change"
    " policy says, unless the order says otherwise.",
    status_code=200,
)
async def change(call: Call, subscription_id: FromPath[int], data: JSONBody[ChangeOrder]) -> ChangeDone:
    return await _done(call, await change_subscription(call.scope, subscription_id, data))


@api_post(
    "/subscriptions/{subscription_id:int}/change/preview",
    permission="subscriptions.change",
    summary="What a change would do: its documents, its day. Nothing is written",
    status_code=200,
)
async def preview_change(call: Call, subscription_id: FromPath[int], data: JSONBody[ChangeOrder]) -> ChangeDone:
    async def deed() -> ChangeDone:
        return await _done(call, await change_subscription(call.scope, subscription_id, data), numbered=False)

    return await rehearse(call.scope, deed)


@api_get(
    "/subscriptions/{subscription_id:int}/change",
    permission="subscriptions.view",
    summary="The change that is planned for it, or that waits for its invoice",
)
async def get_change(call: Call, subscription_id: FromPath[int]) -> PlannedChange:
    await queries.get_subscription(call.scope, subscription_id)
    found = (await changes_ahead([subscription_id])).get(subscription_id)
    if found is None:
        raise NotFound(f"change of subscription {subscription_id}")
    return found


@api_delete(
    "/subscriptions/{subscription_id:int}/change",
    permission="subscriptions.change",
    summary="Undo what is planned; an invoice that it waits for is void",
)
async def drop_change(call: Call, subscription_id: FromPath[int]) -> SubscriptionRow:
    await undo_change(call.scope, subscription_id)
    return await queries.get_subscription(call.scope, subscription_id)


HANDLERS = (change, preview_change, get_change, drop_change)
