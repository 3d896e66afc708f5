"""How the tenant bills."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct


class BillingSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Terms, grouping and bounds of invoices."""

    terms_days: Annotated[
        int, Meta(ge=0, le=365, title="Days to pay", description="For customers that have none of their own")
    ] = 14
    invoice_per: Annotated[Literal["payer", "subscription"], Meta(title="One invoice per")] = "payer"
    retain_years: Annotated[
        int, Meta(ge=1, le=30, title="Years to keep", description="The buyer's data on issued documents")
    ] = 10
    small_difference_minor: Annotated[
        int,
        Meta(ge=0, le=1000, title="Small difference", description="Minor units: so little left open counts as settled"),
    ] = 0
    use_credit: Annotated[bool, Meta(title="Use credit", description="Free credit pays each new invoice")] = True
    confirm_above_minor: Annotated[
        int,
        Meta(
            ge=0,
            le=10**12,
            title="Ask above",
            description="Minor units. A run of more, and of more than twice the one a month before, waits for a person",
        ),
    ] = 1_000_000
    run_daily: Annotated[bool, Meta(title="Bill every day", description="At three in the morning of the tenant")] = True
