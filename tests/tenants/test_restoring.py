"""Restoring: what was backed up is there again, proven, and until the last step everything is as it was."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import pytest
from msgspec import Struct

from core.billing.verify import verify
from core.customers import actions as customers
from core.customers.schemas import NewCustomer
from core.database import bind, execute, run_sql, transaction, value, values
from core.documents.files import damaged_files, store_file
from core.errors import Conflict, Invalid
from core.jobs.actions import enqueue
from core.jobs.kinds import Job, JobKind
from core.scope import Scope, command_actor
from tenants import pausing
from tenants.archives import read_manifest
from tenants.backups import back_up
from tenants.demo import fill
from tenants.deployment import Deployment
from tenants.pausing import PAUSED
from tenants.placement import schema_of
from tenants.restoring import RESTORING, restore
from tenants.status import TenantStatus
from tests.databases import APP
from tests.hosts import environment_of, made, visitor
from tests.tenants.test_spares import described

if TYPE_CHECKING:
    from tenants.registry import TenantRecord

ME = command_actor("test")


class Letter(Struct, frozen=True):
    """Something that is sent."""

    to: str


async def post(scope: Scope, job: Job[Letter]) -> None:
    """Sends it."""


POST = JobKind("test_post", Letter, post, policy="once")
TIDY = JobKind("test_tidy", Letter, post)


@pytest.fixture(autouse=True)
def settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process serves these tenants: nobody needs to be waited for."""
    monkeypatch.setattr(pausing, "SETTLING", 0.0)


async def furnished(deployment: Deployment, slug: str = "alpha") -> TenantRecord:
    """A tenant with a customer, a stored file, and work of both kinds that waits."""
    record = (await made(deployment, slug)).record
    async with deployment.scope(record, ME) as scope:
        await customers.create_customer(scope, NewCustomer(full_name="Ada Lovelace"))
        await store_file(scope, b"contract" * 1000, name="contract.txt", media_type="text/plain")
        for kind in (POST, TIDY):
            await enqueue(scope, kind, Letter("ada@example.net"))
    return record


async def sound(deployment: Deployment, slug: str) -> None:
    """The tenant is served, and right."""
    async with visitor(deployment, f"{slug}.localhost") as page:
        assert (await page.get("/login")).status_code == 200
    await right(deployment, slug)


async def right(deployment: Deployment, slug: str) -> None:
    """Its books are right, its files are there."""
    async with deployment.scope(await deployment.registry.get_by_slug(slug), ME) as scope:
        assert await verify(scope, thorough=True) == []
        assert await damaged_files(scope) == []


async def names_of(deployment: Deployment, slug: str) -> list[str]:
    async with deployment.scope(await deployment.registry.get_by_slug(slug), ME):
        return await values("SELECT full_name FROM customer ORDER BY id")


async def lose(deployment: Deployment, record: TenantRecord) -> None:
    """The tenant is gone, registry and all."""
    await deployment.placement.remove(record.uuid, record.placement)
    await deployment.registry.remove(record.uuid)
    deployment.forget_all()


async def test_a_tenant_that_is_gone_is_there_again_as_it_was(deployment: Deployment) -> None:
    record = await furnished(deployment)
    backup = await back_up(deployment, record)
    await lose(deployment, record)

    done = await restore(deployment, Path(backup.file))

    assert (done.slug, done.uuid, done.ran, done.held) == ("alpha", record.uuid, (), 1)
    assert await names_of(deployment, "alpha") == ["Ada Lovelace"]
    await sound(deployment, "alpha")


async def test_what_would_be_sent_is_held_and_what_was_being_sent_is_for_a_person(deployment: Deployment) -> None:
    record = await furnished(deployment)
    async with deployment.scope(record, ME) as scope:
        await enqueue(scope, POST, Letter("under way"))
        await enqueue(scope, POST, Letter("begun"))
        async with transaction():
            for to, state in (("under way", "sending"), ("begun", "running")):
                await execute(
                    "UPDATE job SET state = :state, lease_until = :until WHERE payload LIKE :to",
                    state=state,
                    until=scope.now(),
                    to=f"%{to}%",
                )
    backup = await back_up(deployment, record)

    await restore(deployment, Path(backup.file), copy="beta")

    async with deployment.scope(await deployment.registry.get_by_slug("beta"), ME):
        states = await values("SELECT state FROM job WHERE kind IN ('test_post', 'test_tidy') ORDER BY id")
    assert states == ["held", "waiting", "unknown", "held"]


async def test_a_copy_is_a_tenant_of_its_own(deployment: Deployment) -> None:
    record = await furnished(deployment)
    backup = await back_up(deployment, record)

    done = await restore(deployment, Path(backup.file), copy="beta")
    async with deployment.scope(await deployment.registry.get_by_slug("beta"), ME) as scope:
        await customers.create_customer(scope, NewCustomer(full_name="Only Beta's"))

    assert done.uuid != record.uuid
    assert await names_of(deployment, "alpha") == ["Ada Lovelace"]
    assert await names_of(deployment, "beta") == ["Ada Lovelace", "Only Beta's"]
    await sound(deployment, "alpha")
    await sound(deployment, "beta")


@pytest.mark.parametrize("deployment", ["postgresql"], indirect=True)
async def test_a_restored_schema_has_the_same_rights_and_structure(deployment: Deployment) -> None:
    record = await furnished(deployment)
    backup = await back_up(deployment, record)

    done = await restore(deployment, Path(backup.file), copy="beta")

    server = urlsplit(deployment.config.databases["main"].owner_dsn).path[1:]
    wanted, found = await described(server, schema_of(record.uuid)), await described(server, schema_of(done.uuid))
    structure = [what for what in wanted if not what.startswith("rows of")]
    assert f"{APP}=" in str(wanted["relations"])
    for what in structure:
        # Brackets that make no difference are not kept by a dump.
        bare, wanted_bare = ({one.replace("(", "").replace(")", "") for one in each[what]} for each in (found, wanted))
        assert bare == wanted_bare, what
    assert found["rows of customer"] == wanted["rows of customer"]


@pytest.mark.parametrize("deployment", ["postgresql"], indirect=True)
async def test_what_runs_by_the_owners_rights_is_for_the_application_alone(deployment: Deployment) -> None:
    alpha = (await made(deployment, "alpha")).record
    file = Path((await back_up(deployment, alpha)).file)
    beta = await deployment.registry.get_by_slug((await restore(deployment, file, copy="beta")).slug)

    connection = await asyncpg.connect(deployment.config.databases["main"].app_dsn)
    try:
        for record in (alpha, beta):
            found = await connection.fetch(
                """
                SELECT proname::text, has_function_privilege(oid, 'EXECUTE'),
                       EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)
                FROM pg_proc WHERE prosecdef AND pronamespace = $1::regnamespace ORDER BY 1
                """,
                schema_of(record.uuid, record.generation),
            )
            assert [tuple(each) for each in found] == [
                ("analyze_tables", True, False),
                ("customer_search_sort_in", True, False),
            ]
    finally:
        await connection.close()


async def test_one_that_is_still_there_is_replaced_only_when_asked_and_after_a_backup(deployment: Deployment) -> None:
    record = await furnished(deployment)
    backup = await back_up(deployment, record)
    async with deployment.scope(record, ME) as scope:
        await customers.create_customer(scope, NewCustomer(full_name="Grace Hopper"))
        await store_file(scope, b"later" * 1000, name="later.txt", media_type="text/plain")
    other = Deployment(deployment.config, clock=deployment.clock)
    await other.start()
    assert await names_of(other, "alpha") == ["Ada Lovelace", "Grace Hopper"]

    with pytest.raises(Conflict, match="still there"):
        await restore(deployment, Path(backup.file))
    done = await restore(deployment, Path(backup.file), replace=True)

    assert await names_of(deployment, "alpha") == await names_of(other, "alpha") == ["Ada Lovelace"]
    await sound(deployment, "alpha")
    await sound(other, "alpha")
    await other.stop()
    assert read_manifest(Path(done.backup)).counts["customer"] == 2
    await restore(deployment, Path(done.backup), replace=True)
    assert await names_of(deployment, "alpha") == ["Ada Lovelace", "Grace Hopper"]
    await sound(deployment, "alpha")


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_a_damaged_tenant_is_replaced_without_a_backup_of_it(deployment: Deployment) -> None:
    record = await furnished(deployment)
    backup = await back_up(deployment, record)
    await deployment.placement.forget(record.uuid)
    deployment.placement.file(record.uuid).write_bytes(b"not a database" * 1000)

    await restore(deployment, Path(backup.file), replace=True, back_up=False)

    await sound(deployment, "alpha")


def state_of(deployment: Deployment) -> list[str]:
    return sorted(
        str(path.relative_to(deployment.config.data))
        for path in deployment.config.data.rglob("*")
        if path.is_file() and path.suffix not in {".lock", ".sqlite-wal", ".sqlite-shm"} and "-wal" not in path.name
    )


@pytest.mark.parametrize("fault", ["cut off", "cut at a file", "changed", "manifest", "not one", "file too many"])
async def test_what_is_not_whole_is_refused_before_anything_is_touched(deployment: Deployment, fault: str) -> None:
    record = await furnished(deployment)
    file = Path((await back_up(deployment, record)).file)
    data = bytearray(file.read_bytes())
    if fault == "cut off":
        data = data[: len(data) // 2]
    elif fault == "cut at a file":
        with tarfile.open(file) as tar:
            data = data[: tar.getmembers()[1].offset]
    elif fault == "changed":
        with tarfile.open(file) as tar:
            data[tar.getmembers()[1].offset_data + 100] ^= 1
    elif fault == "manifest":
        data = bytearray(bytes(data).replace(b'"slug": "alpha"', b'"slug": alpha"  '))
    elif fault == "not one":
        data = bytearray(b"no tar at all" * 1000)
    file.write_bytes(data)
    if fault == "file too many":
        with tarfile.open(file) as tar:
            kept = [(one, tar.extractfile(one).read()) for one in tar.getmembers()]  # type: ignore[union-attr]  # all are files
        with tarfile.open(file, "w") as tar:
            extra = tarfile.TarInfo("files/../../evil")
            for info, content in [*kept[:-1], (extra, b""), kept[-1]]:
                tar.addfile(info, BytesIO(content))
    before = state_of(deployment)

    for how in ({"copy": "beta"}, {"replace": True}):
        with pytest.raises(Invalid, match="cannot be restored"):
            await restore(deployment, file, **how)  # type: ignore[arg-type]  # one option or the other

    assert state_of(deployment) == before
    assert [one.slug for one in await deployment.registry.list_tenants()] == ["alpha"]
    await sound(deployment, "alpha")


async def test_an_older_backup_is_brought_up_to_date(deployment: Deployment) -> None:
    record = await furnished(deployment)
    with bind(deployment.placement.migrating(record)):
        await run_sql("DROP TABLE idempotency; DROP TABLE session;")
        await execute("DELETE FROM migration WHERE app = 'web'")
    backup = await back_up(deployment, record)

    done = await restore(deployment, Path(backup.file), copy="beta")

    assert done.ran
    await sound(deployment, "beta")


async def test_a_newer_backup_is_refused(deployment: Deployment) -> None:
    record = await furnished(deployment)
    with bind(deployment.placement.migrating(record)):
        await execute(
            "INSERT INTO migration (app, id, version, description, run_at)"
            " SELECT app, '2099-01-01T00:00:00', max(version), 'later', max(run_at) FROM migration WHERE app = 'web'"
            " GROUP BY app"
        )
    backup = await back_up(deployment, record)

    with pytest.raises(Conflict, match=r"newer version of Tenantry.*web 2099-01-01"):
        await restore(deployment, Path(backup.file), copy="beta")

    assert await deployment.registry.find_by_slug("beta") is None


async def test_a_short_name_or_a_host_that_is_taken_is_refused(deployment: Deployment) -> None:
    record = await furnished(deployment)
    backup = await back_up(deployment, record)
    await lose(deployment, record)
    await made(deployment, "alpha")

    with pytest.raises(Conflict, match="another tenant"):
        await restore(deployment, Path(backup.file))


@pytest.mark.parametrize("deployment", ["postgresql"], indirect=True)
async def test_a_backup_of_one_kind_of_database_is_not_restored_into_the_other(deployment: Deployment) -> None:
    record = await furnished(deployment)
    backup = await back_up(deployment, record)

    with pytest.raises(Conflict, match="PostgreSQL tenant: it cannot be restored into “sqlite”"):
        await restore(deployment, Path(backup.file), copy="beta", placement="sqlite")


@pytest.mark.parametrize("deployment", ["postgresql"], indirect=True)
async def test_a_schema_that_the_registry_does_not_know_is_left_alone(deployment: Deployment) -> None:
    record = await furnished(deployment)
    backup = await back_up(deployment, record)
    await deployment.registry.remove(record.uuid)

    with pytest.raises(Conflict, match="knows no tenant"):
        await restore(deployment, Path(backup.file))

    with bind(deployment.placement.find(record)):
        assert await value("SELECT count(*) FROM customer") == 1


async def backed_up_while_written(deployment: Deployment, number_of: int) -> None:
    """So many backups while another process writes; each is restored as a copy and proven."""
    record = (await made(deployment, "alpha")).record
    other = Deployment(deployment.config, clock=deployment.clock)
    await other.start()
    stop = asyncio.Event()

    async with other.scope(record, ME) as scope:
        await fill(scope, 40, seed=1)

    async def write() -> None:
        async with other.scope(record, ME) as scope:
            number = 0
            while not stop.is_set():
                number += 1
                await customers.create_customer(scope, NewCustomer(full_name=f"Customer {number}"))
                await store_file(scope, os.urandom(3000), name="x", media_type="text/plain")

    writing = asyncio.create_task(write())
    backups = []
    while len(backups) < number_of:
        await asyncio.sleep(0.1)
        backups.append(await back_up(deployment, record))
    stop.set()
    await writing
    await other.stop()

    counts = [sum(read_manifest(Path(backup.file)).counts.values()) for backup in backups]
    assert counts == sorted(set(counts)), "each was made at another state of the tenant"
    for number, backup in enumerate(backups):
        assert backup.missing == 0
        await restore(deployment, Path(backup.file), copy=f"copy-{number}")
        await right(deployment, f"copy-{number}")


@pytest.mark.slow
async def test_backups_made_while_it_is_written_are_each_a_sound_tenant(deployment: Deployment) -> None:
    await backed_up_while_written(deployment, 2)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_fifty_backups_made_while_it_is_written_are_each_a_sound_tenant(deployment: Deployment) -> None:
    await backed_up_while_written(deployment, 50)


@pytest.mark.parametrize("deployment", ["postgresql"], indirect=True)
async def test_copies_of_one_backup_can_be_made_at_the_same_time(deployment: Deployment) -> None:
    record = await furnished(deployment)
    backup = await back_up(deployment, record)

    await asyncio.gather(*(restore(deployment, Path(backup.file), copy=slug) for slug in ("beta", "gamma", "delta")))

    for slug in ("alpha", "beta", "gamma", "delta"):
        assert await names_of(deployment, slug) == ["Ada Lovelace"]


@pytest.mark.parametrize("deployment", ["postgresql"], indirect=True)
async def test_what_goes_on_in_the_server_after_a_kill_is_ended_by_the_next_restore(deployment: Deployment) -> None:
    record = await furnished(deployment)
    backup = await back_up(deployment, record)
    left = await asyncpg.connect(
        deployment.config.databases["main"].owner_dsn,
        server_settings={"application_name": f"{RESTORING}{record.uuid.hex}"},
    )
    at_work = left.transaction()
    await at_work.start()
    await left.execute(f'ALTER SCHEMA "{schema_of(record.uuid)}" RENAME TO aside')

    async with asyncio.timeout(100):  # what it would wait for never ends
        await restore(deployment, Path(backup.file), replace=True)

    assert left.is_closed()
    assert await names_of(deployment, "alpha") == ["Ada Lovelace"]


async def killed_while_restored(deployment: Deployment, times: int) -> None:
    record = await furnished(deployment)
    async with deployment.scope(record, ME) as scope:
        for number in range(20):
            await store_file(scope, bytes([number]) * 100_000, name="x", media_type="text/plain")
    backup = await back_up(deployment, record)
    async with deployment.scope(record, ME) as scope:
        await customers.create_customer(scope, NewCustomer(full_name="Grace Hopper"))
    killed, chance, lasts = 0, random.Random(7), 2.5

    while killed < times:
        process = subprocess.Popen(
            [sys.executable, "-m", "tenants.cli", "tenant", "restore", backup.file, "--replace", "--json"],
            env=environment_of(deployment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        staging = deployment.config.data / "working" / str(record.uuid)
        async with asyncio.timeout(60):
            while process.poll() is None and not staging.exists():
                await asyncio.sleep(0.002)
        await asyncio.sleep(chance.random() * lasts)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if process.returncode == -signal.SIGKILL:
            killed += 1
        else:
            assert process.returncode == 0
            lasts *= 0.6  # it was over before that: this machine is quicker

        again = Deployment(deployment.config, clock=deployment.clock)
        await again.start()
        assert (await again.registry.get_by_slug("alpha")).status == TenantStatus.ACTIVE
        assert await names_of(again, "alpha") in (["Ada Lovelace"], ["Ada Lovelace", "Grace Hopper"])
        await sound(again, "alpha")
        await again.stop()

    deployment.registry.forget()
    await restore(deployment, Path(backup.file), replace=True)
    assert await names_of(deployment, "alpha") == ["Ada Lovelace"]
    await sound(deployment, "alpha")


@pytest.mark.slow
async def test_a_restore_that_is_killed_leaves_the_tenant_as_it_was_or_as_the_backup(deployment: Deployment) -> None:
    await killed_while_restored(deployment, 2)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_restore_that_is_killed_twenty_times(deployment: Deployment) -> None:
    await killed_while_restored(deployment, 20)


async def test_a_full_disk_is_said_in_one_line_and_nothing_is_changed(deployment: Deployment) -> None:
    record = await furnished(deployment)
    async with deployment.scope(record, ME) as scope:
        await store_file(scope, os.urandom(9_000_000), name="x", media_type="text/plain")
    backup = await back_up(deployment, record)
    before = state_of(deployment)

    ended = await asyncio.to_thread(
        subprocess.run,
        [
            sys.executable,
            "-c",
            "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (8_000_000, 8_000_000));"
            "from tenants.cli import main; main(['tenant', 'restore', sys.argv[1], '--as', 'beta'])",
            backup.file,
        ],
        env=environment_of(deployment),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("tenantry: There is no room left in")
    assert state_of(deployment) == before
    assert await deployment.registry.find_by_slug("beta") is None


async def test_work_that_does_not_end_stops_the_exchange_and_the_tenant_goes_on(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pausing, "WORK_ENDS_WITHIN", 0.0)
    record = await furnished(deployment)
    backup = await back_up(deployment, record)
    with bind(deployment.placement.find(record)):
        async with transaction():
            await execute("UPDATE job SET state = 'running', lease_until = '2099-01-01T00:00:00+00:00'"
                          " WHERE kind = 'test_tidy'")  # fmt: skip

    with pytest.raises(Conflict, match=r"at work \(test_tidy\)"):
        await restore(deployment, Path(backup.file), replace=True)

    await sound(deployment, "alpha")
    assert (await deployment.registry.get_by_slug("alpha")).generation == 0


async def test_one_left_out_of_use_by_a_process_that_died_is_served_again(deployment: Deployment) -> None:
    record = await furnished(deployment)
    await deployment.registry.set_status(record.uuid, TenantStatus.SUSPENDED, PAUSED)

    again = Deployment(deployment.config, clock=deployment.clock)
    await again.start()

    await sound(again, "alpha")
    await again.stop()
