"""Prepaid on pages and over JSON: started from the balance, refused without one, and until when it lasts."""

from __future__ import annotations

import re
from datetime import timedelta

from core.billing.actions.prepaid import renew_due
from core.catalog.actions import create_product
from core.catalog.queries import get_product
from core.catalog.schemas import NewPrice, NewProduct
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import value
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.testing import TestTenant
from tests.core.subscriptions.test_pages import carry_out, plan


async def prepaid_customer(tenant: TestTenant) -> tuple[int, int, int]:
    """A customer, and a prepaid plan of ten days for 20.00: its ids."""
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Siobhán Kavanagh", country="IE"))
    product_id = await create_product(
        scope,
        NewProduct(
            code="ten",
            name="Ten days",
            kind="plan",
            timing="prepaid",
            tax_category="zero",
            prices=[NewPrice(cycle_unit="day", cycle_count=10, amount_minor=2000)],
        ),
    )
    return customer_id, product_id, (await get_product(product_id)).prices[0].id


async def test_P13_a_prepaid_plan_is_started_from_its_box_and_says_how_long_the_balance_lasts(
    tenant: TestTenant,
) -> None:
    customer_id, product_id, price_id = await prepaid_customer(tenant)
    page = await tenant.browser()

    box = (await page.get(f"/customers/{customer_id}/subscriptions")).text
    refused = await plan(page, customer_id, do="subscribe", product_id=product_id, price_id=price_id)
    await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=5000))
    seen = await plan(page, customer_id, do="subscribe", product_id=product_id, price_id=price_id)
    none_yet = await value("SELECT count(*) FROM subscription")
    done = await carry_out(page, customer_id, seen)
    tab = (await page.get(f"/customers/{customer_id}/subscriptions")).text

    assert "Pay from the balance" in box
    assert "€20.00 is missing" in refused.text
    assert none_yet == 0
    assert "20.00" in seen.text
    assert done.headers["hx-redirect"] == f"/customers/{customer_id}/subscriptions"
    assert await value("SELECT state FROM subscription") == "active"
    assert re.search(r"Prepaid: €30\.00 to spend, the balance lasts until .+ Ten days is not covered", tab)
    assert "then renewed from the balance" in tab


async def test_P13_what_waits_for_balance_says_so(tenant: TestTenant) -> None:
    customer_id, product_id, price_id = await prepaid_customer(tenant)
    scope = tenant.scope()
    await receive(scope, NewPayment(payer_id=customer_id, amount_minor=2000))
    api = await tenant.api()
    order = {"customer_id": customer_id, "product_id": product_id, "price_id": price_id}
    made = await api.post("/api/v1/subscriptions", json=order)
    tenant.clock.move(timedelta(days=11))

    await renew_due(tenant.scope(), tenant.scope().today())
    tab = (await (await tenant.browser()).get(f"/customers/{customer_id}/subscriptions")).text
    outlook = await api.get(f"/api/v1/customers/{customer_id}/prepaid")

    assert made.status_code == 201
    assert "Ten days waits for its next period of €20.00" in tab
    assert outlook.json()["items"][0]["waits"] is True
    assert outlook.json()["available_minor"] == 0


async def test_P13_over_json_what_is_not_covered_is_a_conflict(tenant: TestTenant) -> None:
    customer_id, product_id, price_id = await prepaid_customer(tenant)
    api = await tenant.api(["subscriptions.view", "subscriptions.change"])

    refused = await api.post(
        "/api/v1/subscriptions", json={"customer_id": customer_id, "product_id": product_id, "price_id": price_id}
    )
    nothing = await api.get(f"/api/v1/customers/{customer_id}/prepaid")

    assert (refused.status_code, "does not cover" in refused.text) == (409, True)
    assert nothing.json()["items"] == []
