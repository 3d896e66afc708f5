"""Filters by a text that stands anywhere in a column: what they leave, and what they are found by."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from core.activity.unit import unit_of_work
from core.customers import actions
from core.customers.actions.anonymise import finish_erasing
from core.customers.listing import CUSTOMERS
from core.customers.schemas import NewCustomer
from core.customers.words import rewrite_words
from core.database import Partitions, dialect, execute, execute_many, transaction, value, values, watched
from core.lists import filters, listing
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
LETTERS = "abAB öß%_~\"'\\*:()-+–12語"


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


@pytest.mark.parametrize("way", ["near", "collected", "walked"])
async def test_L2_a_text_anywhere_in_a_column_leaves_the_rows_that_have_it_whatever_was_written_before(
    tenant: TestTenant, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way != "near":
        monkeypatch.setattr(listing, "NEARBY", 2)
    if way == "walked":
        monkeypatch.setattr(filters, "COLLECTED", 3)
        monkeypatch.setattr(listing, "FAR", 20)
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


async def test_pieces_find_what_is_rare_without_reading_all_rows(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "NEARBY", 50)
    drawn = random.Random(5)
    await fill(tenant, drawn, 300)
    await actions.create_customer(tenant.scope(), NewCustomer(full_name="Rarissima Quix", country="IE"))
    for name, text in (("name__has", "issima q"), ("country__has", "I")):
        with watched() as seen:
            found = await left(tenant, **{name: text})
        assert len(found) == 1
        asked = next(one for one in seen if "few" in one)
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
