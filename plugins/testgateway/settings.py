"""How the test gateway behaves."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from core.settings.fields import Secret
from core.texts import N_


class TestgatewaySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Its fee, and what its notifications are signed with (made when it is first used)."""

    fee_per_mille: Annotated[
        int, Meta(ge=0, le=500, title=N_("Fee"), description=N_("Kept back of each payment, in thousandths"))
    ] = 15
    secret: Annotated[Secret, Meta(title=N_("Signing secret"))] = ""
