"""What is said of the books stands in the history: how an account was called, until when they were closed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct

from core.database import rows
from core.errors import Invalid
from core.ledger.books import change_account, close_books
from core.ledger.queries import closed_until, get_account
from core.ledger.schemas import AccountChange

if TYPE_CHECKING:
    from core.scope import Scope


class Told(Struct, frozen=True):
    """A value that changed, as the history has it."""

    kind: str
    field: str
    old: str | None
    new: str | None


async def told() -> list[Told]:
    """Everything that was said of the books, in the order in which it happened."""
    return await rows(
        Told,
        "SELECT a.kind, coalesce(v.field, '') AS field, v.old, v.new FROM activity a"
        " LEFT JOIN activity_value v ON v.position = a.position"
        " WHERE a.kind IN ('account_changed', 'books_closed') ORDER BY a.position, v.field",
    )


async def test_B5_an_account_that_is_called_otherwise_keeps_its_old_name_and_number_in_the_history(
    scope: Scope,
) -> None:
    was = (await get_account("4000")).name

    await change_account(scope, "4000", AccountChange(name=" Sales ", export_number="8400"))
    await change_account(scope, "4000", AccountChange(name="Sales", export_number="8400"))
    await change_account(scope, "4000", AccountChange(name="Sales", export_number="8401"))
    with pytest.raises(Invalid, match="Fill this in"):
        await change_account(scope, "4000", AccountChange(name="  ", export_number="8402"))
    await change_account(scope, "4000", AccountChange(name="Sales"))
    await change_account(scope, "4000", AccountChange(export_number="8401"))
    await change_account(scope, "4000", AccountChange())

    now = await get_account("4000")
    assert (now.name, now.export_number) == ("Sales", "8401")
    assert await told() == [
        Told("account_changed", "export_number", "", "8400"),
        Told("account_changed", "name", was, "Sales"),
        Told("account_changed", "export_number", "8400", "8401"),
    ]


async def test_B5_the_history_tells_until_when_the_books_were_closed_and_that_they_were_opened_again(
    scope: Scope,
) -> None:
    for until in (None, date(2027, 3, 31), date(2027, 3, 31), date(2027, 2, 28), None):
        await close_books(scope, until)
        assert await closed_until() == until

    assert await told() == [
        Told("books_closed", "closed_until", None, "2027-03-31"),
        Told("books_closed", "closed_until", "2027-03-31", "2027-02-28"),
        Told("books_closed", "closed_until", "2027-02-28", None),
    ]
