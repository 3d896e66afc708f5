"""Money that comes in, goes back and settles what is due (domain.md, Payment)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from core.billing.actions import allocate_by_hand, free_up, grant_credit, write_off
from core.billing.queries import list_credits, list_documents
from core.database import execute
from core.errors import Conflict, Invalid
from core.payments.actions import refund, reverse
from core.payments.queries import get_payment
from core.payments.schemas import NewRefund, Reversal
from tests.books import a_customer, day
from tests.stories.story import Money

if TYPE_CHECKING:
    from tests.stories.story import Story


async def three_invoices(story: Story) -> tuple[int, int, int]:
    """Of 120.00, 60.00 and 36.00; the second is due first."""
    await story.begins("2027-05-01")
    return (
        await story.is_invoiced(("Router", 10000), terms_days=20),
        await story.is_invoiced(("Phone", 5000), terms_days=10),
        await story.is_invoiced(("Cable", 3000), terms_days=30),
    )


async def still_open(story: Story, *documents: int) -> list[int]:
    return [(await story.document(each)).open_minor for each in documents]


async def test_a_payment_settles_what_it_names_then_what_is_due_first(story: Story) -> None:
    invoices = await three_invoices(story)

    await story.pays(10000, invoices[2])

    assert await still_open(story, *invoices) == [11600, 0, 0]
    assert await story.money() == Money("116.00", "0.00", "-116.00")
    await story.nothing_more_is_due()


async def test_what_names_nothing_settles_by_due_date_then_number(story: Story) -> None:
    invoices = await three_invoices(story)

    await story.pays(7000)
    assert await still_open(story, *invoices) == [11000, 0, 3600]
    await story.pays(20000)

    assert await still_open(story, *invoices) == [0, 0, 0]
    assert await story.money() == Money("0.00", "54.00", "54.00")
    await story.nothing_more_is_due()


async def test_a_disputed_invoice_is_paid_only_where_it_is_named(story: Story) -> None:
    invoices = await three_invoices(story)
    await execute("UPDATE document_state SET disputed = TRUE WHERE document_id = :id", id=invoices[1])

    await story.pays(20000)
    assert await still_open(story, *invoices) == [0, 6000, 0]
    assert await story.money() == Money("60.00", "44.00", "-16.00")
    await story.pays(1600, invoices[1])

    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_credit_pays_the_next_invoice_unless_the_tenant_says_no(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    await story.pays(5000)
    await story.bill()
    assert await story.money() == Money("0.00", "14.00", "14.00")

    await story.bills(use_credit=False)
    await story.months_pass(1)

    assert await story.money() == Money("36.00", "14.00", "-22.00")
    (credit,) = await list_credits(story.scope, story.customer, only_free=True)
    await allocate_by_hand(story.scope, credit.id, 2, 400)
    await story.expects("credit_allocated", on=["2027-06-01"])
    with pytest.raises(Invalid, match=r"At most 10\.00"):
        await allocate_by_hand(story.scope, credit.id, 2, 1001)
    assert await story.money() == Money("32.00", "10.00", "-22.00")
    await story.nothing_more_is_due()


async def test_an_event_of_a_provider_is_one_payment_however_often_it_comes(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 20829))
    event = {"provider": "gateway", "event_id": "evt_1"}

    first = await story.pays(1000, invoice, **event)
    again = await story.pays(1000, invoice, **event)

    assert again == first
    assert await story.money() == Money("239.95", "0.00", "-239.95")
    await story.nothing_more_is_due()


async def test_the_fee_of_a_gateway_is_ours_and_the_customer_paid_it_all(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))

    await story.pays(12000, invoice, fee_minor=210)

    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert await story.books("1200", "5200", "2000") == ["117.90", "2.10", "0.00"]
    with pytest.raises(Invalid, match="fee must be less"):
        await story.pays(100, fee_minor=100)
    with pytest.raises(Invalid, match="in the future"):
        await story.pays(100, received_on=day("2027-05-02"))
    await story.nothing_more_is_due()


async def test_a_chargeback_takes_its_money_back_from_where_it_went(story: Story) -> None:
    invoices = await three_invoices(story)
    payment = await story.pays(20000)
    assert await still_open(story, *invoices) == [0, 0, 1600]

    story.on("2027-05-20")
    await reverse(story.scope, payment, Reversal(reason="chargeback", fee_minor=300))

    assert await still_open(story, *invoices) == [12000, 6000, 3600]
    assert await story.money() == Money("216.00", "0.00", "-216.00")
    assert (await get_payment(story.scope, payment)).state == "reversed"
    assert await story.books("1200", "5200") == ["-3.00", "3.00"]
    with pytest.raises(Conflict, match="cannot be taken back"):
        await reverse(story.scope, payment, Reversal())
    await story.nothing_more_is_due()


async def test_B4_what_the_bank_took_for_a_returned_debit_is_charged_on_where_it_is_asked_for(story: Story) -> None:
    await story.begins("2027-05-01", language="de")
    invoice = await story.is_invoiced(("Router", 10000))
    payment = await story.pays(12000)

    story.on("2027-05-03")
    charge = await reverse(story.scope, payment, Reversal(reason="No funds", fee_minor=300, charge_fee=True))

    assert await story.books("1200", "5200", "4100") == ["-3.00", "3.00", "0.00"]
    await story.bill()
    fee = await story.last_document()
    assert (fee.net_minor, fee.tax_minor, fee.open_minor) == (300, 0, 300), "outside VAT"
    assert [line.charge_id for line in fee.lines] == [charge]
    assert fee.lines[0].description == "Bankgebühr für Ihre zurückgegangene Zahlung vom 01.05.2027"
    assert await still_open(story, invoice) == [12000]
    assert await story.books("1200", "5200", "4100") == ["-3.00", "3.00", "-3.00"]
    await story.nothing_more_is_due()


async def test_B4_a_fee_is_charged_on_in_the_payers_currency_or_not_at_all(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.8", "2027-05-01")
    payment = await story.pays(10000, bank_currency="EUR", bank_amount_minor=8000)

    await reverse(story.scope, payment, Reversal(reason="No funds", fee_minor=400, charge_fee=True))

    await story.bill()
    assert ((await story.last_document()).currency, (await story.last_document()).total_minor) == ("USD", 500)
    assert await story.books("1200", "5200") == ["-4.00", "4.00"]
    await story.nothing_more_is_due()


async def test_a_part_of_a_payment_is_taken_back(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    payment = await story.pays(15000)

    await reverse(story.scope, payment, Reversal(amount_minor=5000))
    assert await story.money() == Money("20.00", "0.00", "-20.00")
    assert (await get_payment(story.scope, payment)).state == "part_reversed"
    with pytest.raises(Invalid, match=r"At most 100\.00"):
        await reverse(story.scope, payment, Reversal(amount_minor=10001))
    await reverse(story.scope, payment, Reversal(amount_minor=10000))

    assert await still_open(story, invoice) == [12000]
    assert (await get_payment(story.scope, payment)).state == "reversed"
    await story.nothing_more_is_due()


async def test_free_credit_pays_what_a_chargeback_opened(story: Story) -> None:
    await story.begins("2027-05-01")
    first = await story.pays(12000)
    await story.pays(3000)
    invoice = await story.is_invoiced(("Router", 10000))
    assert await story.money() == Money("0.00", "30.00", "30.00")

    await reverse(story.scope, first, Reversal(reason="returned debit"))

    assert await still_open(story, invoice) == [9000]
    assert await story.money() == Money("90.00", "0.00", "-90.00")
    await story.nothing_more_is_due()


async def test_only_free_credit_is_refunded_the_oldest_first(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await story.pays(13000)
    await story.pays(2000)

    with pytest.raises(Conflict, match=r"30\.00 EUR at most"):
        await refund(story.scope, NewRefund(customer_id=story.customer, amount_minor=3001, reason="x"))
    made = await refund(story.scope, NewRefund(customer_id=story.customer, amount_minor=1500, reason="Paid over"))
    assert len(made) == 2
    assert await story.money() == Money("0.00", "15.00", "15.00")

    await free_up(story.scope, document_id=invoice)
    await refund(story.scope, NewRefund(customer_id=story.customer, amount_minor=13500, reason="Sent back"))
    assert await story.money() == Money("120.00", "0.00", "-120.00")
    assert await story.books("1200") == ["0.00"]
    await story.nothing_more_is_due()


async def test_a_refund_of_what_was_paid_opens_the_newest_invoice_again_where_asked_for(story: Story) -> None:
    await story.begins("2027-05-01")
    older = await story.is_invoiced(("Router", 10000))
    await story.pays(12000)
    newer = await story.is_invoiced(("Cable", 5000))
    await story.pays(8000)
    assert await story.money() == Money("0.00", "20.00", "20.00")

    wanted = NewRefund(customer_id=story.customer, amount_minor=3000, reason="As agreed")
    with pytest.raises(Conflict, match=r"20\.00 EUR at most\. Have paid invoices opened again"):
        await refund(story.scope, wanted)
    with pytest.raises(Conflict, match=r"200\.00 EUR at most"):
        await refund(story.scope, msgspec.structs.replace(wanted, amount_minor=20001, reopen=True))
    await refund(story.scope, msgspec.structs.replace(wanted, reopen=True))

    # 20.00 were free; the other 10.00 are open again on the invoice that was paid last.
    assert await still_open(story, older, newer) == [0, 1000]
    assert await story.money() == Money("10.00", "0.00", "-10.00")
    await refund(story.scope, msgspec.structs.replace(wanted, amount_minor=8000, reopen=True))
    assert await still_open(story, older, newer) == [3000, 6000]
    assert await story.books("1200") == ["90.00"]
    await story.nothing_more_is_due()


async def test_without_any_payment_nothing_is_paid_back(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.is_invoiced(("Router", 10000))

    with pytest.raises(Conflict, match=r"0\.00 EUR at most\.$"):
        await refund(story.scope, NewRefund(customer_id=story.customer, amount_minor=1, reason="x"))


async def test_a_refund_with_a_credit_note_of_its_amount_leaves_the_invoice_settled(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await story.pays(12000, invoice)

    await story.credits(invoice, 1000)
    await refund(story.scope, NewRefund(customer_id=story.customer, amount_minor=1200, reason="A scratch"))

    assert await still_open(story, invoice) == [0]
    assert await story.money() == Money("0.00", "0.00", "0.00")
    await story.nothing_more_is_due()


async def test_a_small_difference_counts_as_settled_by_a_run_and_by_hand_too(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.bills(small_difference_minor=5)
    await story.sells("fibre", 3000)
    await story.pays(3595)
    await story.subscribes("fibre")
    await story.bill()

    assert await story.papers() == [("2027-05-01", "36.00", "paid")]
    await story.expects("invoice_settled", on=["2027-05-01"])
    assert await story.books("7100") == ["0.05"]

    await story.bills(small_difference_minor=5, use_credit=False)
    credit = await grant_credit(story.scope, story.customer, 3595, "Sorry")
    story.on("2027-06-01")
    await story.bill()
    by_hand = (await list_documents(story.scope, kind="invoice", limit=1))[0].id
    assert await still_open(story, by_hand) == [3600]
    await allocate_by_hand(story.scope, credit, by_hand, 3594)
    assert await still_open(story, by_hand) == [6]
    await allocate_by_hand(story.scope, credit, by_hand, 1)
    assert await still_open(story, by_hand) == [0]
    assert await story.books("7100") == ["0.10"]
    await story.nothing_more_is_due()


async def test_a_small_difference_on_an_invoice_that_credit_pays_activates(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.9", since="2027-01-01")
    await story.bills(small_difference_minor=5)
    await story.sells("fibre", 3000, activation="invoice_first", currency="USD")
    await story.pays(3596)

    fibre, invoice = await story.asks_for("fibre")

    assert await story.state_of(fibre) == "active"
    assert await still_open(story, invoice) == [0]
    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert await story.books("7100", currency="USD") == ["0.04"]
    await story.nothing_more_is_due()


async def test_a_bad_debt_is_given_up_in_part_and_in_full(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))

    await write_off(story.scope, invoice, "Settlement", 4000)
    assert await story.money() == Money("80.00", "0.00", "-80.00")
    await write_off(story.scope, invoice, "Insolvent")
    assert await story.papers() == [("2027-05-01", "120.00", "written_off")]
    assert await story.books("5000", "4000", "2200") == ["120.00", "-100.00", "-20.00"]

    story.on("2027-06-01")
    await story.voids(invoice)
    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert await story.papers() == [("2027-05-01", "120.00", "credited")]
    assert await story.books("5000", "4000", "2200") == ["0.00", "0.00", "0.00"]
    await story.nothing_more_is_due()


async def test_a_credit_note_over_a_bad_debt_lowers_the_loss_and_gives_no_credit(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await story.pays(2000, invoice)
    await write_off(story.scope, invoice, "Insolvent")

    await story.credits(invoice, 3000)

    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert await story.books("5000") == ["64.00"]
    assert await story.papers() == [("2027-05-01", "120.00", "written_off")]
    await story.nothing_more_is_due()


async def test_money_of_one_customer_never_pays_for_another(story: Story) -> None:
    invoices = await three_invoices(story)
    other = await a_customer(story.scope, "Ben Berger")

    with pytest.raises(Invalid, match="another customer"):
        await story.pays(1000, invoices[0], payer_id=other)
    story.customer = other
    await story.pays(1000)

    assert await story.money() == Money("0.00", "10.00", "10.00")
    assert await still_open(story, *invoices) == [12000, 6000, 3600]
    await story.nothing_more_is_due()


async def test_B4_what_follows_from_a_settlement_comes_after_all_invoices_have_their_share(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("small", 3000)
    await story.sells("large", 9000, rank=1, activation="invoice_first")
    subscription = await story.subscribes("small")
    await story.bill()
    changed = await story.changes(subscription, price="large", when="now")
    await story.is_invoiced(("A visit", 2500))
    (waited_for,) = changed.document_ids

    await story.pays(30_000, waited_for)

    assert (await story.money()).open == "0.00"
    assert {settlement for _, _, settlement in await story.papers()} <= {"paid", "credited"}
    await story.nothing_more_is_due()
