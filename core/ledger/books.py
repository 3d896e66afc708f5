"""What is said about the books themselves: how accounts are called, and until when they are closed."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from msgspec import UNSET

from core.activity.unit import record, unit_of_work
from core.database import execute, value_as
from core.errors import Conflict, Invalid
from core.ledger.events import AccountChanged, BooksClosed
from core.ledger.queries import get_account
from core.texts import _

if TYPE_CHECKING:
    from core.ledger.schemas import AccountChange
    from core.scope import Scope


async def change_account(scope: Scope, code: str, data: AccountChange) -> None:
    """Call an account otherwise, or say what another package calls it."""
    async with unit_of_work(scope):
        before = await get_account(code)
        name = before.name if data.name is UNSET else data.name.strip()
        number = before.export_number if data.export_number is UNSET else data.export_number
        if not name:
            raise Invalid(_("Fill this in."), field="name")
        said = {"name": (before.name, name), "export_number": (before.export_number, number)}
        changes = {field: (old, new) for field, (old, new) in said.items() if old != new}
        if not changes:
            return
        await execute(
            "UPDATE account SET name = :name, export_number = :number WHERE id = :id",
            name=name,
            number=number,
            id=before.id,
        )
        record(scope, AccountChanged(account_id=before.id), changes=changes)


async def close_books(scope: Scope, until: date | None) -> None:
    """From now on nothing is booked on this day or before it; an earlier day, or none, opens what was closed."""
    async with unit_of_work(scope):
        before = await value_as(date, "SELECT closed_until FROM ledger_lock WHERE one = 1 FOR UPDATE")
        if until is not None and until >= scope.today():
            raise Invalid(_("Today is still being booked: close the books up to a day before it."), field="until")
        if before == until:
            return
        await execute("UPDATE ledger_lock SET closed_until = :until", until=until)
        record(scope, BooksClosed(), changes={"closed_until": (before, until)})


async def check_open(on: date) -> None:
    """Raises Conflict where the books of a day are closed."""
    until = await value_as(date, "SELECT closed_until FROM ledger_lock")
    if until is not None and on <= until:
        raise Conflict(_("The books are closed until %(day)s. Book it on a later day.", day=until))
