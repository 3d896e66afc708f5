"""Tenants that are put away, taken away, and named otherwise."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
from click.testing import CliRunner

from core.customers import actions as customers
from core.customers.schemas import NewCustomer
from core.database import values
from core.documents.files import store_file
from core.errors import Conflict
from core.ids import new_uuid
from core.scope import command_actor
from tenants import pausing
from tenants.archives import read_manifest
from tenants.backups import back_up_all
from tenants.cli import main
from tenants.doctor import examine
from tenants.ending import archive_tenant, delete_tenant, may_become, rename_tenant
from tenants.placement import schema_of
from tenants.restoring import restore
from tenants.sizes import size_of
from tenants.status import TRANSITIONS, TenantStatus
from tenants.upgrading import upgrade_all
from tests.hosts import environment_of, made, visitor

if TYPE_CHECKING:
    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord

ME = command_actor("test")


@pytest.fixture(autouse=True)
def settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process serves these tenants: nobody needs to be waited for."""
    monkeypatch.setattr(pausing, "SETTLING", 0.0)


async def furnished(deployment: Deployment, slug: str = "alpha") -> TenantRecord:
    record = (await made(deployment, slug)).record
    async with deployment.scope(record, ME) as scope:
        await customers.create_customer(scope, NewCustomer(full_name="Ada Lovelace"))
        await store_file(scope, b"contract" * 1000, name="contract.txt", media_type="text/plain")
    return record


async def leftovers(deployment: Deployment, record: TenantRecord) -> list[str]:
    """Databases and files of a tenant."""
    found = [str(path) for path in deployment.placement.folder(record.uuid).rglob("*") if path.is_file()]
    for server in deployment.config.databases.values():
        connection = await asyncpg.connect(server.owner_dsn)
        schemas = await connection.fetch("SELECT nspname::text FROM pg_namespace")
        await connection.close()
        found += [name for (name,) in schemas if name.startswith(schema_of(record.uuid))]
    return found


async def test_an_archived_tenant_says_so_and_restoring_its_backup_brings_it_back(deployment: Deployment) -> None:
    record = await furnished(deployment)
    assert await leftovers(deployment, record)

    done = await archive_tenant(deployment, record)
    async with visitor(deployment, "alpha.localhost") as page:
        answer, api = await page.get("/login"), await page.get("/api/v1/customers")
    away = await deployment.registry.get_by_slug("alpha")
    gone = await leftovers(deployment, record)
    findings = {finding.what: finding async for finding in examine(deployment)}
    upgraded, backed_up = await upgrade_all(deployment), await back_up_all(deployment)
    await restore(deployment, Path(done.file))
    async with visitor(deployment, "alpha.localhost") as page:
        back = await page.get("/login")

    assert (answer.status_code, api.status_code) == (503, 503)
    assert "Alpha is archived" in answer.text
    assert (away.status, away.archive, gone) == (TenantStatus.ARCHIVED, done.file, [])
    assert findings["tenant alpha"].state == "ok"
    assert (upgraded, backed_up) == ([], [])
    assert back.status_code == 200
    again = await deployment.registry.get_by_slug("alpha")
    assert (again.uuid, again.status, again.archive) == (record.uuid, TenantStatus.ACTIVE, "")
    async with deployment.scope(again, ME):
        assert await values("SELECT full_name FROM customer") == ["Ada Lovelace"]


async def test_an_archive_whose_backup_is_gone_is_found_by_the_doctor(deployment: Deployment) -> None:
    done = await archive_tenant(deployment, await furnished(deployment))
    Path(done.file).unlink()

    findings = {finding.what: finding async for finding in examine(deployment)}

    assert (findings["tenant alpha"].state, done.file in findings["tenant alpha"].detail) == ("fail", True)


async def test_a_deleted_tenant_leaves_a_backup_and_its_name_is_free(deployment: Deployment) -> None:
    record = await furnished(deployment)

    file = await delete_tenant(deployment, record)
    new = (await made(deployment, "alpha")).record

    assert await leftovers(deployment, record) == []
    assert not deployment.placement.folder(record.uuid).exists()
    assert read_manifest(Path(file)).counts["customer"] == 1
    assert new.uuid != record.uuid
    await restore(deployment, Path(file), copy="ghost")
    async with deployment.scope(await deployment.registry.get_by_slug("ghost"), ME):
        assert await values("SELECT full_name FROM customer") == ["Ada Lovelace"]


async def test_an_archived_tenant_can_be_deleted(deployment: Deployment) -> None:
    done = await archive_tenant(deployment, await furnished(deployment))

    file = await delete_tenant(deployment, await deployment.registry.get_by_slug("alpha"))

    assert (file, Path(file).is_file()) == (done.file, True)
    assert await deployment.registry.list_tenants() == []


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_a_renamed_tenant_answers_at_its_new_address_and_at_the_old_one(deployment: Deployment) -> None:
    record = await furnished(deployment)
    await made(deployment, "beta")

    with pytest.raises(Conflict, match="beta"):
        await rename_tenant(deployment, record, slug="beta")
    await rename_tenant(deployment, record, slug="gamma", name="Gamma Ltd")

    renamed = await deployment.registry.get_by_slug("gamma")
    assert (renamed.uuid, renamed.name, renamed.host) == (record.uuid, "Gamma Ltd", "gamma.localhost")
    for host in ("gamma.localhost", "alpha.localhost"):
        async with visitor(deployment, host) as page:
            assert (await page.get("/login")).status_code == 200
    await rename_tenant(deployment, renamed, slug="alpha")
    assert (await deployment.registry.get_by_slug("alpha")).host == "alpha.localhost"


async def test_each_tenant_has_a_size_a_version_and_a_last_activity(deployment: Deployment) -> None:
    record = await furnished(deployment)

    size = await size_of(deployment, record)

    assert size.database_bytes is not None
    assert size.database_bytes > 100_000
    assert size.files_bytes == 8000
    assert size.schema_version
    assert size.last_activity_at == deployment.clock.now()


@pytest.mark.parametrize("before", TenantStatus)
@pytest.mark.parametrize("after", [TenantStatus.ACTIVE, TenantStatus.SUSPENDED])
@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_a_state_that_does_not_lead_to_another_is_kept(
    deployment: Deployment, before: TenantStatus, after: TenantStatus
) -> None:
    record = await deployment.registry.add(
        new_uuid(), "alpha", "Alpha", ("alpha.localhost",), "sqlite", deployment.clock.now(), status=before
    )
    allowed = before == after or (after in TRANSITIONS[before] and before != TenantStatus.ARCHIVED)

    if allowed:
        may_become(record, after)
    else:
        with pytest.raises(Conflict, match="alpha is"):
            may_become(record, after)


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_the_commands_say_what_they_did(deployment: Deployment, tmp_path: Path) -> None:
    environment = {**environment_of(deployment), "COLUMNS": "200"}

    async def run(*command: str, code: int = 0) -> str:
        ended = await asyncio.to_thread(CliRunner().invoke, main, command, env=environment)
        assert ended.exit_code == code, ended.output
        return ended.output

    await run("tenant", "create", "alpha", "--email", "a@example.net")
    (backup,) = json.loads(await run("tenant", "backup", "alpha", "--to", str(tmp_path / "safe"), "--json"))
    copied = json.loads(await run("tenant", "restore", backup["file"], "--as", "beta", "--json"))
    renamed = await run("tenant", "rename", "beta", "gamma")
    refused = await run("tenant", "delete", "gamma", "--yes", "alpha", code=1)
    deleted = await run("tenant", "delete", "gamma", "--yes", "gamma")
    archived = await run("tenant", "archive", "alpha")
    resumed = await run("tenant", "resume", "alpha", code=1)
    (line,) = json.loads(await run("tenant", "list", "--json"))

    assert Path(backup["file"]).parent == tmp_path / "safe"
    assert copied["slug"] == "beta"
    assert "gamma.localhost" in renamed
    assert "--yes gamma" in refused
    assert "Its last backup is kept" in deleted
    assert "tenantry tenant restore" in archived
    assert "alpha is archived" in resumed
    assert (line["slug"], line["status"], Path(line["archive"]).is_file()) == ("alpha", "archived", True)
    assert {"database_bytes", "files_bytes", "schema_version", "last_activity_at", "placement"} <= line.keys()
