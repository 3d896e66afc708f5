"""What documents say in the language of who pays: names of charges, prices of credit lines, when it was supplied."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from core.billing.actions import change_seller, default_seller
from core.billing.schemas import SellerFields
from core.billing.sheets import document_of
from core.database import execute, value
from core.documents.model import view_of
from core.documents.words import legal_line
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
