"""Free credit notes beside those over invoices: together they never give back more than was charged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from core.billing.actions import create_free_credit_note, reissue
from core.billing.actions.pausing import pause
from core.billing.actions.reissuing import line_as_it_was, list_reissuable
from core.billing.schemas import FreeCreditLine, NewFreeCreditNote, Reissue
from core.database import execute, value, values
from core.errors import Conflict
from core.subscriptions.schemas import NewPause
from tests.books import day

if TYPE_CHECKING:
    from core.billing.schemas import DocumentDetail, ReissuedLine
    from tests.stories.story import Story


async def gives_freely(story: Story, net_minor: int) -> None:
    line = FreeCreditLine(description="Bonus", rate_ppm=200_000, net_minor=net_minor)
    await create_free_credit_note(story.scope, story.customer, NewFreeCreditNote(reason="Bonus", lines=[line]))


async def is_invoiced_beside_a_book_given_back(story: Story) -> int:
    """100.00 at 20 %, beside 50.00 at another rate that a free credit note gave back; gives the first invoice."""
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await story.taxes(100_000, "reduced")
    invoice = await story.is_invoiced(("Cable", 10000))
    await story.is_charged("Book", 5000, tax_category="reduced")
    await story.bill()
    line = FreeCreditLine(description="Bonus", rate_ppm=100_000, net_minor=5000)
    await create_free_credit_note(story.scope, story.customer, NewFreeCreditNote(reason="Bonus", lines=[line]))
    return invoice


async def net_of_all(story: Story) -> int:
    """What the customer was charged and not given back."""
    return int(
        await value(
            "SELECT CAST(sum(CASE WHEN kind = 'credit_note' THEN -net_minor ELSE net_minor END) AS bigint)"
            " FROM document WHERE state = 'issued' AND payer_id = :id",
            id=story.customer,
        )
    )


async def test_B3_a_void_after_a_free_credit_note_is_refused_where_both_would_be_more_than_was_charged(
    story: Story,
) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    invoice = await story.is_invoiced(("Cable", 10000))
    await gives_freely(story, 3000)

    with pytest.raises(Conflict, match=r"at most 70\.00 net is left .* by an invoice first"):
        await story.voids(invoice)
    with pytest.raises(Conflict, match=r"70\.00"):
        await story.credits(invoice, 7001)
    await story.credits(invoice, 7000)

    assert await net_of_all(story) == 0
    with pytest.raises(Conflict, match=r"at most 0\.00"):
        await story.voids(invoice)
    await story.nothing_more_is_due()


async def test_B3_the_tax_of_both_is_never_more_than_was_charged(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    invoice = await story.is_invoiced(("Cable", 101))  # 20 tax
    await gives_freely(story, 53)  # 11
    await story.credits(invoice, 48)  # by itself 10

    assert await net_of_all(story) == 0
    assert [each.tax_minor for each in (await story.last_document()).taxes] == [9]
    assert (await story.money()).balance == "0.00"
    await story.nothing_more_is_due()


async def test_B3_what_a_free_credit_note_gave_is_charged_again_by_an_invoice_before_a_void(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    invoice = await story.is_invoiced(("Cable", 10000))
    await gives_freely(story, 3000)
    await story.is_invoiced(("Bonus taken back", 3000))

    await story.voids(invoice)

    assert await net_of_all(story) == 0
    assert (await story.money()).balance == "0.00"
    await story.nothing_more_is_due()


async def test_B3_a_free_credit_note_of_another_rate_is_no_hindrance(story: Story) -> None:
    invoice = await is_invoiced_beside_a_book_given_back(story)

    await story.voids(invoice)

    assert await net_of_all(story) == 0


async def test_B3_days_that_are_credited_by_themselves_are_cut_down_to_what_is_left(story: Story) -> None:
    """Nobody is there to be refused when a pause begins: 10 of 31 days are 32.26, and 10.00 are left."""
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await story.sells("fibre", 10000)
    fibre = await story.subscribes("fibre", starting="2027-01-01")
    await story.bill()
    await gives_freely(story, 9000)
    await pause(story.scope, fibre, NewPause(from_on=day("2027-01-11"), to_on=day("2027-01-21")))

    await story.days_pass(25)

    assert await values("SELECT net_minor FROM document WHERE kind = 'credit_note' ORDER BY id") == [9000, 1000]
    assert await net_of_all(story) == 0
    await story.nothing_more_is_due()


async def test_B3_one_invoice_that_cannot_be_voided_in_time_does_not_stop_the_day(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await story.sells("first", 10000, activation="invoice_first")
    await story.sells("phone", 700, kind="module")
    first, _invoice = await story.asks_for("first")
    await gives_freely(story, 9000)
    await story.subscribes("phone", starting="2027-01-01")

    await story.days_pass(60)

    assert await story.state_of(first) == "pending"
    assert ("Phone", "2027-03-01", "2027-04-01", 700) in await story.lines()


async def tax_of_all(story: Story) -> int:
    """The tax that the customer was charged and not given back."""
    return int(
        await value(
            "SELECT CAST(sum(CASE WHEN kind = 'credit_note' THEN -tax_minor ELSE tax_minor END) AS bigint)"
            " FROM document WHERE state = 'issued' AND payer_id = :id",
            id=story.customer,
        )
    )


async def test_B3_many_small_free_notes_that_gave_too_much_tax_are_made_up_for_by_a_credit_in_full(
    story: Story,
) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    invoice = await story.is_invoiced(("Cable", 10000), ("Plug", 500))  # 21.00 tax
    await story.is_invoiced(("Clip", 15))  # 0.03 tax
    for __ in range(5):
        await gives_freely(story, 3)  # 0.01 tax each, of 0.03 in all

    note = await story.voids(invoice)

    assert (note.net_minor, note.tax_minor) == (10500, 2098)
    assert (await net_of_all(story), await tax_of_all(story)) == (0, 0)
    assert (await story.money()).balance == "0.00"
    with pytest.raises(Conflict, match="Nothing is left"):
        await story.voids(invoice)
    await story.nothing_more_is_due()


async def test_B3_many_small_free_notes_that_gave_too_little_tax_leave_it_to_the_note_that_takes_the_last_net(
    story: Story,
) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    invoice = await story.is_invoiced(("Cable", 10000))
    await story.is_invoiced(("Clip", 10))  # 0.02 tax
    for __ in range(5):
        await gives_freely(story, 2)  # no tax each, of 0.02 in all

    note = await story.voids(invoice)

    assert (note.net_minor, note.tax_minor, note.total_minor) == (10000, 2002, 12002)
    assert [(line.net_minor, line.tax_minor) for line in note.lines] == [(10000, 2000), (0, 2)]
    assert (await net_of_all(story), await tax_of_all(story)) == (0, 0)
    assert (await story.money()).balance == "0.00"
    await story.nothing_more_is_due()


async def test_B3_the_last_net_of_a_rate_takes_all_its_tax_also_where_lines_are_chosen(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    invoice = await story.is_invoiced(("Cable", 101))  # 20 tax
    for __ in range(25):
        await gives_freely(story, 2)  # no tax each

    note = await story.credits(invoice, 51)  # by itself 10

    assert (note.net_minor, note.tax_minor) == (51, 20)
    assert (await net_of_all(story), await tax_of_all(story)) == (0, 0)
    await story.nothing_more_is_due()


async def test_B3_before_the_last_net_a_credit_in_full_takes_the_tax_of_its_lines_alone(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    invoice = await story.is_invoiced(("Cable", 10000))
    await story.is_invoiced(("Clip", 100))
    await gives_freely(story, 2)

    note = await story.voids(invoice)

    assert (note.net_minor, note.tax_minor) == (10000, 2000)
    assert (await net_of_all(story), await tax_of_all(story)) == (98, 20)
    await story.nothing_more_is_due()


async def test_B3_the_line_of_that_tax_is_in_the_language_of_the_invoice(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await execute("UPDATE customer SET language = 'de' WHERE id = :id", id=story.customer)
    invoice = await story.is_invoiced(("Cable", 10000))
    await story.is_invoiced(("Clip", 10))
    for __ in range(5):
        await gives_freely(story, 2)

    note = await story.voids(invoice)

    assert [line.description for line in note.lines] == ["Cable", "Steuer, die freie Gutschriften übrig ließen"]


async def test_B3_an_invoice_that_is_issued_anew_beside_a_free_credit_note_costs_what_it_did(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    invoice = await story.is_invoiced(("Cable", 10000))
    await gives_freely(story, 3000)
    before = (await story.money()).balance

    await reissue(story.scope, invoice, Reissue(reason="Reference", reference="PO 7"))

    assert (await net_of_all(story), await tax_of_all(story)) == (7000, 1400)
    assert (await story.money()).balance == before
    await story.nothing_more_is_due()


async def issues_anew(story: Story, invoice: int, *lines: ReissuedLine) -> DocumentDetail:
    """Gives the credit note over the old one."""
    made = await reissue(story.scope, invoice, Reissue(reason="Price as offered", lines=list(lines)))
    return await story.document(made.credit_note_id)


async def first_line(invoice: int, **changed: object) -> ReissuedLine:
    return msgspec.structs.replace(line_as_it_was((await list_reissuable(invoice))[0]), **changed)


async def test_B3_an_invoice_issued_anew_charges_at_least_what_free_credit_notes_gave_back(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    invoice = await story.is_invoiced(("Cable", 10000), ("Plug", 500))
    await gives_freely(story, 3000)
    plug = line_as_it_was((await list_reissuable(invoice))[1])

    with pytest.raises(Conflict, match=r"leave at least 30\.00 net at the same rate .* by an invoice first"):
        await issues_anew(story, invoice, plug)
    with pytest.raises(Conflict, match=r"30\.00"):
        await issues_anew(story, invoice, await first_line(invoice, unit_price_e6=29_990_000))
    await issues_anew(story, invoice, await first_line(invoice, unit_price_e6=30_000_000))

    assert (await net_of_all(story), await tax_of_all(story)) == (0, 0)
    assert (await story.money()).balance == "0.00"
    await story.nothing_more_is_due()


async def test_B3_issued_anew_at_another_rate_an_invoice_leaves_nothing_that_was_given_back(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await story.taxes(100_000, "reduced")
    invoice = await story.is_invoiced(("Book", 10000))
    await gives_freely(story, 3000)
    reduced = await first_line(invoice, tax_category="reduced")

    with pytest.raises(Conflict, match=r"30\.00"):
        await issues_anew(story, invoice, reduced)
    await story.is_invoiced(("Bonus taken back", 3000))
    await issues_anew(story, invoice, reduced)

    assert (await net_of_all(story), await tax_of_all(story)) == (10000, 1000)
    await story.nothing_more_is_due()


async def test_B3_what_was_given_back_at_another_rate_hinders_no_cheaper_invoice(story: Story) -> None:
    invoice = await is_invoiced_beside_a_book_given_back(story)

    note = await issues_anew(story, invoice, await first_line(invoice, unit_price_e6=1_000_000))

    assert (note.net_minor, note.tax_minor) == (10000, 2000)
    assert (await net_of_all(story), await tax_of_all(story)) == (100, 20)
    await story.nothing_more_is_due()


async def test_B3_issued_anew_for_less_an_invoice_gives_back_no_more_tax_than_was_charged(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    invoice = await story.is_invoiced(("Cable", 10000))
    await story.is_invoiced(("Clip", 15))  # 0.03 tax
    for __ in range(5):
        await gives_freely(story, 3)  # 0.01 tax each, of 0.03 in all

    note = await issues_anew(story, invoice, await first_line(invoice, unit_price_e6=50_000))  # 0.01 tax

    assert (note.net_minor, note.tax_minor) == (10000, 1999)
    assert (await net_of_all(story), await tax_of_all(story)) == (5, 0)
    assert (await story.money()).balance == "-0.05"
    await story.nothing_more_is_due()


async def test_B3_issued_anew_for_what_was_given_back_an_invoice_gives_back_all_tax(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    invoice = await story.is_invoiced(("Cable", 101))  # 20 tax
    for __ in range(25):
        await gives_freely(story, 2)  # no tax each

    note = await issues_anew(story, invoice, await first_line(invoice, unit_price_e6=500_000))  # 10 tax

    assert [(line.net_minor, line.tax_minor) for line in note.lines] == [(101, 20), (0, 10)]
    assert (await net_of_all(story), await tax_of_all(story)) == (0, 0)
    await story.nothing_more_is_due()
