"""The ends of rows in the list of customers, and where a press on a row leads."""

from __future__ import annotations

import re

from core.activity.unit import unit_of_work
from core.customers import actions
from core.customers.schemas import NewCustomer
from core.database import execute
from core.messages.settings import MailSettings
from core.settings.actions import save_settings
from core.testing import TestTenant

PARTIAL = {"hx-request": "true", "hx-request-type": "partial"}


async def somebody(tenant: TestTenant, status: str, name: str = "Ada <Adler>") -> int:
    customer_id = await actions.create_customer(tenant.scope(), NewCustomer(full_name=name))
    async with unit_of_work(tenant.scope()):
        await execute(
            "UPDATE customer SET status_id = (SELECT id FROM status WHERE key = :key) WHERE id = :id",
            key=status,
            id=customer_id,
        )
    return customer_id


async def mail_set_up(tenant: TestTenant) -> None:
    await save_settings(tenant.scope(), MailSettings(host="mail.example", sender_address="office@acme.example"))


def row_of(page: str, customer_id: int) -> str:
    found = re.search(rf'<tr id="customer-{customer_id}">.*?</tr>', page, re.DOTALL)
    assert found is not None
    return found[0]


async def test_L6_a_row_ends_with_what_can_be_made_from_there_the_rest_greyed_with_the_reason(
    tenant: TestTenant,
) -> None:
    live, ended = await somebody(tenant, "active"), await somebody(tenant, "inactive")
    await mail_set_up(tenant)
    page = await tenant.browser()

    listed = (await page.get("/customers")).text

    row = row_of(listed, live)
    for path in ("messages/new", "invoices/new", "subscriptions", "row-menu"):
        assert f"/customers/{live}/{path}" in row
    assert "Ada &lt;Adler&gt;" in row
    assert "Ada <Adler>" not in row
    assert f'href="/customers/{ended}/subscriptions"' not in row_of(listed, ended)
    assert "A customer that is Inactive cannot order" in row_of(listed, ended)


async def test_M8_without_a_mail_server_the_icon_is_greyed_and_says_where_to_set_it_up(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant, "active")
    page = await tenant.browser()

    before = row_of((await page.get("/customers")).text, customer_id)
    await mail_set_up(tenant)
    after = row_of((await page.get("/customers")).text, customer_id)

    assert 'aria-label="Write e-mail: No mail server is set up: see Settings, Mail"' in before
    assert "messages/new" not in before
    assert "No mail server" not in after
    assert f'href="/customers/{customer_id}/messages/new"' in after


async def test_L6_icons_stand_there_for_those_who_may(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant, "active")
    page = await tenant.browser(staff_id=await tenant.staff_with(["customers.view"]))

    row = row_of((await page.get("/customers")).text, customer_id)
    menu = (await page.get(f"/customers/{customer_id}/row-menu", headers=PARTIAL)).text

    assert "messages/new" not in row
    assert "invoices/new" not in row
    assert "Open" in menu
    assert "Enable" not in menu
    assert "Tags" not in menu


async def test_L6_the_menu_of_a_row_holds_its_status_tags_and_all_that_its_page_has(tenant: TestTenant) -> None:
    active, closed = await somebody(tenant, "active"), await somebody(tenant, "closed")
    page = await tenant.browser()

    menu = (await page.get(f"/customers/{active}/row-menu", headers=PARTIAL)).text
    other = (await page.get(f"/customers/{closed}/row-menu", headers=PARTIAL)).text
    plain = await page.get(f"/customers/{active}/row-menu")

    assert "It is Active already." in menu
    assert f"/customers/{active}/status?status=inactive" in menu
    assert f'href="/customers/{active}/subscriptions"' in menu
    assert f'href="/customers/{active}/invoices/new"' in menu
    assert "customers.add_tags" in menu
    assert "cannot order" in other
    assert plain.status_code == 303
    assert plain.headers["location"] == f"/customers/{active}"


async def test_L9_name_and_services_of_a_row_lead_to_the_customer_and_to_its_subscriptions(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant, "active")
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET live_subscriptions = 3 WHERE id = :id", id=customer_id)
    page = await tenant.browser()

    row = row_of((await page.get("/customers")).text, customer_id)

    assert f'<a href="/customers/{customer_id}">Ada' in row or f'href="/customers/{customer_id}" title="Ada' in row
    assert re.search(rf'<a href="/customers/{customer_id}/subscriptions"[^>]*>3</a>', row)
    assert f'<a href="/customers/{customer_id}">{customer_id}</a>' in row
