"""The hierarchy of customers and a change of who pays, in the middle of everything (domain.md, Payer)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from core.activity.unit import again
from core.billing.actions import delete_draft
from core.customers.actions import change_hierarchy
from core.customers.queries import get_customer
from core.customers.schemas import HierarchyFields
from core.database import spawn, values
from core.errors import Invalid, Stale
from tests.books import a_customer
from tests.stories.story import Money

if TYPE_CHECKING:
    from tests.stories.story import Story


async def moved(story: Story, customer_id: int, parent_id: int | None, payer_id: int | None = None) -> int:
    now = await get_customer(story.scope, customer_id)
    return await change_hierarchy(
        story.scope, customer_id, HierarchyFields(parent_id=parent_id, payer_id=payer_id), version=now.version
    )


async def refused(story: Story, customer_id: int, parent_id: int | None, payer_id: int | None = None) -> dict[str, str]:
    with pytest.raises(Invalid) as error:
        await moved(story, customer_id, parent_id, payer_id)
    return {one.field: one.message for one in error.value.errors}


async def test_C2_a_change_of_payer_in_the_middle_touches_only_what_is_not_invoiced(story: Story) -> None:
    await story.begins("2027-05-01", name="Head office", tax_profile="outside")
    office = story.customer
    branch = await a_customer(story.scope, "Branch", tax_profile="outside")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre", customer_id=branch)
    await story.bill()
    await story.is_charged("Visit", 5000, customer_id=branch)

    story.on("2027-05-20")
    await moved(story, branch, office, office)
    story.on("2027-06-01")
    await story.bill()

    assert await story.papers(payer_id=branch) == [("2027-05-01", "30.00", "overdue")]
    assert await story.papers(payer_id=office) == [("2027-06-01", "80.00", "open")]
    invoice = await story.last_document()
    assert [(line.beneficiary, line.net_minor) for line in invoice.lines] == [("Branch", 5000), ("Branch", 3000)]
    assert await story.money(branch) == Money("30.00", "0.00", "-30.00")
    await story.pays(3000, payer_id=branch)
    await story.nothing_more_is_due()


async def test_C2_a_child_that_pays_for_itself_again_gets_its_own_invoices_again(story: Story) -> None:
    await story.begins("2027-05-01", name="Head office", tax_profile="outside")
    office = story.customer
    branch = await a_customer(story.scope, "Branch", tax_profile="outside")
    await moved(story, branch, office, office)
    await story.sells("fibre", 3000)
    await story.sells("tv", 1000, kind="module")
    await story.subscribes("fibre", customer_id=branch)
    await story.subscribes("tv", customer_id=office)
    await story.bill()
    assert await story.papers(payer_id=office) == [("2027-05-01", "40.00", "open")]

    await moved(story, branch, None)
    await story.months_pass(1)

    assert await story.papers(payer_id=office) == [("2027-05-01", "40.00", "overdue"), ("2027-06-01", "10.00", "open")]
    assert await story.papers(payer_id=branch) == [("2027-06-01", "30.00", "open")]
    await story.nothing_more_is_due()


async def test_C2_what_stands_on_a_draft_stays_there_and_goes_with_the_new_payer_when_it_is_let_go(
    story: Story,
) -> None:
    await story.begins("2027-05-01", name="Head office", tax_profile="outside")
    office = story.customer
    branch = await a_customer(story.scope, "Branch", tax_profile="outside")
    charge = await story.is_charged("Visit", 5000, customer_id=branch)
    story.customer = branch
    draft = await story.drafts(("Cable", 100), charge_ids=[charge])

    await moved(story, branch, office, office)
    assert await values("SELECT payer_id FROM charge") == [branch]
    await delete_draft(story.scope, draft)
    await story.bill()

    assert await values("SELECT payer_id FROM charge") == [office]
    assert await story.papers(payer_id=office) == [("2027-05-01", "50.00", "open")]
    await story.nothing_more_is_due()


async def test_C2_what_is_activated_after_the_change_is_on_the_new_payer_s_invoices(story: Story) -> None:
    await story.begins("2027-05-01", name="Head office", tax_profile="outside")
    office = story.customer
    branch = await a_customer(story.scope, "Branch", tax_profile="outside")
    story.customer = branch
    await story.sells("fibre", 3000, activation="invoice_first")
    _, invoice = await story.asks_for("fibre")

    await moved(story, branch, office, office)
    await story.pays(3000, invoice, payer_id=branch)
    await story.months_pass(1)

    assert await story.papers(payer_id=branch) == [("2027-05-01", "30.00", "paid")]
    assert await story.papers(payer_id=office) == [("2027-06-01", "30.00", "open")]
    await story.nothing_more_is_due()


async def test_C2_a_payer_is_the_customer_itself_or_stands_above_it_in_the_same_currency_and_with_the_same_reseller(
    story: Story,
) -> None:
    await story.begins("2027-05-01", name="Head office")
    office = story.customer
    branch = await a_customer(story.scope, "Branch")
    stranger = await a_customer(story.scope, "Stranger")
    abroad = await a_customer(story.scope, "Abroad", currency="USD")
    resold = await a_customer(story.scope, "Resold", partition_id=3)

    assert "does not stand above Branch" in (await refused(story, branch, office, stranger))["payer_id"]
    assert "is billed in USD, Branch in EUR" in (await refused(story, branch, abroad, abroad))["payer_id"]
    assert "another reseller" in (await refused(story, branch, resold, resold))["payer_id"]
    assert "no customer 999" in (await refused(story, branch, 999))["parent_id"]
    assert (await get_customer(story.scope, branch)).version == 1

    await moved(story, branch, abroad)
    await moved(story, office, None, office)
    now = await get_customer(story.scope, office)
    assert (now.payer_id, now.version) == (None, 1)


async def test_C2_no_customer_stands_above_itself_however_far(story: Story) -> None:
    await story.begins("2027-05-01", name="A")
    a = story.customer
    b = await a_customer(story.scope, "B", parent_id=a)
    c = await a_customer(story.scope, "C", parent_id=b)

    assert "above itself" in (await refused(story, a, a))["parent_id"]
    assert "C stands below A" in (await refused(story, a, c))["parent_id"]


async def test_C2_a_customer_does_not_leave_those_below_it_without_their_payer(story: Story) -> None:
    await story.begins("2027-05-01", name="Head office")
    office = story.customer
    region = await a_customer(story.scope, "Region", parent_id=office)
    branch = await a_customer(story.scope, "Branch", parent_id=region, payer_id=office)
    other = await a_customer(story.scope, "Other office")

    assert "Branch would be paid for" in (await refused(story, region, other))["parent_id"]

    await moved(story, branch, region)
    await moved(story, region, other)
    await moved(story, branch, region, other)
    assert (await get_customer(story.scope, branch)).payer_id == other


async def test_C2_who_saved_first_is_not_overwritten(story: Story) -> None:
    await story.begins("2027-05-01", name="Head office")
    branch = await a_customer(story.scope, "Branch")
    await moved(story, branch, story.customer)

    with pytest.raises(Stale) as stale:
        await change_hierarchy(story.scope, branch, HierarchyFields(), version=1)

    assert stale.value.fields == {"parent_id": (story.customer, None)}


async def test_C2_two_who_put_each_other_s_customer_above_at_once_close_no_circle(story: Story) -> None:
    await story.begins("2027-05-01", name="A")
    ring = [story.customer, *[await a_customer(story.scope, name) for name in "BC"]]

    for _ in range(5):
        for one in ring:
            if (await get_customer(story.scope, one)).parent_id:
                await moved(story, one, None)
        versions = {one: (await get_customer(story.scope, one)).version for one in ring}

        async def put_now(child: int, parent: int, versions: dict[int, int] = versions) -> Any:
            return await again(
                lambda: change_hierarchy(story.scope, child, HierarchyFields(parent_id=parent), version=versions[child])
            )

        done = await asyncio.gather(
            *(spawn(put_now(ring[at], ring[at - 1])) for at in range(3)), return_exceptions=True
        )

        assert sum(isinstance(one, Invalid) for one in done) == 1, done
        assert sum(isinstance(one, int) for one in done) == 2, done
