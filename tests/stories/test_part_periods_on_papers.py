"""A line says what makes its amount: quantity × price × so many days of a full period, less the discount (B11)."""

from __future__ import annotations

from datetime import date
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec
import pytest

from core.billing.actions import issue_proforma, reissue
from core.billing.actions.reissuing import line_as_it_was, list_reissuable
from core.billing.pages import line_items
from core.billing.part_periods import as_counted
from core.billing.schemas import Reissue
from core.billing.sheets import document_of
from core.database import Refused, execute
from core.documents.model import LineView, view_of
from core.subscriptions.actions import terminate
from core.texts import speaking
from tests.books import day
from tests.stories.story import percent
from tests.stories.test_drafts_cut import days_on_a_draft

if TYPE_CHECKING:
    from core.billing.schemas import DocumentDetail
    from tests.stories.story import Story

days_of_lines = import_module("core.billing.migrations.2026_11_23_0010_days_of_lines")


async def a_part(story: Story, *, language: str = "en", discount: int = 0, **product: object) -> DocumentDetail:
    """Fibre at 100.00 a month from 15 January on, billed on the first: the first invoice."""
    await story.begins("2027-01-15", billing_day=1)
    await execute("UPDATE customer SET language = :language WHERE id = :id", language=language, id=story.customer)
    await story.taxes(200_000)
    await story.sells("fibre", 10000, **product)
    await story.subscribes("fibre", discounts=[percent(discount)] if discount else [])
    await story.bill()
    return await story.last_document()


async def on_paper(story: Story, document_id: int) -> LineView:
    (line,) = view_of(await document_of(story.scope, document_id)).lines
    return line


async def test_B11_a_part_of_a_period_says_how_many_days_of_how_many_it_charges(story: Story) -> None:
    document = await a_part(story, discount=10)
    (line,) = document.lines

    shown = await on_paper(story, document.id)

    assert (line.quantity_e6, line.unit_price_e6, line.days, line.of_days) == (10**6, 100 * 10**6, 17, 31)
    assert (line.discount_minor, line.amount_minor) == (549, 4935)  # 100.00 × 17 ÷ 31 = 54.84
    assert (shown.quantity, shown.price, shown.days, shown.less, shown.amount) == (
        "1", "100.00", "17 of 31 days", "−5.49", "49.35",
    )  # fmt: skip
    assert line_items(document, "en")[0].detail.endswith("· 17 of 31 days")
    await story.nothing_more_is_due()


async def test_B11_the_days_are_in_the_language_of_who_pays(story: Story) -> None:
    document = await a_part(story, language="de")

    assert (await on_paper(story, document.id)).days == "17 von 31 Tagen"
    with speaking("de"):
        assert line_items(document, "de")[0].detail.endswith("· 17 von 31 Tagen")


async def test_B11_a_full_period_says_nothing_of_days(story: Story) -> None:
    await a_part(story)
    story.on("2027-02-01")
    await story.bill()
    (line,) = (await story.last_document()).lines

    assert (line.days, line.of_days) == (1, 1)
    assert (await on_paper(story, (await story.last_document()).id)).days == ""


@pytest.mark.parametrize(
    ("proration", "days", "said", "amount"),
    [
        ("merged", (48, 31), "48 days, price for 31", "154.84"),
        ("none", (0, 1), "part of a period, not charged", "0.00"),
        ("full", (1, 1), "", "100.00"),
    ],
)
async def test_B11_whatever_a_first_part_costs_its_line_says_why(
    story: Story, proration: str, days: tuple[int, int], said: str, amount: str
) -> None:
    await story.begins("2027-01-15", billing_day=1)
    await story.taxes(200_000)
    await story.sells("fibre", 10000, proration=proration)
    await story.subscribes("fibre")
    await story.is_charged("Visit", 100)
    await story.bill()
    document = await story.last_document()

    (line,) = [each for each in document.lines if each.kind == "recurring"]
    shown = view_of(await document_of(story.scope, document.id)).lines[line.position - 1]

    assert ((line.days, line.of_days), shown.days, shown.amount) == (days, said, amount)


async def test_B11_a_draft_whose_days_are_cut_says_so_and_its_proforma_is_of_the_past(story: Story) -> None:
    fibre, draft = await days_on_a_draft(story)
    before = await issue_proforma(story.scope, draft)
    open_then = (await story.document(before)).settlement

    await terminate(story.scope, fibre, day("2027-12-11"))
    after = await issue_proforma(story.scope, draft)

    for document_id in (draft, after):
        lines = {line.description: (line.days, line.of_days) for line in (await story.document(document_id)).lines}
        assert lines == {"Fibre": (10, 31), "Cable": (1, 1)}
    assert (open_then, (await story.document(before)).settlement) == ("open", "superseded")


async def test_B11_a_draft_from_before_lines_had_days_says_them_too(story: Story) -> None:
    fibre, draft = await days_on_a_draft(story)
    await terminate(story.scope, fibre, day("2027-12-11"))
    await execute("UPDATE document_line SET days = 1, of_days = 1 WHERE document_id = :id", id=draft)

    await execute(days_of_lines.DRAFTS)

    lines = {line.description: (line.days, line.of_days) for line in (await story.document(draft)).lines}
    assert lines == {"Fibre": (10, 31), "Cable": (1, 1)}


async def test_B11_a_proforma_of_a_draft_whose_days_are_cut_is_of_the_past(story: Story) -> None:
    fibre, draft = await days_on_a_draft(story)
    proforma = await issue_proforma(story.scope, draft)

    await terminate(story.scope, fibre, day("2027-12-11"))

    assert (await story.document(proforma)).settlement == "superseded"


async def test_B11_a_credit_in_full_mirrors_the_line_and_one_by_days_says_which(story: Story) -> None:
    document = await a_part(story, discount=10)
    mirrored = await story.voids(document.id)
    story.on("2027-02-01")
    await story.bill()
    story.on("2027-02-15")
    await story.terminates_with_credit(1, "2027-02-15")
    (credit,) = (await story.last_document()).lines

    whole, days = await on_paper(story, mirrored.id), await on_paper(story, (await story.last_document()).id)

    assert (whole.price, whole.days, whole.less, whole.amount) == ("100.00", "17 of 31 days", "−5.49", "49.35")
    assert (credit.days, credit.of_days, credit.net_minor) == (14, 28, 4500)
    assert (days.quantity, days.price, days.days, days.less, days.amount) == (
        "1",
        "90.00",
        "14 of 28 days",
        "",
        "45.00",
    )
    await story.nothing_more_is_due()


async def test_B11_a_credit_of_an_amount_has_no_days(story: Story) -> None:
    document = await a_part(story)

    note = await story.credits(document.id, 1000)

    shown = await on_paper(story, note.id)
    assert (shown.quantity, shown.price, shown.days, shown.amount) == ("1", "10.00", "", "10.00")


async def test_B2_issued_anew_at_another_price_a_part_of_a_period_costs_its_days(story: Story) -> None:
    document = await a_part(story)
    (old,) = await list_reissuable(document.id)
    cheaper = msgspec.structs.replace(line_as_it_was(old), unit_price_e6=50 * 10**6)

    made = await reissue(story.scope, document.id, Reissue(reason="As offered", lines=[cheaper]))

    new = await story.document(made.invoice_id)
    assert [(line.unit_price_e6, line.days, line.of_days, line.net_minor) for line in new.lines] == [
        (50 * 10**6, 17, 31, 2742)
    ]
    await story.nothing_more_is_due()


@pytest.mark.parametrize("column", ["days", "of_days"])
async def test_B2_the_days_of_an_issued_line_never_change(story: Story, column: str) -> None:
    await a_part(story)

    with pytest.raises(Refused, match="does not change"):
        await execute(f"UPDATE document_line SET {column} = 30")


@pytest.mark.parametrize(
    ("share", "start", "end", "counted"),
    [
        ((17, 31), "2027-01-15", "2027-02-01", (17, 31)),
        ((85, 510), "2027-01-15", "2027-01-20", (5, 30)),
        ((14, 31), "2027-01-05", "2027-02-02", (14, 31)),  # of a credit, with a pause between
        ((400, 1120), "2027-01-15", "2027-01-25", (10, 28)),
        ((85, 511), "2027-01-15", "2027-01-20", (85, 511)),
    ],
)
def test_B11_a_part_of_a_part_is_counted_in_its_own_days(
    share: tuple[int, int], start: str, end: str, counted: tuple[int, int]
) -> None:
    assert as_counted(share, date.fromisoformat(start), date.fromisoformat(end)) == counted
    assert as_counted(share, None, None) == share
