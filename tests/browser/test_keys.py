"""The keys of every page: a customer is made, changed, found and left again without a mouse."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.browser import settled
from tests.browser.server import Served

pytestmark = pytest.mark.anyio


@pytest.mark.slow
async def test_F5_all_of_it_can_be_done_by_keys(page: Page, served: Served) -> None:
    keys = page.keyboard
    await page.goto(served.base)
    await settled(page)
    await keys.press("?")
    await expect(page.locator("dialog[open]")).to_contain_text("Keys")
    await keys.press("Escape")
    for letter, title in {"i": "Invoices", "p": "Payments", "c": "Customers"}.items():
        await keys.press("g")
        await keys.press(letter)
        await expect(page.get_by_role("heading", level=1)).to_have_text(title)
        await settled(page)

    for name in ("Ada Byron", "Bo Dunne"):
        await page.goto(f"{served.base}/customers")
        await settled(page)
        await keys.press("n")
        await page.wait_for_url("**/customers/new")
        await expect(page.get_by_label("Full name")).to_be_focused()
        await keys.type(name)
        await keys.press("Control+Enter")
        await page.wait_for_url(re.compile(r"/customers/\d+$"))
    await settled(page)
    await keys.press("e")
    await page.get_by_label("Full name").focus()
    await keys.press("Control+a")
    await keys.type("Bo Dunne Nolan")
    await keys.press("Control+Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Bo Dunne Nolan")

    await page.goto(f"{served.base}/customers?sort=name")
    await settled(page)
    rows = page.locator("[data-rows] tr")
    await keys.press("j")
    await keys.press("x")
    await expect(rows.nth(0).get_by_role("checkbox")).to_be_checked()
    await keys.press("j")
    await keys.press("Shift+x")
    await expect(page.locator("[data-rows] input:checked")).to_have_count(2)
    await keys.press("Escape")
    await expect(page.locator("[data-rows] input:checked")).to_have_count(0)
    await keys.press("k")
    await keys.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Ada Byron")
    await settled(page)
    await keys.press("Control+k")
    await keys.type("Bo Dun")
    await expect(page.locator("#palette")).to_contain_text("Bo Dunne Nolan")
    await keys.press("Enter")
    await page.wait_for_url(re.compile(r"/customers/\d+$"))
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Bo Dunne Nolan")

    # Enter after something was typed into a plan shows the plan with it; the next one does it
    await page.goto(f"{page.url}/transactions")
    await settled(page)
    await keys.press("p")
    await page.get_by_role("button", name="Show what will happen").press("Enter")
    await expect(page.get_by_label("Amount, EUR")).to_be_focused()
    await keys.type("-5")
    await page.get_by_role("button", name="Show what will happen").press("Enter")
    await expect(page.locator("#plan .t-errors")).to_be_visible()
    await page.get_by_label("Amount, EUR").fill("50")
    await keys.press("Enter")
    await expect(page.get_by_role("button", name="Register €50.00")).to_be_visible()
    await expect(page.get_by_label("Amount, EUR")).to_be_focused()
    await keys.press("Control+Enter")
    await expect(page.get_by_text("Payment registered.")).to_be_visible()


async def begin_a_payment(page: Page, served: Served, name: str) -> None:
    """Of a customer who is made for it."""
    await page.goto(f"{served.base}/customers/new")
    await settled(page)
    await page.get_by_label("Full name").fill(name)
    await page.keyboard.press("Control+Enter")
    await page.wait_for_url(re.compile(r"/customers/\d+$"))
    await page.goto(f"{page.url}/transactions")
    await settled(page)
    await page.keyboard.press("p")


@pytest.mark.slow
async def test_what_is_typed_while_a_plan_is_worked_out_stays(page: Page, served: Served) -> None:
    keys, held, first = page.keyboard, asyncio.Event(), True

    async def late(route: Route) -> None:
        nonlocal first
        if first:
            first = False
            await held.wait()
        await route.continue_()

    await begin_a_payment(page, served, "Cy Typed")
    amount = page.get_by_label("Amount, EUR")
    await expect(amount).to_be_focused()
    await page.route("**/payments/new?*", late)
    await keys.type("12")
    await keys.press("Enter")  # asks for the plan of 12, whose answer waits
    await keys.type("3")
    async with page.expect_response("**/payments/new?*"):
        held.set()
    await page.wait_for_timeout(300)
    await expect(amount).to_have_value("123")
    await keys.press("Enter")
    await expect(page.get_by_role("button", name="Register €123.00")).to_be_visible()
    await expect(amount).to_be_focused()


@pytest.mark.slow
async def test_a_plan_that_comes_anew_never_takes_the_focus_from_who_types(page: Page, served: Served) -> None:
    keys = page.keyboard
    await begin_a_payment(page, served, "Cy Held")
    await expect(page.get_by_label("Amount, EUR")).to_be_focused()
    await page.evaluate("document.addEventListener('focusin', e => (window.had ??= []).push(e.target.nodeName))")
    show = page.get_by_role("button", name="Show what will happen")
    async with page.expect_response("**/payments/new?*"):
        await show.press("Enter")
    await settled(page)
    await keys.type("25")
    async with page.expect_response("**/payments/new?*"):
        await keys.press("Enter")
    await expect(page.get_by_role("button", name="Register €25.00")).to_be_visible()
    await settled(page)
    await expect(page.get_by_label("Amount, EUR")).to_be_focused()
    assert await page.evaluate("window.had.filter(name => name !== 'INPUT')") == ["BUTTON"]
