"""The search over everything, by keyboard alone and on a phone."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.browser import PHONE, Seen, faults_of, settled, window
from tests.browser.server import Served


@pytest.mark.slow
async def test_F5_pages_and_actions_are_reached_by_keyboard_alone(page: Page, served: Served, seen: Seen) -> None:
    await page.goto(served.base)
    await settled(page)
    field, chosen = page.get_by_role("combobox", name="Search everything"), page.locator("#hits [aria-selected=true]")

    await page.keyboard.press("Control+k")
    await expect(chosen).to_have_text("New customer")
    await page.keyboard.press("ArrowDown")
    await expect(chosen).to_have_text("Import customers")
    await page.keyboard.press("Escape")
    await expect(field).to_be_hidden()
    await page.keyboard.press("Control+k")
    await field.fill("numbering")
    await expect(chosen).to_contain_text("Numbering")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/settings/numbering")
    await settled(page)
    await page.keyboard.press("/")
    await expect(page.get_by_role("group", name="Opened of late").get_by_role("option")).to_have_text(["Numbering"])
    await expect(chosen).to_have_text("Numbering")

    assert seen.faults == []
    assert await faults_of(page, seen) == []


@pytest.mark.slow
async def test_F5_the_search_fits_a_phone(browser: Browser, served: Served) -> None:
    async with window(browser, PHONE, state=served.state) as page:
        seen = Seen(page)
        await page.goto(served.base)
        await settled(page)
        await page.get_by_role("button", name="Search").tap()
        await page.get_by_role("combobox").fill("new")
        await expect(page.get_by_role("option", name="New product")).to_be_visible()

        assert await faults_of(page, seen) == []
        await page.get_by_role("option", name="New product").tap()
        await page.wait_for_url("**/products/new")
