"""Fixtures for all tests: every one that needs a database runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.app import migrations_of
from core.dashboard import routes as home
from core.testing import MIGRATIONS, TestTenant, cheap_passwords, installed, tenant_on
from core.web.throttle import forget_tries
from tests.databases import KINDS, database, fresh, two_databases

__all__ = ["database", "two_databases"]

cheap_passwords()
home.AT_ONCE = home.PATIENCE  # on a busy machine too the start page has its cards

PATIENCE = {"slow": 600, "long": 3600}
"""Seconds that a proof may take, which names no others itself."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker, seconds in PATIENCE.items():
            if item.get_closest_marker(marker) and not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(seconds))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
async def one_loop(anyio_backend: str) -> None:
    """All tests of a process run on one event loop, so that connections to PostgreSQL outlive a test."""


@pytest.fixture(params=KINDS)
async def tenant(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[TestTenant]:
    """A tenant of the test's own, bound, with the core alone. Mark `plugins("inventory")` to switch plugins on."""
    marker = request.node.get_closest_marker("plugins")
    names = tuple(marker.args) if marker else ()
    forget_tries()
    apps = migrations_of(installed(), names) if names else list(MIGRATIONS)
    async with (
        fresh(request.param, tmp_path, apps) as made,
        tenant_on(made, plugins=names, folder=tmp_path) as one,
    ):
        yield one
