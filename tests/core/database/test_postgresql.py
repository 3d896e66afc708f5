"""One schema a tenant on a shared pool: whose rows are read, what stays on a connection, what the server must be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from core.database import (
    PostgresDatabase,
    PostgresServer,
    UnsafeServer,
    bind,
    drop_schema,
    execute,
    execute_many,
    prepare_database,
    provision_schema,
    spawn,
    transaction,
    value,
    values,
)
from core.database.binding import session
from core.database.errors import ClosedForWrites
from core.database.postgresql import PostgresTransaction, TenantConnection
from core.errors import TryAgain, Unavailable
from tests.core.database.pooler import Mode, pooler
from tests.databases import APP, OWNER, define, dsn, postgres_database

Tenants = list[PostgresDatabase]


@pytest.fixture(scope="module")
async def place() -> str:
    """A database for the tests of this module."""
    name = f"engine_{id(object())}"
    await postgres_database(name)
    return name


@pytest.fixture
async def server(place: str) -> AsyncIterator[PostgresServer]:
    made = PostgresServer(place, dsn(place, APP), dsn(place, OWNER), size=2)
    yield made
    made.terminate()


@pytest.fixture
async def tenants(server: PostgresServer) -> AsyncIterator[Tenants]:
    """Three tenants on a pool of two connections, each with its own name in a table `note`."""
    found = [PostgresDatabase(server, f"tenant_{name}") for name in "abc"]
    assert server.owner_dsn is not None
    for each in found:
        await provision_schema(server.owner_dsn, each.schema, APP)
        with bind(each):
            await define("CREATE TABLE note (id {id}, text text NOT NULL)")
            await execute("INSERT INTO note (text) VALUES (:name)", name=each.schema)
    yield found
    server.terminate()
    for each in found:
        await drop_schema(server.owner_dsn, each.schema)


async def superuser(place: str) -> asyncpg.Connection[asyncpg.Record]:
    return await asyncpg.connect(dsn(place))


async def test_each_tenant_reads_its_own_schema_whoever_had_the_connection_before(tenants: Tenants) -> None:
    async def ask(number: int) -> None:
        tenant = tenants[number % 3]
        with bind(tenant):
            assert await values("SELECT text FROM note") == [tenant.schema]
            if number % 5 == 0:
                async with transaction():
                    assert await values("SELECT text FROM note") == [tenant.schema]

    await asyncio.gather(*(asyncio.create_task(ask(number)) for number in range(300)))


async def test_the_path_is_set_only_when_the_connection_changes_its_tenant(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bind(tenants[0]):
        await value("SELECT 1")
    turned: list[str] = []
    original = TenantConnection.turn_to

    async def counted(self: TenantConnection, schema: str) -> None:
        turned.append(schema)
        await original(self, schema)

    monkeypatch.setattr(TenantConnection, "turn_to", counted)
    for tenant in (tenants[0], tenants[0], tenants[1], tenants[1], tenants[0]):
        with bind(tenant):
            await value("SELECT 1")

    assert len(turned) <= 2
    assert set(turned) <= {"tenant_a", "tenant_b"}


async def test_public_is_never_looked_into(tenants: Tenants, place: str) -> None:
    admin = await superuser(place)
    await admin.execute("CREATE TABLE public.secret (id bigint); GRANT ALL ON public.secret TO PUBLIC")

    with bind(tenants[0]):
        with pytest.raises(asyncpg.UndefinedTableError):
            await value("SELECT count(*) FROM secret")
        assert await value("SELECT array_to_string(current_schemas(false), ',')") == "tenant_a"

    await admin.execute("DROP TABLE public.secret")
    await admin.close()


async def test_a_temporary_table_is_gone_for_the_next_tenant(tenants: Tenants) -> None:
    for tenant in (tenants[0], tenants[1], tenants[0], tenants[2]):
        with bind(tenant):
            async with transaction():
                await execute("CREATE TEMP TABLE IF NOT EXISTS plan (text text)")
                assert set(await values("SELECT text FROM plan")) <= {tenant.schema}
                await execute("INSERT INTO plan SELECT text FROM note")


async def test_a_temporary_table_cannot_stand_in_the_way_of_another_tenant_s_table(tenants: Tenants) -> None:
    with bind(tenants[0]):
        for _ in range(4):
            await execute("CREATE TEMP TABLE IF NOT EXISTS note (text text)")

    with bind(tenants[1]):
        for _ in range(6):
            assert await values("SELECT text FROM note") == ["tenant_b"]


@pytest.mark.parametrize(
    "statement",
    [
        "SET search_path TO tenant_b",
        "SET statement_timeout = 1",
        "SELECT set_config('search_path', 'tenant_b', false)",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SELECT pg_advisory_lock(7)",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "LISTEN something",
    ],
)
async def test_what_a_statement_does_to_its_connection_is_undone_before_the_next(
    tenants: Tenants, place: str, statement: str
) -> None:
    with bind(tenants[0]):
        for _ in range(6):
            assert await values("SELECT text FROM note WHERE id = :id", id=1) == ["tenant_a"]
        for _ in range(3):
            await execute(statement)
        for _ in range(6):
            await execute("UPDATE note SET text = text")
            assert await values("SELECT text FROM note WHERE id = :id", id=1) == ["tenant_a"]
            assert await value("SHOW statement_timeout") == "0"
            assert await value("SHOW lock_timeout") == "5s"

    admin = await superuser(place)
    held = (
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database"
        " WHERE locktype = 'advisory' AND datname = current_database()"
    )
    assert await admin.fetchval(held) == 0
    await admin.close()


async def test_a_connection_left_inside_a_transaction_is_given_to_nobody(tenants: Tenants) -> None:
    with bind(tenants[0]):
        await execute("BEGIN")
        for _ in range(4):
            await execute("INSERT INTO note (text) VALUES ('x')")
        assert await value("SELECT count(*) FROM note") == 5
    with bind(tenants[1]):
        assert await values("SELECT text FROM note") == ["tenant_b"]


async def test_a_lost_connection_is_renewed_for_reading_and_told_inside_a_transaction(
    tenants: Tenants, place: str
) -> None:
    admin = await superuser(place)
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()"
    with bind(tenants[0]):
        await value("SELECT 1")
        await admin.execute(kill, APP)
        assert await values("SELECT text FROM note") == ["tenant_a"]

        with pytest.raises(Unavailable):
            await in_a_transaction_that_is_cut_off(admin, kill)
        assert await values("SELECT text FROM note") == ["tenant_a"]
    await admin.close()


async def test_a_connection_lost_between_two_statements_is_told_by_the_next(tenants: Tenants, place: str) -> None:
    admin = await superuser(place)
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()"
    with bind(tenants[0]):
        with pytest.raises(Unavailable):
            await in_a_transaction_whose_loss_is_known(admin, kill)
        assert await values("SELECT text FROM note") == ["tenant_a"]
    await admin.close()


async def in_a_transaction_whose_loss_is_known(admin: asyncpg.Connection[asyncpg.Record], kill: str) -> None:
    async with transaction():
        await execute("INSERT INTO note (text) VALUES ('lost')")
        opened = session()
        assert isinstance(opened, PostgresTransaction)
        await admin.execute(kill, APP)
        while getattr(opened.taken, "_con") is not None:  # noqa: B009  # until the pool has taken it back
            await asyncio.sleep(0.01)
        await execute("INSERT INTO note (text) VALUES ('lost too')")


async def in_a_transaction_that_is_cut_off(admin: asyncpg.Connection[asyncpg.Record], kill: str) -> None:
    async with transaction():
        await execute("INSERT INTO note (text) VALUES ('lost')")
        await admin.execute(kill, APP)
        await execute("INSERT INTO note (text) VALUES ('lost too')")


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    nowhere = PostgresServer("nowhere", f"postgresql://app@/x?host={tmp_path}&port=5432")

    with bind(PostgresDatabase(nowhere, "tenant")), pytest.raises(Unavailable):
        await value("SELECT 1")
    with pytest.raises(Unavailable, match="“nowhere” does not answer"):
        await nowhere.start()


async def test_two_that_block_each_other_are_asked_to_try_again(tenants: Tenants) -> None:
    with bind(tenants[0]):
        await execute("INSERT INTO note (text) VALUES ('two')")

        async def both(first: int, second: int) -> None:
            async with transaction():
                await execute("UPDATE note SET text = text WHERE id = :id", id=first)
                await asyncio.sleep(0.1)
                await execute("UPDATE note SET text = text WHERE id = :id", id=second)

        outcomes = await asyncio.gather(spawn(both(1, 2)), spawn(both(2, 1)), return_exceptions=True)

    assert outcomes.count(None) == 1
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [TryAgain]


async def test_a_change_that_cannot_be_put_in_order_is_to_be_tried_again(tenants: Tenants) -> None:
    with bind(tenants[0]), pytest.raises(TryAgain):
        await change_what_another_changed_meanwhile()


async def change_what_another_changed_meanwhile() -> None:
    async with transaction():
        await execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await value("SELECT text FROM note")
        await spawn(execute("UPDATE note SET text = 'other'"))
        await execute("UPDATE note SET text = 'mine'")


async def test_a_statement_that_grew_stale_is_to_be_tried_again_and_then_runs(tenants: Tenants) -> None:
    async def read_all() -> list[int]:
        async with transaction():
            return await values("SELECT * FROM note")

    with bind(tenants[0]):
        for _ in range(3):
            await read_all()
        await define("ALTER TABLE note ADD COLUMN more text")

        with pytest.raises(TryAgain):
            await read_all()
        for _ in range(3):
            assert await read_all() == [1]


async def test_a_lock_that_is_not_given_back_in_time_is_unavailable(tenants: Tenants, place: str) -> None:
    admin = await superuser(place)
    await admin.execute(f"ALTER ROLE {APP} SET lock_timeout = '50ms'")
    with bind(tenants[0]):
        async with transaction():
            await execute("UPDATE note SET text = text")
            with pytest.raises(Unavailable):
                await spawn(with_a_short_patience())
    await admin.execute(f"ALTER ROLE {APP} RESET lock_timeout")
    await admin.close()


async def with_a_short_patience() -> None:
    async with transaction():
        await execute("SET LOCAL lock_timeout = '50ms'")
        await execute("UPDATE note SET text = text")


async def test_when_all_connections_are_taken_the_next_waits_and_is_then_told(
    tenants: Tenants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.database.postgresql.PATIENCE", 0.1)
    go = asyncio.Event()

    async def hold() -> None:
        async with transaction():
            await go.wait()

    with bind(tenants[0]):
        holders = [spawn(hold()) for _ in range(2)]
        await asyncio.sleep(0.1)
        with pytest.raises(Unavailable):
            await value("SELECT 1")
        go.set()
        await asyncio.gather(*holders)
        assert await value("SELECT 1") == 1


async def test_the_app_role_reads_and_writes_rows_and_can_make_nothing(tenants: Tenants) -> None:
    with bind(tenants[0]):
        await execute("UPDATE note SET text = 'x'")
        await execute("DELETE FROM note")
        for forbidden in (
            "CREATE TABLE other (id bigint)",
            "DROP TABLE note",
            "ALTER TABLE note ADD COLUMN x text",
            "CREATE SCHEMA other",
            "CREATE TABLE public.other (id bigint)",
        ):
            with pytest.raises(asyncpg.PostgresError, match=r"permission denied|must be owner"):
                await execute(forbidden)
        with pytest.raises(ClosedForWrites):  # rights that the role lacks on a table are those that a move takes
            await execute("TRUNCATE note")


async def test_tables_that_the_owner_makes_later_are_the_app_role_s_to_use_too(tenants: Tenants) -> None:
    with bind(tenants[1]):
        await define("CREATE TABLE later (id {id}, text text)")
        await execute_many("INSERT INTO later (text) VALUES (:text)", [{"text": "a"}])

        assert await value("SELECT count(*) FROM later") == 1


async def test_a_schema_is_dropped_with_all_that_is_in_it(server: PostgresServer) -> None:
    assert server.owner_dsn is not None
    await provision_schema(server.owner_dsn, "short_lived", APP)
    with bind(PostgresDatabase(server, "short_lived")):
        await define("CREATE TABLE note (id {id})")

    await drop_schema(server.owner_dsn, "short_lived")

    with bind(PostgresDatabase(server, "short_lived")), pytest.raises(asyncpg.UndefinedTableError):
        await value("SELECT count(*) FROM note")


@pytest.mark.parametrize("name", ["public", "pg_temp", 'a"b', "a; DROP SCHEMA b", "", "A", "extensions", "x" * 64])
def test_a_name_that_cannot_be_a_tenant_s_schema_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        PostgresDatabase(PostgresServer("x", "postgresql://"), name)


async def test_a_database_may_be_prepared_again(server: PostgresServer) -> None:
    assert server.owner_dsn is not None
    await asyncio.gather(*(prepare_database(server.owner_dsn, APP) for _ in range(5)))


# What a server must be like


async def test_a_sound_server_starts(server: PostgresServer) -> None:
    await server.start()


async def test_an_app_role_that_may_too_much_is_refused_with_the_reasons(place: str) -> None:
    with pytest.raises(UnsafeServer, match="is a superuser") as error:
        await PostgresServer(place, dsn(place), dsn(place, OWNER)).start()
    assert "has BYPASSRLS" in str(error.value)


async def test_an_app_role_that_owns_something_or_can_become_the_owner_is_refused(place: str) -> None:
    with pytest.raises(UnsafeServer, match=r"owns the database.*is the owner's role"):
        await PostgresServer(place, dsn(place, OWNER), dsn(place, OWNER)).start()

    admin = await superuser(place)
    await admin.execute(f"CREATE ROLE climber LOGIN; GRANT {OWNER} TO climber")
    try:
        with pytest.raises(UnsafeServer, match="a member of it"):
            await PostgresServer(place, dsn(place, "climber"), dsn(place, OWNER)).start()
    finally:
        await admin.execute("DROP OWNED BY climber; DROP ROLE climber")
        await admin.close()


@pytest.mark.parametrize(
    ("app", "owner", "said"),
    [
        ("nobody_of_that_name", OWNER, 'role "nobody_of_that_name" does not exist'),
        (APP, "nobody_of_that_name", 'role "nobody_of_that_name" does not exist'),
    ],
)
async def test_a_role_that_is_not_there_is_named_with_the_way_out(place: str, app: str, owner: str, said: str) -> None:
    with pytest.raises(UnsafeServer, match=rf"PostgreSQL “main”: {said}\. docs/hosting\.md says how"):
        await PostgresServer("main", dsn(place, app), dsn(place, owner)).start()


async def test_a_database_that_is_not_there_is_named(place: str) -> None:
    with pytest.raises(UnsafeServer, match='database "nowhere" does not exist'):
        await PostgresServer("main", dsn("nowhere", APP), dsn("nowhere", OWNER)).start()


async def test_an_address_that_is_none_is_said_so() -> None:
    with pytest.raises(UnsafeServer, match="PostgreSQL “main”: invalid DSN"):
        await PostgresServer("main", "mysql://somewhere", "mysql://somewhere").start()


async def test_two_roles_in_two_databases_are_refused(place: str) -> None:
    with pytest.raises(UnsafeServer, match=f"app_dsn leads to the database “{place}”, owner_dsn to “postgres”"):
        await PostgresServer("main", dsn(place, APP), dsn("postgres", OWNER)).start()


async def test_a_database_that_is_not_unicode_or_not_the_owner_s_is_refused(place: str) -> None:
    name, admin = f"{place}_latin", await superuser(place)
    await admin.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    await admin.execute(f"CREATE ROLE stranger_{place} LOGIN")
    try:
        with pytest.raises(UnsafeServer, match=f"“{name}” is written in SQL_ASCII, not in UTF8"):
            await PostgresServer("main", dsn(name, APP), dsn(name, OWNER)).start()
        with pytest.raises(UnsafeServer, match=f"the owner's role “stranger_{place}” may not make schemas"):
            await PostgresServer("main", dsn(place, APP), dsn(place, f"stranger_{place}")).start()
    finally:
        await admin.execute(f"DROP DATABASE {name}")
        await admin.execute(f"DROP ROLE stranger_{place}")
        await admin.close()


def socket_of(place: str) -> Path:
    host = parse_qs(urlsplit(dsn(place)).query)["host"][0]
    return Path(host) / ".s.PGSQL.5432"


async def starts_through(mode: Mode, place: str, folder: Path) -> None:
    async with pooler(folder, socket_of(place), APP, place, mode=mode) as address:
        server = PostgresServer(place, address)
        try:
            await server.start()
        finally:
            server.terminate()


async def test_pooling_by_transaction_mixes_up_tenants_and_is_refused_at_the_start(
    tenants: Tenants, place: str, tmp_path: Path
) -> None:
    async with pooler(tmp_path, socket_of(place), APP, place, mode="transaction") as address:
        first, second = [await asyncpg.connect(address, statement_cache_size=0) for _ in range(2)]
        await first.execute("SET search_path TO tenant_a")
        await second.execute("SET search_path TO tenant_b")
        assert await first.fetchval("SELECT text FROM note") == "tenant_b"  # the other tenant's row
        first.terminate()
        second.terminate()
    (tmp_path / ".s.PGSQL.5432").unlink(missing_ok=True)

    with pytest.raises(UnsafeServer, match="pool_mode = session"):
        await starts_through("transaction", place, tmp_path)


async def test_pooling_by_session_is_as_good_as_none(place: str, tmp_path: Path) -> None:
    await starts_through("session", place, tmp_path)
