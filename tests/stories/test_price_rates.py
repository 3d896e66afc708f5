"""Prices of another currency: the rate agreed with the customer, else the tenant's; copied when the term starts."""

from __future__ import annotations

from datetime import date

import pytest

from core.billing.verify import verify
from core.customers import queries as customers
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import value
from core.errors import Invalid
from core.ledger.customer_rates import list_customer_rates, remove_customer_rate, set_customer_rate
from core.ledger.fx import ONE, price_rate
from core.ledger.schemas import NewCustomerFxRate
from core.subscriptions import queries
from core.testing import TestTenant
from tests.stories.story import Story

pytestmark = pytest.mark.anyio

CENT = ONE // 100


async def agreed(story: Story, rate: int, since: str, until: str | None = None, currency: str = "EUR") -> int:
    return await set_customer_rate(
        story.scope,
        story.customer,
        NewCustomerFxRate(
            from_currency=currency,
            valid_from=date.fromisoformat(since),
            valid_to=date.fromisoformat(until) if until else None,
            rate_e10=rate,
        ),
    )


async def term_of(subscription_id: int, column: str) -> int | str | None:
    found: int | str | None = await value(
        f"SELECT {column} FROM subscription_term WHERE subscription_id = :id", id=subscription_id
    )
    return found


async def test_B7_a_price_is_turned_into_the_customers_currency_by_the_tenants_rate(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.8", "2027-04-01")
    await story.sells("fibre", 10000)

    subscription_id = await story.subscribes("fibre")
    report = await story.bill()

    assert await term_of(subscription_id, "currency") == "USD"
    assert await term_of(subscription_id, "amount_minor") == 12500
    assert await term_of(subscription_id, "price_rate_e10") == 125 * CENT
    document = await story.last_document()
    assert report.invoices == 1
    assert (document.currency, document.net_minor, document.tax_fx_rate_e10) == ("USD", 12500, 80 * CENT)
    assert await verify(story.scope, thorough=True) == []


async def test_C9_the_rate_agreed_with_the_customer_wins_and_leaves_the_tax_rate_alone(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.8", "2027-04-01")
    await story.sells("fibre", 10000)
    await agreed(story, 110 * CENT, "2027-05-01")

    subscription_id = await story.subscribes("fibre")
    await story.bill()

    assert await term_of(subscription_id, "amount_minor") == 11000
    document = await story.last_document()
    assert (document.net_minor, document.tax_fx_rate_e10) == (11000, 80 * CENT)
    assert await verify(story.scope, thorough=True) == []


async def test_C9_a_rate_holds_in_its_days_and_what_was_priced_by_it_stays(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.8", "2027-04-01")
    await story.sells("fibre", 10000)
    await agreed(story, 110 * CENT, "2027-05-01", "2027-06-01")
    await agreed(story, 130 * CENT, "2027-07-01")

    async def rate(day: str) -> int | None:
        return await price_rate("EUR", story.customer, "EUR", "USD", date.fromisoformat(day))

    assert [await rate(day) for day in ("2027-04-30", "2027-05-01", "2027-05-31", "2027-06-01", "2027-07-01")] == [
        125 * CENT,
        110 * CENT,
        110 * CENT,
        125 * CENT,
        130 * CENT,
    ]
    subscription_id = await story.subscribes("fibre")
    (first, second) = await list_customer_rates(story.scope, story.customer)
    await remove_customer_rate(story.scope, story.customer, second.id)
    assert await term_of(subscription_id, "amount_minor") == 11000
    assert [each.id for each in await list_customer_rates(story.scope, story.customer)] == [first.id]


async def test_B7_a_currency_goes_through_the_tenants_into_another(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.8", "2027-04-01")
    await story.rate("GBP", "1.2", "2027-04-01")

    assert await price_rate("EUR", story.customer, "GBP", "USD", date(2027, 5, 1)) == 150 * CENT
    assert await price_rate("EUR", story.customer, "CHF", "USD", date(2027, 5, 1)) is None


async def test_B7_without_a_rate_or_with_a_price_of_its_own_the_foreign_price_is_refused(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.sells("fibre", 10000)

    with pytest.raises(Invalid, match="there is no rate between them"):
        await story.subscribes("fibre")

    await story.rate("USD", "0.8", "2027-04-01")
    (box,) = await queries.list_boxes(story.scope, story.customer)
    assert [(each.amount_minor, each.currency) for each in box.actions if each.price_id] == [
        (12500, "USD") for each in box.actions if each.price_id
    ]
    assert any(each.price_id for each in box.actions)
    assert (await customers.get_customer(story.scope, story.customer)).currency == "USD"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"from_currency": "USD"}, "from_currency"),
        ({"from_currency": "XYZ"}, "from_currency"),
        ({"valid_to": date(2027, 5, 1)}, "valid_to"),
        ({"valid_from": date(2033, 5, 1)}, "valid_from"),
    ],
)
async def test_C9_a_rate_that_makes_no_sense_is_refused_at_its_field(
    story: Story, given: dict[str, object], field: str
) -> None:
    await story.begins("2027-05-01", currency="USD")
    data = {"from_currency": "EUR", "valid_from": date(2027, 5, 1), "rate_e10": ONE, **given}

    with pytest.raises(Invalid) as refused:
        await set_customer_rate(story.scope, story.customer, NewCustomerFxRate(**data))  # type: ignore[arg-type]  # by name

    assert field in {error.field for error in refused.value.errors}


async def test_C9_rates_of_a_customer_are_set_seen_and_removed_on_its_page_and_over_json(tenant: TestTenant) -> None:
    customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Tarrow Pike", currency="USD"))
    page, api = await tenant.browser(), await tenant.api()
    path = f"/customers/{customer_id}/fx-rates"
    typed = {"from_currency": "EUR", "rate": "1.1", "valid_from": "2026-11-22", "valid_to": ""}

    wrong = await page.post(path, data={**typed, "rate": "much"})
    done = await page.post(path, data=typed)
    shown = (await page.get(path)).text
    (listed,) = (await api.get(f"/api/v1{path}")).json()
    again = await api.post(
        f"/api/v1{path}",
        json={"from_currency": "EUR", "valid_from": "2026-11-22", "valid_to": "2027-01-01", "rate_e10": 12 * ONE // 10},
    )
    removed = await page.post(f"{path}/{listed['id']}/removal")

    assert wrong.status_code == 422
    assert "much" in wrong.text
    assert done.status_code == 303
    assert "1.1000" in shown
    assert listed["rate_e10"] == 110 * CENT
    assert again.json()["id"] == listed["id"]
    assert removed.status_code == 303
    assert (await api.get(f"/api/v1{path}")).json() == []
