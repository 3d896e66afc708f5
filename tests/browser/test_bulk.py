"""Many rows in a real browser: ticked by mouse and keyboard, what it will do, the job, the report, the refusal."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.browser import Seen, axe, faults_of, settled, shot
from tests.browser.server import Served

pytestmark = pytest.mark.anyio


async def create(page: Page, served: Served, name: str) -> None:
    await page.goto(f"{served.base}/customers/new")
    await page.get_by_label("Full name").fill(name)
    await page.get_by_role("button", name="Create customer").click()
    await page.wait_for_url(re.compile(r"/customers/\d+$"))


@pytest.mark.slow
async def test_L5_rows_are_ticked_disabled_and_deleted_all_or_none(page: Page, seen: Seen, served: Served) -> None:
    for name in ("Ada Adler", "Bo Berg", "Cy Cole"):
        await create(page, served, name)
    await page.goto(f"{served.base}/customers")
    await settled(page)
    bar = page.get_by_role("form", name="Selected rows")
    await expect(bar).to_be_hidden()

    # by the keyboard: two rows, then the view of one
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await page.keyboard.press("j")
    await page.keyboard.press("Space")
    await expect(bar.get_by_role("status")).to_contain_text("2 selected")
    await expect(bar.get_by_role("button", name="View")).to_be_disabled()
    assert await axe(page, ".t-list") == []
    await shot(page, "bulk-ticked")
    await bar.get_by_role("button", name="Status").click()
    await page.get_by_role("button", name="Disable", exact=True).click()

    # what it will do, then that
    await expect(page.get_by_role("heading", name="What it will do")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("New becomes Inactive")
    assert await axe(page, "main") == []
    await shot(page, "bulk-plan")
    await page.get_by_role("button", name="Disable: 2 customers").click()
    await expect(page.locator(".t-banner", has_text="Done.")).to_be_visible()

    # a delete of all is refused while one may not go, and done without it
    await page.goto(f"{served.base}/customers")
    await settled(page)
    await page.get_by_label("Select this page").check()
    await bar.get_by_role("button", name="Delete…").click()
    await expect(page.locator("main .t-banner.k-blocked")).to_contain_text("It is done to all or to none")
    await expect(page.get_by_role("button", name=re.compile("^Delete:"))).to_have_count(0)
    await shot(page, "bulk-refused")
    await page.get_by_role("button", name="Look at the others without them").click()
    await page.get_by_label("Type the number of rows: 2").fill("2")
    await page.get_by_role("button", name="Delete: 2 customers").click()
    await expect(page.locator(".t-banner", has_text="Done.")).to_be_visible()
    await page.goto(f"{served.base}/customers")
    await settled(page)
    await expect(page.locator("[data-rows] > tr")).to_have_count(1)

    # a press on the row, beside its links, opens it
    await page.locator("[data-rows] > tr td").nth(5).click()
    await page.wait_for_url(re.compile(r"/customers/\d+$"))
    assert await faults_of(page, seen) == []
