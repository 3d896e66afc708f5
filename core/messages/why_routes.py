"""Why a message was written and why it is in its state, beside it on its page."""

from __future__ import annotations

from typing import Final

from litestar import Response
from litestar.params import FromPath

from core.customers.whys import why_page
from core.messages import queries, whys
from core.texts import _
from core.web.routing import get
from core.web.view import View


@get("/messages/{message_id:int}/why", permission="messages.view")
async def why_message(view: View, message_id: FromPath[int]) -> Response[str]:
    message = await queries.get_message(view.scope, message_id)
    if not view.is_htmx:
        return view.go(f"/messages/{message_id}")
    return why_page(view, await whys.why_message(view.scope, message), event=_("Event"))


HANDLERS: Final = (why_message,)
