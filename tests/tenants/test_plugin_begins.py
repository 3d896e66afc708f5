"""A plugin that is switched on begins with what is there: it hears of its own switching on before all else."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import pytest
from msgspec import Struct

from core import hookspecs
from core.activity.asking import nothing_kept
from core.app import HOOK_MODULES
from core.customers import actions as customers
from core.customers.schemas import NewCustomer
from core.database import values
from core.hooks import HOOK_VERSION, HookSets, Manifest, Plugin, hookimpl
from core.jobs.actions import enqueue
from core.jobs.kinds import Job, JobKind
from core.scope import Scope, command_actor
from core.settings.events import PluginEnabled
from tenants.deployment import Deployment
from tenants.plugins import enable_plugin
from tenants.working import make_worker
from tests.hosts import made

ME = command_actor("test")
FOUND: list[str] = []
HEARD: list[str] = []


class Look(Struct, frozen=True):
    pass


async def look(scope: Scope, job: Job[Look]) -> None:
    FOUND.extend(await values("SELECT full_name FROM customer ORDER BY id"))


LOOK = JobKind("early_look", Look, look)


@hookimpl
async def plugin_enabled(scope: Scope, events: Sequence[PluginEnabled]) -> None:
    HEARD.extend(event.plugin for event in events)
    if "early" in {event.plugin for event in events}:
        await enqueue(scope, LOOK, Look())


EARLY = Manifest(
    name="early", label="Early", version="1", hook_version=HOOK_VERSION, jobs=(LOOK,), events=("plugin_enabled",)
)


async def test_a_plugin_hears_of_its_own_switching_on_and_reads_what_is_there(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("early")
    module.__dict__.update(MANIFEST=EARLY, plugin_enabled=plugin_enabled)
    monkeypatch.setattr(
        deployment, "plugins", {**deployment.plugins, "early": Plugin("early", "early 1", loaded=(EARLY, module))}
    )
    sets = HookSets(hookspecs, HOOK_MODULES, [("early", module)], guard=nothing_kept)
    monkeypatch.setattr(deployment, "hook_sets", sets)
    record = (await made(deployment, "alpha")).record
    async with deployment.scope(record, ME) as scope:
        await customers.create_customer(scope, NewCustomer(full_name="Ada Lovelace"))
    await make_worker(deployment).until_idle(record.uuid)
    await deployment.registry.take_due(deployment.clock.now())
    HEARD.clear()
    FOUND.clear()

    await enable_plugin(deployment, record, "early", ME)
    due = await deployment.registry.take_due(deployment.clock.now())
    await make_worker(deployment).until_idle(record.uuid)

    assert due == [record.uuid]  # a worker looks once the registry knows that it is on, not at the commit before
    assert (HEARD, FOUND) == (["early"], ["Ada Lovelace"])
