"""Pages of the catalogue, and the same over the API."""

from __future__ import annotations

from datetime import date, timedelta

from core.catalog import actions, queries
from core.catalog.schemas import NewPrice, NewProduct
from core.testing import TestTenant


def fibre(code: str = "fibre", **fields: object) -> NewProduct:
    return NewProduct(  # type: ignore[arg-type]  # fields by name
        code=code, name="Fibre 300", kind="plan", prices=[NewPrice(cycle_unit="month", amount_minor=4500)], **fields
    )


async def test_P1_a_product_that_was_typed_in_stands_in_the_list_with_its_prices(tenant: TestTenant) -> None:
    page = await tenant.browser()

    made = await page.post(
        "/products",
        data={
            "name": "Fibre 300",
            "code": "fibre-300",
            "kind": "plan",
            "price_month": "45",
            "price_year": "495.00",
            "setup": "28.50",
            "trial_days": "14",
            "activation": "invoice_first",
        },
    )

    assert made.status_code == 303, made.text
    listed = await page.get("/products")
    assert "45.00 a month, 495.00 a year" in listed.text
    assert "28.50" in listed.text
    shown = await page.get(made.headers["location"])
    assert "Invoice first" in shown.text
    product = await queries.get_product(int(made.headers["location"].rsplit("/", 1)[1]))
    assert {(price.cycle_unit, price.amount_minor, price.setup_minor) for price in product.prices} == {
        ("month", 4500, 2850),
        ("year", 49500, 2850),
    }


async def test_P1_a_product_without_a_code_gets_one_that_is_made_of_its_name(tenant: TestTenant) -> None:
    page, api = await tenant.browser(), await tenant.api()

    typed = await page.post("/products", data={"name": "Glasfaser Größe XL, 300/50", "code": "", "kind": "plan"})
    again = await api.post("/api/v1/products", json={"name": "Glasfaser Größe XL 300 50", "kind": "module"})
    nameless = await api.post("/api/v1/products", json={"name": "光纤", "kind": "service"})

    assert typed.status_code == 303, typed.text
    assert (again.status_code, nameless.status_code) == (201, 201), again.text
    codes = {product.code for product in await queries.list_products()}
    assert {"glasfaser-grosse-xl-300-50", "glasfaser-grosse-xl-300-50-2", "product"} <= codes


async def test_P1_every_wrong_field_of_a_new_product_is_named_and_nothing_is_written(tenant: TestTenant) -> None:
    page = await tenant.browser()

    bad_text = await page.post("/products", data={"name": "", "code": "Fibre 300", "kind": "plan"})
    bad_amounts = await page.post(
        "/products",
        data={"name": "F", "code": "f", "kind": "plan", "price_month": "12.345", "price_once": "5", "setup": "many"},
    )

    assert bad_text.status_code == bad_amounts.status_code == 422
    for field in ("name", "code"):
        assert f'id="f-{field}-e"' in bad_text.text
    for field in ("price_month", "price_once", "setup"):
        assert f'id="f-{field}-e"' in bad_amounts.text
    assert 'value="12.345"' in bad_amounts.text
    assert await queries.list_products() == []


async def test_a_part_of_a_product_is_saved_against_its_version(tenant: TestTenant) -> None:
    product_id = await actions.create_product(tenant.scope(), fibre())
    page = await tenant.browser()
    path = f"/products/{product_id}/sections/contract"

    saved = await page.put(path, data={"version": "1", "min_term_count": "12", "min_term_unit": "month"})
    second = await page.put(path, data={"version": "1", "min_term_count": "24", "min_term_unit": "month"})
    other_part = await page.put(f"/products/{product_id}/sections/start", data={"version": "2", "trial_days": "7"})

    assert saved.status_code == 200, saved.text
    assert second.status_code == 409
    assert "24" in second.text
    assert other_part.status_code == 200
    product = await queries.get_product(product_id)
    assert (product.min_term_count, product.trial_days, product.version) == (12, 7, 3)


async def test_half_a_minimum_term_is_refused_at_its_field(tenant: TestTenant) -> None:
    product_id = await actions.create_product(tenant.scope(), fibre())
    page = await tenant.browser()

    refused = await page.put(
        f"/products/{product_id}/sections/contract",
        data={"version": "1", "min_term_count": "12", "min_term_unit": ""},
    )

    assert refused.status_code == 422
    assert 'id="f-contract-min_term_count-e"' in refused.text


async def test_a_new_price_ends_the_one_before_and_can_be_withdrawn(tenant: TestTenant) -> None:
    product_id = await actions.create_product(tenant.scope(), fibre())
    page = await tenant.browser()
    tomorrow = tenant.scope().today() + timedelta(days=1)

    made = await page.post(
        f"/products/{product_id}/prices",
        data={"amount": "47.50", "cycle_unit": "month", "cycle_count": "1", "valid_from": tomorrow.isoformat()},
    )
    newest = (await queries.get_product(product_id)).prices[0]
    withdrawn = await page.delete(f"/products/{product_id}/prices/{newest.id}")

    assert made.status_code == 303, made.text
    assert withdrawn.status_code in (200, 303)
    prices = (await queries.get_product(product_id)).prices
    assert [(price.amount_minor, price.valid_to) for price in prices] == [
        (4750, tomorrow + timedelta(days=1)),
        (4500, tomorrow),
    ]


async def test_a_price_of_another_product_is_not_found_under_this_one(tenant: TestTenant) -> None:
    scope = tenant.scope()
    mine, other = await actions.create_product(scope, fibre()), await actions.create_product(scope, fibre("other"))
    price_id = (await queries.get_product(other)).prices[0].id
    page = await tenant.browser()

    answer = await page.delete(f"/products/{mine}/prices/{price_id}")

    assert answer.status_code == 404
    assert (await queries.get_price(price_id)).valid_to is None


async def test_a_rate_that_was_typed_in_percent_holds_from_its_day(tenant: TestTenant) -> None:
    page = await tenant.browser()

    set_one = await page.post(
        "/settings/tax", data={"country": "IE", "category": "standard", "rate": "13,5", "valid_from": "2026-01-01"}
    )
    refused = await page.post(
        "/settings/tax", data={"country": "IE", "category": "standard", "rate": "140", "valid_from": "2026-01-01"}
    )

    assert set_one.status_code == 303, set_one.text
    assert refused.status_code == 422
    assert 'id="f-rate-e"' in refused.text
    (rate,) = await queries.list_tax_rates("IE")
    assert (rate.rate_ppm, rate.valid_from) == (135_000, date(2026, 1, 1))
    assert "13.5" in (await page.get("/settings/tax")).text


async def test_a_group_is_made_on_its_page(tenant: TestTenant) -> None:
    page = await tenant.browser()

    made = await page.post("/products/groups", data={"code": "tv", "name": "Television", "one_live": "yes"})
    twice = await page.post("/products/groups", data={"code": "tv", "name": "Television"})

    assert made.status_code == 303
    assert twice.status_code == 422
    assert "Television" in (await page.get("/products/groups")).text
    assert [group.one_live for group in await queries.list_groups() if group.code == "tv"] == [True]


async def test_who_may_only_look_is_offered_nothing_to_change(tenant: TestTenant) -> None:
    product_id = await actions.create_product(tenant.scope(), fibre())
    page = await tenant.browser(staff_id=await tenant.staff_with({"catalog.view"}))

    shown = await page.get(f"/products/{product_id}")
    refused = await page.post(f"/products/{product_id}/prices", data={"amount": "1"})

    assert shown.status_code == 200
    assert "New price" not in shown.text
    assert "data-edit" not in shown.text
    assert refused.status_code == 403


async def test_the_catalogue_over_the_api(tenant: TestTenant) -> None:
    api = await tenant.api()

    made = await api.post(
        "/api/v1/products",
        json={
            "code": "fibre",
            "name": "Fibre",
            "kind": "plan",
            "prices": [{"cycle_unit": "month", "amount_minor": 4500}],
        },
    )
    product = made.json()
    priced = await api.post(
        f"/api/v1/products/{product['id']}/prices", json={"cycle_unit": "year", "amount_minor": 49500}
    )
    changed = await api.patch(
        f"/api/v1/products/{product['id']}", json={"version": product["version"], "name": "Fibre 300", "trial_days": 14}
    )
    stale = await api.patch(f"/api/v1/products/{product['id']}", json={"version": 1, "name": "Another"})
    bad = await api.post("/api/v1/products", json={"code": "x", "name": "X", "kind": "car"})
    listed = await api.get("/api/v1/products", params={"kind": "plan"})

    assert made.status_code == priced.status_code == 201, made.text
    assert changed.json()["trial_days"] == 14
    assert stale.status_code == 409
    assert bad.status_code == 422
    assert bad.json()["errors"][0]["field"] == "kind"
    assert [item["name"] for item in listed.json()["items"]] == ["Fibre 300"]
    assert len(changed.json()["prices"]) == 2
