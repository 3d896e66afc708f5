"""Pages of dunning and the same over the API: the policy, what today would bring, promises and disputes."""

from __future__ import annotations

from datetime import date, timedelta

from core.billing import actions
from core.billing.actions.dunning import run_dunning, save_step
from core.billing.dunning import StepFields, list_steps
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


async def test_who_saves_a_step_that_somebody_changed_meanwhile_sees_that_and_is_asked_again(
    tenant: TestTenant,
) -> None:
    page, scope = await tenant.browser(), tenant.scope()
    step = (await list_steps())[0]
    path, typed = f"/settings/dunning/steps/{step.id}", {"days": "4", "message": "payment_reminder", "fee": "2"}
    plan = await page.get(path, params=typed, headers=PART)
    await save_step(scope, StepFields(days=6, message="payment_warning", fee_minor=900), step.id)

    again = await sent(page, path, plan, **typed)
    between = next(each for each in await list_steps() if each.id == step.id)
    done = await sent(page, path, again, **typed)

    assert f"So far, after {step.days} days" in plan.text
    assert again.status_code == 409, again.status_code
    assert "So far, after 6 days" in again.text
    assert "€9.00" in again.text
    assert between.fee_minor == 900
    assert done.headers.get("hx-redirect") == "/settings/dunning", done.text
    assert next(each for each in await list_steps() if each.id == step.id).fee_minor == 200


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


async def test_B9_promises_and_disputes_that_are_over_stand_in_the_dunning_of_the_invoice(tenant: TestTenant) -> None:
    invoice = await an_overdue_invoice(tenant)
    api, page = await tenant.api(), await tenant.browser()
    at = f"/api/v1/invoices/{invoice}"
    today = tenant.scope().today()
    await api.put(f"{at}/promise", json={"until_on": (today + timedelta(days=9)).isoformat(), "note": "payday"})
    await api.put(f"{at}/dispute", json={"reason": "Nobody came"})
    open_now = (await api.get(f"{at}/dunning")).json()["pauses"]
    await api.post(f"{at}/dispute/closing", json={"answer": "They came"})
    await api.post(f"{at}/write-off", json={"reason": "Gone"})

    shown = await page.get(f"/invoices/{invoice}")
    told = (await api.get(f"{at}/dunning")).json()

    for words in ("Promise over: the debt was written off", "payday", "Dispute closed", "Nobody came", "They came"):
        assert words in shown.text, words
    assert [(each["kind"], each["state"]) for each in open_now] == [("dispute", "open"), ("promise", "open")]
    assert [(each["kind"], each["state"], each["said"], each["answer"]) for each in told["pauses"]] == [
        ("dispute", "closed", "Nobody came", "They came"),
        ("promise", "written_off", "payday", ""),
    ]
    assert (told["promised_until"], told["disputed_since"]) == (None, None)


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


async def test_the_plan_of_a_void_names_its_late_fees_and_offers_to_credit_what_was_invoiced(
    tenant: TestTenant,
) -> None:
    invoice = await an_overdue_invoice(tenant)
    scope = tenant.scope()
    first, second, *_ = await list_steps()
    for step in (first, second):
        await save_step(scope, StepFields(days=step.days, fee_minor=500 + step.days), step.id)
    await run_dunning(scope, pause=0)
    payer = int(await value("SELECT payer_id FROM document WHERE id = :id", id=invoice))
    (fee_invoice,) = await actions.invoice_open_charges(scope, payer)
    tenant.clock.move(timedelta(days=7))
    await run_dunning(scope, pause=0)
    page, api, path = await tenant.browser(), await tenant.api(), f"/invoices/{invoice}/void"

    plan = await page.get(path, params={"reason": "Never ordered"}, headers=PART)
    kept = await page.get(path, params={"reason": "Never ordered", "late_fees": "keep"}, headers=PART)
    done = await sent(page, path, plan, reason="Never ordered", late_fees="credit")

    number = await value("SELECT number FROM document WHERE id = :id", id=fee_invoice)
    for words in ("Late fees", f"Late fee on {number}", "Late fee, not invoiced yet", "5.03", "5.10", "waived"):
        assert words in plan.text, words
    assert "stays" in kept.text
    assert done.headers.get("hx-redirect") == f"/invoices/{invoice}", done.text
    assert await value("SELECT count(*) FROM charge WHERE kind = 'fee' AND state = 'waived'") == 2
    told = (await api.get(f"/api/v1/invoices/{fee_invoice}")).json()
    assert (told["open_minor"], len(told["credit_note_ids"])) == (0, 1)


async def test_a_void_over_the_api_credits_late_fees_that_were_invoiced_where_it_says_so(tenant: TestTenant) -> None:
    invoice = await an_overdue_invoice(tenant)
    scope, api = tenant.scope(), await tenant.api()
    first, *_ = await list_steps()
    await save_step(scope, StepFields(days=first.days, fee_minor=500), first.id)
    await run_dunning(scope, pause=0)
    payer = int(await value("SELECT payer_id FROM document WHERE id = :id", id=invoice))
    (fee_invoice,) = await actions.invoice_open_charges(scope, payer)

    made = await api.post(f"/api/v1/invoices/{invoice}/void", json={"reason": "Wrong", "late_fees": "credit"})

    assert made.status_code == 201, made.text
    assert (await api.get(f"/api/v1/invoices/{fee_invoice}")).json()["open_minor"] == 0
