"""Prepaid over JSON: what a balance has to pay for, and until when it lasts."""

from __future__ import annotations

from litestar.params import FromPath

from core.billing.actions.prepaid import PrepaidOutlook, outlook
from core.customers import queries as customers
from core.ledger.queries import get_balance
from core.web.jsonapi import Call, api_get


@api_get(
    "/customers/{customer_id:int}/prepaid",
    permission="subscriptions.view",
    summary="What the balance of a payer has to pay for ahead, and until when it lasts",
    description="`lasts_until` is the first day on which a renewal is not covered; null: longer than a year. Nothing"
    " is written.",
)
async def get_outlook(call: Call, customer_id: FromPath[int]) -> PrepaidOutlook:
    await customers.get_customer(call.scope, customer_id)
    found = await outlook(call.scope, customer_id)
    if found is not None:
        return found
    balance = await get_balance(call.scope, customer_id)
    return PrepaidOutlook(balance.currency, balance.balance_minor, 0, balance.balance_minor, [])


HANDLERS = (get_outlook,)
