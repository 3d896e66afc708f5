"""Credit on pages and over the API: what it is meant for, what became of it, and goodwill that is taken back."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from core.billing import actions as billing
from core.billing.queries import get_document
from core.billing.schemas import NewDraft, NewLine
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.ledger.actions import set_fx_rate
from core.ledger.queries import get_balance
from core.ledger.schemas import NewFxRate
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.testing import TestTenant

pytestmark = pytest.mark.anyio

PART = {"hx-request-type": "partial"}


async def an_invoice(tenant: TestTenant, customer_id: int) -> int:
    """Issued, 123.00 with its tax."""
    scope = tenant.scope()
    line = NewLine(description="Visit", unit_price_e6=100_000_000)
    made = await billing.create_draft(scope, NewDraft(payer_id=customer_id, lines=[line]))
    await billing.issue(scope, made)
    return made


async def sent(page: httpx.AsyncClient, path: str, seen: httpx.Response, **typed: str) -> httpx.Response:
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', seen.text))
    return await page.post(
        path, data={**{name: unescape(text) for name, text in hidden.items()}, **typed}, headers=PART
    )


async def test_C10_credit_is_granted_for_an_invoice_seen_on_the_page_and_taken_back(tenant: TestTenant) -> None:
    customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Tarrow Pike", country="IE"))
    await an_invoice(tenant, customer_id)
    second = await an_invoice(tenant, customer_id)
    page, base = await tenant.browser(), f"/customers/{customer_id}"
    asked = {"amount": "23", "meant_for": f"invoice:{second}"}

    plan = await page.get(f"{base}/credit/new", params=asked, headers=PART)
    granted = await sent(page, f"{base}/credit", plan, reason="Outage", **asked)

    assert "€123.00 open" in plan.text
    assert granted.headers.get("hx-redirect"), granted.text
    assert (await get_document(tenant.scope(), second)).open_minor == 10000
    assert f'hx-get="{base}/credit"' in (await page.get(base)).text
    card = (await page.get(f"{base}/credit", headers=PART)).text
    assert "Outage" in card
    assert "All credit" in card
    history = (await page.get(f"{base}/transactions", params={"show": "credit"})).text
    number = (await get_document(tenant.scope(), second)).number
    assert f"Paid {number}" in history
    path = re.search(rf"{base}/credit/\d+/reversal", history)
    assert path is not None

    shown = await page.get(path[0], headers=PART)
    silent = await sent(page, path[0], shown, reason="")
    done = await sent(page, path[0], shown, reason="Meant for another")

    assert "Take back €23.00" in shown.text
    assert "Invoices that are open again" in shown.text
    assert silent.status_code == 422
    assert done.headers.get("hx-redirect"), done.text
    assert (await get_document(tenant.scope(), second)).open_minor == 12300
    assert (await get_balance(tenant.scope(), customer_id)).balance_minor == -24600
    assert "Taken back" in (await page.get(f"{base}/transactions", params={"show": "credit"})).text
    assert (await page.get(path[0], headers=PART)).status_code == 409


async def test_C10_the_api_grants_for_an_invoice_tells_what_became_of_it_and_takes_it_back(tenant: TestTenant) -> None:
    customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Tarrow Pike", country="IE"))
    other_id = await create_customer(tenant.scope(), NewCustomer(full_name="Bea", country="IE"))
    await an_invoice(tenant, customer_id)
    second = await an_invoice(tenant, customer_id)
    api = await tenant.api()
    path = f"/api/v1/customers/{customer_id}/credit"

    made = (await api.post(path, json={"amount_minor": 300, "reason": "Outage", "invoice_id": second})).json()
    uses = (await api.get(f"{path}/{made['id']}/uses")).json()
    foreign = await api.get(f"/api/v1/customers/{other_id}/credit/{made['id']}/uses")
    wrong = await api.post(
        f"/api/v1/customers/{other_id}/credit", json={"amount_minor": 300, "reason": "x", "invoice_id": second}
    )
    taken = await api.post(f"{path}/{made['id']}/reversal", json={"reason": "Mistake"})
    again = await api.post(f"{path}/{made['id']}/reversal", json={"reason": "Mistake"})

    assert made["left_minor"] == 0
    assert [(use["kind"], use["amount_minor"], use["document_id"]) for use in uses] == [("allocation", 300, second)]
    assert (foreign.status_code, wrong.status_code, again.status_code) == (404, 422, 409)
    assert wrong.json()["errors"][0]["field"] == "invoice_id"
    assert taken.json()["left_minor"] == 0
    assert (await get_balance(tenant.scope(), customer_id)).balance_minor == -24600


async def test_B4_credit_in_another_currency_is_never_shown_as_the_customers_own(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Tarrow Pike", country="IE"))
    await set_fx_rate(scope, NewFxRate(from_currency="USD", valid_on=scope.today(), rate_e10=9_000_000_000))
    page, base = await tenant.browser(), f"/customers/{customer_id}"
    await billing.grant_credit(scope, customer_id, 700, "Outage")
    own = (await page.get(f"{base}/transactions", params={"show": "credit"})).text
    await receive(scope, NewPayment(payer_id=customer_id, amount_minor=10000, currency="USD"))

    both = (await page.get(f"{base}/transactions", params={"show": "credit"})).text
    card = (await page.get(f"{base}/credit", headers=PART)).text

    assert "Free, EUR" in own
    assert "Balance, USD" not in own
    assert "Free, EUR" not in both
    assert re.search(r"Balance, USD.*?\$100\.00.*?credit", both, re.DOTALL)
    for shown in (both, card):
        amounts = re.findall(r'<td class="t-num[^"]*">([0-9.]+) <span class="t-2[^"]*">([A-Z]{3})</span>', shown)
        assert amounts == [("100.00", "USD"), ("100.00", "USD"), ("7.00", "EUR"), ("7.00", "EUR")]
