"""From a file to judged records, with the customers whom the tenant has already taken into account.

Reading goes on in a thread and validation in processes, while the records before are compared with the tenant's
customers and kept, or not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from babel import Locale
from msgspec import Struct

from core.customers.importing.profiles import SECRET, Layout
from core.customers.importing.profiles import Mapping as ColumnMapping
from core.customers.importing.report import Examination, Report, examine
from core.customers.importing.validating import Context, Finding, ImportedCustomer, Row, Slice
from core.customers.importing.validators import Validators
from core.customers.queries import list_statuses
from core.database import dialect, execute, execute_many, rows
from core.ids import sort_key
from core.lists.reading import Record
from core.texts import N_, _, locale_now

if TYPE_CHECKING:
    from core.scope import Scope

SLICE: Final = 1000
"""Records that are kept in one commit. Two full ones are worth starting processes for."""
IN_FLIGHT: Final = 6
"""Slices that are read ahead: what bounds the memory."""

Keep = Callable[[Sequence[Record], Sequence[Row], Layout], Awaitable[None]]
Told = Callable[[int], Awaitable[None]]


async def judge_file(
    scope: Scope,
    path: Path,
    mapping: ColumnMapping,
    *,
    name: str,
    plans: Mapping[str, str],
    keep: Keep | None = None,
    told: Told | None = None,
) -> Report:
    """Read and judge a whole file. `keep` gets each slice with its rows, `told` how many records have been read."""
    examination = await asyncio.to_thread(examine, path, mapping, name=name)
    context = await context_of(scope, mapping, plans)
    pieces = examination.table.slices(SLICE)
    waiting: deque[tuple[list[Record], asyncio.Future[list[Row]]]] = deque()
    first = await asyncio.to_thread(next, pieces, None)
    second = await asyncio.to_thread(next, pieces, None) if first is not None else None
    ahead = deque(piece for piece in (first, second) if piece is not None)
    many = sum(map(len, ahead)) == 2 * SLICE
    examination.sample(first or ())
    ended = False
    async with Validators(many=many) as validators:
        while True:
            while len(waiting) < IN_FLIGHT and not ended:
                piece = ahead.popleft() if ahead else await asyncio.to_thread(next, pieces, None)
                if piece is None:
                    ended = True
                else:
                    waiting.append((piece, validators.ask(Slice(examination.layout, context, piece))))
            if not waiting:
                break
            records, answer = waiting.popleft()
            judged = await _against_tenant(examination, examination.gather(await answer))
            examination.count(judged)
            if keep is not None:
                await keep(records, judged, examination.layout)
            if told is not None:
                await told(records[-1].number)
    return examination.finish()


async def context_of(scope: Scope, mapping: ColumnMapping, plans: Mapping[str, str]) -> Context:
    """What of the tenant decides how cells are read."""
    tenant = scope.tenant
    country = mapping.country if mapping.country is not None else tenant.country
    return Context(
        country=country,
        currency=mapping.currency or tenant.currency,
        locale=_locale(tenant.language, country),
        today=scope.today(),
        spoken=locale_now(),
        statuses=frozenset(status.key for status in await list_statuses()),
        status=mapping.status,
        plans={sort_key(theirs): ours for theirs, ours in {**plans, **mapping.plans}.items()},
    )


def _locale(language: str, country: str) -> str:
    """What decides 1.249: the country's way of writing numbers, where its language is known."""
    for name in (f"{language}_{country}", _languages_of(country), language):
        if name and Locale.negotiate([name], ["de", "de_AT", "de_CH", "en", "fr", "es", "it", "nl", "pl", "pt"]):
            return name
    return "en"


def _languages_of(country: str) -> str:
    return {"DE": "de", "AT": "de_AT", "CH": "de_CH", "FR": "fr", "ES": "es", "IT": "it", "NL": "nl", "PL": "pl"}.get(
        country, ""
    )


class _Known(Struct, frozen=True):
    key: str
    id: int


async def _against_tenant(examination: Examination, judged: list[Row]) -> list[Row]:
    """The same rows, with those refused that would be a customer who is here already."""
    layout = examination.layout
    if layout.profile.subject == "services":
        return await _with_their_customers(layout, judged)
    customers = [row.customer for row in judged if row.customer is not None]
    here: dict[str, dict[str, int]] = {}
    for field, column, keys in (
        ("login", "login_key", [c.login_key for c in customers if c.login_key]),
        ("external_ref", "external_ref", [c.external_ref for c in customers if c.external_ref]),
        ("email", "email_key", [c.email_key for c in customers if c.email_key and _known_by_email(layout, c)]),
    ):
        here[field] = await _find(column, keys)
    if not any(here.values()):
        return judged
    return [_refused_if_here(layout, row, here) for row in judged]


def _known_by_email(layout: Layout, customer: ImportedCustomer) -> bool:
    return layout.profile.identity == "email" or not (customer.login_key or customer.external_ref)


def _refused_if_here(layout: Layout, row: Row, here: Mapping[str, Mapping[str, int]]) -> Row:
    customer = row.customer
    if customer is None:
        return row
    keys = {"login": customer.login_key, "external_ref": customer.external_ref}
    if _known_by_email(layout, customer):
        keys["email"] = customer.email_key
    told = {
        "login": N_("Customer %(id)s has the same login."),
        "external_ref": N_("Customer %(id)s has the same number."),
        "email": N_("Customer %(id)s has the same e-mail."),
    }
    for field, key in keys.items():
        if key and key in here[field]:
            message = _(told[field], id=here[field][key])
            found = Finding(row.record, next(iter(layout.names_of(field)), ""), message, row.line, row.name, key)
            return msgspec.structs.replace(row, customer=None, services=(), errors=(*row.errors, found))
    return row


async def _with_their_customers(layout: Layout, judged: list[Row]) -> list[Row]:
    """Services of customers who are not here yet are worth a look: they wait for them."""
    wanted = {sort_key(service.customer_login) for row in judged for service in row.services}
    here = await _find("login_key", sorted(wanted))
    column = next(iter(layout.names_of("customer_login")), "")
    found = []
    for row in judged:
        for service in row.services:
            if sort_key(service.customer_login) not in here:
                message = _(
                    "There is no customer with the login “%(login)s” yet. The service waits for one.",
                    login=service.customer_login,
                )
                told = Finding(row.record, column, message, row.line, row.name, service.customer_login)
                row = msgspec.structs.replace(row, warnings=(*row.warnings, told))
        found.append(row)
    return found


async def _find(column: str, keys: Sequence[str]) -> dict[str, int]:
    if not keys:
        return {}
    sql = f"SELECT {column} AS key, id FROM customer WHERE {column} IN :keys AND {column} <> ''"
    return {known.key: known.id for known in await rows(_Known, sql, keys=list(keys))}


# Into the staging tables

_COLUMNS: Final = (
    "batch_id", "record", "line", "name", "good", "is_customer", "kind", "full_name", "name_key", "company", "login",
    "login_key", "external_ref", "email_key", "phone_e164", "street", "zip", "city", "city_key", "country", "lat",
    "lon", "location", "location_key", "status_key", "currency", "language", "vat_id", "tax_profile", "billing_day",
    "joined_on", "opening_minor", "note", "contact_first_name", "contact_surname", "contact_role", "contact_email",
    "parent_ref", "addresses", "tags", "children", "services", "errors", "warnings", "cells", "continues",
    "opening_number", "more",
)  # fmt: skip
_TYPES: Final = {
    "batch_id": "bigint", "record": "bigint", "line": "bigint", "good": "boolean", "is_customer": "boolean",
    "lat": "double precision", "lon": "double precision", "billing_day": "integer", "joined_on": "date",
    "opening_minor": "bigint", "continues": "boolean",
}  # fmt: skip
"""Of columns that are not text."""
_ALWAYS: Final = frozenset({"name", "good", "is_customer"})
_EMPTY: Final = frozenset({"", "[]", None})
_NOTHING: Final[dict[str, Any]] = (
    {name: "" for name in _COLUMNS if name not in {"lat", "lon", "billing_day", "joined_on", "opening_minor"}}
    | {"lat": None, "lon": None, "billing_day": None, "joined_on": None, "opening_minor": 0, "continues": False}
    | dict.fromkeys(("addresses", "tags", "children"), "[]")
)
_PLAIN: Final = (
    "kind", "full_name", "name_key", "company", "login", "login_key", "external_ref", "email_key", "phone_e164",
    "street", "zip", "city", "city_key", "country", "lat", "lon", "location", "currency", "language", "vat_id",
    "tax_profile", "billing_day", "joined_on", "opening_minor", "opening_number", "note", "parent_ref",
)  # fmt: skip


async def write_rows(batch_id: int, layout: Layout, records: Sequence[Record], judged: Sequence[Row]) -> None:
    """One slice, inside the unit of work that is open. Cells are kept of refused records alone, without secrets."""
    secret = frozenset(column.place for column in layout.columns if column.why_not == SECRET)
    by_number = {record.number: record for record in records}
    await _insert([_staged(batch_id, row, by_number[row.record], secret) for row in judged])


async def _insert(staged: Sequence[Mapping[str, Any]]) -> None:
    """Row after row on SQLite; on PostgreSQL in one statement, a list for each column, which is ten times as fast.
    Columns in which nothing stands are left to their defaults: most files fill half of them.
    """
    used = [name for name in _COLUMNS if name in _ALWAYS or any(_says(each[name]) for each in staged)]
    head = f"INSERT INTO import_row ({', '.join(used)})"
    if dialect() == "sqlite":
        await execute_many(f"{head} VALUES ({', '.join(f':{name}' for name in used)})", staged)
        return
    lists = ", ".join(f":{name}::{_TYPES.get(name, 'text')}[]" for name in used)
    await execute(f"{head} SELECT * FROM unnest({lists})", **{name: [each[name] for each in staged] for name in used})


def _says(value: object) -> bool:
    """Whether it is something else than its column's default."""
    return value is not False and value not in _EMPTY


def _staged(batch_id: int, row: Row, record: Record, secret: frozenset[int]) -> dict[str, Any]:
    customer = row.customer
    good = customer is not None or bool(row.services)
    staged = dict(_NOTHING)
    staged |= {
        "batch_id": batch_id,
        "record": row.record,
        "line": row.line,
        "name": row.name,
        "good": good,
        "is_customer": customer is not None,
        "continues": row.continues,
        "services": _json(row.services) if row.services else "",
        "more": _json(row.more) if row.more else "",
        "errors": _json(row.errors) if row.errors else "",
        "warnings": _json(row.warnings) if row.warnings else "",
    }
    if row.errors:
        staged["cells"] = _json(["" if place in secret else cell for place, cell in enumerate(record.cells)])
    if customer is None and row.services and not row.continues:
        staged["login_key"] = sort_key(row.services[0].customer_login)
    if customer is not None:
        for name in _PLAIN:
            staged[name] = getattr(customer, name)
        staged["addresses"] = _addresses(customer) if customer.addresses else "[]"
        staged["tags"] = _json([(tag, sort_key(tag)) for tag in customer.tags]) if customer.tags else "[]"
        staged["children"] = _json([(ref,) for ref in customer.child_refs]) if customer.child_refs else "[]"
        staged["location_key"] = sort_key(customer.location) if customer.location else ""
        staged["status_key"] = customer.status
        if customer.contact is not None:
            staged["contact_first_name"] = customer.contact.first_name
            staged["contact_surname"] = customer.contact.surname
            staged["contact_role"] = customer.contact.role
            staged["contact_email"] = customer.contact.email
    return staged


def _addresses(customer: ImportedCustomer) -> str:
    """Kind, position, value and key of each."""
    places: dict[str, int] = {}
    listed = []
    for address in customer.addresses:
        position = places[address.kind] = places.get(address.kind, -1) + 1
        listed.append((address.kind, position, address.value, address.key))
    return _json(listed)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
