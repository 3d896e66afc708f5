"""What the clock starts of a plugin: in tenants that have it switched on."""

from __future__ import annotations

from datetime import date, timedelta
from types import ModuleType

import pytest
from msgspec import Struct

from core.clock import FixedClock, date_in
from core.hooks import HOOK_VERSION, Manifest, Plugin
from core.jobs.kinds import Job, JobKind
from core.jobs.schedules import DailyAt, Schedule
from core.scope import Scope, command_actor
from core.testing import START
from tenants.deployment import Deployment
from tenants.plugins import disable_plugin, enable_plugin
from tenants.working import make_worker
from tests.hosts import made

ME = command_actor("test")
DONE: list[tuple[str, date]] = []


class Count(Struct, frozen=True):
    on: date


async def count(scope: Scope, job: Job[Count]) -> None:
    DONE.append((scope.tenant.slug, job.payload.on))


COUNT = JobKind("probe_count", Count, count)
PROBE = Manifest(
    name="probe",
    label="Probe",
    version="1",
    hook_version=HOOK_VERSION,
    jobs=(COUNT,),
    schedules=(Schedule("probe_daily", COUNT, DailyAt(8), payload=Count),),
)


async def test_the_clock_starts_a_plugin_s_job_where_the_plugin_is_on(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = Plugin("probe", "probe 1", loaded=(PROBE, ModuleType("probe")))
    monkeypatch.setattr(deployment, "plugins", {**deployment.plugins, "probe": probe})
    records = [(await made(deployment, slug)).record for slug in ("alpha", "beta")]
    await enable_plugin(deployment, records[0], "probe", ME)
    DONE.clear()

    for _day in range(3):
        for record in records:
            await make_worker(deployment).until_idle(record.uuid)
        assert isinstance(deployment.clock, FixedClock)
        deployment.clock.move(timedelta(days=1))
    await disable_plugin(deployment, await deployment.registry.get_by_slug("alpha"), "probe", ME)
    for record in records:
        await make_worker(deployment).until_idle(record.uuid)

    begun = date_in(START, "UTC")
    assert [("alpha", begun + timedelta(days=days)) for days in (1, 2)] == DONE
