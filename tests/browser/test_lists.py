"""A list in a real browser: columns by keyboard and buttons, sorting after others, filters as forms, saved views."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.browser import Seen, axe, faults_of, settled
from tests.browser.server import Served

pytestmark = pytest.mark.anyio


@pytest.mark.slow
async def test_L3_columns_filters_and_order_are_chosen_and_saved_as_a_view(
    page: Page, seen: Seen, served: Served
) -> None:
    await page.goto(f"{served.base}/customers/new")
    await page.get_by_label("Full name").fill("Zelda Quarry")
    await page.get_by_role("button", name="Create customer").click()
    await page.wait_for_url(re.compile(r"/customers/\d+$"))
    await page.goto(f"{served.base}/customers")
    heads = page.locator("thead th[scope=col]:not(.c-check):not(.c-do)")
    panel = page.locator("#columns")

    await page.get_by_role("button", name="Columns").click()
    await panel.get_by_label("Phone", exact=True).uncheck()
    await expect(heads.filter(has_text="Phone")).to_have_count(0)
    await expect(panel).to_be_visible()
    await panel.locator("#grip-city").focus()
    await page.keyboard.press("ArrowUp")
    await expect(heads.nth(2)).to_have_text(re.compile("City"))
    await expect(panel.locator("#grip-city")).to_be_focused()
    await expect(page.locator("[data-moved]")).to_have_text(re.compile("^City, place 3 of"))
    await panel.locator("#down-city").click()
    await expect(heads.nth(2)).to_have_text(re.compile("E-mail"))
    assert await axe(page, "#columns") == []
    await panel.get_by_role("button", name="Reset").click()
    await expect(heads.filter(has_text="Phone")).to_have_count(1)
    await page.keyboard.press("Escape")

    await heads.get_by_role("link", name="City").click()
    await page.wait_for_url(re.compile(r"sort=city$"))
    await heads.get_by_role("link", name="Name").click(modifiers=["Shift"])
    await page.wait_for_url(re.compile(r"sort=city(%2C|,)name"))
    await page.get_by_role("button", name="Filter", exact=True).click()
    filters = page.locator("#filters")
    await expect(filters.get_by_label("Find a field")).to_be_focused()
    await page.keyboard.type("náme")
    await expect(filters.locator("details:visible")).to_have_count(1)
    await page.keyboard.press("ArrowDown")
    await expect(filters.locator("summary", has_text="Name")).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await expect(filters.get_by_label("Has the text").first).to_be_focused()
    await page.keyboard.type("zelda")
    assert await axe(page, "#filters") == []
    await page.keyboard.press("Enter")
    await expect(filters).to_be_hidden()
    await expect(page.locator("[data-said]")).to_have_text("1 of 1")

    await page.get_by_role("button", name="Save view").click()
    await page.get_by_role("button", name="Save as new view…").click()
    drawer = page.locator("dialog#plan")
    await expect(drawer.get_by_label("Name")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(drawer.get_by_role("alert")).to_be_visible()
    await drawer.get_by_label("Name").fill("Zelda alone")
    assert await axe(page, "dialog#plan") == []
    await drawer.get_by_role("button", name="Save view").click()
    await page.wait_for_url(re.compile(r"\?view=\d+$"))
    await settled(page)

    await expect(page.locator("#views a[aria-current=page]")).to_have_text(re.compile("^Zelda alone"))
    await expect(page.locator("#views a[aria-current=page] .t-count")).to_have_text("1")
    await expect(page.locator("[data-said]")).to_have_text("1 of 1")
    await page.locator(".t-chip-off").click()
    await expect(page.get_by_text("View changed")).to_be_visible()
    assert await faults_of(page, seen, ignore=["422"]) == []
