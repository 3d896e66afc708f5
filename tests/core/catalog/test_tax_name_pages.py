"""Settings, Tax: what the tax is called, on the pages of documents too."""

from __future__ import annotations

import re
from html import unescape

import pytest

from core.billing import actions
from core.billing.schemas import NewDraft, NewLine, SellerFields
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.testing import TestTenant

pytestmark = pytest.mark.anyio


async def test_B6_the_seller_of_a_country_without_vat_has_a_tax_id(tenant: TestTenant) -> None:
    seller = await actions.default_seller(tenant.scope())
    page = await tenant.browser()

    at_home = await page.get("/settings/seller")
    fields = SellerFields(name="Marlbeck", country="AU")
    await actions.change_seller(tenant.scope(), seller.id, fields, version=seller.version)
    down_under = await page.get("/settings/seller")

    assert (">VAT id<" in at_home.text, ">Tax id<" in at_home.text) == (True, False)
    assert (">VAT id<" in down_under.text, ">Tax id<" in down_under.text) == (False, True)


async def test_B6_the_tax_is_named_in_the_settings_and_documents_to_come_say_so(tenant: TestTenant) -> None:
    scope, page = tenant.scope(), await tenant.browser()
    customer_id = await create_customer(scope, NewCustomer(full_name="Tarrow Pike", country="IE"))
    fields = NewDraft(payer_id=customer_id, lines=[NewLine(description="Visit", unit_price_e6=10**8)])
    old, new = await actions.create_draft(scope, fields), await actions.create_draft(scope, fields)
    await actions.issue(scope, old)

    proposed = await page.get("/settings/tax")
    saved = await page.post("/settings/tax/name", data={"en": " IE VAT ", "de": ""})
    named = await page.get("/settings/tax")
    draft = await page.get(f"/invoices/{new}")
    await actions.issue(scope, new)
    issued, before = await page.get(f"/invoices/{new}"), await page.get(f"/invoices/{old}")
    sheet = await page.get(f"/invoices/{new}/sheet")
    preview = await page.get("/settings/documents/sheet")
    long = await page.post("/settings/tax/name", data={"en": "x" * 31, "de": ""})
    unknown = await page.post("/settings/tax/name", data={"fr": "TVA"})

    api = await tenant.api()
    over_json = (await api.get("/api/v1/tax-name")).json()
    back = (await api.put("/api/v1/tax-name", json={"en": "", "de": "MwSt."})).json()

    assert over_json == {"en": "IE VAT", "de": "USt"}
    assert back == {"en": "VAT", "de": "MwSt."}
    assert re.search(r'name="en"[^>]*value="VAT"', proposed.text)
    assert "Empty: VAT, as it is proposed for your country" in proposed.text
    assert saved.headers["location"] == "/settings/tax"
    assert re.search(r'name="en"[^>]*value="IE VAT"', named.text)
    assert re.search(r'name="de"[^>]*value="USt"', named.text)
    assert '<th scope="row">IE VAT 23' in unescape(draft.text)
    assert issued.text.count("IE VAT") == sheet.text.count("IE VAT") + 1 == 4
    assert "IE VAT" not in before.text
    assert "IE VAT" in preview.text
    assert (long.status_code, unknown.status_code) == (422, 422)
    assert "x" * 31 in long.text
