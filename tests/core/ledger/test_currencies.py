"""The page of exchange rates, and the same over the API."""

from __future__ import annotations

from datetime import date, timedelta

from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import values
from core.ledger.fx import find_rate
from core.ledger.queries import list_fx_rates
from core.testing import TestTenant

AT = "/settings/currencies"


async def test_a_rate_that_was_typed_in_holds_from_its_day_until_the_next(tenant: TestTenant) -> None:
    page = await tenant.browser()
    today, base = tenant.scope().today(), tenant.scope().tenant.currency
    other = "CHF"
    before, ahead = (today - timedelta(days=3)).isoformat(), (today + timedelta(days=2)).isoformat()

    for on, rate in ((before, "0,92"), (today.isoformat(), "0.93"), (ahead, "0.9412345678")):
        made = await page.post(AT, data={"from_currency": other, "rate": rate, "valid_on": on})
        assert made.status_code == 303, made.text
    replaced = await page.post(AT, data={"from_currency": other, "rate": "0.95", "valid_on": ahead})

    assert replaced.status_code == 303
    assert [each.rate_e10 for each in await list_fx_rates(other)] == [9_500_000_000, 9_300_000_000, 9_200_000_000]
    assert await find_rate(other, base, today) == 9_300_000_000
    assert await find_rate(other, base, today - timedelta(days=1)) == 9_200_000_000
    shown = await page.get(AT)
    assert "Swiss Franc" in shown.text
    assert shown.text.index("To come") < shown.text.index("In force") < shown.text.index("Over")
    assert len(await values("SELECT 1 FROM activity WHERE kind = 'fx_rate_set'")) == 4


async def test_what_is_wrong_with_a_rate_is_said_at_its_field(tenant: TestTenant) -> None:
    page = await tenant.browser()
    scope = tenant.scope()
    today = scope.today().isoformat()
    right = {"from_currency": "CHF", "rate": "0.93", "valid_on": today}
    assert (await page.post(AT, data=right)).status_code == 303

    for field, wrong in (
        ("from_currency", {"from_currency": scope.tenant.currency}),
        ("from_currency", {"from_currency": "ZZZ"}),
        ("rate", {"rate": "many"}),
        ("rate", {"rate": "0"}),
        ("rate", {"rate": "-1"}),
        ("rate", {"rate": "0.12345678901"}),
        ("rate", {"rate": "1000001"}),
        ("valid_on", {"valid_on": "1999-12-31"}),
        ("valid_on", {"valid_on": "2999-12-31"}),
        ("valid_on", {"rate": "0.94"}),
    ):
        answer = await page.post(AT, data=right | wrong)
        assert answer.status_code == 422, wrong
        assert f'id="f-{field}-e"' in answer.text, wrong
    assert [each.rate_e10 for each in await list_fx_rates()] == [9_300_000_000]


async def test_currencies_of_customers_without_a_rate_are_named(tenant: TestTenant) -> None:
    await create_customer(tenant.scope(), NewCustomer(full_name="Ada Adler", currency="CHF"))
    page = await tenant.browser()

    assert "No rate into" in (await page.get(AT)).text
    await page.post(AT, data={"from_currency": "CHF", "rate": "0.93", "valid_on": tenant.scope().today().isoformat()})
    assert "No rate into" not in (await page.get(AT)).text


async def test_who_may_not_set_rates_is_offered_nothing(tenant: TestTenant) -> None:
    page = await tenant.browser(staff_id=await tenant.staff_with({"settings.view"}))

    shown = await page.get(AT)
    refused = await page.post(AT, data={"from_currency": "CHF", "rate": "1", "valid_on": "2026-01-01"})

    assert shown.status_code == 200
    assert "Set a rate" not in shown.text
    assert refused.status_code == 403


async def test_rates_over_the_api(tenant: TestTenant) -> None:
    api = await tenant.api()
    today, base = tenant.scope().today(), tenant.scope().tenant.currency

    given = {"from_currency": "CHF", "valid_on": today.isoformat(), "rate_e10": 9_300_000_000}
    made = await api.post("/api/v1/fx-rates", json=given)
    again = await api.post("/api/v1/fx-rates", json=given)
    twice = await api.post("/api/v1/fx-rates", json=given | {"rate_e10": 1})
    foreign = await api.post("/api/v1/fx-rates", json=given | {"to_currency": "GBP", "from_currency": "ZZZ"})
    listed = await api.get("/api/v1/fx-rates", params={"currency": "chf"})

    assert (made.status_code, again.json()) == (201, made.json())
    assert (twice.status_code, twice.json()["errors"][0]["field"]) == (422, "valid_on")
    assert [error["field"] for error in foreign.json()["errors"]] == ["from_currency", "to_currency"]
    assert listed.json() == [{**given, "id": made.json()["id"], "to_currency": base, "valid_on": date.isoformat(today)}]
