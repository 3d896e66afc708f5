"""Filters by a text that stands anywhere in a column: what they leave, and what they are found by."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct

from core.activity.unit import unit_of_work
from core.customers import actions
from core.customers.actions.anonymise import finish_erasing
from core.customers.listing import CUSTOMERS
from core.customers.schemas import NewCustomer
from core.customers.words import rewrite_words
from core.database import Partitions, dialect, execute, execute_many, rows, transaction, value, values, watched
from core.ledger.queries import MAIN_BALANCE
from core.lists import filters, ways
from core.scope import ALL_PERMISSIONS, Actor

if TYPE_CHECKING:
    from core.testing import TestTenant

COLUMNS = {
    "name": "name_key",
    "login": "login_key",
    "email": "email_key",
    "phone": "phone_e164",
    "city": "city_key",
    "company": "company",
    "street": "street",
    "zip": "zip",
    "reference": "external_ref",
    "country": "country",
    "currency": "currency",
}
FULL = CUSTOMERS.having(MAIN_BALANCE)
LETTERS = "abAB öß%_~\"'\\*:()-+–12語"


class PlanStep(Struct, frozen=True):
    detail: str


async def fill(tenant: TestTenant, drawn: random.Random, many: int) -> None:
    """Customers whose every text is a few of few letters."""

    def text() -> str:
        return "".join(drawn.choices(LETTERS, k=drawn.randrange(9)))

    async with unit_of_work(tenant.scope()):
        await execute_many(
            "INSERT INTO customer (full_name, name_key, login_key, email_key, phone_e164, city_key, company, street,"
            " zip, external_ref, country, currency, status_id, joined_on, created_at, partition_id) VALUES ('x', :name,"
            " :login, :email, :phone, :city, :company, :street, :zip, :reference, :country, :currency, 1, '2026-01-01',"
            " :now, :partition)",
            [
                {
                    **{name: text().lower() for name in ("name", "email", "city")},
                    **{name: text() for name in ("company", "street", "zip")},
                    "login": f"{text()}{number}".lower(),
                    "reference": f"{text()}{number}",
                    "phone": f"+{drawn.randrange(10**9)}",
                    "country": drawn.choice(["", "AT", "DE"]),
                    "currency": drawn.choice(["EUR", "USD"]),
                    "partition": drawn.choice([None, 1, 2, 121, 12121]),
                    "now": tenant.clock.now(),
                }
                for number in range(many)
            ],
        )


async def left(tenant: TestTenant, partitions: tuple[int, ...] = (), **address: str) -> list[int]:
    reach = tenant.scope().actor.reach if not partitions else Partitions(partitions)
    scope = tenant.scope(actor=Actor("staff", 1, "Staff", reach, ALL_PERMISSIONS))
    named = {name.replace("__", "."): text for name, text in address.items()}
    return [one.id for one in (await CUSTOMERS.read(scope, named, limit=500)).rows]


async def check_all(tenant: TestTenant, drawn: random.Random) -> None:
    """Each filter, of texts that are there and of others, beside each row looked at in turn."""
    for name, column in COLUMNS.items():
        kept = dict(await pairs(column))
        drawn_from = [text for text in kept.values() if text] or ["a"]
        for _ in range(6):
            whole = drawn.choice(drawn_from)
            begin = drawn.randrange(len(whole))
            asked = whole[begin : begin + drawn.randrange(1, 7)].strip() or drawn.choice("ab1")
            asked = drawn.choice([asked, asked.swapcase() if asked.isascii() else asked, asked[:-1].strip() + "b"])
            keyed = next(one for one in CUSTOMERS.columns if one.key == name).keyed
            looked_for = filters.sort_key(asked) if keyed else asked
            wanted = {at for at, text in kept.items() if _lower(looked_for) in _lower(text)} if looked_for else set()
            found = await left(tenant, **{f"{name}__has": asked})
            assert set(found) == wanted, (name, asked)
            assert len(found) == len(set(found))
            reached = set(await values("SELECT id FROM customer WHERE partition_id IN (2, 121)"))
            assert set(await left(tenant, (2, 121), **{f"{name}__has": asked})) == wanted & reached, (name, asked)


def _lower(text: str) -> str:
    """What databases take for the same letter here: SQLite knows capitals of ASCII alone."""
    return text.lower() if dialect() == "postgresql" else "".join(c.lower() if c.isascii() else c for c in text)


async def pairs(column: str) -> list[tuple[int, str]]:
    ids = await values("SELECT id FROM customer ORDER BY id")
    texts = await values(f"SELECT coalesce({column}, '') FROM customer ORDER BY id")
    return list(zip(ids, texts, strict=True))


@pytest.mark.parametrize("way", ["near", "likely", "collected", "walked"])
async def test_L2_a_text_anywhere_in_a_column_leaves_the_rows_that_have_it_whatever_was_written_before(
    tenant: TestTenant, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way != "near":
        monkeypatch.setattr(ways, "NEARBY", 50 if way == "likely" else 2)
        monkeypatch.setattr(ways, "DENSE", 1000)
    if way == "walked":
        monkeypatch.setattr(filters, "COLLECTED", 3)
        monkeypatch.setattr(ways, "FAR", 20)
    drawn = random.Random(17)
    await fill(tenant, drawn, 120)
    await check_all(tenant, drawn)

    ids = await values("SELECT id FROM customer")
    async with unit_of_work(tenant.scope()):
        for column in ("name_key", "company", "street", "zip", "city_key"):
            await execute_many(
                f"UPDATE customer SET {column} = :text WHERE id = :id",
                [{"id": one, "text": "".join(drawn.choices(LETTERS, k=5)).lower()} for one in drawn.sample(ids, 30)],
            )
        await execute("UPDATE customer SET partition_id = 2 WHERE id % 5 = 0")
        await execute("DELETE FROM customer WHERE id % 7 = 0")
    await check_all(tenant, drawn)
    if dialect() == "sqlite":
        async with transaction():
            await rewrite_words()
        await check_all(tenant, drawn)


@pytest.mark.parametrize("perhaps", [1000, 40])
async def test_of_those_who_may_be_meant_the_first_by_name_are_looked_at_and_pages_follow_each_other(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch, perhaps: int
) -> None:
    for name, number in (("NEARBY", 25), ("DENSE", 1000), ("PERHAPS", perhaps), ("FAR", 50)):
        monkeypatch.setattr(ways, name, number)
    drawn = random.Random(11)
    await fill(tenant, drawn, 150)
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET city_key = 'baabab', phone_e164 = '+123' || phone_e164 WHERE id % 2 = 0")
        await execute("UPDATE customer SET company = 'abxbab' WHERE id % 3 = 0")
        await execute("UPDATE customer SET name_key = name_key || 'babab' WHERE id % 3 = 1")
    everybody = tenant.scope()
    one = tenant.scope(actor=Actor("staff", 1, "Staff", Partitions((2,)), ALL_PERMISSIONS))
    two = tenant.scope(actor=Actor("staff", 1, "Staff", Partitions((2, 121)), ALL_PERMISSIONS))
    reaches = ((everybody, "TRUE"), (one, "partition_id = 2"), (two, "partition_id IN (2, 121)"))
    answered = 0

    for address, where in (
        ({"city.has": "aabab"}, "city_key LIKE '%aabab%'"),
        ({"company.has": "bab"}, "company LIKE '%bab%'"),
        ({"name.has": "babab"}, "name_key LIKE '%babab%'"),
        ({"name.has": "abab", "city.has": "baa"}, "name_key LIKE '%abab%' AND city_key LIKE '%baa%'"),
        ({"city.has": "aab", "balance.to": "0"}, "city_key LIKE '%aab%'"),
        ({"phone.has": "123+", "id.from": "50"}, "phone_e164 LIKE '%123+%' AND id >= 50"),
    ):
        for sort, way in (("name", "ASC"), ("-name", "DESC")):
            for scope, only in reaches:
                plain = await values(
                    f"SELECT id FROM customer WHERE {where} AND {only} ORDER BY name_key {way}, id {way}"
                )
                seen: list[int] = []
                pages = []
                while not pages or pages[-1].after:
                    with watched() as made:
                        pages.append(
                            await FULL.read(
                                scope, {**address, "sort": sort}, limit=7, after=pages[-1].after if pages else ""
                            )
                        )
                    answered += "perhaps (id)" in made[-2] if len(made) > 1 else False
                    seen += [found.id for found in pages[-1].rows]
                assert seen == plain, (address, sort, only)
                assert {page.count for page in pages} == {len(plain)}, (address, sort, only)
                if len(pages) > 1:
                    back = await FULL.read(scope, {**address, "sort": sort}, limit=7, before=pages[-1].before)
                    assert back.rows == pages[-2].rows

    assert (answered > 0) is (dialect() == "sqlite")


async def test_names_by_id_tell_who_comes_first_without_a_customer_being_read_for_it(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dialect() != "sqlite":
        pytest.skip("PostgreSQL's index of pieces leads to the rows alone")
    monkeypatch.setattr(ways, "NEARBY", 30)
    monkeypatch.setattr(ways, "DENSE", 1000)
    await fill(tenant, random.Random(2), 60)
    await execute_many(
        "UPDATE customer SET company = 'Rarissima' WHERE id = :id", [{"id": one} for one in range(20, 50)]
    )

    with watched() as seen:
        found = await left(tenant, company__has="rissim")
    text = next(text for text in seen if "perhaps (id)" in text)
    plan = [step.detail for step in await rows(PlanStep, f"EXPLAIN QUERY PLAN {text}".replace("?", "2"))]

    assert len(found) == 30
    assert "SEARCH customer USING COVERING INDEX customer_beside_id (id=?)" in plan, plan
    assert not [text for text in seen if "few" in text]


async def test_a_name_in_the_order_of_names_is_looked_for_further_than_what_is_in_no_index_of_the_order(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "NEARBY", 5)
    await fill(tenant, random.Random(2), 80)
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET name_key = '~zoe' WHERE id % 2 = 0")

    with watched() as seen:
        found = (await CUSTOMERS.read(tenant.scope(), {"name.has": "zoe"}, limit=10)).rows

    assert [one.id for one in found] == list(range(2, 22, 2))
    assert len([text for text in seen if "FROM customer" in text]) == 2, "which they are and how many, and their rows"


@pytest.mark.parametrize("sort", ["name", "-name"])
async def test_a_name_that_many_have_is_walked_to_along_the_names_of_the_reach_however_far(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    for module, name, number in ((ways, "NEARBY", 2), (ways, "FAR", 3), (ways, "PERHAPS", 3)):
        monkeypatch.setattr(module, name, number)
    monkeypatch.setattr(filters, "COLLECTED", 3)
    await fill(tenant, random.Random(2), 80)
    text = "~zoe" if sort == "name" else " zoe"  # at the other end
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET name_key = '!' || name_key WHERE id % 5 > 0 AND :text <> ' zoe'", text=text)
        await execute(
            "UPDATE customer SET name_key = CAST(:text AS text), partition_id = 2 WHERE id % 5 = 0", text=text
        )
    reseller = tenant.scope(actor=Actor("staff", 1, "Staff", Partitions((2,)), ALL_PERMISSIONS))

    for scope in (tenant.scope(), reseller):
        with watched() as seen:
            found = await CUSTOMERS.read(scope, {"name.has": "zoe", "sort": sort}, limit=4)
        then = await CUSTOMERS.read(scope, {"name.has": "zoe", "sort": sort}, limit=4, after=found.after)
        back = await CUSTOMERS.read(scope, {"name.has": "zoe", "sort": sort}, limit=4, before=then.before)
        expected = list(range(5, 45, 5)) if sort == "name" else list(range(80, 40, -5))
        assert [one.id for one in (*found.rows, *then.rows)] == expected
        assert back.rows == found.rows
        assert len([text for text in seen if "IS TRUE ORDER BY" in text]) == 1, "as far as it takes, without a limit"


@pytest.mark.parametrize("others", [0, 4, 30])
async def test_those_who_begin_with_a_text_are_not_collected_to_find_the_few_who_have_it_further_on(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    for module, name, number in ((ways, "NEARBY", 2), (ways, "FAR", 3), (filters, "COLLECTED", 9)):
        monkeypatch.setattr(module, name, number)
    await fill(tenant, random.Random(4), 150)
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET name_key = 'm' || name_key")
        await execute("UPDATE customer SET name_key = 'zoe' || name_key, partition_id = id % 4 WHERE id % 2 = 0")
        await execute("UPDATE customer SET name_key = 'azoe' || (id % 3) WHERE id % 4 = 1 AND id < :id", id=4 * others)
        await execute("UPDATE customer SET name_key = 'zoezoe' WHERE id % 30 = 0")
        await execute("UPDATE customer SET name_key = 'zof' WHERE id % 31 = 0")
    everybody = tenant.scope()
    one = tenant.scope(actor=Actor("staff", 1, "Staff", Partitions((2,)), ALL_PERMISSIONS))
    two = tenant.scope(actor=Actor("staff", 1, "Staff", Partitions((0, 2)), ALL_PERMISSIONS))
    answered: list[tuple[bool, bool]] = []

    for sort, way in (("name", "ASC"), ("-name", "DESC")):
        for scope, only in ((everybody, "TRUE"), (one, "partition_id = 2"), (two, "partition_id IN (0, 2)")):
            plain = await values(
                f"SELECT id FROM customer WHERE name_key LIKE '%zoe%' AND {only} ORDER BY name_key {way}, id {way}"
            )
            pages = []
            while not pages or pages[-1].after:
                after = pages[-1].after if pages else ""
                with watched() as made:
                    pages.append(await FULL.read(scope, {"name.has": "zoe", "sort": sort}, limit=7, after=after))
                answered.append((scope is everybody, "further" in made[-2]))
                assert pages[-1].count == len(plain) or not answered[-1][1]
            assert [found.id for page in pages for found in page.rows] == plain
            back = await FULL.read(scope, {"name.has": "zoe", "sort": sort}, limit=7, before=pages[-1].before)
            assert back.rows == pages[-2].rows

    assert ((True, True) in answered) is (others < 30)


async def test_a_letter_is_looked_for_among_those_who_have_such_a_text_not_among_all_in_reach(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dialect() != "sqlite":
        pytest.skip("PostgreSQL's planner knows how many have none")
    monkeypatch.setattr(ways, "NEARBY", 10)
    await fill(tenant, random.Random(2), 60)
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET external_ref = '', partition_id = 2")
        await execute("UPDATE customer SET external_ref = 'x' || id, partition_id = id % 2 + 1 WHERE id IN (50, 51)")

    with watched() as seen:
        found = await left(tenant, (2,), reference__has="x")
    text = next(text for text in seen if "WITH few" in text)
    plan = [step.detail for step in await rows(PlanStep, f"EXPLAIN QUERY PLAN {text}".replace("?", "2"))]

    assert found == [51]
    assert "SCAN customer USING INDEX customer_external_ref" in plan, plan


async def test_pieces_find_what_is_rare_without_reading_all_rows(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "NEARBY", 50)
    drawn = random.Random(5)
    await fill(tenant, drawn, 300)
    await actions.create_customer(tenant.scope(), NewCustomer(full_name="Rarissima Quix", country="IE"))
    for name, text in (("name__has", "issima q"), ("country__has", "I")):
        with watched() as seen:
            found = await left(tenant, **{name: text})
        assert len(found) == 1
        asked = next(one for one in seen if one.startswith(("WITH few", "WITH told", "WITH further")))
        if dialect() == "sqlite":
            assert ("customer_pieces MATCH" in asked) is (name == "name__has")
        else:
            assert "LIKE" in asked


async def test_two_letters_and_what_no_row_has_are_answered(tenant: TestTenant) -> None:
    await fill(tenant, random.Random(3), 20)
    await actions.create_customer(tenant.scope(), NewCustomer(full_name="Zq"))
    assert len(await left(tenant, name__has="zq")) == 1
    assert len(await left(tenant, name__has="z")) == 1
    assert await left(tenant, name__has="nobody is called so") == []
    assert await left(tenant, name__has="zq", city__has="nowhere") == []


async def test_C12_pieces_of_what_was_erased_are_gone(tenant: TestTenant) -> None:
    if dialect() != "sqlite":
        pytest.skip("PostgreSQL's vacuum does it")
    await actions.create_customer(tenant.scope(), NewCustomer(full_name="Xyloqj"))

    async def held() -> bool:
        return any(b"xyl" in block for block in await values("SELECT block FROM customer_pieces_data"))

    assert await held()
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET name_key = '', full_name = '–'")
    await finish_erasing(tenant.scope())
    assert not await held()
    assert await value("SELECT count(*) FROM customer_pieces WHERE customer_pieces MATCH 'xyl'") == 0
