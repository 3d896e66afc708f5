import asyncio
import random
from contextlib import suppress
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from core.activity import queries
from core.activity.actions import empty_values
from core.activity.unit import (
    InsideUnit,
    NoUnit,
    WrongTenant,
    again,
    listen,
    record,
    record_set,
    refuse_inside_unit,
    savepoint,
    unit_of_work,
    wake_after_commit,
)
from core.database import (
    Duplicate,
    Refused,
    StatementFailed,
    TransactionError,
    dialect,
    execute,
    spawn,
    transaction,
    value,
    values,
)
from core.errors import Conflict, TryAgain, Unavailable
from core.scope import Scope
from tests.core.log import NOON, ThingChanged, ThingMade


async def make(scope: Scope, name: str) -> int:
    async with unit_of_work(scope):
        made = int(await value("INSERT INTO thing (name) VALUES (:name) RETURNING id", name=name))
        record(scope, ThingMade(made))
        return made


async def make_and_fail(scope: Scope, name: str) -> None:
    async with unit_of_work(scope):
        await make(scope, name)
        raise Conflict("no")


async def test_what_was_done_and_its_line_in_the_log_are_saved_together(scope: Scope) -> None:
    made = await make(scope, "lamp")

    (line,) = await queries.timeline(scope)
    assert await values("SELECT name FROM thing") == ["lamp"]
    assert (line.position, line.kind, line.subject_kind, line.subject_id) == (1, "thing_made", "thing", made)
    assert (line.actor, line.at, line.depth, line.caused_by) == ("staff:7", NOON, 0, None)


async def test_a_unit_that_fails_leaves_neither_row_nor_line_nor_gap(scope: Scope) -> None:
    with pytest.raises(Conflict):
        await make_and_fail(scope, "lamp")
    await make(scope, "chair")

    assert await values("SELECT name FROM thing") == ["chair"]
    assert await values("SELECT position FROM activity") == [1]


async def test_an_inner_unit_joins_and_the_outer_one_commits(scope: Scope) -> None:
    async with unit_of_work(scope):
        await make(scope, "lamp")
        await make(scope, "chair")
        assert await value("SELECT last FROM activity_head") == 0

    assert await values("SELECT position FROM activity ORDER BY position") == [1, 2]


async def test_an_inner_failure_that_was_caught_lets_nothing_be_saved(scope: Scope) -> None:
    async def careless() -> None:
        async with unit_of_work(scope):
            await make(scope, "lamp")
            with suppress(Conflict):
                await make_and_fail(scope, "half a chair")

    with pytest.raises(TransactionError):
        await careless()

    assert await values("SELECT name FROM thing") == []
    assert await queries.head() == 0


async def test_a_database_error_that_was_caught_lets_nothing_be_saved(scope: Scope) -> None:
    made = await make(scope, "lamp")

    async def careless() -> None:
        async with unit_of_work(scope):
            await make(scope, "chair")
            with suppress(Duplicate):
                await execute("INSERT INTO thing (id, name) VALUES (:id, 'again')", id=made)
            record(scope, ThingChanged(made))

    with pytest.raises(StatementFailed):
        await careless()

    assert await values("SELECT name FROM thing") == ["lamp"]
    assert await queries.head() == 1
    assert await make(scope, "table") > made


async def test_a_savepoint_takes_back_its_own_rows_and_lines_alone(scope: Scope) -> None:
    async with unit_of_work(scope):
        await make(scope, "lamp")
        with suppress(Conflict):
            async with savepoint():
                await make_and_fail(scope, "half a chair")
        await make(scope, "table")

    assert await values("SELECT name FROM thing ORDER BY id") == ["lamp", "table"]
    assert [line.position for line in await queries.timeline(scope)] == [2, 1]


async def test_a_savepoint_takes_back_a_database_error(scope: Scope) -> None:
    made = await make(scope, "lamp")

    async with unit_of_work(scope):
        with pytest.raises(Duplicate):
            async with savepoint():
                await execute("INSERT INTO thing (id, name) VALUES (:id, 'again')", id=made)
        record(scope, ThingChanged(made))

    assert [line.kind for line in await queries.timeline(scope)] == ["thing_changed", "thing_made"]


async def test_a_scope_of_another_tenant_is_refused(scope: Scope) -> None:
    other = replace(scope, tenant=replace(scope.tenant, uuid=uuid4()))

    with pytest.raises(WrongTenant):
        await make(other, "lamp")
    with pytest.raises(WrongTenant):
        async with unit_of_work(scope):
            await make(other, "lamp")

    assert await values("SELECT name FROM thing") == []


async def test_nothing_is_recorded_outside_a_unit_nor_in_a_bare_transaction(scope: Scope) -> None:
    with pytest.raises(NoUnit):
        record(scope, ThingMade(1))
    with pytest.raises(RuntimeError, match="bare transaction"):
        async with transaction(), unit_of_work(scope):
            pass


async def test_another_task_cannot_join_a_unit(scope: Scope) -> None:
    async with unit_of_work(scope):
        with pytest.raises(RuntimeError, match="task"):
            await asyncio.create_task(make(scope, "lamp"))
        spawned = spawn(make(scope, "chair"))
        await make(scope, "table")
    await spawned
    with suppress(LookupError):
        async with unit_of_work(scope):
            spawned = spawn(make(scope, "stool"))
            await make(scope, "bench")
            raise LookupError
    await spawned

    assert await values("SELECT name FROM thing ORDER BY name") == ["chair", "stool", "table"]


async def test_effects_outside_the_database_are_refused_inside_a_unit(scope: Scope) -> None:
    refuse_inside_unit("a call")

    async with unit_of_work(scope):
        with pytest.raises(InsideUnit, match="a call cannot be taken back"):
            refuse_inside_unit("a call")


async def test_a_set_is_recorded_by_one_select_numbered_by_its_subject(scope: Scope) -> None:
    await execute("INSERT INTO thing (id, name) VALUES (30, 'c'), (10, 'a'), (20, 'b')")
    select = """SELECT id AS subject_id, :payer AS customer_id, '{"thing_id":' || id || '}' AS facts FROM thing
                WHERE id > :from_id"""

    async with unit_of_work(scope):
        record(scope, ThingMade(1))
        record_set(scope, ThingChanged, select, payer=None, from_id=10)
        record_set(scope, ThingChanged, select, payer=None, from_id=99)
        record(scope, ThingMade(2))

    lines = [(line.position, line.kind, line.subject_id) for line in reversed(await queries.timeline(scope))]
    assert lines == [(1, "thing_made", 1), (2, "thing_changed", 20), (3, "thing_changed", 30), (4, "thing_made", 2)]
    assert await queries.head() == 4
    assert await queries.log_faults() == []


async def test_many_writers_at_once_leave_a_log_without_gaps_in_the_order_of_commits(scope: Scope) -> None:
    seen: list[int] = []

    async def write(number: int) -> None:
        for _ in range(8):
            async with unit_of_work(scope):
                await execute("INSERT INTO thing (name) VALUES (:name)", name=str(number))
                await asyncio.sleep(random.random() * 0.004)
                record(scope, ThingMade(number))

    async def read() -> None:
        while len(seen) < 64:
            last = max(seen, default=0)
            seen.extend(
                await values("SELECT position FROM activity WHERE position > :last ORDER BY position", last=last)
            )
            await asyncio.sleep(0.001)

    reader = spawn(read())
    await asyncio.gather(*(spawn(write(number)) for number in range(8)))
    await reader

    assert seen == list(range(1, 65))


async def test_old_and_new_values_stand_beside_the_row_as_text(scope: Scope) -> None:
    async with unit_of_work(scope):
        changes = {"name": ("Ada", "Ada L."), "active": (None, True), "joined_on": (NOON.date(), None)}
        record(scope, ThingChanged(1, customer_id=5), changes=changes)

    (line,) = await queries.timeline(scope, customer_id=5)
    shown = [(change.field, change.old, change.new) for change in line.changes]
    assert shown == [("active", None, "yes"), ("joined_on", "2027-03-01", None), ("name", "Ada", "Ada L.")]


async def test_emptied_values_are_gone_and_the_log_still_verifies(scope: Scope) -> None:
    for customer in (5, 6):
        async with unit_of_work(scope):
            record(scope, ThingChanged(1, customer_id=customer), changes={"name": ("Ada", "Bea")})

    assert await empty_values(scope, 5) == 1

    (emptied,), (kept,) = await queries.timeline(scope, customer_id=5), await queries.timeline(scope, customer_id=6)
    assert [(change.old, change.new, change.emptied) for change in emptied.changes] == [(None, None, True)]
    assert [(change.old, change.new, change.emptied) for change in kept.changes] == [("Ada", "Bea", False)]
    assert await value("SELECT count(salt) FROM activity_value") == 1
    assert await queries.log_faults() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE activity SET actor = 'staff:8'",
        "DELETE FROM activity",
        "UPDATE activity_value SET new = 'forged'",
        "DELETE FROM activity_value",
        "UPDATE activity_value SET old = NULL, new = NULL, salt = NULL, digest = 'forged'",
    ],
)
async def test_the_log_cannot_be_rewritten(scope: Scope, statement: str) -> None:
    async with unit_of_work(scope):
        record(scope, ThingChanged(1), changes={"name": ("Ada", "Bea")})

    with pytest.raises(Refused):
        await execute(statement)

    assert await queries.log_faults() == []


async def test_no_line_can_take_the_place_of_another(scope: Scope) -> None:
    await make(scope, "lamp")
    words = "INSERT OR REPLACE" if dialect() == "sqlite" else "INSERT"

    with pytest.raises((Refused, Duplicate)):
        await execute(
            f"{words} INTO activity (position, at, kind, subject_kind, actor, facts)"
            " VALUES (1, :at, 'x', 'x', 'x', '{}')",
            at=NOON,
        )

    assert [line.kind for line in await queries.timeline(scope)] == ["thing_made"]


async def test_a_forged_value_is_found(scope: Scope) -> None:
    async with unit_of_work(scope):
        record(scope, ThingChanged(1), changes={"name": ("Ada", "Bea")})
    await _forge(scope)

    assert await queries.log_faults() == ["the value name of position 1 is not what was recorded"]


async def _forge(scope: Scope) -> None:
    """As somebody could who has the database itself in hands."""
    from tests.databases import define

    await define(
        sqlite="DROP TRIGGER activity_value_stays_update; UPDATE activity_value SET new = 'Eve'",
        postgresql="DROP TRIGGER activity_value_emptied ON activity_value; UPDATE activity_value SET new = 'Eve'",
    )


async def test_those_who_listen_hear_of_a_commit_after_it_and_of_no_failure(scope: Scope) -> None:
    heard: list[tuple[UUID, int | None]] = []
    deaf = listen(lambda tenant, last: heard.append((tenant, last)))
    try:
        async with unit_of_work(scope):
            await make(scope, "lamp")
            assert heard == []
        with pytest.raises(Conflict):
            await make_and_fail(scope, "chair")
        async with unit_of_work(scope):
            await execute("UPDATE thing SET name = 'x'")
        async with unit_of_work(scope):
            wake_after_commit()
    finally:
        deaf()
    await make(scope, "table")

    assert heard == [(scope.tenant.uuid, 1), (scope.tenant.uuid, None)]


async def test_a_call_that_could_not_be_serialised_runs_once_more(scope: Scope) -> None:
    calls: list[str] = []

    async def call() -> str:
        calls.append("called")
        if len(calls) < 2:
            raise TryAgain
        return "done"

    async def never() -> None:
        calls.append("never")
        raise TryAgain

    assert await again(call) == "done"
    with pytest.raises(Unavailable):
        await again(never)
    assert calls == ["called", "called", "never", "never"]


async def test_a_deadlock_on_postgresql_leaves_as_try_again_and_both_get_through(scope: Scope) -> None:
    await execute("INSERT INTO thing (id, name) VALUES (1, 'a'), (2, 'b')")

    async def touch(first: int, second: int) -> None:
        async with unit_of_work(scope):
            await execute("UPDATE thing SET name = name || '.' WHERE id = :id", id=first)
            await asyncio.sleep(0.05)
            await execute("UPDATE thing SET name = name || '.' WHERE id = :id", id=second)
            record(scope, ThingChanged(first))

    await asyncio.gather(spawn(again(lambda: touch(1, 2))), spawn(again(lambda: touch(2, 1))))

    assert await values("SELECT name FROM thing ORDER BY id") == ["a..", "b.."]
    assert await queries.head() == 2


async def test_a_page_counts_by_positions(scope: Scope) -> None:
    for number in range(1, 6):
        async with unit_of_work(scope):
            record(scope, ThingMade(number, customer_id=number % 2))

    first = await queries.timeline(scope, customer_id=1, limit=2)
    rest = await queries.timeline(scope, customer_id=1, limit=2, before=first[-1].position)

    assert [line.subject_id for line in (*first, *rest)] == [5, 3, 1]
    assert [line.position for line in await queries.timeline(scope, subject=("thing", 4))] == [4]
    assert [line.position for line in await queries.timeline(scope, kinds=["thing_changed"])] == []
