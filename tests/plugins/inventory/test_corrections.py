"""What is rented ends by itself, what was typed wrongly is corrected, two who edit at once are told, history reads."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core import hookspecs
from core.activity.actions import enable_reader
from core.activity.delivery import Deliveries, plugin_reader
from core.activity.queries import timeline
from core.activity.unit import unit_of_work
from core.customers import actions as customers
from core.customers.timeline import in_words
from core.database import Partitions, execute, values
from core.errors import Stale
from core.scope import schedule_actor
from core.settings.actions import save_settings
from core.staff import queries as staff_queries
from core.subscriptions import actions as subscriptions
from core.subscriptions.actions.ending import end, end_due, withdraw
from core.subscriptions.queries import get_subscription
from core.testing import TestTenant
from plugins.inventory import actions, queries, routes
from plugins.inventory.plugin import MANIFEST, InventorySettings
from plugins.inventory.schemas import ItemFields, LocationFields, NewItem, ProductFields, Rental, Sale, VendorFields
from tests.plugins.inventory.test_handing import customer, hidden, router

pytestmark = pytest.mark.plugins("inventory")


async def told(tenant: TestTenant) -> None:
    """The plugin hears what happened."""
    reader = plugin_reader("inventory", MANIFEST.events, hookspecs)
    await Deliveries().turn(tenant.scope(actor=schedule_actor("worker")), reader)


async def rented(tenant: TestTenant) -> tuple[int, int, int]:
    """A customer, the item that it rents, and the subscription."""
    scope = tenant.scope()
    await enable_reader(scope, "inventory")
    someone, item_id = await customer(scope), await router(scope)
    return someone, item_id, await actions.rent_item(scope, item_id, Rental(customer_id=someone))


async def status_of(item_id: int) -> str:
    return (await queries.item_after(item_id)).status


# -- rent that ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["terminated", "withdrawn", "expired", "voided"])
async def test_G2_what_was_rented_is_asked_back_however_its_subscription_ends(tenant: TestTenant, how: str) -> None:
    someone, item_id, subscription_id = await rented(tenant)
    scope = tenant.scope()

    match how:
        case "terminated":
            await subscriptions.terminate(scope, subscription_id)
        case "withdrawn":
            await withdraw(scope, subscription_id)
        case "voided":
            await end(scope, subscription_id, "voided")
        case _:
            ends_on = await subscriptions.cancel_at_expiry(scope, subscription_id)
            await told(tenant)
            assert await status_of(item_id) == "rented", "an end that is only set asks for nothing"
            tenant.clock.move(timedelta(days=(ends_on - scope.today()).days))
            await end_due(tenant.scope(), tenant.scope().today(), 10)
    await told(tenant)
    await told(tenant)

    item = await queries.item_after(item_id)
    assert (item.status, item.customer_id, item.subscription_id) == ("to_return", someone, subscription_id)
    asked = [
        one
        for one in await timeline(tenant.scope(), subject=("inventory_item", item_id))
        if one.kind == "inventory_return_asked"
    ]
    assert [one.actor for one in asked] == ["plugin:inventory"]
    await actions.keep_item(tenant.scope(), item_id)
    assert await status_of(item_id) == "assigned", "rent that is over does not come back"


async def test_G2_what_is_back_or_sold_is_not_asked_for_when_its_rent_ends(tenant: TestTenant) -> None:
    scope = tenant.scope()
    _, back, _ = await rented(tenant)
    sold = await router(scope, "B2")
    await actions.rent_item(scope, sold, Rental(customer_id=await customer(scope, "Bob Other")))

    await actions.return_item(scope, back)
    await actions.sell_item(scope, sold, Sale())
    await told(tenant)

    assert (await status_of(back), await status_of(sold)) == ("in_stock", "sold")


async def test_G2_nothing_is_asked_back_where_the_operator_does_not_want_it(tenant: TestTenant) -> None:
    _, item_id, subscription_id = await rented(tenant)
    await save_settings(tenant.scope(), InventorySettings(ask_back=False))

    await subscriptions.terminate(tenant.scope(), subscription_id)
    await told(tenant)

    assert await status_of(item_id) == "rented"


async def test_G2_who_is_terminated_is_asked_once_for_what_it_rents(tenant: TestTenant) -> None:
    someone, item_id, subscription_id = await rented(tenant)
    scope = tenant.scope()

    await customers.change_status(scope, someone, "terminated")
    await told(tenant)

    assert (await get_subscription(scope, subscription_id)).state == "ended"
    lines = [one.kind for one in await timeline(scope, subject=("inventory_item", item_id))]
    assert (await status_of(item_id), lines.count("inventory_return_asked")) == ("to_return", 1)


# -- corrected --------------------------------------------------------------------------------------------------------


async def test_G2_every_product_is_offered_however_many_there_are(tenant: TestTenant) -> None:
    scope = tenant.scope()
    item_id = await actions.add_item(scope, NewItem(product="R6", serial="A1"))
    await execute(
        "INSERT INTO inventory_product (name, name_key) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 600) SELECT 'S' || i, 's' || i FROM n"
    )
    page = await tenant.browser()

    offered = await page.get(f"/inventory/items/{item_id}/section/edit")
    suggested = await page.get("/inventory/items/new")

    assert all(f">S{number}</option>" in offered.text for number in (1, 99, 600))
    assert all(f'<option value="S{number}">' in suggested.text for number in (1, 99, 600))


async def test_G2_an_item_of_the_wrong_product_is_corrected_on_its_page_and_over_json(tenant: TestTenant) -> None:
    scope = tenant.scope()
    item_id = await actions.add_item(scope, NewItem(product="R6", vendor="Kestra", serial="A1"))
    right = await actions.add_product(scope, ProductFields(name="R7", vendor="Kestra"))
    page, api = await tenant.browser(), await tenant.api()
    at = f"/inventory/items/{item_id}/section"

    offered = await page.get(f"{at}/edit")
    saved = await page.put(at, data={"version": "1", "product_id": str(right), "serial": "A1", "condition": "new"})
    unknown = await page.put(at, data={"version": "2", "product_id": "999", "serial": "A1", "condition": "new"})
    stays = await api.put(f"/api/v1/inventory/items/{item_id}", json={"version": 2, "serial": "A9"})
    wrong = await api.put(f"/api/v1/inventory/items/{item_id}", json={"version": 3, "serial": "A9", "product_id": 999})
    line = (await in_words(scope, await timeline(scope, subject=("inventory_item", item_id))))[1]

    assert f'<option value="{right}"' in offered.text
    assert saved.status_code == 200, saved.text
    assert "Kestra R7" in saved.text
    assert unknown.status_code == 422
    assert "Choose a product of the list" in unknown.text
    assert (stays.json()["product_id"], stays.json()["serial"]) == (right, "A9")
    assert [one["field"] for one in wrong.json()["errors"]] == ["product_id"]
    assert [(one.label, one.old, one.new) for one in line.changes] == [("Product", "Kestra R6", "Kestra R7")]


async def test_G2_two_who_choose_another_product_see_both_names(tenant: TestTenant) -> None:
    scope = tenant.scope()
    item_id = await actions.add_item(scope, NewItem(product="R6", serial="A1"))
    first, second = [await actions.add_product(scope, ProductFields(name=name)) for name in ("R7", "R8")]
    page = await tenant.browser()

    await actions.change_item(scope, item_id, ItemFields(serial="A1", product_id=first), version=1)
    told = await page.put(
        f"/inventory/items/{item_id}/section",
        data={"version": "1", "product_id": str(second), "serial": "A1", "condition": "new"},
    )

    assert told.status_code == 409
    assert {"R7", "R8"} <= {name for name in ("R7", "R8") if f">{name}<" in told.text or f"{name}</" in told.text}
    assert (await queries.item_after(item_id)).product_id == first


# -- at once ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["vendor", "location"])
async def test_G2_who_saves_a_vendor_or_location_second_is_told_what_stands_there(
    tenant: TestTenant, kind: str
) -> None:
    scope = tenant.scope()
    own = "contact" if kind == "vendor" else "note"
    fields: Any = VendorFields if kind == "vendor" else LocationFields
    add: Any = actions.add_vendor if kind == "vendor" else actions.add_location
    change: Any = actions.change_vendor if kind == "vendor" else actions.change_location
    get: Any = queries.get_vendor if kind == "vendor" else queries.get_location
    row_id = await add(scope, fields("Kestra"))
    page, api = await tenant.browser(), await tenant.api()
    at = f"/inventory/{kind}s/{row_id}"

    form = hidden(await page.get(at))
    await change(scope, row_id, fields("Kestra", "theirs"), version=1)
    late = await page.post(at, data={"version": form["version"], "name": "Kestra", own: "mine"})
    refused = await page.post(at, data={"version": "2", "name": "", own: "mine"})
    over_json = await api.put(f"/api/v1/inventory/{kind}s/{row_id}", json={"version": 1, "name": "Kestra"})
    unsaid = await api.put(f"/api/v1/inventory/{kind}s/{row_id}", json={"name": "Kestra"})
    again = await page.post(at, data={"version": hidden(late)["version"], "name": "Kestra", own: "mine"})
    by_header = await api.put(
        f"/api/v1/inventory/{kind}s/{row_id}", json={"name": "Kestra", own: "third"}, headers={"If-Match": '"3"'}
    )

    assert form["version"] == "1"
    assert late.status_code == 409
    assert "It says now: theirs" in late.text
    assert "mine" in late.text
    assert (refused.status_code, hidden(refused)["version"]) == (422, "2")
    assert over_json.status_code == 409
    assert over_json.json()["details"]["fields"] == {own: {"theirs": "theirs", "yours": ""}}
    assert unsaid.status_code == 422
    assert again.status_code == 303
    assert (by_header.json()["version"], by_header.json()[own]) == (4, "third")
    with pytest.raises(Stale):
        await change(scope, row_id, fields("Other"), version=1)
    assert getattr(await get(row_id), own) == "third"


# -- sale -------------------------------------------------------------------------------------------------------------


async def test_G2_the_tax_of_a_sale_is_chosen_in_its_drawer(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone, item_id = await customer(scope), await router(scope)
    page = await tenant.browser()
    at = f"/inventory/items/{item_id}/deeds/sell?customer={someone}"

    offered = await page.get(at, headers={"hx-request-type": "partial"})
    at_once = {**hidden(offered), "customer": str(someone), "amount": "49.00", "tax_category": "reduced"}
    wrong = await page.get(at, params={**at_once, "tax_category": "none of ours"})
    planned = await page.get(at, params=at_once, headers={"hx-request-type": "partial"})
    done = await page.post(at.partition("?")[0], data={**at_once, "seen": hidden(planned)["seen"]})

    assert '<option value="standard" selected' in offered.text
    assert '<option value="reduced"' in offered.text
    assert done.status_code in (200, 303), done.text
    assert await values("SELECT tax_category FROM charge WHERE customer_id = :id", id=someone) == ["reduced"]
    assert "Choose a tax category of the list" in wrong.text


# -- what is shown ----------------------------------------------------------------------------------------------------


async def test_G2_fields_of_hardware_have_names_and_costs_are_in_the_operators_currency(tenant: TestTenant) -> None:
    scope = tenant.scope()
    someone = await customer(scope, currency="USD")
    item_id = await router(scope)
    await actions.assign_item(scope, item_id, someone)
    item = await queries.item_after(item_id)

    await actions.change_item(
        scope, item_id, ItemFields(serial="A1", mac="00:11:22:33:44:55", condition="used", cost_minor=1250),
        version=item.version,
    )  # fmt: skip
    english = (await in_words(scope, await timeline(scope, customer_id=someone)))[0]
    german = await (await tenant.browser()).get(f"/customers/{someone}/activity", headers={"accept-language": "de"})

    told = {one.label: (one.old, one.new) for one in english.changes}
    assert told["Cost price"] == ("", "€12.50")
    assert told["Condition"] == ("New", "Used")
    assert {"MAC address", "Cost price", "Condition"} == set(told)
    assert {"MAC-Adresse", "Einkaufspreis", "Zustand"} <= {
        word for word in ("MAC-Adresse", "Einkaufspreis", "Zustand") if word in german.text
    }


async def test_G2_all_of_an_items_history_can_be_reached(tenant: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "HISTORY_PAGE", 2)
    scope = tenant.scope()
    item_id = await actions.add_item(scope, NewItem(product="R6", serial="N0"))
    for turn in range(1, 5):
        await actions.change_item(scope, item_id, ItemFields(serial=f"N{turn}"), version=turn)
    page = await tenant.browser()

    found, at = [], f"/inventory/items/{item_id}"
    for _ in range(3):
        shown = (await page.get(at)).text
        found.append([f"N{turn}" in shown.split("History")[-1] for turn in range(5)])
        older = shown.split(f'href="/inventory/items/{item_id}?before=')[1:]
        at = f"/inventory/items/{item_id}?before={older[0].split(chr(34))[0]}" if older else ""
        if not at:
            break

    assert len(found) == 3
    assert at == "", "the last page leads no further"
    assert [any(row[turn] for row in found) for turn in range(5)] == [True] * 5


async def test_G2_who_sees_some_customers_only_is_not_sent_to_the_stock(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    someone = await customer(tenant.scope())
    page = await tenant.browser()
    every = await page.get(f"/inventory/customers/{someone}")
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET partition_id = 7 WHERE id = :id", id=someone)
    monkeypatch.setattr(staff_queries, "REACH", Partitions((7,)))

    some = await page.get(f"/inventory/customers/{someone}")

    assert "Choose from stock" in every.text
    assert some.status_code == 200
    assert "Choose from stock" not in some.text
