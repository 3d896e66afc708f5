"""The list of parked accounts, one and many tried again, and the renewals of a run: on pages and over JSON."""

from __future__ import annotations

import re
from datetime import date, timedelta

from core.billing.actions.prepaid import start
from core.billing.queries import list_parked
from core.billing.run import run_billing
from core.catalog.actions import create_product, create_tax_category, set_tax_rate
from core.catalog.schemas import NewPrice, NewProduct, NewTaxCategory, NewTaxRate
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import value, values
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.subscriptions.actions import subscribe
from core.subscriptions.schemas import NewSubscription
from core.testing import TestTenant
from tests.books import a_customer
from tests.core.billing.test_bulk import done, lines_of, planned


async def three_parked(tenant: TestTenant) -> list[int]:
    """Ann, Bea and Cyd have a line whose tax nobody entered; gives their rows in the list."""
    scope = tenant.scope()
    await create_tax_category(scope, NewTaxCategory(code="telecom", name="Telecom"))
    price = NewPrice(cycle_unit="month", amount_minor=10_000, valid_from=date(2000, 1, 1))
    product_id = await create_product(
        scope, NewProduct(code="line", name="Line", kind="plan", tax_category="telecom", prices=[price])
    )
    price_id = int(await value("SELECT id FROM price WHERE product_id = :id", id=product_id))
    for name in ("Ann Arbor", "Bea Bank", "Cyd Cole"):
        customer_id = await create_customer(scope, NewCustomer(full_name=name, country="IE"))
        await subscribe(scope, NewSubscription(customer_id=customer_id, product_id=product_id, price_id=price_id))
    await run_billing(scope, scope.today(), pause=0)
    return [each.id for each in await list_parked(scope)]


async def test_B8_parked_accounts_are_listed_and_tried_again_one_by_one_or_together(tenant: TestTenant) -> None:
    ann, bea, cyd = await three_parked(tenant)
    page, api = await tenant.browser(), await tenant.api()
    at = f"/billing/parked/{ann}/retry"

    listed = await page.get("/billing/parked?state=parked")
    refused = await page.get(at)
    still = await planned(tenant, api, "billing/parked", "billing.retry", [bea])
    await set_tax_rate(
        tenant.scope(), NewTaxRate(country="IE", category="telecom", valid_from=date(2000, 1, 1), rate_ppm=100_000)
    )
    shown = await page.get(at)
    seen = shown.text.split('name="seen" value="')[1].split('"')[0]
    nothing_yet = await values("SELECT id FROM document")
    billed = await page.post(at, data={"seen": seen})
    plan = await planned(tenant, api, "billing/parked", "billing.retry", [bea, cyd])
    await done(tenant, api, "billing/parked", plan)
    left = await page.get("/billing/parked?state=parked")
    found = (await api.get("/api/v1/billing/parked", params={"state": "resolved"})).json()["items"]
    gone = await api.post(f"/api/v1/billing/parked/{ann}/retry")

    assert "Ann Arbor" in listed.text
    assert "100.00" in listed.text
    assert "There is no tax rate" in listed.text
    assert re.search(rf'<td class="c-way[^"]*"><a[^>]*>Enter tax rates</a>[^<]*<a href="{at}"', listed.text)
    assert "It cannot be billed yet" in refused.text
    assert [text for text in lines_of(still) if text.startswith("Parked again: There is no tax rate")]
    assert "110.00" in shown.text
    assert nothing_yet == []
    assert billed.status_code == 303
    assert lines_of(plan) == {"It is invoiced": (2, {"EUR": 22_000})}
    assert "No account is parked" in left.text
    assert [each["id"] for each in found] == [cyd, bea, ann]
    assert gone.status_code == 409


async def test_B8_the_page_of_a_run_leads_to_what_it_renewed(tenant: TestTenant) -> None:
    scope = tenant.scope()
    price = NewPrice(cycle_unit="day", cycle_count=10, amount_minor=1000, valid_from=date(2000, 1, 1))
    product_id = await create_product(scope, NewProduct(code="day", name="Ten days", kind="plan", prices=[price]))
    price_id = int(await value("SELECT id FROM price WHERE product_id = :id", id=product_id))
    runs = []
    customer_id = await a_customer(scope, "Ann Arbor", country="IE", billing_type="prepaid")
    await receive(scope, NewPayment(payer_id=customer_id, amount_minor=2500))
    await start(scope, NewSubscription(customer_id=customer_id, product_id=product_id, price_id=price_id))
    for __ in range(2):
        tenant.clock.move(timedelta(days=10))
        runs.append((await run_billing(tenant.scope(), tenant.scope().today(), confirmed=True, pause=0)).run_id)
    page, api = await tenant.browser(), await tenant.api()

    first, second = [await page.get(f"/billing/runs/{each}") for each in runs]
    rows = await page.get(f"/billing/renewals?run={runs[0]}&outcome=renewed")
    sheet = await page.get(f"/lists/renewals/export?run={runs[1]}&outcome=not_covered&format=csv")
    told = (await api.get(f"/api/v1/billing/runs/{runs[1]}")).json()
    found = (await api.get("/api/v1/billing/renewals", params={"run": str(runs[0])})).json()["items"]

    assert f"/billing/renewals?run={runs[0]}&amp;outcome=renewed" in first.text
    assert f"/billing/renewals?run={runs[1]}&amp;outcome=not_covered" in second.text
    assert "Ann Arbor" in rows.text
    assert "Ann Arbor" in sheet.text
    assert (told["renewed"], told["not_covered"]) == (0, 1)
    assert [(each["customer_id"], each["total_minor"]) for each in found] == [(customer_id, 1230)]


async def test_the_lists_beside_the_runs_lead_back_to_them(tenant: TestTenant) -> None:
    page = await tenant.browser()

    for path in ("/billing/parked", "/billing/renewals"):
        shown = (await page.get(path)).text

        assert re.search(r'<nav class="t-crumbs"[^>]*><a href="/billing/runs">', shown)
        assert re.search(r'href="/billing/runs" title="Billing runs" aria-current="page"', shown)
