"""What is billed next is shown as the run will make it, and nothing is written."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest

from core.activity.asking import rehearsal
from core.activity.unit import unit_of_work
from core.billing.actions import issue
from core.billing.actions.pausing import pause
from core.billing.actions.setup import default_seller
from core.billing.numbering import take_numbers
from core.billing.queries import list_documents
from core.billing.schemas import DocumentDetail
from core.billing.upcoming import Upcoming, at_a_glance, next_invoices, upcoming_invoices
from core.database import spawn, value
from core.subscriptions.actions import cancel_at_expiry
from core.subscriptions.schemas import NewPause
from tests.books import a_customer, day
from tests.stories.story import Story
from tests.stories.test_prepaid import a_prepaid_plan, prepays


async def _glance(story: Story) -> list[tuple[str, str, int, bool]]:
    found = next_invoices(await at_a_glance(story.scope, story.customer), story.today)
    return [(each.on.isoformat(), each.currency, each.amount_minor, each.with_tax) for each in found]


async def test_P14_the_next_three_invoices_are_those_that_the_runs_then_make(story: Story) -> None:
    await story.begins("2027-01-10", billing_day=31)
    await story.taxes(200_000)
    await story.sells("line", 3_100)
    await story.sells("tv", 1_000, kind="module", tax_inclusive=True)
    await story.subscribes("line")
    await story.subscribes("tv")
    await story.bill()
    await story.is_charged("Visit", 500)
    before = await value("SELECT count(*) FROM charge")

    shown = await upcoming_invoices(story.scope, story.customer)
    untouched = await value("SELECT count(*) FROM charge")
    made = []
    for each in shown:
        story.on(each.on)
        await story.bill()
        last = await story.last_document()
        made.append((last.issued_on, last.net_minor, last.tax_minor, last.total_minor, len(last.lines)))

    assert untouched == before
    assert [(e.on, e.net_minor, e.tax_minor, e.total_minor, len(e.lines)) for e in shown] == made
    assert [each.on for each in shown] == [day("2027-01-10"), day("2027-01-31"), day("2027-02-28")]
    await story.nothing_more_is_due()


async def test_P14_as_a_run_on_a_day_would_bill_it(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("line", 3_000)
    await story.subscribes("line")

    (all_of_it,) = await upcoming_invoices(story.scope, story.customer, day("2027-03-15"))

    assert [line.period_from for line in all_of_it.lines] == [day("2027-01-01"), day("2027-02-01"), day("2027-03-01")]
    assert all_of_it.total_minor == 9_000


async def test_P14_the_head_says_when_and_how_much_next(story: Story) -> None:
    await story.begins("2027-01-20", billing_day=1)
    await story.taxes(200_000)
    nothing = await _glance(story)
    await story.sells("line", 3_100)
    await story.subscribes("line")
    first = await _glance(story)
    await story.bill()
    then = await _glance(story)
    await story.is_charged("Visit", 500)
    charged = await _glance(story)

    assert nothing == []
    assert first == [("2027-01-20", "EUR", 1_200, False)]  # 12 of 31 days
    assert then == [("2027-02-01", "EUR", 3_100, False)]
    assert charged == [("2027-02-01", "EUR", 3_600, False)]


async def test_P14_what_ends_before_it_is_due_is_not_announced(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("line", 3_000, tax_inclusive=True)
    subscription_id = await story.subscribes("line")
    await story.bill()
    with_tax = await _glance(story)

    await cancel_at_expiry(story.scope, subscription_id)

    assert with_tax == [("2027-02-01", "EUR", 3_000, True)]
    assert await _glance(story) == []
    assert await upcoming_invoices(story.scope, story.customer) == []


async def test_P14_what_one_prepaid_renewal_takes_is_missing_for_the_next(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.sells("mail", 1250, "day", 10, kind="module")
    await story.pays(4900)
    await prepays(story, "plan")
    await prepays(story, "mail")
    story.on("2027-03-02")

    shown = await upcoming_invoices(story.scope, story.customer, day("2027-03-11"))

    assert (await story.money()).balance == "10.00"
    assert [(e.total_minor, e.prepaid, e.missing_minor) for e in shown] == [(2400, True, 1400), (1500, True, 1500)]


async def test_P14_prepaid_renewals_are_in_it_covered_or_with_what_is_missing(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(5000)
    plan = await prepays(story, "plan")
    before = [await value(f"SELECT count(*) FROM {each}") for each in ("document", "credit_entry", "prepaid_renewal")]

    shown = await upcoming_invoices(story.scope, story.customer)

    assert await _glance(story) == [("2027-03-11", "EUR", 2000, False)]
    assert [(e.on, e.total_minor, e.prepaid, e.missing_minor) for e in shown] == [
        (day("2027-03-11"), 2400, True, 0),
        (day("2027-03-21"), 2400, True, 2200),
        (day("2027-03-31"), 2400, True, 2400),
    ]
    assert [line.period_from for line in shown[0].lines] == [day("2027-03-11")]
    after = [await value(f"SELECT count(*) FROM {each}") for each in ("document", "credit_entry", "prepaid_renewal")]
    assert after == before
    assert await story.state_of(plan) == "active"
    await story.days_pass(10)
    assert (await story.last_document()).total_minor == shown[0].total_minor


@pytest.mark.parametrize("scope", ["postgresql"], indirect=True)
async def test_P14_who_issues_meanwhile_does_not_wait_for_it_nor_it_for_somebody(story: Story) -> None:
    """On SQLite one writes at a time, whatever it is about."""
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("line", 3_000)
    await story.subscribes("line")
    seller = (await default_seller(story.scope)).id

    async with unit_of_work(story.scope):
        await take_numbers("invoice", seller, story.today, 1)
        async with asyncio.timeout(10):
            shown = await spawn(upcoming_invoices(story.scope, story.customer))
    async with rehearsal(story.scope):
        await issue(story.scope, await story.drafts(("Cable", 10000)))
        async with asyncio.timeout(10):
            taken = await spawn(_takes(story, seller))

    assert len(shown) == 3
    assert taken == 2


async def _takes(story: Story, seller: int) -> int:
    async with unit_of_work(story.scope):
        return (await take_numbers("invoice", seller, story.today, 1)).first


async def _as_shown(story: Story, shown: list[Upcoming]) -> None:
    """The runs of these days make just these invoices and credit notes."""
    latest = (await story.last_document()).id
    await story.days_pass((shown[-1].on - story.today).days)
    rows = await list_documents(story.scope, payer_id=story.customer, limit=50)
    made = [await story.document(each.id) for each in reversed(rows) if each.id > latest]

    assert [_told(each.on, each) for each in shown] == [_told(each.issued_on, each) for each in made]


def _told(on: date | None, each: Upcoming | DocumentDetail) -> tuple[date | None, str, int, list[str]]:
    return on, each.kind, each.total_minor, [line.description for line in each.lines]


async def test_P14_a_change_that_is_planned_is_in_the_invoices_from_its_day_on(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await story.sells("small", 3_000, rank=1)
    await story.sells("small", 30_000, per="year")
    await story.sells("large", 9_000, rank=2)
    large = await story.subscribes("large")
    await story.bill()
    await story.changes(large, "small")

    downgraded = await upcoming_invoices(story.scope, story.customer)
    await story.changes(large, "small 1 year", on="2027-02-11")
    yearly = await upcoming_invoices(story.scope, story.customer)

    assert [(each.on, each.total_minor) for each in downgraded] == [
        (day(f"2027-0{month}-01"), 3_600) for month in (2, 3, 4)
    ]
    assert [(str(each.on), each.kind, each.net_minor) for each in yearly] == [
        ("2027-02-01", "invoice", 9_000),
        ("2027-02-11", "credit_note", 5_786),
        ("2027-02-11", "invoice", 30_000),
        ("2028-02-11", "invoice", 30_000),
    ]
    await _as_shown(story, yearly)
    await story.nothing_more_is_due()


async def test_P14_a_pause_that_is_planned_leaves_its_days_out_and_its_fee_in(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("line", 3_100)
    line = await story.subscribes("line")
    await story.bill()
    await pause(story.scope, line, NewPause(from_on=day("2027-01-22"), to_on=day("2027-03-11"), hold_minor=500))

    shown = await upcoming_invoices(story.scope, story.customer)

    assert [(str(each.on), each.kind, each.net_minor) for each in shown] == [
        ("2027-01-22", "credit_note", 1_000),
        ("2027-01-22", "invoice", 500),
        ("2027-03-11", "invoice", 2_100),
        ("2027-04-01", "invoice", 3_100),
    ]
    await _as_shown(story, shown)
    await story.nothing_more_is_due()


async def test_P14_what_a_child_has_planned_is_in_its_payer_s_invoices(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("small", 3_000, rank=1)
    await story.sells("large", 9_000, rank=2)
    child = await a_customer(story.scope, parent_id=story.customer, payer_id=story.customer)
    large = await story.subscribes("large", customer_id=child)
    await story.bill()
    await story.changes(large, "small")

    shown = await upcoming_invoices(story.scope, story.customer)

    assert [each.total_minor for each in shown] == [3_000] * 3
    assert await upcoming_invoices(story.scope, child) == []
    await _as_shown(story, shown)
    await story.nothing_more_is_due()
