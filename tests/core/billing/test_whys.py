"""“Why?” on balances, invoices and messages: the rule, what it was reckoned from, the event, its time."""

from __future__ import annotations

from html import unescape

import httpx

from core.billing import actions as billing
from core.billing.schemas import NewDraft, NewLine
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.messages.actions import write_message
from core.payments import actions as payments
from core.payments.deposits import Application, NewDeposit, apply_deposit, receive_deposit
from core.payments.schemas import NewPayment
from core.payments.transfers import NewTransfer, transfer_credit
from core.testing import TestTenant

PARTIAL = {"hx-request": "true", "hx-request-type": "partial"}


async def why(page: httpx.AsyncClient, path: str) -> str:
    answer = await page.get(path, headers=PARTIAL)
    assert answer.status_code == 200, answer.text[:300]
    return answer.text


async def test_U8_a_balance_says_what_it_is_reckoned_from_and_what_moved_it_last(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Ada Adler", country="IE"))
    invoice_id = await billing.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description="Work", unit_price_e6=100_000_000)])
    )
    await billing.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description="More", unit_price_e6=5_000_000)])
    )
    await billing.issue(scope, invoice_id)
    await payments.receive(scope, NewPayment(payer_id=customer_id, amount_minor=2000))
    page = await tenant.browser()

    head = (await page.get(f"/customers/{customer_id}")).text
    balance = await why(page, f"/customers/{customer_id}/balance/why")
    invoice = await why(page, f"/invoices/{invoice_id}/why")

    assert f"/customers/{customer_id}/balance/why" in head
    assert "Free credit less what is open on invoices" in balance
    assert "on 1 invoice" in balance
    assert "1 draft" in balance
    assert "Last event" in balance
    assert f"/invoices/{invoice_id}/why" in (await page.get(f"/invoices/{invoice_id}")).text
    assert "Something was paid on it, and something is open." in invoice
    assert "€20.00" in invoice


async def test_U8_credit_that_went_to_another_customer_and_a_deposit_that_was_applied_moved_the_balance(
    tenant: TestTenant,
) -> None:
    scope = tenant.scope()
    ada = await create_customer(scope, NewCustomer(full_name="Ada Adler", country="IE"))
    bea = await create_customer(scope, NewCustomer(full_name="Bea Berg", country="IE"))
    await payments.receive(scope, NewPayment(payer_id=ada, amount_minor=2000))
    page = await tenant.browser()

    await transfer_credit(scope, ada, NewTransfer(to_customer_id=bea, amount_minor=500, reason="A mix-up"))
    deposit = await receive_deposit(scope, NewDeposit(customer_id=bea, amount_minor=1000))
    assert "Credit transferred" in await why(page, f"/customers/{ada}/balance/why")
    assert "Credit transferred" in await why(page, f"/customers/{bea}/balance/why")
    await apply_deposit(scope, deposit, Application())

    assert "Deposit applied" in await why(page, f"/customers/{bea}/balance/why")


async def test_U8_a_message_says_why_it_was_written_and_why_it_waits(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Ada Adler"))
    message_id = await write_message(scope, customer_id, subject="Hello", text="x", to=["ada@posteo.example"])
    page = await tenant.browser()

    said = await why(page, f"/messages/{message_id}/why")

    assert "Written by staff to one customer or many" in said
    assert "No mail server is set up: it goes out when one is." in said
    assert "Test Staff" in said or "Event" in said
    assert f"/messages/{message_id}/why" in (await page.get(f"/messages/{message_id}")).text


async def test_U8_who_may_not_see_the_activity_is_told_the_rule_alone(tenant: TestTenant) -> None:
    customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Ada Adler"))
    page = await tenant.browser(staff_id=await tenant.staff_with(["customers.view", "documents.view"]))

    said = await why(page, f"/customers/{customer_id}/balance/why")

    assert "Rule" in said
    assert "Last event" not in said


async def test_U8_the_same_is_told_over_json_to_who_may_see_it(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Ada Adler", country="IE"))
    invoice_id = await billing.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description="Work", unit_price_e6=100_000_000)])
    )
    await billing.issue(scope, invoice_id)
    await payments.receive(scope, NewPayment(payer_id=customer_id, amount_minor=2000))
    message_id = await write_message(scope, customer_id, subject="Hello", text="x", to=["ada@posteo.example"])
    api, some = await tenant.api(), await tenant.api(("documents.view",))
    page = await tenant.browser()
    paths = (f"/customers/{customer_id}/balance/why", f"/invoices/{invoice_id}/why", f"/messages/{message_id}/why")

    for path in paths:
        told, shown = (await api.get(f"/api/v1{path}")).json(), unescape(await why(page, path))
        assert told["title"] in shown
        assert told["event"]["text"] in shown
        assert [one["label"] for one in told["facts"] if one["value"] not in shown] == []
        assert told["facts"][0]["label"] == "Rule"

    told = (await some.get(f"/api/v1{paths[1]}")).json()
    assert told["event"] is None
    assert told["facts"][0]["value"] == "Something was paid on it, and something is open."
    assert (await some.get(f"/api/v1{paths[2]}")).status_code == 403
    assert [(await api.get(f"/api/v1/{one}/999/why")).status_code for one in ("invoices", "messages")] == [404, 404]
    assert (await api.get("/api/v1/customers/999/balance/why")).status_code == 404
