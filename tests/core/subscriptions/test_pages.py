"""The customer's Subscriptions tab, its plans of change, the list of all; and the same over the API."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import httpx

from core.activity.unit import unit_of_work
from core.billing.queries import list_documents
from core.billing.run import run_billing
from core.catalog.actions import create_product
from core.catalog.queries import get_product
from core.catalog.schemas import NewPrice, NewProduct
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import execute, value, watched
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.subscriptions.actions import add_charge
from core.subscriptions.queries import get_subscription, list_charges, list_subscriptions
from core.subscriptions.schemas import NewCharge
from core.testing import TestTenant
from core.web.jsonapi import encode_cursor
from core.web.templating import written


async def a_customer(tenant: TestTenant, name: str = "Siobhán Kavanagh") -> int:
    return await create_customer(tenant.scope(), NewCustomer(full_name=name, country="IE"))


async def sells(tenant: TestTenant, code: str, monthly: int, **fields: object) -> tuple[int, int]:
    """A product with a price a month; gives both ids."""
    given = {"name": code.replace("-", " ").capitalize(), "kind": "plan", **fields}
    product_id = await create_product(
        tenant.scope(),
        NewProduct(code=code, prices=[NewPrice(cycle_unit="month", amount_minor=monthly)], **given),  # type: ignore[arg-type]  # by name
    )
    return product_id, (await get_product(product_id)).prices[0].id


async def plan(page: httpx.AsyncClient, customer_id: int, **asked: object) -> httpx.Response:
    return await page.get(
        f"/customers/{customer_id}/subscriptions/plan",
        params={name: str(each) for name, each in asked.items()},
        headers={"hx-request-type": "partial"},
    )


async def carry_out(page: httpx.AsyncClient, customer_id: int, seen: httpx.Response, **more: object) -> httpx.Response:
    """Send the drawer's form as it stands."""
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', seen.text))
    return await page.post(
        f"/customers/{customer_id}/subscriptions/change",
        data={**{name: unescape(text) for name, text in hidden.items()}, **{n: str(t) for n, t in more.items()}},
        headers={"hx-request-type": "partial"},
    )


async def test_P2_a_box_offers_what_its_product_and_the_customer_allow(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    await sells(tenant, "fibre-100", 3500, trial_days=14, activation="invoice_first", rank=1)
    await sells(tenant, "fibre-300", 4500, rank=2)
    page = await tenant.browser()

    shown = await page.get(f"/customers/{customer_id}/subscriptions")

    assert shown.status_code == 200, shown.text
    for text in ("Activate now (free)", "Activate the test time (14 days)", "Make invoice for monthly cycle", "€35.00"):
        assert text in shown.text
    assert shown.text.count("Subscribe on account, monthly") >= 1


async def test_the_tab_asks_no_more_of_a_customer_with_many_live_products(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    page = await tenant.browser()
    asked: list[int] = []
    for number in range(6):
        product_id, price_id = await sells(tenant, f"module-{number}", 500 + number, kind="module")
        seen = await plan(page, customer_id, do="subscribe", product_id=product_id, price_id=price_id)
        await carry_out(page, customer_id, seen)
        assert len(await list_subscriptions(tenant.scope(), customer_id=customer_id)) == number + 1
        if number in {1, 5}:
            await page.get(f"/customers/{customer_id}/subscriptions")
            with watched() as statements:
                answer = await page.get(f"/customers/{customer_id}/subscriptions")
            assert answer.text.count("Withdraw") >= number + 1
            asked.append(len(statements))
    assert asked[0] == asked[1], asked


async def test_a_plan_shows_the_invoice_to_the_cent_and_writes_nothing(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    product_id, price_id = await sells(tenant, "fibre", 3500, activation="invoice_first")
    page = await tenant.browser()

    shown = await plan(page, customer_id, do="invoice", product_id=product_id, price_id=price_id)

    assert shown.status_code == 200, shown.text
    assert "Make invoice of €43.05" in shown.text
    assert "Waits for payment" in shown.text
    assert "−43.05" in shown.text
    assert await list_subscriptions(tenant.scope(), customer_id=customer_id) == []
    assert await list_documents(tenant.scope()) == []
    assert await value("SELECT count(*) FROM activity WHERE kind = 'invoice_issued'") == 0


async def test_U7_a_set_up_that_the_next_invoice_takes_up_stands_in_the_box_and_in_the_plan(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    month = NewPrice(cycle_unit="month", amount_minor=2490, setup_minor=4900)
    fields = NewProduct(code="fibre", name="Fibre", kind="plan", prices=[month])
    product_id = await create_product(tenant.scope(), fields)
    price_id = (await get_product(product_id)).prices[0].id
    page = await tenant.browser()

    boxes = await page.get(f"/customers/{customer_id}/subscriptions")
    seen = await plan(page, customer_id, do="subscribe", product_id=product_id, price_id=price_id)

    assert "a month + €49.00 set-up" in unescape(boxes.text)
    assert re.search(r"Set-up, with the next invoice.*?49\.00", unescape(seen.text), re.DOTALL), seen.text
    assert await list_charges(tenant.scope(), customer_id=customer_id) == []
    assert (await carry_out(page, customer_id, seen)).status_code in (200, 303)
    invoice = await plan(page, customer_id, do="invoice", product_id=product_id, price_id=price_id)
    assert "Set-up, with the next invoice" not in invoice.text


async def test_U7_the_next_charge_of_a_plan_is_what_the_run_charges_where_it_is_a_part_of_a_period(
    tenant: TestTenant,
) -> None:
    scope = tenant.scope()
    tenant.clock.set(datetime(2027, 5, 20, 9, tzinfo=UTC))
    customer_id = await a_customer(tenant)
    await execute("UPDATE customer SET billing_day = 1 WHERE id = :id", id=customer_id)
    product_id, price_id = await sells(tenant, "fibre-100", 3100)
    page = await tenant.browser()

    seen = await plan(page, customer_id, do="subscribe", product_id=product_id, price_id=price_id)
    await carry_out(page, customer_id, seen, do="subscribe", product_id=product_id, price_id=price_id)
    await run_billing(scope, scope.today(), pause=0)
    (mine,) = await list_subscriptions(scope, customer_id=customer_id)
    ended = await plan(page, customer_id, do="terminate", subscription_id=mine.id, on="2027-06-16")

    assert [each.amount_minor for each in await list_charges(scope, subscription_id=mine.id)] == [1200]
    for text, part in ((seen.text, "12.00"), (ended.text, "15.50")):
        charge = text[text.index("Next charge") :]
        assert (part in charge, "31.00" in charge) == (True, False)


async def test_carrying_a_plan_out_does_what_it_showed_and_its_payment_activates(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    product_id, price_id = await sells(tenant, "fibre", 3500, activation="invoice_first")
    page = await tenant.browser()
    scope = tenant.scope()

    done = await carry_out(
        page, customer_id, await plan(page, customer_id, do="invoice", product_id=product_id, price_id=price_id)
    )

    assert done.headers.get("hx-redirect") == f"/customers/{customer_id}/subscriptions", done.text
    (mine,) = await list_subscriptions(scope, customer_id=customer_id)
    (invoice,) = await list_documents(scope, payer_id=customer_id)
    assert (mine.state, invoice.total_minor) == ("pending", 4305)
    waiting = await page.get(f"/customers/{customer_id}/subscriptions")
    assert f'<a href="/invoices/{invoice.id}">{invoice.number}</a>' in waiting.text
    assert "Withdraw, voids the invoice" in waiting.text
    await receive(scope, NewPayment(payer_id=customer_id, amount_minor=4305))
    assert (await get_subscription(scope, mine.id)).state == "active"


async def test_a_plan_that_something_came_between_is_shown_anew_and_not_carried_out(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    product_id, price_id = await sells(tenant, "fibre", 3500, activation="invoice_first")
    page = await tenant.browser()
    scope = tenant.scope()
    seen = await plan(page, customer_id, do="invoice", product_id=product_id, price_id=price_id)

    await receive(scope, NewPayment(payer_id=customer_id, amount_minor=1000))
    stale = await carry_out(page, customer_id, seen)

    assert stale.status_code == 409
    assert "Something came between" in stale.text
    assert "t-flag" in stale.text
    assert await list_subscriptions(scope, customer_id=customer_id) == []
    done = await carry_out(page, customer_id, stale)
    assert done.headers.get("hx-redirect"), done.text
    assert len(await list_subscriptions(scope, customer_id=customer_id)) == 1


async def test_what_is_typed_into_a_drawer_changes_its_plan_and_wrong_fields_are_named(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    product_id, price_id = await sells(tenant, "fibre", 3500)
    page = await tenant.browser()
    asked = {"do": "subscribe", "product_id": product_id, "price_id": price_id}

    agreed = await plan(page, customer_id, **asked, amount="30", quantity="2", starts_on="2026-11-01")
    wrong = await plan(page, customer_id, **asked, amount="lots", quantity="two")
    future = await plan(page, customer_id, **asked, starts_on="2027-01-01")
    done = await carry_out(page, customer_id, agreed, amount="30", quantity="2", starts_on="2026-11-01")

    assert agreed.status_code == 200, agreed.text
    assert wrong.status_code == future.status_code == 422
    for field in ("amount", "quantity"):
        assert f'id="f-plan-{field}-e"' in wrong.text
    assert 'id="f-plan-starts_on-e"' in future.text
    assert done.headers.get("hx-redirect"), done.text
    (mine,) = await list_subscriptions(tenant.scope(), customer_id=customer_id)
    assert (mine.cycle_minor, str(mine.started_on)) == (6000, "2026-11-01")


async def test_a_refusal_stands_in_the_drawer_with_its_reason(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    one, one_price = await sells(tenant, "fibre-100", 3500, rank=1)
    other, other_price = await sells(tenant, "fibre-300", 4500, rank=2)
    page = await tenant.browser()
    await carry_out(
        page, customer_id, await plan(page, customer_id, do="subscribe", product_id=one, price_id=one_price)
    )

    refused = await plan(page, customer_id, do="subscribe", product_id=other, price_id=other_price)
    shown = await page.get(f"/customers/{customer_id}/subscriptions")

    assert refused.status_code == 409
    assert "one of Plans at a time" in refused.text
    assert 'type="submit"' not in refused.text
    assert "Not subscribed. Above Fibre 100." in shown.text
    assert shown.text.count("<span>Upgrade now</span>") == 1  # in the place of what cannot be had beside it


async def test_P3_every_action_of_a_live_subscription_goes_through_its_plan(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    product_id, price_id = await sells(tenant, "tv", 900, kind="module", trial_days=30)
    page = await tenant.browser()
    scope = tenant.scope()

    async def does(do: str, **asked: object) -> httpx.Response:
        answer = await carry_out(page, customer_id, await plan(page, customer_id, do=do, **asked), **asked)
        assert answer.headers.get("hx-redirect"), answer.text
        return answer

    await does("start_trial", product_id=product_id, price_id=price_id)
    (mine,) = await list_subscriptions(scope, customer_id=customer_id)
    assert mine.state == "trial"
    await does("terminate", subscription_id=mine.id)
    assert (await get_subscription(scope, mine.id)).state == "ended"

    await does("subscribe", product_id=product_id, price_id=price_id)
    again = (await list_subscriptions(scope, customer_id=customer_id))[-1].id
    for do, state in (("suspend", "suspended"), ("resume", "active")):
        await does(do, subscription_id=again)
        assert (await get_subscription(scope, again)).state == state
    drawer = unescape((await plan(page, customer_id, do="cancel_at_expiry", subscription_id=again)).text)
    await does("cancel_at_expiry", subscription_id=again)
    ends_on = (await get_subscription(scope, again)).ends_on
    assert ends_on is not None
    last = ends_on - timedelta(days=1)
    assert f"Cancel after {written(last, 'en', year=False)}" in drawer
    assert f"Ends after {written(last, 'en')}" in drawer
    assert "Cancelling" in (await page.get(f"/customers/{customer_id}/subscriptions")).text
    await does("undo_cancellation", subscription_id=again)
    assert (await get_subscription(scope, again)).ends_on is None
    await does("withdraw", subscription_id=again)
    assert (await get_subscription(scope, again)).state == "withdrawn"

    await does("activate_free", product_id=product_id)
    free = (await list_subscriptions(scope, customer_id=customer_id))[-1]
    assert (free.state, free.cycle_minor) == ("active", 0)


async def test_a_subscription_of_somebody_else_is_not_found_in_the_drawer(tenant: TestTenant) -> None:
    mine, other = await a_customer(tenant), await a_customer(tenant, "Tarrow Pike")
    product_id, price_id = await sells(tenant, "fibre", 3500)
    page = await tenant.browser()
    await carry_out(page, other, await plan(page, other, do="subscribe", product_id=product_id, price_id=price_id))
    (theirs,) = await list_subscriptions(tenant.scope(), customer_id=other)

    asked = await plan(page, mine, do="terminate", subscription_id=theirs.id)
    sent = await page.post(
        f"/customers/{mine}/subscriptions/change", data={"do": "terminate", "subscription_id": str(theirs.id)}
    )

    assert asked.status_code == sent.status_code == 404
    assert (await get_subscription(tenant.scope(), theirs.id)).state == "active"


async def test_a_charge_by_hand_waits_for_the_next_invoice_and_can_be_waived(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    item_id = await create_product(
        tenant.scope(),
        NewProduct(code="visit", name="Visit", kind="one_off", prices=[NewPrice(cycle_unit="once", amount_minor=7800)]),
    )
    page = await tenant.browser()
    path = f"/customers/{customer_id}/charges"

    empty = await page.post(path, data={"quantity": "1"})
    item = await page.post(path, data={"product_id": str(item_id), "quantity": "1.5"})
    free = await page.post(path, data={"description": "Goodwill", "amount": "-10.00"})

    assert empty.status_code == 422
    assert {'id="f-charge-amount-e"' in empty.text, 'id="f-charge-description-e"' in empty.text} == {True}
    assert item.status_code == free.status_code == 303, free.text
    charges = await list_charges(tenant.scope(), customer_id=customer_id)
    assert [(each.description, each.amount_minor) for each in charges] == [("Goodwill", -1000), ("Visit", 11700)]
    listed = await page.get(f"/customers/{customer_id}/subscriptions?show=all")
    assert "Next invoice" in listed.text
    waived = await page.post(f"/charges/{charges[0].id}/waiver", data={"back": "//evil.example"})
    assert waived.headers["location"] == "/subscriptions"
    assert (await list_charges(tenant.scope(), customer_id=customer_id))[0].state == "waived"


async def test_all_charges_can_be_reached_page_by_page(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    scope = tenant.scope()
    async with unit_of_work(scope):
        for at in range(201):
            await add_charge(
                scope, NewCharge(customer_id=customer_id, description=f"Visit {at:03}", amount_minor=100 + at)
            )
    page, api = await tenant.browser(), await tenant.api()

    pages, way = [], f"/customers/{customer_id}/subscriptions?show=all"
    while way:
        pages.append((await page.get(way)).text)
        way = next(iter(re.findall(r'href="([^"]*before=[0-9]+)"', pages[-1])), "").replace("&amp;", "&")
    told, cursor = [], ""
    while cursor is not None:
        part = (await api.get(f"/api/v1/customers/{customer_id}/charges", params={"cursor": cursor})).json()
        told += [each["amount_minor"] for each in part["items"]]
        cursor = part["next"]

    assert [text.count('<tr id="charge-') for text in pages] == [100, 100, 1]
    assert "Visit 000" in pages[-1]
    assert told == list(range(300, 99, -1))


async def test_P11_the_list_of_all_is_searched_filtered_and_paged(tenant: TestTenant) -> None:
    page = await tenant.browser()
    product_id, price_id = await sells(tenant, "fibre", 3500)
    for name in ("Ann Arbor", "Bea Bank"):
        customer_id = await a_customer(tenant, name)
        await carry_out(
            page, customer_id, await plan(page, customer_id, do="subscribe", product_id=product_id, price_id=price_id)
        )

    everything = await page.get("/subscriptions")
    found = await page.get("/subscriptions?q=bea")
    ended = await page.get("/subscriptions?status=ended")
    (first, _) = await list_subscriptions(tenant.scope())
    older = await page.get(f"/subscriptions?after={encode_cursor('-id', first.id + 1, first.id + 1)}")

    assert "Ann Arbor" in everything.text
    assert "2 of 2" in everything.text
    assert "Bea Bank" in found.text
    assert "Ann Arbor" not in found.text
    assert "No subscription matches" in ended.text
    assert "Ann Arbor" in older.text
    assert "Bea Bank" not in older.text
    assert (await page.get(f"/subscriptions/{first.id}")).text.count("Fibre") >= 2


async def test_who_may_only_look_is_offered_no_action(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    product_id, price_id = await sells(tenant, "fibre", 3500)
    page = await tenant.browser(staff_id=await tenant.staff_with({"customers.view", "subscriptions.view"}))

    shown = await page.get(f"/customers/{customer_id}/subscriptions")
    asked = await plan(page, customer_id, do="subscribe", product_id=product_id, price_id=price_id)

    assert shown.status_code == 200
    assert "Subscribe on account" not in shown.text
    assert asked.status_code == 403


async def test_P12_subscriptions_over_the_api(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    product_id, price_id = await sells(tenant, "fibre", 3500)
    module_id, module_price = await sells(tenant, "tv", 900, kind="module", trial_days=30)
    api = await tenant.api()
    body = {"customer_id": customer_id, "product_id": product_id, "price_id": price_id}

    made = await api.post("/api/v1/subscriptions", json=body, headers={"idempotency-key": "one"})
    twice = await api.post("/api/v1/subscriptions", json=body, headers={"idempotency-key": "one"})
    trial = await api.post(
        "/api/v1/subscriptions/trial",
        json={"customer_id": customer_id, "product_id": module_id, "price_id": module_price},
    )
    invoiced = await api.post(f"/api/v1/subscriptions/{trial.json()['id']}/invoice", json={})
    suspended = await api.post(f"/api/v1/subscriptions/{made.json()['id']}/suspension")
    resumed = await api.delete(f"/api/v1/subscriptions/{made.json()['id']}/suspension")
    cancelled = await api.post(f"/api/v1/subscriptions/{made.json()['id']}/cancellation")
    undone = await api.delete(f"/api/v1/subscriptions/{made.json()['id']}/cancellation")
    ended = await api.post(f"/api/v1/subscriptions/{made.json()['id']}/termination", json={})
    again = await api.post(f"/api/v1/subscriptions/{made.json()['id']}/termination", json={})
    listed = await api.get("/api/v1/subscriptions", params={"customer_id": customer_id, "limit": 1})
    following = await api.get(
        "/api/v1/subscriptions", params={"customer_id": customer_id, "limit": 1, "cursor": listed.json()["next"]}
    )
    trials = await api.get("/api/v1/subscriptions", params={"state": "trial"})

    assert made.status_code == 201, made.text
    assert twice.json() == made.json()
    assert (made.json()["state"], trial.json()["state"]) == ("active", "trial")
    assert invoiced.status_code == 201, invoiced.text
    assert (suspended.json()["state"], resumed.json()["state"]) == ("suspended", "active")
    assert cancelled.json()["ends_on"] is not None
    assert undone.json()["ends_on"] is None
    assert (ended.json()["state"], again.status_code) == ("ended", 409)
    assert [each["id"] for each in (*listed.json()["items"], *following.json()["items"])] == [
        made.json()["id"],
        trial.json()["id"],
    ]
    assert [each["state"] for each in trials.json()["items"]] == ["trial"]
    assert (await api.get("/api/v1/subscriptions", params={"state": "gone"})).status_code == 422
