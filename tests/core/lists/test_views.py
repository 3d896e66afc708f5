"""Saved views, columns of one's own, sorting by several, filters of all kinds, sums: through the list of customers."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from html import unescape
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import Struct
from python_calamine import CalamineWorkbook

from core.activity.unit import unit_of_work
from core.billing.listing import DOCUMENTS
from core.billing.run_listings import RUNS
from core.catalog.listing import BUNDLES, PRODUCTS
from core.customers import actions
from core.customers.listing import CUSTOMERS, list_choices
from core.customers.schemas import CustomerItem, NewCustomer
from core.database import Everything, Partitions, dialect, execute, execute_many, rows, spawn, value, values, watched
from core.errors import Forbidden, Invalid, NotFound, Stale
from core.ledger.queries import MAIN_BALANCE
from core.lists import listing, views, ways
from core.lists.columns import ListColumn
from core.lists.drawing import Drawing, export_lines, text_of
from core.lists.views import ViewFields
from core.payments.listing import PAYMENTS
from core.scope import ALL_PERMISSIONS, Actor, Scope
from core.subscriptions.listing import SUBSCRIPTIONS
from core.testing import TestTenant

FULL = CUSTOMERS.having(MAIN_BALANCE)
LISTS = (FULL, DOCUMENTS, PAYMENTS, SUBSCRIPTIONS, RUNS, PRODUCTS, BUNDLES)


class PlanStep(Struct, frozen=True):
    """A line of what SQLite does for a statement."""

    detail: str


async def fill(tenant: TestTenant, many: int = 24) -> None:
    """Customers of three cities and two statuses, joined on days of January 2020."""
    async with unit_of_work(tenant.scope()):
        await execute_many(
            "INSERT INTO customer (full_name, name_key, city, city_key, phone_e164, live_subscriptions, partition_id,"
            " status_id, currency, joined_on, created_at) VALUES (:name, :key, :city, :city_key, '', :live, :partition,"
            " :status, 'EUR', :joined, :now)",
            [
                {
                    "name": f"Ann {number:03}",
                    "key": f"ann {number:03}",
                    "city": ("", "Köln", "Wien")[number % 3],
                    "city_key": ("", "koln", "wien")[number % 3],
                    "live": number % 4,
                    "partition": 2 if number % 5 == 0 else 1,
                    "status": 1 + number % 2,
                    "joined": date(2020, 1, 1) + timedelta(days=number // 6),
                    "now": tenant.clock.now(),
                }
                for number in range(1, many + 1)
            ],
        )


def staff(tenant: TestTenant, number: int, *permissions: str) -> Scope:
    return tenant.scope(actor=Actor("staff", number, f"Staff {number}", Everything(), frozenset(permissions)))


async def ids(scope: Scope, address: Mapping[str, str], *, limit: int = 50) -> list[int]:
    found = await FULL.read(scope, address, choices=await list_choices(), limit=limit)
    return [one.id for one in found.rows]


# -- several columns --------------------------------------------------------------------------------------------------


ORDERS = ("status,-name", "-city,services", "joined,-balance,name", "-services,-id", "city,-joined")


@pytest.mark.parametrize("few", [True, False], ids=["few", "many"])
async def test_L2_sorted_by_several_every_row_comes_once_in_both_directions(
    tenant: TestTenant, few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not few:
        monkeypatch.setattr(ways, "FEW", 2)
        monkeypatch.setattr(ways, "FAR", 6)
    await fill(tenant, 16)
    scope, choices = tenant.scope(), await list_choices()

    for order in ORDERS:
        for address in ({}, {"city.empty": "no"}, {"q": "ann"}):
            asked = {**address, "sort": order}
            pages: list[listing.Found[CustomerItem]] = []
            after = ""
            while not pages or after:
                pages.append(await FULL.read(scope, asked, choices=choices, after=after, limit=5))
                after = pages[-1].after
            told = [one.id for page in pages for one in page.rows]
            assert told == await values(_in_python(order, address)), asked
            back = await FULL.read(scope, asked, choices=choices, before=pages[-1].before, limit=5)
            assert back.rows == pages[-2].rows, asked


def _in_python(order: str, address: Mapping[str, str]) -> str:
    """The same as one plain statement."""
    names = {
        "status": "status_id",
        "name": "name_key",
        "city": "city_key",
        "services": "live_subscriptions",
        "joined": "joined_on",
        "id": "customer.id",
        "balance": "balance_minor",
    }
    keys = [(names[one.lstrip("-")], "DESC" if one.startswith("-") else "ASC") for one in order.split(",")]
    by = ", ".join(f"{name} {way}" for name, way in [*keys, ("customer.id", keys[-1][1])])
    where = "city_key <> ''" if "city.empty" in address else "TRUE"
    tables = "customer JOIN customer_balance b ON b.customer_id = customer.id"
    return f"SELECT customer.id FROM {tables} WHERE {where} ORDER BY {by}"


async def test_L2_a_list_is_sorted_by_three_columns_at_most_and_by_known_ones_alone(tenant: TestTenant) -> None:
    for order in ("name,city,joined,id", "name,shoe", "name,,city"):
        with pytest.raises(Invalid) as refused:
            await FULL.read(tenant.scope(), {"sort": order})
        assert refused.value.errors[0].field == "sort"


@pytest.mark.parametrize(
    ("key", "by"),
    [
        ("login", "login_key"),
        ("company", "lower(company)"),
        ("billing_type", "billing_type"),
        ("street", "lower(street)"),
        ("zip", "zip"),
        ("country", "country"),
        ("currency", "currency"),
        ("reference", "external_ref"),
    ],
)
async def test_L2_customers_are_sorted_by_columns_that_are_hidden_at_first(
    tenant: TestTenant, key: str, by: str
) -> None:
    await fill(tenant)
    await execute(
        "UPDATE customer SET login_key = CASE WHEN id % 3 = 0 THEN '' ELSE 'u' || (id * 7 % 25) END,"
        " zip = '' || (id % 4),"
        " company = CASE WHEN id % 2 = 0 THEN 'zeta ' ELSE 'Alpha ' END || (id % 3), street = 'S ' || (id % 5),"
        " external_ref = CASE WHEN id % 3 = 1 THEN '' ELSE 'R' || (id * 11 % 25) END,"
        " country = CASE WHEN id % 4 = 0 THEN 'DE' ELSE 'AT' END,"
        " billing_type = CASE WHEN id % 5 = 0 THEN 'prepaid' ELSE 'recurring' END"
    )
    for sign, way in (("", "ASC"), ("-", "DESC")):
        pages: list[listing.Found[CustomerItem]] = []
        while not pages or pages[-1].after:
            after = pages[-1].after if pages else ""
            pages.append(await FULL.read(tenant.scope(), {"sort": f"{sign}{key}"}, after=after, limit=7))
        told = [one.id for page in pages for one in page.rows]
        assert told == await values(f"SELECT id FROM customer ORDER BY {by} {way}, id {way}")
    page = await tenant.browser()
    assert 'aria-sort="' in (await page.get(f"/customers?sort={key}&columns=name,{key}")).text


async def test_L2_more_rows_than_can_be_sorted_stand_in_the_list_s_own_order_and_it_is_said(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SORTED", 10)
    await fill(tenant)
    page, api = await tenant.browser(), await tenant.api()

    too_many = (await page.get("/customers?sort=status,-name")).text
    few = (await page.get("/customers?sort=status,-name&city.has=koln")).text
    refused = await api.get("/api/v1/customers?sort=status,-name")

    assert "More than 10 rows are not sorted by Status, Name. Filter them first." in too_many
    assert too_many.index("Ann 001") < too_many.index("Ann 024")
    assert "are not sorted by" not in few
    assert few.index("Ann 022") < few.index("Ann 004")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "sort")
    assert (await api.get("/api/v1/lists/customers/export?sort=status,-name")).status_code == 422
    assert (await api.get("/api/v1/customers?sort=-name,status")).status_code == 200


@pytest.mark.parametrize("of", LISTS, ids=lambda of: of.key)
async def test_L2_what_is_said_to_be_carried_by_an_index_is(tenant: TestTenant, of: listing.Listing[Any]) -> None:
    if dialect() == "postgresql":
        pytest.skip("PostgreSQL sorts what is nothing yet; its indexes are the same")
    for column in of.columns:
        if column.can_sort and column.is_carried:
            with watched() as seen:
                await of.found(tenant.scope(), of.asked(tenant.scope(), {"sort": f"-{column.key}"}, {}), limit=5)
            first = next(text for text in seen if "ORDER BY" in text)
            plan = await rows(PlanStep, f"EXPLAIN QUERY PLAN {first}".replace("?", "5"))
            assert not [step.detail for step in plan if "TEMP B-TREE" in step.detail], column.key


async def test_L2_with_shift_a_head_sorts_after_the_others(tenant: TestTenant) -> None:
    await fill(tenant)
    page = await tenant.browser()

    shown = (await page.get("/customers?sort=status,-name")).text

    assert 'data-then="/customers?sort=status%2C-name%2Ccity"' in shown
    assert 'data-then="/customers?sort=status%2Cname"' in shown
    assert shown.count('aria-sort="') == 2


# -- filters ----------------------------------------------------------------------------------------------------------


async def test_L2_a_filter_of_each_kind_is_offered_as_a_form_and_read_from_it(tenant: TestTenant) -> None:
    await fill(tenant)
    page = await tenant.browser()

    plain = (await page.get("/customers")).text
    several = (await page.get("/customers?status=active&status=new&joined.from=2020-01-02&joined.to=2020-01-02")).text
    none = (await page.get("/customers?status=&city.empty=no&name.has=100")).text

    for name in ("name.has", "id.from", "joined.to", "city.empty", "status", "balance.to"):
        assert f'name="{name}"' in plain, name
    assert "6 of 6" in several
    assert "Status is New or Active" in several.replace("<b>", "").replace("Active or New", "New or Active")
    assert 'type="date"' in several
    assert "Nothing is found where Name has 100 and City is not empty" in none


async def test_L2_text_is_found_in_whatever_case_and_nothing_by_signs_that_are_none(tenant: TestTenant) -> None:
    scope = tenant.scope()
    await actions.create_customer(scope, NewCustomer(full_name="Ann Other", company="Harbour Works"))

    assert await ids(scope, {"company.has": "hARBOUR"}) == [1]
    assert await ids(scope, {"name.has": "OTHER"}) == [1]
    assert await ids(scope, {"name.has": "\u200b"}) == []


async def test_L2_a_day_may_move_with_the_calendar(tenant: TestTenant) -> None:
    scope = tenant.scope()
    today = scope.today()
    for number, joined in enumerate((today, today - timedelta(days=10), today.replace(day=1), date(2020, 1, 1))):
        async with unit_of_work(scope):
            made = await actions.create_customer(scope, NewCustomer(full_name=f"Ann {number}"))
            await execute("UPDATE customer SET joined_on = :on WHERE id = :id", on=joined, id=made)

    assert await ids(scope, {"joined.from": "today"}) == [1]
    assert set(await ids(scope, {"joined.from": "month"})) >= {1, 3}
    assert 4 not in await ids(scope, {"joined.from": "month"})
    assert set(await ids(scope, {"joined.from": "today-10"})) >= {1, 2}
    assert await ids(scope, {"joined.to": "year-1"}) == [4]
    assert await ids(scope, {"joined": "2020-01-01"}) == [4]
    for wrong in ("tomorrow", "today-", "today-99999", "2020-13-01"):
        with pytest.raises(Invalid):
            await ids(scope, {"joined.from": wrong})


# -- columns of one's own ---------------------------------------------------------------------------------------------


async def choose(page: httpx.AsyncClient, state: str, *columns: str, **more: str) -> str:
    """Gives the address that is shown then."""
    answer = await page.post(
        "/lists/customers/columns",
        data={"state": state, "column": list(columns), **more},
        headers={"hx-request-type": "partial"},
    )
    assert answer.status_code == 200, answer.text
    path: str = msgspec.json.decode(answer.headers["HX-Location"])["path"]
    return path


def heads_in(text: str) -> list[str]:
    """What stands over the columns; over the ticks and the actions stands nothing that is read here."""
    head = text[text.index("<thead>") : text.index("</thead>")]
    cells = re.findall(r'<th scope="col" class="(?!c-check|c-do)[^"]*"[^>]*>(.*?)</th>', head, re.DOTALL)
    return [re.sub(r"<svg.*?</svg>|<small>.*?</small>|<[^>]+>", "", one, flags=re.DOTALL).strip() for one in cells]


async def test_L3_columns_are_chosen_put_in_order_kept_for_one_person_and_reset(tenant: TestTenant) -> None:
    await fill(tenant)
    mine, other = await tenant.browser(), await tenant.browser(staff_id=await tenant.staff_with({"*"}))
    usual = heads_in((await mine.get("/customers")).text)

    assert await choose(mine, "city.empty=no", "balance", "city", "id") == "/customers?city.empty=no"

    assert heads_in((await mine.get("/customers?city.empty=no")).text) == ["Name", "Balance, EUR", "City", "Id"]
    assert heads_in((await other.get("/customers")).text) == usual
    await choose(mine, "", "city", reset="yes")
    assert heads_in((await mine.get("/customers")).text) == usual


async def test_L3_what_is_no_column_is_left_out_and_the_name_always_stays_first(tenant: TestTenant) -> None:
    await fill(tenant)
    page = await tenant.browser()

    await choose(page, "//evil.example/customers?shoe=1&shoe=2", "shoe", "city", "city", "name")

    assert heads_in((await page.get("/customers")).text) == ["Name", "City"]


# -- saved views ------------------------------------------------------------------------------------------------------


async def saved(page: httpx.AsyncClient, address: str, **fields: str) -> str:
    answer = await page.post("/lists/customers/views", data={"state": address, **fields})
    assert answer.status_code == 303, answer.text
    location: str = answer.headers["location"]
    return location


async def test_L3_a_view_keeps_filters_order_and_columns_and_says_when_it_is_changed(tenant: TestTenant) -> None:
    await fill(tenant)
    page = await tenant.browser()

    at = await saved(page, "city.has=koln&sort=-joined,name&columns=name,joined,city&shoe=1", name="Cologne")

    shown = (await page.get(at)).text
    assert heads_in(shown) == ["Name", "Joined", "City"]
    assert "8 of 8" in shown
    assert "View changed" not in shown
    changed = (await page.get(f"{at}&city.has=koln&sort=name")).text
    assert "View changed" in changed
    assert "8 of 8" in changed
    assert re.search(r'aria-current="page"[^>]*>Cologne', changed)
    cleared = (await page.get(f"{at}&sort=-joined,name")).text
    assert "24 of 24" in cleared


async def test_L3_a_changed_view_is_saved_renamed_made_the_first_and_deleted(tenant: TestTenant) -> None:
    await fill(tenant)
    page = await tenant.browser()
    at = await saved(page, "city.has=koln", name="Cologne")
    view_id = at.rpartition("=")[2]
    path = f"/lists/customers/views/{view_id}"

    assert (await page.put(f"{path}?view={view_id}&city.has=wien&sort=name")).status_code == 303
    assert "City has <b>wien</b>" in (await page.get(at)).text
    assert (await page.post(path, data={"name": "Vienna"})).status_code == 303
    assert ">Vienna<" in (await page.get("/customers")).text
    assert (await page.put(f"{path}/default")).status_code == 303
    assert "8 of 8" in (await page.get("/customers")).text
    assert "24 of 24" in (await page.get("/customers?view=all")).text
    assert "12 of 12" in (await page.get("/customers?status=active")).text
    assert (await page.delete(path)).status_code == 303
    assert "24 of 24" in (await page.get("/customers")).text
    assert (await page.get(f"{path}/edit")).status_code == 404


async def test_L3_the_address_of_a_view_that_is_gone_says_so_and_shows_the_list_without_it(tenant: TestTenant) -> None:
    await fill(tenant)
    page = await tenant.browser()
    at = await saved(page, "city.has=koln", name="Cologne", shared="1")
    asked = unescape((await page.get(at)).text)
    other = await tenant.browser(staff_id=await tenant.staff_with({"customers.view"}))
    assert (await other.put(f"/lists/customers/views/{at.rpartition('=')[2]}/default")).status_code == 303
    assert (await page.delete(f"/lists/customers/views/{at.rpartition('=')[2]}")).status_code == 303

    gone, first, every = [(await other.get(one)).text for one in (at, "/customers", "/customers?view=all")]

    assert "It is shared, and gone for everybody then." in asked
    assert "The view of this address is gone" in gone
    assert all("24 of 24" in one for one in (gone, first, every))
    assert not any("is gone" in one for one in (first, every))


async def test_L3_a_name_is_given_once_and_what_was_typed_stays(tenant: TestTenant) -> None:
    page = await tenant.browser()
    await saved(page, "q=ann", name="Mine")

    for name in ("mine", "All", " ", "x" * 61):
        refused = await page.post("/lists/customers/views", data={"state": "q=bea", "name": name})
        assert refused.status_code == 422, name
        assert 'value="q=bea"' in refused.text


async def test_L3_one_s_own_view_is_nobody_else_s(tenant: TestTenant) -> None:
    scope, other = staff(tenant, 1, "*"), staff(tenant, 2, "*")
    view_id = await views.create_view(scope, CUSTOMERS, ViewFields(name="Mine"), {"q": "ann"})

    for attempt in (
        views.get_view(other, "customers", view_id),
        views.change_view(other, CUSTOMERS, view_id, fields=ViewFields(name="Yours")),
        views.delete_view(other, "customers", view_id),
        views.open_with(other, "customers", view_id),
        views.segment(other, CUSTOMERS, view_id),
        views.get_view(scope, "invoices", view_id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert (await views.kept_of(other, "customers")).views == ()


async def test_L3_a_shared_view_is_seen_by_all_changed_by_who_may_share_and_hidden_from_resellers(
    tenant: TestTenant,
) -> None:
    sharer, reader = staff(tenant, 1, "lists.share"), staff(tenant, 2, "customers.view")
    reseller = tenant.scope(actor=Actor("staff", 3, "Reseller", Partitions((2,)), ALL_PERMISSIONS))
    view_id = await views.create_view(sharer, CUSTOMERS, ViewFields(name="Ours", shared=True), {"city.has": "wien"})

    assert [one.name for one in (await views.kept_of(reader, "customers")).views] == ["Ours"]
    assert (await views.kept_of(reseller, "customers")).views == ()
    with pytest.raises(Forbidden):
        await views.change_view(reader, CUSTOMERS, view_id, fields=ViewFields(name="Theirs", shared=True))
    with pytest.raises(Forbidden):
        await views.delete_view(reader, "customers", view_id)
    with pytest.raises(Forbidden):
        await views.create_view(reader, CUSTOMERS, ViewFields(name="Loud", shared=True), {})
    with pytest.raises(Forbidden):
        await views.create_view(reseller, CUSTOMERS, ViewFields(name="Loud", shared=True), {})
    with pytest.raises(Invalid):
        await views.create_view(staff(tenant, 4, "lists.share"), CUSTOMERS, ViewFields(name="OURS", shared=True), {})
    await views.create_view(reader, CUSTOMERS, ViewFields(name="Ours"), {})


async def test_L3_a_view_whose_filter_is_gone_opens_without_it_and_says_so(tenant: TestTenant) -> None:
    await fill(tenant)
    page, scope = await tenant.browser(), tenant.scope()
    await actions.add_tag(scope, 1, "harbour")
    tag = await value("SELECT id FROM tag")
    at = await saved(page, f"tags={tag}&city.has=koln", name="Harbour")
    async with unit_of_work(scope):
        await execute("DELETE FROM customer_tag")
        await execute("DELETE FROM tag")

    shown = (await page.get(at)).text

    assert "filters that no longer fit; they are left out: Tags" in shown
    assert "8 of 8" in shown
    assert (await page.get(f"/customers?tags={tag}")).status_code == 422


async def test_L3_who_may_not_see_a_list_has_no_views_of_it(tenant: TestTenant) -> None:
    page = await tenant.browser(staff_id=await tenant.staff_with({"customers.view"}))

    assert (await page.get("/lists/customers/views/new")).status_code == 200
    assert (await page.get("/lists/invoices/views/new")).status_code == 403
    assert (await page.post("/lists/invoices/columns", data={"state": "/invoices"})).status_code == 403
    assert (await page.get("/lists/shoes/views/new")).status_code == 404
    assert (await page.get("/lists/inventory.items/views/new")).status_code == 404


async def test_L3_of_two_who_change_a_view_at_once_the_second_is_told(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = tenant.scope()
    view_id = await views.create_view(scope, FULL, ViewFields(name="Cologne"), {"city.has": "koln"})
    real, other = views._free_name, list[Any]()

    async def meanwhile(*given: Any) -> str:
        if not other:
            other.append(spawn(change("Theirs")))
            await asyncio.wait(other, timeout=0.3)
        return await real(*given)

    async def change(name: str) -> None:
        await views.change_view(scope, FULL, view_id, fields=ViewFields(name=name), version=1)

    monkeypatch.setattr(views, "_free_name", meanwhile)
    answers = [*await asyncio.gather(change("Mine"), return_exceptions=True)]
    answers += await asyncio.gather(*other, return_exceptions=True)

    assert [type(one) for one in answers] == [type(None), Stale]
    assert (await views.get_view(scope, FULL.key, view_id)).name == "Mine"


# -- segments ---------------------------------------------------------------------------------------------------------


async def test_F6_a_view_s_filters_say_who_is_meant_within_the_actor_s_reach(tenant: TestTenant) -> None:
    await fill(tenant)
    scope = tenant.scope()
    view_id = await views.create_view(
        scope, FULL, ViewFields(name="Cologne", shared=True), {"city.has": "koln", "balance.to": "0", "q": "ann"}
    )

    meant = await views.segment(scope, FULL, view_id)
    everyone = await values(f"SELECT id FROM customer WHERE id IN ({meant.sql}) ORDER BY id", **meant.values)
    reseller = tenant.scope(actor=Actor("staff", 1, "Reseller", Partitions((2,)), ALL_PERMISSIONS))
    within = await views.condition(reseller, FULL, {"city.has": "koln"})
    theirs = await values(f"SELECT id FROM customer WHERE id IN ({within.sql}) ORDER BY id", **within.values)

    assert everyone == [one for one in range(1, 25) if one % 3 == 1]
    assert theirs == [10]


async def test_F6_a_segment_that_no_longer_fits_means_nobody(tenant: TestTenant) -> None:
    await fill(tenant)
    scope = tenant.scope()
    await actions.add_tag(scope, 1, "harbour")
    tag = str(await value("SELECT id FROM tag"))
    view_id = await views.create_view(scope, FULL, ViewFields(name="Harbour"), {"tags": tag, "city.has": "koln"})
    async with unit_of_work(scope):
        await execute("DELETE FROM customer_tag")
        await execute("DELETE FROM tag")

    with pytest.raises(Invalid):
        await views.segment(scope, FULL, view_id)


async def test_F6_a_filter_that_the_list_does_not_have_means_nobody(tenant: TestTenant) -> None:
    scope = tenant.scope()

    with pytest.raises(Invalid) as refused:
        await views.create_view(scope, FULL, ViewFields(name="Typed wrong"), {"statsu": "active"})
    assert refused.value.errors[0].field == "statsu"
    with pytest.raises(Invalid):
        await views.condition(scope, FULL, {"city.has": "koln", "shoe": "42"})


async def test_F6_segments_are_made_counted_and_deleted_over_json(tenant: TestTenant) -> None:
    await fill(tenant)
    api = await tenant.api()

    made = await api.post("/api/v1/lists/customers/views", json={"name": "Cologne", "filters": {"city.has": "koln"}})
    view_id = made.json()["id"]
    path = f"/api/v1/lists/customers/views/{view_id}"

    assert made.status_code == 201, made.text
    assert (await api.get("/api/v1/lists/customers/views")).json() == [made.json()]
    assert (await api.get(f"{path}/matching")).json() == {"count": 8}
    rows = (await api.get(f"/api/v1/customers?view={view_id}&sort=-name&limit=3")).json()
    assert [one["id"] for one in rows["items"]] == [22, 19, 16]
    changed = await api.patch(path, json={"filters": {"city.empty": "yes"}, "columns": ["name", "id"], "version": 1})
    assert (changed.json()["version"], changed.json()["columns"]) == (2, ["name", "id"])
    assert (await api.patch(path, json={"name": "Late", "version": 1})).status_code == 409
    assert (await api.get(f"{path}/matching")).json() == {"count": 8}
    for wrong in ({"filters": {"status": "none"}}, {"columns": ["shoe"]}, {"filters": {"sort": "shoe"}}):
        assert (await api.patch(path, json=wrong)).status_code == 422, wrong
    assert (await api.delete(path)).json() == {"id": view_id}
    assert (await api.get(path)).status_code == 404
    assert (await api.get(f"/api/v1/customers?view={view_id}")).status_code == 404


# -- sums -------------------------------------------------------------------------------------------------------------


async def test_B1_sums_stand_under_a_list_for_the_page_and_for_all_that_match(tenant: TestTenant) -> None:
    scope = tenant.scope()
    payer = await actions.create_customer(scope, NewCustomer(full_name="Ann"))
    async with unit_of_work(scope):
        method = await value("SELECT id FROM payment_method LIMIT 1")
        await execute_many(
            "INSERT INTO payment (payer_id, method_id, state, currency, amount_minor, bank_currency,"
            " bank_amount_minor, received_on, created_at)"
            " VALUES (:payer, :method, :state, :currency, :minor, :currency, :minor, :on, :now)",
            [
                {
                    "payer": payer,
                    "method": method,
                    "state": "failed" if number == 1 else "received",
                    "currency": "USD" if number % 30 == 0 else "EUR",
                    "minor": number * 100,
                    "on": scope.today(),
                    "now": scope.now(),
                }
                for number in range(1, 61)
            ],
        )
    page = await tenant.browser()

    shown = (await page.get("/payments")).text
    everything = await page.get("/lists/payments/totals?amount.from=3")
    reach = (await page.get("/lists/customers/totals?columns=name")).status_code

    totals = shown[shown.index("<tfoot") :]
    assert "Total of this page" in totals
    assert "90.00 USD" in totals
    assert "1,685.00 EUR" in totals
    assert "Total of all that match" in everything.text
    assert "1,737.00 EUR" in everything.text
    assert reach == 404


# -- exports ----------------------------------------------------------------------------------------------------------


def read_csv(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


async def test_L8_an_export_is_what_is_shown_and_stands_in_the_activity(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.lists.exporting.PIECE", 5)
    await fill(tenant)
    page = await tenant.browser()
    asked = "city.has=koln&sort=-joined,name&columns=name,joined,city,balance"

    answer = await page.get(f"/lists/customers/export?{asked}&format=csv")

    head, *lines = read_csv(answer.text)
    found = await FULL.read(tenant.scope(), {"city.has": "koln", "sort": "-joined,name"}, choices=await list_choices())
    assert head == ["Name", "Joined", "City", "Balance", "Currency"]
    assert [line[0] for line in lines] == [one.full_name for one in found.rows]
    assert lines[0][1:] == ["2020-01-04", "Köln", "0.00", "EUR"]
    assert "customers-" in answer.headers["content-disposition"]
    told = await value(
        "SELECT v.new FROM activity a JOIN activity_value v ON v.position = a.position"
        " WHERE a.kind = 'list_exported' AND v.field = 'address'"
    )
    assert "city.has=koln" in told


async def test_L8_cells_that_a_spreadsheet_would_run_are_harmless_in_both_kinds_of_file(tenant: TestTenant) -> None:
    scope = tenant.scope()
    for name in ("=1+1", "+49", "-x", "@cmd", "\tTab", "Plain"):
        async with unit_of_work(scope):
            made = await actions.create_customer(scope, NewCustomer(full_name="Ann"))
            await execute("UPDATE customer SET full_name = :name WHERE id = :id", name=name, id=made)
    page = await tenant.browser()

    lines = read_csv((await page.get("/lists/customers/export?sort=id&columns=name")).text)[1:]
    book = CalamineWorkbook.from_filelike(
        io.BytesIO((await page.get("/lists/customers/export?sort=id&columns=name&format=xlsx")).content)
    )

    assert [line[0] for line in lines] == ["'=1+1", "'+49", "'-x", "'@cmd", "'\tTab", "Plain"]
    assert [row[0] for row in book.get_sheet_by_index(0).to_python()][1:] == [line[0] for line in lines]


async def test_L8_more_rows_than_a_workbook_holds_are_refused_before_anything_is_sent(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.lists.exporting.XLSX_ROWS", 10)
    await fill(tenant)
    page = await tenant.browser()

    assert (await page.get("/lists/customers/export?format=xlsx")).status_code == 422
    assert await value("SELECT count(*) FROM activity WHERE kind = 'list_exported'") == 0
    assert (await page.get("/lists/customers/export?format=xlsx&city.has=koln")).status_code == 200
    assert (await page.get("/lists/customers/export?format=csv")).status_code == 200


async def test_L8_an_instant_leaves_in_the_tenant_s_zone_as_it_is_shown(tenant: TestTenant) -> None:
    scope = tenant.scope()
    moment = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    column = ListColumn(key="seen", label="Seen", kind="datetime", value=lambda row: moment)

    ((cell,),) = export_lines(FULL, [column], [None], Drawing(scope))

    assert str(cell) == "2026-07-01 23:30:00+01:00"
    assert text_of(moment, scope).endswith("23:30")


async def test_L8_taking_a_list_away_needs_its_permission_and_shows_no_more_than_the_reach(tenant: TestTenant) -> None:
    await fill(tenant)
    may_not = await tenant.browser(staff_id=await tenant.staff_with({"customers.view"}))
    may_not_see = await tenant.browser(staff_id=await tenant.staff_with({"lists.export"}))

    assert (await may_not.get("/lists/customers/export")).status_code == 403
    assert "/export?" not in (await may_not.get("/customers")).text
    assert (await may_not_see.get("/lists/customers/export")).status_code == 403
    page = await tenant.browser()
    assert (await page.get("/lists/customers/export?format=exe")).status_code == 422
    assert (await page.get("/lists/customers/export?status=none")).status_code == 422
    assert await value("SELECT count(*) FROM activity WHERE kind = 'list_exported'") == 0


async def test_L8_an_export_over_json_takes_a_view_and_the_token_s_permission(tenant: TestTenant) -> None:
    await fill(tenant)
    api, poor = await tenant.api(), await tenant.api({"customers.view"})
    made = await api.post(
        "/api/v1/lists/customers/views",
        json={"name": "Cologne", "filters": {"city.has": "koln", "sort": "-name"}, "columns": ["name", "id"]},
    )

    answer = await api.get(f"/api/v1/lists/customers/export?view={made.json()['id']}")

    narrowed = await api.get(f"/api/v1/lists/customers/export?view={made.json()['id']}&columns=name&services=2")
    unknown = await api.get("/api/v1/lists/customers/export?view=99")

    assert answer.status_code == 200, answer.text
    assert read_csv(answer.text)[:2] == [["Name", "Id"], ["Ann 022", "22"]]
    assert read_csv(narrowed.text) == [["Name"], ["Ann 022"], ["Ann 010"]]
    assert unknown.status_code == 404
    assert (await poor.get("/api/v1/lists/customers/export")).status_code == 403
    assert {one["key"] for one in (await api.get("/api/v1/lists")).json()} >= {"customers", "invoices", "payments"}


# -- what there is to see ---------------------------------------------------------------------------------------------


async def test_L1_every_field_of_the_list_can_be_shown_and_is_the_customer_s(tenant: TestTenant) -> None:
    scope = tenant.scope()
    parent = await actions.create_customer(scope, NewCustomer(full_name="Parent"))
    made = await actions.create_customer(
        scope,
        NewCustomer(
            full_name="Ann Other",
            company="Ann Ltd",
            login="ann7",
            emails=["ann@example.com"],
            phones=["+353 1 555 0101"],
            street="1 Quay",
            zip="D01",
            city="Dublin",
            country="IE",
        ),
    )
    async with unit_of_work(scope):
        await execute("UPDATE customer SET parent_id = :parent WHERE id = :id", parent=parent, id=made)
    page = await tenant.browser()
    columns = "name,id,login,company,phone,email,street,zip,city,country,billing_type,currency,parent,status,balance"

    lines = read_csv((await page.get(f"/lists/customers/export?sort=-id&columns={columns}")).text)
    shown = (await page.get(f"/customers?billing_type=recurring&login.has=ann7&columns={columns}")).text

    assert lines[0] == [
        *("Name", "Id", "Login", "Company", "Phone", "E-mail", "Street", "ZIP", "City", "Country", "Billing type"),
        *("Currency", "Parent", "Status", "Balance"),
    ]
    assert lines[1] == [
        *(
            "Ann Other",
            str(made),
            "ann7",
            "Ann Ltd",
            "'+35315550101",
            "ann@example.com",
            "1 Quay",
            "D01",
            "Dublin",
            "IE",
        ),
        *("Recurring", "EUR", "Parent", "New", "0.00"),
    ]
    assert "1 of 1" in shown
    for text in ("ann7", "Ann Ltd", "1 Quay", "Recurring"):
        assert text in shown
