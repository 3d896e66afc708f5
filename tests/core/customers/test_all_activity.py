"""The activity of the whole tenant: a list like all others, of the log."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec import Struct

from core.activity.actions import empty_values
from core.activity.queries import kinds_that_happened, timeline
from core.activity.unit import record, unit_of_work
from core.customers import actions
from core.customers.activity_listing import ACTIVITY
from core.customers.events import CustomerChanged
from core.customers.schemas import NewCustomer
from core.database import Partitions, SqliteDatabase, execute, rows, value, watched
from core.errors import Invalid
from core.lists import ways
from core.scope import ALL_PERMISSIONS, Actor, Scope, schedule_actor
from core.settings.events import SettingsChanged
from core.testing import TestTenant

HREF = "/settings/activity"
RESELLER = Actor("staff", 9, "Reseller", Partitions((2,)), ALL_PERMISSIONS)


class PlanStep(Struct, frozen=True):
    detail: str


async def ids(scope: Scope, **address: str) -> list[int]:
    named = {name.replace("__", "."): text for name, text in address.items()}
    found = await ACTIVITY.read(scope, named, choices=await ACTIVITY.choices_for(scope, named))
    return [one.id for one in found.rows]


async def happen(tenant: TestTenant) -> tuple[int, int, list[int]]:
    """Two customers, the second in partition 2, and what happened to them and to the settings: gives the positions of
    a change of each a day apart, of the settings, and of a schedule's. The tenant itself began with its settings."""
    ann = await actions.create_customer(tenant.scope(), NewCustomer(full_name="Ann Ärger"))
    ben = await actions.create_customer(tenant.scope(), NewCustomer(full_name="Ben"))
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET partition_id = 2 WHERE id = :id", id=ben)
    positions = []
    for customer_id in (ann, ben):
        tenant.clock.move(timedelta(days=1))
        async with unit_of_work(tenant.scope()):
            record(tenant.scope(), CustomerChanged(customer_id=customer_id), changes={"city": ("Graz", "Köln")})
        positions.append(int(await value("SELECT last FROM activity_head")))
    clock = tenant.scope(actor=schedule_actor("billing"))
    for scope in (tenant.scope(), clock):
        async with unit_of_work(scope):
            record(scope, SettingsChanged(key="company"), changes={"name": (None, "Secret & Sons")})
        positions.append(int(await value("SELECT last FROM activity_head")))
    return ann, ben, positions


async def test_all_that_happened_is_listed_the_newest_first_page_by_page(tenant: TestTenant) -> None:
    await happen(tenant)
    scope = tenant.scope()
    last = int(await value("SELECT last FROM activity_head"))

    whole = await ACTIVITY.read(scope, {}, limit=500)
    first = await ACTIVITY.read(scope, {}, limit=3)
    then = await ACTIVITY.read(scope, {}, after=first.after, limit=3)
    back = await ACTIVITY.read(scope, {}, before=then.before, limit=3)
    by_time = await ids(scope, sort="at")

    assert [one.id for one in whole.rows] == list(range(last, 0, -1))
    assert whole.count == last
    assert [one.id for one in (*first.rows, *then.rows)] == list(range(last, last - 6, -1))
    assert back.rows == first.rows
    assert by_time == list(range(1, last + 1))


@pytest.mark.parametrize("way", ["few", "many"])
async def test_it_is_filtered_by_days_kind_actor_and_customer(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    ann, ben, (changed, later, saved, by_clock) = await happen(tenant)
    scope = tenant.scope()
    if way == "many":
        monkeypatch.setattr(ways, "FEW", 1)
        monkeypatch.setattr(ways, "FAR", 2)
    today = scope.today()
    day = (today - timedelta(days=1)).isoformat()

    assert await ids(scope, at=day) == [changed]
    assert await ids(scope, at__from=today.isoformat()) == [by_clock, saved, later]
    assert await ids(scope, kind="customer_changed,settings_changed") == [by_clock, saved, later, changed, 1]
    assert await ids(scope, kind="customer_changed", at__to=day) == [changed]
    assert await ids(scope, kind="invoice_issued") == []
    assert by_clock in await ids(scope, actor="schedules")
    assert saved not in await ids(scope, actor="schedules")
    assert (await ids(scope, customer_id=str(ann)))[0] == changed
    assert (await ids(scope, q="aNN arg"))[0] == changed
    assert set(await ids(scope, q="be")) == set(await ids(scope, customer_id=str(ben)))
    assert await ids(scope, kind="customer_changed", customer_id=str(ben), sort="at") == [later]


async def test_only_kinds_that_happened_are_offered_and_none_twice(tenant: TestTenant) -> None:
    await happen(tenant)

    with watched() as seen:
        kinds = await kinds_that_happened()
    offered = await ACTIVITY.choices_for(tenant.scope(), {"kind": "invoice_issued,nothing"})

    assert kinds == sorted({"customer_changed", "customer_created", "settings_changed"})
    assert {one.key for one in offered["kind"]} == {*kinds, "invoice_issued"}
    if isinstance(tenant.database, SqliteDatabase):
        plan = [step.detail for step in await rows(PlanStep, f"EXPLAIN QUERY PLAN {seen[0]}")]
        assert sum("activity USING COVERING INDEX activity_kind" in detail for detail in plan) == 2, plan


async def test_one_staff_user_is_asked_for_by_name_and_the_page_says_on_whose_behalf(tenant: TestTenant) -> None:
    ann, *__ = await happen(tenant)
    page = await tenant.browser()
    staff_id = await tenant.staff("Administrator")
    actor = Actor("staff", staff_id, "Somebody", tenant.scope().actor.reach, ALL_PERMISSIONS, f"customer:{ann}")
    async with unit_of_work(tenant.scope(actor=actor)):
        record(tenant.scope(actor=actor), SettingsChanged(key="company"))
    done = int(await value("SELECT last FROM activity_head"))

    name = await value("SELECT name FROM staff WHERE id = :id", id=staff_id)
    assert await ids(tenant.scope(), actor=f"staff-{staff_id}") == [done]
    assert f"{name}, on behalf of Customer {ann}" in (await page.get(f"{HREF}?actor=staff-{staff_id}")).text


@pytest.mark.parametrize("address", [{"kind": "nothing"}, {"actor": "staff-x"}, {"at": "soon"}, {"customer_id": "ann"}])
async def test_what_cannot_be_asked_of_the_log_is_refused_by_name(tenant: TestTenant, address: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        await ids(tenant.scope(), **address)

    assert refused.value.errors[0].field == next(iter(address))


async def test_who_sees_some_customers_sees_what_happened_to_these_alone(tenant: TestTenant) -> None:
    ann, ben, (changed, later, saved, by_clock) = await happen(tenant)
    scope = tenant.scope(actor=RESELLER)

    seen = await ids(scope)
    offered = await ACTIVITY.choices_for(scope, {})

    assert later in seen
    assert not {changed, saved, by_clock} & set(seen)
    assert seen == await ids(tenant.scope(), customer_id=str(ben))
    assert await ids(scope, kind="settings_changed") == []
    assert await ids(scope, customer_id=str(ann)) == []
    assert not [one for one in offered["actor"] if one.key.startswith("staff-") and one.key != "staff-9"]


@pytest.mark.parametrize(
    ("address", "index"),
    [
        ({"kind": "customer_changed"}, "activity_kind"),
        ({"actor": "schedules"}, "activity_actor"),
        ({"actor": "staff-1"}, "activity_actor"),
        ({"at.from": "today-1", "at.to": "today"}, "activity_at"),
        ({"at": "today", "sort": "-at"}, "activity_at"),
        ({"customer_id": "1"}, "activity_customer"),
        ({"q": "ann"}, "activity_customer"),
    ],
)
async def test_every_filter_of_the_log_goes_by_an_index(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch, address: dict[str, str], index: str
) -> None:
    if not isinstance(tenant.database, SqliteDatabase):
        pytest.skip("what SQLite's planner takes")
    await happen(tenant)
    await tenant.staff("Administrator")
    scope = tenant.scope()
    choices = await ACTIVITY.choices_for(scope, address)

    with watched() as seen:
        await ACTIVITY.read(scope, address, choices=choices)
    found = next(text for text in seen if "WITH few" in text)
    monkeypatch.setattr(ways, "FEW", 0)
    monkeypatch.setattr(ways, "FAR", 0)
    with watched() as seen:
        await ACTIVITY.read(scope, address, choices=choices)
    from_the_other_end = next(text for text in seen if "ORDER BY +" in text)

    for text in (found, from_the_other_end):
        plan = [step.detail for step in await rows(PlanStep, f"EXPLAIN QUERY PLAN {text}".replace("?", "2"))]
        assert any(index in detail and "SEARCH" in detail for detail in plan), plan
        assert not [detail for detail in plan if detail == "SCAN activity"], plan


async def test_lines_of_one_thing_are_not_looked_for_among_all_of_a_kind(tenant: TestTenant) -> None:
    if not isinstance(tenant.database, SqliteDatabase):
        pytest.skip("what SQLite's planner takes")
    ann, *__ = await happen(tenant)

    with watched() as seen:
        of_thing = await timeline(tenant.scope(), subject=("customer", ann), kinds=["customer_changed"])
        await timeline(tenant.scope(), customer_id=ann, kinds=["customer_changed", "customer_created"])
    plans = [
        [step.detail for step in await rows(PlanStep, f"EXPLAIN QUERY PLAN {text}".replace("?", "2"))]
        for text in seen
        if "FROM activity WHERE" in text
    ]

    assert [(one.kind, one.customer_id) for one in of_thing] == [("customer_changed", ann)]
    assert ["activity_subject" in plans[0][0], "activity_customer" in plans[1][0]] == [True, True], plans


async def test_the_whole_log_is_walked_by_its_positions(tenant: TestTenant) -> None:
    if not isinstance(tenant.database, SqliteDatabase):
        pytest.skip("what SQLite's planner takes")
    await happen(tenant)
    scope = tenant.scope()
    after = (await ACTIVITY.read(scope, {}, limit=2)).after

    with watched() as seen:
        await ACTIVITY.read(scope, {}, after=after, limit=2)
    walked = next(text for text in seen if "AS many" in text)

    plan = [step.detail for step in await rows(PlanStep, f"EXPLAIN QUERY PLAN {walked}".replace("?", "2"))]
    assert any(detail.startswith("SEARCH activity USING INTEGER PRIMARY KEY") for detail in plan), plan
    assert not [detail for detail in plan if "TEMP B-TREE" in detail], plan


async def test_the_page_says_when_by_whom_what_and_unfolds_old_and_new_values(tenant: TestTenant) -> None:
    ann, *__ = await happen(tenant)
    page = await tenant.browser()

    shown = (await page.get(f"{HREF}?kind=customer_changed,settings_changed")).text
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE staff SET language = 'de'")
    german = (await page.get(f"{HREF}?kind=customer_created,customer_changed")).text

    assert f'<a href="/customers/{ann}/activity" title="Ann Ärger">Ann Ärger</a>' in shown
    assert "<summary>1 value</summary>" in shown
    assert "<del>Graz</del> → <ins>Köln</ins>" in shown
    assert "<ins>Secret &amp; Sons</ins>" in shown
    assert "Schedule billing" in shown
    assert "Settings changed" in shown
    assert "5 of 5" in shown
    assert "Was geschah" in german
    assert "Kunde angelegt" in german
    assert "1 Wert" in german
    assert not [word for word in ("What happened", "Old and new", "Customer created") if word in german]


async def test_a_permission_of_its_own_opens_it(tenant: TestTenant) -> None:
    support = await tenant.browser(staff_id=await tenant.staff_with({"activity.view", "settings.view"}))
    auditor = await tenant.browser(staff_id=await tenant.staff_with({"activity.all", "settings.view"}))

    assert (await support.get(HREF)).status_code == 403
    assert HREF not in (await support.get("/settings/company")).text
    assert (await auditor.get(HREF)).status_code == 200
    assert HREF in (await auditor.get("/settings/company")).text


async def test_erased_values_are_neither_shown_nor_taken_away(tenant: TestTenant) -> None:
    ann, *__ = await happen(tenant)
    async with unit_of_work(tenant.scope()):
        await empty_values(tenant.scope(), ann)
    page, api = await tenant.browser(), await tenant.api()

    shown = (await page.get(f"{HREF}?customer_id={ann}")).text
    taken = (await page.get(f"/lists/activity/export?customer_id={ann}&format=csv")).text
    told = (await api.get(f"/api/v1/activity?customer_id={ann}")).json()["items"]

    assert "erased" in shown
    assert "City: erased" in taken
    assert not [text for text in (shown, taken, str(told)) if "Graz" in text or "Köln" in text]
    assert told[0]["changes"] == [{"field": "city", "old": None, "new": None, "erased": True}]


async def test_over_json_it_goes_by_cursor_and_takes_the_filters(tenant: TestTenant) -> None:
    ann, __, positions = await happen(tenant)
    changed, later = positions[:2]
    api = await tenant.api()

    first = (await api.get("/api/v1/activity?kind=customer_changed&limit=1")).json()
    then = (await api.get(f"/api/v1/activity?kind=customer_changed&limit=1&cursor={first['next']}")).json()
    wrong = await api.get("/api/v1/activity?kind=nothing")

    (one,) = then["items"]
    assert [each["position"] for each in first["items"]] == [later]
    assert then["next"] is None
    assert datetime.fromisoformat(one.pop("at")).tzinfo is not None
    assert one == {
        "position": changed,
        "kind": "customer_changed",
        "text": "Customer changed",
        "actor": "staff:1",
        "on_behalf_of": None,
        "by": "Staff 1",
        "customer_id": ann,
        "subject_kind": "customer",
        "subject_id": ann,
        "caused_by": None,
        "facts": {"customer_id": ann},
        "changes": [{"field": "city", "old": "Graz", "new": "Köln", "erased": False}],
    }
    assert wrong.status_code == 422


async def test_C13_over_json_the_activity_of_one_customer_needs_no_more_than_its_tab(tenant: TestTenant) -> None:
    ann, *__ = await happen(tenant)
    support, nobody = await tenant.api(["activity.view"]), await tenant.api(["customers.view"])
    at = f"/api/v1/customers/{ann}/activity"
    whole = [one["position"] for one in (await support.get(at)).json()["items"]]

    by_ones, cursor = [], ""
    while cursor is not None:
        part = (await support.get(at, params={"limit": 1, "cursor": cursor})).json()
        by_ones += [one["position"] for one in part["items"]]
        cursor = part["next"]

    assert len(whole) > 1
    assert by_ones == whole == sorted(whole, reverse=True)
    assert (await support.get("/api/v1/activity")).status_code == 403
    assert (await nobody.get(at)).status_code == 403
    assert (await support.get("/api/v1/customers/999/activity")).status_code == 404
    assert (await support.get(at, params={"cursor": "x"})).status_code == 422
