"""Contracts: minimum term, notice, renewal, the fee for an early end; modules that need a plan; introductory prices;
discounts of what runs (P17, P18, P19)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct

from core.billing.actions import cancel_subscription, withdraw_subscription
from core.catalog.actions import change_product, create_product, set_price
from core.catalog.queries import get_product
from core.catalog.schemas import NewPrice, NewProduct, ProductFields
from core.database import value, values
from core.errors import Conflict, Invalid
from core.subscriptions.actions import charge_termination, terminate, termination_fee, undo_cancellation
from core.subscriptions.actions.discounting import (
    add_discount,
    add_discount_to_all,
    list_discounts,
    remove_discount,
)
from core.subscriptions.contracts import bound_until, earliest_end
from core.subscriptions.queries import get_subscription
from core.subscriptions.schemas import NewDiscount
from tests.books import day
from tests.stories.story import off, percent

if TYPE_CHECKING:
    from tests.stories.story import Story


class Terms(Struct, frozen=True):
    min_term_ends_on: date | None
    notice_days: int = 0
    renew_unit: str | None = None
    renew_count: int | None = None


@pytest.mark.parametrize(
    ("terms", "on", "ends"),
    [
        (Terms(None), "2027-05-10", "2027-05-11"),
        (Terms(None, notice_days=30), "2027-05-10", "2027-06-09"),
        (Terms(day("2028-01-01")), "2027-05-10", "2028-01-01"),
        (Terms(day("2028-01-01"), notice_days=30), "2027-12-20", "2028-01-19"),
        (Terms(day("2028-01-01"), notice_days=30), "2028-02-01", "2028-03-02"),
        (Terms(day("2028-01-01"), 30, "year", 1), "2027-12-02", "2028-01-01"),
        (Terms(day("2028-01-01"), 30, "year", 1), "2027-12-03", "2029-01-01"),
        (Terms(day("2028-01-31"), 0, "month", 1), "2028-02-01", "2028-02-29"),
        (Terms(day("2028-01-31"), 0, "month", 1), "2028-03-01", "2028-03-31"),
    ],
)
def test_P17_a_contract_ends_after_its_minimum_term_its_notice_and_its_renewals(
    terms: Terms, on: str, ends: str
) -> None:
    assert earliest_end(terms, day(on)) == day(ends)
    assert (bound_until(terms, day(on)) is None) is (terms.min_term_ends_on is None)


async def a_contract(story: Story, **fields: object) -> int:
    """A year from the first of January 2027 on, 100.00 a month, one month of notice, 50.00 for leaving early."""
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    given = {"min_term_unit": "year", "min_term_count": 1, "notice_days": 30, **fields}
    story.products["fibre"] = await create_product(
        story.scope,
        NewProduct(
            code="fibre",
            name="Fibre",
            kind="plan",
            prices=[
                NewPrice(cycle_unit="month", amount_minor=10000, termination_minor=5000, valid_from=date(2000, 1, 1))
            ],
            **given,  # type: ignore[arg-type]  # as the test says it
        ),
    )
    story.prices["fibre"] = (await get_product(story.products["fibre"])).prices[0].id
    return await story.subscribes("fibre", starting="2027-01-01")


async def test_P17_cancelling_ends_it_with_its_contract(story: Story) -> None:
    fibre = await a_contract(story, renew_unit="month", renew_count=6)
    await story.months_pass(3)

    first = await cancel_subscription(story.scope, fibre)
    await undo_cancellation(story.scope, fibre)
    await story.months_pass(9)
    renewed = await cancel_subscription(story.scope, fibre)

    assert (str(first), str(renewed)) == ("2028-01-01", "2028-07-01")
    await story.months_pass(7)
    assert await story.state_of(fibre) == "ended"
    assert len(await story.papers()) == 18
    await story.nothing_more_is_due()


async def test_P17_what_was_agreed_stays_when_the_product_is_changed(story: Story) -> None:
    fibre = await a_contract(story)
    product = await get_product(story.products["fibre"])
    fields = {name: getattr(product, name) for name in ("name", "timing", "tax_category")}
    await change_product(story.scope, product.id, ProductFields(**fields, notice_days=90), version=product.version)

    found = await get_subscription(story.scope, fibre)

    assert (found.notice_days, found.termination_minor, str(found.min_term_ends_on)) == (30, 5000, "2028-01-01")


async def test_P17_leaving_early_is_charged_with_the_next_invoice(story: Story) -> None:
    fibre = await a_contract(story)
    await story.months_pass(2)

    fee = await charge_termination(story.scope, fibre, story.today)
    again = await charge_termination(story.scope, fibre, story.today)
    await terminate(story.scope, fibre, story.today)
    await story.bill()

    assert (fee, again) == (5000, 0)
    assert (await story.lines())[-1] == ("Fibre: early termination", None, None, 5000)
    assert (await story.last_document()).total_minor == 6000
    assert (await story.last_document()).lines[0].kind == "termination"
    await story.nothing_more_is_due()


async def test_P17_no_fee_once_the_contract_allows_it_nor_for_an_end_that_is_undone(story: Story) -> None:
    fibre = await a_contract(story)
    later = await termination_fee(story.scope, fibre, day("2028-01-01"))
    await charge_termination(story.scope, fibre, day("2027-06-01"))
    await terminate(story.scope, fibre, day("2027-06-01"))

    await undo_cancellation(story.scope, fibre)
    await story.months_pass(1)

    assert later == 0
    assert await values("SELECT state FROM charge WHERE kind = 'termination'") == ["waived"]
    assert [net for *_, net in await story.lines()] == [10000, 10000]
    await story.nothing_more_is_due()


async def test_P17_withdrawing_before_the_contract_allows_an_end_costs_the_fee_too(story: Story) -> None:
    fibre = await a_contract(story)
    await story.months_pass(2)
    await charge_termination(story.scope, fibre, day("2027-06-01"))
    await terminate(story.scope, fibre, day("2027-06-01"))

    given_up = await withdraw_subscription(story.scope, fibre)
    await story.bill()

    assert given_up.fee_minor == 5000
    assert await values("SELECT state FROM charge WHERE kind = 'termination' ORDER BY id") == ["waived", "invoiced"]
    assert (await story.lines())[-1] == ("Fibre: early termination", None, None, 5000)
    await story.nothing_more_is_due()


async def test_P17_withdrawing_costs_no_fee_that_is_waived_nor_once_the_contract_is_over_nor_in_a_test_time(
    story: Story,
) -> None:
    fibre = await a_contract(story, trial_days=14, at_trial_end="convert")
    waived = await withdraw_subscription(story.scope, fibre, waive_fee=True)
    over = await story.subscribes("fibre", starting="2027-01-01")
    story.on("2028-01-01")
    free = await withdraw_subscription(story.scope, over)
    trial = await withdraw_subscription(story.scope, await story.tries("fibre", again=True))
    await story.bill()

    assert (waived.fee_minor, free.fee_minor, trial.fee_minor) == (0, 0, 0)
    assert await values("SELECT id FROM charge WHERE kind = 'termination'") == []
    await story.nothing_more_is_due()


async def test_P17_cancelling_at_the_expiry_never_costs_the_fee_it_ends_with_the_contract(story: Story) -> None:
    fibre = await a_contract(story)
    await story.months_pass(2)

    ends_on = await cancel_subscription(story.scope, fibre)
    await story.months_pass(11)

    assert (str(ends_on), await termination_fee(story.scope, fibre, ends_on)) == ("2028-01-01", 0)
    assert await values("SELECT id FROM charge WHERE kind = 'termination'") == []
    await story.nothing_more_is_due()


async def test_P17_a_test_time_binds_nobody_and_its_contract_begins_when_it_is_over(story: Story) -> None:
    await a_contract(story, trial_days=14, at_trial_end="convert")
    await withdraw_subscription(story.scope, 1, waive_fee=True)
    fibre = await story.tries("fibre", again=True)
    tried = await termination_fee(story.scope, fibre, story.today)
    await story.months_pass(1)

    fee = await termination_fee(story.scope, fibre, story.today)
    ends_on = await cancel_subscription(story.scope, fibre)

    assert (tried, fee, str(ends_on)) == (0, 5000, "2028-01-15")
    await story.nothing_more_is_due()


# -- modules that need a plan -----------------------------------------------------------------------------------------


async def test_P19_a_module_takes_the_anchor_of_the_plan_that_it_needs_and_ends_with_it(story: Story) -> None:
    await story.begins("2027-01-10")
    await story.taxes(0)
    await story.sells("fibre", 10000)
    plans = await value("SELECT id FROM product_group WHERE code = 'plans'")
    await story.sells("tv", 3100, kind="module", requires_group_id=plans)
    with pytest.raises(Conflict, match="needs another product"):
        await story.subscribes("tv")
    fibre = await story.subscribes("fibre")
    await story.bill()
    story.on("2027-01-20")

    tv = await story.subscribes("tv")
    await story.days_pass(30)
    await terminate(story.scope, fibre, day("2027-03-10"))
    await story.days_pass(30)

    assert (await get_subscription(story.scope, tv)).anchor_on == day("2027-01-10")
    assert [line for line in await story.lines() if line[0] == "Tv"] == [
        ("Tv", "2027-01-20", "2027-02-10", 2100),
        ("Tv", "2027-02-10", "2027-03-10", 3100),
    ]
    assert [await story.state_of(each) for each in (fibre, tv)] == ["ended", "ended"]
    await story.nothing_more_is_due()


# -- introductory prices ----------------------------------------------------------------------------------------------


async def introduced(story: Story, on: str = "2027-01-01", **fields: object) -> None:
    """Fibre for 100.00 a month, the first two for 40.00."""
    await story.begins(on, billing_day=fields.pop("billing_day", None))
    await story.taxes(0)
    await story.sells("fibre", 10000, **fields)
    story.prices["fibre"] = await set_price(
        story.scope,
        story.products["fibre"],
        NewPrice(cycle_unit="month", amount_minor=10000, intro_minor=4000, intro_cycles=2, valid_from=date(2000, 1, 1)),
    )


async def test_P18_an_introductory_price_holds_for_the_first_cycles(story: Story) -> None:
    await introduced(story)
    await story.subscribes("fibre")
    await story.months_pass(3)

    assert [net for *_, net in await story.lines()] == [4000, 4000, 10000, 10000]
    await story.nothing_more_is_due()


async def test_P18_a_part_before_the_first_full_cycle_is_at_the_introductory_price_too(story: Story) -> None:
    await introduced(story, "2027-01-22", billing_day=1)
    await story.subscribes("fibre", quantity_e6=2_000_000)
    await story.days_pass(80)

    assert [net for *_, net in await story.lines()] == [2581, 8000, 8000, 20000]
    await story.nothing_more_is_due()


async def test_P18_invoiced_first_it_is_counted_from_the_day_that_is_paid(story: Story) -> None:
    await introduced(story, activation="invoice_first")
    fibre, invoice = await story.asks_for("fibre")
    story.on("2027-01-25")
    await story.pays(4000, invoice)
    await story.months_pass(3)

    assert [net for *_, net in await story.lines()] == [4000, 4000, 10000, 10000]
    assert str((await list_discounts(fibre))[0].until_on) == "2027-03-25"
    await story.nothing_more_is_due()


async def test_P18_a_trial_begins_with_it_when_the_test_time_is_over(story: Story) -> None:
    await introduced(story, trial_days=20, at_trial_end="convert")
    await story.tries("fibre")
    await story.months_pass(4)

    assert [net for *_, net in await story.lines()] == [4000, 4000, 10000, 10000]
    await story.nothing_more_is_due()


async def test_P18_a_trial_that_goes_on_at_another_price_leaves_its_introduction_behind(story: Story) -> None:
    await introduced(story, trial_days=20, at_trial_end="end")
    yearly = await story.sells("fibre", 90000, "year")
    fibre = await story.tries("fibre")
    story.prices["yearly"] = yearly

    invoice = await story.asks_for_trial(fibre, "yearly")

    assert (await story.document(invoice)).total_minor == 90000
    assert await list_discounts(fibre) == []


async def test_P18_a_price_that_was_agreed_is_no_introduction_and_half_an_introduction_is_refused(
    story: Story,
) -> None:
    await introduced(story)
    await story.subscribes("fibre", amount_minor=7000)
    await story.bill()

    assert [net for *_, net in await story.lines()] == [7000]
    for wrong in (
        {"intro_minor": 4000},
        {"intro_cycles": 2},
        {"intro_minor": 10001, "intro_cycles": 2},
    ):
        with pytest.raises(Invalid):
            await set_price(
                story.scope, story.products["fibre"], NewPrice(cycle_unit="month", amount_minor=10000, **wrong)
            )


# -- discounts of what runs -------------------------------------------------------------------------------------------


async def test_P18_a_discount_is_added_with_the_next_period_and_removed_with_another(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("fibre", 10000)
    fibre = await story.subscribes("fibre")
    await story.days_pass(10)

    begins = await add_discount(story.scope, fibre, percent(10))
    await story.months_pass(1)
    await add_discount(story.scope, fibre, off(500))
    await story.months_pass(1)
    await remove_discount(story.scope, fibre, (await list_discounts(fibre))[0].id)
    await story.months_pass(1)

    assert str(begins) == "2027-02-01"
    assert [net for *_, net in await story.lines()] == [10000, 9000, 8500, 9500]
    await story.expects("discount_removed", on=["2027-03-11"])
    await story.nothing_more_is_due()


async def test_P18_a_discount_ends_on_its_day_or_after_its_cycles_and_never_below_nothing(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("fibre", 10000)
    fibre = await story.subscribes("fibre")
    await story.days_pass(10)

    await add_discount(story.scope, fibre, NewDiscount(percent_e6=50_000_000, cycles=2))
    await add_discount(story.scope, fibre, off(9000, until="2027-03-01"))
    await story.months_pass(4)

    assert [net for *_, net in await story.lines()] == [10000, 5000, 10000, 10000]
    assert await values("SELECT amount_minor FROM charge WHERE state = 'waived'") == [0]
    await story.nothing_more_is_due()


async def test_P18_in_arrears_the_running_cycle_keeps_its_price(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("fibre", 10000, timing="arrears")
    fibre = await story.subscribes("fibre")
    await story.days_pass(10)

    begins = await add_discount(story.scope, fibre, percent(20))
    await story.months_pass(2)

    assert str(begins) == "2027-02-01"
    assert [net for *_, net in await story.lines()] == [10000, 8000]
    await story.nothing_more_is_due()


async def test_P18_one_discount_for_everything_that_a_customer_has(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("fibre", 10000)
    await story.sells("tv", 3000, kind="module")
    with pytest.raises(Conflict, match="nothing"):
        await add_discount_to_all(story.scope, story.customer, percent(10))
    mine = [await story.subscribes(each) for each in ("fibre", "tv")]
    free = await story.gets_free("tv")

    given = await add_discount_to_all(story.scope, story.customer, percent(10))
    await story.bill()

    assert given == mine
    assert free not in given
    assert [net for *_, net in await story.lines()] == [9000, 2700]
    with pytest.raises(Invalid, match="later day"):
        await add_discount(story.scope, mine[0], percent(10, until="2027-01-20"))
    with pytest.raises(Conflict, match="Nothing of it is charged"):
        await add_discount(story.scope, free, percent(10))
    await story.nothing_more_is_due()
