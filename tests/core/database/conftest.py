"""Databases of one's own, and the event loop that the product runs on."""

import pytest

from tests.databases import database, two_databases

__all__ = ["anyio_backend", "database", "two_databases"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
