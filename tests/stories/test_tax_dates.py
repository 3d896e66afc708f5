"""Which day decides the tax of a line: the last of its period, its first, or that of issue (domain.md, Tax date)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from core.billing.actions import create_draft, issue, issue_proforma, reissue
from core.billing.previews import preview_payer
from core.billing.schemas import NewDraft, NewLine, Reissue
from core.billing.sheets import document_of
from core.billing.upcoming import upcoming_invoices
from core.billing.verify import verify
from core.documents.model import view_of
from core.documents.words import words_for
from tests.books import day

if TYPE_CHECKING:
    from core.billing.settings import TaxDate
    from tests.stories.story import Story

OF_20 = [("end", 25), ("start", 20), ("issue", 20)]
"""Of a month from 20 May, billed on its first day, whose rate rises from 20 % to 25 % on 1 June."""


async def rises(story: Story, tax_date: TaxDate, **settings: object) -> None:
    """20 %, and 25 % from 1 June."""
    await story.begins("2027-05-20")
    await story.taxes(200_000)
    await story.taxes(250_000, since="2027-06-01")
    await story.bills(tax_date=tax_date, **settings)


async def percents(story: Story, document_id: int) -> list[int]:
    return [line.rate_ppm // 10_000 for line in (await story.document(document_id)).lines]


@pytest.mark.parametrize(("tax_date", "percent"), OF_20)
async def test_a_rate_that_changes_within_a_period_is_that_of_the_tax_date(
    story: Story, tax_date: TaxDate, percent: int
) -> None:
    await rises(story, tax_date)
    await story.sells("fibre", 3100)
    await story.subscribes("fibre")
    (shown,) = await preview_payer(story.scope, story.customer, story.today)
    (coming, *_later) = await upcoming_invoices(story.scope, story.customer)

    await story.bill()
    document = await story.last_document()

    assert await percents(story, document.id) == [percent]
    assert [line.rate_ppm for line in (*shown.lines, *coming.lines)] == [percent * 10_000] * 2
    assert document.tax_on == {"end": date(2027, 6, 19)}.get(tax_date, date(2027, 5, 20))
    await story.nothing_more_is_due()


@pytest.mark.parametrize(("tax_date", "percent"), [("end", 20), ("start", 20), ("issue", 25)])
async def test_in_arrears_days_before_a_change_keep_their_rate_unless_the_day_of_issue_counts(
    story: Story, tax_date: TaxDate, percent: int
) -> None:
    await rises(story, tax_date)
    await story.sells("fibre", 3100, timing="arrears")
    await story.subscribes("fibre", "2027-05-01")
    story.on("2027-06-01")

    await story.bill()

    assert await percents(story, 1) == [percent]
    assert (await story.document(1)).tax_on == {
        "end": date(2027, 5, 31), "start": date(2027, 5, 1), "issue": date(2027, 6, 1)
    }[tax_date]  # fmt: skip


@pytest.mark.parametrize(("tax_date", "expected"), [("end", [25, 20, 20]), ("start", [20, 20, 20])])
async def test_by_hand_each_line_has_its_own_and_the_document_the_last_one(
    story: Story, tax_date: TaxDate, expected: list[int]
) -> None:
    await rises(story, tax_date)
    lines = [
        NewLine(description="A month", unit_price_e6=10**7, period_from=day("2027-05-20"), period_to=day("2027-06-20")),
        NewLine(description="Up to", unit_price_e6=10**7, period_from=day("2027-05-20"), period_to=day("2027-06-01")),
        NewLine(description="Once", unit_price_e6=10**7),
    ]
    draft_id = await create_draft(story.scope, NewDraft(payer_id=story.customer, lines=lines))
    draft, proforma_id = await percents(story, draft_id), await issue_proforma(story.scope, draft_id)

    await issue(story.scope, draft_id)

    assert [draft, await percents(story, proforma_id), await percents(story, draft_id)] == [expected] * 3
    last = day("2027-06-19") if tax_date == "end" else day("2027-05-20")
    assert [(await story.document(each)).tax_on for each in (draft_id, proforma_id)] == [last, last]


async def test_a_note_keeps_the_rates_of_its_invoice_and_issued_anew_the_tax_date_of_now_counts(story: Story) -> None:
    await rises(story, "start")
    await story.sells("fibre", 3100)
    await story.subscribes("fibre")
    await story.bill()
    await story.bills(tax_date="end")

    made = await reissue(story.scope, 1, Reissue(reason="As of the last day"))

    assert await percents(story, made.credit_note_id) == [20]
    assert await percents(story, made.invoice_id) == [25]
    assert await verify(story.scope) == []


async def test_invoices_say_which_day_counts_where_it_is_not_the_last(story: Story) -> None:
    await rises(story, "end")
    await story.sells("fibre", 3100)
    await story.subscribes("fibre")
    await story.bill()
    said: dict[str, tuple[str, ...]] = {}
    dates: dict[str, date | None] = {}
    days: tuple[TaxDate, ...] = ("end", "start", "issue")
    invoice = 1
    for tax_date in days:
        await story.bills(tax_date=tax_date)
        invoice = (await reissue(story.scope, invoice, Reissue(reason="Anew"))).invoice_id
        printed = await document_of(story.scope, invoice)
        said[tax_date], dates[tax_date] = printed.notes, printed.tax_date
        story.on(day("2027-05-25"))

    assert said == {
        "end": (),
        "start": ("VAT of each line is that of the first day of its period.",),
        "issue": ("VAT of each line is that of the day of issue.",),
    }
    assert dates == {"end": None, "start": date(2027, 5, 20), "issue": None}
    german = words_for("de", printed.tax)
    assert german.tax_on_start.format(german.vat_long).startswith("Für die ")
    assert said["issue"][0] in view_of(printed).notes


@pytest.mark.parametrize(
    ("tax_date", "rate", "on"),
    [("end", "0.90", "2027-05-31"), ("start", "0.80", "2027-05-01"), ("issue", "0.95", "2027-06-10")],
)
async def test_in_another_currency_tax_is_stated_by_the_official_rate_of_the_tax_date(
    story: Story, tax_date: TaxDate, rate: str, on: str
) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.taxes(200_000)
    for since, each in (("2027-05-01", "0.80"), ("2027-05-20", "0.90"), ("2027-06-05", "0.95")):
        await story.rate("USD", each, since)
    await story.bills(tax_date=tax_date)
    await story.sells("fibre", 10_000, currency="USD", timing="arrears")
    await story.subscribes("fibre")
    story.on("2027-06-10")

    await story.bill()

    document = await story.document(1)
    assert document.tax_fx_rate_e10 == int(rate[2:]) * 10**8
    assert document.tax_currency_minor == 20 * int(rate[2:])
    assert document.tax_on == day(on)
    printed = await document_of(story.scope, 1)
    assert printed.tax_date == (None if tax_date == "issue" else day(on))
    assert await story.books("1100") == [f"{120 * int(rate[2:]) / 100:.2f}"]
    assert await verify(story.scope) == []


async def test_days_to_come_are_stated_by_the_rate_of_the_day_of_issue(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.80", "2027-05-01")
    await story.rate("USD", "0.90", "2027-05-20")
    await story.sells("fibre", 10_000, currency="USD")
    await story.subscribes("fibre")

    await story.bill()

    assert (await story.document(1)).tax_fx_rate_e10 == 8 * 10**9


async def test_who_has_no_rate_of_its_tax_date_is_parked_and_others_are_billed(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.90", "2027-05-20")
    await story.bills(tax_date="start")
    await story.sells("fibre", 10_000, currency="USD", timing="arrears")
    await story.subscribes("fibre")
    early = story.customer
    story.on("2027-05-21")
    await story.begins("2027-05-21", name="Bea Berg", currency="USD")
    await story.subscribes("fibre")
    story.on("2027-06-21")

    report = await story.bill()

    assert [(each.payer_id, each.reason) for each in report.parked] == [(early, "no_fx_rate")]
    assert report.invoices == 1
