"""The start page of whoever is logged in, and the plain answers for machines."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response

from core.web.routing import PUBLIC, get


@get("/health", permission=PUBLIC)
async def health(request: Request[Any, Any, Any]) -> Response[str]:
    """Answers when the process and the tenant's database do."""
    return Response("ok\n", media_type="text/plain")


HANDLERS = (health,)
