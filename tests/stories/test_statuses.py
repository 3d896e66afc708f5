"""What a status brings: who is blocked is billed, who is inactive is not, a contract that is over is settled."""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING

import pytest

from core.activity.unit import unit_of_work
from core.catalog.actions import create_tax_category
from core.catalog.schemas import NewTaxCategory
from core.customers.actions import (
    cancel_planned_status,
    carry_out_planned,
    change_status,
    due_planned_statuses,
    lift_status,
    plan_status,
)
from core.customers.queries import get_customer
from core.database import execute, value, values
from core.errors import Conflict
from tests.books import a_customer, day

if TYPE_CHECKING:
    from tests.stories.story import Story

pytestmark = pytest.mark.anyio


async def the_day_begins(story: Story, on: str) -> list[str | None]:
    """Midnight: what was planned for this day happens; gives the refusals."""
    story.on(on, time(0))
    return [await carry_out_planned(story.scope, each) for each in await due_planned_statuses(story.today)]


async def test_U2_a_contract_that_is_terminated_ends_with_a_final_invoice(story: Story) -> None:
    await story.begins("2027-04-01", billing_day=1)
    await story.sells("fibre", 3000, timing="arrears")
    fibre = await story.subscribes("fibre", starting="2027-04-01")
    await story.is_charged("Visit", 5000)
    await story.days_pass(10)

    plan = await change_status(story.scope, story.customer, "terminated")

    assert plan is not None
    assert [(each.kind, each.amount_minor) for each in plan.effects] == [
        ("money", 1000),
        ("service", None),
        ("document", 1200),
    ]
    assert await story.state_of(fibre) == "ended"
    assert await story.papers() == [("2027-04-01", "60.00", "open"), ("2027-04-11", "12.00", "open")]
    assert (await story.lines())[-1] == ("Fibre", "2027-04-01", "2027-04-11", 1000)
    await story.nothing_more_is_due()


async def test_what_was_charged_ahead_and_is_not_used_is_credited_when_the_contract_ends(story: Story) -> None:
    await story.begins("2027-04-01", billing_day=1)
    await story.sells("fibre", 3000)
    await story.subscribes("fibre", starting="2027-04-01")
    await story.days_pass(10)

    plan = await change_status(story.scope, story.customer, "cancelled")

    assert plan is not None
    assert [each.amount_minor for each in plan.effects if each.kind == "document"] == [-2400]
    assert await story.papers("credit_note") == [("2027-04-11", "24.00", "paid")]
    assert (await story.money()).open == "12.00"
    await story.nothing_more_is_due()


async def test_what_was_never_paid_is_void_when_the_contract_ends(story: Story) -> None:
    await story.begins("2027-04-01")
    await story.sells("fibre", 3000)
    fibre, invoice = await story.asks_for("fibre")
    await story.pays(1000, invoice)

    plan = await change_status(story.scope, story.customer, "cancelled")

    assert plan is not None
    assert any("is void" in each.text for each in plan.effects)
    assert await story.state_of(fibre) == "withdrawn"
    assert (await story.document(invoice)).settlement == "credited"
    assert (await story.money()).credit == "10.00"
    await story.nothing_more_is_due()


async def test_the_final_invoice_of_a_child_goes_to_its_payer_and_takes_nothing_of_others(story: Story) -> None:
    await story.begins("2027-04-01")
    await story.sells("fibre", 3000, timing="arrears")
    payer = story.customer
    await story.is_charged("Visit", 5000)
    story.customer = await _child_of(story, payer)
    await story.subscribes("fibre", starting="2027-04-01")
    story.on("2027-04-11")

    await change_status(story.scope, story.customer, "terminated")

    assert await story.papers(payer_id=payer) == [("2027-04-11", "12.00", "open")]
    assert await value("SELECT count(*) FROM charge WHERE state = 'open' AND description = 'Visit'") == 1


async def _child_of(story: Story, payer: int) -> int:
    child = await a_customer(story.scope, "Ben Berger")
    async with unit_of_work(story.scope):
        await execute("UPDATE customer SET payer_id = :payer, parent_id = :payer WHERE id = :id", payer=payer, id=child)
    return child


async def test_U1_days_of_an_inactive_customer_are_never_billed_and_those_of_a_blocked_one_are(story: Story) -> None:
    await story.begins("2027-04-01", billing_day=1)
    await story.sells("fibre", 3000, timing="arrears")
    fibre = await story.subscribes("fibre", starting="2027-04-01")
    story.on("2027-04-11")
    await story.becomes("blocked")
    story.on("2027-04-21")
    await story.becomes("inactive")
    story.on("2027-05-16")
    await story.becomes("active")

    await story.months_pass(1)

    assert await story.spans(fibre) == [("2027-04-21", "2027-05-16", "status")]
    assert [(start, end, net) for _, start, end, net in await story.lines()] == [
        ("2027-04-01", "2027-04-21", 2000),
        ("2027-05-16", "2027-06-01", 1548),
    ]


async def test_a_block_by_a_rule_is_lifted_by_a_rule_and_one_by_hand_is_not(story: Story) -> None:
    await story.begins("2027-04-01")
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    await change_status(story.scope, story.customer, "blocked", reason="dunning")
    assert await lift_status(story.scope, story.customer, reason="dunning")
    await change_status(story.scope, story.customer, "blocked")

    assert not await lift_status(story.scope, story.customer, reason="dunning")

    assert (await get_customer(story.scope, story.customer)).status == "blocked"


# -- on a day to come -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "begins", "on"),
    [
        ("America/Sao_Paulo", "2018-10-20", "2018-11-04"),  # midnight is skipped: the day begins at one
        ("Europe/Berlin", "2027-03-20", "2027-03-28"),
        ("Pacific/Apia", "2011-12-20", "2011-12-30"),  # a day that never was: it begins with the next
    ],
)
async def test_U6_a_contract_ends_on_its_day_though_clocks_change(
    story: Story, zone: str, begins: str, on: str
) -> None:
    story.lives_in(zone)
    await story.begins(begins, billing_day=1)
    await story.taxes(200_000, since="2001-01-01")
    await story.sells("fibre", 3000, timing="arrears")
    fibre = await story.subscribes("fibre", starting=begins)

    await plan_status(story.scope, story.customer, "terminated", day(on))
    assert await values("SELECT ends_on FROM subscription") in ([on], [day(on)])
    refusals = await the_day_begins(story, on)

    assert refusals == [None]
    assert await story.state_of(fibre) == "ended"
    assert (await get_customer(story.scope, story.customer)).status == "terminated"
    assert [(start, end) for _, start, end, _ in await story.lines()][-1][1] == on
    await story.nothing_more_is_due()


async def test_nothing_behind_the_planned_end_is_billed_and_giving_it_up_bills_on(story: Story) -> None:
    await story.begins("2027-04-01", billing_day=1)
    await story.sells("fibre", 3000)
    await story.subscribes("fibre", starting="2027-04-01")
    await plan_status(story.scope, story.customer, "terminated", day("2027-05-11"))

    await story.months_pass(1)
    assert [(start, end, net) for _, start, end, net in await story.lines()] == [
        ("2027-04-01", "2027-05-01", 3000),
        ("2027-05-01", "2027-05-11", 968),
    ]
    (planned,) = await values("SELECT id FROM planned_status")
    await cancel_planned_status(story.scope, planned)
    await story.months_pass(1)

    assert [(start, end, net) for _, start, end, net in await story.lines()][2:] == [
        ("2027-05-11", "2027-06-01", 2032),
        ("2027-06-01", "2027-07-01", 3000),
    ]


async def test_a_planned_end_that_is_refused_lets_the_subscription_go_on(story: Story) -> None:
    await story.begins("2027-04-01", billing_day=1)
    await story.sells("fibre", 3000)
    fibre = await story.subscribes("fibre", starting="2027-04-01")
    await plan_status(story.scope, story.customer, "terminated", day("2027-04-20"))
    await story.becomes("inactive")

    (refusal,) = await the_day_begins(story, "2027-04-20")

    assert refusal is not None
    assert "cannot become “Terminated”" in refusal
    assert await story.state_of(fibre) == "suspended"
    assert await value("SELECT ends_on FROM subscription") is None


async def test_what_would_stand_in_the_way_on_the_day_is_said_when_it_is_planned(story: Story) -> None:
    await story.begins("2027-04-01", billing_day=1)
    await create_tax_category(story.scope, NewTaxCategory(code="telecom", name="Telecom"))
    await story.sells("fibre", 3000, timing="arrears", tax_category="telecom")
    await story.subscribes("fibre", starting="2027-04-01")

    plan = await plan_status(story.scope, story.customer, "terminated", day("2027-04-20"))
    (refusal,) = await the_day_begins(story, "2027-04-20")

    warnings = [each.text for each in plan.effects if each.kind == "warning"]
    assert warnings == ["There is no tax rate for one of the lines. Enter it under Taxes."]
    assert refusal == warnings[0]


async def test_only_one_change_is_open_at_a_time(story: Story) -> None:
    await story.begins("2027-04-01")
    await story.becomes("active")
    await plan_status(story.scope, story.customer, "blocked", day("2027-04-10"))

    with pytest.raises(Conflict, match="Cancel that first"):
        await plan_status(story.scope, story.customer, "inactive", day("2027-04-11"))
