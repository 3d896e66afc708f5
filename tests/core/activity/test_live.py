import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from core.activity.live import watch
from core.activity.queries import Entry
from core.activity.unit import record, unit_of_work
from core.database import OneCustomer, current, execute, spawn, transaction
from core.scope import Actor, Scope
from core.testing import TestTenant
from tests.core.log import ThingMade


async def happen(scope: Scope, thing: int, customer_id: int | None = None) -> None:
    async with unit_of_work(scope):
        record(scope, ThingMade(thing, customer_id=customer_id))


async def next_of(lines: AsyncIterator[Entry], within: float = 3.0) -> int | None:
    async with asyncio.timeout(within):
        return (await anext(lines)).subject_id


async def test_a_page_sees_what_is_committed_at_once_and_in_order(scope: Scope) -> None:
    await happen(scope, 1)

    async with aclosing(watch(scope)) as lines:
        first = asyncio.ensure_future(next_of(lines, within=0.9))
        await asyncio.sleep(0.05)
        await happen(scope, 2)
        await happen(scope, 3)

        assert [await first, await next_of(lines)] == [2, 3]


async def test_a_page_that_says_what_it_has_shown_misses_nothing_in_between(scope: Scope) -> None:
    await happen(scope, 1)
    await happen(scope, 2)

    async with aclosing(watch(scope, after=1)) as lines:
        assert await next_of(lines) == 2


async def test_what_another_process_commits_is_seen_within_a_second(scope: Scope) -> None:
    async with aclosing(watch(scope)) as lines:
        first = asyncio.ensure_future(next_of(lines))
        await asyncio.sleep(0.05)
        await _commit_unheard(scope)

        assert await first == 9


async def _commit_unheard(scope: Scope) -> None:
    """As another process commits: nobody here is told."""
    async with transaction():
        await execute("UPDATE activity_head SET last = last + 1")
        await execute(
            "INSERT INTO activity (position, at, kind, subject_kind, subject_id, actor, facts)"
            " SELECT last, :now, 'thing_made', 'thing', 9, 'staff:7', '{}' FROM activity_head",
            now=scope.now(),
        )


async def test_only_the_customer_asked_for_is_shown(scope: Scope) -> None:
    async with aclosing(watch(scope, customer_id=5)) as lines:
        first = asyncio.ensure_future(next_of(lines))
        await asyncio.sleep(0.05)
        await happen(scope, 1, customer_id=6)
        await happen(scope, 2, customer_id=5)

        assert await first == 2


async def test_one_look_a_second_serves_all_who_watch(scope: Scope) -> None:
    asked: list[str] = []
    current().watchers.append(asked.append)

    async def one() -> int | None:
        async with aclosing(watch(scope)) as lines:
            return await next_of(lines)

    watching = [spawn(one()) for _ in range(20)]
    while len(asked) < 60:  # each reads the head twice and its lines once
        await asyncio.sleep(0.05)
    asked.clear()
    await asyncio.sleep(1.3)
    looks = len(asked)
    await happen(scope, 4)

    assert await asyncio.gather(*watching) == [4] * 20
    assert looks <= 2


@pytest.mark.parametrize("reach", [OneCustomer(5)])
async def test_a_restricted_actor_sees_its_own_timeline_only(tenant: TestTenant, reach: OneCustomer) -> None:
    staff = tenant.scope()
    customer = staff.as_actor(Actor("customer", 5, "", reach, frozenset()))

    async with aclosing(watch(customer)) as lines:
        first = asyncio.ensure_future(next_of(lines))
        await asyncio.sleep(0.05)
        await happen(staff, 1)
        await happen(staff, 2, customer_id=6)
        await happen(staff, 3, customer_id=5)

        assert await first == 3
