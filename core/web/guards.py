"""What is asked before a handler runs: is the plugin on, who is it, may it, and did our own page send it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from litestar.connection import Request
from litestar.exceptions import SerializationException

from core.errors import Forbidden, NotFound, Unauthenticated
from core.ids import LARGEST_ID
from core.texts import _
from core.web import csrf
from core.web.routing import PUBLIC, SIGNED_IN
from core.web.visit import API_PREFIX, visit_of

if TYPE_CHECKING:
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler


Guard = Callable[["ASGIConnection[Any, Any, Any, Any]", "BaseRouteHandler"], Awaitable[None]]


def in_turn(*guards: Guard) -> Guard:
    """Guards as one, the first that refuses answering: Litestar copies a route's handler for each that it calls."""

    async def ask(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        for guard in guards:
            await guard(connection, handler)

    return ask


async def within_limits(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A program that asks more often than it may is told when to come again."""
    allowance = visit_of(connection).allowance
    if allowance is not None and allowance.refused:
        raise allowance.error()


async def plugin_is_on(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A route of a plugin that this tenant has not switched on does not exist."""
    plugin = handler.opt.get("plugin")
    if plugin is not None and plugin not in visit_of(connection).scope.plugins:
        raise NotFound("There is no such page.")


async def only_the_document(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Beside the OpenAPI document Litestar answers whatever else is asked for there, with a page of its own."""
    if not connection.scope["path"].endswith("/openapi.json"):
        raise NotFound("page of the API")


async def within_ids(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """No row has an id beyond what a database can count to."""
    if any(isinstance(given, int) and abs(given) > LARGEST_ID for given in connection.path_params.values()):
        raise NotFound("so large an id")


async def permitted(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Anonymous: 401 (the page's handler of errors leads to the log-in). Without the permission: 403."""
    permission = handler.opt.get("permission", PUBLIC)
    if permission == PUBLIC:
        return
    visit = visit_of(connection)
    path = connection.scope["path"]
    door = connection.app.state.get("doors", {}).get(path[1:].partition("/")[0])
    if (door is not None and door.leads_to(path)) != (visit.door is not None):
        raise NotFound("pages of people who came in elsewhere")
    if not visit.signed_in:
        raise visit.refused or Unauthenticated(_("Log in first."))
    if permission != SIGNED_IN:
        visit.scope.require(permission)


async def from_our_pages(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Sessions are for our pages only. The API takes no cookie, so there is nothing to forge there."""
    method, path = str(connection.scope.get("method", "")), connection.scope["path"]
    if method in csrf.SAFE or path.startswith(API_PREFIX):
        return
    headers = connection.headers
    csrf.check_origin(headers.get("host", ""), headers.get("origin", ""), headers.get("sec-fetch-site", ""))
    visit = visit_of(connection)
    if not visit.signed_in or handler.opt.get("permission") == PUBLIC:
        return
    given = headers.get(csrf.HEADER, "")
    if not given and isinstance(connection, Request):
        try:
            given = str((await connection.form()).get(csrf.FIELD, ""))
        except SerializationException as error:
            raise Forbidden(_("The form could not be read.")) from error
    csrf.check_token(visit, given)
