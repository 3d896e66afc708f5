"""Help and support at the top right of every page: the manual at this place, and whom to ask."""

from __future__ import annotations

import re

import pytest

from core.settings.actions import save_settings
from core.settings.company import CompanySettings
from core.testing import TestTenant, application
from core.web.help_pages import contact_of
from core.web.manual import CHAPTERS, PARTS, TABS, chapter, part_for
from core.web.routing import http_handlers


@pytest.mark.parametrize("place", sorted({*(place for _, place in PARTS), *TABS.values()}))
def test_F8_each_page_leads_to_a_part_that_the_manual_has(place: str) -> None:
    name, _, anchor = place.partition("#")
    found = chapter(name)

    assert found is not None
    assert not anchor or f'<h2 id="{anchor}">' in found.html


def test_F8_the_places_are_those_of_pages() -> None:
    paths = {path for method, path, _ in http_handlers(application()) if method == "GET"}

    assert {start for start, _ in PARTS} <= paths | {"/billing"}


def test_F8_no_page_of_staff_but_the_first_leads_to_the_beginning_of_the_manual() -> None:
    paths = {path for method, path, _ in http_handlers(application()) if method == "GET"}
    staff = {path for path in paths if re.match(r"/(customers|messages|settings|figures|jobs|ledger|invoices)\b", path)}

    assert {path for path in staff if part_for(re.sub(r"{[^}]*}", "7", path)) == PARTS[-1][1]} == set()


def test_F8_tabs_are_those_of_customers() -> None:
    paths = {path for method, path, _ in http_handlers(application()) if method == "GET"}
    tabs = {found[1] for path in paths if (found := re.match(r"/customers/(?:{[^}]*}/)?([a-z-]+)", path))}

    assert set(TABS) <= tabs


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", "operators#your-first-hour"),
        ("/customers/17/notes", "operators#customers"),
        ("/customers/import", "importing"),
        ("/customersx", "operators#your-first-hour"),
        ("/settings/statuses/new", "operators#statuses"),
        ("/settings/mail", "operators#messages-and-mail"),
        ("/settings/plugins/inventory", "operators#settings"),
        ("/customers/17/subscriptions", "operators#subscriptions"),
        ("/customers/17/transactions", "operators#invoices-and-payments"),
        ("/customers/17/messages/new", "operators#messages-and-mail"),
        ("/customers/planned-statuses", "operators#statuses"),
        ("/customers/import/3", "importing"),
        ("//evil.example", "operators#your-first-hour"),
    ],
)
def test_F8_the_longest_beginning_counts(path: str, place: str) -> None:
    assert part_for(path) == place


async def test_F8_every_page_has_help_and_support_which_lead_to_the_manual_at_its_place(tenant: TestTenant) -> None:
    page = await tenant.browser()

    products = (await page.get("/products")).text
    link = re.search(r'href="(/help\?at=[^"]+)"', products)
    assert link is not None
    led = await page.get(link[1])
    manual = await page.get(led.headers["location"])

    assert led.headers["location"] == "/help/operators#subscriptions"
    assert manual.status_code == 200
    assert '<h2 id="subscriptions">' in manual.text
    assert 'href="/help/money"' in manual.text
    assert "../README.md" not in manual.text
    assert (await page.get("/help/hosting")).status_code == 404
    assert (await page.get("/help/..%2Fpyproject")).status_code == 404


async def test_F8_the_support_contact_of_the_settings_can_be_followed(tenant: TestTenant) -> None:
    page = await tenant.browser()
    before = (await page.get("/help/operators")).text
    await save_settings(tenant.scope(), CompanySettings(name="Test Net", support="help@harbour.example"))

    after = (await page.get("/help/operators")).text
    plain = (await (await tenant.browser("Read only")).get("/help/operators")).text

    assert "Name a help contact" in before
    assert 'href="mailto:help@harbour.example"' in after
    assert 'href="mailto:help@harbour.example"' in plain


@pytest.mark.parametrize(
    ("typed", "href"),
    [
        ("help@harbour.example", "mailto:help@harbour.example"),
        ("+353 1 555 0101", "tel:+35315550101"),
        ("https://help.example/desk", "https://help.example/desk"),
        ("javascript:alert(1)", ""),
        ("Ask Niamh on the second floor", ""),
        ("", ""),
    ],
)
def test_F8_a_contact_leads_where_it_can(typed: str, href: str) -> None:
    assert contact_of(typed).href == href


@pytest.mark.parametrize("name", [name for name, _ in CHAPTERS])
def test_F8_a_chapter_holds_no_markup_of_its_own_and_no_link_that_leads_nowhere(name: str) -> None:
    found = chapter(name)
    assert found is not None

    for address in re.findall(r'href="([^"]+)"', found.html):
        assert address.startswith(("https://", "/help/", "#")), address
    assert "<script" not in found.html
    assert " style=" not in found.html
