"""Discounts of what runs, over JSON."""

from __future__ import annotations

from datetime import date

from litestar.params import FromPath, JSONBody
from msgspec import Struct

from core.subscriptions import queries
from core.subscriptions.actions.discounting import (
    DiscountRow,
    add_discount,
    add_discount_to_all,
    list_discounts,
    remove_discount,
)
from core.subscriptions.schemas import NewDiscount, SubscriptionRow
from core.web.jsonapi import Call, api_delete, api_get, api_post


class Discounted(Struct, frozen=True):
    """The first day on which the price changes, and the discounts then."""

    from_on: date
    discounts: list[DiscountRow]


@api_get(
    "/subscriptions/{subscription_id:int}/discounts", permission="subscriptions.view", summary="Its discounts, in order"
)
async def list_its_discounts(call: Call, subscription_id: FromPath[int]) -> list[DiscountRow]:
    await queries.get_subscription(call.scope, subscription_id)
    return await list_discounts(subscription_id)


@api_post(
    "/subscriptions/{subscription_id:int}/discounts",
    permission="subscriptions.change",
    summary="Add a discount, from the next period on",
)
async def add(call: Call, subscription_id: FromPath[int], data: JSONBody[NewDiscount]) -> Discounted:
    from_on = await add_discount(call.scope, subscription_id, data)
    return Discounted(from_on, await list_discounts(subscription_id))


@api_delete(
    "/subscriptions/{subscription_id:int}/discounts/{discount_id:int}",
    permission="subscriptions.change",
    summary="Remove a discount, from the next period on",
)
async def remove(call: Call, subscription_id: FromPath[int], discount_id: FromPath[int]) -> Discounted:
    from_on = await remove_discount(call.scope, subscription_id, discount_id)
    return Discounted(from_on, await list_discounts(subscription_id))


@api_post(
    "/customers/{customer_id:int}/discounts",
    permission="subscriptions.change",
    summary="Add a discount to everything that a customer is charged again and again for",
)
async def add_to_all(call: Call, customer_id: FromPath[int], data: JSONBody[NewDiscount]) -> list[SubscriptionRow]:
    ids = await add_discount_to_all(call.scope, customer_id, data)
    return [await queries.get_subscription(call.scope, each) for each in ids]


HANDLERS = (list_its_discounts, add, remove, add_to_all)
