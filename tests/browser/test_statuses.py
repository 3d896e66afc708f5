"""Statuses in a real browser: the drawer that plans a change, its address, why; the table of what statuses do."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.browser import Seen, axe, faults_of, settled, shot
from tests.browser.server import Served

pytestmark = pytest.mark.anyio


async def create(page: Page, served: Served, name: str) -> str:
    await page.goto(f"{served.base}/customers/new")
    await page.get_by_label("Full name").fill(name)
    await page.get_by_role("button", name="Create customer").click()
    await page.wait_for_url(re.compile(r"/customers/\d+$"))
    await settled(page)
    return page.url


@pytest.mark.slow
async def test_a_status_is_changed_by_the_keyboard_alone_and_says_why(page: Page, seen: Seen, served: Served) -> None:
    await create(page, served, "Wanda Quist")
    await page.get_by_role("button", name="Actions", exact=True).focus()
    await page.keyboard.press("Enter")
    deed = page.locator(".dropdown-menu:popover-open .dropdown-item", has_text="Change status…")
    await expect(deed).to_be_visible()
    while not await deed.evaluate("item => item === document.activeElement"):
        await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    drawer = page.locator("dialog#plan")
    await expect(drawer).to_be_visible()
    await expect(drawer.get_by_label("New status")).to_be_focused()
    assert await drawer.get_by_role("button", name=re.compile("^Change to")).count() == 0

    await page.keyboard.type("Act", delay=250)  # slower than a plan is there
    await page.keyboard.press("Tab")
    await expect(drawer.get_by_role("button", name="Change to Active")).to_be_visible()
    assert await axe(page, "dialog#plan") == []
    await shot(page, "status-drawer")
    await drawer.get_by_role("button", name="Change to Active").focus()
    await page.keyboard.press("Enter")

    await expect(page.locator(".t-pill", has_text="Active").first).to_be_visible()
    await expect(drawer).to_be_hidden()
    await settled(page)
    await page.get_by_role("button", name="Why: status Active").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#why")).to_contain_text("By hand")
    await page.keyboard.press("Escape")
    assert await faults_of(page, seen) == []


@pytest.mark.slow
async def test_the_address_of_the_drawer_opens_it_over_a_page_that_leads_back(page: Page, served: Served) -> None:
    address = await create(page, served, "Xaver Ruhl")

    await page.goto(f"{address}/status?status=active")
    drawer = page.locator("dialog#plan")
    await expect(drawer).to_be_visible()
    await expect(drawer.get_by_role("button", name="Change to Active")).to_be_visible()
    await page.keyboard.press("Escape")

    await page.wait_for_url(address)


@pytest.mark.slow
async def test_a_change_is_set_for_a_later_day_and_cancelled(page: Page, seen: Seen, served: Served) -> None:
    address = await create(page, served, "Yara Solis")
    await page.goto(f"{address}/status?status=inactive&on=2099-01-01")
    await expect(page.locator("dialog#plan")).to_contain_text("within three years")
    seen.faults.clear()  # the refusal is answered with 422
    tomorrow = await page.evaluate("new Date(Date.now() + 2 * 864e5).toISOString().slice(0, 10)")
    await page.locator("dialog#plan").get_by_label("On", exact=True).fill(str(tomorrow))
    await page.keyboard.press("Tab")
    await page.locator("dialog#plan").get_by_role("button", name=re.compile("^Set Inactive for")).click()
    await expect(page.locator(".t-banner", has_text="when the day begins")).to_be_visible()
    await shot(page, "status-planned")

    await page.get_by_role("button", name="Cancel the change…").click()
    await page.locator("dialog#plan").get_by_role("button", name="Cancel the change", exact=True).click()

    await expect(page.locator(".t-banner", has_text="when the day begins")).to_have_count(0)
    assert await faults_of(page, seen) == []


@pytest.mark.slow
async def test_statuses_are_added_reviewed_and_put_in_order_by_keys(page: Page, seen: Seen, served: Served) -> None:
    await page.goto(f"{served.base}/settings/statuses")
    await settled(page)
    review = page.locator("[data-review]")
    await expect(review).to_be_disabled()
    await page.keyboard.press("n")
    drawer = page.locator("dialog#plan")
    await drawer.get_by_label("Label").fill("On holiday")
    await drawer.get_by_label("Key").fill("holiday")
    await drawer.get_by_role("button", name="Add status").click()
    await expect(page.get_by_label("Label of holiday")).to_have_value("On holiday")
    await settled(page)

    await page.get_by_label("On holiday: Serve").check()
    await page.get_by_label("Label of holiday").fill("Away")
    await expect(review).to_have_text("Review 2 changes…")
    await expect(page.locator("td.chg")).to_have_count(2)
    await shot(page, "status-table-changed")
    await review.click()
    await expect(drawer).to_contain_text("Services run")
    assert await axe(page, "dialog#plan") == []
    await shot(page, "status-table-review")
    await drawer.get_by_role("button", name=re.compile("^Save")).click()
    await expect(page.locator(".t-toast")).to_contain_text("Statuses saved")
    await settled(page)

    await page.get_by_role("button", name="Move Away: arrow up or down").focus()
    async with page.expect_response("**/settings/statuses/order"):
        await page.keyboard.press("ArrowUp")
    await expect(page.locator("[data-moved]")).to_have_text("Away is now at place 7")
    await page.reload()
    keys = await page.locator("tr[data-key]").evaluate_all("rows => rows.map(row => row.dataset.key)")
    assert keys[-2:] == ["holiday", "terminated"]
    assert await faults_of(page, seen) == []
