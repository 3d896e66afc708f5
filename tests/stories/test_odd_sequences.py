"""Things that rarely come together on one customer: sums worked out by hand, and the books hold after each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.billing.actions import grant_credit, write_off
from core.billing.actions.pausing import pause
from core.billing.actions.relief import relieve_tax
from core.billing.verify import verify
from core.catalog.actions import set_price
from core.catalog.schemas import NewPrice
from core.customers.actions import change_hierarchy
from core.customers.queries import get_customer
from core.customers.schemas import HierarchyFields
from core.errors import Conflict
from core.payments.actions import refund, reverse
from core.payments.schemas import NewRefund, Reversal
from core.subscriptions.actions.pausing import end_pause
from core.subscriptions.actions.repricing import ToApply, apply_to_all
from core.subscriptions.schemas import NewPause
from tests.books import a_customer, day
from tests.stories.story import Money, off, percent

if TYPE_CHECKING:
    from tests.stories.story import Story


async def test_P20_a_price_that_comes_during_a_pause_holds_from_the_day_on_which_it_goes_on(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await story.sells("fibre", 10000)
    fibre = await story.subscribes("fibre")
    await story.bill()
    await pause(story.scope, fibre, NewPause(from_on=day("2027-01-21"), to_on=day("2027-02-15")))
    dearer = await set_price(story.scope, story.products["fibre"], NewPrice(cycle_unit="month", amount_minor=20000))
    await apply_to_all(story.scope, ToApply(dearer, day("2027-02-01"), tell=False))

    await story.months_pass(2)

    assert await story.lines() == [
        ("Fibre", "2027-01-01", "2027-02-01", 10000),
        ("Fibre", "2027-02-15", "2027-03-01", 10000),  # 14 of 28 days of 200.00
        ("Fibre", "2027-03-01", "2027-04-01", 20000),
    ]
    assert [total for _on, total, _left in await story.papers("credit_note")] == ["42.58"]  # 11 of 31 days of 100.00
    await story.nothing_more_is_due()


async def test_P7_resumed_and_upgraded_on_one_day_of_a_pause_each_day_is_charged_once(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await story.sells("small", 10000, rank=1)
    await story.sells("large", 31000, rank=2)
    mine = await story.subscribes("small")
    await story.bill()
    await pause(story.scope, mine, NewPause(from_on=day("2027-01-11"), to_on=day("2027-01-21"), hold_minor=500))
    await story.days_pass(14)

    await end_pause(story.scope, mine)
    await story.changes(mine, "large")

    assert [line[-1] for line in await story.lines()] == [10000, 500, 17000]  # 17 of 31 days of 310.00
    assert [total for _on, total, _left in await story.papers("credit_note")] == ["38.71", "42.58"]  # 10 and 11 of 31
    await story.months_pass(1)
    assert (await story.lines())[-1] == ("Large", "2027-02-01", "2027-03-01", 31000)
    await story.nothing_more_is_due()


async def test_P18_a_discount_that_ends_within_a_period_is_not_on_what_is_upgraded_to_on_that_day(story: Story) -> None:
    await story.begins("2027-06-01")
    await story.taxes(200_000)
    await story.sells("small", 10000, rank=1)
    await story.sells("large", 30000, rank=2)
    mine = await story.subscribes("small", discounts=[percent(50, until="2027-06-16")])
    await story.bill()

    story.on("2027-06-16")
    changed = await story.changes(mine, "large")

    note, invoice = [await story.document(each) for each in changed.document_ids]
    assert (note.net_minor, invoice.net_minor) == (2500, 15000), "half of 50.00, half of 300.00"
    await story.months_pass(1)
    assert (await story.lines())[-1][-1] == 30000
    await story.nothing_more_is_due()


async def test_P18_more_of_what_its_discount_made_free_costs_what_is_above_the_discount(story: Story) -> None:
    await story.begins("2027-06-01")
    await story.taxes(200_000)
    await story.sells("seats", 1000)
    mine = await story.subscribes("seats", quantity_e6=2_000_000, discounts=[off(5000)])
    await story.bill()
    assert await story.papers() == []

    story.on("2027-06-16")
    await story.changes(mine, quantity_e6=10_000_000)
    await story.changes(mine, quantity_e6=6_000_000, when="now")

    assert await story.papers() == [("2027-06-16", "30.00", "credited"), ("2027-06-16", "6.00", "open")]
    await story.months_pass(1)
    assert (await story.lines())[-1] == ("Seats", "2027-07-01", "2027-08-01", 1000)
    await story.nothing_more_is_due()


async def test_B3_a_credit_of_what_credit_and_a_gateway_paid_and_then_the_gateway_takes_its_money_back(
    story: Story,
) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await grant_credit(story.scope, story.customer, 3000, "Outage")
    invoice = await story.is_invoiced(("Cable", 10000))
    paid = await story.pays(9000, invoice, provider="gateway", event_id="1")

    await story.credits(invoice, 5000)
    assert await story.money() == Money("0.00", "60.00", "60.00")
    await reverse(story.scope, paid, Reversal(reason="Charged back", fee_minor=300))
    assert await story.money() == Money("30.00", "0.00", "-30.00")
    assert await verify(story.scope) == []
    await story.voids(invoice)

    assert await story.money() == Money("0.00", "30.00", "30.00"), "the goodwill is free again"
    assert await story.books("1200", "2000", "2200", "4000", "4900", "5200") == [
        "-3.00",
        "-30.00",
        "0.00",
        "0.00",
        "30.00",
        "3.00",
    ]
    await story.nothing_more_is_due()


async def test_B4_what_was_paid_back_before_it_is_charged_back_is_a_loss_that_can_be_booked(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    invoice = await story.is_invoiced(("Cable", 10000))
    paid = await story.pays(12000, invoice)
    await story.voids(invoice)
    await refund(story.scope, NewRefund(customer_id=story.customer, amount_minor=7000, reason="Asked for"))

    with pytest.raises(Conflict, match=r"70\.00 of this payment .* at most 50\.00 .* grant it as credit and refund it"):
        await reverse(story.scope, paid, Reversal(reason="Charged back"))
    await reverse(story.scope, paid, Reversal(reason="Charged back", amount_minor=5000))
    await grant_credit(story.scope, story.customer, 7000, "Charged back after it was refunded")
    await refund(story.scope, NewRefund(customer_id=story.customer, amount_minor=7000, reason="Charged back"))

    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert await story.books("1200", "4900") == ["-70.00", "70.00"], "120.00 came, 70.00 and 120.00 went"
    await story.nothing_more_is_due()


async def test_B4_a_bad_debt_that_was_paid_and_charged_back_is_written_off_and_relieved_again(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(190_000)
    invoice = await story.is_invoiced(("Cable", 10000))
    await write_off(story.scope, invoice, "Insolvent")
    await relieve_tax(story.scope, invoice, "Ruling")
    paid = await story.pays(5000, invoice)
    assert await story.books("1200", "2200", "5000") == ["50.00", "-7.98", "57.98"]

    await reverse(story.scope, paid, Reversal(reason="Charged back"))
    assert await story.money() == Money("50.00", "0.00", "-50.00")
    assert await verify(story.scope) == []
    await write_off(story.scope, invoice, "Insolvent all the same")
    assert await relieve_tax(story.scope, invoice, "Ruling") == 798
    assert await story.books("1100", "1200", "2200", "5000") == ["0.00", "0.00", "0.00", "100.00"]
    await story.voids(invoice)

    assert await story.books("1100", "1200", "2000", "2200", "4000", "5000") == ["0.00"] * 6
    await story.nothing_more_is_due()


async def test_P7_what_paid_a_plan_is_charged_back_while_its_upgrade_waits(story: Story) -> None:
    await story.begins("2027-06-01")
    await story.taxes(200_000)
    for code, price in (("small", 10000), ("large", 30000)):
        await story.sells(code, price, rank=price, activation="invoice_first")
    mine, first = await story.asks_for("small")
    paid = await story.pays(12000, first)
    story.on("2027-06-16")
    await story.changes(mine, "large")

    await reverse(story.scope, paid, Reversal(reason="Charged back"))
    await story.pays(18000)

    assert [settled for _on, _total, settled in await story.papers()] == ["paid", "partly_paid"], "the oldest due first"
    await story.days_pass(20)
    assert await story.papers() == [
        ("2027-06-01", "120.00", "paid"),
        ("2027-06-16", "180.00", "credited"),
        ("2027-07-01", "120.00", "partly_paid"),
    ], "not settled within its period: the plan goes on as it was"
    assert await story.money() == Money("60.00", "0.00", "-60.00")
    assert await story.state_of(mine) == "active"
    await story.nothing_more_is_due()


async def test_C2_an_upgrade_after_a_change_of_payer_credits_who_paid_and_charges_who_pays_now(story: Story) -> None:
    await story.begins("2027-05-01", tax_profile="outside")
    office = story.customer
    branch = await a_customer(story.scope, "Branch", tax_profile="outside")
    await story.sells("small", 3000, rank=1)
    await story.sells("large", 9000, rank=2)
    mine = await story.subscribes("small", customer_id=branch)
    await story.bill()
    await story.pays(3000, payer_id=branch)
    story.on("2027-05-11")
    version = (await get_customer(story.scope, branch)).version
    await change_hierarchy(story.scope, branch, HierarchyFields(parent_id=office, payer_id=office), version=version)

    story.on("2027-05-21")
    await story.changes(mine, "large")

    assert await story.money(branch) == Money("0.00", "10.65", "10.65")  # 11 of 31 days of 30.00
    assert await story.money(office) == Money("31.94", "0.00", "-31.94")  # 11 of 31 days of 90.00
    await story.nothing_more_is_due()
