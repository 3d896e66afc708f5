"""What the settings of the seller and of numbers show and take."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from core.billing.actions.setup import Seller
from core.billing.numbering import pattern_for
from core.billing.schemas import SellerFields
from core.customers.sections import country_choices
from core.database import row, rows
from core.documents.words import tax_of
from core.texts import N_, _
from core.web.parts import Choice, Field, FieldGroup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SERIES: Final = {"invoice": N_("Invoices"), "credit_note": N_("Credit notes"), "proforma": N_("Proformas")}
RESETS: Final = (Choice("yearly", N_("Begins anew each year")), Choice("never", N_("Goes on for ever")))


async def find_seller() -> Seller | None:
    """The tenant as it stands on documents; none before billing has begun."""
    return await row(Seller, f"SELECT {', '.join(Seller.__struct_fields__)} FROM seller WHERE is_default")


class SellerForm(SellerFields, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The seller as it is typed, against the version that was read."""

    version: Annotated[int, Meta(ge=1)]


def fields_from(form: SellerForm) -> SellerFields:
    return SellerFields(**{name: getattr(form, name) for name in SellerFields.__struct_fields__})


def seller_groups(locale: str, country: str) -> list[FieldGroup]:
    """The form of the seller; where its country has no VAT it has a tax id."""

    def field(name: str, label: str, kind: str = "text", help: str = "", *, required: bool = False) -> Field:
        return Field(name=name, label=label, kind=kind, help=help, required=required, max_length=200)

    return [
        FieldGroup(
            key="name",
            title=_("Name and address"),
            fields=[
                field("name", _("Legal name"), required=True),
                field("street", _("Street")),
                field("zip", _("ZIP")),
                field("city", _("City")),
                Field(name="country", label=_("Country"), kind="select", choices=country_choices(locale)[1:]),
            ],
        ),
        FieldGroup(
            key="tax",
            title=_("Tax"),
            fields=[
                field("vat_id", _("VAT id") if tax_of(country).is_vat else _("Tax id")),
                field("tax_number", _("Tax number")),
                field("registration", _("Register"), help=_("Court and number, as the law wants it said")),
                Field(
                    name="oss",
                    label=_("Registered for the One Stop Shop"),
                    kind="check",
                    help=_("Consumers in other EU countries are charged their country's rate"),
                ),
            ],
        ),
        FieldGroup(
            key="reach",
            title=_("Contact and bank"),
            fields=[
                field("email", _("E-mail")),
                field("phone", _("Phone")),
                field("website", _("Website")),
                field("bank_name", _("Bank")),
                field("iban", _("IBAN"), help=_("Printed with a code for transfers")),
                field("bic", _("BIC")),
                Field(name="footer", label=_("Note under each document"), kind="textarea", max_length=2000),
            ],
        ),
    ]


def seller_values(seller: Seller) -> dict[str, str]:
    """The seller's fields as their controls hold them."""
    values = {name: msgspec.to_builtins(getattr(seller, name)) for name in SellerFields.__struct_fields__}
    return {
        "version": str(seller.version),
        **{name: "yes" if each is True else "" if each is False else str(each) for name, each in values.items()},
    }


class SeriesForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    pattern: Annotated[str, Meta(min_length=1, max_length=60)]
    reset: Literal["yearly", "never"]


class SeriesItem(Struct, frozen=True, kw_only=True):
    """How the documents of a kind are numbered."""

    kind: str
    label: str
    pattern: str
    reset: str
    next: str
    last_issued_on: date | None
    given: bool
    """Whether numbers were given: then when the count begins anew stays as it is."""


class _Series(Struct, frozen=True):
    kind: str
    pattern: str
    reset: str
    last_issued_on: date | None
    next: int
    given: bool


async def list_series(today: date) -> list[SeriesItem]:
    """The series of the default seller; none before billing has begun."""
    found = await rows(
        _Series,
        "SELECT s.kind, s.pattern, s.reset, s.last_issued_on, coalesce(c.next, 1) AS next,"
        " EXISTS (SELECT 1 FROM number_counter k WHERE k.series_id = s.id) AS given"
        " FROM number_series s JOIN seller ON seller.id = s.seller_id AND seller.is_default"
        " LEFT JOIN number_counter c ON c.series_id = s.id"
        " AND c.year = CASE WHEN s.reset = 'yearly' THEN :year ELSE 0 END ORDER BY s.id",
        year=today.year,
    )
    return [
        SeriesItem(
            kind=each.kind,
            label=_(SERIES.get(each.kind, each.kind)),
            pattern=each.pattern,
            reset=each.reset,
            next=pattern_for(each.pattern, today.year).number(each.next),
            last_issued_on=each.last_issued_on,
            given=each.given,
        )
        for each in found
    ]


def with_typed(series: Sequence[SeriesItem], kind: str, typed: Mapping[str, Sequence[str]]) -> list[SeriesItem]:
    """The series with what was typed for one of them, to be shown again beside its errors."""
    return [
        msgspec.structs.replace(
            each,
            pattern=typed.get("pattern", [each.pattern])[-1],
            reset=typed.get("reset", [each.reset])[-1],
        )
        if each.kind == kind
        else each
        for each in series
    ]
