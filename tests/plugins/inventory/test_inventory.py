"""The inventory plugin, through the hooks and pages that any plugin has."""

from __future__ import annotations

import re

import pytest

from core import hookspecs
from core.activity.actions import enable_reader
from core.activity.delivery import Deliveries, plugin_reader
from core.customers import actions as customers
from core.customers.schemas import NewCustomer
from core.errors import Conflict, Invalid, NotFound
from core.scope import schedule_actor
from core.testing import TestTenant
from plugins.inventory import actions, queries
from plugins.inventory.plugin import MANIFEST
from plugins.inventory.schemas import NewItem

pytestmark = pytest.mark.plugins("inventory")


async def test_an_assigned_item_stands_on_the_customers_page_and_in_its_tab(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await customers.create_customer(scope, NewCustomer(full_name="Ann Other"))
    item_id = await actions.add_item(scope, NewItem(product="Kestra R6", serial="KF-21-004417"))
    page = await tenant.browser()
    before = await page.get(f"/customers/{customer_id}")

    await actions.assign_item(scope, item_id, customer_id)

    after = await page.get(f"/customers/{customer_id}")
    assert "KF-21-004417" not in before.text
    assert "KF-21-004417" in after.text
    assert f'href="/inventory/customers/{customer_id}"' in after.text
    tab = await page.get(f"/inventory/customers/{customer_id}")
    assert "KF-21-004417" in tab.text
    assert re.findall(r'href="([^"]+)"[^>]* aria-current="page"', tab.text)[0] == "/customers"
    assert "KF-21-004417" in (await page.get("/search?q=kf-21")).text


async def test_an_item_is_with_one_customer_at_a_time(tenant: TestTenant) -> None:
    scope = tenant.scope()
    one = await customers.create_customer(scope, NewCustomer(full_name="One"))
    other = await customers.create_customer(scope, NewCustomer(full_name="Other"))
    item_id = await actions.add_item(scope, NewItem(product="Kestra R6", serial="A1"))
    await actions.assign_item(scope, item_id, one)

    with pytest.raises(Conflict, match="assigned cannot become assigned"):
        await actions.assign_item(scope, item_id, other)

    assert (await queries.get_item(scope, item_id)).customer_id == one


async def test_a_serial_number_exists_once_whatever_its_case(tenant: TestTenant) -> None:
    await actions.add_item(tenant.scope(), NewItem(product="Kestra R6", serial="ab-1"))

    with pytest.raises(Invalid) as refused:
        await actions.add_item(tenant.scope(), NewItem(product="Kestra R6", serial="AB-1"))

    assert refused.value.errors[0].field == "serial"


async def test_who_is_cancelled_is_asked_for_the_hardware(tenant: TestTenant) -> None:
    scope = tenant.scope()
    await enable_reader(scope, "inventory")
    customer_id = await customers.create_customer(scope, NewCustomer(full_name="Ann Other"))
    item_id = await actions.add_item(scope, NewItem(product="Kestra R6", serial="A1"))
    await actions.assign_item(scope, item_id, customer_id)

    await customers.change_status(scope, customer_id, "cancelled")
    reader = plugin_reader("inventory", MANIFEST.events, hookspecs)
    await Deliveries().turn(tenant.scope(actor=schedule_actor("worker")), reader)

    assert (await queries.get_item(scope, item_id)).status == "to_return"


@pytest.mark.plugins
async def test_where_the_plugin_is_off_its_pages_do_not_exist(tenant: TestTenant) -> None:
    page, api = await tenant.browser(), await tenant.api()

    assert (await page.get("/inventory/items")).status_code == 404
    assert (await api.get("/api/v1/inventory/items")).status_code == 404
    assert "Inventory" not in (await page.get("/customers")).text


async def test_items_over_the_api(tenant: TestTenant) -> None:
    api = await tenant.api(["inventory.view", "inventory.edit"])
    customer_id = await customers.create_customer(tenant.scope(), NewCustomer(full_name="Ann Other"))

    made = await api.post("/api/v1/inventory/items", json={"product": "ONT", "serial": "X1"})
    given = await api.post(f"/api/v1/inventory/items/{made.json()['id']}/assignment", json={"customer_id": customer_id})

    assert (made.status_code, given.json()["status"], given.json()["customer"]) == (201, "assigned", "Ann Other")
    assert (await api.get("/api/v1/inventory/items?limit=1")).json()["next"] is None
    assert (
        await api.post("/api/v1/inventory/items/999/assignment", json={"customer_id": customer_id})
    ).status_code == 404


async def test_a_customer_out_of_reach_cannot_be_given_anything(tenant: TestTenant) -> None:
    item_id = await actions.add_item(tenant.scope(), NewItem(product="ONT", serial="X1"))

    with pytest.raises(NotFound):
        await actions.assign_item(tenant.scope(), item_id, 12345)
