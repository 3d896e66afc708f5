"""A subscription that waits for its first invoice to be settled, and what was given free (domain.md, Invoice first)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.billing.actions import create_draft, grant_credit, issue, write_off
from core.billing.schemas import NewDraft
from core.customers.queries import get_customer
from core.errors import Conflict
from core.payments.actions import reverse
from core.payments.schemas import Reversal
from core.subscriptions.actions import cancel_at_expiry, request, terminate
from core.subscriptions.queries import get_subscription
from core.subscriptions.schemas import NewSubscription
from tests.books import day
from tests.stories.story import Money, percent

if TYPE_CHECKING:
    from tests.stories.story import Story


async def test_P6_it_is_live_from_the_day_on_which_the_last_part_comes_in(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, activation="invoice_first")

    fibre, invoice = await story.asks_for("fibre")
    assert (await get_customer(story.scope, story.customer)).status == "new"
    story.on("2027-05-02")
    await story.pays(1000, invoice)
    story.on("2027-05-03")
    await story.pays(2599, invoice)
    assert await story.state_of(fibre) == "pending"
    assert await story.money() == Money("0.01", "0.00", "-0.01")
    story.on("2027-05-04")
    await story.pays(1, invoice)

    live = await get_subscription(story.scope, fibre)
    assert (live.state, live.started_on, live.next_from) == ("active", day("2027-05-04"), day("2027-06-04"))
    assert (await get_customer(story.scope, story.customer)).status == "active"
    await story.months_pass(1)
    assert await story.papers() == [("2027-05-01", "36.00", "paid"), ("2027-06-04", "36.00", "open")]
    await story.nothing_more_is_due()


async def test_what_is_paid_over_stays_credit_and_lengthens_nothing(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, activation="invoice_first")

    fibre, invoice = await story.asks_for("fibre")
    await story.pays(5000, invoice)
    assert await story.money() == Money("0.00", "14.00", "14.00")
    assert (await get_subscription(story.scope, fibre)).next_from == day("2027-06-01")
    await story.months_pass(1)

    assert await story.money() == Money("22.00", "0.00", "-22.00")
    assert await story.papers() == [("2027-05-01", "36.00", "paid"), ("2027-06-01", "36.00", "partly_paid")]
    await story.nothing_more_is_due()


async def test_an_invoice_of_nothing_is_settled_as_it_is_issued(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, activation="invoice_first")

    fibre, _ = await story.asks_for("fibre", discounts=[percent(100, until="2027-05-15")])

    assert await story.state_of(fibre) == "active"
    assert await story.papers() == [("2027-05-01", "0.00", "paid")]
    await story.months_pass(1)
    assert await story.papers() == [("2027-05-01", "0.00", "paid"), ("2027-06-01", "36.00", "open")]
    await story.nothing_more_is_due()


async def test_credit_that_covers_the_invoice_activates_at_once(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, activation="invoice_first")
    await story.sells("tv", 1000, activation="invoice_first", kind="module")
    await grant_credit(story.scope, story.customer, 4000, "A welcome")

    fibre, _ = await story.asks_for("fibre")
    tv, of_tv = await story.asks_for("tv")

    assert (await story.state_of(fibre), await story.state_of(tv)) == ("active", "pending")
    assert await story.money() == Money("8.00", "0.00", "-8.00")
    story.on("2027-05-03")
    await story.pays(800, of_tv)
    assert (await get_subscription(story.scope, tv)).started_on == day("2027-05-03")
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_P6_not_settled_in_time_it_lapses_and_the_part_paid_is_credit(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, activation="invoice_first")

    fibre, invoice = await story.asks_for("fibre")
    story.on("2027-05-02")
    await story.pays(1000, invoice)
    story.on("2027-05-31")
    await story.bill()
    assert await story.state_of(fibre) == "pending"
    story.on("2027-06-01")
    await story.bill()

    assert await story.state_of(fibre) == "ended"
    assert await story.money() == Money("0.00", "10.00", "10.00")
    assert await story.papers() == [("2027-05-01", "36.00", "credited")]
    assert await story.papers("credit_note") == [("2027-06-01", "36.00", "paid")]
    again, _ = await story.asks_for("fibre")
    assert await story.money() == Money("26.00", "0.00", "-26.00")
    assert await story.state_of(again) == "pending"
    await story.nothing_more_is_due()


async def test_voiding_its_invoice_ends_it(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, activation="invoice_first", setup_minor=5000)

    fibre, invoice = await story.asks_for("fibre")
    assert await story.money() == Money("96.00", "0.00", "-96.00")
    with pytest.raises(Conflict, match="cannot be cancelled"):
        await cancel_at_expiry(story.scope, fibre)
    await story.voids(invoice, then="bill_again")

    assert await story.state_of(fibre) == "ended"
    assert await story.money() == Money("0.00", "0.00", "0.00")


async def test_a_day_agreed_later_than_the_payment_counts(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, activation="invoice_first")

    fibre, invoice = await story.asks_for("fibre", starts_on=day("2027-05-20"))
    await story.pays(3600, invoice)
    early = await get_subscription(story.scope, fibre)
    assert (early.started_on, early.next_from) == (day("2027-05-20"), day("2027-06-20"))

    await story.months_pass(2)
    assert await story.papers() == [("2027-05-01", "36.00", "paid"), ("2027-06-20", "36.00", "open")]
    await story.nothing_more_is_due()


async def test_all_subscriptions_on_one_invoice_start_together(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, activation="invoice_first")
    await story.sells("tv", 1000, activation="invoice_first", kind="module")

    fibre, tv = [
        (
            await request(
                story.scope,
                NewSubscription(
                    customer_id=story.customer, product_id=story.products[code], price_id=story.prices[code]
                ),
            )
        ).subscription_id
        for code in ("fibre", "tv")
    ]
    invoice = await create_draft(story.scope, NewDraft(payer_id=story.customer, open_charges=True))
    await issue(story.scope, invoice)
    await story.pays(4000, invoice)
    assert (await story.state_of(fibre), await story.state_of(tv)) == ("pending", "pending")
    story.on("2027-05-07")
    await story.pays(800, invoice)

    await story.expects("subscription_activated", on=["2027-05-07", "2027-05-07"])
    await story.months_pass(1)
    assert await story.papers() == [("2027-05-01", "48.00", "paid"), ("2027-06-07", "48.00", "open")]
    await story.nothing_more_is_due()


async def test_a_small_difference_counts_as_settled(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.bills(small_difference_minor=5)
    await story.sells("fibre", 3000, activation="invoice_first")

    fibre, invoice = await story.asks_for("fibre")
    await story.pays(3594, invoice)
    assert await story.state_of(fibre) == "pending"
    await story.pays(1, invoice)

    assert await story.state_of(fibre) == "active"
    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert await story.books("7100") == ["0.05"]
    await story.nothing_more_is_due()


async def test_a_bad_debt_does_not_activate_and_is_no_credit_when_it_lapses(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, activation="invoice_first")

    fibre, invoice = await story.asks_for("fibre")
    await story.pays(1000, invoice)
    await write_off(story.scope, invoice, "He moved away")
    assert await story.state_of(fibre) == "pending"
    assert await story.books("5000") == ["26.00"]
    await story.days_pass(40)

    assert await story.state_of(fibre) == "ended"
    assert await story.money() == Money("0.00", "10.00", "10.00")
    assert await story.books("5000", "2300", "2200") == ["0.00", "0.00", "0.00"]
    await story.nothing_more_is_due()


async def test_a_later_chargeback_reopens_the_invoice_and_leaves_it_active(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, activation="invoice_first")

    fibre, invoice = await story.asks_for("fibre")
    payment = await story.pays(3600, invoice)
    story.on("2027-05-20")
    await reverse(story.scope, payment, Reversal(reason="chargeback", fee_minor=300))

    assert await story.state_of(fibre) == "active"
    assert await story.money() == Money("36.00", "0.00", "-36.00")
    assert await story.books("1200", "5200") == ["-3.00", "3.00"]
    story.on("2027-05-21")
    await story.pays(3600, invoice)
    assert (await get_subscription(story.scope, fibre)).started_on == day("2027-05-01")
    await story.expects("subscription_activated", on=["2027-05-01"])
    await story.nothing_more_is_due()


async def test_P4_what_is_given_free_is_never_invoiced(story: Story) -> None:
    await story.begins("2027-05-01", billing_day=15)
    await story.sells("fibre", 3000, setup_minor=5000)

    fibre = await story.gets_free("fibre")
    assert (await get_customer(story.scope, story.customer)).status == "active"
    await story.months_pass(13)

    assert await story.state_of(fibre) == "active"
    assert await story.papers() == []
    await cancel_at_expiry(story.scope, fibre)
    await story.months_pass(2)
    assert await story.state_of(fibre) == "ended"
    assert await story.papers() == []
    await story.nothing_more_is_due()


async def test_P4_free_until_a_day_ends_on_it(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)

    fibre = await story.gets_free("fibre", until="2027-06-10")
    await story.months_pass(3)

    await story.expects("subscription_ended", on=["2027-06-10"])
    assert await story.spans(fibre) == [("2027-05-01", "2027-06-10", "gift")]
    assert await story.papers() == []
    await story.nothing_more_is_due()


async def test_free_time_that_becomes_payable_is_invoiced_first_and_is_no_test_time(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, trial_days=14)

    fibre = await story.gets_free("fibre", until="2027-06-10", then="invoice_first", price_id=story.prices["fibre"])
    story.on("2027-06-10")
    await story.bill()
    assert await story.state_of(fibre) == "pending"
    assert await story.papers() == [("2027-06-10", "36.00", "open")]
    story.on("2027-06-15")
    await story.pays(3600)
    live = await get_subscription(story.scope, fibre)
    assert (live.state, live.next_from) == ("active", day("2027-07-15"))

    await terminate(story.scope, fibre)
    second = await story.tries("fibre")
    assert await story.state_of(second) == "trial"
    await story.days_pass(20)
    await story.nothing_more_is_due()
