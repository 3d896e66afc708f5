"""H3: new tenants go to the least full database that has room; real PostgreSQL databases, small limits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from core.clock import FixedClock
from core.config import ConfigError, load_config
from core.errors import Conflict
from core.testing import START
from tenants import moving, pausing
from tenants.deployment import Deployment
from tenants.doctor import examine
from tenants.ending import delete_tenant
from tenants.provisioning import NewTenant, create_tenant
from tests.consoles import do, happened, job_of, person, provider, worked
from tests.databases import APP, OWNER, dsn, postgres_database
from tests.hosts import made

_number = count(1)
LIMIT = 3


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Deployment]:
    """Two databases that hold three schemas each; new tenants go to either."""
    environment = {
        "TENANTRY_DATA": str(tmp_path / "data"),
        "TENANTRY__PLACEMENT__DEFAULT": "north, south",
        "TENANTRY__PLACEMENT__SCHEMAS": str(LIMIT),
    }
    for place in ("north", "south"):
        name = f"place_{os.environ.get('PYTEST_XDIST_WORKER', 'gw')}_{os.getpid()}_{next(_number)}"
        await postgres_database(name)
        environment[f"TENANTRY__DATABASE__{place.upper()}__APP_DSN"] = dsn(name, APP)
        environment[f"TENANTRY__DATABASE__{place.upper()}__OWNER_DSN"] = dsn(name, OWNER)
    deployment = Deployment(load_config(environment=environment), clock=FixedClock(START))
    await deployment.start()
    try:
        yield deployment
    finally:
        await deployment.stop()


async def places(deployment: Deployment) -> dict[str, str]:
    return {record.slug: record.placement for record in await deployment.registry.list_tenants()}


async def test_H3_new_tenants_fill_the_least_full_database_until_all_are_full(two: Deployment) -> None:
    for number in range(2 * LIMIT):
        await made(two, f"tenant{number}")
    with pytest.raises(Conflict) as full:
        await made(two, "one-more")
    with pytest.raises(Conflict):
        await create_tenant(two, NewTenant(slug="named", name="Named", email="a@named.example", placement="south"))

    found = await places(two)
    assert [list(found.values()).count(place) for place in ("north", "south")] == [LIMIT, LIMIT]
    assert list(found.values())[:4] == ["north", "south", "north", "south"]
    assert "north: 3 of 3 schemas; south: 3 of 3 schemas" in full.value.message
    assert "placement.schemas" in full.value.message
    assert "one-more" not in found
    assert len(list((two.config.data / "tenants").iterdir())) == 2 * LIMIT, "nothing is left of those refused"


@pytest.mark.slow
async def test_H3_what_is_deleted_makes_room_again(two: Deployment) -> None:
    for number in range(2 * LIMIT):
        await made(two, f"tenant{number}")

    await delete_tenant(two, await two.registry.get_by_slug("tenant1"))
    again = await made(two, "again")

    assert again.record.placement == "south"


async def test_H3_schemas_kept_ready_count_and_are_taken(two: Deployment) -> None:
    spares = two.placement.spares("north")
    filled = await spares.fill(10)
    before = await two.placement.fullness("north")
    taken = await create_tenant(two, NewTenant(slug="taker", name="Taker", email="a@taker.example", placement="north"))
    after = await two.placement.fullness("north")

    assert filled == LIMIT, "never more than the database may hold"
    assert (before.schemas, before.ready, before.room, before.has_room) == (LIMIT, LIMIT, LIMIT, True)
    assert taken.record.placement == "north"
    assert (after.schemas, after.ready, after.room) == (LIMIT, LIMIT - 1, LIMIT - 1)
    assert await spares.fill(10) == 0


async def test_H3_many_made_at_once_fill_a_database_to_its_limit_and_no_further(two: Deployment) -> None:
    asked = [
        create_tenant(two, NewTenant(slug=f"tenant{n}", name="T", email="a@t.example", placement="north"))
        for n in range(LIMIT + 2)
    ]
    answers = await asyncio.gather(*asked, return_exceptions=True)

    refused = [answer for answer in answers if isinstance(answer, Conflict)]
    assert len(refused) == 2, answers
    assert len(await two.placement.spares("north").schemas()) == LIMIT
    assert len(await two.registry.list_tenants()) == LIMIT


async def test_H3_a_database_that_does_not_answer_is_passed_over(
    two: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(self: object) -> list[str]:
        raise ConnectionRefusedError("nobody is there")

    north = two.placement.spares("north")
    monkeypatch.setattr(type(north), "schemas", lambda self: away(self) if self is north else kept(self))
    tenants = [(await made(two, slug)).record.placement for slug in ("alpha", "beta")]
    found = {one.name: one for one in await two.placement.all_fullness()}

    assert tenants == ["south", "south"]
    assert (found["north"].error, found["north"].has_room) == ("it does not answer", False)


async def kept(self: object) -> list[str]:
    from core.database.postgresql import spare_schemas
    from tenants.spares import NOT_OURS, Spares

    assert isinstance(self, Spares)
    found = await spare_schemas(self._owner_dsn, "")
    return [name for name in found if name not in NOT_OURS and not name.startswith("pg_")]


async def test_H3_the_doctor_and_the_console_say_how_full_each_is(two: Deployment) -> None:
    host = await provider(two)
    for number in range(LIMIT - 1):
        await create_tenant(
            two, NewTenant(slug=f"tenant{number}", name="T", email="a@t.example", placement=host.placement)
        )
    browser = await person(two, host)

    findings = {one.what: one async for one in examine(two)}
    page = await browser.get("/tenants/databases")
    form = await browser.get("/tenants/new")

    full, free = findings[f"room in {host.placement}"], findings["room in south"]
    assert (full.state, full.detail) == ("warn", "3 of 3 schemas")
    assert "a further database" in full.way_out
    assert (free.state, free.detail) == ("ok", "0 of 3 schemas")
    assert "3 of 3 schemas" in page.text
    assert "Full" in page.text
    assert "south: 0 of 3 schemas" in form.text


async def test_H1_a_tenant_is_moved_from_the_console_where_there_is_room(
    two: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "SETTLING", 0.0)
    monkeypatch.setattr(pausing, "VISITED", 0.0)
    host, tenant = await provider(two), (await made(two, "alpha")).record
    browser = await person(two, host)
    at = f"/tenants/{tenant.id}/deeds/moving"

    offered = await browser.get(at)
    here = await do(browser, at, placement=tenant.placement)
    nowhere = await do(browser, at, placement="west")
    own = await browser.get(f"/tenants/{host.id}/deeds/moving")
    await two.placement.spares(host.placement).fill(1)
    ready = await do(browser, at, placement=host.placement)
    await worked(two, host)
    work = await browser.get(f"/tenants/work/{job_of(ready)}")

    assert f'value="{host.placement}"' in offered.text
    assert 'value="sqlite"' in offered.text
    assert (here.status_code, nowhere.status_code) == (422, 422)
    assert "is there already" in here.text
    assert "you work in it" in own.text
    assert (await two.registry.get_by_slug("alpha")).placement == host.placement, work.text
    assert "each found to be the same" in work.text
    assert (await happened(two, host))[-1] == "tenant_moved"


async def test_H1_nothing_is_moved_to_where_there_is_no_room(two: Deployment) -> None:
    host, tenant = await provider(two), (await made(two, "alpha")).record
    for number in range(LIMIT - 1):
        await create_tenant(
            two, NewTenant(slug=f"tenant{number}", name="T", email="a@t.example", placement=host.placement)
        )
    browser = await person(two, host)

    refused = await do(browser, f"/tenants/{tenant.id}/deeds/moving", placement=host.placement)

    assert refused.status_code == 422
    assert "There is no room in" in refused.text


@pytest.mark.parametrize("named", ["north", "sqlite, north", ","])
def test_a_place_that_is_not_there_stops_the_start(named: str, tmp_path: Path) -> None:
    environment = {"TENANTRY_DATA": str(tmp_path), "TENANTRY__PLACEMENT__DEFAULT": named}
    if named == ",":
        assert load_config(environment=environment).placement.places == ("sqlite",)
    else:
        with pytest.raises(ConfigError, match=r"there is no \[database.north\]"):
            load_config(environment=environment)
