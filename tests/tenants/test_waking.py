"""Work that one process leaves is found by the worker of another within seconds."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast
from uuid import UUID, uuid4

import pytest

from core.clock import FixedClock
from core.ledger.actions import set_fx_rate
from core.ledger.schemas import NewFxRate
from core.scope import command_actor
from core.testing import START
from tenants.commands.base import at_tenant, deployed
from tenants.deployment import Deployment
from tenants.waking import Waking
from tests.hosts import made

if TYPE_CHECKING:
    from tenants.registry import Registry


async def test_what_is_committed_without_a_worker_is_noted_for_the_worker_of_another_process(
    deployment: Deployment,
) -> None:
    record = (await made(deployment, "north")).record
    other = (await made(deployment, "south")).record
    await deployment.registry.take_due(deployment.clock.now() + timedelta(days=1))
    waking = Waking(deployment.registry, deployment.clock)

    async with deployment.scope(record, command_actor("a web process")) as scope:
        for rate in range(1, 4):
            await set_fx_rate(
                scope, NewFxRate(from_currency="USD", valid_on=scope.today() - timedelta(days=rate), rate_e10=10**10)
            )
    for _tenth in range(50):
        if found := await deployment.registry.take_due(deployment.clock.now()):
            break
        await asyncio.sleep(0.1)
    await waking.stop()

    assert found == [record.uuid]
    assert other.uuid not in found


async def test_a_command_that_ends_at_once_has_left_its_word(deployment: Deployment) -> None:
    record = (await made(deployment, "north")).record
    await deployment.registry.take_due(deployment.clock.now() + timedelta(days=1))
    waking = Waking(deployment.registry, deployment.clock)
    async with deployment.scope(record, command_actor("a command")) as scope:
        await set_fx_rate(scope, NewFxRate(from_currency="USD", valid_on=scope.today(), rate_e10=10**10))
    await waking.stop()

    assert await deployment.registry.take_due(deployment.clock.now()) == [record.uuid]

    async with deployment.scope(record, command_actor("nobody hears it")) as scope:
        await set_fx_rate(scope, NewFxRate(from_currency="GBP", valid_on=scope.today(), rate_e10=10**10))
    assert await deployment.registry.take_due(deployment.clock.now()) == []


async def test_what_is_being_noted_when_the_process_ends_is_noted_all_the_same() -> None:
    tenants, begun, noted = [uuid4(), uuid4()], asyncio.Event(), list[UUID]()

    class Slow:
        async def note_due(self, uuid: UUID, at: datetime) -> None:
            begun.set()
            await asyncio.sleep(0.01)
            noted.append(uuid)

    waking = Waking(cast("Registry", Slow()), FixedClock(START))
    for tenant in tenants:
        waking._hear(tenant, None)
    await begun.wait()
    await waking.stop()

    assert sorted(noted) == sorted(tenants)


async def test_every_command_leaves_its_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTRY_DATA", str(tmp_path / "data"))
    later = START + timedelta(days=10_000)
    async with deployed(works=True) as deployment:
        record = (await made(deployment, "north")).record
        await deployment.registry.take_due(later)

    async with at_tenant("north", "a command") as scope:
        await set_fx_rate(scope, NewFxRate(from_currency="USD", valid_on=scope.today(), rate_e10=10**10))

    async with deployed(works=True) as deployment:
        assert await deployment.registry.take_due(later) == [record.uuid]
