"""How a subscription ends: at its expiry, on a day, withdrawn; and what of it is still charged or credited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.billing.actions import (
    cancel_subscription,
    credit_unused,
    preview_withdrawal,
    void,
    withdraw_subscription,
)
from core.billing.actions.periods import edit_period
from core.billing.queries import list_documents
from core.billing.status import Charges
from core.errors import Conflict, Invalid
from core.subscriptions.actions import cancel_at_expiry, resume, suspend, terminate, undo_cancellation
from core.subscriptions.changes import PeriodEdit
from core.subscriptions.queries import get_subscription
from tests.books import day
from tests.stories.story import Money

if TYPE_CHECKING:
    from tests.stories.story import Story


async def test_P9_cancelled_at_expiry_it_is_served_for_what_is_paid_and_billed_no_more(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre")
    await story.bill()

    story.on("2027-05-10")
    assert await cancel_at_expiry(story.scope, fibre) == day("2027-06-01")
    assert await story.state_of(fibre) == "active"
    with pytest.raises(Conflict, match="ends on 1 Jun 2027 already"):
        await cancel_at_expiry(story.scope, fibre)
    await story.months_pass(2)

    await story.expects("subscription_ended", on=["2027-06-01"])
    assert await story.papers() == [("2027-05-01", "36.00", "overdue")]
    with pytest.raises(Conflict, match="no end to undo"):
        await undo_cancellation(story.scope, fibre)
    await story.nothing_more_is_due()


async def test_P9_an_undone_cancellation_goes_on_as_before(story: Story) -> None:
    await story.begins("2027-01-31")
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre")
    await story.bill()

    story.on("2027-02-10")
    assert await cancel_at_expiry(story.scope, fibre) == day("2027-02-28")
    story.on("2027-02-27")
    await undo_cancellation(story.scope, fibre)
    await story.months_pass(2)

    await story.expects("invoice_issued", on=["2027-01-31", "2027-02-28", "2027-03-31"])
    await story.nothing_more_is_due()


async def test_in_arrears_the_running_cycle_is_the_last_one(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, timing="arrears")
    fibre = await story.subscribes("fibre")
    await story.days_pass(39)

    assert await cancel_at_expiry(story.scope, fibre) == day("2027-07-01")
    await story.months_pass(3)

    assert await story.lines() == [
        ("Fibre", "2027-05-01", "2027-06-01", 3000),
        ("Fibre", "2027-06-01", "2027-07-01", 3000),
    ]
    await story.expects("invoice_issued", on=["2027-06-01", "2027-07-01"])
    await story.nothing_more_is_due()


async def test_a_minimum_term_and_a_notice_come_first(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, min_term_unit="month", min_term_count=6, notice_days=30)
    fibre = await story.subscribes("fibre")
    await story.bill()

    story.on("2027-05-10")
    assert await cancel_at_expiry(story.scope, fibre) == day("2027-11-01")
    await undo_cancellation(story.scope, fibre)
    await story.months_pass(8)
    assert story.today == day("2028-01-10")
    assert await cancel_at_expiry(story.scope, fibre) == day("2028-03-01")
    await story.months_pass(4)

    assert len(await story.papers()) == 10
    await story.expects("subscription_ended", on=["2028-03-01"])
    await story.nothing_more_is_due()


async def test_terminated_today_it_is_credited_by_day_where_staff_choose_so(story: Story) -> None:
    await story.begins("2027-06-01")
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre")
    await story.bill()
    await story.pays(3600)

    story.on("2027-06-11")
    await terminate(story.scope, fibre)
    assert await story.state_of(fibre) == "ended"
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await credit_unused(story.scope, fibre, day("2027-06-11"), "Terminated")

    # 20 of 30 days, the day of termination among them.
    assert await story.papers("credit_note") == [("2027-06-11", "24.00", "paid")]
    assert await story.money() == Money("0.00", "24.00", "24.00")
    await story.months_pass(2)
    await story.nothing_more_is_due()


async def _ends(story: Story, subscription_id: int, on: str) -> None:
    """Terminated, and the unused days credited, as the drawer does it."""
    await terminate(story.scope, subscription_id, day(on))
    await credit_unused(story.scope, subscription_id, day(on), f"Ended on {on}")


async def _credited(story: Story) -> list[tuple[str, str, int]]:
    """Lines of all credit notes: from, to, net."""
    notes = await list_documents(story.scope, kind="credit_note", limit=100)
    return [
        (str(line.period_from), str(line.period_to), line.net_minor)
        for note in reversed(notes)
        for line in (await story.document(note.id)).lines
    ]


async def test_an_end_that_is_moved_earlier_credits_the_days_between_only(story: Story) -> None:
    await story.begins("2027-06-01")
    await story.sells("fibre", 3100)
    fibre = await story.subscribes("fibre")
    await story.bill()
    await story.pays(3720)

    await _ends(story, fibre, "2027-06-20")
    await _ends(story, fibre, "2027-06-20")
    await _ends(story, fibre, "2027-06-11")

    # 11 of 30 days are 11.37 + 2.27, 20 are 20.67: the second note is 9.30 + 1.86, the days between.
    assert await _credited(story) == [("2027-06-20", "2027-07-01", 1137), ("2027-06-11", "2027-06-20", 930)]
    assert await story.money() == Money("0.00", "24.80", "24.80")
    await story.months_pass(2)
    await story.nothing_more_is_due()


async def test_undoing_an_end_charges_the_credited_days_again(story: Story) -> None:
    await story.begins("2027-06-01")
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre")
    await story.bill()
    await story.pays(3600)
    await _ends(story, fibre, "2027-06-11")

    story.on("2027-06-05")
    await undo_cancellation(story.scope, fibre)
    await story.bill()
    assert await story.lines() == [
        ("Fibre", "2027-06-01", "2027-07-01", 3000),
        ("Fibre", "2027-06-11", "2027-07-01", 2000),
    ]
    assert await story.money() == Money("0.00", "0.00", "0.00")

    # What was charged again is credited again, and once more charged.
    await _ends(story, fibre, "2027-06-21")
    assert (await _credited(story))[1:] == [("2027-06-21", "2027-07-01", 1000)]
    await undo_cancellation(story.scope, fibre)
    await story.months_pass(1)

    assert await story.lines() == [
        ("Fibre", "2027-06-01", "2027-07-01", 3000),
        ("Fibre", "2027-06-11", "2027-07-01", 2000),
        ("Fibre", "2027-06-21", "2027-07-01", 1000),
        ("Fibre", "2027-07-01", "2027-08-01", 3000),
    ]
    assert await story.money() == Money("36.00", "0.00", "-36.00")
    await story.nothing_more_is_due()


async def test_an_end_set_later_charges_the_days_up_to_it_again(story: Story) -> None:
    await story.begins("2027-06-01")
    await story.sells("fibre", 3000, tax_inclusive=True)
    fibre = await story.subscribes("fibre")
    await story.bill()
    await _ends(story, fibre, "2027-06-11")

    await _ends(story, fibre, "2027-06-26")
    await undo_cancellation(story.scope, fibre)
    await _ends(story, fibre, "2027-06-16")
    await story.bill()

    # 20.00 for 20 days were credited with their tax; 5 of these days are used after all.
    assert [(line[1], line[2]) for line in await story.lines()] == [
        ("2027-06-01", "2027-07-01"),
        ("2027-06-11", "2027-06-16"),
    ]
    assert await story.money() == Money("15.00", "0.00", "-15.00")
    await story.months_pass(2)
    await story.expects("subscription_ended", on=["2027-06-16"])
    await story.nothing_more_is_due()


async def test_an_invoice_with_credited_days_is_voided_but_not_billed_again(story: Story) -> None:
    await story.begins("2027-06-01")
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre")
    await story.bill()
    await _ends(story, fibre, "2027-06-11")
    invoice = (await list_documents(story.scope, kind="invoice", limit=1))[0].id

    with pytest.raises(Conflict, match="void it without billing it again"):
        await void(story.scope, invoice, "A mistake", Charges.BILL_AGAIN)
    await void(story.scope, invoice, "A mistake")
    await undo_cancellation(story.scope, fibre)
    await story.months_pass(1)

    # Given up with its invoice: June is not charged again.
    assert [(line[1], line[2]) for line in await story.lines()] == [
        ("2027-06-01", "2027-07-01"),
        ("2027-07-01", "2027-08-01"),
    ]
    await story.nothing_more_is_due()


async def test_cancelled_after_billing_ahead_later_invoices_are_credited_in_full(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre")
    await story.bill()
    await story.pays(3600)
    await story.bill("2027-07-01")
    assert await story.papers() == [("2027-05-01", "36.00", "paid"), ("2027-05-01", "72.00", "open")]

    story.on("2027-05-10")
    assert await cancel_subscription(story.scope, fibre) == day("2027-06-01")
    assert await _credited(story) == [("2027-06-01", "2027-07-01", 3000), ("2027-07-01", "2027-08-01", 3000)]
    assert await story.papers("credit_note") == [("2027-05-10", "72.00", "paid")]
    assert await story.money() == Money("0.00", "0.00", "0.00")

    story.on("2027-05-20")
    await undo_cancellation(story.scope, fibre)
    await story.bill()
    assert await story.money() == Money("72.00", "0.00", "-72.00")
    assert await cancel_subscription(story.scope, fibre) == day("2027-06-01")
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.months_pass(3)
    await story.expects("subscription_ended", on=["2027-06-01"])
    await story.nothing_more_is_due()


async def test_cancelled_with_a_notice_after_billing_ahead_it_ends_with_the_period_that_the_notice_reaches(
    story: Story,
) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, notice_days=30)
    fibre = await story.subscribes("fibre")
    await story.bill("2027-07-01")

    story.on("2027-05-10")
    assert await cancel_subscription(story.scope, fibre) == day("2027-07-01")
    assert await _credited(story) == [("2027-07-01", "2027-08-01", 3000)]
    assert await story.money() == Money("72.00", "0.00", "-72.00")
    await story.months_pass(3)
    await story.nothing_more_is_due()


async def test_a_later_period_that_waits_for_its_invoice_is_not_billed_after_the_end(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre")
    await story.bill()
    await story.bill("2027-06-01")
    ahead = (await list_documents(story.scope, kind="invoice", limit=1))[0].id
    await void(story.scope, ahead, "Too early", Charges.BILL_AGAIN)

    await cancel_subscription(story.scope, fibre)
    await story.bill()
    assert await story.money() == Money("36.00", "0.00", "-36.00")
    await undo_cancellation(story.scope, fibre)
    await story.months_pass(2)

    assert [line[1] for line in await story.lines()] == ["2027-05-01", "2027-06-01", "2027-06-01", "2027-07-01"]
    assert await story.money() == Money("108.00", "0.00", "-108.00")
    await story.nothing_more_is_due()


async def test_an_end_inside_a_period_is_charged_by_day_up_to_it(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre")
    await story.bill()

    story.on("2027-05-20")
    await terminate(story.scope, fibre, day("2027-06-16"))
    await story.months_pass(2)

    # The day of termination is the first one without service: 15 of 30 days.
    assert await story.lines() == [
        ("Fibre", "2027-05-01", "2027-06-01", 3000),
        ("Fibre", "2027-06-01", "2027-06-16", 1500),
    ]
    await story.expects("subscription_ended", on=["2027-06-16"])
    await story.nothing_more_is_due()


async def test_terminated_in_arrears_the_days_served_are_charged(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3100, timing="arrears")
    fibre = await story.subscribes("fibre")

    story.on("2027-05-11")
    await terminate(story.scope, fibre)
    await story.months_pass(2)

    assert await story.lines() == [("Fibre", "2027-05-01", "2027-05-11", 1000)]
    await story.expects("invoice_issued", on=["2027-05-11"])
    await story.nothing_more_is_due()


@pytest.mark.parametrize(("policy", "net"), [("by_day", 1500), ("full", 3000), ("none", 0)])
async def test_a_final_part_is_priced_as_the_product_says(story: Story, policy: str, net: int) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, final_proration=policy)
    fibre = await story.subscribes("fibre")
    await story.bill()

    await terminate(story.scope, fibre, day("2027-06-16"))
    await story.months_pass(2)

    of_the_part = [line for line in await story.lines() if line[1] == "2027-06-01"]
    assert of_the_part == ([("Fibre", "2027-06-01", "2027-06-16", net)] if net else [])
    await story.nothing_more_is_due()


async def test_it_cannot_end_before_it_began_nor_twice(story: Story) -> None:
    await story.begins("2027-05-10")
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre")

    with pytest.raises(Invalid, match="before it started"):
        await terminate(story.scope, fibre, day("2027-05-09"))
    await terminate(story.scope, fibre)
    with pytest.raises(Conflict, match="cannot become"):
        await terminate(story.scope, fibre)

    await story.bill()
    assert await story.papers() == []
    await story.nothing_more_is_due()


async def test_suspended_by_hand_it_is_billed_on(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre")
    await story.bill()

    await suspend(story.scope, fibre)
    await story.months_pass(1)
    assert await story.state_of(fibre) == "suspended"
    await resume(story.scope, fibre)
    await story.months_pass(1)

    assert [line[1] for line in await story.lines()] == ["2027-05-01", "2027-06-01", "2027-07-01"]
    await story.nothing_more_is_due()


async def test_another_of_the_group_may_follow_on_the_day_of_the_end(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre-100", 3000)
    await story.sells("fibre-300", 6000)
    slow = await story.subscribes("fibre-100")
    await story.bill()

    story.on("2027-05-16")
    with pytest.raises(Conflict, match="one of Plans at a time"):
        await story.subscribes("fibre-300")
    await terminate(story.scope, slow)
    await credit_unused(story.scope, slow, story.today, "Moved to the faster one")
    await story.subscribes("fibre-300")
    await story.bill()

    # 36.00 − 16 of 31 days (15.48 + 3.10) + 72.00
    assert await story.money() == Money("89.42", "0.00", "-89.42")
    await story.nothing_more_is_due()


async def test_P10_withdrawn_the_invoice_stays_due_and_unused_days_are_earned(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3100)
    fibre = await story.subscribes("fibre")
    await story.bill()
    assert await story.books("2300", "4000") == ["-31.00", "0.00"]

    story.on("2027-05-11")
    sums = await preview_withdrawal(story.scope, fibre)
    assert (sums.unused_minor, sums.forfeited_minor) == (2100, 0)
    await withdraw_subscription(story.scope, fibre)

    assert await story.state_of(fibre) == "withdrawn"
    assert await story.money() == Money("37.20", "0.00", "-37.20")
    assert await story.books("2300", "4000") == ["0.00", "-31.00"]
    await story.months_pass(2)
    assert await story.papers() == [("2027-05-01", "37.20", "overdue")]
    await story.nothing_more_is_due()


async def test_P10_withdrawing_forfeits_the_credit_that_came_of_it_and_no_payment(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    await story.sells("tv", 1000, kind="module")
    fibre, tv = await story.subscribes("fibre"), await story.subscribes("tv")
    await story.bills(invoice_per="subscription")
    await story.bill()
    await story.pays(3600 + 1200 + 700)
    of_fibre, of_tv = 1, 2
    await story.credits(of_fibre, 500)
    await story.credits(of_tv, 200)
    assert await story.money() == Money("0.00", "15.40", "15.40")

    story.on("2027-05-10")
    sums = await preview_withdrawal(story.scope, fibre)
    assert sums.forfeited_minor == 600
    await withdraw_subscription(story.scope, fibre)

    assert await story.money() == Money("0.00", "9.40", "9.40")
    assert await story.books("4200") == ["-6.00"]
    await story.expects("credit_forfeited", on=["2027-05-10"])
    assert await story.state_of(tv) == "active"
    await story.months_pass(1)
    assert await story.money() == Money("2.60", "0.00", "-2.60")
    await story.nothing_more_is_due()


async def test_B11_a_credit_note_says_what_it_is_for_in_the_language_of_its_customer(story: Story) -> None:
    await story.begins("2027-05-01", language="de")
    await story.sells("fibre", 3000)
    await story.sells("tv", 1000, kind="module", activation="invoice_first")
    fibre = await story.subscribes("fibre")
    tv, _ = await story.asks_for("tv")
    await story.bill("2027-06-01")

    await cancel_subscription(story.scope, fibre)
    cancelled = await story.last_document()
    await withdraw_subscription(story.scope, tv)
    withdrawn = await story.last_document()

    assert cancelled.note == "Gekündigt, endet am 1. Juni 2027"
    assert withdrawn.note == "Vor dem Beginn zurückgezogen"
    await story.nothing_more_is_due()


async def test_withdrawn_before_it_began_its_invoice_is_voided(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, activation="invoice_first")
    fibre, invoice = await story.asks_for("fibre")
    await story.pays(1000, invoice)

    await withdraw_subscription(story.scope, fibre)

    assert await story.state_of(fibre) == "withdrawn"
    assert await story.money() == Money("0.00", "10.00", "10.00")
    assert await story.papers() == [("2027-05-01", "36.00", "credited")]
    await story.nothing_more_is_due()


async def test_withdrawn_with_its_invoices_voided_what_was_paid_is_credit(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre")
    await story.bill()
    await story.pays(3600)

    await withdraw_subscription(story.scope, fibre, void_invoices=True)

    assert await story.money() == Money("0.00", "36.00", "36.00")
    assert await story.books("2300", "4000", "4200", "2200") == ["0.00", "0.00", "0.00", "0.00"]
    await story.nothing_more_is_due()


async def test_P10_invoices_that_are_paid_and_used_up_are_not_voided_nor_what_else_stands_on_others(
    story: Story,
) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await story.sells("fibre", 10000)
    await story.sells("tv", 1000, kind="module")
    fibre, _ = await story.subscribes("fibre"), await story.subscribes("tv")
    await story.bill()
    await story.pays(13200)
    await story.months_pass(1)
    await story.pays(5000)
    await story.months_pass(1)
    await story.pays(21400)  # all of February and March

    given_up = await withdraw_subscription(story.scope, fibre, void_invoices=True)

    assert (given_up.unused_minor, given_up.forfeited_minor) == (0, 0)
    assert await story.papers() == [(f"2027-0{month}-01", "132.00", "paid") for month in (1, 2, 3)]
    assert await story.papers("credit_note") == [("2027-03-01", "120.00", "paid")]
    assert await story.money() == Money("0.00", "120.00", "120.00")
    assert await story.books("4200") == ["0.00"]
    await story.months_pass(1)
    assert (await story.lines())[-1] == ("Tv", "2027-04-01", "2027-05-01", 1000)
    await story.nothing_more_is_due()


async def test_P10_what_was_credited_in_full_before_is_not_voided_again(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("fibre", 10000)
    fibre = await story.subscribes("fibre")
    await story.bill()
    await story.bill("2027-02-01")
    await cancel_subscription(story.scope, fibre)

    await withdraw_subscription(story.scope, fibre, void_invoices=True)

    assert await story.papers() == [("2027-01-01", "100.00", "credited")] * 2
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_P10_an_open_invoice_is_voided_for_what_is_withdrawn_alone(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("fibre", 10000)
    await story.sells("tv", 1000, kind="module")
    fibre, _ = await story.subscribes("fibre"), await story.subscribes("tv")
    await story.bill()
    await story.pays(4000)
    await story.months_pass(1)

    await withdraw_subscription(story.scope, fibre, void_invoices=True)

    assert [total for _, total, _ in await story.papers("credit_note")] == ["100.00", "100.00"]
    assert await story.money() == Money("0.00", "20.00", "20.00")  # 20.00 of the 40.00 pay for the television
    await story.nothing_more_is_due()


async def test_an_end_before_days_that_were_added_are_billed_charges_only_those_before_it(story: Story) -> None:
    """Nov is billed, its end moved to 20 Dec and charged: then it ends on 10 Dec. Undone, the rest is charged too."""
    await story.begins("2027-11-01")
    await story.taxes(0)
    await story.sells("fibre", 3100)
    fibre = await story.subscribes("fibre")
    await story.bill()
    await edit_period(story.scope, fibre, PeriodEdit(end_on=day("2027-12-20"), added="charged"))
    story.on("2027-11-25")

    await story.terminates_with_credit(fibre, "2027-12-10")
    story.on("2027-12-01")
    await story.bill()

    assert (await story.lines())[1:] == [("Fibre", "2027-12-01", "2027-12-10", 930)]
    assert await story.papers("credit_note") == []
    await undo_cancellation(story.scope, fibre)
    await story.days_pass(20)
    assert (await story.lines())[2:] == [
        ("Fibre", "2027-12-10", "2027-12-20", 1033),
        ("Fibre", "2027-12-20", "2028-01-20", 3100),
    ]
    await story.nothing_more_is_due()


async def test_an_end_in_arrears_before_an_edited_one_charges_the_days_up_to_it(story: Story) -> None:
    await story.begins("2027-11-01")
    await story.taxes(0)
    await story.sells("fibre", 3000, timing="arrears")
    fibre = await story.subscribes("fibre")
    await edit_period(story.scope, fibre, PeriodEdit(end_on=day("2027-12-20")))

    await terminate(story.scope, fibre, day("2027-12-01"))
    await story.days_pass(60)

    ((what, since, until, minor),) = await story.lines()
    assert (what, since, until) == ("Fibre", "2027-11-01", "2027-12-01")
    assert minor == 3000
    await story.nothing_more_is_due()


async def test_an_end_in_days_that_are_billed_again_leaves_no_gap(story: Story) -> None:
    await story.begins("2027-11-01")
    await story.taxes(0)
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre")
    await story.bill()
    await story.bill("2027-12-01")
    first = (await list_documents(story.scope, kind="invoice", state="issued"))[-1]
    await story.voids(first.id, "bill_again")

    await story.terminates_with_credit(fibre, "2027-11-16")
    await story.days_pass(40)

    assert (await story.lines())[-1] == ("Fibre", "2027-11-01", "2027-11-16", 1500)
    await story.nothing_more_is_due()


async def test_P9_an_end_undone_while_the_customer_is_not_billed_waits_on_and_no_such_day_is_billed(
    story: Story,
) -> None:
    await story.begins("2027-04-01", billing_day=1)
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre")
    await story.bill()
    story.on("2027-04-11")
    await cancel_at_expiry(story.scope, fibre)
    await story.becomes("inactive")

    story.on("2027-04-15")
    await undo_cancellation(story.scope, fibre)
    assert (await get_subscription(story.scope, fibre)).due_on is None
    # No run comes before its customer is billed again.
    story.on("2027-05-16")
    await story.becomes("active")
    await story.months_pass(1)

    assert await story.spans(fibre) == [("2027-05-01", "2027-05-16", "status")]
    assert await story.lines() == [
        ("Fibre", "2027-04-01", "2027-05-01", 3000),
        ("Fibre", "2027-05-16", "2027-06-01", 1548),
        ("Fibre", "2027-06-01", "2027-07-01", 3000),
    ]
    await story.nothing_more_is_due()


async def test_P9_an_end_that_was_set_while_it_waited_is_undone_into_waiting(story: Story) -> None:
    await story.begins("2027-04-01", billing_day=1)
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre")
    await story.bill()
    story.on("2027-04-11")
    await story.becomes("inactive")
    assert (await get_subscription(story.scope, fibre)).due_on is None

    await cancel_at_expiry(story.scope, fibre)
    await undo_cancellation(story.scope, fibre)

    assert (await get_subscription(story.scope, fibre)).due_on is None
