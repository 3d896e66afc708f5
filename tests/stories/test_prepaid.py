"""Prepaid: paid ahead from the balance, renewed while that covers it, suspended when it does not (domain.md)."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from core.billing.actions import grant_credit, reissue
from core.billing.actions.prepaid import outlook, resume, start
from core.billing.actions.reissuing import line_as_it_was, list_reissuable
from core.billing.schemas import Reissue
from core.billing.verify import verify
from core.catalog.actions import create_tax_category
from core.catalog.schemas import NewTaxCategory
from core.customers.actions import change_customer
from core.customers.queries import get_customer
from core.customers.schemas import BillingData
from core.database import execute, rows, value
from core.errors import Conflict, Invalid
from core.subscriptions.actions import cancel_at_expiry, subscribe, suspend, terminate, undo_cancellation
from core.subscriptions.queries import get_subscription
from core.subscriptions.schemas import NewSubscription

if TYPE_CHECKING:
    from tests.stories.story import Story


async def prepays(story: Story, code: str, **fields: object) -> int:
    """Started, and its first period paid from the balance."""
    return await start(
        story.scope,
        NewSubscription(
            customer_id=story.customer,
            product_id=story.products[code],
            price_id=story.prices[code],
            **fields,  # type: ignore[arg-type]  # as the test says it
        ),
    )


async def status_of(story: Story) -> tuple[str, str]:
    found = await get_customer(story.scope, story.customer)
    return found.status, found.status_reason


async def a_prepaid_plan(story: Story, on: str = "2027-03-01", price: int = 2000, **customer: object) -> None:
    """Ten days of a plan for 20.00 and 20 % tax: 24.00 are taken from the balance each time."""
    await story.begins(on, billing_type="prepaid", **customer)
    await story.taxes(200_000)
    await story.sells("plan", price, "day", 10)


async def test_P13_prepaid_is_renewed_from_the_balance_by_any_number_of_days(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(7200)
    plan = await prepays(story, "plan")

    await story.days_pass(25)

    assert await story.papers() == [
        ("2027-03-01", "24.00", "paid"),
        ("2027-03-11", "24.00", "paid"),
        ("2027-03-21", "24.00", "paid"),
    ]
    assert await story.lines() == [
        ("Plan", "2027-03-01", "2027-03-11", 2000),
        ("Plan", "2027-03-11", "2027-03-21", 2000),
        ("Plan", "2027-03-21", "2027-03-31", 2000),
    ]
    assert (await story.money()).balance == "0.00"
    assert await story.state_of(plan) == "active"
    assert await status_of(story) == ("active", "hand")
    await story.nothing_more_is_due()


async def test_P13_what_the_balance_does_not_cover_is_suspended_and_a_plan_blocks_its_customer(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(4799)
    plan = await prepays(story, "plan")

    await story.days_pass(12)

    assert await story.state_of(plan) == "suspended"
    assert (await get_subscription(story.scope, plan)).state_reason == "balance"
    assert await status_of(story) == ("blocked", "balance")
    assert await story.papers() == [("2027-03-01", "24.00", "paid")]
    assert (await story.money()).balance == "23.99"
    await story.expects("subscription_suspended", on=["2027-03-11"])
    await story.nothing_more_is_due()


async def test_P13_money_coming_in_tries_again_at_once_and_the_new_period_starts_that_day(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(2400)
    plan = await prepays(story, "plan")
    await story.days_pass(14)

    await story.pays(2000)
    still = await story.state_of(plan)
    await story.pays(400)

    assert still == "suspended"
    assert await story.state_of(plan) == "active"
    assert await status_of(story) == ("active", "balance")
    assert await story.spans(plan) == [("2027-03-11", "2027-03-15", "not_renewed")]
    assert (await story.lines())[-1] == ("Plan", "2027-03-15", "2027-03-25", 2000)
    assert (await get_subscription(story.scope, plan)).due_on == story.today.replace(day=25)
    await story.nothing_more_is_due()


async def letters(story: Story) -> list[tuple[str, int]]:
    """Kinds of the messages about prepaid renewals, and what is missing in each."""
    found = await rows(Letter, "SELECT kind, fields FROM message WHERE kind LIKE 'prepaid%' ORDER BY id")
    return [(each.kind, msgspec.json.decode(each.fields)["missing"]["minor"]) for each in found]


class Letter(msgspec.Struct, frozen=True):
    kind: str
    fields: str


async def test_P13_who_cannot_cover_a_renewal_is_written_once_for_it_however_often_it_is_tried(story: Story) -> None:
    await a_prepaid_plan(story, billing_emails=["ada@adler.example"])
    await story.pays(2400)
    await prepays(story, "plan")
    await story.days_pass(13)
    await story.pays(100)
    after_little = await letters(story)
    await story.pays(2300)
    await story.days_pass(12)

    assert after_little == [("prepaid_not_covered", 2400)]
    assert await letters(story) == [("prepaid_not_covered", 2400), ("prepaid_not_covered", 2400)], "of another renewal"
    await story.nothing_more_is_due()


async def test_P13_some_days_before_it_is_written_too_where_the_operator_wants_it_and_the_balance_is_short(
    story: Story,
) -> None:
    await a_prepaid_plan(story, billing_emails=["ada@adler.example"])
    await story.bills(prepaid_notice_days=3)
    await story.pays(5000)
    await prepays(story, "plan")
    await story.days_pass(15)
    covered = await letters(story)
    await story.days_pass(3)
    await story.days_pass(1)
    early = await letters(story)
    await story.days_pass(1)

    assert covered == []
    assert early == [("prepaid_coming", 2200)]
    assert await letters(story) == [("prepaid_coming", 2200), ("prepaid_not_covered", 2200)]
    await story.nothing_more_is_due()


async def test_P13_goodwill_and_a_credit_note_are_money_coming_in_too(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(2400)
    plan = await prepays(story, "plan")
    await story.days_pass(10)

    await grant_credit(story.scope, story.customer, 2400, "An outage")

    assert await story.state_of(plan) == "active"
    await story.nothing_more_is_due()


@pytest.mark.parametrize(
    ("minimum", "paid", "renews"), [(-2400, 2400, True), (-2399, 2400, False), (2400, 4800, False)]
)
async def test_P13_a_negative_minimum_is_a_credit_limit_and_a_positive_one_stays_untouched(
    story: Story, minimum: int, paid: int, renews: bool
) -> None:
    await a_prepaid_plan(story, minimum_balance_minor=minimum)
    await story.pays(paid)
    plan = await prepays(story, "plan")

    await story.days_pass(10)

    assert (await story.state_of(plan) == "active") is renews
    balance = await value("SELECT balance_minor FROM customer_balance WHERE customer_id = :id", id=story.customer)
    assert balance >= minimum
    assert balance == paid - 2400 * (2 if renews else 1)
    await story.nothing_more_is_due()


async def test_P13_a_credit_limit_that_staff_give_covers_what_waits_with_the_next_daily_billing(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(2400)
    plan = await prepays(story, "plan")
    await story.days_pass(12)
    waited = await story.state_of(plan)
    now = await get_customer(story.scope, story.customer)
    billing = {name: getattr(now, name) for name in BillingData.__struct_fields__}

    limit = BillingData(**{**billing, "minimum_balance_minor": -2400})
    await change_customer(story.scope, story.customer, limit, version=now.version)
    await story.days_pass(1)

    assert waited == "suspended"
    assert await story.state_of(plan) == "active"
    assert await status_of(story) == ("active", "balance")
    assert (await story.money()).balance == "-24.00"
    await story.nothing_more_is_due()


async def test_P13_the_plan_goes_first_and_one_too_dear_does_not_stop_a_cheaper_one_behind_it(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.sells("music", 500, "day", 10, kind="module")
    await story.sells("films", 1500, "day", 10, kind="service")
    await story.pays(2400 + 600 + 1800)
    films, music, plan = [await prepays(story, code) for code in ("films", "music", "plan")]
    await story.pays(2400 + 700)

    await story.days_pass(10)

    assert [await story.state_of(each) for each in (plan, music, films)] == ["active", "active", "suspended"]
    assert await status_of(story) == ("active", "hand")
    assert (await story.money()).balance == "1.00"
    await story.nothing_more_is_due()


async def test_P13_a_module_that_is_covered_goes_on_beside_a_plan_that_is_not(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.sells("music", 500, "day", 10, kind="module")
    await story.pays(2400 + 600)
    plan, music = [await prepays(story, code) for code in ("plan", "music")]
    await story.pays(1000)

    await story.days_pass(10)

    assert [await story.state_of(each) for each in (plan, music)] == ["suspended", "active"]
    assert await status_of(story) == ("blocked", "balance")
    await story.nothing_more_is_due()


async def test_P13_never_block_gives_no_free_service(story: Story) -> None:
    await a_prepaid_plan(story, never_block=True)
    await story.pays(2400)
    plan = await prepays(story, "plan")

    await story.days_pass(10)

    assert await story.state_of(plan) == "suspended"
    assert (await status_of(story))[0] == "active"
    await story.nothing_more_is_due()


async def test_P13_a_block_that_a_person_set_stays_when_money_comes_in(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(2400)
    plan = await prepays(story, "plan")
    await story.becomes("blocked")
    await story.days_pass(10)

    await story.pays(2400)

    assert await story.state_of(plan) == "active"
    assert await status_of(story) == ("blocked", "hand")
    await story.nothing_more_is_due()


async def test_P13_what_the_balance_does_not_cover_does_not_start_but_can_be_invoiced_first(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(1000)

    with pytest.raises(Conflict, match=r"does not cover the next period of €24\.00: €14\.00 is missing"):
        await prepays(story, "plan")
    plan, invoice = await story.asks_for("plan")
    await story.pays(1400, invoice)

    assert await story.state_of(plan) == "active"
    assert await value("SELECT count(*) FROM subscription") == 1
    await story.days_pass(10)
    assert await story.state_of(plan) == "suspended"
    await story.nothing_more_is_due()


async def test_P13_the_set_up_is_paid_with_the_first_period(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.sells("line", 1000, "week", 2, kind="service", setup_minor=500)
    await story.pays(1799)

    with pytest.raises(Conflict):
        await prepays(story, "line")
    await story.pays(1)
    await prepays(story, "line")

    assert await story.papers() == [("2027-03-01", "18.00", "paid")]
    assert (await story.money()).balance == "0.00"
    await story.nothing_more_is_due()


async def test_P13_it_starts_today_and_never_a_day_back(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(9900)

    with pytest.raises(Invalid, match="starts today"):
        await prepays(story, "plan", starts_on=story.today.replace(month=2))


async def test_P13_ordered_without_a_balance_it_waits_for_the_first_receipt(story: Story) -> None:
    await a_prepaid_plan(story)
    plan = await subscribe(
        story.scope,
        NewSubscription(customer_id=story.customer, product_id=story.products["plan"], price_id=story.prices["plan"]),
    )
    await story.days_pass(3)
    waits, status = await story.state_of(plan), await status_of(story)

    await story.pays(2400)

    assert (waits, status) == ("suspended", ("new", "hand"))
    assert await story.state_of(plan) == "active"
    assert (await status_of(story))[0] == "active"
    assert await story.spans(plan) == []
    assert await story.lines() == [("Plan", "2027-03-04", "2027-03-14", 2000)]
    await story.expects("subscription_activated", on=["2027-03-04"])
    await story.nothing_more_is_due()


async def test_P13_suspended_by_hand_it_is_not_renewed_and_keeps_the_days_that_are_paid(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(4800)
    plan = await prepays(story, "plan")
    story.on("2027-03-05")
    await suspend(story.scope, plan)
    await story.days_pass(2)
    await resume(story.scope, plan)
    until = (await get_subscription(story.scope, plan)).due_on

    await suspend(story.scope, plan)
    await story.days_pass(10)
    assert (await story.money()).balance == "24.00"
    await resume(story.scope, plan)

    assert str(until) == "2027-03-11"
    assert await story.spans(plan) == [("2027-03-11", "2027-03-17", "not_renewed")]
    assert (await story.lines())[-1] == ("Plan", "2027-03-17", "2027-03-27", 2000)
    await story.nothing_more_is_due()


async def test_P13_resuming_what_the_balance_does_not_cover_is_refused(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(2400)
    plan = await prepays(story, "plan")
    await suspend(story.scope, plan)
    await story.days_pass(10)

    with pytest.raises(Conflict, match="does not cover"):
        await resume(story.scope, plan)

    assert (await get_subscription(story.scope, plan)).state_reason == "hand"


async def test_P13_an_inactive_customer_is_not_renewed_and_what_it_missed_is_never_billed(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(4800)
    plan = await prepays(story, "plan")
    await story.becomes("inactive")
    await story.days_pass(15)
    before = await story.money()

    await story.becomes("active")
    await story.days_pass(0)

    assert before.balance == "24.00"
    assert await story.state_of(plan) == "active"
    assert await story.spans(plan) == [("2027-03-11", "2027-03-16", "not_renewed")]
    await story.nothing_more_is_due()


async def test_P13_an_end_cuts_the_last_period_off_and_only_its_days_are_paid(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(4800)
    plan = await prepays(story, "plan")
    await terminate(story.scope, plan, story.today.replace(day=16))

    await story.days_pass(20)

    assert await story.papers() == [("2027-03-01", "24.00", "paid"), ("2027-03-11", "12.00", "paid")]
    assert await story.state_of(plan) == "ended"
    assert (await story.money()).credit == "12.00"
    await story.nothing_more_is_due()


async def test_P13_days_that_the_run_missed_are_made_up_for_as_far_as_the_balance_goes(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(7200)
    plan = await prepays(story, "plan")

    story.on("2027-04-05")
    report = await story.bill()

    assert (report.renewed, report.not_covered, report.invoices) == (2, 1, 0)
    assert await story.state_of(plan) == "suspended"
    assert [first for _, first, _, _ in await story.lines()] == ["2027-03-01", "2027-03-11", "2027-03-21"]
    await story.nothing_more_is_due()


async def test_P13_a_trial_goes_over_into_what_the_balance_pays(story: Story) -> None:
    await story.begins("2027-03-01", billing_type="prepaid")
    await story.taxes(0)
    await story.sells("plan", 2000, "week", 1, trial_days=5, at_trial_end="convert")
    plan = await story.tries("plan")
    await story.pays(2000)

    await story.days_pass(6)

    assert await story.state_of(plan) == "active"
    assert await story.lines() == [("Plan", "2027-03-06", "2027-03-13", 2000)]
    await story.nothing_more_is_due()


async def test_P13_the_payers_balance_pays_for_a_child(story: Story) -> None:
    await a_prepaid_plan(story)
    parent = story.customer
    await story.begins("2027-03-01", billing_type="prepaid", name="Child")
    await execute("UPDATE customer SET payer_id = :payer WHERE id = :id", payer=parent, id=story.customer)
    await story.pays(2400, payer_id=parent)
    plan = await prepays(story, "plan")
    await story.days_pass(10)
    waits, status = await story.state_of(plan), await status_of(story)

    await story.pays(2400, payer_id=parent)

    assert (waits, status) == ("suspended", ("blocked", "balance"))
    assert await story.state_of(plan) == "active"
    assert (await status_of(story))[0] == "active"
    assert [total for _, total, _ in await story.papers(payer_id=parent)] == ["24.00", "24.00"]
    await story.nothing_more_is_due()


async def test_P13_a_renewal_that_cannot_be_taxed_is_parked_and_stops_no_other(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.sells("odd", 100, "day", 10, kind="service")
    await story.pays(9000)
    plan, odd = [await prepays(story, code) for code in ("plan", "odd")]
    await create_tax_category(story.scope, NewTaxCategory(code="new", name="Without a rate yet"))
    await execute("UPDATE subscription_term SET tax_category = 'new' WHERE subscription_id = :id", id=odd)
    await story.pays(100)

    story.on("2027-03-11")
    report = await story.bill()

    assert (report.renewed, [each.payer_id for each in report.parked]) == (1, [story.customer])
    assert "tax rate" in report.parked[0].detail
    assert [await story.state_of(each) for each in (plan, odd)] == ["active", "active"]
    await story.taxes(100_000, "new")
    await story.bill()
    await story.nothing_more_is_due()


async def test_P13_the_page_says_until_when_the_balance_lasts(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.sells("music", 500, "day", 15, kind="module")
    await story.pays(2400 + 600 + 2400 + 600 + 2399)
    await prepays(story, "plan")
    await prepays(story, "music")

    found = await outlook(story.scope, story.customer)

    assert found is not None
    assert (found.available_minor, str(found.lasts_until), found.short) == (5399, "2027-03-21", "Plan")
    assert [(each.name, each.total_minor, str(each.due_on)) for each in found.items] == [
        ("Plan", 2400, "2027-03-11"),
        ("Music", 600, "2027-03-16"),
    ]


@pytest.mark.parametrize("seed", [1, 2])
async def test_P13_prepaid_never_lets_the_balance_fall_below_the_minimum(story: Story, seed: int) -> None:
    """Whatever happens in whatever order: what lowers the balance leaves at least the minimum of it."""
    chance = Random(seed)
    minimum = chance.choice([-3000, -1, 0, 1000])
    await a_prepaid_plan(story, minimum_balance_minor=minimum)
    await story.sells("music", 333, "day", 3, kind="module")
    await story.sells("films", 1501, "week", 2, kind="service")
    started: dict[str, int] = {}

    async def balance() -> int:
        return int(await value("SELECT balance_minor FROM customer_balance WHERE customer_id = :id", id=story.customer))

    before = await balance()
    for __ in range(28):
        act, code = (
            chance.choice(["pay", "pay", "days", "days", "start", "stop", "go"]),
            chance.choice(["plan", "music", "films"]),
        )
        try:
            if act == "pay":
                await story.pays(chance.randint(1, 4000))
            elif act == "days":
                story.on(story.today + timedelta(days=chance.randint(1, 9)))
                await story.bill()
            elif act == "start" and code not in started:
                started[code] = await prepays(story, code)
            elif code in started:
                await (suspend if act == "stop" else resume)(story.scope, started[code])
        except Conflict:
            pass
        now = await balance()
        assert now >= minimum or now >= before
        before = now
    assert started
    assert await verify(story.scope) == []


async def test_B2_what_paid_an_invoice_that_is_issued_anew_is_not_taken_by_a_renewal(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(2400)
    plan = await prepays(story, "plan")
    router = await story.is_invoiced(("Router", 4000))
    await story.pays(4800, router)
    await story.days_pass(10)
    assert await story.state_of(plan) == "suspended"

    made = await reissue(story.scope, router, Reissue(reason="Company name"))

    assert (await story.document(made.invoice_id)).settlement == "paid"
    assert await story.state_of(plan) == "suspended"
    assert (await story.money()).balance == "0.00"

    (line,) = [line_as_it_was(each) for each in await list_reissuable(made.invoice_id)]
    cheaper = msgspec.structs.replace(line, unit_price_e6=20_000_000)
    made = await reissue(story.scope, made.invoice_id, Reissue(reason="As offered", lines=[cheaper]))

    assert (await story.document(made.invoice_id)).settlement == "paid"
    assert await story.state_of(plan) == "active"
    assert (await story.money()).balance == "0.00"
    await story.nothing_more_is_due()


async def test_B2_a_void_invoice_sets_money_free_that_renews(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(2400)
    plan = await prepays(story, "plan")
    router = await story.is_invoiced(("Router", 2000))
    await story.pays(2400, router)
    await story.days_pass(10)

    await story.voids(router)

    assert await story.state_of(plan) == "active"
    await story.nothing_more_is_due()


async def test_P13_an_end_undone_while_it_is_suspended_by_hand_renews_nothing(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(7200)
    plan = await prepays(story, "plan")
    story.on("2027-03-05")
    await suspend(story.scope, plan)

    await cancel_at_expiry(story.scope, plan)
    await undo_cancellation(story.scope, plan)
    await story.days_pass(20)

    assert (await get_subscription(story.scope, plan)).due_on is None
    assert await story.state_of(plan) == "suspended"
    assert await story.lines() == [("Plan", "2027-03-01", "2027-03-11", 2000)]
    await story.nothing_more_is_due()
