"""Backups: whole or not at all, made while the tenant is being used, and told apart from what only looks like one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.customers import actions as customers
from core.customers.schemas import NewCustomer
from core.database import bind, value
from core.documents.files import store_file
from core.errors import Conflict, Unavailable
from core.scope import command_actor
from tenants import dumping
from tenants.archives import read_manifest
from tenants.backups import back_up, back_up_all, worked_on
from tenants.status import TenantStatus
from tests.hosts import environment_of, made

if TYPE_CHECKING:
    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord

ME = command_actor("test")


async def furnished(deployment: Deployment, slug: str = "alpha") -> TenantRecord:
    """A tenant with a customer and a stored file of some size."""
    record = (await made(deployment, slug)).record
    async with deployment.scope(record, ME) as scope:
        await customers.create_customer(scope, NewCustomer(full_name="Ada Lovelace"))
        await store_file(scope, b"contract" * 1000, name="contract.txt", media_type="text/plain")
    return record


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_backup_holds_the_database_the_files_and_what_they_are(deployment: Deployment) -> None:
    record = await furnished(deployment)

    done = await back_up(deployment, record)

    file = Path(done.file)
    assert file.parent == deployment.config.data / "backups"
    assert file.stat().st_mode & 0o777 == 0o600
    manifest = read_manifest(file)
    assert (manifest.uuid, manifest.slug, manifest.hosts) == (record.uuid, "alpha", ("alpha.localhost",))
    assert (manifest.counts["customer"], manifest.counts["stored_file"]) == (1, 1)
    assert len(manifest.members) == 2
    with tarfile.open(file) as tar:
        for member in manifest.members:
            data = tar.extractfile(member.name)
            assert data is not None
            assert sha256(data.read()).hexdigest() == member.sha256
    assert names(deployment.config.data / "working") == [f"{record.uuid}.lock"]


async def test_all_are_backed_up_and_one_that_fails_stops_no_other(deployment: Deployment) -> None:
    records = [await furnished(deployment, slug) for slug in ("alpha", "beta", "gamma")]
    told: list[tuple[int, int]] = []

    with worked_on(deployment, records[1]):
        results = await back_up_all(deployment, told=lambda done, total, one: told.append((done, total)))

    assert told == [(1, 3), (2, 3), (3, 3)]
    assert [(result.slug, bool(result.error)) for result in results] == [
        ("alpha", False), ("beta", True), ("gamma", False),
    ]  # fmt: skip
    assert "Somebody else" in results[1].error


async def test_a_tenant_that_is_being_made_has_no_backup(deployment: Deployment) -> None:
    record = await furnished(deployment)
    await deployment.registry.set_status(record.uuid, TenantStatus.CREATING)

    with pytest.raises(Conflict, match="nothing to back up"):
        await back_up(deployment, await deployment.registry.get_by_slug("alpha"))


async def test_a_file_that_is_gone_from_the_disk_is_counted_and_the_rest_is_kept(deployment: Deployment) -> None:
    record = await furnished(deployment)
    (lost,) = (deployment.placement.folder(record.uuid) / "files").glob("??/*")
    lost.unlink()

    done = await back_up(deployment, record)

    assert done.missing == 1
    assert read_manifest(Path(done.file)).missing == (lost.name,)


async def test_who_is_interrupted_leaves_nothing_half_made(deployment: Deployment) -> None:
    record = await furnished(deployment)
    async with deployment.scope(record, ME) as scope:
        for number in range(60):
            await store_file(scope, bytes([number]) * 200_000, name="x", media_type="text/plain")
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    backing_up = asyncio.create_task(
        back_up(deployment, record, told=lambda done, total: loop.call_soon_threadsafe(begun.set) and None)
    )
    await asyncio.wait_for(begun.wait(), 20)
    backing_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await backing_up

    assert names(deployment.config.data / "backups") == []
    assert not (deployment.config.data / "working" / str(record.uuid)).exists()


@pytest.mark.slow
async def test_a_process_that_is_killed_leaves_no_backup_and_the_next_one_clears_up(deployment: Deployment) -> None:
    record = await furnished(deployment)
    async with deployment.scope(record, ME) as scope:
        for number in range(100):
            await store_file(scope, bytes([number]) * 400_000, name="x", media_type="text/plain")
    folder = deployment.config.data / "backups"

    process = subprocess.Popen(
        [sys.executable, "-m", "tenants.cli", "tenant", "backup", "alpha", "--json"],
        env=environment_of(deployment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        while process.poll() is None and not list(folder.glob(".*.part")):
            await asyncio.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert process.returncode == -signal.SIGKILL
    assert list(folder.glob("*.tar")) == []
    with bind(deployment.placement.find(record)):
        assert await value("SELECT count(*) FROM stored_file") == 101
    done = await back_up(deployment, record)
    assert names(folder) == [Path(done.file).name]
    assert names(deployment.config.data / "working") == [f"{record.uuid}.lock"]


async def test_a_full_disk_is_said_in_one_line_and_leaves_nothing(deployment: Deployment) -> None:
    record = await furnished(deployment)
    async with deployment.scope(record, ME) as scope:
        await store_file(scope, os.urandom(9_000_000), name="x", media_type="text/plain")

    ended = await asyncio.to_thread(
        subprocess.run,
        [
            sys.executable,
            "-c",
            "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8_000_000, 8_000_000));"
            "from tenants.cli import main; main(['tenant', 'backup', 'alpha'])",
        ],
        env=environment_of(deployment),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        f"tenantry: No backup of alpha: There is no room left in {deployment.config.data / 'backups'}."
        " Nothing was changed."
    ]
    assert names(deployment.config.data / "backups") == []
    assert (await back_up(deployment, record)).error == ""


@pytest.mark.parametrize("deployment", ["postgresql"], indirect=True)
async def test_a_machine_without_pg_dump_is_told_what_to_install(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await furnished(deployment)
    monkeypatch.setattr(dumping.shutil, "which", lambda name: None)

    with pytest.raises(Unavailable, match=r"pg_dump is missing.*postgresql-client"):
        await back_up(deployment, record)
