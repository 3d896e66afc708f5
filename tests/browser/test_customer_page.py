"""A customer's page in a real browser: edited by keys, by two at once, all sections in one form, a password."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.browser import Seen, axe, settled, window
from tests.browser.server import Served

pytestmark = pytest.mark.anyio


async def create(page: Page, served: Served, name: str) -> str:
    """A customer; gives the address of its page."""
    await page.goto(f"{served.base}/customers/new")
    await page.get_by_label("Full name").fill(name)
    await page.get_by_role("button", name="Create customer").click()
    await page.wait_for_url(re.compile(r"/customers/\d+$"))
    await settled(page)
    return page.url


@pytest.mark.slow
async def test_C3_the_second_to_save_chooses_between_both_values_by_keys_alone(
    page: Page, seen: Seen, served: Served, browser: Browser
) -> None:
    address = await create(page, served, "Siobhán Kavanagh")
    await page.keyboard.press("e")
    company = page.get_by_label("Company")
    await expect(page.get_by_label("Full name")).to_be_focused()
    await company.fill("Yours Ltd")

    async with window(browser, state=served.state) as other:
        await other.goto(address)
        await other.get_by_role("button", name="Edit main data").click()
        await other.get_by_label("Company").fill("Theirs Ltd")
        await other.get_by_role("button", name="Save main data").click()
        await expect(other.locator("#sec-main")).to_contain_text("Theirs Ltd")

    await company.press("Control+Enter")
    banner = page.locator(".t-conflict")
    await expect(banner).to_be_focused()
    await expect(banner).to_contain_text("Theirs Ltd")
    await expect(company).to_have_value("Theirs Ltd")
    assert await axe(page) == []
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("ArrowRight")
    await expect(company).to_have_value("Yours Ltd")
    await page.keyboard.press("Control+Enter")

    await expect(page.locator("#sec-main")).to_contain_text("Yours Ltd")
    await expect(page.get_by_role("button", name="Edit main data")).to_be_focused()
    assert [fault for fault in seen.faults if "409" not in fault] == []


@pytest.mark.slow
async def test_C3_all_sections_are_edited_in_one_form_and_C5_a_password_is_set_beside_it(
    page: Page, seen: Seen, served: Served
) -> None:
    await create(page, served, "Marlbeck Harbour and Fairgreen Community Broadband Cooperative Society Limited")
    await page.get_by_role("button", name="Edit all").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Full name")).to_be_focused()
    await page.get_by_label("City").fill("Marlbeck")
    await page.get_by_label("E-mails", exact=True).fill("nobody@")

    await page.get_by_role("button", name="Set new password…").click()
    drawer = page.get_by_role("dialog")
    await drawer.get_by_role("button", name="Generate").click()
    await expect(drawer.get_by_label("New password")).to_have_value(re.compile(r"^(\w{4}-){3}\w{4}$"))
    assert await axe(page) == []
    await drawer.get_by_role("button", name="Set password").click()
    await expect(drawer).to_be_hidden()
    await expect(page.locator("#password")).to_contain_text("••••••••")
    await expect(page.get_by_label("City")).to_have_value("Marlbeck")

    await page.get_by_label("City").press("Control+Enter")
    await expect(page.locator(".t-errors")).to_be_focused()
    await expect(page.locator(".t-errors")).to_contain_text("Main data, E-mails")
    await page.get_by_label("E-mails", exact=True).fill("somebody@marlbeck.example")
    await page.keyboard.press("Control+Enter")

    await expect(page.locator("#sec-address")).to_contain_text("Marlbeck")
    await expect(page.locator("#sec-main")).to_contain_text("somebody@marlbeck.example")
    await expect(page.get_by_role("button", name="Edit all")).to_be_visible()
    assert await axe(page) == []
    await page.set_viewport_size({"width": 390, "height": 844})
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [fault for fault in seen.faults if "422" not in fault] == []


@pytest.mark.slow
async def test_C4_a_form_says_while_it_is_filled_in_that_somebody_has_the_address(
    page: Page, seen: Seen, served: Served
) -> None:
    first = await create(page, served, "Nessa Quill")
    await page.get_by_role("button", name="Edit main data").click()
    emails = page.get_by_label("E-mails", exact=True)
    await emails.fill("nessa@quill.example")
    await emails.press("Tab")
    await expect(page.locator("#shared")).to_contain_text("Nobody else")
    await page.get_by_role("button", name="Save main data").click()
    await expect(page.get_by_role("button", name="Edit main data")).to_be_visible()

    await page.goto(f"{served.base}/customers/new")
    await page.get_by_label("Full name").fill("Orla Quill")
    await emails.fill("Nessa@quill.example")
    await emails.press("Tab")

    link = page.locator("#shared").get_by_role("link", name="Nessa Quill")
    await expect(link).to_have_attribute("href", first.removeprefix(served.base))
    assert await axe(page) == []
    await page.get_by_role("button", name="Create customer").click()
    await expect(page.locator("#toasts")).to_contain_text("is also that of Nessa Quill")
    assert seen.faults == []
