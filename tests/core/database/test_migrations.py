"""Migrations of features and plugins: whole or not at all, in order, once; and tables that are made again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from textwrap import dedent

import pytest
from msgspec import Struct

from core.database import (
    BrokenReference,
    ConstraintFailed,
    Database,
    MigrationApp,
    SchemaTooNew,
    SqliteDatabase,
    TransactionError,
    bind,
    execute,
    migrate,
    pending,
    rebuild_table,
    row,
    spawn,
    transaction,
    value,
    values,
)
from core.database.migrations import BadMigration, load, rewrite_rows
from tests.databases import define


class Folder:
    """A feature's or plugin's folder of migrations, written by a test."""

    def __init__(self, path: Path, name: str) -> None:
        path.mkdir(parents=True)
        self.app = MigrationApp(name, path)
        self.count = 0

    def add(self, body: str, *, id: str | None = None, file: str | None = None) -> None:
        self.count += 1
        number = id or f"2026-01-01T00:{self.count:02}:00"
        head = (
            "from core.database import execute, rebuild_table, run_sql, values\n"
            f"ID = {number!r}\nVERSION = '1'\nDESCRIPTION = 'step {self.count}'\n"
        )
        text = f"{head}async def forwards():\n" + "".join(f"    {line}\n" for line in dedent(body).strip().splitlines())
        (self.app.folder / (file or f"2026_01_01_{self.count:04}_step.py")).write_text(text)
        load.cache_clear()


@pytest.fixture
def feature(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "feature", "feature")


@pytest.fixture
def plugin(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "plugin", "plugin")


async def test_what_is_missing_is_run_once_and_in_order(database: Database, feature: Folder, plugin: Folder) -> None:
    feature.add("await run_sql('CREATE TABLE note (id {id}, text {key} NOT NULL)')")
    feature.add("await execute(\"INSERT INTO note (text) VALUES ('first')\")")
    plugin.add("await execute(\"INSERT INTO note (text) VALUES ('plugin')\")")
    apps = [feature.app, plugin.app]

    before = await pending(apps)
    first = await migrate(apps)
    second = await migrate(apps)

    assert before == first
    assert first == [
        "feature: 2026-01-01T00:01:00 step 1",
        "feature: 2026-01-01T00:02:00 step 2",
        "plugin: 2026-01-01T00:01:00 step 1",
    ]
    assert second == []
    assert await pending(apps) == []
    assert await values("SELECT text FROM note ORDER BY id") == ["first", "plugin"]


async def test_what_came_later_is_run_later(database: Database, feature: Folder) -> None:
    feature.add("await run_sql('CREATE TABLE note (id {id}, text text NOT NULL)')")
    await migrate([feature.app])
    feature.add("await run_sql(\"ALTER TABLE note ADD COLUMN more text NOT NULL DEFAULT ''\")")

    assert await migrate([feature.app]) == ["feature: 2026-01-01T00:02:00 step 2"]
    assert await value("SELECT schema_version FROM tenant_meta") == "2026-01-01T00:02:00"


async def test_when_one_fails_nothing_of_any_is_kept(database: Database, feature: Folder, plugin: Folder) -> None:
    feature.add("await run_sql('CREATE TABLE note (id {id}, text text NOT NULL CHECK (text <> \\'\\'))')")
    plugin.add("await execute(\"INSERT INTO note (text) VALUES ('')\")")

    with pytest.raises(ConstraintFailed):
        await migrate([feature.app, plugin.app])

    assert len(await pending([feature.app, plugin.app])) == 2
    with pytest.raises(Exception, match="note"):
        await value("SELECT count(*) FROM note")


async def test_a_database_of_a_newer_version_is_refused(database: Database, feature: Folder) -> None:
    feature.add("await run_sql('CREATE TABLE note (id {id})')")
    feature.add("await run_sql('CREATE TABLE more (id {id})')", file="2026_01_02_0001_more.py")
    await migrate([feature.app])
    (feature.app.folder / "2026_01_02_0001_more.py").unlink()
    load.cache_clear()

    for ask in (migrate, pending):
        with pytest.raises(SchemaTooNew, match=r"feature: 2026-01-01T00:02:00"):
            await ask([feature.app])


async def test_a_plugin_that_is_switched_off_is_no_newer_version(
    database: Database, feature: Folder, plugin: Folder
) -> None:
    feature.add("await run_sql('CREATE TABLE note (id {id})')")
    plugin.add("await run_sql('CREATE TABLE item (id {id})')")
    await migrate([feature.app, plugin.app])

    assert await migrate([feature.app]) == []


async def test_two_who_migrate_at_once_take_turns(database: Database, feature: Folder) -> None:
    feature.add("await run_sql('CREATE TABLE note (id {id})')")

    found = await asyncio.gather(*(spawn(migrate([feature.app])) for _ in range(3)))

    assert sorted(len(each) for each in found) == [0, 0, 1]


async def test_migrating_inside_a_transaction_is_refused(database: Database, feature: Folder) -> None:
    async with transaction():
        with pytest.raises(TransactionError):
            await migrate([feature.app])


async def test_keys_never_come_back_where_that_is_asked_for(database: Database, feature: Folder) -> None:
    feature.add("await run_sql('CREATE TABLE note (id {id_never_reused}, data {bytes})')")
    await migrate([feature.app])
    insert = "INSERT INTO note (data) VALUES (:data) RETURNING id"
    await value(insert, data=b"\x00\xff")
    second = await value(insert, data=None)
    await execute("DELETE FROM note WHERE id = :id", id=second)

    assert await value(insert, data=None) > second
    assert await value("SELECT data FROM note WHERE id = 1") == b"\x00\xff"


async def test_keys_sort_alike_on_both_databases(database: Database, feature: Folder) -> None:
    feature.add("await run_sql('CREATE TABLE note (id {id}, name_key {key} NOT NULL)')")
    await migrate([feature.app])
    names = ["b", "a", "Z", "ä", "a b", "ab", "a-b", "_", "é", "0"]
    for name in names:
        await execute("INSERT INTO note (name_key) VALUES (:name)", name=name)

    assert await values("SELECT name_key FROM note ORDER BY name_key") == sorted(names, key=str.encode)


async def test_the_manager_of_piccolo_runs_in_the_same_transaction_and_in_silence(
    database: Database, plugin: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin.add(
        """
        from piccolo.apps.migrations.auto.migration_manager import MigrationManager
        from piccolo.columns.column_types import Text
        manager = MigrationManager(migration_id=ID, app_name="plugin", description="")
        manager.add_table(class_name="Item", tablename="item")
        manager.add_column(
            table_class_name="Item", tablename="item", column_name="name", db_column_name="name",
            column_class_name="Text", column_class=Text,
            params={"default": "", "null": False, "primary_key": False, "unique": False, "index": False},
        )
        return manager
        """
    )
    plugin.add("raise KeyError('after')")

    with pytest.raises(KeyError):
        await migrate([plugin.app])
    assert len(await pending([plugin.app])) == 2
    (plugin.app.folder / "2026_01_01_0002_step.py").unlink()
    load.cache_clear()
    await migrate([plugin.app])

    assert capsys.readouterr().out == ""
    await execute("INSERT INTO item (name) VALUES ('a')")
    assert await values("SELECT name FROM item") == ["a"]


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"2026_01_01_0001_a.py": "ID = 'a'"}, "VERSION is missing"),
        ({"first.py": "ID = 'a'"}, "are named"),
        (
            {
                "2026_01_01_0001_a.py": "ID = 'b'; VERSION = DESCRIPTION = ''\ndef forwards(): ...",
                "2026_01_01_0002_b.py": "ID = 'a'; VERSION = DESCRIPTION = ''\ndef forwards(): ...",
            },
            "not later than the one before",
        ),
    ],
)
def test_a_file_that_cannot_be_a_migration_is_named(tmp_path: Path, files: dict[str, str], fault: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    with pytest.raises(BadMigration, match=fault):
        load(MigrationApp("bad", tmp_path))


# Tables made again


class Account(Struct):
    id: int
    name: str
    balance: str
    owner_id: int | None


BEFORE = """
CREATE TABLE owner (id {id}, name text NOT NULL);
CREATE TABLE account (
    id {id_never_reused}, name text, balance bigint NOT NULL, owner_id bigint REFERENCES owner (id),
    twin_id bigint REFERENCES account (id), gone text
);
CREATE INDEX account_owner ON account (owner_id, id);
CREATE UNIQUE INDEX account_name ON account (name) WHERE name <> '';
CREATE TABLE entry (
    id {id}, account_id bigint NOT NULL REFERENCES account (id) ON DELETE CASCADE, amount bigint NOT NULL
);
CREATE TABLE heard (text text NOT NULL);
CREATE VIEW rich AS SELECT id FROM account WHERE balance IS NOT NULL;
"""
TRIGGERS = dedent(
    '''
    await run_sql(
        sqlite="""
        CREATE TRIGGER account_changed AFTER UPDATE ON account BEGIN
            INSERT INTO heard VALUES ('account; ' || NEW.id);
        END;
        CREATE TRIGGER entry_added AFTER INSERT ON entry BEGIN
            UPDATE account SET name = name WHERE id = NEW.account_id;
        END;
        """,
        postgresql="""
        CREATE FUNCTION account_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO heard VALUES ('account; ' || NEW.id); RETURN NULL; END $$;
        CREATE TRIGGER account_changed AFTER UPDATE ON account FOR EACH ROW EXECUTE FUNCTION account_changed();
        CREATE FUNCTION entry_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            UPDATE account SET name = name WHERE id = NEW.account_id; RETURN NULL; END $$;
        CREATE TRIGGER entry_added AFTER INSERT ON entry FOR EACH ROW EXECUTE FUNCTION entry_added();
        """,
    )
    '''
)
REBUILD = dedent(
    '''
    await rebuild_table(
        "account",
        """
        CREATE TABLE account (
            id {id_never_reused}, name text NOT NULL DEFAULT '' CHECK (name <> 'x'), balance text NOT NULL,
            owner_id bigint REFERENCES owner (id), twin_id bigint REFERENCES account (id),
            more integer NOT NULL DEFAULT 7
        )
        """,
        columns={"name": "coalesce(name, '')", "balance": "balance || ' minor'"},
        postgresql="""
        DROP VIEW rich;
        UPDATE account SET name = '' WHERE name IS NULL;
        ALTER TABLE account ALTER COLUMN name SET NOT NULL, ALTER COLUMN name SET DEFAULT '', ADD CHECK (name <> 'x'),
            ALTER COLUMN balance TYPE text USING balance || ' minor', DROP COLUMN gone,
            ADD COLUMN more integer NOT NULL DEFAULT 7;
        CREATE VIEW rich AS SELECT id FROM account WHERE balance IS NOT NULL;
        DELETE FROM heard;
        """,
    )
    '''
)


@pytest.fixture
async def rebuilt(database: Database, feature: Folder) -> Database:
    """A table with rows, indexes, triggers, and others that refer to it, made again."""
    feature.add(f"await run_sql({BEFORE!r})")
    feature.add(TRIGGERS)
    await migrate([feature.app])
    await execute("INSERT INTO owner (name) VALUES ('o')")
    for name, balance, owner in (("a", 1, 1), (None, 2, None), ("c", 3, 1), ("gone", 4, None)):
        await execute(
            "INSERT INTO account (name, balance, owner_id) VALUES (:name, :balance, :owner)",
            name=name,
            balance=balance,
            owner=owner,
        )
    await execute("DELETE FROM account WHERE name = 'gone'")
    await execute("UPDATE account SET twin_id = 1 WHERE id = 3")
    for account in (1, 1, 3):
        await execute("INSERT INTO entry (account_id, amount) VALUES (:account, 5)", account=account)
    await execute("DELETE FROM heard")
    feature.add(REBUILD)
    await migrate([feature.app])
    return database


async def test_a_table_that_is_made_again_keeps_its_rows(rebuilt: Database) -> None:
    found = await row(Account, "SELECT id, name, balance, owner_id FROM account WHERE id = 2")

    assert found == Account(2, "", "2 minor", None)
    assert await values("SELECT id FROM account ORDER BY id") == [1, 2, 3]
    assert await values("SELECT more FROM account") == [7, 7, 7]
    assert await values("SELECT twin_id FROM account WHERE id = 3") == [1]
    assert await values("SELECT account_id FROM entry ORDER BY id") == [1, 1, 3]
    assert await values("SELECT text FROM heard") == []


async def test_its_numbers_go_on_where_they_were(rebuilt: Database) -> None:
    assert await value("INSERT INTO account (balance) VALUES ('x') RETURNING id") == 5


async def test_its_new_rules_and_old_indexes_hold(rebuilt: Database) -> None:
    with pytest.raises(ConstraintFailed):
        await execute("INSERT INTO account (name, balance) VALUES ('x', '1')")
    with pytest.raises(ConstraintFailed):
        await execute("INSERT INTO account (name, balance) VALUES (NULL, '1')")
    with pytest.raises(Exception, match="same name"):
        await execute("INSERT INTO account (name, balance) VALUES ('a', '1')")
    if isinstance(rebuilt, SqliteDatabase):
        assert set(await values("SELECT name FROM pragma_index_list('account')")) == {"account_owner", "account_name"}


async def test_what_refers_to_it_still_does(rebuilt: Database) -> None:
    with pytest.raises(BrokenReference):
        await execute("INSERT INTO entry (account_id, amount) VALUES (99, 1)")
    with pytest.raises(BrokenReference):
        await execute("DELETE FROM owner")
    await execute("UPDATE account SET twin_id = NULL")
    await execute("DELETE FROM account WHERE id = 1")

    assert await values("SELECT account_id FROM entry") == [3]
    assert await values("SELECT id FROM rich ORDER BY id") == [2, 3]


async def test_its_triggers_and_those_that_name_it_fire(rebuilt: Database) -> None:
    await execute("INSERT INTO entry (account_id, amount) VALUES (3, 1)")

    assert await values("SELECT text FROM heard") == ["account; 3"]


async def test_a_table_cannot_be_made_again_outside_of_a_migration(database: Database) -> None:
    if isinstance(database, SqliteDatabase):
        await execute("CREATE TABLE note (id bigint)")
        with pytest.raises(TransactionError):
            await rebuild_table("note", "CREATE TABLE note (id bigint)", postgresql="SELECT 1")
        with pytest.raises(TransactionError):
            await rebuild_in_a_transaction()
    else:
        with pytest.raises(BadMigration, match="needs the ALTER TABLE"):
            await rebuild_table("note", "CREATE TABLE note (id bigint)")


async def rebuild_in_a_transaction() -> None:
    async with transaction():
        await rebuild_table("note", "CREATE TABLE note (id bigint)", postgresql="SELECT 1")


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("'note', 'CREATE TABLE other (id bigint)'", "must begin with CREATE TABLE note"),
        ("'note', 'CREATE TABLE note (id bigint)', columns={'x': '1'}", "no column x"),
        ("'no\"te', 'CREATE TABLE note (id bigint)'", "no name of a table"),
    ],
)
async def test_a_definition_that_cannot_be_meant_is_refused(
    database: Database, feature: Folder, call: str, fault: str
) -> None:
    feature.add("await run_sql('CREATE TABLE note (id bigint)')")
    await migrate([feature.app])
    feature.add(f"await rebuild_table({call}, postgresql='SELECT fail')")

    with pytest.raises(BadMigration if isinstance(database, SqliteDatabase) else Exception) as error:
        await migrate([feature.app])
    if isinstance(database, SqliteDatabase):
        assert fault in str(error.value)


async def test_rows_that_a_migration_leaves_pointing_to_nothing_are_found_before_it_is_kept(
    database: Database, feature: Folder
) -> None:
    feature.add(
        "await run_sql('CREATE TABLE parent (id {id}); CREATE TABLE child (parent_id bigint REFERENCES parent (id))')"
    )
    await migrate([feature.app])
    await execute("INSERT INTO parent (id) VALUES (1)")
    await execute("INSERT INTO child (parent_id) VALUES (1)")
    feature.add("await execute('DELETE FROM parent')")

    with pytest.raises((BadMigration, BrokenReference)):
        await migrate([feature.app])

    assert await value("SELECT count(*) FROM parent") == 1


async def test_after_a_migration_foreign_keys_are_kept_again(database: Database, feature: Folder) -> None:
    feature.add("await run_sql('CREATE TABLE a (id {id}); CREATE TABLE b (a_id bigint REFERENCES a (id))')")
    await migrate([feature.app])

    with pytest.raises(BrokenReference):
        await execute("INSERT INTO b (a_id) VALUES (1)")


async def test_migrations_of_two_tenants_do_not_meet(two_databases: tuple[Database, Database], feature: Folder) -> None:
    feature.add("await run_sql('CREATE TABLE note (id {id})')")
    first, second = two_databases

    with bind(first):
        assert len(await migrate([feature.app])) == 1
    with bind(second):
        assert len(await pending([feature.app])) == 1


class Named(Struct, frozen=True):
    id: int
    name: str


async def test_rows_that_are_there_get_the_values_that_are_worked_out_for_them(database: Database) -> None:
    await define("CREATE TABLE person (id {id}, name text NOT NULL, short text NOT NULL DEFAULT '')")
    await execute("INSERT INTO person (name) VALUES ('Ada'), ('Grace')")

    await rewrite_rows(
        Named,
        "SELECT id, name FROM person",
        "UPDATE person SET short = :short WHERE id = :id",
        lambda one: {"id": one.id, "short": one.name[0]},
    )

    assert await values("SELECT short FROM person ORDER BY id") == ["A", "G"]
