"""The operator moves to another country: what was charged before stays as it was booked (B6)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from core.billing.actions import change_seller, create_free_credit_note, default_seller
from core.billing.schemas import FreeCreditLine, NewFreeCreditNote, SellerFields
from core.reports.taxes import TaxReport, tax_report

if TYPE_CHECKING:
    from tests.stories.story import Story


async def moves(story: Story, country: str, *, oss: bool = False) -> None:
    seller = await default_seller(story.scope)
    fields = SellerFields(name=seller.name, country=country, oss=oss)
    await change_seller(story.scope, seller.id, fields, version=seller.version)


async def month(first: str, last: str) -> list[tuple[str, str, int, int, int]]:
    found: TaxReport = await tax_report("EUR", date.fromisoformat(first), date.fromisoformat(last))
    assert found.other_minor == 0
    return [(each.part, each.country, each.rate_ppm // 10_000, each.net_minor, each.tax_minor) for each in found.lines]


async def from_austria(story: Story) -> int:
    """In January 100.00 are charged in Austria."""
    story.lives_in("Europe/Vienna", country="AT")
    await story.begins("2027-01-10", country="AT")
    for country, ppm in (("AT", 200_000), ("DE", 190_000), ("FR", 200_000)):
        await story.taxes(ppm, country=country)
    await moves(story, "AT", oss=True)
    return await story.is_invoiced(("Router", 10000))


async def test_B6_old_months_stay_as_they_were_booked_when_the_operator_moves(story: Story) -> None:
    await from_austria(story)
    january = await month("2027-01-01", "2027-01-31")

    story.on("2027-02-10")
    await moves(story, "DE", oss=True)
    await story.is_invoiced(("Cable", 1000))
    await story.begins("2027-02-11", country="DE", name="Bea Berg")
    await story.is_invoiced(("Switch", 2000))

    assert january == [("home", "AT", 20, 10000, 2000)]
    assert await month("2027-01-01", "2027-01-31") == january
    assert await month("2027-02-01", "2027-02-28") == [("home", "DE", 19, 2000, 380), ("oss", "AT", 20, 1000, 200)]


async def test_B6_what_was_charged_at_the_old_home_is_credited_there(story: Story) -> None:
    invoice = await from_austria(story)
    await moves(story, "DE", oss=True)

    story.on("2027-02-10")
    await story.credits(invoice, 4000)
    line = FreeCreditLine(description="Bonus", rate_ppm=200_000, net_minor=1000)
    await create_free_credit_note(story.scope, story.customer, NewFreeCreditNote(reason="Bonus", lines=[line]))

    assert await month("2027-02-01", "2027-02-28") == [("home", "AT", 20, -5000, -1000)]
    await story.nothing_more_is_due()
