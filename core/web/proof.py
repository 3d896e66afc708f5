"""Who is logged in proves it again before a dangerous act, and does first what has to be done first.

A route with `fresh=True` wants a proof of the last minutes: at the log-in, or by typing the password or a code. Where
it is missing the page asks for it and sends what was typed along, so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from litestar import Request, Response

from core.errors import TooMany
from core.texts import _
from core.web import csrf, sessions
from core.web.routing import PUBLIC
from core.web.throttle import account_of
from core.web.visit import visit_of

if TYPE_CHECKING:
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler

LASTS: Final = timedelta(minutes=15)
FIELD: Final = "_proof"
PAGE: Final = "/confirm"

RenderPage = Callable[[Request[Any, Any, Any], str, dict[str, Any]], str]
"""(request, template, values) → HTML."""


class ProofNeeded(Exception):
    """What was asked for needs a proof first. `error` says why the one that was given is none."""

    def __init__(self, fields: list[tuple[str, str]], error: str = "", status: int = 403) -> None:
        super().__init__("a proof is needed")
        self.fields, self.error, self.status = fields, error, status


class GoFirst(Exception):
    """Something has to be done before anything else, on another page."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


async def first_things_first(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Whoever has to do something first gets nowhere else."""
    only = visit_of(connection).only
    if only and not handler.opt.get("first") and handler.opt.get("permission", PUBLIC) != PUBLIC:
        raise GoFirst(only)


async def proved(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Raises ProofNeeded where the route wants a fresh proof and there is none."""
    if handler.opt.get("fresh"):
        await ask_for_proof(connection)


async def ask_for_proof(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Raises ProofNeeded where the last one is too old; for a handler that knows only itself whether it needs one.
    Programs have proved it by their token."""
    visit = visit_of(connection)
    if visit.session is None or visit.proves is None:
        return
    if visit.session.proved_at > visit.scope.now() - LASTS:
        return
    form = await connection.form() if isinstance(connection, Request) else {}
    fields = [(key, given) for key, given in _pairs(form) if key not in (csrf.FIELD, FIELD) and isinstance(given, str)]
    given = str(form.get(FIELD, ""))
    if not given:
        raise ProofNeeded(fields)
    account = account_of(visit.scope.tenant.uuid, visit.email)
    address = connection.client.host if connection.client else ""
    try:
        visit.limiter.check_log_in(account, address)
    except TooMany as error:
        raise ProofNeeded(fields, error.message, status=429) from error
    if not await visit.proves(visit.scope, given):
        visit.limiter.count_wrong_log_in(account, address)
        raise ProofNeeded(fields, _("This is neither your password nor a code that works now."), status=422)
    visit.limiter.forgive_log_in(account, address)
    await sessions.note_proof(visit.scope, visit.session.id)


def _inside(url: str) -> str:
    """Path and query of an address."""
    parts = urlsplit(url)
    return f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"


def _pairs(form: Any) -> list[tuple[str, Any]]:
    return list(form.multi_items()) if form else []


def handlers(render: RenderPage) -> dict[Any, Any]:
    """For Litestar: how the two are answered."""

    def ask(request: Request[Any, Any, Any], error: ProofNeeded) -> Response[Any]:
        if request.headers.get("hx-request-type") == "partial":
            after = f"{PAGE}?next={quote(_inside(request.headers.get('hx-current-url', '')), safe='/')}"
            return Response("", headers={"HX-Redirect": after}, media_type="text/html")
        if request.method == "GET":
            after = f"{PAGE}?next={quote(_inside(str(request.url)), safe='/')}"
            return Response("", status_code=303, headers={"Location": after}, media_type="text/html")
        values = {"action": _inside(str(request.url)), "fields": error.fields, "error": error.error}
        html = render(request, "confirm.html", values)
        return Response(html, status_code=error.status, media_type="text/html")

    def send_there(request: Request[Any, Any, Any], error: GoFirst) -> Response[Any]:
        if request.headers.get("hx-request-type") == "partial":
            return Response("", headers={"HX-Redirect": error.path}, media_type="text/html")
        return Response("", status_code=303, headers={"Location": error.path}, media_type="text/html")

    return {ProofNeeded: ask, GoFirst: send_there}
