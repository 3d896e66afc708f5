"""Bundles: several products under one name at one price, on one invoice, cancelled and paused as a whole (P18)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from core.billing.actions import cancel_subscription, withdraw_subscription
from core.billing.actions.bundling import (
    cancel_bundle,
    change_bundle_quantity,
    invoice_bundle_first,
    keep_bundle,
    pause_bundle,
    resume_bundle,
    suspend_bundle,
    terminate_bundle,
    withdraw_bundle,
)
from core.billing.actions.pausing import pause
from core.billing.actions.periods import edit_period
from core.billing.queries import list_documents
from core.billing.verify import verify
from core.catalog.actions import change_product
from core.catalog.bundles import NewBundle, NewBundlePrice, NewMember, create_bundle, get_bundle, set_bundle_price
from core.catalog.queries import get_product
from core.catalog.schemas import ProductFields
from core.database import execute, value
from core.errors import Conflict, Invalid
from core.subscriptions.actions import suspend
from core.subscriptions.actions.bundling import dissolve, start_bundle
from core.subscriptions.actions.discounting import add_discount, list_discounts, remove_discount
from core.subscriptions.bundles import CustomerBundleRow, NewCustomerBundle, get_customer_bundle
from core.subscriptions.changes import PeriodEdit
from core.subscriptions.schemas import NewDiscount, NewPause
from tests.books import day
from tests.stories.story import percent

if TYPE_CHECKING:
    from tests.stories.story import Story

ONE = 1_000_000
LONG_AGO = date(2000, 1, 1)


async def office(
    story: Story,
    *members: tuple[str, int],
    amount_minor: int = 10000,
    per: str = "month",
    shares: str = "prices",
    weights: tuple[int, ...] = (),
    **price: object,
) -> int:
    """The bundle Office of these products and quantities; gives its id. Its price is kept as `office`."""
    bundle_id = await create_bundle(
        story.scope,
        NewBundle(
            code="office",
            name="Office",
            shares=shares,  # type: ignore[arg-type]  # as the test says it
            members=[
                NewMember(
                    product_id=story.products[code],
                    quantity_e6=quantity * ONE,
                    weight=weights[at] if weights else 0,
                )
                for at, (code, quantity) in enumerate(members)
            ],
            prices=[
                NewBundlePrice(cycle_unit=per, amount_minor=amount_minor, valid_from=LONG_AGO, **price)  # type: ignore[arg-type]  # by name
            ],
        ),
    )
    story.prices["office"] = (await get_bundle(bundle_id)).prices[0].id
    return bundle_id


async def takes(story: Story, bundle_id: int, **fields: object) -> CustomerBundleRow:
    """The customer has the bundle from today on, on account."""
    taken = await start_bundle(story.scope, _order(story, bundle_id, **fields))
    return await get_customer_bundle(story.scope, taken)


def _order(story: Story, bundle_id: int, **fields: object) -> NewCustomerBundle:
    given = {"customer_id": story.customer, "bundle_id": bundle_id, "price_id": story.prices["office"], **fields}
    return NewCustomerBundle(**given)  # type: ignore[arg-type]  # as the test says it


async def three(story: Story, **customer: object) -> int:
    """Fibre 60.00, TV 30.00 at the reduced rate, three mailboxes of 10.00: 120.00, together for 100.00."""
    await story.begins("2027-01-01", **customer)
    await story.taxes(200_000)
    await story.taxes(100_000, "reduced")
    await story.sells("fibre", 6000)
    await story.sells("tv", 3000, kind="module", tax_category="reduced")
    await story.sells("mail", 1000, kind="service")
    return await office(story, ("fibre", 1), ("tv", 1), ("mail", 3))


async def shares(story: Story, taken: CustomerBundleRow) -> list[int]:
    return [each.cycle_minor for each in (await get_customer_bundle(story.scope, taken.id)).parts]


async def test_P18_a_bundle_is_one_price_shared_to_the_cent_each_part_taxed_and_earned_as_its_own_product(
    story: Story,
) -> None:
    taken = await takes(story, await three(story))
    await story.bill()
    invoice = await story.last_document()

    assert await shares(story, taken) == [5000, 2500, 2500]
    assert await story.lines() == [
        ("Office: Fibre", "2027-01-01", "2027-02-01", 5000),
        ("Office: Tv", "2027-01-01", "2027-02-01", 2500),
        ("Office: Mail", "2027-01-01", "2027-02-01", 2500),
    ]
    assert {(each.rate_ppm, each.net_minor, each.tax_minor) for each in invoice.taxes} == {
        (100_000, 2500, 250),
        (200_000, 7500, 1500),
    }
    assert [(each.unit_price_e6, each.quantity_e6, each.discount_minor) for each in invoice.lines] == [
        (60_000_000, ONE, 1000),
        (30_000_000, ONE, 500),
        (10_000_000, 3 * ONE, 500),
    ]
    assert invoice.total_minor == 11750
    await story.months_pass(2)
    by_product = "SELECT CAST(-sum(amount_minor) AS bigint) FROM posting WHERE product_id = :id"
    assert [await value(by_product, id=story.products[code]) for code in ("fibre", "tv", "mail")] == [
        15000,
        7500,
        7500,
    ]
    await story.nothing_more_is_due()


@pytest.mark.parametrize(
    ("amount_minor", "weights", "expected"),
    [
        (10000, (), [5000, 2500, 2500]),
        (9999, (), [4999, 2500, 2500]),
        (10000, (1, 1, 1), [3334, 3333, 3333]),
        (20001, (7, 2, 1), [14001, 4000, 2000]),
        (0, (), [0, 0, 0]),
        (1, (), [1, 0, 0]),
    ],
)
async def test_P18_shares_sum_to_the_price_of_the_bundle_by_own_prices_or_by_weights(
    story: Story, amount_minor: int, weights: tuple[int, ...], expected: list[int]
) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    for code, minor, kind in (("fibre", 6000, "plan"), ("tv", 3000, "module"), ("mail", 1000, "service")):
        await story.sells(code, minor, kind=kind)
    bundle_id = await office(
        story,
        ("fibre", 1),
        ("tv", 1),
        ("mail", 3),
        amount_minor=amount_minor,
        shares="weights" if weights else "prices",
        weights=weights,
    )
    for quantity in (1, 3):
        taken = await takes(story, bundle_id, quantity_e6=quantity * ONE)
        found = await shares(story, taken)
        assert sum(found) == amount_minor * quantity
        assert found == expected or quantity == 3
        await withdraw_bundle(story.scope, taken.id)
    await story.nothing_more_is_due()


async def test_P18_a_first_part_of_a_bundle_is_prorated_and_an_end_with_credit_gives_back_unused_days(
    story: Story,
) -> None:
    bundle_id = await three(story, billing_day=1)
    story.on("2027-01-22")
    taken = await takes(story, bundle_id)
    await story.bill()
    story.on("2027-02-01")
    await story.bill()
    story.on("2027-02-15")
    await terminate_bundle(story.scope, taken.id, story.today, credit=True)

    assert [net for *_, net in await story.lines()][:3] == [1613, 806, 806]
    assert [net for *_, net in await story.lines()][3:] == [5000, 2500, 2500]
    notes = await list_documents(story.scope, kind="credit_note", limit=10)
    assert sum(each.net_minor for each in notes) == 5000
    assert (await get_customer_bundle(story.scope, taken.id)).is_live is False
    await story.nothing_more_is_due()


async def test_P18_all_of_a_bundle_waits_for_one_invoice_and_begins_when_that_is_paid(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    plans = await value("SELECT id FROM product_group WHERE code = 'plans'")
    await story.sells("fibre", 6000, activation="invoice_first", min_term_unit="year", min_term_count=1)
    await story.sells("tv", 3000, kind="module", requires_group_id=plans, activation="invoice_first")
    bundle_id = await office(story, ("fibre", 1), ("tv", 1), amount_minor=8100, setup_minor=1000)
    with pytest.raises(Conflict, match="invoiced first"):
        await takes(story, bundle_id)

    asked = await invoice_bundle_first(story.scope, _order(story, bundle_id))
    waiting = await get_customer_bundle(story.scope, asked.customer_bundle_id)
    story.on("2027-01-10")
    await story.pays(9100, asked.document_id)
    live = await get_customer_bundle(story.scope, asked.customer_bundle_id)
    await story.months_pass(1)

    assert [each.state for each in waiting.parts] == ["pending", "pending"]
    assert [each.state for each in live.parts] == ["active", "active"]
    assert [str(each.min_term_ends_on) for each in live.parts] == ["2028-01-10", "2028-01-10"]
    assert await value("SELECT parent_id FROM subscription WHERE id = :id", id=live.parts[1].id) == live.parts[0].id
    assert [line[0::3] for line in await story.lines()] == [
        ("Office: Fibre", 5400),
        ("Fibre: set-up", 667),
        ("Office: Tv", 2700),
        ("Tv: set-up", 333),
        ("Office: Fibre", 5400),
        ("Office: Tv", 2700),
    ]
    await story.nothing_more_is_due()


async def test_P18_a_bundle_that_is_not_paid_lapses_as_a_whole(story: Story) -> None:
    bundle_id = await three(story)
    asked = await invoice_bundle_first(story.scope, _order(story, bundle_id))
    await story.days_pass(40)

    found = await get_customer_bundle(story.scope, asked.customer_bundle_id)

    assert [each.state for each in found.parts] == ["ended", "ended", "ended"]
    assert [each[2] for each in await story.papers()] == ["credited"]
    await story.nothing_more_is_due()


async def test_P18_a_pending_bundle_is_withdrawn_with_its_invoice(story: Story) -> None:
    asked = await invoice_bundle_first(story.scope, _order(story, await three(story)))

    await withdraw_bundle(story.scope, asked.customer_bundle_id)

    found = await get_customer_bundle(story.scope, asked.customer_bundle_id)
    assert [each.state for each in found.parts] == ["withdrawn"] * 3
    assert [each[2] for each in await story.papers()] == ["credited"]
    await story.nothing_more_is_due()


async def test_P18_a_bundle_is_cancelled_kept_suspended_and_withdrawn_as_a_whole_and_no_part_alone(
    story: Story,
) -> None:
    taken = await takes(story, await three(story))
    await story.bill()
    part = taken.parts[1].id
    (discount,) = await list_discounts(part)
    refused = (
        cancel_subscription(story.scope, part),
        withdraw_subscription(story.scope, part),
        suspend(story.scope, part),
        pause(story.scope, part, NewPause(to_on=day("2027-01-20"))),
        story.changes(part, quantity_e6=2 * ONE),
        edit_period(story.scope, part, PeriodEdit(end_on=day("2027-01-20"))),
        remove_discount(story.scope, part, discount.id),
    )
    for each in refused:
        with pytest.raises(Conflict, match="part of Office"):
            await each

    ends_on = await cancel_bundle(story.scope, taken.id)
    ending = await get_customer_bundle(story.scope, taken.id)
    await keep_bundle(story.scope, taken.id)
    await suspend_bundle(story.scope, taken.id)
    suspended = await get_customer_bundle(story.scope, taken.id)
    await resume_bundle(story.scope, taken.id)
    story.on("2027-01-16")
    given_up = await withdraw_bundle(story.scope, taken.id)

    assert {each.ends_on for each in ending.parts} == {ends_on} == {day("2027-02-01")}
    assert {each.state for each in suspended.parts} == {"suspended"}
    assert given_up.unused_minor == 2581 + 1290 + 1290
    assert {each.state for each in (await get_customer_bundle(story.scope, taken.id)).parts} == {"withdrawn"}
    await story.nothing_more_is_due()


async def test_P18_cancelled_at_its_expiry_a_bundle_is_credited_for_periods_billed_ahead(story: Story) -> None:
    taken = await takes(story, await three(story))
    await story.bill(on="2027-02-01")

    ends_on = await cancel_bundle(story.scope, taken.id)
    notes = await list_documents(story.scope, kind="credit_note", limit=10)
    await story.months_pass(2)

    assert str(ends_on) == "2027-02-01"
    assert sum(each.total_minor for each in notes) == 11750
    assert (await get_customer_bundle(story.scope, taken.id)).state == "ended"
    await story.nothing_more_is_due()


async def test_P18_the_contract_of_the_leading_product_binds_the_bundle_with_one_fee(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("fibre", 6000, min_term_unit="year", min_term_count=1, notice_days=30)
    await story.sells("tv", 3000, kind="module")
    bundle_id = await office(story, ("fibre", 1), ("tv", 1), amount_minor=8000, termination_minor=5000)
    first, second = await takes(story, bundle_id), 0
    await story.months_pass(1)
    ends_on = await cancel_bundle(story.scope, first.id)
    await keep_bundle(story.scope, first.id)

    fee = await terminate_bundle(story.scope, first.id, story.today)
    taken = await takes(story, bundle_id)
    second = (await withdraw_bundle(story.scope, taken.id)).fee_minor
    await story.bill()

    assert (str(ends_on), fee, second) == ("2028-01-01", 5000, 5000)
    assert [line[0::3] for line in (await story.lines())[-4:]] == [
        ("Office: Fibre: early termination", 3333),
        ("Office: Tv: early termination", 1667),
        ("Office: Fibre: early termination", 3333),
        ("Office: Tv: early termination", 1667),
    ]
    await story.nothing_more_is_due()


async def test_P18_a_bundle_is_paused_and_goes_on_as_a_whole_with_one_hold_fee(story: Story) -> None:
    taken = await takes(story, await three(story))
    await story.bill()
    story.on("2027-01-11")

    await pause_bundle(story.scope, taken.id, NewPause(to_on=day("2027-01-21"), hold_minor=500))
    paused = await get_customer_bundle(story.scope, taken.id)
    await story.days_pass(30)

    notes = await list_documents(story.scope, kind="credit_note", limit=10)
    assert {each.state for each in paused.parts} == {"paused"}
    assert {each.state for each in (await get_customer_bundle(story.scope, taken.id)).parts} == {"active"}
    assert sorted(each.net_minor for each in notes) == [806, 806, 1613]
    assert await value("SELECT CAST(sum(amount_minor) AS bigint) FROM charge WHERE kind = 'hold'") == 500
    await story.nothing_more_is_due()


async def test_P18_more_bundles_cost_the_difference_on_one_invoice_and_fewer_hold_from_the_next_period(
    story: Story,
) -> None:
    taken = await takes(story, await three(story))
    await add_discount(story.scope, taken.parts[0].id, percent(10, "2027-03-01"))
    await story.bill()
    story.on("2027-01-16")

    document_id = await change_bundle_quantity(story.scope, taken.id, 2 * ONE)
    assert document_id is not None
    more = await story.document(document_id)
    await story.months_pass(1)
    await change_bundle_quantity(story.scope, taken.id, ONE)
    now = await shares(story, taken)
    await story.months_pass(1)

    assert [(each.description, each.net_minor) for each in more.lines] == [
        ("Office: Fibre, more of it", 2323),
        ("Office: Tv, more of it", 1290),
        ("Office: Mail, more of it", 1290),
    ]
    assert now == [9000, 5000, 5000]
    assert await shares(story, taken) == [5000, 2500, 2500]
    with pytest.raises(Invalid, match="already"):
        await change_bundle_quantity(story.scope, taken.id, ONE)
    await story.nothing_more_is_due()


async def test_P18_more_bundles_lengthen_no_discount_of_some_cycles(story: Story) -> None:
    taken = await takes(story, await three(story))
    lead = taken.parts[0].id
    await add_discount(story.scope, lead, NewDiscount(percent_e6=10_000_000, cycles=2))
    before = [each.until_on for each in await list_discounts(lead)]
    await story.bill()
    story.on("2027-01-16")

    await change_bundle_quantity(story.scope, taken.id, 2 * ONE)

    assert [each.until_on for each in await list_discounts(lead)] == before == [None, day("2027-03-01")]
    await story.nothing_more_is_due()


async def test_P18_fewer_that_are_to_come_are_made_more_again_and_no_day_is_charged_twice(story: Story) -> None:
    taken = await takes(story, await three(story), quantity_e6=3 * ONE)
    await story.bill()
    story.on("2027-01-11")
    await change_bundle_quantity(story.scope, taken.id, ONE)
    story.on("2027-01-16")

    # Three are paid for until the end of the month: two, and three again, are no more than that.
    fewer = await change_bundle_quantity(story.scope, taken.id, 2 * ONE)
    as_before = await change_bundle_quantity(story.scope, taken.id, 3 * ONE)
    await change_bundle_quantity(story.scope, taken.id, 2 * ONE)
    more_id = await change_bundle_quantity(story.scope, taken.id, 4 * ONE)
    await change_bundle_quantity(story.scope, taken.id, 2 * ONE)
    await story.months_pass(1)

    assert (fewer, as_before) == (None, None)
    assert more_id is not None
    assert [(each.description, each.net_minor) for each in (await story.document(more_id)).lines] == [
        ("Office: Fibre, more of it", 2581),
        ("Office: Tv, more of it", 1290),
        ("Office: Mail, more of it", 1290),
    ]
    assert await shares(story, taken) == [10000, 5000, 5000]
    assert [line for line in await story.lines() if line[1] == "2027-02-01"] == [
        ("Office: Fibre", "2027-02-01", "2027-03-01", 10000),
        ("Office: Tv", "2027-02-01", "2027-03-01", 5000),
        ("Office: Mail", "2027-02-01", "2027-03-01", 5000),
    ]
    await story.nothing_more_is_due()


async def test_P18_what_rounding_takes_off_a_share_comes_and_goes_with_the_quantity(story: Story) -> None:
    await story.begins("2027-01-01")
    for code in ("fibre", "tv", "mail"):
        await story.sells(code, 0, kind="service")
    bundle_id = await office(
        story, ("fibre", 1), ("tv", 1), ("mail", 1), amount_minor=1001, shares="weights", weights=(1, 1, 1)
    )
    taken = await takes(story, bundle_id, quantity_e6=3 * ONE)
    await story.bill()

    # Of one nothing is taken off two of the parts; of two it is, and holds though one was to come.
    await change_bundle_quantity(story.scope, taken.id, ONE)
    await change_bundle_quantity(story.scope, taken.id, 2 * ONE)
    assert await verify(story.scope) == []
    await story.months_pass(1)

    assert await shares(story, taken) == [668, 667, 667]
    assert [line[3] for line in await story.lines()] == [1001, 1001, 1001, 668, 667, 667]
    await story.nothing_more_is_due()


async def test_P18_a_dissolved_bundle_goes_on_in_parts_at_their_own_prices_from_the_next_period(story: Story) -> None:
    taken = await takes(story, await three(story))
    await story.bill()

    from_on = await dissolve(story.scope, taken.id)
    before = [each.cycle_minor for each in (await get_customer_bundle(story.scope, taken.id)).parts]
    await story.months_pass(1)
    await cancel_subscription(story.scope, taken.parts[1].id)

    assert (str(from_on), before) == ("2027-02-01", [])
    assert (await story.lines())[3:] == [
        ("Fibre", "2027-02-01", "2027-03-01", 6000),
        ("Tv", "2027-02-01", "2027-03-01", 3000),
        ("Mail", "2027-02-01", "2027-03-01", 3000),
    ]
    with pytest.raises(Conflict, match="dissolved"):
        await cancel_bundle(story.scope, taken.id)
    await story.nothing_more_is_due()


async def test_P18_a_new_price_of_a_bundle_or_of_a_product_in_it_is_for_new_ones(story: Story) -> None:
    bundle_id = await three(story)
    taken = await takes(story, bundle_id)
    await story.bill()
    await set_bundle_price(story.scope, bundle_id, NewBundlePrice(cycle_unit="month", amount_minor=9000))
    story.prices["office"] = (await get_bundle(bundle_id)).prices[0].id
    await story.months_pass(1)
    await withdraw_bundle(story.scope, taken.id)
    again = await takes(story, bundle_id)
    billed = [net for *_, net in await story.lines()]
    await story.bill()

    assert billed == [5000, 2500, 2500] * 2
    assert [net for *_, net in (await story.lines())[-3:]] == [4500, 2250, 2250]
    assert await shares(story, again) == [4500, 2250, 2250]
    await story.nothing_more_is_due()


async def test_P18_prices_with_tax_in_them_are_shared_gross(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await story.taxes(100_000, "reduced")
    await story.sells("fibre", 6000, tax_inclusive=True)
    await story.sells("tv", 3000, kind="module", tax_category="reduced", tax_inclusive=True)
    taken = await takes(story, await office(story, ("fibre", 1), ("tv", 1), amount_minor=7500, tax_inclusive=True))
    await story.bill()

    assert await shares(story, taken) == [5000, 2500]
    assert (await story.last_document()).total_minor == 7500
    await story.nothing_more_is_due()


async def test_P18_one_invoice_for_each_subscription_keeps_a_bundle_together(story: Story) -> None:
    bundle_id = await three(story)
    await story.bills(invoice_per="subscription")
    await takes(story, bundle_id)
    await story.sells("phone", 500, kind="service")
    await story.subscribes("phone")
    await story.bill()

    assert sorted(total for _day, total, _state in await story.papers()) == ["117.50", "6.00"]
    await story.nothing_more_is_due()


async def test_P18_what_cannot_be_billed_as_one_is_no_bundle(story: Story) -> None:
    bundle_id = await three(story)
    await story.sells("basic", 1000)
    await story.sells("later", 1000, kind="service", timing="arrears")
    for codes, told in (
        (("fibre", "basic"), "one of Plans at a time"),
        (("fibre", "later"), "not billed as Fibre"),
        (("fibre", "fibre"), "once"),
    ):
        with pytest.raises(Invalid, match=told):
            await create_bundle(
                story.scope,
                NewBundle(
                    code="other", name="Other", members=[NewMember(product_id=story.products[each]) for each in codes]
                ),
            )
    tv = await get_product(story.products["tv"])
    fields = {name: getattr(tv, name) for name in ("name", "tax_category")}
    await change_product(story.scope, tv.id, ProductFields(**fields, timing="arrears"), version=tv.version)
    with pytest.raises(Conflict, match="not billed as Fibre"):
        await takes(story, bundle_id)
    await change_product(story.scope, tv.id, ProductFields(**fields), version=tv.version + 1)
    await story.subscribes("fibre")
    with pytest.raises(Conflict, match="has Fibre already"):
        await takes(story, bundle_id)
    assert await value("SELECT count(*) FROM customer_bundle") == 0


async def test_P18_verify_tells_of_shares_that_do_not_come_to_the_price_of_their_bundle(story: Story) -> None:
    taken = await takes(story, await three(story))
    assert await verify(story.scope) == []
    await execute("UPDATE customer_bundle SET amount_minor = amount_minor + 1 WHERE id = :id", id=taken.id)

    assert [each.example for each in await verify(story.scope)] == [f"bundle {taken.id}"]
