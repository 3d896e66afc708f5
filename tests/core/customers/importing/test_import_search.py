"""Customers of an import are found by their words from the moment they are here, and no longer once they are gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.activity.unit import unit_of_work
from core.customers.importing.actions import stage_import, take_over, undo_import
from core.customers.queries import search_customers
from core.database import dialect, execute, execute_many, value, values
from core.scope import Scope

HEADER = "name,company,login,email,phone,street,zip,city,vat id\n"
LINES = (
    "Jörg Müller-Łukasz,Öko-Straße & Søn ΆΛΦΑ GmbH,jm77,jorg@mail.example; second@other.example,"
    "0664 5550000; +1 212 555 0101,Große Őrség 5,D-1234,Győr,ATU12345675\n"
    "Йордан,Найденов,jn,,,Γεωργίου 5,,София,\n"
    "Plain Person,,pp,pp@mail.example,,Main Street 1,1010,Wien,\n"
    "Sigríður Ægisdóttir,Þór hf.,si,,,Laugavegur (2.  hæð) [b],101,Reykjavík,\n"
)
WORDS = {
    "Jörg Müller-Łukasz": (
        "jorg", "muller", "luk", "oko", "strasse", "son", "αλφα", "jm77", "jorg@mail", "second@oth", "0664 5550",
        "43664", "212555", "grosse", "orseg", "d-1234", "gyor", "müller győr 664",
    ),
    "Йордан": ("йор", "найд", "γεωργιου", "соф"),
    "Plain Person": ("plain", "pp@mail.example", "main street", "1010", "wien"),
    "Sigríður Ægisdóttir": ("sigri", "aegis", "thor", "laug", "haed", "reykjavik"),
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / f"{len(text)}.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


async def found(scope: Scope, typed: str) -> list[str]:
    return [one.full_name for one in await search_customers(scope, typed, limit=10)]


async def bring(scope: Scope, path: Path) -> int:
    report = await stage_import(scope, path)
    assert report.batch is not None
    await take_over(scope, report.batch)
    return report.batch


async def check_index() -> None:
    """SQLite says so itself when its index of words is not what the rows say."""
    if dialect() == "sqlite":
        await execute("INSERT INTO customer_words (customer_words, rank) VALUES ('integrity-check', 1)")


async def test_imported_customers_are_found_by_all_their_words(scope: Scope, file: Callable[[str], Path]) -> None:
    await bring(scope, file(HEADER + LINES))

    for name, words in WORDS.items():
        for typed in words:
            assert name in await found(scope, typed), typed
    await check_index()


async def test_what_an_import_writes_is_what_a_change_would_write(scope: Scope, file: Callable[[str], Path]) -> None:
    await bring(scope, file(HEADER + LINES))
    imported = await values("SELECT text FROM customer_search ORDER BY customer_id")

    companies = await values("SELECT company FROM customer ORDER BY id")
    async with unit_of_work(scope):
        await execute("UPDATE customer SET company = company || ' changed'")
        await execute_many(
            "UPDATE customer SET company = :company WHERE id = :id",
            [
                {"company": company, "id": customer_id}
                for company, customer_id in zip(
                    companies, await values("SELECT id FROM customer ORDER BY id"), strict=True
                )
            ],
        )

    assert await values("SELECT text FROM customer_search ORDER BY customer_id") == imported
    assert len(set(imported)) == 4


async def test_nobody_is_found_once_an_import_is_undone(scope: Scope, file: Callable[[str], Path]) -> None:
    batch = await bring(scope, file(HEADER + LINES))

    await undo_import(scope, batch)

    for words in WORDS.values():
        for typed in words:
            assert await found(scope, typed) == [], typed
    assert await value("SELECT count(*) FROM customer_search") == 0
    await check_index()


async def test_an_imported_person_whose_data_are_emptied_is_not_found_any_more(
    scope: Scope, file: Callable[[str], Path]
) -> None:
    await bring(scope, file(HEADER + LINES))
    person = await value("SELECT id FROM customer WHERE login = 'jm77'")

    async with unit_of_work(scope):
        await execute("DELETE FROM customer_address WHERE customer_id = :id", id=person)
        await execute(
            "UPDATE customer SET full_name = '–', name_key = '', company = '', login = '', login_key = '',"
            " email_key = '', phone_e164 = '', street = '', zip = '', city = '', city_key = '', vat_id = ''"
            " WHERE id = :id",
            id=person,
        )

    for typed in WORDS["Jörg Müller-Łukasz"]:
        assert await found(scope, typed) == [], typed
    assert await found(scope, "plain") == ["Plain Person"]
    await check_index()


async def test_a_second_file_beside_the_first_is_found_too(scope: Scope, file: Callable[[str], Path]) -> None:
    await bring(scope, file(HEADER + LINES))
    await bring(scope, file(HEADER + "".join(f"Person {n},,second{n},,,Straße {n},,Köln,\n" for n in range(30))))

    assert await found(scope, "second17") == ["Person 17"]
    assert len(await values("SELECT customer_id FROM customer_search")) == 34
