"""A payer that cannot be billed is set aside with the reason; the run goes on, and the next one tries again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.billing.previews import preview_payer
from core.billing.queries import list_parked
from core.billing.verify import verify
from core.catalog.actions import create_tax_category
from core.catalog.schemas import NewTaxCategory
from core.database import execute
from core.subscriptions.actions import waive_charge, withdraw
from tests.books import a_customer, day

if TYPE_CHECKING:
    from tests.stories.story import Story


async def test_without_a_tax_rate_it_waits_and_others_are_billed(story: Story) -> None:
    await story.begins("2027-05-01")
    await create_tax_category(story.scope, NewTaxCategory(code="telecom", name="Telecom"))
    await story.sells("fibre", 3000, tax_category="telecom")
    await story.sells("tv", 1000)
    other = await a_customer(story.scope, "Ben Berger")
    await story.subscribes("fibre")
    await story.subscribes("tv", customer_id=other)

    report = await story.bill()
    assert [(each.payer_id, each.reason) for each in report.parked] == [(story.customer, "no_tax_rate")]
    assert "Enter it under Taxes" in report.parked[0].detail
    assert await story.papers() == [("2027-05-01", "12.00", "open")]
    assert [each.payer for each in await list_parked(story.scope)] == ["Ada Adler"]

    await story.taxes(250_000, "telecom")
    story.on("2027-05-03")
    await story.bill()
    assert await story.papers(payer_id=story.customer) == [("2027-05-03", "37.50", "open")]
    assert await list_parked(story.scope) == []
    await story.nothing_more_is_due()


async def test_without_a_rate_of_exchange_it_waits(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.sells("fibre", 3000, currency="USD")
    await story.subscribes("fibre")

    report = await story.bill()
    assert [each.reason for each in report.parked] == ["no_fx_rate"]
    await story.rate("USD", "0.9", since="2027-04-30")
    await story.bill()

    assert await story.papers() == [("2027-05-01", "36.00", "open")]
    assert await list_parked(story.scope) == []
    await story.nothing_more_is_due()


async def test_without_a_rate_of_exchange_a_payer_waits_once_however_much_is_due_and_others_are_billed(
    story: Story,
) -> None:
    await story.begins("2027-05-01", currency="USD")
    other = await a_customer(story.scope, "Ben Berger")
    await story.is_charged("Visit", 500, customer_id=other)
    for name, amount, kind in (("fibre", 3000, "plan"), ("tv", 1000, "module")):
        await story.sells(name, amount, currency="USD", kind=kind)
        await story.subscribes(name)

    report = await story.bill()
    assert [(each.payer_id, each.reason) for each in report.parked] == [(story.customer, "no_fx_rate")]
    assert await story.papers(payer_id=other) == [("2027-05-01", "6.00", "open")]
    await story.rate("USD", "0.9", since="2027-04-30")
    await story.bill()

    assert await story.papers(payer_id=story.customer) == [("2027-05-01", "48.00", "open")]
    await story.nothing_more_is_due()


async def test_a_total_below_zero_is_not_issued(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    rebate = await story.is_charged("Rebate", -5000)

    report = await story.bill()
    assert [each.reason for each in report.parked] == ["negative_total"]
    await waive_charge(story.scope, rebate)
    await story.bill()

    assert await story.papers() == [("2027-05-01", "36.00", "open")]
    await story.nothing_more_is_due()


async def test_a_rebate_lowers_the_invoice_that_it_stands_on(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    await story.is_charged("Rebate", -500)

    await story.bill()

    assert await story.papers() == [("2027-05-01", "30.00", "open")]
    await story.nothing_more_is_due()


async def test_it_is_the_total_with_tax_that_must_not_be_negative_and_nothing_is_not(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.is_charged("Visit", 10000)
    await story.is_charged("Deposit back", -11000, tax_category="outside")

    report = await story.bill()

    assert list(report.parked) == []
    assert await story.papers() == [("2027-05-01", "10.00", "open")]
    await story.is_charged("Visit", 1000)
    await story.is_charged("Rebate", -1000)
    report = await story.bill()
    assert (list(report.parked), report.invoices) == ([], 0)
    assert len(await story.papers()) == 1
    await story.is_charged("Deposit", 1000, tax_category="outside")
    rebate = await story.is_charged("Rebate", -1000)
    assert [each.reason for each in (await story.bill()).parked] == ["negative_total"]
    await waive_charge(story.scope, rebate)
    await story.bill()
    await story.nothing_more_is_due()


async def test_a_payer_waits_once_however_many_of_its_documents_are_negative(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.bills(invoice_per="subscription")
    rebates = []
    for name in ("fibre", "tv"):
        await story.sells(name, 1000, kind="module")
        subscription_id = await story.subscribes(name)
        rebates.append(await story.is_charged("Rebate", -5000, subscription_id=subscription_id))

    report = await story.bill()

    assert [each.reason for each in report.parked] == ["negative_total"]
    for rebate in rebates:
        await waive_charge(story.scope, rebate)
    await story.bill()
    assert await story.papers() == [("2027-05-01", "12.00", "open")] * 2
    await story.nothing_more_is_due()


async def test_more_than_fifteen_periods_wait_for_a_person(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 100, per="day")
    await story.subscribes("fibre", starting="2027-04-15")

    report = await story.bill()

    assert [each.reason for each in report.parked] == ["too_many_periods"]
    assert await story.papers() == []
    assert await verify(story.scope) == []


async def test_a_preview_says_the_same_and_writes_nothing(story: Story) -> None:
    await story.begins("2027-05-01", billing_day=1)
    await story.sells("fibre", 3100)
    await story.subscribes("fibre", starting="2027-05-01")
    await story.is_charged("Visit", 5000)

    (invoice,) = await preview_payer(story.scope, story.customer, day("2027-06-01"))
    assert [(line.description, line.net_minor) for line in invoice.lines] == [
        ("Visit", 5000),
        ("Fibre", 3100),
        ("Fibre", 3100),
    ]
    assert (invoice.total_minor, invoice.due_on) == (13440, day("2027-05-15"))
    assert await story.papers() == []

    await story.bill("2027-06-01")
    assert await story.papers() == [("2027-05-01", "134.40", "open")]
    await story.nothing_more_is_due()


async def test_a_payer_whose_cause_is_gone_is_not_listed_any_more_though_nothing_is_billed(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("tv", 1000)
    other = await a_customer(story.scope, "Ben Berger")
    last = await a_customer(story.scope, "Cora Celik")
    rebate = await story.is_charged("Rebate", -5000)
    later = await story.is_charged("Rebate", -100, customer_id=last)
    await story.bill()
    assert [each.payer for each in await list_parked(story.scope)] == ["Ada Adler", "Cora Celik"]

    await waive_charge(story.scope, rebate)
    await waive_charge(story.scope, later)
    await story.subscribes("tv", customer_id=other)
    await story.bill()

    # One stands before the payer who was billed, one behind.
    assert await list_parked(story.scope) == []
    await story.nothing_more_is_due()


async def test_where_nothing_is_due_nobody_stays_parked(story: Story) -> None:
    await story.begins("2027-05-01")
    rebate = await story.is_charged("Rebate", -5000)
    await story.bill()
    await waive_charge(story.scope, rebate)
    assert len(await list_parked(story.scope)) == 1

    await story.bill()

    assert await list_parked(story.scope) == []


async def test_who_was_parked_for_a_later_date_stays_until_a_run_of_that_date(story: Story) -> None:
    await story.begins("2027-05-01")
    await create_tax_category(story.scope, NewTaxCategory(code="telecom", name="Telecom"))
    await story.taxes(250_000, "telecom")
    await story.sells("fibre", 3000, tax_category="telecom")
    fibre = await story.subscribes("fibre")
    await story.bill()
    await execute("UPDATE tax_rate SET valid_from = :never WHERE category = 'telecom'", never=day("2099-01-01"))
    await story.bill("2027-06-01")
    await story.bill()
    assert [each.reason for each in await list_parked(story.scope)] == ["no_tax_rate"]

    await withdraw(story.scope, fibre)
    await story.bill("2027-06-01")
    assert await list_parked(story.scope) == []
