"""Calls of servers of others: only those that may be called, at the address that was checked, within time and size."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from core import outbound
from core.activity.unit import InsideUnit, unit_of_work
from core.errors import Conflict
from core.outbound import NotAllowed, NotReached, call
from tests.http import HANGS, Asked, HttpSink, certified, reply

if TYPE_CHECKING:
    from core.scope import Scope
    from core.testing import TestTenant

EU = ("ec.europa.eu",)


def allowing(scope: Scope, *hosts: str) -> Scope:
    """As if the provider had allowed these hosts."""
    return replace(scope, tenant=replace(scope.tenant, internal_hosts=frozenset(hosts)))


def always(answer: bytes) -> HttpSink:
    return HttpSink(lambda _asked: answer)


async def test_an_answer_is_given_whatever_it_is(tenant: TestTenant) -> None:
    def answers(asked: Asked) -> bytes:
        return reply(asked.body[::-1], 418)

    async with HttpSink(answers) as server:
        url = f"http://localhost:{server.port}/a/b?c=d"
        given = await call(
            tenant.scope(), "POST", url, hosts=(), content=b"abc", headers={"content-type": "text/plain"}
        )

    (asked,) = server.asked
    assert (given.status, given.body) == (418, b"cba")
    assert (asked.method, asked.path, asked.headers["host"]) == ("POST", "/a/b?c=d", f"localhost:{server.port}")
    assert asked.headers["content-type"] == "text/plain"


@pytest.mark.parametrize(
    "url",
    [
        "http://ec.europa.eu/",
        "https://ec.europa.eu:8443/",
        "https://example.com/",
        "https://ec.europa.eu.example.com/",
        "https://user@ec.europa.eu/",
        "https://169.254.169.254/latest/meta-data",
        "http://127.0.0.1/",
        "http://[::1]/",
        "file:///etc/passwd",
        "https://",
        "//ec.europa.eu/",
        "https://ec.europa.eu:99999/",
        "",
    ],
)
async def test_what_was_not_declared_is_not_called(tenant: TestTenant, url: str) -> None:
    with pytest.raises(NotAllowed):
        await call(allowing(tenant.scope()), "GET", url, hosts=EU)


async def test_a_declared_host_that_leads_inside_is_not_called(tenant: TestTenant) -> None:
    with pytest.raises(NotAllowed, match="not on the public internet"):
        await call(allowing(tenant.scope()), "GET", "https://localhost/", hosts=("localhost",))


async def test_the_address_that_was_checked_is_connected_to_and_the_certificate_is_the_hosts(
    tenant: TestTenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, chain = certified(tmp_path, "vies.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    looked_up = []

    async def resolves(_loop: object, host: str, port: int, **_given: object) -> list[Any]:
        looked_up.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolves)
    async with HttpSink(lambda _asked: reply(b"yes"), tls=context) as server:
        scope = allowing(tenant.scope(), "vies.test", "other.test")
        good = await call(scope, "GET", f"https://vies.test:{server.port}/", hosts=())
        with pytest.raises(NotReached):
            await call(scope, "GET", f"https://other.test:{server.port}/", hosts=())

    assert good.body == b"yes"
    assert [name for name in looked_up if name.endswith(".test")] == ["vies.test", "other.test"]


async def test_a_redirect_is_not_followed(tenant: TestTenant) -> None:
    async with always(reply(b"", 302, location="http://169.254.169.254/")) as server:
        given = await call(tenant.scope(), "GET", f"http://localhost:{server.port}/", hosts=())

    assert (given.status, len(server.asked)) == (302, 1)


async def test_more_than_is_read_is_no_answer(tenant: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "MOST_BYTES", 1000)
    async with always(reply(b"x" * 1000)) as just, always(reply(b"x" * 1001)) as over:
        scope = tenant.scope()
        assert len((await call(scope, "GET", f"http://localhost:{just.port}/", hosts=())).body) == 1000
        with pytest.raises(NotReached, match="more than is read"):
            await call(scope, "GET", f"http://localhost:{over.port}/", hosts=())


@pytest.mark.parametrize("answer", [HANGS, b"rubbish\r\n\r\n", b"HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\nabc"])
async def test_no_answer_that_can_be_read_is_told_with_the_host(tenant: TestTenant, answer: bytes) -> None:
    async with always(answer) as server:
        with pytest.raises(NotReached, match="“localhost” does not answer"):
            await call(tenant.scope(), "GET", f"http://localhost:{server.port}/", hosts=(), seconds=0.5)


async def test_the_time_is_for_the_whole_answer_however_it_trickles_in(tenant: TestTenant) -> None:
    server = HttpSink(lambda _asked: reply(b"yes"), pause=0.1)
    async with server:
        with pytest.raises(NotReached):
            await call(tenant.scope(), "GET", f"http://localhost:{server.port}/", hosts=(), seconds=0.5)


async def test_nobody_listens_or_is_there(tenant: TestTenant) -> None:
    with pytest.raises(NotReached, match="does not answer"):
        await call(tenant.scope(), "GET", "http://127.0.0.1:9/", hosts=())
    with pytest.raises(NotReached, match="There is no host"):
        await call(allowing(tenant.scope(), "nowhere.invalid"), "GET", "https://nowhere.invalid/", hosts=())


async def test_inside_a_unit_of_work_and_on_a_copy_nobody_is_called(tenant: TestTenant) -> None:
    scope = tenant.scope()
    async with always(reply(b"yes")) as server:
        url = f"http://localhost:{server.port}/"
        with pytest.raises(InsideUnit):
            async with unit_of_work(scope):
                await call(scope, "GET", url, hosts=())
        with pytest.raises(Conflict, match="nothing leaves it"):
            await call(replace(scope, tenant=replace(scope.tenant, test_clock=True)), "GET", url, hosts=())

    assert server.asked == []
