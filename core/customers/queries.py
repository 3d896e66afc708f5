"""Reads of customers. All of them through the actor's reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core import hookspecs
from core.customers.schemas import (
    ContactRow,
    CustomerDetail,
    CustomerItem,
    CustomerRow,
    LocationUse,
    NoteRow,
    StatusRow,
    TagRow,
    TagUse,
)
from core.customers.search import RARE, customer_search
from core.customers.settings import CustomerSettings
from core.customers.tables import Contact, Customer, Note
from core.database import Everything, dialect, row, rows, value, values, within
from core.errors import Conflict, Invalid, NotFound
from core.hooks import CurrencyLock
from core.ids import hash_token, sort_key
from core.settings.queries import load_settings
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from core.customers.status import Documents
    from core.scope import Scope

CUSTOMER = """
SELECT customer.id, customer.kind, customer.full_name, customer.company, customer.login, customer.street, customer.zip,
       customer.city, customer.country, customer.lat, customer.lon, customer.location_id, location.name AS location,
       customer.parent_id,
       customer.payer_id, status.key AS status, status.label AS status_label, status.kind AS status_kind,
       status.colour AS status_colour, customer.status_reason,
       customer.billing_type, customer.billing_day, customer.currency, customer.language,
       customer.time_zone, customer.vat_id, customer.tax_profile, customer.tax_reason,
       customer.terms_days, customer.grace_days,
       customer.minimum_balance_minor,
       customer.never_block, customer.send_by, customer.password_hash <> '' AS has_password,
       customer.password_copy <> '' AS has_password_copy, customer.live_subscriptions, customer.joined_on,
       customer.external_ref,
       customer.created_at, customer.version, customer.anonymised_at, planned.id AS planned_id,
       planned.state AS planned_state,
       becomes.key AS planned_status, becomes.label AS planned_label,
       planned.happens_on AS planned_on, planned.refusal AS planned_refusal
FROM customer
JOIN status ON status.id = customer.status_id
LEFT JOIN planned_status planned ON planned.id = (SELECT max(id) FROM planned_status
    WHERE customer_id = customer.id AND state IN ('planned', 'refused'))
LEFT JOIN status becomes ON becomes.id = planned.status_id
LEFT JOIN location ON location.id = customer.location_id
WHERE customer.id = :id AND :within
"""

_ITEMS: Final = """
SELECT customer.id, customer.full_name, customer.company, customer.email_key AS email, customer.phone_e164 AS phone,
       customer.city, customer.country, status.key AS status, customer.status_id, status.label AS status_label,
       status.kind AS status_kind, status.colour AS status_colour, customer.live_subscriptions, customer.joined_on,
       location.name AS location, customer.parent_id, parent.full_name AS parent, customer.login, customer.street,
       customer.zip, customer.billing_type, customer.currency,
       coalesce(customer.external_ref, '') AS external_ref, status.may_order{further}
FROM customer
JOIN status ON status.id = customer.status_id
LEFT JOIN location ON location.id = customer.location_id
LEFT JOIN customer parent ON parent.id = customer.parent_id
    AND coalesce(parent.partition_id, 0) = coalesce(customer.partition_id, 0)
"""
ITEMS: Final = _ITEMS.format(further="")


def items_with(**further: str) -> str:
    """The same with further columns: SQL by their names."""
    return _ITEMS.format(further="".join(f", {sql} AS {name}" for name, sql in further.items()))


class _Attached(Struct, frozen=True):
    kind: str
    id: int
    value: str
    colour: int


class CustomerHead(Struct, frozen=True):
    """A customer with what stands above every tab of it."""

    customer: CustomerDetail
    tags: list[TagRow]
    may_move: bool
    """Whether there is a status to go to."""
    may_order: bool
    """Whether its status lets it take new subscriptions."""
    may_delete: bool
    """Whether its status lets it be deleted."""
    people: int
    """Users and contacts."""
    notes: int


async def get_customer(scope: Scope, customer_id: int) -> CustomerDetail:
    """A customer with its addresses and tags, in two queries. Raises NotFound, also when it is out of reach."""
    return (await get_customer_head(scope, customer_id)).customer


async def get_customer_head(scope: Scope, customer_id: int) -> CustomerHead:
    """The same, with its tags as they are shown."""
    found = await row(CustomerRow, CUSTOMER, id=customer_id, within=within(Customer, scope.actor.reach))
    if found is None:
        raise NotFound(f"customer {customer_id}")
    attached = await rows(
        _Attached,
        "SELECT kind, id, value, 0 AS colour, position FROM customer_address WHERE customer_id = :id"
        " UNION ALL SELECT 'tag', tag.id, tag.name, tag.colour, 0 FROM customer_tag"
        " JOIN tag ON tag.id = customer_tag.tag_id WHERE customer_tag.customer_id = :id"
        " UNION ALL SELECT 'move', t.to_id, '', 0, 0 FROM status_transition t"
        " JOIN customer ON customer.status_id = t.from_id WHERE customer.id = :id"
        " UNION ALL SELECT 'order', status.id, '', 0, 0 FROM customer JOIN status ON status.id = customer.status_id"
        " WHERE customer.id = :id AND status.may_order"
        " UNION ALL SELECT 'delete', status.id, '', 0, 0 FROM customer JOIN status ON status.id = customer.status_id"
        " WHERE customer.id = :id AND status.may_delete"
        " UNION ALL SELECT 'people', count(*), '', 0, 0 FROM contact WHERE customer_id = :id"
        " UNION ALL SELECT 'notes', count(*), '', 0, 0 FROM note WHERE customer_id = :id ORDER BY 1, 5, 3",
        id=customer_id,
    )
    by_kind: dict[str, list[str]] = {}
    for item in attached:
        by_kind.setdefault(item.kind, []).append(item.value)
    customer = CustomerDetail(
        **msgspec.structs.asdict(found),
        emails=by_kind.get("email", []),
        billing_emails=by_kind.get("billing_email", []),
        phones=by_kind.get("phone", []),
        tags=by_kind.get("tag", []),
    )
    tags = [TagRow(item.id, item.value, item.colour) for item in attached if item.kind == "tag"]
    counts = {item.kind: item.id for item in attached if item.kind in ("people", "notes")}
    may = ("move" in by_kind, "order" in by_kind, "delete" in by_kind)
    return CustomerHead(customer, tags, *may, counts["people"], counts["notes"])


async def customer_settings() -> CustomerSettings:
    """What the operator decided for all customers."""
    return await load_settings(CustomerSettings)


async def list_customers(scope: Scope, *, after: tuple[str, int] | None = None, limit: int = 50) -> list[CustomerItem]:
    """Customers by name, from behind (name key, id) on."""
    keyset = "AND (customer.name_key, customer.id) > (:name_key, :id)" if after else ""
    return await rows(
        CustomerItem,
        f"{ITEMS} WHERE :within {keyset} ORDER BY customer.name_key, customer.id LIMIT :limit",
        within=within(Customer, scope.actor.reach),
        limit=limit,
        **({"name_key": after[0], "id": after[1]} if after else {}),
    )


async def find_by_external_ref(scope: Scope, external_ref: str) -> int | None:
    found = await value(
        "SELECT id FROM customer WHERE external_ref = :ref AND :within",
        ref=external_ref,
        within=within(Customer, scope.actor.reach),
    )
    return int(found) if found is not None else None


_CONTACT = (
    "SELECT contact.id, is_user, salutation, first_name, surname, contact.email, phone, role, note, gets_invoices,"
    " gets_reminders, gets_statements, version, pending.email AS pending_email, pending.asked_at AS pending_since"
    " FROM contact LEFT JOIN email_change pending ON pending.contact_id = contact.id"
)


async def list_contacts(scope: Scope, customer_id: int) -> list[ContactRow]:
    """The users, then the other contacts, each by name."""
    return await rows(
        ContactRow,
        f"{_CONTACT} WHERE contact.customer_id = :id AND :within"
        " ORDER BY is_user DESC, surname, first_name, contact.id LIMIT 200",
        id=customer_id,
        within=within(Contact, scope.actor.reach),
    )


async def get_contact(scope: Scope, customer_id: int, contact_id: int) -> ContactRow:
    """A user or contact of this customer. Raises NotFound."""
    found = await row(
        ContactRow,
        f"{_CONTACT} WHERE contact.id = :contact_id AND contact.customer_id = :id AND :within",
        contact_id=contact_id,
        id=customer_id,
        within=within(Contact, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"contact {contact_id} of customer {customer_id}")
    return found


class PendingEmail(Struct, frozen=True):
    """A new e-mail of a user that is not confirmed yet. `language` is what its customer is written to in."""

    id: int
    customer_id: int
    contact_id: int
    name: str
    old: str
    email: str
    language: str


_PENDING = (
    "SELECT email_change.id, email_change.customer_id, contact_id, first_name || ' ' || surname AS name,"
    " contact.email AS old, email_change.email, customer.language FROM email_change"
    " JOIN contact ON contact.id = contact_id JOIN customer ON customer.id = email_change.customer_id"
)


async def find_pending_email(change_id: int) -> PendingEmail | None:
    """For the job that mails it."""
    return await row(PendingEmail, f"{_PENDING} WHERE email_change.id = :id", id=change_id)


async def find_email_link(token: str, now: datetime) -> PendingEmail | None:
    """The new e-mail that this link confirms, while it may still be used."""
    return await row(
        PendingEmail,
        f"{_PENDING} WHERE token_hash = :token_hash AND token_hash <> '' AND expires_at > :now",
        token_hash=hash_token(token),
        now=now,
    )


class Recipients(Struct, frozen=True):
    """Whom documents are sent to; nobody where both are empty."""

    to: list[str]
    cc: list[str]

    @property
    def all(self) -> list[str]:
        return [*self.to, *self.cc]


async def document_recipients(scope: Scope, customer: CustomerDetail, documents: Documents) -> Recipients:
    """Where documents of this kind go: to the billing e-mails, else the e-mails; a copy to the contacts that get them.

    Where the customer has no address of its own, the contacts are those that they are sent to.
    """
    own = customer.billing_emails or customer.emails
    found = await values(
        f"SELECT email FROM contact WHERE customer_id = :id AND gets_{documents.value} AND email <> '' AND :within"
        " ORDER BY id",
        id=customer.id,
        within=within(Contact, scope.actor.reach),
    )
    known = {address.casefold() for address in own}
    contacts = list({one.casefold(): one for one in found if one.casefold() not in known}.values())
    return Recipients(own, contacts) if own else Recipients(contacts, [])


async def find_customer(scope: Scope, typed: str, *, field: str = "customer") -> CustomerDetail:
    """The one customer that is meant by an id, a name, an e-mail or a login. Raises Invalid for none or several."""
    text = typed.strip()
    if text.isdecimal() and len(text) < 19:
        try:
            return await get_customer(scope, int(text))
        except NotFound:
            raise Invalid(_("There is no customer %(text)s.", text=text), field=field) from None
    found = await search_customers(scope, text, limit=3) if text else []
    if len(found) == 1:
        return await get_customer(scope, found[0].id)
    if not found:
        raise Invalid(_("Nobody is found by this. Type the id or the whole name."), field=field)
    names = ", ".join(f"{one.full_name} ({one.id})" for one in found[:2])
    if len(found) > 2:
        raise Invalid(_("Several are found: %(names)s and others. Type the id.", names=names), field=field)
    raise Invalid(_("Several are found: %(names)s. Type the id.", names=names), field=field)


_NOTE = "SELECT id, text, pinned, author, actor, created_at, updated_at, version FROM note"


async def list_notes(scope: Scope, customer_id: int, *, before: int | None = None, limit: int = 100) -> list[NoteRow]:
    """Pinned ones first, then the newest; `before` an id, the others that are older."""
    place = "AND NOT pinned AND id < :before" if before is not None else ""
    return await rows(
        NoteRow,
        f"{_NOTE} WHERE customer_id = :id AND :within {place} ORDER BY pinned DESC, id DESC LIMIT :limit",
        id=customer_id,
        within=within(Note, scope.actor.reach),
        limit=limit,
        **({"before": before} if before is not None else {}),
    )


async def get_note(scope: Scope, customer_id: int, note_id: int) -> NoteRow:
    """A note of this customer. Raises NotFound."""
    found = await row(
        NoteRow,
        f"{_NOTE} WHERE id = :note_id AND customer_id = :id AND :within",
        note_id=note_id,
        id=customer_id,
        within=within(Note, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"note {note_id} of customer {customer_id}")
    return found


async def list_statuses() -> list[StatusRow]:
    return await rows(StatusRow, "SELECT id, key, label, kind, colour, may_delete FROM status ORDER BY position, id")


async def list_next_statuses(key: str) -> list[StatusRow]:
    """The statuses that a customer with this one may go to."""
    return await rows(
        StatusRow,
        "SELECT t.id, t.key, t.label, t.kind, t.colour, t.may_delete FROM status_transition m"
        " JOIN status f ON f.id = m.from_id JOIN status t ON t.id = m.to_id"
        " WHERE f.key = :key ORDER BY t.position, t.id",
        key=key,
    )


class FilterValue(Struct, frozen=True):
    """Something that the list of customers can be filtered by: its column, and the value in address, words and row."""

    column: str
    key: str
    label: str
    id: int


async def list_filter_values() -> list[FilterValue]:
    """Statuses in their order, tags and locations by name."""
    return await rows(
        FilterValue,
        "SELECT 'status' AS \"column\", key, label, id, position AS place, '' AS name_key FROM status"
        " UNION ALL SELECT 'tags', CAST(id AS text), name, id, 0, name_key FROM tag"
        " UNION ALL SELECT 'location', CAST(id AS text), name, id, 0, name_key FROM location ORDER BY 1, 5, 6, 4",
    )


class RowTag(Struct, frozen=True):
    """A tag of one of several customers."""

    customer_id: int
    name: str
    colour: int

    def __str__(self) -> str:
        return self.name


async def list_tags_of(customer_ids: Sequence[int]) -> list[RowTag]:
    """The tags of customers that were found within reach, by name."""
    if not customer_ids:
        return []
    return await rows(
        RowTag,
        "SELECT customer_tag.customer_id, tag.name, tag.colour FROM customer_tag"
        " JOIN tag ON tag.id = customer_tag.tag_id WHERE customer_tag.customer_id IN :ids ORDER BY tag.name_key",
        ids=list(customer_ids),
    )


async def list_tags() -> list[TagRow]:
    return await rows(TagRow, "SELECT id, name, colour FROM tag ORDER BY name_key")


_TAG_USE = (
    "SELECT tag.id, tag.name, tag.colour,"
    " (SELECT count(*) FROM customer_tag WHERE customer_tag.tag_id = tag.id) AS customers FROM tag"
)


async def list_tag_uses() -> list[TagUse]:
    """All tags by name, with how many customers have each."""
    return await rows(TagUse, f"{_TAG_USE} ORDER BY tag.name_key")


async def get_tag(tag_id: int) -> TagUse:
    """Raises NotFound."""
    found = await row(TagUse, f"{_TAG_USE} WHERE tag.id = :id", id=tag_id)
    if found is None:
        raise NotFound(f"tag {tag_id}")
    return found


async def suggest_tags(typed: str, customer_id: int, *, limit: int = 8) -> list[TagRow]:
    """Tags with a word that begins so and that the customer does not have yet; nothing typed: all."""
    key = sort_key(typed)
    begins = "".join(f"~{one}" if one in "%_~" else one for one in key)
    return await rows(
        TagRow,
        "SELECT tag.id, tag.name, tag.colour FROM tag WHERE (name_key LIKE :begins ESCAPE '~'"
        " OR name_key LIKE :inside ESCAPE '~')"
        " AND NOT EXISTS (SELECT 1 FROM customer_tag WHERE tag_id = tag.id AND customer_id = :customer_id)"
        " ORDER BY CASE WHEN name_key LIKE :begins ESCAPE '~' THEN 0 ELSE 1 END, name_key LIMIT :limit",
        begins=f"{begins}%",
        inside=f"% {begins}%",
        customer_id=customer_id,
        limit=limit,
    )


async def list_customer_tags(customer_id: int) -> list[TagRow]:
    """The tags of a customer that was found within reach."""
    return await rows(
        TagRow,
        "SELECT tag.id, tag.name, tag.colour FROM customer_tag JOIN tag ON tag.id = customer_tag.tag_id"
        " WHERE customer_tag.customer_id = :id ORDER BY tag.name_key",
        id=customer_id,
    )


class LocationRow(Struct, frozen=True):
    id: int
    name: str


class _LocationOrLock(Struct, frozen=True):
    kind: str
    id: int
    name: str
    name_key: str


async def locations_and_lock(scope: Scope, customer_id: int) -> tuple[list[LocationRow], str]:
    """What a form of a customer's main data needs besides them, in one statement: the locations, and why the currency
    stays as it is (nothing where it can be another)."""
    others = (
        "EXISTS (SELECT 1 FROM customer WHERE payer_id = :customer_id OR (id = :customer_id AND payer_id IS NOT NULL))"
    )
    both = _("It pays for another customer, or another pays for it: both have one currency.")
    collected = scope.hooks.collect(hookspecs.collect_currency_locks, scope=scope)
    locks = [CurrencyLock(others, both), *(one for some in collected.values() for one in some)]
    cases = " ".join(f"WHEN ({one.sql}) THEN {at}" for at, one in enumerate(locks))
    found = await rows(
        _LocationOrLock,
        "SELECT 'location' AS kind, id, name, name_key FROM location"
        f" UNION ALL SELECT 'lock', CASE {cases} ELSE -1 END, '', '' ORDER BY 1, 4, 2",
        customer_id=customer_id,
    )
    locked = next(one.id for one in found if one.kind == "lock")
    return (
        [LocationRow(one.id, one.name) for one in found if one.kind == "location"],
        locks[locked].reason if locked >= 0 else "",
    )


async def list_locations() -> list[LocationRow]:
    return await rows(LocationRow, "SELECT id, name FROM location ORDER BY name_key, id")


_LOCATION_USE = (
    "SELECT location.id, location.name,"
    " (SELECT count(*) FROM customer WHERE location_id = location.id AND :within) AS customers FROM location"
)


async def list_location_uses(scope: Scope) -> list[LocationUse]:
    """All locations by name, with how many customers in reach are at each."""
    return await rows(
        LocationUse,
        f"{_LOCATION_USE} ORDER BY location.name_key, location.id",
        within=within(Customer, scope.actor.reach),
    )


async def get_location(location_id: int) -> LocationUse:
    """Raises NotFound."""
    found = await row(
        LocationUse, f"{_LOCATION_USE} WHERE location.id = :id", id=location_id, within=within(Customer, Everything())
    )
    if found is None:
        raise NotFound(f"location {location_id}")
    return found


async def lock_person(scope: Scope, customer_id: int) -> None:
    """Before something is written about a customer: who erases it waits for the end of this unit.

    Raises NotFound out of reach; Conflict where it is anonymised already, for nothing would ever erase what comes then.
    """
    found = await values(
        "SELECT anonymised_at IS NOT NULL FROM customer WHERE id = :id AND :within FOR KEY SHARE",
        id=customer_id,
        within=within(Customer, scope.actor.reach, write=True),
    )
    if not found:
        raise NotFound(f"customer {customer_id}")
    if found[0]:
        raise Conflict(_("This customer is anonymised and stays as it is."))


class FirstSteps(Struct, frozen=True):
    """Which steps towards the first invoice are done."""

    customers: bool


async def first_steps(scope: Scope) -> FirstSteps:
    found = await value("SELECT 1 FROM customer WHERE :within LIMIT 1", within=within(Customer, scope.actor.reach))
    return FirstSteps(customers=found is not None)


LOOKED_AT: Final = 200
"""Customers that are put in order for a text that many fit."""


async def search_customers(scope: Scope, text: str, *, limit: int) -> list[CustomerItem]:
    """Customers of whom each word of the text begins a word; the one whose id it is stands first.

    Of a text that fits more than `LOOKED_AT`, so many are looked at, whichever: who types on finds the right one, and
    nobody waits for a hundred thousand to be put in order.
    """
    search = customer_search(text)
    if search is None:
        return []
    if search.prepared is not None:
        search = await search.prepared(scope.actor.reach)
    number = int(text) if text.isdecimal() and len(text) <= 18 else 0
    place, found = (f"{search.source} {search.beside}", search.found) if search.source else ("customer", search.sql)
    newest = ""
    if search.looked and (search.about or 0) > RARE[dialect()]:  # the index would collect them all first
        found, newest = search.looked, f"ORDER BY {search.source_id} DESC"
    return await rows(
        CustomerItem,
        f"{ITEMS} WHERE :within AND customer.id IN (SELECT id FROM"
        f" (SELECT customer.id FROM {place} WHERE {found} AND :within {newest} LIMIT :looked_at) AS looked_at"
        " UNION SELECT customer.id FROM customer WHERE customer.id = :exact)"
        " ORDER BY CASE WHEN customer.id = :exact THEN 0 ELSE 1 END, customer.name_key, customer.id LIMIT :limit",
        within=within(Customer, scope.actor.reach),
        exact=number,
        limit=limit,
        looked_at=LOOKED_AT,
        **search.values,
    )
