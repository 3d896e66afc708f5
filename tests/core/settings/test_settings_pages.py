"""Pages of settings as a person fills them in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from core.billing.settings import BillingSettings
from core.errors import Invalid
from core.settings.company import CompanySettings
from core.settings.fields import parse_form
from core.settings.queries import load_settings
from core.texts import speaking

if TYPE_CHECKING:
    from core.testing import TestTenant


def options_of(page: str, name: str) -> dict[str, bool]:
    """What a field can be chosen from, and which of it is."""
    found = re.search(rf'<select [^>]*name="{name}".*?</select>', page, re.DOTALL)
    assert found is not None, name
    return {value: bool(chosen) for value, chosen in re.findall(r'<option value="([^"]*)" ?(selected)?', found[0])}


async def test_country_currency_zone_and_language_of_the_company_are_chosen_by_their_names(tenant: TestTenant) -> None:
    page = await tenant.browser()

    form = (await page.get("/settings/company")).text
    saved = await page.post(
        "/settings/company",
        data={"name": "Acme", "country": "DE", "currency": "EUR", "time_zone": "Europe/Berlin", "language": "de"},
    )

    for name, value in (("country", "IE"), ("currency", "EUR"), ("time_zone", "Europe/Dublin"), ("language", "en")):
        options = options_of(form, name)
        assert [each for each, chosen in options.items() if chosen] == [value]
        assert len(options) > 1
    assert ">Ireland<" in form
    assert ">Deutsch<" in form
    assert saved.status_code == 303, saved.text
    company = await load_settings(CompanySettings)
    assert (company.country, company.time_zone, company.language) == ("DE", "Europe/Berlin", "de")


async def test_what_is_stored_stays_a_choice_and_what_is_none_is_named(tenant: TestTenant) -> None:
    page = await tenant.browser()
    given = {"name": "Acme", "country": "IE", "currency": "EUR", "time_zone": "Europe/Dublin", "language": "fr"}
    await page.post("/settings/company", data=given)

    form = (await page.get("/settings/company")).text
    refused = await page.post("/settings/company", data={**given, "country": "Atlantis"})

    assert options_of(form, "language")["fr"]
    assert refused.status_code == 422
    assert 'id="f-country-e"' in refused.text


async def test_the_ways_to_encrypt_mail_are_written_as_they_are_called(tenant: TestTenant) -> None:
    page = await tenant.browser()

    form = (await page.get("/settings/mail")).text

    assert ">STARTTLS</option>" in form
    assert ">TLS</option>" in form


async def test_the_permissions_of_a_plugin_stand_under_what_it_is_called(tenant: TestTenant) -> None:
    page = await tenant.browser()

    for at in ("/settings/roles", "/settings/roles/new"):
        shown = (await page.get(at)).text
        assert "Test gateway" in shown
        assert "Testgateway" not in shown


@pytest.mark.parametrize(
    ("typed", "told"), [("", "Das darf nicht leer bleiben."), ("viele", "Verwenden Sie eine ganze Zahl.")]
)
def test_what_is_wrong_is_said_in_the_language_that_is_spoken(typed: str, told: str) -> None:
    with speaking("de"), pytest.raises(Invalid) as error:
        parse_form(BillingSettings, {"terms_days": typed}, kept=BillingSettings())

    assert told in [fault.message for fault in error.value.errors if fault.field == "terms_days"]


async def test_every_area_of_permissions_has_a_german_name(tenant: TestTenant) -> None:
    page = await tenant.browser()
    await page.post("/profile/preferences", data={"language": "de"})

    shown = (await page.get("/settings/roles")).text

    areas = re.findall(r'<th scope="rowgroup"[^>]*>([^<]+)</th>', shown)
    assert {"Katalog", "Listen", "Kunden"} <= set(areas)
    assert {"Catalog", "Lists", "Customers"}.isdisjoint(areas)


async def test_an_address_of_the_pages_that_is_none_is_refused_before_links_lead_there(tenant: TestTenant) -> None:
    page = await tenant.browser()
    given = {"name": "Acme", "country": "IE", "currency": "EUR", "time_zone": "Europe/Dublin", "language": "en"}

    refused = await page.post("/settings/company", data={**given, "address": "my pages", "email": "not an address"})
    fits = {**given, "address": "https://isp.example:8443/staff", "email": "office@isp.example"}
    saved = await page.post("/settings/company", data=fits)

    assert refused.status_code == 422
    assert 'id="f-address-e"' in refused.text
    assert 'id="f-email-e"' in refused.text
    assert saved.status_code == 303, saved.text
    assert (await load_settings(CompanySettings)).address == "https://isp.example:8443/staff"
