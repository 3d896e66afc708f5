"""Deposits in drawers and over JSON: each act shows first what it will do."""

from __future__ import annotations

import re
from html import unescape

import httpx

from core.activity.unit import unit_of_work
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import execute_many, value
from core.testing import TestTenant

PARTIAL = {"hx-request-type": "partial"}


async def send(page: httpx.AsyncClient, at: str, shown: httpx.Response, **more: str) -> httpx.Response:
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', shown.text))
    return await page.post(
        at, data={**{name: unescape(text) for name, text in hidden.items()}, **more}, headers=PARTIAL
    )


async def test_B4_a_deposit_is_received_applied_and_paid_back_in_drawers(tenant: TestTenant) -> None:
    customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Ada Adler"))
    page = await tenant.browser()
    at = f"/customers/{customer_id}/deposits"

    empty = await send(page, at, await page.get(f"{at}/new", headers=PARTIAL))
    asked = {"amount": "100.00", "reason": "Router"}
    shown = await page.get(f"{at}/new", params=asked, headers=PARTIAL)
    none_yet = await value("SELECT count(*) FROM deposit")
    received = await send(page, at, shown, **asked)
    deposit_id = await value("SELECT id FROM deposit")
    too_much = await page.get(f"{at}/{deposit_id}/application", params={"amount": "200"}, headers=PARTIAL)
    shown = await page.get(f"{at}/{deposit_id}/application", params={"amount": "40"}, headers=PARTIAL)
    applied = await send(page, f"{at}/{deposit_id}/application", shown, amount="40")
    shown = await page.get(f"{at}/{deposit_id}/repayment", headers=PARTIAL)
    paid_back = await send(page, f"{at}/{deposit_id}/repayment", shown)
    tab = (await page.get(f"/customers/{customer_id}/transactions?show=credit")).text

    assert (empty.status_code, "Fill this in." in empty.text, none_yet) == (422, True, 0)
    assert "At most 100.00" in too_much.text
    assert {each.headers["hx-redirect"] for each in (received, applied, paid_back)} == {
        f"/customers/{customer_id}/transactions?show=credit"
    }
    assert await value("SELECT left_minor FROM deposit") == 0
    assert await value("SELECT credit_minor FROM customer_balance WHERE customer_id = :id", id=customer_id) == 4000
    assert "Router" in tab
    assert "Paid back" in tab


async def test_B4_deposits_over_json(tenant: TestTenant) -> None:
    customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Ada Adler"))
    api = await tenant.api()

    made = await api.post("/api/v1/deposits", json={"customer_id": customer_id, "amount_minor": 5000})
    at = f"/api/v1/deposits/{made.json()['id']}"
    refused = await api.post(f"{at}/application", json={"amount_minor": 5001})
    applied = await api.post(f"{at}/application", json={"amount_minor": 2000})
    back = await api.post(f"{at}/repayment", json={"method": "cash"})
    listed = await api.get(f"/api/v1/customers/{customer_id}/deposits")

    assert (made.status_code, refused.status_code) == (201, 422)
    assert (applied.json()["left_minor"], back.json()["state"]) == (3000, "paid_back")
    assert listed.json() == {"items": [(await api.get(at)).json()], "next": None}
    assert (await api.get("/api/v1/deposits/999")).status_code == 404


async def test_a_deposit_with_many_after_it_is_still_shown(tenant: TestTenant) -> None:
    customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Ada Adler"))
    api = await tenant.api()
    made = await api.post("/api/v1/deposits", json={"customer_id": customer_id, "amount_minor": 5000})
    at = f"/api/v1/deposits/{made.json()['id']}"
    async with unit_of_work(tenant.scope()):
        await execute_many(
            "INSERT INTO deposit (customer_id, method_id, currency, amount_minor, left_minor, state, reason,"
            " reference, received_on) SELECT customer_id, method_id, currency, amount_minor, left_minor,"
            " state, reason, reference, received_on FROM deposit WHERE id = :id",
            [{"id": made.json()["id"]}] * 200,
        )

    found = await api.get(at)
    applied = await api.post(f"{at}/application", json={"amount_minor": 2000})

    assert found.json() == made.json()
    assert (applied.json()["left_minor"], [each["kind"] for each in applied.json()["uses"]]) == (3000, ["applied"])
