"""Totals that can be paid in cash: rounded to the smallest coin of their currency, outside tax (ledger.md, row 5)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec import Struct

from core.billing.actions import issue, issue_proforma, reissue, write_off
from core.billing.previews import preview_payer
from core.billing.schemas import Reissue, ReissuedLine
from core.billing.settings import BillingSettings
from core.billing.upcoming import upcoming_invoices
from core.billing.verify import verify
from core.database import execute, rows, value
from core.errors import Invalid
from core.settings.actions import save_form
from core.settings.queries import load_settings

if TYPE_CHECKING:
    from core.billing.schemas import DocumentDetail
    from tests.stories.story import Story

CASES = [pytest.param(40, id="40"), pytest.param(1500, marks=pytest.mark.long, id="1500")]


def sums(document: DocumentDetail) -> tuple[int, int, int, int, int]:
    """Net, tax, rounding, total, open."""
    return (
        document.net_minor,
        document.tax_minor,
        document.rounding_minor,
        document.total_minor,
        document.open_minor,
    )


async def in_francs(story: Story, ppm: int = 81_000, **settings: object) -> None:
    story.lives_in("Europe/Zurich", country="CH", currency="CHF")
    await story.begins("2027-05-01", currency="CHF", country="CH")
    await story.taxes(ppm, country="CH")
    await story.bills(cash_rounding=("CHF 0.05",), **settings)


async def test_a_run_rounds_a_total_to_the_smallest_coin_outside_tax_and_books_it_as_rounding(story: Story) -> None:
    await in_francs(story)
    await story.sells("fibre", 928)
    await story.subscribes("fibre")

    await story.bill()

    # 9.28 + 8.1 % = 10.03, paid in coins 10.05
    assert sums(await story.document(1)) == (928, 75, 2, 1005, 1005)
    assert await story.books("1100", "2300", "2200", "7100") == ["10.05", "-9.28", "-0.75", "-0.02"]
    await story.pays(1005)
    assert await story.books("1100", "2000") == ["0.00", "0.00"]
    await story.nothing_more_is_due()


async def test_what_is_shown_before_is_rounded_as_what_is_issued(story: Story) -> None:
    await in_francs(story)
    await story.sells("fibre", 928)
    await story.subscribes("fibre")
    (previewed,) = await preview_payer(story.scope, story.customer, story.scope.today())
    (coming, *_later) = await upcoming_invoices(story.scope, story.customer)
    planned = await story.bill(preview=True)

    draft_id = await story.drafts(("Work", 928))
    draft = await story.document(draft_id)
    proforma = await story.document(await issue_proforma(story.scope, draft_id))
    await issue(story.scope, draft_id)

    assert (previewed.rounding_minor, previewed.total_minor) == (2, 1005)
    assert (coming.rounding_minor, coming.total_minor) == (2, 1005)
    assert (planned.rounding, planned.totals) == ({"CHF": 2}, {"CHF": 1005})
    assert [(each.rounding_minor, each.total_minor) for each in (draft, proforma)] == [(2, 1005), (2, 1005)]
    assert sums(await story.document(draft_id)) == (928, 75, 2, 1005, 1005)


async def test_a_note_of_all_takes_the_rounding_back_whatever_is_set_by_then(story: Story) -> None:
    await in_francs(story)
    first, second = await story.is_invoiced(("Work", 928)), await story.is_invoiced(("Work", 928))
    await story.pays(1005, second)
    await story.bills()

    notes = [await story.voids(first), await story.voids(second)]

    assert [sums(note)[:4] for note in notes] == [(928, 75, 2, 1005)] * 2
    assert [(await story.document(each)).settlement for each in (first, second)] == ["credited", "credited"]
    assert await story.books("1100", "4000", "2200", "7100", "2000") == ["0.00", "0.00", "0.00", "0.00", "-10.05"]


async def test_part_credits_are_rounded_together_and_what_is_open_stays_payable_in_coins(story: Story) -> None:
    await in_francs(story, ppm=0)
    invoice = await story.is_invoiced(("Work", 1003))

    notes = [await story.credits(invoice, amount) for amount in (333, 333, 1)]
    still_open = (await story.document(invoice)).open_minor
    last = await story.voids(invoice)

    # 3.33 is 3.35; both together 6.66 are 6.65; 6.67 still are: nothing is left of the third.
    assert [(note.rounding_minor, note.total_minor) for note in notes] == [(2, 335), (-3, 330), (-1, 0)]
    assert still_open == 340
    assert sums(last)[:4] == (336, 0, 4, 340)
    assert sums(await story.document(invoice)) == (1003, 0, 2, 1005, 0)
    assert await story.books("1100", "2000", "4000", "7100") == ["0.00", "0.00", "0.00", "0.00"]
    assert await verify(story.scope) == []


async def test_what_is_rounded_to_nothing_is_settled_as_it_is_issued_and_can_be_taken_back(story: Story) -> None:
    await in_francs(story, ppm=0)
    invoice = await story.is_invoiced(("Work", 2))
    issued = await story.document(invoice)

    note = await story.voids(invoice)

    assert sums(issued) == (2, 0, -2, 0, 0)
    assert issued.settled_on == story.scope.today()
    assert sums(note)[:4] == (2, 0, -2, 0)
    assert await story.books("4000", "7100", "1100", "2000") == ["0.00"] * 4
    assert await verify(story.scope) == []


async def test_the_step_is_the_currencys_own_and_others_are_to_the_cent(story: Story) -> None:
    story.lives_in("Europe/Stockholm", country="SE", currency="SEK")
    await story.begins("2027-05-01", currency="SEK", country="SE")
    await story.bills(cash_rounding=("SEK 1", "NOK 1.00", "DKK 0.50"))
    await story.taxes(250_000, country="SE")

    crowns = await story.document(await story.is_invoiced(("Work", 10_040)))
    await story.rate("DKK", "1.50", "2027-01-01")
    await story.rate("EUR", "11.20", "2027-01-01")
    await execute("UPDATE customer SET currency = 'DKK' WHERE id = :id", id=story.customer)
    danish = await story.document(await story.is_invoiced(("Work", 10_040)))
    await execute("UPDATE customer SET currency = 'EUR' WHERE id = :id", id=story.customer)
    euro = await story.document(await story.is_invoiced(("Work", 10_041)))

    assert sums(crowns)[:4] == (10_040, 2_510, -50 + 100, 12_600)
    assert sums(danish)[:4] == (10_040, 2_510, 0, 12_550)
    assert sums(euro)[:4] == (10_041, 2_510, 0, 12_551)
    assert await verify(story.scope) == []


async def test_in_another_currency_the_rounding_is_converted_with_the_whole_and_goes_back_with_it(story: Story) -> None:
    await story.begins("2027-05-01", currency="CHF")
    await story.rate("CHF", "1.0567", "2027-05-01")
    await story.taxes(81_000)
    await story.bills(cash_rounding=("CHF 0.05",))
    first, second = await story.is_invoiced(("Work", 928)), await story.is_invoiced(("Work", 1_111), ("More", 77))

    await story.voids(first)
    await story.credits(second, 333)
    await story.voids(second)

    for currency in ("CHF", "EUR"):
        assert await story.books("1100", "2000", "2200", "4000", "7000", "7100", currency=currency) == ["0.00"] * 6
    assert await value("SELECT coalesce(sum(base_minor), 0) FROM posting p JOIN account a ON a.id = p.account_id"
                       " WHERE a.code IN ('1100', '2000', '7000', '7100')") == 0  # fmt: skip
    assert await verify(story.scope) == []


async def test_a_written_off_total_takes_its_rounding_along_and_a_reissued_one_is_rounded_anew(story: Story) -> None:
    await in_francs(story)
    lost, wrong = await story.is_invoiced(("Work", 928)), await story.is_invoiced(("Work", 928))

    await write_off(story.scope, lost, "Gone away")
    made = await reissue(story.scope, wrong, Reissue(reason="Price", lines=[_line("Work", 500)]))

    assert await story.books("5000", "7100") == ["10.05", "-0.01"]
    assert sums(await story.document(made.credit_note_id))[:4] == (928, 75, 2, 1005)
    assert sums(await story.document(made.invoice_id)) == (500, 41, -1, 540, 540)
    assert await verify(story.scope) == []


def _line(description: str, minor: int) -> ReissuedLine:
    return ReissuedLine(description=description, unit_price_e6=minor * 10_000)


async def types(story: Story, *coins: str) -> None:
    """Into the form of the settings."""
    typed = {name: str(value) for name, value in msgspec.to_builtins(BillingSettings()).items()}
    await save_form(story.scope, BillingSettings, {**typed, "cash_rounding": "\n".join(coins)})


@pytest.mark.parametrize("coin", ["CHF", "CHF 0.01", "CHF x", "ZZZ 0.05", "0.05", "CHF 0.055", "CHF 500", "JPY 0.5"])
async def test_a_coin_that_cannot_be_meant_is_told_where_it_is_typed(story: Story, coin: str) -> None:
    with pytest.raises(Invalid) as told:
        await types(story, "SEK 1", coin)

    assert [each.field for each in told.value.errors] == ["cash_rounding"]
    assert (await load_settings(BillingSettings)).cash_steps == {}


async def test_coins_are_typed_a_line_each_and_each_currency_once(story: Story) -> None:
    await types(story, "CHF 0,05", "SEK 1", "KWD 0.005", "JPY 10")
    kept = (await load_settings(BillingSettings)).cash_steps
    with pytest.raises(Invalid) as told:
        await types(story, "CHF 0.05", "CHF 0.10")

    assert kept == {"CHF": 5, "SEK": 100, "KWD": 5, "JPY": 10}
    assert [each.message for each in told.value.errors] == ["Name each currency once."]


class _Note(Struct, frozen=True):
    rounding_minor: int
    total_minor: int
    open_minor: int


@pytest.mark.parametrize("invoices", CASES)
async def test_of_any_invoice_credited_in_any_parts_nothing_is_left_and_all_stays_payable(
    story: Story, invoices: int
) -> None:
    rng = random.Random(invoices)
    await in_francs(story)

    for _n in range(invoices):
        amounts = [rng.choice((1, 2, 7, 333, rng.randint(1, 10**5))) for _line in range(rng.randint(1, 3))]
        invoice = await story.is_invoiced(*((f"Work {at}", amount) for at, amount in enumerate(amounts)))
        issued = await story.document(invoice)
        assert issued.total_minor == issued.net_minor + issued.tax_minor + issued.rounding_minor
        assert issued.total_minor % 5 == 0
        assert abs(issued.rounding_minor) <= 2
        if rng.random() < 0.4:
            await story.pays(rng.randrange(5, issued.total_minor + 50, 5), invoice)
        left = list(amounts)
        for _part in range(rng.randint(0, 3)):
            parts = [rng.randint(0, amount // 2) for amount in left]
            if any(parts):
                note = await story.credits(invoice, *parts)
                left = [amount - part for amount, part in zip(left, parts, strict=True)]
                assert note.total_minor % 5 == 0
                assert abs(note.rounding_minor) <= 4
                assert (await story.document(invoice)).open_minor % 5 == 0
        await story.voids(invoice)
        assert (await story.document(invoice)).open_minor == 0

    assert await story.books("4000", "2200", "7100", "1100") == ["0.00"] * 4
    assert await rows(_Note, "SELECT d.rounding_minor, d.total_minor, s.open_minor FROM document d"
                      " JOIN document_state s ON s.document_id = d.id WHERE s.open_minor <> 0") == []  # fmt: skip
    assert await verify(story.scope) == []
