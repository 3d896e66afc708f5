"""Why balances and documents are so, over JSON."""

from __future__ import annotations

from typing import Final

from litestar.params import FromPath

from core.billing import queries, whys
from core.customers.queries import get_customer
from core.customers.whys import WhyAnswer, why_answer
from core.web.jsonapi import Call, api_get


@api_get(
    "/customers/{customer_id:int}/balance/why",
    permission="documents.view",
    summary="Why the balance of a customer is what it is",
)
async def why_balance(call: Call, customer_id: FromPath[int]) -> WhyAnswer:
    await get_customer(call.scope, customer_id)
    return why_answer(await whys.why_balance(call.scope, customer_id))


@api_get(
    "/invoices/{invoice_id:int}/why",
    permission="documents.view",
    summary="Why a document is in its state, and what is open of it",
)
async def why_document(call: Call, invoice_id: FromPath[int]) -> WhyAnswer:
    return why_answer(await whys.why_document(call.scope, await queries.get_document(call.scope, invoice_id)))


HANDLERS: Final = (why_balance, why_document)
