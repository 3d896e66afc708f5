"""Jobs of billing runs whose worker went away, and that another one repeats."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.billing.jobs import BILL
from core.billing.queries import list_parked
from core.billing.run import run_billing
from core.billing.run_reports import RunReport
from core.billing.runs import cancel_run
from core.billing.starting import get_billing_job, start_run
from core.billing.verify import verify
from core.catalog.actions import create_tax_category
from core.catalog.schemas import NewTaxCategory
from core.database import execute, value, values
from core.jobs import claims
from core.jobs.attempts import attempt
from core.jobs.kinds import Claim, Job
from core.messages.actions import queue
from tests.messages import NOTICE, SAMPLE
from tests.stories.test_prepaid import a_prepaid_plan, prepays

if TYPE_CHECKING:
    from tests.stories.story import Story


class Gone(Exception):
    """The worker is no more."""


async def somebody_is_parked(story: Story) -> None:
    """Billed, and parked, on the first of May: a line without a tax rate."""
    await story.begins("2027-05-01")
    await create_tax_category(story.scope, NewTaxCategory(code="telecom", name="Telecom"))
    await story.sells("fibre", 3000, tax_category="telecom")
    await story.subscribes("fibre")
    await story.bill()


async def claimed(story: Story, *, confirmed: bool = False) -> Claim:
    """A job of a run of today, taken up by a worker."""
    job_id = await start_run(story.scope, story.today, confirmed=confirmed)
    claim = await claims.claim(BILL, job_id, story.scope.now())
    assert claim is not None
    return claim


async def bills_and_is_gone(story: Story, claim: Claim) -> RunReport:
    """Everything is done but to write down that it is."""
    asked = await get_billing_job(story.scope, claim.id)
    payload = BILL.payload_type(asked.as_of, '"confirmed":true' in claim.payload)
    report = await BILL.run(story.scope, Job(story.scope, claim, payload))
    assert isinstance(report, RunReport)
    return report


async def another_repeats(story: Story, job_id: int) -> RunReport:
    """Once the lease of who is gone has run out."""
    story.clock.move(timedelta(seconds=BILL.lease + 1))
    await claims.recover({BILL.name: BILL}, story.scope.now())
    claim = await claims.claim(BILL, job_id, story.scope.now())
    assert claim is not None
    await attempt(story.scope, BILL, claim)
    done = await get_billing_job(story.scope, job_id)
    assert done.report is not None, await value("SELECT error FROM job WHERE id = :id", id=job_id)
    return done.report


async def runs() -> list[str]:
    return [str(each) for each in await values("SELECT state FROM billing_run ORDER BY id")]


async def test_B10_a_job_that_is_repeated_once_its_run_is_over_begins_no_other_for_who_is_parked(story: Story) -> None:
    await somebody_is_parked(story)
    story.on("2027-05-03")
    claim = await claimed(story)
    first = await bills_and_is_gone(story, claim)

    again = await another_repeats(story, claim.id)

    assert await runs() == ["done", "done"]
    assert (again.run_id, again.state, again.parked) == (first.run_id, "done", first.parked)
    assert (await another_repeats(story, (await start_run(story.scope, story.today)))).run_id != first.run_id
    assert await runs() == ["done"] * 3, "who asks anew has the parked looked at anew"
    assert await verify(story.scope) == []


async def test_B10_a_job_goes_on_with_its_run_while_that_is_open(story: Story) -> None:
    await somebody_is_parked(story)
    story.on("2027-05-03")
    claim = await claimed(story)
    first = await bills_and_is_gone(story, claim)
    await execute("UPDATE billing_run SET state = 'open', finished_at = NULL WHERE id = :id", id=first.run_id)

    again = await another_repeats(story, claim.id)

    assert (again.run_id, again.state) == (first.run_id, "done")
    assert await runs() == ["done", "done"]


async def test_B10_jobs_that_were_at_one_run_are_all_over_with_it(story: Story) -> None:
    await somebody_is_parked(story)
    story.on("2027-08-03")
    asks = await claimed(story)
    assert (await bills_and_is_gone(story, asks)).state == "waiting"
    confirms = await claimed(story, confirmed=True)
    first = await bills_and_is_gone(story, confirms)

    for each in (asks, confirms):
        assert (await another_repeats(story, each.id)).run_id == first.run_id

    assert await runs() == ["done", "done"]


async def test_B10_a_run_that_was_cancelled_is_not_begun_again_by_its_job(story: Story) -> None:
    await somebody_is_parked(story)
    story.on("2027-08-03")
    claim = await claimed(story)
    asked = await bills_and_is_gone(story, claim)
    assert asked.run_id is not None
    await cancel_run(story.scope, asked.run_id)

    again = await another_repeats(story, claim.id)

    assert (again.run_id, again.state) == (asked.run_id, "cancelled")
    assert await runs() == ["done", "cancelled"]


async def test_B10_a_repeated_job_tells_the_renewals_of_its_run(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(4800)
    await prepays(story, "plan")
    story.on("2027-03-11")
    claim = await claimed(story)
    first = await bills_and_is_gone(story, claim)

    again = await another_repeats(story, claim.id)

    assert (first.renewed, first.not_covered) == (1, 0)
    assert (again.renewed, again.not_covered) == (1, 0)


async def test_B10_whose_renewal_fails_is_parked_in_the_commit_that_closes_the_run(
    story: Story,
) -> None:
    await a_prepaid_plan(story)
    await story.pays(4800)
    await prepays(story, "plan")
    story.on("2027-03-11")
    await story.is_charged("Router", 1000)
    await create_tax_category(story.scope, NewTaxCategory(code="untold", name="Without a rate"))
    await execute("UPDATE subscription_term SET tax_category = 'untold'")

    async def dies(done: int, total: int, text: str) -> None:
        if await runs() == ["done"]:
            raise Gone

    with pytest.raises(Gone):
        await run_billing(story.scope, story.today, confirmed=True, pause=0, progress=dies)

    assert await runs() == ["done"]
    assert [(each.payer_id, each.reason) for each in await list_parked(story.scope)] == [(story.customer, "failed")]


async def test_B10_what_a_customer_was_written_takes_no_number_when_it_is_tried_again(story: Story) -> None:
    await a_prepaid_plan(story, billing_emails=["ada@post.example"])
    await story.pays(2400)
    await prepays(story, "plan")
    story.on("2027-03-11")
    for _ in range(3):
        await story.bill()
    other = await queue(story.scope, NOTICE, to=["ada@post.example"], fields=SAMPLE)

    assert await values("SELECT id FROM message WHERE kind = 'prepaid_not_covered'") == [other - 1]
