"""Changes of a subscription: upgrade, downgrade, another cycle, another quantity (P7, P16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core.billing.actions import allocation, changing, create_draft, issue
from core.billing.actions.changing import undo_change
from core.billing.actions.pausing import pause
from core.billing.actions.periods import edit_period
from core.billing.schemas import NewDraft, NewLine
from core.database import value
from core.errors import Conflict, Invalid
from core.subscriptions.actions import cancel_at_expiry, terminate, undo_cancellation, waive_charge, withdraw
from core.subscriptions.changes import PeriodEdit
from core.subscriptions.queries import get_subscription, list_boxes
from core.subscriptions.schemas import NewDiscount, NewPause
from tests.books import a_customer, day
from tests.stories.story import Money, off, percent

if TYPE_CHECKING:
    from tests.stories.story import Story


async def _plans(story: Story, small: int = 10000, large: int = 30000, **fields: Any) -> None:
    await story.taxes(200_000)
    await story.sells("small", small, rank=1, **fields)
    await story.sells("large", large, rank=2, **fields)


async def test_P7_an_upgrade_in_advance_credits_the_unused_days_and_invoices_the_new_part(story: Story) -> None:
    """Row 26 of the table of postings."""
    await story.begins("2026-06-01")
    await _plans(story)
    mine = await story.subscribes("small")
    await story.bill()
    await story.pays(12000)

    story.on("2026-06-16")
    changed = await story.changes(mine, "large")

    assert changed.happens_on is None
    note, invoice = [await story.document(each) for each in changed.document_ids]
    assert (note.kind, note.net_minor, note.tax_minor) == ("credit_note", 5000, 1000)
    assert (invoice.kind, invoice.net_minor, invoice.tax_minor) == ("invoice", 15000, 3000)
    assert await story.money() == Money("120.00", "0.00", "-120.00")
    assert await story.books("1100", "2000", "2200") == ["120.00", "0.00", "-40.00"]
    live = await get_subscription(story.scope, mine)
    assert (live.product_code, live.cycle_minor, str(live.next_from)) == ("large", 30000, "2026-07-01")
    await story.nothing_more_is_due()

    await story.months_pass(1)
    assert (await story.lines())[-1] == ("Large", "2026-07-01", "2026-08-01", 30000)
    await story.nothing_more_is_due()


async def test_P7_an_upgrade_in_arrears_is_on_the_next_invoice_with_both_parts(story: Story) -> None:
    """Row 27: nothing at the change; at the end of the period 50 + 150."""
    await story.begins("2026-06-01")
    await _plans(story, timing="arrears")
    mine = await story.subscribes("small")

    story.on("2026-06-16")
    changed = await story.changes(mine, "large")

    assert changed.document_ids == []
    await story.bill()
    assert await story.papers() == []
    await story.days_pass(15)
    assert await story.papers() == [("2026-07-01", "240.00", "open")]
    assert await story.lines() == [
        ("Small", "2026-06-01", "2026-06-16", 5000),
        ("Large", "2026-06-16", "2026-07-01", 15000),
    ]
    assert await story.books("4000", "2300") == ["-200.00", "0.00"]
    await story.months_pass(1)
    assert (await story.lines())[-1] == ("Large", "2026-07-01", "2026-08-01", 30000)
    await story.nothing_more_is_due()


async def test_P7_a_downgrade_waits_for_the_end_of_the_period(story: Story) -> None:
    await story.begins("2026-06-01")
    await _plans(story)
    mine = await story.subscribes("large")
    await story.bill()

    story.on("2026-06-10")
    changed = await story.changes(mine, "small")
    assert (str(changed.happens_on), changed.document_ids) == ("2026-07-01", [])
    assert (await get_subscription(story.scope, mine)).product_code == "large"
    await story.nothing_more_is_due()

    await story.days_pass(30)
    assert (await get_subscription(story.scope, mine)).product_code == "small"
    assert await story.papers() == [("2026-06-01", "360.00", "overdue"), ("2026-07-01", "120.00", "open")]
    assert await story.papers("credit_note") == []
    await story.expects("subscription_changed", on=["2026-07-01"])
    await story.nothing_more_is_due()


async def test_P16_a_planned_change_is_undone_or_dropped_by_an_end_before_it(story: Story) -> None:
    await story.begins("2026-06-01")
    await _plans(story)
    mine = await story.subscribes("large")
    await story.bill()
    await story.changes(mine, "small")
    await undo_change(story.scope, mine)
    with pytest.raises(Conflict, match="Nothing is planned"):
        await undo_change(story.scope, mine)

    await story.changes(mine, "small")
    await cancel_at_expiry(story.scope, mine)
    await undo_cancellation(story.scope, mine)
    await story.days_pass(30)
    assert (await get_subscription(story.scope, mine)).product_code == "large"
    await story.nothing_more_is_due()


async def test_P7_a_downgrade_now_credits_more_than_it_charges(story: Story) -> None:
    await story.begins("2026-06-01")
    await _plans(story)
    mine = await story.subscribes("large")
    await story.bill()
    await story.pays(36000)

    story.on("2026-06-16")
    await story.changes(mine, "small", when="now")

    assert await story.money() == Money("0.00", "120.00", "120.00")
    await story.nothing_more_is_due()


async def test_P16_the_unused_part_may_be_given_up_and_a_change_cost_a_fee_at_least(story: Story) -> None:
    await story.begins("2026-06-01")
    await _plans(story)
    await story.policy("small", upgrade={"unused": "none", "fee_minor": 500})
    mine = await story.subscribes("small")
    await story.bill()

    story.on("2026-06-16")
    changed = await story.changes(mine, "large")

    (invoice,) = [await story.document(each) for each in changed.document_ids]
    assert {(each.description, each.net_minor) for each in invoice.lines} == {("Large", 15000), ("Large: change", 500)}
    await terminate(story.scope, mine)
    await story.nothing_more_is_due()


async def test_P16_what_is_missing_to_the_minimum_of_a_change_is_charged(story: Story) -> None:
    await story.begins("2026-06-01")
    await _plans(story, 10000, 10100)
    await story.policy("small", upgrade={"minimum_minor": 2000})
    mine = await story.subscribes("small")
    await story.bill()

    story.on("2026-06-16")
    changed = await story.changes(mine, "large")
    note, invoice = [await story.document(each) for each in changed.document_ids]
    assert invoice.net_minor - note.net_minor == 2000
    await story.nothing_more_is_due()


async def test_P7_set_up_is_charged_where_the_new_product_says_so(story: Story) -> None:
    await story.begins("2026-06-01")
    await story.taxes(200_000)
    await story.sells("small", 10000, rank=1)
    await story.sells("large", 30000, rank=2, setup_minor=4900)
    mine = await story.subscribes("small")
    await story.bill()
    await story.changes(mine, "large")
    assert (await story.last_document()).net_minor == 30000

    await story.policy("large", setup=True)
    await story.begins("2026-06-01")
    other = await story.subscribes("small")
    await story.bill()
    await story.changes(other, "large")
    assert (await story.last_document()).net_minor == 34900
    await story.nothing_more_is_due()


async def test_P7_monthly_to_yearly_begins_a_full_year_on_the_day_of_change(story: Story) -> None:
    await story.begins("2026-06-01")
    await story.taxes(0)
    await story.sells("plan", 10000)
    await story.sells("plan", 100000, per="year")
    mine = await story.subscribes("plan")
    await story.bill()

    story.on("2026-06-16")
    await story.changes(mine, "plan 1 year")
    assert (await story.lines())[-1] == ("Plan", "2026-06-16", "2027-06-16", 100000)
    assert await story.money() == Money("1050.00", "0.00", "-1050.00")
    await story.nothing_more_is_due()

    story.on("2026-08-28")
    await story.changes(mine, "plan 1 month")
    assert (await story.lines())[-1] == ("Plan", "2026-08-28", "2026-09-28", 10000)
    await story.nothing_more_is_due()
    await story.months_pass(2)
    assert [line[1] for line in (await story.lines())[-2:]] == ["2026-09-28", "2026-10-28"]
    await story.nothing_more_is_due()


async def test_P16_the_anchor_is_kept_where_the_policy_says_so(story: Story) -> None:
    await story.begins("2012-05-01")
    await story.taxes(0)
    await story.sells("plan", 24995)
    await story.sells("plan", 239995, per="year")
    await story.policy("plan", cycle_anchor="keep")
    mine = await story.subscribes("plan")
    await story.bill()

    story.on("2012-05-12")
    await story.changes(mine, "plan 1 year")
    assert (await story.lines())[-1] == ("Plan", "2012-05-12", "2013-05-01", 232762)
    await story.nothing_more_is_due()


async def test_P18_more_of_it_costs_the_difference_and_less_is_a_downgrade(story: Story) -> None:
    await story.begins("2026-06-01")
    await story.taxes(0)
    await story.sells("seats", 1500)
    mine = await story.subscribes("seats", quantity_e6=5_000_000)
    await story.bill()

    story.on("2026-06-11")
    changed = await story.changes(mine, quantity_e6=10_000_000)
    (invoice,) = [await story.document(each) for each in changed.document_ids]
    assert invoice.net_minor == 5000

    planned = await story.changes(mine, quantity_e6=7_000_000)
    assert str(planned.happens_on) == "2026-07-01"
    story.on("2026-06-16")
    await story.changes(mine, quantity_e6=7_000_000, when="now")
    assert [total for _, total, _ in await story.papers("credit_note")] == ["37.50", "37.50"]
    assert await story.money() == Money("102.50", "0.00", "-102.50")
    await story.nothing_more_is_due()
    await story.months_pass(1)
    assert (await story.lines())[-1][-1] == 10500
    await story.nothing_more_is_due()


async def test_P7_invoice_first_runs_on_the_old_terms_until_the_change_is_paid(story: Story) -> None:
    await story.begins("2026-06-01")
    await _plans(story, activation="invoice_first")
    mine, first = await story.asks_for("small")
    await story.pays(12000, first)

    story.on("2026-06-16")
    changed = await story.changes(mine, "large")
    (invoice,) = changed.document_ids
    assert (str(changed.waits_until), changed.credit_minor) == ("2026-06-30", 5000)
    assert await story.money() == Money("180.00", "0.00", "-180.00")
    assert (await get_subscription(story.scope, mine)).product_code == "small"
    await story.nothing_more_is_due()
    with pytest.raises(Conflict, match="waits for its invoice"):
        await story.changes(mine, "large", when="period_end")

    story.on("2026-06-20")
    await story.pays(18000, invoice)
    live = await get_subscription(story.scope, mine)
    assert (live.product_code, str(live.next_from)) == ("large", "2026-07-01")
    note = await story.last_document()
    assert (note.kind, note.net_minor) == ("credit_note", 5000)
    assert await story.money() == Money("0.00", "60.00", "60.00")
    await story.nothing_more_is_due()


async def test_P7_invoice_first_not_settled_in_time_is_void_and_nothing_has_changed(story: Story) -> None:
    await story.begins("2026-06-01")
    await _plans(story, activation="invoice_first", pending_days=5)
    mine, first = await story.asks_for("small")
    await story.pays(12000, first)
    await story.changes(mine, "large")
    await story.pays(5000)

    await story.days_pass(30)
    assert (await get_subscription(story.scope, mine)).product_code == "small"
    assert [each[2] for each in await story.papers()][:2] == ["paid", "credited"]
    assert (await story.lines())[-1] == ("Small", "2026-07-01", "2026-08-01", 10000)
    await story.nothing_more_is_due()


async def test_P7_what_free_credit_covers_is_changed_at_once(story: Story) -> None:
    await story.begins("2026-06-01")
    await _plans(story, activation="invoice_first")
    mine, first = await story.asks_for("small")
    await story.pays(50000, first)
    changed = await story.changes(mine, "large")
    assert changed.waits_until is None
    assert [(await story.document(each)).kind for each in changed.document_ids] == ["invoice", "credit_note"]
    assert (await get_subscription(story.scope, mine)).product_code == "large"
    await story.nothing_more_is_due()


async def test_P7_an_upgrade_in_a_trial_keeps_its_start_and_the_longer_of_both_lengths(story: Story) -> None:
    await story.begins("2026-06-01")
    await story.taxes(0)
    await story.sells("small", 10000, rank=1, trial_days=14, at_trial_end="convert")
    await story.sells("large", 30000, rank=2, trial_days=30, at_trial_end="convert")
    mine = await story.tries("small")

    story.on("2026-06-10")
    await story.changes(mine, "large")
    live = await get_subscription(story.scope, mine)
    assert (live.state, str(live.trial_ends_on), str(live.started_on)) == ("trial", "2026-07-01", "2026-06-01")
    await story.days_pass(21)
    assert await story.lines() == [("Large", "2026-07-01", "2026-08-01", 30000)]
    assert await story.spans(mine) == [("2026-06-01", "2026-07-01", "trial")]
    await story.nothing_more_is_due()


async def test_P7_a_free_plan_is_billed_from_the_day_of_its_upgrade(story: Story) -> None:
    await story.begins("2026-06-01")
    await _plans(story)
    mine = await story.gets_free("small")

    story.on("2026-06-10")
    await story.changes(mine, "large")
    await story.bill()
    assert await story.lines() == [("Large", "2026-06-10", "2026-07-10", 30000)]
    assert await story.spans(mine) == [("2026-06-01", "2026-06-10", "gift")]
    await story.nothing_more_is_due()


async def test_P7_days_that_were_not_billed_yet_are_charged_at_the_old_terms(story: Story) -> None:
    """The run comes late: the month before and half of this one are charged with the change."""
    await story.begins("2026-06-01")
    await _plans(story)
    mine = await story.subscribes("small")

    story.on("2026-07-16")
    await story.changes(mine, "large")
    assert await story.lines() == [
        ("Small", "2026-06-01", "2026-07-01", 10000),
        ("Small", "2026-07-01", "2026-07-16", 4839),
        ("Large", "2026-07-16", "2026-08-01", 15484),
    ]
    await story.nothing_more_is_due()


async def test_P7_discounts_go_on_unless_others_are_agreed(story: Story) -> None:
    await story.begins("2025-06-01")
    await story.taxes(0)
    await story.sells("small", 10000, rank=1)
    await story.sells("large", 100000, rank=2)
    mine = await story.subscribes("small", discounts=[percent(25)])
    await story.bill()

    story.on("2025-06-16")
    changed = await story.changes(mine, "large", discounts=[percent(50)])
    note, invoice = [await story.document(each) for each in changed.document_ids]
    assert (note.net_minor, invoice.net_minor) == (3750, 25000)
    await story.nothing_more_is_due()


@pytest.mark.parametrize("credit", [True, False])
async def test_P7_what_ends_within_its_period_is_charged_at_other_terms_up_to_that_day(
    story: Story, credit: bool
) -> None:
    await story.begins("2027-06-01")
    await story.taxes(0)
    await story.sells("small", 30000, rank=1)
    await story.sells("large", 60000, rank=2)
    mine, three = (
        await story.subscribes("small"),
        await story.subscribes("small", customer_id=await a_customer(story.scope)),
    )
    await story.bill()
    for each in (mine, three):
        await (
            story.terminates_with_credit(each, "2027-06-21")
            if credit
            else terminate(story.scope, each, day("2027-06-21"))
        )
    story.on("2027-06-11")

    await story.changes(mine, "large")
    await story.changes(three, quantity_e6=3_000_000)
    await story.days_pass(30)

    assert (await story.lines())[2:] == [
        ("Large", "2027-06-11", "2027-06-21", 20000),
        ("Small", "2027-06-11", "2027-06-21", 30000),
    ]
    assert await story.state_of(mine) == await story.state_of(three) == "ended"
    await story.nothing_more_is_due()


@pytest.mark.parametrize("unused", ["credit", "none"])
async def test_P9_an_end_that_is_undone_after_a_change_charges_the_rest_at_the_new_terms(
    story: Story, unused: str
) -> None:
    await story.begins("2027-06-01")
    await story.taxes(0)
    await story.sells("small", 30000)
    mine = await story.subscribes("small")
    await story.bill()
    await story.terminates_with_credit(mine, "2027-06-21")
    story.on("2027-06-11")
    await story.changes(mine, quantity_e6=3_000_000, unused=unused)

    await undo_cancellation(story.scope, mine)
    await story.days_pass(30)

    assert (await story.lines())[1:] == [
        ("Small", "2027-06-11", "2027-06-21", 30000),
        ("Small", "2027-06-21", "2027-07-01", 30000),
        ("Small", "2027-07-01", "2027-08-01", 90000),
    ]
    assert await story.papers("credit_note") == [("2027-06-01", "100.00", "paid"), ("2027-06-11", "100.00", "paid")]
    await story.nothing_more_is_due()


async def test_P18_a_discount_for_some_cycles_that_is_agreed_with_a_change_ends_after_these(story: Story) -> None:
    await story.begins("2027-01-01", billing_day=1)
    await story.taxes(0)
    await story.sells("small", 10000, rank=1)
    await story.sells("large", 20000, rank=2)
    mine, other = (
        await story.subscribes("small"),
        await story.subscribes("small", customer_id=await a_customer(story.scope, billing_day=1)),
    )
    await story.bill()
    half = NewDiscount(percent_e6=50_000_000, cycles=2)

    await story.changes(other, "large", discounts=[half], when="period_end")
    story.on("2027-01-17")
    await story.changes(mine, "large", discounts=[half])
    await story.months_pass(3)

    charged = [(line[1], line[-1]) for line in await story.lines() if line[0] == "Large"]
    assert charged == [
        ("2027-01-17", 4839),  # 15 of 31 days: a part before the first full cycle
        *((f"2027-0{month}-01", minor) for month, minor in ((2, 10000), (3, 10000), (4, 20000)) for _ in range(2)),
    ]
    await story.nothing_more_is_due()


async def test_P7_a_box_states_what_an_upgrade_costs_with_the_discounts_that_go_on(story: Story) -> None:
    await story.begins("2025-06-01")
    await story.taxes(0)
    await story.sells("small", 10000, rank=1)
    await story.sells("large", 100000, rank=2)
    mine = await story.subscribes(
        "small", discounts=[percent(25), off(1000, until="2025-06-02")], quantity_e6=2_000_000
    )
    await story.bill()
    story.on("2025-06-16")
    (box,) = [each for each in await list_boxes(story.scope, story.customer) if each.code == "large"]

    stated = await changing.dues(story.scope, await get_subscription(story.scope, mine), box.actions)
    changed = await story.changes(mine, "large")

    note, invoice = [await story.document(each) for each in changed.document_ids]
    assert (
        stated == {story.prices["large"]: invoice.net_minor - note.net_minor} == {story.prices["large"]: 75000 - 7000}
    )
    await story.nothing_more_is_due()


async def test_P7_what_cannot_be_changed_says_why(story: Story) -> None:
    await story.begins("2026-06-01")
    await _plans(story)
    await story.sells("sms", 500, kind="service")
    mine = await story.subscribes("small")
    with pytest.raises(Invalid, match="what it has already"):
        await story.changes(mine, "small")
    with pytest.raises(Invalid, match="same group"):
        await story.changes(mine, "sms")
    with pytest.raises(Invalid, match="within three years"):
        await story.changes(mine, "large", on="2026-05-01")
    await terminate(story.scope, mine, story.today)
    with pytest.raises(Conflict, match="cannot be changed"):
        await story.changes(mine, "large")


async def test_P7_a_change_after_an_end_that_was_undone_credits_what_was_charged_again(story: Story) -> None:
    await story.begins("2026-06-01")
    await _plans(story)
    mine = await story.subscribes("small")
    await story.bill()
    story.on("2026-06-11")
    await story.terminates_with_credit(mine, "2026-06-21")
    await undo_cancellation(story.scope, mine)
    await story.bill()
    assert await story.money() == Money("120.00", "0.00", "-120.00")

    story.on("2026-06-16")
    await story.changes(mine, "large")
    assert await story.money() == Money("240.00", "0.00", "-240.00")
    await story.nothing_more_is_due()
    await withdraw(story.scope, mine)
    await story.nothing_more_is_due()


async def test_P7_a_change_before_days_that_were_waived_goes_on_from_its_own_day(story: Story) -> None:
    await story.begins("2027-07-17")
    await story.sells("ahead", 3100)
    await story.sells("behind", 6200, timing="arrears", rank=1)
    subscription = await story.subscribes("ahead")
    await story.bill()
    await edit_period(story.scope, subscription, PeriodEdit(end_on=day("2027-09-20"), added="charged"))
    added = await value("SELECT id FROM charge WHERE state = 'open'")
    await waive_charge(story.scope, added)
    story.on("2027-08-10")

    await story.changes(subscription, price="behind", when="now")
    await pause(story.scope, subscription, NewPause(from_on=day("2027-08-20"), to_on=day("2027-09-10")))
    await story.days_pass(90)

    assert ("Behind", "2027-08-10") in [(what, since) for what, since, _, _ in await story.lines()]
    await story.nothing_more_is_due()


async def test_P7_the_documents_of_a_change_are_its_own(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what somebody else issues meanwhile: the button and the answer say what this change comes to."""
    await story.begins("2026-06-01")
    await _plans(story)
    mine = await story.subscribes("small")
    await story.bill()
    other = await a_customer(story.scope, "Bea Binder")
    others: list[int] = []

    async def meanwhile(_scope: object, _payer_id: int, _currency: str) -> None:
        lines = [NewLine(description="Router", unit_price_e6=50_000_000)]
        others.append(await create_draft(story.scope, NewDraft(payer_id=other, lines=lines)))
        await issue(story.scope, others[-1])

    story.on("2026-06-16")
    monkeypatch.setattr(allocation, "_heard", [meanwhile])
    changed = await story.changes(mine, "large")
    monkeypatch.undo()

    assert others
    made = [await story.document(each) for each in changed.document_ids]
    assert [(each.kind, each.payer_id) for each in made] == [
        ("credit_note", story.customer),
        ("invoice", story.customer),
    ]
    await story.nothing_more_is_due()


async def test_P16_one_change_whose_invoice_cannot_be_voided_does_not_stop_the_day(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await story.begins("2026-06-01")
    await story.sells("small", 10000, rank=1)
    await story.sells("large", 30000, rank=2, activation="invoice_first")
    mine = await story.subscribes("small")
    await story.bill()
    changed = await story.changes(mine, "large")
    assert changed.waits_until is not None

    async def refused(*_: object) -> None:
        raise Conflict("Its day is closed")

    with monkeypatch.context() as patched:
        patched.setattr(changing, "void", refused)
        await story.days_pass(45)
    waiting = "SELECT state FROM subscription_change"
    assert await value(waiting) == "waiting"
    assert ("Small", "2026-07-01", "2026-08-01", 10000) in await story.lines()

    await story.bill()
    assert await value(waiting) == "dropped"
    await story.nothing_more_is_due()
