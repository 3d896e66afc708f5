"""Changes of what is prepaid: the unused part returns to the balance, a full new period is paid from it (P7, P13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.billing.actions.changing import undo_change
from core.errors import Conflict
from core.subscriptions.actions import cancel_at_expiry
from core.subscriptions.queries import get_subscription, list_boxes
from core.subscriptions.schemas import NewDiscount
from tests.books import a_customer, day
from tests.stories.story import Money
from tests.stories.test_prepaid import a_prepaid_plan, prepays, status_of

if TYPE_CHECKING:
    from tests.stories.story import Story


async def _two_plans(story: Story, paid: int, **customer: object) -> int:
    """Ten days of a plan for 24.00, of a bigger one for 60.00; the first one since the first of March."""
    await a_prepaid_plan(story, **customer)
    await story.sells("big", 5000, "day", 10, rank=2)
    await story.pays(paid)
    return await prepays(story, "plan")


async def test_P7_an_upgrade_returns_the_unused_part_and_takes_a_full_new_period(story: Story) -> None:
    plan = await _two_plans(story, 10000)
    story.on("2027-03-06")

    changed = await story.changes(plan, "big")
    note, invoice = [await story.document(each) for each in changed.document_ids]
    then = await get_subscription(story.scope, plan)

    assert (note.kind, note.total_minor, invoice.total_minor, invoice.open_minor) == ("credit_note", 1200, 6000, 0)
    assert [(line.description, line.period_from, line.period_to) for line in invoice.lines] == [
        ("Big", day("2027-03-06"), day("2027-03-16"))
    ]
    assert await story.money() == Money("0.00", "28.00", "28.00")
    assert (then.product, then.anchor_on, then.next_from, then.timing) == (
        "Big",
        day("2027-03-06"),
        day("2027-03-16"),
        "prepaid",
    )
    await story.pays(3200)
    await story.days_pass(15)
    assert [each[:2] for each in await story.papers()] == [
        ("2027-03-01", "24.00"),
        ("2027-03-06", "60.00"),
        ("2027-03-16", "60.00"),
    ]
    await story.nothing_more_is_due()


async def test_P7_what_the_balance_does_not_cover_is_refused_and_nothing_has_changed(story: Story) -> None:
    plan = await _two_plans(story, 6000)
    story.on("2027-03-06")

    with pytest.raises(Conflict, match=r"€60\.00, of which €12\.00 is missing"):
        await story.changes(plan, "big")

    assert (await get_subscription(story.scope, plan)).product == "Plan"
    assert await story.money() == Money("0.00", "36.00", "36.00")
    assert await story.papers("credit_note") == []
    await story.pays(1200)
    await story.changes(plan, "big")
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_P7_a_downgrade_waits_for_the_end_of_the_paid_period_and_is_undone_before(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.sells("big", 5000, "day", 10, rank=2)
    await story.pays(14400)
    big, __ = await prepays(story, "big"), await story.sells("plan", 2000, "day", 10)
    story.on("2027-03-06")

    planned = await story.changes(big, "plan")
    await undo_change(story.scope, big)
    await story.changes(big, "plan")
    await story.days_pass(15)

    assert (planned.happens_on, planned.document_ids) == (day("2027-03-11"), [])
    assert await story.papers("credit_note") == []
    assert await story.lines() == [
        ("Big", "2027-03-01", "2027-03-11", 5000),
        ("Plan", "2027-03-11", "2027-03-21", 2000),
        ("Plan", "2027-03-21", "2027-03-31", 2000),
    ]
    await story.nothing_more_is_due()


async def test_P16_a_planned_change_that_the_balance_does_not_cover_is_suspended_as_its_renewal_is(
    story: Story,
) -> None:
    plan = await _two_plans(story, 4800)
    await story.changes(plan, "big", when="period_end")

    await story.days_pass(10)
    blocked = (await story.state_of(plan), await status_of(story))
    await story.pays(3600)

    assert blocked == ("suspended", ("blocked", "balance"))
    assert (await get_subscription(story.scope, plan)).product == "Big"
    assert (await story.state_of(plan), await status_of(story)) == ("active", ("active", "balance"))
    assert (await story.lines())[1:] == [("Big", "2027-03-11", "2027-03-21", 5000)]
    await story.nothing_more_is_due()


async def test_P16_fee_set_up_and_quantity_of_a_change_are_paid_with_its_first_period(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.sells("big", 5000, "day", 10, rank=2, setup_minor=1000)
    await story.policy("plan", upgrade={"fee_minor": 300})
    await story.policy("big", setup=True)
    await story.pays(30000)
    plan = await prepays(story, "plan")
    story.on("2027-03-06")

    half = NewDiscount(percent_e6=50_000_000, cycles=1)
    changed = await story.changes(plan, "big", quantity_e6=2_000_000, discounts=[half])
    invoice = await story.document(changed.document_ids[-1])
    await story.days_pass(10)

    assert {line.description: line.net_minor for line in invoice.lines} == {
        "Big": 5000,
        "Big: set-up": 1000,
        "Big: change": 300,
    }
    assert (await story.lines())[-1] == ("Big", "2027-03-16", "2027-03-26", 10000)
    await story.nothing_more_is_due()


async def test_P13_what_a_change_returns_pays_it_before_something_else_that_waits(story: Story) -> None:
    plan = await _two_plans(story, 7200)
    await story.sells("mail", 5000, "day", 10, kind="module")
    mail = await story.subscribes("mail")
    story.on("2027-03-06")

    await story.changes(plan, "big")

    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert await story.state_of(mail) == "suspended"
    await story.pays(6000)
    assert await story.state_of(mail) == "active"
    await story.nothing_more_is_due()


async def test_P7_what_ends_is_paid_at_the_new_terms_up_to_its_end(story: Story) -> None:
    plan = await _two_plans(story, 10000)
    await cancel_at_expiry(story.scope, plan)
    story.on("2027-03-06")

    await story.changes(plan, "big")
    await story.days_pass(10)

    assert (await story.lines())[1:] == [("Big", "2027-03-06", "2027-03-11", 2500)]
    assert await story.state_of(plan) == "ended"
    await story.nothing_more_is_due()


async def test_P7_the_payers_balance_pays_for_the_change_of_a_child(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.sells("big", 5000, "day", 10, rank=2)
    payer, story.customer = (
        story.customer,
        await a_customer(story.scope, billing_type="prepaid", parent_id=story.customer, payer_id=story.customer),
    )
    await story.pays(10000, payer_id=payer)
    plan = await prepays(story, "plan")
    story.on("2027-03-06")

    await story.changes(plan, "big")

    assert await story.money(payer) == Money("0.00", "28.00", "28.00")
    await story.nothing_more_is_due()


async def test_P7_a_prepaid_test_time_is_changed_and_begins_with_a_full_period(story: Story) -> None:
    await a_prepaid_plan(story)
    given = {"trial_days": 5, "at_trial_end": "convert"}
    await story.sells("try", 1000, "day", 10, rank=1, **given)
    await story.sells("more", 2000, "day", 10, rank=2, **given | {"trial_days": 8})
    await story.pays(2400)
    tried = await story.tries("try")

    await story.changes(tried, "more")
    await story.days_pass(12)

    assert await story.lines() == [("More", "2027-03-09", "2027-03-19", 2000)]
    await story.nothing_more_is_due()


async def test_P7_what_is_billed_on_account_does_not_become_prepaid_by_a_change(story: Story) -> None:
    await story.begins("2027-03-01")
    await story.taxes(200_000)
    await story.sells("account", 3000, rank=1)
    await story.sells("ahead", 3000, rank=2, timing="prepaid")
    mine = await story.subscribes("account")

    with pytest.raises(Conflict, match="start Ahead"):
        await story.changes(mine, "ahead")

    (box,) = [each for each in await list_boxes(story.scope, story.customer) if each.code == "ahead"]
    assert "upgrade" not in {action.key for action in box.actions}


async def test_P7_boxes_offer_changes_of_what_is_prepaid_but_no_other_period(story: Story) -> None:
    await _two_plans(story, 10000)

    found = {
        each.code: {action.key for action in each.actions} for each in await list_boxes(story.scope, story.customer)
    }

    assert found["big"] == {"upgrade"}
    assert "change" in found["plan"]
    assert "edit_period" not in found["plan"]
