"""Where gateways tell by themselves what became of a payment: anybody may call, only a right signature is heard."""

from __future__ import annotations

from typing import Final

from litestar import Response
from litestar.params import FromPath

from core.errors import Invalid
from core.payments.online import take_notification
from core.texts import _
from core.web.routing import PUBLIC, post
from core.web.view import View

MOST: Final = 200_000
"""Bytes of a notification."""


@post("/api/v1/gateways/{gateway:str}/notifications", permission=PUBLIC)
async def hear(view: View, gateway: FromPath[str]) -> Response[bytes]:
    """Answers 200 for what was known already, too: so it is not told a third time."""
    body = await view.request.body()
    if len(body) > MOST:
        raise Invalid(_("This is too large."))
    await take_notification(view.scope, gateway, dict(view.request.headers), body)
    return Response(b"{}", media_type="application/json")


HANDLERS: Final = (hear,)
