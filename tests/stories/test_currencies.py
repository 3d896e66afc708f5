"""Customers that pay in other currencies than the tenant's, with two, no and three decimals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.billing.actions import create_draft, issue
from core.billing.schemas import NewDraft, NewLine
from core.errors import Conflict, Invalid
from core.payments.actions import refund, reverse
from core.payments.schemas import NewRefund, Reversal
from tests.books import a_customer
from tests.stories.story import Money, percent

if TYPE_CHECKING:
    from tests.stories.story import Story


async def test_an_invoice_in_dollars_paid_in_euro_realises_its_gain_on_allocation(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD", tax_profile="outside")
    await story.rate("USD", "0.9", since="2027-05-01")
    await story.rate("USD", "0.95", since="2027-05-10")
    invoice = await story.is_invoiced(("Router", 10000))
    assert await story.books("1100") == ["90.00"]

    story.on("2027-05-10")
    await story.pays(10000, invoice, bank_currency="EUR", bank_amount_minor=9200)

    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert await story.books("1100", "1200", "2000", "4000", "7000", "9000") == [
        "0.00",
        "92.00",
        "0.00",
        "-90.00",
        "-2.00",
        "0.00",
    ]
    await story.nothing_more_is_due()


async def test_a_loss_between_two_rates_is_shared_by_the_parts_paid(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.9", since="2027-05-01")
    await story.rate("USD", "0.85", since="2027-06-01")
    await story.sells("fibre", 10000, currency="USD")
    await story.subscribes("fibre")
    await story.bill()
    document = await story.document(1)
    assert (document.total_minor, document.tax_currency_minor, document.fx_rate_e10) == (12000, 1800, 9 * 10**9)
    assert await story.books("1100", "2200", "2300") == ["108.00", "-18.00", "-90.00"]

    story.on("2027-05-31")
    await story.pays(3333)
    assert await story.books("1100", "7000") == ["78.00", "0.00"]
    story.on("2027-06-01")
    await story.pays(8667)

    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert await story.books("1100", "2000", "7000") == ["0.00", "0.00", "4.33"]


async def test_B7_tax_of_an_invoice_over_nothing_is_owed_in_the_tenants_currency_too(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.9", since="2027-05-01")
    lines = [
        NewLine(description="Router", unit_price_e6=10 * 10**6),
        NewLine(description="Returned voucher", unit_price_e6=-12 * 10**6, tax_category="outside"),
    ]
    invoice = await create_draft(story.scope, NewDraft(payer_id=story.customer, lines=lines))
    await issue(story.scope, invoice)

    document = await story.document(invoice)
    assert (document.total_minor, document.tax_minor, document.tax_currency_minor) == (0, 200, 180)
    assert await story.books("1100", "2200", "4000") == ["0.00", "-1.80", "1.80"]
    await story.nothing_more_is_due()


async def test_credit_in_another_currency_pays_the_next_invoice_in_it(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.9", since="2027-05-01")
    await story.sells("fibre", 3000, currency="USD")
    await story.subscribes("fibre")
    await story.pays(5000)
    await story.bill()
    assert await story.money() == Money("0.00", "14.00", "14.00")

    await story.rate("USD", "0.8", since="2027-06-01")
    await story.months_pass(1)

    assert await story.money() == Money("22.00", "0.00", "-22.00")
    # 14.00 came in at 0.90 and settle what was issued at 0.80: a gain.
    assert await story.books("7000", "2000") == ["-1.40", "0.00"]
    await story.nothing_more_is_due()


async def test_a_credit_note_uses_its_invoices_rate(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.9", since="2027-05-01")
    await story.rate("USD", "0.5", since="2027-05-10")
    invoice = await story.is_invoiced(("Router", 9999))
    await story.pays(3333, invoice)

    story.on("2027-05-10")
    await story.credits(invoice, 3333)
    await story.voids(invoice)

    assert await story.money() == Money("0.00", "33.33", "33.33")
    assert await story.books("1100", "2200", "4000", "7000") == ["0.00", "0.00", "0.00", "0.00"]
    await story.nothing_more_is_due()


async def test_a_payment_in_another_currency_is_taken_back_as_a_whole(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.9", since="2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    payment = await story.pays(12000, invoice, bank_currency="EUR", bank_amount_minor=10900)

    with pytest.raises(Invalid, match="as a whole"):
        await reverse(story.scope, payment, Reversal(amount_minor=100))
    await reverse(story.scope, payment, Reversal(reason="chargeback"))

    assert await story.money() == Money("120.00", "0.00", "-120.00")
    assert await story.books("1200", "2000", "7000", "9000") == ["0.00", "0.00", "0.00", "0.00"]
    await story.nothing_more_is_due()


async def test_a_refund_needs_a_rate_only_where_the_credit_came_from(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    with pytest.raises(Conflict, match="no rate from USD to EUR"):
        await story.pays(5000)
    await story.rate("USD", "0.9", since="2027-05-01")
    await story.pays(5000)
    await story.rate("USD", "0.8", since="2027-05-10")

    story.on("2027-05-10")
    await refund(story.scope, NewRefund(customer_id=story.customer, amount_minor=5000, reason="Paid over"))

    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert await story.books("1200", "2000") == ["0.00", "0.00"]
    await story.nothing_more_is_due()


async def test_yen_have_no_decimals_and_dinars_three(story: Story) -> None:
    await story.begins("2027-05-21", currency="JPY", billing_day=1)
    await story.rate("JPY", "0.0061", since="2027-05-01")
    await story.rate("KWD", "3.01", since="2027-05-01")
    await story.sells("fibre", 9998, currency="JPY")
    await story.sells("fibre", 9998, currency="KWD")
    await story.subscribes("fibre", price="fibre", discounts=[percent(50)])
    yen = story.customer
    story.customer = await a_customer(story.scope, "Ben Berger", currency="KWD", billing_day=1)
    await story.sells("voice", 1234, currency="KWD")
    await story.subscribes("voice", quantity_e6=2_500_000)

    await story.days_pass(11)

    # 11 of 31 days: 4999 × 11 ÷ 31, and 3.085 × 11 ÷ 31
    assert [line[3] for line in await story.lines()] == [1774, 1095, 4999, 3085]
    assert await story.money(yen) == Money("8128", "0", "-8128")
    assert await story.money() == Money("5.016", "0.000", "-5.016")
    document = await story.document(1)
    assert (document.total_minor, document.tax_currency_minor) == (2129, 217)
    await story.pays(5016)
    assert await story.money() == Money("0.000", "0.000", "0.000")
    await story.nothing_more_is_due()


async def test_a_customer_is_charged_in_its_own_currency_only(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.sells("fibre", 3000)

    with pytest.raises(Invalid, match="pays in USD; this price is in EUR"):
        await story.subscribes("fibre")


async def test_a_tenant_in_yen_bills_in_yen(story: Story) -> None:
    story.lives_in("Asia/Tokyo", country="JP", currency="JPY")
    await story.begins("2027-05-16")
    await story.taxes(100_000)
    await story.sells("fibre", 9998, tax_inclusive=True)
    await story.subscribes("fibre")
    await story.bill()

    assert await story.papers() == [("2027-05-16", "9998", "open")]
    assert await story.books("2300", "2200") == ["-9089", "-909"]
    await story.pays(9998)
    await story.nothing_more_is_due()
