"""What documents say in the language of who pays: names of charges, prices of credit lines, when it was supplied."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from core.billing.actions import change_seller, create_draft, default_seller, issue
from core.billing.mailing import INVOICE_MAIL
from core.billing.pages import line_items, tax_items
from core.billing.schemas import NewDraft, NewLine, SellerFields
from core.billing.sheets import document_of
from core.database import execute, value
from core.documents.model import view_of
from core.documents.sheet import document_page
from core.documents.words import legal_line, words_for
from core.payments.statements import statement_of
from core.texts import speaking
from tests.stories.story import percent

if TYPE_CHECKING:
    from tests.stories.story import Story


async def a_german(story: Story) -> int:
    """Fibre at 100.00 a month, 10 % off, 49.00 to set it up, billed on the first of January: the invoice."""
    await story.begins("2027-01-01")
    await execute("UPDATE customer SET language = 'de' WHERE id = :id", id=story.customer)
    await story.taxes(200_000)
    await story.sells("fibre", 10000, setup_minor=4900)
    await story.subscribes("fibre", discounts=[percent(10)])
    await story.bill()
    return (await story.last_document()).id


async def test_B11_what_is_charged_is_written_in_the_language_of_who_pays(story: Story) -> None:
    invoice = await a_german(story)

    found = await document_of(story.scope, invoice)

    assert sorted(line.text for line in found.lines) == ["Fibre", "Fibre: Einrichtung"]
    assert await value("SELECT description FROM charge WHERE kind = 'setup'") == "Fibre: Einrichtung"


async def test_B11_it_is_written_so_whatever_language_the_staff_speak(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.sells("fibre", 10000, setup_minor=4900)

    with speaking("de"):
        await story.subscribes("fibre")

    assert await value("SELECT description FROM charge WHERE kind = 'setup'") == "Fibre: set-up"


async def test_B11_amounts_of_a_line_are_written_alike(story: Story) -> None:
    invoice = await a_german(story)

    view = view_of(await document_of(story.scope, invoice))

    assert [(line.price, line.less, line.amount) for line in view.lines if line.less] == [("100,00", "−10,00", "90,00")]


async def test_B11_a_credited_part_of_a_line_has_it_as_its_price(story: Story) -> None:
    invoice = await a_german(story)
    first, second = (await document_of(story.scope, invoice)).lines
    part = await story.credits(invoice, 500, 300)
    rest = await story.voids(invoice)

    parts = (await document_of(story.scope, part.id)).lines
    rests = (await document_of(story.scope, rest.id)).lines

    assert {first.amount_minor, second.amount_minor} == {4900, 9000}
    assert [(line.quantity, line.unit_price, line.amount_minor) for line in parts] == [
        (Decimal(1), Decimal(5), 500),
        (Decimal(1), Decimal(3), 300),
    ]
    assert all(line.unit_price is not None and line.unit_price * 100 == line.amount_minor for line in rests)
    assert sum(line.amount_minor for line in rests) == 13900 - 800


async def test_B11_a_line_that_is_credited_whole_comes_to_its_amount(story: Story) -> None:
    invoice = await a_german(story)

    note = await story.voids(invoice)

    for line in (await document_of(story.scope, note.id)).lines:
        assert line.unit_price is not None
        assert int(line.unit_price * line.quantity * 100) - line.discount_minor == line.amount_minor


async def test_B11_german_documents_say_when_it_was_supplied(story: Story) -> None:
    invoice = await a_german(story)
    story.on("2027-02-01")
    await story.bill()
    next_one = (await story.last_document()).id
    by_hand = await story.is_invoiced(("Router", 5900))

    said = [view_of(await document_of(story.scope, one)).notes for one in (invoice, next_one, by_hand)]

    assert [[note for note in notes if "Leistung" in note] for notes in said] == [
        ["Unter den Positionen steht ihr Leistungszeitraum, sonst ist das Leistungsdatum das Rechnungsdatum."],
        ["Unter jeder Position steht ihr Leistungszeitraum."],
        ["Das Leistungsdatum ist das Rechnungsdatum."],
    ]


@pytest.mark.parametrize(
    ("language", "tax_number", "vat_id", "said"),
    [
        ("de", "20/290/12345", "DE123456788", "HRB 1 · Steuernummer 20/290/12345 · USt-IdNr. DE123456788"),
        ("en", "1234567T", "IE1234567T", "HRB 1 · Tax number 1234567T · VAT id IE1234567T"),
        ("de", "St.-Nr. 20/290", "USt-IdNr. DE123456788", "HRB 1 · St.-Nr. 20/290 · USt-IdNr. DE123456788"),
        ("de", "", "", "HRB 1"),
    ],
)
def test_B11_the_numbers_in_the_foot_are_named_once(language: str, tax_number: str, vat_id: str, said: str) -> None:
    assert legal_line(language, registration="HRB 1", tax_number=tax_number, vat_id=vat_id) == said


async def test_B11_the_foot_names_the_numbers_in_the_language_of_the_document(story: Story) -> None:
    invoice = await a_german(story)
    seller = await default_seller(story.scope)
    await change_seller(
        story.scope,
        seller.id,
        SellerFields(name="Küstenfunk", country="AT", tax_number="20/290/12345", vat_id="ATU12345675"),
        version=seller.version,
    )
    story.on("2027-02-01")
    await story.bill()

    view = view_of(await document_of(story.scope, (await story.last_document()).id))

    assert view.foot == "Küstenfunk · Steuernummer 20/290/12345 · USt-IdNr. ATU12345675"
    assert "Steuernummer" not in view_of(await document_of(story.scope, invoice)).foot


async def test_B11_a_statement_calls_credit_notes_as_they_are_headed(story: Story) -> None:
    invoice = await a_german(story)
    note = await story.voids(invoice)

    made = await statement_of(story.scope, story.customer, story.today, story.today)

    assert f"Rechnungskorrektur {note.number}" in [entry.text for part in made.parts for entry in part.entries]


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "Reverse charge: the recipient owes the tax."),
        ("de", "Steuerschuldnerschaft des Leistungsempfängers."),
    ],
)
async def test_B6_an_invoice_without_tax_says_that_who_receives_it_owes_the_tax(
    story: Story, language: str, said: str
) -> None:
    await story.begins("2027-01-01", country="DE", tax_profile="reverse_charge", language=language)
    invoice = await story.is_invoiced(("Transit", 10000))
    note = await story.credits(invoice, 1000)

    for paper in (invoice, note.id):
        assert said in view_of(await document_of(story.scope, paper)).notes
    assert [tax.note for tax in tax_items(await story.document(invoice))] == ["reverse charge"]


async def test_B6_what_is_outside_of_tax_says_so_and_the_highest_rate_stands_first(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await story.taxes(100_000, "reduced")
    lines = [
        NewLine(description=each, unit_price_e6=10**7, tax_category=each)
        for each in ("outside", "reduced", "standard", "zero")
    ]
    invoice = await create_draft(story.scope, NewDraft(payer_id=story.customer, lines=lines))
    await issue(story.scope, invoice)

    view = view_of(await document_of(story.scope, invoice))

    assert [tax.label.replace("\N{NO-BREAK SPACE}", "") for tax in view.taxes] == ["20%", "10%", "–", "0%"]
    assert "Not subject to tax." in view.notes


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "VAT in EUR: €18.00, at 1 USD = 0.9 EUR."),
        ("de", "Umsatzsteuer in EUR: 18,00 €, Kurs 1 USD = 0,9 EUR."),
    ],
)
async def test_B7_an_invoice_in_another_currency_states_its_tax_in_the_tenants(
    story: Story, language: str, said: str
) -> None:
    await story.begins("2027-05-01", currency="USD", language=language)
    await story.taxes(200_000)
    await story.rate("USD", "0.9", since="2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    note = await story.credits(invoice, 10000)

    for paper in (invoice, note.id):
        notes = view_of(await document_of(story.scope, paper)).notes
        assert said in [each.replace("\N{NO-BREAK SPACE}", " ") for each in notes]


async def test_B6_lines_with_and_without_tax_on_one_invoice_come_to_its_net(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    lines = [
        NewLine(description="Line", unit_price_e6=100 * 10**6),
        NewLine(description="Router", unit_price_e6=126 * 10**6, discount_minor=600, tax_inclusive=True),
    ]
    invoice = await create_draft(story.scope, NewDraft(payer_id=story.customer, lines=lines))
    await issue(story.scope, invoice)

    view = view_of(await document_of(story.scope, invoice))

    assert view.amount_head == "Net, EUR"
    assert [(line.price, line.less, line.with_tax, line.amount) for line in view.lines] == [
        ("100.00", "", "", "100.00"),
        ("126.00", "−6.00", "incl. VAT", "100.00"),
    ]
    assert (view.lines[-1].carried, view.totals[0].value) == ("200.00", "200.00")
    assert "incl. VAT" in document_page(await document_of(story.scope, invoice))
    assert [line.detail for line in line_items(await story.document(invoice), "en")] == ["", "tax included"]


async def test_B6_where_all_prices_include_tax_the_amounts_do(story: Story) -> None:
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    line = NewLine(description="Router", unit_price_e6=120 * 10**6, tax_inclusive=True)
    invoice = await create_draft(story.scope, NewDraft(payer_id=story.customer, lines=[line]))
    await issue(story.scope, invoice)

    view = view_of(await document_of(story.scope, invoice))

    assert (view.amount_head, view.lines[0].amount, view.lines[0].with_tax) == ("Gross, EUR", "120.00", "")


def test_B11_the_mail_calls_a_credit_note_as_it_is_headed() -> None:
    for language in ("en", "de"):
        mail, headed = INVOICE_MAIL.words[language], words_for(language).credit_note
        assert headed.lower() in mail.subject.lower()
        assert headed.lower() in mail.body.lower()
