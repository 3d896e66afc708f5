"""The sections of a customer's page as fields: read, edited, and as they were typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from babel import Locale, UnknownLocaleError
from msgspec import UNSET, Struct

from core.customers.addresses import check_currency, grouped, split_list
from core.customers.schemas import LOGIN_LENGTH, STREET_LENGTH, AddressData, BillingData, CustomerDetail, MainData
from core.customers.schemas import Section as SectionData
from core.errors import FieldError, Invalid, Stale
from core.money import format_money
from core.texts import N_, _, ngettext, ordinal, pgettext
from core.web import choices
from core.web.amounts import amount_text, typed_amount
from core.web.forms import from_form
from core.web.parts import Choice, Conflict, Difference, Field, FieldGroup, Section, spoken
from core.web.templating import written

if TYPE_CHECKING:
    from core.scope import Scope

STRUCTS: Final[dict[str, type[SectionData]]] = {"main": MainData, "address": AddressData, "billing": BillingData}
TITLES: Final = {"main": N_("Main data"), "address": N_("Address"), "billing": N_("Billing settings")}

LABELS: Final = {
    "kind": N_("Kind"),
    "full_name": N_("Full name"),
    "company": N_("Company"),
    "login": N_("Login"),
    "emails": N_("E-mails"),
    "billing_emails": N_("Billing e-mails"),
    "phones": N_("Phones"),
    "joined_on": N_("Date added"),
    "location_id": N_("Location"),
    "language": N_("Language"),
    "time_zone": N_("Time zone"),
    "street": N_("Street"),
    "zip": N_("ZIP"),
    "city": N_("City"),
    "country": N_("Country"),
    "lat": N_("Latitude"),
    "lon": N_("Longitude"),
    "currency": N_("Currency"),
    "billing_type": N_("Billing type"),
    "billing_day": N_("Billing day"),
    "terms_days": N_("Payment terms"),
    "grace_days": N_("Grace"),
    "minimum_balance_minor": N_("Minimum balance"),
    "never_block": N_("Never block"),
    "send_by": N_("Documents by"),
    "tax_profile": N_("Tax"),
    "tax_reason": N_("Reason"),
    "vat_id": N_("VAT id"),
    "status": N_("Status"),
    "new_email": N_("New e-mail"),
    "external_ref": N_("Reference"),
}
KINDS: Final = (Choice("person", N_("Person")), Choice("company", N_("Company")))
BILLING_TYPES: Final = (Choice("recurring", N_("Recurring")), Choice("prepaid", N_("Prepaid")))
SEND_BY: Final = (
    Choice("email", N_("E-mail, PDF attached")),
    Choice("post", N_("Post")),
    Choice("none", N_("Not sent")),
)
TAX: Final = (
    Choice("standard", N_("As in its country")),
    Choice("reverse_charge", N_("Reverse charge")),
    Choice("exempt", N_("Exempt")),
    Choice("outside", N_("Outside scope")),
)
LISTS: Final = frozenset({"emails", "billing_emails", "phones"})
AMOUNTS: Final = frozenset({"minimum_balance_minor"})


def country_choices(locale: str) -> tuple[Choice, ...]:
    """Every country by its name in the language, none first."""
    return (Choice("", _("None")), *choices.countries(locale))


def language_choices(scope: Scope, now: str = "") -> tuple[Choice, ...]:
    """Every language by its name in the language that is spoken; none, the operator's, first. `now` stays one."""
    operators = _as_the_operator(language_name(scope.tenant.language, scope.locale))
    return (Choice("", operators), *choices.kept(choices.languages(scope.locale), now))


def zone_choices(scope: Scope, now: str = "") -> tuple[Choice, ...]:
    """Time zones; none, the operator's, first. `now` stays one."""
    return (Choice("", _as_the_operator(scope.tenant.time_zone)), *choices.kept(choices.time_zones(), now))


def currency_choices(locale: str, now: str) -> tuple[Choice, ...]:
    """Currencies that a country pays with today. `now` stays one."""
    return choices.kept(choices.currencies(locale), now)


def language_name(code: str, locale: str) -> str:
    """A language, with its country where it has one: "Portuguese (Brazil)"."""
    return str(Locale.parse(code, sep="-").get_display_name(_babel(locale)) or code) if _is_locale(code) else code


def _is_locale(code: str) -> bool:
    try:
        Locale.parse(code, sep="-")
    except (ValueError, UnknownLocaleError):
        return False
    return True


def _as_the_operator(value: str) -> str:
    return _("%(value)s, as the operator", value=value)


def _babel(locale: str) -> str:
    return locale.replace("-", "_")


def fields_of(
    scope: Scope, customer: CustomerDetail, key: str, locations: Sequence[Choice] = (), *, currency_refused: str = ""
) -> list[Field]:
    """The section's fields with the customer's values. With a reason its currency is read, not edited."""
    shown = _shown(customer)
    locale = scope.locale
    if key == "main":
        languages, zones = language_choices(scope, customer.language), zone_choices(scope, customer.time_zone)
        return [
            _field("full_name", shown, required=True, max_length=200),
            _field("company", shown, max_length=200),
            _field("kind", shown, kind="select", choices=spoken(KINDS)),
            _field("login", shown, max_length=LOGIN_LENGTH, help=_("For the portal")),
            Field(name="password", label=_("Password"), kind="read", part="customers/_password.html"),
            _field("emails", shown, kind="textarea", help=_("Several: a comma between")),
            _field("billing_emails", shown, kind="textarea", help=_("Invoices go here; none: to the e-mails")),
            _field(
                "phones",
                shown,
                kind="textarea",
                help=_("Several: a comma between; with + or as in its country"),
                read=", ".join(grouped(one) for one in customer.phones),
            ),
            _field("joined_on", shown, kind="date", read=written(customer.joined_on, locale)),
            Field(name="shared", label=_("Also with"), kind="read", part="customers/_shared.html", only_edited=True),
            _field("location_id", shown, kind="select", choices=(Choice("", _("None")), *locations)),
            _field("external_ref", shown, max_length=100, help=_("Its number in another system")),
            _field("billing_type", shown, kind="select", choices=spoken(BILLING_TYPES)),
            _field(
                "currency",
                shown,
                kind="read" if currency_refused else "select",
                choices=currency_choices(locale, customer.currency),
                help=currency_refused,
            ),
            _field(
                "language",
                shown,
                kind="select",
                choices=languages,
                read=language_name(customer.language, locale) if customer.language else languages[0].label,
            ),
            _field("time_zone", shown, kind="select", choices=zones, read="" if customer.time_zone else zones[0].label),
        ]
    if key == "address":
        return [
            _field("street", shown, max_length=STREET_LENGTH),
            _field("country", shown, kind="select", choices=country_choices(locale)),
            _field("zip", shown, max_length=60),
            _field("city", shown, max_length=200),
            _field("lat", shown, help=_("Degrees, south with a minus: 52.84417")),
            _field("lon", shown, help=_("Degrees, west with a minus: -9.43092")),
        ]
    terms, grace = _("As in the settings"), pgettext("grace", "None")
    if customer.terms_days is not None:
        terms = ngettext("%(num)s day", "%(num)s days", customer.terms_days)
    if customer.grace_days is not None:
        grace = ngettext("%(num)s day more", "%(num)s days more", customer.grace_days)
    return [
        _field("terms_days", shown, kind="number", help=_("Days; none: as in the settings"), read=terms),
        _field("grace_days", shown, kind="number", help=_("Days more until dunning blocks; none: 0"), read=grace),
        _field(
            "minimum_balance_minor",
            shown,
            kind="money",
            help=_("What is prepaid is renewed, and dunning blocks nobody, down to it; −50: a credit limit of 50"),
            read=format_money(customer.minimum_balance_minor, customer.currency, locale),
        ),
        _field("never_block", shown, kind="check", help=_("Not blocked for late payment")),
        _field("send_by", shown, kind="select", choices=spoken(SEND_BY)),
        _field(
            "billing_day",
            shown,
            kind="number",
            help=_("1 to 31; none: the day of joining"),
            read=_day(customer.billing_day),
        ),
        _field(
            "vat_id",
            shown,
            max_length=60,
            help=_("With or without the country's letters; its digits are checked"),
            part="customers/_vat_id.html",
        ),
        _field(
            "tax_profile",
            shown,
            kind="select",
            choices=spoken(TAX),
            help=_("A company of another EU country: as in its country, and a check of its VAT id (VIES) beside it"),
        ),
        _field("tax_reason", shown, max_length=200, help=_("Where it is exempt: stands on its documents")),
    ]


def _day(day: int | None) -> str:
    if day is None:
        return _("Day of joining")
    return _("%(day)s of the month", day=ordinal(day))


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
    part: str = "",
) -> Field:
    return Field(
        name=name,
        label=_(LABELS[name]),
        value=shown[name],
        shown=read,
        kind=kind,
        choices=choices,
        required=required,
        help=help,
        max_length=max_length,
        part=part,
    )


def _shown(customer: CustomerDetail) -> dict[str, str]:
    return {
        name: _sent(name, getattr(customer, name), customer.currency)
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


def _sent(name: str, value: Any, currency: str) -> str:
    return amount_text(value, currency) if name in AMOUNTS else text_of(value)


def section_of(
    scope: Scope,
    customer: CustomerDetail,
    key: str,
    locations: Sequence[Choice] = (),
    *,
    editable: bool,
    currency_refused: str = "",
) -> Section:
    struct = STRUCTS[key]
    seen = {name: msgspec.to_builtins(getattr(customer, name)) for name in struct.__struct_fields__}
    return Section(
        key=key,
        title=_(TITLES[key]),
        href=f"/customers/{customer.id}/sections/{key}",
        fields=fields_of(scope, customer, key, locations, currency_refused=currency_refused),
        version=customer.version,
        editable=editable and customer.anonymised_at is None,
        refused=_("It is anonymised already") if editable and customer.anonymised_at is not None else "",
        seen=msgspec.json.encode(seen).decode(),
    )


def typed_section(key: str, typed: Mapping[str, Sequence[str]], currency: str, locale: str) -> SectionData:
    """What was typed into a section. Lists of addresses were one text with commas, amounts are in the currency. Raises
    Invalid."""
    given: dict[str, Sequence[str]] = {}
    errors: list[FieldError] = []
    for name, texts in typed.items():
        if name in LISTS:
            given[name] = split_list(texts[-1])
        elif name in AMOUNTS:
            try:
                given[name] = [str(typed_amount(texts[-1], currency, locale, least=None) if texts[-1].strip() else 0)]
            except Invalid as error:
                given[name] = ["0"]
                errors.append(FieldError(name, error.message))
        elif name not in ("version", "seen"):
            given[name] = texts
    try:
        data = from_form(STRUCTS[key], given)
    except Invalid as error:
        raise Invalid(errors=[*error.errors, *errors]) from None
    if errors:
        raise Invalid(errors=errors)
    return data


def typed_all(typed: Mapping[str, Sequence[str]], currency: str, locale: str) -> list[SectionData]:
    """What was typed into all sections at once, amounts in the currency that is typed too, else in this one. Raises
    Invalid with the wrong fields of every one."""
    wrong: list[FieldError] = []
    chosen = check_currency("".join(typed.get("currency", ())[-1:]) or currency, "currency", wrong)
    currency = currency if wrong else chosen
    known = {name: key for key, struct in STRUCTS.items() for name in struct.__struct_fields__}
    parts: dict[str, dict[str, Sequence[str]]] = {key: {} for key in STRUCTS}
    for name, texts in typed.items():
        if name not in ("version", "seen"):
            parts[known.get(name, "main")][name] = texts
    sections: list[SectionData] = []
    errors: list[FieldError] = []
    for key, part in parts.items():
        try:
            sections.append(typed_section(key, part, currency, locale))
        except Invalid as error:
            errors.extend(error.errors)
    if errors:
        raise Invalid(errors=errors)
    return sections


def patched(now: CustomerDetail, section: type[SectionData], patch: Struct) -> SectionData:
    """A section as it stands, with the fields that are given over it."""
    given = {name: getattr(patch, name) for name in patch.__struct_fields__}
    return section(**{
        name: getattr(now, name) if given[name] is UNSET else given[name] for name in section.__struct_fields__
    })  # fmt: skip


def conflict_of(error: Stale, fields: Sequence[Field], currency: str, by: str, at: Any) -> Conflict:
    """What somebody else saved meanwhile, beside what was typed; amounts in the currency."""
    by_name = {field.name: field for field in fields}
    return Conflict(
        by=by,
        at=at,
        differences=[
            Difference(
                field=name,
                label=_(LABELS[name]),
                theirs=_sent(name, theirs, currency),
                yours=_sent(name, yours, currency),
                theirs_shown=_read(by_name[name], _sent(name, theirs, currency)),
                yours_shown=_read(by_name[name], _sent(name, yours, currency)),
            )
            for name, (theirs, yours) in error.fields.items()
        ],
    )


def _read(field: Field, text: str) -> str:
    return next((choice.label for choice in field.choices if choice.value == text), text)


def new_customer_groups(locale: str, country: str, currency: str) -> list[FieldGroup]:
    """The form for a new customer."""

    def field(name: str, **options: Any) -> Field:
        return Field(name=name, label=_(LABELS[name]), **options)

    return [
        FieldGroup(
            key="who",
            title=_("Who"),
            fields=[
                field("full_name", required=True, max_length=200, autocomplete="off"),
                field("company", max_length=200),
                field("kind", kind="select", value="person", choices=spoken(KINDS)),
                field("login", max_length=LOGIN_LENGTH, help=_("For the portal; may wait")),
            ],
        ),
        FieldGroup(
            key="reach",
            title=_("How to reach"),
            fields=[
                field("emails", help=_("Several: a comma between")),
                field("billing_emails", help=_("Invoices go here; none: to the e-mails")),
                field("phones", help=_("Several: a comma between; with + or as in its country")),
            ],
        ),
        FieldGroup(
            key="where",
            title=_("Where"),
            fields=[
                field("street", max_length=STREET_LENGTH),
                field("zip", max_length=60),
                field("city", max_length=200),
                field("country", kind="select", value=country, choices=country_choices(locale)),
                field(
                    "currency",
                    kind="select",
                    value=currency,
                    choices=currency_choices(locale, currency),
                    help=_("Of its invoices; can be changed until something is written in it"),
                ),
            ],
        ),
    ]
