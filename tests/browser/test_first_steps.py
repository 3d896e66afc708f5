"""First steps of a person in a real browser: the one-time link, a customer, editing, searching, by keys."""

from __future__ import annotations

import itertools
import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.browser import (
    DESK,
    PHONE,
    Seen,
    Size,
    axe,
    faults_of,
    settled,
    show_theme,
    window,
)
from tests.browser.server import PASSWORD, Served

pytestmark = pytest.mark.anyio

names = (
    f"Orla {first}{second}more"
    for first, second in itertools.product(("Fen", "Dun", "Bal", "Kil"), ("ni", "ga", "ly", "ra"))
)


async def create(page: Page, served: Served) -> tuple[str, str]:
    """A customer of its own; gives the name and the address of its page."""
    name = next(names)
    await page.goto(f"{served.base}/customers/new")
    await page.get_by_label("Full name").fill(name)
    await page.get_by_label("E-mails", exact=True).fill(f"{name.replace(' ', '.').lower()}@post.example")
    await page.get_by_role("button", name="Create customer").click()
    await page.wait_for_url(re.compile(r"/customers/\d+$"))
    await settled(page)
    return name, page.url


@pytest.mark.slow
async def test_a_one_time_link_leads_in_once(browser: Browser, served: Served) -> None:
    link = served.create_tenant("lantern")
    async with window(browser) as page:
        await page.goto(link)
        await page.get_by_label("Password", exact=True).fill("short")
        await page.get_by_label("The same again").fill("other")
        await page.get_by_role("button", name="Set password and log in").click()

        await expect(page.locator(".t-errors")).to_be_focused()
        assert await axe(page) == []

        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_label("The same again").fill(PASSWORD)
        await page.get_by_role("button", name="Set password and log in").click()
        await expect(page.get_by_role("navigation", name="Main")).to_be_visible()

        answer = await page.goto(link)
        assert answer is not None
        assert answer.status == 404
        await expect(page.get_by_role("heading", level=1)).to_have_text("This link does not work any more")


@pytest.mark.slow
async def test_logging_out_ends_it_and_logging_in_leads_back(browser: Browser, served: Served) -> None:
    link = served.create_tenant("harbour")
    base = link.split("/welcome/")[0]
    async with window(browser) as page:
        await page.goto(link)
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_label("The same again").fill(PASSWORD)
        await page.get_by_role("button", name="Set password and log in").click()
        await page.get_by_role("button", name="your account").click()
        await page.get_by_role("button", name="Log out").click()
        await page.wait_for_url("**/login")

        await page.goto(f"{base}/customers?sort=city")
        await page.get_by_label("E-mail").fill("admin@harbour.example")
        await page.get_by_label("Password", exact=True).fill("wrong")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.locator(".t-errors")).to_contain_text("do not belong together")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_role("button", name="Log in").click()

        await page.wait_for_url("**/customers?sort=city")


async def test_a_customer_is_made_and_changed_by_the_keyboard_alone(page: Page, seen: Seen, served: Served) -> None:
    await page.goto(f"{served.base}/")
    await settled(page)
    await page.keyboard.press("g")
    await page.keyboard.press("c")
    await page.wait_for_url("**/customers")
    await settled(page)
    await page.keyboard.press("n")
    await page.wait_for_url("**/customers/new")
    await page.get_by_label("Full name").focus()
    await page.keyboard.type("Bram van Oosterzee")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/customers/\d+$"))
    await settled(page)

    await page.keyboard.press("e")
    await expect(page.get_by_label("Full name")).to_be_focused()
    await page.keyboard.press("End")
    await page.keyboard.type(" jr")
    await page.keyboard.press("Control+Enter")

    await expect(page.get_by_role("heading", level=1)).to_contain_text("Bram van Oosterzee jr")
    await expect(page.get_by_role("button", name="Edit main data")).to_be_focused()
    assert seen.faults == []


async def test_editing_moves_nothing_and_escape_leaves_it_as_it_was(page: Page, served: Served) -> None:
    await create(page, served)
    below = page.locator("#sec-address")
    before = await below.bounding_box()

    await page.get_by_role("button", name="Edit main data").click()
    await expect(page.locator("#sec-main.t-editing")).to_be_visible()
    during = await below.bounding_box()
    await page.get_by_label("Company").fill("Never saved")
    await page.keyboard.press("Escape")

    await expect(page.locator("#sec-main")).not_to_contain_text("Never saved")
    assert before == during == await below.bounding_box()


async def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(page: Page, served: Served) -> None:
    await create(page, served)
    await page.get_by_role("button", name="Edit main data").click()
    await page.get_by_label("Company").fill("Fennimore & Sons")
    await page.get_by_label("E-mails", exact=True).fill("orla@")
    await page.keyboard.press("Control+Enter")

    await expect(page.locator(".t-errors")).to_be_focused()
    assert await axe(page) == []
    await page.locator(".t-errors a").click()
    await expect(page.get_by_label("E-mails", exact=True)).to_be_focused()
    await expect(page.get_by_label("Company")).to_have_value("Fennimore & Sons")


@pytest.mark.slow
async def test_the_second_of_two_chooses_field_by_field(browser: Browser, page: Page, served: Served) -> None:
    _, address = await create(page, served)
    async with window(browser, state=served.state) as other:
        await other.goto(address)
        for one in (page, other):
            await one.get_by_role("button", name="Edit main data").click()
        await other.get_by_label("Company").fill("Theirs Ltd")
        await other.get_by_role("button", name="Save main data").click()
        await expect(other.locator("#sec-main")).to_contain_text("Theirs Ltd")

    await page.get_by_label("Company").fill("Mine Ltd")
    await page.get_by_role("button", name="Save main data").click()
    await expect(page.locator(".t-conflict")).to_be_focused()
    await expect(page.get_by_label("Company")).to_have_value("Theirs Ltd")
    assert await axe(page) == []
    await page.get_by_role("radio", name="Mine Ltd").check()
    await page.get_by_role("button", name="Save main data").click()

    await expect(page.locator("#sec-main:not(.t-editing)")).to_contain_text("Mine Ltd")


async def test_C13_what_somebody_else_does_appears_by_itself(browser: Browser, page: Page, served: Served) -> None:
    _, address = await create(page, served)
    async with window(browser, state=served.state) as other:
        await other.goto(address)
        await other.get_by_role("button", name="Add note").click()
        await other.get_by_label("New note").fill("Ring before visiting.")
        await other.get_by_role("button", name="Add note").last.click()
        await expect(other.get_by_text("Ring before visiting.")).to_be_visible()  # or it goes before it has asked

        await expect(page.locator("#activity > li.fresh")).to_contain_text("Note added", timeout=30_000)


async def test_a_lost_connection_keeps_what_was_typed(page: Page, served: Served) -> None:
    await create(page, served)
    await page.get_by_role("button", name="Edit main data").click()
    await page.get_by_label("Company").fill("Offline Ltd")
    await page.context.set_offline(True)
    await page.get_by_role("button", name="Save main data").click()

    await expect(page.locator("#offline")).to_be_visible()
    await expect(page.get_by_label("Company")).to_have_value("Offline Ltd")
    await page.context.set_offline(False)
    await expect(page.locator("#offline")).to_have_count(0)
    await page.get_by_role("button", name="Save main data").click()
    await expect(page.locator("#sec-main:not(.t-editing)")).to_contain_text("Offline Ltd")


@pytest.mark.slow
async def test_the_list_is_searched_while_typing_and_the_address_keeps_it(page: Page, served: Served) -> None:
    name, _ = await create(page, served)
    await create(page, served)
    await page.goto(f"{served.base}/customers")
    await page.get_by_role("searchbox", name="Name, e-mail, phone or id").press_sequentially(name.lower(), delay=10)

    await expect(page.locator("[data-rows] > tr")).to_have_count(1)
    await expect(page.get_by_role("searchbox", name="Name, e-mail, phone or id")).to_be_focused()
    await page.reload()
    await expect(page.locator("[data-rows] > tr")).to_have_count(1)
    await page.get_by_role("searchbox", name="Name, e-mail, phone or id").fill("qwx")
    await expect(page.get_by_role("heading", name="No customer matches")).to_be_visible()
    assert await axe(page) == []


async def test_everything_is_searched_and_opened_by_keys(page: Page, served: Served) -> None:
    name, address = await create(page, served)
    await page.goto(f"{served.base}/profile")
    await settled(page)
    await page.keyboard.press("Control+k")
    await page.keyboard.type(name.lower())
    await expect(page.locator("#hits [aria-selected=true]")).to_contain_text(name)
    assert await axe(page) == []

    await page.keyboard.press("Enter")

    await page.wait_for_url(address)


async def test_colours_and_the_width_of_the_menu_are_kept(page: Page, served: Served) -> None:
    await page.goto(f"{served.base}/profile")
    await settled(page)
    await page.get_by_role("button", name="Dark", exact=True).click()
    await page.get_by_role("button", name="Icons only").click()
    await settled(page)
    await page.reload()

    assert await page.locator("html").get_attribute("data-bs-theme") == "dark"
    await expect(page.locator(".t-shell.narrow")).to_be_visible()
    await page.get_by_role("button", name="As the device").click()
    await page.get_by_role("button", name="Wide", exact=True).click()
    await settled(page)
    await page.reload()
    assert await page.locator("html").get_attribute("data-bs-theme") is None
    await expect(page.locator(".t-shell.narrow")).to_have_count(0)


async def test_single_letters_can_be_switched_off(page: Page, served: Served) -> None:
    await page.goto(f"{served.base}/customers")
    await settled(page)
    await page.keyboard.press("Shift+?")
    await page.get_by_label("Single letters work on this device").uncheck()
    await page.keyboard.press("Escape")

    await page.keyboard.press("n")

    await page.wait_for_timeout(300)
    assert page.url == f"{served.base}/customers"


PAGES = (
    "/",
    "/customers",
    "/customers/new",
    "/customers/1",
    "/customers/1/activity",
    "/customers/import",
    "/products",
    "/products/new",
    "/messages",
    "/jobs",
    "/profile",
    "/settings/company",
    "/settings/tax",
    "/settings/currencies",
    "/settings/mail",
    "/settings/plugins/inventory",
    "/settings/staff",
    "/settings/staff/1",
    "/settings/roles",
    "/settings/roles/1",
    "/settings/tokens",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "theme"),
    [
        pytest.param(DESK, "light", id="desk", marks=pytest.mark.long),
        pytest.param(DESK, "dark", id="desk-dark", marks=pytest.mark.long),
        pytest.param(PHONE, "light", id="phone"),
    ],
)
async def test_axe_finds_nothing_and_nothing_is_too_wide(
    browser: Browser, served: Served, size: Size, theme: str
) -> None:
    found: dict[str, list[str]] = {}
    async with window(browser, size, theme, served.state) as page:
        await create(page, served)
        seen = Seen(page)
        for path in PAGES:
            await page.goto(served.base + path)
            await show_theme(page, theme)
            await settled(page)
            if faults := await faults_of(page, seen):
                found[path] = faults
            seen.faults.clear()

    assert found == {}
