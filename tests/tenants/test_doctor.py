"""What `tenantry doctor` finds, each with the way out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from core.database import bind, execute, transaction
from tenants import doctor
from tenants.doctor import Finding, examine
from tenants.status import TenantStatus
from tests.hosts import made

if TYPE_CHECKING:
    import pytest

    from tenants.deployment import Deployment


async def findings(deployment: Deployment) -> dict[str, Finding]:
    return {finding.what: finding async for finding in examine(deployment)}


async def test_a_sound_deployment_is_found_sound(deployment: Deployment) -> None:
    await made(deployment, "acme")

    found = await findings(deployment)

    assert {finding.state for finding in found.values()} <= {"ok", "warn"}
    assert {"keys", "assets", "disk", "registry", "plugin inventory", "tenant acme"} <= found.keys()
    assert found["tenant acme"] == Finding("tenant acme", "ok", "current")


async def test_keys_that_others_can_read_are_found(deployment: Deployment) -> None:
    (deployment.config.data / "keys").chmod(0o644)

    found = (await findings(deployment))["keys"]

    assert found.state == "fail"
    assert found.way_out.startswith("chmod 600")


async def test_a_full_disk_is_found(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE", 2**62)

    assert (await findings(deployment))["disk"].state == "fail"


async def test_each_tenant_is_named_with_what_is_wrong_with_it(deployment: Deployment) -> None:
    names = ("behind", "crowded", "failed", "late", "stolen", "suspended", "waiting")
    tenants = {name: (await made(deployment, name)).record for name in names}
    registry, now = deployment.registry, deployment.clock.now()
    await registry.set_status(tenants["failed"].uuid, TenantStatus.FAILED, "Upgrade: disk full")
    await registry.set_status(tenants["suspended"].uuid, TenantStatus.SUSPENDED)
    with bind(deployment.placement.migrating(tenants["behind"])):
        async with transaction():
            await execute("DELETE FROM migration WHERE id = (SELECT max(id) FROM migration)")
    with bind(deployment.placement.migrating(tenants["stolen"])):
        async with transaction():
            await execute("UPDATE tenant_meta SET uuid = '6f1f0f0e-0000-4000-8000-000000000001'")
    job = (
        "INSERT INTO job (kind, policy, state, due_at, payload, actor, crowd, created_at)"
        " VALUES ('mail', 'once', :state, :due, '{}', '{}', :crowd, :due)"
    )
    before = now - timedelta(hours=1)
    for name, state, due in (("late", "waiting", before), ("crowded", "waiting", before), ("waiting", "failed", now)):
        with bind(deployment.placement.find(tenants[name])):
            async with transaction():
                await execute(job, state=state, due=due, crowd=name == "crowded")

    found = await findings(deployment)

    said = {name: (found[f"tenant {name}"].state, found[f"tenant {name}"].way_out) for name in names}
    assert said["behind"] == ("fail", "tenantry tenant upgrade behind")
    assert said["crowded"][0] == "ok", "documents of a billing run may take their time"
    assert said["failed"] == ("fail", "tenantry tenant upgrade failed")
    assert said["late"] == ("warn", "is `tenantry worker` (or serve) running?")
    assert said["stolen"][0] == "fail"
    assert said["suspended"] == ("warn", "tenantry tenant resume suspended")
    assert said["waiting"] == ("warn", "look at Jobs and at Settings, Plugins")
