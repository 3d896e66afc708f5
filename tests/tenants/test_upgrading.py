"""Upgrades: what is missing is run after a backup; one tenant that fails stops no other."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.clock import FixedClock
from core.database import SqliteDatabase, bind, execute, prove_owner, run_sql, value
from tenants.status import TenantStatus
from tenants.upgrading import upgrade_all
from tests.hosts import made

if TYPE_CHECKING:
    from core.database import Database
    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord


def migrating(deployment: Deployment, record: TenantRecord) -> Database:
    return deployment.placement.migrating(record)


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


async def test_a_tenant_that_is_current_is_left_as_it_is(deployment: Deployment) -> None:
    record = (await made(deployment, "alpha")).record

    (result,) = await upgrade_all(deployment)

    assert (result.ran, result.error, result.backup) == ((), "", "")
    assert not (deployment.placement.folder(record.uuid) / "backups").exists()
