"""What stands round a list's rows: how many each view leaves, all counted, rows of a page, sums of balances."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta

import msgspec
import pytest

from core.activity.unit import unit_of_work
from core.billing import actions as billing
from core.billing.schemas import NewDraft, NewLine
from core.customers import actions
from core.customers.addresses import grouped
from core.customers.routes import CUSTOMER_LIST
from core.customers.schemas import NewCustomer
from core.database import Everything, Partitions, execute, execute_many, value, values
from core.lists import counting, views, ways
from core.lists.counting import counts_of
from core.lists.views import ViewFields
from core.scope import ALL_PERMISSIONS, Actor, Scope
from core.testing import TestTenant
from core.texts import speaking

HTMX = {"hx-request-type": "partial"}


async def fill(tenant: TestTenant, many: int) -> None:
    """Every third of them is new, the others are active; each fifth is of another reseller."""
    async with unit_of_work(tenant.scope()):
        await execute_many(
            "INSERT INTO customer (full_name, name_key, partition_id, status_id, currency, joined_on, created_at)"
            " VALUES (:name, :key, :partition, (SELECT id FROM status WHERE key = :status), :currency, :joined, :now)",
            [
                {
                    "name": f"Ann {number:03}",
                    "key": f"ann {number:03}",
                    "partition": 2 if number % 5 == 0 else 1,
                    "status": "new" if number % 3 == 0 else "active",
                    "currency": "USD" if number == 7 else "EUR",
                    "joined": date(2026, 3, 1) + timedelta(days=number),
                    "now": tenant.clock.now(),
                }
                for number in range(1, many + 1)
            ],
        )


async def owes(scope: Scope, payer_id: int, terms_days: int) -> None:
    """An invoice of today that is due in so many days, unpaid."""
    line = NewLine(description="Visit", unit_price_e6=100_000_000)
    draft_id = await billing.create_draft(scope, NewDraft(payer_id=payer_id, terms_days=terms_days, lines=[line]))
    await billing.issue(scope, draft_id)


def told(page: str) -> Mapping[str, str]:
    """The counts of the tabs as they come after the page, by the ids of their places."""
    return dict(re.findall(r'id="(count-[a-z\d]+)" hx-morph-skip>([^<]*)<', page))


# -- how many each view leaves ----------------------------------------------------------------------------------------


async def test_L3_each_view_says_how_many_rows_it_leaves_once_the_page_stands(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "COUNTED", 20)
    await fill(tenant, 30)
    browser = await tenant.browser()
    alone = (await browser.get("/customers")).text
    new = await views.create_view(tenant.scope(), CUSTOMER_LIST, ViewFields(name="New", shared=True), {"status": "new"})

    page = (await browser.get("/customers")).text
    counts = (await browser.get("/lists/customers/counts", headers=HTMX)).text

    assert "/lists/customers/counts" not in alone
    assert 'hx-get="/lists/customers/counts" hx-trigger="load"' in page
    assert f'id="count-{new}" hx-morph-skip hidden' in page
    assert told(counts) == {"count-all": "20+", f"count-{new}": "10"}


async def test_L3_a_view_is_counted_within_the_reach_of_who_looks(tenant: TestTenant) -> None:
    await fill(tenant, 30)
    reseller = tenant.scope(actor=Actor("staff", 5, "Reseller", Partitions((2,)), ALL_PERMISSIONS))

    (everybody,) = await counts_of(tenant.scope(), CUSTOMER_LIST)
    (own,) = await counts_of(reseller, CUSTOMER_LIST)

    assert (everybody.said, own.said) == ("30", "6")


async def test_L3_views_whose_filter_is_gone_and_those_that_would_take_too_long_stay_without_a_count(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(tenant, 6)
    scope = tenant.scope()
    customer_id = (await values("SELECT id FROM customer LIMIT 1"))[0]
    tag = await actions.add_tag(scope, customer_id, "vip")
    tag_id = await value("SELECT id FROM tag")
    await views.create_view(scope, CUSTOMER_LIST, ViewFields(name="VIP"), {"tags": str(tag_id)})
    before = [one.said for one in await counts_of(scope, CUSTOMER_LIST)]
    async with unit_of_work(scope):
        await execute("DELETE FROM customer_tag")
        await execute("DELETE FROM tag")

    gone = [one.said for one in await counts_of(scope, CUSTOMER_LIST)]
    monkeypatch.setattr(counting, "SECONDS", -1.0)
    late = await counts_of(scope, CUSTOMER_LIST)

    assert tag
    assert (before, gone, late) == (["6", "1"], ["6"], [])


async def test_L2_who_owes_something_overdue_is_a_filter_and_its_count_is_bad_news(tenant: TestTenant) -> None:
    await fill(tenant, 6)
    scope = tenant.scope()
    first, second, third = (await values("SELECT id FROM customer ORDER BY id LIMIT 3"))[:3]
    for payer_id, days in ((first, 8), (first, 0), (second, 9), (third, 8)):
        await owes(scope, payer_id, days)
    tenant.clock.move(timedelta(days=9))
    view = await views.create_view(scope, CUSTOMER_LIST, ViewFields(name="Overdue"), {"overdue": "yes"})
    browser, api = await tenant.browser(), await tenant.api()

    page = (await browser.get("/customers?overdue=yes")).text
    counts = await counts_of(scope, CUSTOMER_LIST)
    over_json = (await api.get("/api/v1/customers?overdue=yes&sort=id")).json()["items"]

    assert re.findall(r'id="customer-(\d+)"', page) == [str(first), str(third)]
    assert [(one.key, one.said, one.tone) for one in counts] == [("all", "6", ""), (str(view), "2", "bad")]
    assert [one["id"] for one in over_json] == [first, third]


# -- all of them ------------------------------------------------------------------------------------------------------


async def test_L1_a_count_that_stops_at_a_thousand_can_be_counted_to_its_end(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (ways, counting):
        monkeypatch.setattr(module, "COUNTED", 20)
    monkeypatch.setattr("core.lists.showing.COUNTED", 20)
    await fill(tenant, 63)
    browser = await tenant.browser()

    page = (await browser.get("/customers?status=active")).text
    few = (await browser.get("/customers?status=active&name.has=01")).text
    (offered,) = re.findall(r'hx-get="(/lists/customers/count\?[^"]*)"', page)
    counted = await browser.get(offered.replace("&amp;", "&"))

    assert "42 of 20+" in page
    assert "Count all" not in few
    assert counted.text == "<span data-said>42 of 42</span>"


async def test_L1_of_lists_that_one_may_not_see_nothing_is_counted(tenant: TestTenant) -> None:
    browser = await tenant.browser(staff_id=await tenant.staff_with({"documents.view"}))

    answers = [await browser.get(f"/lists/customers/{part}") for part in ("counts", "count")]

    assert [one.status_code for one in answers] == [403, 403]


# -- rows of a page ---------------------------------------------------------------------------------------------------


async def test_L3_the_rows_of_a_page_are_chosen_and_kept_for_one_person(tenant: TestTenant) -> None:
    await fill(tenant, 60)
    browser = await tenant.browser()
    answer = await browser.post("/lists/customers/rows", data={"rows": "25", "state": "sort=-name&q=ann"}, headers=HTMX)

    mine = (await browser.get("/customers?sort=-name")).text
    other = (await (await tenant.browser()).get("/invoices")).text
    somebody = tenant.scope(actor=Actor("staff", 99, "Other", Everything(), ALL_PERMISSIONS))
    theirs = await views.kept_of(somebody, "customers")
    refused = await browser.post("/lists/customers/rows", data={"rows": "26"}, headers=HTMX)

    assert answer.status_code == 200, answer.text
    assert msgspec.json.decode(answer.headers["hx-location"])["path"] == "/customers?sort=-name&q=ann"
    assert len(re.findall(r'<tr id="customer-', mine)) == 25
    assert "25 of 60" in mine
    assert "<option selected>25</option>" in mine
    assert "<option selected>25</option>" not in other
    assert theirs.size == 50
    assert (refused.status_code, "25, 50, 100" in refused.text) == (422, True)


# -- sums of balances -------------------------------------------------------------------------------------------------


async def test_L1_balances_are_added_up_for_the_page_and_for_all_by_currency(tenant: TestTenant) -> None:
    await fill(tenant, 60)
    scope = tenant.scope()
    async with unit_of_work(scope):
        for customer_id, currency, minor in ((1, "EUR", 500), (60, "EUR", 25), (7, "USD", 900)):
            found = await value("SELECT id FROM customer WHERE name_key = :key", key=f"ann {customer_id:03}")
            await execute(
                "UPDATE customer_balance SET receivable_minor = :minor WHERE customer_id = :id"
                " AND currency = :currency",
                id=found,
                minor=minor,
                currency=currency,
            )
    browser = await tenant.browser()

    page = (await browser.get("/customers")).text
    everything = (await browser.get("/lists/customers/totals")).text
    hidden = (await browser.get("/customers?columns=name,city")).text

    foot = page[page.index("<tfoot") :]
    assert "−5.00 EUR, −9.00 USD" in foot
    assert "−5.25 EUR, −9.00 USD" in everything
    assert "<tfoot" not in hidden


# -- what a new tenant begins with ------------------------------------------------------------------------------------


async def test_L3_a_new_tenant_s_staff_find_shared_views_in_its_language(tenant: TestTenant) -> None:
    scope = tenant.scope()
    with speaking("de"):
        await views.create_first_views(scope, CUSTOMER_LIST)

    found = await views.list_views(scope, "customers")

    assert [(one.name, one.shared, one.query) for one in found] == [
        ("Aktiv", True, {"status": "active", "sort": "name"}),
        ("Neu in diesem Monat", True, {"joined.from": "month", "sort": "-joined"}),
        ("Überfällig", True, {"overdue": "yes", "sort": "name"}),
    ]


# -- phones -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("+353655550142", "+353 65 555 0142"),
        ("+436641234567", "+43 664 1234567"),
        ("+12125550142", "+1 212-555-0142"),
        ("", ""),
        ("+", "+"),
        ("reception", "reception"),
    ],
)
def test_L1_a_phone_number_is_read_in_the_groups_of_its_country(stored: str, read: str) -> None:
    assert grouped(stored) == read


async def test_L1_the_list_groups_numbers_and_keeps_them_whole_to_search_export_and_copy(
    tenant: TestTenant,
) -> None:
    scope = tenant.scope()
    customer_id = await actions.create_customer(
        scope, NewCustomer(full_name="Ann", country="IE", phones=["065 555 0142"])
    )
    browser = await tenant.browser()

    page = (await browser.get("/customers")).text
    own = (await browser.get(f"/customers/{customer_id}")).text
    found = (await browser.get("/customers?q=%2B353 65 555")).text
    taken = (await browser.get("/lists/customers/export?columns=name,phone")).text

    assert 'data-number="+353655550142">+353 65 555 0142<' in page
    assert "+353 65 555 0142" in own
    assert f'id="customer-{customer_id}"' in found
    assert "'+353655550142" in taken
