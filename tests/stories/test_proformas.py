"""Proformas: what an invoice would be, without any effect before it is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.billing.actions import change_draft, delete_draft, draft_of_proforma, issue, issue_proforma
from core.billing.queries import list_documents
from core.billing.schemas import DraftFields, NewLine
from core.database import value
from core.errors import Conflict, Invalid
from core.payments.batch import match
from core.payments.queries import get_payment
from core.payments.suspense import Assignment, NewReceipt, assign, receive_unidentified
from tests.books import a_customer
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


async def _states(story: Story) -> list[str]:
    """Of all proformas, the oldest first: in the list, and each on its page."""
    found = list(reversed(await list_documents(story.scope, kind="proforma")))
    assert [each.settlement for each in found] == [(await story.document(each.id)).settlement for each in found]
    return [each.settlement for each in found]


async def test_B2_a_proforma_whose_invoice_is_issued_says_so_and_where_it_is(story: Story) -> None:
    await story.begins("2027-05-01")
    draft = await story.drafts(("Router", 10000))
    proforma = await issue_proforma(story.scope, draft)
    before = await story.document(proforma)

    await issue(story.scope, draft)

    after = await story.document(proforma)
    assert (before.settlement, before.draft_id, before.replaced_by_id, before.way_out) == ("open", draft, None, "")
    assert (after.settlement, after.draft_id, after.replaced_by_id) == ("invoiced", None, draft)
    assert "2027-000001" in after.way_out
    assert await _states(story) == ["invoiced"]


async def test_B2_a_proforma_is_superseded_by_a_later_one_and_by_a_draft_that_was_changed(story: Story) -> None:
    await story.begins("2027-05-01")
    draft = await story.drafts(("Router", 10000))
    first = await issue_proforma(story.scope, draft)

    version = (await story.document(draft)).version
    line = NewLine(description="Router", unit_price_e6=90 * 10**6)
    await change_draft(story.scope, draft, DraftFields(lines=[line]), version=version)
    changed = await story.document(first)
    second = await issue_proforma(story.scope, draft)

    assert (changed.settlement, changed.draft_id, changed.replaced_by_id) == ("superseded", draft, None)
    assert "changed" in changed.way_out
    assert await _states(story) == ["superseded", "open"]
    assert (await story.document(first)).replaced_by_id == second


async def test_B2_a_proforma_is_expired_where_its_draft_let_go_of_its_charges(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.is_charged("Set-up", 3000)
    draft = await story.drafts(("Router", 10000), open_charges=True)
    await issue_proforma(story.scope, draft)
    assert await _states(story) == ["open"]

    await delete_draft(story.scope, draft)

    assert await _states(story) == ["expired"]
    (proforma,) = await list_documents(story.scope, kind="proforma")
    assert "charges that are open" in (await story.document(proforma.id)).way_out


async def test_B2_money_for_a_proforma_pays_its_invoice_or_stays_credit_and_says_why(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.is_charged("Set-up", 3000)
    draft = await story.drafts(("Router", 10000))
    paid = await issue_proforma(story.scope, draft)
    await issue(story.scope, draft)
    older = await story.is_invoiced(("Cable", 500))
    gone_draft = await story.drafts(open_charges=True)
    gone = await issue_proforma(story.scope, gone_draft)
    await delete_draft(story.scope, gone_draft)

    await story.pays(12000, paid)
    assert (await story.document(draft)).settlement == "paid"
    assert (await story.document(older)).settlement == "open"
    stays = await get_payment(story.scope, await story.pays(10600, gone))

    assert "PF-2027-000002" in stays.note
    assert stays.names_document_id == gone
    assert await story.money() == Money("0.00", "100.00", "100.00")
    await story.bill()
    assert await story.papers() == [
        ("2027-05-01", "120.00", "paid"),
        ("2027-05-01", "6.00", "paid"),
        ("2027-05-01", "36.00", "paid"),
    ]
    await story.nothing_more_is_due()


async def test_B2_money_in_suspense_or_in_a_batch_finds_its_customer_by_a_proforma(story: Story) -> None:
    await story.begins("2027-05-01")
    draft = await story.drafts(("Router", 10000))
    proforma = await issue_proforma(story.scope, draft)
    await delete_draft(story.scope, draft)
    waiting = await receive_unidentified(story.scope, NewReceipt(amount_minor=4000))

    matched = await match(story.scope, "", "Payment of PF-2027-000001")
    await assign(story.scope, waiting, Assignment(payer_id=story.customer, document_id=proforma))

    assert matched is not None
    assert (matched.customer_id, matched.document_id) == (story.customer, proforma)
    assert "PF-2027-000001" in (await get_payment(story.scope, waiting)).note
    assert await story.money() == Money("0.00", "40.00", "40.00")
    other = await a_customer(story.scope, "Ben Berger")
    with pytest.raises(Invalid, match="another customer's"):
        await story.pays(100, proforma, payer_id=other)
    await story.nothing_more_is_due()
