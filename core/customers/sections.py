"""The sections of a customer's page as fields: read, edited, and as they were typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from babel import Locale

from core.customers.addresses import split_list
from core.customers.schemas import AddressData, BillingData, CustomerDetail, MainData
from core.customers.schemas import Section as SectionData
from core.errors import Stale
from core.web.forms import from_form
from core.web.parts import Choice, Conflict, Difference, Field, FieldGroup, Section
from core.web.templating import written

STRUCTS: Final[dict[str, type[SectionData]]] = {"main": MainData, "address": AddressData, "billing": BillingData}
TITLES: Final = {"main": "Main data", "address": "Address", "billing": "Billing settings"}

LABELS: Final = {
    "kind": "Kind",
    "full_name": "Full name",
    "company": "Company",
    "login": "Login",
    "emails": "E-mails",
    "billing_emails": "Billing e-mails",
    "phones": "Phones",
    "joined_on": "Date added",
    "location_id": "Location",
    "language": "Language",
    "time_zone": "Time zone",
    "street": "Street",
    "zip": "ZIP",
    "city": "City",
    "country": "Country",
    "currency": "Currency",
    "billing_type": "Billing type",
    "billing_day": "Billing day",
    "terms_days": "Payment terms",
    "grace_days": "Grace",
    "never_block": "Never block",
    "send_by": "Documents by",
    "tax_profile": "Tax",
    "vat_id": "VAT id",
    "status": "Status",
    "external_ref": "Reference",
}
KINDS: Final = (Choice("person", "Person"), Choice("company", "Company"))
BILLING_TYPES: Final = (Choice("recurring", "Recurring"), Choice("prepaid", "Prepaid"))
SEND_BY: Final = (Choice("email", "E-mail, PDF attached"), Choice("post", "Post"), Choice("none", "Not sent"))
TAX: Final = (
    Choice("standard", "As in its country"),
    Choice("reverse_charge", "Reverse charge"),
    Choice("exempt", "Exempt"),
    Choice("outside", "Outside scope"),
)
LISTS: Final = frozenset({"emails", "billing_emails", "phones"})


def country_choices(locale: str) -> tuple[Choice, ...]:
    """Every country by its name in the language, none first."""
    names = Locale.parse(locale.replace("-", "_")).territories
    found = sorted(
        (str(name), code) for code, name in names.items() if len(code) == 2 and code.isalpha() and code < "ZZ"
    )
    return (Choice("", "None"), *(Choice(code, name) for name, code in found))


def fields_of(customer: CustomerDetail, key: str, locale: str, locations: Sequence[Choice] = ()) -> list[Field]:
    """The section's fields with the customer's values."""
    shown = _shown(customer)
    if key == "main":
        return [
            _field("full_name", shown, required=True, max_length=200),
            _field("company", shown, max_length=200),
            _field("kind", shown, kind="select", choices=KINDS),
            _field("login", shown, max_length=60),
            _field("emails", shown, kind="textarea", help="Several: a comma between"),
            _field("billing_emails", shown, kind="textarea", help="Invoices go here; none: to the e-mails"),
            _field("phones", shown, kind="textarea", help="Several: a comma between"),
            _field("joined_on", shown, kind="date", read=written(customer.joined_on, locale)),
            _field("location_id", shown, kind="select", choices=(Choice("", "None"), *locations)),
            _field("language", shown, help="Code of two letters; none: the operator's"),
            _field("time_zone", shown, help="None: the operator's"),
        ]
    if key == "address":
        return [
            _field("street", shown, max_length=200),
            _field("country", shown, kind="select", choices=country_choices(locale)),
            _field("zip", shown, max_length=60),
            _field("city", shown, max_length=200),
        ]
    terms = "As the tenant says" if customer.terms_days is None else f"{customer.terms_days} days"
    grace = "As the tenant says" if customer.grace_days is None else f"{customer.grace_days} days after due"
    return [
        _field("billing_type", shown, kind="select", choices=BILLING_TYPES),
        _field(
            "billing_day",
            shown,
            kind="number",
            help="1 to 31; none: the day of joining",
            read=_day(customer.billing_day),
        ),
        _field("terms_days", shown, kind="number", help="Days; none: as the tenant says", read=terms),
        _field("grace_days", shown, kind="number", help="Days; none: as the tenant says", read=grace),
        _field("never_block", shown, kind="check", help="Not blocked for late payment"),
        _field("send_by", shown, kind="select", choices=SEND_BY),
        _field("tax_profile", shown, kind="select", choices=TAX),
        _field("vat_id", shown, max_length=60),
    ]


def _day(day: int | None) -> str:
    if day is None:
        return "Day of joining"
    ending = "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending} of the month"


def _field(
    name: str,
    shown: Mapping[str, str],
    *,
    kind: str = "text",
    choices: Sequence[Choice] = (),
    required: bool = False,
    help: str = "",
    max_length: int = 0,
    read: str = "",
) -> Field:
    return Field(
        name=name,
        label=LABELS[name],
        value=shown[name],
        shown=read,
        kind=kind,
        choices=choices,
        required=required,
        help=help,
        max_length=max_length,
    )


def _shown(customer: CustomerDetail) -> dict[str, str]:
    return {
        name: text_of(getattr(customer, name))
        for name in (*MainData.__struct_fields__, *AddressData.__struct_fields__, *BillingData.__struct_fields__)
    }


def text_of(value: object) -> str:
    """A field's value as its control holds it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def section_of(
    customer: CustomerDetail, key: str, locale: str, *, editable: bool, locations: Sequence[Choice] = ()
) -> Section:
    struct = STRUCTS[key]
    seen = {name: msgspec.to_builtins(getattr(customer, name)) for name in struct.__struct_fields__}
    return Section(
        key=key,
        title=TITLES[key],
        href=f"/customers/{customer.id}/sections/{key}",
        fields=fields_of(customer, key, locale, locations),
        version=customer.version,
        editable=editable,
        seen=msgspec.json.encode(seen).decode(),
    )


def typed_section(key: str, typed: Mapping[str, Sequence[str]]) -> SectionData:
    """What was typed into a section. Lists of addresses were one text with commas. Raises Invalid."""
    struct = STRUCTS[key]
    given = {
        name: split_list(texts[-1]) if name in LISTS else texts
        for name, texts in typed.items()
        if name not in ("version", "seen")
    }
    return from_form(struct, given)


def conflict_of(error: Stale, fields: Sequence[Field], by: str, at: Any) -> Conflict:
    """What somebody else saved meanwhile, beside what was typed."""
    by_name = {field.name: field for field in fields}
    return Conflict(
        by=by,
        at=at,
        differences=[
            Difference(
                field=name,
                label=LABELS[name],
                theirs=text_of(theirs),
                yours=text_of(yours),
                theirs_shown=_read(by_name[name], text_of(theirs)),
                yours_shown=_read(by_name[name], text_of(yours)),
            )
            for name, (theirs, yours) in error.fields.items()
        ],
    )


def _read(field: Field, text: str) -> str:
    return next((choice.label for choice in field.choices if choice.value == text), text)


def new_customer_groups(locale: str, country: str, currency: str) -> list[FieldGroup]:
    """The form for a new customer."""

    def field(name: str, **options: Any) -> Field:
        return Field(name=name, label=LABELS[name], **options)

    return [
        FieldGroup(
            key="who",
            title="Who",
            fields=[
                field("full_name", required=True, max_length=200, autocomplete="off"),
                field("company", max_length=200),
                field("kind", kind="select", value="person", choices=KINDS),
                field("login", max_length=60, help="For the portal; may wait"),
            ],
        ),
        FieldGroup(
            key="reach",
            title="How to reach",
            fields=[
                field("emails", help="Several: a comma between"),
                field("billing_emails", help="Invoices go here; none: to the e-mails"),
                field("phones", help="Several: a comma between"),
            ],
        ),
        FieldGroup(
            key="where",
            title="Where",
            fields=[
                field("street", max_length=200),
                field("zip", max_length=60),
                field("city", max_length=200),
                field("country", kind="select", value=country, choices=country_choices(locale)),
                field("currency", value=currency, max_length=3, help="Of its invoices; cannot be changed later"),
            ],
        ),
    ]
