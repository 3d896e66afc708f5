"""Finding customers."""

from __future__ import annotations

import pytest

from core.activity.unit import unit_of_work
from core.customers import actions, queries
from core.customers.listing import CUSTOMERS, list_choices
from core.customers.schemas import AddressData, MainData, NewCustomer
from core.customers.search import phone_digits, words_of
from core.database import execute, value, values
from core.lists import listing
from core.testing import TestTenant


async def found(tenant: TestTenant, typed: str) -> list[str]:
    return [one.full_name for one in await queries.search_customers(tenant.scope(), typed, limit=10)]


async def jorg(tenant: TestTenant) -> int:
    return await actions.create_customer(
        tenant.scope(),
        NewCustomer(
            full_name="Jörg Müller-Łukasz",
            company="Öko-Straße & Søn ΆΛΦΑ GmbH",
            login="jm77",
            emails=["jorg@mail.example", "second@other.example"],
            billing_emails=["buch.haltung@firma.example"],
            phones=["+43 664 5550000", "+1 212 555 0101"],
            street="Große Őrség 5",
            zip="D-1234",
            city="Győr",
            country="AT",
        ),
    )


TYPED = [
    "jorg", "JÖRG", "jö", "mul", "muller", "lukasz", "Łuk", "jörg lukasz", "lukasz jörg",
    "oko", "strasse", "Straße", "son", "søn", "αλφα", "άλφα", "gmb",
    "jm77", "jorg@mail.example", "second", "second@oth", "buch.haltung@", "haltung", "firma.example",
    "+43 664 555", "43664", "0664 5550", "0043 664 5550000", "664/555", "212555", "1 (212) 555-0101",
    "grosse", "große", "orseg", "d-1234", "gyor", "GYŐR", "müller győr 664",
]  # fmt: skip


async def test_L4_a_customer_is_found_by_the_beginnings_of_all_its_words(tenant: TestTenant) -> None:
    await jorg(tenant)
    await actions.create_customer(tenant.scope(), NewCustomer(full_name="Nobody Else"))

    assert {typed: await found(tenant, typed) for typed in TYPED} == {typed: ["Jörg Müller-Łukasz"] for typed in TYPED}


NO_WORDS = ["uller", "jorg nobody", "%", "_", "' UNION", '"', "x*", "99999", "NEAR(jorg mul)"]


async def test_what_begins_no_word_finds_nothing(tenant: TestTenant) -> None:
    await jorg(tenant)

    assert {typed: await found(tenant, typed) for typed in NO_WORDS} == {typed: [] for typed in NO_WORDS}


async def test_L4_the_id_and_the_vat_id_are_found(tenant: TestTenant) -> None:
    customer_id = await jorg(tenant)
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET vat_id = 'ATU12345678' WHERE id = :id", id=customer_id)

    assert await found(tenant, str(customer_id)) == ["Jörg Müller-Łukasz"]
    assert await found(tenant, "atu1234") == ["Jörg Müller-Łukasz"]


async def test_L4_what_is_changed_is_found_by_its_new_words_only(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await jorg(tenant)

    version = await actions.change_customer(
        scope, customer_id, MainData(full_name="Ann Other", emails=["ann@new.example"]), version=1
    )
    await actions.change_customer(scope, customer_id, AddressData(street="Elm Street"), version=version)

    for gone in ("jorg", "second", "haltung", "664", "jm77", "grosse", "gyor", "oko"):
        assert await found(tenant, gone) == [], gone
    for there in ("ann", "other", "ann@new", "elm"):
        assert await found(tenant, there) == ["Ann Other"], there


async def test_an_address_that_is_changed_moved_or_deleted_takes_its_words_along(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await jorg(tenant)
    other = await actions.create_customer(scope, NewCustomer(full_name="Ann Other"))
    async with unit_of_work(scope):
        await execute(
            "UPDATE customer_address SET customer_id = :other, position = 7 WHERE value_key = 'second@other.example'",
            other=other,
        )
        await execute("DELETE FROM customer_address WHERE kind = 'billing_email'")

    assert await found(tenant, "second@other") == ["Ann Other"]
    assert await found(tenant, "haltung") == []
    assert await found(tenant, "jorg") == ["Jörg Müller-Łukasz"]
    async with unit_of_work(scope):
        await execute("DELETE FROM customer_address WHERE customer_id = :id", id=customer_id)
        await execute("DELETE FROM customer WHERE id = :id", id=customer_id)
    assert await found(tenant, "jorg") == []
    assert await value("SELECT count(*) FROM customer_search") == 1


async def test_customers_made_by_one_statement_are_found(tenant: TestTenant) -> None:
    await jorg(tenant)
    async with unit_of_work(tenant.scope()):
        await execute(
            "INSERT INTO customer (full_name, name_key, company, status_id, currency, joined_on, created_at)"
            " SELECT 'Copy ' || full_name, 'copy ' || name_key, company, status_id, currency, joined_on, created_at"
            " FROM customer UNION ALL SELECT 'More', 'more', company, status_id, currency, joined_on, created_at"
            " FROM customer"
        )
        await execute(
            "INSERT INTO customer_address (customer_id, kind, position, value, value_key)"
            " SELECT id, 'email', 0, 'bulk@set.example', 'bulk@set.example' FROM customer WHERE name_key <> 'more'"
            " AND NOT EXISTS (SELECT 1 FROM customer_address a WHERE a.customer_id = customer.id)"
        )

    assert await found(tenant, "strasse") == ["Copy Jörg Müller-Łukasz", "Jörg Müller-Łukasz", "More"]
    assert await found(tenant, "bulk@set") == ["Copy Jörg Müller-Łukasz"]


async def test_words_are_rewritten_only_when_they_change(tenant: TestTenant) -> None:
    customer_id = await jorg(tenant)
    before = await values("SELECT text FROM customer_search")
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET version = version + 1, city_key = city_key WHERE id = :id", id=customer_id)

    assert await values("SELECT text FROM customer_search") == before


async def test_a_plain_column_in_another_script_is_found_as_it_is_typed(tenant: TestTenant) -> None:
    await actions.create_customer(
        tenant.scope(), NewCustomer(full_name="Йордан", company="Найденов", street="Γεωργίου 5")
    )

    for typed in ("найд", "йор", "γεωργιου", "Γεωργίου"):
        assert await found(tenant, typed) == ["Йордан"], typed


async def test_many_are_counted_as_they_are_found_though_only_some_are_looked_at(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FEW", 1)
    for name in ("Hauptmann 664 5550 A", "Hauptmann 664 5550 B", "Hauptmann 664 5550 C"):
        await actions.create_customer(tenant.scope(), NewCustomer(full_name=name))

    number = await CUSTOMERS.read(tenant.scope(), {"q": "664 5550"}, choices=await list_choices())
    whole = await CUSTOMERS.read(tenant.scope(), {"q": "hauptmann 664"}, choices=await list_choices())
    beginning = await CUSTOMERS.read(tenant.scope(), {"q": "hauptm"}, choices=await list_choices())

    assert (len(number.rows), number.count) == (0, 0)
    assert [(len(one.rows), one.count > 1) for one in (whole, beginning)] == [(3, True), (3, True)]


def test_a_number_in_parts_is_one_number() -> None:
    assert phone_digits("0664 555 000") == "664555000"
    assert phone_digits("+43 (664) 555-000") == "43664555000"
    assert phone_digits("jorg 77") == ""


def test_one_letter_beside_longer_words_is_left_out() -> None:
    assert words_of("Ann M") == ["ann"]
    assert words_of("m") == ["m"]
    assert words_of("?!") == []
