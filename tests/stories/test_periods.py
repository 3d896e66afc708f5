"""The period of a subscription is edited (P8), and the billing day of a customer changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.billing.actions.periods import change_billing_day, edit_period
from core.billing.settings import BillingSettings
from core.errors import Conflict, Invalid
from core.settings.actions import save_settings
from core.subscriptions.actions import cancel_at_expiry
from core.subscriptions.changes import PeriodEdit
from core.subscriptions.queries import get_subscription
from tests.books import day
from tests.stories.story import Money

if TYPE_CHECKING:
    from tests.stories.story import Story


async def _plan(story: Story, minor: int = 3000, start: str = "2026-06-01", **fields: object) -> int:
    await story.begins(start)
    await story.taxes(0)
    await story.sells("plan", minor, **fields)
    mine = await story.subscribes("plan")
    await story.bill()
    return mine


async def _edit(
    story: Story, mine: int, end: str | None = None, start: str | None = None, **fields: object
) -> list[int]:
    edit = PeriodEdit(end_on=day(end) if end else None, start_on=day(start) if start else None, **fields)  # type: ignore[arg-type]  # by name
    return await edit_period(story.scope, mine, edit)


async def test_P8_a_later_end_gives_the_days_free_and_the_next_charge_starts_there(story: Story) -> None:
    mine = await _plan(story)

    await _edit(story, mine, "2026-07-11", reason="The line was down")

    assert await story.spans(mine) == [("2026-07-01", "2026-07-11", "gift")]
    await story.days_pass(40)
    assert (await story.lines())[1:] == [("Plan", "2026-07-11", "2026-08-11", 3000)]
    await story.months_pass(1)
    assert (await story.lines())[-1] == ("Plan", "2026-08-11", "2026-09-11", 3000)
    await story.nothing_more_is_due()


async def test_P8_added_days_are_charged_by_day_where_staff_choose_so(story: Story) -> None:
    mine = await _plan(story)

    await _edit(story, mine, "2026-07-11", added="charged")
    assert await story.papers() == [("2026-06-01", "30.00", "open")]
    await story.days_pass(40)
    assert (await story.lines())[1:] == [
        ("Plan", "2026-07-01", "2026-07-11", 1000),
        ("Plan", "2026-07-11", "2026-08-11", 3000),
    ]
    await story.nothing_more_is_due()


async def test_P8_cut_days_are_credited_and_the_next_period_starts_earlier(story: Story) -> None:
    mine = await _plan(story)
    story.on("2026-06-10")

    (note,) = await _edit(story, mine, "2026-06-21")

    assert (await story.document(note)).net_minor == 1000
    assert await story.money() == Money("20.00", "0.00", "-20.00")
    await story.days_pass(20)
    assert (await story.lines())[-1] == ("Plan", "2026-06-21", "2026-07-21", 3000)
    await story.nothing_more_is_due()


async def test_P8_cut_days_are_given_up_for_a_reason_that_is_typed(story: Story) -> None:
    mine = await _plan(story)
    with pytest.raises(Invalid, match="Say why"):
        await _edit(story, mine, "2026-06-21", cut="give_up")
    assert await _edit(story, mine, "2026-06-21", cut="give_up", reason="Agreed on the phone") == []
    assert await story.money() == Money("30.00", "0.00", "-30.00")
    await story.days_pass(20)
    assert (await story.lines())[-1] == ("Plan", "2026-06-21", "2026-07-21", 3000)
    await story.nothing_more_is_due()


async def test_P8_an_uncharged_period_in_arrears_is_charged_by_its_days(story: Story) -> None:
    mine = await _plan(story, timing="arrears")
    story.on("2026-06-20")

    await _edit(story, mine, "2026-07-11")

    assert await story.papers() == []
    await story.days_pass(60)
    assert await story.lines() == [
        ("Plan", "2026-06-01", "2026-07-11", 4000),
        ("Plan", "2026-07-11", "2026-08-11", 3000),
    ]
    await story.nothing_more_is_due()


async def test_P8_the_start_is_edited_only_while_nothing_is_charged(story: Story) -> None:
    await story.begins("2026-06-01")
    await story.taxes(0)
    await story.sells("plan", 3000)
    mine = await story.subscribes("plan")
    await _edit(story, mine, start="2026-05-22")
    await story.bill()
    assert await story.lines() == [("Plan", "2026-05-22", "2026-06-22", 3000)]
    with pytest.raises(Conflict, match="only while nothing"):
        await _edit(story, mine, start="2026-06-02")
    with pytest.raises(Invalid, match="its days already"):
        await _edit(story, mine, "2026-06-22")
    await story.nothing_more_is_due()


async def test_P8_no_day_is_under_two_charges(story: Story) -> None:
    mine = await _plan(story, timing="arrears")
    await story.months_pass(1)
    with pytest.raises(Invalid, match="no day is under two charges"):
        await _edit(story, mine, start="2026-06-20")
    await _edit(story, mine, start="2026-07-11")
    await story.months_pass(1)
    assert await story.spans(mine) == [("2026-07-01", "2026-07-11", "gift")]
    assert (await story.lines())[-1] == ("Plan", "2026-07-11", "2026-08-01", 2032)
    await story.nothing_more_is_due()


async def test_P8_an_end_of_free_days_moves_again_and_one_that_ends_is_not_edited(story: Story) -> None:
    mine = await _plan(story)
    await _edit(story, mine, "2026-07-11")
    await _edit(story, mine, "2026-07-06")
    assert await story.spans(mine) == [("2026-07-01", "2026-07-06", "gift")]
    await story.nothing_more_is_due()
    await cancel_at_expiry(story.scope, mine)
    with pytest.raises(Conflict, match="Undo that first"):
        await _edit(story, mine, "2026-07-08")


async def test_P8_a_change_within_free_days_begins_to_be_billed_behind_them(story: Story) -> None:
    mine = await _plan(story)
    await story.sells("large", 6000, rank=2)
    await _edit(story, mine, "2026-07-11")
    story.on("2026-07-05")
    changed = await story.changes(mine, "large")
    assert changed.document_ids == []
    await story.days_pass(20)
    assert (await story.lines())[-1] == ("Large", "2026-07-11", "2026-08-11", 6000)
    await story.nothing_more_is_due()


async def test_P13_a_billing_day_is_moved_by_a_short_period_where_the_charged_days_end(story: Story) -> None:
    mine = await _plan(story, 3100, "2026-05-01")

    assert await change_billing_day(story.scope, story.customer, 15) == [mine]
    await story.months_pass(2)

    assert await story.lines() == [
        ("Plan", "2026-05-01", "2026-06-01", 3100),
        ("Plan", "2026-06-01", "2026-06-15", 1400),
        ("Plan", "2026-06-15", "2026-07-15", 3100),
    ]
    await story.nothing_more_is_due()
    with pytest.raises(Invalid, match="1 to 31"):
        await change_billing_day(story.scope, story.customer, 32)


async def test_P13_a_part_that_is_too_short_is_merged_with_the_next_period(story: Story) -> None:
    mine = await _plan(story, 3100, "2026-05-01")
    await save_settings(story.scope, BillingSettings(min_stub_days=5))

    await change_billing_day(story.scope, story.customer, 4)
    await story.months_pass(3)

    assert (await story.lines())[1:] == [
        ("Plan", "2026-06-01", "2026-07-04", 3400),
        ("Plan", "2026-07-04", "2026-08-04", 3100),
    ]
    assert (await get_subscription(story.scope, mine)).next_from == day("2026-08-04")
    await story.nothing_more_is_due()
