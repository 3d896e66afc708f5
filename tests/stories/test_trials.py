"""The test time of a product: each way in which it ends, and that it is given once (domain.md, Trial)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from core.billing.trial_mail import TRIAL_ENDS, tell_trials
from core.catalog.actions import create_group, set_price
from core.catalog.schemas import NewGroup, NewPrice
from core.customers.queries import get_customer
from core.database import rows, value
from core.errors import Conflict
from core.messages.words import fields_from, fill
from core.subscriptions.actions import cancel_at_expiry, terminate, undo_cancellation, withdraw
from core.subscriptions.queries import get_subscription
from tests.books import day
from tests.stories.story import Money

if TYPE_CHECKING:
    from tests.stories.story import Story


async def test_P5_a_trial_that_ends_leaves_nothing_to_pay(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, trial_days=14)

    fibre = await story.tries("fibre")
    assert await story.state_of(fibre) == "trial"
    assert (await get_customer(story.scope, story.customer)).status == "active"
    await story.days_pass(13)
    assert await story.state_of(fibre) == "trial"
    await story.days_pass(10)

    assert await story.state_of(fibre) == "ended"
    await story.expects("subscription_ended", on=["2027-05-15"])
    assert await story.papers() == []
    assert await story.spans(fibre) == [("2027-05-01", "2027-05-15", "trial")]
    await story.nothing_more_is_due()


async def test_P5_a_trial_that_converts_is_invoiced_from_its_first_charged_day(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, trial_days=14, at_trial_end="convert")

    fibre = await story.tries("fibre")
    await story.months_pass(2)

    assert await story.state_of(fibre) == "active"
    await story.expects("trial_ended", on=["2027-05-15"])
    assert await story.lines() == [
        ("Fibre", "2027-05-15", "2027-06-15", 3000),
        ("Fibre", "2027-06-15", "2027-07-15", 3000),
    ]
    assert await story.papers() == [("2027-05-15", "36.00", "overdue"), ("2027-06-15", "36.00", "overdue")]
    await story.nothing_more_is_due()


async def test_behind_a_trial_a_first_part_runs_to_the_billing_day(story: Story) -> None:
    await story.begins("2027-05-01", billing_day=1)
    await story.sells("fibre", 3100, trial_days=14, at_trial_end="convert")

    await story.tries("fibre")
    await story.months_pass(1)

    assert await story.lines() == [
        ("Fibre", "2027-05-15", "2027-06-01", 1700),
        ("Fibre", "2027-06-01", "2027-07-01", 3100),
    ]
    await story.nothing_more_is_due()


async def test_a_trial_that_is_invoiced_first_waits_from_its_end_for_the_money(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, trial_days=14, at_trial_end="invoice_first", activation="invoice_first")

    fibre = await story.tries("fibre")
    await story.days_pass(14)
    assert await story.state_of(fibre) == "pending"
    assert await story.lines() == [("Fibre", None, None, 3000)]
    await story.days_pass(3)
    await story.pays(3600)

    live = await get_subscription(story.scope, fibre)
    assert (live.state, live.next_from, live.next_to) == ("active", day("2027-06-18"), day("2027-07-18"))
    assert await story.spans(fibre) == [
        ("2027-05-01", "2027-05-15", "trial"),
        ("2027-05-15", "2027-05-18", "trial"),
    ]
    await story.days_pass(31)
    assert await story.papers() == [("2027-05-15", "36.00", "paid"), ("2027-06-18", "36.00", "open")]
    await story.nothing_more_is_due()


async def test_a_trial_whose_invoice_nobody_pays_is_over_after_the_pending_days(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, trial_days=14, at_trial_end="invoice_first", pending_days=10)

    fibre = await story.tries("fibre")
    await story.days_pass(24)
    assert await story.state_of(fibre) == "pending"
    await story.days_pass(1)

    assert await story.state_of(fibre) == "ended"
    await story.expects("subscription_ended", on=["2027-05-26"])
    assert await story.papers() == [("2027-05-15", "36.00", "credited")]
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_an_invoice_settled_during_the_trial_keeps_the_rest_of_it(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, trial_days=14)

    fibre = await story.tries("fibre")
    story.on("2027-05-05")
    invoice = await story.asks_for_trial(fibre)
    await story.pays(3600, invoice)
    assert await story.state_of(fibre) == "trial"
    assert (await get_subscription(story.scope, fibre)).next_from == day("2027-06-15")
    await story.days_pass(10)

    assert await story.state_of(fibre) == "active"
    await story.days_pass(31)
    assert await story.papers() == [("2027-05-05", "36.00", "paid"), ("2027-06-15", "36.00", "open")]
    (following,) = (await story.lines())[1:]
    assert following == ("Fibre", "2027-06-15", "2027-07-15", 3000)
    await story.nothing_more_is_due()


async def test_an_invoice_of_a_trial_that_is_still_open_at_its_end_makes_it_wait(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, trial_days=14, pending_days=10)

    fibre = await story.tries("fibre")
    story.on("2027-05-05")
    invoice = await story.asks_for_trial(fibre)
    await story.pays(1600, invoice)
    await story.days_pass(9)
    assert await story.state_of(fibre) == "trial"
    await story.days_pass(1)
    assert await story.state_of(fibre) == "pending"

    story.on("2027-05-20")
    await story.pays(2000)

    live = await get_subscription(story.scope, fibre)
    assert (live.state, live.next_from) == ("active", day("2027-06-20"))
    assert await story.spans(fibre) == [
        ("2027-05-01", "2027-05-15", "trial"),
        ("2027-05-15", "2027-05-20", "trial"),
    ]
    await story.nothing_more_is_due()


async def test_an_invoice_of_a_trial_that_nobody_pays_ends_it_after_the_pending_days(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, trial_days=14, pending_days=10)

    fibre = await story.tries("fibre")
    story.on("2027-05-05")
    invoice = await story.asks_for_trial(fibre)
    await story.pays(1600, invoice)
    await story.days_pass(30)

    assert await story.state_of(fibre) == "ended"
    await story.expects("subscription_ended", on=["2027-05-26"])
    assert await story.money() == Money("0.00", "16.00", "16.00")
    await story.nothing_more_is_due()


async def test_the_invoice_of_a_trial_may_be_for_another_cycle(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, trial_days=14)
    await story.sells("fibre", 30000, per="year")

    fibre = await story.tries("fibre")
    invoice = await story.asks_for_trial(fibre, "fibre 1 year")
    await story.pays(36000, invoice)
    await story.days_pass(20)

    assert (await get_subscription(story.scope, fibre)).next_from == day("2028-05-15")
    assert await story.papers() == [("2027-05-01", "360.00", "paid")]
    await story.nothing_more_is_due()


async def test_voiding_the_invoice_of_a_trial_lets_it_run_out(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, trial_days=14)

    fibre = await story.tries("fibre")
    invoice = await story.asks_for_trial(fibre)
    await story.voids(invoice)
    await story.days_pass(20)

    assert await story.state_of(fibre) == "ended"
    await story.expects("subscription_ended", on=["2027-05-15"])
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_P5_test_time_is_given_once_a_customer_and_group(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre-100", 3000, trial_days=14)
    await story.sells("fibre-300", 5000, trial_days=14)
    await create_group(story.scope, NewGroup(code="tv", name="TV", one_live=False))
    group_id = int(await value("SELECT id FROM product_group WHERE code = 'tv'"))
    await story.sells("tv", 1000, trial_days=7, kind="module", group_id=group_id)
    await story.sells("cinema", 1000, trial_days=7, kind="module", group_id=group_id)

    first = await story.tries("fibre-100")
    with pytest.raises(Conflict, match="has had its test time"):
        await story.tries("fibre-300")
    await terminate(story.scope, first)
    with pytest.raises(Conflict, match="has had its test time"):
        await story.tries("fibre-300")

    again = await story.tries("fibre-300", again=True, days=3)
    assert (await get_subscription(story.scope, again)).trial_ends_on == day("2027-05-04")
    await story.tries("tv")
    await story.tries("cinema")
    with pytest.raises(Conflict, match="has had its test time"):
        await story.tries("cinema")
    await story.days_pass(10)
    await story.nothing_more_is_due()


async def test_a_cancelled_trial_never_converts_and_an_undone_one_does(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, trial_days=14, at_trial_end="convert")
    await story.sells("tv", 1000, trial_days=14, at_trial_end="convert", kind="module")

    fibre, tv = await story.tries("fibre"), await story.tries("tv")
    assert await cancel_at_expiry(story.scope, fibre) == day("2027-05-15")
    assert await cancel_at_expiry(story.scope, tv) == day("2027-05-15")
    story.on("2027-05-10")
    await undo_cancellation(story.scope, tv)
    await story.days_pass(10)

    assert (await story.state_of(fibre), await story.state_of(tv)) == ("ended", "active")
    assert await story.lines() == [("Tv", "2027-05-15", "2027-06-15", 1000)]
    await story.nothing_more_is_due()


async def test_the_end_of_a_trial_that_ends_by_itself_is_not_undone(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, trial_days=14)

    fibre = await story.tries("fibre")
    with pytest.raises(Conflict, match="ends by itself"):
        await undo_cancellation(story.scope, fibre)
    await withdraw(story.scope, fibre)

    assert await story.state_of(fibre) == "withdrawn"
    await story.days_pass(20)
    assert await story.papers() == []
    await story.nothing_more_is_due()


async def test_P5_another_quantity_in_a_test_time_lengthens_nothing(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, trial_days=30, at_trial_end="convert")
    fibre = await story.tries("fibre", days=7)

    await story.changes(fibre, quantity_e6=2_000_000)
    await story.days_pass(10)

    assert await story.lines() == [("Fibre", "2027-05-08", "2027-06-08", 6000)]
    await story.nothing_more_is_due()


async def test_P4_free_time_keeps_its_end_and_is_invoiced_first_whatever_is_changed_in_it(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(0)
    await story.sells("fibre", 3000, rank=1)
    await story.sells("fibre-l", 5000, rank=2, trial_days=30, at_trial_end="convert")
    fibre = await story.gets_free("fibre", until="2027-05-11", then="invoice_first", price_id=story.prices["fibre"])

    await story.changes(fibre, "fibre-l")
    await story.days_pass(10)

    assert await story.state_of(fibre) == "pending"
    assert await story.lines() == [("Fibre-L", None, None, 5000)]
    assert await story.spans(fibre) == [("2027-05-01", "2027-05-11", "gift")]
    await story.nothing_more_is_due()


async def test_P18_a_longer_test_time_takes_nothing_of_an_introduction_and_has_the_contract_of_its_product(
    story: Story,
) -> None:
    await story.begins("2027-05-01")
    await story.taxes(0)
    given = {"trial_days": 10, "at_trial_end": "convert"}
    await story.sells("fibre", 10000, rank=1, min_term_unit="month", min_term_count=1, **given)
    await story.sells("fibre-l", 20000, rank=2, min_term_unit="year", min_term_count=1, **given | {"trial_days": 31})
    introduced = NewPrice(
        cycle_unit="month", amount_minor=10000, intro_minor=4000, intro_cycles=2, valid_from=day("2000-01-01")
    )
    story.prices["fibre"] = await set_price(story.scope, story.products["fibre"], introduced)
    fibre = await story.tries("fibre")

    await story.changes(fibre, "fibre-l")
    await story.months_pass(4)

    assert [(line[1], line[-1]) for line in await story.lines()] == [
        ("2027-06-01", 14000),
        ("2027-07-01", 14000),
        ("2027-08-01", 20000),
        ("2027-09-01", 20000),
    ]
    assert (await get_subscription(story.scope, fibre)).min_term_ends_on == day("2028-06-01")
    await story.nothing_more_is_due()


class Letter(msgspec.Struct, frozen=True):
    fields: str


async def letters(story: Story, language: str = "en") -> list[str]:
    """What was written about test times, without how it begins and ends."""
    found = await rows(Letter, "SELECT fields FROM message WHERE kind = 'trial_ends' ORDER BY id")
    filled = [
        await fill(story.scope, TRIAL_ENDS, language, fields_from(story.scope, TRIAL_ENDS, each.fields))
        for each in found
    ]
    return [each.text.split("\n")[2] for each in filled]


async def test_P5_before_a_test_time_ends_its_customer_is_reminded_once_of_what_becomes_of_it(story: Story) -> None:
    await story.begins("2027-05-01", billing_emails=["ada@adler.example"])
    for code, then in (("fibre", "end"), ("tv", "convert"), ("mail", "invoice_first")):
        await story.sells(code, 3000, trial_days=14, at_trial_end=then, kind="service", tax_inclusive=code == "mail")
        await story.tries(code)
    await cancel_at_expiry(story.scope, await story.tries("tv", again=True))
    await story.pays(3600, await story.asks_for_trial(await story.tries("fibre", again=True)))
    await story.gets_free("mail", until="2027-05-15", then="invoice_first", price_id=story.prices["mail"])

    told = []
    for on in ("2027-05-11", "2027-05-12", "2027-05-13"):
        story.on(on)
        told.append(await tell_trials(story.scope, story.today))

    assert told == [0, 3, 0]
    assert [text.replace("\N{NO-BREAK SPACE}", " ") for text in await letters(story)] == [
        "your test time of Fibre lasts until 14 May 2027. It ends then, and costs you nothing.",
        "your test time of Tv lasts until 14 May 2027. It goes on from the day after, for €30.00 plus tax, unless you"
        " cancel it before.",
        "your test time of Mail lasts until 14 May 2027. You get an invoice of €30.00 then, and it goes on once that is"
        " paid.",
    ]
    assert all("Ihre Testzeit" in text for text in await letters(story, "de"))


async def test_P5_a_test_time_that_is_lengthened_is_reminded_of_again_and_nobody_where_it_is_so_set(
    story: Story,
) -> None:
    await story.begins("2027-05-01", billing_emails=["ada@adler.example"])
    await story.sells("fibre", 3000, rank=1, trial_days=5, at_trial_end="convert")
    await story.sells("fibre-l", 5000, rank=2, trial_days=20, at_trial_end="convert")
    fibre = await story.tries("fibre")
    story.on("2027-05-03")
    first = await tell_trials(story.scope, story.today)
    await story.changes(fibre, "fibre-l")
    await story.bills(trial_notice_days=0)
    story.on("2027-05-19")
    off = await tell_trials(story.scope, story.today)

    await story.bills(trial_notice_days=5)
    again = await tell_trials(story.scope, story.today)

    assert (first, off, again) == (1, 0, 1)
    assert "Fibre-L lasts until" in (await letters(story))[-1]
