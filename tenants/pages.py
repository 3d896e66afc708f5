"""The few pages that are shown where no tenant can be asked for its looks: plain, complete in themselves, no script."""

from __future__ import annotations

from html import escape
from typing import Final

import msgspec

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title>{head}</head>
<body><main><h1>{title}</h1>{body}</main></body></html>
"""

_UNKNOWN: Final = _PAGE.format(
    title="Nothing is served here", head="", body="<p>No operator uses this address. Check its spelling.</p>"
).encode()

HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/problem+json"


def unknown_host_page(*, as_json: bool) -> tuple[bytes, str]:
    """The same bytes for every host that is not known, so that nothing can be learned from them."""
    if as_json:
        return _problem(404, "Not Found", "No operator uses this address."), JSON
    return _UNKNOWN, HTML


def suspended_page(name: str, *, as_json: bool) -> tuple[bytes, str]:
    if as_json:
        return _problem(503, "Service Unavailable", "This operator's pages are suspended."), JSON
    body = (
        f"<p>The pages of {escape(name)} are suspended at the moment. Services and invoices are not changed by this; for"
        " questions use the contact on your last invoice.</p>"
        f"<p>Staff of {escape(name)}: your provider can say why and resume it. This page asks again every minute.</p>"
    )
    return _PAGE.format(
        title=f"{escape(name)} is suspended", head='<meta http-equiv="refresh" content="60">', body=body
    ).encode(), HTML


def failed_page(name: str, *, as_json: bool) -> tuple[bytes, str]:
    if as_json:
        return _problem(503, "Service Unavailable", "This operator's pages are being maintained."), JSON
    body = (
        f"<p>The pages of {escape(name)} are being maintained. Nothing is lost; try again in a few minutes.</p>"
        f"<p>Staff of {escape(name)}: your provider sees the reason. This page asks again every minute.</p>"
    )
    return _PAGE.format(
        title=f"{escape(name)} is being maintained", head='<meta http-equiv="refresh" content="60">', body=body
    ).encode(), HTML


def _problem(status: int, title: str, detail: str) -> bytes:
    return msgspec.json.encode({"type": "about:blank", "title": title, "status": status, "detail": detail})
