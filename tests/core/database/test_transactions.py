"""Transactions, savepoints and the binding of a tenant, the same on both databases."""

from __future__ import annotations

import pytest

from core.database import (
    Database,
    NoTenantBound,
    execute,
    savepoint,
    transaction,
    value,
    values,
)
from tests.databases import define


@pytest.fixture
async def notes(database: Database) -> Database:
    await define("CREATE TABLE note (id {id}, text text NOT NULL UNIQUE)")
    return database


async def add(text: str) -> None:
    await execute("INSERT INTO note (text) VALUES (:text)", text=text)


async def texts() -> list[str]:
    return await values("SELECT text FROM note ORDER BY id")


async def test_nothing_can_be_asked_without_a_tenant() -> None:
    with pytest.raises(NoTenantBound):
        await value("SELECT 1")


async def test_what_a_transaction_wrote_is_kept(notes: Database) -> None:
    async with transaction():
        await add("one")

        assert await texts() == ["one"]

    assert await texts() == ["one"]


async def test_an_exception_undoes_the_whole_transaction(notes: Database) -> None:
    with pytest.raises(KeyError):
        async with transaction():
            await add("one")
            raise KeyError

    assert await texts() == []


async def test_a_savepoint_undoes_only_what_happened_inside(notes: Database) -> None:
    async with transaction():
        await add("one")
        with pytest.raises(KeyError):
            async with savepoint():
                await add("two")
                raise KeyError
        await add("three")

    assert await texts() == ["one", "three"]
