"""Pages of dunning and the same over the API: the policy, what today would bring, promises and disputes."""

from __future__ import annotations

from datetime import date, timedelta

from core.billing import actions
from core.billing.actions.dunning import run_dunning
from core.billing.dunning import list_steps
from core.billing.schemas import NewDraft, NewLine
from core.customers.actions import change_status, create_customer
from core.customers.schemas import NewCustomer
from core.database import value
from core.testing import TestTenant
from tests.core.billing.test_pages import PART, sent


async def an_overdue_invoice(tenant: TestTenant, days: int = 5, name: str = "Tarrow Pike") -> int:
    """Due so many days before today."""
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name=name, country="IE", emails=["bills@example.com"]))
    await change_status(scope, customer_id, "active")
    made = await actions.create_draft(
        scope,
        NewDraft(payer_id=customer_id, terms_days=0, lines=[NewLine(description="Visit", unit_price_e6=100_000_000)]),
    )
    await actions.issue(scope, made)
    tenant.clock.move(timedelta(days=days))
    return made


async def test_B9_the_settings_show_what_today_would_bring_before_it_is_switched_on(tenant: TestTenant) -> None:
    invoice = await an_overdue_invoice(tenant)
    page = await tenant.browser()

    before = await page.get("/settings/dunning")
    saved = await page.post("/settings/dunning", data={"enabled": "yes", "holidays": "2027-01-01\n2027-12-25"})
    after = await page.get("/settings/dunning")

    assert "Dunning is off" in before.text
    assert f'href="/invoices/{invoice}"' in before.text
    assert "After 3 days" in before.text
    assert saved.status_code == 303, saved.text
    assert "Dunning is off" not in after.text
    assert "2027-12-25" in after.text
    assert await value("SELECT count(*) FROM dunning_event") == 0


async def test_a_wrong_holiday_is_said_beside_its_field_and_nothing_typed_is_lost(tenant: TestTenant) -> None:
    page = await tenant.browser()
    refused = await page.post("/settings/dunning", data={"holidays": "Christmas"})
    assert refused.status_code == 422
    assert 'id="f-holidays-e"' in refused.text
    assert "Christmas" in refused.text


async def test_a_step_is_added_changed_and_removed_in_drawers(tenant: TestTenant) -> None:
    page = await tenant.browser()
    at = "/settings/dunning/steps"
    typed = {"days": "21", "message": "payment_warning", "effect": "terminated", "fee": "7.50"}

    plan = await page.get(f"{at}/new", params=typed, headers=PART)
    made = await sent(page, f"{at}/new", plan, **typed)
    assert "Last reminder" in plan.text
    assert "€7.50" in plan.text
    assert made.headers.get("hx-redirect") == "/settings/dunning", made.text
    (step,) = [each for each in await list_steps() if each.days == 21]
    assert (step.effect, step.fee_minor) == ("terminated", 750)

    shown = await page.get(f"{at}/{step.id}", headers=PART)
    later = {**typed, "days": "30"}
    plan = await page.get(f"{at}/{step.id}", params=later, headers=PART)
    again = await sent(page, f"{at}/{step.id}", plan, **later)
    assert 'value="21"' in shown.text
    assert again.headers.get("hx-redirect"), again.text
    gone = await sent(page, f"{at}/{step.id}/removal", await page.get(f"{at}/{step.id}/removal", headers=PART))
    assert gone.headers.get("hx-redirect"), gone.text
    assert [each.days for each in await list_steps()] == [3, 10, 14]


async def test_what_is_wrong_with_a_step_is_said_beside_its_field(tenant: TestTenant) -> None:
    page = await tenant.browser()
    for typed, field in (
        ({"days": "0", "message": "payment_reminder"}, "days"),
        ({"days": "3", "message": "payment_reminder"}, "days"),
        ({"days": "5", "message": ""}, "message"),
        ({"days": "5", "message": "payment_reminder", "fee": "abc"}, "fee"),
    ):
        refused = await page.post("/settings/dunning/steps/new", data=typed, headers=PART)
        assert refused.status_code == 422, (typed, refused.text)
        assert f'id="f-plan-{field}-e"' in refused.text, (typed, field)


async def test_B9_a_promise_and_a_dispute_are_noted_on_the_invoices_page(tenant: TestTenant) -> None:
    invoice = await an_overdue_invoice(tenant)
    await run_dunning(tenant.scope(), pause=0)
    page = await tenant.browser()
    path, until = f"/invoices/{invoice}", tenant.scope().today() + timedelta(days=9)

    shown = await page.get(path)
    plan = await page.get(f"{path}/promise", params={"until_on": until.isoformat(), "note": "payday"}, headers=PART)
    promised = await sent(page, f"{path}/promise", plan, until_on=until.isoformat(), note="payday")
    disputed = await sent(
        page,
        f"{path}/dispute",
        await page.get(f"{path}/dispute", params={"reason": "Nobody came"}, headers=PART),
        reason="Nobody came",
    )
    paused = await page.get(path)

    assert "After 3 days, Reminder" in shown.text
    assert promised.headers.get("hx-redirect") == path, promised.text
    assert disputed.headers.get("hx-redirect") == path, disputed.text
    for words in ("Promised by", "payday", "Disputed since", "Nobody came"):
        assert words in paused.text, words
    for what, typed in (("promise/removal", {}), ("dispute/closing", {"answer": "They came"})):
        plan = await page.get(f"{path}/{what}", params=typed, headers=PART)
        done = await sent(page, f"{path}/{what}", plan, **typed)
        assert done.headers.get("hx-redirect") == path, (what, done.text)
    assert "Promised by" not in (await page.get(path)).text


async def test_a_promise_for_the_past_is_refused_beside_its_field(tenant: TestTenant) -> None:
    invoice = await an_overdue_invoice(tenant)
    page = await tenant.browser()
    refused = await page.post(f"/invoices/{invoice}/promise", data={"until_on": "2001-01-01"}, headers=PART)
    assert refused.status_code == 422
    assert 'id="f-plan-until_on-e"' in refused.text
    assert await value("SELECT count(*) FROM promise") == 0


async def test_dunning_over_the_api(tenant: TestTenant) -> None:
    invoice = await an_overdue_invoice(tenant)
    api = await tenant.api()
    at = f"/api/v1/invoices/{invoice}"
    until = (tenant.scope().today() + timedelta(days=9)).isoformat()

    made = await api.post("/api/v1/dunning/steps", json={"days": 30, "effect": "inactive", "message": ""})
    step = made.json()
    changed = await api.put(f"/api/v1/dunning/steps/{step['id']}", json={"days": 31, "fee_minor": 500})
    today = await api.get("/api/v1/dunning/today")
    promised = await api.put(f"{at}/promise", json={"until_on": until})
    disputed = await api.put(f"{at}/dispute", json={"reason": "Nobody came"})
    twice = await api.put(f"{at}/dispute", json={"reason": "Nobody came"})
    closed = await api.post(f"{at}/dispute/closing", json={"answer": "They came"})
    back = await api.delete(f"{at}/promise")
    removed = await api.delete(f"/api/v1/dunning/steps/{step['id']}")

    assert made.status_code == 201, made.text
    assert (changed.json()["days"], changed.json()["message"]) == (31, "payment_reminder")
    assert [(each["invoice_id"], each["days"]) for each in today.json()["due"]] == [(invoice, 3)]
    assert promised.json()["promised_until"] == until
    assert disputed.json()["dispute_reason"] == "Nobody came"
    assert date.fromisoformat(disputed.json()["disputed_since"]) == tenant.scope().today()
    assert twice.status_code == 409
    assert (closed.json()["disputed_since"], back.json()["promised_until"]) == (None, None)
    assert removed.status_code == 200
    assert [each["days"] for each in (await api.get("/api/v1/dunning/steps")).json()["steps"]] == [3, 10, 14]
    assert (await api.get("/api/v1/invoices/999/dunning")).status_code == 404
