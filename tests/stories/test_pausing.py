"""Pausing: a planned window without service and without a bill; it goes on by itself, cycle and anchor stay (P15)."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from core.billing.actions import cancel_subscription, create_draft, credit_unused, delete_draft
from core.billing.actions.pausing import pause
from core.billing.actions.periods import edit_period
from core.billing.actions.prepaid import start
from core.billing.schemas import NewDraft
from core.billing.verify import verify
from core.customers.actions import status_table
from core.customers.actions.status_table import NewStatus
from core.database import value, values
from core.errors import Conflict, Invalid
from core.subscriptions.actions import charge_arrears, terminate, undo_cancellation, withdraw
from core.subscriptions.actions.pausing import drop_pause, end_pause
from core.subscriptions.changes import PeriodEdit
from core.subscriptions.queries import get_subscription
from core.subscriptions.schemas import NewPause, NewSubscription
from tests.books import day

if TYPE_CHECKING:
    from tests.stories.story import Story


async def pauses(story: Story, subscription: int, first: str, last: str, **fields: object) -> None:
    """From one day up to another, on which it goes on."""
    data = NewPause(from_on=day(first), to_on=day(last), **fields)  # type: ignore[arg-type]  # as the test says it
    await pause(story.scope, subscription, data)


async def a_month_ahead(story: Story, **fields: Any) -> int:
    """Billed from the first of January on, 100.00 a month and 20 % tax."""
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await story.sells("fibre", 10000, **fields)
    fibre = await story.subscribes("fibre", starting="2027-01-01")
    await story.bill()
    return fibre


async def test_P15_days_that_were_charged_ahead_are_a_forward_credit_by_day(story: Story) -> None:
    """Row 28 of the table of postings: 10 of 31 days of 100.00."""
    fibre = await a_month_ahead(story)
    await pauses(story, fibre, "2027-01-11", "2027-01-21")
    before = await story.papers("credit_note")

    await story.months_pass(2)

    assert before == []
    assert [total for _, total, _ in await story.papers("credit_note")] == ["38.71"]
    (note,) = await values(
        "SELECT l.net_minor FROM document_line l JOIN document d ON d.id = l.document_id WHERE d.kind = 'credit_note'"
    )
    assert note == 3226
    assert await story.lines() == [
        ("Fibre", "2027-01-01", "2027-02-01", 10000),
        ("Fibre", "2027-02-01", "2027-03-01", 10000),
        ("Fibre", "2027-03-01", "2027-04-01", 10000),
    ]
    await story.expects("subscription_paused", on=["2027-01-11"])
    await story.expects("subscription_resumed", on=["2027-01-21"])
    assert await story.state_of(fibre) == "active"
    assert await story.spans(fibre) == []
    await story.nothing_more_is_due()


async def test_P15_a_pause_over_the_end_of_a_period_keeps_the_cycle_and_the_anchor(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await pauses(story, fibre, "2027-01-20", "2027-02-10")

    await story.months_pass(2)

    assert [total for _, total, _ in await story.papers("credit_note")] == ["46.45"]
    assert await story.spans(fibre) == [("2027-02-01", "2027-02-10", "pause")]
    assert await story.lines() == [
        ("Fibre", "2027-01-01", "2027-02-01", 10000),
        ("Fibre", "2027-02-10", "2027-03-01", 6786),
        ("Fibre", "2027-03-01", "2027-04-01", 10000),
    ]
    await story.nothing_more_is_due()


@pytest.mark.parametrize("proration", ["full", "none", "merged"])
async def test_P15_the_part_behind_a_pause_is_charged_by_day_whatever_the_product_says_of_parts(
    story: Story, proration: str
) -> None:
    fibre = await a_month_ahead(story, proration=proration)
    await pauses(story, fibre, "2027-01-20", "2027-02-10")

    await story.months_pass(2)

    assert (await story.lines())[1:] == [
        ("Fibre", "2027-02-10", "2027-03-01", 6786),
        ("Fibre", "2027-03-01", "2027-04-01", 10000),
    ]
    last = await value(
        "SELECT proration FROM subscription_term WHERE subscription_id = :id AND in_force ORDER BY valid_from DESC",
        id=fibre,
    )
    assert last == proration
    await story.nothing_more_is_due()


async def test_P15_in_arrears_paused_days_are_not_charged(story: Story) -> None:
    await story.begins("2020-01-01")
    await story.taxes(0)
    await story.sells("plan", 10000, timing="arrears")
    plan = await story.subscribes("plan", starting="2020-01-01")
    await pauses(story, plan, "2020-01-15", "2020-01-20")

    await story.months_pass(2)

    assert await story.papers("credit_note") == []
    assert await story.lines() == [
        ("Plan", "2020-01-01", "2020-01-15", 4516),
        ("Plan", "2020-01-20", "2020-02-01", 3871),
        ("Plan", "2020-02-01", "2020-03-01", 10000),
    ]
    await story.nothing_more_is_due()


async def test_P15_keeping_it_may_cost_a_fee(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await pauses(story, fibre, "2027-01-11", "2027-01-21", hold_minor=500)
    await story.days_pass(40)

    kinds = await values("SELECT kind FROM charge ORDER BY id")

    assert kinds == ["recurring", "hold", "recurring"]
    assert ("Fibre", "2027-01-11", "2027-01-21", 500) in await story.lines()
    await story.nothing_more_is_due()


async def test_P15_a_pause_is_undone_before_it_begins(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await pauses(story, fibre, "2027-01-11", "2027-01-21")

    await drop_pause(story.scope, fibre)
    await story.months_pass(1)

    assert await story.papers("credit_note") == []
    await story.expects("subscription_paused", on=[])
    with pytest.raises(Conflict, match="No pause"):
        await drop_pause(story.scope, fibre)
    await story.nothing_more_is_due()


async def test_P15_one_pause_at_a_time_and_none_in_the_past(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await pauses(story, fibre, "2027-01-11", "2027-01-21")

    with pytest.raises(Conflict, match="already"):
        await pauses(story, fibre, "2027-02-11", "2027-02-21")
    await drop_pause(story.scope, fibre)
    for first, last, field in (
        ("2026-12-31", "2027-01-10", "from_on"),
        ("2027-01-10", "2027-01-10", "to_on"),
        ("2027-01-10", "2028-01-12", "to_on"),
    ):
        with pytest.raises(Invalid) as refused:
            await pauses(story, fibre, first, last)
        assert refused.value.errors[0].field == field
    await terminate(story.scope, fibre, day("2027-01-20"))
    with pytest.raises(Conflict, match="before the pause"):
        await pauses(story, fibre, "2027-01-20", "2027-01-25")


async def test_P15_resumed_early_the_days_left_are_charged_again(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await pauses(story, fibre, "2027-01-11", "2027-01-21")
    await story.days_pass(14)

    await end_pause(story.scope, fibre)
    await story.months_pass(1)

    assert (await story.lines())[1] == ("Fibre", "2027-01-15", "2027-01-21", 1936)
    net = 10000 - 3226 + 1936
    assert net == 10000 - 1290
    await story.expects("subscription_resumed", on=["2027-01-15"])
    await story.nothing_more_is_due()


async def test_P15_resumed_early_in_days_that_were_never_charged(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await pauses(story, fibre, "2027-01-20", "2027-03-10")
    await story.days_pass(50)

    await end_pause(story.scope, fibre)
    await story.months_pass(1)

    assert await story.spans(fibre) == [("2027-02-01", "2027-02-20", "pause")]
    assert (await story.lines())[1:] == [
        ("Fibre", "2027-02-20", "2027-03-01", 3214),
        ("Fibre", "2027-03-01", "2027-04-01", 10000),
    ]
    await story.nothing_more_is_due()


async def test_P15_resumed_on_its_first_day_nothing_was_left_out(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await pauses(story, fibre, "2027-01-01", "2027-02-15")

    await end_pause(story.scope, fibre)
    await story.months_pass(1)

    assert await story.spans(fibre) == []
    assert (await story.money()).balance == "-240.00"
    await story.nothing_more_is_due()


async def test_P15_an_end_that_comes_during_a_pause_ends_it(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await terminate(story.scope, fibre, day("2027-02-05"))
    await pauses(story, fibre, "2027-01-20", "2027-02-20")

    await story.months_pass(2)

    assert await story.state_of(fibre) == "ended"
    assert await value("SELECT state FROM subscription_pause") == "done"
    assert len(await story.lines()) == 1
    await story.nothing_more_is_due()


async def test_P15_days_that_a_pause_credited_are_not_credited_again_by_an_end(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await pauses(story, fibre, "2027-01-11", "2027-01-21")
    await story.days_pass(12)
    await end_pause(story.scope, fibre)
    await story.bill()

    await terminate(story.scope, fibre, story.today)
    await credit_unused(story.scope, fibre, story.today, "Ended")

    assert await values("SELECT net_minor FROM document WHERE kind = 'credit_note' ORDER BY id") == [3226, 3548, 2581]
    assert (await story.lines())[1] == ("Fibre", "2027-01-13", "2027-01-21", 2581)
    await story.nothing_more_is_due()


async def test_P15_an_end_after_a_pause_credits_only_the_days_behind_it_and_undone_charges_only_these(
    story: Story,
) -> None:
    fibre = await a_month_ahead(story)
    await pauses(story, fibre, "2027-01-11", "2027-01-21")
    await story.days_pass(24)

    await terminate(story.scope, fibre, day("2027-01-28"))
    await credit_unused(story.scope, fibre, day("2027-01-28"), "Ends")
    await undo_cancellation(story.scope, fibre)
    await story.bill()

    assert await values("SELECT net_minor FROM document WHERE kind = 'credit_note' ORDER BY id") == [3226, 1290]
    assert (await story.lines())[1:] == [("Fibre", "2027-01-28", "2027-02-01", 1290)]
    await story.nothing_more_is_due()


async def test_P15_cancelled_before_its_pause_the_days_around_it_are_credited(story: Story) -> None:
    """Two spans of one charge, before and behind a pause that has run."""
    fibre = await a_month_ahead(story)
    await pauses(story, fibre, "2027-01-11", "2027-01-21")
    await story.days_pass(21)

    await credit_unused(story.scope, fibre, day("2027-01-05"), "An outage of weeks")

    spans = await values("SELECT from_on FROM credited_span ORDER BY from_on")
    assert [str(each) for each in spans] == ["2027-01-05", "2027-01-11", "2027-01-21"]
    assert await values("SELECT net_minor FROM document WHERE kind = 'credit_note' ORDER BY id") == [3226, 5484]
    assert await verify(story.scope) == []


async def test_P15_a_prepaid_one_gets_its_paid_days_back_and_goes_on_for_the_rest_of_its_cycle(story: Story) -> None:
    await story.begins("2027-03-01", billing_type="prepaid")
    await story.taxes(0)
    await story.sells("plan", 3000, "day", 30)
    await story.pays(6000)
    order = NewSubscription(
        customer_id=story.customer, product_id=story.products["plan"], price_id=story.prices["plan"]
    )
    plan = await start(story.scope, order)
    await pauses(story, plan, "2027-03-11", "2027-04-10")

    await story.days_pass(45)

    assert await story.lines() == [
        ("Plan", "2027-03-01", "2027-03-31", 3000),
        ("Plan", "2027-04-10", "2027-04-30", 2000),
    ]
    assert (await story.money()).balance == "30.00"
    await story.nothing_more_is_due()


async def test_P15_a_customer_who_is_inactive_meanwhile_is_not_served_when_the_pause_is_over(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await pauses(story, fibre, "2027-01-11", "2027-01-21")
    await story.days_pass(12)
    await story.becomes("inactive")

    await story.days_pass(20)

    found = await get_subscription(story.scope, fibre)
    assert (found.state, found.state_reason) == ("suspended", "status")
    await story.nothing_more_is_due()


async def test_P15_what_is_paused_is_withdrawn_and_cancelled_as_other_things_are(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await pauses(story, fibre, "2027-01-11", "2027-03-15")
    await story.days_pass(12)

    ends_on = await cancel_subscription(story.scope, fibre)
    await undo_cancellation(story.scope, fibre)
    await withdraw(story.scope, fibre)

    assert str(ends_on) == "2027-02-01"
    assert await value("SELECT state FROM subscription_pause") == "done"
    await story.nothing_more_is_due()


async def test_P15_days_served_before_a_pause_and_not_charged_yet_are_billed(story: Story) -> None:
    await story.begins("2026-11-22")
    await story.taxes(0)
    await story.sells("fibre", 10000)
    fibre = await story.subscribes("fibre", starting="2026-10-01")

    await pauses(story, fibre, "2026-11-22", "2026-12-01")
    await story.days_pass(15)

    assert await story.spans(fibre) == [("2026-11-22", "2026-12-01", "pause")]
    assert await story.lines() == [
        ("Fibre", "2026-10-01", "2026-11-01", 10000),
        ("Fibre", "2026-11-01", "2026-11-22", 7000),
        ("Fibre", "2026-12-01", "2027-01-01", 10000),
    ]
    await story.nothing_more_is_due()


async def test_P15_days_of_somebody_who_is_not_billed_are_not_charged_by_a_pause(story: Story) -> None:
    await story.begins("2020-01-01")
    await story.taxes(0)
    await story.sells("plan", 3100, timing="arrears")
    plan = await story.subscribes("plan", starting="2020-01-01")
    story.on("2020-01-11")
    await charge_arrears(story.scope, plan, story.today)
    story.on("2020-01-15")

    await pauses(story, plan, "2020-01-15", "2020-01-20")

    assert await story.spans(plan) == [("2020-01-11", "2020-01-20", "pause")]
    assert await verify(story.scope) == []
    await story.days_pass(0)
    assert await story.lines() == [("Plan", "2020-01-01", "2020-01-11", 1000)]


async def test_P15_resumed_early_after_billing_ahead_only_the_days_given_back_are_charged(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await pauses(story, fibre, "2027-01-20", "2027-03-10")
    await story.days_pass(50)
    await story.bill("2027-04-01")
    story.on("2027-02-20")

    await end_pause(story.scope, fibre)
    await story.months_pass(1)

    assert await story.spans(fibre) == [("2027-02-01", "2027-02-20", "pause")]
    assert sorted((await story.lines())[1:], key=lambda line: str(line[1])) == [
        ("Fibre", "2027-02-20", "2027-03-01", 3214),
        ("Fibre", "2027-03-01", "2027-03-10", 2903),
        ("Fibre", "2027-03-10", "2027-04-01", 7097),
        ("Fibre", "2027-04-01", "2027-05-01", 10000),
    ]
    await story.nothing_more_is_due()


async def a_month_of_thirty(story: Story, **fields: Any) -> int:
    """Billed from the first of November on, 30.00 for its 30 days."""
    await story.begins("2027-11-01")
    await story.taxes(0)
    await story.sells("fibre", 3000, **fields)
    fibre = await story.subscribes("fibre", starting="2027-11-01")
    await story.bill()
    return fibre


async def test_P15_ended_on_the_day_it_was_resumed_the_days_left_are_not_charged(story: Story) -> None:
    fibre = await a_month_of_thirty(story)
    await pauses(story, fibre, "2027-11-10", "2027-11-20")
    await story.days_pass(10)
    await end_pause(story.scope, fibre)

    await story.terminates_with_credit(fibre, "2027-11-11")
    await story.bill()

    assert len(await story.lines()) == 1
    assert await values("SELECT net_minor FROM document WHERE kind = 'credit_note' ORDER BY id") == [1000, 1100]
    await story.nothing_more_is_due()


async def test_P15_an_end_is_undone_on_the_day_it_was_resumed_the_days_left_are_charged(story: Story) -> None:
    fibre = await a_month_of_thirty(story)
    await pauses(story, fibre, "2027-11-10", "2027-11-20")
    await story.days_pass(10)
    await end_pause(story.scope, fibre)
    await terminate(story.scope, fibre, day("2027-11-14"))

    await undo_cancellation(story.scope, fibre)
    await story.bill()

    assert (await story.lines())[1:] == [
        ("Fibre", "2027-11-11", "2027-11-14", 300),
        ("Fibre", "2027-11-14", "2027-11-20", 600),
    ]
    await story.nothing_more_is_due()


async def test_P15_resumed_before_an_end_within_the_pause_it_is_charged_up_to_that_end(story: Story) -> None:
    fibre = await a_month_of_thirty(story)
    await pauses(story, fibre, "2027-11-10", "2027-11-25")
    await story.days_pass(12)
    await story.terminates_with_credit(fibre, "2027-11-20")
    story.on("2027-11-15")
    await story.bill()

    await end_pause(story.scope, fibre)
    await story.days_pass(30)

    assert (await story.lines())[1:] == [("Fibre", "2027-11-15", "2027-11-20", 500)]
    assert await values("SELECT net_minor FROM document WHERE kind = 'credit_note' ORDER BY id") == [1500, 600]
    await story.nothing_more_is_due()


async def test_P15_resumed_after_billing_ahead_before_an_end_within_the_pause(story: Story) -> None:
    fibre = await a_month_of_thirty(story)
    await pauses(story, fibre, "2027-11-10", "2027-12-20")
    await story.days_pass(15)
    await story.bill("2027-12-20")
    await story.terminates_with_credit(fibre, "2027-12-10")

    await end_pause(story.scope, fibre)
    await story.days_pass(60)

    assert sorted((await story.lines())[1:], key=lambda line: str(line[1])) == [
        ("Fibre", "2027-11-16", "2027-12-01", 1500),
        ("Fibre", "2027-12-01", "2027-12-10", 871),
        ("Fibre", "2027-12-20", "2028-01-01", 1161),
    ]
    await story.nothing_more_is_due()


async def test_P15_paused_again_on_the_day_it_was_resumed_the_days_are_not_charged(story: Story) -> None:
    fibre = await a_month_of_thirty(story)
    await pauses(story, fibre, "2027-11-10", "2027-11-20")
    await story.days_pass(10)
    await end_pause(story.scope, fibre)

    await pauses(story, fibre, "2027-11-11", "2027-11-15")
    await story.months_pass(1)

    assert (await story.lines())[1:] == [
        ("Fibre", "2027-11-15", "2027-11-20", 500),
        ("Fibre", "2027-12-01", "2028-01-01", 3000),
    ]
    await story.nothing_more_is_due()


async def test_P15_in_arrears_days_of_a_pause_that_wait_for_their_invoice_are_not_on_it(story: Story) -> None:
    fibre = await a_month_of_thirty(story, timing="arrears")
    await edit_period(story.scope, fibre, PeriodEdit(end_on=day("2027-12-20")))
    whole = int(await value("SELECT amount_minor FROM charge WHERE state = 'open'"))

    await pauses(story, fibre, "2027-12-05", "2027-12-15")
    await story.days_pass(40)
    await end_pause(story.scope, fibre)
    await story.days_pass(11)

    found = sorted(((since, until), minor) for _, since, until, minor in await story.lines())
    assert [days for days, _ in found] == [
        ("2027-11-01", "2027-12-05"),
        ("2027-12-11", "2027-12-15"),
        ("2027-12-15", "2027-12-20"),
    ]
    assert abs(sum(minor for _, minor in found) - whole * 43 / 49) <= 1
    await story.nothing_more_is_due()


async def test_P15_added_days_of_a_pause_that_wait_for_their_invoice_are_charged_only_behind_it(story: Story) -> None:
    fibre = await a_month_of_thirty(story)
    await edit_period(story.scope, fibre, PeriodEdit(end_on=day("2027-12-20"), added="charged"))

    await pauses(story, fibre, "2027-11-25", "2027-12-10")
    await story.days_pass(34)
    await end_pause(story.scope, fibre)
    await story.days_pass(20)

    assert await values("SELECT net_minor FROM document WHERE kind = 'credit_note' ORDER BY id") == [600]
    assert sorted((since, until) for _, since, until, _ in (await story.lines())[1:]) == [
        ("2027-12-05", "2027-12-10"),
        ("2027-12-10", "2027-12-20"),
        ("2027-12-20", "2028-01-20"),
    ]
    await story.nothing_more_is_due()


async def test_P15_what_stands_on_a_draft_is_not_paused_before_that_is_issued_or_gone(story: Story) -> None:
    fibre = await a_month_of_thirty(story)
    await edit_period(story.scope, fibre, PeriodEdit(end_on=day("2027-12-20"), added="charged"))
    charge = await value("SELECT id FROM charge WHERE state = 'open'")
    draft = await create_draft(story.scope, NewDraft(payer_id=story.customer, charge_ids=[charge]))
    await pauses(story, fibre, "2027-12-05", "2027-12-15")

    await story.days_pass(35)
    assert await story.state_of(fibre) == "active"
    await delete_draft(story.scope, draft)
    await story.bill()

    assert await story.state_of(fibre) == "paused"
    assert sorted(line[1:3] for line in (await story.lines())[1:]) == [
        ("2027-12-01", "2027-12-05"),
        ("2027-12-15", "2027-12-20"),
    ]
    await story.nothing_more_is_due()


async def test_P15_days_that_are_charged_again_are_billed_before_it_is_paused(story: Story) -> None:
    fibre = await a_month_of_thirty(story)
    await story.terminates_with_credit(fibre, "2027-11-20")
    await undo_cancellation(story.scope, fibre)

    with pytest.raises(Conflict, match="Run the billing"):
        await pauses(story, fibre, "2027-11-01", "2027-11-25")
    await story.bill()
    await pauses(story, fibre, "2027-11-01", "2027-11-25")

    assert await values("SELECT net_minor FROM document WHERE kind = 'credit_note' ORDER BY id") == [1100, 1900, 500]
    await story.nothing_more_is_due()


async def test_P15_one_pause_that_cannot_begin_does_not_keep_the_others(story: Story) -> None:
    fibre = await a_month_of_thirty(story)
    await edit_period(story.scope, fibre, PeriodEdit(end_on=day("2027-12-20"), added="charged"))
    charge = await value("SELECT id FROM charge WHERE state = 'open'")
    await create_draft(story.scope, NewDraft(payer_id=story.customer, charge_ids=[charge]))
    await story.sells("phone", 700, kind="module")
    other = await story.subscribes("phone")
    await pauses(story, fibre, "2027-12-05", "2027-12-15")
    await pauses(story, other, "2027-12-06", "2027-12-15")

    await story.days_pass(36)

    assert (await story.state_of(fibre), await story.state_of(other)) == ("active", "paused")


async def test_P15_no_change_is_planned_into_a_pause(story: Story) -> None:
    """Nor one that may be settled in it: paused days would be charged. Around it, it is."""
    fibre = await a_month_of_thirty(story, rank=1)
    await story.sells("large", 6000, rank=2)
    await story.sells("first", 9000, rank=3, activation="invoice_first")
    await pauses(story, fibre, "2027-11-10", "2027-11-20")

    for order in ({"price": "large", "on": "2027-11-10"}, {"price": "large", "on": "2027-11-15"}, {"price": "first"}):
        with pytest.raises(Conflict, match="pause"):
            await story.changes(fibre, **order)
    assert (await story.changes(fibre, "large", on="2027-11-21")).happens_on == day("2027-11-21")
    await story.days_pass(60)

    assert [line[:3] for line in (await story.lines())[1:]] == [
        ("Large", "2027-11-21", "2027-12-01"),
        ("Large", "2027-12-01", "2028-01-01"),
    ]
    await story.nothing_more_is_due()


@pytest.mark.parametrize("seed", [1, 2])
async def test_P15_whenever_it_is_paused_its_days_tile(story: Story, seed: int) -> None:
    """V1: each day is charged once, or told why not, whatever was planned, undone, resumed, billed ahead."""
    chance = Random(seed)
    await story.begins("2027-01-31")
    await story.taxes(200_000)
    timing = chance.choice(["advance", "arrears"])
    await story.sells("fibre", 9999, chance.choice(["month", "week"]), timing=timing)
    fibre = await story.subscribes("fibre")
    for __ in range(25):
        act = chance.choice(["plan", "plan", "days", "days", "days", "undo", "resume", "ahead"])
        first = story.today + timedelta(days=chance.randint(0, 20))
        try:
            if act == "plan":
                last = first + timedelta(days=chance.randint(1, 50))
                await pause(story.scope, fibre, NewPause(from_on=first, to_on=last))
            elif act == "days":
                story.on(story.today + timedelta(days=chance.randint(1, 14)))
                await story.bill()
            elif act == "undo":
                await drop_pause(story.scope, fibre)
            elif act == "resume":
                await end_pause(story.scope, fibre)
            else:
                await story.bill(first.isoformat())
        except Conflict:
            pass
        assert await verify(story.scope) == []
    assert await value("SELECT count(*) FROM subscription_pause WHERE state IN ('running', 'done')") > 0
    await story.nothing_more_is_due()


async def test_P15_what_is_billed_again_while_it_is_paused_is_charged_when_it_goes_on(story: Story) -> None:
    fibre = await a_month_ahead(story)
    courtesy = NewStatus(key="courtesy", label="Courtesy", kind="live", bill=False, serve=True)
    await status_table.add_status(story.scope, courtesy)
    story.on("2027-01-20")
    await story.becomes("courtesy")
    await story.days_pass(20)
    await pauses(story, fibre, "2027-02-11", "2027-02-21")
    story.on("2027-02-12")
    await story.bill()
    assert await story.state_of(fibre) == "paused"

    await story.becomes("active")
    await story.months_pass(2)

    assert await story.lines() == [
        ("Fibre", "2027-01-01", "2027-02-01", 10000),
        ("Fibre", "2027-02-21", "2027-03-01", 2857),
        ("Fibre", "2027-03-01", "2027-04-01", 10000),
        ("Fibre", "2027-04-01", "2027-05-01", 10000),
    ]
    await story.nothing_more_is_due()
