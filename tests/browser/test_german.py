"""Somebody of the staff reads German where the operator's language is English."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.async_api import Browser, Page, expect

from core.customers.status import StatusKey
from core.customers.vocabularies import VOCABULARIES
from core.texts import forms_of
from core.web.catalogues import catalogue_at, file_of, packages
from tests.browser.browser import DESK, PHONE, Seen, Size, axe, overflow, settled, window
from tests.browser.server import ROOT, Served, serving

pytestmark = pytest.mark.anyio

PAGES: Final = (
    "/", "/customers", "/customers/1", "/customers/1/activity", "/customers/1/contacts", "/customers/1/details",
    "/customers/1/hierarchy", "/customers/1/subscriptions", "/customers/1/transactions", "/customers/new",
    "/customers/import", "/subscriptions", "/products", "/products/1", "/products/groups", "/products/new", "/invoices",
    "/payments", "/billing/runs", "/billing/runs/new", "/ledger", "/messages", "/jobs", "/profile", "/settings",
    "/settings/billing", "/settings/currencies", "/settings/mail", "/settings/messages", "/settings/numbering",
    "/settings/plugins", "/settings/roles", "/settings/roles/1", "/settings/seller", "/settings/staff",
    "/settings/statuses", "/settings/statuses/transitions", "/settings/tags", "/settings/tax", "/settings/tokens",
    "/inventory", "/inventory/import", "/inventory/products", "/inventory/valuation", "/inventory/vendors",
)  # fmt: skip
TEXTS: Final = r"""() => {
    const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode())
        if (!walker.currentNode.parentElement.closest("script, style, code, pre, [lang=en]"))
            found.push(walker.currentNode.textContent);
    for (const name of ["title", "aria-label", "placeholder"])
        for (const element of document.querySelectorAll(`[${name}]`)) found.push(element.getAttribute(name));
    return found.map(text => text.trim().replace(/\s+/g, " "));
}"""
OPERATORS: Final = {
    "Accounts", "Administrator", "Bank transfer", "Card terminal", "Cash", "Modules", "New", "Outside VAT", "Plans",
    "Read only", "Reduced rate", "Services", "Standard rate", "Zero rate",
    *StatusKey, *VOCABULARIES["isp"].labels.values(),
}  # fmt: skip
"""Roles, groups of products, categories of tax, methods of payment and statuses: the operator's own words."""


def english() -> set[str]:
    """Every text that reads otherwise in German."""
    texts = [text for package in packages() for text in catalogue_at(file_of(package, "de"), "de") if text.id]
    german = {said for text in texts for said in forms_of(text.string)}
    return {meant for text in texts for meant in forms_of(text.id)} - german - OPERATORS


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With customers who have a history, and the plugin."""
    with serving(tmp_path_factory.mktemp("served")) as one:
        for command in (
            ("demo", "--tenant", "demo", "--customers", "6"),
            ("plugin", "enable", "inventory", "--tenant", "demo"),
        ):
            subprocess.run(
                [sys.executable, "-m", "tenants.cli", *command],
                cwd=ROOT,
                env=one.environment,
                check=True,
                capture_output=True,
            )
        yield one


async def read_german(page: Page, served: Served) -> None:
    await page.goto(f"{served.base}/profile")
    await page.get_by_role("button", name="Deutsch").click()
    await expect(page.locator("html")).to_have_attribute("lang", "de")


@pytest.mark.slow
async def test_a_language_is_chosen_on_the_profile_and_kept(page: Page, seen: Seen, served: Served) -> None:
    await page.goto(f"{served.base}/profile")
    await expect(page.get_by_role("heading", name="Your profile")).to_be_visible()

    await page.get_by_role("button", name="Deutsch").click()

    await expect(page.get_by_role("heading", name="Ihr Profil")).to_be_visible()
    await expect(page.get_by_role("button", name="Deutsch")).to_have_attribute("aria-pressed", "true")
    assert await axe(page) == []
    await page.goto(f"{served.base}/customers")
    await expect(page.get_by_role("heading", name="Kunden", exact=True)).to_be_visible()
    assert seen.faults == []


@pytest.mark.slow
async def test_list_customer_and_invoice_read_german_with_german_numbers(
    page: Page, seen: Seen, served: Served
) -> None:
    await read_german(page, served)

    await page.goto(f"{served.base}/customers")
    await expect(page.locator("main table")).to_contain_text("Saldo")
    await expect(page.locator(".t-list-foot")).to_contain_text(re.compile(r"\d+ von \d+"))
    await page.locator("tbody .c-name a").first.click()
    await expect(page.get_by_role("link", name="Rechnungen").first).to_be_visible()
    await expect(page.locator("main")).to_contain_text(re.compile(r"\d\.\s\w+\.?\s\d{4}"))
    assert await axe(page) == []
    await page.get_by_role("link", name="Buchungen").first.click()
    await expect(page.locator("main table").first).to_contain_text(re.compile(r"\d,\d\d"))
    assert await axe(page) == []

    await page.goto(f"{served.base}/invoices")
    await page.locator("tbody .c-name a").first.click()
    await expect(page.locator("h1")).to_contain_text("Rechnung")
    main = page.locator("main")
    await expect(main).to_contain_text("Fällig")
    await expect(main).to_contain_text(re.compile(r"\d,\d\d"))
    assert not re.search(r"\d\.\d\d\b(?!\d|\.)", await main.inner_text()), "an amount as English writes it"
    assert await axe(page) == []
    assert seen.faults == []


@pytest.mark.slow
async def test_a_form_is_refused_in_german(page: Page, served: Served) -> None:
    await read_german(page, served)

    await page.goto(f"{served.base}/customers/new")
    await page.get_by_label("Vollständiger Name").fill("Grete Halbritter")
    await page.get_by_label("E-Mail").first.fill("grete@")
    await page.get_by_role("button", name="Kunden anlegen").click()

    await expect(page.locator(".t-errors")).to_contain_text("E-Mail")
    await expect(page.locator(".t-errors")).to_contain_text("Adresse")
    assert await axe(page) == []


@pytest.mark.slow
async def test_what_stands_beside_the_heading_of_a_card_covers_it_on_no_phone(browser: Browser, served: Served) -> None:
    async with window(browser, PHONE, state=served.state) as page:
        await read_german(page, served)
        await page.goto(f"{served.base}/settings/numbering")
        await expect(page.get_by_text("die letzte wurde am")).to_be_visible()
        covered = await page.evaluate(
            """() => [...document.querySelectorAll(".t-card > header")].filter(header => {
                const [heading, beside] = [...header.children].map(one => one.getClientRects()[0]);
                const words = document.createRange();
                words.selectNodeContents(header.firstElementChild);
                const end = words.getBoundingClientRect().right;
                return beside && end > beside.left && heading.bottom > beside.top && beside.bottom > heading.top;
            }).map(header => header.textContent)"""
        )
        assert covered == []


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("size", [DESK, PHONE], ids=lambda size: size.name)
async def test_pages_in_german_fit_and_say_nothing_in_english(browser: Browser, served: Served, size: Size) -> None:
    known, faults = english(), list[str]()
    async with window(browser, size, state=served.state) as page:
        await read_german(page, served)
        await page.goto(f"{served.base}/invoices")
        invoice = await page.locator("tbody .c-name a").first.get_attribute("href")
        for path in (*PAGES, str(invoice)):
            answer = await page.goto(f"{served.base}{path}")
            assert answer is not None
            if answer.status != 200:
                faults.append(f"{path}: {answer.status}")
                continue
            await settled(page)
            faults += [f"{path}: {text!r} is not in German" for text in await page.evaluate(TEXTS) if text in known]
            faults += [f"{path}: too wide: {name}" for name in await overflow(page)]

    assert not faults, "\n".join(faults)
