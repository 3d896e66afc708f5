"""A tenant with nothing but the log, jobs and settings, and a scope in it: for tests of these three."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import pytest
import structlog

import core
from core import hookspecs
from core.activity.events import Event
from core.clock import Clock, FixedClock
from core.config import Keys
from core.database import Everything, MigrationApp, bind, claim
from core.hooks import Hooks
from core.scope import ALL_PERMISSIONS, Actor, Scope, Tenant
from tests.databases import KINDS, define, fresh

APPS: Final = tuple(
    MigrationApp(feature, Path(core.__file__).parent / feature / "migrations")
    for feature in ("activity", "jobs", "settings")
)
structlog.configure(
    processors=[structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
)
NOON: Final = datetime(2027, 3, 1, 12, tzinfo=UTC)
TABLES: Final = """
CREATE TABLE thing (id {id}, name text NOT NULL);
CREATE TABLE effect (id {id}, reader text NOT NULL, position bigint NOT NULL);
"""


class ThingMade(Event, subject="thing"):
    thing_id: int
    customer_id: int | None = None


class ThingChanged(Event, subject="thing"):
    thing_id: int
    customer_id: int | None = None


class ThingHeard(Event, subject="thing"):
    thing_id: int


def scope_of(uuid: UUID, clock: Clock, *, zone: str = "Europe/Berlin") -> Scope:
    """A staff user's scope in a tenant without plugins."""
    tenant = Tenant(uuid, "demo", "Demo", "http://demo.localhost:8000", zone, "EUR", "DE", "en")
    actor = Actor("staff", 7, "Ada", Everything(), ALL_PERMISSIONS)
    return Scope(tenant, actor, Hooks(hookspecs, []), clock, Keys.generated())


@asynccontextmanager
async def tenant_on(kind: str, folder: Path, clock: Clock) -> AsyncIterator[Scope]:
    """A fresh tenant on a database of this kind, bound."""
    uuid = uuid4()
    async with fresh(kind, folder, APPS) as made:
        with bind(made):
            await claim(uuid)
            made.owner = uuid
            await define(TABLES)
            yield scope_of(uuid, clock)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture(params=KINDS)
async def scope(request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Scope]:
    async with tenant_on(request.param, tmp_path, clock) as made:
        yield made


def as_(scope: Scope, kind: str, id: int | None = None, name: str = "") -> Scope:
    """The same tenant, another actor."""
    return replace(scope, actor=Actor(kind, id, name, Everything(), ALL_PERMISSIONS))  # type: ignore[arg-type]  # the tests name kinds as text
