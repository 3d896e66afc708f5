"""Passwords of customers for the portal: a hash to log in with, and a copy that can be shown where the tenant wants."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.customers.events import (
    CustomerPasswordRemoved,
    CustomerPasswordSet,
    CustomerPasswordShown,
    PasswordCopiesRemoved,
)
from core.customers.queries import get_customer, lock_person
from core.customers.settings import CustomerSettings
from core.customers.tables import Customer
from core.database import execute, rows, scoped, value
from core.errors import Conflict, Invalid
from core.settings.actions import save_form
from core.settings.queries import load_settings
from core.staff.passwords import PASSWORDS, check_password
from core.texts import _
from core.web.sessions import end_sessions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.scope import Scope

REVEAL: Final = "customers.passwords"
"""The permission to see a password."""
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without those that are mistaken for each other when read out."""
CUSTOMER: Final = "customer"
"""Whose sessions end: the kind of actor that a customer is in the portal."""


def generate_password() -> str:
    """Four times four letters and digits: 92 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _each in range(4)) for _part in range(4))


async def set_password(scope: Scope, customer_id: int, password: str) -> None:
    """Set the password of a customer's portal; whoever is logged in there has to log in again."""
    customer = await get_customer(scope, customer_id)
    check_password(password, name=customer.full_name, email=customer.emails[0] if customer.emails else "")
    if customer.login and password.casefold() == customer.login.casefold():
        raise Invalid(_("Use something other than the login."), field="password")
    hashed = await PASSWORDS.hash(password)
    async with unit_of_work(scope):
        # whoever stops keeping copies waits for this one, and takes it away
        await value("SELECT key FROM setting WHERE key = :key FOR SHARE", key=CustomerSettings.SETTINGS_KEY)
        await lock_person(scope, customer_id)
        await _locked(scope, customer_id)
        kept = await load_settings(CustomerSettings)
        await execute(
            "UPDATE customer SET password_hash = :hash, password_copy = :copy, password_set_at = :now WHERE id = :id",
            id=customer_id,
            hash=hashed,
            copy=scope.keys.seal(password) if kept.keep_passwords else "",
            now=scope.now(),
        )
        await end_sessions(scope, CUSTOMER, customer_id)
        record(scope, CustomerPasswordSet(customer_id=customer_id))


async def remove_password(scope: Scope, customer_id: int) -> None:
    """Nobody logs in with one any more."""
    async with unit_of_work(scope):
        await _locked(scope, customer_id)
        gone = await execute(
            "UPDATE customer SET password_hash = '', password_copy = '', password_set_at = NULL"
            " WHERE id = :id AND password_hash <> ''",
            id=customer_id,
        )
        if gone:
            await end_sessions(scope, CUSTOMER, customer_id)
            record(scope, CustomerPasswordRemoved(customer_id=customer_id))


async def reveal_password(scope: Scope, customer_id: int) -> str:
    """The password in plain text, where a copy is kept. That it was shown, and to whom, stands in the activity."""
    scope.require(REVEAL)
    async with unit_of_work(scope):
        await _locked(scope, customer_id)
        kept = await load_settings(CustomerSettings)
        copy = await value("SELECT password_copy FROM customer WHERE id = :id", id=customer_id)
        if not kept.keep_passwords or not copy:
            raise Conflict(_("No copy of this password is kept, so nobody can show it. Set a new one."))
        record(scope, CustomerPasswordShown(customer_id=customer_id))
        return scope.keys.open(copy)


async def change_customer_settings(scope: Scope, typed: Mapping[str, str | Sequence[str]]) -> CustomerSettings:
    """Save what the operator decides for all customers. Where copies are no longer kept, all of them go at once."""
    async with unit_of_work(scope):
        settings = await save_form(scope, CustomerSettings, typed)
        if not settings.keep_passwords:
            gone = await execute("UPDATE customer SET password_copy = '' WHERE password_copy <> ''")
            if gone:
                record(scope, PasswordCopiesRemoved(count=gone))
    return settings


class _Copy(Struct, frozen=True):
    id: int
    password_copy: str


async def reseal_passwords(scope: Scope, *, size: int = 500) -> int:
    """Seal again with the newest key the copies that an older one sealed. Gives how many."""
    done, last = 0, 0
    while True:
        async with unit_of_work(scope):
            some = await rows(
                _Copy,
                "SELECT id, password_copy FROM customer WHERE password_copy <> '' AND id > :last"
                " ORDER BY id LIMIT :size",
                last=last,
                size=size,
            )
            for each in some:
                fresh = scope.keys.rotate(each.password_copy)
                if fresh != each.password_copy:
                    done += await execute(  # one that was set meanwhile is sealed with the newest already
                        "UPDATE customer SET password_copy = :copy WHERE id = :id AND password_copy = :was",
                        id=each.id,
                        copy=fresh,
                        was=each.password_copy,
                    )
        if len(some) < size:
            return done
        last = some[-1].id


async def _locked(scope: Scope, customer_id: int) -> None:
    await scoped(Customer, scope).get(customer_id)
    await value("SELECT id FROM customer WHERE id = :id FOR UPDATE", id=customer_id)
