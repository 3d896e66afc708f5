"""What is answered where no tenant is served: a page, or problem+json for the API."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from core.texts import _
from core.web.alone import page_alone
from core.web.csp import security_headers

if TYPE_CHECKING:
    from collections.abc import Mapping


class Answer(Struct, frozen=True):
    status: int
    body: bytes
    headers: Mapping[str, str]


def unknown_host(*, as_json: bool, secure: bool) -> Answer:
    """The same bytes for every host that is not known, so that nothing can be learned from them."""
    if as_json:
        return _problem(404, _("No operator uses this address."), secure=secure)
    return _page(404, "unknown_host", {}, secure=secure)


def suspended(name: str, retry_after: int, *, as_json: bool, secure: bool) -> Answer:
    if as_json:
        return _problem(503, _("This operator's pages are suspended."), retry_after, secure=secure)
    return _page(503, "suspended", {"name": name}, retry_after, secure=secure)


def archived(name: str, retry_after: int, *, as_json: bool, secure: bool) -> Answer:
    if as_json:
        return _problem(503, _("This operator is archived."), retry_after, secure=secure)
    return _page(503, "archived", {"name": name}, retry_after, secure=secure)


def maintained(name: str, retry_after: int, *, as_json: bool, secure: bool) -> Answer:
    """Being made or mended: the reason is for the host alone."""
    if as_json:
        return _problem(503, _("This operator's pages are being maintained."), retry_after, secure=secure)
    return _page(503, "maintained", {"name": name}, retry_after, secure=secure)


def _page(status: int, template: str, values: Mapping[str, str], retry_after: int = 0, *, secure: bool) -> Answer:
    body, headers = page_alone(template, secure=secure, **values)
    return Answer(status, body, {**headers, **_later(retry_after)})


def _problem(status: int, detail: str, retry_after: int = 0, *, secure: bool) -> Answer:
    title, code = HTTPStatus(status).phrase, "not_found" if status == 404 else "unavailable"
    body = msgspec.json.encode({"title": title, "status": status, "detail": detail, "code": code})
    headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store", **_later(retry_after)}
    return Answer(status, body, {**security_headers(secure=secure), **headers})


def _later(retry_after: int) -> dict[str, str]:
    return {"Retry-After": str(retry_after)} if retry_after else {}
