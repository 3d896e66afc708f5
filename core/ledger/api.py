"""Rates of exchange over JSON."""

from __future__ import annotations

from typing import Annotated

from litestar.params import JSONBody, QueryParameter
from msgspec import Struct

from core.ledger import actions, queries
from core.ledger.schemas import FxRateRow, NewFxRate
from core.web.jsonapi import Call, api_get, api_post
from core.web.reach import check_sees_everyone


class FxRateMade(Struct, frozen=True):
    id: int


@api_get("/fx-rates", permission="settings.view", summary="List exchange rates, the newest of each first")
async def list_fx_rates(
    call: Call,
    currency: Annotated[str, QueryParameter(max_length=3, description="Only those from one currency")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=500, description="At most so many")] = 500,
) -> list[FxRateRow]:
    return await queries.list_fx_rates(currency.upper() or None, limit=limit)


@api_post("/fx-rates", permission="currencies.edit", summary="Set an exchange rate from a day on")
async def set_fx_rate(call: Call, data: JSONBody[NewFxRate]) -> FxRateMade:
    check_sees_everyone(call.scope)
    return FxRateMade(await actions.set_fx_rate(call.scope, data))


HANDLERS = (list_fx_rates, set_fx_rate)
