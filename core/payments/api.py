"""Payments, refunds and the books over JSON. Amounts are in minor units of their currency."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from core.customers import queries as customers
from core.ledger import queries as ledger
from core.ledger.schemas import Balance, PostingRow, TrialBalanceRow
from core.payments import actions, queries
from core.payments.listing import PAYMENTS
from core.payments.schemas import MethodRow, NewPayment, NewRefund, PaymentDetail, PaymentRow, Reversal
from core.web.jsonapi import Call, Page, api_get, api_post
from core.web.reach import check_sees_everyone

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]


class Refunded(Struct, frozen=True):
    """One refund for each credit that was used."""

    refund_ids: list[int]


@api_get(
    "/payments",
    permission="payments.view",
    summary="List payments, the newest first",
    description="Also searched (`q`), sorted (`sort=-amount`) and filtered as the page: `received.from`, `method=cash`,"
    " `status=received`, `free.from`; `view=5` as a saved view has it.",
)
async def list_payments(
    call: Call,
    payer_id: Annotated[int | None, QueryParameter(description="Only those of one payer")] = None,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[PaymentRow]:
    return await PAYMENTS.api(call, cursor=cursor, limit=limit)


@api_post("/payments", permission="payments.register", summary="Register money that was received")
async def register(call: Call, data: JSONBody[NewPayment]) -> PaymentDetail:
    return await queries.get_payment(call.scope, await actions.receive(call.scope, data))


@api_get("/payments/{payment_id:int}", permission="payments.view", summary="One payment with what it settled")
async def get_payment(call: Call, payment_id: FromPath[int]) -> PaymentDetail:
    return await queries.get_payment(call.scope, payment_id)


@api_post(
    "/payments/{payment_id:int}/reversal",
    permission="payments.refund",
    summary="A chargeback or returned debit",
    status_code=200,
)
async def reverse(call: Call, payment_id: FromPath[int], data: JSONBody[Reversal]) -> PaymentDetail:
    await actions.reverse(call.scope, payment_id, data)
    return await queries.get_payment(call.scope, payment_id)


@api_post("/refunds", permission="payments.refund", summary="Pay free credit back")
async def refund(call: Call, data: JSONBody[NewRefund]) -> Refunded:
    return Refunded(await actions.refund(call.scope, data))


@api_get("/payment-methods", permission="payments.view", summary="List methods of payment")
async def list_methods(call: Call) -> list[MethodRow]:
    return await queries.list_methods()


@api_get("/customers/{customer_id:int}/balances", permission="documents.view", summary="Balances by currency")
async def list_balances(call: Call, customer_id: FromPath[int]) -> list[Balance]:
    await customers.get_customer(call.scope, customer_id)
    return await ledger.list_balances(call.scope, customer_id)


@api_get("/customers/{customer_id:int}/postings", permission="ledger.view", summary="Latest postings of a customer")
async def list_postings(call: Call, customer_id: FromPath[int]) -> list[PostingRow]:
    await customers.get_customer(call.scope, customer_id)
    return await ledger.list_postings(call.scope, customer_id=customer_id)


@api_get("/ledger/trial-balance", permission="ledger.view", summary="Every account with what was booked on it")
async def trial_balance(
    call: Call,
    since: Annotated[date | None, QueryParameter(description="First day")] = None,
    until: Annotated[date | None, QueryParameter(description="Last day")] = None,
) -> list[TrialBalanceRow]:
    check_sees_everyone(call.scope)
    return await ledger.trial_balance(since=since, until=until)


HANDLERS = (
    list_payments,
    register,
    get_payment,
    reverse,
    refund,
    list_methods,
    list_balances,
    list_postings,
    trial_balance,
)
