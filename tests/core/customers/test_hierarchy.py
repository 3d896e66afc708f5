"""The hierarchy of customers on its page, in the drawer and over JSON (C2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from core.customers import actions, queries
from core.customers.schemas import HierarchyFields, NewCustomer
from core.customers.timeline import happenings
from core.subscriptions.actions import add_charge
from core.subscriptions.schemas import NewCharge

if TYPE_CHECKING:
    from core.testing import TestTenant


async def made(tenant: TestTenant, *names: str) -> list[int]:
    return [await actions.create_customer(tenant.scope(), NewCustomer(full_name=name)) for name in names]


def seen_of(text: str) -> str:
    found = re.search(r'name="seen" value="([^"]*)"', text)
    assert found is not None, text
    return found[1]


async def test_C2_the_drawer_says_what_follows_and_then_does_just_that(tenant: TestTenant) -> None:
    office, branch = await made(tenant, "Head office", "Branch")
    charge = NewCharge(customer_id=branch, description="Visit", amount_minor=5000)
    await add_charge(tenant.scope(), charge)
    page = await tenant.browser()
    at = f"/customers/{branch}/hierarchy"

    drawer = await page.get(f"{at}?parent=head+office&payer={office}")

    assert drawer.status_code == 200, drawer.text
    for words in ("1 open charge goes on the new payer", "€50.00", "What is invoiced already stays", "Head office"):
        assert words.replace("'", "&#39;") in drawer.text
    assert (await queries.get_customer(tenant.scope(), branch)).parent_id is None

    done = await page.post(at, data={"parent": "head office", "payer": str(office), "seen": seen_of(drawer.text)})

    assert done.status_code == 303, done.text
    now = await queries.get_customer(tenant.scope(), branch)
    assert (now.parent_id, now.payer_id) == (office, office)
    details = await page.get(f"/customers/{office}/details")
    assert "Branch" in details.text


async def test_C2_what_changed_since_it_was_shown_is_shown_again_and_nothing_is_done(tenant: TestTenant) -> None:
    office, branch = await made(tenant, "Head office", "Branch")
    page = await tenant.browser()
    at = f"/customers/{branch}/hierarchy"
    drawer = await page.get(f"{at}?parent={office}&payer={office}")
    await add_charge(tenant.scope(), NewCharge(customer_id=branch, description="Visit", amount_minor=5000))

    stale = await page.post(at, data={"parent": str(office), "payer": str(office), "seen": seen_of(drawer.text)})

    assert stale.status_code == 409
    assert "1 open charge" in stale.text
    assert (await queries.get_customer(tenant.scope(), branch)).payer_id is None


async def test_C2_a_refusal_stands_at_its_field_and_keeps_what_was_typed(tenant: TestTenant) -> None:
    office, branch = await made(tenant, "Head office", "Branch")
    await actions.change_hierarchy(tenant.scope(), branch, HierarchyFields(parent_id=office), version=1)
    page = await tenant.browser()

    circle = await page.get(f"/customers/{office}/hierarchy?parent={branch}")
    nobody = await page.get(f"/customers/{office}/hierarchy?parent=Nobody+at+all")

    assert circle.status_code == nobody.status_code == 422
    assert 'id="f-plan-parent-e"' in circle.text
    assert "stands below Head office" in circle.text
    assert 'value="Nobody at all"' in nobody.text


async def test_C2_a_name_that_several_have_is_asked_for_by_id(tenant: TestTenant) -> None:
    first, _, branch = await made(tenant, "Ann Other", "Ann Other", "Branch")
    page = await tenant.browser()

    both = await page.get(f"/customers/{branch}/hierarchy?parent=ann+other")
    one = await page.get(f"/customers/{branch}/hierarchy?parent={first}+Ann+Other")
    suggested = await page.get("/customers/suggestions?parent=ann")

    assert "Several are found" in both.text
    assert one.status_code == 200, one.text
    assert suggested.text.count('role="option"') == 2
    assert f'data-value="{first} Ann Other"' in suggested.text


async def test_C2_parent_and_payer_over_json(tenant: TestTenant) -> None:
    office, branch = await made(tenant, "Head office", "Branch")
    api = await tenant.api()
    at = f"/api/v1/customers/{branch}/hierarchy"

    done = await api.put(at, json={"version": 1, "parent_id": office, "payer_id": office})
    stale = await api.put(at, json={"version": 1})
    circle = await api.put(f"/api/v1/customers/{office}/hierarchy", json={"version": 1, "parent_id": branch})

    assert (done.status_code, done.json()["parent_id"], done.json()["payer_id"]) == (200, office, office)
    assert stale.status_code == 409
    assert circle.status_code == 422
    assert circle.json()["errors"][0]["field"] == "parent_id"
    lines = await happenings(tenant.scope(), customer_id=branch, limit=2)
    assert [line.text for line in lines] == [f"Customer {office} pays from now on", "Customer changed"]
