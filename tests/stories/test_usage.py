"""Usage: a plugin rates it, the next invoice has it, in arrears and once, whatever its subscription does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.billing.status import Charges
from core.billing.upcoming import upcoming_invoices
from core.database import rows, value, values
from core.subscriptions.actions import terminate
from tests.books import day
from tests.stories.metering import metered, with_meter
from tests.stories.test_plugins import Charge

if TYPE_CHECKING:
    from tests.stories.story import Story


async def a_phone(story: Story, **fields: object) -> int:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await story.sells("phone", 1000, **fields)
    await with_meter(story)
    return await story.subscribes("phone", starting="2027-01-01")


async def test_B8_usage_is_charged_in_arrears_with_the_next_invoice(story: Story) -> None:
    """Two invoices: the month ahead alone, then the next month ahead with what was used in the one before."""
    phone = await a_phone(story)
    await story.bill()
    await metered(phone, "2027-01-01", "2027-02-01", 60, 123)
    await metered(phone, "2027-02-01", "2027-03-01", 60, 999)

    story.on("2027-02-01")
    await story.bill()

    assert sorted(await story.lines()) == [
        ("Phone", "2027-01-01", "2027-02-01", 1000),
        ("Phone", "2027-02-01", "2027-03-01", 1000),
        ("Usage", "2027-01-01", "2027-02-01", 123),
    ]
    assert await story.books("4000", "2300") == ["-1.23", "-20.00"]
    await story.nothing_more_is_due()


async def test_P14_what_is_metered_by_now_is_in_the_next_invoice_as_the_run_charges_it(story: Story) -> None:
    phone = await a_phone(story)
    await story.bill()
    await metered(phone, "2027-01-01", "2027-02-01", 60, 123)

    (shown,) = await upcoming_invoices(story.scope, story.customer, day("2027-02-01"))

    assert sorted((line.description, line.net_minor) for line in shown.lines) == [("Phone", 1000), ("Usage", 123)]
    assert await value("SELECT count(*) FROM charge WHERE kind = 'usage'") == 0
    story.on("2027-02-01")
    await story.bill()
    assert (await story.last_document()).total_minor == shown.total_minor


async def test_B8_what_was_charged_under_its_key_never_is_again(story: Story) -> None:
    phone = await a_phone(story)
    await metered(phone, "2027-01-01", "2027-01-02", 1, 50)
    story.on("2027-01-02")

    for __ in range(3):
        await story.bill()
        await story.bill(preview=True)
    document = await value("SELECT max(id) FROM document")
    await story.voids(document)
    await story.bill()

    assert await rows(Charge, "SELECT kind, amount_minor, source_key FROM charge WHERE kind = 'usage'") == [
        Charge("usage", 50, "meter:1")
    ]
    assert await value("SELECT count(*) FROM document WHERE kind = 'invoice'") == 1
    await story.nothing_more_is_due()


async def test_B8_voided_to_be_billed_again_it_is_on_one_invoice_in_force(story: Story) -> None:
    phone = await a_phone(story)
    await metered(phone, "2027-01-01", "2027-01-02", 1, 50)
    story.on("2027-01-02")
    await story.bill()

    await story.voids(await value("SELECT max(id) FROM document"), Charges.BILL_AGAIN.value)
    await story.bill()

    assert sorted(await values("SELECT state FROM charge WHERE kind = 'usage'")) == ["invoiced", "reversed"]
    assert (await story.money()).balance == "-12.60"
    await story.nothing_more_is_due()


async def test_B8_usage_of_what_has_ended_is_still_invoiced(story: Story) -> None:
    phone = await a_phone(story, timing="arrears")
    await metered(phone, "2027-01-01", "2027-01-11", 5, 207)
    await terminate(story.scope, phone, day("2027-01-11"))

    await story.days_pass(10)

    assert sorted(net for *_, net in await story.lines()) == [207, 323]
    assert await story.state_of(phone) == "ended"
    await story.nothing_more_is_due()


async def test_B8_what_is_used_in_a_test_time_or_by_who_is_inactive_is_owed(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(0)
    await story.sells("phone", 1000, trial_days=20, at_trial_end="convert")
    await with_meter(story)
    phone = await story.tries("phone")
    await metered(phone, "2027-01-01", "2027-01-05", 5, 70)
    await story.days_pass(5)
    await story.becomes("inactive")
    await metered(phone, "2027-01-05", "2027-01-08", 5, 30)

    await story.days_pass(5)

    assert [net for *_, net in await story.lines()] == [70, 30]
    await story.nothing_more_is_due()


async def test_B8_usage_of_a_prepaid_customer_is_invoiced_and_lowers_what_is_left_to_renew(story: Story) -> None:
    await story.begins("2027-01-01", billing_type="prepaid")
    await story.taxes(0)
    await story.sells("phone", 1000, "day", 10)
    await with_meter(story)
    await story.pays(2000)
    phone = await story.subscribes("phone")
    await story.bill()
    await metered(phone, "2027-01-01", "2027-01-06", 5, 1)
    story.on("2027-01-06")
    await story.bill()

    story.on("2027-01-11")
    await story.bill()

    assert (await story.money()).balance == "9.99"
    assert await story.state_of(phone) == "suspended"
    await story.nothing_more_is_due()
