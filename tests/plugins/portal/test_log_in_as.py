"""The staff in a customer's place: its own permission, a short while, a banner, and its own name in the activity."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from core.activity.queries import timeline
from core.activity.unit import unit_of_work
from core.customers import actions as customers
from core.customers.queries import get_customer
from core.customers.schemas import NewCustomer
from core.database import execute, value
from core.testing import TestTenant
from core.web.csrf import HEADER, csrf_token
from core.web.sessions import end_session
from plugins.portal import actions as portal

pytestmark = pytest.mark.plugins("portal")

SEES = ("customers.view", portal.LOG_IN_AS)


async def a_customer(tenant: TestTenant) -> int:
    return await customers.create_customer(tenant.scope(), NewCustomer(full_name="Tarrow Pike", country="IE"))


async def visiting(tenant: TestTenant, customer_id: int, *permissions: str) -> tuple[httpx.AsyncClient, int]:
    """A staff user with these permissions who has logged in as the customer, and its id."""
    staff_id = await tenant.staff_with((*SEES, *permissions))
    client = await tenant.browser(staff_id=staff_id)
    begun = await client.post(f"/portal/staff/customers/{customer_id}/visit")
    assert begun.headers["location"] == "/portal", begun.text
    token = begun.cookies["portal-session"]
    inside = tenant.anonymous()
    inside.cookies.set("portal-session", token)
    inside.headers[HEADER] = csrf_token(token, tenant.tenant.uuid)
    return inside, staff_id


async def test_C14_staff_log_in_as_a_customer_and_every_page_says_so(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    client = await tenant.browser(staff_id=await tenant.staff_with(SEES))

    menu = await client.get(f"/customers/{customer_id}")
    offered = await client.get(f"/portal/staff/customers/{customer_id}/visit")
    begun = await client.post(f"/portal/staff/customers/{customer_id}/visit")
    client.headers.pop("x-csrftoken")
    pages = [await client.get(path) for path in ("/portal", "/portal/invoices", "/portal/services", "/portal/me")]

    assert f"/portal/staff/customers/{customer_id}/visit" in menu.text
    assert "15 minutes" in offered.text
    assert "Max-Age=900" in begun.headers["set-cookie"]
    for page in pages:
        assert page.status_code == 200
        assert "are here as Tarrow Pike" in page.text


async def test_C14_it_needs_its_own_permission_and_a_fresh_proof(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    path = f"/portal/staff/customers/{customer_id}/visit"
    without = await tenant.browser(staff_id=await tenant.staff_with(("customers.view", "customers.edit")))
    later = await tenant.browser(staff_id=await tenant.staff_with(SEES))
    tenant.clock.move(timedelta(minutes=20))

    assert path not in (await without.get(f"/customers/{customer_id}")).text
    assert (await without.post(path)).status_code == 403
    asked = await later.post(path)
    assert asked.status_code == 403
    assert "Is it you?" in asked.text
    assert await value("SELECT count(*) FROM portal_visit") == 0


async def test_C14_what_is_done_there_stands_in_the_activity_under_the_staffs_own_name(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    inside, staff_id = await visiting(tenant, customer_id, "customers.edit")
    version = str((await get_customer(tenant.scope(), customer_id)).version)

    saved = await inside.post("/portal/me/address", data={"version": version, "city": "Cork"})
    left = await inside.post("/portal/logout")

    assert saved.status_code == 303, saved.text
    assert left.headers["location"] == f"/customers/{customer_id}"
    kinds = {entry.kind: entry for entry in await timeline(tenant.scope(), customer_id=customer_id)}
    assert {"portal_visit_begun", "customer_changed", "portal_visit_ended"} <= set(kinds)
    assert kinds["portal_visit_begun"].actor == f"staff:{staff_id}"
    assert kinds["customer_changed"].actor == f"staff:{staff_id}"
    assert kinds["customer_changed"].on_behalf_of == f"customer:{customer_id}"
    page = await tenant.browser()
    assert f"on behalf of Customer {customer_id}" in (await page.get(f"/customers/{customer_id}/activity")).text


async def test_C14_who_may_not_edit_customers_edits_none_there_and_secrets_nobody(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    inside, _ = await visiting(tenant, customer_id)
    version = str((await get_customer(tenant.scope(), customer_id)).version)
    new = "quiet meadow under glass"

    address = await inside.post("/portal/me/address", data={"version": version, "city": "Cork"})
    password = await inside.post("/portal/me/password", data={"current": "", "password": new, "repeated": new})
    name = await inside.post("/portal/me/name", data={"version": "1", "email": "x@example.com"})

    assert (address.status_code, password.status_code, name.status_code) == (403, 403, 404)
    assert (await get_customer(tenant.scope(), customer_id)).city == ""
    assert "Change password" not in (await inside.get("/portal/me")).text


async def test_C14_it_ends_by_itself_and_with_the_permission(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    inside, _ = await visiting(tenant, customer_id)
    other, staff_id = await visiting(tenant, customer_id)

    async with unit_of_work(tenant.scope()):
        await execute("UPDATE staff SET active = FALSE WHERE id = :id", id=staff_id)
    assert (await inside.get("/portal")).status_code == 200
    assert (await other.get("/portal")).status_code == 303
    tenant.clock.move(timedelta(minutes=16))
    assert (await inside.get("/portal")).headers["location"] == "/portal/login"


async def test_C14_nobody_logs_in_as_a_customer_who_may_not_nor_out_of_a_customers_place(tenant: TestTenant) -> None:
    customer_id, other_id = await a_customer(tenant), await a_customer(tenant)
    async with unit_of_work(tenant.scope()):
        await execute(
            "UPDATE customer SET status_id = (SELECT id FROM status WHERE key = 'closed') WHERE id = :id", id=other_id
        )
    inside, _ = await visiting(tenant, customer_id)
    staff = await tenant.browser()

    nested = await inside.post(f"/portal/staff/customers/{other_id}/visit")
    closed = await staff.post(f"/portal/staff/customers/{other_id}/visit")
    unknown = await staff.post("/portal/staff/customers/999/visit")

    assert nested.headers["location"].startswith("/login")
    assert closed.status_code == 409
    assert "may not log in" in closed.text
    assert unknown.status_code == 404


async def test_C14_it_ends_with_the_log_in_that_began_it_and_with_no_other(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    staff_id = await tenant.staff_with(SEES)
    first, second = await tenant.browser(staff_id=staff_id), await tenant.browser(staff_id=staff_id)
    for client in (first, second):
        await client.post(f"/portal/staff/customers/{customer_id}/visit")
        client.headers.pop("x-csrftoken")
    one, other = [
        await value(f"SELECT {which}(id) FROM session WHERE actor_kind = 'staff'") for which in ("min", "max")
    ]
    assert one != other

    await end_session(tenant.scope(), other)
    tenant.clock.move(timedelta(minutes=1))
    await tenant.browser(staff_id=staff_id)

    assert (await first.get("/portal")).status_code == 200
    assert (await second.get("/portal")).headers["location"] == "/portal/login"
