"""What the operator decides for all customers."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from core.texts import N_


class CustomerSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Without a copy, passwords are known to nobody but whoever typed them."""

    SETTINGS_KEY: ClassVar[str] = "customers"

    keep_passwords: Annotated[
        bool,
        Meta(
            title=N_("Keep a copy of customers’ passwords that can be shown"),
            description=N_("Sealed. Showing one needs its own permission, the activity tells it. Off: all are removed"),
        ),
    ] = False
