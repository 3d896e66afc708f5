"""Main data, address and billing settings of a customer (C4, C9): every field is kept, checked and found again."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from core.activity.unit import unit_of_work
from core.customers import actions, queries
from core.customers.importing.validating import LONGEST
from core.customers.schemas import (
    AddressData,
    BillingData,
    HierarchyFields,
    LocationFields,
    MainData,
    NewCustomer,
    NewTag,
)
from core.customers.sections import text_of
from core.customers.timeline import happenings
from core.database import execute
from core.errors import Invalid
from core.ledger.queries import list_balances
from core.web.forms import from_form

if TYPE_CHECKING:
    from core.customers.schemas import Section
    from core.scope import Scope
    from core.testing import TestTenant

EVERYTHING = MainData(
    kind="company",
    full_name="Siobhán Kavanagh-Reyes",
    company="Kavanagh & Reyes",
    login="siobhan.kavanagh",
    emails=["siobhan@kavanagh.example", "s.kavanagh@work.example"],
    billing_emails=["bills@kavanagh.example", "books@kavanagh.example"],
    phones=["+353 65 555 0142", "+353 87 555 0191"],
    joined_on=date(2023, 3, 14),
    billing_type="prepaid",
    currency="EUR",
    language="en-IE",
    time_zone="Europe/Dublin",
    external_ref="K-10477",
)


async def somebody(scope: Scope, **fields: Any) -> int:
    return await actions.create_customer(scope, NewCustomer(full_name="Ann Other", **{"country": "IE", **fields}))


async def refused(scope: Scope, customer_id: int, *sections: Section) -> dict[str, str]:
    """The message of each field that is refused."""
    with pytest.raises(Invalid) as error:
        await actions.change_sections(scope, customer_id, sections, version=1)
    return {fault.field: fault.message for fault in error.value.errors}


async def test_C4_every_field_of_the_main_data_is_kept_as_it_was_saved(scope: Scope) -> None:
    customer_id = await somebody(scope)
    address = AddressData(
        street="17 Lantern Steps", country="IE", zip="V95 X4T2", city="Marlbeck", lat=52.84417, lon=-9.43092
    )

    version = await actions.change_sections(scope, customer_id, [EVERYTHING, address], version=1)

    found = await queries.get_customer(scope, customer_id)
    kept = {name: getattr(found, name) for name in (*MainData.__struct_fields__, *AddressData.__struct_fields__)}
    wanted = {name: getattr(EVERYTHING, name) for name in MainData.__struct_fields__}
    assert kept == wanted | {name: getattr(address, name) for name in AddressData.__struct_fields__}
    assert (found.version, version) == (2, 2)
    assert (await happenings(scope, customer_id=customer_id, limit=1))[0].text == "Customer changed"


async def test_C4_every_wrong_address_names_itself_and_the_reason_and_nothing_is_saved(scope: Scope) -> None:
    customer_id = await somebody(scope)

    told = await refused(
        scope,
        customer_id,
        replace(
            EVERYTHING,
            emails=["siobhan@kavanagh.example", "s.kavanagh@work"],
            billing_emails=["bills.kavanagh.example"],
            phones=["+353 65 555 0142", "12", "+999 1234567"],
            language="klingon",
            time_zone="Mars/Base",
            currency="XYZ",
        ),
        AddressData(street="17 Lantern Steps", country="Atlantis", lat=52.0),
    )

    assert told["emails"].startswith("“s.kavanagh@work” is no e-mail address: the part after the @-sign")
    assert (
        "“bills.kavanagh.example” is no e-mail address: an email address must have an @-sign." in told["billing_emails"]
    )
    assert "+999 1234567" in told["phones"] or "12" in told["phones"]
    assert set(told) == {
        "emails", "billing_emails", "phones", "language", "time_zone", "currency", "country", "lon",
    }  # fmt: skip
    assert (await queries.get_customer(scope, customer_id)).version == 1


async def test_C4_a_number_is_read_as_of_the_customers_country_also_of_one_saved_with_it(scope: Scope) -> None:
    customer_id = await somebody(scope)
    german = replace(EVERYTHING, phones=["030 901820"])

    await actions.change_sections(scope, customer_id, [german, AddressData(country="Deutschland")], version=1)

    assert (await queries.get_customer(scope, customer_id)).phones == ["+49 30 901820"]


@pytest.mark.parametrize(
    ("typed", "country", "kept"),
    [
        ("IE6388047V", "IE", "IE6388047V"),
        ("ie 6388047 v", "DE", "IE6388047V"),
        ("6388047V", "IE", "IE6388047V"),
        ("094259216", "GR", "EL094259216"),
        ("GR094259216", "IE", "EL094259216"),
        ("CHE-107.787.577 IVA", "CH", "CHE107787577IVA"),
        ("XI110305878", "GB", "XI110305878"),
        ("12-3456", "US", "123456"),
        ("JP T7000 0120 50002", "JP", "T7000012050002"),
        ("7000012050002", "JP", "7000012050002"),
        ("ABN 51 824 753 556", "AU", "51824753556"),
        ("RU7707083893", "RU", "7707083893"),
        ("NO 974 760 673 MVA", "NO", "974760673MVA"),
        ("SM 24165", "SM", "24165"),
    ],
)
async def test_C4_a_vat_id_is_checked_by_the_rules_of_its_country(
    scope: Scope, typed: str, country: str, kept: str
) -> None:
    customer_id = await somebody(scope, country=country)

    await actions.change_customer(scope, customer_id, BillingData(vat_id=typed), version=1)

    assert (await queries.get_customer(scope, customer_id)).vat_id == kept


@pytest.mark.parametrize(
    ("typed", "country", "why"),
    [
        ("DE123", "IE", "“DE123” is no VAT id of Germany: the number has an invalid length."),
        (
            "DE123456789",
            "DE",
            "“DE123456789” is no VAT id of Germany: the number's checksum or check digit is invalid.",
        ),
        ("CHE-107.787.578 IVA", "CH", "Switzerland: the number's checksum"),
        ("CHE-107.787.577", "CH", "“CHE-107.787.577” is not complete: MWST, TVA, IVA or TPV stands behind it."),
        ("T7000012050003", "JP", "“T7000012050003” is no VAT id of Japan"),
        ("öö", "US", "“öö” is no VAT id. Use letters and digits."),
    ],
)
async def test_C4_a_wrong_vat_id_is_refused_with_the_country_and_the_reason(
    scope: Scope, typed: str, country: str, why: str
) -> None:
    customer_id = await somebody(scope, country=country)

    assert why in (await refused(scope, customer_id, BillingData(vat_id=typed)))["vat_id"]


async def test_C4_the_search_finds_what_was_saved_and_no_longer_what_was_there(scope: Scope) -> None:
    customer_id = await somebody(scope, emails=["ann@old.example"], phones=["01 555 0101"])

    await actions.change_sections(
        scope, customer_id, [EVERYTHING, AddressData(city="Marlbeck"), BillingData(vat_id="IE6388047V")], version=1
    )

    async def finds(text: str) -> bool:
        return [one.id for one in await queries.search_customers(scope, text, limit=5)] == [customer_id]

    for text in ("siobhan reyes", "work.example", "books kavanagh", "87 555 0191", "marlbeck", "IE6388047V"):
        assert await finds(text), text
    for text in ("other", "ann@old", "555 0101"):
        assert not await finds(text), text


async def test_C4_the_currency_changes_until_something_is_written_in_it(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    page = await tenant.browser()
    editing = await page.get(f"/customers/{customer_id}/sections/main/edit")
    assert 'name="currency"' in editing.text

    await actions.change_customer(scope, customer_id, replace(EVERYTHING, currency="usd"), version=1)

    assert (await queries.get_customer(scope, customer_id)).currency == "USD"
    main, *_others = await list_balances(scope, customer_id)
    assert (main.currency, main.is_main) == ("USD", True)
    await actions.change_customer(scope, customer_id, EVERYTHING, version=2)
    api = await tenant.api()
    booked = await api.post(f"/api/v1/customers/{customer_id}/credit", json={"amount_minor": 500, "reason": "Outage"})
    assert booked.status_code == 201, booked.text
    with pytest.raises(Invalid, match="postings or documents in its currency") as locked:
        await actions.change_customer(scope, customer_id, replace(EVERYTHING, currency="USD"), version=3)
    assert locked.value.errors[0].field == "currency"
    editing = await page.get(f"/customers/{customer_id}/sections/main/edit")
    assert "postings or documents in its currency" in editing.text
    assert 'name="currency"' not in editing.text


async def test_C4_a_payer_and_its_child_keep_their_currency(scope: Scope) -> None:
    payer_id, child_id = await somebody(scope), await somebody(scope)
    await actions.change_hierarchy(scope, child_id, HierarchyFields(parent_id=payer_id, payer_id=payer_id), version=1)
    version = (await queries.get_customer(scope, child_id)).version

    with pytest.raises(Invalid, match="both have one currency"):
        await actions.change_customer(scope, payer_id, replace(EVERYTHING, currency="USD"), version=1)
    with pytest.raises(Invalid, match="both have one currency"):
        await actions.change_customer(scope, child_id, replace(EVERYTHING, currency="USD"), version=version)


async def test_C4_two_customers_share_neither_login_nor_reference_and_both_are_named_at_once(scope: Scope) -> None:
    await actions.change_customer(scope, await somebody(scope), EVERYTHING, version=1)
    other = await somebody(scope)

    told = await refused(scope, other, replace(EVERYTHING, login="SIOBHAN.Kavanagh"))

    assert set(told) == {"login", "external_ref"}
    assert "Another customer has this login already" in told["login"]


async def test_C4_spaces_around_what_is_typed_are_no_part_of_it_from_the_first_day_on(scope: Scope) -> None:
    customer_id = await somebody(scope, external_ref=" K-1 ", login=" ann ", street=" Main  Street 1", zip="V95 ")

    made = await queries.get_customer(scope, customer_id)
    assert (made.external_ref, made.login, made.street, made.zip) == ("K-1", "ann", "Main Street 1", "V95")
    with pytest.raises(Invalid) as error:
        await somebody(scope, external_ref="K-1", login="ann")
    assert {fault.field for fault in error.value.errors} == {"login", "external_ref"}


async def test_C4_over_json_fields_that_are_left_out_stay(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    await actions.change_sections(scope, customer_id, [EVERYTHING, AddressData(city="Marlbeck")], version=1)
    api = await tenant.api()
    at = f"/api/v1/customers/{customer_id}"

    read = await api.get(at)
    changed = await api.patch(
        at,
        json={"main": {"company": "Reyes"}, "billing": {"vat_id": "IE6388047V"}},
        headers={"If-Match": read.headers["etag"]},
    )

    assert (read.headers["etag"], changed.status_code) == ('"2"', 200), changed.text
    told = changed.json()
    assert (told["company"], told["login"], told["city"], told["vat_id"], told["version"]) == (
        "Reyes", "siobhan.kavanagh", "Marlbeck", "IE6388047V", 3,
    )  # fmt: skip
    assert (await api.patch(at, json={"main": {"company": "x"}})).json()["errors"][0]["field"] == "version"
    unknown = await api.patch(at, json={"version": 3, "main": {"status": "active"}})
    assert unknown.status_code == 422


async def test_C3_over_json_a_field_that_both_changed_is_a_problem_with_both_values(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant.scope())
    api = await tenant.api()
    at = f"/api/v1/customers/{customer_id}"
    await api.patch(at, json={"version": 1, "address": {"street": "1 Long Road"}, "main": {"company": "First"}})

    both = await api.patch(
        at, json={"version": 1, "address": {"street": "2 Short Street"}, "main": {"company": "First"}}
    )

    assert both.status_code == 409
    assert both.headers["content-type"].startswith("application/problem+json")
    assert both.json()["details"] == {
        "fields": {"street": {"theirs": "1 Long Road", "yours": "2 Short Street"}}, "version": 2,
    }  # fmt: skip
    now = (await api.get(at)).json()
    assert (now["street"], now["company"], now["version"]) == ("1 Long Road", "First", 2)
    chosen = await api.patch(at, json={"version": 2, "address": {"street": "2 Short Street"}})
    assert chosen.status_code == 200


async def test_C9_billing_settings_are_kept_and_shown(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    wanted = BillingData(
        billing_day=31,
        terms_days=30,
        grace_days=7,
        minimum_balance_minor=-5000,
        never_block=True,
        send_by="post",
        tax_profile="exempt",
        tax_reason="Section 72",
        vat_id="IE6388047V",
    )

    await actions.change_customer(scope, customer_id, wanted, version=1)

    now = await queries.get_customer(scope, customer_id)
    assert {name: getattr(now, name) for name in BillingData.__struct_fields__} == {
        name: getattr(wanted, name) for name in BillingData.__struct_fields__
    }
    page = await (await tenant.browser()).get(f"/customers/{customer_id}")
    for shown in (
        "30 days",
        "7 days more",
        "−€50.00",
        "31st of the month",
        "Post",
        "Exempt",
        "Section 72",
        "IE6388047V",
    ):
        assert shown in page.text, shown


async def test_C9_a_minimum_balance_is_typed_as_an_amount_and_stands_in_the_activity_as_one(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    page, at = await tenant.browser(), f"/customers/{customer_id}/sections/billing"
    now = await queries.get_customer(scope, customer_id)
    typed = {name: text_of(getattr(now, name)) for name in BillingData.__struct_fields__} | {"version": "1"}

    wrong = await page.put(at, data={**typed, "minimum_balance_minor": "fifty", "terms_days": "x"})
    saved = await page.put(at, data={**typed, "minimum_balance_minor": "-50.5"})

    assert wrong.status_code == 422
    assert "This is no amount. Write it like 1249.00." in wrong.text
    assert "Type a whole number." in wrong.text
    assert 'value="fifty"' in wrong.text
    assert saved.status_code == 200, saved.text
    assert (await queries.get_customer(scope, customer_id)).minimum_balance_minor == -5050
    assert 'value="-50.50"' in (await page.get(f"{at}/edit")).text
    changed = (await happenings(scope, customer_id=customer_id, limit=1))[0].changes
    assert [(one.label, one.old, one.new) for one in changed] == [("Minimum balance", "€0.00", "−€50.50")]


async def test_C9_two_who_change_a_minimum_balance_see_both_amounts(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    page, at = await tenant.browser(), f"/customers/{customer_id}/sections/billing"
    now = await queries.get_customer(scope, customer_id)
    typed = {name: text_of(getattr(now, name)) for name in BillingData.__struct_fields__} | {"version": "1"}
    await page.put(at, data={**typed, "minimum_balance_minor": "-50"})

    second = await page.put(at, data={**typed, "minimum_balance_minor": "-70"})

    assert second.status_code == 409
    assert 'data-value="-50.00"' in second.text
    assert 'data-value="-70.00"' in second.text
    assert "Minimum balance" in second.text


async def test_C9_a_minimum_balance_is_none_of_another_currency(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    api, at = await tenant.api(), f"/api/v1/customers/{customer_id}"
    first = await api.patch(at, json={"version": 1, "billing": {"minimum_balance_minor": -5000}})

    alone = await api.patch(at, json={"version": 2, "main": {"currency": "JPY"}})
    both = await api.patch(
        at, json={"version": 2, "main": {"currency": "JPY"}, "billing": {"minimum_balance_minor": -8000}}
    )

    assert first.json()["minimum_balance_minor"] == -5000
    assert alone.status_code == 422
    assert [(one["field"], one["message"]) for one in alone.json()["errors"]] == [
        (
            "currency",
            "Its minimum balance is −€50.00. Save what it is in the other currency with it, or set it to 0 first.",
        )
    ]
    assert (both.status_code, both.json()["currency"], both.json()["minimum_balance_minor"]) == (200, "JPY", -8000)


async def test_C9_an_exemption_needs_its_reason_and_leaves_none_behind(scope: Scope) -> None:
    customer_id = await somebody(scope)

    told = await refused(scope, customer_id, BillingData(tax_profile="exempt", tax_reason=" "))

    assert told["tax_reason"].startswith("Say why")
    await actions.change_customer(scope, customer_id, BillingData(tax_profile="exempt", tax_reason="X 1"), version=1)
    await actions.change_customer(scope, customer_id, BillingData(tax_reason="X 1"), version=2)
    assert (await queries.get_customer(scope, customer_id)).tax_reason == ""


@pytest.mark.parametrize("name", ["\u200b", " \u2060\u200d ", "\u00ad"])
async def test_C4_a_name_that_nobody_can_see_is_no_name(scope: Scope, name: str) -> None:
    customer_id = await somebody(scope)

    with pytest.raises(Invalid) as error:
        await actions.create_customer(scope, NewCustomer(full_name=name))

    assert [fault.field for fault in error.value.errors] == ["full_name"]
    assert (await refused(scope, customer_id, MainData(full_name=name)))["full_name"] == "Fill this in."


async def test_C11_where_a_customer_is_stands_on_its_page_and_goes_to_a_map_over_json(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    location_id = await actions.add_location(scope, LocationFields(name="Harbour Mast"))
    api, page = await tenant.api(), await tenant.browser()
    place = {"street": "17 Lantern Steps", "zip": "V95 X4T2", "city": "Marlbeck", "country": "IE"}

    changed = await api.patch(
        f"/api/v1/customers/{customer_id}",
        json={
            "version": 1,
            "main": {"location_id": location_id},
            "address": {**place, "lat": 52.84417, "lon": -9.43092},
        },
    )
    read = (await api.get(f"/api/v1/customers/{customer_id}")).json()
    shown = (await page.get(f"/customers/{customer_id}")).text

    assert changed.status_code == 200, changed.text
    assert {name: read[name] for name in place} == place
    assert (read["lat"], read["lon"], read["location"]) == (52.84417, -9.43092, "Harbour Mast")
    for told in ("17 Lantern Steps", "V95 X4T2", "Marlbeck", "Ireland", "52.84417", "-9.43092", "Harbour Mast"):
        assert told in shown


async def test_C11_a_place_that_is_none_is_named_and_nothing_is_saved(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant.scope())
    api, page = await tenant.api(), await tenant.browser()

    beyond = await api.patch(
        f"/api/v1/customers/{customer_id}", json={"version": 1, "address": {"lat": 91.0, "lon": 0.0}}
    )
    half = await api.patch(f"/api/v1/customers/{customer_id}", json={"version": 1, "address": {"lat": 52.8}})
    typed = {"version": "1", "street": "", "zip": "", "city": "", "country": "IE", "lat": "north", "lon": "181"}
    form = await page.put(f"/customers/{customer_id}/sections/address", data=typed)

    assert (beyond.status_code, half.status_code, form.status_code) == (422, 422, 422)
    assert "address.lat" in beyond.text
    assert '"lon"' in half.text
    for name in ("lat", "lon"):
        assert f'id="f-address-{name}-e"' in form.text
    now = (await api.get(f"/api/v1/customers/{customer_id}")).json()
    assert (now["lat"], now["lon"], now["version"]) == (None, None, 1)


async def test_C13_a_phone_that_only_is_written_otherwise_is_no_change(scope: Scope) -> None:
    customer_id = await somebody(scope, phones=["+353 65 555 0142"])
    async with unit_of_work(scope):
        await execute("UPDATE customer_address SET value = value_key WHERE customer_id = :id", id=customer_id)

    await actions.change_customer(
        scope, customer_id, MainData(full_name="Ann Other", company="Other Ltd", phones=["+353655550142"]), version=1
    )

    changed = (await happenings(scope, customer_id=customer_id))[0]
    assert [change.label for change in changed.changes] == ["Company"]


async def test_C4_what_an_import_takes_fits_into_the_forms(scope: Scope) -> None:
    customer_id = await somebody(scope)
    login, street, tag = "l" * LONGEST["login"], "s" * LONGEST["street"], "t" * LONGEST["tag"]

    await actions.change_sections(
        scope,
        customer_id,
        [
            from_form(MainData, {"full_name": ["Ann Other"], "login": [login]}),
            from_form(AddressData, {"street": [street]}),
        ],
        version=1,
    )
    await actions.add_tag(scope, customer_id, from_form(NewTag, {"name": [tag]}).name)

    now = await queries.get_customer(scope, customer_id)
    assert (now.login, now.street, now.tags) == (login, street, [tag])


async def test_C4_two_extensions_of_one_number_both_stay_and_the_same_number_twice_is_one(scope: Scope) -> None:
    customer_id = await somebody(scope)
    phones = ["+353 65 555 0142 ext. 5", "+353 65 555 0142 ext. 7", "065 555 0142", "+353655550142"]

    await actions.change_customer(scope, customer_id, replace(EVERYTHING, phones=phones), version=1)

    assert (await queries.get_customer(scope, customer_id)).phones == [
        "+353 65 555 0142 ext. 5",
        "+353 65 555 0142 ext. 7",
        "+353 65 555 0142",
    ]


@pytest.mark.parametrize("day", ["0001-01-01", "1899-12-31", "2027-11-24", "2999-01-01"])
async def test_C4_a_day_on_which_nobody_can_have_joined_is_said_in_the_form_and_over_json(
    tenant: TestTenant, day: str
) -> None:
    scope, page, api = tenant.scope(), await tenant.browser(), await tenant.api()
    customer_id = await actions.create_customer(scope, NewCustomer(full_name="Ann", joined_on=date(2027, 11, 23)))
    shown = {"version": "1", "full_name": "Ann", "currency": "EUR"}

    formed = await page.put(f"/customers/{customer_id}/sections/main", data={**shown, "joined_on": day})
    changed = await api.patch(f"/api/v1/customers/{customer_id}", json={"version": 1, "main": {"joined_on": day}})
    made = await api.post("/api/v1/customers", json={"full_name": "Bo", "joined_on": day})

    assert formed.status_code == changed.status_code == made.status_code == 422
    assert "Give a day from 1 Jan 1900 to 23 Nov 2027." in formed.text
    assert [one["field"] for one in made.json()["errors"]] == ["joined_on"], made.text
    assert [one["field"] for one in changed.json()["errors"]] == ["joined_on"], changed.text


async def test_C4_a_day_that_was_kept_before_days_had_bounds_keeps_nothing_from_being_saved(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await actions.create_customer(scope, NewCustomer(full_name="Ann"))
    async with unit_of_work(scope):
        await execute("UPDATE customer SET joined_on = '0001-01-01' WHERE id = :id", id=customer_id)

    await actions.change_customer(
        scope, customer_id, MainData(full_name="Bea", joined_on=date(1, 1, 1), currency="EUR"), version=1
    )

    assert (await queries.get_customer(scope, customer_id)).full_name == "Bea"
