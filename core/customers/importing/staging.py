"""From a file to judged records, with the customers whom the tenant has already taken into account.

Reading goes on in a thread and validation in processes, while the records before are compared with the tenant's
customers and kept, or not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from babel import Locale
from msgspec import Struct

from core.customers.importing.profiles import SECRET, Layout
from core.customers.importing.profiles import Mapping as ColumnMapping
from core.customers.importing.records import Context, Finding, ImportedCustomer, ImportedTerms, Row
from core.customers.importing.report import Examination, Report, examine
from core.customers.importing.validating import Slice
from core.customers.importing.validators import Validators
from core.customers.queries import list_statuses
from core.database import insert_columns, rows
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

_TYPES: Final = {
    "batch_id": "bigint", "record": "bigint", "line": "bigint", "good": "boolean", "is_customer": "boolean",
    "lat": "double precision", "lon": "double precision", "billing_day": "integer", "joined_on": "date",
    "opening_minor": "bigint", "continues": "boolean", "terms_days": "integer", "grace_days": "integer",
    "minimum_balance_minor": "bigint", "never_block": "boolean",
}  # fmt: skip
"""Of columns that are not text."""
_PLAIN: Final = (
    "kind", "full_name", "name_key", "company", "login", "login_key", "external_ref", "email_key", "phone_e164",
    "street", "zip", "city", "city_key", "country", "lat", "lon", "location", "currency", "language", "vat_id",
    "tax_profile", "billing_day", "joined_on", "opening_minor", "opening_number", "note", "parent_ref",
)  # fmt: skip
_DEFAULTS: Final[dict[str, Any]] = {
    **dict.fromkeys(_PLAIN, ""),
    **dict.fromkeys(("lat", "lon", "billing_day", "joined_on")),
    **dict.fromkeys(("addresses", "tags", "children"), "[]"),
    "opening_minor": 0,
    "continues": False,
}
"""What the table puts where nothing is given; of other columns an empty text."""
_NO_TERMS: Final = ImportedTerms()
_TERMS: Final = tuple((name, attrgetter(name)) for name in ImportedTerms.__struct_fields__)
_DEFAULTS.update({name: read(_NO_TERMS) for name, read in _TERMS})
_ALWAYS: Final = frozenset({"batch_id", "record", "line", "name", "good", "is_customer"})
_NOBODY: Final = ImportedCustomer(
    **{name: _DEFAULTS[name] for name in _PLAIN}, status="", child_refs=(), addresses=(), contact=None, tags=()
)
"""Stands for the customer of a record that has none."""
_READ: Final = tuple((name, attrgetter(name)) for name in _PLAIN)


async def write_rows(batch_id: int, layout: Layout, records: Sequence[Record], judged: Sequence[Row]) -> None:
    """One slice, inside the unit of work that is open. Cells are kept of refused records alone, without secrets.

    Columns in which nothing stands are left to their defaults: most files fill half of them.
    """
    secret = frozenset(column.place for column in layout.columns if column.why_not == SECRET)
    staged = _staged(batch_id, records, judged, secret)
    many = len(judged)
    used = {
        name: column
        for name, column in staged.items()
        if name in _ALWAYS or column.count(_DEFAULTS.get(name, "")) < many
    }
    await insert_columns("import_row", used, _TYPES)


def _staged(
    batch_id: int, records: Sequence[Record], judged: Sequence[Row], secret: frozenset[int]
) -> dict[str, list[Any]]:
    """The columns of the staging table, each with a value for every row."""
    customers = [row.customer or _NOBODY for row in judged]
    staged: dict[str, list[Any]] = {
        "batch_id": [batch_id] * len(judged),
        "record": [row.record for row in judged],
        "line": [row.line for row in judged],
        "name": [row.name for row in judged],
        "good": [row.customer is not None or bool(row.services) for row in judged],
        "is_customer": [row.customer is not None for row in judged],
        "continues": [row.continues for row in judged],
        "services": [_json(row.services) if row.services else "" for row in judged],
        "more": [_json(row.more) if row.more else "" for row in judged],
        "errors": [_json(row.errors) if row.errors else "" for row in judged],
        "warnings": [_json(row.warnings) if row.warnings else "" for row in judged],
        **{name: list(map(read, customers)) for name, read in _READ},
        "addresses": [_addresses(one) if one.addresses else "[]" for one in customers],
        "tags": [_json([(tag, sort_key(tag)) for tag in one.tags]) if one.tags else "[]" for one in customers],
        "children": [_json([(ref,) for ref in one.child_refs]) if one.child_refs else "[]" for one in customers],
        "location_key": [sort_key(one.location) if one.location else "" for one in customers],
        "status_key": [one.status for one in customers],
    }
    if any(one.terms is not None for one in customers):
        terms = [one.terms or _NO_TERMS for one in customers]
        staged.update({name: list(map(read, terms)) for name, read in _TERMS})
    if any(one.contact is not None for one in customers):
        for name in ("first_name", "surname", "role", "email"):
            staged[f"contact_{name}"] = ["" if one.contact is None else getattr(one.contact, name) for one in customers]
    if any(row.errors for row in judged):
        by_number = {record.number: record.cells for record in records}
        staged["cells"] = [
            _json(["" if place in secret else cell for place, cell in enumerate(by_number[row.record])])
            if row.errors
            else ""
            for row in judged
        ]
    for at, row in enumerate(judged):
        if row.services and row.customer is None and not row.continues:
            staged["login_key"][at] = sort_key(row.services[0].customer_login)
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
