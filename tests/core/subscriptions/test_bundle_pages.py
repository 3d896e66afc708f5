"""Bundles on pages and over JSON: made in the catalogue, subscribed, shown as one box, ended as a whole (P18)."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import httpx

from core.billing.run import run_billing
from core.catalog.actions import create_product
from core.catalog.schemas import NewPrice, NewProduct
from core.database import value, values
from core.testing import TestTenant
from tests.core.subscriptions.test_pages import a_customer

PARTIAL = {"hx-request-type": "partial"}


async def products(tenant: TestTenant) -> list[int]:
    """Fibre for 30.00 a month, three mailboxes of 5.00 each fit beside it."""
    return [
        await create_product(
            tenant.scope(),
            NewProduct(
                code=code,
                name=name,
                kind=kind,  # type: ignore[arg-type]  # as the test says it
                tax_category="zero",
                prices=[NewPrice(cycle_unit="month", amount_minor=minor)],
            ),
        )
        for code, name, kind, minor in (("fibre", "Fibre", "plan", 3000), ("mail", "Mailbox", "service", 500))
    ]


async def act(page: httpx.AsyncClient, customer_id: int, **asked: object) -> httpx.Response:
    at = f"/customers/{customer_id}/bundles/plan"
    return await page.get(at, params={name: str(each) for name, each in asked.items()}, headers=PARTIAL)


async def carry_out(page: httpx.AsyncClient, customer_id: int, shown: httpx.Response, **more: str) -> httpx.Response:
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', shown.text))
    given = {**{name: unescape(text) for name, text in hidden.items()}, **more}
    return await page.post(f"/customers/{customer_id}/bundles/change", data=given, headers=PARTIAL)


async def test_P18_a_bundle_is_made_subscribed_shown_as_one_box_and_dissolved_on_pages(tenant: TestTenant) -> None:
    fibre, mail = await products(tenant)
    customer_id, page = await a_customer(tenant), await tenant.browser()
    typed = {
        "name": "Office",
        "code": "office",
        "shares": "prices",
        "product_1": str(fibre),
        "quantity_1": "1",
        "product_2": str(mail),
        "quantity_2": "3",
        "amount": "36.00",
    }

    wrong = await page.post("/products/bundles", data={**typed, "quantity_2": "0.5", "product_1": ""})
    made = await page.post("/products/bundles", data=typed)
    bundle_id = await value("SELECT id FROM bundle")
    shown = await page.get(f"/products/bundles/{bundle_id}")
    listed = await page.get("/products/bundles")
    price = await page.post(f"/products/bundles/{bundle_id}/prices", data={"amount": "400", "cycle_unit": "year"})
    offered = await page.get(f"/customers/{customer_id}/subscriptions")
    price_id = await value("SELECT id FROM bundle_price WHERE cycle_unit = 'month'")
    plan = await act(page, customer_id, do="subscribe", bundle_id=bundle_id, price_id=price_id)
    done = await carry_out(page, customer_id, plan)
    mine = await value("SELECT id FROM customer_bundle")
    await run_billing(tenant.scope(), tenant.scope().today(), pause=0)
    tab = await page.get(f"/customers/{customer_id}/subscriptions")
    dissolving = await act(page, customer_id, do="dissolve", customer_bundle_id=mine)
    dissolved = await carry_out(page, customer_id, dissolving)

    assert wrong.status_code == 422
    assert "A whole number, at least 1." in wrong.text
    assert 'value="Office"' in wrong.text
    assert (made.status_code, price.status_code, done.status_code) == (303, 303, 200)
    assert "3 × Mailbox" in listed.text
    assert "36.00" in shown.text
    assert "3 × Mailbox" in offered.text
    assert ("24.00" in plan.text, "12.00" in plan.text) == (True, True)
    assert f'id="bundle-{mine}"' in tab.text
    assert "€36.00" in tab.text
    assert f'id="box-{fibre}"' not in tab.text
    assert "together €45.00 instead of €36.00" in dissolving.text
    assert dissolved.status_code == 200
    assert await values("SELECT id FROM subscription WHERE customer_bundle_id IS NOT NULL") == []
    assert await values("SELECT description FROM document_line ORDER BY position") == [
        "Office: Fibre",
        "Office: Mailbox",
    ]


async def test_P18_every_act_on_a_bundle_shows_its_plan_and_does_that(tenant: TestTenant) -> None:
    fibre, mail = await products(tenant)
    customer_id, page, api = await a_customer(tenant), await tenant.browser(), await tenant.api()
    today = tenant.scope().today()
    bundle = await api.post(
        "/api/v1/bundles",
        json={
            "code": "office",
            "name": "Office",
            "members": [{"product_id": fibre}, {"product_id": mail, "quantity_e6": 3_000_000}],
            "prices": [{"cycle_unit": "month", "amount_minor": 3600}],
        },
    )
    order = {
        "customer_id": customer_id,
        "bundle_id": bundle.json()["id"],
        "price_id": bundle.json()["prices"][0]["id"],
    }
    taken = await api.post("/api/v1/customer-bundles", json=order)
    mine = taken.json()["id"]
    await run_billing(tenant.scope(), today, pause=0)
    part = taken.json()["parts"][0]["id"]

    alone = await api.post(f"/api/v1/subscriptions/{part}/termination", json={})
    of_part = await page.get(f"/subscriptions/{part}")
    empty = await act(page, customer_id, do="pause", customer_bundle_id=mine)
    for do, more in (
        ("quantity", {"quantity": "2"}),
        ("cancel_at_expiry", {}),
        ("undo_cancellation", {}),
        ("suspend", {}),
        ("resume", {}),
        (
            "pause",
            {"from_on": (today + timedelta(days=3)).isoformat(), "to_on": (today + timedelta(days=9)).isoformat()},
        ),
        ("undo_pause", {}),
        ("terminate", {"on": (today + timedelta(days=5)).isoformat()}),
        ("undo_cancellation", {}),
        ("withdraw", {}),
    ):
        shown = await act(page, customer_id, do=do, customer_bundle_id=mine, **more)
        done = await carry_out(page, customer_id, shown, **more)
        assert (shown.status_code, done.status_code) == (200, 200), (do, shown.text, done.text)

    assert alone.status_code == 409
    assert "part of Office" in alone.json()["detail"]
    assert of_part.status_code == 200
    assert empty.status_code == 200
    assert set(await values("SELECT state FROM subscription")) == {"withdrawn"}
    assert (await act(page, customer_id, do="suspend", customer_bundle_id=mine)).status_code == 409


async def test_P18_bundles_over_json(tenant: TestTenant) -> None:
    fibre, mail = await products(tenant)
    customer_id, api = await a_customer(tenant), await tenant.api()
    fields = {"name": "Office", "members": [{"product_id": fibre}, {"product_id": mail}]}
    bundle = (await api.post("/api/v1/bundles", json={**fields, "code": "office"})).json()
    at = f"/api/v1/bundles/{bundle['id']}"

    alone = await api.post("/api/v1/bundles", json={**fields, "code": "one", "members": fields["members"][:1]})
    price = (await api.post(f"{at}/prices", json={"cycle_unit": "month", "amount_minor": 3000})).json()
    changed = await api.patch(at, json={**fields, "description": "Both", "version": bundle["version"]})
    stale = await api.patch(at, json={**fields, "description": "None", "version": bundle["version"]})
    order = {"customer_id": customer_id, "bundle_id": bundle["id"], "price_id": price["id"]}
    invoiced = await api.post("/api/v1/customer-bundles/invoiced-first", json=order)
    mine = f"/api/v1/customer-bundles/{invoiced.json()['bundle']['id']}"
    await api.post(f"{mine}/withdrawal", json={})
    again = await api.post("/api/v1/customer-bundles", json=order)
    mine = f"/api/v1/customer-bundles/{again.json()['id']}"
    answers = [
        await api.post(f"{mine}/quantity", json={"quantity_e6": 2_000_000}),
        await api.post(f"{mine}/suspension"),
        await api.delete(f"{mine}/suspension"),
        await api.post(f"{mine}/cancellation"),
        await api.delete(f"{mine}/cancellation"),
        await api.post(f"{mine}/pause", json={"to_on": str(tenant.scope().today() + timedelta(days=4))}),
        await api.post(f"{mine}/pause/end"),
        await api.post(f"{mine}/dissolution"),
        await api.get(mine),
        await api.get(f"/api/v1/customers/{customer_id}/bundles"),
        await api.delete(f"{at}/prices/{price['id']}"),
        await api.get("/api/v1/bundles"),
    ]
    over = await api.post(f"{mine}/termination", json={})

    assert alone.status_code == 422
    assert (changed.json()["description"], stale.status_code) == ("Both", 409)
    assert [part["state"] for part in invoiced.json()["bundle"]["parts"]] == ["pending", "pending"]
    assert [each.status_code for each in answers] == [200] * len(answers)
    assert answers[0].json()["cycle_minor"] == 6000
    assert [len(each["parts"]) for each in answers[9].json()] == [2, 0]
    assert over.status_code == 409
