"""Whom to ask, and in whose name."""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta, Struct
from stdnum.eu import vat

from core.errors import FieldError
from core.texts import N_, _

ADDRESS: Final = "https://ec.europa.eu/taxation_customs/vies/rest-api"
"""The European Commission's own."""


class ViesSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The service, the operator's own VAT id, and how long an answer may take."""

    own_vat_id: Annotated[
        str,
        Meta(
            max_length=20,
            title=N_("Own VAT id"),
            description=N_("VIES gives a consultation number to who names it; empty: the one on your documents"),
        ),
    ] = ""
    address: Annotated[
        str,
        Meta(
            max_length=300,
            title=N_("Address of the service"),
            description=N_("Another host only where the provider has allowed it"),
        ),
    ] = ADDRESS
    seconds: Annotated[
        int, Meta(ge=1, le=18, title=N_("Time for an answer"), description=N_("Seconds, after which it has none"))
    ] = 10

    def faults(self) -> list[FieldError]:
        """What cannot be meant, told where it is typed."""
        found = []
        if self.own_vat_id and not vat.is_valid(self.own_vat_id):
            told = _("“%(vat_id)s” is no VAT id of a member of the EU.", vat_id=self.own_vat_id)
            found.append(FieldError("own_vat_id", told))
        if not _ADDRESS.fullmatch(self.address):
            found.append(FieldError("address", _("Begin with https:// and the name of the host.")))
        return found


_ADDRESS: Final = re.compile(r"https?://[^\s/@?#]+(/[^\s?#]*)?")
