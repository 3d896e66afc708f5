"""The provider's console in a real browser: a tenant from its first form to its last backup."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.browser import DESK, PHONE, Seen, axe, faults_of, settled, window
from tests.browser.server import PASSWORD, Served

pytestmark = pytest.mark.anyio

SQUEEZED: Final = """() => [...document.querySelectorAll(".t-main > .t-tabs, .t-main > .t-strip")].filter(box =>
    [...box.querySelectorAll("a, dd, .d")].some(part =>
        part.getBoundingClientRect().bottom > box.getBoundingClientRect().bottom + 2)).map(box => box.className)"""
"""Rows of tabs and figures that cut off what is in them."""


async def welcome(page: Page, link: str) -> None:
    """The one-time link is used: a password, and in."""
    await page.goto(link)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_label("The same again").fill(PASSWORD)
    await page.get_by_role("button", name="Set password and log in").click()
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()


async def done(page: Page) -> None:
    """The work of the page that is open ends well; what came of it is shown without a reload."""
    await expect(page.locator(".t-job-card .t-pill")).to_have_text("Done", timeout=30_000)
    await expect(page.get_by_text("Ended", exact=True)).to_be_visible()
    await expect(page.locator("dd", has_text=re.compile(r"\d\d:\d\d$"))).to_have_count(2)
    await settled(page)


async def deed(page: Page, name: str, button: str, **typed: str) -> None:
    """An action of a tenant's page: its plan is looked at, then done."""
    await page.get_by_role("button", name=name, exact=True).click()
    drawer = page.locator("dialog#plan")
    await expect(drawer.get_by_role("button", name=button)).to_be_visible()
    for label, text in typed.items():
        await drawer.get_by_label(label.replace("_", " ")).fill(text)
    assert await axe(page) == []
    await drawer.get_by_role("button", name=button).click()


@asynccontextmanager
async def given_up(page: Page) -> AsyncIterator[None]:
    """The plan that is asked for anew when a field is left is still on its way when the act is sent: it is given up."""

    async def never(route: Route) -> None:
        if route.request.method == "GET":
            return
        await route.continue_()

    where = re.compile(r"/tenants/\d+/")
    await page.route(where, never)
    async with page.expect_event("requestfailed"):
        yield
    await page.unroute(where)


@pytest.mark.slow
async def test_a_tenants_life_in_the_console(browser: Browser, served: Served, tmp_path: Path) -> None:
    link = served.create_tenant("host", "--provider")
    base = link.split("/welcome/")[0]
    async with window(browser) as page, window(browser) as outside:
        await welcome(page, link)

        # however low the window, what stands over the list is whole
        await page.get_by_role("link", name="Tenants", exact=True).click()
        await expect(page.get_by_role("link", name="New tenant")).to_be_visible()
        await page.set_viewport_size({"width": DESK.width, "height": 600})
        assert await page.evaluate(SQUEEZED) == []
        await page.set_viewport_size({"width": DESK.width, "height": DESK.height})

        # a new one, its short name checked while it is typed, its link shown once
        await page.get_by_role("link", name="New tenant").click()
        await page.get_by_label("Name", exact=True).fill("Lantern Hill")
        await page.get_by_label("Short name").fill("host")
        await expect(page.locator("#slug-said")).to_contain_text("There is a tenant “host” already")
        await page.get_by_label("Short name").fill("lanternhill")
        await expect(page.locator("#slug-said")).to_contain_text("Free: http://lanternhill.localhost")
        await page.get_by_label("E-mail of its first administrator").fill("orla@lantern.example")
        assert await axe(page) == []
        await page.get_by_role("button", name="Create tenant").click()
        new_link = await page.get_by_label("The one-time link").input_value()
        assert await axe(page) == []
        await page.get_by_role("link", name="Open its page here").click()
        await settled(page)
        here = page.url
        assert "/welcome/" not in await page.content()
        await welcome(outside, new_link)

        # a plugin on
        await expect(outside.get_by_role("link", name="Inventory", exact=True)).to_have_count(0)
        await page.get_by_role("button", name="Switch on Inventory").click()
        await expect(page.locator("#plugins .t-pill")).to_have_text("On")
        await outside.reload()
        await expect(outside.get_by_role("link", name="Inventory", exact=True)).to_be_visible()

        # suspended: 503; resumed
        await page.get_by_role("button", name="Suspend…", exact=True).click()
        drawer = page.locator("dialog#plan")
        await drawer.get_by_role("button", name="Suspend lanternhill").click()
        await expect(drawer.get_by_text("Say why").first).to_be_visible()
        await drawer.get_by_label("Reason").fill("unpaid since May")
        await drawer.get_by_role("button", name="Suspend lanternhill").click()
        await expect(page.locator("#head .t-pill")).to_have_text("Suspended")
        answer = await outside.reload()
        assert answer is not None
        assert answer.status == 503
        await expect(page.get_by_text("unpaid since May").first).to_be_visible()
        await deed(page, "Resume…", "Resume lanternhill")
        await expect(page.locator("#head .t-pill")).to_have_text("Open")
        answer = await outside.reload()
        assert answer is not None
        assert answer.status == 200

        # backed up, downloaded
        await page.get_by_role("button", name="Back up now").click()
        await page.wait_for_url(re.compile(r"/tenants/work/\d+$"))
        await done(page)
        async with page.expect_download() as downloading:
            await page.get_by_role("button", name="Download").click()
        file = await downloading.value
        assert re.fullmatch(r"lanternhill-\d{8}T\d{12}Z\.tar", file.suggested_filename)
        await file.save_as(tmp_path / "backup.tar")
        assert (tmp_path / "backup.tar").stat().st_size > 100_000

        # the page stayed, and its button gives the file again
        await page.wait_for_timeout(1200)
        async with page.expect_download():
            await page.get_by_role("button", name="Download").click()
        await expect(page.locator("form [aria-busy]")).to_have_count(0)

        # restored as a copy
        await page.goto(here)
        await page.get_by_role("button", name="Restore lanternhill").first.click()
        await drawer.get_by_label("Short name of the copy").fill("lantern-copy")
        assert await axe(page) == []
        await drawer.get_by_role("button", name="Restore the copy").click()
        await page.wait_for_url(re.compile(r"/tenants/work/\d+$"))
        await done(page)
        await expect(page.locator(".t-job-card")).to_contain_text("lantern-copy answers at")
        async with window(browser) as copy:
            answer = await copy.goto(base.replace("host.localhost", "lantern-copy.localhost") + "/login")
            assert answer is not None
            assert answer.status == 200

        # deleted, when its name is typed
        await page.goto(here)
        await page.get_by_role("button", name="Delete…", exact=True).click()
        await drawer.get_by_label("Type lanternhill to confirm").fill("lantern")
        async with given_up(page):
            await drawer.get_by_role("button", name="Delete lanternhill").click()
        await expect(drawer.get_by_text("so that it is surely the one").first).to_be_visible()
        await drawer.get_by_label("Type lanternhill to confirm").fill("lanternhill")
        await drawer.get_by_role("button", name="Delete lanternhill").click()
        await page.wait_for_url(re.compile(r"/tenants/work/\d+$"))
        await done(page)
        await expect(page.get_by_text("Lantern Hill is deleted")).to_be_visible()
        answer = await outside.reload()
        assert answer is not None
        assert answer.status == 404

        # what is left: the copy in the list, the backups
        await page.goto(f"{base}/tenants?q=lantern")
        await expect(page.locator("[data-rows] tr")).to_have_count(1)
        await page.goto(f"{base}/tenants/backups")
        await expect(page.get_by_role("region", name="Table of backups").locator("tbody tr")).to_have_count(2)
        state = tmp_path / "state.json"
        await page.context.storage_state(path=state)

    for size in (DESK, PHONE):
        for theme in ("light", "dark"):
            async with window(browser, size, theme, state) as page:
                seen = Seen(page)
                for path in ("/tenants", "/tenants/1", "/tenants/backups", "/tenants/databases", "/tenants/work"):
                    await page.goto(base + path)
                    await settled(page)
                    assert await faults_of(page, seen) == [], (path, size, theme)
