"""Creating and changing customers, section by section."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import msgspec

from core import hookspecs
from core.activity.unit import record, unit_of_work
from core.clock import check_zone
from core.customers import queries
from core.customers.addresses import (
    check_country,
    check_currency,
    check_emails,
    check_language,
    check_phones,
    check_vat_id,
    grouped,
    why_not_joined_on,
)
from core.customers.events import (
    CustomerChanged,
    CustomerCreated,
)
from core.customers.schemas import AddressData, BillingData, MainData, Section
from core.customers.tables import Customer, Location
from core.database import execute, execute_many, scoped, value
from core.errors import Conflict, DomainError, FieldError, Invalid, Stale
from core.ids import sort_key
from core.money import format_money
from core.texts import N_, _, in_sentence

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from core.customers.schemas import CustomerDetail, NewCustomer
    from core.scope import Scope

UNTAXED: Final = frozenset({"exempt"})
"""Tax profiles that need a reason."""
KEPT_WHEN_EMPTY: Final = frozenset({"joined_on", "currency"})
ADDRESS_KINDS: Final = {"emails": "email", "billing_emails": "billing_email", "phones": "phone"}


@dataclass(slots=True)
class Cleaned:
    """Fields of a customer in the form that is stored: columns, and lists of (value, key) by kind of address."""

    columns: dict[str, Any] = field(default_factory=dict)
    addresses: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


async def create_customer(scope: Scope, data: NewCustomer) -> int:
    """A new customer with status New; gives its id. Raises Invalid naming every wrong field."""
    errors: list[FieldError] = []
    country = check_country(data.country or scope.tenant.country, "country", errors)
    cleaned = Cleaned(
        columns={
            "kind": data.kind,
            "full_name": _line(data.full_name),
            "company": _line(data.company),
            "login": data.login.strip(),
            "street": _line(data.street),
            "zip": _line(data.zip),
            "city": _line(data.city),
            "country": country,
            "currency": check_currency(data.currency or scope.tenant.currency, "currency", errors),
            "joined_on": data.joined_on or scope.today(),
            "external_ref": data.external_ref.strip(),
        }
    )
    if not sort_key(cleaned.columns["full_name"]):
        errors.append(FieldError("full_name", _("Fill this in.")))
    _check_joined_on(scope, cleaned.columns["joined_on"], errors)
    _clean_addresses(cleaned, {name: getattr(data, name) for name in ADDRESS_KINDS}, country, errors)
    async with unit_of_work(scope):
        errors.extend(await _taken(cleaned, None))
        if errors:
            raise Invalid(errors=errors)
        _add_keys(cleaned)
        customer = Customer(
            **{**_DEFAULTS, **cleaned.columns},
            status_id=await value("SELECT id FROM status WHERE key = 'new'"),
            created_at=scope.now(),
        )
        await customer.save()
        customer_id = int(customer.id)
        await _write_addresses(customer_id, cleaned.addresses)
        changes = {name: (None, new) for name, new in cleaned.columns.items() if new and not name.endswith("_key")}
        record(scope, CustomerCreated(customer_id=customer_id), changes=changes)
    return customer_id


_DEFAULTS: Final[dict[str, Any]] = {
    "company": "",
    "login": "",
    "login_key": "",
    "email_key": "",
    "phone_e164": "",
    "street": "",
    "zip": "",
    "city": "",
    "city_key": "",
    "country": "",
    "lat": None,
    "lon": None,
    "location_id": None,
    "partition_id": None,
    "parent_id": None,
    "parent_key": "",
    "payer_id": None,
    "status_reason": "hand",
    "billing_type": "recurring",
    "billing_day": None,
    "language": "",
    "time_zone": "",
    "vat_id": "",
    "tax_profile": "standard",
    "tax_reason": "",
    "terms_days": None,
    "grace_days": None,
    "minimum_balance_minor": 0,
    "never_block": False,
    "send_by": "email",
    "live_subscriptions": 0,
    "tags_key": "",
    "external_ref": "",
    "password_hash": "",
    "password_copy": "",
    "password_set_at": None,
    "anonymised_at": None,
    "version": 1,
}


async def change_customer(
    scope: Scope, customer_id: int, section: Section, *, version: int, seen: Mapping[str, Any] | None = None
) -> int:
    """Save one section; gives the new version. As `change_sections`."""
    return await change_sections(scope, customer_id, [section], version=version, seen=seen)


async def change_sections(
    scope: Scope,
    customer_id: int,
    sections: Sequence[Section],
    *,
    version: int,
    seen: Mapping[str, Any] | None = None,
) -> int:
    """Save sections in one go, all or none; gives the new version. Raises Invalid naming every wrong field.

    When somebody else saved the customer since `version` was read, fields that they did not touch are saved all the
    same if `seen` holds them as they were read, by name; fields that both changed raise Stale with both values of each.
    """
    async with unit_of_work(scope):
        await value("SELECT id FROM customer WHERE id = :id FOR UPDATE", id=customer_id)
        now = await queries.get_customer(scope, customer_id)
        if now.anonymised_at is not None:
            raise Conflict(_("This customer is anonymised and stays as it is."))
        wanted = {name: getattr(section, name) for section in sections for name in section.__struct_fields__}
        current = {name: getattr(now, name) for name in wanted}
        if now.version != version:
            wanted = _merged(wanted, current, seen, now.version)
        errors: list[FieldError] = []
        cleaned = _clean(scope, now, {type(section) for section in sections}, wanted, errors)
        if cleaned.columns.get("currency", now.currency) != now.currency:
            refusal = await currency_refusal(scope, now, cleaned.columns["currency"])
            if not refusal and now.minimum_balance_minor and BillingData not in map(type, sections):
                refusal = _(
                    "Its minimum balance is %(amount)s. Save what it is in the other currency with it, or set it to 0"
                    " first.",
                    amount=format_money(now.minimum_balance_minor, now.currency, scope.locale),
                )
            if refusal:
                errors.append(FieldError("currency", refusal))
        errors.extend(await _taken(cleaned, customer_id))
        if errors:
            raise Invalid(errors=errors)
        _add_keys(cleaned)
        changes = _differences(now, cleaned)
        if not changes:
            return now.version
        location_id = cleaned.columns["location_id"] if "location_id" in changes else None
        if location_id is not None and not await scoped(Location, scope).exists().where(Location.id == location_id):
            raise Invalid(_("Choose a location of the list."), field="location_id")
        cleaned.columns["version"] = now.version + 1
        columns = ", ".join(f"{name} = :{name}" for name in cleaned.columns)
        await execute(f"UPDATE customer SET {columns} WHERE id = :id", id=customer_id, **cleaned.columns)
        await _write_addresses(
            customer_id, {name: cleaned.addresses[name] for name in cleaned.addresses if name in changes}
        )
        record(scope, CustomerChanged(customer_id=customer_id), changes=changes)
        return now.version + 1


async def currency_refusal(scope: Scope, customer: CustomerDetail, currency: str) -> str:
    """Why a customer cannot have another currency; nothing where it can. Inside a unit of work."""
    _locations, locked = await queries.locations_and_lock(scope, customer.id)
    if locked:
        return locked
    try:
        await scope.hooks.validate(
            hookspecs.validate_customer_currency_change, scope=scope, customer_id=customer.id, currency=currency
        )
    except DomainError as error:
        return error.message
    return ""


def _merged(
    wanted: dict[str, Any], current: dict[str, Any], seen: Mapping[str, Any] | None, version: int
) -> dict[str, Any]:
    conflicts: dict[str, tuple[object, object]] = {}
    merged: dict[str, Any] = {}
    taken: set[str] = set()
    for name, mine in wanted.items():
        theirs = current[name]
        known = seen is not None and name in seen
        before = seen[name] if seen is not None and known else None
        if _same(mine, theirs) or (known and _same(theirs, before)):
            merged[name] = mine
        elif (known and _same(mine, before)) or (name in KEPT_WHEN_EMPTY and not mine):
            merged[name] = theirs
            taken.add(name)
        else:
            conflicts[name] = (theirs, mine)
    if conflicts:
        raise Stale(fields=conflicts, version=version, merged=taken)
    return merged


def _same(one: Any, other: Any) -> bool:
    return bool(msgspec.to_builtins(one) == msgspec.to_builtins(other))


def _clean(
    scope: Scope,
    now: CustomerDetail,
    sections: Collection[type[Section]],
    wanted: Mapping[str, Any],
    errors: list[FieldError],
) -> Cleaned:
    cleaned = Cleaned()
    columns = cleaned.columns
    country = now.country
    if AddressData in sections:
        columns.update({name: _line(wanted[name]) for name in ("street", "zip", "city")})
        country = columns["country"] = check_country(wanted["country"], "country", errors)
        columns["lat"], columns["lon"] = wanted["lat"], wanted["lon"]
        if (wanted["lat"] is None) != (wanted["lon"] is None):
            missing = "lat" if wanted["lat"] is None else "lon"
            errors.append(FieldError(missing, _("A point has a latitude and a longitude: give both, or none.")))
    country = country or scope.tenant.country
    if MainData in sections:
        columns.update({name: wanted[name] for name in ("kind", "location_id", "billing_type")})
        columns["login"] = wanted["login"].strip()
        columns["full_name"], columns["company"] = _line(wanted["full_name"]), _line(wanted["company"])
        if not sort_key(columns["full_name"]):
            errors.append(FieldError("full_name", _("Fill this in.")))
        columns["external_ref"] = wanted["external_ref"].strip()
        columns["joined_on"] = wanted["joined_on"] or now.joined_on
        if columns["joined_on"] != now.joined_on:
            _check_joined_on(scope, columns["joined_on"], errors)
        columns["currency"] = check_currency(wanted["currency"] or now.currency, "currency", errors)
        columns["language"] = check_language(wanted["language"], "language", errors)
        columns["time_zone"] = wanted["time_zone"]
        if wanted["time_zone"]:
            try:
                check_zone(wanted["time_zone"])
            except Invalid as error:
                errors.extend(error.errors)
        _clean_addresses(cleaned, wanted, country, errors)
    if BillingData in sections:
        names = [name for name in BillingData.__struct_fields__ if name != "vat_id"]
        columns.update({name: wanted[name] for name in names})
        columns["vat_id"] = check_vat_id(wanted["vat_id"], country, "vat_id", errors)
        columns["tax_reason"] = _line(wanted["tax_reason"]) if wanted["tax_profile"] in UNTAXED else ""
        if wanted["tax_profile"] in UNTAXED and not columns["tax_reason"]:
            errors.append(FieldError("tax_reason", why_untaxed()))
        told = any(error.field == "vat_id" for error in errors)
        if wanted["tax_profile"] == "reverse_charge" and not columns["vat_id"] and not told:
            errors.append(FieldError("vat_id", _("Reverse charge needs the customer's VAT id.")))
    return cleaned


def _check_joined_on(scope: Scope, day: date, errors: list[FieldError]) -> None:
    if refusal := why_not_joined_on(day, scope.today()):
        errors.append(FieldError("joined_on", refusal))


def why_untaxed() -> str:
    """What is said where the reason of an exemption is missing."""
    return _("Say why: the law, or the number of its certificate. It stands on the documents.")


def _clean_addresses(cleaned: Cleaned, wanted: Mapping[str, Any], country: str, errors: list[FieldError]) -> None:
    for name in ("emails", "billing_emails"):
        found = check_emails(wanted[name], name, errors)
        cleaned.addresses[name] = [(address, sort_key(address)) for address in found]
    cleaned.addresses["phones"] = check_phones(wanted["phones"], country, "phones", errors)
    cleaned.columns["email_key"] = cleaned.addresses["emails"][0][1] if cleaned.addresses["emails"] else ""
    cleaned.columns["phone_e164"] = cleaned.addresses["phones"][0][1] if cleaned.addresses["phones"] else ""


def _add_keys(cleaned: Cleaned) -> None:
    """Beside each text that is sorted or found by, its key (ledger.md)."""
    for name, key in (("full_name", "name_key"), ("login", "login_key"), ("city", "city_key")):
        if name in cleaned.columns:
            cleaned.columns[key] = sort_key(cleaned.columns[name])


def _line(text: str) -> str:
    return " ".join(text.split())


def _differences(now: CustomerDetail, cleaned: Cleaned) -> dict[str, tuple[object, object]]:
    changes: dict[str, tuple[object, object]] = {}
    for name, new in cleaned.columns.items():
        old = getattr(now, name, new)
        if old != new:
            changes[name] = (_shown(old), _shown(new))
    for name, pairs in cleaned.addresses.items():
        new_values = [shown for shown, _ in pairs]
        before = [grouped(one) for one in now.phones] if name == "phones" else getattr(now, name)
        if before != new_values:
            changes[name] = (", ".join(getattr(now, name)), ", ".join(new_values))
    return changes


def _shown(item: object) -> object:
    return item.isoformat() if isinstance(item, date) else item


async def _taken(cleaned: Cleaned, customer_id: int | None) -> list[FieldError]:
    """What another customer has already and may have alone."""
    errors: list[FieldError] = []
    for column, label in (("login", N_("Login")), ("external_ref", N_("Reference"))):
        wanted = cleaned.columns.get(column)
        if not wanted:
            continue
        key = "login_key" if column == "login" else column
        wanted = sort_key(wanted) if column == "login" else wanted
        other = await value(f"SELECT id FROM customer WHERE {key} = :wanted AND {key} <> ''", wanted=wanted)
        if other is not None and other != customer_id:
            told = _("Another customer has this %(label)s already. Choose another one.", label=in_sentence(_(label)))
            errors.append(FieldError(column, told))
    return errors


async def _write_addresses(customer_id: int, addresses: Mapping[str, list[tuple[str, str]]]) -> None:
    for name, pairs in addresses.items():
        kind = ADDRESS_KINDS[name]
        await execute(
            "DELETE FROM customer_address WHERE customer_id = :id AND kind = :kind", id=customer_id, kind=kind
        )
        if pairs:
            await execute_many(
                "INSERT INTO customer_address (customer_id, kind, position, value, value_key)"
                " VALUES (:customer_id, :kind, :position, :value, :value_key)",
                [
                    {"customer_id": customer_id, "kind": kind, "position": at, "value": shown, "value_key": key}
                    for at, (shown, key) in enumerate(pairs)
                ],
            )
