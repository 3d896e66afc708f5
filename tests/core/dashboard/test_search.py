"""The search on top of every page: what it offers, to whom, and what it costs."""

from __future__ import annotations

import re

import pytest

from core.activity.unit import unit_of_work
from core.app import DEEDS
from core.customers import actions, queries
from core.customers.schemas import NewCustomer
from core.database import Partitions, execute, watched
from core.scope import ALL_PERMISSIONS, Actor
from core.testing import TestTenant, application
from core.web.routing import http_handlers


async def groups(tenant: TestTenant, q: str, *permissions: str) -> dict[str, list[str]]:
    """What is shown, by heading."""
    page = (
        await tenant.browser(staff_id=await tenant.staff_with(permissions)) if permissions else await tenant.browser()
    )
    text = (await page.get("/search", params={"q": q})).text
    return {
        heading: re.findall(r"<span>([^<]+)</span>", listed)
        for heading, listed in re.findall(r"<h2[^>]*>([^<]+)</h2>\s*<ul(.*?)</ul>", text, re.DOTALL)
    }


async def customer(tenant: TestTenant, name: str) -> int:
    return await actions.create_customer(tenant.scope(), NewCustomer(full_name=name, country="IE"))


async def test_F5_pages_and_actions_are_found_by_their_words(tenant: TestTenant) -> None:
    assert "Invoices" in (await groups(tenant, "inv"))["Pages"]
    assert (await groups(tenant, "cust new"))["Actions"] == ["New customer"]
    assert (await groups(tenant, "settings num"))["Pages"] == ["Numbering"]
    assert "Pages" not in await groups(tenant, "nothing like it")


async def test_F5_what_is_typed_out_stands_first(tenant: TestTenant) -> None:
    await customer(tenant, "Messages Limited")

    by_page, by_name = await groups(tenant, "messages"), await groups(tenant, "messages l")

    assert [*by_page] == ["Pages", "Customers"]
    assert [*by_name] == ["Customers"]


async def test_F5_nobody_is_offered_what_it_may_not_do(tenant: TestTenant) -> None:
    await customer(tenant, "New Harbour")

    found = await groups(tenant, "new", "customers.view")

    assert found == {"Customers": ["New Harbour"]}
    assert "Customers" not in await groups(tenant, "new", "catalog.view")


async def test_F5_before_anything_is_typed_actions_and_pages_are_offered(tenant: TestTenant) -> None:
    found = await groups(tenant, "")

    assert found["Actions"][0] == "New customer"
    assert found["Pages"][0] == "Dashboard"


@pytest.mark.plugins("inventory")
async def test_F5_actions_of_a_plugin_stand_with_the_core_s_where_it_is_on(tenant: TestTenant) -> None:
    assert "Add item" in (await groups(tenant, "item"))["Actions"]
    assert "Inventory" in (await groups(tenant, "inv"))["Pages"]


async def test_F5_actions_of_a_plugin_that_is_off_are_not_offered(tenant: TestTenant) -> None:
    assert "Actions" not in await groups(tenant, "item")


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.href)
def test_F5_an_action_is_open_to_whom_it_is_offered(deed: object) -> None:
    href, permission = deed.href, deed.permission  # type: ignore[attr-defined]  # a MenuEntry
    pages = {
        path: handler.opt.get("permission") for method, path, handler in http_handlers(application()) if method == "GET"
    }

    assert pages[href] in (permission, permission.replace(".edit", ".view"))


async def test_F5_a_text_that_very_many_fit_puts_few_of_them_in_order(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "LOOKED_AT", 3)
    ids = [await customer(tenant, f"Anna {letter}") for letter in "EDCBA"]
    last = await customer(tenant, "Somebody Else")

    found = await queries.search_customers(tenant.scope(), "anna", limit=6)
    by_id = await queries.search_customers(tenant.scope(), str(last), limit=6)

    assert len(found) == 3
    assert {one.id for one in found} <= set(ids)
    assert [one.full_name for one in found] == sorted(one.full_name for one in found)
    assert by_id[0].id == last


async def test_F5_of_more_than_are_shown_the_list_of_all_is_one_press_away(tenant: TestTenant) -> None:
    for letter in "ABCDEFG":
        await customer(tenant, f"Anna & {letter}o")

    some, one = await groups(tenant, "anna &"), await groups(tenant, "anna go")
    page = await tenant.browser()

    first = [f"Anna &amp; {letter}o" for letter in "ABCDEF"]
    assert some["Customers"] == [*first, "All customers that match “anna &amp;”"]
    assert one["Customers"] == ["Anna &amp; Go"]
    assert 'data-href="/customers?q=anna+%26"' in (await page.get("/search", params={"q": "anna &"})).text
    assert "7 of 7" in (await page.get("/customers?q=anna+%26")).text


async def test_F5_customers_of_the_same_name_are_told_apart_by_where_they_live(tenant: TestTenant) -> None:
    new = NewCustomer(full_name="Ada Murphy", country="IE", city="Quayside")
    number = await actions.create_customer(tenant.scope(), new)

    assert f"Quayside · {number}" in (await (await tenant.browser()).get("/search?q=murphy")).text


async def test_F5_others_customers_do_not_hide_the_own_ones(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "LOOKED_AT", 2)
    ids = [await customer(tenant, f"Anna {letter}") for letter in "ABCDE"]
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET partition_id = CASE WHEN id = :own THEN 7 ELSE 8 END", own=ids[-1])
    reseller = tenant.scope(actor=Actor("staff", 1, "Reseller", Partitions((7,)), ALL_PERMISSIONS))

    assert [one.id for one in await queries.search_customers(reseller, "anna", limit=6)] == [ids[-1]]


@pytest.mark.plugins("inventory")
async def test_F5_a_search_asks_each_of_those_that_know_something_once(tenant: TestTenant) -> None:
    for name in ("Anna One", "Anna Two", "Anna Three"):
        await customer(tenant, name)
    page = await tenant.browser()

    with watched() as asked:
        await page.get("/search?q=anna")

    assert len(asked) <= 7, asked


@pytest.mark.plugins("inventory")
async def test_the_start_page_calls_plugins_by_their_names(tenant: TestTenant) -> None:
    page = (await (await tenant.browser()).get("/")).text

    assert "Plugins that are on" in page
    assert ">Inventory</span>" in page
    assert ">inventory<" not in page


async def test_F5_staff_are_found_by_who_sees_them(tenant: TestTenant) -> None:
    await tenant.staff("Support", "nuala.brannock@staff.example")

    assert "nuala.brannock@staff.example" in str(await found_of(tenant, "BRANNOCK", "staff.view"))
    assert (await groups(tenant, "support pers", "staff.view"))["Staff"] == ["Support Person"]
    assert "Staff" not in await groups(tenant, "brannock", "customers.view")
    assert "Staff" not in await groups(tenant, "b_annock", "staff.view")


async def found_of(tenant: TestTenant, q: str, *permissions: str, **params: int) -> list[dict[str, str]]:
    api = await tenant.api(permissions or ("*",))
    answer = await api.get("/api/v1/search", params={"q": q, **params})
    assert answer.status_code == 200, answer.text
    return list(answer.json())


async def test_F2_the_search_answers_over_json_with_what_the_token_sees(tenant: TestTenant) -> None:
    for name in ("Harbour One", "Harbour Two", "Harbour Three"):
        await customer(tenant, name)

    every = await found_of(tenant, "harb")
    some = await found_of(tenant, "harb", limit=2)
    none = await found_of(tenant, "harb", "catalog.view")
    api = await tenant.api()
    wrong = [await api.get("/api/v1/search", params=given) for given in ({"q": "h"}, {}, {"q": "harb", "limit": "0"})]

    assert sorted(one["label"] for one in every) == ["Harbour One", "Harbour Three", "Harbour Two"]
    assert {one["kind"] for one in every} == {"Customers"}
    assert every[0]["href"].startswith("/customers/")
    assert (len(some), none) == (2, [])
    assert [one.status_code for one in wrong] == [422, 422, 422]
    assert (await tenant.anonymous().get("/api/v1/search", params={"q": "harb"})).status_code == 401
