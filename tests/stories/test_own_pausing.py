"""Customers pause by themselves in the portal: within what the operator allows, shown first, taken back until it begins
(P15)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from core.activity.queries import timeline
from core.billing.actions.pausing import pause
from core.billing.actions.prepaid import start
from core.customers.actions import change_status
from core.database import execute, value
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.settings.actions import save_settings
from core.subscriptions.actions import suspend
from core.subscriptions.actions.pausing import end_pause, list_pauses
from core.subscriptions.schemas import NewPause, NewSubscription
from core.web.changes import PlanChanged, carry_out, rehearse
from plugins.portal import actions as portal
from plugins.portal import queries
from plugins.portal.pausing import end_own_pause, plan_own_pause, take_back
from plugins.portal.schemas import OwnPause
from plugins.portal.settings import PortalSettings
from tests.books import a_customer, day
from tests.stories.test_bundles import takes, three

if TYPE_CHECKING:
    from core.scope import Scope
    from core.web.changes import ChangePlan
    from tests.stories.story import Story


async def allows(story: Story, **fields: Any) -> None:
    given = {"pause_days_a_year": 30, "pause_least_days": 5, "pause_most_days": 20, **fields}
    await save_settings(story.scope, PortalSettings(pause=True, **given))


async def as_customer(story: Story, customer_id: int | None = None) -> Scope:
    entrance = await queries.find_customer(customer_id or story.customer)
    assert entrance is not None
    return story.scope.as_actor(portal.actor_of(entrance))


async def a_month_ahead(story: Story, **fields: Any) -> int:
    """Billed from the first of January on, 100.00 a month and 20 % tax."""
    await story.begins("2027-01-01")
    await story.taxes(200_000)
    await story.sells("fibre", 10000, **fields)
    fibre = await story.subscribes("fibre", starting="2027-01-01")
    await story.bill()
    return fibre


async def planned(story: Story, fibre: int, first: str, last: str) -> ChangePlan:
    """What is shown, and then done."""
    scope, data = await as_customer(story), OwnPause(from_on=day(first), to_on=day(last))
    shown = await rehearse(scope, lambda: plan_own_pause(scope, fibre, data))
    return await carry_out(scope, lambda: plan_own_pause(scope, fibre, data), shown.seen)


async def refused(story: Story, fibre: int, first: str, last: str) -> str:
    with pytest.raises((Invalid, Conflict)) as error:
        await planned(story, fibre, first, last)
    return error.value.message


def says(plan: ChangePlan) -> dict[str, str]:
    return {line.text: line.value for part in plan.parts for line in part.lines}


async def test_P15_a_customer_pauses_ahead_is_shown_what_it_does_and_is_billed_like_that(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await allows(story, pause_fee_minor=250)

    plan = await planned(story, fibre, "2027-01-11", "2027-01-21")

    said = says(plan)
    assert (said["Not served and not billed"], said["Left for pauses in 2027"]) == ("10 days", "20 days")
    assert "21" in said["Goes on by itself, on"]
    assert said["Hold fee, on the next invoice"].endswith("2.50")
    assert await story.papers("credit_note") == []
    first = (await timeline(story.scope, customer_id=story.customer))[0]
    assert (first.kind, first.actor) == ("pause_planned", f"customer:{story.customer}")
    await story.months_pass(2)
    assert [total for _, total, _ in await story.papers("credit_note")] == ["38.71"]
    assert await value("SELECT sum(amount_minor) FROM charge WHERE kind = 'hold'") == 250
    await story.expects("subscription_resumed", on=["2027-01-21"])
    await story.nothing_more_is_due()


async def test_P15_a_pause_of_today_shows_the_credit_note_that_it_issues(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await allows(story)
    story.on("2027-01-11")

    plan = await planned(story, fibre, "2027-01-11", "2027-01-21")

    documents = next(part for part in plan.parts if part.title == "Documents")
    assert documents.total is not None
    assert "38.71" in documents.total.value
    assert [total for _, total, _ in await story.papers("credit_note")] == ["38.71"]
    assert await story.state_of(fibre) == "paused"
    await story.months_pass(1)
    await story.nothing_more_is_due()


async def test_P15_what_came_between_is_shown_anew_and_nothing_is_done(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await allows(story)
    scope, data = await as_customer(story), OwnPause(from_on=day("2027-01-11"), to_on=day("2027-01-21"))
    shown = await rehearse(scope, lambda: plan_own_pause(scope, fibre, data))
    await allows(story, pause_fee_minor=900)

    with pytest.raises(PlanChanged):
        await carry_out(scope, lambda: plan_own_pause(scope, fibre, data), shown.seen)

    assert await list_pauses(fibre) == []


async def test_P15_the_days_of_a_year_are_a_limit_that_is_named_with_what_is_left(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await allows(story)
    await planned(story, fibre, "2027-01-11", "2027-01-31")
    await story.months_pass(2)

    too_many = await refused(story, fibre, "2027-03-05", "2027-03-16")
    await planned(story, fibre, "2027-03-05", "2027-03-15")
    await story.months_pass(1)
    none = await refused(story, fibre, "2027-05-01", "2027-05-06")

    assert too_many == "It may be paused for 30 days a year. In 2027 10 days are left, this would take 11."
    assert none == "It may be paused for 30 days a year. In 2027 none is left."


async def test_P15_each_year_counts_its_own_days_of_a_pause(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await allows(story, pause_days_a_year=8)

    too_many = await refused(story, fibre, "2027-12-23", "2028-01-08")
    said = says(await planned(story, fibre, "2027-12-26", "2028-01-08"))

    assert too_many.endswith("In 2027 8 days are left, this would take 9.")
    assert (said["Left for pauses in 2027"], said["Left for pauses in 2028"]) == ("2 days", "1 day")


async def test_P15_days_not_taken_and_pauses_of_the_staff_do_not_count(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await allows(story, pause_days_a_year=10)
    await pause(story.scope, fibre, NewPause(from_on=day("2027-01-03"), to_on=day("2027-01-13")))
    await story.days_pass(13)
    await planned(story, fibre, "2027-01-14", "2027-01-24")
    await story.days_pass(4)
    await end_pause(story.scope, fibre)

    left = await refused(story, fibre, "2027-02-01", "2027-02-08")

    assert left.endswith("In 2027 6 days are left, this would take 7.")


async def test_P15_a_pause_is_neither_too_short_nor_too_long_nor_out_of_sight(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await allows(story)

    assert await refused(story, fibre, "2027-01-10", "2027-01-14") == "A pause lasts at least 5 days."
    assert await refused(story, fibre, "2027-01-10", "2027-01-09") == "A pause lasts at least 5 days."
    assert await refused(story, fibre, "2027-01-10", "2027-01-31") == "A pause lasts at most 20 days."
    for first, last in (("2026-12-31", "2027-01-09"), ("9999-12-01", "9999-12-20")):
        assert await refused(story, fibre, first, last) == "Choose a day from today on, within three years."


async def test_P15_it_is_taken_back_until_it_begins_and_its_days_are_left_again(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await allows(story)
    await planned(story, fibre, "2027-01-11", "2027-01-31")
    scope = await as_customer(story)

    shown = await rehearse(scope, lambda: take_back(scope, fibre))
    await carry_out(scope, lambda: take_back(scope, fibre), shown.seen)

    dropped = (await timeline(story.scope, customer_id=story.customer))[0]
    assert (dropped.kind, dropped.actor) == ("pause_dropped", f"customer:{story.customer}")
    again = says(await planned(story, fibre, "2027-01-11", "2027-01-31"))
    assert again["Left for pauses in 2027"] == "10 days"
    await story.days_pass(12)
    with pytest.raises(Conflict, match="No pause is planned"):
        await take_back_by(story, fibre)


async def take_back_by(story: Story, fibre: int) -> None:
    scope = await as_customer(story)
    shown = await rehearse(scope, lambda: take_back(scope, fibre))
    await carry_out(scope, lambda: take_back(scope, fibre), shown.seen)


async def ended_by(story: Story, fibre: int) -> ChangePlan:
    """What is shown, and then done."""
    scope = await as_customer(story)
    shown = await rehearse(scope, lambda: end_own_pause(scope, fibre))
    return await carry_out(scope, lambda: end_own_pause(scope, fibre), shown.seen)


async def test_P15_a_pause_that_runs_is_ended_is_shown_what_is_charged_again_and_billed_like_that(
    story: Story,
) -> None:
    fibre = await a_month_ahead(story)
    await allows(story)
    story.on("2027-01-11")
    await planned(story, fibre, "2027-01-11", "2027-01-21")  # 32.26 net credited for ten days
    await story.days_pass(6)

    said = says(await ended_by(story, fibre))

    assert await story.state_of(fibre) == "active"
    assert said["Served and billed again from"].startswith("17")
    assert said["Charged again with the next invoice, as it was credited"].endswith("12.90")
    assert said["Left for pauses in 2027"] == "24 days", "six of thirty were taken"
    resumed = (await timeline(story.scope, customer_id=story.customer))[0]
    assert (resumed.kind, resumed.actor) == ("subscription_resumed", f"customer:{story.customer}")
    await story.months_pass(1)
    assert ("Fibre", "2027-01-17", "2027-01-21", 1290) in await story.lines()
    await story.nothing_more_is_due()


async def test_P15_a_pause_is_not_ended_before_the_shortest_one_is_over(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await allows(story)
    story.on("2027-01-11")
    await planned(story, fibre, "2027-01-11", "2027-01-21")
    await story.days_pass(4)

    with pytest.raises(Conflict, match=r"at least 5 days\. From 16.* on it can be ended\. Ask us"):
        await ended_by(story, fibre)
    await story.days_pass(1)
    await ended_by(story, fibre)

    assert await story.state_of(fibre) == "active"


async def test_P15_only_ones_own_pause_that_runs_is_ended_and_only_where_that_is_left_to_customers(
    story: Story,
) -> None:
    fibre = await a_month_ahead(story)
    await allows(story)
    with pytest.raises(Conflict, match="It is not paused"):
        await ended_by(story, fibre)
    await pause(story.scope, fibre, NewPause(from_on=day("2027-01-02"), to_on=day("2027-01-21")))
    await story.days_pass(10)

    with pytest.raises(Conflict, match="We planned this pause"):
        await ended_by(story, fibre)
    await end_pause(story.scope, fibre)
    await planned(story, fibre, "2027-01-11", "2027-01-21")
    await story.days_pass(6)
    another = await as_customer(story, await _somebody(story))
    with pytest.raises(NotFound):
        await rehearse(another, lambda: end_own_pause(another, fibre))
    await change_status(story.scope, story.customer, "blocked", reason="hand")
    with pytest.raises(Conflict, match="While you are Blocked, nothing goes on"):
        await ended_by(story, fibre)
    await change_status(story.scope, story.customer, "active", reason="hand")
    await save_settings(story.scope, PortalSettings(pause=False))
    with pytest.raises(NotFound):
        await ended_by(story, fibre)

    assert await story.state_of(fibre) == "paused"


async def test_P15_what_the_staff_planned_is_not_taken_back_by_the_customer(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await allows(story)
    await pause(story.scope, fibre, NewPause(from_on=day("2027-01-11"), to_on=day("2027-01-21")))

    with pytest.raises(Conflict, match="We planned this pause"):
        await take_back_by(story, fibre)
    assert await refused(story, fibre, "2027-02-11", "2027-02-21") == "A pause of it is planned already."


async def test_P15_who_is_blocked_and_what_is_suspended_is_not_paused(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await allows(story)
    await suspend(story.scope, fibre)

    resting = await refused(story, fibre, "2027-01-11", "2027-01-21")
    await change_status(story.scope, story.customer, "blocked", reason="hand")
    blocked = await refused(story, fibre, "2027-01-11", "2027-01-21")

    assert resting == "It is suspended."
    assert blocked == "While you are Blocked, nothing can be paused."


async def test_P15_a_change_on_its_way_comes_before_a_pause(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await allows(story)
    await story.changes(fibre, quantity_e6=2_000_000, when="on", on="2027-02-01")

    said = await refused(story, fibre, "2027-01-11", "2027-01-21")

    assert said == "A change of it is on its way. Ask us, and we look into it."


async def test_P15_what_somebody_else_pays_for_is_not_paused_by_who_has_it(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await allows(story)
    other = await _somebody(story)
    await execute("UPDATE customer SET payer_id = :payer WHERE id = :id", payer=other, id=story.customer)

    said = await refused(story, fibre, "2027-01-11", "2027-01-21")

    assert said == "Somebody else pays for it. Ask us, and we look into it."


async def _somebody(story: Story) -> int:
    return await a_customer(story.scope, "Bo Berg")


async def test_P15_nobody_pauses_what_is_anothers_or_where_it_is_not_left_to_customers(story: Story) -> None:
    fibre = await a_month_ahead(story)
    data = OwnPause(to_on=story.today + timedelta(days=9))
    mine, another = await as_customer(story), await as_customer(story, await _somebody(story))

    with pytest.raises(NotFound):
        await rehearse(mine, lambda: plan_own_pause(mine, fibre, data))
    await allows(story)
    with pytest.raises(NotFound):
        await rehearse(another, lambda: plan_own_pause(another, fibre, data))
    with pytest.raises(NotFound):
        await rehearse(another, lambda: take_back(another, fibre))
    barred = mine.as_actor(replace(mine.actor, permissions=frozenset()))
    with pytest.raises(Forbidden):
        await rehearse(barred, lambda: plan_own_pause(barred, fibre, data))


async def test_P15_a_fee_is_of_ones_own_currency_and_is_not_asked_in_another(story: Story) -> None:
    fibre = await a_month_ahead(story)
    await execute("UPDATE subscription_term SET currency = 'USD' WHERE subscription_id = :id", id=fibre)
    await allows(story, pause_fee_minor=500)

    said = await refused(story, fibre, "2027-01-11", "2027-01-21")

    assert said == "What is billed in USD is not paused here. Ask us, and we look into it."


async def test_P15_a_part_of_a_bundle_is_not_paused_alone(story: Story) -> None:
    taken = await takes(story, await three(story))
    await allows(story)

    said = await refused(story, taken.parts[0].id, "2027-01-11", "2027-01-21")

    assert said == "It is part of a bundle, and is not paused alone. Ask us, and we look into it."


async def test_P15_a_prepaid_one_that_its_customer_pauses_gets_its_paid_days_back(story: Story) -> None:
    await story.begins("2027-03-01", billing_type="prepaid")
    await story.taxes(0)
    await story.sells("plan", 3000, "day", 30)
    await story.pays(6000)
    order = NewSubscription(
        customer_id=story.customer, product_id=story.products["plan"], price_id=story.prices["plan"]
    )
    plan = await start(story.scope, order)
    await allows(story)
    await planned(story, plan, "2027-03-11", "2027-03-21")

    await story.days_pass(20)

    assert [total for _, total, _ in await story.papers("credit_note")] == ["10.00"]
    assert await story.state_of(plan) == "active"
    assert (await story.money()).balance == "40.00"
