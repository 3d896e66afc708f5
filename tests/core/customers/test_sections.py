"""Sections of a customer's page, saved one by one or all at once (C3): nothing is lost, who comes second sees why."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from core.activity.queries import timeline
from core.customers import actions, queries
from core.customers.schemas import AddressData, BillingData, MainData, NewCustomer
from core.customers.sections import text_of

if TYPE_CHECKING:
    from core.scope import Scope
    from core.testing import TestTenant

SECTIONS = (MainData, AddressData, BillingData)
PEOPLE = 20


async def somebody(scope: Scope) -> int:
    return await actions.create_customer(
        scope, NewCustomer(full_name="Ann Other", country="IE", emails=["ann@example.com"])
    )


async def form_of(scope: Scope, customer_id: int, **typed: str) -> dict[str, str]:
    """What a browser sends that has all sections open and in which this was typed."""
    now = await queries.get_customer(scope, customer_id)
    values = {name: getattr(now, name) for section in SECTIONS for name in section.__struct_fields__}
    fields = {name: text_of(value) for name, value in values.items()}
    return {"version": str(now.version), "seen": msgspec.json.encode(values).decode(), **fields, **typed}


async def test_C3_all_sections_are_saved_at_once_with_one_line_in_the_activity(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    page = await tenant.browser()
    editing = await page.get(f"/customers/{customer_id}/sections/edit")
    assert editing.status_code == 200, editing.text

    saved = await page.put(
        f"/customers/{customer_id}/sections",
        data=await form_of(scope, customer_id, company="Other Ltd", street="1 Long Road", terms_days="30"),
    )

    assert saved.status_code == 200, saved.text
    now = await queries.get_customer(scope, customer_id)
    assert (now.company, now.street, now.terms_days, now.version) == ("Other Ltd", "1 Long Road", 30, 2)
    assert "1 Long Road" in saved.text
    assert 'hx-target="#head"' in saved.text
    lines = [entry for entry in await timeline(scope, customer_id=customer_id) if entry.kind == "customer_changed"]
    assert [{change.field for change in entry.changes} for entry in lines] == [{"company", "street", "terms_days"}]


async def test_C3_one_wrong_field_keeps_all_sections_and_each_stands_with_its_section(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    page = await tenant.browser()

    refused = await page.put(
        f"/customers/{customer_id}/sections",
        data=await form_of(
            scope, customer_id, company="Other Ltd", emails="ann@", country="Atlantis", vat_id="DE123", zip="V95"
        ),
    )

    assert refused.status_code == 422
    told = unescape(refused.text)
    for place in ("Main data, E-mails", "Address, Country", "Billing settings, VAT id"):
        assert place in told
    for typed in ('value="Other Ltd"', ">ann@<", 'value="DE123"', 'value="V95"'):
        assert typed in told
    assert 'id="f-all-emails-e"' in told
    assert (await queries.get_customer(scope, customer_id)).version == 1


def fields_in(page: str) -> dict[str, str]:
    """What a browser would send of this form as it stands."""
    inputs = re.findall(r'<input [^>]*name="([^"]+)"[^>]*? value="([^"]*)"', page)
    inputs += re.findall(r'<input [^>]*value="([^"]*)"[^>]*? name="([^"]+)"', page)
    areas = re.findall(r'<textarea [^>]*name="([^"]+)"[^>]*>([^<]*)</textarea>', page)
    chosen = [
        (name, (re.findall(r'<option value="([^"]*)" selected', options) or [""])[0])
        for name, options in re.findall(r'<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', page, re.DOTALL)
    ]
    return {name: unescape(value) for name, value in (*inputs, *areas, *chosen) if not name.startswith("choose-")}


@pytest.mark.parametrize("at", ["sections/main", "sections"])
async def test_C3_what_only_the_other_changed_stands_after_a_conflict_too(tenant: TestTenant, at: str) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    page = await tenant.browser()
    mine = fields_in((await page.get(f"/customers/{customer_id}/{at}/edit")).text)
    theirs = await form_of(scope, customer_id, company="Theirs Ltd", phones="061 100 200", language="de")
    assert (await page.put(f"/customers/{customer_id}/sections", data=theirs)).status_code == 200

    refused = await page.put(f"/customers/{customer_id}/{at}", data={**mine, "company": "Mine Ltd", "login": "ann"})
    assert refused.status_code == 409
    again = await page.put(f"/customers/{customer_id}/{at}", data={**fields_in(refused.text), "company": "Mine Ltd"})

    assert again.status_code == 200, again.text
    now = await queries.get_customer(scope, customer_id)
    assert (now.company, now.login, now.phones, now.language) == ("Mine Ltd", "ann", ["+353 61 100 200"], "de")


@pytest.mark.parametrize("at", ["sections/main", "sections"])
async def test_C3_what_the_other_changed_is_not_undone_by_who_mends_a_mistake(tenant: TestTenant, at: str) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    page = await tenant.browser()
    mine = fields_in((await page.get(f"/customers/{customer_id}/{at}/edit")).text)
    theirs = await form_of(scope, customer_id, company="Theirs Ltd")
    assert (await page.put(f"/customers/{customer_id}/sections", data=theirs)).status_code == 200

    refused = await page.put(f"/customers/{customer_id}/{at}", data={**mine, "emails": "ann@", "login": "ann"})
    assert refused.status_code == 422
    mended = {**fields_in(refused.text), "emails": "ann@example.com"}
    assert (await page.put(f"/customers/{customer_id}/{at}", data=mended)).status_code == 200

    now = await queries.get_customer(scope, customer_id)
    assert (now.company, now.login, now.emails) == ("Theirs Ltd", "ann", ["ann@example.com"])


async def test_C3_a_number_that_is_none_is_told_for_every_section_at_once(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant.scope())
    page = await tenant.browser()

    refused = await page.put(
        f"/customers/{customer_id}/sections",
        data=await form_of(tenant.scope(), customer_id, joined_on="yesterday", lat="north", billing_day="40"),
    )

    assert refused.status_code == 422
    for field in ("joined_on", "lat", "billing_day"):
        assert f'id="f-all-{field}-e"' in refused.text


async def test_C3_the_second_to_save_all_sees_both_values_of_what_differs_and_keeps_the_rest(
    tenant: TestTenant,
) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    page = await tenant.browser()
    first = await form_of(scope, customer_id, company="First Ltd", city="Cork")
    second = await form_of(scope, customer_id, company="Second Ltd", terms_days="30", send_by="post")
    at = f"/customers/{customer_id}/sections"
    assert (await page.put(at, data=first)).status_code == 200

    refused = await page.put(at, data=second)

    assert refused.status_code == 409
    assert 'data-choose="f-all-company" data-value="First Ltd"' in refused.text
    assert 'data-choose="f-all-company" data-value="Second Ltd"' in refused.text
    assert 'data-choose="f-all-city"' not in refused.text
    assert 'id="f-all-terms_days" name="terms_days" inputmode="numeric" value="30"' in refused.text
    version = re.search(r'name="version" value="(\d+)"', refused.text)
    assert version is not None
    chosen = await page.put(at, data={**second, "version": version[1], "city": "Cork"})
    assert chosen.status_code == 200, chosen.text
    now = await queries.get_customer(scope, customer_id)
    assert (now.company, now.city, now.terms_days, now.send_by) == ("Second Ltd", "Cork", 30, "post")


async def test_C3_of_twenty_people_at_one_customer_nobody_loses_a_change_and_each_refused_one_sees_why(
    tenant: TestTenant,
) -> None:
    """Two at each of ten fields: whoever is first saves, the second one is shown both values."""
    scope = tenant.scope()
    customer_id = await somebody(scope)
    page = await tenant.browser()
    fields = (
        "company", "login", "billing_emails", "external_ref", "street", "zip", "city", "terms_days", "grace_days",
        "billing_day",
    )  # fmt: skip

    def value_of(person: int) -> str:
        field = fields[person % 10]
        return f"p{person}@example.com" if field == "billing_emails" else str(person + 1)

    at = f"/customers/{customer_id}/sections"
    typed = [await form_of(scope, customer_id, **{fields[p % 10]: value_of(p)}) for p in range(PEOPLE)]

    answers = await asyncio.gather(*(page.put(at, data=each) for each in typed))

    by_status: dict[int, list[int]] = {}
    for person, answer in enumerate(answers):
        by_status.setdefault(answer.status_code, []).append(person)
    assert {status: len(people) for status, people in by_status.items()} == {200: 10, 409: 10}
    now = await queries.get_customer(scope, customer_id)
    kept: dict[str, Any] = {name: text_of(getattr(now, name)) for name in fields}
    assert kept == {fields[person % 10]: value_of(person) for person in by_status[200]}
    for person in by_status[409]:
        field, told = fields[person % 10], answers[person].text
        assert f'data-choose="f-all-{field}" data-value="{kept[field]}"' in told
        assert f'data-choose="f-all-{field}" data-value="{value_of(person)}"' in told
        assert told.count("data-choose=") == 2
    changes = [
        change.field
        for entry in await timeline(scope, customer_id=customer_id, kinds=["customer_changed"])
        for change in entry.changes
    ]
    assert sorted(changes) == sorted(fields)
    assert now.version == 11


async def test_C3_who_may_only_look_finds_no_way_to_edit(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant.scope())
    page = await tenant.browser(staff_id=await tenant.staff_with(("customers.view",)))

    shown = await page.get(f"/customers/{customer_id}")
    refused = await page.put(f"/customers/{customer_id}/sections", data={"version": "1", "full_name": "x"})

    assert "Edit all" not in shown.text
    assert refused.status_code == 403
