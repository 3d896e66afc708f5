"""Modules that need a plan end with it, whatever ends that, and whatever they wait for (P19)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.billing.actions import cancel_subscription, credit_ended, withdraw_subscription
from core.billing.upcoming import upcoming_invoices
from core.database import value
from core.subscriptions.actions import terminate, undo_cancellation
from core.subscriptions.queries import get_subscription
from tests.books import day

if TYPE_CHECKING:
    from tests.stories.story import Story


async def _plan_and_module(story: Story, **module: object) -> int:
    """A plan of 100.00 that is billed; TV for 31.00 needs one. Gives the plan."""
    await story.begins("2027-01-10")
    await story.taxes(0)
    await story.sells("fibre", 10000)
    plans = await value("SELECT id FROM product_group WHERE code = 'plans'")
    await story.sells("tv", 3100, kind="module", requires_group_id=plans, **module)
    return await story.subscribes("fibre")


async def test_P19_a_module_has_the_end_of_its_plan_and_goes_on_with_it(story: Story) -> None:
    fibre = await _plan_and_module(story)
    tv = await story.subscribes("tv")
    await story.bill()

    await cancel_subscription(story.scope, fibre)
    ends_on = (await get_subscription(story.scope, tv)).ends_on
    nothing = await upcoming_invoices(story.scope, story.customer)
    await undo_cancellation(story.scope, fibre)

    assert (ends_on, nothing) == (day("2027-02-10"), [])
    assert (await get_subscription(story.scope, tv)).ends_on is None
    await story.months_pass(1)
    assert [line[-1] for line in await story.lines()] == [10000, 3100, 10000, 3100]
    await story.nothing_more_is_due()


async def test_P19_a_run_that_comes_late_or_bills_ahead_charges_no_day_of_a_module_behind_its_plan(
    story: Story,
) -> None:
    fibre = await _plan_and_module(story)
    tv = await story.subscribes("tv")
    await story.bill("2027-03-15")

    await cancel_subscription(story.scope, fibre)
    story.on("2027-02-15")
    await story.bill("2027-06-15")

    assert len(await story.lines()) == 6  # three periods of both, of which one is over
    assert (await get_subscription(story.scope, tv)).ended_on == day("2027-02-10")
    # What was billed ahead for both is credited in full.
    assert [total for _, total, _ in await story.papers("credit_note")] == ["200.00", "62.00"]
    await story.nothing_more_is_due()


async def test_P19_unused_days_of_a_module_are_credited_with_those_of_its_plan(story: Story) -> None:
    fibre = await _plan_and_module(story)
    await story.subscribes("tv")
    await story.bill()
    story.on("2027-01-31")

    await terminate(story.scope, fibre)
    await credit_ended(story.scope, fibre, story.today, "Moved away")

    assert [total for _, total, _ in await story.papers("credit_note")] == ["32.26", "10.00"]  # 10 of 31 days
    await story.nothing_more_is_due()


@pytest.mark.parametrize("how", ["terminated", "withdrawn", "cancelled"])
async def test_P19_a_module_that_waits_for_its_invoice_is_over_with_its_plan(story: Story, how: str) -> None:
    fibre = await _plan_and_module(story, activation="invoice_first")
    await story.bill()
    tv, invoice = await story.asks_for("tv")
    await story.pays(1000, invoice)

    if how == "terminated":
        await terminate(story.scope, fibre)
    elif how == "withdrawn":
        await withdraw_subscription(story.scope, fibre)
    else:
        await cancel_subscription(story.scope, fibre)
        await story.days_pass(31)

    assert await story.state_of(tv) == "ended"
    assert [each for each in await story.papers() if each[1] == "31.00"] == [("2027-01-10", "31.00", "credited")]
    assert (await story.money()).credit == "10.00"
    await story.nothing_more_is_due()


async def test_P19_a_module_keeps_an_end_of_its_own_that_comes_first(story: Story) -> None:
    fibre = await _plan_and_module(story)
    tv = await story.subscribes("tv")
    await story.bill()
    await terminate(story.scope, tv, day("2027-01-20"))

    await cancel_subscription(story.scope, fibre)
    await undo_cancellation(story.scope, fibre)
    await story.days_pass(20)

    assert (await get_subscription(story.scope, tv)).ended_on == day("2027-01-20")
    assert await story.state_of(fibre) == "active"
    await story.nothing_more_is_due()
