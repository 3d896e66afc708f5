"""From the host name of a request to its tenant: exact, in one place, and nothing else may choose a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.database import bind
from core.errors import Unavailable
from core.web.visit import bind_in, is_http
from tenants.pages import failed_page, suspended_page, unknown_host_page
from tenants.status import TenantStatus

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Send
    from litestar.types import Scope as ASGIScope

    from tenants.deployment import Deployment

RETRY_AFTER: Final = 60


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
        header = next((value for name, value in scope["headers"] if name == b"host"), b"")
        record = await self._deployment.registry.find_by_host(host_of(header.decode("latin-1")))
        as_json = scope["path"].startswith("/api/")
        if record is None:
            await _answer(send, 404, *unknown_host_page(as_json=as_json))
            return
        if record.status != TenantStatus.ACTIVE:
            page = failed_page if record.status == TenantStatus.FAILED else suspended_page
            await _answer(send, 503, *page(record.name, as_json=as_json), retry_after=RETRY_AFTER)
            return
        try:
            database, bound = await self._deployment.open(record)
        except Unavailable as error:
            await _answer(send, 503, *failed_page(record.name, as_json=as_json), retry_after=error.retry_after)
            return
        with bind(database):
            bind_in(scope, bound)
            await self._app(scope, receive, send)


async def _answer(send: Send, status: int, body: bytes, media_type: str, *, retry_after: int = 0) -> None:
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if retry_after:
        headers.append((b"retry-after", str(retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
