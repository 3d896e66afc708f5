"""Billing runs as people start and read them: the list, the preview, the run and its page; the same over the API."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from html import unescape

import httpx
import pytest

from core.billing.actions.invoices import create_draft, invoice_open_charges, issue
from core.billing.actions.setup import default_seller
from core.billing.jobs import BILL, DELIVER, PREVIEW
from core.billing.queries import list_documents
from core.billing.run import run_billing
from core.billing.run_listings import RUNS
from core.billing.schemas import NewDraft, NewLine, RunRow
from core.billing.starting import start_run
from core.catalog.actions import create_product
from core.catalog.queries import get_product
from core.catalog.schemas import NewPrice, NewProduct
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import execute, transaction, value, values
from core.jobs.claims import due_jobs
from core.jobs.kinds import crowding
from core.jobs.worker import Work, Worker
from core.scope import Actor, Scope
from core.subscriptions.actions import subscribe
from core.subscriptions.actions.charging import add_charge
from core.subscriptions.schemas import NewCharge, NewSubscription
from core.testing import TestTenant
from tests.core.jobs.registry import Tenants


async def a_price(tenant: TestTenant, monthly: int = 3500) -> tuple[int, int]:
    product_id = await create_product(
        tenant.scope(),
        NewProduct(
            code=f"fibre-{monthly}",
            name=f"Fibre {monthly}",
            kind="plan",
            prices=[NewPrice(cycle_unit="month", amount_minor=monthly)],
        ),
    )
    return product_id, (await get_product(product_id)).prices[0].id


async def subscribed(tenant: TestTenant, price: tuple[int, int], name: str = "Orla Byrne", country: str = "IE") -> int:
    customer_id = await create_customer(tenant.scope(), NewCustomer(full_name=name, country=country))
    await subscribe(tenant.scope(), NewSubscription(customer_id=customer_id, product_id=price[0], price_id=price[1]))
    return customer_id


async def an_invoice(tenant: TestTenant, customer_id: int) -> None:
    line = NewLine(description="A visit", unit_price_e6=20_000_000)
    await issue(tenant.scope(), await create_draft(tenant.scope(), NewDraft(payer_id=customer_id, lines=[line])))


async def runs_of(tenant: TestTenant) -> list[RunRow]:
    """The latest first."""
    return (await RUNS.read(tenant.scope(), {})).rows


async def work(tenant: TestTenant) -> None:
    """Jobs of billing runs that are due now are done."""
    scope = tenant.scope()

    @asynccontextmanager
    async def opened(_: object) -> AsyncIterator[Callable[[Actor], Scope]]:
        yield scope.as_actor

    kinds = {kind.name: kind for kind in (BILL, PREVIEW)}
    await Worker(Tenants.of(scope), lambda _: Work(kinds), clock=tenant.clock).until_idle(tenant.tenant.uuid)


def form_of(shown: httpx.Response) -> dict[str, str]:
    """What the form that issues would send, with its tick."""
    hidden = dict(re.findall(r'<input type="hidden" name="(date|seen|question|_once)" value="([^"]*)">', shown.text))
    return {**{name: unescape(text) for name, text in hidden.items()}, "looked": "yes"}


async def preview_of(page: httpx.AsyncClient, tenant: TestTenant) -> httpx.Response:
    return await page.get("/billing/runs/new", params={"date": tenant.scope().today().isoformat()})


def months_of(months: int = 1) -> timedelta:
    return timedelta(days=31 * months)


async def forget_tax_rates(tenant: TestTenant) -> None:
    """No rate is known any more, so lines that are taxed cannot be billed."""
    await default_seller(tenant.scope())
    async with transaction():
        await execute("DELETE FROM tax_rate")


async def test_a_tenant_without_runs_is_told_how_to_begin(tenant: TestTenant) -> None:
    page = await tenant.browser()

    shown = await page.get("/billing/runs")

    assert shown.status_code == 200, shown.text
    assert "No billing runs yet" in shown.text
    assert 'href="/billing/runs/new"' in shown.text


async def test_a_preview_shows_the_run_to_the_cent_and_writes_nothing(tenant: TestTenant) -> None:
    price = await a_price(tenant)
    await subscribed(tenant, price)
    await subscribed(tenant, price, "Noor Khan")
    page = await tenant.browser()

    shown = await preview_of(page, tenant)

    assert shown.status_code == 200, shown.text
    assert "Issue 2 invoices" in shown.text
    for figure in ("70.00", "16.10", "86.10"):
        assert figure in shown.text
    assert "Fibre 3500" in shown.text
    assert await list_documents(tenant.scope()) == []
    assert await runs_of(tenant) == []


async def test_issuing_makes_one_job_that_bills_what_was_shown(tenant: TestTenant) -> None:
    await subscribed(tenant, await a_price(tenant))
    page = await tenant.browser()
    form = form_of(await preview_of(page, tenant))

    sent = await page.post("/billing/runs", data=form)
    again = await page.post("/billing/runs", data=form)
    waiting = await page.get(sent.headers["location"])
    await work(tenant)
    over = await page.get(sent.headers["location"])

    assert sent.status_code == 303, sent.text
    assert again.headers["location"] == sent.headers["location"]
    assert "Waiting" in waiting.text
    (run,) = await runs_of(tenant)
    assert over.headers["location"] == f"/billing/runs/{run.id}"
    shown = await page.get(over.headers["location"])
    assert shown.status_code == 200, shown.text
    (document,) = await list_documents(tenant.scope())
    assert str(document.number) in shown.text
    assert "43.05 EUR" in shown.text
    assert "Still to send" in shown.text, "its PDF and e-mail are other jobs, which nobody has done yet"
    listed = await page.get("/billing/runs")
    assert "43.05 EUR" in listed.text
    assert "Administrator Person" in listed.text


async def test_a_form_that_is_sent_again_leads_to_its_run_also_when_that_is_over(tenant: TestTenant) -> None:
    await subscribed(tenant, await a_price(tenant))
    page = await tenant.browser()
    form = form_of(await preview_of(page, tenant))
    sent = await page.post("/billing/runs", data=form)
    await work(tenant)

    again = await page.post("/billing/runs", data=form)
    other = await page.post("/billing/runs", data={**form, "_once": "another"})

    assert form["_once"]
    assert (again.status_code, again.headers.get("location")) == (303, sent.headers["location"])
    assert other.status_code == 409, "what another form says has changed since"
    assert len(await runs_of(tenant)) == 1
    assert await value("SELECT count(*) FROM job WHERE kind = :kind", kind=BILL.name) == 1


async def test_a_run_that_a_person_asks_for_goes_before_documents_that_wait_to_be_sent(tenant: TestTenant) -> None:
    await subscribed(tenant, await a_price(tenant))
    await run_billing(tenant.scope(), tenant.scope().today())
    tenant.clock.move(timedelta(hours=1))

    job_id = await start_run(tenant.scope(), tenant.scope().today())
    due = await due_jobs([BILL.name, DELIVER.name], tenant.scope().now())

    assert [(job.kind, job.id) for job in due] == [(BILL.name, job_id)]
    assert await values("SELECT kind FROM job WHERE state = 'waiting' AND crowd") == [DELIVER.name]


async def test_documents_that_a_person_issues_are_rendered_and_sent_before_those_of_a_run(tenant: TestTenant) -> None:
    price = await a_price(tenant)
    await subscribed(tenant, price)
    await run_billing(tenant.scope(), tenant.scope().today())
    tenant.clock.move(timedelta(hours=1))

    other = await subscribed(tenant, price, "Anna Roe")
    with crowding():
        await an_invoice(tenant, other)
    await an_invoice(tenant, other)
    await add_charge(tenant.scope(), NewCharge(customer_id=other, description="A visit", amount_minor=2000))
    await invoice_open_charges(tenant.scope(), other)
    due = await due_jobs([DELIVER.name], tenant.scope().now())

    assert [bool(one) for one in await values(f"SELECT crowd FROM job WHERE kind = '{DELIVER.name}' ORDER BY id")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert len(due) == 2


async def test_the_way_to_the_first_invoice_ends_with_it_whatever_was_left_out(tenant: TestTenant) -> None:
    page = await tenant.browser()
    await subscribed(tenant, await a_price(tenant))
    before = (await page.get("/")).text

    await run_billing(tenant.scope(), tenant.scope().today())
    after = (await page.get("/")).text

    assert "2 of 5 done" in before
    assert "The way to the first invoice" not in after
    assert "4 done" not in after


async def test_nothing_is_issued_without_the_tick(tenant: TestTenant) -> None:
    await subscribed(tenant, await a_price(tenant))
    page = await tenant.browser()
    form = form_of(await preview_of(page, tenant))
    del form["looked"]

    refused = await page.post("/billing/runs", data=form)

    assert refused.status_code == 422
    assert "Tick that you have looked" in refused.text
    assert await value("SELECT count(*) FROM job WHERE kind = 'billing_run'") == 0


async def test_what_came_between_is_shown_before_anything_is_issued(tenant: TestTenant) -> None:
    price = await a_price(tenant)
    await subscribed(tenant, price)
    page = await tenant.browser()
    form = form_of(await preview_of(page, tenant))
    await subscribed(tenant, price, "Noor Khan")

    refused = await page.post("/billing/runs", data=form)
    sent = await page.post("/billing/runs", data=form_of(refused))

    assert refused.status_code == 409
    assert "Something came between" in refused.text
    assert "Issue 2 invoices" in refused.text
    assert sent.status_code == 303


async def test_a_day_by_which_nothing_is_due_says_so(tenant: TestTenant) -> None:
    page = await tenant.browser()

    shown = await preview_of(page, tenant)

    assert shown.status_code == 200, shown.text
    assert "Nothing is due by" in shown.text


@pytest.mark.parametrize(("text", "told"), [("soon", "Type a date"), ("2199-01-01", "at most 36 months ahead")])
async def test_a_date_that_cannot_be_is_refused_at_its_field(tenant: TestTenant, text: str, told: str) -> None:
    page = await tenant.browser()

    shown = await page.get("/billing/runs/new", params={"date": text})

    assert shown.status_code == 422
    assert told in shown.text
    assert f'value="{text}"' in shown.text


async def test_the_second_month_is_shown_against_the_first_with_what_stands_out(tenant: TestTenant) -> None:
    price = await a_price(tenant)
    await subscribed(tenant, price)
    await run_billing(tenant.scope(), tenant.scope().today())
    tenant.clock.move(months_of())
    for name in ("Noor Khan", "Ivo Horvat"):
        await subscribed(tenant, price, name)
    page = await tenant.browser()

    shown = await preview_of(page, tenant)

    assert "Against the last run" in shown.text
    assert "2 accounts differ" in shown.text
    assert "Noor Khan" in shown.text
    assert "Orla Byrne" not in shown.text
    assert 't-flag">+2' in shown.text
    assert "+200.0" in shown.text


async def test_who_cannot_be_billed_is_named_with_the_reason_and_the_way_to_mend_it(tenant: TestTenant) -> None:
    customer_id = await subscribed(tenant, await a_price(tenant))
    await forget_tax_rates(tenant)
    page = await tenant.browser()

    shown = await preview_of(page, tenant)
    await run_billing(tenant.scope(), tenant.scope().today())
    (run,) = await runs_of(tenant)
    made = await page.get(f"/billing/runs/{run.id}")

    for answer in (shown, made):
        assert answer.status_code == 200, answer.text
        assert "1 account is parked" in answer.text
        assert "There is no tax rate" in answer.text
        assert 'href="/settings/tax"' in answer.text
        assert f'href="/customers/{customer_id}"' in answer.text
    assert "Bill what is left" in made.text


async def test_a_run_out_of_the_ordinary_asks_and_goes_on_when_it_is_answered(tenant: TestTenant) -> None:
    await subscribed(tenant, await a_price(tenant))
    await run_billing(tenant.scope(), tenant.scope().today())
    tenant.clock.move(months_of(2))
    page = await tenant.browser()
    await run_billing(tenant.scope(), tenant.scope().today())
    run = (await runs_of(tenant))[0]

    previewed = await preview_of(page, tenant)
    asks = await page.get(f"/billing/runs/{run.id}")
    sent = await page.post(f"/billing/runs/{run.id}/confirmation")
    await work(tenant)
    done = await page.get(f"/billing/runs/{run.id}")

    assert "out of the ordinary" in previewed.text
    assert "days would be made up for at once" in form_of(previewed)["question"]
    assert "This run waits for you." in asks.text
    assert sent.status_code == 303
    assert "Done" in done.text
    assert (await runs_of(tenant))[0].state == "done"


async def test_the_question_of_a_preview_is_answered_by_its_tick(tenant: TestTenant) -> None:
    await subscribed(tenant, await a_price(tenant))
    await run_billing(tenant.scope(), tenant.scope().today())
    tenant.clock.move(months_of(2))
    page = await tenant.browser()

    await page.post("/billing/runs", data=form_of(await preview_of(page, tenant)))
    await work(tenant)

    assert (await runs_of(tenant))[0].state == "done"


async def test_a_waiting_run_can_be_cancelled_once(tenant: TestTenant) -> None:
    await subscribed(tenant, await a_price(tenant))
    await run_billing(tenant.scope(), tenant.scope().today())
    tenant.clock.move(months_of(2))
    report = await run_billing(tenant.scope(), tenant.scope().today())
    page = await tenant.browser()

    sent = await page.post(f"/billing/runs/{report.run_id}/cancellation")
    again = await page.post(f"/billing/runs/{report.run_id}/cancellation")

    assert sent.status_code == 303
    assert again.status_code == 409
    assert (await runs_of(tenant))[0].state == "cancelled"


async def test_an_open_run_that_nobody_works_on_can_go_on(tenant: TestTenant) -> None:
    await subscribed(tenant, await a_price(tenant))
    report = await run_billing(tenant.scope(), tenant.scope().today())
    async with transaction():
        await execute("UPDATE billing_run SET state = 'open', finished_at = NULL WHERE id = :id", id=report.run_id)
    page = await tenant.browser()

    broken_off = await page.get(f"/billing/runs/{report.run_id}")
    await page.post(f"/billing/runs/{report.run_id}/confirmation")
    at_work = await page.get(f"/billing/runs/{report.run_id}")
    still = await page.get(f"/billing/runs/{report.run_id}/state", headers={"hx-request-type": "partial"})
    await work(tenant)
    over = await page.get(f"/billing/runs/{report.run_id}/state", headers={"hx-request-type": "partial"})
    events = await page.get(f"/billing/runs/{report.run_id}/events")

    assert "Go on with this run" in broken_off.text
    assert "Stop after this part" in at_work.text
    assert f"/billing/runs/{report.run_id}/events" in at_work.text
    assert "hx-redirect" not in still.headers
    assert over.headers["hx-redirect"] == f"/billing/runs/{report.run_id}"
    assert "1 invoice issued" in events.text
    assert "event: done" in events.text


async def test_many_accounts_are_previewed_in_the_background(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.billing.run_routes.AT_ONCE", 1)
    price = await a_price(tenant)
    for name in ("Orla Byrne", "Noor Khan"):
        await subscribed(tenant, price, name)
    page = await tenant.browser()
    today = tenant.scope().today().isoformat()

    asked = await preview_of(page, tenant)
    sent = await page.post("/billing/runs/preview", data={"date": today})
    await work(tenant)
    over = await page.get(sent.headers["location"])
    shown = await page.get(over.headers["location"])
    await page.post("/billing/runs", data=form_of(shown))
    await work(tenant)

    assert "2 accounts are due" in asked.text
    assert "Issue 2 invoices" in shown.text
    assert (await runs_of(tenant))[0].invoices == 2


async def test_settings_of_billing_are_saved_and_refused_at_their_field(tenant: TestTenant) -> None:
    page = await tenant.browser()
    fields = {
        "terms_days": "21",
        "invoice_per": "payer",
        "retain_years": "10",
        "small_difference_minor": "0",
        "min_stub_days": "0",
        "prepaid_notice_days": "0",
        "trial_notice_days": "3",
        "tax_rounding": "total",
        "tax_date": "end",
        "inclusive_prices": "gross",
        "cash_rounding": "CHF 0.05",
        "fee_tax": "outside",
        "forfeit_tax": "standard",
        "use_credit": "yes",
        "confirm_above_minor": "1000000",
        "run_daily": "yes",
    }

    saved = await page.post("/settings/billing", data=fields)
    refused = await page.post("/settings/billing", data={**fields, "terms_days": "400"})
    no_coin = await page.post("/settings/billing", data={**fields, "cash_rounding": "five"})
    shown = await page.get("/settings/billing")

    assert saved.status_code == 303, saved.text
    assert (refused.status_code, no_coin.status_code) == (422, 422)
    assert "“five” is no currency with its coin: CHF 0.05." in no_coin.text
    assert "One field needs another look" in refused.text
    assert "Days to pay" in refused.text
    assert 'value="21"' in shown.text
    assert "CHF 0.05</textarea>" in shown.text
    assert '<option value="standard" selected>' in shown.text


async def test_runs_over_json_are_previewed_started_listed_and_read(tenant: TestTenant) -> None:
    await subscribed(tenant, await a_price(tenant))
    client = await tenant.api()
    today = tenant.scope().today().isoformat()

    preview = await client.post("/api/v1/billing/runs/preview", json={"date": today})
    queued = await client.post("/api/v1/billing/runs", json={"date": today})
    again = await client.post("/api/v1/billing/runs", json={"date": today})
    await work(tenant)
    listed = await client.get("/api/v1/billing/runs", params={"limit": 1})
    run = await client.get(f"/api/v1/billing/runs/{listed.json()['items'][0]['id']}")
    late = await client.post(f"/api/v1/billing/runs/{run.json()['id']}/cancellation")
    mistyped = [
        await client.post(f"/api/v1/billing/runs{way}", json={"date": "0026-11-01"}) for way in ("", "/preview")
    ]

    assert preview.json()["totals"] == {"EUR": 4305}
    assert queued.status_code == 202, queued.text
    assert again.json() == queued.json()
    assert run.json()["state"] == "done"
    assert run.json()["totals"] == {"EUR": 4305}
    assert run.json()["parked_customers"] == []
    assert late.status_code == 409
    assert [(one.status_code, one.json()["errors"][0]["field"]) for one in mistyped] == [(422, "date")] * 2


async def test_who_may_only_look_starts_nothing(tenant: TestTenant) -> None:
    page = await tenant.browser("Read only")

    listed = await page.get("/billing/runs")
    refused = await page.get("/billing/runs/new")

    assert listed.status_code == 200
    assert "New run" not in listed.text
    assert refused.status_code == 403
