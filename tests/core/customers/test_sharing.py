"""Whoever types an e-mail or a phone that another customer has is told so, and may save it (C4)."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from core.activity.unit import unit_of_work
from core.customers import actions, queries
from core.customers.schemas import MainData, NewCustomer
from core.customers.sections import text_of
from core.customers.sharing import TOLD, list_sharing
from core.database import Partitions, execute

if TYPE_CHECKING:
    from core.scope import Scope
    from core.testing import TestTenant

AT = "/customers/shared"
MOST_OF_A_COOKIE = 4096
"""Bytes: browsers forget longer ones, and servers before ours answer 502 for much longer heads."""


async def ann(scope: Scope, **fields: Any) -> int:
    wanted = {"full_name": "Ann Other", "country": "IE", "emails": ["ann@example.com"], "phones": ["061 100 200"]}
    return await actions.create_customer(scope, NewCustomer(**{**wanted, **fields}))


async def test_C4_a_typed_address_of_another_customer_is_told_with_the_way_there(tenant: TestTenant) -> None:
    first = await ann(tenant.scope())
    second = await ann(tenant.scope(), full_name="Ben", emails=["ben@example.com"], phones=[])
    page = await tenant.browser()

    async def told(besides: int = 0, **typed: str) -> str:
        answer = await page.post(f"{AT}?besides={besides}" if besides else AT, data=typed)
        assert answer.status_code == 200, answer.text
        return unescape(answer.text)

    for typed in (
        {"emails": "new@example.com, ANN@example.com"},
        {"phones": "+353 61 100200"},
        {"phones": "061 100 200", "country": "IE"},
    ):
        assert f'<a href="/customers/{first}" ' in await told(**typed)
    assert f'<a href="/customers/{first}" ' in await told(second, emails="ann@example.com")
    for typed in ({"emails": "ann@"}, {"emails": "new@example.com"}, {"phones": "061 100 200", "country": "FR"}, {}):
        assert "already" not in await told(**typed)
    assert "Nobody else" in await told(first, emails="ann@example.com")
    assert (await page.post(f"{AT}?besides=99", data={})).status_code == 404


async def test_C4_it_is_saved_all_the_same_and_said_once_more(tenant: TestTenant) -> None:
    first = await ann(tenant.scope())
    page, api = await tenant.browser(), await tenant.api()
    shared = f"ann@example.com is also that of Ann Other ({first})."

    made = await page.post("/customers", data={"full_name": "Ben", "emails": "ann@example.com"})
    alone = await page.post("/customers", data={"full_name": "Cid", "emails": "cid@example.com"})
    posted = await api.post("/api/v1/customers", json={"full_name": "Dee", "emails": ["ann@example.com"]})

    assert (made.status_code, alone.status_code, posted.status_code) == (303, 303, 201)
    assert unquote(made.cookies["toast"]) == f"Customer created. {shared}"
    assert unquote(alone.cookies["toast"]) == "Customer created."
    third = int(alone.headers["location"].rpartition("/")[2])
    now = await queries.get_customer(tenant.scope(), third)
    values = {name: getattr(now, name) for name in MainData.__struct_fields__}
    form = {name: text_of(value) for name, value in values.items()}
    seen = msgspec.json.encode(values).decode()

    at = f"/customers/{third}/sections/main"
    changed = await page.put(
        at, data={**form, "version": "1", "seen": seen, "emails": "cid@example.com, ann@example.com"}
    )
    kept = {**values, "emails": ["cid@example.com", "ann@example.com"]}
    form = {**form, "emails": "cid@example.com, ann@example.com", "company": "Cid Ltd"}
    again = await page.put(at, data={**form, "version": "2", "seen": msgspec.json.encode(kept).decode()})

    assert (changed.status_code, again.status_code) == (200, 200)
    assert f"{shared} Others have it, too." in changed.text
    assert "also that of" not in again.text


async def test_C4_nobody_is_told_of_customers_out_of_reach_and_of_many_only_some(tenant: TestTenant) -> None:
    scope = tenant.scope()
    first = await ann(scope)
    async with unit_of_work(scope):
        await execute("UPDATE customer SET partition_id = 7 WHERE id = :id", id=first)
    for _each in range(TOLD + 3):
        await ann(scope)
    beyond = replace(scope, actor=replace(scope.actor, reach=Partitions(frozenset({8}))))
    inside = replace(scope, actor=replace(scope.actor, reach=Partitions(frozenset({7}))))

    assert await list_sharing(beyond, ["ann@example.com"], ["061 100 200"]) == []
    assert [one.id for one in await list_sharing(inside, ["ann@example.com"], [])] == [first]
    assert len(await list_sharing(scope, ["ann@example.com"], [])) == TOLD + 1
    creates_only = replace(scope, actor=replace(scope.actor, permissions=frozenset({"customers.create"})))
    assert await list_sharing(creates_only, ["ann@example.com"], []) == []


async def test_C4_so_much_is_shared_that_no_browser_would_keep_all_of_it_and_it_is_said_all_the_same(
    tenant: TestTenant,
) -> None:
    emails = [f"{'a' * 60}{at}@{'b' * 60}.{'c' * 60}.example" for at in range(20)]
    await ann(tenant.scope(), full_name="\N{CJK UNIFIED IDEOGRAPH-4E00}" * 200, emails=emails, phones=[])
    page = await tenant.browser()

    made = await page.post("/customers", data={"full_name": "Ben", "emails": ", ".join(emails)})

    (kept,) = made.headers.get_list("set-cookie")
    assert len(kept) < MOST_OF_A_COOKIE
    assert unquote(kept).startswith("toast=Customer created. aaa")
