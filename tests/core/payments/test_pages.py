"""The customer's Transactions tab, payments with what they settle, credit, the books; and the same over the API."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import httpx

from core.billing import actions as billing
from core.billing.actions.prepaid import renew_due
from core.billing.queries import get_document
from core.billing.schemas import NewDraft, NewLine
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import value, values
from core.ledger.queries import get_balance
from core.payments.actions import receive
from core.payments.queries import get_payment, list_payments
from core.payments.schemas import NewPayment
from core.subscriptions.queries import list_charges
from core.testing import TestTenant
from tests.core.subscriptions.test_prepaid_pages import prepaid_customer

PART = {"hx-request-type": "partial"}


async def a_customer(tenant: TestTenant, name: str = "Tarrow Pike") -> int:
    return await create_customer(tenant.scope(), NewCustomer(full_name=name, country="IE"))


async def an_invoice(tenant: TestTenant, customer_id: int) -> int:
    """Issued, 123.00 with its tax."""
    scope = tenant.scope()
    made = await billing.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description="Visit", unit_price_e6=100_000_000)])
    )
    await billing.issue(scope, made)
    return made


async def sent(page: httpx.AsyncClient, path: str, seen: httpx.Response, **typed: str) -> httpx.Response:
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', seen.text))
    return await page.post(
        path, data={**{name: unescape(text) for name, text in hidden.items()}, **typed}, headers=PART
    )


async def test_a_payment_shows_what_it_settles_and_what_stays_credit_before_it_is_registered(
    tenant: TestTenant,
) -> None:
    customer_id = await a_customer(tenant)
    first, second = await an_invoice(tenant, customer_id), await an_invoice(tenant, customer_id)
    page, path = await tenant.browser(), f"/customers/{customer_id}/payments"

    opened = await page.get(f"{path}/new", headers=PART)
    plan = await page.get(f"{path}/new", params={"amount": "150.00"}, headers=PART)
    before = await list_payments(tenant.scope())
    done = await sent(page, path, plan, amount="150.00", method="cash", reference="R 1")

    assert 'value="246.00"' in opened.text
    assert "open 123.00, paid in full" in plan.text
    assert "open 123.00, then 96.00" in plan.text
    assert "Register €150.00" in plan.text
    assert before == []
    assert done.headers.get("hx-redirect") == f"/customers/{customer_id}/transactions", done.text
    scope = tenant.scope()
    assert [(await get_document(scope, each)).open_minor for each in (first, second)] == [0, 9600]
    (payment,) = await list_payments(scope)
    assert (payment.method, payment.reference) == ("cash", "R 1")


async def test_the_invoice_that_is_named_is_paid_first(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    first, second = await an_invoice(tenant, customer_id), await an_invoice(tenant, customer_id)
    page, path = await tenant.browser(), f"/customers/{customer_id}/payments"

    plan = await page.get(f"{path}/new", params={"document_id": str(second)}, headers=PART)
    done = await sent(page, path, plan, amount="123.00", document_id=str(second))

    assert 'value="123.00"' in plan.text
    assert done.headers.get("hx-redirect"), done.text
    assert (await get_document(tenant.scope(), first)).open_minor == 12300
    assert (await get_document(tenant.scope(), second)).open_minor == 0


async def test_wrong_amounts_and_days_to_come_are_named_and_nothing_is_registered(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    page, path = await tenant.browser(), f"/customers/{customer_id}/payments"

    for typed, field in (
        ({"amount": ""}, "amount"),
        ({"amount": "0"}, "amount"),
        ({"amount": "12.345"}, "amount"),
        ({"amount": "5", "received_on": "2027-01-01"}, "received_on"),
        ({"amount": "5", "method": "shells"}, "method"),
    ):
        refused = await page.post(path, data=typed, headers=PART)
        assert refused.status_code == 422, (typed, refused.text[:300])
        assert f'id="f-plan-{field}-e"' in refused.text, typed
    assert await list_payments(tenant.scope()) == []


async def test_a_payment_that_came_between_is_shown_before_another_is_registered(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    await an_invoice(tenant, customer_id)
    page, path = await tenant.browser(), f"/customers/{customer_id}/payments"
    plan = await page.get(f"{path}/new", params={"amount": "123.00"}, headers=PART)

    await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=12300))
    stale = await sent(page, path, plan, amount="123.00")

    assert stale.status_code == 409
    assert "Something came between" in stale.text
    assert len(await list_payments(tenant.scope())) == 1


async def test_an_allocation_is_taken_back_and_made_again_by_hand(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    first, second = await an_invoice(tenant, customer_id), await an_invoice(tenant, customer_id)
    scope = tenant.scope()
    payment_id = await receive(scope, NewPayment(payer_id=customer_id, amount_minor=12300))
    page, path = await tenant.browser(), f"/payments/{payment_id}"

    shown = await page.get(path)
    allocation_id = (await get_payment(scope, payment_id)).paid[0].allocation_id
    back = await page.post(f"/allocations/{allocation_id}/undoing", data={"back": path})
    empty = await page.get(f"{path}/allocation", headers=PART)
    asked = {"document_id": str(second), "amount": "23.00"}
    plan = await page.get(f"{path}/allocation", params=asked, headers=PART)
    too_much = await page.get(f"{path}/allocation", params={**asked, "amount": "999"}, headers=PART)
    done = await sent(page, f"{path}/allocation", plan, **asked)

    assert "Take back" in shown.text
    assert back.headers["location"] == path
    assert empty.status_code == 200
    assert too_much.status_code == 422
    assert done.headers.get("hx-redirect") == path, done.text
    assert (await get_document(scope, first)).open_minor == 12300
    assert (await get_document(scope, second)).open_minor == 10000
    assert "Taken back" in (await page.get(path)).text


async def test_a_reversed_payment_opens_its_invoice_again(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    payment_id = await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=12300))
    page, path = await tenant.browser(), f"/payments/{payment_id}/reversal"

    plan = await page.get(path, headers=PART)
    done = await sent(page, path, plan, fee="", amount="", reason="Chargeback")

    assert "Reverse €123.00" in plan.text
    assert "0.00 →" in plan.text
    assert done.headers.get("hx-redirect"), done.text
    assert (await get_document(tenant.scope(), invoice_id)).open_minor == 12300
    assert (await get_payment(tenant.scope(), payment_id)).state == "reversed"


async def test_B4_the_plan_of_a_chargeback_says_who_bears_the_fee_of_the_bank(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    payment_id = await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=12300))
    page, path = await tenant.browser(), f"/payments/{payment_id}/reversal"

    ours = await page.get(path, params={"fee": "3"}, headers=PART)
    charged = await page.get(path, params={"fee": "3", "charge_fee": "1"}, headers=PART)
    too_much = await page.get(path, params={"amount": "999"}, headers=PART)
    done = await sent(page, path, charged, fee="3", charge_fee="1", amount="", reason="Chargeback")

    assert ("Fee of the bank, ours" in ours.text, "On the next invoice</h3>" in ours.text) == (True, False)
    assert "Fee of the bank, ours" not in charged.text
    assert "Fee of the bank for your payment of" in charged.text
    assert too_much.status_code == 422
    assert re.search(r'name="amount"[^>]*aria-invalid="true"', too_much.text), "at the field that was typed in"
    assert done.headers.get("hx-redirect"), done.text
    (charge,) = await list_charges(tenant.scope(), customer_id=customer_id, state="open")
    assert (charge.kind, charge.amount_minor) == ("fee", 300)


async def test_credit_is_granted_and_refunded_with_a_reason(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=1000))
    page, base = await tenant.browser(), f"/customers/{customer_id}"

    plan = await page.get(f"{base}/credit/new", params={"amount": "15"}, headers=PART)
    silent = await sent(page, f"{base}/credit", plan, amount="15")
    granted = await sent(page, f"{base}/credit", plan, amount="15", reason="Outage")
    refund = await page.get(f"{base}/refund", headers=PART)
    done = await sent(page, f"{base}/refund", refund, reason="Moved away", method="transfer", amount="")
    nothing = await page.get(f"{base}/refund", headers=PART)

    assert silent.status_code == 422
    assert granted.headers.get("hx-redirect"), granted.text
    assert "Refund €25.00" in refund.text
    assert done.headers.get("hx-redirect"), done.text
    assert nothing.status_code == 409
    assert (await get_balance(tenant.scope(), customer_id)).balance_minor == 0


async def test_each_part_of_the_tab_shows_what_there_is(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    empty = await a_customer(tenant, "Nobody Yet")
    await an_invoice(tenant, customer_id)
    await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=20000, reference="DD-1"))
    page, path = await tenant.browser(), f"/customers/{customer_id}/transactions"

    texts = {
        show: (await page.get(path, params={"show": show})).text
        for show in ("documents", "payments", "credit", "ledger", "nonsense")
    }

    assert "2026-000001" in texts["documents"]
    assert "2026-000001" in texts["nonsense"]
    assert "DD-1" in texts["payments"]
    assert "77.00" in texts["credit"]
    assert "Receivable" in texts["ledger"]
    for show, said in (
        ("documents", "No invoices yet"),
        ("payments", "No payments yet"),
        ("ledger", "Nothing is booked"),
    ):
        assert said in (await page.get(f"/customers/{empty}/transactions", params={"show": show})).text
    assert 'hx-trigger="click, load"' in (await page.get(path, params={"open": "pay"})).text


async def test_who_may_not_see_payments_sees_documents_only(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=20000, reference="DD-1"))
    page = await tenant.browser(staff_id=await tenant.staff_with({"customers.view", "documents.view"}))

    shown = await page.get(f"/customers/{customer_id}/transactions", params={"show": "payments"})

    assert shown.status_code == 200
    assert "DD-1" not in shown.text
    assert "Last payment" not in shown.text
    assert "/payments/new" not in shown.text


async def test_payments_are_found_by_customer_and_reference(tenant: TestTenant) -> None:
    for name, reference in (("Ann Arbor", "DD-1"), ("Bea Bank", "CH-2")):
        customer_id = await a_customer(tenant, name)
        await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=100, reference=reference))
    page = await tenant.browser()

    assert "2 of 2" in (await page.get("/payments")).text
    for q in ("bea", "CH-"):
        found = (await page.get("/payments", params={"q": q})).text
        assert "Bea Bank" in found
        assert "Ann Arbor" not in found
    assert "No payment matches" in (await page.get("/payments", params={"q": "zzz"})).text


async def test_the_trial_balance_sums_to_zero(tenant: TestTenant) -> None:
    await an_invoice(tenant, await a_customer(tenant))
    page = await tenant.browser()

    shown = await page.get("/ledger")
    before = await page.get("/ledger", params={"until": "2020-01-01"})
    bad = await page.get("/ledger", params={"since": "yesterday"})

    assert "123.00" in shown.text
    assert "Sum, EUR" in shown.text
    assert "Nothing was booked" in before.text
    assert bad.status_code == 422


async def test_payments_over_the_api(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    api = await tenant.api()
    body = {"payer_id": customer_id, "amount_minor": 20000, "provider": "bank", "event_id": "e1"}

    made = await api.post("/api/v1/payments", json=body)
    replay = await api.post("/api/v1/payments", json=body)
    refunded = await api.post(
        "/api/v1/refunds", json={"customer_id": customer_id, "amount_minor": 700, "reason": "Overpaid"}
    )
    too_much = await api.post(
        "/api/v1/refunds", json={"customer_id": customer_id, "amount_minor": 70000, "reason": "Overpaid"}
    )
    undone = await api.delete(f"/api/v1/allocations/{made.json()['paid'][0]['allocation_id']}")
    credit = (await api.get(f"/api/v1/customers/{customer_id}/credit", params={"only_free": "true"})).json()["items"]
    allocated = await api.post(
        "/api/v1/allocations",
        json={"credit_entry_id": credit[0]["id"], "invoice_id": invoice_id, "amount_minor": 12300},
    )
    reversed_ = await api.post(f"/api/v1/payments/{made.json()['id']}/reversal", json={"amount_minor": 1000})
    balances = await api.get(f"/api/v1/customers/{customer_id}/balances")
    books = await api.get("/api/v1/ledger/trial-balance")

    assert made.status_code == 201, made.text
    assert replay.json()["id"] == made.json()["id"]
    assert await value("SELECT count(*) FROM payment") == 1
    assert (made.json()["free_minor"], refunded.status_code) == (7700, 201)
    assert too_much.status_code in (409, 422)
    assert undone.status_code == 200, undone.text
    assert allocated.json()["open_minor"] == 0
    assert reversed_.json()["state"] == "part_reversed"
    assert balances.json()[0]["balance_minor"] == 20000 - 12300 - 700 - 1000
    assert sum(each["base_minor"] for each in books.json()) == 0


async def test_C19_each_line_ends_with_its_pdf_and_a_payment_for_it_and_leads_to_its_document(
    tenant: TestTenant,
) -> None:
    customer_id = await a_customer(tenant)
    open_one, paid_one = await an_invoice(tenant, customer_id), await an_invoice(tenant, customer_id)
    paid = NewPayment(payer_id=customer_id, amount_minor=12300, document_id=paid_one)
    await receive(tenant.scope(), paid)
    page, base = await tenant.browser(), f"/customers/{customer_id}"
    watcher = await tenant.browser(staff_id=await tenant.staff_with(("customers.view", "documents.view")))

    shown = (await page.get(f"{base}/transactions")).text
    looked_at = (await watcher.get(f"{base}/transactions")).text
    drawer = await page.get(f"{base}/payments/new", params={"document_id": str(open_one)}, headers=PART)

    for document_id in (open_one, paid_one):
        assert f'href="/invoices/{document_id}"' in shown
        assert f'href="/invoices/{document_id}/pdf"' in shown
    assert f"{base}/payments/new?document_id={open_one}" in shown
    assert f"{base}/payments/new?document_id={paid_one}" not in shown
    assert "document_id=" not in looked_at
    assert 'value="123.00"' in drawer.text
    assert "open 123.00, paid in full" in drawer.text


async def test_P13_money_that_renews_what_waits_for_it_is_registered_as_its_plan_says(tenant: TestTenant) -> None:
    """The plan cannot know the number of the invoice that it makes."""
    customer_id, product_id, price_id = await prepaid_customer(tenant)
    api, path = await tenant.api(), f"/customers/{customer_id}/payments"
    await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=2000))
    order = {"customer_id": customer_id, "product_id": product_id, "price_id": price_id}
    assert (await api.post("/api/v1/subscriptions", json=order)).status_code == 201
    tenant.clock.move(timedelta(days=11))
    await renew_due(tenant.scope(), tenant.scope().today())
    page = await tenant.browser()

    plan = await page.get(f"{path}/new", params={"amount": "30.00"}, headers=PART)
    done = await sent(page, path, plan, amount="30.00")

    assert "New invoice" in plan.text
    assert done.headers.get("hx-redirect") == f"/customers/{customer_id}/transactions", done.text
    assert await values("SELECT seq FROM document WHERE kind = 'invoice' ORDER BY id") == [1, 2]
