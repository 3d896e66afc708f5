"""Changes in boxes and on the subscription's page, their drawer, the change policy of a product; and over the API."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import httpx

from core.billing.actions import invoice_first
from core.billing.queries import list_documents
from core.billing.run import run_billing
from core.catalog.actions import set_price
from core.catalog.queries import get_change_policy, get_product
from core.catalog.schemas import NewPrice
from core.database import value
from core.subscriptions.actions import subscribe
from core.subscriptions.queries import get_subscription
from core.subscriptions.schemas import NewSubscription
from core.testing import TestTenant
from tests.core.subscriptions.test_pages import a_customer, sells


async def _with_a_plan(tenant: TestTenant) -> tuple[int, int, dict[str, int]]:
    """A customer on the middle one of three plans, billed for a month."""
    customer_id = await a_customer(tenant)
    prices: dict[str, int] = {}
    for rank, (code, minor) in enumerate((("fibre-100", 3500), ("fibre-300", 4500), ("fibre-600", 6000))):
        product_id, prices[code] = await sells(tenant, code, minor, rank=rank)
        prices[f"{code} year"] = await set_price(
            tenant.scope(), product_id, NewPrice(cycle_unit="year", amount_minor=minor * 10)
        )
        if code == "fibre-300":
            mine = NewSubscription(customer_id=customer_id, product_id=product_id, price_id=prices[code])
    subscription_id = await subscribe(tenant.scope(), mine)
    await run_billing(tenant.scope(), tenant.scope().today(), confirmed=True)
    return customer_id, subscription_id, prices


async def _plan(page: httpx.AsyncClient, path: str, **asked: object) -> httpx.Response:
    given = {name: str(each) for name, each in asked.items()}
    return await page.get(f"{path}/plan", params=given, headers={"hx-request-type": "partial"})


async def _do(page: httpx.AsyncClient, path: str, seen: httpx.Response, **more: object) -> httpx.Response:
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', seen.text))
    return await page.post(
        path,
        data={**{name: unescape(text) for name, text in hidden.items()}, **{n: str(t) for n, t in more.items()}},
        headers={"hx-request-type": "partial"},
    )


async def test_P7_boxes_offer_upgrade_and_downgrade_with_their_amounts(tenant: TestTenant) -> None:
    customer_id, subscription_id, _ = await _with_a_plan(tenant)
    page = await tenant.browser()

    shown = await page.get(f"/customers/{customer_id}/subscriptions")

    assert shown.status_code == 200, shown.text
    boxes = dict(re.findall(r'<article class="t-box[^>]*id="(box-\d+)"(.*?)</article>', shown.text, re.DOTALL))
    below, mine, above = boxes.values()
    assert 'Upgrade now, prorated, monthly</span> <b class="t-num">€15.00' in above  # today is the first day
    assert 'Upgrade now, prorated, yearly</span> <b class="t-num">€555.00' in above
    assert re.search(r"Downgrade on [^<]*, monthly</span> <b class=\"t-num\">€35\.00", below)
    assert "To the yearly cycle now" in mine
    assert f"/subscriptions/{subscription_id}/change/plan" in mine


async def test_P2_buttons_of_boxes_are_called_what_stands_on_them(tenant: TestTenant) -> None:
    customer_id, _, prices = await _with_a_plan(tenant)
    other, other_price = await sells(tenant, "phone", 1500, kind="service")
    await invoice_first(
        tenant.scope(), NewSubscription(customer_id=customer_id, product_id=other, price_id=other_price)
    )
    page = await tenant.browser()

    for language in ("en", "de"):
        await page.post("/profile/preferences", data={"language": language})
        shown = await page.get(f"/customers/{customer_id}/subscriptions")
        named = re.findall(r'<button[^>]*aria-label="([^"]*)"[^>]*>(<span>.*?)</button>', shown.text, re.DOTALL)
        read = [(unescape(name), unescape(" ".join(re.sub(r"<[^>]*>", "", text).split()))) for name, text in named]
        amounts = [text for _, text in read if "€" in text]

        assert ("Zahlung erfassen" if language == "de" else "Register payment") in str(amounts)
        assert len(amounts) > len(prices) / 2
        assert [text for name, text in read if text not in " ".join(name.split())] == []


async def test_P7_the_drawer_shows_both_documents_and_does_just_that(tenant: TestTenant) -> None:
    customer_id, subscription_id, prices = await _with_a_plan(tenant)
    page = await tenant.browser()
    path = f"/subscriptions/{subscription_id}/change"

    opened = await _plan(page, path)
    assert "As it is: Fibre 300" in opened.text
    assert 'type="submit"' not in opened.text
    seen = await _plan(page, path, price_id=prices["fibre-600"])
    assert "Change and invoice €18.45" in seen.text
    assert "credit note and invoice" in seen.text
    assert len(await list_documents(tenant.scope(), payer_id=customer_id)) == 1

    done = await _do(page, path, seen, price_id=prices["fibre-600"])
    assert done.headers["hx-redirect"] == f"/subscriptions/{subscription_id}", done.text
    assert (await get_subscription(tenant.scope(), subscription_id)).product_code == "fibre-600"
    assert len(await list_documents(tenant.scope(), payer_id=customer_id)) == 3


async def test_P7_a_change_that_comes_to_nothing_is_not_called_a_credit(tenant: TestTenant) -> None:
    _, subscription_id, _ = await _with_a_plan(tenant)
    _, same = await sells(tenant, "fibre-300-new", 4500, rank=1)
    page = await tenant.browser()

    plan = await _plan(page, f"/subscriptions/{subscription_id}/change", price_id=same, when="now")

    assert "Change now" in plan.text
    assert "Change and credit" not in plan.text


async def test_P7_what_is_invoiced_first_says_until_when_and_what_is_credited_then(tenant: TestTenant) -> None:
    customer_id, subscription_id, _ = await _with_a_plan(tenant)
    _, first = await sells(tenant, "fibre-1000", 8000, rank=5, activation="invoice_first")
    page = await tenant.browser()

    shown = await page.get(f"/customers/{customer_id}/subscriptions")
    assert 'Invoice for the upgrade</span> <b class="t-num">€80.00' in shown.text
    seen = await _plan(page, f"/subscriptions/{subscription_id}/change", price_id=first)
    assert "Make the invoice of €98.40" in seen.text
    assert "Then €45.00 of the unused part, without tax, is credited." in seen.text
    await _do(page, f"/subscriptions/{subscription_id}/change", seen, price_id=first)
    page_of_it = await page.get(f"/subscriptions/{subscription_id}")
    assert "once the invoice of the change is paid" in page_of_it.text


async def test_P16_a_planned_change_stands_on_the_page_and_is_undone_there(tenant: TestTenant) -> None:
    _, subscription_id, prices = await _with_a_plan(tenant)
    page = await tenant.browser()
    path = f"/subscriptions/{subscription_id}/change"

    seen = await _plan(page, path, price_id=prices["fibre-100"], quantity="2")
    assert "Nothing is charged or credited until then" in seen.text
    await _do(page, path, seen, price_id=prices["fibre-100"], quantity="2")
    shown = await page.get(f"/subscriptions/{subscription_id}")
    assert "Becomes 2 × Fibre 100, €35.00 a month on " in shown.text
    assert "Undo the planned change" in shown.text

    undo = await _plan(page, f"{path}/undo")
    await _do(page, f"{path}/undo", undo)
    shown = await page.get(f"/subscriptions/{subscription_id}")
    assert "Becomes" not in shown.text


async def test_P7_what_is_typed_wrongly_is_said_beside_its_field(tenant: TestTenant) -> None:
    _, subscription_id, _ = await _with_a_plan(tenant)
    page = await tenant.browser()

    wrong = await _plan(page, f"/subscriptions/{subscription_id}/change", quantity="many", when="on", amount="1")

    assert wrong.status_code == 422
    assert "Type a number, like 1.5." in wrong.text
    assert "Fill this in." in wrong.text
    assert 'value="many"' in wrong.text


async def test_P16_the_change_policy_is_edited_on_the_products_page(tenant: TestTenant) -> None:
    product_id, _ = await sells(tenant, "fibre", 3500)
    page = await tenant.browser()
    shown = await page.get(f"/products/{product_id}")
    assert "At the end of the period" in shown.text
    version = (await get_product(product_id)).version
    typed = {
        "version": str(version),
        "upgrade_when": "period_end",
        "upgrade_unused": "none",
        "upgrade_fee": "5,00",
        "upgrade_minimum": "",
        "cycle_anchor": "keep",
        "setup": "yes",
    }

    wrong = await page.put(f"/products/{product_id}/change-policy", data={**typed, "cycle_fee": "much"})
    assert wrong.status_code == 422
    assert 'value="much"' in wrong.text
    saved = await page.put(f"/products/{product_id}/change-policy", data={**typed, "upgrade_fee": "5.00"})
    assert saved.status_code == 200, saved.text
    policy = await get_change_policy(product_id)
    assert (policy.upgrade.when, policy.upgrade.unused, policy.upgrade.fee_minor) == ("period_end", "none", 500)
    assert (policy.cycle_anchor, policy.setup, policy.downgrade.when) == ("keep", True, "period_end")
    late = await page.put(f"/products/{product_id}/change-policy", data={**typed, "upgrade_when": "now"})
    assert late.status_code == 409


async def test_P8_P10_what_a_withdrawal_and_another_period_would_do_is_shown_over_the_api(tenant: TestTenant) -> None:
    _, subscription_id, _ = await _with_a_plan(tenant)
    api = await tenant.api()
    path = f"/api/v1/subscriptions/{subscription_id}"
    end_on = (tenant.scope().today() + timedelta(days=10)).isoformat()
    documents = await value("SELECT count(*) FROM document")

    given_up = (await api.post(f"{path}/withdrawal/preview", json={})).json()
    voided = (await api.post(f"{path}/withdrawal/preview", json={"void_invoices": True})).json()
    shorter = (await api.post(f"{path}/period/preview", json={"end_on": end_on})).json()
    wrong = await api.post(f"{path}/period/preview", json={"end_on": end_on, "cut": "give_up"})

    assert (given_up["subscription"]["state"], given_up["unused_minor"], given_up["forfeited_minor"]) == (
        "withdrawn",
        4500,
        0,
    )
    assert (voided["unused_minor"], voided["forfeited_minor"]) == (0, 0)
    assert [(each["kind"], each["number"]) for each in shorter["documents"]] == [("credit_note", None)]
    assert wrong.json()["errors"][0]["field"] == "reason"
    assert (await get_subscription(tenant.scope(), subscription_id)).state == "active"
    assert await value("SELECT count(*) FROM document") == documents


async def test_P7_changes_over_the_api(tenant: TestTenant) -> None:
    _, subscription_id, prices = await _with_a_plan(tenant)
    api = await tenant.api()
    path = f"/api/v1/subscriptions/{subscription_id}/change"

    preview = (await api.post(f"{path}/preview", json={"price_id": prices["fibre-600"]})).json()
    kept = {"Idempotency-Key": "once"}
    twice = [
        (await api.post(f"{path}/preview", json={"price_id": prices["fibre-600"]}, headers=kept)).json()
        for _ in range(2)
    ]
    assert twice[0] == twice[1]
    assert [each["net_minor"] for each in twice[0]["documents"]] == [4500, 6000]
    assert [each["net_minor"] for each in preview["documents"]] == [4500, 6000]
    assert (await api.get(path)).status_code == 404
    planned = (await api.post(path, json={"price_id": prices["fibre-100"]})).json()
    assert planned["happens_on"] is not None
    assert planned["documents"] == []
    assert (await api.get(path)).json()["product"] == "Fibre 100"
    assert (await api.delete(path)).json()["product_code"] == "fibre-300"
    done = (await api.post(path, json={"quantity_e6": 2_000_000})).json()
    assert (done["subscription"]["quantity_e6"], done["documents"][0]["net_minor"]) == (2_000_000, 4500)

    product_id = done["subscription"]["product_id"]
    policy = (await api.get(f"/api/v1/products/{product_id}/change-policy")).json()
    assert policy["downgrade"]["when"] == "period_end"
    version = (await get_product(product_id)).version
    changed = await api.patch(
        f"/api/v1/products/{product_id}/change-policy",
        json={"version": version, "downgrade": {"when": "now"}},
    )
    assert changed.json()["downgrade"]["when"] == "now"


async def test_P8_the_period_is_edited_in_its_drawer(tenant: TestTenant) -> None:
    _, subscription_id, _ = await _with_a_plan(tenant)
    page = await tenant.browser()
    path = f"/subscriptions/{subscription_id}/period"
    next_from = (await get_subscription(tenant.scope(), subscription_id)).next_from
    assert next_from is not None
    ends_on = next_from - timedelta(days=10)

    opened = await _plan(page, path)
    assert "It ends before" in opened.text
    assert "First day" not in opened.text
    refused = await _plan(page, path, end_on=ends_on, cut="give_up")
    assert refused.status_code == 422
    assert "Say why the days are given up." in refused.text
    seen = await _plan(page, path, end_on=ends_on)
    assert "Edit the period, credit €" in seen.text
    done = await _do(page, path, seen, end_on=ends_on)
    assert done.headers["hx-redirect"] == f"/subscriptions/{subscription_id}", done.text
    assert (await get_subscription(tenant.scope(), subscription_id)).next_from == ends_on

    api = await tenant.api()
    assert (await api.get(f"/api/v1{path}")).json()["end_on"] == ends_on.isoformat()
    edited = await api.patch(f"/api/v1{path}", json={"end_on": next_from.isoformat(), "reason": "Amends"})
    assert (edited.json()["subscription"]["next_from"], edited.json()["documents"]) == (next_from.isoformat(), [])


async def test_P13_the_billing_day_is_moved_in_its_drawer(tenant: TestTenant) -> None:
    customer_id, subscription_id, _ = await _with_a_plan(tenant)
    page = await tenant.browser()
    path = f"/customers/{customer_id}/billing-day"
    before = await get_subscription(tenant.scope(), subscription_id)
    assert before.next_from is not None
    wanted = before.next_from.day % 28 + 1

    assert "Fill this in" not in (await _plan(page, path)).text
    assert (await _plan(page, path, billing_day=32)).status_code == 422
    seen = await _plan(page, path, billing_day=wanted)
    assert "The next period, charged by day where it is a part" in seen.text
    await _do(page, path, seen, billing_day=wanted)
    after = await get_subscription(tenant.scope(), subscription_id)
    assert after.next_from == before.next_from
    assert after.next_to is not None
    assert after.next_to.day == wanted

    api = await tenant.api()
    moved = await api.put(f"/api/v1{path}", json={"billing_day": before.next_from.day})
    assert [each["id"] for each in moved.json()["subscriptions"]] == [subscription_id]


async def test_P20_a_price_is_applied_from_the_products_page(tenant: TestTenant) -> None:
    _, subscription_id, _ = await _with_a_plan(tenant)
    mine = await get_subscription(tenant.scope(), subscription_id)
    assert mine.next_from is not None
    dearer = NewPrice(cycle_unit="month", amount_minor=4700, valid_from=mine.next_from)
    price_id = await set_price(tenant.scope(), mine.product_id, dearer)
    page = await tenant.browser()
    path = f"/products/{mine.product_id}/prices/{price_id}/application"

    shown = await page.get(f"/products/{mine.product_id}")
    assert f"{path}/plan" in shown.text
    seen = await _plan(page, path, from_on=mine.next_from, tell="yes")
    for text in ("Apply to 1 subscription", "45.00", "47.00", "Each customer is written to"):
        assert text in seen.text
    assert (await _plan(page, path, from_on="2020-01-01")).status_code == 422
    done = await _do(page, path, seen, from_on=mine.next_from, tell="yes")
    assert done.headers["hx-redirect"] == f"/products/{mine.product_id}", done.text
    assert await value("SELECT count(*) FROM job WHERE kind = 'subscriptions.apply_price'") == 1

    api = await tenant.api()
    told = {"from_on": mine.next_from.isoformat(), "tell": True}
    preview = await api.post(f"/api/v1/prices/{price_id}/application/preview", json=told)
    assert (preview.json()["before_minor"], preview.json()["after_minor"]) == (4500, 4700)
    again = await api.post(f"/api/v1/prices/{price_id}/application", json=told)
    assert again.status_code == 202
    assert await value("SELECT count(*) FROM job WHERE kind = 'subscriptions.apply_price'") == 1


async def test_B2_the_page_of_an_invoice_that_a_change_waits_for_says_why_it_is_not_issued_anew(
    tenant: TestTenant,
) -> None:
    _, subscription_id, _ = await _with_a_plan(tenant)
    _, price_id = await sells(tenant, "fibre-1000", 8000, rank=5, activation="invoice_first")
    page, path = await tenant.browser(), f"/subscriptions/{subscription_id}/change"
    await _do(page, path, await _plan(page, path, price_id=price_id), price_id=price_id)
    waits_for = await value("SELECT document_id FROM subscription_change WHERE state = 'waiting'")
    first = await value("SELECT min(id) FROM document WHERE state = 'issued'")

    shown, other = await page.get(f"/invoices/{waits_for}"), await page.get(f"/invoices/{first}")
    api = await (await tenant.api()).post(f"/api/v1/invoices/{waits_for}/reissue", json={"reason": "Company name"})

    assert "Undo that, and ask for it again." in shown.text
    assert f'href="/invoices/{waits_for}/edit"' not in shown.text
    assert f'href="/invoices/{first}/edit"' in other.text
    assert "Undo that" not in other.text
    assert (api.status_code, "A change waits for this invoice" in api.text) == (409, True)
