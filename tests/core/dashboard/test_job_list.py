"""The list of jobs: found, sorted, filtered, taken away, and what is done to one or many of them from there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec import Struct

from core.activity.unit import unit_of_work
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.dashboard.jobs_listing import JOBS, job_choices
from core.database import OneCustomer, Partitions, execute
from core.errors import Invalid
from core.jobs.actions import enqueue
from core.jobs.kinds import Job, JobKind
from core.jobs.queries import get_job
from core.jobs.status import JobState
from core.scope import ALL_PERMISSIONS, Actor, Scope
from core.testing import TestTenant
from tests.deeds import done_to

HTMX = {"hx-request-type": "partial"}


class Wall(Struct, frozen=True):
    colour: str = "a secret shade"


async def nobody_works(scope: Scope, job: Job[Wall]) -> None:
    raise AssertionError("nobody works here")


PAINT = JobKind("test_paint", Wall, run=nobody_works, label="Paint the wall")
SAND = JobKind("test_sand", Wall, run=nobody_works, label="Sand the wall")


async def put(tenant: TestTenant, state: JobState, kind: JobKind[Wall] = PAINT, customer_id: int | None = None) -> int:
    """A job in this state, which nobody works on."""
    scope = tenant.scope()
    job_id = await enqueue(scope, kind, Wall(), customer_id=customer_id)
    async with unit_of_work(scope):
        await execute("UPDATE job SET state = :state WHERE id = :id", id=job_id, state=state)
    return job_id


async def change(tenant: TestTenant, job_id: int, **changes: object) -> None:
    async with unit_of_work(tenant.scope()):
        for name, given in changes.items():
            await execute(f"UPDATE job SET {name} = :given WHERE id = :id", id=job_id, given=given)


async def ids(scope: Scope, **address: str) -> list[int]:
    given = {"kind": "test_paint,test_sand", **{name.replace("__", "."): text for name, text in address.items()}}
    found = await JOBS.read(scope, given, choices=await job_choices(scope, given))
    return [one.id for one in found.rows]


async def test_L2_jobs_are_filtered_by_their_state_and_by_what_a_person_has_to_settle(tenant: TestTenant) -> None:
    found = {state: await put(tenant, state) for state in JobState}
    scope = tenant.scope()

    for state, job_id in found.items():
        assert await ids(scope, state=state) == [job_id], state
    assert await ids(scope, state="person") == sorted(
        (found[one] for one in (JobState.FAILED, JobState.UNKNOWN, JobState.HELD)), reverse=True
    )
    assert await ids(scope, state="work") == [found[JobState.SENDING], found[JobState.RUNNING]]
    assert await ids(scope, state="done,failed") == [found[JobState.FAILED], found[JobState.DONE]]
    with pytest.raises(Invalid):
        await ids(scope, state="lost")


async def test_L2_jobs_are_filtered_by_kind_customer_words_and_days(tenant: TestTenant) -> None:
    ada = await create_customer(tenant.scope(), NewCustomer(full_name="Ada Fen"))
    first = await put(tenant, JobState.FAILED, customer_id=ada)
    await change(tenant, first, error="No paint is left", finished_at=tenant.scope().now())
    tenant.clock.move(timedelta(days=3))
    second = await put(tenant, JobState.WAITING, SAND)
    scope = tenant.scope()
    today = scope.today()

    assert await ids(scope, kind="test_sand") == [second]
    assert await ids(scope, q="SAND") == [second]
    assert await ids(scope, q="wall") == [second, first]
    assert await ids(scope, q="polish") == []
    assert await ids(scope, customer_id=str(ada)) == [first]
    assert await ids(scope, customer__has="fen") == [first]
    assert await ids(scope, error__has="paint") == [first]
    assert await ids(scope, begun=today.isoformat()) == [second]
    assert await ids(scope, begun__to=(today - timedelta(days=3)).isoformat()) == [first]
    assert await ids(scope, ended__empty="yes") == [second]
    assert await ids(scope, id=str(first)) == [first]


async def test_L2_jobs_are_sorted_and_go_on_from_their_cursor_both_ways(tenant: TestTenant) -> None:
    first, second, third = [await put(tenant, JobState.WAITING) for _ in range(3)]
    sand = await put(tenant, JobState.WAITING, SAND)
    now = tenant.scope().now()
    await change(tenant, first, started_at=now + timedelta(minutes=9), attempts=2)
    await change(tenant, third, started_at=now + timedelta(minutes=5), finished_at=now + timedelta(minutes=6))
    scope, address = tenant.scope(), {"kind": "test_paint,test_sand", "sort": "-begun"}
    choices = await job_choices(scope, address)
    read, after = [], ""
    while True:
        found = await JOBS.read(scope, address, choices=choices, after=after, limit=1)
        read.append(found.rows[0].id)
        if not (after := found.after):
            break
    back = await JOBS.read(scope, address, choices=choices, before=found.before, limit=2)

    assert await ids(scope) == [sand, third, second, first]
    assert await ids(scope, sort="kind,id") == [first, second, third, sand]
    assert await ids(scope, sort="-attempts,-id") == [first, sand, third, second]
    assert await ids(scope, sort="-ended,id") == [third, first, second, sand]
    assert read == [first, third, sand, second]
    assert [one.id for one in back.rows] == [third, sand]


async def test_L2_nobody_lists_jobs_beyond_his_reach(tenant: TestTenant) -> None:
    here = await create_customer(tenant.scope(), NewCustomer(full_name="Ada Fen"))
    there = await create_customer(tenant.scope(), NewCustomer(full_name="Bo Marsh"))
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET partition_id = 2 WHERE id = :id", id=there)
    mine = await put(tenant, JobState.FAILED, customer_id=here)
    other = await put(tenant, JobState.FAILED, customer_id=there)
    nobodys = await put(tenant, JobState.FAILED)
    reseller = tenant.scope(actor=Actor("staff", 99, "Eve", Partitions((2,)), ALL_PERMISSIONS))
    portal = tenant.scope(actor=Actor("customer", here, "", OneCustomer(here), ALL_PERMISSIONS))

    assert await ids(tenant.scope()) == [nobodys, other, mine]
    assert await ids(reseller) == [other]
    assert await ids(reseller, state="person", sort="begun", q="paint") == [other]
    assert await ids(portal) == [mine]


async def test_L3_work_in_progress_is_a_page_with_views_filters_and_exports(tenant: TestTenant) -> None:
    ada = await create_customer(tenant.scope(), NewCustomer(full_name="Ada Fen"))
    failed = await put(tenant, JobState.FAILED, customer_id=ada)
    await change(tenant, failed, error="No paint is left", progress_done=3, progress_total=4000)
    waiting = await put(tenant, JobState.WAITING, SAND)
    browser = await tenant.browser()

    page = (await browser.get("/jobs")).text
    part = (await browser.get("/jobs?state=failed", headers=HTMX)).text
    written = (
        await browser.get("/lists/jobs/export?format=csv&state=failed&columns=kind,state,customer,progress")
    ).text
    saved = await browser.post("/lists/jobs/views", data={"name": "Sanding", "state": "kind=test_sand"})
    opened = (await browser.get(saved.headers["location"])).text

    assert f'href="/jobs/{waiting}"' in page
    assert "3 of 4,000 No paint is left" in page
    assert "Nothing is lost when a page is closed." in page
    assert "<html" not in part
    assert f'href="/jobs/{failed}"' in part
    assert f'href="/jobs/{waiting}"' not in part
    head, *lines = [line.replace('"', "") for line in written.lstrip("\ufeff").splitlines()]
    assert [one.strip() for one in head.replace(";", ",").split(",")] == ["What", "State", "Customer", "How far"]
    assert len(lines) == 1
    assert all(told in lines[0] for told in ("Paint the wall", "Failed", "Ada Fen", "No paint is left"))
    assert "secret shade" not in page + written
    assert f'href="/jobs/{waiting}"' in opened
    assert f'href="/jobs/{failed}"' not in opened


async def test_where_nothing_is_at_work_the_page_says_so(tenant: TestTenant) -> None:
    browser = await tenant.browser()

    assert "Nothing is at work" in (await browser.get("/jobs")).text
    assert "No work matches" in (await browser.get("/jobs?state=failed")).text


async def test_L6_the_menu_of_a_row_offers_what_fits_its_job_and_greys_the_rest(tenant: TestTenant) -> None:
    browser = await tenant.browser()
    fits = {
        JobState.WAITING: {"cancellation"},
        JobState.RUNNING: {"cancellation"},
        JobState.HELD: {"repetition", "cancellation"},
        JobState.FAILED: {"repetition", "cancellation"},
        JobState.UNKNOWN: {"repetition", "cancellation"},
        JobState.SENDING: set[str](),
        JobState.DONE: set[str](),
        JobState.CANCELLED: set[str](),
    }

    for state, meant in fits.items():
        job_id = await put(tenant, state)
        menu = (await browser.get(f"/jobs/{job_id}/row-menu", headers=HTMX)).text
        page = (await browser.get(f"/jobs/{job_id}")).text
        for shown in (menu, page):
            assert {one for one in ("repetition", "cancellation") if f"/jobs/{job_id}/{one}" in shown} == meant, state
        assert menu.count("aria-disabled") == 2 - len(meant)
    ending = await put(tenant, JobState.RUNNING)
    await change(tenant, ending, cancel_asked=True)
    asked = (await browser.get(f"/jobs/{ending}/row-menu", headers=HTMX)).text
    plain = await browser.get(f"/jobs/{ending}/row-menu")

    assert "Its end is asked for already" in asked
    assert plain.headers["location"] == f"/jobs/{ending}"


async def test_L6_who_may_only_look_at_jobs_is_offered_nothing_but_to_open_one(tenant: TestTenant) -> None:
    job_id = await put(tenant, JobState.FAILED)
    browser = await tenant.browser(staff_id=await tenant.staff_with({"jobs.view"}))

    menu = (await browser.get(f"/jobs/{job_id}/row-menu", headers=HTMX)).text
    ordered = await browser.post("/jobs/bulk", data={"action": "jobs.cancel", "id": [str(job_id)]})
    export = await browser.get("/lists/jobs/export")

    assert "Open" in menu
    assert "hx-post" not in menu
    assert (ordered.status_code, export.status_code) == (403, 403)


async def test_L5_many_jobs_are_started_again_and_cancelled(tenant: TestTenant) -> None:
    found = {state: await put(tenant, state) for state in JobState}
    ending = await put(tenant, JobState.RUNNING)
    await change(tenant, ending, cancel_asked=True)
    scope = tenant.scope()

    again = await done_to(tenant, "/jobs", "jobs.start_again", list(found.values()))
    waiting = {state for state, job_id in found.items() if (await get_job(scope, job_id)).state is JobState.WAITING}
    cancelled = await done_to(tenant, "/jobs", "jobs.cancel", [*found.values(), ending])

    assert (again["done"], again["refused"]) == (3, 5)
    assert waiting == {JobState.WAITING, JobState.FAILED, JobState.UNKNOWN, JobState.HELD}
    assert (cancelled["done"], cancelled["nothing"], cancelled["refused"]) == (5, 2, 2)
    left = {(await get_job(scope, job_id)).state for job_id in found.values()}
    assert left == {JobState.CANCELLED, JobState.RUNNING, JobState.SENDING, JobState.DONE}
    assert (await get_job(scope, found[JobState.RUNNING])).cancel_asked
