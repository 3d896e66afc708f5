"""A pause and an end of one subscription: each day that is served is charged once, and no other day."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Struct

from core.billing.actions import cancel_subscription
from core.billing.actions.pausing import pause
from core.billing.verify import verify
from core.database import rows
from core.errors import Conflict, Invalid
from core.subscriptions.actions import undo_cancellation
from core.subscriptions.actions.pausing import drop_pause, end_pause
from core.subscriptions.schemas import NewPause
from tests.books import day

if TYPE_CHECKING:
    from tests.stories.story import Story


async def a_month_of_thirty(story: Story, **fields: Any) -> int:
    """Billed from the first of November on, 30.00 for its 30 days."""
    await story.begins("2027-11-01")
    await story.taxes(0)
    await story.sells("fibre", 3000, **fields)
    fibre = await story.subscribes("fibre", starting="2027-11-01")
    await story.bill()
    return fibre


async def pauses(story: Story, subscription: int, first: date | str, last: date | str) -> None:
    first, last = (day(each) if isinstance(each, str) else each for each in (first, last))
    await pause(story.scope, subscription, NewPause(from_on=first, to_on=last))


class _Days(Struct, frozen=True):
    from_on: date
    to_on: date
    times: int


async def charged_days(subscription: int) -> Counter[date]:
    """How often each day is charged, after what was credited: 1 or 0 where all is right."""
    found: Counter[date] = Counter()
    for each in await rows(
        _Days,
        "SELECT period_start AS from_on, coalesce(replaced_from, period_end) AS to_on, 1 AS times FROM charge"
        " WHERE subscription_id = :id AND kind = 'recurring' AND state IN ('open', 'invoiced')"
        " UNION ALL SELECT s.from_on, s.to_on, -1 FROM credited_span s JOIN charge k ON k.id = s.charge_id"
        " WHERE s.subscription_id = :id AND k.state = 'invoiced'",
        id=subscription,
    ):
        for at in range((each.to_on - each.from_on).days):
            found[each.from_on + timedelta(days=at)] += each.times
    return found


async def test_P15_an_end_undone_in_a_pause_across_it_charges_no_day_of_the_pause(story: Story) -> None:
    fibre = await a_month_of_thirty(story)
    assert await cancel_subscription(story.scope, fibre) == day("2027-12-01")
    await pauses(story, fibre, "2027-11-21", "2027-12-11")
    await story.days_pass(24)

    await undo_cancellation(story.scope, fibre)
    await story.days_pass(40)

    assert await story.spans(fibre) == [("2027-12-01", "2027-12-11", "pause")]
    assert (await story.lines())[1:] == [
        ("Fibre", "2027-12-11", "2028-01-01", 2032),
        ("Fibre", "2028-01-01", "2028-02-01", 3000),
    ]
    await story.nothing_more_is_due()


@pytest.mark.parametrize("proration", ["full", "none", "merged"])
async def test_P15_behind_it_the_part_is_charged_by_day_whatever_the_product_says(story: Story, proration: str) -> None:
    fibre = await a_month_of_thirty(story, proration=proration)
    await cancel_subscription(story.scope, fibre)
    await pauses(story, fibre, "2027-11-21", "2027-12-11")
    await story.days_pass(24)

    await undo_cancellation(story.scope, fibre)
    await story.days_pass(40)

    assert [line[1:] for line in (await story.lines())[1:]] == [
        ("2027-12-11", "2028-01-01", 2032),
        ("2028-01-01", "2028-02-01", 3000),
    ]
    await story.nothing_more_is_due()


async def test_P15_resumed_early_after_the_end_was_undone_the_days_from_then_on_are_charged(story: Story) -> None:
    fibre = await a_month_of_thirty(story)
    await cancel_subscription(story.scope, fibre)
    await pauses(story, fibre, "2027-11-21", "2027-12-11")
    await story.days_pass(24)
    await undo_cancellation(story.scope, fibre)
    await story.days_pass(10)

    await end_pause(story.scope, fibre)
    await story.days_pass(1)

    assert [line[1:] for line in (await story.lines())[1:]] == [("2027-12-05", "2028-01-01", 2613)]
    await story.nothing_more_is_due()


async def test_P15_days_billed_ahead_that_the_end_credited_are_charged_again_but_for_those_of_the_pause(
    story: Story,
) -> None:
    fibre = await a_month_of_thirty(story)
    await story.bill("2027-12-01")
    assert await cancel_subscription(story.scope, fibre) == day("2027-12-01")
    await pauses(story, fibre, "2027-11-21", "2027-12-11")
    await story.days_pass(24)

    await undo_cancellation(story.scope, fibre)
    await story.days_pass(12)

    assert [line[1:] for line in (await story.lines())[2:]] == [("2027-12-11", "2028-01-01", 2032)]
    await end_pause(story.scope, fibre)
    await story.bill()
    assert [line[1:] for line in (await story.lines())[3:]] == [("2027-12-07", "2027-12-11", 387)]
    await story.nothing_more_is_due()


async def test_P15_an_end_moved_to_a_later_day_of_the_pause_charges_none_of_its_days(story: Story) -> None:
    fibre = await a_month_of_thirty(story)
    await cancel_subscription(story.scope, fibre)
    await pauses(story, fibre, "2027-11-21", "2027-12-21")
    await story.days_pass(24)

    await story.terminates_with_credit(fibre, "2027-12-11")
    await story.days_pass(40)

    assert len(await story.lines()) == 1
    await story.nothing_more_is_due()


@pytest.mark.parametrize("seed", [1, 2])
async def test_P15_whatever_is_cancelled_undone_and_paused_the_charged_days_are_the_served_ones(
    story: Story, seed: int
) -> None:
    chance = Random(seed)
    timing = chance.choice(["advance", "advance", "arrears"])
    fibre = await a_month_of_thirty(story, timing=timing)
    served: dict[date, bool] = {}
    for __ in range(25):
        act = chance.choice(
            ["pause", "cancel", "cancel", "terminate", "undo", "undo", "drop", "resume", "ahead", "days"]
        )
        first = story.today + timedelta(days=chance.randint(0, 20))
        try:
            if act == "pause":
                await pauses(story, fibre, first, first + timedelta(days=chance.randint(1, 50)))
            elif act == "cancel":
                await cancel_subscription(story.scope, fibre)
            elif act == "terminate":
                ends_on = story.today + timedelta(days=chance.randint(1, 40))
                await story.terminates_with_credit(fibre, ends_on.isoformat())
            elif act == "undo":
                await undo_cancellation(story.scope, fibre)
            elif act == "drop":
                await drop_pause(story.scope, fibre)
            elif act == "resume":
                await end_pause(story.scope, fibre)
            elif act == "ahead":
                await story.bill((story.today + timedelta(days=chance.randint(1, 40))).isoformat())
        except (Conflict, Invalid):
            pass
        for __ in range(chance.randint(1, 8) if act == "days" else chance.randint(0, 1)):
            served[story.today] = await story.state_of(fibre) == "active"
            story.on(story.today + timedelta(days=1))
            await story.bill()
        assert await verify(story.scope) == []
    if await story.state_of(fibre) != "ended":
        served[story.today] = await story.state_of(fibre) == "active"
        await story.terminates_with_credit(fibre, (story.today + timedelta(days=1)).isoformat())
        await story.days_pass(2)
    charged = await charged_days(fibre)
    assert {at: charged[at] for at in served} == {at: int(is_served) for at, is_served in served.items()}
    assert sum(charged.values()) == sum(served.values())
    await story.nothing_more_is_due()
