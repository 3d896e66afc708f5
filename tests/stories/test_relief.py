"""Tax of a debt that was written off: what credit notes, a second loss and other currencies leave of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from core.billing.actions import issue, void, write_off
from core.billing.actions.relief import relievable, relieve_tax
from core.database import OneCustomer, execute, value
from core.errors import Conflict, Invalid, NotFound
from tests.books import a_customer, day

if TYPE_CHECKING:
    from tests.stories.story import Story


async def test_B6_what_was_credited_before_the_loss_is_not_relieved(story: Story) -> None:
    await story.begins("2027-05-01")
    other = await story.is_invoiced(("Cable", 70000))
    await story.credits(other, 50000)
    invoice = await story.is_invoiced(("Router", 10000), ("Cable", 5000))
    await story.credits(invoice, 4000, 1000)
    await story.drafts(("Cable", 9900))

    await write_off(story.scope, invoice, "Bankrupt")

    # 180.00 less 60.00: 120.00 are lost, with 20.00 of tax.
    assert await relieve_tax(story.scope, invoice, "Granted") == 2000
    await story.pays(12000, invoice)
    await story.voids(other)
    await story.voids(invoice)
    assert await story.books("1100", "2200", "4000", "5000") == ["0.00", "0.00", "0.00", "0.00"]
    await story.nothing_more_is_due()


async def test_B6_a_part_that_is_lost_has_its_share_of_the_tax_that_was_not_credited(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(100_000, "reduced")
    invoice = await story.drafts(("Router", 10000), ("Book", 5000))
    line = await value("SELECT max(id) FROM document_line WHERE document_id = :id", id=invoice)
    await execute("UPDATE document_line SET tax_category = 'reduced' WHERE id = :id", id=line)
    await issue(story.scope, invoice)
    await story.credits(invoice, 5000, 1000)

    await write_off(story.scope, invoice, "Bankrupt", 5200)

    # 60.00 and 44.00 are left, with 10.00 and 4.00 of tax; half of it is lost.
    assert await relieve_tax(story.scope, invoice, "Granted") == 700
    of_books = "(SELECT tax_rate_id FROM document_line WHERE document_id = :id AND description = 'Book')"
    assert await value(f"SELECT amount_minor FROM tax_relief WHERE tax_rate_id = {of_books}", id=invoice) == 200
    await story.nothing_more_is_due()


async def test_B6_a_second_loss_is_relieved_of_what_the_first_was_not_in_both_currencies(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.9", since="2027-05-01")
    await story.rate("USD", "0.5", since="2027-06-01")
    invoice = await story.is_invoiced(("Router", 6000), ("Cable", 4000))
    await story.credits(invoice, 500)
    assert await story.books("2200") == ["-17.10"]
    story.on("2027-06-01")

    await write_off(story.scope, invoice, "Bankrupt", 3800)
    assert await relieve_tax(story.scope, invoice, "First part") == 633
    assert await story.books("2200", "5000") == ["-11.40", "28.50"]
    await write_off(story.scope, invoice, "Bankrupt", 3800)
    assert await relieve_tax(story.scope, invoice, "Second part") == 634
    assert await story.books("2200", "5000") == ["-5.70", "57.00"]
    with pytest.raises(Conflict, match="relieved already"):
        await relieve_tax(story.scope, invoice, "Again")
    await write_off(story.scope, invoice, "Bankrupt")
    assert await relieve_tax(story.scope, invoice, "The rest") == 633
    assert await story.books("2200", "5000") == ["0.00", "85.50"]

    # All of it turns out to be a mistake: its tax is due again and credited at the rate of the invoice.
    await void(story.scope, invoice, "Never delivered")
    assert await story.books("1100", "2200", "4000", "5000") == ["0.00", "0.00", "0.00", "0.00"]
    await story.nothing_more_is_due()


async def test_B6_tax_of_a_cent_comes_back_and_a_share_below_half_a_cent_does_not(story: Story) -> None:
    await story.begins("2027-05-01")
    small = await story.is_invoiced(("Bag", 3))
    invoice = await story.is_invoiced(("Router", 10000))
    for each in (small, invoice):
        await write_off(story.scope, each, "Bankrupt")
    assert await relieve_tax(story.scope, small, "Granted") == 1
    assert await relieve_tax(story.scope, invoice, "Granted") == 2000
    assert await story.books("2200") == ["0.00"]

    await story.pays(2, invoice)
    assert await story.books("2200") == ["0.00"]
    await story.pays(1, invoice)
    await story.pays(4, small)

    assert await story.books("2200", "5000") == ["-0.01", "99.97"]
    await story.nothing_more_is_due()


async def test_B6_there_is_no_tax_in_a_cent_that_was_lost_nor_in_what_was_credited_in_full(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await story.voids(invoice)
    small = await story.is_invoiced(("Cable", 1000))
    await write_off(story.scope, small, "A cent", 1)

    with pytest.raises(Conflict, match="no tax in what was written off"):
        await relieve_tax(story.scope, small, "Granted")

    assert await relievable(invoice, 0) == []
    assert await relievable(invoice, 12000) == []
    await story.nothing_more_is_due()


async def test_B6_the_day_of_a_relief_is_today_or_was_and_stands_on_it(story: Story) -> None:
    await story.begins("2027-05-01")
    invoices = [await story.is_invoiced(("Router", 10000)) for _ in range(3)]
    story.on("2027-06-10")
    for each in invoices:
        await write_off(story.scope, each, "Bankrupt")

    with pytest.raises(Invalid, match="not ahead") as refused:
        await relieve_tax(story.scope, invoices[0], "Granted", day("2027-06-11"))
    for each, granted_on in zip(invoices, (day("2027-06-10"), day("2027-05-20"), None), strict=True):
        await relieve_tax(story.scope, each, "Granted", granted_on)

    assert refused.value.errors[0].field == "granted_on"
    days = "SELECT CAST(granted_on AS text) FROM tax_relief WHERE document_id = :id"
    assert [await value(days, id=each) for each in invoices] == ["2027-06-10", "2027-05-20", "2027-06-10"]
    assert await story.events("tax_relieved") == [date(2027, 6, 10)] * 3


async def test_B6_only_a_bad_debt_of_an_issued_invoice_within_reach_is_relieved(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.bills(small_difference_minor=50)
    lost = await story.is_invoiced(("Router", 10000))
    await write_off(story.scope, lost, "Bankrupt")
    nearly_paid = await story.is_invoiced(("Cable", 1000))
    await story.pays(1190, nearly_paid)
    assert (await story.document(nearly_paid)).open_minor == 0
    draft = await story.drafts(("Cable", 1000))
    actor = story.scope.actor
    stranger = await a_customer(story.scope, "Bea Berg")

    with pytest.raises(Conflict, match="Nothing of it was written off"):
        await relieve_tax(story.scope, nearly_paid, "Granted")
    for missing in (draft, 999):
        with pytest.raises(NotFound):
            await relieve_tax(story.scope, missing, "Granted")
    with pytest.raises(NotFound):
        await relieve_tax(story.scope.as_actor(replace(actor, reach=OneCustomer(stranger))), lost, "Not one's own")

    assert await value("SELECT count(*) FROM tax_relief") == 0
    await story.nothing_more_is_due()
