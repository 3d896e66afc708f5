"""What is done to many rows at once: chosen, worked out, shown, and then exactly that is done."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import httpx
import pytest
from msgspec import Struct

import core.testing
from core import hookspecs
from core.activity.asking import nothing_kept
from core.activity.unit import unit_of_work
from core.app import HOOK_MODULES
from core.customers import actions
from core.customers.routes import CUSTOMER_LIST as LISTING
from core.customers.schemas import NewCustomer
from core.database import execute, value, values
from core.errors import Conflict, Forbidden, Invalid, NotFound
from core.hooks import BulkAction, BulkField, Effect, HookSets, NothingToAsk
from core.jobs import claims
from core.jobs.actions import cancel_job
from core.jobs.attempts import attempt
from core.lists import bulk
from core.lists.bulk_queries import counts_of, get_run
from core.lists.bulk_status import RowState
from core.lists.jobs import JOBS
from core.scope import Scope
from core.testing import TestTenant
from tests.core.hooks.modules import module

KINDS = {kind.name: kind for kind in JOBS}
BASE = "/customers/bulk"


async def some(tenant: TestTenant, many: int, status: str = "active") -> list[int]:
    scope = tenant.scope()
    ids = [await actions.create_customer(scope, NewCustomer(full_name=f"Ann {at}")) for at in range(many)]
    await force(tenant, ids, status)
    return ids


async def force(tenant: TestTenant, ids: Sequence[int], status: str) -> None:
    async with unit_of_work(tenant.scope()):
        await execute(
            "UPDATE customer SET status_id = (SELECT id FROM status WHERE key = :key) WHERE id IN :ids",
            key=status,
            ids=list(ids),
        )


async def statuses_of(ids: Sequence[int]) -> list[str]:
    return [
        str(one)
        for one in await values(
            "SELECT status.key FROM customer JOIN status ON status.id = customer.status_id WHERE customer.id IN :ids"
            " ORDER BY customer.id",
            ids=list(ids),
        )
    ]


async def work(tenant: TestTenant) -> int:
    """What the worker would do: every job that is due; gives how many."""
    scope = tenant.scope()
    due = await claims.due_jobs(list(KINDS), scope.now())
    for one in due:
        claim = await claims.claim(KINDS[one.kind], one.id, scope.now())
        assert claim is not None
        await attempt(scope, KINDS[one.kind], claim)
    return len(due)


async def begun(tenant: TestTenant, page: httpx.AsyncClient, action: str, **chosen: object) -> str:
    """Rows are ticked and a deed is pressed: where that leads."""
    answer = await page.post(BASE, data={"action": action, **chosen})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def shown(page: httpx.AsyncClient, at: str) -> str:
    answer = await page.get(at)
    assert answer.status_code == 200, answer.text[:400]
    return answer.text


def seen_on(text: str) -> str:
    found = re.search(r'name="seen" value="(\w+)"', text)
    assert found is not None, text
    return found[1]


async def test_L5_what_it_will_do_is_shown_then_done_and_told_row_by_row(tenant: TestTenant) -> None:
    ids = await some(tenant, 3) + await some(tenant, 1, "inactive") + await some(tenant, 1, "closed")
    page = await tenant.browser()

    at = await begun(tenant, page, "customers.disable", id=[str(one) for one in ids])
    asked = await shown(page, at)
    assert "Reason" in asked
    assert await statuses_of(ids) == ["active"] * 3 + ["inactive", "closed"]
    planned = await page.post(f"{at}/plan", data={"reason": "moved away"})
    assert planned.status_code == 303
    plan = await shown(page, at)
    assert "Active becomes Inactive" in plan
    assert "Closed becomes Inactive" in plan
    assert "Disable: 4 customers" in plan
    assert await statuses_of(ids) == ["active"] * 3 + ["inactive", "closed"]

    done = await page.post(f"{at}/execution", data={"seen": seen_on(plan)})
    assert done.headers["location"] == at
    assert "Disable" in await shown(page, at)
    assert await work(tenant) == 1
    report = await shown(page, at)
    written = (await page.get(f"{at}/report.csv")).text

    assert await statuses_of(ids) == ["inactive"] * 5
    assert "Done." in report
    lines = list(csv.DictReader(io.StringIO(written.removeprefix("\ufeff"))))
    assert [one["What became of it"] for one in lines] == ["Done"] * 3 + ["Nothing to do", "Done"]
    said = await value("SELECT new FROM activity_value WHERE field = 'note' LIMIT 1")
    assert said == "moved away"


async def test_L5_rows_that_refuse_are_told_with_their_reasons_and_the_others_are_done(tenant: TestTenant) -> None:
    ids = await some(tenant, 2) + await some(tenant, 2, "terminated")
    page = await tenant.browser()

    at = await begun(tenant, page, "customers.status", id=[str(one) for one in ids])
    await page.post(f"{at}/plan", data={"status": "blocked"})
    plan = await shown(page, at)
    await page.post(f"{at}/execution", data={"seen": seen_on(plan)})
    await work(tenant)
    report = await shown(page, at)

    assert "cannot become “Blocked”" in plan
    assert "Change status: 2 customers" in plan
    assert await statuses_of(ids) == ["blocked", "blocked", "terminated", "terminated"]
    assert "2 rows were refused" in report
    again = await page.post(f"{at}/repetition", data={"which": "refused"})
    further = await shown(page, again.headers["location"])
    assert again.headers["location"] != at
    assert "2 customers" in further


async def test_L5_a_wrong_field_is_told_beside_it_and_nothing_typed_is_lost(tenant: TestTenant) -> None:
    ids = await some(tenant, 1)
    page = await tenant.browser()
    at = await begun(tenant, page, "customers.status", id=[str(ids[0])])

    answer = await page.post(f"{at}/plan", data={"status": "", "reason": "because"})

    assert answer.status_code == 422
    assert "Fill this in." in answer.text
    assert 'value="because"' in answer.text


async def test_U7_a_row_that_changed_after_it_was_shown_is_left_alone_and_asked_for_again(tenant: TestTenant) -> None:
    ids = await some(tenant, 3)
    page = await tenant.browser()
    at = await begun(tenant, page, "customers.disable", id=[str(one) for one in ids])
    await page.post(f"{at}/plan", data={})
    plan = await shown(page, at)
    await page.post(f"{at}/execution", data={"seen": seen_on(plan)})

    await force(tenant, ids[1:2], "blocked")
    await work(tenant)
    report = await shown(page, at)

    assert await statuses_of(ids) == ["inactive", "blocked", "inactive"]
    assert "1 row changed after this was worked out and was left alone" in report
    again = await page.post(f"{at}/repetition", data={"which": "changed"})
    plan = await shown(page, again.headers["location"])
    assert "Blocked becomes Inactive" in plan
    await page.post(f"{again.headers['location']}/execution", data={"seen": seen_on(plan)})
    await work(tenant)
    assert await statuses_of(ids) == ["inactive"] * 3


async def test_U7_a_plan_that_was_worked_out_again_meanwhile_is_not_done(tenant: TestTenant) -> None:
    ids = await some(tenant, 1)
    page = await tenant.browser()
    at = await begun(tenant, page, "customers.status", id=[str(ids[0])])
    await page.post(f"{at}/plan", data={"status": "blocked"})
    seen = seen_on(await shown(page, at))
    await page.post(f"{at}/plan", data={"status": "inactive"})

    answer = await page.post(f"{at}/execution", data={"seen": seen})

    assert answer.status_code == 409
    assert "worked out again" in answer.text
    assert await work(tenant) == 0
    assert await statuses_of(ids) == ["active"]


async def test_L5_all_that_match_are_meant_and_a_filter_that_finds_others_by_now_asks_again(tenant: TestTenant) -> None:
    ids = await some(tenant, 3)
    others = await some(tenant, 2, "inactive")
    page = await tenant.browser()
    at = await begun(tenant, page, "customers.disable", all="yes", address="status=active&sort=-id", id=[str(ids[0])])
    await page.post(f"{at}/plan", data={})
    plan = await shown(page, at)
    assert "3 customers, all that matched the filter" in plan
    assert re.search(r'href="/customers\?status=active[^"]*"[^>]*>Back to the list', plan)

    await force(tenant, others[:1], "active")
    await force(tenant, ids[:1], "blocked")
    stopped = await page.post(f"{at}/execution", data={"seen": seen_on(plan)})
    assert stopped.status_code == 409
    assert "1 row more matches" in stopped.text
    assert "1 of those shown no longer does" in stopped.text
    again = await page.post(f"{at}/repetition", data={"which": "filter"})
    at = again.headers["location"]
    plan = await shown(page, at)
    await page.post(f"{at}/execution", data={"seen": seen_on(plan)})
    await work(tenant)

    assert await statuses_of([*ids, *others]) == ["blocked", "inactive", "inactive", "inactive", "inactive"]


async def test_L5_it_stops_between_chunks_and_goes_on_where_it_was(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "SMALLEST", 1)
    monkeypatch.setattr(bulk, "LARGEST", 4)
    ids = await some(tenant, 12)
    page = await tenant.browser()
    at = await begun(tenant, page, "customers.add_tags", id=[str(one) for one in ids])
    await page.post(f"{at}/plan", data={"tags": "harbour, north"})
    await page.post(f"{at}/execution", data={"seen": seen_on(await shown(page, at))})
    run_id = int(at.rpartition("/")[2])
    job_id = await value("SELECT job_id FROM bulk_run WHERE id = :id", id=run_id)

    async def after_one(scope: Scope, *args: Any) -> int:
        done = await do_chunk(scope, *args)
        await cancel_job(scope, job_id)
        return done

    do_chunk = bulk._do_chunk
    with monkeypatch.context() as patched:
        patched.setattr(bulk, "_do_chunk", after_one)
        patched.setattr("core.jobs.kinds.PROGRESS_EVERY", 0.0)
        await work(tenant)
    assert await value("SELECT state FROM job WHERE id = :id", id=job_id) == "cancelled"
    half = await counts_of(run_id)
    assert (half[RowState.DONE], half[RowState.READY]) == (4, 8)
    assert "broken off" in await shown(page, at)

    await page.post(f"{at}/continuation")
    await work(tenant)

    assert (await counts_of(run_id))[RowState.DONE] == 12
    assert await value("SELECT count(*) FROM customer_tag") == 24
    assert await value("SELECT count(*) FROM activity WHERE kind = 'tag_added'") == 24


class Killed(BaseException):
    """The process is gone."""


async def test_L5_killed_in_the_middle_of_a_chunk_it_does_nothing_twice(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "SMALLEST", 1)
    monkeypatch.setattr(bulk, "LARGEST", 4)
    ids = await some(tenant, 9)
    scope = tenant.scope()
    action = await bulk.get_action(scope, "customers", "customers.add_tags")
    run_id = await bulk.choose_rows(scope, LISTING, action, ids=ids, address=None)
    await bulk.start_plan(scope, LISTING, run_id, {"tags": ["harbour"]})
    run = await get_run(scope, "customers", run_id)
    await bulk.start_doing(scope, LISTING, run_id, seen=run.fingerprint)
    noted = bulk._note_rows
    calls = 0

    async def killing(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Killed
        await noted(*args)

    with monkeypatch.context() as patched:
        patched.setattr(bulk, "_note_rows", killing)
        with pytest.raises(Killed):
            await bulk.carry_out(scope, "customers", run_id)
    assert (await counts_of(run_id))[RowState.DONE] == 4
    assert await value("SELECT count(*) FROM customer_tag") == 4
    await bulk.carry_out(scope, "customers", run_id)
    await bulk.carry_out(scope, "customers", run_id)

    assert (await counts_of(run_id))[RowState.DONE] == 9
    assert await value("SELECT count(*) FROM customer_tag") == 9
    assert await value("SELECT count(*) FROM activity WHERE kind = 'tag_added'") == 9


async def test_L5_many_rows_are_worked_out_by_a_job_that_shows_how_far_it_is(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "AT_ONCE", 3)
    ids = await some(tenant, 4)
    page = await tenant.browser()

    at = await begun(tenant, page, "customers.add_tags", all="yes", address="")
    await page.post(f"{at}/plan", data={"tags": "harbour"})
    waiting = await shown(page, at)
    assert "Waiting" in waiting
    assert "What it would do: Add tags" in waiting
    assert f"{at}/events" in waiting
    assert (await page.get(f"{at}/state")).text == ""
    await work(tenant)
    plan = await shown(page, at)

    assert (await page.get(f"{at}/state")).headers["location"] == at
    assert "Tag “harbour” is put on" in plan
    assert "4 customers, the whole list" in plan
    assert await value("SELECT count(*) FROM customer_tag") == 0
    assert ids


async def test_L5_tags_location_and_fields_are_changed_for_many(tenant: TestTenant) -> None:
    ids = await some(tenant, 2)
    await actions.add_tag(tenant.scope(), ids[0], "old")
    async with unit_of_work(tenant.scope()):
        location_id = await value("INSERT INTO location (name, name_key) VALUES ('Quay', 'quay') RETURNING id")
    page = await tenant.browser()

    async def done(action: str, **typed: str) -> str:
        at = await begun(tenant, page, action, id=[str(one) for one in ids])
        assert (await page.post(f"{at}/plan", data=typed)).status_code == 303
        plan = await shown(page, at)
        await page.post(f"{at}/execution", data={"seen": seen_on(plan)})
        await work(tenant)
        return plan

    removed = await done("customers.remove_tags", tags="Old")
    moved = await done("customers.location", location_id=str(location_id))
    changed = await done("customers.fields", language="de", terms_days="21", never_block="yes", city="Cork")

    assert "Tag “old” is taken off" in removed
    assert "Remove tags: 1 customer" in removed
    assert "Location becomes Quay" in moved
    assert "Language becomes German" in changed
    assert await value("SELECT count(*) FROM customer_tag") == 0
    assert await values("SELECT language || city FROM customer ORDER BY id") == ["deCork", "deCork"]
    assert await values("SELECT terms_days FROM customer") == [21, 21]
    assert await values("SELECT never_block FROM customer") == [True, True]
    assert await values("SELECT location_id FROM customer") == [location_id, location_id]


async def test_L5_a_tag_is_taken_off_whatever_its_accents_and_one_that_is_too_long_is_named(tenant: TestTenant) -> None:
    ids = await some(tenant, 1)
    await actions.add_tag(tenant.scope(), ids[0], "Café")
    page = await tenant.browser()
    longer = await begun(tenant, page, "customers.add_tags", id=[str(ids[0])])

    refused = await page.post(f"{longer}/plan", data={"tags": f"vip, {'x' * 61}"})
    at = await begun(tenant, page, "customers.remove_tags", id=[str(ids[0])])
    await page.post(f"{at}/plan", data={"tags": "cafe"})

    assert refused.status_code == 422
    assert f"“{'x' * 61}” is too long: a tag has at most 60 characters." in refused.text
    assert "Tag “Café” is taken off" in await shown(page, at)


async def test_L5_many_are_exempt_with_one_reason_that_is_asked_for(tenant: TestTenant) -> None:
    ids = await some(tenant, 2)
    page = await tenant.browser()
    at = await begun(tenant, page, "customers.fields", id=[str(one) for one in ids])

    without = await page.post(f"{at}/plan", data={"tax_profile": "exempt"})
    alone = await page.post(f"{at}/plan", data={"tax_reason": "Section 72", "city": "Cork"})
    planned = await page.post(f"{at}/plan", data={"tax_profile": "exempt", "tax_reason": "Section 72"})
    plan = await shown(page, at)
    await page.post(f"{at}/execution", data={"seen": seen_on(plan)})
    await work(tenant)

    assert (without.status_code, alone.status_code, planned.status_code) == (422, 422, 303)
    assert "Say why: the law" in without.text
    assert "A reason goes with the tax “Exempt” alone." in alone.text
    assert "Reason becomes Section 72" in plan
    assert await values("SELECT tax_profile || ' ' || tax_reason FROM customer") == ["exempt Section 72"] * 2


async def test_L5_how_many_are_billed_is_changed_and_goes_back_to_the_settings(tenant: TestTenant) -> None:
    ids = await some(tenant, 2)
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET currency = 'JPY' WHERE id = :id", id=ids[1])
    page = await tenant.browser()

    async def done(**typed: str) -> str:
        at = await begun(tenant, page, "customers.fields", id=[str(one) for one in ids])
        assert (await page.post(f"{at}/plan", data=typed)).status_code == 303
        plan = await shown(page, at)
        await page.post(f"{at}/execution", data={"seen": seen_on(plan)})
        await work(tenant)
        return plan

    columns = ("billing_type", "billing_day", "minimum_balance_minor", "terms_days", "grace_days")

    async def there() -> list[list[object]]:
        return [await values(f"SELECT {name} FROM customer ORDER BY id") for name in columns]

    told = await done(billing_type="prepaid", billing_day="15", minimum_balance="-50", terms_days="21", grace_days="3")
    assert await there() == [["prepaid"] * 2, [15] * 2, [-5000, -50], [21] * 2, [3] * 2]
    for text in ("Billing type becomes Prepaid", "Billing day becomes 15", "Minimum balance becomes -€50.00"):
        assert text in told.replace("\u2212", "-")

    told = await done(billing_day="joined", as_settings="terms_days")
    assert await there() == [["prepaid"] * 2, [None] * 2, [-5000, -50], [None] * 2, [3] * 2]
    assert "Billing day becomes Day of joining" in told
    assert "Payment terms becomes As in the settings" in told

    await done(as_settings="both", minimum_balance="0")
    assert await there() == [["prepaid"] * 2, [None] * 2, [0] * 2, [None] * 2, [None] * 2]

    at = await begun(tenant, page, "customers.fields", id=[str(ids[0])])
    for field, typed in (
        ("billing_day", {"billing_day": "32"}),
        ("minimum_balance", {"minimum_balance": "much"}),
        ("terms_days", {"terms_days": "5", "as_settings": "both"}),
    ):
        refused = await page.post(f"{at}/plan", data=typed)
        assert refused.status_code == 422, field


async def test_L9_one_row_that_is_ticked_is_viewed(tenant: TestTenant) -> None:
    ids = await some(tenant, 2)
    page = await tenant.browser()

    assert await begun(tenant, page, "view", id=[str(ids[1])]) == f"/customers/{ids[1]}"
    assert (await page.post(BASE, data={"action": "view", "id": [str(one) for one in ids]})).status_code == 409


async def test_nothing_ticked_and_deeds_that_are_none_are_refused(tenant: TestTenant) -> None:
    page = await tenant.browser()

    assert (await page.post(BASE, data={"action": "customers.disable"})).status_code == 409
    assert (await page.post(BASE, data={"action": "customers.disable", "id": ["77"]})).status_code == 409
    assert (await page.post(BASE, data={"action": "customers.fly", "id": ["1"]})).status_code == 404
    assert (await page.get(f"{BASE}/77")).status_code == 404


async def test_who_may_not_change_customers_sees_no_deed_and_can_do_none(tenant: TestTenant) -> None:
    ids = await some(tenant, 1)
    page = await tenant.browser(staff_id=await tenant.staff_with(["customers.view"]))

    answer = await page.post(BASE, data={"action": "customers.disable", "id": [str(ids[0])]})

    assert answer.status_code == 403
    assert await bulk.list_actions(tenant.scope("customers.view"), "customers") == []
    with pytest.raises(Forbidden):
        await bulk.get_action(tenant.scope("customers.view"), "customers", "customers.disable")


# ------------------------------------------------------------------ deeds of plugins


class Depth(Struct, frozen=True, forbid_unknown_fields=True):
    fathoms: int


@pytest.fixture
def switch_on(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Gives every tenant of this test a plugin called probe, which answers to these hooks."""

    def switched_on(**members: Any) -> ModuleType:
        probe = module("probe", **members)
        sets = HookSets(hookspecs, (*HOOK_MODULES, ("probe", probe)), [], guard=nothing_kept)
        monkeypatch.setattr(core.testing, "hook_sets", lambda: sets)
        return probe

    return switched_on


async def test_L5_a_plugin_s_deed_stands_beside_the_core_s_and_its_faults_stay_its_own(
    tenant: TestTenant, switch_on: Callable[..., ModuleType]
) -> None:
    ids = await some(tenant, 3)

    async def sound(scope: Scope, form: Depth, customer_id: int) -> Sequence[Effect]:
        if customer_id == ids[0]:
            raise Conflict("The water is frozen.")
        if customer_id == ids[1]:
            raise ZeroDivisionError
        await actions.add_note(scope, customer_id, f"{form.fathoms} fathoms")
        return (Effect(kind="money", text="Sounding", amount_minor=500, currency="EUR"),)

    async def fields(scope: Scope) -> Sequence[BulkField]:
        return (BulkField(name="fathoms", label="Fathoms", kind="number", required=True),)

    async def bulk_actions(scope: Scope, listing: str) -> Sequence[BulkAction[Any]]:
        if listing != "customers":
            return ()
        return (
            BulkAction(
                key="probe.sound",
                label="Sound the depth",
                verb="Sound",
                permission="customers.edit",
                form=Depth,
                fields=fields,
                do=sound,
            ),
        )

    switch_on(bulk_actions=bulk_actions)
    page = await tenant.browser()
    at = await begun(tenant, page, "probe.sound", id=[str(one) for one in ids])
    wrong = await page.post(f"{at}/plan", data={"fathoms": "deep"})
    await page.post(f"{at}/plan", data={"fathoms": "7"})
    plan = await shown(page, at)
    await page.post(f"{at}/execution", data={"seen": seen_on(plan)})
    await work(tenant)

    assert wrong.status_code == 422
    assert "Type a whole number." in wrong.text
    assert "The water is frozen." in plan
    assert "This failed. The log knows it as" in plan
    assert "€5.00" in plan
    assert await values("SELECT customer_id FROM note") == [ids[2]]


def many_deed(asked: list[list[int]], **more: Any) -> BulkAction[Any]:
    """A deed that is done to a piece at a time: it puts a note on each, and refuses who is blocked."""

    async def many(scope: Scope, form: NothingToAsk, ids: Sequence[int]) -> dict[int, Sequence[Effect] | str]:
        asked.append(list(ids))
        blocked = set(
            await values(
                "SELECT customer.id FROM customer JOIN status ON status.id = customer.status_id"
                " WHERE status.key = 'blocked' AND customer.id IN :ids",
                ids=list(ids),
            )
        )
        answers: dict[int, Sequence[Effect] | str] = {}
        for one in ids:
            if one in blocked:
                answers[one] = "It is blocked."
            else:
                await actions.add_note(scope, one, "seen")
                answers[one] = (Effect(kind="change", text="A note is written"),)
        return answers

    return BulkAction(
        key="probe.note",
        label="Note",
        verb="Note",
        permission="customers.edit",
        form=NothingToAsk,
        do_many=many,
        **more,
    )


async def test_L5_a_deed_for_all_or_none_does_nothing_while_one_refuses(
    tenant: TestTenant, switch_on: Callable[..., ModuleType]
) -> None:
    ids = await some(tenant, 4)
    asked: list[list[int]] = []
    deed = many_deed(asked, all_or_none=True, confirmed=True, danger=True)

    async def bulk_actions(scope: Scope, listing: str) -> Sequence[BulkAction[Any]]:
        return (deed,) if listing == "customers" else ()

    switch_on(bulk_actions=bulk_actions)
    page = await tenant.browser()
    at = await begun(tenant, page, "probe.note", id=[str(one) for one in ids])
    plan = await shown(page, at)
    untyped = await page.post(f"{at}/execution", data={"seen": seen_on(plan)})
    await page.post(f"{at}/execution", data={"seen": seen_on(plan), "count": "4"})
    await force(tenant, ids[2:3], "blocked")
    await work(tenant)
    nothing = await shown(page, at)

    assert untyped.status_code == 422
    assert "Nothing was done: not all rows allow it" in nothing
    assert await value("SELECT count(*) FROM note") == 0
    refused = await begun(tenant, page, "probe.note", id=[str(one) for one in ids])
    assert "It is done to all or to none: 1 refuses it." in await shown(page, refused)
    without = await page.post(f"{refused}/repetition", data={"which": "ready"})
    at = without.headers["location"]
    await page.post(f"{at}/execution", data={"seen": seen_on(await shown(page, at)), "count": "3"})
    await work(tenant)
    assert sorted(await values("SELECT customer_id FROM note")) == [ids[0], ids[1], ids[3]]
    assert {len(one) for one in asked} == {4, 3}


async def test_a_deed_on_pieces_leaves_out_who_refuses_and_who_changed(
    tenant: TestTenant, switch_on: Callable[..., ModuleType]
) -> None:
    ids = await some(tenant, 4)

    async def bulk_actions(scope: Scope, listing: str) -> Sequence[BulkAction[Any]]:
        return (many_deed([]),)

    switch_on(bulk_actions=bulk_actions)
    scope = tenant.scope()
    action = await bulk.get_action(scope, "customers", "probe.note")
    run_id = await bulk.choose_rows(scope, LISTING, action, ids=ids, address=None)
    await bulk.start_plan(scope, LISTING, run_id, {})
    async with unit_of_work(scope):
        await execute("UPDATE bulk_row SET digest = 'other' WHERE row_id = :id", id=ids[1])
    await force(tenant, ids[3:], "blocked")
    run = await get_run(scope, "customers", run_id)
    await bulk.start_doing(scope, LISTING, run_id, seen=run.fingerprint)
    await work(tenant)

    found = await values("SELECT state FROM bulk_row ORDER BY row_id")
    assert found == ["done", "changed", "done", "refused"]
    assert sorted(await values("SELECT customer_id FROM note")) == [ids[0], ids[2]]


def test_a_deed_is_done_to_one_row_or_to_many() -> None:
    with pytest.raises(ValueError, match="give do or do_many"):
        BulkAction(key="x", label="X", verb="X", permission="x", form=NothingToAsk)


async def test_runs_of_which_nobody_asks_any_more_are_forgotten(tenant: TestTenant) -> None:
    scope = tenant.scope()
    ids = await some(tenant, 2)
    action = await bulk.get_action(scope, "customers", "customers.enable")
    old = await bulk.choose_rows(scope, LISTING, action, ids=ids, address=None)
    tenant.clock.move(bulk.KEPT_FOR)
    young = await bulk.choose_rows(scope, LISTING, action, ids=ids, address=None)
    tenant.clock.move(bulk.KEPT_FOR / 2)

    assert await bulk.forget_old_runs(tenant.scope()) == 1
    assert await values("SELECT DISTINCT run_id FROM bulk_row") == [young]
    with pytest.raises(NotFound):
        await get_run(scope, "customers", old)


async def test_too_many_rows_named_one_by_one_are_refused(tenant: TestTenant) -> None:
    scope = tenant.scope()
    action = await bulk.get_action(scope, "customers", "customers.enable")

    with pytest.raises(Invalid, match="by a filter"):
        await bulk.choose_rows(scope, LISTING, action, ids=range(1, bulk.MOST_TICKED + 2), address=None)


# ------------------------------------------------------------------ over JSON


async def test_L5_over_json_it_is_worked_out_then_done_and_reported(tenant: TestTenant) -> None:
    ids = await some(tenant, 2) + await some(tenant, 1, "terminated")
    api = await tenant.api()

    order = {"action": "customers.status", "ids": ids, "values": {"status": "blocked"}}
    ordered = await api.post("/api/v1/customers/bulk", json=order, headers={"Idempotency-Key": "once"})
    again = await api.post("/api/v1/customers/bulk", json=order, headers={"Idempotency-Key": "once"})
    assert again.json()["id"] == ordered.json()["id"]
    assert ordered.status_code == 201, ordered.text
    assert (ordered.json()["state"], ordered.json()["working"]) == ("planning", True)
    await work(tenant)
    plan = (await api.get(f"/api/v1/customers/bulk/{ordered.json()['id']}")).json()
    assert (plan["state"], plan["ready"], plan["refused"]) == ("planned", 2, 1)
    assert plan["lines"][0]["text"] == "Active becomes Blocked"
    at = f"/api/v1/customers/bulk/{plan['id']}"
    other = await api.post(f"{at}/execution", json={"plan": "x"})
    begun = await api.post(f"{at}/execution", json={"plan": plan["plan"]})
    await work(tenant)
    done = (await api.get(at)).json()
    first = (await api.get(f"{at}/rows", params={"limit": 2})).json()
    rest = (await api.get(f"{at}/rows", params={"limit": 2, "cursor": first["next"]})).json()

    assert other.status_code == 409
    assert begun.json()["working"]
    assert (done["state"], done["done"], done["refused"]) == ("done", 2, 1)
    assert [one["state"] for one in (*first["items"], *rest["items"])] == ["done", "done", "refused"]
    assert "cannot become" in rest["items"][0]["why"]
    assert rest["next"] is None


async def test_L5_over_json_the_same_is_done_once_more_for_what_was_refused_or_for_the_filter(
    tenant: TestTenant,
) -> None:
    ids, ended = await some(tenant, 2), await some(tenant, 1, "terminated")
    api, reader = await tenant.api(), await tenant.api(["customers.view"])
    at = "/api/v1/customers/bulk"
    order = {"action": "customers.status", "values": {"status": "blocked"}, "at_once": True}
    named = (await api.post(at, json={**order, "ids": [*ids, *ended]})).json()
    filtered = (await api.post(at, json={**order, "filter": {"status": "active"}})).json()
    await work(tenant)

    again = await api.post(
        f"{at}/{named['id']}/repetition", json={"which": "refused"}, headers={"Idempotency-Key": "a"}
    )
    twice = await api.post(
        f"{at}/{named['id']}/repetition", json={"which": "refused"}, headers={"Idempotency-Key": "a"}
    )
    await some(tenant, 1)
    found = await api.post(f"{at}/{filtered['id']}/repetition", json={"which": "filter"})
    no_filter = await api.post(f"{at}/{named['id']}/repetition", json={"which": "filter"})
    unknown = await api.post(f"{at}/{named['id']}/repetition", json={"which": "all"})
    refused = await reader.post(f"{at}/{named['id']}/repetition", json={"which": "refused"})
    await work(tenant)
    rows = (await api.get(f"{at}/{again.json()['id']}/rows")).json()["items"]

    assert again.status_code == 201, again.text
    assert again.json() == twice.json()
    assert again.json()["id"] not in (named["id"], filtered["id"])
    assert [one["id"] for one in rows] == ended
    assert (again.json()["rows"], found.json()["rows"]) == (1, 1)
    assert (no_filter.status_code, unknown.status_code, refused.status_code) == (422, 422, 403)
    assert await statuses_of(ids) == ["blocked"] * 2


async def test_L5_over_json_a_filter_can_be_done_at_once(tenant: TestTenant) -> None:
    ids = await some(tenant, 3)
    await some(tenant, 1, "closed")
    api = await tenant.api()

    ordered = await api.post(
        "/api/v1/customers/bulk",
        json={"action": "customers.disable", "filter": {"status": "active"}, "at_once": True},
    )
    assert ordered.json()["working"]
    await work(tenant)
    done = (await api.get(f"/api/v1/customers/bulk/{ordered.json()['id']}")).json()

    assert (done["state"], done["done"]) == ("done", 3)
    assert await statuses_of(ids) == ["inactive"] * 3


async def test_L5_over_json_a_view_means_the_rows_of_its_filter_alone(tenant: TestTenant) -> None:
    ids = await some(tenant, 2)
    await some(tenant, 1, "closed")
    api = await tenant.api()
    view = {"name": "Live", "filters": {"status": "active"}}
    view_id = (await api.post("/api/v1/lists/customers/views", json=view)).json()["id"]
    order = {"action": "customers.disable", "at_once": True}

    ordered = await api.post("/api/v1/customers/bulk", json={**order, "filter": {"view": str(view_id)}})
    unknown = await api.post("/api/v1/customers/bulk", json={**order, "filter": {"view": "77"}})
    await work(tenant)

    assert ordered.json()["rows"] == 2
    assert unknown.status_code == 404
    assert await statuses_of(ids) == ["inactive"] * 2


async def test_over_json_rows_that_are_not_there_and_orders_that_say_nothing_are_refused(tenant: TestTenant) -> None:
    ids = await some(tenant, 1)
    api, reader = await tenant.api(), await tenant.api(["customers.view"])
    at = "/api/v1/customers/bulk"

    assert (await api.post(at, json={"action": "customers.enable", "ids": [*ids, 77]})).status_code == 404
    assert (await api.post(at, json={"action": "customers.enable"})).status_code == 422
    assert (await api.post(at, json={"action": "customers.fly", "ids": ids})).status_code == 404
    assert (await api.post(at, json={"action": "customers.status", "ids": ids, "values": {}})).status_code == 422
    assert (await api.post(at, json={"action": "customers.enable", "filter": {"status": "odd"}})).status_code == 422
    assert (await reader.post(at, json={"action": "customers.enable", "ids": ids})).status_code == 403
    assert await value("SELECT count(*) FROM bulk_run") == 0
