"""Seals of the log: whatever is changed, removed or put in by hand is found, and the first position is named."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from core.activity.actions import empty_values
from core.activity.events import Event
from core.activity.sealing import AT_ONCE, LATEST, first_fault, last_seal, seal, seal_all, seal_due
from core.activity.unit import again, record, record_set, unit_of_work
from core.clock import FixedClock
from core.database import Refused, execute, spawn, value, values
from core.scope import Actor, Scope, command_actor, plugin_actor, schedule_actor
from tests.databases import define

pytestmark = pytest.mark.anyio


class ThingSealed(Event, subject="thing"):
    thing_id: int
    customer_id: int | None = None


async def write(scope: Scope, count: int = 1) -> None:
    for number in range(count):
        async with unit_of_work(scope):
            record(scope, ThingSealed(number, customer_id=7), changes={"name": ("Ada", f"Bea {number}")})


async def write_many(scope: Scope, count: int) -> None:
    """As a billing run does, by one statement."""
    select = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
        " SELECT i AS subject_id, CAST(NULL AS bigint) AS customer_id,"
        " '{\"thing_id\":' || CAST(i AS text) || '}' AS facts FROM n"
    )
    async with unit_of_work(scope):
        record_set(scope, ThingSealed, select, count=count)


async def by_hand(sql: str) -> None:
    """As somebody could who has the database itself in hands, its triggers off."""
    await define(
        sqlite="DROP TRIGGER IF EXISTS activity_stays_update; DROP TRIGGER IF EXISTS activity_stays_delete;"
        "DROP TRIGGER IF EXISTS activity_value_stays_update; DROP TRIGGER IF EXISTS activity_value_stays_delete;"
        f"DROP TRIGGER IF EXISTS activity_seal_stays_update; DROP TRIGGER IF EXISTS activity_seal_stays_delete; {sql}",
        postgresql="DROP TRIGGER IF EXISTS activity_stays ON activity;"
        "DROP TRIGGER IF EXISTS activity_value_stays ON activity_value;"
        "DROP TRIGGER IF EXISTS activity_value_emptied ON activity_value;"
        f"DROP TRIGGER IF EXISTS activity_seal_stays ON activity_seal; {sql}",
    )


async def test_F7_the_log_is_sealed_row_by_row_and_verifies(scope: Scope) -> None:
    await write(scope, 3)
    await write_many(scope, 2 * AT_ONCE)
    await write(scope, 2)

    assert await seal_all(scope) == 2 * AT_ONCE + 5

    assert (await last_seal()).last == 2 * AT_ONCE + 5
    assert await values("SELECT last FROM activity_seal ORDER BY last") == [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 5]
    assert await first_fault() is None
    assert await seal(scope) == 0


@pytest.mark.parametrize(
    ("sql", "position", "what"),
    [
        ("UPDATE activity SET actor = 'staff:8' WHERE position = 4", 4, "is not what was sealed"),
        ("UPDATE activity SET facts = '{\"thing_id\":9}' WHERE position = 2", 2, "is not what was sealed"),
        ("UPDATE activity SET at = '2027-01-01 00:00:00+00:00' WHERE position = 3", 3, "is not what was sealed"),
        ("DELETE FROM activity_value; DELETE FROM activity WHERE position = 5", 1, "values of position 1"),
        ("DELETE FROM activity_value WHERE position = 5; DELETE FROM activity WHERE position = 5", 5, "is missing"),
        ("UPDATE activity_value SET new = 'Eve' WHERE position = 6", 6, "the value name of position 6"),
        ("DELETE FROM activity_value WHERE position = 6", 6, "values of position 6"),
        (
            "INSERT INTO activity (position, at, kind, subject_kind, actor, facts)"
            " SELECT 99, at, kind, subject_kind, actor, facts FROM activity WHERE position = 1",
            9,
            "stands behind the head",
        ),
        (
            "DELETE FROM activity_value WHERE position > 6; DELETE FROM activity WHERE position > 6;"
            " UPDATE activity_head SET last = 6",
            7,
            "is missing",
        ),
        ("UPDATE activity_seal SET digest = 'forged' WHERE last = 4", 1, "is not the one that was made"),
        ("DELETE FROM activity_seal WHERE last = 4", 1, "the seal from position 1 on is missing"),
    ],
)
async def test_F7_what_is_changed_removed_or_put_in_by_hand_is_found_and_its_position_named(
    scope: Scope, sql: str, position: int, what: str
) -> None:
    await write(scope, 4)
    await seal_all(scope)
    await write(scope, 4)
    await seal_all(scope)
    assert await first_fault() is None

    await by_hand(sql)

    fault = await first_fault()
    assert fault is not None
    assert fault.position == position
    assert what in fault.what


async def test_F7_a_row_put_in_the_place_of_another_is_found(scope: Scope) -> None:
    """Removed and written anew, with its position: the chain is over what stood there."""
    await write_many(scope, 5)
    await seal_all(scope)

    await by_hand(
        "DELETE FROM activity WHERE position = 3; INSERT INTO activity (position, at, kind, subject_kind, subject_id,"
        " actor, depth, facts) SELECT 3, at, kind, subject_kind, 3, 'staff:9', depth, '{}' FROM activity"
        " WHERE position = 2"
    )

    fault = await first_fault()
    assert fault is not None
    assert fault.position == 3


async def test_F7_values_that_were_emptied_do_not_break_the_chain(scope: Scope) -> None:
    await write(scope, 3)
    await seal_all(scope)
    sealed = await last_seal()

    assert await empty_values(scope, 7) == 3

    assert await first_fault() is None
    assert await last_seal() == sealed


async def test_F7_the_true_actor_is_under_the_seal(scope: Scope) -> None:
    whole = scope.actor
    actors = (
        Actor("staff", 7, "Ada", whole.reach, whole.permissions),
        Actor("customer", 3, "Bea", whole.reach, whole.permissions, on_behalf_of="staff:7"),
        Actor("token", 5, "import", whole.reach, whole.permissions),
        plugin_actor("inventory", "staff:7"),
        schedule_actor("billing"),
        command_actor("verify"),
    )
    for actor in actors:
        await write(scope.as_actor(actor))
    await seal_all(scope)

    told = await values("SELECT actor || ' ' || coalesce(on_behalf_of, '') FROM activity ORDER BY position")

    assert [each.strip() for each in told] == [
        "staff:7",
        "customer:3 staff:7",
        "token:5",
        "plugin:inventory staff:7",
        "schedule:billing",
        "command:verify",
    ]
    await by_hand("UPDATE activity SET on_behalf_of = NULL WHERE position = 2")
    fault = await first_fault()
    assert fault is not None
    assert fault.position == 2


async def test_F7_a_seal_cannot_be_rewritten(scope: Scope) -> None:
    await write(scope)
    await seal_all(scope)

    for statement in ("UPDATE activity_seal SET digest = ''", "DELETE FROM activity_seal"):
        with pytest.raises(Refused):
            await execute(statement)


async def test_F7_rows_are_sealed_by_the_thousand_or_after_a_minute(scope: Scope, clock: FixedClock) -> None:
    assert await seal_due(scope) is None

    await write(scope)
    begun = scope.now()
    assert await seal_due(scope) == begun + LATEST
    clock.move(timedelta(seconds=30))
    await write_many(scope, AT_ONCE)
    assert await seal_due(scope) == scope.now()

    assert await seal(scope) == AT_ONCE
    assert await seal_due(scope) == scope.now() + LATEST


async def test_F7_many_write_and_two_seal_at_once_and_the_chain_is_one(scope: Scope) -> None:
    ended = asyncio.Event()

    async def writer(number: int) -> None:
        for _ in range(6):
            await again(lambda: write(scope.as_actor(replace(scope.actor, id=number))))

    async def sealer() -> None:
        while not ended.is_set():
            await again(lambda: seal(scope))
            await asyncio.sleep(0)

    sealers = [spawn(sealer()) for _ in range(2)]
    await asyncio.gather(*(spawn(writer(number)) for number in range(4)))
    ended.set()
    await asyncio.gather(*sealers)
    await seal_all(scope)

    assert (await last_seal()).last == 24
    assert await first_fault() is None
    firsts = await values("SELECT first FROM activity_seal ORDER BY last")
    lasts = await values("SELECT last FROM activity_seal ORDER BY last")
    assert firsts == [1, *(each + 1 for each in lasts[:-1])]
    assert await value("SELECT count(*) FROM activity") == 24
