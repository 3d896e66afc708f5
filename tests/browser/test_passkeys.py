"""A passkey in a browser, whose device is a virtual one: made, named, logged in with, removed."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.browser import Seen, window
from tests.browser.server import Served


async def with_device(page: Page) -> None:
    """A device that keeps passkeys and always says that it is the right finger."""
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


@pytest.mark.slow
async def test_F1_a_passkey_is_added_named_and_logs_in_without_a_password(browser: Browser, served: Served) -> None:
    async with window(browser, state=served.state) as page:
        seen = Seen(page)
        await with_device(page)
        await page.goto(f"{served.base}/profile/second-factor")
        await page.get_by_label("Name").last.fill("Laptop")
        await page.get_by_role("button", name="Add a passkey").click()
        codes = await page.get_by_role("textbox", name="Recovery codes").input_value()
        assert len(codes.split()) == 10
        await page.get_by_role("link", name="They are kept, go on").click()
        await page.get_by_label("Name of the passkey Laptop").fill("Work laptop")
        await page.get_by_role("button", name="Save the name of Laptop").click()
        await expect(page.get_by_label("Name of the passkey Work laptop")).to_be_visible()

        await page.locator("[popovertarget=me]").click()
        await page.get_by_role("button", name="Log out").click()
        await page.get_by_role("button", name="Use a passkey").click()
        await page.wait_for_url(f"{served.base}/")
        await page.goto(f"{served.base}/profile/second-factor")
        await expect(page.get_by_text("last used")).to_be_visible()
        await page.get_by_role("button", name="Remove the passkey Work laptop").click()
        await expect(page.get_by_label("Name of the passkey Work laptop")).to_have_count(0)
        assert seen.faults == []
