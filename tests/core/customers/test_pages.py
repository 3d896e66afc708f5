"""Pages of customers."""

from __future__ import annotations

import re
from html import unescape

from core.activity.unit import unit_of_work
from core.customers import actions, queries
from core.customers.schemas import MainData, NewCustomer
from core.database import execute
from core.testing import TestTenant
from core.web.catalogues import ROOT, catalogue_at


async def test_a_customer_that_was_typed_in_stands_in_the_list_and_on_its_page(tenant: TestTenant) -> None:
    page = await tenant.browser()

    made = await page.post(
        "/customers", data={"full_name": "Siobhán Kavanagh", "emails": "s@example.com, k@example.com"}
    )

    assert made.status_code == 303, made.text
    shown = await page.get(made.headers["location"])
    assert shown.status_code == 200, shown.text
    assert "Siobhán Kavanagh" in shown.text
    assert "s@example.com, k@example.com" in shown.text
    listed = await page.get("/customers?q=siobhan")
    assert "Siobhán Kavanagh" in listed.text


async def test_every_wrong_field_of_a_new_customer_is_named_and_nothing_is_written(tenant: TestTenant) -> None:
    page = await tenant.browser()

    refused = await page.post("/customers", data={"full_name": "A", "emails": "nobody", "phones": "12"})

    assert refused.status_code == 422
    for field in ("f-emails", "f-phones"):
        assert f'aria-describedby="{field}-e"' in refused.text or f'href="#{field}"' in refused.text
    assert await queries.list_customers(tenant.scope()) == []


async def test_a_name_that_lacks_is_told_with_all_else_that_is_wrong(tenant: TestTenant) -> None:
    page = await tenant.browser()

    refused = await page.post("/customers", data={"full_name": " ", "emails": "nobody", "phones": "12"})

    assert refused.status_code == 422
    for field in ("f-full_name", "f-emails", "f-phones"):
        assert f'aria-describedby="{field}-e' in refused.text, field
    assert "–" not in refused.text.split('id="f-full_name"')[1].split(">")[0]


async def test_a_section_saved_by_two_is_merged_where_they_differ_in_other_fields(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await actions.create_customer(scope, NewCustomer(full_name="Ann Other"))
    seen = {name: getattr(await queries.get_customer(scope, customer_id), name) for name in MainData.__struct_fields__}
    one = MainData(full_name="Ann Other", company="First", joined_on=seen["joined_on"])
    other = MainData(full_name="Ann Another", joined_on=seen["joined_on"])

    await actions.change_customer(scope, customer_id, one, version=1, seen=seen)
    await actions.change_customer(scope, customer_id, other, version=1, seen=seen)

    now = await queries.get_customer(scope, customer_id)
    assert (now.full_name, now.company, now.version) == ("Ann Another", "First", 3)


async def test_a_field_that_both_changed_is_shown_with_both_values(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await actions.create_customer(scope, NewCustomer(full_name="Ann Other"))
    page = await tenant.browser()
    first = await page.put(f"/customers/{customer_id}/sections/address", data={"version": "1", "street": "1 Long Road"})
    assert first.status_code == 200, first.text

    second = await page.put(
        f"/customers/{customer_id}/sections/address", data={"version": "1", "street": "2 Short Street"}
    )

    assert second.status_code == 409
    assert "1 Long Road" in second.text
    assert "2 Short Street" in second.text
    assert (await queries.get_customer(scope, customer_id)).street == "1 Long Road"


async def test_who_reads_german_reads_no_english_on_the_pages_of_customers(tenant: TestTenant) -> None:
    """Labels that stand as constants are easily marked and then shown as they are."""
    scope = tenant.scope()
    customer_id = await actions.create_customer(scope, NewCustomer(full_name="Ann Other", kind="company"))
    page = await tenant.browser()
    async with unit_of_work(scope):
        await execute("UPDATE staff SET language = 'de'")
    texts = [message for message in catalogue_at(ROOT / "core" / "customers" / "locale" / "de.po", "de") if message.id]
    english = {one.id for one in texts if isinstance(one.id, str) and one.id != one.string}
    german = {one.string for one in texts if isinstance(one.string, str)}

    for path in ("", "/new", "/import", f"/{customer_id}", f"/{customer_id}/details", f"/{customer_id}/contacts",
                 f"/{customer_id}/notes", f"/{customer_id}/activity", f"/{customer_id}/sections/main/edit",
                 f"/{customer_id}/sections/billing/edit", f"/{customer_id}/status"):  # fmt: skip
        shown = await page.get(f"/customers{path}")
        assert shown.status_code == 200, shown.text
        read = {unescape(text).strip() for text in re.findall(r">([^<>]+)<", shown.text)}
        assert not read & english, path
        assert read & german, path
