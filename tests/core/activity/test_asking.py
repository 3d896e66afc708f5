"""What a plugin does while it is asked leaves no trace, whatever it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from core.activity import queries
from core.activity.asking import nothing_kept
from core.activity.unit import NoUnit, record, unit_of_work
from core.database import ConstraintFailed, TransactionError, execute, values
from core.errors import Conflict, TryAgain
from core.hooks import Hooks, PluginFailed
from core.scope import Scope
from tests.core.hooks.modules import SPECS, module, named, validate_move
from tests.core.log import ThingMade

Meddling = Callable[[], Awaitable[None]]


def asked(scope: Scope, *answers: Meddling) -> Scope:
    """With plugins that answer so to `validate_move`."""
    modules = [module(f"p{n}", validate_move=answer) for n, answer in enumerate(answers)]
    return replace(scope, hooks=Hooks(SPECS, named(*modules), guard=nothing_kept, seconds=0.2))


async def make(scope: Scope) -> None:
    """An action that asks in its middle."""
    async with unit_of_work(scope):
        await execute("INSERT INTO thing (name) VALUES ('before')")
        record(scope, ThingMade(1))
        await scope.hooks.validate(validate_move, scope="s", customer_id=1)
        await execute("INSERT INTO thing (name) VALUES ('behind')")


async def kept(scope: Scope) -> tuple[list[str], int]:
    """Names of things, and lines in the log."""
    return await values("SELECT name FROM thing ORDER BY id"), len(await queries.timeline(scope))


async def test_what_a_plugin_writes_or_records_while_it_is_asked_is_taken_back(scope: Scope) -> None:
    seen: list[str] = []

    async def meddles() -> None:
        await execute("INSERT INTO thing (name) VALUES ('mine')")
        await execute("UPDATE thing SET name = 'spoilt' WHERE name = 'before'")
        record(scope, ThingMade(2))

    async def looks() -> None:
        seen.extend(await values("SELECT name FROM thing"))

    await make(asked(scope, meddles, looks))

    assert seen == ["before"]
    assert await kept(scope) == (["before", "behind"], 1)


async def test_a_refusal_ends_the_whole_change(scope: Scope) -> None:
    async def refuses() -> None:
        raise Conflict("A device is still there.")

    with pytest.raises(Conflict, match="A device is still there"):
        await make(asked(scope, refuses))

    assert await kept(scope) == ([], 0)


async def test_a_refusal_that_the_action_bears_leaves_its_work_whole(scope: Scope) -> None:
    async def meddles_and_refuses() -> None:
        await execute("INSERT INTO thing (name) VALUES ('mine')")
        raise Conflict("no")

    doubtful = asked(scope, meddles_and_refuses)
    async with unit_of_work(doubtful):
        await execute("INSERT INTO thing (name) VALUES ('before')")
        with pytest.raises(Conflict):
            await doubtful.hooks.validate(validate_move, scope="s", customer_id=1)
        await execute("INSERT INTO thing (name) VALUES ('behind')")

    assert await kept(scope) == (["before", "behind"], 0)


async def test_a_database_error_in_a_plugin_is_the_plugin_s(scope: Scope) -> None:
    async def breaks() -> None:
        await execute("INSERT INTO thing (name) VALUES (NULL)")

    doubtful = asked(scope, breaks)
    async with unit_of_work(doubtful):
        with pytest.raises(PluginFailed) as failed:
            await doubtful.hooks.validate(validate_move, scope="s", customer_id=1)
        await execute("INSERT INTO thing (name) VALUES ('behind')")

    assert isinstance(failed.value.__cause__, ConstraintFailed)
    assert await kept(scope) == (["behind"], 0)


async def test_a_plugin_that_does_not_answer_in_time_refuses_and_holds_nothing(scope: Scope) -> None:
    async def dawdles() -> None:
        await execute("INSERT INTO thing (name) VALUES ('mine')")
        await asyncio.sleep(9)

    with pytest.raises(PluginFailed, match="plugin p0 failed"):
        await make(asked(scope, dawdles))

    assert await kept(scope) == ([], 0)
    await make(asked(scope))
    assert await kept(scope) == (["before", "behind"], 1)


async def test_a_database_that_asks_to_try_again_is_heard(scope: Scope) -> None:
    async def unlucky() -> None:
        raise TryAgain

    with pytest.raises(TryAgain):
        await make(asked(scope, unlucky))


async def test_nobody_is_asked_outside_a_unit_of_work(scope: Scope) -> None:
    async def never() -> None:
        raise AssertionError

    with pytest.raises((NoUnit, TransactionError)):
        await asked(scope, never).hooks.validate(validate_move, scope="s", customer_id=1)
