"""PostgreSQL schemas made ahead: the same as one that was migrated step by step, taken once, made again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from core.app import MIGRATIONS
from core.database import PostgresDatabase, bind, execute, migrate, prove_owner, provision_schema, value, values
from core.database.migrations import MigrationApp, load, script_of
from core.database.postgresql import spare_schemas
from tenants.placement import schema_of
from tenants.spares import SPARE, Spares, keep
from tests.databases import APP, OWNER, dsn, fresh
from tests.hosts import made

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from core.database import PostgresServer
    from tenants.deployment import Deployment

ON_POSTGRESQL = pytest.mark.parametrize("deployment", ["postgresql"], indirect=True)
EVERYTHING = {
    "relations": """
        SELECT relname, relkind, relpersistence, reloptions, relacl::text FROM pg_class WHERE relnamespace = {}""",
    "columns": """
        SELECT c.relname, a.attname, row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum),
               format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
               a.attgenerated, a.attcollation::regcollation::text, pg_get_expr(d.adbin, d.adrelid)
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
    "defaults of rights": "SELECT defaclobjtype, defaclacl::text FROM pg_default_acl WHERE defaclnamespace = {}",
    "rights": "SELECT nspacl::text FROM pg_namespace WHERE oid = {}",
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    async with fresh("postgresql", tmp_path) as database:
        assert isinstance(database, PostgresDatabase)
        yield database.server


async def described(server: str, schema: str) -> dict[str, Any]:
    """All that the server knows of a schema, and the rows in it; its own name taken out."""
    connection = await asyncpg.connect(dsn(server, OWNER))
    try:
        await connection.execute(f'SET search_path TO "{schema}"')
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


async def test_a_schema_made_in_one_go_or_taken_from_the_stock_is_as_one_migrated_step_by_step(
    server: PostgresServer,
) -> None:
    assert server.owner_dsn is not None
    await provision_schema(server.owner_dsn, "step_by_step", APP)
    with bind(PostgresDatabase(server, "step_by_step")):
        await migrate(MIGRATIONS)
    spares = Spares(server.owner_dsn, APP, limit=10)

    assert await spares.take_or_make("in_one_go")
    assert await spares.fill(1) == 1
    assert await spares.take_or_make("from_stock")

    wanted = await described(server.name, "step_by_step")
    assert len(wanted["relations"]) > 300
    assert wanted["rows of migration"]
    assert await described(server.name, "in_one_go") == wanted
    assert await described(server.name, "from_stock") == wanted
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
