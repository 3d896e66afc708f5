"""What every part of the product asks about the operator: name, place, money, time, language."""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta, Struct

from core.errors import FieldError
from core.texts import N_, _

Text = Annotated[str, Meta(max_length=200)]


class CompanySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The operator as its customers know it."""

    name: Annotated[str, Meta(min_length=1, max_length=200, title=N_("Name"))] = "Unnamed"
    address: Annotated[
        str, Meta(max_length=300, title=N_("Address of the pages"), description=N_("Links in mail begin with it"))
    ] = ""
    street: Annotated[str, Meta(max_length=200, title=N_("Street"))] = ""
    zip: Annotated[str, Meta(max_length=20, title="ZIP")] = ""
    city: Annotated[str, Meta(max_length=200, title=N_("City"))] = ""
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$", title=N_("Country"), extra={"offered": "country"})] = "IE"
    currency: Annotated[
        str,
        Meta(
            pattern="^[A-Z]{3}$",
            title=N_("Currency"),
            description=N_("Of prices and of the books"),
            extra={"offered": "currency"},
        ),
    ] = "EUR"
    time_zone: Annotated[
        str,
        Meta(
            max_length=60,
            title=N_("Time zone"),
            description=N_("Decides every date"),
            extra={"offered": "time_zone"},
        ),
    ] = "UTC"
    language: Annotated[str, Meta(pattern="^[a-z]{2}$", title=N_("Language"), extra={"offered": "language"})] = "en"
    email: Annotated[str, Meta(max_length=254, title=N_("E-mail"), description=N_("Shown on documents"))] = ""
    phone: Annotated[str, Meta(max_length=60, title=N_("Phone"), description=N_("Shown on documents"))] = ""
    vat_id: Annotated[str, Meta(max_length=30, title=N_("VAT id or tax id"))] = ""
    support: Annotated[
        str, Meta(max_length=300, title=N_("Help contact"), description=N_("Shown to staff under Help"))
    ] = ""

    def faults(self) -> list[FieldError]:
        """What cannot be meant, told where it is typed; what is stored already is read all the same."""
        found = []
        if self.address and not _ADDRESS.fullmatch(self.address):
            found.append(FieldError("address", _("Begin with https:// and the name of the host: https://isp.example")))
        if self.email and not _EMAIL.fullmatch(self.email):
            found.append(FieldError("email", _("“%(email)s” is no e-mail address.", email=self.email)))
        return found


_ADDRESS: Final = re.compile(r"https?://[^\s/@?#]+(/[^\s?#]*)?", re.IGNORECASE)
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
