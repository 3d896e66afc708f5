"""Security headers of every answer: only our own origin, no inline script and no inline style."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from litestar.enums import ScopeType

from core.hooks.manifest import OF_DEVICES

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Send
    from litestar.types import Scope as ASGIScope

POLICY: Final = b"content-security-policy"
PERMISSIONS: Final = "Permissions-Policy"

_SOURCES: Final = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self' data:",  # Tabler draws its arrows and ticks as data addresses in its style sheet
    "manifest-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}

_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # "no-referrer" would make browsers send Origin: null with our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def content_security_policy(*, images: Iterable[str] = (), frames: bool = False) -> str:
    """The policy of a page. `images`: https origins that pictures may come from besides our own (a map's tiles).
    `frames`: the answer may stand in a frame of our own pages (the preview of a document)."""
    sources = dict(_SOURCES)
    for origin in images:
        sources["img-src"] += f" {_https_origin(origin)}"
    if frames:
        sources["frame-ancestors"] = "'self'"
    return "; ".join(f"{directive} {allowed}" for directive, allowed in sources.items())


def permissions_policy(uses: Collection[str] = ()) -> str:
    """The other policy of a page: what of the device its scripts may ask for, which is nothing but what it `uses`."""
    if unknown := sorted(set(uses).difference(OF_DEVICES)):
        raise ValueError(f"a page cannot use {', '.join(unknown)}, but {', '.join(OF_DEVICES)}")
    return ", ".join(f"{one}=({'self' if one in uses else ''})" for one in OF_DEVICES)


def security_headers(*, secure: bool, images: Iterable[str] = (), frames: bool = False) -> dict[str, str]:
    """All of them, for one answer. `secure`: it goes out over https."""
    headers = {
        "Content-Security-Policy": content_security_policy(images=images, frames=frames),
        PERMISSIONS: permissions_policy(),
        **_ALWAYS,
    }
    if frames:
        headers["X-Frame-Options"] = "SAMEORIGIN"
    if secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


class SecurityHeaders:
    """The outermost layer: whatever answers, and however it fails, these headers are there. Its own ones win."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._headers = [
            (name.lower().encode(), value.encode()) for name, value in security_headers(secure=secure).items()
        ]

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {bytes(name).lower() for name, _ in message["headers"]}
                missing = [header for header in self._headers if header[0] not in given]
                message["headers"] = [*message["headers"], *missing]
            await send(message)

        await self._app(scope, receive, with_headers)


def _https_origin(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.hostname or not set(parts.netloc) <= _IN_ORIGINS:
        raise ValueError(f"“{address}” is no https address that pictures can come from")
    return f"https://{parts.netloc}"


_IN_ORIGINS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-:*")
