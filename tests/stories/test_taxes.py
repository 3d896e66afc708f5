"""Tax of a line and of a document: by category, country and standing of the buyer, net and gross (default 5 and 8)."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct

from core.activity.unit import unit_of_work
from core.billing.actions import change_draft, change_seller, create_draft, default_seller, issue, reissue
from core.billing.schemas import DraftFields, NewDraft, NewLine, Reissue, SellerFields
from core.billing.sheets import document_of
from core.billing.vat_checks import NewVatCheck, VatStanding, note_check, standing_of
from core.billing.verify import verify
from core.catalog.actions import create_tax_category
from core.catalog.schemas import NewTaxCategory
from core.customers.actions import change_customer
from core.customers.queries import get_customer
from core.customers.schemas import BillingData
from core.database import execute, rows, value, values
from core.reports.taxes import tax_report

if TYPE_CHECKING:
    from tests.stories.story import Story


async def rates(story: Story, document_id: int = 1) -> list[tuple[str, int, int, int]]:
    """Category, percent, net, tax."""
    found = await story.document(document_id)
    return [(each.category, each.rate_ppm // 10_000, each.net_minor, each.tax_minor) for each in found.taxes]


async def three_lines(story: Story, **price: bool) -> None:
    """Three modules of 0.99 each."""
    for name in ("one", "two", "three"):
        await story.sells(name, 99, kind="module", **price)
        await story.subscribes(name)
    await story.bill()


async def test_tax_is_rounded_once_on_the_net_of_a_rate(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(190_000)

    await three_lines(story)

    # 2.97 × 19 % = 0.5643; line by line it would be 3 × 0.19 = 0.57
    assert await rates(story) == [("S", 19, 297, 56)]
    assert [line.tax_minor for line in (await story.document(1)).lines] == [19, 19, 18]
    await story.nothing_more_is_due()


async def test_B6_tax_can_be_rounded_line_by_line_and_the_document_says_so(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(190_000)
    lines = [("One", 99), ("Two", 99), ("Three", 99)]
    at_once = await story.document(await story.is_invoiced(*lines))
    await story.bills(tax_rounding="line")

    by_line = await story.document(await story.is_invoiced(*lines))

    assert [line.tax_minor for line in at_once.lines] == [19, 19, 18]
    assert (at_once.tax_minor, by_line.tax_minor) == (56, 57)
    assert [line.tax_minor for line in by_line.lines] == [19, 19, 19]
    said = [(await document_of(story.scope, each.id)).notes for each in (at_once, by_line)]
    assert said == [(), ("VAT is rounded line by line.",)]
    # Credited part by part, no more tax comes back than was charged.
    await story.credits(by_line.id, 99)
    await story.credits(by_line.id, 0, 99)
    await story.voids(by_line.id)
    await story.voids(at_once.id)
    assert await story.books("2200", "4000", "1100") == ["0.00", "0.00", "0.00"]
    await story.nothing_more_is_due()


async def test_B6_of_prices_with_tax_in_them_the_net_can_be_rounded_first_and_the_document_says_so(
    story: Story,
) -> None:
    await story.begins("2027-05-01")
    await story.taxes(190_000)
    lines = [NewLine(description=name, unit_price_e6=990_000, tax_inclusive=True) for name in ("One", "Two", "Three")]
    new = NewDraft(payer_id=story.customer, lines=lines)
    gross_id = await create_draft(story.scope, new)
    await issue(story.scope, gross_id)
    await story.bills(inclusive_prices="net")
    net_id = await create_draft(story.scope, new)
    await issue(story.scope, net_id)
    gross, net = [await story.document(each) for each in (gross_id, net_id)]
    printed = [await document_of(story.scope, each) for each in (gross_id, net_id)]

    note = await story.credits(net_id, 99)
    report = await tax_report("EUR", date(2027, 5, 1), date(2027, 5, 31))

    # 2.97 is kept; or 3 x 0.83 = 2.49 net, whose tax is 0.47
    assert (gross.net_minor, gross.tax_minor, gross.total_minor) == (250, 47, 297)
    assert (net.net_minor, net.tax_minor, net.total_minor) == (249, 47, 296)
    assert [each.prices_include_tax for each in printed] == [True, False]
    assert [each.notes for each in printed] == [(), ("Of prices with VAT in them the net is rounded first.",)]
    assert (note.net_minor, note.tax_minor) == (83, 16)
    assert (report.net_minor, report.tax_minor, report.other_minor) == (250 + 249 - 83, 47 + 47 - 16, 0)
    for each in (gross_id, net_id):
        await story.voids(each)
    assert await story.books("2200", "4000", "1100", "2000") == ["0.00"] * 4
    assert await verify(story.scope) == []


async def test_B6_a_run_rounds_the_net_first_too_and_a_note_of_all_is_the_whole_of_it(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(81_000)
    await story.bills(inclusive_prices="net", tax_rounding="line")
    await story.sells("fibre", 7, tax_inclusive=True)
    await story.subscribes("fibre")

    await story.bill()
    issued = await story.document(1)
    note = await story.voids(1)

    # 0.07 / 1.081 is 0.06 net; 8.1 % of it are 0.00
    assert [(each.net_minor, each.tax_minor, each.total_minor) for each in (issued, note)] == [(6, 0, 6)] * 2
    assert [(each.lines[0].amount_minor, each.lines[0].unit_price_e6) for each in (issued, note)] == [(7, 70_000)] * 2
    assert await verify(story.scope) == []


async def test_B6_rounded_by_line_a_price_with_tax_in_it_keeps_its_gross_and_a_run_does_the_same(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(190_000)
    await story.bills(tax_rounding="line")
    await story.sells("fibre", 99, tax_inclusive=True)
    await story.sells("tv", 99, tax_inclusive=True, kind="module")
    for code in ("fibre", "tv"):
        await story.subscribes(code)

    await story.bill()

    invoice = await story.document(1)
    assert [(line.net_minor, line.tax_minor) for line in invoice.lines] == [(83, 16), (83, 16)]
    assert (invoice.total_minor, invoice.tax_minor) == (198, 32)
    await story.nothing_more_is_due()


async def test_a_price_with_tax_in_it_keeps_its_gross(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(190_000)

    await three_lines(story, tax_inclusive=True)

    # 2.97 ÷ 1.19 = 2.4958
    assert await rates(story) == [("S", 19, 250, 47)]
    assert [(line.net_minor, line.tax_minor) for line in (await story.document(1)).lines] == [
        (83, 16),
        (83, 16),
        (84, 15),
    ]
    assert await story.papers() == [("2027-05-01", "2.97", "open")]
    assert await story.books("2300", "4000", "2200") == ["-2.50", "0.00", "-0.47"]
    await story.nothing_more_is_due()


async def test_two_rates_stand_beside_each_other(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(200_000)
    await story.taxes(100_000, "reduced")
    await story.sells("fibre", 3000)
    await story.sells("paper", 1005, kind="service", tax_category="reduced")
    await story.sells("stamps", 500, kind="service", tax_category="zero")
    await story.sells("deposit", 700, kind="service", tax_category="outside")
    for code in ("fibre", "paper", "stamps", "deposit"):
        await story.subscribes(code)

    await story.bill()

    assert await rates(story) == [("O", 0, 700, 0), ("S", 20, 3000, 600), ("S", 10, 1005, 101), ("Z", 0, 500, 0)]
    assert await story.papers() == [("2027-05-01", "59.06", "open")]
    await story.nothing_more_is_due()


@pytest.mark.parametrize(
    ("buyer", "expected"),
    [
        ({}, ("S", 20, 3000, 600)),
        ({"country": "AT", "kind": "company", "vat_id": "ATU12345675"}, ("S", 20, 3000, 600)),
        ({"tax_profile": "exempt"}, ("E", 0, 3000, 0)),
        ({"tax_profile": "reverse_charge", "country": "DE"}, ("AE", 0, 3000, 0)),
        ({"tax_profile": "outside"}, ("O", 0, 3000, 0)),
        ({"country": "DE"}, ("S", 20, 3000, 600)),
        ({"country": "DE", "kind": "company", "vat_id": "DE123456789"}, ("S", 20, 3000, 600)),
        ({"country": "CH"}, ("O", 0, 3000, 0)),
    ],
    ids=[
        "at home",
        "a company at home",
        "exempt",
        "reverse charge by hand",
        "outside by hand",
        "abroad in the EU",
        "a company whose VAT id nobody checked",
        "outside the EU",
    ],
)
async def test_the_buyers_country_and_standing_decide(
    story: Story, buyer: dict[str, str], expected: tuple[str, int, int, int]
) -> None:
    await story.begins("2027-05-01", **buyer)
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")

    await story.bill()

    assert await rates(story) == [expected]
    await story.nothing_more_is_due()


class Charged(Struct, frozen=True):
    tax_code: str
    rate_ppm: int
    tax_rate_id: int | None


async def test_a_line_and_its_posting_name_the_rate_and_without_tax_there_is_none(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(123_400)
    await story.sells("fibre", 3000)
    await story.sells("stamps", 500, kind="service", tax_category="zero")
    for code in ("fibre", "stamps"):
        await story.subscribes(code)
    rate = await value("SELECT id FROM tax_rate WHERE country = 'AT' AND rate_ppm = 123400")

    await story.bill()

    lines = await rows(Charged, "SELECT tax_code, rate_ppm, tax_rate_id FROM document_line ORDER BY tax_code")
    assert lines == [Charged("S", 123_400, rate), Charged("Z", 0, None)]
    booked = "SELECT p.tax_rate_id FROM posting p JOIN account a ON a.id = p.account_id WHERE a.code = '2200'"
    assert await values(booked) == [rate]
    await story.nothing_more_is_due()


async def test_a_valid_vat_id_of_another_member_counts_for_ninety_days(story: Story) -> None:
    await story.begins("2027-05-01", country="DE", kind="company", vat_id="DE123456789")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    await execute(
        "INSERT INTO vat_check (vat_id, checked_at, valid, consultation) VALUES (:id, :now, TRUE, 'WAPIAAAA')",
        id="DE123456789",
        now=story.scope.now(),
    )
    await story.bill()
    await story.months_pass(3)

    assert [await rates(story, each) for each in (1, 2, 3, 4)] == [
        [("AE", 0, 3000, 0)],
        [("AE", 0, 3000, 0)],
        [("AE", 0, 3000, 0)],
        [("S", 20, 3000, 600)],
    ]
    assert (await story.document(1)).taxes[0].exemption_code == "VATEX-EU-AE"
    await story.nothing_more_is_due()


async def test_a_vat_id_counts_to_the_last_second_of_its_ninety_days(story: Story) -> None:
    await story.begins("2027-05-01", country="DE", kind="company", vat_id="DE123456789")
    await execute(
        "INSERT INTO vat_check (vat_id, checked_at, valid, consultation) VALUES (:id, :now, TRUE, 'WAPIAAAA')",
        id="DE123456789",
        now=story.scope.now(),
    )

    story.on("2027-07-29", time(23, 59, 59))
    last = await story.is_invoiced(("Visit", 3000))
    story.clock.move(timedelta(seconds=1))
    over = await story.is_invoiced(("Visit", 3000))

    assert [await rates(story, each) for each in (last, over)] == [[("AE", 0, 3000, 0)], [("S", 20, 3000, 600)]]
    await story.nothing_more_is_due()


GERMAN = {"country": "DE", "kind": "company", "vat_id": "DE136695976"}
FREE, TAXED = [("AE", 0, 3000, 0)], [("S", 20, 3000, 600)]


async def another_seller(story: Story, book_id: int) -> int:
    """In Germany, with no number series of its own."""
    async with unit_of_work(story.scope):
        return int(
            await value(
                "INSERT INTO seller (code, name, country, book_id) VALUES ('other', 'Other', 'DE', :book) RETURNING id",
                book=book_id,
            )
        )


async def is_checked(story: Story, *, valid: bool = True, on: str | None = None, consultation: str = "") -> None:
    given = NewVatCheck(valid=valid, checked_on=date.fromisoformat(on) if on else None, consultation=consultation)
    await note_check(story.scope, story.customer, given)


async def stands(story: Story) -> VatStanding:
    return await standing_of(story.scope, await get_customer(story.scope, story.customer))


async def visit(story: Story) -> list[tuple[str, int, int, int]]:
    """The tax of an invoice that is issued now; what the customer's page says is the same."""
    found = await rates(story, await story.is_invoiced(("Visit", 3000)))
    assert (await stands(story)).free is (found == FREE)
    return found


async def test_B6_the_latest_answer_about_a_vat_id_decides(story: Story) -> None:
    await story.begins("2027-05-01", **GERMAN)
    before = await visit(story), (await stands(story)).reason
    await is_checked(story)
    story.on("2027-05-10")
    valid = await visit(story), (await stands(story)).reason

    await is_checked(story, valid=False)
    refused = await visit(story), (await stands(story)).reason, (await stands(story)).counts_until
    story.on("2027-05-11")
    await is_checked(story)
    again = await visit(story), (await stands(story)).reason

    assert before == (TAXED, "not_checked")
    assert valid == again == (FREE, "valid")
    assert refused == (TAXED, "not_valid", None)
    await story.nothing_more_is_due()


async def test_B6_of_two_answers_of_one_day_the_later_one_decides(story: Story) -> None:
    await story.begins("2027-05-10", **GERMAN)
    await is_checked(story, on="2027-05-04")
    await is_checked(story, valid=False, on="2027-05-04")

    taxed = await visit(story)
    await is_checked(story, on="2027-05-03")

    assert (taxed, await visit(story)) == (TAXED, TAXED)
    assert [(each.valid, each.checked_at.day) for each in (await stands(story)).checks] == [
        (False, 3),
        (True, 3),
        (True, 2),
    ], "the first moment of a day in Vienna lies in the day before in UTC"


async def test_B6_a_check_of_an_earlier_day_counts_for_ninety_days_and_not_on_the_one_behind(story: Story) -> None:
    await story.begins("2027-05-10", **GERMAN)
    await is_checked(story, on="2027-05-01")

    story.on("2027-07-29", time(23, 59))
    last = await visit(story), (await stands(story)).reason
    story.on("2027-07-30", time(0, 1))
    over = await visit(story), (await stands(story)).reason

    assert (last, over) == ((FREE, "valid"), (TAXED, "too_old"))
    await story.nothing_more_is_due()


@pytest.mark.parametrize(
    ("checked", "last"),
    [("2027-08-15", "2027-11-12"), ("2027-01-15", "2027-04-14")],
    ids=["into winter time", "into summer time"],
)
@pytest.mark.parametrize("now", [False, True], ids=["noted for its day", "asked at nine"])
async def test_B6_the_ninety_days_are_those_of_the_calendar_also_where_summer_time_begins_or_ends(
    story: Story, checked: str, last: str, now: bool
) -> None:
    await story.begins(checked, **GERMAN)
    if now:
        await is_checked(story)
    else:
        story.on(date.fromisoformat(checked) + timedelta(days=1))
        await is_checked(story, on=checked)
    until = (await stands(story)).counts_until

    story.on(last, time(23, 59, 59))
    counts = await visit(story)
    story.clock.move(timedelta(seconds=1))

    assert (counts, await visit(story), until) == (FREE, TAXED, story.clock.now())
    await story.nothing_more_is_due()


async def test_B6_another_vat_id_has_no_check_and_the_old_one_keeps_its_own(story: Story) -> None:
    await story.begins("2027-05-01", **GERMAN)
    await is_checked(story, consultation="WAPIAAAA")
    await change_vat_id(story, "DE129273398")
    changed = await visit(story), (await stands(story)).reason
    listed = [(each.vat_id, each.consultation) for each in (await stands(story)).checks]

    await change_vat_id(story, "DE136695976")

    assert changed == (TAXED, "not_checked")
    assert listed == [("DE136695976", "WAPIAAAA")]
    assert await visit(story) == FREE
    await story.nothing_more_is_due()


async def change_vat_id(story: Story, vat_id: str) -> None:
    customer = await get_customer(story.scope, story.customer)
    given = {name: getattr(customer, name) for name in BillingData.__struct_fields__}
    data = BillingData(**{**given, "vat_id": vat_id})
    await change_customer(story.scope, story.customer, data, version=customer.version)


@pytest.mark.parametrize(
    ("change", "reason", "expected"),
    [
        ({"kind": "person"}, "person", TAXED),
        ({"country": "AT"}, "at_home", TAXED),
        ({"country": ""}, "at_home", TAXED),
        ({"country": "CH"}, "outside_eu", [("O", 0, 3000, 0)]),
        ({"tax_profile": "exempt"}, "profile", [("E", 0, 3000, 0)]),
        ({"tax_profile": "reverse_charge"}, "profile", FREE),
    ],
    ids=["a person", "at home", "without a country", "outside the EU", "exempt", "reverse charge by hand"],
)
async def test_B6_a_valid_id_takes_tax_off_a_company_of_another_member_alone(
    story: Story, change: dict[str, str], reason: str, expected: list[tuple[str, int, int, int]]
) -> None:
    await story.begins("2027-05-01", **GERMAN)
    await is_checked(story)
    async with unit_of_work(story.scope):
        ((name, to),) = change.items()
        await execute(f"UPDATE customer SET {name} = :to WHERE id = :id", to=to, id=story.customer)

    assert await rates(story, await story.is_invoiced(("Visit", 3000))) == expected
    standing = await stands(story)
    assert (standing.reason, standing.free) == (reason, False)


async def test_B6_a_seller_that_moves_to_the_land_of_an_id_charges_tax_again(story: Story) -> None:
    await story.begins("2027-05-01", **{**GERMAN, "country": "FR"})
    await is_checked(story)
    abroad = await visit(story)
    seller = await default_seller(story.scope)
    await change_seller(story.scope, seller.id, SellerFields(name=seller.name, country="DE"), version=seller.version)

    (at_home,) = await rates(story, await story.is_invoiced(("Visit", 3000)))

    assert (abroad, at_home[0]) == (FREE, "S")
    assert (await stands(story)).reason == "of_home"


async def test_B6_a_draft_goes_by_its_own_seller_and_a_check_that_only_that_one_needs_can_be_noted(
    story: Story,
) -> None:
    await story.begins("2027-05-01", country="AT", kind="company", vat_id="ATU12345675")
    own = await default_seller(story.scope)
    other = await another_seller(story, own.book_id)
    await is_checked(story)
    customer = await get_customer(story.scope, story.customer)
    by_seller = [(await standing_of(story.scope, customer, seller_id=each)).reason for each in (own.id, other)]
    made = []
    for seller_id in (own.id, other):
        lines = [NewLine(description="Visit", unit_price_e6=30 * 10**6)]
        made.append(await create_draft(story.scope, NewDraft(payer_id=story.customer, lines=lines)))
        async with unit_of_work(story.scope):
            await execute("UPDATE document SET seller_id = :seller WHERE id = :id", seller=seller_id, id=made[-1])
        fields = DraftFields(lines=lines)
        await change_draft(story.scope, made[-1], fields, version=(await story.document(made[-1])).version)

    assert by_seller == ["at_home", "valid"]
    assert [await rates(story, each) for each in made] == [TAXED, FREE]


async def test_B6_an_invoice_of_another_seller_is_issued_anew_by_that_one_and_rests_on_the_check_again(
    story: Story,
) -> None:
    await story.begins("2027-05-01", country="AT", kind="company", vat_id="ATU12345675")
    own = await default_seller(story.scope)
    other = await another_seller(story, own.book_id)
    async with unit_of_work(story.scope):
        await execute(
            "INSERT INTO number_series (kind, seller_id, book_id, pattern, reset)"
            " SELECT kind, :other::bigint, book_id, 'O-' || pattern, reset FROM number_series WHERE seller_id = :own",
            other=other,
            own=own.id,
        )
    await is_checked(story)
    lines = [NewLine(description="Visit", unit_price_e6=30 * 10**6)]
    first = await create_draft(story.scope, NewDraft(payer_id=story.customer, lines=lines))
    async with unit_of_work(story.scope):
        await execute("UPDATE document SET seller_id = :seller WHERE id = :id", seller=other, id=first)
    await issue(story.scope, first)

    anew = await reissue(story.scope, first, Reissue(reason="Address"))

    proofs = await values("SELECT vat_check_id FROM document_vat_check ORDER BY document_id")
    sellers = await values("SELECT seller_id FROM document WHERE state = 'issued' ORDER BY id")
    assert sellers == [other] * 3
    assert [await rates(story, each) for each in (first, anew.invoice_id)] == [FREE, FREE]
    assert len(proofs) == 2 == len([each for each in proofs if each == proofs[0]])


async def is_exempt(story: Story) -> None:
    """A category of products that are exempt by themselves, such as insurance."""
    await create_tax_category(story.scope, NewTaxCategory(code="insurance", name="Insurance", einvoice_code="E"))
    await story.sells("fibre", 3000)
    await story.sells("cover", 500, kind="service", tax_category="insurance")
    for code in ("fibre", "cover"):
        await story.subscribes(code)


@pytest.mark.parametrize(
    ("buyer", "expected"),
    [
        ({"country": "AT"}, [("S", 20, 3000, 600), ("E", 0, 500, 0)]),
        ({"country": "FR"}, [("S", 20, 3000, 600), ("E", 0, 500, 0)]),
        (GERMAN, [("AE", 0, 3000, 0), ("E", 0, 500, 0)]),
        ({"country": "FR", "tax_profile": "reverse_charge"}, [("AE", 0, 3000, 0), ("E", 0, 500, 0)]),
        ({**GERMAN, "tax_profile": "exempt"}, [("E", 0, 3500, 0)]),
        ({**GERMAN, "tax_profile": "outside"}, [("O", 0, 3500, 0)]),
        ({"country": "CH"}, [("O", 0, 3500, 0)]),
    ],
    ids=[
        "at home",
        "a consumer of another member",
        "a company with a valid VAT id",
        "reverse charge by hand",
        "a company with a valid VAT id that is exempt",
        "outside by hand",
        "outside the EU",
    ],
)
async def test_B6_what_is_exempt_by_itself_is_no_reverse_charge_and_who_is_exempt_stays_so(
    story: Story, buyer: dict[str, str], expected: list[tuple[str, int, int, int]]
) -> None:
    await story.begins("2027-05-01", **buyer)
    if "vat_id" in buyer:
        await is_checked(story)
    await is_exempt(story)

    await story.bill()

    assert sorted(await rates(story)) == sorted(expected)
    await story.nothing_more_is_due()


async def test_B5_what_is_sold_once_is_earned_and_a_cycle_whose_days_nobody_knows_yet_is_not(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.sells("fibre", 3000)

    await story.is_invoiced(("Visit", 500))
    await story.asks_for("fibre")

    assert await story.books("2300", "4000", "2200", "1100") == ["-30.00", "-5.00", "-7.00", "42.00"]


async def test_registered_for_oss_consumers_abroad_pay_their_countrys_rate(story: Story) -> None:
    await story.begins("2027-05-01", country="HU")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    seller = await default_seller(story.scope)
    await change_seller(
        story.scope, seller.id, SellerFields(name=seller.name, country="AT", oss=True), version=seller.version
    )

    await story.bill()

    assert await rates(story) == [("S", 27, 3000, 810)]
    await story.nothing_more_is_due()


async def test_a_rate_that_changes_counts_from_the_last_day_of_the_period(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(200_000)
    await story.taxes(190_000, since="2027-06-01")
    await story.sells("fibre", 3000)
    await story.sells("tv", 1000, kind="module")
    await story.subscribes("fibre", starting="2027-05-01")
    await story.bill()
    story.on("2027-05-02")
    await story.subscribes("tv", starting="2027-05-02")
    await story.bill()

    # May lies before the change; what ends on 1 June, its last day, has the new rate.
    assert await rates(story, 1) == [("S", 20, 3000, 600)]
    assert await rates(story, 2) == [("S", 19, 1000, 190)]
    await story.months_pass(1)
    assert await rates(story, 3) == [("S", 19, 3000, 570)]
    await story.nothing_more_is_due()


async def test_what_stands_on_an_invoice_keeps_its_rate_when_credited_later(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    await story.taxes(190_000, since="2027-06-01")

    story.on("2027-06-05")
    note = await story.credits(invoice, 5000)

    assert [(each.rate_ppm, each.tax_minor) for each in note.taxes] == [(200_000, 1000)]
    second = await story.is_invoiced(("Router", 10000))
    assert await rates(story, second) == [("S", 19, 10000, 1900)]
    await story.nothing_more_is_due()


async def test_a_late_fee_is_outside_tax_and_earned_apart(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.is_charged("Reminder", 500, kind="fee")
    await story.is_charged("Visit", 5000)

    await story.bill()

    assert await rates(story) == [("O", 0, 500, 0), ("S", 20, 5000, 1000)]
    assert await story.books("4100", "4000", "2200", "1100") == ["-5.00", "-50.00", "-10.00", "65.00"]
    await story.nothing_more_is_due()


async def test_C9_a_document_says_why_its_buyer_is_exempt_as_it_stood_when_it_was_issued(story: Story) -> None:
    await story.begins("2027-05-01", tax_profile="exempt", tax_reason="Certificate 4711")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")

    await story.bill()

    async with unit_of_work(story.scope):
        await execute("UPDATE customer SET tax_reason = 'Another'")
    document = await document_of(story.scope, 1)
    assert [tax.note for tax in document.taxes] == ["Exempt from tax. Certificate 4711"]
