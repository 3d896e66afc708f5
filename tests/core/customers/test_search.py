"""Finding customers."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, suppress
from datetime import UTC, date, datetime
from random import Random
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct, convert

from core.activity.unit import unit_of_work
from core.customers import actions, queries, search
from core.customers.actions.anonymise import finish_erasing
from core.customers.listing import CUSTOMERS, list_choices
from core.customers.schemas import AddressData, BillingData, MainData, NewCustomer
from core.customers.search import phone_digits, words_of
from core.database import (
    MigrationApp,
    Partitions,
    bind,
    dialect,
    execute,
    execute_many,
    migrate,
    rows,
    transaction,
    value,
    values,
    watched,
)
from core.errors import Invalid
from core.ids import sort_key
from core.ledger.queries import MAIN_BALANCE
from core.lists import ways
from core.scope import ALL_PERMISSIONS, Actor
from core.testing import MIGRATIONS, TestTenant, tenant_on
from tests.databases import fresh

if TYPE_CHECKING:
    from pathlib import Path

    from core.scope import Scope


FULL = CUSTOMERS.having(MAIN_BALANCE)


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


@pytest.mark.parametrize("typed", ["DE 136 695 976", "de 136695976", "DE-136.695.976", "DE 136 695"])
async def test_L4_a_vat_id_is_found_as_it_is_printed_with_blanks(tenant: TestTenant, typed: str) -> None:
    customer_id = await jorg(tenant)
    await actions.change_customer(tenant.scope(), customer_id, BillingData(vat_id="DE136695976"), version=1)
    await actions.create_customer(tenant.scope(), NewCustomer(full_name="Otto de Vries", phones=["+1 369 597 6000"]))

    assert await found(tenant, typed) == ["Jörg Müller-Łukasz"]


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


@pytest.fixture(params=["few", "many", "sampled"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a search finds is collected, or walked to; or a sample says of every word that it has many customers."""
    if request.param == "many":
        for module, name, number in (
            (ways, "COUNTED", 2),
            (ways, "FEW", 2),
            (ways, "FAR", 20),
            (search, "PROBED", 20),
        ):
            monkeypatch.setattr(module, name, number)
    if request.param == "sampled":
        monkeypatch.setattr(ways, "LOOKED_UP", 1)
        monkeypatch.setattr(search, "TOLD", 1)
        monkeypatch.setattr(search, "RARE", {"sqlite": 0, "postgresql": 0})
        monkeypatch.setattr(search, "NEAR", 0)
    return str(request.param)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_typed_finds_those_who_have_a_word_for_each_of_its_words_and_nobody_else(
    tenant: TestTenant, way: str, seed: int
) -> None:
    apart, most = (search.SAMPLED, 31) if way == "sampled" else (1, ways.COUNTED)
    draw = Random(seed)
    names = {
        7028 + number * apart: " ".join(draw.choices(WORDS, k=draw.randint(1, 5)))
        for number in range(-27, 4 if apart > 1 else 13)
    }
    async with unit_of_work(tenant.scope()):
        await execute_many(
            "INSERT INTO customer (id, full_name, name_key, street, company, partition_id, status_id, currency,"
            " joined_on, created_at)"
            " VALUES (:id, :name, :key, :street, :company, :partition, 1, 'EUR', :day, :now)",
            [
                {
                    "id": number,
                    "name": name,
                    "partition": {0: 3, 1: 33, 2: 7}.get(number % 4),
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
        there[number] = set(words_whole(f"{number} {name} {further} {WORDS[number % len(WORDS)]}"))
    actor = Actor("staff", 1, "Reseller", Partitions((3, 7)), ALL_PERMISSIONS)
    reseller = tenant.scope(actor=actor)

    for _ in range(40):
        parts = [word[: draw.randint(1, len(word))] for word in draw.choices(WORDS, k=draw.randint(1, 3))]
        typed = " ".join(part.upper() if draw.random() < 0.3 else part for part in parts)[:200]
        wanted = words_of(typed)
        if phone_digits(typed) or len(wanted[0]) < 2:
            continue
        expected = {one for one, words in there.items() if all(any(w.startswith(a) for w in words) for a in wanted)}
        for sort in ("", "name", "-joined", "-balance"):
            for scope, reached in (
                (tenant.scope(), expected),
                (reseller, {one for one in expected if one % 4 in (0, 2)}),
            ):
                read = await FULL.read(scope, {"q": typed, "sort": sort}, limit=100)
                assert {one.id for one in read.rows} == reached, (typed, sort)
                assert read.count == min(len(reached), most + 1) or read.asked.is_wide, typed
        assert len(await queries.search_customers(tenant.scope(), typed, limit=100)) == len(expected)


def words_whole(text: str) -> list[str]:
    """All words of a text as they are compared, however short."""
    return [word for part in text.split() for word in _parted(part)]


def _parted(part: str) -> list[str]:
    return "".join(one if one.isalnum() else " " for one in sort_key(part)).split()


async def test_many_are_counted_as_they_are_found_though_only_some_are_looked_at(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "FEW", 1)
    for name in ("Hauptmann 664 5550 A", "Hauptmann 664 5550 B", "Hauptmann 664 5550 C"):
        await actions.create_customer(tenant.scope(), NewCustomer(full_name=name))

    number = await CUSTOMERS.read(tenant.scope(), {"q": "664 5550"}, choices=await list_choices())
    whole = await CUSTOMERS.read(tenant.scope(), {"q": "hauptmann 664"}, choices=await list_choices())
    beginning = await CUSTOMERS.read(tenant.scope(), {"q": "hauptm"}, choices=await list_choices())

    assert (len(number.rows), number.count) == (0, 0)
    assert [(len(one.rows), one.count > 1) for one in (whole, beginning)] == [(3, True), (3, True)]


async def many(tenant: TestTenant, number: int, apart: int = search.SAMPLED, partition: int | None = None) -> None:
    """Customers whom the sample has all of, called Hauptmann; each has a word of its own."""
    async with unit_of_work(tenant.scope()):
        await execute_many(
            "INSERT INTO customer (id, full_name, name_key, partition_id, status_id, currency, joined_on, created_at)"
            " VALUES (:id, :name, :name, :partition, 1, 'EUR', :day, :now)",
            [
                {
                    "id": at * apart,
                    "name": f"hauptmann rare{at}",
                    "partition": partition,
                    "day": tenant.scope().today(),
                    "now": tenant.clock.now(),
                }
                for at in range(1, number + 1)
            ],
        )


def reseller_of(tenant: TestTenant, *partitions: int) -> Scope:
    return tenant.scope(actor=Actor("staff", 1, "Reseller", Partitions(partitions), ALL_PERMISSIONS))


@pytest.mark.parametrize("partition", [None, 5])
async def test_where_the_sample_has_many_nobody_waits_for_all_to_be_found(
    tenant: TestTenant, partition: int | None
) -> None:
    await many(tenant, 49, partition=partition)
    scope = tenant.scope() if partition is None else reseller_of(tenant, 4, partition)

    with watched() as broad:
        wide = await FULL.read(scope, {"q": "hauptm"}, limit=5)
    with watched() as ordered:
        by_balance = await FULL.read(scope, {"q": "hauptm", "sort": "balance"}, limit=60)
    with watched() as narrow:
        one = await FULL.read(scope, {"q": "hauptm rare2"})

    newest = [at * search.SAMPLED for at in range(49, 0, -1)]
    assert ([row.id for row in wide.rows], wide.count, wide.asked.is_wide) == (newest[:5], 1001, True)
    assert sorted(row.id for row in by_balance.rows) == newest[::-1]
    assert not [text for text in broad + ordered if "WITH few" in text], "what is not sorted is not collected"
    assert [row.id for row in one.rows] == [at * search.SAMPLED for at in (2, *range(20, 30))]
    assert [text for text in narrow if "WITH few" in text]


class PlanStep(Struct, frozen=True):
    detail: str


async def plan_of(text: str, *, sorting: bool = True) -> str:
    """How the database does it, were there a million: read one after the other, and without ``sorting`` sorted, only
    where it knows no other way."""
    if dialect() == "sqlite":
        return "\n".join([one.detail for one in await rows(PlanStep, f"EXPLAIN QUERY PLAN {text.replace('?', '2')}")])
    async with transaction():
        await execute("SET LOCAL enable_seqscan = off")
        if not sorting:
            await execute("SET LOCAL enable_sort = off")
        return "\n".join(await values("EXPLAIN " + re.sub(r"\$\d+", "'2'", text)))


@pytest.mark.parametrize("partition", [None, 5])
async def test_a_search_is_answered_by_the_index_of_words_alone_also_in_reach(
    tenant: TestTenant, partition: int | None
) -> None:
    await many(tenant, 3, partition=partition)
    scope = tenant.scope() if partition is None else reseller_of(tenant, partition)

    with watched() as seen:
        found_there = await FULL.read(scope, {"q": "hauptmann rare2", "sort": "-balance"})
    sample, few, _ = seen

    assert [row.id for row in found_there.rows] == [2 * search.SAMPLED]
    assert not re.search(r"\bcustomer\b", sample + few), "no row of a customer is read to find and to sort them"
    plans = [await plan_of(text) for text in (sample, few)]
    if dialect() == "sqlite":
        assert "SCAN customer_words_sample VIRTUAL TABLE INDEX" in plans[0]
        assert "SCAN customer_words VIRTUAL TABLE INDEX" in plans[1]
        assert "USING INDEX customer_balance_main" in plans[1]
    else:
        assert "customer_search_sample" in plans[0]
        assert "customer_search_words" in plans[1]


async def test_the_newest_of_some_thousand_are_found_by_the_index_of_words_not_by_looking_at_all(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "COUNTED", 2)
    await many(tenant, 6)

    with watched() as seen:
        wide = await FULL.read(tenant.scope(), {"q": "hauptmann"}, limit=2)
    newest = next(text for text in seen if "DESC" in text and "WITH few" not in text)
    plan = await plan_of(newest)

    assert ([row.id for row in wide.rows], wide.asked.is_wide) == ([6 * search.SAMPLED, 5 * search.SAMPLED], True)
    assert "customer_words VIRTUAL TABLE INDEX" in plan or "customer_search_words" in plan
    assert "TEMP B-TREE" not in plan
    assert "customer_search_pkey" not in plan


async def test_a_broad_search_by_balance_goes_along_the_index_of_balances_without_reading_a_customer(
    tenant: TestTenant,
) -> None:
    await many(tenant, 33, partition=5)

    for scope in (tenant.scope(), reseller_of(tenant, 5)):
        with watched() as seen:
            await FULL.read(scope, {"q": "hauptmann", "sort": "-balance"}, limit=5)
        walked = next(text for text in seen if "AS walked" in text)

        assert not re.search(r"\bcustomer\b", walked)
        assert "customer_balance_amount" in await plan_of(walked, sorting=False), "a few dozen are as quickly sorted"


@pytest.mark.parametrize("typed", ["hauptmann", "hauptmann rare2", "502"])
async def test_F5_the_search_on_top_reads_no_customer_whom_it_does_not_show(tenant: TestTenant, typed: str) -> None:
    await many(tenant, 60)

    for scope in (tenant.scope(), reseller_of(tenant, 5)):
        with watched() as seen:
            await queries.search_customers(scope, typed, limit=6)
        plan = await plan_of(seen[-1])

        assert len(seen) == 2, "the sample, and who is found"
        assert not re.search(r"Seq Scan on customer\b|SCAN customer(?! USING COVERING)\b(?!_)", plan), plan


async def test_F5_of_a_text_that_very_many_fit_the_newest_are_looked_at_on_top(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "LOOKED_AT", 2)
    await many(tenant, 60)

    found = await queries.search_customers(tenant.scope(), "hauptm", limit=6)
    by_id = await queries.search_customers(tenant.scope(), str(search.SAMPLED), limit=6)

    if dialect() == "postgresql":  # FTS5 gives those that it comes to first
        assert [one.id for one in found] == [59 * search.SAMPLED, 60 * search.SAMPLED]
    assert len(found) == 2
    assert by_id[0].id == search.SAMPLED


async def test_a_customer_who_changes_the_partition_is_found_where_it_is_now(tenant: TestTenant) -> None:
    customer_id = await jorg(tenant)
    three, thirty = reseller_of(tenant, 3), reseller_of(tenant, 33, 34)

    async def seen() -> list[list[int]]:
        reads = [await CUSTOMERS.read(scope, {"q": "jorg"}) for scope in (three, thirty, tenant.scope())]
        return [[one.id for one in read.rows] * read.count for read in reads]

    assert await seen() == [[], [], [customer_id]]
    for partition, expected in ((3, [[customer_id], []]), (33, [[], [customer_id]]), (None, [[], []])):
        async with unit_of_work(tenant.scope()):
            await execute(
                "UPDATE customer SET partition_id = CAST(:partition AS bigint) WHERE id = :id",
                partition=partition,
                id=customer_id,
            )
        assert await seen() == [*expected, [customer_id]], partition
    assert await found(tenant, "3") == []
    assert await found(tenant, "33") == []


@pytest.mark.parametrize("field", ["full_name", "company", "street", "city", "zip", "login", "external_ref", "emails"])
async def test_a_reseller_finds_no_customer_whose_data_name_its_partition(tenant: TestTenant, field: str) -> None:
    written = f"Evil {search.REACH}7 {search.END}77777 x"
    data = {"full_name": "Evil Twin", field: [f"evil.{search.REACH}7.@example.com"] if field == "emails" else written}
    with suppress(Invalid):  # no e-mail
        customer_id = await actions.create_customer(tenant.scope(), convert({"country": "IE", **data}, NewCustomer))
        async with unit_of_work(tenant.scope()):
            await execute("UPDATE customer SET partition_id = 3 WHERE id = :id", id=customer_id)

        for typed, sort in (("evil", ""), ("evil", "name"), ("evil", "-id"), ("77777", "")):
            read = await FULL.read(reseller_of(tenant, 7), {"q": typed, "sort": sort})
            assert ([one.id for one in read.rows], read.count) == ([], 0), (typed, sort)
        assert [one.id for one in (await FULL.read(reseller_of(tenant, 3), {"q": "evil"})).rows] == [customer_id]


async def test_the_sample_follows_what_is_changed_and_deleted(tenant: TestTenant) -> None:
    await many(tenant, 20)
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET name_key = 'other' WHERE id <= :half", half=search.SAMPLED * 10)
        await execute("DELETE FROM customer WHERE id > :most", most=search.SAMPLED * 16)

    with watched() as seen:
        await CUSTOMERS.read(tenant.scope(), {"q": "hauptmann"})
    if dialect() == "sqlite":
        there = "SELECT count(*) FROM customer_words_sample WHERE customer_words_sample MATCH :words"
        assert [await value(there, words=word) for word in ("hauptmann", "other", "rare17")] == [6, 10, 0]
        await execute("INSERT INTO customer_words_sample (customer_words_sample, rank) VALUES ('integrity-check', 0)")
    assert "sample" in seen[0] or f"% {search.SAMPLED} = 0" in seen[0]


async def test_what_is_erased_stays_in_neither_index_of_words(tenant: TestTenant) -> None:
    if tenant.database.dialect != "sqlite":
        pytest.skip("PostgreSQL's vacuum does it")
    await many(tenant, 1)

    async def held() -> list[bool]:
        tables = ("customer_words_data", "customer_words_sample_data")
        return [any(b"hauptmann" in block for block in await values(f"SELECT block FROM {one}")) for one in tables]

    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET name_key = '', full_name = '–'")
    assert await held() == [True, True]
    await finish_erasing(tenant.scope())
    assert await held() == [False, False]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_customers_from_before_are_found_by_their_partition_and_by_the_end_of_their_number(
    kind: str, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    before.mkdir()
    former = []
    for app in MIGRATIONS:
        folder = app.folder
        if app.name == "customers":
            for file in app.folder.glob("*.py"):
                if "_0027_" not in file.name and "_0039_" not in file.name:
                    (before / file.name).write_text(file.read_text())
            folder = before
        former.append(MigrationApp(app.name, folder))
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(fresh(kind, tmp_path))
        stack.enter_context(bind(database))
        await migrate(former)
        async with transaction():
            for at, (phone, partition) in enumerate([("", None), ("+436645550001", None), ("", 7), ("+4915112345", 7)]):
                await execute(
                    "INSERT INTO customer (id, full_name, name_key, phone_e164, partition_id, status_id, currency,"
                    " joined_on, created_at) VALUES (:id, 'Ann', 'ann', :phone, CAST(:partition AS bigint), 1, 'EUR',"
                    " :day, :now)",
                    id=search.SAMPLED * (at + 1),
                    phone=phone,
                    partition=partition,
                    day=date(2026, 1, 1),
                    now=datetime(2026, 1, 1, tzinfo=UTC),
                )
            await execute(
                "INSERT INTO customer_address (customer_id, kind, position, value, value_key)"
                " VALUES (:id, 'phone', 1, '+12125550101', '+12125550101')",
                id=search.SAMPLED,
            )

        assert await migrate(MIGRATIONS) == [
            "customers: 2026-11-23T00:27:00 search of customers by beginnings of words, in reach",
            "customers: 2026-11-23T00:39:00 references in the search of customers",
        ]

        kept = await values("SELECT text FROM customer_search ORDER BY customer_id")
        async with transaction():
            await execute("UPDATE customer SET name_key = 'x'")
            await execute("UPDATE customer SET name_key = 'ann'")
        assert await values("SELECT text FROM customer_search ORDER BY customer_id") == kept
        async with tenant_on(database, folder=tmp_path) as tenant:
            reached = await CUSTOMERS.read(reseller_of(tenant, 7), {"q": "ann"})
            ends = [await CUSTOMERS.read(tenant.scope(), {"q": typed}) for typed in ("50001", "12345", "50101")]
    number = search.SAMPLED
    assert [one.id for one in reached.rows] == [3 * number, 4 * number]
    assert [[one.id for one in read.rows] for read in ends] == [[2 * number], [4 * number], [number]]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("many", [3, 10_000])
async def test_L4_customers_from_before_are_found_by_their_reference(kind: str, many: int, tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.mkdir()
    former = []
    for app in MIGRATIONS:
        folder = app.folder
        if app.name == "customers":
            for file in app.folder.glob("*.py"):
                if "_0039_" not in file.name:
                    (before / file.name).write_text(file.read_text())
            folder = before
        former.append(MigrationApp(app.name, folder))
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(fresh(kind, tmp_path))
        stack.enter_context(bind(database))
        await migrate(former)
        async with transaction():
            await execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :most)"
                " INSERT INTO customer (full_name, name_key, external_ref, status_id, currency, joined_on, created_at)"
                " SELECT 'Ann', 'ann', CASE WHEN i <= :many THEN 'whmcs:K' || (i + 70000) ELSE '' END, 1, 'EUR', :day,"
                " :now FROM n",
                most=many + 2,
                many=many,
                day=date(2026, 1, 1),
                now=datetime(2026, 1, 1, tzinfo=UTC),
            )

        assert await migrate(MIGRATIONS) == ["customers: 2026-11-23T00:39:00 references in the search of customers"]

        kept = await values("SELECT text FROM customer_search ORDER BY customer_id")
        async with transaction():
            await execute("UPDATE customer SET name_key = 'x' WHERE id < 9")
            await execute("UPDATE customer SET name_key = 'ann' WHERE id < 9")
        assert await values("SELECT text FROM customer_search ORDER BY customer_id") == kept
        async with tenant_on(database, folder=tmp_path) as tenant:
            reads = [
                await CUSTOMERS.read(tenant.scope(), {"q": typed})
                for typed in ("k70003", "whmcs k70003", "whmcs:K70003")
            ]
            everybody = await CUSTOMERS.read(tenant.scope(), {"q": "whmcs"})
        if kind == "sqlite":
            for index in ("customer_words", "customer_words_sample"):
                await execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 0)")
    assert [[one.id for one in read.rows] for read in reads] == [[3]] * 3
    assert everybody.count == min(many, ways.COUNTED + 1)


async def test_L4_a_customer_is_found_by_its_reference_until_it_has_another(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await actions.create_customer(scope, NewCustomer(full_name="Ann", external_ref="Kd-Nr. ÄB/4711"))

    assert [await found(tenant, typed) for typed in ("4711", "kd nr 4711", "kd-nr. äb/47")] == [["Ann"]] * 3
    await actions.change_customer(
        scope, customer_id, MainData(full_name="Ann", currency="EUR", external_ref="X9"), version=1
    )
    assert [await found(tenant, typed) for typed in ("4711", "x9")] == [[], ["Ann"]]


async def test_postgresql_has_one_index_of_words_one_of_the_sample_and_no_trigrams(tenant: TestTenant) -> None:
    if tenant.database.dialect == "sqlite":
        pytest.skip("SQLite has its words in FTS5")
    found = await values("SELECT indexdef FROM pg_indexes WHERE tablename = 'customer_search' ORDER BY indexname")

    assert [one.partition("USING ")[2] for one in found] == [
        "btree (customer_id)",
        f"gin (customer_search_words(text)) WHERE ((customer_id % ({search.SAMPLED})::bigint) = 0)",
        "gin (customer_search_words(text))",
    ]


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


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("5550000", ["Jörg Müller-Łukasz"]),
        ("50000", ["Jörg Müller-Łukasz"]),
        ("555 0000", ["Jörg Müller-Łukasz"]),
        ("45550000", ["Jörg Müller-Łukasz"]),
        ("jorg 50000", ["Jörg Müller-Łukasz"]),
        ("50101", ["Jörg Müller-Łukasz"]),
        ("555-0101", ["Jörg Müller-Łukasz"]),
        ("0000", []),
        ("500001", []),
        ("555000", []),
    ],
)
async def test_a_phone_number_is_found_by_its_last_digits_too(tenant: TestTenant, typed: str, names: list[str]) -> None:
    await jorg(tenant)
    await actions.create_customer(
        tenant.scope(), NewCustomer(full_name="Other", phones=["+436645551111"], country="AT")
    )

    assert await found(tenant, typed) == names
    listed = await CUSTOMERS.read(tenant.scope(), {"q": typed})
    assert [one.full_name for one in listed.rows] == names


@pytest.mark.parametrize("index", ["customer_words", "customer_pieces"])
async def test_parts_of_the_indexes_are_merged_by_sixteen_so_that_an_import_writes_a_word_less_often(
    tenant: TestTenant, index: str
) -> None:
    if dialect() != "sqlite":
        pytest.skip("PostgreSQL's indexes have no such parts")
    for number in range(15):
        await actions.create_customer(tenant.scope(), NewCustomer(full_name=f"Part {number}"))
    parts = f"SELECT count(DISTINCT segid) FROM {index}_idx"
    before = await value(parts)
    for number in range(17):
        await actions.create_customer(tenant.scope(), NewCustomer(full_name=f"Further {number}"))

    assert 12 <= before <= 17
    assert await value(parts) <= 17
