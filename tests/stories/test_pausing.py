"""Pausing: a planned window without service and without a bill; it goes on by itself, cycle and anchor stay (P15)."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from core.billing.actions import cancel_subscription, credit_unused
from core.billing.actions.pausing import pause
from core.billing.actions.prepaid import start
from core.billing.verify import verify
from core.database import value, values
from core.errors import Conflict, Invalid
from core.subscriptions.actions import terminate, undo_cancellation, withdraw
from core.subscriptions.actions.pausing import drop_pause, end_pause
from core.subscriptions.queries import get_subscription
from core.subscriptions.schemas import NewPause, NewSubscription
from tests.books import day

if TYPE_CHECKING:
    from tests.stories.story import Story


async def pauses(story: Story, subscription: int, first: str, last: str, **fields: object) -> None:
    """From one day up to another, on which it goes on."""
    data = NewPause(from_on=day(first), to_on=day(last), **fields)  # type: ignore[arg-type]  # as the test says it
    await pause(story.scope, subscription, data)


async def a_month_ahead(story: Story, **fields: object) -> int:
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
