"""Upgrades: what is missing is run after a backup; one tenant that fails stops no other."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from core.app import MIGRATIONS
from core.clock import FixedClock
from core.database import DiskFull, SqliteDatabase, bind, execute, pending, prove_owner, run_sql, value, values
from tenants import upgrading
from tenants.backups import worked_on
from tenants.dumping import restore_schema
from tenants.placement import schema_of
from tenants.status import TenantStatus
from tenants.upgrading import upgrade_all, upgrade_tenant
from tests.hosts import environment_of, made, visitor
from tests.tenants.upgrading_process import STEPS

if TYPE_CHECKING:
    from core.database import Database
    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord


def migrating(deployment: Deployment, record: TenantRecord) -> Database:
    return deployment.placement.migrating(record)


async def upgraded(deployment: Deployment, *dying: str) -> tuple[int, dict[str, tuple[int, str]]]:
    """What a process of its own comes to: how it ends, and by tenant how many migrations ran and what went wrong."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.tenants.upgrading_process", *dying),
        env=environment_of(deployment),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(said.splitlines()[-1]) if process.returncode == 0 else {}


async def set_back(deployment: Deployment, record: TenantRecord) -> None:
    """The database as it was before the last feature came."""
    with bind(migrating(deployment, record)):
        await run_sql("DROP TABLE idempotency; DROP TABLE session;")
        await execute("DELETE FROM migration WHERE app = 'web'")


async def test_every_tenant_is_brought_to_the_version_of_the_code_and_one_that_fails_stops_no_other(
    deployment: Deployment,
) -> None:
    records = [(await made(deployment, slug)).record for slug in ("alpha", "beta", "gamma", "delta")]
    broken = records[1]
    for record in records:
        await set_back(deployment, record)
    with bind(migrating(deployment, broken)):
        await run_sql("CREATE TABLE session (id integer)")
    told: list[tuple[int, int]] = []

    results = await upgrade_all(deployment, lambda done, total, one: told.append((done, total)))
    with bind(migrating(deployment, broken)):
        await run_sql("DROP TABLE session")
    assert isinstance(deployment.clock, FixedClock)
    deployment.clock.move(timedelta(minutes=1))
    again = await upgrade_all(deployment)

    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [result.slug for result in results] == [record.slug for record in await deployment.registry.list_tenants()]
    failed = [result for result in results if result.error]
    assert [result.slug for result in failed] == ["beta"]
    assert all(result.ran for result in results if result.slug != "beta")
    assert {result.slug: bool(result.ran) for result in again} == {
        "alpha": False, "beta": True, "gamma": False, "delta": False,
    }  # fmt: skip
    for record in await deployment.registry.list_tenants():
        assert record.status == TenantStatus.ACTIVE
        with bind(deployment.placement.find(record)):
            await prove_owner(record.uuid)
            assert await value("SELECT count(*) FROM session") == 0


async def test_H2_a_version_that_upgrades_none_of_the_first_few_leaves_the_rest_alone(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrading, "AT_ONCE", 1)
    records = [(await made(deployment, slug)).record for slug in ("alpha", "beta", "delta", "gamma", "zeta")]
    for record in records:
        await set_back(deployment, record)
        with bind(migrating(deployment, record)):
            await run_sql("CREATE TABLE session (id integer)")

    results = await upgrade_all(deployment)

    assert ["Not begun" in result.error for result in results] == [False, False, False, True, True]
    statuses = [record.status for record in await deployment.registry.list_tenants()]
    assert statuses == [TenantStatus.FAILED] * 3 + [TenantStatus.ACTIVE] * 2
    for record in records:
        with bind(migrating(deployment, record)):
            await run_sql("DROP TABLE session")
    with bind(migrating(deployment, records[3])):
        await run_sql("CREATE TABLE session (id integer)")

    again = await upgrade_all(deployment)

    assert [bool(result.ran) for result in again] == [True, True, True, False, True]


async def test_a_tenant_whose_upgrade_failed_says_why_until_it_is_mended(deployment: Deployment) -> None:
    record = (await made(deployment, "alpha")).record
    await set_back(deployment, record)
    with bind(migrating(deployment, record)):
        await run_sql("CREATE TABLE session (id integer)")

    await upgrade_all(deployment)

    failed = await deployment.registry.get_by_slug("alpha")
    assert failed.status == TenantStatus.FAILED
    assert "session" in failed.reason


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_the_backup_is_the_database_as_it_was(deployment: Deployment) -> None:
    record = (await made(deployment, "alpha")).record
    await set_back(deployment, record)

    (result,) = await upgrade_all(deployment)

    backup = Path(result.backup)
    assert backup.stat().st_mode & 0o777 == 0o600
    with bind(SqliteDatabase(backup)) as copy:
        assert await value("SELECT email FROM staff") == "admin@alpha.example"
        assert await value("SELECT count(*) FROM sqlite_schema WHERE name = 'session'") == 0
        await copy.close()


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_copies_that_are_older_than_any_way_back_go_with_the_next_upgrade_that_succeeds(
    deployment: Deployment,
) -> None:
    record = (await made(deployment, "alpha")).record
    clock, kept = deployment.clock, deployment.config.placement.keep_upgraded
    assert isinstance(clock, FixedClock)
    for days in (0, 2, kept - 1):
        clock.move(timedelta(days=days))
        await set_back(deployment, record)
        (last,) = await upgrade_all(deployment)
        assert last.ran
    folder = Path(last.backup).parent
    own = folder / "before-upgrade-of-ours.sqlite"
    own.write_text("kept by hand")
    before = sorted(path.name for path in folder.glob("before-upgrade-2*"))

    await set_back(deployment, record)
    with bind(migrating(deployment, record)):
        await run_sql("CREATE TABLE session (id integer)")
    clock.move(timedelta(days=kept * 2))
    (failed,) = await upgrade_all(deployment)
    after_failure = sorted(path.name for path in folder.glob("before-upgrade-2*"))

    assert len(before) == 2, "the first is older, the second by a day not"
    assert failed.error
    assert {*before} < {*after_failure}, "what failed takes nothing away"
    assert own.exists()


async def test_a_tenant_that_is_current_is_left_as_it_is(deployment: Deployment) -> None:
    record = (await made(deployment, "alpha")).record

    (result,) = await upgrade_all(deployment)

    assert (result.ran, result.error, result.backup) == ((), "", "")
    assert not (deployment.placement.folder(record.uuid) / "backups").exists()


@pytest.mark.parametrize("deployment", ["postgresql"], indirect=True)
async def test_one_tenant_on_postgresql_is_dumped_before_its_upgrade_and_all_of_them_only_if_asked(
    deployment: Deployment, tmp_path: Path
) -> None:
    records = [(await made(deployment, slug)).record for slug in ("alpha", "beta")]
    for record in records:
        await set_back(deployment, record)

    alone = await upgrade_tenant(deployment, records[0])
    (_, beta) = await upgrade_all(deployment)
    await set_back(deployment, records[1])
    (_, asked) = await upgrade_all(deployment, dump=True)

    assert (bool(alone.ran), bool(beta.ran), beta.backup) == (True, True, "")
    assert Path(asked.backup).stat().st_size > 10_000
    dump = Path(alone.backup)
    assert dump.parent == deployment.placement.folder(records[0].uuid) / "backups"
    assert dump.stat().st_mode & 0o777 == 0o600
    owner = deployment.config.databases["main"].owner_dsn
    await restore_schema(owner, dump, schema_of(records[0].uuid), "as_it_was")
    connection = await asyncpg.connect(owner)
    tables = {name for (name,) in await connection.fetch(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'as_it_was'")}  # fmt: skip
    assert await connection.fetchval("SELECT email FROM as_it_was.staff") == "admin@alpha.example"
    await connection.close()
    assert "customer" in tables
    assert "session" not in tables


async def test_the_way_back_that_the_guide_names_leads_back(deployment: Deployment) -> None:
    record = (await made(deployment, "alpha")).record
    await set_back(deployment, record)
    backup = Path((await upgrade_tenant(deployment, record)).backup)
    with bind(migrating(deployment, record)):
        await run_sql("CREATE TABLE newer (id bigint)")
        await execute("INSERT INTO migration VALUES ('web', '2099-01-01T00:00:00', '1', 'a later one', '2099-01-01')")
    refused = await upgrade_tenant(deployment, record)
    await deployment.leave(record.uuid)

    guide = (
        (Path(__file__).parents[2] / "docs/hosting.md").read_text(encoding="utf-8").split("    cd var/tenants/UUID")[1]
    )
    of_a_file, of_a_schema = guide.split("\n\n")[:2]
    lines = of_a_file.partition("\n")[2]
    if record.placement != "sqlite":
        lines = of_a_schema.replace("OWNER_DSN", deployment.config.databases["main"].owner_dsn)
    subprocess.run(
        ["sh", "-eu", "-c", lines.replace("before-upgrade-INSTANT", backup.stem)],
        cwd=deployment.placement.folder(record.uuid),
        check=True,
        capture_output=True,
    )
    failed = await deployment.registry.get_by_slug("alpha")
    upgraded_again = await upgrade_tenant(deployment, failed)

    assert refused.error.startswith("SchemaTooNew")
    assert (upgraded_again.error, bool(upgraded_again.ran)) == ("", True)
    async with visitor(deployment, "alpha.localhost") as browser:
        assert (await browser.get("/login")).status_code == 200
    with bind(deployment.placement.find(record)):
        assert await values("SELECT email FROM staff") == ["admin@alpha.example"]


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_a_tenant_that_another_process_writes_to_for_long_is_served_and_upgraded_after_that(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.database.sqlite.PATIENCE", 0.1)
    current, behind = [(await made(deployment, slug)).record for slug in ("alpha", "beta")]
    await set_back(deployment, behind)
    writers = []
    for record in (current, behind):
        database = migrating(deployment, record)
        assert isinstance(database, SqliteDatabase)
        writers.append(sqlite3.connect(database.path, isolation_level=None))
        writers[-1].execute("BEGIN IMMEDIATE")

    looked_at = await upgrade_tenant(deployment, current)
    waiting = asyncio.create_task(upgrade_tenant(deployment, behind))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    for writer in writers:
        writer.close()
    upgraded_then = await waiting

    assert (looked_at.ran, looked_at.error) == ((), "")
    assert (bool(upgraded_then.ran), upgraded_then.error) == (True, "")
    assert {record.status for record in await deployment.registry.list_tenants()} == {TenantStatus.ACTIVE}


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_a_full_disk_is_no_writer_that_is_waited_for(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    async def full(apps: object) -> list[str]:
        tried.append(apps)
        raise DiskFull

    record = (await made(deployment, "alpha")).record
    await set_back(deployment, record)
    monkeypatch.setattr(upgrading, "PATIENCE", 1.0)
    monkeypatch.setattr(upgrading, "migrate", full)

    failed = await upgrade_tenant(deployment, record)

    assert (len(tried), failed.error) == (1, f"DiskFull: {DiskFull()}")


async def test_an_upgrade_waits_for_a_backup_under_way_and_is_no_failure_of_the_tenant(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = (await made(deployment, "alpha")).record
    await set_back(deployment, record)

    with worked_on(deployment, record):
        monkeypatch.setattr(upgrading, "PATIENCE", 0.1)
        (busy,) = await upgrade_all(deployment)
        monkeypatch.setattr(upgrading, "PATIENCE", 60.0)
        waiting = asyncio.create_task(upgrade_all(deployment))
        await asyncio.sleep(0.5)
        assert not waiting.done()
    (result,) = await waiting

    assert "Somebody else" in busy.error
    assert result.ran
    assert (await deployment.registry.get_by_slug("alpha")).status == TenantStatus.ACTIVE


async def killed_while_upgrading(
    deployment: Deployment, tenants: int, kills: list[tuple[str, int]], *, broken: int
) -> None:
    """So many tenants, the one of that number with a migration that cannot run; killed again and again, then left to
    end. Two are upgraded at a time: the kills before `broken` is marked must not reach as far as it.
    """
    bad = f"isp-{broken}"
    records = [(await made(deployment, f"isp-{number}")).record for number in range(tenants)]
    for record in records:
        await set_back(deployment, record)
        if record.slug == bad:
            with bind(migrating(deployment, record)):
                await run_sql("CREATE TABLE session (id integer)")
    before = await upgraded_so_far(deployment)
    assert before == set()
    killed = 0

    for step, times in kills:
        code, _ = await upgraded(deployment, step, str(times))
        now = await upgraded_so_far(deployment)
        assert before <= now, "what was upgraded stays so"
        assert bad not in now
        print(f"{step}: ended with {code}, {len(now)} of {tenants} done")
        before, killed = now, killed + (code == -signal.SIGKILL)
    assert killed == len(kills)
    code, results = await upgraded(deployment)

    assert code == 0
    assert {slug for slug, (_, error) in results.items() if error} == {bad}
    assert {slug for slug, (ran, _) in results.items() if ran}.isdisjoint(before), "nothing is run twice"
    assert await upgraded_so_far(deployment) == {record.slug for record in records} - {bad}
    deployment.registry.forget()
    deployment.forget_all()
    for record in await deployment.registry.list_tenants():
        well = record.slug != bad
        assert record.status == (TenantStatus.ACTIVE if well else TenantStatus.FAILED)
        async with visitor(deployment, record.host) as page:
            assert (await page.get("/login")).status_code == (200 if well else 503)
        with bind(deployment.placement.find(record)):
            await prove_owner(record.uuid)
            assert await values("SELECT email FROM staff") == [f"admin@{record.slug}.example"]
    with bind(migrating(deployment, await deployment.registry.get_by_slug(bad))):
        await run_sql("DROP TABLE session")
    _, mended = await upgraded(deployment)
    assert [slug for slug, (ran, _) in mended.items() if ran] == [bad]
    deployment.registry.forget()
    async with visitor(deployment, f"{bad}.localhost") as page:
        assert (await page.get("/login")).status_code == 200


async def upgraded_so_far(deployment: Deployment) -> set[str]:
    """Each tenant's database is as it was or of the new version, nothing between; those of the new one."""
    done = set()
    for record in await deployment.registry.list_tenants():
        with bind(migrating(deployment, record)):
            if not await pending(MIGRATIONS):
                assert await value("SELECT count(*) FROM idempotency") == 0
                done.add(record.slug)
            else:
                with pytest.raises(Exception, match="idempotency"):
                    await value("SELECT count(*) FROM idempotency")
        await deployment.placement.forget(record.uuid)
    return done


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_an_upgrade_that_is_killed_goes_on_where_it_was(deployment: Deployment) -> None:
    steps = [("in the middle of a migration", 2), ("upgraded", 1), ("one is marked as failed", 1)]

    await killed_while_upgrading(deployment, 6, steps, broken=4)


@pytest.mark.long
@pytest.mark.timeout(3000)
async def test_H2_of_a_hundred_tenants_99_are_upgraded_however_often_it_is_killed(deployment: Deployment) -> None:
    chance = random.Random(5)
    often = [(step, chance.randint(1, 9)) for step in STEPS if "failed" not in step]
    once = [(step, 1) for step in STEPS if "failed" in step]  # it is marked once

    await killed_while_upgrading(deployment, 100, [*often, *once, *often], broken=50)
