"""A new price for existing subscriptions, over JSON."""

from __future__ import annotations

from datetime import date

from litestar.params import FromPath, JSONBody
from msgspec import Struct

from core.subscriptions.actions.repricing import Repriced, apply_price, preview_price
from core.web.jsonapi import Call, api_post
from core.web.reach import check_sees_everyone


class ApplyPrice(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """From which day on: the first period of each that begins then or later. `tell`: customers are written to."""

    from_on: date
    tell: bool = False


class BeingApplied(Struct, frozen=True):
    """The job that does it."""

    job_id: int


@api_post(
    "/prices/{price_id:int}/application/preview",
    permission="subscriptions.change",
    summary="Who a price would be applied to, and what they pay before and then. Nothing is written",
    status_code=200,
)
async def preview_application(call: Call, price_id: FromPath[int], data: JSONBody[ApplyPrice]) -> Repriced:
    check_sees_everyone(call.scope)
    return await preview_price(call.scope, price_id, data.from_on)


@api_post(
    "/prices/{price_id:int}/application",
    permission="subscriptions.change",
    summary="Apply a price to the subscriptions of its product that have the price of its list",
    status_code=202,
)
async def apply(call: Call, price_id: FromPath[int], data: JSONBody[ApplyPrice]) -> BeingApplied:
    check_sees_everyone(call.scope)
    return BeingApplied(await apply_price(call.scope, price_id, data.from_on, tell=data.tell))


HANDLERS = (preview_application, apply)
