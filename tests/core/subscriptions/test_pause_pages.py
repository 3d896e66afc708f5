"""Drawers of pauses, discounts and contracts: each shows what it will do, then does that."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import httpx

from core.billing.actions import create_draft
from core.billing.actions.periods import edit_period
from core.billing.queries import get_document
from core.billing.run import run_billing
from core.billing.schemas import NewDraft
from core.catalog.actions import create_product
from core.catalog.queries import get_product
from core.catalog.schemas import NewPrice, NewProduct
from core.database import value, values
from core.subscriptions.actions import subscribe
from core.subscriptions.changes import PeriodEdit
from core.subscriptions.queries import get_subscription
from core.subscriptions.schemas import NewSubscription
from core.testing import TestTenant
from tests.core.subscriptions.test_pages import a_customer, carry_out, plan

PARTIAL = {"hx-request-type": "partial"}


async def running(tenant: TestTenant, **price: int) -> tuple[int, int]:
    """A customer and its subscription of 31.00 a month, bound for a year, billed from today on."""
    scope = tenant.scope()
    customer_id = await a_customer(tenant)
    product_id = await create_product(
        scope,
        NewProduct(
            code="fibre",
            name="Fibre",
            kind="plan",
            min_term_unit="year",
            min_term_count=1,
            notice_days=30,
            tax_category="zero",
            prices=[NewPrice(cycle_unit="month", amount_minor=3100, **price)],
        ),
    )
    order = NewSubscription(
        customer_id=customer_id, product_id=product_id, price_id=(await get_product(product_id)).prices[0].id
    )
    mine = await subscribe(scope, order)
    await run_billing(scope, scope.today(), pause=0)
    return customer_id, mine


async def send(page: httpx.AsyncClient, at: str, shown: httpx.Response, **more: str) -> httpx.Response:
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', shown.text))
    return await page.post(
        at, data={**{name: unescape(text) for name, text in hidden.items()}, **more}, headers=PARTIAL
    )


async def test_P15_a_pause_is_shown_planned_undone_begun_and_ended_on_pages(tenant: TestTenant) -> None:
    customer_id, mine = await running(tenant)
    page, today = await tenant.browser(), tenant.scope().today()
    at = f"/subscriptions/{mine}/pause"

    empty = await page.get(f"{at}/plan", headers=PARTIAL)
    wrong = await send(page, at, empty, from_on=str(today))
    later = {"from_on": str(today + timedelta(days=3)), "to_on": str(today + timedelta(days=9)), "hold": "5"}
    shown = await page.get(f"{at}/plan", params=later, headers=PARTIAL)
    none_yet = await value("SELECT count(*) FROM subscription_pause")
    planned = await send(page, at, shown, **later)
    boxes = (await page.get(f"/customers/{customer_id}/subscriptions")).text
    undone = await send(page, f"{at}/undo", await page.get(f"{at}/undo/plan", headers=PARTIAL))
    now = {"to_on": str(today + timedelta(days=9))}
    shown_now = await page.get(f"{at}/plan", params=now, headers=PARTIAL)
    begun = await send(page, at, shown_now, **now)
    paused = (await page.get(f"/subscriptions/{mine}")).text
    ended = await send(page, f"{at}/end", await page.get(f"{at}/end/plan", headers=PARTIAL))

    assert (wrong.status_code, "Fill this in." in wrong.text, none_yet) == (422, True, 0)
    assert "6 days" in shown.text
    assert "€5.00" in shown.text
    assert "Undo the pause" in boxes
    assert "paused from" in boxes
    assert "−9." in shown_now.text
    assert {each.headers.get("hx-redirect") for each in (planned, undone, begun, ended)} == {f"/subscriptions/{mine}"}
    assert "then it goes on by itself" in paused
    assert "End the pause" in paused
    assert await values("SELECT state FROM subscription_pause ORDER BY id") == ["dropped", "done"]
    assert await value("SELECT state FROM subscription") == "active"


async def test_P18_a_discount_is_given_and_removed_on_the_page_of_what_it_is_for(tenant: TestTenant) -> None:
    customer_id, mine = await running(tenant)
    page = await tenant.browser()
    at = f"/subscriptions/{mine}/discounts"

    empty = await page.get(f"{at}/new", headers=PARTIAL)
    wrong = await send(page, at, empty, much="101", unit="percent")
    asked = {"much": "10", "unit": "percent", "label": "Loyal"}
    shown = await page.get(f"{at}/new", params=asked, headers=PARTIAL)
    both = await page.get(f"{at}/new", params={**asked, "cycles": "3", "until_on": "2030-01-01"}, headers=PARTIAL)
    given = await send(page, at, shown, **asked)
    everything = {"much": "1.00", "unit": "amount"}
    for_all = f"/customers/{customer_id}/discounts"
    shown_for_all = await page.get(f"{for_all}/new", params=everything, headers=PARTIAL)
    given_for_all = await send(page, for_all, shown_for_all, **everything)
    shown_page = (await page.get(f"/subscriptions/{mine}")).text
    first = await value("SELECT min(id) FROM subscription_discount")
    removal = await page.get(f"{at}/{first}/removal", headers=PARTIAL)
    removed = await send(page, f"{at}/{first}/removal", removal)

    assert (wrong.status_code, "at most 100 per cent" in wrong.text) == (422, True)
    assert "€27.90" in shown.text
    next_charge = shown.text[shown.text.index("Next charge") :]
    assert ("27.90" in next_charge, "31.00" in next_charge) == (True, False)
    assert (both.status_code, "not both" in both.text) == (422, True)
    assert "€26.90" in shown_for_all.text
    assert "Loyal: 10 %" in shown_page
    assert "€30.00" in removal.text
    assert [each.headers.get("hx-redirect") for each in (given, given_for_all, removed)] == [
        f"/subscriptions/{mine}",
        f"/customers/{customer_id}/subscriptions?show=all",
        f"/subscriptions/{mine}",
    ]
    assert (await page.get(f"{at}/999/removal", headers=PARTIAL)).status_code == 404


async def test_P18_discounts_over_json(tenant: TestTenant) -> None:
    customer_id, mine = await running(tenant)
    api = await tenant.api()
    at = f"/api/v1/subscriptions/{mine}/discounts"

    given = await api.post(at, json={"percent_e6": 50_000_000, "cycles": 3})
    both = await api.post(at, json={"percent_e6": 1, "amount_minor": 1})
    everything = await api.post(f"/api/v1/customers/{customer_id}/discounts", json={"amount_minor": 100})
    removed = await api.delete(f"{at}/{given.json()['discounts'][0]['id']}")
    listed = await api.get(at)

    assert (given.status_code, both.status_code, everything.json()[0]["id"]) == (201, 422, mine)
    assert removed.json()["discounts"] == listed.json()
    assert [each["cycles"] for each in listed.json()] == [None, None]


async def test_P17_the_contract_stands_in_each_drawer_that_ends_it_and_leaving_early_is_charged(
    tenant: TestTenant,
) -> None:
    customer_id, mine = await running(tenant, termination_minor=9900)
    page = await tenant.browser()

    shown_page = (await page.get(f"/subscriptions/{mine}")).text
    cancel = await plan(page, customer_id, do="cancel_at_expiry", subscription_id=mine)
    waived = await plan(page, customer_id, do="terminate", subscription_id=mine, waive_fee="yes")
    shown = await plan(page, customer_id, do="terminate", subscription_id=mine)
    await carry_out(page, customer_id, shown)

    assert "30 days of notice" in shown_page
    assert "leaving early costs €99.00" in shown_page
    assert "With notice today it may end on" in cancel.text
    assert "Waive the early termination fee" in shown.text
    assert "Leaving early: €99.00" in shown.text
    assert "Leaving early: €99.00" not in waived.text
    assert await values("SELECT amount_minor FROM charge WHERE kind = 'termination'") == [9900]


async def test_B3_the_drawer_of_an_end_shows_the_draft_that_it_cuts(tenant: TestTenant) -> None:
    customer_id, mine = await running(tenant)
    scope, page, today = tenant.scope(), await tenant.browser(), tenant.scope().today()
    ends_on = (await get_subscription(scope, mine)).next_from
    assert ends_on is not None
    added = PeriodEdit(end_on=ends_on + timedelta(days=31), added="charged")
    await edit_period(scope, mine, added)
    draft = await create_draft(scope, NewDraft(payer_id=customer_id, open_charges=True))
    total = (await get_document(scope, draft)).total_minor

    at_once = await plan(page, customer_id, do="terminate", subscription_id=mine)
    later = await plan(page, customer_id, do="terminate", subscription_id=mine, on=str(ends_on + timedelta(days=31)))
    within = str(ends_on + timedelta(days=10))
    shown = await plan(page, customer_id, do="terminate", subscription_id=mine, on=within)
    await carry_out(page, customer_id, shown, on=within)

    assert today < ends_on
    assert "Nothing is left on it" in at_once.text
    assert "1 draft is cut" not in later.text
    assert "1 draft is cut" in shown.text
    left = (await get_document(scope, draft)).total_minor
    assert 0 < left < total
    assert f"{left / 100:.2f}" in shown.text


async def test_P17_the_fee_stands_in_the_drawer_of_withdrawing_before_it_is_charged(tenant: TestTenant) -> None:
    customer_id, mine = await running(tenant, termination_minor=9900)
    page, api = await tenant.browser(), await tenant.api()

    waived = await plan(page, customer_id, do="withdraw", subscription_id=mine, waive_fee="yes")
    shown = await plan(page, customer_id, do="withdraw", subscription_id=mine)
    done = await api.post(f"/api/v1/subscriptions/{mine}/withdrawal", json={})

    assert "Waive the early termination fee" in shown.text
    assert "Leaving early: €99.00" in shown.text
    assert "Leaving early: €99.00" not in waived.text
    assert (done.status_code, done.json()["fee_minor"]) == (200, 9900)
    assert await values("SELECT amount_minor FROM charge WHERE kind = 'termination'") == [9900]
