"""Parked accounts tried again, and what runs say of prepaid renewals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.billing.actions.prepaid import renew_due
from core.billing.parked_routes import plan_retry
from core.billing.queries import get_run, list_parked
from core.billing.retrying import retry_parked
from core.billing.run import run_billing
from core.billing.run_listings import PREPAID_RENEWALS
from core.billing.verify import verify
from core.catalog.actions import create_tax_category
from core.catalog.schemas import NewTaxCategory
from core.database import execute, value
from core.errors import Conflict
from core.web.changes import rehearse
from tests.books import a_customer
from tests.stories.test_prepaid import a_prepaid_plan, prepays

if TYPE_CHECKING:
    from core.billing.schemas import RenewalRow
    from tests.stories.story import Story


async def a_parked_account(story: Story) -> int:
    """A line of 30.00 without a tax rate, and its row in the list."""
    await story.begins("2027-05-01")
    await create_tax_category(story.scope, NewTaxCategory(code="telecom", name="Telecom"))
    await story.sells("fibre", 3000, tax_category="telecom")
    await story.subscribes("fibre")
    await story.bill()
    return (await list_parked(story.scope))[0].id


async def test_B8_a_parked_account_is_billed_by_itself_when_what_was_wrong_is_mended(story: Story) -> None:
    parked = await a_parked_account(story)
    await story.taxes(250_000, "telecom")
    story.on("2027-05-03")

    done = await retry_parked(story.scope, parked)

    assert done.after.resolved_at is not None
    assert await story.papers() == [("2027-05-03", "37.50", "open")]
    run = await get_run(story.scope, done.after.run_id)
    assert (run.invoices, run.totals) == (1, '{"EUR":3750}')
    assert await value("SELECT run_id FROM document WHERE id = :id", id=done.written.document_ids[0]) == run.id
    with pytest.raises(Conflict, match="parked no more"):
        await retry_parked(story.scope, parked)
    assert await verify(story.scope) == []
    await story.nothing_more_is_due()


async def test_B8_one_that_still_cannot_be_billed_is_parked_anew_since_the_first_day_and_for_what_amount(
    story: Story,
) -> None:
    parked = await a_parked_account(story)
    since = (await list_parked(story.scope))[0].parked_at
    story.on("2027-05-03")

    done = await retry_parked(story.scope, parked)

    assert (done.after.id, done.after.reason, done.after.resolved_at) == (parked, "no_tax_rate", None)
    assert (done.after.amount_minor, done.after.currency) == (3000, "EUR")
    assert done.after.parked_at == since
    assert done.after.tried_at == story.scope.now()
    assert await story.papers() == []
    await story.taxes(250_000, "telecom")
    await story.bill()
    assert await list_parked(story.scope) == []


async def renewals(story: Story, **asked: str) -> list[RenewalRow]:
    choices = await PREPAID_RENEWALS.choices_for(story.scope, asked)
    return (await PREPAID_RENEWALS.read(story.scope, asked, choices=choices)).rows


async def test_B8_a_run_says_what_it_renewed_and_what_was_not_covered_and_of_whom(story: Story) -> None:
    await a_prepaid_plan(story)
    await story.pays(4800)
    plan = await prepays(story, "plan")
    runs = {}
    for on in ("2027-03-11", "2027-03-21", "2027-03-22", "2027-03-25"):
        story.on(on)
        if on == "2027-03-25":
            await story.pays(2400)
        runs[on] = (await run_billing(story.scope, story.today, confirmed=True, pause=0)).run_id

    assert runs["2027-03-22"] is None, "the same want again is no news"
    first = await get_run(story.scope, runs["2027-03-11"] or 0)
    second = await get_run(story.scope, runs["2027-03-21"] or 0)
    assert (first.renewed, first.not_covered, first.invoices) == (1, 0, 0)
    assert (second.renewed, second.not_covered) == (0, 1)
    (one,) = await renewals(story, run=str(first.id), outcome="renewed")
    assert (one.subscription_id, one.total_minor, one.number) == (plan, 2400, await number_of(one.document_id))
    (two,) = await renewals(story, run=str(second.id), outcome="not_covered")
    assert (two.subscription_id, two.missing_minor, str(two.short_on)) == (plan, 0, "2027-03-21")
    assert str(two.renewed_on) == "2027-03-25", "money brought it, and no run"
    assert await renewals(story, run=str(second.id), outcome="renewed") == []
    assert await renewals(story, outcome="not_covered") == []
    assert await verify(story.scope) == []


async def test_B8_a_parked_account_tried_again_takes_no_renewals_that_another_run_is_at(story: Story) -> None:
    parked = await a_parked_account(story)
    await story.taxes(250_000, "telecom")
    await story.taxes(200_000)
    await story.sells("plan", 2000, "day", 10)
    story.customer = await a_customer(story.scope, "Ben Berger", billing_type="prepaid")
    await story.pays(4800)
    await prepays(story, "plan")
    story.on("2027-05-11")
    # A run is killed behind its renewals: they are told by the one that goes on.
    await renew_due(story.scope, story.today)

    done = await retry_parked(story.scope, parked)
    assert done.after.resolved_at is not None
    assert await renewals(story, run=str(done.after.run_id)) == []

    run = await run_billing(story.scope, story.today, confirmed=True, pause=0)
    assert run.run_id is not None
    assert len(await renewals(story, run=str(run.run_id))) == 1


async def number_of(document_id: int | None) -> str | None:
    found = await value("SELECT number FROM document WHERE id = :id", id=document_id)
    return None if found is None else str(found)


async def test_B8_what_is_waited_for_over_several_runs_stands_in_each(story: Story) -> None:
    await a_prepaid_plan(story)
    other = await a_customer(story.scope, "Ben Berger")
    await story.sells("line", 1000, kind="module")
    await story.subscribes("line", customer_id=other)
    await story.pays(2400)
    await prepays(story, "plan")
    await story.bill()
    story.on("2027-04-01")
    april = await story.bill()
    story.on("2027-05-01")
    may = await story.bill()

    assert april.run_id is not None
    assert may.run_id is not None
    assert (april.not_covered, may.not_covered) == (1, 1)
    assert [(await get_run(story.scope, each)).not_covered for each in (april.run_id, may.run_id)] == [1, 1]
    assert len(await renewals(story, run=str(april.run_id), outcome="not_covered")) == 1
    assert len(await renewals(story, run=str(may.run_id), outcome="not_covered")) == 1


async def test_B8_an_account_that_is_billed_but_cannot_be_renewed_stays_parked_and_says_so(story: Story) -> None:
    """Its charge has a tax rate by now, its prepaid plan has none: one is invoiced, the other keeps it in the list."""
    await story.begins("2027-05-01", billing_type="prepaid")
    for code in ("telecom", "rental"):
        await create_tax_category(story.scope, NewTaxCategory(code=code, name=code.title()))
    await story.taxes(200_000, "rental")
    await story.sells("plan", 2000, "day", 10, tax_category="rental")
    await story.pays(9600)
    await prepays(story, "plan")
    await story.is_charged("Line", 3000, tax_category="telecom")
    await execute("UPDATE tax_rate SET valid_from = '2040-01-01' WHERE category = 'rental'")
    story.on("2027-05-11")
    await story.bill()
    (parked,) = await list_parked(story.scope)
    await story.taxes(250_000, "telecom")

    plan = await rehearse(story.scope, lambda: plan_retry(story.scope, parked.id))
    done = await retry_parked(story.scope, parked.id)

    assert [line.text for part in plan.parts for line in part.lines] == ["Invoiced", "It stays parked"]
    assert (done.written.invoices, done.renewed) == (1, 0)
    assert (done.after.id, done.after.reason, done.after.resolved_at) == (parked.id, "failed", None)
    assert done.after.parked_at == parked.parked_at
    assert [each.id for each in await list_parked(story.scope)] == [parked.id]
    await story.taxes(200_000, "rental")
    again = await retry_parked(story.scope, parked.id)
    assert (again.renewed, again.after.resolved_at is None) == (1, False)
    assert await list_parked(story.scope) == []
