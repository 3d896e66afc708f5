"""What stands on every tab of a customer: the head (C1), the tabs (C2), and what may be done from there (C18)."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.activity.unit import unit_of_work
from core.customers import actions
from core.customers.schemas import NewCustomer
from core.database import execute
from core.testing import open_tenant

if TYPE_CHECKING:
    from core.scope import Scope
    from core.testing import TestTenant


async def somebody(scope: Scope) -> int:
    return await actions.create_customer(scope, NewCustomer(full_name="Siobhán Kavanagh-Reyes", country="IE"))


async def page_of(tenant: TestTenant, customer_id: int, *permissions: str, tab: str = "") -> str:
    who = await tenant.staff_with(permissions) if permissions else None
    answer = await (await tenant.browser(staff_id=who)).get(f"/customers/{customer_id}{tab}")
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def tabs_of(page: str) -> list[str]:
    return re.findall(r'data-t="([^"]+)"', page.split('class="t-tabs"')[1].split("</nav>")[0])


def entries_of(page: str) -> dict[str, str]:
    """What the menus of the head offer, each with the reason why it cannot be done now, or nothing."""
    found: dict[str, str] = {}
    for menu in ("message-menu", "create-menu", "actions-menu"):
        part = page.partition(f'id="{menu}"')[2].partition("</span></span>\n")[0] if f'id="{menu}"' in page else ""
        for text in re.findall(r"<span>(.*?)</span>", part.split("t-facts")[0]):
            label, _br, reason = text.partition("<br>")
            found[label] = re.sub("<[^>]+>", "", reason)
    return found


async def test_C1_the_head_tells_who_it_is_how_it_stands_and_since_when(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    await actions.add_tag(scope, customer_id, "harbour")
    await actions.add_tag(scope, customer_id, "vip")

    for tab in ("", "/details", "/notes"):
        head = (await page_of(tenant, customer_id, tab=tab)).split('id="head"')[1].split('class="t-tabs"')[0]

        assert f'<h1>Siobhán Kavanagh-Reyes <span class="t-id">{customer_id}</span>' in head
        for told in ("New", "harbour", "vip", "Balance", "Settled", "Services", "None", "Joined", "22\xa0Nov\xa02026"):
            assert told in head, (tab, told)


async def test_C2_every_tab_stands_on_every_tab_and_the_current_one_is_marked(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant.scope())
    expected = ["General", "Details", "Users", "Subscriptions", "Transactions", "Messages", "Notes", "Activity"]

    for tab, label in (("", "General"), ("/details", "Details"), ("/contacts", "Users"), ("/activity", "Activity")):
        page = await page_of(tenant, customer_id, tab=tab)

        assert tabs_of(page) == expected
        assert f'data-t="{label}" aria-current="page"' in page


async def test_C2_tabs_that_may_not_be_opened_are_not_there(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant.scope())

    assert tabs_of(await page_of(tenant, customer_id, "customers.view")) == ["General", "Details", "Users", "Notes"]


@pytest.mark.parametrize("on", [True, False])
async def test_C2_a_plugins_tab_is_there_while_the_plugin_is_on(tmp_path: Path, on: bool) -> None:
    async with open_tenant(tmp_path, plugins=["inventory"] if on else []) as tenant:
        customer_id = await somebody(tenant.scope())

        assert ("Hardware" in tabs_of(await page_of(tenant, customer_id))) is on


async def test_C18_what_cannot_be_done_is_greyed_with_its_reason(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    new = entries_of(await page_of(tenant, customer_id))

    await actions.change_status(scope, customer_id, "active")
    await actions.change_status(scope, customer_id, "inactive")
    inactive = entries_of(await page_of(tenant, customer_id))

    for entry in (
        "Subscription…",
        "Invoice…",
        "Payment…",
        "Change status…",
        "Convert to lead…",
        "Anonymise…",
        "Delete…",
    ):
        assert entry in new, entry
        assert entry in inactive, entry
    assert new["Subscription…"] == ""
    assert inactive["Subscription…"] == "A customer that is Inactive cannot order"
    assert new["Delete…"] == "Not while it is New"
    assert new["Anonymise…"] == "Not while it is New"
    assert inactive["Delete…"] == ""
    assert "No mail server is set up" in new["Write e-mail…"]


async def test_C18_nothing_is_offered_that_the_role_may_not_do(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant.scope())

    looks = entries_of(await page_of(tenant, customer_id, "customers.view", "documents.view"))
    edits = entries_of(await page_of(tenant, customer_id, "customers.view", "customers.edit"))

    assert looks == {}
    assert set(edits) == {"Change status…", "Convert to lead…"}


async def test_C18_where_no_status_follows_the_change_is_greyed(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant.scope())
    async with unit_of_work(tenant.scope()):
        await execute("DELETE FROM status_transition")

    assert entries_of(await page_of(tenant, customer_id))["Change status…"] == "There is no status to go to"
