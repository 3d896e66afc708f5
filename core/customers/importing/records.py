"""What a file's records become: customers, their services, and what is wrong with them; it goes between processes."""

from __future__ import annotations

from datetime import date

from msgspec import Struct


class Context(Struct, frozen=True):
    """What of the tenant and of the mapping decides how cells are read."""

    country: str
    currency: str
    locale: str
    today: date
    statuses: frozenset[str] = frozenset({"new", "active", "blocked", "inactive", "closed", "cancelled", "terminated"})
    status: str = "new"
    spoken: str = "en"
    """The locale that what is wrong is told in."""
    plans: dict[str, str] = {}
    """Our products by the `sort_key` of the names the file may call them."""


class Finding(Struct, frozen=True, gc=False):
    """What is wrong, or worth a look, in one record."""

    record: int
    field: str
    """The column as the file names it; empty where the record as a whole is meant."""
    message: str
    line: int
    name: str
    """Of the customer, as far as it can be told."""
    value: str = ""


class ImportedService(Struct, frozen=True, gc=False):
    """A plan that the customer had in the other system. It is booked once its product is known here."""

    plan: str
    product: str = ""
    """Ours, empty where it has to be chosen."""
    price_minor: int | None = None
    currency: str = ""
    starts_on: date | None = None
    ends_on: date | None = None
    invoiced_from: date | None = None
    months: int = 0
    """0 where the file does not say."""
    in_arrears: bool = False
    login: str = ""
    ipv4: str = ""
    note: str = ""
    customer_login: str = ""
    """In files of services alone."""


class ImportedAddress(Struct, frozen=True, gc=False):
    """An e-mail, billing e-mail or phone."""

    kind: str
    value: str
    key: str


class ImportedContact(Struct, frozen=True, gc=False):
    """A person of the customer."""

    first_name: str
    surname: str
    role: str
    email: str


class ImportedTerms(Struct, frozen=True, gc=False):
    """How a customer is billed, under the names of its columns; what is not said is as a new customer has it."""

    billing_type: str = "recurring"
    time_zone: str = ""
    tax_reason: str = ""
    terms_days: int | None = None
    grace_days: int | None = None
    minimum_balance_minor: int = 0
    never_block: bool = False
    send_by: str = "email"


class ImportedCustomer(Struct, frozen=True, gc=False):
    """A customer as it will be created, with the keys it is found by."""

    full_name: str
    name_key: str
    kind: str
    company: str
    login: str
    login_key: str
    external_ref: str
    email_key: str
    phone_e164: str
    street: str
    zip: str
    city: str
    city_key: str
    country: str
    lat: float | None
    lon: float | None
    status: str
    currency: str
    language: str
    vat_id: str
    tax_profile: str
    billing_day: int | None
    joined_on: date
    location: str
    note: str
    opening_minor: int
    """Positive: credit of the customer."""
    opening_number: str
    parent_ref: str
    child_refs: tuple[str, ...]
    addresses: tuple[ImportedAddress, ...]
    contact: ImportedContact | None
    tags: tuple[str, ...]
    terms: ImportedTerms | None = None
    """None where the file has no column of them."""


class Row(Struct, frozen=True, gc=False):
    """What became of one record."""

    record: int
    line: int
    name: str
    customer: ImportedCustomer | None
    """None where it is refused, or is a service alone."""
    services: tuple[ImportedService, ...] = ()
    continues: bool = False
    """Its services belong to the customer above."""
    more: dict[str, str] = {}
    """Texts of fields of plugins."""
    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
