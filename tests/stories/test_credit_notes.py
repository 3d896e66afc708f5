"""What corrects an invoice: credit notes in full and in part, and drafts, which need none (domain.md, Billing)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.billing.actions import create_credit_note, delete_draft, free_up, grant_credit, issue, unallocate
from core.billing.actions.invoices import change_draft
from core.billing.actions.unused import withdraw_subscription
from core.billing.schemas import DraftFields, NewCreditNote, NewLine
from core.billing.status import Charges
from core.database import value, values
from core.errors import Conflict, Invalid
from core.payments.actions import refund
from core.payments.queries import get_payment
from core.payments.schemas import NewRefund
from core.subscriptions.queries import list_charges
from tests.stories.story import Money

if TYPE_CHECKING:
    from tests.stories.story import Story


async def test_an_open_invoice_is_voided_and_its_days_stay_told(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    await story.bill()

    story.on("2027-05-05")
    note = await story.voids(1)

    assert (note.total_minor, note.corrects_id, note.number) == (3600, 1, "CN-2027-000001")
    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert await story.papers() == [("2027-05-01", "36.00", "credited")]
    assert await story.books("1100", "2000", "2200", "2300", "4000") == ["0.00"] * 5
    await story.months_pass(1)
    assert [line[1] for line in await story.lines()] == ["2027-05-01", "2027-06-01"]
    await story.nothing_more_is_due()


async def test_of_a_part_paid_one_the_payment_becomes_credit(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await story.pays(5000, invoice)

    await story.voids(invoice)

    assert await story.money() == Money("0.00", "50.00", "50.00")
    assert [(each.kind, each.amount_minor, each.undone) for each in (await story.document(invoice)).settled_by] == [
        ("payment", 5000, True),
        ("credit_note", 12000, False),
    ]
    await story.nothing_more_is_due()


async def test_of_a_paid_one_the_money_is_free_for_the_next(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await story.pays(12000, invoice)

    await story.voids(invoice)
    assert await story.money() == Money("0.00", "120.00", "120.00")
    await story.is_invoiced(("Cable", 2500))

    assert await story.money() == Money("0.00", "90.00", "90.00")
    assert await story.papers() == [("2027-05-01", "120.00", "credited"), ("2027-05-01", "30.00", "paid")]
    await story.nothing_more_is_due()


async def test_billed_again_the_same_days_stand_on_the_next_invoice(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, setup_minor=5000)
    fibre = await story.subscribes("fibre")
    await story.bill()
    await story.pays(9600)

    story.on("2027-05-05")
    await story.voids(1, then="bill_again")
    await story.bill()

    charges = await list_charges(story.scope, subscription_id=fibre)
    assert sorted((each.kind, each.revision, each.state) for each in charges) == [
        ("recurring", 0, "reversed"),
        ("recurring", 1, "invoiced"),
        ("setup", 0, "reversed"),
        ("setup", 1, "invoiced"),
    ]
    assert await story.papers() == [("2027-05-01", "96.00", "credited"), ("2027-05-05", "96.00", "paid")]
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_parts_are_credited_until_nothing_is_left_and_the_last_takes_all_tax(story: Story) -> None:
    await story.begins("2025-09-18")
    invoice = await story.is_invoiced(("Line", 76900))
    await story.pays(92280)

    first = await story.credits(invoice, 72686)
    with pytest.raises(Invalid, match=r"At most 42\.14 is left"):
        await story.credits(invoice, 4215)
    second = await story.credits(invoice, 4214)

    assert [(each.net_minor, each.tax_minor, each.total_minor) for each in (first, second)] == [
        (72686, 14537, 87223),
        (4214, 843, 5057),
    ]
    with pytest.raises(Invalid, match=r"At most 0\.00 is left"):
        await story.credits(invoice, 1)
    with pytest.raises(Conflict, match="Nothing is left"):
        await story.voids(invoice)
    await story.nothing_more_is_due()


async def test_a_part_settles_what_is_open_and_only_the_rest_is_credit(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await story.pays(10000, invoice)

    await story.credits(invoice, 2500)

    assert await story.money() == Money("0.00", "10.00", "10.00")
    assert await story.papers() == [("2027-05-01", "120.00", "paid")]
    await story.nothing_more_is_due()


async def test_crediting_the_rest_of_a_paid_invoice_leaves_nothing_open(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await story.pays(12000, invoice)
    await story.credits(invoice, 5000)
    assert await story.money() == Money("0.00", "60.00", "60.00")

    await story.voids(invoice)

    assert await story.money() == Money("0.00", "120.00", "120.00")
    assert await story.papers() == [("2027-05-01", "120.00", "credited")]
    await story.nothing_more_is_due()


async def test_B3_a_void_takes_off_the_payment_not_the_credit_note_that_came_behind_it(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 10000)
    fibre = await story.subscribes("fibre")
    await story.bill()
    paid = await story.pays(6000, 1)
    await story.credits(1, 5000)
    assert await story.papers() == [("2027-05-01", "120.00", "paid")]

    await story.voids(1)

    assert await story.money() == Money("0.00", "60.00", "60.00")
    assert [(each.kind, each.amount_minor, each.undone) for each in (await story.document(1)).settled_by] == [
        ("payment", 6000, True),
        ("credit_note", 6000, False),
        ("credit_note", 6000, False),
    ]
    assert (await get_payment(story.scope, paid)).free_minor == 6000
    await withdraw_subscription(story.scope, fibre)
    assert await story.money() == Money("0.00", "60.00", "60.00"), "money that was paid is never forfeited"
    await story.nothing_more_is_due()


async def test_B3_what_a_credit_note_settled_of_its_invoice_is_not_opened_again(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await story.voids(invoice)
    (allocation,) = await values("SELECT id FROM allocation WHERE document_id = :id", id=invoice)

    with pytest.raises(Conflict, match="stays on the invoice that it corrects"):
        await unallocate(story.scope, int(allocation))

    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_a_credit_that_was_paid_out_is_not_given_twice(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await story.pays(12000, invoice)
    await story.credits(invoice, 5000)
    await refund(story.scope, NewRefund(customer_id=story.customer, amount_minor=6000, reason="Returned"))
    assert await story.money() == Money("0.00", "0.00", "0.00")

    await story.voids(invoice)

    assert await story.money() == Money("0.00", "60.00", "60.00")
    await story.nothing_more_is_due()


async def test_each_rate_is_credited_by_itself(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(100_000, "reduced")
    draft = await story.drafts()
    await change_draft(
        story.scope,
        draft,
        DraftFields(
            lines=[
                NewLine(description="Router", unit_price_e6=99_990_000),
                NewLine(description="Book", unit_price_e6=33_330_000, tax_category="reduced"),
            ]
        ),
        version=1,
    )
    await issue(story.scope, draft)
    invoice = await story.document(draft)
    assert [(each.rate_ppm, each.net_minor, each.tax_minor) for each in invoice.taxes] == [
        (200_000, 9999, 2000),
        (100_000, 3333, 333),
    ]

    note = await story.credits(draft, 0, 1111)
    assert [(each.rate_ppm, each.net_minor, each.tax_minor) for each in note.taxes] == [(100_000, 1111, 111)]
    rest = await story.voids(draft)

    assert [(each.rate_ppm, each.net_minor, each.tax_minor) for each in rest.taxes] == [
        (200_000, 9999, 2000),
        (100_000, 2222, 222),
    ]
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_a_credit_of_a_price_with_tax_in_it_mirrors_its_gross(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(190_000)
    await story.sells("fibre", 10000, tax_inclusive=True)
    await story.subscribes("fibre")
    await story.bill()
    (line,) = (await story.document(1)).lines
    assert (line.net_minor, line.tax_minor) == (8403, 1597)

    first = await story.credits(1, 3333)
    second = await story.credits(1, 6667)

    assert (first.net_minor, first.tax_minor, first.total_minor) == (2801, 532, 3333)
    assert (second.net_minor, second.tax_minor, second.total_minor) == (5602, 1065, 6667)
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_goodwill_pays_what_is_open_and_moves_no_tax(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.is_invoiced(("Router", 10000))

    await grant_credit(story.scope, story.customer, 1500, "The line was down")

    assert await story.money() == Money("105.00", "0.00", "-105.00")
    assert await story.books("4900", "2200") == ["15.00", "-20.00"]
    with pytest.raises(Invalid, match="what the credit is for"):
        await grant_credit(story.scope, story.customer, 1500, " ")
    await story.nothing_more_is_due()


async def test_only_an_issued_invoice_is_credited(story: Story) -> None:
    await story.begins("2027-05-01")
    draft = await story.drafts(("Router", 10000))
    with pytest.raises(Conflict, match="A draft is changed or deleted"):
        await story.voids(draft)
    await issue(story.scope, draft)
    note = await story.voids(draft)

    with pytest.raises(Conflict, match="Only an invoice is credited"):
        await create_credit_note(story.scope, NewCreditNote(document_id=note.id, reason="x"))
    with pytest.raises(Conflict, match="was issued and cannot be changed"):
        await delete_draft(story.scope, draft)
    await story.nothing_more_is_due()


async def test_B10_numbers_of_invoices_and_credit_notes_run_without_a_gap_and_anew_each_year(story: Story) -> None:
    await story.begins("2027-12-31")
    first = await story.is_invoiced(("Router", 100))
    deleted = await story.drafts(("Nothing", 100))
    second = await story.is_invoiced(("Router", 100))
    await story.voids(first)
    await delete_draft(story.scope, deleted)
    story.on("2028-01-01")
    third = await story.is_invoiced(("Router", 100))
    await story.voids(second)
    await story.voids(third)

    assert await values("SELECT number FROM document WHERE kind = 'invoice' ORDER BY year, seq") == [
        "2027-000001",
        "2027-000002",
        "2028-000001",
    ]
    assert await values("SELECT number FROM document WHERE kind = 'credit_note' ORDER BY year, seq") == [
        "CN-2027-000001",
        "CN-2028-000001",
        "CN-2028-000002",
    ]
    await story.nothing_more_is_due()


async def test_a_draft_has_no_number_and_no_effect(story: Story) -> None:
    await story.begins("2027-05-01")
    draft = await story.drafts(("Router", 10000), ("Work", 5000))

    found = await story.document(draft)
    assert (found.number, found.total_minor, found.settlement) == (None, 18000, "draft")
    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert await value("SELECT count(*) FROM posting") == 0
    await delete_draft(story.scope, draft)

    assert await value("SELECT count(*) FROM document") == 0
    await story.nothing_more_is_due()


async def test_a_deleted_draft_leaves_its_charges_to_the_next_run(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.is_charged("Visit", 7800)
    draft = await story.drafts(("Router", 10000), open_charges=True)
    assert (await story.document(draft)).net_minor == 17800
    await story.bill()
    assert await story.papers() == []

    await delete_draft(story.scope, draft)
    await story.bill()

    assert await story.lines() == [("Visit", None, None, 7800)]
    await story.nothing_more_is_due()


async def test_a_deleted_draft_may_waive_its_charges(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.is_charged("Visit", 7800)
    draft = await story.drafts(open_charges=True)

    await delete_draft(story.scope, draft, Charges.WAIVE)
    await story.bill()

    assert await story.papers() == []
    assert [each.state for each in await list_charges(story.scope)] == ["waived"]
    await story.nothing_more_is_due()


async def test_an_un_allocated_payment_is_credit_and_the_invoice_open_again(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await story.pays(12000, invoice)

    assert await free_up(story.scope, document_id=invoice) == 12000

    assert await story.money() == Money("120.00", "120.00", "0.00")
    await story.expects("invoice_reopened", on=["2027-05-01"])
    await story.nothing_more_is_due()
