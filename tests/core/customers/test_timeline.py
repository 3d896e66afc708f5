"""The activity says what happened in the words of the pages."""

from __future__ import annotations

from core.billing import actions as billing
from core.billing.schemas import NewDraft, NewLine
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.customers.timeline import happenings
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.testing import TestTenant
from core.web.templating import written


async def test_C13_a_new_customer_is_told_by_labels_and_days_not_by_values_of_the_database(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Ann", kind="company"))

    (created,) = await happenings(scope, customer_id=customer_id)

    told = {change.label: change.new for change in created.changes}
    assert created.text == "Customer created"
    assert (told["Kind"], told["Date added"]) == ("Company", written(scope.today(), scope.locale))
    assert "company" not in told.values()


async def test_C13_a_payment_and_an_invoice_say_how_much_and_lead_to_their_pages(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Ann", country="IE"))
    lines = [NewLine(description="Visit", unit_price_e6=100_000_000)]
    invoice_id = await billing.create_draft(scope, NewDraft(payer_id=customer_id, lines=lines))
    await billing.issue(scope, invoice_id)
    payment_id = await receive(scope, NewPayment(payer_id=customer_id, amount_minor=5000))
    page = await tenant.browser()

    told = [(one.text, one.href) for one in await happenings(scope, customer_id=customer_id)]
    shown = (await page.get(f"/customers/{customer_id}/activity")).text
    log = (await page.get("/settings/activity")).text

    for text, href in (
        ("Invoice issued, €123.00", f"/invoices/{invoice_id}"),
        ("Payment received, €50.00", f"/payments/{payment_id}"),
    ):
        assert (text, href) in told
        assert f'<a href="{href}">{text}</a>' in shown
        assert f'href="{href}"' in log
    assert ("Customer created", "") in told


async def test_C13_what_may_not_be_seen_is_led_to_from_nowhere(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Ann", country="IE"))
    await receive(scope, NewPayment(payer_id=customer_id, amount_minor=5000))

    seeing = tenant.scope("customers.view", "activity.view")
    told = [(one.text, one.href) for one in await happenings(seeing, customer_id=customer_id)]

    assert ("Payment received, €50.00", "") in told
