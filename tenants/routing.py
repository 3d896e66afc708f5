"""From the host name of a request to its tenant: exact, in one place, and nothing else may choose a tenant."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import structlog

from core.clock import Seldom
from core.database import bind
from core.errors import Unavailable
from core.texts import accepted, speaking
from core.web.visit import API_PREFIX, bind_in, is_http
from tenants.pages import Answer, archived, maintained, suspended, unknown_host
from tenants.status import TenantStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.types import ASGIApp, Receive, Send
    from litestar.types import Scope as ASGIScope

    from tenants.deployment import Deployment

LOG: Final = structlog.stdlib.get_logger("tenantry.requests")
RETRY_AFTER: Final = 60
ANSWERS: Final = {TenantStatus.SUSPENDED.value: suspended, TenantStatus.ARCHIVED.value: archived}
"""To all requests of a tenant that is not served; the other states are passing ones."""


def host_of(header: str) -> str:
    """The name in a Host header: lower case, without port and without a dot at the end."""
    host = header.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].removesuffix(".")


class TenantRouting:
    """The outermost layer: binds the tenant's database around the whole request, or answers itself."""

    def __init__(self, deployment: Deployment, app: ASGIApp) -> None:
        self._deployment = deployment
        self._app = app
        self._silent = Seldom()

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if not is_http(scope):
            await self._app(scope, receive, send)
            return
        host = host_of(_header(scope, b"host"))
        try:
            record = await self._deployment.registry.find_by_host(host)
        except Unavailable as error:
            if self._silent.is_new("registry", error.message):
                LOG.error("the registry does not answer", reason=error.message)
            await self._send_own(scope, send, maintained, host, error.retry_after)
            return
        if record is None:
            await self._send_own(scope, send, unknown_host)
            return
        structlog.contextvars.bind_contextvars(tenant=record.slug)
        if record.status != TenantStatus.ACTIVE:
            await self._send_own(scope, send, ANSWERS.get(record.status, maintained), record.name, RETRY_AFTER)
            return
        try:
            database, bound = await self._deployment.open(record)
        except Unavailable as error:
            await self._send_own(scope, send, maintained, record.name, error.retry_after)
            return
        with bind(database):
            bind_in(scope, bound)
            await self._app(scope, receive, send)

    async def _send_own(self, scope: ASGIScope, send: Send, say: Callable[..., Answer], *said: object) -> None:
        """What is answered in a tenant's place; its id is the one of the line in the log."""
        request_id = secrets.token_hex(8)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        with speaking(accepted(_header(scope, b"accept-language"))):
            answer = say(
                *said,
                as_json=scope["path"].startswith(API_PREFIX),
                secure=self._deployment.config.server.secure,
            )
        headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
        headers.append((b"x-request-id", request_id.encode()))
        headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def _header(scope: ASGIScope, name: bytes) -> str:
    return next((value for key, value in scope["headers"] if key == name), b"").decode("latin-1")
