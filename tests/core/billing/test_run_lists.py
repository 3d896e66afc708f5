"""The list of billing runs: sorted, filtered, beside the runs they are measured by, taken away, over JSON."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec
import pytest

from core.activity.unit import unit_of_work
from core.billing.previews import compared_run
from core.billing.queries import get_run, runs_beside
from core.billing.run_listings import RUNS
from core.billing.run_pages import measured_by
from core.database import Everything, Partitions, value, watched
from core.errors import Invalid
from core.scope import ALL_PERMISSIONS, Actor, Scope
from core.testing import TestTenant


async def a_run(
    tenant: TestTenant,
    as_of: date,
    minor: int = 10_000,
    *,
    state: str = "done",
    invoices: int = 1,
    parked: int = 0,
    begun: datetime | None = None,
    actor: str = "schedule:billing",
) -> int:
    """A run as it stands when it is over; of no invoices, without a total."""
    async with unit_of_work(tenant.scope()):
        return int(
            await value(
                "INSERT INTO billing_run (as_of_on, issued_on, state, invoices, charges, parked, totals, actor,"
                " started_at) VALUES (:day, :day, :state, :invoices, :invoices, :parked, :totals, :actor, :begun)"
                " RETURNING id",
                day=as_of,
                state=state,
                invoices=invoices,
                parked=parked,
                totals=msgspec.json.encode({"EUR": minor} if invoices else {}).decode(),
                actor=actor,
                begun=begun or tenant.scope().now(),
            )
        )


async def ids(scope: Scope, **address: str) -> list[int]:
    given = {name.replace("__", "."): text for name, text in address.items()}
    found = await RUNS.read(scope, given, choices=await RUNS.choices_for(scope, given))
    return [one.id for one in found.rows]


async def test_L2_runs_are_sorted_and_filtered_by_date_state_and_what_they_did(tenant: TestTenant) -> None:
    scope = tenant.scope()
    may = await a_run(tenant, date(2026, 5, 1), invoices=7, begun=scope.now() - timedelta(days=40))
    june = await a_run(tenant, date(2026, 6, 1), invoices=9, parked=2, begun=scope.now() - timedelta(days=9))
    late = await a_run(tenant, date(2026, 5, 1), invoices=0, state="cancelled")
    waiting = await a_run(tenant, date(2026, 7, 1), invoices=0, state="waiting")

    assert await ids(scope) == [waiting, late, june, may]
    assert await ids(scope, sort="date") == [may, late, june, waiting]
    assert await ids(scope, sort="-invoices,date") == [june, may, late, waiting]
    assert (await ids(scope, sort="begun"))[:2] == [may, june]
    assert await ids(scope, state="done,cancelled") == [late, june, may]
    assert await ids(scope, date="2026-05-01") == [late, may]
    assert await ids(scope, date__from="2026-05-02", state="done") == [june]
    assert await ids(scope, parked__from="1") == [june]
    assert await ids(scope, begun__to=(scope.today() - timedelta(days=10)).isoformat()) == [may]
    assert await ids(scope, finished__empty="no") == []
    with pytest.raises(Invalid, match="State is one of"):
        await ids(scope, state="gone")


async def test_L4_runs_are_found_by_their_id_their_day_and_their_month(tenant: TestTenant) -> None:
    first, second, third = [
        await a_run(tenant, day) for day in (date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 31))
    ]
    scope = tenant.scope()

    assert await ids(scope, q=str(second)) == [second]
    assert await ids(scope, q="2026-03") == [third, second]
    assert await ids(scope, q="2026-02-28") == [first]
    for nothing in ("2026-13", "2025-03", "9999-12", "0000-01", "soon", "1" * 30, "2026-3", "+2026-0", "٢٠٢٦-٠٣"):
        assert await ids(scope, q=nothing) == []


async def test_L2_runs_go_on_from_their_cursor_both_ways(tenant: TestTenant) -> None:
    made = [await a_run(tenant, date(2026, month, 1)) for month in range(1, 8)]
    scope = tenant.scope()

    first = await RUNS.read(scope, {}, limit=3)
    second = await RUNS.read(scope, {}, limit=3, after=first.after)
    back = await RUNS.read(scope, {}, limit=3, before=second.before)
    by_day = await RUNS.read(scope, {"sort": "date"}, limit=5)
    last = await RUNS.read(scope, {"sort": "date"}, limit=5, after=by_day.after)

    assert [one.id for one in (*first.rows, *second.rows)] == made[:0:-1]
    assert [one.id for one in back.rows] == [one.id for one in first.rows]
    assert [one.id for one in (*by_day.rows, *last.rows)] == made
    assert last.after == ""


async def test_B8_a_run_is_measured_by_the_same_one_wherever_it_stands_in_the_list(tenant: TestTenant) -> None:
    """A month before to the day, else the last before it that billed anything: as its own page has it."""
    days = [
        date(2025, 12, 31),
        date(2026, 1, 31),
        date(2026, 2, 1),
        date(2026, 2, 28),
        date(2026, 3, 15),
        date(2026, 3, 31),
    ]
    made = [await a_run(tenant, day, 10_000 + at) for at, day in enumerate(days)]
    made += [
        await a_run(tenant, date(2026, 2, 28), invoices=0),
        await a_run(tenant, date(2026, 3, 30), state="cancelled"),
        await a_run(tenant, date(2026, 4, 15), 20_000),
    ]
    scope = tenant.scope()

    found = {}
    for run_id in made:
        run = await get_run(scope, run_id)
        last = measured_by(run, await runs_beside(scope, [run_id]))
        found[run_id] = None if last is None else last.id
    wanted = {}
    for run_id in made:
        run = await get_run(scope, run_id)
        wanted[run_id] = await compared_run(run.as_of_on) if run.state == "done" and run.invoices else None

    assert found == wanted
    assert wanted[made[1]] == made[0]
    assert wanted[made[5]] == made[3]
    assert wanted[made[-1]] == made[4]


async def test_B8_the_last_run_of_a_page_is_beside_one_of_the_next(tenant: TestTenant) -> None:
    begin = date(2024, 1, 1)
    for at in range(26):
        await a_run(tenant, begin + timedelta(days=at), 10_000 if at != 1 else 15_000)
    page = await tenant.browser()
    await page.post("/lists/runs/rows", data={"rows": "25", "state": ""})

    first = (await page.get("/billing/runs")).text
    filtered = (await page.get("/billing/runs?date=2024-01-02")).text

    assert first.count('id="run-') == 25
    assert "+50.0" in first, "the run of the 2nd is measured by that of the 1st, which stands on the next page"
    assert 't-flag">+50.0' in filtered


async def test_L2_runs_are_asked_for_in_as_many_queries_however_many_there_are(tenant: TestTenant) -> None:
    page = await tenant.browser()
    counts = []
    for month in (1, 2, 5):
        while await value("SELECT count(*) FROM billing_run") < month:
            done = int(await value("SELECT count(*) FROM billing_run"))
            await a_run(tenant, date(2026, done + 1, 1))
        await page.get("/billing/runs")
        with watched() as seen:
            await page.get("/billing/runs")
        counts.append(len(seen))

    assert len(set(counts)) == 1, counts
    assert counts[0] <= 8


async def test_L3_runs_are_a_page_with_who_began_them_what_came_and_whom_they_parked(tenant: TestTenant) -> None:
    person = await tenant.staff("Accounts")
    run_id = await a_run(tenant, date(2026, 6, 1), 4305, parked=3, actor=f"staff:{person}")
    other = await a_run(tenant, date(2026, 7, 1), invoices=0, state="cancelled")
    page = await tenant.browser()

    shown = (await page.get("/billing/runs")).text
    done = (await page.get("/billing/runs?state=done")).text
    none = (await page.get("/billing/runs?state=waiting")).text
    saved = await page.post("/lists/runs/views", data={"name": "Trouble", "state": "parked.from=1"})
    opened = (await page.get(saved.headers["location"])).text

    assert "Accounts Person" in shown
    assert "43.05 EUR" in shown
    assert f'href="/billing/parked?run={run_id}"' in shown
    assert "nothing is billed twice" in shown
    assert f'id="run-{other}"' in shown
    assert f'id="run-{other}"' not in done
    assert "No billing run matches" in none
    assert f'id="run-{run_id}"' in opened
    assert f'id="run-{other}"' not in opened


async def test_L8_runs_are_taken_away_as_they_are_shown(tenant: TestTenant) -> None:
    await a_run(tenant, date(2026, 5, 1))
    await a_run(tenant, date(2026, 6, 1), 12_000)
    page = await tenant.browser()

    text = (await page.get("/lists/runs/export?format=csv&sort=date&columns=date,state,total,against,by")).text

    assert text.lstrip("\ufeff").splitlines() == [
        "Billed up to,State,Total,Against last,By",
        "2026-05-01,Done,100.00 EUR,,Schedule billing",
        "2026-06-01,Done,120.00 EUR,'+20.0\u00a0%,Schedule billing",
    ]


async def test_L2_who_does_not_see_all_customers_sees_no_run_and_who_may_not_see_billing_no_list(
    tenant: TestTenant,
) -> None:
    run_id = await a_run(tenant, date(2026, 5, 1))
    reseller = tenant.scope(actor=Actor("staff", 9, "Reseller", Partitions((1, 2)), ALL_PERMISSIONS))
    other = tenant.scope(actor=Actor("staff", 9, "Other", Everything(), frozenset({"billing.view"})))
    page = await tenant.browser(staff_id=await tenant.staff_with({"customers.view", "lists.export"}))
    api = await tenant.api(["customers.view", "lists.export"])

    assert await ids(reseller) == []
    assert await ids(reseller, state="done") == []
    assert await runs_beside(reseller, [run_id]) == []
    assert await ids(other) == [run_id]
    assert (await page.get("/billing/runs")).status_code == 403
    assert (await page.get("/lists/runs/export")).status_code == 403
    assert (await api.get("/api/v1/billing/runs")).status_code == 403
    assert (await api.get("/api/v1/lists/runs/export")).status_code == 403


async def test_L2_runs_over_json_are_filtered_and_go_on_from_their_cursor(tenant: TestTenant) -> None:
    made = [await a_run(tenant, date(2026, month, 1), parked=month % 2) for month in (1, 2, 3)]
    api = await tenant.api(["billing.view"])

    first = (await api.get("/api/v1/billing/runs?limit=2")).json()
    rest = (await api.get(f"/api/v1/billing/runs?limit=2&cursor={first['next']}")).json()
    parked = (await api.get("/api/v1/billing/runs?parked.from=1&sort=date")).json()
    wrong = await api.get("/api/v1/billing/runs?state=gone")

    assert [one["id"] for one in (*first["items"], *rest["items"])] == made[::-1]
    assert first["items"][0]["totals"] == {"EUR": 10_000}
    assert rest["next"] is None
    assert [one["id"] for one in parked["items"]] == [made[0], made[2]]
    assert wrong.status_code == 422
