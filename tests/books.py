"""A tenant's books for tests: a migrated database, bound and owned, with a clock that stands still until moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import pytest

from core import hookspecs
from core.app import MIGRATIONS
from core.clock import FixedClock
from core.config import Keys
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import Database, Everything, bind, claim, current, execute
from core.hooks import Hooks
from core.ids import new_uuid
from core.scope import ALL_PERMISSIONS, Actor, Scope, Tenant
from tests.databases import KINDS, fresh

APPS: Final = MIGRATIONS
START: Final = datetime(2027, 5, 1, 9, tzinfo=UTC)


def scope_of(database: Database, clock: FixedClock, *, country: str = "AT", zone: str = "Europe/Vienna") -> Scope:
    """A member of staff who may do everything, in a tenant whose books are in euro."""
    assert database.owner is not None
    tenant = Tenant(
        uuid=database.owner,
        slug="demo",
        name="Demo Fibre",
        address="http://demo.localhost:8000",
        time_zone=zone,
        currency="EUR",
        country=country,
        language="en",
    )
    actor = Actor("staff", 1, "Staff", Everything(), ALL_PERMISSIONS)
    return Scope(tenant=tenant, actor=actor, hooks=Hooks(hookspecs, ()), clock=clock, keys=Keys.generated())


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture(params=KINDS)
async def scope(request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Scope]:
    """Bound to a fresh database, once on SQLite and once on PostgreSQL."""
    async with fresh(request.param, tmp_path, APPS) as database:
        with bind(database):
            database.owner = new_uuid()
            await claim(database.owner)
            yield scope_of(database, clock)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


async def a_customer(scope: Scope, name: str = "Ada Adler", **columns: object) -> int:
    """A customer with status New; columns that its form does not have are written straight into its row."""
    fields = {key: columns.pop(key) for key in tuple(columns) if key in NewCustomer.__struct_fields__}
    customer_id = await create_customer(scope, NewCustomer(full_name=name, **fields))  # type: ignore[arg-type]  # by name
    if columns:
        names = ", ".join(f"{name} = :{name}" for name in columns)
        await execute(f"UPDATE customer SET {names} WHERE id = :id", id=customer_id, **columns)
    return customer_id


def day(text: str) -> date:
    return date.fromisoformat(text)


__all__ = ["APPS", "START", "a_customer", "anyio_backend", "clock", "current", "day", "scope", "scope_of"]
