"""One tenant's database is damaged or has no room: the others go on, one line says so, nothing is half written."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.billing.run import run_billing
from core.billing.verify import verify
from core.database import DiskFull, SqliteDatabase, bind, run_sql, value
from core.scope import command_actor
from core.staff.actions import create_token
from core.staff.schemas import NewToken
from tenants import pausing
from tenants.backups import back_up
from tenants.demo import fill
from tenants.deployment import Deployment
from tenants.doctor import examine
from tenants.restoring import restore
from tests.hosts import deployment, made, visitor

if TYPE_CHECKING:
    import httpx

    from tenants.registry import TenantRecord

__all__ = ["deployment"]

ME = command_actor("test")
ON_SQLITE = pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)


async def furnished(deployment: Deployment, slug: str) -> tuple[TenantRecord, str]:
    """A tenant with books, and a token for its API."""
    record = (await made(deployment, slug)).record
    async with deployment.scope(record, ME) as scope:
        await fill(scope, 10, seed=1)
        token = await create_token(scope, NewToken(name="test", permissions=["*"], days=30), set())
    return record, token.token


@asynccontextmanager
async def api(deployment: Deployment, slug: str, token: str) -> AsyncIterator[httpx.AsyncClient]:
    async with visitor(deployment, f"{slug}.localhost") as client:
        client.headers["authorization"] = f"Bearer {token}"
        yield client


async def write(client: httpx.AsyncClient, name: str) -> httpx.Response:
    return await client.post("/api/v1/customers", json={"full_name": name})


def overwritten(file: Path, _: Path) -> None:
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle - 200_000 : middle + 200_000] = b"\xa5" * 400_000
    file.write_bytes(data)


def truncated(file: Path, _: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 3])


def another_s(file: Path, other: Path) -> None:
    with closing(sqlite3.connect(other)) as source:
        source.execute("VACUUM INTO ?", (f"{file}.other",))
    Path(f"{file}.other").replace(file)


def empty(file: Path, _: Path) -> None:
    file.write_bytes(b"")


def gone(file: Path, _: Path) -> None:
    file.unlink()


DAMAGE = {"overwritten": overwritten, "truncated": truncated, "another's": another_s, "empty": empty, "gone": gone}


@ON_SQLITE
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
async def test_a_damaged_file_is_said_once_and_harms_no_other_tenant(
    deployment: Deployment,
    damage: Callable[[Path, Path], None],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pausing, "SETTLING", 0.0)
    (alpha, token), (beta, other) = await furnished(deployment, "alpha"), await furnished(deployment, "beta")
    backup = await back_up(deployment, alpha)
    for record in (alpha, beta):
        await deployment.placement.forget(record.uuid)
    file = deployment.placement.file(alpha.uuid)
    for beside in file.parent.glob("tenant.sqlite-*"):
        beside.unlink()
    damage(file, deployment.placement.file(beta.uuid))
    again = Deployment(deployment.config, clock=deployment.clock)
    await again.start()
    capsys.readouterr()
    caplog.clear()

    answers = []
    async with api(again, "alpha", token) as client, api(again, "beta", other) as neighbour:
        for number in range(3):
            for page in ("/api/v1/customers?limit=100", "/api/v1/customers?limit=100&sort=-name", "/api/v1/invoices"):
                answers.append(await client.get(page))
            answers.append(await write(client, f"Nobody {number}"))
            assert (await neighbour.get("/api/v1/customers?limit=100")).status_code == 200
            assert (await write(neighbour, f"Somebody {number}")).status_code == 201
    printed = [line for line in "".join(capsys.readouterr()).splitlines() if "not served" in line or "[error" in line]
    said = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] or printed
    findings = {finding.what: finding async for finding in examine(again)}

    assert {answer.status_code for answer in answers} <= {200, 404, 503}
    assert 503 in {answer.status_code for answer in answers}
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 503)
    assert len(said) == 1, said
    assert "damaged" in said[0] or "tenant.sqlite" in said[0]
    assert findings["tenant alpha"].state == "fail"
    assert "restore" in findings["tenant alpha"].way_out or "backup" in findings["tenant alpha"].way_out
    assert findings["tenant beta"].state != "fail"
    async with again.scope(beta, ME) as scope:
        assert await verify(scope, thorough=True) == []
        assert await value("SELECT count(*) FROM customer WHERE full_name LIKE 'Somebody %'") == 3
    await restore(again, Path(backup.file), replace=True, back_up=False)
    async with api(again, "alpha", token) as client:
        assert (await write(client, "Somebody")).status_code == 201
    async with again.scope(await again.registry.get_by_slug("alpha"), ME) as scope:
        assert await verify(scope, thorough=True) == []
    await again.stop()


@asynccontextmanager
async def full(deployment: Deployment, record: TenantRecord) -> AsyncIterator[None]:
    """No room for another row. SQLite: the file may not grow. PostgreSQL: the server says so at the last write."""
    database = deployment.placement.find(record)
    if isinstance(database, SqliteDatabase):

        async def allow(pages: str) -> None:
            async with database.writer() as connection:
                connection.execute(f"PRAGMA max_page_count = {pages}")

        with bind(database):
            used = await value("PRAGMA page_count")
        await allow(str(used))
        yield
        await allow("1073741823")
        return
    with bind(deployment.placement.migrating(record)):
        await run_sql("""
            CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
            CREATE TRIGGER no_room BEFORE INSERT ON activity FOR EACH STATEMENT EXECUTE FUNCTION no_room();
        """)
        yield
        await run_sql("DROP TRIGGER no_room ON activity; DROP FUNCTION no_room()")


COUNTS = (
    "SELECT (SELECT count(*) FROM customer) || ' ' || (SELECT count(*) FROM document) || ' ' || last FROM activity_head"
)


async def test_a_tenant_without_room_is_read_writes_nothing_half_and_goes_on_when_there_is_room_again(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    (alpha, token), (_, other) = await furnished(deployment, "alpha"), await furnished(deployment, "beta")
    async with deployment.scope(alpha, ME) as scope:
        before = await value(COUNTS)
    caplog.clear()

    async with full(deployment, alpha):
        refused = []
        async with api(deployment, "alpha", token) as client, api(deployment, "beta", other) as neighbour:
            for number in range(40):  # a free page or two may be left
                note = {"full_name": f"Filler {number}", "company": "x" * 200, "street": "y" * 200}
                answer = await client.post("/api/v1/customers", json=note)
                refused += [answer] if answer.status_code != 201 else []
                assert (await client.get("/api/v1/customers")).status_code == 200
            assert (await write(neighbour, "Somebody")).status_code == 201
        async with deployment.scope(alpha, ME) as scope:
            with pytest.raises(DiskFull):
                await run_billing(scope, date(2027, 6, 30), confirmed=True)
            during = await value(COUNTS)
            assert await verify(scope) == []

    assert len(refused) > 5
    assert {answer.status_code for answer in refused} == {503}
    assert {json.loads(answer.text)["detail"] for answer in refused} == {"The disk is full. Nothing was changed."}
    said = [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]
    assert said == ["The disk is full. Nothing was changed."]
    customers, documents, last = (int(part) for part in during.split())
    accepted = 40 - len(refused)
    assert (customers, documents) == (int(before.split()[0]) + accepted, int(before.split()[1]))
    async with api(deployment, "alpha", token) as client:
        assert (await write(client, "Somebody")).status_code == 201
    async with deployment.scope(alpha, ME) as scope:
        assert (await run_billing(scope, date(2027, 6, 30), confirmed=True)).invoices > 0
        assert await value("SELECT last FROM activity_head") > last
        assert await value("SELECT count(*) FROM activity") == await value("SELECT last FROM activity_head")
        assert await verify(scope, thorough=True) == []
