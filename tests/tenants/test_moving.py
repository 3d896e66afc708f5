"""Moving a tenant: it is used meanwhile, nothing of it is lost or doubled, and it is always whole in one place."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from click.testing import CliRunner
from msgspec import Struct

from core.activity.actions import enable_reader
from core.activity.delivery import Line
from core.activity.unit import unit_of_work
from core.billing.verify import verify
from core.clock import Clock, FixedClock, SystemClock
from core.config import load_config
from core.customers import actions as customers
from core.customers.schemas import NewCustomer
from core.database import (
    BrokenReference,
    Database,
    PostgresDatabase,
    Refused,
    SqliteDatabase,
    bind,
    execute,
    provision_schema,
    run_sql,
    transaction,
    value,
    values,
)
from core.database.copying import counters, layouts
from core.database.errors import ClosedForWrites
from core.documents.files import store_file
from core.errors import Conflict, DomainError, Unavailable
from core.jobs.actions import enqueue
from core.jobs.kinds import Job, JobKind
from core.jobs.worker import Work, Worker
from core.scope import Scope, command_actor
from core.staff.actions import create_token
from core.staff.schemas import NewToken
from core.testing import START
from tenants import moving, pausing
from tenants.backups import worked_on
from tenants.cli import main
from tenants.demo import fill
from tenants.deployment import Deployment
from tenants.doctor import examine
from tenants.ending import archive_tenant
from tenants.moving import move_tenant, tidy
from tenants.placement import schema_of
from tenants.plugins import disable_plugin, enable_plugin
from tenants.status import MOVING, TenantStatus
from tenants.working import HostOfWork
from tests.databases import APP, OWNER, dsn, postgres_database
from tests.hosts import environment_of, made, visitor
from tests.tenants.moving_process import STEPS

if TYPE_CHECKING:
    from tenants.registry import TenantRecord

ME = command_actor("test")
PLACES = ("sqlite", "main", "other")
WAYS = [("sqlite", "main"), ("main", "other"), ("other", "sqlite")]
NAMES = ("Ada Lovelace", "Æsa Þórsdóttir", "Łukasz Żółć", "Ελένη Παπαδάκη", "王小明", 'O\'Brien 🛰 "x" \\ \u2028')
UNLIMITED = {"TENANTRY__LIMITS__API_TOKEN": "0", "TENANTRY__LIMITS__API_ADDRESS": "0"}
_number = count(1)


@pytest.fixture
async def places(tmp_path: Path) -> AsyncIterator[Deployment]:
    """A deployment of SQLite files and two PostgreSQL databases."""
    async with deployment_in(tmp_path, FixedClock(START)) as deployment:
        yield deployment


@asynccontextmanager
async def deployment_in(folder: Path, clock: Clock) -> AsyncIterator[Deployment]:
    environment = {"TENANTRY_DATA": str(folder / "data"), **UNLIMITED}
    for place in ("MAIN", "OTHER"):
        name = f"moving_{place.lower()}_{id(folder)}_{next(_number)}"
        await postgres_database(name)
        environment[f"TENANTRY__DATABASE__{place}__APP_DSN"] = dsn(name, APP)
        environment[f"TENANTRY__DATABASE__{place}__OWNER_DSN"] = dsn(name, OWNER)
    deployment = Deployment(load_config(environment=environment), clock=clock)
    await deployment.start()
    try:
        yield deployment
    finally:
        await deployment.stop()


@pytest.fixture
def settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process serves these tenants: nobody needs to be waited for."""
    monkeypatch.setattr(moving, "SETTLING", 0.0)
    monkeypatch.setattr(pausing, "VISITED", 0.0)


async def furnished(deployment: Deployment, place: str = "sqlite") -> TenantRecord:
    """A tenant with inventory, customers of all alphabets, files, invoices, jobs, and ids whose rows are gone."""
    record = (await made(deployment, "alpha")).record
    await enable_plugin(deployment, record, "inventory", ME)
    record = await deployment.registry.get_by_slug("alpha")
    async with deployment.scope(record, ME) as scope:
        await fill(scope, 12, seed=3)
        for name in (
            "Ada Lovelace",
            "Æsa Þórsdóttir",
            "Łukasz Żółć",
            "Ελένη Παπαδάκη",
            "王小明",
            'O\'Brien 🛰 "x" \\ \u2028',
        ):
            await customers.create_customer(scope, NewCustomer(full_name=name))
        await store_file(scope, b"contract" * 1000, name="contract.txt", media_type="text/plain")
        gone = await store_file(scope, b"gone", name="gone.txt", media_type="text/plain")
        async with unit_of_work(scope):
            await execute("DELETE FROM stored_file WHERE id = :id", id=gone.id)
    if place != "sqlite":
        await move_tenant(deployment, record, place)
    return await deployment.registry.get_by_slug("alpha")


async def everything(deployment: Deployment) -> dict[str, list[str]]:
    """Each row of each table as text, without the product's own copying: what `SELECT *` gives."""
    record = await deployment.registry.get_by_slug("alpha")
    database = deployment.placement.find(record)
    found: dict[str, list[str]] = {}
    for name in await layouts(database):
        names, table = await database.fetch(f'SELECT * FROM "{name}"', ())
        if name != "customer_search":
            found[name] = sorted(repr(sorted(zip(names, row, strict=True), key=str)) for row in table)
    return found


async def sound(deployment: Deployment) -> None:
    """The tenant is served, takes changes, finds its customers, and its books are right."""
    record = await deployment.registry.get_by_slug("alpha")
    assert (record.status, record.reason) == (TenantStatus.ACTIVE, "")
    async with visitor(deployment, "alpha.localhost") as page:
        assert (await page.get("/login")).status_code == 200
    async with deployment.scope(record, ME) as scope:
        customer_id = await customers.create_customer(scope, NewCustomer(full_name="New Comer"))
        text = await value("SELECT text FROM customer_search WHERE customer_id = :id", id=customer_id)
        assert "comer" in text
        assert await verify(scope, thorough=True) == []


async def databases(deployment: Deployment, record: TenantRecord) -> set[tuple[str, int]]:
    """All that there are of a tenant."""
    found = set()
    for path in deployment.placement.folder(record.uuid).glob("tenant*.sqlite"):
        found.add(("sqlite", int(path.stem.partition("-")[2] or 0)))
    for name, server in deployment.config.databases.items():
        connection = await asyncpg.connect(server.owner_dsn)
        schemas = await connection.fetch("SELECT nspname::text FROM pg_namespace")
        await connection.close()
        bare = schema_of(record.uuid)
        found |= {(name, int(one[len(bare) + 1 :] or 0)) for (one,) in schemas if one.startswith(bare)}
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("settled_at_once")
async def test_H1_a_tenant_is_the_same_to_the_last_row_wherever_it_is_moved(places: Deployment) -> None:
    record = await furnished(places)
    before = await everything(places)
    given = await counters(places.placement.find(record))
    with bind(places.placement.find(record)):
        searched = await values("SELECT text FROM customer_search ORDER BY customer_id")
    told: list[str] = []

    for came_from, to in WAYS:
        done = await move_tenant(
            places, await places.registry.get_by_slug("alpha"), to, told=lambda what, done, total: told.append(what)
        )
        assert (done.came_from, done.went_to, done.late) == (came_from, to, 0)
        assert done.rows == sum(map(len, before.values()))
        assert await everything(places) == before

    now = await places.registry.get_by_slug("alpha")
    assert (now.placement, now.generation, now.plugins) == ("sqlite", 3, ("inventory",))
    assert await counters(places.placement.find(now)) == given
    with bind(places.placement.find(now)):
        assert await values("SELECT text FROM customer_search ORDER BY customer_id") == searched
        assert await value("SELECT count(*) FROM customer_words WHERE customer_words MATCH 'lovel*'") == 1
    assert list(dict.fromkeys(told)) == ["copying", "comparing"], "nothing had to be compared once more"
    await sound(places)


@pytest.mark.slow
@pytest.mark.usefixtures("settled_at_once")
async def test_ids_that_were_given_once_are_not_given_again_after_a_move(places: Deployment) -> None:
    await furnished(places)
    for _, to in WAYS:
        record = await places.registry.get_by_slug("alpha")
        async with places.scope(record, ME) as scope:
            last = await store_file(scope, f"in {to}".encode(), name="x", media_type="text/plain")
            async with unit_of_work(scope):
                await execute("DELETE FROM stored_file WHERE id = :id", id=last.id)

        await move_tenant(places, record, to)

        async with places.scope(await places.registry.get_by_slug("alpha"), ME) as scope:
            new = await store_file(scope, f"now in {to}".encode(), name="x", media_type="text/plain")
        assert new.id == last.id + 1


@pytest.mark.slow
@pytest.mark.usefixtures("settled_at_once")
@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way[0]} to {way[1]}")
async def test_what_the_databases_keep_by_themselves_is_kept_after_a_move(
    places: Deployment, way: tuple[str, str]
) -> None:
    record = await furnished(places, way[0])

    await move_tenant(places, record, way[1])

    database = places.placement.find(await places.registry.get_by_slug("alpha"))
    with bind(database):
        for sql in ("UPDATE document SET total_minor = 0", "DELETE FROM posting", "UPDATE activity SET kind = 'x'"):
            with pytest.raises(Refused):
                async with transaction():
                    await execute(sql)
        with pytest.raises(BrokenReference):
            async with transaction():
                await execute("INSERT INTO customer_tag (customer_id, tag_id) VALUES (4711, 4711)")
        if isinstance(database, PostgresDatabase):
            disabled = await values(
                "SELECT tgname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
                " WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND tgenabled <> 'O'"
            )
            assert disabled == []
        else:
            assert await values("SELECT name FROM sqlite_schema WHERE name LIKE 'closed%'") == []


class Letter(Struct, frozen=True):
    """Something that is sent."""

    to: int


SENT: Counter[int] = Counter()


async def post(scope: Scope, job: Job[Letter]) -> None:
    async with job.effect():
        SENT[job.payload.to] += 1
        await asyncio.sleep(0.01)


POST = JobKind("test_moving_post", Letter, post, policy="once")


@dataclass
class Ear:
    """Hears of each new customer and leaves a letter to it."""

    name: str = "ear"
    kinds: frozenset[str] = frozenset({"customer_created"})
    heard: Counter[int] = field(default_factory=Counter)

    async def hear(self, scope: Scope, lines: Sequence[Line]) -> None:
        for line in lines:
            await execute(
                "INSERT INTO setting (key, value, changed_at) VALUES (:key, '', :now)",
                key=f"ear.{line.position}",
                now=scope.now(),
            )
            await enqueue(scope, POST, Letter(line.subject_id or 0))


class HostWithEar(HostOfWork):
    """Does nothing but what the test counts."""

    def work(self, scope: Scope) -> Work:
        return Work({POST.name: POST}, (), [Ear()]) if super().work(scope).kinds else Work({})


@dataclass
class Used:
    """What those who used the tenant were answered."""

    accepted: list[str] = field(default_factory=list)
    paused: int = 0
    read: Counter[int] = field(default_factory=Counter)
    other: list[tuple[int, str]] = field(default_factory=list)
    longest: float = 0.0


async def use(served: Deployment, token: str, used: Used, stop: asyncio.Event, who: int) -> None:
    """Writes and reads one after the other, as a program does that comes back where it is told to."""
    now = asyncio.get_running_loop().time
    refused_since = 0.0
    async with visitor(served, "alpha.localhost") as client:
        client.headers["authorization"] = f"Bearer {token}"
        while not stop.is_set():
            name = f"Customer {who} {len(used.accepted)} {used.paused}"
            answer = await client.post("/api/v1/customers", json={"full_name": name})
            if answer.status_code in {200, 201}:
                used.accepted.append(name)
                if refused_since:
                    used.longest = max(used.longest, now() - refused_since)
                    refused_since = 0.0
                found = await client.get(f"/api/v1/customers/{answer.json()['id']}")
                used.read[found.status_code] += 1
            elif answer.status_code == 503 and "retry-after" in answer.headers:
                used.paused += 1
                refused_since = refused_since or now()
                await asyncio.sleep(0.1)
            else:
                used.other.append((answer.status_code, answer.text))
            used.read[(await client.get("/api/v1/customers?limit=5")).status_code] += 1
            await asyncio.sleep(0.01)


async def moved_in_use(deployment: Deployment, size: int) -> None:
    """SQLite → PostgreSQL → another → SQLite, while another process serves it and does its work."""
    SENT.clear()
    record = (await made(deployment, "alpha")).record
    async with deployment.scope(record, ME) as scope:
        await fill(scope, size, seed=1)
        await enable_reader(scope, "ear")
        token = (await create_token(scope, NewToken(name="test", permissions=["*"], days=30), set())).token
        first = await value("SELECT last FROM activity_head")
    served = Deployment(deployment.config)
    await served.start()
    host = HostWithEar(served)
    worker = Worker(registry=host, work=host.work, clock=served.clock)
    used, stop = Used(), asyncio.Event()
    working = asyncio.create_task(worker.run())
    users = [asyncio.create_task(use(served, token, used, stop, who)) for who in range(2)]
    try:
        for _, to in WAYS:
            await asyncio.sleep(1)
            done = await move_tenant(deployment, await deployment.registry.get_by_slug("alpha"), to)
            print(f"{to}: {done.rows:,} rows, {done.seconds} s, paused {done.paused} s, {done.late} late")
            deployment.registry.forget()
        await asyncio.sleep(1)
    finally:
        stop.set()
        await asyncio.gather(*users)
    await worker.until_idle(record.uuid)
    await worker.stop()
    await working
    await served.stop()
    print(f"{len(used.accepted)} accepted, {used.paused} told to wait, longest {used.longest:.1f} s, read {used.read}")

    assert used.other == []
    assert set(used.read) == {200}
    assert used.paused > 0
    assert used.longest < 60
    now = await deployment.registry.get_by_slug("alpha")
    assert (now.placement, now.generation) == ("sqlite", 3)
    async with deployment.scope(now, ME) as scope:
        there = Counter(await values("SELECT full_name FROM customer WHERE full_name LIKE 'Customer %'"))
        assert there == Counter(used.accepted)
        assert await verify(scope, thorough=True) == []
        made_at = await values(
            "SELECT position FROM activity WHERE kind = 'customer_created' AND position > :first", first=first
        )
        assert await values("SELECT key FROM setting WHERE key LIKE 'ear.%' ORDER BY key") == sorted(
            f"ear.{position}" for position in made_at
        )
        assert await values("SELECT count(*) FROM delivery_parked") == [0]
        ids = await values("SELECT id FROM customer WHERE full_name LIKE 'Customer %'")
        assert Counter(ids) == SENT
        states = await values("SELECT DISTINCT state FROM job WHERE kind = :kind", kind=POST.name)
        assert states == ["done"]


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_H1_a_tenant_that_moves_around_is_used_and_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async with deployment_in(tmp_path, SystemClock()) as places:
        await moved_in_use(places, 20)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_a_tenant_of_three_thousand_customers_moves_around_while_it_is_used(tmp_path: Path) -> None:
    async with deployment_in(tmp_path, SystemClock()) as places:
        await moved_in_use(places, 3000)


async def killed_at(deployment: Deployment, to: str, step: str, times: int = 1) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.tenants.moving_process", "alpha", to, step, str(times)),
        env=environment_of(deployment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode in {0, -signal.SIGKILL}, said.decode()
    return process.returncode


async def killed_and_whole(deployment: Deployment, to: str, step: str, times: int = 1) -> None:
    """Whatever is left of the process, the tenant is whole in one place, and the next move clears up."""
    before = await everything(deployment)
    record = await deployment.registry.get_by_slug("alpha")

    code = await killed_at(deployment, to, step, times)
    assert code == -signal.SIGKILL, step

    again = Deployment(deployment.config, clock=deployment.clock)
    await again.start()
    now = await again.registry.get_by_slug("alpha")
    assert (now.placement, now.generation) in {(record.placement, record.generation), (to, record.generation + 1)}
    assert await everything(again) == before, step
    await sound(again)
    before = await everything(again)
    if now.placement != to:
        await move_tenant(again, now, to)
    else:
        await tidy(again)
    assert await everything(again) == before
    now = await again.registry.get_by_slug("alpha")
    kept = {(each.placement, each.generation) for each in await again.registry.list_aside()}
    assert await databases(again, now) == {(now.placement, now.generation)} | kept, step
    assert all(each.remove_at > again.clock.now() for each in await again.registry.list_aside())
    await again.stop()
    await deployment.placement.forget(record.uuid)
    deployment.registry.forget()
    deployment.forget_all()


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("settled_at_once")
async def test_a_move_that_is_killed_leaves_the_tenant_whole_in_one_place(places: Deployment) -> None:
    await furnished(places)
    steps = ["in the middle of the copy", "before the switch", "switched"]

    for number, step in enumerate(steps):
        await killed_and_whole(places, PLACES[(number + 1) % 3], step, 30 if "middle" in step else 1)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("settled_at_once")
async def test_a_move_that_is_killed_at_any_step_leaves_the_tenant_whole_in_one_place(places: Deployment) -> None:
    await furnished(places)
    chance, at = random.Random(11), 0
    for step in [*STEPS, *STEPS, *STEPS]:
        at = (at + 1) % 3
        await killed_and_whole(places, PLACES[at], step, chance.randint(2, 60) if "middle" in step else 1)


@pytest.mark.slow
@pytest.mark.usefixtures("settled_at_once")
async def test_a_move_that_fails_leaves_everything_as_it_was(
    places: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await furnished(places)
    before = await everything(places)

    async def full(*_: Any) -> None:
        raise Unavailable("The disk is full. Nothing was changed.")

    for name in ("copy_table", "put_references_on", "set_counters"):
        with monkeypatch.context() as patch:
            patch.setattr(moving, name, full)
            with pytest.raises(Unavailable, match="disk is full"):
                await move_tenant(places, record, "main")
        assert await databases(places, record) == {("sqlite", 0)}
        assert await places.registry.list_aside() == []
        assert await everything(places) == before
    await sound(places)


@pytest.mark.slow
@pytest.mark.usefixtures("settled_at_once")
@pytest.mark.parametrize("way", [("sqlite", "main"), ("main", "sqlite")], ids=lambda way: f"{way[0]} to {way[1]}")
async def test_a_copy_that_is_not_the_same_is_never_switched_to(
    places: Deployment, monkeypatch: pytest.MonkeyPatch, way: tuple[str, str]
) -> None:
    """The control: each kind of difference is found by the comparison, or by the books."""
    record = await furnished(places, way[0])
    real = moving.put_references_on

    async def spoilt(target: Database, *rest: Any) -> None:
        await real(target, *rest)
        with bind(target):
            await run_sql("UPDATE customer_balance SET credit_minor = credit_minor + 1 WHERE is_main")

    monkeypatch.setattr(moving, "put_references_on", spoilt)
    with pytest.raises(Conflict, match="has a fault that alpha has not"):
        await move_tenant(places, record, way[1])
    monkeypatch.undo()

    assert (await places.registry.get_by_slug("alpha")).placement == way[0]
    assert await databases(places, record) == {(record.placement, record.generation)} | {
        (each.placement, each.generation) for each in await places.registry.list_aside()
    }


@pytest.mark.slow
@pytest.mark.usefixtures("settled_at_once")
async def test_rows_that_change_while_it_is_copied_are_brought_over(
    places: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await furnished(places)
    real = moving.analyze

    async def changed() -> None:
        await real()
        monkeypatch.setattr(moving, "analyze", real)
        async with places.scope(await places.registry.get_by_slug("alpha"), ME) as scope:
            await customers.create_customer(scope, NewCustomer(full_name="Late Comer"))
            async with unit_of_work(scope):  # changed, exchanged and removed, too
                await execute("UPDATE role SET label = label || '!'")
                await execute("DELETE FROM session")
                await execute("UPDATE customer SET login = 'now-first' WHERE full_name = 'Ada Lovelace'")
                await execute("DELETE FROM customer WHERE full_name = 'Łukasz Żółć'")

    monkeypatch.setattr(moving, "analyze", changed)
    done = await move_tenant(places, record, "main")
    after = await everything(places)

    assert done.late > 3
    with bind(places.placement.find(await places.registry.get_by_slug("alpha"))):
        assert await value("SELECT count(*) FROM customer WHERE full_name = 'Late Comer'") == 1
        assert await value("SELECT count(*) FROM customer WHERE full_name = 'Łukasz Żółć'") == 0
        assert await value("SELECT count(*) FROM customer") == await value("SELECT count(*) FROM customer_search")
        assert "late comer" in await value("SELECT text FROM customer_search ORDER BY customer_id DESC LIMIT 1")
    await move_tenant(places, await places.registry.get_by_slug("alpha"), "sqlite")
    assert await everything(places) == after
    await sound(places)


@pytest.mark.slow
@pytest.mark.usefixtures("settled_at_once")
@pytest.mark.parametrize("place", ["sqlite", "main"])
async def test_who_has_the_old_database_open_still_cannot_change_it_any_more(places: Deployment, place: str) -> None:
    record = await furnished(places, place)
    late = Deployment(places.config, clock=places.clock)
    await late.start()

    async with late.scope(record, ME) as scope:  # a request that began before the move, and ends after it
        assert await value("SELECT count(*) FROM customer") > 0
        await move_tenant(places, record, "other")
        assert await value("SELECT count(*) FROM customer") > 0
        with pytest.raises(ClosedForWrites):
            await customers.create_customer(scope, NewCustomer(full_name="Too Late"))

    await late.stop()
    await sound(places)


@pytest.mark.usefixtures("settled_at_once")
async def test_a_suspended_tenant_moves_and_stays_suspended(places: Deployment) -> None:
    record = await furnished(places)
    await places.registry.set_status(record.uuid, TenantStatus.SUSPENDED, "unpaid")

    await move_tenant(places, record, "main")

    now = await places.registry.get_by_slug("alpha")
    assert (now.placement, now.status, now.reason) == ("main", TenantStatus.SUSPENDED, "unpaid")
    await places.registry.set_status(record.uuid, TenantStatus.ACTIVE)
    await sound(places)


@pytest.mark.usefixtures("settled_at_once")
async def test_a_plugin_that_is_switched_off_moves_with_what_it_has_kept(places: Deployment) -> None:
    record = await furnished(places)
    await disable_plugin(places, record, "inventory", ME)
    before = await everything(places)
    assert "inventory_item" in before

    await move_tenant(places, record, "main")

    assert await everything(places) == before
    await enable_plugin(places, await places.registry.get_by_slug("alpha"), "inventory", ME)
    await sound(places)


@pytest.mark.usefixtures("settled_at_once")
async def test_what_cannot_be_moved_is_refused_with_a_line_and_left_as_it_is(
    places: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = await furnished(places)

    async def refused(match: str, to: str = "main") -> None:
        with pytest.raises(DomainError, match=match):
            await move_tenant(places, await places.registry.get_by_slug("alpha"), to)
        assert await databases(places, record) == {("sqlite", 0)}

    await refused("in “sqlite” already", "sqlite")
    with pytest.raises(DomainError) as unknown:
        await move_tenant(places, record, "nowhere")
    assert "There is no database “nowhere”" in str(unknown.value)
    with worked_on(places, record):
        await refused("Somebody else")
    with monkeypatch.context() as patch:
        patch.setattr(places.placement.servers["main"], "owner_dsn", None)
        await refused("owner's address")
    with monkeypatch.context() as patch:
        patch.setattr(moving, "LEAST_FREE", 2**60)
        with pytest.raises(Unavailable, match="There is no room for alpha"):
            await moving._room(places, record, "sqlite")
    with monkeypatch.context() as patch:
        patch.setattr(places.placement, "_config", msgspec.structs.replace(
            places.config, placement=msgspec.structs.replace(places.config.placement, schemas=1)))  # fmt: skip
        await places.placement.spares("main").fill(1)
        await provision_schema(places.config.databases["main"].owner_dsn, f"t_{uuid4().hex}", APP)
        await refused("There is no room in main")
    with bind(places.placement.migrating(record)):
        await run_sql("CREATE TABLE of_nobody (id integer PRIMARY KEY)")
        await refused("of_nobody is made by no migration")
        await run_sql("DROP TABLE of_nobody")
        await execute("UPDATE migration SET app = 'elsewhere' WHERE app = 'inventory'")
        await refused("tables of elsewhere, which is not installed here")
        await execute("UPDATE migration SET app = 'inventory' WHERE app = 'elsewhere'")
        await execute("DELETE FROM migration WHERE app = 'web'")
        await refused("needs an upgrade first: tenantry tenant upgrade alpha")


@pytest.mark.usefixtures("settled_at_once")
async def test_a_value_that_is_not_of_its_type_is_named_and_nothing_is_moved(places: Deployment) -> None:
    record = await furnished(places)
    with bind(places.placement.find(record)):
        await execute("UPDATE billing_run SET as_of_on = 'soon'")

        with pytest.raises(Conflict, match="billing_run has a value that is not of its column's type"):
            await move_tenant(places, record, "main")

    assert await databases(places, record) == {("sqlite", 0)}


@pytest.mark.usefixtures("settled_at_once")
async def test_the_old_database_is_kept_for_some_days_and_then_taken_away(places: Deployment) -> None:
    record = await furnished(places)
    done = await move_tenant(places, record, "main")
    assert done.kept == str(places.placement.file(record.uuid))
    assert done.keep_until == places.clock.now() + timedelta(days=7)
    with bind(SqliteDatabase(done.kept, files=None)) as old:
        assert await value("SELECT count(*) FROM customer WHERE full_name = 'Ada Lovelace'") == 1
        await old.close()

    assert isinstance(places.clock, FixedClock)
    places.clock.move(timedelta(days=6, hours=23))
    assert await tidy(places) == 0
    (told,) = [finding async for finding in examine(places) if finding.what == "kept aside"]
    assert (told.state, told.detail) == ("ok", f"{done.kept}: until 2026-11-29")
    places.clock.move(timedelta(hours=1))
    with worked_on(places, record):
        assert await tidy(places) == 0
    assert await tidy(places) == 1

    assert await databases(places, record) == {("main", 1)}
    await sound(places)


@pytest.mark.slow
@pytest.mark.usefixtures("settled_at_once")
async def test_who_is_archived_leaves_nothing_where_it_was_before(places: Deployment) -> None:
    record = await furnished(places, "main")
    assert len(await databases(places, record)) == 2

    await archive_tenant(places, await places.registry.get_by_slug("alpha"))

    assert await databases(places, record) == set()
    assert await places.registry.list_aside() == []


@pytest.mark.slow
@pytest.mark.usefixtures("settled_at_once")
async def test_one_that_was_left_closed_by_a_process_that_died_takes_changes_again(places: Deployment) -> None:
    record = await furnished(places)
    await killed_at(places, "main", "closed")
    with bind(places.placement.find(record)):
        with pytest.raises(ClosedForWrites):
            async with transaction():
                await execute("UPDATE activity_head SET last = last")
        assert (await places.registry.get_by_slug("alpha")).reason == MOVING

    await pausing.release_abandoned(places)

    await sound(places)


@pytest.mark.slow
async def test_the_command_says_what_it_did(places: Deployment) -> None:
    await furnished(places)
    environment = {**environment_of(places), "COLUMNS": "200"}

    async def run(*command: str, code: int = 0) -> str:
        ended = await asyncio.to_thread(CliRunner().invoke, main, command, env=environment)
        assert ended.exit_code == code, ended.output
        return ended.output

    said = await run("tenant", "move", "alpha", "--to", "main")
    told = json.loads(await run("tenant", "move", "alpha", "--to", "other", "--json"))
    refused = await run("tenant", "move", "alpha", "--to", "other", code=1)

    assert "alpha is in main" in said
    assert "The old database is kept until" in said
    assert (told["came_from"], told["went_to"], told["late"]) == ("main", "other", 0)
    assert refused.strip() == "tenantry: alpha is in “other” already."
