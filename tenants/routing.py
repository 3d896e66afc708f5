"""From the host name of a request to its tenant: exact, in one place, and nothing else may choose a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from core.database import bind
from core.errors import Unavailable
from core.texts import accepted, speaking
from core.web.visit import API_PREFIX, bind_in, is_http
from tenants.pages import Answer, archived, maintained, suspended, unknown_host
from tenants.status import TenantStatus

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Send
    from litestar.types import Scope as ASGIScope

    from tenants.deployment import Deployment

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

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if not is_http(scope):
            await self._app(scope, receive, send)
            return
        record = await self._deployment.registry.find_by_host(host_of(_header(scope, b"host")))
        as_json = scope["path"].startswith(API_PREFIX)
        secure = self._deployment.config.server.secure
        if record is None:
            with speaking(accepted(_header(scope, b"accept-language"))):
                answer = unknown_host(as_json=as_json, secure=secure)
            await _send(send, answer)
            return
        if record.status != TenantStatus.ACTIVE:
            with speaking(accepted(_header(scope, b"accept-language"))):
                say = ANSWERS.get(record.status, maintained)
                answer = say(record.name, RETRY_AFTER, as_json=as_json, secure=secure)
            await _send(send, answer)
            return
        try:
            database, bound = await self._deployment.open(record)
        except Unavailable as error:
            with speaking(accepted(_header(scope, b"accept-language"))):
                answer = maintained(record.name, error.retry_after, as_json=as_json, secure=secure)
            await _send(send, answer)
            return
        structlog.contextvars.bind_contextvars(tenant=record.slug)
        with bind(database):
            bind_in(scope, bound)
            await self._app(scope, receive, send)


def _header(scope: ASGIScope, name: bytes) -> str:
    return next((value for key, value in scope["headers"] if key == name), b"").decode("latin-1")


async def _send(send: Send, answer: Answer) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
