"""Every page that links lead to, in a browser: it answers and fits, and neither axe nor the console finds a fault."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Error, Page

from tests.browser.browser import DESK, PHONE, Seen, faults_of, settled, show_theme, window
from tests.browser.server import ROOT, Served

pytestmark = pytest.mark.anyio

MOST: Final = 400
"""Pages of different shapes that the product has at most: a crawl that finds more of them goes round in circles."""
LOOKS: Final = ((DESK, "light"), (PHONE, "dark"))


def fill(served: Served) -> None:
    """Some customers with a history, and the plugin."""
    for command in (
        ("demo", "--tenant", "demo", "--customers", "6"),
        ("plugin", "enable", "inventory", "--tenant", "demo"),
    ):
        subprocess.run(
            [sys.executable, "-m", "tenants.cli", *command],
            cwd=ROOT,
            env=served.environment,
            check=True,
            capture_output=True,
        )


def shape(address: str) -> str:
    """What addresses of one page have in common: /customers/12/notes?q=x and /customers/7/notes."""
    return re.sub(r"(?<=/)(\d+|[0-9a-f-]{36})(?=/|$)", "N", urlsplit(address).path)


async def links(page: Page, base: str) -> list[str]:
    """Where the page leads, within the tenant: what is followed, and what is fetched into it."""
    found = await page.evaluate(
        """() => [...document.querySelectorAll("a[href]:not([download]), [hx-get]")]
            .map(e => new URL(e.getAttribute("href") ?? e.getAttribute("hx-get"), location).href)
            .filter(address => !address.includes("/plan"))"""
    )
    return [address.partition("#")[0] for address in found if address.startswith(f"{base}/")]


async def look(page: Page, address: str, theme: str) -> list[str] | None:
    """What is wrong with a page; None where the address is of a file, or of a part that is fetched into a page."""
    seen = Seen(page)
    try:
        answer = await page.goto(address)
    except Error as error:
        if "Download is starting" in error.message or "ERR_ABORTED" in error.message:
            return None
        raise
    if answer is None or "text/html" not in answer.headers.get("content-type", ""):
        return None
    if not await page.evaluate("document.documentElement.lang"):
        return None
    await show_theme(page, theme)
    await settled(page)
    return await faults_of(page, seen)


async def crawl(browser: Browser, served: Served) -> list[str]:
    """Each shape of page once, at a desk in light and on a phone in dark; gives the faults."""
    todo = [f"{served.base}/"]
    shapes = {shape(todo[0])}
    faults: list[str] = []
    for address in todo:
        for size, theme in LOOKS:
            async with window(browser, size, theme, served.state) as page:
                found = await look(page, address, theme)
                if found is None:
                    break
                faults += [f"{address} at {size.name} in {theme}: {fault}" for fault in found]
                for further in await links(page, served.base):
                    if shape(further) not in shapes:
                        shapes.add(shape(further))
                        todo.append(further)
        assert len(todo) < MOST, todo[-20:]
    assert len(shapes) > 60, sorted(shapes)
    return faults


@pytest.mark.long
@pytest.mark.timeout(1200)
async def test_every_page_is_whole_at_a_desk_and_on_a_phone(browser: Browser, served: Served) -> None:
    fill(served)

    faults = await crawl(browser, served)

    assert not faults, "\n".join(faults)
