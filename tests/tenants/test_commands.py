"""What goes wrong at the command line: one clear line, an exit code, and nothing half done."""

from __future__ import annotations

import asyncio
import errno
import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from click.testing import CliRunner

from core.database import DiskFull
from core.database.sqlite import translated
from core.ids import new_uuid
from tenants import pausing
from tenants.backups import locked
from tenants.cli import main
from tenants.pausing import release_abandoned
from tenants.status import TenantStatus
from tenants.upgrading import upgrade_all
from tests.hosts import environment_of, made, visitor

if TYPE_CHECKING:
    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord

on_sqlite: Final = pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pausing, "SETTLING", 0.0)


async def run(deployment: Deployment, *command: str, code: int = 0) -> str:
    environment = {**environment_of(deployment), "COLUMNS": "300"}
    ended = await asyncio.to_thread(CliRunner().invoke, main, command, env=environment)
    assert ended.exit_code == code, ended.output
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.output
    return ended.output


async def half_made(deployment: Deployment, slug: str) -> TenantRecord:
    """As a process leaves one that is killed while it makes it."""
    place = deployment.config.placement.default
    record = await deployment.registry.add(
        new_uuid(), slug, slug.capitalize(), (f"{slug}.localhost",), place, deployment.clock.now()
    )
    await deployment.placement.make_room(record.uuid, place)
    return record


@on_sqlite
async def test_an_archived_tenant_says_how_it_comes_back_whatever_is_asked_of_it(deployment: Deployment) -> None:
    await made(deployment, "alpha")
    await run(deployment, "tenant", "archive", "alpha")
    asked = (
        ("verify", "--tenant", "alpha"),
        ("billing", "run", "--tenant", "alpha"),
        ("token", "create", "--tenant", "alpha", "--name", "x"),
        ("tenant", "link", "alpha", "--email", "a@alpha.example"),
        ("plugin", "enable", "portal", "--tenant", "alpha"),
    )

    said = [await run(deployment, *command, code=1) for command in asked]

    assert ["is archived. It comes back with: tenantry tenant restore /" in one for one in said] == [True] * 5


async def test_a_tenant_whose_making_was_killed_goes_and_its_name_is_free(deployment: Deployment) -> None:
    left, being_made = await half_made(deployment, "alpha"), await half_made(deployment, "beta")

    with locked(deployment, being_made.uuid, "beta"):
        await release_abandoned(deployment)
        upgraded = await upgrade_all(deployment)

    assert [one.slug for one in await deployment.registry.list_tenants()] == ["beta"]
    assert upgraded == []
    assert not deployment.placement.folder(left.uuid).exists()
    await release_abandoned(deployment)
    assert (await made(deployment, "alpha")).record.status == TenantStatus.ACTIVE
    assert [one.slug for one in await deployment.registry.list_tenants()] == ["alpha"]


@on_sqlite
async def test_a_damaged_tenant_can_be_deleted_without_a_backup(deployment: Deployment) -> None:
    record = (await made(deployment, "alpha")).record
    await deployment.leave(record.uuid)
    deployment.placement.file(record.uuid).write_bytes(b"no database" * 1000)

    refused = await run(deployment, "tenant", "delete", "alpha", "--yes", "alpha", code=1)
    deleted = await run(deployment, "tenant", "delete", "alpha", "--yes", "alpha", "--no-backup")

    assert "is damaged" in refused
    assert "--no-backup" in refused
    assert "Nothing of it is left" in deleted
    assert await deployment.registry.list_tenants() == []
    assert not deployment.placement.folder(record.uuid).exists()


@on_sqlite
async def test_a_token_without_a_name_and_names_that_are_too_long_are_refused(deployment: Deployment) -> None:
    await made(deployment, "alpha")

    for name in ("", "  ", "x" * 121):
        assert "name: " in await run(deployment, "token", "create", "--tenant", "alpha", "--name", name, code=1)
    assert "--name: " in await run(deployment, "tenant", "rename", "alpha", "--name", "x" * 201, code=1)
    create = ("tenant", "create", "beta", "--email", "b@beta.example", "--name", "x" * 201)
    assert "name: " in await run(deployment, *create, code=1)
    assert [one.slug for one in await deployment.registry.list_tenants()] == ["alpha"]


@on_sqlite
async def test_a_plugin_that_nobody_has_is_not_said_to_be_off(deployment: Deployment) -> None:
    record = (await made(deployment, "alpha")).record

    assert "There is no plugin “nope”" in await run(
        deployment, "plugin", "disable", "nope", "--tenant", "alpha", code=1
    )

    await deployment.registry.enable_plugin(record.uuid, "gone", deployment.clock.now())
    assert "gone is off for alpha" in await run(deployment, "plugin", "disable", "gone", "--tenant", "alpha")


@on_sqlite
async def test_what_is_exchanged_at_this_moment_is_neither_resumed_nor_suspended(deployment: Deployment) -> None:
    record = (await made(deployment, "alpha")).record
    with locked(deployment, record.uuid, "alpha"):
        await deployment.registry.set_status(record.uuid, TenantStatus.SUSPENDED, pausing.PAUSED)

        for command in ("resume", "suspend"):
            assert "out of use for a moment" in await run(deployment, "tenant", command, "alpha", code=1)


@on_sqlite
async def test_a_test_clock_under_a_name_that_is_taken_says_which(deployment: Deployment) -> None:
    await made(deployment, "alpha")
    await made(deployment, "beta")

    said = await run(deployment, "tenant", "clock", "alpha", "--copy", "beta", code=1)

    assert "There is a tenant “beta” already" in said
    assert "--as" not in said


@on_sqlite
async def test_a_registry_that_cannot_be_opened_is_named_and_the_doctor_says_the_rest(deployment: Deployment) -> None:
    await made(deployment, "alpha")
    await deployment.stop()
    file = deployment.config.data / "control.sqlite"
    for part in file.parent.glob("control.sqlite-*"):
        part.unlink()
    file.write_bytes(b"no database" * 1000)

    listed = await run(deployment, "tenant", "list", code=1)
    found = json.loads(await run(deployment, "doctor", "--json", code=1))

    assert f"{file}, which names all tenants: The database file is damaged" in listed
    assert {one["what"]: one["state"] for one in found} == {
        "keys": "ok",
        "assets": "ok",
        "disk": found[2]["state"],
        "registry": "fail",
    }


def test_a_database_that_cannot_be_opened_for_want_of_room_says_so() -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE

    assert isinstance(translated(error), DiskFull)


@on_sqlite
async def test_a_tenant_has_host_names_of_its_own_and_an_old_one_is_free_when_it_is_removed(
    deployment: Deployment,
) -> None:
    await made(deployment, "alpha")
    await made(deployment, "beta")
    await run(deployment, "tenant", "rename", "alpha", "gamma")

    async def hosts(*options: str, code: int = 0) -> str:
        return await run(deployment, "tenant", "hosts", "gamma", "--json", *options, code=code)

    changed = json.loads(await hosts("--main", "ISP.example.net.", "--add", "www.isp.example.net"))
    taken = await hosts("--add", "beta.localhost", code=1)
    main = await hosts("--remove", "isp.example.net", code=1)
    unknown = await hosts("--remove", "nobody.example.net", code=1)
    impossible = await hosts("--add", "https://isp.example.net", code=1)
    left = json.loads(await hosts("--remove", "alpha.localhost", "--remove", "www.isp.example.net"))
    (_, listed) = json.loads(await run(deployment, "tenant", "list", "--json"))

    assert (changed[0]["host"], changed[0]["main"]) == ("isp.example.net", True)
    assert {one["host"] for one in changed if not one["main"]} == {
        "gamma.localhost",
        "alpha.localhost",
        "www.isp.example.net",
    }
    assert "leads to another tenant already" in taken
    assert "one main host name" in main
    assert "nobody.example.net does not lead to gamma" in unknown
    assert "cannot be a tenant's host name" in impossible
    assert [one["host"] for one in left] == listed["hosts"] == ["isp.example.net", "gamma.localhost"]
    deployment.registry.forget()
    async with visitor(deployment, "isp.example.net") as page:
        assert (await page.get("/login")).status_code == 200
    assert (await made(deployment, "alpha")).record.host == "alpha.localhost"


@on_sqlite
async def test_with_all_tenants_the_registry_is_backed_up(deployment: Deployment, tmp_path: Path) -> None:
    await made(deployment, "alpha")

    results = json.loads(await run(deployment, "tenant", "backup", "--all", "--to", str(tmp_path / "safe"), "--json"))

    assert [one["slug"] for one in results] == ["alpha", "(registry)"]
    copy = Path(results[1]["file"])
    assert copy.parent == tmp_path / "safe"
    assert copy.stat().st_mode & 0o077 == 0
    with sqlite3.connect(copy) as opened:
        assert opened.execute("SELECT slug FROM tenant").fetchall() == [("alpha",)]


def test_a_new_plugin_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_text

    def fills(path: Path, *arguments: object, **options: object) -> int:
        if path.name == "README.md":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, *arguments, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as full:
        full.setattr(Path, "write_text", fills)
        ended = CliRunner().invoke(main, ["plugin", "new", "hello", "--folder", str(tmp_path)])

    assert (ended.exit_code, "There is no room left" in ended.output) == (1, True), ended.output
    assert list(tmp_path.iterdir()) == []
    assert CliRunner().invoke(main, ["plugin", "new", "hello", "--folder", str(tmp_path)]).exit_code == 0
    assert (tmp_path / "tenantry-hello" / "pyproject.toml").is_file()


async def test_backups_are_listed_also_of_a_tenant_that_was_deleted(deployment: Deployment) -> None:
    assert "No backups yet." in await run(deployment, "tenant", "backups")
    for slug in ("alpha", "beta"):
        await made(deployment, slug)
        await run(deployment, "tenant", "backup", slug)
    folder = deployment.config.data / "backups"
    (folder / "beta-20260101T000000000000Z.tar").write_bytes(b"no backup")
    await run(deployment, "tenant", "delete", "alpha", "--yes", "alpha")

    everything = json.loads(await run(deployment, "tenant", "backups", "--json"))
    gone = json.loads(await run(deployment, "tenant", "backups", "alpha", "--json"))
    there = json.loads(await run(deployment, "tenant", "backups", "beta", "--json"))
    unknown = await run(deployment, "tenant", "backups", "gamma", code=1)
    table = await run(deployment, "tenant", "backups", "beta")

    assert {one["file"] for one in everything} == {path.name for path in folder.glob("*.tar")}
    assert {one["slug"] for one in gone} == {"alpha"}
    assert len(gone) == 2
    assert all(one["size"] == (folder / one["file"]).stat().st_size for one in everything)
    assert [bool(one["error"]) for one in there] == [False, True]
    assert "There is no tenant “gamma”" in unknown
    assert there[0]["file"] in table
