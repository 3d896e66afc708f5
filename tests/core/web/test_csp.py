"""Security headers: everything comes from our own origin, on every answer, also one that fails."""

from __future__ import annotations

from typing import Any

import pytest

from core.web.csp import SecurityHeaders, content_security_policy, permissions_policy, security_headers


def directives(policy: str) -> dict[str, str]:
    return {name: rest for name, _, rest in (part.partition(" ") for part in policy.split("; "))}


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    allowed = directives(content_security_policy())

    assert allowed["default-src"] == "'none'"
    assert allowed["script-src"] == allowed["style-src"] == allowed["connect-src"] == "'self'"
    assert allowed["frame-ancestors"] == allowed["base-uri"] == "'none'"
    assert "unsafe" not in content_security_policy()


def test_pictures_may_come_from_a_named_https_origin() -> None:
    allowed = directives(content_security_policy(images=["https://tiles.example/{z}/{x}.png"]))

    assert allowed["img-src"] == "'self' data: https://tiles.example"


@pytest.mark.parametrize(
    "address", ["http://tiles.example", "tiles.example", "https://a; script-src *", "https:// x", ""]
)
def test_an_address_that_is_no_https_origin_is_refused(address: str) -> None:
    with pytest.raises(ValueError):
        content_security_policy(images=[address])


def test_a_document_may_stand_in_a_frame_of_our_own() -> None:
    headers = security_headers(secure=True, frames=True)

    assert directives(headers["Content-Security-Policy"])["frame-ancestors"] == "'self'"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"


def test_nothing_of_the_device_is_asked_for_but_what_a_page_says_that_it_uses() -> None:
    nothing = "camera=(), microphone=(), geolocation=(), payment=(), usb=()"

    assert security_headers(secure=True)["Permissions-Policy"] == permissions_policy() == nothing
    assert permissions_policy(("camera",)) == nothing.replace("camera=()", "camera=(self)")
    with pytest.raises(ValueError, match="cannot use smell"):
        permissions_policy(("smell", "camera"))


def test_https_is_asked_for_only_where_there_is_https() -> None:
    assert "Strict-Transport-Security" in security_headers(secure=True)
    assert "Strict-Transport-Security" not in security_headers(secure=False)


async def sent(headers: list[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": headers})

    found: list[Any] = []

    async def receive() -> Any: ...

    async def send(message: Any) -> None:
        found.append(message)

    await SecurityHeaders(app, secure=False)({"type": "http"}, receive, send)  # type: ignore[arg-type, typeddict-item]
    by_name: dict[bytes, list[bytes]] = {}
    for name, value in found[0]["headers"]:
        by_name.setdefault(name.lower(), []).append(value)
    return by_name


@pytest.mark.anyio
async def test_every_answer_carries_them_and_its_own_ones_win() -> None:
    plain = await sent([])
    own = await sent([(b"Content-Security-Policy", b"default-src 'self'")])

    assert plain[b"x-content-type-options"] == [b"nosniff"]
    assert plain[b"content-security-policy"] == [content_security_policy().encode()]
    assert own[b"content-security-policy"] == [b"default-src 'self'"]
    assert own[b"x-frame-options"] == [b"DENY"]
