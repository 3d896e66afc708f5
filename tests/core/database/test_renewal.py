"""What the tests themselves stand on: a database that is used again is as new, or is not used again."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.database import MigrationApp, PostgresDatabase, bind, execute, value, values
from tests.databases import define, fresh

FEATURE = """
from core.database import run_sql
ID = VERSION = DESCRIPTION = 'notes'
async def forwards():
    await run_sql('''
        CREATE TABLE kind (id {id}, name text NOT NULL, upper_name text GENERATED ALWAYS AS (upper(name)) STORED);
        CREATE TABLE note (id {id}, kind_id bigint NOT NULL REFERENCES kind (id), text text);
        INSERT INTO kind (name) VALUES ('a'), ('b');
    ''')
    await run_sql(postgresql='''
        CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'Notes stay.'; END $$;
        CREATE TRIGGER stays BEFORE DELETE ON note FOR EACH ROW EXECUTE FUNCTION stays();
    ''')
"""


@pytest.fixture
def apps(tmp_path: Path) -> list[MigrationApp]:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "2026_01_01_0001_notes.py").write_text(FEATURE)
    return [MigrationApp("feature", tmp_path / "migrations")]


async def test_rows_and_numbers_are_as_in_the_template(tmp_path: Path, apps: list[MigrationApp]) -> None:
    used: list[str] = []
    for _ in range(3):
        async with fresh("postgresql", tmp_path, apps) as made:
            assert isinstance(made, PostgresDatabase)
            used.append(made.server.name)
            with bind(made):
                assert await values("SELECT upper_name FROM kind ORDER BY id") == ["A", "B"]
                assert await value("INSERT INTO note (kind_id) VALUES (1) RETURNING id") == 1
                assert await value("INSERT INTO kind (name) VALUES ('c') RETURNING id") == 3
                await execute("UPDATE kind SET name = 'x' WHERE id = 1")
                await execute("CREATE TEMP TABLE plan (id bigint)")

    assert len(set(used)) == 1


async def test_a_database_of_another_shape_is_not_used_again(tmp_path: Path, apps: list[MigrationApp]) -> None:
    changes = (
        "ALTER TABLE note ADD COLUMN more text",
        "CREATE TABLE more (id bigint)",
        "ALTER TABLE note DISABLE TRIGGER stays",
        "DROP FUNCTION stays() CASCADE",
        "CREATE OR REPLACE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "ALTER TABLE note DROP CONSTRAINT note_kind_id_fkey",
        "CREATE INDEX note_text ON note (text)",
    )
    used: list[str] = []
    for change in changes:
        async with fresh("postgresql", tmp_path, apps) as made:
            assert isinstance(made, PostgresDatabase)
            used.append(made.server.name)
            with bind(made):
                await define(change)

    assert len(set(used)) == len(changes)
