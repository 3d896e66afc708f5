"""Runs beside those that they are measured by."""

from __future__ import annotations

from datetime import date, timedelta

from core.billing.run import run_billing
from core.catalog.actions import create_product
from core.catalog.schemas import NewPrice, NewProduct
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import value
from core.subscriptions.actions import subscribe
from core.subscriptions.schemas import NewSubscription
from core.testing import TestTenant


async def test_B8_a_run_is_shown_beside_the_one_before_and_what_is_far_from_it_is_flagged(tenant: TestTenant) -> None:
    scope = tenant.scope()
    price = NewPrice(cycle_unit="month", amount_minor=10_000, valid_from=date(2000, 1, 1))
    product_id = await create_product(scope, NewProduct(code="line", name="Line", kind="plan", prices=[price]))
    price_id = int(await value("SELECT id FROM price WHERE product_id = :id", id=product_id))
    second = None
    for name in ("Ann Arbor", "Bea Bank"):
        customer_id = await create_customer(scope, NewCustomer(full_name=name, country="IE"))
        order = NewSubscription(customer_id=customer_id, product_id=product_id, price_id=price_id)
        await subscribe(tenant.scope(), order)
        second = (await run_billing(tenant.scope(), tenant.scope().today(), confirmed=True, pause=0)).run_id
        tenant.clock.move(timedelta(days=31))
    third = (await run_billing(tenant.scope(), tenant.scope().today(), confirmed=True, pause=0)).run_id
    page = await tenant.browser()

    history = await page.get("/billing/runs")
    grown = await page.get(f"/billing/runs/{second}")
    same = await page.get(f"/billing/runs/{third}")

    assert "+100.0" in history.text
    assert 't-flag">+123.00' in grown.text
    assert "+123.00" not in same.text
    assert "This run" in same.text
