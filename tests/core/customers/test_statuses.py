"""A customer's status over pages and JSON: the plan first, then exactly that; why it is so; set for a day to come."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, date, datetime, timedelta
from functools import partial
from html import unescape

import pytest

from core.activity.unit import again, unit_of_work
from core.catalog.actions import create_product
from core.catalog.schemas import NewProduct
from core.clock import date_in
from core.customers import actions, status_routes
from core.customers.jobs import CHANGE_PLANNED, SCHEDULES
from core.customers.schemas import NewCustomer
from core.customers.status import TRANSITIONS, StatusKey
from core.database import execute, spawn, value, values
from core.errors import Conflict, Invalid
from core.jobs import claims
from core.jobs.actions import enqueue
from core.jobs.attempts import attempt
from core.jobs.schedules import Scheduled
from core.scope import schedule_actor
from core.staff.queries import actor_of, find_known
from core.subscriptions.actions import activate_free
from core.subscriptions.schemas import NewFreeSubscription
from core.testing import TestTenant

pytestmark = pytest.mark.anyio

PAIRS = [(one, other) for one in StatusKey for other in StatusKey if one != other]


class Killed(BaseException):
    """The process is gone."""


async def somebody(tenant: TestTenant, status: str = "new") -> int:
    customer_id = await actions.create_customer(tenant.scope(), NewCustomer(full_name="Ada Adler"))
    await force(tenant, customer_id, status)
    return customer_id


async def force(tenant: TestTenant, customer_id: int, status: str) -> None:
    async with unit_of_work(tenant.scope()):
        await execute(
            "UPDATE customer SET status_id = (SELECT id FROM status WHERE key = :key) WHERE id = :id",
            key=status,
            id=customer_id,
        )


async def status_of(customer_id: int) -> str:
    return str(
        await value(
            "SELECT status.key FROM customer JOIN status ON status.id = customer.status_id WHERE customer.id = :id",
            id=customer_id,
        )
    )


async def test_U4_each_pair_of_statuses_is_allowed_by_the_table_or_refused(tenant: TestTenant) -> None:
    for one, other in PAIRS:
        customer_id = await somebody(tenant, one)
        if other in TRANSITIONS[one]:
            await actions.change_status(tenant.scope(), customer_id, other)
            assert await status_of(customer_id) == other
        else:
            with pytest.raises(Conflict, match="cannot become"):
                await actions.change_status(tenant.scope(), customer_id, other)
            assert await status_of(customer_id) == one


async def test_U2_closed_is_only_who_never_had_a_subscription(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(tenant)
    product_id = await create_product(scope, NewProduct(code="fibre", name="Fibre", kind="plan", prices=[]))
    await activate_free(scope, NewFreeSubscription(customer_id=customer_id, product_id=product_id))

    with pytest.raises(Conflict, match="cannot be closed"):
        await actions.change_status(scope, customer_id, "closed")
    assert await status_of(customer_id) == "active"


async def test_U5_what_a_rule_has_blocked_a_rule_lifts_and_what_a_person_has_blocked_stays(tenant: TestTenant) -> None:
    scope = tenant.scope()
    by_rule, by_hand = await somebody(tenant, "active"), await somebody(tenant, "active")
    await actions.change_status(scope, by_rule, "blocked", reason="dunning")
    await actions.change_status(scope, by_hand, "blocked")

    lifted = [await actions.lift_status(scope, one, reason="dunning") for one in (by_rule, by_hand)]

    assert lifted == [True, False]
    assert [await status_of(by_rule), await status_of(by_hand)] == ["active", "blocked"]


async def test_U5_who_is_never_blocked_is_blocked_by_a_person_only(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(tenant, "active")
    async with unit_of_work(scope):
        await execute("UPDATE customer SET never_block = TRUE WHERE id = :id", id=customer_id)

    with pytest.raises(Conflict, match="never blocked by a rule"):
        await actions.change_status(scope, customer_id, "blocked", reason="balance")
    await actions.change_status(scope, customer_id, "blocked")

    assert await status_of(customer_id) == "blocked"


# -- plan, then do ----------------------------------------------------------------------------------------------------


async def test_U7_the_api_does_what_its_plan_said_or_gives_both_plans(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(tenant, "active")
    product_id = await create_product(scope, NewProduct(code="fibre", name="Fibre", kind="plan", prices=[]))
    api = await tenant.api()
    at = f"/api/v1/customers/{customer_id}/status"

    first = (await api.get(f"{at}/plan", params={"status": "terminated"})).json()
    await activate_free(scope, NewFreeSubscription(customer_id=customer_id, product_id=product_id))
    refused = await api.post(at, json={"status": "terminated", "plan": first["plan"]})
    problem = refused.json()

    assert refused.status_code == 409
    assert problem["code"] == "plan_changed"
    assert problem["details"]["seen"] == first["plan"]
    new = problem["details"]["plan"]
    assert [each["kind"] for each in new["effects"]] == ["service", "document"]
    assert await status_of(customer_id) == "active"

    done = await api.post(at, json={"status": "terminated", "plan": new["plan"], "reason": "Moved away"})
    assert done.status_code == 200, done.text
    assert done.json()["status"] == "terminated"


async def test_U7_the_drawer_shows_the_plan_again_where_something_came_between(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(tenant, "active")
    product_id = await create_product(scope, NewProduct(code="fibre", name="Fibre", kind="plan", prices=[]))
    page = await tenant.browser()
    at = f"/customers/{customer_id}/status"

    shown = await page.get(at, params={"status": "inactive"})
    seen = re.search(r'name="seen" value="([^"]*)"', shown.text)
    assert seen is not None, shown.text
    await activate_free(scope, NewFreeSubscription(customer_id=customer_id, product_id=product_id))
    stale = await page.post(at, data={"status": "inactive", "seen": seen[1]})

    assert stale.status_code == 409
    assert "Something came between" in stale.text
    assert "Fibre is suspended" in stale.text
    assert await status_of(customer_id) == "active"

    new = re.search(r'name="seen" value="([^"]*)"', stale.text)
    assert new is not None
    done = await page.post(at, data={"status": "inactive", "seen": new[1]})
    assert done.status_code == 303, done.text
    assert await status_of(customer_id) == "inactive"


async def test_a_refusal_stands_in_the_drawer_before_there_is_a_button(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant, "blocked")
    page = await tenant.browser()

    refused = await page.get(f"/customers/{customer_id}/status", params={"status": "closed"})

    assert refused.status_code == 409
    assert "cannot become “Closed”" in refused.text
    assert 'name="seen"' not in refused.text


# -- why --------------------------------------------------------------------------------------------------------------


async def test_U8_a_status_says_why_since_when_and_by_whom(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant, "active")
    page, api = await tenant.browser(), await tenant.api()
    at = f"/customers/{customer_id}/status"
    shown = await page.get(at, params={"status": "blocked", "reason": "Asked by phone"})
    seen = re.search(r'name="seen" value="([^"]*)"', shown.text)
    assert seen is not None
    await page.post(at, data={"status": "blocked", "reason": "Asked by phone", "seen": seen[1]})

    why = await page.get(f"{at}/why", headers={"hx-request-type": "partial"})
    answer = (await api.get(f"/api/v1{at}")).json()

    assert "By hand" in why.text
    assert "Asked by phone" in why.text
    assert (answer["reason"], answer["note"], answer["came_from"]) == ("hand", "Asked by phone", "active")
    assert answer["by"].startswith("staff:")
    assert "active" in answer["may_become"]


# -- on a day to come -------------------------------------------------------------------------------------------------


async def run_job(tenant: TestTenant) -> int:
    """The job that the schedule starts when a day begins, done as a worker does it; gives its id."""
    scope = tenant.scope(actor=schedule_actor("planned_statuses"))
    job_id = await enqueue(scope, CHANGE_PLANNED, Scheduled(scope.today()))
    claim = await claims.claim(CHANGE_PLANNED, job_id, scope.now())
    assert claim is not None
    await attempt(scope, CHANGE_PLANNED, claim)
    return job_id


async def test_U6_a_change_is_planned_listed_cancelled_and_done_when_its_day_begins(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant, "active")
    page, api = await tenant.browser(), await tenant.api()
    day = tenant.scope().today() + timedelta(days=3)
    at = f"/customers/{customer_id}/status"

    made = await api.post(f"/api/v1{at}", json={"status": "inactive", "on": day.isoformat(), "reason": "Moves"})
    again_ = await api.post(f"/api/v1{at}", json={"status": "blocked", "on": day.isoformat()})
    assert (made.status_code, made.json()["status"], made.json()["planned_status"]) == (200, "active", "inactive")
    assert again_.status_code == 409
    assert "Cancel that first" in again_.json()["detail"]
    assert "when the day begins" in (await page.get(f"/customers/{customer_id}")).text
    assert "Ada Adler" in (await page.get("/customers/planned-statuses")).text
    (planned,) = (await api.get("/api/v1/planned-statuses")).json()["items"]
    assert (await api.delete(f"/api/v1/planned-statuses/{planned['id']}")).status_code == 200
    assert (await api.get("/api/v1/planned-statuses")).json() == {"items": [], "next": None}

    await actions.plan_status(tenant.scope(), customer_id, "inactive", day)
    tenant.clock.move(timedelta(days=2))
    assert await actions.due_planned_statuses(tenant.scope().today()) == []
    tenant.clock.move(timedelta(days=1))
    (due,) = await actions.due_planned_statuses(tenant.scope().today())
    await actions.carry_out_planned(tenant.scope(), due)

    assert await status_of(customer_id) == "inactive"
    assert (await api.get(f"/api/v1{at}")).json()["reason"] == "schedule"
    assert await values("SELECT state FROM planned_status ORDER BY id") == ["cancelled", "done"]


async def test_U6_all_that_is_planned_can_be_reached_however_many_it_is(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_routes, "PAGE", 2)
    ids = [await somebody(tenant, "active") for _each in range(5)]
    for at, customer_id in enumerate(ids):
        await actions.plan_status(
            tenant.scope(), customer_id, "inactive", tenant.scope().today() + timedelta(days=9 - at // 2)
        )
    page, api = await tenant.browser(), await tenant.api()

    on_pages, address = [], "/customers/planned-statuses"
    while address:
        shown = (await page.get(address)).text
        on_pages.append([int(one) for one in re.findall(r'<td class="c-name"><a href="/customers/(\d+)"', shown)])
        further = re.search(r'href="(/customers/planned-statuses\?after=[^"]+)"', shown)
        address = unescape(further[1]) if further else ""
    over_json, cursor = [], ""
    while cursor is not None:
        part = (await api.get("/api/v1/planned-statuses", params={"limit": 2, "cursor": cursor})).json()
        over_json.append([one["customer_id"] for one in part["items"]])
        cursor = part["next"]
    settings = (await page.get("/settings/statuses")).text
    wrong = await api.get("/api/v1/planned-statuses", params={"cursor": "yesterday"})

    assert on_pages == over_json == [[ids[4], ids[2]], [ids[3], ids[0]], [ids[1]]]
    assert "5 customers change their status on a later day." in settings
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "cursor")


async def test_a_day_that_is_not_to_come_is_refused(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant, "active")
    today = tenant.scope().today()

    for day in (today, today - timedelta(days=1), today + timedelta(days=1097)):
        with pytest.raises(Invalid, match="Choose a day to come"):
            await actions.plan_status(tenant.scope(), customer_id, "inactive", day)


async def test_a_planned_change_that_is_no_longer_allowed_is_refused_with_the_reason(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant, "active")
    await actions.plan_status(tenant.scope(), customer_id, "blocked", tenant.scope().today() + timedelta(days=1))
    await actions.change_status(tenant.scope(), customer_id, "terminated")
    tenant.clock.move(timedelta(days=1))
    (due,) = await actions.due_planned_statuses(tenant.scope().today())

    refusal = await actions.carry_out_planned(tenant.scope(), due)
    page = await tenant.browser()
    shown = await page.get(f"/customers/{customer_id}")
    listed = await page.get("/customers/planned-statuses", params={"state": "refused"})

    assert refusal is not None
    assert "cannot become “Blocked”" in refusal
    assert await status_of(customer_id) == "terminated"
    assert "was refused" in shown.text
    assert "cannot become “Blocked”" in listed.text
    assert "Planned changes refused" in (await page.get("/")).text
    noted = await page.post(f"/customers/{customer_id}/planned-statuses/{due}/noted")
    assert noted.status_code == 303
    assert "was refused" not in (await page.get(f"/customers/{customer_id}")).text


async def test_of_two_workers_each_planned_change_is_made_once(tenant: TestTenant) -> None:
    customers = [await somebody(tenant, "active") for _ in range(4)]
    for customer_id in customers:
        await actions.plan_status(tenant.scope(), customer_id, "blocked", tenant.scope().today() + timedelta(days=1))
    tenant.clock.move(timedelta(days=1))
    scope = tenant.scope()
    due = await actions.due_planned_statuses(scope.today())

    async def work(ids: list[int]) -> None:
        for planned_id in ids:
            await again(partial(actions.carry_out_planned, scope, planned_id))

    await asyncio.gather(spawn(work(due)), spawn(work(due[::-1])))

    assert {await status_of(one) for one in customers} == {"blocked"}
    made = await value("SELECT count(*) FROM activity WHERE kind = 'customer_status_changed'")
    assert made == len(customers)


async def test_a_worker_that_is_killed_in_the_middle_leaves_nothing_half_done(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant, "active")
    await actions.plan_status(tenant.scope(), customer_id, "blocked", tenant.scope().today() + timedelta(days=1))
    tenant.clock.move(timedelta(days=1))
    scope = tenant.scope()
    (due,) = await actions.due_planned_statuses(scope.today())

    async def killed() -> None:
        async with unit_of_work(scope):
            await actions.carry_out_planned(scope, due)
            raise Killed

    with pytest.raises(Killed):
        await killed()
    assert await status_of(customer_id) == "active"
    await actions.carry_out_planned(scope, due)

    assert await status_of(customer_id) == "blocked"
    assert await actions.due_planned_statuses(scope.today()) == []


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("America/Sao_Paulo", date(2018, 11, 4), datetime(2018, 11, 4, 3, tzinfo=UTC)),
        ("Pacific/Apia", date(2011, 12, 30), datetime(2011, 12, 30, 10, tzinfo=UTC)),
        ("Europe/Berlin", date(2027, 3, 28), datetime(2027, 3, 27, 23, tzinfo=UTC)),
    ],
)
def test_U6_the_schedule_starts_when_the_day_begins_though_midnight_is_skipped(
    zone: str, day: date, begins: datetime
) -> None:
    (schedule,) = [one for one in SCHEDULES if one.name == "planned_statuses"]

    started = schedule.when.after(begins - timedelta(minutes=1), zone)

    assert started == begins
    assert date_in(started, zone) >= day


async def test_who_planned_a_change_that_is_refused_gets_a_message(tenant: TestTenant) -> None:
    staff_id = await tenant.staff(email="nuala@marlbeck.example")
    known = await find_known(staff_id)
    assert known is not None
    planner = tenant.scope().as_actor(actor_of(known))
    customer_id = await somebody(tenant, "active")
    await actions.plan_status(planner, customer_id, "blocked", planner.today() + timedelta(days=1))
    await actions.change_status(tenant.scope(), customer_id, "terminated")
    tenant.clock.move(timedelta(days=1))

    job_id = await run_job(tenant)

    assert await value("SELECT recipients FROM message") == '["nuala@marlbeck.example"]'
    assert await value("SELECT state FROM job WHERE id = :id", id=job_id) == "done"
