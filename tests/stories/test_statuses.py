"""What a customer's status brings: who is blocked is billed, who is inactive is not, a contract that is over is settled."""

from __future__ import annotations

import pytest

from core.customers.actions import change_status, lift_status
from core.customers.queries import get_customer
from core.database import execute, value
from core.errors import Conflict
from core.subscriptions.actions import subscribe
from tests.books import a_customer, day
from tests.stories.story import Story

pytestmark = pytest.mark.anyio


async def test_U2_a_contract_that_is_terminated_ends_with_a_final_invoice(story: Story) -> None:
    await story.begins("2027-04-01", billing_day=1)
    await story.sells("fibre", 3000, timing="arrears")
    fibre = await story.subscribes("fibre", starting="2027-04-01")
    await story.becomes("active") if (await get_customer(story.scope, story.customer)).status != "active" else None
    await story.is_charged("Visit", 5000)
    await story.days_pass(9)
    story.on("2027-04-11")

    plan = await change_status(story.scope, story.customer, "terminated")

    assert plan is not None
    told = [(each.kind, each.amount_minor) for each in plan.effects]
    assert told == [("money", 1000), ("service", None), ("document", 1200)]
    assert await story.state_of(fibre) == "ended"
    assert await story.papers() == [("2027-04-01", "60.00", "open"), ("2027-04-11", "12.00", "open")]
    assert (await story.lines())[-1] == ("Fibre", "2027-04-01", "2027-04-11", 1000)
    await story.nothing_more_is_due()
