"""Rates agreed with a customer over JSON."""

from __future__ import annotations

from litestar.params import FromPath, JSONBody

from core.customers.queries import get_customer
from core.ledger import customer_rates
from core.ledger.schemas import CustomerFxRateRow, NewCustomerFxRate
from core.web.jsonapi import Call, api_delete, api_get, api_post


@api_get(
    "/customers/{customer_id:int}/fx-rates",
    permission="customers.view",
    summary="Exchange rates agreed with a customer",
)
async def list_rates(call: Call, customer_id: FromPath[int]) -> list[CustomerFxRateRow]:
    await get_customer(call.scope, customer_id)
    return await customer_rates.list_customer_rates(call.scope, customer_id)


@api_post(
    "/customers/{customer_id:int}/fx-rates",
    permission="currencies.edit",
    summary="Agree an exchange rate with a customer",
    description="It turns list prices into the customer's currency when terms start; tax goes by the official rate.",
)
async def set_rate(call: Call, customer_id: FromPath[int], data: JSONBody[NewCustomerFxRate]) -> CustomerFxRateRow:
    made = await customer_rates.set_customer_rate(call.scope, customer_id, data)
    return next(each for each in await customer_rates.list_customer_rates(call.scope, customer_id) if each.id == made)


@api_delete(
    "/customers/{customer_id:int}/fx-rates/{rate_id:int}",
    permission="currencies.edit",
    summary="Remove an exchange rate agreed with a customer",
)
async def remove_rate(call: Call, customer_id: FromPath[int], rate_id: FromPath[int]) -> list[CustomerFxRateRow]:
    """Gives those that are left."""
    await customer_rates.remove_customer_rate(call.scope, customer_id, rate_id)
    return await customer_rates.list_customer_rates(call.scope, customer_id)


HANDLERS = (list_rates, set_rate, remove_rate)
