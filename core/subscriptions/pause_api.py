"""Pauses over JSON: planned, undone before they begin, ended early."""

from __future__ import annotations

from litestar.params import FromPath, JSONBody

from core.billing.actions.pausing import pause
from core.subscriptions import queries
from core.subscriptions.actions.pausing import Pause, drop_pause, end_pause, list_pauses
from core.subscriptions.actions.shared import refuse_part
from core.subscriptions.schemas import NewPause, SubscriptionRow
from core.web.jsonapi import Call, api_delete, api_get, api_post


@api_get("/subscriptions/{subscription_id:int}/pauses", permission="subscriptions.view", summary="Its pauses")
async def list_of(call: Call, subscription_id: FromPath[int]) -> list[Pause]:
    await queries.get_subscription(call.scope, subscription_id)
    return await list_pauses(subscription_id)


@api_post(
    "/subscriptions/{subscription_id:int}/pause",
    permission="subscriptions.change",
    summary="Pause: no service and no bill from a day up to another",
    description="It goes on by itself. What was charged ahead for these days is credited by day when the pause begins.",
)
async def begin(call: Call, subscription_id: FromPath[int], data: JSONBody[NewPause]) -> list[Pause]:
    await pause(call.scope, subscription_id, data)
    return await list_pauses(subscription_id)


@api_delete(
    "/subscriptions/{subscription_id:int}/pause",
    permission="subscriptions.change",
    summary="Undo a pause that has not begun",
)
async def undo(call: Call, subscription_id: FromPath[int]) -> SubscriptionRow:
    await refuse_part(subscription_id)
    await drop_pause(call.scope, subscription_id)
    return await queries.get_subscription(call.scope, subscription_id)


@api_post(
    "/subscriptions/{subscription_id:int}/pause/end",
    permission="subscriptions.change",
    summary="Serve again before the pause is over; the days left are charged again",
    status_code=200,
)
async def end(call: Call, subscription_id: FromPath[int]) -> SubscriptionRow:
    await refuse_part(subscription_id)
    await end_pause(call.scope, subscription_id)
    return await queries.get_subscription(call.scope, subscription_id)


HANDLERS = (list_of, begin, undo, end)
