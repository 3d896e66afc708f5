"""Who pays for whom, and what a customer's status does to what is billed (domain.md, Payer and Status)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.errors import Conflict
from core.subscriptions.actions import cancel_at_expiry, resume, suspend
from core.subscriptions.queries import get_subscription
from tests.books import a_customer, day
from tests.stories.story import Money

if TYPE_CHECKING:
    from tests.stories.story import Story


async def test_a_payer_gets_one_invoice_for_its_children_that_names_them(story: Story) -> None:
    await story.begins("2027-05-01", name="Head office", tax_profile="outside", terms_days=30)
    office = story.customer
    first = await a_customer(story.scope, "Branch one", parent_id=office, payer_id=office)
    second = await a_customer(story.scope, "Branch two", parent_id=first, payer_id=office, terms_days=5)
    await story.sells("fibre", 24995)
    await story.sells("tv", 2995, kind="module")
    await story.subscribes("fibre", customer_id=first)
    await story.subscribes("tv", customer_id=second)

    await story.bill()

    invoice = await story.document(1)
    assert (invoice.payer, invoice.due_on) == ("Head office", day("2027-05-31"))
    assert [(line.beneficiary, line.net_minor) for line in invoice.lines] == [
        ("Branch one", 24995),
        ("Branch two", 2995),
    ]
    assert await story.money(office) == Money("279.90", "0.00", "-279.90")
    assert await story.money(first) == await story.money(second) == Money("0.00", "0.00", "0.00")
    await story.pays(27990)
    assert await story.money(office) == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_credit_of_a_child_does_not_pay_for_its_payer(story: Story) -> None:
    await story.begins("2027-05-01", name="Head office")
    office = story.customer
    branch = await a_customer(story.scope, "Branch", parent_id=office, payer_id=office)
    await story.sells("fibre", 3000)
    await story.pays(10000, payer_id=branch)
    await story.subscribes("fibre", customer_id=branch)

    await story.bill()

    assert await story.money(office) == Money("36.00", "0.00", "-36.00")
    assert await story.money(branch) == Money("0.00", "100.00", "100.00")
    await story.nothing_more_is_due()


async def test_what_a_payer_settles_first_activates_its_child(story: Story) -> None:
    await story.begins("2027-05-01", name="Head office")
    office = story.customer
    story.customer = await a_customer(story.scope, "Branch", parent_id=office, payer_id=office)
    await story.sells("fibre", 3000, activation="invoice_first")

    fibre, invoice = await story.asks_for("fibre")
    await story.pays(3600, invoice, payer_id=office)

    live = await get_subscription(story.scope, fibre)
    assert (live.state, live.customer) == ("active", "Branch")
    await story.months_pass(1)
    assert await story.papers(payer_id=office) == [("2027-05-01", "36.00", "paid"), ("2027-06-01", "36.00", "open")]
    await story.nothing_more_is_due()


async def test_blocked_customers_are_billed(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    await story.bill()
    await story.becomes("blocked")

    await story.months_pass(1)

    assert len(await story.papers()) == 2
    await story.nothing_more_is_due()


async def test_days_of_an_inactive_customer_are_never_caught_up(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3100)
    fibre = await story.subscribes("fibre")
    await story.bill()
    story.on("2027-05-20")
    await story.becomes("inactive")
    await story.days_pass(61)
    assert await story.papers() == [("2027-05-01", "37.20", "overdue")]

    # Days charged in advance before are not credited; the next charge starts on the day of its return.
    story.on("2027-07-21")
    await story.becomes("active")
    await story.bill()
    await story.days_pass(11)

    assert await story.spans(fibre) == [("2027-06-01", "2027-07-21", "status")]
    assert await story.lines() == [
        ("Fibre", "2027-05-01", "2027-06-01", 3100),
        ("Fibre", "2027-07-21", "2027-08-01", 1100),
        ("Fibre", "2027-08-01", "2027-09-01", 3100),
    ]
    await story.nothing_more_is_due()


async def test_becoming_inactive_suspends_and_becoming_active_resumes_from_that_day(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3100)
    await story.sells("tv", 3100, kind="module", timing="arrears")
    await story.sells("phone", 3100, kind="module")
    await story.sells("free", 100, kind="module")
    fibre, tv, phone = [await story.subscribes(code) for code in ("fibre", "tv", "phone")]
    free = await story.gets_free("free")
    await story.bill()
    await suspend(story.scope, phone)

    story.on("2027-05-11")
    await story.becomes("inactive")
    assert [await story.state_of(each) for each in (fibre, tv, phone, free)] == ["suspended"] * 4
    with pytest.raises(Conflict, match="cannot order"):
        await resume(story.scope, fibre)
    await story.days_pass(61)

    # No run is made on the day of the return: what is charged next starts on it all the same.
    story.on("2027-07-21")
    await story.becomes("active")
    assert [await story.state_of(each) for each in (fibre, tv, phone, free)] == [
        "active",
        "active",
        "suspended",
        "active",
    ]
    story.on("2027-08-01")
    await story.bill()

    assert await story.lines() == [
        ("Fibre", "2027-05-01", "2027-06-01", 3100),
        ("Phone", "2027-05-01", "2027-06-01", 3100),
        ("Tv", "2027-05-01", "2027-05-11", 1000),
        ("Fibre", "2027-07-21", "2027-08-01", 1100),
        ("Fibre", "2027-08-01", "2027-09-01", 3100),
        ("Tv", "2027-07-21", "2027-08-01", 1100),
        ("Phone", "2027-07-21", "2027-08-01", 1100),
        ("Phone", "2027-08-01", "2027-09-01", 3100),
    ]
    assert await story.spans(tv) == [("2027-05-11", "2027-07-21", "status")]
    assert await story.spans(fibre) == await story.spans(phone) == [("2027-06-01", "2027-07-21", "status")]
    await story.expects("subscription_suspended", on=["2027-05-01", *["2027-05-11"] * 3])
    await story.expects("subscription_resumed", on=["2027-07-21"] * 3)
    await story.nothing_more_is_due()


async def test_what_no_run_saw_is_charged_up_to_the_day_of_a_status_and_no_further(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3100)
    await story.sells("tv", 3100, kind="module")
    await story.subscribes("fibre")
    tv = await story.subscribes("tv")
    await suspend(story.scope, tv)
    story.on("2027-05-11")
    await story.becomes("inactive")

    story.on("2027-06-21")
    await story.becomes("active")
    story.on("2027-07-01")
    await story.bill()

    assert await story.lines() == [
        (what, since, until, net)
        for what in ("Fibre", "Tv")
        for since, until, net in (
            ("2027-05-01", "2027-05-11", 1000),
            ("2027-06-21", "2027-07-01", 1033),
            ("2027-07-01", "2027-08-01", 3100),
        )
    ]
    await story.nothing_more_is_due()


async def test_what_ends_while_its_customer_is_inactive_is_not_taken_up_again(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3100)
    fibre = await story.subscribes("fibre")
    await story.bill()
    await cancel_at_expiry(story.scope, fibre)
    await story.becomes("inactive")

    await story.days_pass(40)
    await story.becomes("active")
    await story.days_pass(40)

    assert await story.state_of(fibre) == "ended"
    await story.expects("subscription_ended", on=["2027-06-01"])
    assert len(await story.lines()) == 1
    await story.nothing_more_is_due()


async def test_a_short_absence_inside_a_paid_period_changes_nothing(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3100)
    await story.subscribes("fibre")
    await story.bill()
    story.on("2027-05-05")
    await story.becomes("inactive")
    await story.bill()
    story.on("2027-05-25")
    await story.becomes("active")

    await story.months_pass(1)

    assert [line[1] for line in await story.lines()] == ["2027-05-01", "2027-06-01"]
    await story.nothing_more_is_due()


async def test_charges_that_exist_are_invoiced_in_any_status(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    await story.bill()
    await story.is_charged("Visit", 5000)
    await story.becomes("inactive")

    story.on("2027-06-01")
    await story.bill()

    assert await story.papers() == [("2027-05-01", "36.00", "overdue"), ("2027-06-01", "60.00", "open")]
    await story.nothing_more_is_due()


async def test_arrears_up_to_the_day_of_a_status_are_still_charged(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3100, timing="arrears")
    fibre = await story.subscribes("fibre")
    story.on("2027-05-11")
    await story.becomes("inactive")
    await story.days_pass(40)
    story.on("2027-06-21")
    await story.becomes("active")
    await story.bill()
    story.on("2027-07-01")
    await story.bill()

    assert await story.lines() == [
        ("Fibre", "2027-05-01", "2027-05-11", 1000),
        ("Fibre", "2027-06-21", "2027-07-01", 1033),
    ]
    assert await story.spans(fibre) == [("2027-05-11", "2027-06-21", "status")]
    await story.nothing_more_is_due()
