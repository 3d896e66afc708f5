"""Users, tags, notes and the hierarchy of customers in a real browser, by keys."""

from __future__ import annotations

import itertools
import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.browser import Seen, axe, settled
from tests.browser.server import Served

pytestmark = pytest.mark.anyio

numbers = itertools.count(1)


async def create(page: Page, served: Served, name: str) -> str:
    """A customer; gives the address of its page."""
    await page.goto(f"{served.base}/customers/new")
    await page.get_by_label("Full name").fill(name)
    await page.get_by_role("button", name="Create customer").click()
    await page.wait_for_url(re.compile(r"/customers/\d+$"))
    await settled(page)
    return page.url


@pytest.mark.slow
async def test_C6_a_user_is_added_and_changed_by_the_keyboard_alone(page: Page, seen: Seen, served: Served) -> None:
    await create(page, served, "Nuala Brannock")
    await page.get_by_role("link", name="Users").focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Add user").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Salutation").first).to_be_focused()
    await page.keyboard.type("Ms")
    for text in ("Ana", "Reyes", "ana@"):
        await page.keyboard.press("Tab")
        await page.keyboard.type(text)
    await page.keyboard.press("Enter")

    await expect(page.locator(".t-errors")).to_be_focused()
    assert await axe(page) == []
    await page.get_by_label("E-mail").first.focus()
    await page.keyboard.press("End")
    await page.keyboard.type("example.com")
    await page.keyboard.press("Enter")
    card = page.locator("section.t-sec", has_text="Ms Ana Reyes")
    await expect(card).to_contain_text("ana@example.com")

    await card.get_by_role("button", name="Edit Ms Ana Reyes").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".t-editing")).to_contain_text("may not be able to log in any more")
    await page.locator(".t-editing").get_by_label("First name").focus()
    await page.keyboard.press("End")
    await page.keyboard.type("-Lucía")
    await page.keyboard.press("Control+Enter")

    await expect(page.locator("section.t-sec", has_text="Ms Ana-Lucía Reyes")).to_be_visible()
    assert await axe(page) == []
    assert [fault for fault in seen.faults if "422" not in fault] == []


@pytest.mark.slow
async def test_C8_a_tag_is_found_by_its_beginning_and_put_on_by_enter(page: Page, seen: Seen, served: Served) -> None:
    await create(page, served, "Fintan Roe")
    await page.get_by_role("button", name="Add tag").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("combobox", name="Tag")).to_be_focused()
    await page.keyboard.type("harbour")
    await page.keyboard.press("Enter")
    await expect(page.locator("#tags .t-tag")).to_have_text("harbour")

    await create(page, served, "Orla Fennimore")
    await page.get_by_role("button", name="Add tag").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.type("har")
    await expect(page.get_by_role("option", name="harbour")).to_be_visible()
    assert await axe(page) == []
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("option", name="harbour")).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Enter")

    await expect(page.locator("#tags .t-tag")).to_have_text("harbour")
    await page.goto(f"{served.base}/customers")
    await page.get_by_role("button", name="Filter").click()
    await page.locator("summary", has_text="Tags").click()
    await page.get_by_role("checkbox", name="harbour").check()
    await page.get_by_role("button", name="Filter by tags").click()
    await expect(page.locator("[data-rows] > tr")).to_have_count(2)
    assert seen.faults == []


@pytest.mark.slow
async def test_C2_a_parent_and_payer_are_chosen_by_keys_and_shown_before_they_are_saved(
    page: Page, seen: Seen, served: Served
) -> None:
    name = f"Kestrel Holdings {next(numbers)}"
    office = await create(page, served, name)
    branch = await create(page, served, "Kestrel Branch")
    await page.goto(f"{branch}/details")
    await settled(page)

    await page.keyboard.press("e")
    drawer = page.locator("#plan")
    await expect(drawer).to_be_visible()
    await drawer.get_by_role("combobox", name="Parent").focus()
    await page.keyboard.type("kestrel hold")
    await expect(page.get_by_role("option", name=name)).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(drawer.locator("table").first).to_contain_text(name)
    await drawer.get_by_role("combobox", name="Payer").select_option(label=f"{name} ({office.rsplit('/', 1)[1]})")

    await expect(drawer).to_contain_text("What is invoiced already stays")
    assert await axe(page) == []
    await drawer.get_by_role("button", name="Change the hierarchy").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/details")
    await expect(page.locator(".t-dl")).to_contain_text(name)
    await page.goto(f"{office}/details")
    await expect(page.get_by_role("region", name="Table of children")).to_contain_text("Kestrel Branch")
    assert seen.faults == []


@pytest.mark.slow
async def test_C7_a_note_is_edited_in_place(page: Page, seen: Seen, served: Served) -> None:
    address = await create(page, served, "Siobhán Kavanagh")
    await page.goto(f"{address}/notes")
    await page.get_by_role("button", name="Add note").first.click()
    await page.get_by_label("New note").fill("Ring before visiting.\nThe bell is broken.")
    await page.get_by_role("button", name="Add note").last.click()
    await expect(page.locator(".t-note-text")).to_have_text("Ring before visiting.\nThe bell is broken.")

    await page.get_by_role("button", name="Note of").click()
    await page.get_by_role("button", name="Edit").click()
    await expect(page.locator("textarea:focus")).to_have_value("Ring before visiting.\nThe bell is broken.")
    await page.keyboard.press("Control+End")
    await page.keyboard.type(" Knock.")
    await page.get_by_role("button", name="Save note").click()

    await expect(page.locator(".t-note-text")).to_contain_text("broken. Knock.")
    await expect(page.locator(".t-by")).to_contain_text("changed")
    assert await axe(page) == []
    assert seen.faults == []
