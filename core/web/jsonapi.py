"""The JSON API's routes: bearer tokens, problem+json, idempotency keys, cursor paging."""

from __future__ import annotations

import base64
import functools
import hashlib
import inspect
import re
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from litestar import Request, Response
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.enums import HttpMethod, RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct

from core.activity.unit import unit_of_work
from core.errors import Conflict, FieldError, Invalid
from core.texts import _
from core.web.errors import Problem
from core.web.once import find_answer, keep_answer
from core.web.routing import Decorator, Handler, once_more
from core.web.visit import visit_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.scope import Scope
    from core.web.visit import Visit

T = TypeVar("T")

IDEMPOTENCY_HEADER: Final = "idempotency-key"
PROBLEMS: Final = {
    status: ResponseSpec(Problem, generate_examples=False, description=said, media_type="application/problem+json")
    for status, said in {
        400: "The request could not be read.",
        401: "The token is missing, ended or not of this tenant.",
        403: "The token may not do this.",
        404: "There is no such thing, or it is out of the token's reach.",
        409: "What is there now does not allow it.",
        422: "Fields are wrong; `errors` names each.",
        429: "Too many requests; Retry-After says when to come again.",
        503: "The tenant cannot answer now; Retry-After says when to come again.",
    }.items()
}
"""What every operation may be refused with."""


class Page(Struct, Generic[T], frozen=True):
    """A page of a list. `next` goes into `?cursor=` for the page after it; null on the last."""

    items: list[T]
    next: str | None


class ApiCall:
    """What an API handler has in its hand."""

    def __init__(self, request: Request[Any, Any, Any]) -> None:
        self.request = request
        self.visit: Visit = visit_of(request)

    @property
    def scope(self) -> Scope:
        return self.visit.scope


Call: TypeAlias = NamedDependency[ApiCall]
"""As handlers of the API take it: `async def show(call: Call)`."""


def version_read(call: ApiCall, version: int | None) -> int:
    """The version that a change is against: of the body, else of If-Match. Raises Invalid where neither has one."""
    if version is not None:
        return version
    tag = re.fullmatch(r'(?:W/)?"(\d{1,18})"', call.request.headers.get("if-match", "").strip())
    if tag is None:
        raise Invalid(_("Give the version that was read, here or in If-Match."), field="version")
    return int(tag[1])


def provide_call(request: Request[Any, Any, Any]) -> ApiCall:
    return ApiCall(request)


def api_get(path: str, *, permission: str, **options: Any) -> Decorator:
    return _api("GET", path, permission, options, status=200)


def api_post(path: str, *, permission: str, **options: Any) -> Decorator:
    return _api("POST", path, permission, options, status=201)


def api_put(path: str, *, permission: str, **options: Any) -> Decorator:
    return _api("PUT", path, permission, options, status=200)


def api_patch(path: str, *, permission: str, **options: Any) -> Decorator:
    return _api("PATCH", path, permission, options, status=200)


def api_delete(path: str, *, permission: str, **options: Any) -> Decorator:
    return _api("DELETE", path, permission, options, status=200)


def _api(method: str, path: str, permission: str, options: dict[str, Any], *, status: int) -> Decorator:
    options.setdefault("status_code", status)
    options.setdefault("responses", PROBLEMS)
    options.setdefault("tags", [area_of(path)])
    opt = {"permission": permission, **options.pop("opt", {})}
    sealed, kept = options.pop("sealed", False), options.pop("kept", True)

    def decorate(handler: Handler) -> HTTPRouteHandler:
        options.setdefault("operation_id", f"{key_of(options['tags'][0])}_{handler.__name__}")
        wrapped = _idempotent(handler, status=options["status_code"], sealed=sealed)
        function = handler if method == "GET" else once_more(_storable(wrapped if kept else handler))
        return HTTPRouteHandler(
            f"/api/v1{path}",
            http_method=[HttpMethod(method)],
            opt=opt,
            include_in_schema=True,
            security=[{"bearer": []}],
            **options,
        )(function)

    return decorate


def _storable(handler: Handler) -> Handler:
    """Before anything is done, texts of a body that no database takes are told by their fields."""

    @functools.wraps(handler)
    async def run(*args: Any, **kwargs: Any) -> Any:
        request: Request[Any, Any, Any] = kwargs["call"].request
        if request.content_type[0] == RequestEncodingType.JSON and rb"\u0000" in (body := await request.body()):
            told = _("This contains a character that cannot be stored (NUL).")
            if errors := [FieldError(field, told) for field in _unstorable(msgspec.json.decode(body))]:
                raise Invalid(errors=errors)
        return await handler(*args, **kwargs)

    return run


def _unstorable(sent: Any, at: str = "") -> Iterator[str]:
    """Where in a body a text holds NUL: `contacts.0.email`."""
    if isinstance(sent, str) and "\0" in sent:
        yield at
    parts = sent.items() if isinstance(sent, dict) else enumerate(sent) if isinstance(sent, list) else ()
    for name, part in parts:
        yield from _unstorable(part, f"{at}.{name}".removeprefix("."))


def area_of(path: str) -> str:
    """What an operation is found under: the first word of its path, /fx-rates under Fx rates."""
    return path.strip("/").partition("/")[0].replace("-", " ").capitalize()


def key_of(area: str) -> str:
    """An area as the beginning of a name."""
    return area.lower().replace(" ", "_")


def _idempotent(handler: Handler, *, status: int, sealed: bool) -> Handler:
    """With an Idempotency-Key the answer is kept in the same transaction as what was done, for some days; `sealed`
    where it holds what opens something by itself. An operation that calls others (`kept=False`) keeps none, since no
    transaction may stay open meanwhile: it does the same when it is repeated.

    The same request again gives the same answer and does nothing; another body under the same key is a conflict.
    """
    if "call" not in inspect.signature(handler).parameters:
        raise TypeError(f"{handler.__name__} must take `call: Call`")

    @functools.wraps(handler)
    async def run(*args: Any, **kwargs: Any) -> Any:
        call: ApiCall = kwargs["call"]
        key = call.request.headers.get(IDEMPOTENCY_HEADER, "")
        if not key:
            return await handler(*args, **kwargs)
        if len(key) > 200:
            raise Invalid(_("Use at most 200 characters."), field="Idempotency-Key")
        scope = call.scope
        route = f"{call.request.method} {call.request.scope['path']}"
        body_hash = await _hash_of(call.request)
        async with unit_of_work(scope):
            kept = await find_answer(scope, route, key, body_hash)
            if kept is None:
                encoded = msgspec.json.encode(await handler(*args, **kwargs))
                answer = scope.keys.seal(encoded.decode()) if sealed else encoded.decode()
                await keep_answer(scope, route, key, answer, status=status)
                return Response(encoded, status_code=status, media_type="application/json")
        if kept.body_hash != body_hash:
            raise Conflict(_("This Idempotency-Key was used for another request. Use a new key for a new request."))
        return Response(
            (scope.keys.open(kept.answer) if sealed else kept.answer).encode(),
            status_code=kept.status,
            media_type="application/json",
            headers={"Idempotent-Replay": "true"},
        )

    return run


async def _hash_of(request: Request[Any, Any, Any]) -> str:
    """What is sent, as a short text; of a form with files its fields, since it has been read away as it came in."""
    if request.content_type[0] != RequestEncodingType.MULTI_PART:
        return hashlib.sha256(await request.body()).hexdigest()
    told = hashlib.sha256()
    for name, value in (await request.form()).multi_items():
        if isinstance(value, UploadFile):
            content = hashlib.sha256()
            while piece := await value.read(1 << 20):
                content.update(piece)
            await value.seek(0)
            told.update(msgspec.json.encode((name, value.filename, content.hexdigest())))
        else:
            told.update(msgspec.json.encode((name, str(value))))
    return told.hexdigest()


def encode_cursor(*values: object) -> str:
    """Where a page ends, as an opaque text."""
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")


def decode_cursor(cursor: str, kinds: type[T]) -> T:
    """The values of a cursor. Raises Invalid when it is not one of ours."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return msgspec.json.decode(base64.urlsafe_b64decode(padded.encode()), type=kinds)
    except (ValueError, msgspec.MsgspecError):
        raise Invalid(_("This is no cursor of this list. Take `next` of the page before."), field="cursor") from None
