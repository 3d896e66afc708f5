"""Why a message was written and why it is in its state, over JSON."""

from __future__ import annotations

from typing import Final

from litestar.params import FromPath

from core.customers.whys import WhyAnswer, why_answer
from core.messages import queries, whys
from core.web.jsonapi import Call, api_get


@api_get(
    "/messages/{message_id:int}/why", permission="messages.view", summary="Why a message was written, and its state"
)
async def why_message(call: Call, message_id: FromPath[int]) -> WhyAnswer:
    return why_answer(await whys.why_message(call.scope, await queries.get_message(call.scope, message_id)))


HANDLERS: Final = (why_message,)
