"""A charge that stands on a draft loses the days behind an end, as what waits for its invoice does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.billing.actions import cancel_subscription, create_draft, delete_draft, issue, withdraw_subscription
from core.billing.actions.periods import edit_period
from core.billing.schemas import NewDraft, NewLine
from core.billing.verify import verify
from core.database import values
from core.subscriptions.actions import undo_cancellation
from core.subscriptions.actions.ending import terminate
from core.subscriptions.changes import PeriodEdit
from tests.books import day

if TYPE_CHECKING:
    from tests.stories.story import Story


async def days_on_a_draft(story: Story) -> tuple[int, int]:
    """November is invoiced; 31 more days at 1.00 stand on a draft beside a cable of 5.00, with 20 % tax."""
    await story.begins("2027-11-01")
    await story.taxes(200_000)
    await story.sells("fibre", 3100)
    fibre = await story.subscribes("fibre", starting="2027-11-01")
    await story.bill()
    await edit_period(story.scope, fibre, PeriodEdit(end_on=day("2028-01-01"), added="charged"))
    draft = await create_draft(
        story.scope,
        NewDraft(
            payer_id=story.customer,
            open_charges=True,
            lines=[NewLine(description="Cable", unit_price_e6=5_000_000)],
        ),
    )
    assert await on_draft(story, draft) == (4320, [("2027-12-01", "2028-01-01", 3100), (None, None, 500)])
    return fibre, draft


async def on_draft(story: Story, draft: int) -> tuple[int, list[tuple[str | None, str | None, int]]]:
    found = await story.document(draft)
    lines = [
        (
            str(line.period_from) if line.period_from else None,
            str(line.period_to) if line.period_to else None,
            line.net_minor,
        )
        for line in found.lines
    ]
    return found.total_minor, sorted(lines, key=lambda line: line[0] or "~")


async def test_B3_an_end_within_days_on_a_draft_leaves_those_before_it_there(story: Story) -> None:
    fibre, draft = await days_on_a_draft(story)

    await terminate(story.scope, fibre, day("2027-12-11"))

    assert await on_draft(story, draft) == (1800, [("2027-12-01", "2027-12-11", 1000), (None, None, 500)])
    assert await verify(story.scope) == []
    await issue(story.scope, draft)
    await story.days_pass(60)
    assert [line[1:] for line in await story.lines() if line[0] == "Fibre"][1:] == [("2027-12-01", "2027-12-11", 1000)]
    await story.nothing_more_is_due()


async def test_B3_an_end_before_days_on_a_draft_takes_them_off_it_and_its_undo_charges_them_again(
    story: Story,
) -> None:
    fibre, draft = await days_on_a_draft(story)

    await terminate(story.scope, fibre, day("2027-11-21"))
    assert await on_draft(story, draft) == (600, [(None, None, 500)])

    await undo_cancellation(story.scope, fibre)
    await delete_draft(story.scope, draft)
    await story.bill()
    assert [line[1:] for line in (await story.lines())[1:]] == [("2027-12-01", "2028-01-01", 3100)]
    await story.nothing_more_is_due()


async def test_B3_a_cancellation_at_the_end_of_what_is_on_a_draft_leaves_it_as_it_is(story: Story) -> None:
    fibre, draft = await days_on_a_draft(story)
    story.on("2027-12-05")
    await story.bill()

    assert await cancel_subscription(story.scope, fibre) == day("2028-01-01")

    assert (await on_draft(story, draft))[0] == 4320


async def test_B3_days_charged_again_on_a_draft_are_cut_by_the_next_end(story: Story) -> None:
    fibre, draft = await days_on_a_draft(story)
    await delete_draft(story.scope, draft)
    await story.bill("2027-12-01")
    await story.terminates_with_credit(fibre, "2027-12-11")
    await undo_cancellation(story.scope, fibre)
    draft = await create_draft(story.scope, NewDraft(payer_id=story.customer, open_charges=True))
    assert (await on_draft(story, draft))[1] == [("2027-12-11", "2028-01-01", 2100)]

    await terminate(story.scope, fibre, day("2027-12-21"))

    assert await on_draft(story, draft) == (1200, [("2027-12-11", "2027-12-21", 1000)])
    assert await verify(story.scope) == []


async def test_P10_what_is_withdrawn_goes_off_every_draft(story: Story) -> None:
    fibre, draft = await days_on_a_draft(story)
    await story.sells("phone", 700, kind="module")
    await story.subscribes("phone", starting="2027-11-01")

    await withdraw_subscription(story.scope, fibre)

    assert await on_draft(story, draft) == (600, [(None, None, 500)])
    assert await values("SELECT state FROM charge WHERE state IN ('waived', 'invoiced') ORDER BY state") == [
        "invoiced",
        "waived",
    ]
    assert await verify(story.scope) == []
