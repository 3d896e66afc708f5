"""One place where an error becomes an answer: a page, a fragment for htmx, or problem+json for the API."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from traceback import walk_tb
from typing import Any, Final
from urllib.parse import quote

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.serialization import decode_json
from msgspec import Struct

from core.clock import Seldom
from core.database import Damaged, DiskFull
from core.errors import DomainError, FieldError, Invalid, NotFound, TooMany, TryAgain, Unauthenticated, Unavailable
from core.texts import N_, _
from core.web.forms import field_of, in_words
from core.web.routing import names_sent
from core.web.visit import API_PREFIX, STATE_KEY, bound_in, visit_of

LOG: Final = logging.getLogger("tenantry.web")

RenderError = Callable[[Request[Any, Any, Any], int, str, str, bool], str]
"""(request, status, message, request id, whether a fragment) → HTML."""


class Problem(Struct, frozen=True, omit_defaults=True):
    """RFC 9457, with the fields that are wrong and the id to name when asking for help."""

    title: str
    status: int
    detail: str
    request_id: str
    type: str = "about:blank"
    code: str = ""
    errors: list[FieldError] = []
    details: dict[str, Any] = {}
    """What is there now, where that helps: the new plan beside the one that was sent."""


def error_handlers(render: RenderError) -> dict[Any, Any]:
    """For Litestar: what each kind of exception is answered with."""

    seldom = Seldom()

    def domain(request: Request[Any, Any, Any], error: DomainError) -> Response[Any]:
        if isinstance(error, Damaged | DiskFull) and seldom.is_new(bound_in(request.scope).tenant.uuid, error.code):
            LOG.error(error.message, extra={"request_id": request_id(request)})
        return _answer(request, render, error.status, error.message, error)

    def again(request: Request[Any, Any, Any], error: TryAgain) -> Response[Any]:
        return domain(request, Unavailable(_("Somebody else changed the same thing at this moment. Try again.")))

    def http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
        status = error.status_code
        if isinstance(error, ValidationException):
            return domain(request, Invalid(errors=_faults(error, request)))
        if (status == 400 and " - at `$" in error.detail) or ("Object " in error.detail and status == 400):
            return domain(request, Invalid(in_words(error.detail), field=field_of(error.detail)))
        if status >= 500:
            return unforeseen(request, error)
        if status == 404:
            return domain(request, NotFound())
        return _answer(
            request, render, status, _(_TEXTS[status]) if status in _TEXTS else HTTPStatus(status).phrase + ".", None
        )

    def unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        if _unreadable(error):
            return _answer(request, render, 400, _(_TEXTS[400]), None)
        LOG.error("unforeseen error", extra={"request_id": request_id(request)}, exc_info=error)
        return _answer(request, render, 500, _("Something broke on our side. Nothing was saved."), None)

    return {DomainError: domain, TryAgain: again, HTTPException: http, Exception: unforeseen}


_TEXTS: Final = {
    400: N_("This request could not be read."),
    405: N_("This address does not take that kind of request."),
    413: N_("This is too large."),
    415: N_("This kind of content is not taken here."),
}


def _unreadable(error: Exception) -> bool:
    """Whether the body is no text, or nested so deeply that nobody means it: the decoder has other words for these."""
    if not isinstance(error, UnicodeDecodeError | RecursionError):
        return False
    *_, (frame, _line) = walk_tb(error.__traceback__)
    return frame.f_code is decode_json.__code__


def request_id(request: Request[Any, Any, Any]) -> str:
    visit = request.scope.get("state", {}).get(STATE_KEY)
    return visit.request_id if visit is not None else ""


def _faults(error: ValidationException, request: Request[Any, Any, Any]) -> list[FieldError]:
    extra = error.extra if isinstance(error.extra, list) else []
    faults = [
        FieldError(_as_sent(field_of(_as_msgspec(item)), request), in_words(str(item.get("message", ""))))
        for item in extra
        if isinstance(item, dict)
    ]
    return faults or [FieldError(field_of(error.detail), in_words(error.detail))]


def _as_sent(field: str, request: Request[Any, Any, Any]) -> str:
    """What the address calls a parameter that the function calls otherwise: `state` is its `in_state`."""
    return names_sent(request).get(field, field)


def _as_msgspec(item: Mapping[str, Any]) -> str:
    """The message as msgspec said it: what is missing or unknown stands in its words, what it is missing from in its
    path, which is `data` for the whole body."""
    path = re.sub(r"^data(?:\.|$)", "", str(item.get("key", "")))
    return f"{item.get('message', '')} - at `$.{path}`"


def _answer(
    request: Request[Any, Any, Any], render: RenderError, status: int, message: str, error: DomainError | None
) -> Response[Any]:
    headers: dict[str, str] = {}
    if isinstance(error, TooMany | Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if request.scope["path"].startswith(API_PREFIX):
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        problem = Problem(
            title=HTTPStatus(status).phrase,
            status=status,
            detail=message,
            request_id=request_id(request),
            code=error.code if error is not None else "",
            errors=list(error.errors) if isinstance(error, Invalid) else [],
            details=dict(error.details) if error is not None else {},
        )
        return Response(
            msgspec.json.encode(problem), status_code=status, headers=headers, media_type="application/problem+json"
        )
    wants_part = request.headers.get("hx-request-type") == "partial"
    if isinstance(error, Unauthenticated):
        door = visit_of(request).door
        login, home = (door.log_in, door.home) if door is not None else ("/login", "/")
        if request.method == "GET" and not wants_part:
            asked = request.scope["path"] + (
                f"?{request.scope['query_string'].decode()}" if request.scope["query_string"] else ""
            )
            login += f"?next={quote(asked, safe='/')}" if asked != home else ""
        if wants_part:
            return Response("", status_code=200, headers={"HX-Redirect": login}, media_type="text/html")
        return Response("", status_code=303, headers={"Location": login}, media_type="text/html")
    html = render(request, status, message, request_id(request), wants_part)
    return Response(html, status_code=status, headers=headers, media_type="text/html")
