"""Pauses over JSON."""

from __future__ import annotations

from datetime import timedelta

from core.subscriptions.actions import subscribe
from core.subscriptions.schemas import NewSubscription
from core.testing import TestTenant
from tests.core.subscriptions.test_pages import a_customer, sells


async def test_P15_a_pause_is_planned_undone_begun_and_ended_over_json(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await a_customer(tenant)
    product_id, price_id = await sells(tenant, "fibre", 3100)
    mine = await subscribe(scope, NewSubscription(customer_id=customer_id, product_id=product_id, price_id=price_id))
    at, today = f"/api/v1/subscriptions/{mine}/pause", scope.today()
    api = await tenant.api()
    later = {"from_on": str(today + timedelta(days=5)), "to_on": str(today + timedelta(days=9))}

    planned = await api.post(at, json=later)
    twice = await api.post(at, json=later)
    undone = await api.delete(at)
    wrong = await api.post(at, json={"to_on": str(today)})
    begun = await api.post(at, json={"to_on": later["to_on"], "hold_minor": 100})
    paused = await api.get(f"/api/v1/subscriptions/{mine}")
    ended = await api.post(f"{at}/end")
    listed = await api.get(f"/api/v1/subscriptions/{mine}/pauses")

    assert (planned.status_code, planned.json()[0]["state"], twice.status_code) == (201, "planned", 409)
    assert (undone.json()["state"], wrong.status_code) == ("active", 422)
    assert (begun.json()[0]["state"], paused.json()["state"]) == ("running", "paused")
    assert ended.json()["state"] == "active"
    assert [each["state"] for each in listed.json()] == ["done", "dropped"]
