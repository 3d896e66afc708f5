"""PostgreSQL schemas made ahead: the same as one that was migrated step by step, taken once, made again."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from core.app import MIGRATIONS
from core.database import PostgresDatabase, bind, execute, migrate, prove_owner, provision_schema, value, values
from core.database.migrations import MigrationApp, load, script_of
from core.database.outlines import MAKING, Outline, Table, drop_interrupted, make_first_schema, make_schema
from core.database.postgresql import spare_schemas
from tenants import spares as stock
from tenants.placement import schema_of
from tenants.spares import SPARE, Spares, keep
from tests.databases import APP, OWNER, dsn, fresh
from tests.hosts import environment_of, made

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from core.database import PostgresServer
    from tenants.deployment import Deployment

ON_POSTGRESQL = pytest.mark.parametrize("deployment", ["postgresql"], indirect=True)
EVERYTHING = {
    "relations": """
        SELECT relname, relkind, relpersistence, reloptions, relrowsecurity, relreplident, relacl::text
        FROM pg_class WHERE relnamespace = {}""",
    "columns": """
        SELECT c.relname, a.attname, row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum),
               format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
               a.attgenerated, a.attcollation::regcollation::text, pg_get_expr(d.adbin, d.adrelid), a.attstorage,
               a.attcompression, a.attstattarget, a.attoptions, a.attacl::text
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = {} AND NOT a.attisdropped""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, contype, convalidated, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = {}""",
    "indexes": "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c"
    " ON c.oid = indexrelid WHERE c.relnamespace = {}",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, tgenabled, pg_get_triggerdef(t.oid)
        FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE c.relnamespace = {} AND NOT tgisinternal""",
    "functions": "SELECT proname, pg_get_functiondef(oid), proacl::text FROM pg_proc WHERE pronamespace = {}",
    "sequences": "SELECT sequencename, data_type::text, start_value, increment_by, cycle, last_value FROM pg_sequences"
    " WHERE schemaname = (SELECT nspname FROM pg_namespace WHERE oid = {})",
    "types": "SELECT typname, typtype FROM pg_type WHERE typnamespace = {}",
    "statistics": "SELECT stxname, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxnamespace = {}",
    "rules and policies": """
        SELECT rulename, pg_get_ruledef(r.oid) FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class
        WHERE relnamespace = {0}
        UNION ALL SELECT polname, polrelid::regclass::text FROM pg_policy JOIN pg_class c ON c.oid = polrelid
        WHERE relnamespace = {0}""",
    "comments": """
        SELECT objoid::regclass::text, objsubid, description FROM pg_description JOIN pg_class c ON c.oid = objoid
        WHERE classoid = 'pg_class'::regclass AND relnamespace = {}""",
    "defaults of rights": "SELECT defaclobjtype, defaclacl::text FROM pg_default_acl WHERE defaclnamespace = {}",
    "rights": "SELECT nspacl::text FROM pg_namespace WHERE oid = {}",
}
CHECKS = """
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I ', conrelid::regclass, conname, conname)
        || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = $1::regnamespace AND contype = 'c'"""
"""Gives the server its own words for a check, as restoring a dump does: without brackets around AND inside AND."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    async with fresh("postgresql", tmp_path) as database:
        assert isinstance(database, PostgresDatabase)
        yield database.server


async def described(server: str, schema: str) -> dict[str, Any]:
    """All that the server knows of a schema, and the rows in it; its own name taken out."""
    connection = await asyncpg.connect(dsn(server, OWNER))
    try:
        await connection.execute(f'SET search_path TO "{schema}"; BEGIN')
        for (again,) in await connection.fetch(CHECKS, schema):
            await connection.execute(again)
        found: dict[str, Any] = {}
        for what, sql in EVERYTHING.items():
            records = await connection.fetch(sql.format(f"'{schema}'::regnamespace"))
            found[what] = sorted(str(tuple(record)).replace(schema, "…") for record in records)
        for (table,) in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema):
            rows = await connection.fetch(f"SELECT to_jsonb(t) - 'run_at' FROM \"{table}\" t")
            found[f"rows of {table}"] = sorted(str(record[0]) for record in rows)
        return found
    finally:
        await connection.close()


async def test_a_schema_made_in_one_go_by_an_outline_or_taken_from_the_stock_is_as_one_migrated_step_by_step(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.owner_dsn is not None
    await provision_schema(server.owner_dsn, "step_by_step", APP)
    with bind(PostgresDatabase(server, "step_by_step")):
        await migrate(MIGRATIONS)
    spares = Spares(server.owner_dsn, APP, 10, tmp_path / "first")
    monkeypatch.setattr(stock, "_known", {})

    assert await spares.take_or_make("in_one_go")
    assert await spares.take_or_make("by_outline")
    assert await spares.fill(1) == 1
    assert await spares.take_or_make("from_stock")
    stock._known.clear()
    monkeypatch.delattr(stock, "make_first_schema")
    assert await Spares(server.owner_dsn, APP, 10, tmp_path / "first").take_or_make("by_file")

    wanted = await described(server.name, "step_by_step")
    assert len(wanted["relations"]) > 300
    assert wanted["rows of migration"]
    for name in ("in_one_go", "by_outline", "from_stock", "by_file"):
        found = await described(server.name, name)
        assert found.keys() == wanted.keys()
        for what in wanted:
            assert found[what] == wanted[what], (name, what)
    with bind(PostgresDatabase(server, "from_stock")):
        assert await migrate(MIGRATIONS) == []
        await execute("SELECT analyze_tables()")


@pytest.mark.parametrize(
    "body",
    [
        "await execute('INSERT INTO thing (name) VALUES (:name)', name='one')",
        "await run_sql('SELECT 1' if await value('SELECT 1') else 'SELECT 2')",
        "await execute_many('INSERT INTO thing (name) VALUES (:name)', [{'name': 'one'}])",
    ],
)
async def test_a_migration_that_reads_or_gives_values_must_be_run(tmp_path: Path, body: str) -> None:
    (tmp_path / "2026_01_01_0001_step.py").write_text(
        "from core.database import execute, execute_many, run_sql, value\n"
        "ID, VERSION, DESCRIPTION = '2026-01-01', '1', 'step'\n"
        f"async def forwards():\n    await run_sql('CREATE TABLE thing (name text)')\n    {body}\n"
    )
    load.cache_clear()

    assert await script_of([MigrationApp("feature", tmp_path)]) is None


async def test_a_schema_by_an_outline_is_made_as_a_whole_or_not_at_all(server: PostgresServer) -> None:
    owner = dsn(server.name, OWNER)
    outline = Outline(
        functions=(),
        tables=(
            Table(name="first", parents=(), sql="CREATE TABLE first (id bigint PRIMARY KEY)", then=""),
            Table(name="second", parents=("first",), sql="CREATE TABLE second (id nonsense)", then=""),
            Table(name="third", parents=("second",), sql="CREATE TABLE third (id bigint)", then=""),
        ),
        keys=(),
    )

    with pytest.raises(asyncpg.UndefinedObjectError):
        await make_schema(owner, "half", APP, outline)

    assert await spare_schemas(owner, "half") == await spare_schemas(owner, MAKING) == []


async def test_tables_that_point_to_one_another_are_outlined_too(server: PostgresServer) -> None:
    owner = dsn(server.name, OWNER)
    script = """
        CREATE TABLE one (id bigint PRIMARY KEY, other bigint, own bigint REFERENCES one (id));
        CREATE TABLE other (id bigint PRIMARY KEY, one bigint REFERENCES one (id));
        CREATE TABLE more (id bigint PRIMARY KEY REFERENCES other (id) REFERENCES one (id));
        ALTER TABLE one ADD FOREIGN KEY (other) REFERENCES other (id);
        INSERT INTO one VALUES (1, NULL, 1); INSERT INTO other VALUES (2, 1); UPDATE one SET other = 2"""

    outline = await make_first_schema(owner, "circle", APP, script)
    await make_schema(owner, "another", APP, outline)

    assert len(outline.keys) == 1
    assert [table.parents for table in outline.tables] == [(), ("one",), ("one", "other")]
    assert await described(server.name, "another") == await described(server.name, "circle")


async def test_what_is_being_made_is_left_alone_and_is_no_schema_yet(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = dsn(server.name, OWNER)
    spares = Spares(owner, APP, 10, tmp_path)
    monkeypatch.setattr(stock, "_known", {})
    before = await spares.schemas()
    making = asyncio.create_task(
        make_first_schema(owner, "made", APP, "SELECT pg_sleep(3); CREATE TABLE thing (id int)")
    )
    async with asyncio.timeout(60):
        while not await spare_schemas(owner, MAKING):
            await asyncio.sleep(0.01)

    await drop_interrupted(owner)
    assert await spares.schemas() == before
    await making

    assert await spare_schemas(owner, MAKING) == []
    assert sorted(await spares.schemas()) == sorted([*before, "made"])


@ON_POSTGRESQL
@pytest.mark.parametrize(
    ("before", "outlined"),
    [("CREATE TABLE document_line", False), ("CREATE TABLE document_line", True), ("RENAME TO", True)],
)
async def test_what_a_killed_process_was_making_goes_to_nobody_and_is_taken_away(
    deployment: Deployment, before: str, outlined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = _owner(deployment)
    monkeypatch.setattr(stock, "_known", {})
    if outlined:
        assert await deployment.placement.spares("main").take_or_make("the_first")
    ending = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.tenants.making_process", before, "t_killed"),
        env=environment_of(deployment),
        stderr=subprocess.DEVNULL,
    )
    assert await ending.wait() == -signal.SIGKILL

    assert await spare_schemas(owner, "t_killed") == []
    assert len(await spare_schemas(owner, MAKING)) == 1
    tenant = await made(deployment, "alpha")
    monkeypatch.setattr(stock, "LOOK_AGAIN", 0.05)
    keeping = asyncio.create_task(keep(deployment.placement.spares("main"), 0))
    async with asyncio.timeout(60):
        while await spare_schemas(owner, MAKING):
            await asyncio.sleep(0.05)
    keeping.cancel()

    assert await spare_schemas(owner, SPARE) == []
    with bind(deployment.placement.find(tenant.record)):
        await prove_owner(tenant.record.uuid, MIGRATIONS)
        assert await value("SELECT count(*) FROM document_line") == 0


@ON_POSTGRESQL
async def test_tenants_made_at_the_same_time_take_a_schema_each(deployment: Deployment) -> None:
    spares = deployment.placement.spares("main")
    await spares.fill(2)

    tenants = await asyncio.gather(*(made(deployment, slug) for slug in ("alpha", "beta", "gamma")))

    for tenant in tenants:
        with bind(deployment.placement.find(tenant.record)):
            await prove_owner(tenant.record.uuid, MIGRATIONS)
            assert await value("SELECT current_schema()") == schema_of(tenant.record.uuid)
            assert await values("SELECT email FROM staff") == [f"admin@{tenant.record.slug}.example"]
    assert await spare_schemas(_owner(deployment), SPARE) == []


@ON_POSTGRESQL
async def test_what_was_taken_is_made_again_and_what_other_versions_left_is_taken_away(deployment: Deployment) -> None:
    spares = deployment.placement.spares("main")
    await made(deployment, "alpha")
    await provision_schema(_owner(deployment), f"{SPARE}ofanotherversion_1", APP)
    keeping = asyncio.create_task(keep(spares, 1))
    try:
        first = await _until_there_is_one(deployment)
        await made(deployment, "beta")
        second = await _until_there_is_one(deployment, other_than=first)
    finally:
        keeping.cancel()

    assert "ofanotherversion" not in first
    assert first != second


@ON_POSTGRESQL
async def test_a_stock_that_cannot_be_kept_stops_nobody(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    spares = deployment.placement.spares("main")
    tries = asyncio.Event()

    async def fails(count: int) -> int:
        tries.set()
        raise asyncpg.InsufficientPrivilegeError("not allowed to make schemas")

    monkeypatch.setattr(spares, "fill", fails)
    keeping = asyncio.create_task(keep(spares, 1))
    await asyncio.wait_for(tries.wait(), 60)

    tenant = await made(deployment, "alpha")

    assert tenant.record.status == "active"
    assert not keeping.done()
    keeping.cancel()


def _owner(deployment: Deployment) -> str:
    return deployment.config.databases["main"].owner_dsn


async def _until_there_is_one(deployment: Deployment, other_than: str = "") -> str:
    async with asyncio.timeout(100):
        while True:
            found = [name for name in await spare_schemas(_owner(deployment), SPARE) if name != other_than]
            if len(found) == 1 and "ofanotherversion" not in found[0]:
                return found[0]
            await asyncio.sleep(0.05)
