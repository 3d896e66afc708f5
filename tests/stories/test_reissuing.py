"""An issued invoice is changed by crediting it and issuing it anew; and credit notes that correct no invoice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from core.billing.actions import create_free_credit_note, reissue
from core.billing.actions.changing import undo_change
from core.billing.actions.free_notes import list_creditable_rates
from core.billing.actions.periods import edit_period
from core.billing.actions.reissuing import line_as_it_was, list_reissuable
from core.billing.schemas import FreeCreditLine, NewFreeCreditNote, Reissue, ReissuedLine
from core.database import execute, value
from core.errors import Conflict, Invalid
from core.subscriptions.changes import PeriodEdit
from core.subscriptions.queries import get_subscription, list_charges
from tests.books import day
from tests.stories.story import Money

if TYPE_CHECKING:
    from tests.stories.story import Story


async def lines_of(invoice: int) -> list[ReissuedLine]:
    return [line_as_it_was(each) for each in await list_reissuable(invoice)]


async def test_B2_an_invoice_is_issued_anew_and_its_payment_follows(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    await story.bill()
    await story.pays(3600, 1)

    story.on("2027-05-05")
    made = await reissue(story.scope, 1, Reissue(reason="Wrong address"))

    new, note = await story.document(made.invoice_id), await story.document(made.credit_note_id)
    assert (note.number, note.total_minor, note.corrects_id) == ("CN-2027-000001", 3600, 1)
    assert (new.number, new.total_minor, new.corrects_id, new.settlement) == ("2027-000002", 3600, 1, "paid")
    assert [each.kind for each in new.settled_by] == ["payment"]
    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert [(each.state, each.revision) for each in await list_charges(story.scope, customer_id=story.customer)] == [
        ("invoiced", 1),
        ("reversed", 0),
    ]
    await story.months_pass(1)
    assert [line[1] for line in await story.lines()] == ["2027-05-01", "2027-05-01", "2027-06-01"]
    await story.nothing_more_is_due()


async def test_B2_a_part_payment_stays_on_the_new_one_which_costs_less(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000), ("Cable", 1000), reference="PO 7")
    await story.pays(5000, invoice)
    router, _cable = await lines_of(invoice)
    cheaper = msgspec.structs.replace(router, unit_price_e6=80_000_000)

    made = await reissue(story.scope, invoice, Reissue(reason="Price as offered", lines=[cheaper], note="As offered"))

    new = await story.document(made.invoice_id)
    assert (new.total_minor, new.open_minor, new.reference, new.note) == (9600, 4600, "PO 7", "As offered")
    assert await story.money() == Money("46.00", "0.00", "-46.00")
    assert await story.papers() == [("2027-05-01", "132.00", "credited"), ("2027-05-01", "96.00", "partly_paid")]
    await story.nothing_more_is_due()


async def test_B2_a_charge_can_be_priced_anew_and_one_left_out_is_waived(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, setup_minor=5000)
    await story.subscribes("fibre")
    await story.bill()
    lines = await lines_of(1)
    month = next(each for each in lines if each.period_from is not None)
    cheaper = msgspec.structs.replace(month, discount_minor=500, description="Fibre, May as agreed")

    made = await reissue(story.scope, 1, Reissue(reason="No set-up", lines=[cheaper]))

    new = await story.document(made.invoice_id)
    assert [(line.description, line.net_minor, line.charge_id is not None) for line in new.lines] == [
        ("Fibre, May as agreed", 2500, True)
    ]
    states = {each.kind: [] for each in await list_charges(story.scope, customer_id=story.customer)}
    for each in await list_charges(story.scope, customer_id=story.customer):
        states[each.kind].append((each.state, each.amount_minor))
    assert states == {"recurring": [("invoiced", 2500), ("reversed", 3000)], "setup": [("waived", 5000)]}
    await story.months_pass(1)
    assert (await story.last_document()).net_minor == 3000
    await story.nothing_more_is_due()


async def test_B2_what_waited_for_the_old_invoice_waits_for_the_new_one(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000, activation="invoice_first")
    fibre, invoice = await story.asks_for("fibre")
    await story.pays(1000, invoice)

    story.on("2027-05-03")
    made = await reissue(story.scope, invoice, Reissue(reason="Company name"))
    assert await story.state_of(fibre) == "pending"
    await story.pays(2600)

    assert await story.state_of(fibre) == "active"
    assert (await story.document(made.invoice_id)).settlement == "paid"
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_B2_the_new_one_says_who_the_buyer_is_today(story: Story) -> None:
    await story.begins("2027-05-01", street="Old Lane 1")
    invoice = await story.is_invoiced(("Router", 10000))
    await execute("UPDATE customer SET street = 'New Lane 2' WHERE id = :id", id=story.customer)

    made = await reissue(story.scope, invoice, Reissue(reason="Address"))

    assert "Old Lane 1" in (await story.document(invoice)).buyer
    assert "New Lane 2" in (await story.document(made.invoice_id)).buyer
    await story.nothing_more_is_due()


async def test_B2_what_was_credited_in_part_or_is_no_invoice_is_not_issued_anew(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    note = await story.credits(invoice, 1000)

    with pytest.raises(Conflict, match="Part of it was credited"):
        await reissue(story.scope, invoice, Reissue(reason="x"))
    with pytest.raises(Conflict, match="Only an invoice"):
        await reissue(story.scope, note.id, Reissue(reason="x"))
    other = await story.is_invoiced(("Cable", 1000))
    with pytest.raises(Invalid, match="at least one line"):
        await reissue(story.scope, other, Reissue(reason="x", lines=[]))
    assert await value("SELECT count(*) FROM document") == 3
    await story.nothing_more_is_due()


async def test_B3_a_free_credit_note_takes_tax_back_at_the_rates_that_were_charged(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.is_invoiced(("Router", 10000))
    paid = await story.is_invoiced(("Cable", 999))
    await story.pays(13199)

    note = await story.document(
        await create_free_credit_note(
            story.scope,
            story.customer,
            NewFreeCreditNote(
                reason="Yearly bonus", lines=[FreeCreditLine(description="Bonus", rate_ppm=200_000, net_minor=2000)]
            ),
        )
    )

    assert (note.kind, note.corrects_id, note.net_minor, note.tax_minor) == ("credit_note", None, 2000, 400)
    assert await story.money() == Money("0.00", "24.00", "24.00")
    assert await story.books("2200", "4000") == ["-18.00", "-89.99"]
    assert (await story.document(paid)).settlement == "paid"
    await story.nothing_more_is_due()


async def test_B3_a_free_one_never_credits_more_than_is_left_of_all_that_was_charged_at_its_rate(story: Story) -> None:
    await story.begins("2027-05-01")
    first = await story.is_invoiced(("Router", 10001))
    await story.is_invoiced(("Cable", 1003))
    await story.credits(first, 5000)
    line = FreeCreditLine(description="All of it", rate_ppm=200_000, net_minor=6005)

    with pytest.raises(Invalid) as refused:
        await create_free_credit_note(story.scope, story.customer, NewFreeCreditNote(reason="x", lines=[line]))
    with pytest.raises(Invalid, match=r"At most 0\.00"):
        await create_free_credit_note(
            story.scope,
            story.customer,
            NewFreeCreditNote(reason="x", lines=[msgspec.structs.replace(line, rate_ppm=100_000)]),
        )
    in_full = msgspec.structs.replace(line, net_minor=6004)
    note_id = await create_free_credit_note(
        story.scope, story.customer, NewFreeCreditNote(reason="Closing", lines=[in_full])
    )

    assert "60.04" in refused.value.errors[0].message
    # 20.00 + 2.01 were charged, 10.00 was credited: the last note takes all that is left.
    assert (await story.document(note_id)).tax_minor == 1201
    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert await story.books("1100", "2200", "4000") == ["0.00", "0.00", "0.00"]
    assert await list_creditable_rates(story.customer, "EUR") == []
    await story.nothing_more_is_due()


async def test_B2_an_invoice_whose_days_were_cut_since_then_is_issued_anew_with_the_days_that_are_left(
    story: Story,
) -> None:
    await story.begins("2027-05-01")
    await story.sells("small", 3000)
    subscription = await story.subscribes("small")
    await story.bill()
    invoice = await story.last_document()
    story.on("2027-05-10")
    edit = PeriodEdit(end_on=day("2027-05-15"), cut="give_up", reason="Moved house")
    await edit_period(story.scope, subscription, edit)
    await story.days_pass(10)

    await reissue(story.scope, invoice.id, Reissue(reason="Another address", reference="PO 7"))

    await story.nothing_more_is_due()


async def test_B2_an_invoice_that_a_change_waits_for_is_not_issued_anew(story: Story) -> None:
    """Issued anew it would be settled by its own credit note: the change made unpaid, its charges billed again."""
    await story.begins("2026-06-01")
    await story.taxes(200_000)
    await story.sells("small", 10000, rank=1, activation="invoice_first")
    await story.sells("large", 30000, rank=2, activation="invoice_first")
    mine, first = await story.asks_for("small")
    await story.pays(12000, first)
    story.on("2026-06-16")
    (invoice,) = (await story.changes(mine, "large")).document_ids

    with pytest.raises(Conflict, match="A change waits for this invoice"):
        await reissue(story.scope, invoice, Reissue(reason="Company name"))
    assert (await get_subscription(story.scope, mine)).product_code == "small"
    await undo_change(story.scope, mine)
    (again,) = (await story.changes(mine, "large")).document_ids
    await story.pays(18000, again)
    await reissue(story.scope, again, Reissue(reason="Company name"))

    assert (await get_subscription(story.scope, mine)).product_code == "large"
    await story.days_pass(10)
    assert [each[1:] for each in await story.papers()] == [
        ("120.00", "paid"),
        ("180.00", "credited"),
        ("180.00", "credited"),
        ("180.00", "paid"),
    ]
    assert await story.money() == Money("0.00", "60.00", "60.00")
    await story.nothing_more_is_due()
