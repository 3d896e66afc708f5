"""What every part of the product asks about the operator: name, place, money, time, language."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Text = Annotated[str, Meta(max_length=200)]


class CompanySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The operator as its customers know it."""

    name: Annotated[str, Meta(min_length=1, max_length=200, title="Name")] = "Unnamed"
    address: Annotated[
        str, Meta(max_length=300, title="Address of the pages", description="Links in mail begin with it")
    ] = ""
    street: Annotated[str, Meta(max_length=200, title="Street")] = ""
    zip: Annotated[str, Meta(max_length=20, title="ZIP")] = ""
    city: Annotated[str, Meta(max_length=200, title="City")] = ""
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$", title="Country", description="Code of two letters")] = "IE"
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", title="Currency", description="Of prices and of the books")] = (
        "EUR"
    )
    time_zone: Annotated[str, Meta(max_length=60, title="Time zone", description="Decides every date")] = "UTC"
    language: Annotated[str, Meta(pattern="^[a-z]{2}$", title="Language")] = "en"
    email: Annotated[str, Meta(max_length=254, title="E-mail", description="Shown on documents")] = ""
    phone: Annotated[str, Meta(max_length=60, title="Phone", description="Shown on documents")] = ""
    vat_id: Annotated[str, Meta(max_length=30, title="VAT id")] = ""
    support: Annotated[str, Meta(max_length=300, title="Help contact", description="Shown to staff under Help")] = ""
