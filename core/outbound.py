"""The way to servers of others (security.md 17): the host is one that may be called, and what is connected to is an
address that was checked. No redirects, ten seconds, one mebibyte.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import SplitResult, urlsplit, urlunsplit

import httpx
from msgspec import Struct

from core.activity.unit import refuse_inside_unit
from core.errors import Conflict, DomainError, TryAgain, Unavailable
from core.hooks import note_failure
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from core.scope import Scope

T = TypeVar("T")

ANSWERS_WITHIN: Final = 20.0
"""Seconds that a service has which a plugin brings, for its answer."""
SECONDS: Final = 10.0
"""For the whole of a call."""
CONNECT_SECONDS: Final = 4.0
"""For one of its addresses, so that another has its turn."""
MOST_SECONDS: Final = 60.0
"""Whatever a caller asks for."""
RESOLVE_SECONDS: Final = 15.0
MOST_BYTES: Final = 1024 * 1024
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""Where an address of version 4 stands in one of version 6."""
UNICAST: Final = ipaddress.IPv6Network("2000::/3")
"""What is given out of version 6: outside it stand old and local ways to addresses inside."""


async def answer_of(plugin: str, what: str, question: Callable[[], Awaitable[T]], silence: str) -> T:
    """What a service answers that a plugin brings. Raises Unavailable, which says `silence`, where it takes too long,
    where its connection breaks, and where the plugin does."""
    refuse_inside_unit(f"a {what}")
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            return await question()
    except (DomainError, TryAgain):
        raise
    except OSError:  # a timeout is one, too
        raise Unavailable(silence) from None
    except Exception as error:
        note_failure(plugin, what)
        raise Unavailable(silence) from error


class NotReached(Unavailable):
    """The server did not take the connection, or gave no answer that can be read. The message says what happened."""


class NotAllowed(Conflict):
    """This host or port is none that a tenant may connect to."""


class Reply(Struct, frozen=True):
    """What a server answered, whatever it was."""

    status: int
    body: bytes


async def call(
    scope: Scope,
    method: str,
    url: str,
    *,
    hosts: Collection[str],
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
) -> Reply:
    """Call a server outside every unit of work. `hosts` are those that the caller has declared (`outbound_hosts` of a
    plugin's manifest); others only where the provider has allowed them, and only these may be called without https.

    Raises NotAllowed, or NotReached where there is no answer: then nobody knows whether the server has heard.
    """
    scope.refuse_on_test_clock()
    parts, host, port = _taken_apart(url)
    refuse_inside_unit(f"a call of {host}")
    internal = scope.tenant.internal_hosts
    if host not in internal and (host not in hosts or parts.scheme != "https" or port != 443):
        raise NotAllowed(
            _("“%(url)s” may not be called. Only the provider can allow its host, in its configuration.", url=url)
        )
    silence = NotReached(_("“%(host)s” does not answer.", host=host), retry_after=60)
    try:
        async with asyncio.timeout(seconds):
            for address in await public_addresses(host, port, internal):
                try:
                    return await _exchange(method, parts, host, port, address, content, headers or {})
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    continue
    except (httpx.HTTPError, ssl.SSLError, OSError) as error:
        raise silence from error
    raise silence


def _taken_apart(url: str) -> tuple[SplitResult, str, int]:
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        parts, host, port = SplitResult("", "", "", "", ""), "", None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise NotAllowed(_("“%(url)s” is no address that can be called.", url=url))
    return parts, host, port or (443 if parts.scheme == "https" else 80)


async def _exchange(
    method: str,
    parts: SplitResult,
    host: str,
    port: int,
    address: str,
    content: bytes | None,
    headers: Mapping[str, str],
) -> Reply:
    """One request, to this address and no other. The certificate must be the host's, whatever the address."""
    netloc = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    url = urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))
    named = {"host": parts.netloc, "accept-encoding": "identity", **headers}
    limits = httpx.Timeout(MOST_SECONDS, connect=CONNECT_SECONDS)
    async with (
        httpx.AsyncClient(trust_env=False, timeout=limits, verify=ssl.create_default_context()) as client,
        client.stream(method, url, headers=named, content=content, extensions={"sni_hostname": host}) as answer,
    ):
        body = bytearray()
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > MOST_BYTES:
                raise NotReached(_("“%(host)s” answers with more than is read.", host=host), retry_after=60)
        return Reply(answer.status_code, bytes(body))


async def public_addresses(host: str, port: int, internal_hosts: Collection[str]) -> list[str]:
    """The addresses of a host that a tenant may connect to: public ones, or those of a host that the provider has
    allowed. What is connected to is what was checked."""
    name = host.strip().strip("[]").lower()
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise NotReached(_("There is no host “%(host)s”.", host=host), retry_after=60) from error
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    if name not in internal_hosts and not all(map(is_public, addresses)):
        raise NotAllowed(
            _(
                "“%(host)s” is not on the public internet. Only the provider can allow it, in its configuration.",
                host=host,
            )
        )
    return addresses


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet's."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inside = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inside is None and ip in NAT64:
            inside = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inside is not None:
            return is_public(str(inside))
        if ip not in UNICAST:
            return False
    return ip.is_global and not ip.is_multicast
