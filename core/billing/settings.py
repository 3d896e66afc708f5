"""How the tenant bills."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from core.errors import FieldError, Invalid
from core.money import exponent
from core.texts import N_, _

TaxDate = Literal["end", "start", "issue"]
"""The day that decides the tax of a line: the last of its period, the first, or that of issue."""
TAX_DATES: Final[dict[str, str]] = {
    "end": N_("Last day of its period"),
    "start": N_("First day of its period"),
    "issue": N_("Day of issue"),
}
InclusivePrices = Literal["gross", "net"]
"""Of prices with tax in them the gross is kept and parted, or the net is rounded first and the tax put on it."""
INCLUSIVE_PRICES: Final[dict[str, str]] = {"gross": N_("The gross is kept"), "net": N_("The net is rounded first")}


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
    tax_date: Annotated[
        TaxDate,
        Meta(
            title=N_("Tax date of a line"),
            description=N_("Its rates of tax and of exchange count; invoices say so where it is not the last day"),
            extra={"labels": TAX_DATES},
        ),
    ] = "end"
    inclusive_prices: Annotated[
        InclusivePrices,
        Meta(
            title=N_("Prices with tax in them"),
            description=N_("With the net first a total can be a cent off the sum of its prices; the invoice says so"),
            extra={"labels": INCLUSIVE_PRICES},
        ),
    ] = "gross"
    cash_rounding: Annotated[
        tuple[str, ...],
        Meta(
            title=N_("Cash rounding"),
            description=N_("A line for each currency, with its smallest coin: CHF 0.05. Empty: totals are to the cent"),
        ),
    ] = ()
    fee_tax: Annotated[
        str,
        Meta(
            max_length=60,
            title=N_("Tax of late fees"),
            description=N_("A fee is what is paid in all: tax of another category is in it"),
            extra={"offered": "tax_category"},
        ),
    ] = "outside"
    forfeit_tax: Annotated[
        str,
        Meta(
            max_length=60,
            title=N_("Tax of forfeited credit"),
            description=N_("Withdrawing: tax of another category is in what is forfeited, at your own rate"),
            extra={"offered": "tax_category"},
        ),
    ] = "outside"
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

    @property
    def cash_steps(self) -> dict[str, int]:
        """By currency, the minor units of which every total is a multiple."""
        return dict(step for text in self.cash_rounding if (step := _step(text)) is not None)

    def faults(self) -> list[FieldError]:
        """What cannot be meant by the smallest coins, told where it is typed."""
        steps = [_step(text) for text in self.cash_rounding]
        if None in steps:
            wrong = self.cash_rounding[steps.index(None)]
            return [FieldError("cash_rounding", _("“%(text)s” is no currency with its coin: CHF 0.05.", text=wrong))]
        if len(self.cash_steps) < len(steps):
            return [FieldError("cash_rounding", _("Name each currency once."))]
        return []


MOST_STEP: Final = 10_000


def _step(text: str) -> tuple[str, int] | None:
    """“CHF 0.05” as CHF, 5; None where it says no step of more than one minor unit."""
    currency, _space, coin = text.strip().partition(" ")
    try:
        minor = Decimal(coin.strip().replace(",", ".")).scaleb(exponent(currency))
    except (Invalid, InvalidOperation):
        return None
    if not minor.is_finite() or minor != int(minor) or not 1 < minor <= MOST_STEP:
        return None
    return currency, int(minor)
