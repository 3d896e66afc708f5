"""What a tenant asks of its staff's log-ins."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from core.texts import N_


class SecuritySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Second factors: for everybody, or where a role asks for one."""

    SETTINGS_KEY: ClassVar[str] = "security"

    everybody: Annotated[
        bool,
        Meta(
            title=N_("Everybody needs a second factor"),
            description=N_("Else only those whose role asks for one. Whoever has none is logged out and sets one up."),
        ),
    ] = False
