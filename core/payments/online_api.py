"""Payments through gateways over JSON. Amounts are in minor units of their currency."""

from __future__ import annotations

from litestar.params import FromPath, JSONBody
from msgspec import Struct

from core.lists.bulk_api import Cursor, Limit
from core.payments import gateways, online, paying_back, unclear
from core.payments.online import Begun, OnlineItem, PayOnline
from core.payments.paying_back import PaidBack, PayingBackOnline
from core.payments.unclear import GivingUp, SettlingByHand, Unclear
from core.texts import _
from core.web.jsonapi import Call, Page, api_get, api_post, decode_cursor, encode_cursor

BACK = "/payments/{payment_id}"
"""Where a payer comes back to whom a program sent to pay."""


class GatewayItem(Struct, frozen=True):
    """A way to pay online; no currencies are all."""

    key: str
    label: str
    currencies: list[str]
    pays_back: bool


@api_get("/payment-gateways", permission="payments.view", summary="Ways to pay online that are set up")
async def list_gateways(call: Call) -> list[GatewayItem]:
    return [
        GatewayItem(one.key, _(one.label), sorted(one.currencies), one.pay_back is not None)
        for one in await gateways.list_gateways(call.scope)
    ]


@api_post(
    "/online-payments",
    permission="payments.register",
    summary="Begin to pay invoices through a gateway",
    description="Gives the page where the payer goes on. The payment is pending until the gateway says that it came. "
    "The same again within half an hour is the same payment, with an Idempotency-Key and without; so it is as long as "
    "its state is unknown: nobody knows then whether it came, and it is not charged again.",
    kept=False,
)
async def begin(call: Call, data: JSONBody[PayOnline]) -> Begun:
    return await online.begin_payment(call.scope, data, back=BACK)


@api_get(
    "/payments/{payment_id:int}/online", permission="payments.view", summary="How a payment goes through a gateway"
)
async def get_online(call: Call, payment_id: FromPath[int]) -> OnlineItem:
    return online.item_of(await online.get_online(call.scope, payment_id))


@api_post(
    "/payments/{payment_id:int}/asking",
    permission="payments.register",
    summary="Ask the gateway what became of a payment",
    status_code=200,
    kept=False,
)
async def ask(call: Call, payment_id: FromPath[int]) -> OnlineItem:
    await online.ask_about(call.scope, payment_id, again=False)
    return online.item_of(await online.get_online(call.scope, payment_id))


@api_post(
    "/payments/{payment_id:int}/payback",
    permission="payments.refund",
    summary="Pay back through the gateway",
    status_code=200,
)
async def pay_back(call: Call, payment_id: FromPath[int], data: JSONBody[PayingBackOnline]) -> PaidBack:
    return await paying_back.pay_back(call.scope, payment_id, data)


@api_get(
    "/online-payments/unclear",
    permission="payments.view",
    summary="Online payments of which nobody knows whether they came, the oldest first",
)
async def list_unclear(call: Call, limit: Limit = 50, cursor: Cursor = "") -> Page[Unclear]:
    after = decode_cursor(cursor, tuple[int])[0] if cursor else 0
    found = await unclear.list_unclear(call.scope, after=after, limit=limit + 1)
    return Page(found[:limit], encode_cursor(found[limit - 1].payment_id) if len(found) > limit else None)


@api_post(
    "/payments/{payment_id:int}/settlement",
    permission="payments.register",
    summary="Book an unclear online payment as received, on a person's word",
    status_code=200,
)
async def settle_by_hand(call: Call, payment_id: FromPath[int], data: JSONBody[SettlingByHand]) -> OnlineItem:
    await unclear.settle_by_hand(call.scope, payment_id, data)
    return online.item_of(await online.get_online(call.scope, payment_id))


@api_post(
    "/payments/{payment_id:int}/giving-up",
    permission="payments.register",
    summary="Give an unclear online payment up; what comes later counts",
    status_code=200,
)
async def give_up(call: Call, payment_id: FromPath[int], data: JSONBody[GivingUp]) -> OnlineItem:
    await unclear.give_up(call.scope, payment_id, data)
    return online.item_of(await online.get_online(call.scope, payment_id))


HANDLERS = (list_gateways, begin, get_online, ask, pay_back, list_unclear, settle_by_hand, give_up)
