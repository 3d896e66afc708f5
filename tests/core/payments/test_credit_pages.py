"""Credit on pages and over the API: what it is meant for, what became of it, and goodwill that is taken back."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from core.activity.unit import unit_of_work
from core.billing import actions as billing
from core.billing.queries import get_document
from core.billing.schemas import NewDraft, NewLine
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import value
from core.ledger.actions import set_fx_rate
from core.ledger.queries import get_balance
from core.ledger.schemas import NewFxRate
from core.payments.actions import receive
from core.payments.deposits import NewDeposit, receive_deposit
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


async def test_all_credit_and_all_deposits_can_be_reached_page_by_page(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Tarrow Pike", country="IE"))
    async with unit_of_work(scope):
        for at in range(101):
            await billing.grant_credit(scope, customer_id, 100 + at, f"Outage {at:03}")
            await receive_deposit(scope, NewDeposit(customer_id=customer_id, amount_minor=100, reason=f"Modem {at:03}"))
    page, api = await tenant.browser(), await tenant.api()
    at = f"/customers/{customer_id}"

    first = await page.get(f"{at}/transactions", params={"show": "credit"})
    ways = [
        way.replace("&amp;", "&") for way in re.findall(r'href="([^"]*&amp;(?:before|deposits)=[0-9]+)"', first.text)
    ]
    last_credit, last_deposit = [await page.get(way) for way in ways]
    card = await page.get(f"{at}/credit", headers=PART)
    over_json = {}
    for what in ("credit", "deposits"):
        told, cursor = [], ""
        while cursor is not None:
            part = (await api.get(f"/api/v1{at}/{what}", params={"limit": 60, "cursor": cursor})).json()
            told += [each["id"] for each in part["items"]]
            cursor = part["next"]
        over_json[what] = told

    assert ("Outage 001" in first.text, "Outage 000" in first.text, "Modem 000" in first.text) == (True, False, False)
    assert ("Outage 000" in last_credit.text, ">First<" in last_credit.text) == (True, True)
    assert "Modem 000" in last_deposit.text
    assert "€151.50" in card.text
    for told in over_json.values():
        assert (len(told), told) == (101, sorted(set(told), reverse=True))


@pytest.mark.slow
async def test_the_plan_of_a_reversal_names_what_is_open_again_behind_two_hundred_others(tenant: TestTenant) -> None:
    customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Tarrow Pike", country="IE"))
    old = await an_invoice(tenant, customer_id)
    payment_id = await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=12300, document_id=old))
    for _ in range(200):
        await an_invoice(tenant, customer_id)
    page = await tenant.browser()

    plan = await page.get(f"/payments/{payment_id}/reversal", headers=PART)

    number = await value("SELECT number FROM document WHERE id = :id", id=old)
    assert plan.text.count("Open of ") == 1
    assert f"Open of {number}" in plan.text


async def with_dollars(tenant: TestTenant) -> tuple[int, int]:
    """A customer in euro with USD 100.00 of free credit, and another in dollars who owes 50.00."""
    scope = tenant.scope()
    await set_fx_rate(scope, NewFxRate(from_currency="USD", valid_on=scope.today(), rate_e10=9_000_000_000))
    one = await create_customer(scope, NewCustomer(full_name="Tarrow Pike", country="IE"))
    other = await create_customer(scope, NewCustomer(full_name="Bea", country="US", currency="USD"))
    await receive(scope, NewPayment(payer_id=one, amount_minor=10000, currency="USD"))
    line = NewLine(description="Visit", unit_price_e6=50_000_000)
    await billing.issue(scope, await billing.create_draft(scope, NewDraft(payer_id=other, lines=[line])))
    return one, other


async def test_credit_in_another_currency_is_refunded_granted_and_transferred_in_it(tenant: TestTenant) -> None:
    one, other = await with_dollars(tenant)
    scope, page, base = tenant.scope(), await tenant.browser(), f"/customers/{one}"

    deeds = {
        f"{base}/refund": (f"{base}/refund", {"currency": "USD", "amount": "10", "reason": "Left"}),
        f"{base}/credit/new": (f"{base}/credit", {"currency": "USD", "amount": "5", "reason": "Outage"}),
        f"{base}/credit/transfer": (
            f"{base}/credit/transfer",
            {"currency": "USD", "to_customer_id": str(other), "amount": "60", "reason": "Same house"},
        ),
    }
    shown = {at: (await page.get(at, headers=PART)).text for at in deeds}
    for at, (path, typed) in deeds.items():
        plan = await page.get(at, params=typed, headers=PART)
        assert "Amount, USD" in plan.text, at
        done = await sent(page, path, plan, **typed)
        assert done.headers.get("hx-redirect"), (at, done.text)
    wrong = await page.get(f"{base}/refund", params={"currency": "CHF", "reason": "x"}, headers=PART)

    for at, text in shown.items():
        assert '<option value="USD"' in text, at
    assert 'id="f-plan-currency-e"' in wrong.text
    left = await get_balance(scope, one, "USD")
    theirs = await get_balance(scope, other)
    assert (left.credit_minor, theirs.receivable_minor, theirs.credit_minor) == (3500, 0, 1000)
    assert (await get_balance(scope, one)).credit_minor == 0


async def test_the_currency_of_goodwill_and_transfers_is_named_over_json(tenant: TestTenant) -> None:
    one, other = await with_dollars(tenant)
    third = await create_customer(tenant.scope(), NewCustomer(full_name="Cai", country="IE"))
    api, at = await tenant.api(), f"/api/v1/customers/{one}/credit"

    granted = await api.post(at, json={"amount_minor": 500, "currency": "USD", "reason": "Outage"})
    moved = await api.post(f"{at}/transfers", json={"to_customer_id": other, "currency": "USD", "reason": "x"})
    refused = await api.post(f"{at}/transfers", json={"to_customer_id": third, "currency": "USD", "reason": "x"})
    none = await api.post(at, json={"amount_minor": 500, "currency": "XXQ", "reason": "Outage"})

    assert (granted.status_code, granted.json()["currency"]) == (201, "USD"), granted.text
    assert moved.json()["amount_minor"] == 10500, moved.text
    assert (refused.status_code, none.status_code) == (422, 422)
    assert refused.json()["errors"][0]["field"] == "to_customer_id"


async def test_who_has_one_currency_is_not_asked_for_it(tenant: TestTenant) -> None:
    customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Tarrow Pike", country="IE"))
    page = await tenant.browser()
    for what in ("refund", "credit/new", "credit/transfer"):
        drawer = await page.get(f"/customers/{customer_id}/{what}", headers=PART)
        assert 'name="currency"' not in drawer.text, what
