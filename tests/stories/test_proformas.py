"""Proformas: what an invoice would be, without any effect before it is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.billing.actions import delete_draft, draft_of_proforma, issue, issue_proforma
from core.database import value
from core.errors import Conflict
from tests.stories.story import Money

if TYPE_CHECKING:
    from tests.stories.story import Story


async def test_B2_a_proforma_has_its_own_number_and_no_effect_on_the_books(story: Story) -> None:
    await story.begins("2027-05-01", terms_days=30)
    draft = await story.drafts(("Router", 10000), reference="PO 7")

    proforma = await story.document(await issue_proforma(story.scope, draft))

    assert (proforma.number, proforma.total_minor, proforma.tax_minor) == ("PF-2027-000001", 12000, 2000)
    assert (str(proforma.due_on), proforma.open_minor, proforma.reference) == ("2027-05-31", 0, "PO 7")
    assert await story.money() == Money("0.00", "0.00", "0.00")
    assert await value("SELECT count(*) FROM posting") == 0
    await story.expects("proforma_issued", on=["2027-05-01"])
    await story.nothing_more_is_due()


async def test_B2_its_draft_becomes_the_invoice_and_takes_its_place(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.is_charged("Set-up", 3000)
    draft = await story.drafts(("Router", 10000), open_charges=True)
    proforma = await issue_proforma(story.scope, draft)
    await story.pays(15600)

    story.on("2027-05-04")
    assert await draft_of_proforma(story.scope, proforma) == draft
    await issue(story.scope, draft)

    invoice = await story.document(draft)
    assert (invoice.number, invoice.corrects_id, invoice.settlement) == ("2027-000001", proforma, "paid")
    assert await story.money() == Money("0.00", "0.00", "0.00")
    with pytest.raises(Conflict, match="issued already"):
        await draft_of_proforma(story.scope, proforma)
    await story.nothing_more_is_due()


async def test_B2_without_its_draft_a_new_one_of_the_same_lines_is_made(story: Story) -> None:
    await story.begins("2027-05-01")
    draft = await story.drafts(("Router", 10000), ("Cable", 500))
    proforma = await issue_proforma(story.scope, draft)
    await delete_draft(story.scope, draft)

    again = await draft_of_proforma(story.scope, proforma)

    lines = (await story.document(again)).lines
    assert [(line.description, line.net_minor) for line in lines] == [("Router", 10000), ("Cable", 500)]
    await story.nothing_more_is_due()


async def test_B2_an_issued_or_empty_document_has_no_proforma(story: Story) -> None:
    await story.begins("2027-05-01")
    invoice = await story.is_invoiced(("Router", 10000))
    empty = await story.drafts()

    with pytest.raises(Conflict, match="issued"):
        await issue_proforma(story.scope, invoice)
    with pytest.raises(Conflict, match="without a line"):
        await issue_proforma(story.scope, empty)
    with pytest.raises(Conflict, match="Only a proforma"):
        await draft_of_proforma(story.scope, invoice)
    await story.nothing_more_is_due()


async def test_B2_charges_of_a_draft_that_is_gone_are_not_billed_by_its_proforma_too(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.is_charged("Set-up", 3000)
    draft = await story.drafts(("Router", 10000), open_charges=True)
    proforma = await issue_proforma(story.scope, draft)
    await delete_draft(story.scope, draft)

    with pytest.raises(Conflict, match="Make a new invoice of the charges that are open"):
        await draft_of_proforma(story.scope, proforma)

    await story.bill()
    assert await story.papers() == [("2027-05-01", "36.00", "open")]
    await story.nothing_more_is_due()


async def test_B2_of_two_proformas_of_one_draft_the_later_takes_the_place_of_the_earlier(story: Story) -> None:
    await story.begins("2027-05-01")
    draft = await story.drafts(("Router", 10000))
    first = await issue_proforma(story.scope, draft)
    second = await issue_proforma(story.scope, draft)

    assert (await story.document(second)).corrects_id == first
    assert await draft_of_proforma(story.scope, first) == draft
    await issue(story.scope, draft)

    for each in (first, second):
        with pytest.raises(Conflict, match="issued already"):
            await draft_of_proforma(story.scope, each)
    assert (await story.document(draft)).corrects_id == second
    assert await value("SELECT count(*) FROM document") == 3
    await story.nothing_more_is_due()


async def test_B2_two_proformas_without_their_draft_share_the_new_one(story: Story) -> None:
    await story.begins("2027-05-01")
    draft = await story.drafts(("Router", 10000))
    first, second = await issue_proforma(story.scope, draft), await issue_proforma(story.scope, draft)
    await delete_draft(story.scope, draft)

    again = await draft_of_proforma(story.scope, first)

    assert await draft_of_proforma(story.scope, second) == again
    assert [line.description for line in (await story.document(again)).lines] == ["Router"]
    await story.nothing_more_is_due()
