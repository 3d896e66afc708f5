"""HEAD: whether something is there and what it is, as monitors and checkers of links ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from core.web.visit import is_http

if TYPE_CHECKING:
    from litestar.types import ASGIApp, HTTPScope, Message, Receive, Send
    from litestar.types import Scope as ASGIScope


class WithoutBody:
    """Answers HEAD as GET is answered, and ends where the body would begin: also of an answer that goes on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if not is_http(scope) or cast("HTTPScope", scope)["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        asked = cast("HTTPScope", scope)
        ended = False

        async def send_head(message: Message) -> None:
            nonlocal ended
            if message["type"] != "http.response.body":
                await send(message)
            elif not ended:
                ended = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        asked["method"] = "GET"
        try:
            await self._app(asked, receive, send_head)
        finally:
            asked["method"] = "HEAD"
