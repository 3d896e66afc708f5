"""What `tenantry doctor` finds, each with the way out."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

from click.testing import CliRunner

from core.database import PostgresServer, bind, execute, transaction
from tenants import doctor
from tenants.cli import main
from tenants.doctor import Finding, examine
from tenants.status import TenantStatus
from tests.hosts import made
from tests.smtp import free_port

if TYPE_CHECKING:
    from pathlib import Path

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


async def test_where_an_upgrade_cannot_help_the_doctor_names_what_does(deployment: Deployment) -> None:
    tenants = {slug: (await made(deployment, slug)).record for slug in ("damaged", "newer")}
    for record in tenants.values():
        await deployment.registry.set_status(record.uuid, TenantStatus.FAILED, "Upgrade: it could not be opened")
    with bind(deployment.placement.migrating(tenants["newer"])):
        await execute("INSERT INTO migration VALUES ('web', '2099-01-01T00:00:00', '1', 'a later one', '2099-01-01')")
    on_file = tenants["damaged"].placement == "sqlite"
    if on_file:
        await deployment.leave(tenants["damaged"].uuid)
        deployment.placement.file(tenants["damaged"].uuid).write_bytes(b"garbage " * 1000)

    found = await findings(deployment)

    assert found["tenant newer"].way_out == "docs/hosting.md, Upgrades: the way back"
    assert "newer version" in found["tenant newer"].detail
    assert found["tenant damaged"].way_out == (
        "tenantry tenant restore FILE --replace --no-backup" if on_file else "tenantry tenant upgrade damaged"
    )


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


async def test_a_plugin_that_is_on_and_gone_is_named(deployment: Deployment) -> None:
    uuid = (await made(deployment, "acme")).record.uuid
    await deployment.registry.enable_plugin(uuid, "loans", deployment.clock.now())

    found = (await findings(deployment))["tenant acme"]

    assert (found.state, found.detail) == ("fail", "on, but not installed or not to be loaded: loans")
    assert found.way_out.endswith("tenantry plugin disable loans --tenant acme")


async def test_a_server_that_does_not_answer_hides_nothing_of_the_rest(tmp_path: Path) -> None:
    nobody = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    environment = {
        "TENANTRY_DATA": str(tmp_path),
        "TENANTRY__DATABASE__MAIN__APP_DSN": nobody,
        "TENANTRY__DATABASE__MAIN__OWNER_DSN": nobody,
    }
    ended = await asyncio.to_thread(CliRunner().invoke, main, ["doctor", "--json"], env=environment)
    found = {each["what"]: each for each in json.loads(ended.stdout)}

    assert ended.exit_code == 1
    assert found["database main"]["state"] == "fail"
    assert "does not answer: " in found["database main"]["detail"]
    assert found["registry"]["state"] == "ok"
    assert "plugin inventory" in found


async def test_a_role_that_may_too_much_is_found(deployment: Deployment) -> None:
    for name, server in deployment.placement.servers.items():
        owner = PostgresServer(name, server.owner_dsn or "", server.owner_dsn)
        deployment.placement.servers[name] = owner

        found = await findings(deployment)

        assert found[f"database {name}"].state == "fail"
        assert "owns the database" in found[f"database {name}"].detail
