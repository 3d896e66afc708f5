"""A database proves whose it is; a fresh one is a copy of a template."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from pathlib import Path
from uuid import UUID

import pytest

from core.database import (
    Database,
    MigrationApp,
    SqliteDatabase,
    WrongDatabase,
    bind,
    claim,
    copy_template,
    execute,
    migrate,
    prove_owner,
    value,
)

ONE = UUID("11111111-1111-4111-8111-111111111111")
TWO = UUID("22222222-2222-4222-8222-222222222222")


@pytest.fixture
def apps(tmp_path: Path) -> list[MigrationApp]:
    folder = tmp_path / "feature"
    folder.mkdir()
    (folder / "2026_01_01_0001_notes.py").write_text(
        "from core.database import run_sql\nID = VERSION = DESCRIPTION = 'notes'\n"
        "async def forwards():\n    await run_sql('CREATE TABLE note (id {id}, text text)')\n"
    )
    return [MigrationApp("feature", folder)]


async def test_a_claimed_database_proves_its_owner(database: Database, apps: list[MigrationApp]) -> None:
    await migrate(apps)
    await claim(ONE)

    await prove_owner(ONE, apps)

    assert database.owner == ONE


async def test_another_tenant_s_database_is_refused_and_cannot_be_claimed(
    database: Database, apps: list[MigrationApp]
) -> None:
    await migrate(apps)
    await claim(ONE)

    with pytest.raises(WrongDatabase, match=f"opened for tenant {TWO}, but it belongs to tenant {ONE}"):
        await prove_owner(TWO)
    with pytest.raises(WrongDatabase):
        await claim(TWO)
    await prove_owner(ONE)


async def test_a_database_of_nobody_or_of_something_else_is_refused(
    database: Database, apps: list[MigrationApp]
) -> None:
    with pytest.raises(WrongDatabase, match="no database of Tenantry"):
        await prove_owner(ONE)
    await migrate(apps)
    with pytest.raises(WrongDatabase, match="belongs to nobody yet"):
        await prove_owner(ONE)


async def test_a_database_of_an_older_version_is_refused_where_the_version_counts(
    database: Database, apps: list[MigrationApp], tmp_path: Path
) -> None:
    await migrate(apps)
    await claim(ONE)
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "2026_01_02_0001_more.py").write_text(
        "ID = VERSION = DESCRIPTION = 'more'\nasync def forwards(): ...\n"
    )

    with pytest.raises(WrongDatabase, match="needs an upgrade: later: more"):
        await prove_owner(ONE, [*apps, MigrationApp("later", tmp_path / "later")])


async def made_template(folder: Path, apps: list[MigrationApp]) -> Path:
    template = SqliteDatabase(folder / "template.db", create=True)
    with bind(template):
        await migrate(apps)
    await template.close()
    return template.path


async def test_a_copy_of_a_template_is_a_tenant_s_own(tmp_path: Path, apps: list[MigrationApp]) -> None:
    template = await made_template(tmp_path, apps)

    for uuid in (ONE, TWO):
        copy_template(template, tmp_path / f"{uuid}.db")
        copied = SqliteDatabase(tmp_path / f"{uuid}.db")
        with bind(copied):
            assert await migrate(apps) == []
            await claim(uuid)
            await execute("INSERT INTO note (text) VALUES (:text)", text=str(uuid))
        await copied.close()

    for uuid in (ONE, TWO):
        with bind(SqliteDatabase(tmp_path / f"{uuid}.db")) as opened:
            await prove_owner(uuid, apps)
            assert await value("SELECT text FROM note") == str(uuid)
            await opened.close()
    assert stat.S_IMODE((tmp_path / f"{ONE}.db").stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".*"))


async def test_a_copy_never_overwrites_and_leaves_nothing_behind_when_it_fails(
    tmp_path: Path, apps: list[MigrationApp]
) -> None:
    template = await made_template(tmp_path, apps)
    target = tmp_path / "tenant.db"
    target.write_text("somebody's")

    with pytest.raises(FileExistsError):
        copy_template(template, target)

    assert target.read_text() == "somebody's"
    assert not list(tmp_path.glob(".*"))


async def test_a_template_that_is_still_being_written_is_not_copied(tmp_path: Path, apps: list[MigrationApp]) -> None:
    template = SqliteDatabase(tmp_path / "template.db", create=True)
    with bind(template):
        await migrate(apps)
        await execute("INSERT INTO note (text) VALUES ('late')")
        with pytest.raises(WrongDatabase, match="in use"):
            copy_template(template.path, tmp_path / "tenant.db")
    await template.close()


async def test_a_file_put_in_place_of_another_tenant_s_is_refused(tmp_path: Path, apps: list[MigrationApp]) -> None:
    template = await made_template(tmp_path, apps)
    for uuid in (ONE, TWO):
        copy_template(template, tmp_path / f"{uuid}.db")
        made = SqliteDatabase(tmp_path / f"{uuid}.db")
        with bind(made):
            await claim(uuid)
        await made.close()

    shutil.copyfile(tmp_path / f"{TWO}.db", tmp_path / f"{ONE}.db")

    with bind(SqliteDatabase(tmp_path / f"{ONE}.db")) as replaced:
        with pytest.raises(WrongDatabase, match=f"belongs to tenant {TWO}"):
            await prove_owner(ONE)
        await replaced.close()


@pytest.mark.parametrize("how", ["vacuum_into", "copy_into"])
async def test_a_file_in_use_can_be_copied_whole(tmp_path: Path, apps: list[MigrationApp], how: str) -> None:
    database = SqliteDatabase(tmp_path / "tenant.db", create=True)
    with bind(database):
        await migrate(apps)
        await execute("INSERT INTO note (text) VALUES ('kept')")
        other_process = sqlite3.connect(database.path, isolation_level=None)
        other_process.execute("BEGIN IMMEDIATE")
        other_process.execute("INSERT INTO note (text) VALUES ('not yet')")

        await getattr(database, how)(tmp_path / "backup.db")
        with pytest.raises((sqlite3.Error, OSError), match="exists"):
            await getattr(database, how)(tmp_path / "backup.db")

        other_process.close()
        with pytest.raises(sqlite3.OperationalError, match="too many attached databases"):
            await execute("ATTACH :other AS other", other=str(tmp_path / "backup.db"))
    await database.close()

    assert sorted(file.name for file in tmp_path.glob("backup.db*")) == ["backup.db"]
    with bind(SqliteDatabase(tmp_path / "backup.db")) as copy:
        assert await value("SELECT text FROM note") == "kept"
        assert await value("SELECT count(*) FROM note") == 1
        await copy.close()
