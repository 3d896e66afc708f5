"""Staff log in as a customer, who pays at the test gateway on a phone; staff see it paid. In a real browser."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.browser import DESK, PHONE, Seen, faults_of, settled, small_targets, window
from tests.browser.server import ROOT, Served

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def shop(served: Served) -> Served:
    """The served tenant with a few customers, half a year of invoices, the portal and the test gateway."""
    subprocess.run(
        [sys.executable, "-m", "tenants.cli", "demo", "--tenant", "demo", "--customers", "4"],
        cwd=ROOT,
        env=served.environment,
        check=True,
        capture_output=True,
    )
    return served


async def looked_at(page: Page, seen: Seen) -> None:
    await settled(page)
    assert await faults_of(page, seen) == []
    if "/portal/staff/" not in page.url:
        assert await small_targets(page) == []


@pytest.mark.slow
async def test_staff_log_in_as_a_customer_pay_at_the_gateway_and_see_it_paid(browser: Browser, shop: Served) -> None:
    async with window(browser, state=shop.state) as page:
        seen = Seen(page)
        await page.goto(f"{shop.base}/invoices?status=open&status=overdue")
        await page.locator("tbody .c-name a").first.click()
        await page.wait_for_url(re.compile(r"/invoices/\d+"))
        invoice = page.url.partition("?")[0]
        number = re.search(r"\d{4}-\d+", await page.get_by_role("heading", level=1).inner_text())
        assert number is not None
        await page.locator("main a[href^='/customers/']").first.click()
        await page.wait_for_url(re.compile(r"/customers/\d+"))

        await page.get_by_role("button", name="Actions").click()
        await page.get_by_role("link", name="Log in as customer…").click()
        await expect(page.get_by_text("It lasts 15 minutes.")).to_be_visible()
        await looked_at(page, seen)
        await page.get_by_role("button", name="Log in as customer").click()
        await page.wait_for_url(re.compile(r"/portal$"))

        await page.set_viewport_size({"width": PHONE.width, "height": PHONE.height})
        await expect(page.get_by_label("Logged in as a customer")).to_contain_text("Demo Admin")
        await looked_at(page, seen)
        for name in ("Services", "Messages", "Me", "Invoices"):
            await page.get_by_role("navigation", name="Main").get_by_role("link", name=name, exact=True).click()
            await expect(page.get_by_role("link", name=name, exact=True).first).to_have_attribute(
                "aria-current", "page"
            )
            await looked_at(page, seen)
        await page.get_by_role("link", name=number[0]).click()
        await page.get_by_role("link", name=re.compile("^Pay €")).click()
        await page.wait_for_url(re.compile(r"/portal/pay"))
        await looked_at(page, seen)
        amount = page.locator(".p-amount")
        whole = await amount.inner_text()
        chosen = page.get_by_role("checkbox", checked=True)
        await chosen.focus()
        await page.keyboard.press("Space")
        await expect(amount).not_to_have_text(whole)
        await page.keyboard.press("Space")
        await expect(amount).to_have_text(whole)
        go_on = page.get_by_role("button", name=re.compile("^Go on to pay"))
        await go_on.focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url(re.compile(r"/testgateway/pay/"))
        await looked_at(page, seen)
        await page.get_by_role("button", name="Pay", exact=True).focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url(re.compile(r"/portal/paid/\d+"))
        await expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
        await looked_at(page, seen)
        await page.get_by_role("button", name="End").click()
        await page.wait_for_url(re.compile(r"/customers/\d+"))

        await page.set_viewport_size({"width": DESK.width, "height": DESK.height})
        await page.goto(invoice)
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Paid")
        assert seen.faults == []
        await page.goto(f"{shop.base}/portal")
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await looked_at(page, seen)
