"""The start page of an empty tenant: the way to the first invoice."""

import structlog.testing

from core.settings.actions import save_settings
from core.settings.company import CompanySettings
from core.testing import TestTenant


async def test_the_way_to_the_first_invoice_begins_with_the_company(tenant: TestTenant) -> None:
    page = await tenant.browser()

    before = (await page.get("/")).text
    await save_settings(tenant.scope(), CompanySettings(name="Acme", street="1 Quay Street", city="Galway"))
    after = (await page.get("/")).text

    titles = ("Company", "Customers", "Products", "Mail", "First invoice")
    places = [before.index(f"<h3>{title}</h3>") for title in titles]
    assert places == sorted(places)
    assert "0 of 5 done" in before
    assert "1 of 5 done" in after


async def test_what_no_text_can_hold_is_left_out_of_what_is_searched(tenant: TestTenant) -> None:
    page = await tenant.browser()

    with structlog.testing.capture_logs() as log:
        found = await page.get("/search", params={"q": "bil\0ling ru\0ns"})

    assert log == []
    assert found.status_code == 200
    assert 'href="/billing/runs"' in found.text
