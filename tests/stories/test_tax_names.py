"""What the tax is called: as the country of the seller has it, or as the tenant says; on documents for ever."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from core.billing.actions import change_seller, default_seller, issue, issue_proforma
from core.billing.actions.setup import snapshot_of
from core.billing.schemas import SellerFields
from core.billing.sheets import document_of
from core.catalog.tax_names import TaxSettings, name_tax, named_tax
from core.database import execute, value
from core.documents.model import view_of
from core.documents.sheet import document_page
from core.documents.statement import statement_page
from core.documents.words import VAT, legal_line, tax_of, words_for
from core.payments.statements import statement_of

if TYPE_CHECKING:
    from core.documents.model import DocumentView
    from tests.stories.story import Story


async def sells_from(story: Story, country: str, vat_id: str = "") -> None:
    story.scope = replace(story.scope, tenant=replace(story.scope.tenant, country=country))
    seller = await default_seller(story.scope)
    fields = SellerFields(name="Marlbeck", country=country, vat_id=vat_id)
    await change_seller(story.scope, seller.id, fields, version=seller.version)


async def view(story: Story, document_id: int) -> DocumentView:
    return view_of(await document_of(story.scope, document_id))


@pytest.mark.parametrize(
    ("country", "english", "german", "number"),
    [
        ("AT", "VAT", "USt", "VAT id"),
        ("CH", "VAT", "MWST", "VAT id"),
        ("AU", "GST", "GST", "Tax id"),
        ("CA", "GST/HST", "GST/HST", "Tax id"),
        ("US", "Sales tax", "Sales Tax", "Tax id"),
        ("BR", "VAT", "USt", "VAT id"),
        ("", "VAT", "USt", "VAT id"),
    ],
)
def test_B6_a_country_proposes_what_its_tax_is_called(country: str, english: str, german: str, number: str) -> None:
    said = words_for("en-GB", tax_of(country))

    assert (said.vat, words_for("de", tax_of(country)).vat, said.vat_id) == (english, german, number)


def test_B6_the_own_number_is_named_as_the_country_has_it_unless_who_typed_it_did_so() -> None:
    def line(country: str, vat_id: str, language: str = "en") -> str:
        return legal_line(language, registration="", tax_number="", vat_id=vat_id, tax=tax_of(country))

    assert line("AU", "51 824 753 556") == "Tax id 51 824 753 556"
    assert line("AU", "51 824 753 556", "de") == "Steuer-ID 51 824 753 556"
    assert line("AU", "ABN 51 824 753 556") == "ABN 51 824 753 556"
    assert line("IE", "IE1234567T") == "VAT id IE1234567T"


async def test_B6_documents_of_a_seller_without_vat_call_the_tax_as_its_country_does(story: Story) -> None:
    await story.begins("2027-05-01")
    await sells_from(story, "AU", "51 824 753 556")
    draft = await story.drafts(("Router", 10000))
    proforma = await issue_proforma(story.scope, draft)
    await issue(story.scope, draft)
    note = (await story.credits(draft, 1000)).id

    for each in (proforma, draft, note):
        said = await view(story, each)
        assert (said.words.vat, said.totals[1].label) == ("GST", "GST"), each
        assert "Tax id 51 824 753 556" in said.foot
        page = document_page(await document_of(story.scope, each))
        assert "VAT" not in page
        assert '<th scope="col" class="num d-vat">GST</th>' in page
    statement = await statement_of(story.scope, story.customer, story.scope.today(), story.scope.today())
    assert "Tax id 51 824 753 556" in statement_page(statement)
    await story.nothing_more_is_due()


async def test_B6_a_name_that_is_too_long_for_its_column_stands_under_the_lines(story: Story) -> None:
    await story.begins("2027-05-01")
    await sells_from(story, "JP")
    invoice = await story.is_invoiced(("Router", 10000))

    page = document_page(await document_of(story.scope, invoice))

    assert '<th scope="col" class="num d-vat">Tax</th>' in page
    assert page.count("Consumption tax") == 2
    await story.nothing_more_is_due()


async def test_B6_what_was_issued_keeps_what_the_tax_was_called(story: Story) -> None:
    await story.begins("2027-05-01")
    await sells_from(story, "CH")
    await execute("UPDATE customer SET language = 'de' WHERE id = :id", id=story.customer)
    first = await story.is_invoiced(("Router", 10000))
    await name_tax(story.scope, TaxSettings(en="Swiss VAT", de="MwSt."), "CH")
    second = await story.is_invoiced(("Router", 10000))
    await name_tax(story.scope, TaxSettings(en="VAT", de="MWST"), "CH")
    third = await story.is_invoiced(("Router", 10000))
    await sells_from(story, "AT")
    await story.bills(tax_rounding="line")
    fourth = await story.is_invoiced(("Router", 10000))

    assert [(await view(story, each)).totals[1].label for each in (first, second, third, fourth)] == [
        "MWST",
        "MwSt.",
        "MWST",
        "USt",
    ]
    assert "Die Umsatzsteuer ist je Position gerundet." in (await view(story, fourth)).notes
    await story.nothing_more_is_due()


async def test_B6_where_nothing_is_called_otherwise_documents_keep_no_more_than_before(story: Story) -> None:
    await story.begins("2027-05-01")
    before = await snapshot_of(await default_seller(story.scope))

    await name_tax(story.scope, TaxSettings(en="VAT", de="USt"), story.scope.tenant.country)

    assert await snapshot_of(await default_seller(story.scope)) == before
    assert await named_tax(story.scope.tenant.country) == VAT
    kept = await value("SELECT snapshot FROM seller_snapshot WHERE id = :id", id=before)
    assert "tax" not in msgspec.json.decode(kept)


async def test_B6_a_tax_in_another_currency_is_said_by_its_name(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD", country="SG")
    await sells_from(story, "SG")
    await story.taxes(90_000, since="2026-01-01")
    await story.rate("USD", "0.9", since="2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))

    notes = (await view(story, invoice)).notes

    assert [note for note in notes if note.startswith("GST in EUR")], notes
