"""Pages of pauses that customers plan by themselves."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import httpx
import pytest

from core.activity.queries import timeline
from core.customers.actions import set_password
from core.settings.actions import save_settings
from core.subscriptions.actions import subscribe
from core.subscriptions.actions.pausing import list_pauses
from core.subscriptions.queries import get_subscription
from core.subscriptions.schemas import NewSubscription
from core.testing import TestTenant
from core.web.csrf import HEADER, csrf_token
from plugins.portal import actions as portal
from plugins.portal.settings import PortalSettings
from tests.core.subscriptions.test_pages import a_customer, sells

pytestmark = pytest.mark.plugins("portal")


def sent(page: httpx.Response) -> dict[str, str]:
    """What the button under the plan sends."""
    form = page.text[page.text.index('<form method="post" action="/portal/services/') :]
    names = ("from_on", "to_on", "seen")
    found = {name: re.search(rf'name="{name}" value="([^"]*)"', form) for name in names}
    return {name: match[1] for name, match in found.items() if match}


async def a_service(tenant: TestTenant) -> tuple[int, int]:
    customer_id = await a_customer(tenant)
    await set_password(tenant.scope(), customer_id, "harbour lantern seven oaks")
    product_id, price_id = await sells(tenant, "fibre", 3100)
    order = NewSubscription(customer_id=customer_id, product_id=product_id, price_id=price_id)
    return customer_id, await subscribe(tenant.scope(), order)


async def test_P15_a_customer_pauses_in_the_portal_sees_what_is_left_and_takes_it_back(tenant: TestTenant) -> None:
    customer_id, mine = await a_service(tenant)
    scope, today = tenant.scope(), tenant.scope().today()
    client = await tenant.behind("portal", portal.CUSTOMER, customer_id)
    at = f"/portal/services/{mine}/pause"
    days = {"from_on": str(today + timedelta(days=3)), "to_on": str(today + timedelta(days=13))}

    hidden = await client.get("/portal/services")
    closed = await client.get(at)
    await save_settings(scope, PortalSettings(pause=True, pause_days_a_year=366, pause_fee_minor=250))
    offered = await client.get("/portal/services")
    asked = await client.get(at)
    short = await client.get(at, params={**days, "to_on": str(today + timedelta(days=5))})
    nonsense = await client.get(at, params={"from_on": "soon", "to_on": "2027-99-01"})
    empty = await client.post(at, data={"seen": "x"})
    shown = await client.get(at, params=days)
    unseen = await client.post(at, data={**days, "seen": "something else"})
    none_yet = await list_pauses(mine)
    done = await client.post(at, data=sent(shown))
    listed = await client.get("/portal/services")
    twice = await client.get(at, params=days)

    assert (at in hidden.text, closed.status_code, at in offered.text) == (False, 404, True)
    assert (asked.status_code, "366 days are left" in asked.text) == (200, True)
    assert (short.status_code, "A pause lasts at least 7 days." in short.text) == (422, True)
    assert f'value="{days["from_on"]}"' in short.text, "what was typed stays"
    assert (nonsense.status_code, empty.status_code, unseen.status_code) == (422, 422, 409)
    assert "Something has changed" in unseen.text
    assert none_yet == []
    text = unescape(shown.text)
    assert all(word in text for word in ("10 days", "€2.50", "Goes on by itself, on", "Left for pauses in"))
    assert done.headers["location"] == "/portal/services"
    assert f"{at}/undo" in listed.text
    assert (twice.status_code, "planned already" in twice.text) == (409, True)

    undo = await client.get(f"{at}/undo")
    other = await client.post(f"{at}/undo", data={"seen": "else"})
    undone = await client.post(f"{at}/undo", data=sent(undo))
    again = await client.get(f"{at}/undo")

    assert (undo.status_code, other.status_code, undone.headers["location"]) == (200, 409, "/portal/services")
    assert (again.status_code, "No pause is planned" in again.text) == (409, True)
    assert [(each.state, each.by_customer, each.hold_minor) for each in await list_pauses(mine)] == [
        ("dropped", True, 250)
    ]
    actor = f"customer:{customer_id}"
    did = [(each.kind, each.actor) for each in await timeline(scope, customer_id=customer_id)][:2]
    assert did == [("pause_dropped", actor), ("pause_planned", actor)]


async def test_P15_a_customer_ends_a_running_pause_in_the_portal_once_it_was_long_enough(tenant: TestTenant) -> None:
    customer_id, mine = await a_service(tenant)
    scope, today = tenant.scope(), tenant.scope().today()
    await save_settings(scope, PortalSettings(pause=True, pause_days_a_year=366))
    client = await tenant.behind("portal", portal.CUSTOMER, customer_id)
    at = f"/portal/services/{mine}/pause"
    days = {"from_on": str(today), "to_on": str(today + timedelta(days=30))}
    await client.post(at, data=sent(await client.get(at, params=days)))

    offered = await client.get("/portal/services")
    early = await client.get(f"{at}/end")
    tenant.clock.move(timedelta(days=8))
    client = await tenant.behind("portal", portal.CUSTOMER, customer_id)
    shown = await client.get(f"{at}/end")
    unseen = await client.post(f"{at}/end", data={"seen": "else"})
    still = (await get_subscription(scope, mine)).state
    done = await client.post(f"{at}/end", data=sent(shown))
    again = await client.get(f"{at}/end")
    listed = await client.get("/portal/services")

    assert f"{at}/end" in offered.text
    assert (early.status_code, "A pause lasts at least 7 days." in early.text) == (409, True)
    assert (shown.status_code, unseen.status_code, still) == (200, 409, "paused")
    assert "Served and billed again from" in shown.text
    assert (done.status_code, done.headers["location"]) == (303, "/portal/services")
    assert (await get_subscription(tenant.scope(), mine)).state == "active"
    assert (again.status_code, f"{at}/end" in listed.text) == (409, False)
    first = (await timeline(tenant.scope(), customer_id=customer_id))[0]
    assert (first.kind, first.actor) == ("subscription_resumed", f"customer:{customer_id}")


async def test_P15_staff_in_a_customers_place_pause_by_their_own_permission_and_name(tenant: TestTenant) -> None:
    customer_id, mine = await a_service(tenant)
    await save_settings(tenant.scope(), PortalSettings(pause=True))
    today = tenant.scope().today()
    days = {"from_on": str(today), "to_on": str(today + timedelta(days=10))}
    seen = ("customers.view", portal.LOG_IN_AS)
    answers: list[httpx.Response] = []

    for permissions in (seen, (*seen, "subscriptions.change")):
        staff_id = await tenant.staff_with(permissions)
        begun = await (await tenant.browser(staff_id=staff_id)).post(f"/portal/staff/customers/{customer_id}/visit")
        token = begun.cookies["portal-session"]
        inside = tenant.anonymous()
        inside.cookies.set("portal-session", token)
        inside.headers[HEADER] = csrf_token(token, tenant.tenant.uuid)
        answers.append(await inside.get("/portal/services"))
        answers.append(shown := await inside.get(f"/portal/services/{mine}/pause", params=days))
        if shown.status_code == 200:
            answers.append(await inside.post(f"/portal/services/{mine}/pause", data=sent(shown)))

    without, refused, offered, allowed, done = answers
    assert (f"{mine}/pause" in without.text, refused.status_code) == (False, 403)
    assert (f"{mine}/pause" in offered.text, allowed.status_code, done.status_code) == (True, 200, 303)
    assert (await get_subscription(tenant.scope(), mine)).state == "paused"
    first = next(
        each for each in await timeline(tenant.scope(), customer_id=customer_id) if each.kind == "pause_planned"
    )
    assert (first.actor, first.on_behalf_of) == (f"staff:{staff_id}", f"customer:{customer_id}")
