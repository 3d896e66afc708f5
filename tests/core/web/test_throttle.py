"""How often a program may ask, and a person may try to log in."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest

from core.app import surrounded
from core.config import Limits
from core.database import bind, value
from core.staff.actions import invite_staff, set_password
from core.staff.schemas import Invite
from core.testing import HOST, TestTenant, application
from core.web.throttle import Limiter, forget_tries
from core.web.visit import bind_in

WORDS: Final = "harbour lantern copper"


@pytest.fixture
async def limited(tenant: TestTenant) -> AsyncIterator[Any]:
    """Clients of the application with small limits, by token and address."""
    forget_tries()
    app = surrounded(application(), limits=Limits(api_token=3, api_address=5, login_account=2, login_address=100))

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        with bind(tenant.database):
            bind_in(scope, tenant.bound)
            await app(scope, receive, send)

    clients: list[httpx.AsyncClient] = []

    def client(token: str = "", address: str = "192.0.2.7") -> httpx.AsyncClient:
        made = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=asgi, client=(address, 1234)),
            base_url=f"http://{HOST}",
            headers={"authorization": f"Bearer {token}"} if token else {"origin": f"http://{HOST}"},
        )
        clients.append(made)
        return made

    yield client
    for one in clients:
        await one.aclose()
    forget_tries()


async def token_of(tenant: TestTenant) -> str:
    return (await tenant.api()).headers["authorization"].removeprefix("Bearer ")


async def test_F2_a_token_that_asks_too_often_is_told_when_to_come_again(tenant: TestTenant, limited: Any) -> None:
    api, other = limited(await token_of(tenant)), limited(await token_of(tenant), "192.0.2.8")

    answers = [await api.get("/api/v1/customers") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"token";q=3;w=60'
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["code"] == "too_many"
    assert (await other.get("/api/v1/customers")).status_code == 200


async def test_F2_an_address_is_counted_whatever_tokens_it_names(tenant: TestTenant, limited: Any) -> None:
    answers = [await limited(f"tnt_wrong{number}").get("/api/v1/customers") for number in range(6)]
    known = await limited(await token_of(tenant)).get("/api/v1/customers")
    elsewhere = await limited(await token_of(tenant), "192.0.2.9").get("/api/v1/customers")

    assert [answer.status_code for answer in answers] == [401, 401, 401, 401, 401, 429]
    assert answers[-1].headers["ratelimit-policy"] == '"address";q=5;w=60'
    assert (known.status_code, elsewhere.status_code) == (429, 200)


async def test_F2_pages_are_not_counted(limited: Any) -> None:
    page = limited()

    answers = [await page.get("/login") for _ in range(8)]

    assert {answer.status_code for answer in answers} == {200}
    assert "ratelimit" not in answers[0].headers


async def test_an_account_has_so_many_wrong_tries(tenant: TestTenant, limited: Any) -> None:
    page = limited()
    tried = {"email": "nobody@staff.example", "password": "four words that do not fit", "next": "/"}

    answers = [await page.post("/login", data=tried) for _ in range(3)]
    german = await page.post("/login", data=tried, headers={"accept-language": "de"})

    assert [answer.status_code for answer in answers] == [422, 422, 429]
    assert "Zu viele Versuche" in german.text


def test_no_limit_counts_nothing() -> None:
    assert Limiter(Limits(api_token=0, api_address=0)).count_address("192.0.2.7") is None


async def person(tenant: TestTenant) -> None:
    """A staff user who has chosen a password."""
    role_id = await value("SELECT min(id) FROM role")
    made = await invite_staff(tenant.scope(), Invite("Ada", "Ada@staff.example", role_id))
    await set_password(tenant.scope(), made.token, WORDS, WORDS)


async def test_F1_tries_from_elsewhere_keep_nobody_out_where_it_was_right_before(
    tenant: TestTenant, limited: Any
) -> None:
    await person(tenant)
    own, evil = limited(), limited(address="192.0.2.66")
    tried = {"email": "ada@staff.example", "password": WORDS, "next": "/"}
    await own.post("/login", data=tried)

    wrong = [(await evil.post("/login", data={**tried, "password": "no"})).status_code for _ in range(3)]
    elsewhere = await limited(address="192.0.2.9").post("/login", data=tried)
    right = await own.post("/login", data=tried)

    assert wrong == [422, 422, 429]
    assert (elsewhere.status_code, right.status_code) == (429, 303)


async def test_F1_a_password_is_guessed_no_oftener_by_the_page_that_asks_again(
    tenant: TestTenant, limited: Any
) -> None:
    await person(tenant)
    page, other = limited(), limited(address="192.0.2.66")
    await page.post("/login", data={"email": "ada@staff.example", "password": WORDS, "next": "/"})
    tenant.clock.move(timedelta(minutes=16))
    token = re.search(r'name="_csrf" value="([^"]+)"', (await page.get("/settings/company")).text)
    assert token is not None
    for _ in range(2):
        await page.post("/settings/roles", data={"label": "x", "_csrf": token[1], "_proof": "wrong"})

    answer = await other.post("/login", data={"email": "ada@staff.example", "password": "no", "next": "/"})

    assert answer.status_code == 429
