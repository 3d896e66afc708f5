"""A drawer opened by its own address has a page around; asked for by a page it comes alone."""

from __future__ import annotations

import re

import pytest

from core.customers import actions
from core.customers.schemas import NewCustomer
from core.testing import TestTenant
from core.web.view import _record_of

pytestmark = pytest.mark.anyio


async def test_a_drawer_has_a_page_around_unless_a_page_asks_for_it(tenant: TestTenant) -> None:
    customer_id = await actions.create_customer(tenant.scope(), NewCustomer(full_name="Ada Adler"))
    page = await tenant.browser()
    address = f"/customers/{customer_id}/charges/new"

    alone = await page.get(address)
    inside = await page.get(address, headers={"hx-request-type": "partial"})

    assert alone.text.startswith("<!doctype html>")
    assert f'href="/customers/{customer_id}"' in alone.text
    assert "Add a charge" in alone.text
    assert "<html" not in inside.text
    one_form = re.compile(r'(?<=name="_once" value=")[^"]*')  # each form that is shown has a key of its own
    assert one_form.sub("", inside.text).strip() in one_form.sub("", alone.text)


async def test_a_drawer_that_has_no_plan_yet_offers_to_show_it_and_one_that_has_offers_the_deed(
    tenant: TestTenant,
) -> None:
    customer_id = await actions.create_customer(tenant.scope(), NewCustomer(full_name="Ada Adler"))
    page = await tenant.browser()
    address = f"/customers/{customer_id}/payments/new"

    empty = await page.get(address)
    wrong = await page.get(f"{address}?amount=-5&received_on=2026-11-22&method=transfer")
    right = await page.get(f"{address}?amount=5&received_on=2026-11-22&method=transfer")

    assert [one.status_code for one in (empty, wrong, right)] == [200, 422, 200]
    assert ["Show what will happen" in one.text for one in (empty, wrong, right)] == [True, True, False]
    assert ['type="submit"' in one.text.split("<footer>")[1] for one in (empty, wrong, right)] == [False, False, True]


@pytest.mark.parametrize(
    ("path", "record"),
    [
        ("/customers/12/status", "/customers/12"),
        ("/customers/12/subscriptions/plan", "/customers/12"),
        ("/inventory/items/5/deeds/sell", "/inventory/items/5"),
        ("/settings/statuses/plan", "/settings/statuses"),
        ("/inventory/labels", "/inventory"),
    ],
)
def test_closing_a_drawer_that_was_opened_alone_leads_to_its_record(path: str, record: str) -> None:
    assert _record_of(path) == record
