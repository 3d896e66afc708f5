"""Setting official rates of exchange."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from babel.numbers import is_currency
from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.database import row, value
from core.errors import FieldError, Invalid
from core.ledger.events import FxRateSet
from core.texts import _

if TYPE_CHECKING:
    from core.ledger.schemas import NewFxRate
    from core.scope import Scope

EARLIEST: Final = date(2000, 1, 1)
FURTHEST_AHEAD: Final = timedelta(days=366)


class _Known(Struct, frozen=True):
    id: int
    rate_e10: int


async def set_fx_rate(scope: Scope, data: NewFxRate) -> int:
    """The official rate from a currency into the tenant's, from a day on; gives its id. What is booked keeps its own.

    A rate that holds already, or held, is corrected by one of a later day; one that is still to come is replaced.
    """
    to_currency = data.to_currency or scope.tenant.currency
    _check(scope, data, to_currency)
    async with unit_of_work(scope):
        known = await row(
            _Known,
            "SELECT id, rate_e10 FROM fx_rate"
            " WHERE from_currency = :one AND to_currency = :other AND valid_on = :day FOR UPDATE",
            one=data.from_currency,
            other=to_currency,
            day=data.valid_on,
        )
        if known is not None and known.rate_e10 == data.rate_e10:
            return known.id
        if known is not None and data.valid_on <= scope.today():
            raise Invalid(
                _("There is a rate of this day already, and it may have been used: correct it from a later day on."),
                field="valid_on",
            )
        rate_id = int(
            await value(
                "INSERT INTO fx_rate (from_currency, to_currency, valid_on, rate_e10)"
                " VALUES (:one, :other, :day, :rate)"
                " ON CONFLICT (from_currency, to_currency, valid_on) DO UPDATE SET rate_e10 = excluded.rate_e10"
                " RETURNING id",
                one=data.from_currency,
                other=to_currency,
                day=data.valid_on,
                rate=data.rate_e10,
            )
        )
        record(
            scope,
            FxRateSet(fx_rate_id=rate_id),
            changes={
                f"{data.from_currency} {to_currency} from {data.valid_on}": (
                    known.rate_e10 if known else None,
                    data.rate_e10,
                )
            },
        )
        return rate_id


def _check(scope: Scope, data: NewFxRate, to_currency: str) -> None:
    """Raises Invalid with every field that is wrong."""
    base, errors = scope.tenant.currency, []
    if not is_currency(data.from_currency):
        errors.append(FieldError("from_currency", _("Choose a currency of the list, such as USD.")))
    elif data.from_currency == base:
        errors.append(FieldError("from_currency", _("The books are in %(base)s: choose another currency.", base=base)))
    if to_currency != base:
        errors.append(
            FieldError("to_currency", _("The books are in %(base)s: say how many %(base)s one unit is.", base=base))
        )
    if not EARLIEST <= data.valid_on <= scope.today() + FURTHEST_AHEAD:
        errors.append(FieldError("valid_on", _("Choose a day from 2000 on, at most a year ahead.")))
    if errors:
        raise Invalid(errors=errors)
