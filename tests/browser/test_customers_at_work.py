"""Customers at work in a browser: imported with errors, taken back, exported as shown, gone through, on a phone."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.browser import PHONE, Seen, axe, faults_of, overflow, settled, window
from tests.browser.server import Served

pytestmark = pytest.mark.anyio

FILE = "name,email,city\n{}Bad Address,nobody@,Marlbeck\n".format(
    "".join(f"{name} Imported,{name.lower()}@post.example,Marlbeck\n" for name in ("Ada", "Bo", "Cy"))
)


async def import_file(page: Page, served: Served, name: str, text: str) -> None:
    """A file is handed over and read; its page shows what would happen."""
    await page.goto(f"{served.base}/customers/import")
    await page.locator("#f-file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": text.encode()})
    await page.get_by_role("button", name="Check this file").click()
    await page.wait_for_url(re.compile(r"/customers/import/\d+$"))
    await expect(page.get_by_role("button", name=re.compile("^Import .* customers?$"))).to_be_visible()


async def downloaded(page: Page, link: str) -> str:
    """The text of the file that a press on this link gives."""
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name=link).click()
    return Path(await (await waiting.value).path()).read_text(encoding="utf-8-sig")


@pytest.mark.slow
async def test_C19_refused_records_are_mended_in_their_file_and_an_import_is_undone(
    page: Page, seen: Seen, served: Served
) -> None:
    await import_file(page, served, "from-the-old-system.csv", FILE)
    errors = page.get_by_role("region", name="Errors by record and column")
    await expect(errors).to_contain_text("nobody@")
    assert await axe(page) == []
    refused = await downloaded(page, "Refused records as CSV")
    assert "Bad Address" in refused
    assert "Ada Imported" not in refused
    await page.get_by_role("button", name="Import 3 customers").click()
    await expect(page.get_by_role("button", name="Undo this import")).to_be_visible()

    await import_file(page, served, "mended.csv", refused.replace("nobody@,", "somebody@post.example,"))
    await page.get_by_role("button", name="Import 1 customer").click()
    await expect(page.get_by_role("button", name="Undo this import")).to_be_visible()
    await page.goto(f"{served.base}/customers?q=imported")
    await expect(page.locator("[data-said]")).to_have_text("3 of 3")
    await page.goto(f"{served.base}/customers?q=address")
    await expect(page.locator("[data-said]")).to_have_text("1 of 1")

    await page.goto(f"{served.base}/customers/import")
    await page.get_by_role("link", name="mended.csv").click()
    await page.get_by_role("button", name="Undo this import").click()
    await page.get_by_role("dialog").get_by_role("button", name="Undo this import").click()
    await expect(page.locator("main")).to_contain_text("This import was undone.")
    await page.goto(f"{served.base}/customers?q=address")
    await expect(page.locator("main")).to_contain_text("Nothing is found for “address”.")
    assert await faults_of(page, seen) == []


@pytest.mark.slow
async def test_L8_what_is_shown_is_exported_and_gone_through_record_by_record(
    page: Page, seen: Seen, served: Served
) -> None:
    await page.goto(f"{served.base}/customers?q=imported&sort=-name")
    await settled(page)
    await page.get_by_role("button", name="Columns").click()
    await page.locator("#columns").get_by_label("Phone", exact=True).uncheck()
    await expect(page.get_by_role("columnheader", name="Phone")).to_have_count(0)
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Export").click()
    rows = list(csv.DictReader(io.StringIO(await downloaded(page, "CSV, all rows as shown"))))
    assert [row["Name"] for row in rows] == ["Cy Imported", "Bo Imported", "Ada Imported"]
    assert "Phone" not in rows[0]

    await page.locator("[data-rows]").get_by_role("link", name="Bo Imported", exact=True).click()
    place, title = page.get_by_role("navigation", name="Records of the list"), page.get_by_role("heading", level=1)
    await expect(place).to_have_text("2 of 3")
    await settled(page)
    await page.keyboard.press("j")
    await expect(title).to_contain_text("Ada Imported")
    await expect(place.get_by_label("Next record")).to_have_attribute("aria-disabled", "true")
    assert await axe(page) == []
    await settled(page)
    await page.keyboard.press("k")
    await expect(title).to_contain_text("Bo Imported")
    await page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Customers").click()
    await page.wait_for_url(re.compile(r"/customers\?.*q=imported"))
    assert await faults_of(page, seen) == []


@pytest.mark.slow
async def test_on_a_phone_a_customer_is_filtered_found_and_changed(browser: Browser, served: Served) -> None:
    async with window(browser, PHONE, "dark", served.state) as page:
        seen = Seen(page)
        await page.goto(f"{served.base}/customers")
        await settled(page)
        assert await overflow(page) == []
        await page.get_by_role("button", name="Filter", exact=True).click()
        filters = page.locator("#filters")
        await filters.get_by_text("Name", exact=True).click()
        await filters.get_by_label("Has the text").first.fill("cy imp")
        assert await faults_of(page, seen) == []
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-said]")).to_have_text("1 of 1")
        assert await faults_of(page, seen) == []

        await page.get_by_role("link", name="Cy Imported").click()
        await page.wait_for_url(re.compile(r"/customers/\d+$"))
        await settled(page)
        assert await faults_of(page, seen) == []
        await page.get_by_role("button", name="Edit address").click()
        await page.get_by_label("City").fill("Quayside")
        assert await overflow(page) == []
        await page.get_by_role("button", name="Save address").click()
        await expect(page.locator("#sec-address")).to_contain_text("Quayside")
        assert await faults_of(page, seen) == []


@pytest.mark.slow
async def test_pages_of_views_plans_and_the_own_account_are_clean(page: Page, seen: Seen, served: Served) -> None:
    found: dict[str, list[str]] = {}
    for path in (
        "/lists/customers/views/new?q=imported",
        "/profile",
        "/profile/password",
        "/help",
        "/settings/dunning",
        "/settings/statuses",
        "/settings/tags",
    ):
        answer = await page.goto(served.base + path)
        assert answer is not None
        assert answer.status == 200, path
        await settled(page)
        if faults := await faults_of(page, seen):
            found[path] = faults
        seen.faults.clear()
    assert found == {}


@pytest.mark.slow
async def test_B5_a_line_of_an_invoice_is_chosen_from_the_catalogue_by_keys(
    page: Page, seen: Seen, served: Served
) -> None:
    await page.goto(f"{served.base}/products/new")
    await page.get_by_label("Name", exact=True).fill("Router, rented")
    await page.get_by_label("Code", exact=True).fill("router")
    await page.get_by_label("A month", exact=True).fill("3.90")
    await page.get_by_role("button", name="Create product").click()
    await page.wait_for_url(re.compile(r"/products/\d+$"))
    await page.goto(f"{served.base}/customers/new")
    await page.get_by_label("Full name").fill("Orla Quill")
    await page.get_by_role("button", name="Create customer").click()
    await page.wait_for_url(re.compile(r"/customers/\d+$"))
    await page.goto(f"{page.url}/invoices/new")

    last = page.get_by_label("Description, line 3")
    await last.press_sequentially("rout")
    option = page.get_by_role("option", name="Router, rented")
    await expect(option).to_be_visible()
    await settled(page)
    box, foot = await option.bounding_box(), await page.locator(".t-list-foot").bounding_box()
    assert box is not None
    assert foot is not None
    seen_there = await page.evaluate(
        "([x, y]) => document.elementFromPoint(x, y)?.closest('[role=option]') !== null",
        [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2],
    )
    await last.press("ArrowDown")
    await last.press("Enter")

    assert seen_there
    await expect(last).to_have_value("Router, rented")
    await expect(page.get_by_label("Price of one, line 3")).to_have_value("3.90")
    await page.get_by_label("Description, line 1").fill("Cable")
    await page.get_by_label("Price of one, line 1").fill("20")
    await page.get_by_role("button", name="Save draft").click()
    await page.wait_for_url(re.compile(r"/invoices/\d+$"))
    await expect(page.locator(".t-sum")).to_contain_text("23.90")
    assert seen.faults == []


@pytest.mark.slow
async def test_M3_on_a_phone_words_of_messages_are_opened_and_nothing_lies_over_a_heading(
    browser: Browser, served: Served
) -> None:
    async with window(browser, PHONE, state=served.state) as phone:
        seen = Seen(phone)
        await phone.goto(f"{served.base}/settings/messages")
        await expect(phone.get_by_role("link", name="Invoice in English", exact=True)).to_be_visible()
        assert await faults_of(phone, seen) == []

        await phone.goto(f"{served.base}/customers/new")
        await phone.get_by_label("Full name").fill("Rhona Quill")
        await phone.get_by_role("button", name="Create customer").click()
        await phone.wait_for_url(re.compile(r"/customers/\d+$"))
        await phone.get_by_role("button", name="Edit billing settings").click()
        await expect(phone.get_by_role("button", name="Save billing settings")).to_be_visible()
        heading = await phone.locator("#h-billing").bounding_box()
        cancel = await phone.locator("#sec-billing [data-cancel]").bounding_box()
        assert heading is not None
        assert cancel is not None
        assert heading["y"] + heading["height"] <= cancel["y"]
        assert seen.faults == []
