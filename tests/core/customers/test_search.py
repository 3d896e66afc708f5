"""Finding customers."""

from __future__ import annotations

from random import Random

import pytest

from core.activity.unit import unit_of_work
from core.customers import actions, queries, search
from core.customers.listing import CUSTOMERS, list_choices
from core.customers.schemas import AddressData, MainData, NewCustomer
from core.customers.search import phone_digits, words_of
from core.database import execute, execute_many, value, values, watched
from core.ids import sort_key
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


WORDS = [
    "ann", "anna", "annabel", "Änn", "ol", "Ole", "Ols", "olsén", "hauptstrasse", "Hauptstraße", "haupts", "Øre", "u1",
    "őrség", "u12", "u123", "1", "12", "123", "664", "6645550", "x" * 250, "x" * 199 + "yz", "O'Hara", "d-1",
    "a.b@c.example",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("most", [2, 1000])
async def test_whatever_is_typed_finds_those_who_have_a_word_for_each_of_its_words_and_nobody_else(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch, seed: int, most: int
) -> None:
    for module, name, number in (
        (listing, "COUNTED", most),
        (listing, "FEW", most),
        (listing, "FAR", most * 10),
        (search, "PROBED", most * 10),
        (search, "LOOKED_AT", most * 5),
    ):
        monkeypatch.setattr(module, name, number)
    draw = Random(seed)
    names = {number: " ".join(draw.choices(WORDS, k=draw.randint(1, 5))) for number in range(1, 41)}
    async with unit_of_work(tenant.scope()):
        await execute_many(
            "INSERT INTO customer (id, full_name, name_key, street, company, status_id, currency, joined_on,"
            " created_at) VALUES (:id, :name, :key, :street, :company, 1, 'EUR', :day, :now)",
            [
                {
                    "id": number + 7000,
                    "name": name,
                    "key": sort_key(name),
                    "street": "" if number % 3 else "Hauptstraße 12",
                    "company": WORDS[number % len(WORDS)],
                    "day": tenant.scope().today(),
                    "now": tenant.clock.now(),
                }
                for number, name in names.items()
            ],
        )
    there = {}
    for number, name in names.items():
        further = "" if number % 3 else "Hauptstraße 12"
        there[number + 7000] = set(words_whole(f"{number + 7000} {name} {further} {WORDS[number % len(WORDS)]}"))

    for _ in range(40):
        parts = [word[: draw.randint(1, len(word))] for word in draw.choices(WORDS, k=draw.randint(1, 3))]
        typed = " ".join(part.upper() if draw.random() < 0.3 else part for part in parts)[:200]
        wanted = words_of(typed)
        if phone_digits(typed) or len(wanted[0]) < 2:
            continue
        expected = {one for one, words in there.items() if all(any(w.startswith(a) for w in words) for a in wanted)}
        for address in ({"q": typed}, {"q": typed, "sort": "name"}, {"q": typed, "sort": "-joined"}):
            read = await CUSTOMERS.read(tenant.scope(), address, limit=100)
            assert {one.id for one in read.rows} == expected, (typed, address)
            assert read.count == min(len(expected), most + 1) or read.asked.is_wide, typed
        assert len(await queries.search_customers(tenant.scope(), typed, limit=100)) == len(expected)


def words_whole(text: str) -> list[str]:
    """All words of a text as they are compared, however short."""
    return [word for part in text.split() for word in _parted(part)]


def _parted(part: str) -> list[str]:
    return "".join(one if one.isalnum() else " " for one in sort_key(part)).split()


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


async def test_where_a_thousand_of_the_newest_are_found_nobody_waits_for_all_to_be_found(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COUNTED", "FEW"):
        monkeypatch.setattr(listing, name, 2)
    for number in range(4):
        await actions.create_customer(tenant.scope(), NewCustomer(full_name=f"Hauptmann {number} Rare{number}"))

    with watched() as broad:
        many = await CUSTOMERS.read(tenant.scope(), {"q": "hauptm"})
    with watched() as narrow:
        one = await CUSTOMERS.read(tenant.scope(), {"q": "hauptm rare2"})

    assert [row.full_name[:11] for row in many.rows] == [f"Hauptmann {number}" for number in (3, 2, 1, 0)]
    assert not [text for text in broad if "WITH few" in text], "what is not sorted is not collected"
    assert [row.full_name for row in one.rows] == ["Hauptmann 2 Rare2"]
    assert [text for text in narrow if "WITH few" in text]


async def test_postgresql_has_one_index_of_words_and_no_trigrams_beside_it(tenant: TestTenant) -> None:
    if tenant.database.dialect == "sqlite":
        pytest.skip("SQLite has its words in FTS5")
    found = await values("SELECT indexdef FROM pg_indexes WHERE tablename = 'customer_search' ORDER BY indexname")

    assert ["trgm" in one for one in found] == [False, False], found
    assert [one.partition("USING ")[2] for one in found] == ["btree (customer_id)", "gin (customer_search_words(text))"]


async def test_words_longer_than_the_index_takes_and_texts_longer_than_it_takes_are_kept(tenant: TestTenant) -> None:
    name = "y" * 3000
    await actions.create_customer(tenant.scope(), NewCustomer(full_name="Long", company=name[:190]))
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET company = :text", text=f"{name} {'many words ' * 30_000} last")

    assert await found(tenant, "y" * 190) == ["Long"]
    assert await found(tenant, "words") == ["Long"]


def test_a_number_in_parts_is_one_number() -> None:
    assert phone_digits("0664 555 000") == "664555000"
    assert phone_digits("+43 (664) 555-000") == "43664555000"
    assert phone_digits("jorg 77") == ""


def test_one_letter_beside_longer_words_is_left_out() -> None:
    assert words_of("Ann M") == ["ann"]
    assert words_of("m") == ["m"]
    assert words_of("?!") == []
