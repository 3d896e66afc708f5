"""The page of a customer's next invoices, and the same over JSON."""

from __future__ import annotations

from datetime import timedelta

from core.billing.actions.pausing import pause
from core.billing.run import run_billing
from core.catalog.actions import create_product
from core.catalog.schemas import NewPrice, NewProduct
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import value
from core.money import format_amount
from core.periods import Cycle, nth
from core.subscriptions.actions import subscribe
from core.subscriptions.pages import period_words
from core.subscriptions.schemas import NewPause, NewSubscription
from core.testing import TestTenant
from core.web.templating import written
from tests.books import a_customer


async def test_P14_the_next_invoices_of_a_customer_are_shown_and_nothing_is_written(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Ann Arbor", country="IE"))
    price = NewPrice(cycle_unit="month", amount_minor=10_000, valid_from=scope.today())
    product_id = await create_product(scope, NewProduct(code="line", name="Line", kind="plan", prices=[price]))
    price_id = int(await value("SELECT id FROM price WHERE product_id = :id", id=product_id))
    await subscribe(scope, NewSubscription(customer_id=customer_id, product_id=product_id, price_id=price_id))
    page, api = await tenant.browser(), await tenant.api()
    path = f"/customers/{customer_id}/invoices/upcoming"

    shown = await page.get(path)
    of_a_day = await page.get(path, params={"on": scope.today().isoformat()})
    bad = await page.get(path, params={"on": "soon"})
    far = await page.get(path, params={"on": "2999-01-01"})
    tab = await page.get(f"/customers/{customer_id}/transactions")
    over_json = (await api.get(f"/api/v1/customers/{customer_id}/upcoming-invoices")).json()
    nobody = await api.get("/api/v1/customers/99999/upcoming-invoices")

    assert shown.text.count("123.00") == 3
    first, last = scope.today(), nth(scope.today(), Cycle("month"), 1) - timedelta(days=1)
    assert period_words(first, last + timedelta(days=1), "en") in shown.text
    assert written(last, "en") in shown.text
    assert of_a_day.text.count("123.00") == 1
    assert (shown.status_code, bad.status_code, far.status_code, nobody.status_code) == (200, 422, 422, 404)
    assert "Next invoice" in tab.text
    assert "100.00 net" in tab.text
    assert [each["total_minor"] for each in over_json] == [12_300] * 3
    assert await value("SELECT count(*) FROM charge") == 0
    assert await value("SELECT count(*) FROM document") == 0


async def test_P14_the_lines_of_whom_a_customer_pays_for_name_them(tenant: TestTenant) -> None:
    scope = tenant.scope()
    payer_id = await a_customer(scope, "Head office", country="IE")
    branch_id = await a_customer(scope, "Branch one", country="IE", parent_id=payer_id, payer_id=payer_id)
    price = NewPrice(cycle_unit="month", amount_minor=10_000, valid_from=scope.today())
    product_id = await create_product(scope, NewProduct(code="line", name="Line", kind="plan", prices=[price]))
    price_id = int(await value("SELECT id FROM price WHERE product_id = :id", id=product_id))
    for each in (payer_id, branch_id):
        await subscribe(scope, NewSubscription(customer_id=each, product_id=product_id, price_id=price_id))
    page, api = await tenant.browser(), await tenant.api()

    shown = await page.get(f"/customers/{payer_id}/invoices/upcoming", params={"on": scope.today().isoformat()})
    over_json = (await api.get(f"/api/v1/customers/{payer_id}/upcoming-invoices")).json()

    assert shown.text.count("Branch one") == 1
    assert sorted(line["beneficiary"] for line in over_json[0]["lines"]) == ["", "Branch one"]


async def test_P14_the_credit_note_of_a_planned_pause_is_shown_as_one(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Ann Arbor", country="IE"))
    price = NewPrice(cycle_unit="month", amount_minor=10_000, valid_from=scope.today())
    product_id = await create_product(scope, NewProduct(code="line", name="Line", kind="plan", prices=[price]))
    price_id = int(await value("SELECT id FROM price WHERE product_id = :id", id=product_id))
    line = await subscribe(scope, NewSubscription(customer_id=customer_id, product_id=product_id, price_id=price_id))
    await run_billing(scope, scope.today())
    first = scope.today() + timedelta(days=10)
    await pause(scope, line, NewPause(from_on=first, to_on=first + timedelta(days=5), hold_minor=0))
    page, api = await tenant.browser(), await tenant.api()

    shown = await page.get(f"/customers/{customer_id}/invoices/upcoming")
    told = (await api.get(f"/api/v1/customers/{customer_id}/upcoming-invoices")).json()

    assert [each["kind"] for each in told][:2] == ["credit_note", "invoice"]
    assert told[0]["total_minor"] > 0
    assert "Credit note" in shown.text
    assert f"−{format_amount(told[0]['total_minor'], 'EUR')}" in shown.text
