"""Users and contacts of a customer: added, changed, removed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.customers.addresses import check_emails, check_phones
from core.customers.events import (
    ContactAdded,
    ContactChanged,
    ContactRemoved,
    UserAdded,
    UserChanged,
    UserEmailAsked,
    UserEmailCancelled,
    UserEmailConfirmed,
    UserRemoved,
)
from core.customers.queries import (
    PendingEmail,
    find_email_link,
    find_pending_email,
    get_contact,
    get_customer,
    lock_person,
)
from core.customers.schemas import ContactFields, MailEmailChange, UserFields
from core.customers.status import Documents
from core.database import execute, value
from core.errors import Conflict, FieldError, Invalid, NotFound, Stale
from core.ids import hash_token, new_token, sort_key
from core.jobs.actions import enqueue
from core.texts import _

if TYPE_CHECKING:
    from core.customers.schemas import ChangeEmail, CustomerDetail
    from core.scope import Scope

MOST: Final = 100
"""Users and contacts of one customer."""
LINK_LASTS: Final = timedelta(minutes=60)
MAIL_EMAIL_CHANGE: Final = "mail_email_change"
"""Name of the job kind, declared in `jobs`."""
MOST_COPIES: Final = 20
"""Contacts that get a document: as many as one e-mail takes."""


async def add_user(scope: Scope, customer_id: int, data: UserFields) -> int:
    """A person who may log in to the portal; gives its id."""
    return await _add(scope, customer_id, data, is_user=True)


async def add_contact(scope: Scope, customer_id: int, data: ContactFields) -> int:
    """A person without a log-in; gives its id."""
    return await _add(scope, customer_id, data, is_user=False)


async def _add(scope: Scope, customer_id: int, data: UserFields | ContactFields, *, is_user: bool) -> int:
    async with unit_of_work(scope):
        customer = await get_customer(scope, customer_id)
        await value("SELECT id FROM customer WHERE id = :id FOR UPDATE", id=customer_id)
        await lock_person(scope, customer_id)
        if await value("SELECT count(*) FROM contact WHERE customer_id = :id", id=customer_id) >= MOST:
            raise Invalid(
                _("A customer has at most %(most)s users and contacts. Remove one that is not needed.", most=MOST)
            )
        columns = await _clean(customer, data, 0, is_user=is_user)
        names = ", ".join(columns)
        slots = ", ".join(f":{name}" for name in columns)
        contact_id = int(
            await value(
                f"INSERT INTO contact (customer_id, is_user, {names}) VALUES (:customer_id, :is_user, {slots})"
                " RETURNING id",
                customer_id=customer_id,
                is_user=is_user,
                **columns,
            )
        )
        event = UserAdded if is_user else ContactAdded
        record(
            scope,
            event(contact_id=contact_id, customer_id=customer_id),
            changes={name: (None, new) for name, new in columns.items() if new and name != "email_key"},
        )
        return contact_id


async def change_user(
    scope: Scope,
    customer_id: int,
    contact_id: int,
    data: UserFields,
    *,
    version: int,
    change_email: ChangeEmail = "confirmed",
) -> int:
    """Save a user; gives the new version. Raises Stale with the fields that differ where somebody saved it first.

    A new e-mail waits to be confirmed at the new address, and the old one is told. Changed `now`, nobody is told and
    nothing has to be confirmed.
    """
    return await _change(scope, customer_id, contact_id, data, version, is_user=True, change_email=change_email)


async def change_contact(scope: Scope, customer_id: int, contact_id: int, data: ContactFields, *, version: int) -> int:
    """Save a contact; gives the new version. Raises Stale where somebody saved it first."""
    return await _change(scope, customer_id, contact_id, data, version, is_user=False)


async def _change(
    scope: Scope,
    customer_id: int,
    contact_id: int,
    data: UserFields | ContactFields,
    version: int,
    *,
    is_user: bool,
    change_email: ChangeEmail = "now",
) -> int:
    async with unit_of_work(scope):
        customer = await get_customer(scope, customer_id)
        await value("SELECT id FROM customer WHERE id = :id FOR UPDATE", id=customer_id)
        now = await get_contact(scope, customer_id, contact_id)
        if now.is_user is not is_user:
            raise NotFound(f"{'user' if is_user else 'contact'} {contact_id} of customer {customer_id}")
        columns = await _clean(customer, data, contact_id, is_user=is_user)
        changes = {
            name: (getattr(now, name), new)
            for name, new in columns.items()
            if name != "email_key" and getattr(now, name) != new
        }
        if not changes:
            return now.version
        if now.version != version:
            raise Stale(fields=changes, version=now.version)
        if "email" in changes and is_user:
            await _forget_pending(contact_id)
            if change_email == "confirmed":
                await _ask(scope, customer_id, contact_id, columns["email"], columns["email_key"])
                columns["email"], columns["email_key"] = now.email, sort_key(now.email)
                del changes["email"]
        if not changes:
            return now.version
        await execute(
            f"UPDATE contact SET {', '.join(f'{name} = :{name}' for name in columns)}, version = version + 1"
            " WHERE id = :contact_id",
            contact_id=contact_id,
            **columns,
        )
        event = UserChanged if is_user else ContactChanged
        record(scope, event(contact_id=contact_id, customer_id=customer_id), changes=changes)
        return now.version + 1


async def _ask(scope: Scope, customer_id: int, contact_id: int, email: str, email_key: str) -> None:
    """Leave a new e-mail to be confirmed. The link is made when it is mailed: no job holds it."""
    change_id = await value(
        "INSERT INTO email_change (customer_id, contact_id, email, email_key, asked_by, asked_at)"
        " VALUES (:customer_id, :contact_id, :email, :email_key, :asked_by, :now) RETURNING id",
        customer_id=customer_id,
        contact_id=contact_id,
        email=email,
        email_key=email_key,
        asked_by=scope.actor.key,
        now=scope.now(),
    )
    await enqueue(scope, MAIL_EMAIL_CHANGE, MailEmailChange(int(change_id)), customer_id=customer_id)
    asked = UserEmailAsked(contact_id=contact_id, customer_id=customer_id)
    record(scope, asked, changes={"new_email": (None, email)})


async def _forget_pending(contact_id: int) -> int:
    return await execute("DELETE FROM email_change WHERE contact_id = :id", id=contact_id)


async def mail_again(scope: Scope, customer_id: int, contact_id: int) -> None:
    """Another link to the new address; the one before stops working."""
    async with unit_of_work(scope):
        await get_contact(scope, customer_id, contact_id)
        change_id = await value(
            "UPDATE email_change SET token_hash = '', expires_at = NULL WHERE contact_id = :id RETURNING id",
            id=contact_id,
        )
        if change_id is None:
            raise Conflict(_("No new e-mail waits to be confirmed."))
        await enqueue(scope, MAIL_EMAIL_CHANGE, MailEmailChange(int(change_id)), customer_id=customer_id)


async def cancel_email_change(scope: Scope, customer_id: int, contact_id: int) -> None:
    """The user keeps the e-mail that it has; links that were mailed stop working."""
    async with unit_of_work(scope):
        await get_contact(scope, customer_id, contact_id)
        if await _forget_pending(contact_id):
            record(scope, UserEmailCancelled(contact_id=contact_id, customer_id=customer_id))


class EmailLink(Struct, frozen=True):
    """A link to be mailed: shown once, kept as a hash."""

    token: str
    pending: PendingEmail


async def make_email_link(scope: Scope, change_id: int) -> EmailLink | None:
    """A new link to confirm a new e-mail by; None where it was confirmed or given up meanwhile."""
    async with unit_of_work(scope):
        pending = await find_pending_email(change_id)
        if pending is None:
            return None
        token = new_token()
        await execute(
            "UPDATE email_change SET token_hash = :token_hash, expires_at = :until WHERE id = :id",
            id=change_id,
            token_hash=hash_token(token),
            until=scope.now() + LINK_LASTS,
        )
        return EmailLink(token, pending)


async def confirm_email(scope: Scope, token: str) -> PendingEmail:
    """Whoever holds the link reads mail at the new address: from now on it is the user's. Raises NotFound, Conflict."""
    async with unit_of_work(scope):
        pending = await find_email_link(token, scope.now())
        if pending is None:
            raise NotFound("link to confirm an e-mail by")
        await value("SELECT id FROM customer WHERE id = :id FOR UPDATE", id=pending.customer_id)
        used = await execute(
            "DELETE FROM email_change WHERE id = :id AND token_hash = :token_hash",
            id=pending.id,
            token_hash=hash_token(token),
        )
        if not used:
            raise NotFound("link to confirm an e-mail by")
        if await _is_taken(pending.customer_id, sort_key(pending.email), pending.contact_id):
            raise Conflict(_("Another user of this customer has this e-mail already."))
        await execute(
            "UPDATE contact SET email = :email, email_key = :key, version = version + 1 WHERE id = :id",
            id=pending.contact_id,
            email=pending.email,
            key=sort_key(pending.email),
        )
        confirmed = UserEmailConfirmed(contact_id=pending.contact_id, customer_id=pending.customer_id)
        record(scope, confirmed, changes={"email": (pending.old, pending.email)})
        return pending


async def _is_taken(customer_id: int, email_key: str, contact_id: int) -> bool:
    return bool(
        await value(
            "SELECT 1 FROM contact WHERE customer_id = :customer_id AND is_user AND email_key = :key AND id <> :id",
            customer_id=customer_id,
            key=email_key,
            id=contact_id,
        )
    )


async def remove_contact(scope: Scope, customer_id: int, contact_id: int) -> None:
    """Take a user or contact off its customer."""
    async with unit_of_work(scope):
        now = await get_contact(scope, customer_id, contact_id)
        if not await execute("DELETE FROM contact WHERE id = :id", id=contact_id):
            raise NotFound(f"contact {contact_id} of customer {customer_id}")
        event = UserRemoved if now.is_user else ContactRemoved
        record(scope, event(contact_id=contact_id, customer_id=customer_id), changes={"name": (now.name, None)})


async def _clean(
    customer: CustomerDetail, data: UserFields | ContactFields, contact_id: int, *, is_user: bool
) -> dict[str, Any]:
    """The columns in the form that is stored. Raises Invalid naming every wrong field."""
    errors: list[FieldError] = []
    fields = UserFields if is_user else ContactFields
    columns: dict[str, Any] = {name: getattr(data, name) for name in fields.__struct_fields__}
    for name in ("salutation", "first_name", "surname", "role"):
        if name in columns:
            columns[name] = " ".join(columns[name].split())
    if not columns["first_name"] and not columns["surname"]:
        errors.append(FieldError("surname", _("Give a first name or a surname.")))
    found = check_emails([columns["email"]] if columns["email"].strip() else [], "email", errors)
    columns["email"] = found[0] if found else ""
    columns["email_key"] = sort_key(columns["email"])
    if columns.get("phone", "").strip():
        phones = check_phones([columns["phone"]], customer.country, "phone", errors)
        columns["phone"] = phones[0][0] if phones else ""
    wanted = [one.value for one in Documents if columns.get(f"gets_{one.value}")]
    if wanted and not columns["email"] and not any(error.field == "email" for error in errors):
        errors.append(FieldError("email", _("Documents go by e-mail: give an address, or untick them.")))
    if errors:
        raise Invalid(errors=errors)
    if is_user and await _is_taken(customer.id, columns["email_key"], contact_id):
        raise Invalid(_("Another user of this customer has this e-mail already."), field="email")
    for name in wanted:
        others = await value(
            f"SELECT count(*) FROM contact WHERE customer_id = :customer_id AND gets_{name} AND id <> :id",
            customer_id=customer.id,
            id=contact_id,
        )
        if others >= MOST_COPIES:
            raise Invalid(
                _("%(most)s contacts get them already: one e-mail takes no more.", most=MOST_COPIES),
                field=f"gets_{name}",
            )
    return columns
