"""The form of a new tenant: its fields, what may be chosen, and what is made of it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Final, Literal
from zoneinfo import available_timezones

from babel import Locale
from babel.core import get_global
from msgspec import Meta, Struct

from core.customers.vocabularies import VOCABULARIES
from core.errors import FieldError, Invalid
from core.ids import check_slug
from core.staff.actions import email_of
from core.texts import LANGUAGES, _
from core.web.parts import Choice, Field
from tenants.placement import SQLITE
from tenants.provisioning import NewTenant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenants.placement import Fullness

Line = Annotated[str, Meta(max_length=200)]


class NewTenantForm(Struct, frozen=True, forbid_unknown_fields=True):
    """What is typed, or sent to the API."""

    name: Annotated[str, Meta(min_length=1, max_length=200, description="As its customers know it")]
    slug: Annotated[str, Meta(max_length=32, description="Short name: its address begins with it")]
    email: Annotated[str, Meta(max_length=254, description="Of its first administrator")]
    person: Annotated[str, Meta(max_length=200, description="Name of its first administrator")] = "Administrator"
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$", description="Code of two letters")] = "IE"
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", description="Of its prices and books")] = "EUR"
    time_zone: Annotated[str, Meta(max_length=60, description="Decides its dates")] = "Europe/Dublin"
    language: Annotated[str, Meta(pattern="^[a-z]{2}$")] = "en"
    vocabulary: Annotated[
        Literal["", "isp", "telecom", "saas"], Meta(description="Words of its trade for customers' statuses")
    ] = ""
    placement: Annotated[str, Meta(max_length=60, description="Name of a database; empty: the least full one")] = ""


@lru_cache(maxsize=8)
def countries(locale: str) -> list[Choice]:
    """By name, in the reader's language."""
    names = Locale.parse(locale).territories
    found = [
        Choice(str(code), str(name))
        for code, name in names.items()
        if len(str(code)) == 2 and str(code).isalpha() and code not in _NO_COUNTRY
    ]
    return sorted(found, key=lambda one: one.label)


_NO_COUNTRY: Final = frozenset({"EU", "EZ", "UN", "QO", "XA", "XB", "ZZ", "AC", "CP", "CQ", "DG", "EA", "IC", "TA"})


@lru_cache(maxsize=1)
def current_currencies() -> frozenset[str]:
    """Those that are money somewhere today."""
    return frozenset(
        code
        for used in get_global("territory_currencies").values()
        for code, _, until, tender in used
        if until is None and tender
    )


@lru_cache(maxsize=8)
def currencies(locale: str) -> list[Choice]:
    names = Locale.parse(locale).currencies
    return [Choice(code, f"{code} {names.get(code, '')}".strip()) for code in sorted(current_currencies())]


@lru_cache(maxsize=1)
def zones() -> list[str]:
    return sorted(
        zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "posix", "right"))
    )


def language_choices() -> list[Choice]:
    return [Choice(key, label) for key, label in LANGUAGES.items()]


def fields(locale: str, places: Iterable[Fullness]) -> list[Field]:
    """The whole form, in the order in which it is filled in."""
    least = [Choice("", _("The least full one"))]
    return [
        Field(name="name", label=_("Name"), required=True, max_length=200, help=_("As its customers know it")),
        Field(
            name="slug",
            label=_("Short name"),
            required=True,
            max_length=32,
            autocomplete="off",
            help=_("Small letters, digits and hyphens; its address begins with it"),
        ),
        Field(
            name="email",
            label=_("E-mail of its first administrator"),
            kind="email",
            required=True,
            max_length=254,
            autocomplete="off",
        ),
        Field(name="person", label=_("Name of that person"), max_length=200, autocomplete="off"),
        Field(name="country", label=_("Country"), kind="select", choices=countries(locale)),
        Field(
            name="currency",
            label=_("Currency"),
            kind="select",
            choices=currencies(locale),
            help=_("Of prices and books"),
        ),
        Field(name="time_zone", label=_("Time zone"), required=True, max_length=60, help=_("Decides every date")),
        Field(name="language", label=_("Language"), kind="select", choices=language_choices()),
        Field(
            name="vocabulary",
            label=_("Words for statuses"),
            kind="select",
            choices=[
                Choice("", _("As they come")),
                *(Choice(key, f"{_(one.title)}: {_(one.about)}") for key, one in VOCABULARIES.items()),
            ],
            help=_("Can be changed later, in its settings"),
        ),
        Field(
            name="placement",
            label=_("Database"),
            kind="select",
            choices=[*least, *(Choice(one.name, f"{one.name}: {one.said}") for one in places)],
        ),
    ]


def new_tenant_of(form: NewTenantForm) -> NewTenant:
    """What the tenant is made from. Raises Invalid with every field that cannot be."""
    wrong = []
    if not form.name.strip():
        wrong.append(FieldError("name", _("Give it a name.")))
    for check, typed in ((check_slug, form.slug.strip()), (email_of, form.email)):
        try:
            check(typed)
        except Invalid as error:
            wrong.extend(error.errors)
    if form.country not in {one.value for one in countries("en")}:
        wrong.append(FieldError("country", _("There is no country “%(country)s”.", country=form.country)))
    if form.currency not in current_currencies():
        wrong.append(FieldError("currency", _("There is no currency “%(currency)s” today.", currency=form.currency)))
    if form.time_zone not in available_timezones():
        wrong.append(
            FieldError(
                "time_zone",
                _("There is no time zone “%(time_zone)s”. Use a name such as Europe/Berlin.", time_zone=form.time_zone),
            )
        )
    if form.language not in LANGUAGES:
        wrong.append(FieldError("language", _("Use one of %(known)s.", known=", ".join(LANGUAGES))))
    if wrong:
        raise Invalid(errors=wrong)
    return NewTenant(
        slug=form.slug.strip(),
        name=" ".join(form.name.split()),
        email=form.email,
        person=" ".join(form.person.split()) or "Administrator",
        country=form.country,
        currency=form.currency,
        time_zone=form.time_zone,
        language=form.language,
        vocabulary=form.vocabulary,
        placement=form.placement,
    )


def usual_place(places: Iterable[Fullness]) -> str:
    """Which place a new tenant goes to when none is named, for the page to say."""
    found = [one.name for one in places if one.for_new]
    return ", ".join(found) or SQLITE
