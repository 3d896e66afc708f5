"""How the tenant bills."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from core.texts import N_


class BillingSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Terms, grouping and bounds of invoices."""

    terms_days: Annotated[
        int, Meta(ge=0, le=365, title=N_("Days to pay"), description=N_("For customers that have none of their own"))
    ] = 14
    invoice_per: Annotated[Literal["payer", "subscription"], Meta(title=N_("One invoice per"))] = "payer"
    retain_years: Annotated[
        int, Meta(ge=1, le=30, title=N_("Years to keep"), description=N_("The buyer's data on issued documents"))
    ] = 10
    small_difference_minor: Annotated[
        int,
        Meta(
            ge=0,
            le=1000,
            title=N_("Small difference"),
            description=N_("Minor units: so little left open counts as settled"),
        ),
    ] = 0
    min_stub_days: Annotated[
        int,
        Meta(
            ge=0,
            le=31,
            title=N_("Shortest part period, days"),
            description=N_("After a change of the billing day: one shorter than this is merged with the next"),
        ),
    ] = 0
    tax_rounding: Annotated[
        Literal["total", "line"],
        Meta(
            title=N_("Tax is rounded on"),
            description=N_("The net total of each rate, or each line; stated on the invoice where it is by line"),
        ),
    ] = "total"
    use_credit: Annotated[bool, Meta(title=N_("Use credit"), description=N_("Free credit pays each new invoice"))] = (
        True
    )
    prepaid_notice_days: Annotated[
        int,
        Meta(
            ge=0,
            le=60,
            title=N_("Days before a renewal"),
            description=N_("Prepaid: so early customers are written that the balance will not cover it; 0: not at all"),
        ),
    ] = 0
    trial_notice_days: Annotated[
        int,
        Meta(
            ge=0,
            le=60,
            title=N_("Days before a test time ends"),
            description=N_("So early customers are written that it does; 0: not at all"),
        ),
    ] = 3
    confirm_above_minor: Annotated[
        int,
        Meta(
            ge=0,
            le=10**12,
            title=N_("Ask above"),
            description=N_(
                "Minor units. A run of more, and of more than twice the one a month before, waits for a person"
            ),
        ),
    ] = 1_000_000
    run_daily: Annotated[
        bool, Meta(title=N_("Bill every day"), description=N_("At three in the morning of the tenant"))
    ] = True
