"""Payments by hand: split at entry, from nobody known, transferred, for a written-off invoice; tax of bad debts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from core.activity.unit import unit_of_work
from core.billing.actions import grant_credit, issue, void, write_off
from core.billing.actions.relief import relieve_tax
from core.database import execute, spawn, value
from core.errors import Conflict, Invalid, NotFound
from core.payments.actions import receive, reverse
from core.payments.schemas import NewPayment, Reversal, Share
from core.payments.suspense import Assignment, NewReceipt, assign, receive_unidentified
from core.payments.transfers import NewTransfer, transfer_credit
from tests.books import a_customer
from tests.stories.story import Money

if TYPE_CHECKING:
    from tests.stories.story import Story


# -- split ------------------------------------------------------------------------------------------------------------


async def test_B4_a_payment_is_split_by_hand_and_the_rest_goes_to_the_oldest_due(story: Story) -> None:
    await story.begins("2027-05-01")
    first = await story.is_invoiced(("Router", 10000))
    second = await story.is_invoiced(("Cable", 5000))
    third = await story.is_invoiced(("Visit", 2000))

    await story.pays(
        10000, split=[Share(document_id=third, amount_minor=2400), Share(document_id=second, amount_minor=1000)]
    )

    opens = [(await story.document(each)).open_minor for each in (first, second, third)]
    assert opens == [5400, 5000, 0]
    assert await story.money() == Money("104.00", "0.00", "-104.00")
    await story.nothing_more_is_due()


async def test_B4_a_split_is_refused_where_it_is_too_much_and_nothing_is_kept(story: Story) -> None:
    await story.begins("2027-05-01")
    first = await story.is_invoiced(("Router", 10000))

    with pytest.raises(Invalid, match="More is allocated than was received"):
        await story.pays(1000, split=[Share(document_id=first, amount_minor=1001)])
    with pytest.raises(Invalid) as refused:
        await story.pays(20000, split=[Share(document_id=first, amount_minor=12001)])

    assert refused.value.errors[0].field == "split.0.amount_minor"
    assert await value("SELECT count(*) FROM payment") == 0
    await story.nothing_more_is_due()


# -- nobody known -----------------------------------------------------------------------------------------------------


async def test_B4_a_receipt_of_nobody_known_is_assigned_later(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 2000))
    payment = await receive_unidentified(story.scope, NewReceipt(amount_minor=4000, reference="RF18 illegible"))
    assert await story.books("1200", "2500", "2000") == ["40.00", "-40.00", "0.00"]
    await story.nothing_more_is_due()

    story.on("2027-05-09")
    await assign(story.scope, payment, Assignment(payer_id=story.customer, document_id=invoice))

    assert await story.books("1200", "2500", "2000", "1100") == ["40.00", "0.00", "-16.00", "0.00"]
    assert await story.money() == Money("0.00", "16.00", "16.00")
    await story.expects("invoice_settled", on=["2027-05-09"])
    with pytest.raises(Conflict, match="not one that waits"):
        await assign(story.scope, payment, Assignment(payer_id=story.customer))
    await reverse(story.scope, payment, Reversal(reason="Chargeback"))
    assert await story.money() == Money("24.00", "0.00", "-24.00")
    await story.nothing_more_is_due()


async def test_B4_a_receipt_of_nobody_known_goes_back_whole(story: Story) -> None:
    await story.begins("2027-05-01")
    payment = await receive_unidentified(story.scope, NewReceipt(amount_minor=4000))

    with pytest.raises(Invalid, match="as a whole"):
        await reverse(story.scope, payment, Reversal(amount_minor=100))
    with pytest.raises(Invalid, match="nobody to charge it to"):
        await reverse(story.scope, payment, Reversal(fee_minor=150, charge_fee=True))
    await reverse(story.scope, payment, Reversal(reason="Sent to us by mistake", fee_minor=150))

    assert await story.books("1200", "2500", "5200") == ["-1.50", "0.00", "1.50"]
    with pytest.raises(Conflict):
        await assign(story.scope, payment, Assignment(payer_id=story.customer))
    await story.nothing_more_is_due()


async def test_B4_in_another_currency_the_rate_of_the_day_it_came_holds(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.9", "2027-05-01")
    await story.rate("USD", "0.95", "2027-05-08")
    payment = await receive_unidentified(story.scope, NewReceipt(amount_minor=10000, currency="USD"))

    story.on("2027-05-09")
    await assign(story.scope, payment, Assignment(payer_id=story.customer))

    assert await story.books("1200", "2500", "2000") == ["90.00", "0.00", "-90.00"]
    assert await story.money() == Money("0.00", "100.00", "100.00")
    await story.nothing_more_is_due()


async def test_B4_the_same_event_of_a_bank_is_one_receipt(story: Story) -> None:
    await story.begins("2027-05-01")
    receipt = NewReceipt(amount_minor=4000, provider="camt", event_id="2027-05-01/7")

    once = await receive_unidentified(story.scope, receipt)

    assert await receive_unidentified(story.scope, receipt) == once
    await story.nothing_more_is_due()


# -- from one customer to another -------------------------------------------------------------------------------------


async def test_B4_credit_is_transferred_and_settles_there(story: Story) -> None:
    await story.begins("2027-05-01")
    other = await a_customer(story.scope, "Bea Berg")
    mine = await story.is_invoiced(("Router", 500))
    await story.pays(3600)
    await grant_credit(story.scope, story.customer, 1000, "Outage")
    story.customer, me = other, story.customer
    theirs = await story.is_invoiced(("Cable", 2500))

    moved = await transfer_credit(story.scope, me, NewTransfer(to_customer_id=other, amount_minor=3500, reason="Flat"))

    assert moved == 3500
    assert await story.money(me) == Money("0.00", "5.00", "5.00")
    assert await story.money(other) == Money("0.00", "5.00", "5.00")
    assert (await story.document(theirs)).settled_by[0].kind == "transfer"
    assert (await story.document(mine)).open_minor == 0
    assert await story.books("2000") == ["-10.00"]
    await story.nothing_more_is_due()


async def test_B4_credit_is_not_transferred_to_itself_abroad_or_beyond_what_is_free(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.rate("USD", "0.9", "2027-05-01")
    abroad = await a_customer(story.scope, "Bo", currency="USD")
    other = await a_customer(story.scope, "Bea Berg")

    with pytest.raises(Conflict, match="no free credit"):
        await transfer_credit(story.scope, story.customer, NewTransfer(to_customer_id=other, reason="x"))
    await story.pays(1000)
    for to, amount, said in ((story.customer, 1, "another"), (abroad, 1, "currency is EUR"), (other, 1001, "10.00")):
        with pytest.raises(Invalid, match=said):
            await transfer_credit(
                story.scope, story.customer, NewTransfer(to_customer_id=to, amount_minor=amount, reason="x")
            )
    with pytest.raises(NotFound):
        await transfer_credit(story.scope, story.customer, NewTransfer(to_customer_id=999, reason="x"))
    await story.nothing_more_is_due()


# -- bad debts --------------------------------------------------------------------------------------------------------


async def test_B6_tax_of_a_bad_debt_is_relieved_and_due_again_when_money_comes(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 6667))
    story.on("2027-09-30")
    await write_off(story.scope, invoice, "Bankrupt")
    assert await story.books("5000", "2200") == ["80.00", "-13.33"]

    relieved = await relieve_tax(story.scope, invoice, "§ 16 UStG, bankruptcy of 1 September")
    assert relieved == 1333
    assert await story.books("5000", "2200") == ["66.67", "0.00"]
    with pytest.raises(Conflict, match="relieved already"):
        await relieve_tax(story.scope, invoice, "Again")
    await story.nothing_more_is_due()

    story.on("2027-11-02")
    await story.pays(8000, invoice)

    assert await story.books("1200", "1100", "2000", "2200", "5000") == ["80.00", "0.00", "0.00", "-13.33", "0.00"]
    assert (await story.document(invoice)).settlement == "paid"
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_B6_a_quota_brings_back_its_share_of_the_tax(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await story.pays(2000, invoice)
    await write_off(story.scope, invoice, "Bankrupt")
    assert await relieve_tax(story.scope, invoice, "Granted") == 1667

    await story.pays(3000, invoice)

    # 30.00 of 100.00 lost came: 5.00 of the 16.67 tax are due again.
    assert await story.books("1100", "2200", "5000") == ["0.00", "-8.33", "58.33"]
    found = await story.document(invoice)
    assert (found.open_minor, found.settlement) == (0, "written_off")
    await story.nothing_more_is_due()


async def test_B6_tax_is_relieved_of_what_is_still_lost_when_money_comes_at_the_same_time(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await write_off(story.scope, invoice, "Bankrupt")
    paid = asyncio.Event()

    async def money_comes() -> None:
        async with unit_of_work(story.scope):
            await story.pays(6000, invoice)
            paid.set()
            await asyncio.sleep(0.3)

    async def is_relieved() -> int:
        await paid.wait()
        return await relieve_tax(story.scope, invoice, "Granted")

    _, relieved = await asyncio.gather(spawn(money_comes()), spawn(is_relieved()))

    # 120.00 were lost, 60.00 are: half of the 20.00 of tax.
    assert relieved == 1000
    assert await story.books("1100", "2200", "5000") == ["0.00", "-10.00", "50.00"]
    await story.nothing_more_is_due()


async def test_B6_at_two_rates_each_has_its_share(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(100_000, "reduced")
    draft = await story.drafts(("Router", 10000), ("Book", 5000))
    line = await value("SELECT max(id) FROM document_line WHERE document_id = :id", id=draft)
    await execute("UPDATE document_line SET tax_category = 'reduced' WHERE id = :id", id=line)
    await issue(story.scope, draft)
    await write_off(story.scope, draft, "Bankrupt", 8750)

    # Half of 175.00 is lost: half of 20.00 and half of 5.00.
    assert await relieve_tax(story.scope, draft, "Granted") == 1250
    await void(story.scope, draft, "A mistake after all")

    assert await story.books("1100", "2200", "5000", "4000") == ["0.00", "0.00", "0.00", "0.00"]
    await story.nothing_more_is_due()


async def test_B6_nothing_is_relieved_without_a_loss_a_reason_or_tax(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))

    with pytest.raises(Conflict, match="Nothing of it was written off"):
        await relieve_tax(story.scope, invoice, "x")
    with pytest.raises(Invalid, match="grounds"):
        await relieve_tax(story.scope, invoice, " ")
    await execute("UPDATE customer SET tax_profile = 'exempt' WHERE id = :id", id=story.customer)
    exempt = await story.is_invoiced(("Router", 10000))
    await write_off(story.scope, exempt, "Bankrupt")
    with pytest.raises(Conflict, match="no tax"):
        await relieve_tax(story.scope, exempt, "x")
    await story.nothing_more_is_due()


async def test_B4_money_that_names_no_written_off_invoice_stays_credit(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await write_off(story.scope, invoice, "Bankrupt")

    await receive(story.scope, NewPayment(payer_id=story.customer, amount_minor=5000))

    assert (await story.document(invoice)).settlement == "written_off"
    assert await story.money() == Money("0.00", "50.00", "50.00")
    await story.nothing_more_is_due()
