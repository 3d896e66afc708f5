"""Whatever is changed, and in what order: its days are told once, and never is more credited than was charged."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct

from core.billing.actions import cancel_subscription, credit_unused
from core.billing.actions.changing import undo_change
from core.database import rows, value
from core.errors import DomainError
from core.subscriptions.actions import resume, suspend, terminate, undo_cancellation
from tests.stories.story import Story, percent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PLANS = ("small", "small 1 year", "large", "large 3 month", "late", "first")


class Line(Struct, frozen=True):
    """A line of an invoice, and what its credit notes took back."""

    net_minor: int
    tax_minor: int
    credited_net: int
    credited_tax: int


async def _random_life(story: Story, seed: int) -> None:
    dice = random.Random(seed)
    await story.begins("2026-01-31", billing_day=dice.choice([None, 1, 31]))
    await story.taxes(190_000)
    await story.sells("small", 1999, rank=1, proration=dice.choice(["by_day", "none", "full", "merged"]))
    await story.sells("small", 19990, per="year")
    await story.sells("large", 4999, rank=2, tax_inclusive=True, setup_minor=500)
    await story.sells("large", 11900, per="month", count=3)
    await story.sells("late", 3333, rank=3, timing="arrears")
    await story.sells("first", 7777, rank=4, activation="invoice_first", pending_days=4)
    for code in ("small", "large", "late", "first"):
        await story.policy(
            code,
            upgrade={"unused": dice.choice(["credit", "none"]), "minimum_minor": dice.choice([0, 700])},
            cycle_anchor=dice.choice(["restart", "keep"]),
            setup=True,
        )
    mine = await story.subscribes("small", quantity_e6=2_000_000, discounts=[percent(10, until="2026-03-10")])

    async def credits_an_end() -> None:
        ends_on = story.today
        await terminate(story.scope, mine, ends_on.replace(year=ends_on.year + 1))
        await credit_unused(story.scope, mine, ends_on.replace(year=ends_on.year + 1), "Ended")

    acts: list[Callable[[], Awaitable[object]]] = [
        lambda: story.changes(mine, dice.choice(PLANS), when=dice.choice(["now", "policy", "period_end"])),
        lambda: story.changes(mine, quantity_e6=dice.choice([1, 2, 5]) * 10**6, when=dice.choice(["now", "policy"])),
        lambda: story.changes(mine, dice.choice(PLANS), when="now", unused="credit"),
        lambda: undo_change(story.scope, mine),
        lambda: cancel_subscription(story.scope, mine),
        lambda: undo_cancellation(story.scope, mine),
        lambda: suspend(story.scope, mine),
        lambda: resume(story.scope, mine),
        lambda: story.pays(dice.choice([1000, 5000, 20000])),
        credits_an_end,
    ]
    done = 0
    for _ in range(24):
        if dice.random() < 0.6:
            await story.days_pass(dice.choice([0, 1, 9, 20, 40]))
        try:
            await dice.choice(acts)()
            done += 1
        except DomainError:
            continue
        await story.bill()
        await story.nothing_more_is_due()
    await story.months_pass(2)
    await story.nothing_more_is_due()
    assert done >= 3
    for line in await rows(
        Line,
        "SELECT l.net_minor, l.tax_minor, CAST(sum(c.net_minor) AS bigint) AS credited_net,"
        " CAST(sum(c.tax_minor) AS bigint) AS credited_tax FROM document_line l"
        " JOIN document_line c ON c.corrects_line_id = l.id GROUP BY l.id, l.net_minor, l.tax_minor",
    ):
        assert 0 <= line.credited_net <= line.net_minor
        assert 0 <= line.credited_tax <= line.tax_minor
    assert await value("SELECT count(*) FROM charge WHERE subscription_id = :id", id=mine) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [12, 20])
async def test_P7_random_changes_leave_every_day_told_once_and_no_credit_above_its_charge(
    story: Story, seed: int
) -> None:
    await _random_life(story, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(12))
async def test_P7_many_random_changes_leave_every_day_told_once(story: Story, seed: int) -> None:
    await _random_life(story, seed)
