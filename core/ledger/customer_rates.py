"""Rates agreed with a customer: they turn list prices into its currency, never tax."""

from __future__ import annotations

from typing import TYPE_CHECKING

from babel.numbers import is_currency

from core.activity.unit import record, unit_of_work
from core.customers.queries import get_customer
from core.database import execute, row, rows, value, within
from core.errors import FieldError, Invalid, NotFound
from core.ledger.actions import EARLIEST, FURTHEST_AHEAD
from core.ledger.events import CustomerFxRateRemoved, CustomerFxRateSet
from core.ledger.schemas import CustomerFxRateRow
from core.ledger.tables import CustomerFxRate
from core.texts import _

if TYPE_CHECKING:
    from core.ledger.schemas import NewCustomerFxRate
    from core.scope import Scope

_RATE = "SELECT id, customer_id, from_currency, to_currency, valid_from, valid_to, rate_e10 FROM customer_fx_rate"


async def list_customer_rates(scope: Scope, customer_id: int) -> list[CustomerFxRateRow]:
    """By currency, the newest of each first."""
    return await rows(
        CustomerFxRateRow,
        f"{_RATE} WHERE customer_id = :id AND :within ORDER BY from_currency, to_currency, valid_from DESC",
        id=customer_id,
        within=within(CustomerFxRate, scope.actor.reach),
    )


async def set_customer_rate(scope: Scope, customer_id: int, data: NewCustomerFxRate) -> int:
    """Agree a rate with a customer from a day on, or correct the one of that day; gives its id.

    What was priced before keeps its price: a rate is used when terms start.
    """
    async with unit_of_work(scope):
        customer = await get_customer(scope, customer_id)
        await value("SELECT id FROM customer WHERE id = :id FOR NO KEY UPDATE", id=customer_id)
        _check(scope, data, customer.currency)
        known = await row(
            CustomerFxRateRow,
            f"{_RATE} WHERE customer_id = :id AND from_currency = :one AND to_currency = :other AND valid_from = :day",
            id=customer_id,
            one=data.from_currency,
            other=customer.currency,
            day=data.valid_from,
        )
        rate_id = int(
            await value(
                "INSERT INTO customer_fx_rate (customer_id, from_currency, to_currency, valid_from, valid_to, rate_e10)"
                " VALUES (:id, :one, :other, :day, :end, :rate)"
                " ON CONFLICT (customer_id, from_currency, to_currency, valid_from)"
                " DO UPDATE SET rate_e10 = excluded.rate_e10, valid_to = excluded.valid_to RETURNING id",
                id=customer_id,
                one=data.from_currency,
                other=customer.currency,
                day=data.valid_from,
                end=data.valid_to,
                rate=data.rate_e10,
            )
        )
        record(
            scope,
            CustomerFxRateSet(customer_id=customer_id),
            changes={
                f"{data.from_currency} {customer.currency} from {data.valid_from}": (
                    known.rate_e10 if known else None,
                    data.rate_e10,
                ),
                "valid_to": (known.valid_to if known else None, data.valid_to),
            },
        )
        return rate_id


async def remove_customer_rate(scope: Scope, customer_id: int, rate_id: int) -> None:
    """Take an agreed rate away: the tenant's own converts from then on."""
    async with unit_of_work(scope):
        found = await row(
            CustomerFxRateRow,
            f"{_RATE} WHERE id = :id AND customer_id = :customer AND :within",
            id=rate_id,
            customer=customer_id,
            within=within(CustomerFxRate, scope.actor.reach, write=True),
        )
        if found is None:
            raise NotFound(f"rate {rate_id}")
        await execute("DELETE FROM customer_fx_rate WHERE id = :id", id=rate_id)
        told = f"{found.from_currency} {found.to_currency} from {found.valid_from}"
        record(scope, CustomerFxRateRemoved(customer_id=customer_id), changes={told: (found.rate_e10, None)})


def _check(scope: Scope, data: NewCustomerFxRate, currency: str) -> None:
    """Raises Invalid with every field that is wrong."""
    errors = []
    if not is_currency(data.from_currency):
        errors.append(FieldError("from_currency", _("Choose a currency of the list, such as USD.")))
    elif data.from_currency == currency:
        told = _("The customer pays in %(currency)s: choose another currency.", currency=currency)
        errors.append(FieldError("from_currency", told))
    if not EARLIEST <= data.valid_from <= scope.today() + FURTHEST_AHEAD:
        errors.append(FieldError("valid_from", _("Choose a day from 2000 on, at most a year ahead.")))
    if data.valid_to is not None and data.valid_to <= data.valid_from:
        errors.append(FieldError("valid_to", _("It ends before it begins.")))
    if errors:
        raise Invalid(errors=errors)
