"""Deposits over JSON. Amounts are in minor units of their currency."""

from __future__ import annotations

from litestar.params import FromPath, JSONBody

from core.customers import queries as customers
from core.lists.bulk_api import Cursor, Limit
from core.payments import deposits
from core.payments.deposits import Application, DepositDetail, NewDeposit, Repayment
from core.web.jsonapi import Call, Page, api_get, api_post, decode_cursor, encode_cursor


@api_get("/customers/{customer_id:int}/deposits", permission="payments.view", summary="Deposits of a customer")
async def list_deposits(
    call: Call, customer_id: FromPath[int], limit: Limit = 50, cursor: Cursor = ""
) -> Page[DepositDetail]:
    await customers.get_customer(call.scope, customer_id)
    before = decode_cursor(cursor, tuple[int])[0] if cursor else 0
    found = await deposits.list_deposits(call.scope, customer_id, before=before, limit=limit + 1)
    return Page(found[:limit], encode_cursor(found[limit - 1].id) if len(found) > limit else None)


@api_post("/deposits", permission="payments.register", summary="Receive a deposit: held beside the balance")
async def receive(call: Call, data: JSONBody[NewDeposit]) -> DepositDetail:
    return await deposits.get_deposit(call.scope, await deposits.receive_deposit(call.scope, data))


@api_get("/deposits/{deposit_id:int}", permission="payments.view", summary="One deposit with what became of it")
async def get_deposit(call: Call, deposit_id: FromPath[int]) -> DepositDetail:
    return await deposits.get_deposit(call.scope, deposit_id)


@api_post(
    "/deposits/{deposit_id:int}/application",
    permission="payments.register",
    summary="Apply a deposit to the customer's credit",
    status_code=200,
)
async def apply(call: Call, deposit_id: FromPath[int], data: JSONBody[Application]) -> DepositDetail:
    await deposits.apply_deposit(call.scope, deposit_id, data)
    return await deposits.get_deposit(call.scope, deposit_id)


@api_post(
    "/deposits/{deposit_id:int}/repayment",
    permission="payments.refund",
    summary="Pay a deposit back",
    status_code=200,
)
async def pay_back(call: Call, deposit_id: FromPath[int], data: JSONBody[Repayment]) -> DepositDetail:
    await deposits.pay_deposit_back(call.scope, deposit_id, data)
    return await deposits.get_deposit(call.scope, deposit_id)


HANDLERS = (list_deposits, receive, get_deposit, apply, pay_back)
