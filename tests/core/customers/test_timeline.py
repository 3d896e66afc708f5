"""The activity says what happened in the words of the pages."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from core.activity.unit import record, unit_of_work
from core.billing import actions as billing
from core.billing.schemas import NewDraft, NewLine
from core.catalog.actions import create_product
from core.catalog.queries import get_product
from core.catalog.schemas import NewPrice, NewProduct
from core.customers.actions import add_location, change_hierarchy, change_sections, create_customer, plan_status
from core.customers.events import TagAdded
from core.customers.schemas import AddressData, BillingData, HierarchyFields, LocationFields, MainData, NewCustomer
from core.customers.timeline import happenings
from core.customers.wording import label_of
from core.database import Partitions, execute
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.subscriptions.actions import add_charge, subscribe
from core.subscriptions.actions.discounting import add_discount
from core.subscriptions.schemas import NewCharge, NewDiscount, NewSubscription
from core.testing import TestTenant
from core.texts import speaking
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


async def test_C13_days_are_written_as_days_wherever_they_changed(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Ann", country="IE"))
    plan = NewProduct(code="p", name="P", kind="plan", prices=[NewPrice(cycle_unit="month", amount_minor=1000)])
    product_id = await create_product(scope, plan)
    price_id = (await get_product(product_id)).prices[0].id
    order = NewSubscription(customer_id=customer_id, product_id=product_id, price_id=price_id)
    subscription_id = await subscribe(scope, order)
    await add_discount(scope, subscription_id, NewDiscount(percent_e6=10**7, until_on=date(2030, 3, 1)))
    async with unit_of_work(scope):
        record(scope, TagAdded(customer_id=customer_id, tag="x"), changes={"tag": (None, "2026-02-30")})

    told = {change.new for one in await happenings(scope, customer_id=customer_id) for change in one.changes}

    assert written(date(2030, 3, 1), scope.locale) in told
    assert "2026-02-30" in told


@pytest.mark.parametrize("number", ["9" * 19, "9" * 5000])
async def test_C13_the_activity_before_a_number_that_none_has_is_the_latest(tenant: TestTenant, number: str) -> None:
    customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Ann", country="IE"))
    page = await tenant.browser()

    shown = await page.get(f"/customers/{customer_id}/activity", params={"before": number})

    assert shown.status_code == 200
    assert "Customer created" in shown.text


async def test_C13_old_and_new_values_are_names_amounts_and_words_in_the_language_of_the_reader(
    tenant: TestTenant,
) -> None:
    scope = tenant.scope()
    parent_id = await create_customer(scope, NewCustomer(full_name="Kavanagh Holding", country="IE"))
    customer_id = await create_customer(scope, NewCustomer(full_name="Ann", country="IE"))
    mast_id = await add_location(scope, LocationFields(name="North mast"))
    main = MainData(full_name="Ann", language="de", location_id=mast_id)
    sections = [main, AddressData(country="DE"), BillingData(never_block=True)]
    version = await change_sections(scope, customer_id, sections, version=1)
    await change_hierarchy(scope, customer_id, HierarchyFields(parent_id=parent_id), version=version)
    await plan_status(scope, customer_id, "active", scope.today() + timedelta(days=3))
    await add_charge(scope, NewCharge(customer_id=customer_id, description="Visit", amount_minor=1234))

    with speaking("de"):
        told = [
            (change.label, change.old, change.new)
            for happened in await happenings(replace(scope, locale="de"), customer_id=customer_id)
            for change in happened.changes
        ]

    assert {
        ("Standort", "", "North mast"),
        ("Sprache", "", "Deutsch"),
        ("Land", "Irland", "Deutschland"),
        ("Nie sperren", "Nein", "Ja"),
        ("Übergeordnet", "", "Kavanagh Holding"),
        ("Wird", "", "Aktiv"),
        ("Betrag", "", "12,34\N{NO-BREAK SPACE}€"),
    } <= set(told)
    assert "Am" in {label for label, _old, _new in told}


async def test_C13_the_name_of_a_parent_is_told_only_to_who_sees_that_customer(tenant: TestTenant) -> None:
    scope = tenant.scope()
    parent_id = await create_customer(scope, NewCustomer(full_name="Kavanagh Holding"))
    customer_id = await create_customer(scope, NewCustomer(full_name="Ann"))
    await change_hierarchy(scope, customer_id, HierarchyFields(parent_id=parent_id), version=1)
    async with unit_of_work(scope):
        await execute("UPDATE customer SET partition_id = 7 WHERE id = :id", id=customer_id)
    reseller = scope.as_actor(replace(scope.actor, reach=Partitions((7,))))

    told = [one.changes[0].new for one in (await happenings(reseller, customer_id=customer_id))[:1]]

    assert told == [str(parent_id)]


CHANGES = re.compile(r"changes=\{((?:[^{}]|\{[^{}]*\})*)\}")


def test_C13_every_field_that_is_recorded_has_a_label_in_each_language() -> None:
    folder = Path(__file__).resolve().parents[3] / "core"
    found = {
        name
        for path in sorted(folder.rglob("*.py"))
        for some in CHANGES.findall(path.read_text(encoding="utf-8"))
        for name in re.findall(r'"([a-z_]+)": \(', some)
    }
    same = {"Name", "Status", "Text"}

    with speaking("de"):
        unsaid = {name for name in found if label_of(name) == name.replace("_", " ").capitalize()}

    assert len(found) > 40
    assert {name for name in unsaid if name.capitalize() not in same} == set()
