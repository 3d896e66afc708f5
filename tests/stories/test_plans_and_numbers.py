"""What is only shown leaves the series of numbers alone: a plan waits for nobody who issues, and nobody for a plan."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from core.activity.asking import rehearsal
from core.activity.unit import unit_of_work
from core.billing.actions import create_free_credit_note, issue, issue_proforma, reissue
from core.billing.actions.prepaid import renew_of
from core.billing.actions.setup import default_seller
from core.billing.numbering import NoNumbers, take_numbers
from core.billing.schemas import FreeCreditLine, NewFreeCreditNote, Reissue
from core.database import spawn, value, values, watched
from core.web.changes import rehearse
from tests.stories.test_prepaid import prepays

if TYPE_CHECKING:
    from tests.stories.story import Story

Deeds = dict[str, Callable[[], Awaitable[object]]]

TAKES = re.compile(r"number_counter|UPDATE number_series|number_series\b[^;]*\bFOR (?:NO KEY )?UPDATE")
"""A statement that takes a number, or locks its series."""


def taken(statements: list[str]) -> list[str]:
    return [each for each in statements if TAKES.search(each)]


async def deeds_of(story: Story) -> Deeds:
    """Every deed that issues documents, ready to be done."""
    await story.begins("2027-03-01", billing_type="prepaid")
    prepaid = story.customer
    await story.taxes(200_000)
    await story.sells("days", 2000, "day", 10)
    await story.sells("small", 3100, rank=1)
    await story.sells("large", 6200, rank=2)
    await story.pays(2400)
    await prepays(story, "days")
    await story.begins("2027-03-01")
    mine = await story.subscribes("small")
    await story.bill()
    invoice = await story.is_invoiced(("Router", 10000))
    draft = await story.drafts(("Cable", 1000))
    story.on("2027-03-12")
    async with unit_of_work(story.scope):
        await renew_of(story.scope, prepaid, story.today)
    line = FreeCreditLine(description="Bonus", rate_ppm=200_000, net_minor=100)
    bonus = NewFreeCreditNote(reason="Bonus", lines=[line])
    return {
        "issue": partial(issue, story.scope, draft),
        "proforma": partial(issue_proforma, story.scope, draft),
        "credit": partial(story.credits, invoice, 500),
        "void": partial(story.voids, invoice),
        "free credit": partial(create_free_credit_note, story.scope, story.customer, bonus),
        "reissue": partial(reissue, story.scope, invoice, Reissue(reason="Address")),
        "upgrade": partial(story.changes, mine, "large"),
        "money for what waits": partial(story.pays, 50000, payer_id=prepaid),
    }


async def documents() -> int:
    return int(await value("SELECT count(*) FROM document WHERE state = 'issued'"))


async def test_B10_a_plan_of_any_deed_takes_no_number_and_the_deed_takes_the_next_ones(story: Story) -> None:
    deeds = await deeds_of(story)
    before = await documents()

    for name, deed in deeds.items():
        issued: list[int] = []

        async def told(deed: Callable[[], Awaitable[object]] = deed, issued: list[int] = issued) -> None:
            await deed()
            issued.append(await documents())

        with watched() as statements:
            await rehearse(story.scope, told)
        assert taken(statements) == [], name
        assert issued[0] > before, name
        assert await documents() == before, name

    with watched() as statements:
        await deeds["issue"]()
        await deeds["credit"]()
    assert taken(statements) != []
    for kind in ("invoice", "credit_note"):
        seqs = await values("SELECT seq FROM document WHERE kind = :kind AND seq IS NOT NULL ORDER BY seq", kind=kind)
        assert seqs == list(range(1, len(seqs) + 1))
    await story.nothing_more_is_due()


@pytest.mark.parametrize("scope", ["postgresql"], indirect=True)
async def test_B10_plans_do_not_wait_for_who_issues(story: Story) -> None:
    """On SQLite one writes at a time, whatever it is about."""
    deeds = await deeds_of(story)
    seller = (await default_seller(story.scope)).id

    async def all_of_them() -> None:
        for deed in deeds.values():
            await rehearse(story.scope, deed)

    with suppress(_NotNow):
        async with unit_of_work(story.scope):
            for kind in ("invoice", "credit_note", "proforma"):
                await take_numbers(kind, seller, story.today, 1)
            async with asyncio.timeout(20):
                await spawn(all_of_them())
            raise _NotNow


async def test_B10_numbers_of_a_rehearsal_lie_far_behind_those_of_a_series_and_apart(story: Story) -> None:
    """A thousand documents have room between two of them."""
    await story.begins("2027-03-01")
    seller = (await default_seller(story.scope)).id

    async with rehearsal(story.scope):
        found = [await take_numbers("invoice", seller, story.today, 1000) for _ in range(20)]

    assert all(10**15 <= each.first < 2**63 - 1000 and each.first % 1000 == 0 for each in found)
    assert len({each.first for each in found}) == 20
    assert {each.pattern.number(7) for each in found} == {"?7"}
    assert await value("SELECT count(*) FROM number_counter") == 0


async def test_B10_a_plan_too_says_that_time_went_backwards(story: Story) -> None:
    await story.begins("2027-03-02")
    await story.taxes(200_000)
    await story.is_invoiced(("Router", 10000))
    draft = await story.drafts(("Cable", 1000))
    story.on("2027-03-01")

    with pytest.raises(NoNumbers, match="nothing can be issued"):
        await rehearse(story.scope, partial(issue, story.scope, draft))


async def test_B10_what_is_rehearsed_ends_with_the_rehearsal(story: Story) -> None:
    await story.begins("2027-03-01")
    await story.taxes(200_000)
    draft = await story.drafts(("Cable", 1000))

    with pytest.raises(_NotNow):
        async with rehearsal(story.scope):
            raise _NotNow
    await issue(story.scope, draft)

    assert (await story.document(draft)).number == "2027-000001"
    await story.nothing_more_is_due()


class _NotNow(Exception):
    """Takes everything back."""
