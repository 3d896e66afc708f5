"""Fixtures of the tests in a browser: one server and one browser a module, a window a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.browser import Seen, chromium, window
from tests.browser.server import Served, serving

expect.set_options(timeout=20_000)  # a machine that runs all tests at once is slow; what is there is seen at once


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a module also waits until its server and its browser are there."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as one:
        yield one


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as one:
        yield one


@pytest.fixture
async def page(browser: Browser, served: Served) -> AsyncIterator[Page]:
    """A window at a desk, logged in. What the console says ends the test unless it looked at it itself."""
    async with window(browser, state=served.state) as one:
        yield one


@pytest.fixture
def seen(page: Page) -> Seen:
    return Seen(page)
