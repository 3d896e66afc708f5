"""Who sells, how documents are numbered and whether dunning is on, over JSON, as their pages have them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

from litestar import Response
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from core.billing import actions, setting_pages
from core.billing.dunning import DunningSettings
from core.billing.schemas import SellerFields
from core.billing.setting_pages import SERIES, SeriesForm
from core.errors import NotFound
from core.web.jsonapi import Call, api_get, api_post, api_put, version_read
from core.web.reach import check_sees_everyone
from core.web.settings_pages import declare_settings

if TYPE_CHECKING:
    from core.billing.actions.setup import Seller
    from core.web.jsonapi import ApiCall

declare_settings("/settings/dunning", DunningSettings, everyone=True)


class SellerItem(SellerFields, frozen=True, kw_only=True):
    """The seller as documents state it."""

    version: int


class SellerPut(SellerFields, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """All of the seller, against the version that was read: in `version`, or in `If-Match`."""

    version: Annotated[int, Meta(ge=1)] | None = None


class NumberSeriesItem(Struct, frozen=True, kw_only=True):
    """How the documents of a kind are numbered. `next` is the number that the next one has; once numbers were `given`,
    `reset` stays as it is."""

    kind: str
    pattern: str
    reset: str
    next: str
    last_issued_on: date | None
    given: bool


def _seller(found: Seller) -> SellerItem:
    names = (*SellerFields.__struct_fields__, "version")
    return SellerItem(**{name: getattr(found, name) for name in names})


async def _known(call: ApiCall) -> Seller:
    seller = await setting_pages.find_seller()
    if seller is None:
        raise NotFound("seller: billing has not begun")
    return seller


@api_get(
    "/seller",
    permission="settings.view",
    summary="Who sells, as documents state it",
    description="404 before billing has begun: see `POST /api/v1/seller/opening`. `ETag` is its version.",
)
async def show_seller(call: Call) -> Response[SellerItem]:
    seller = await _known(call)
    return Response(_seller(seller), headers={"ETag": f'"{seller.version}"'})


@api_put(
    "/seller",
    permission="settings.edit",
    summary="Change who sells",
    description="Documents that were issued keep what they say. What is left out is emptied. The version that was read"
    " stands in `version` or in `If-Match`; where somebody saved it since, nothing is saved: `details.fields` of the"
    " 409 holds both values of each field that differs.",
)
async def change_seller(call: Call, data: JSONBody[SellerPut]) -> SellerItem:
    check_sees_everyone(call.scope)
    seller = await _known(call)
    fields = SellerFields(**{name: getattr(data, name) for name in SellerFields.__struct_fields__})
    await actions.change_seller(call.scope, seller.id, fields, version=version_read(call, data.version))
    return _seller(await _known(call))


@api_post(
    "/seller/opening",
    permission="settings.edit",
    summary="Make the seller and its number series from the company's data",
    description="As the first document would. What is there already stays.",
    status_code=200,
)
async def open_books(call: Call) -> SellerItem:
    check_sees_everyone(call.scope)
    return _seller(await actions.default_seller(call.scope))


@api_get(
    "/number-series",
    permission="settings.view",
    summary="How documents are numbered",
    description="None before billing has begun.",
)
async def list_series(call: Call) -> list[NumberSeriesItem]:
    check_sees_everyone(call.scope)
    return await _series(call)


@api_get("/number-series/{series_kind:str}", permission="settings.view", summary="How documents of a kind are numbered")
async def show_series(call: Call, series_kind: FromPath[str]) -> NumberSeriesItem:
    check_sees_everyone(call.scope)
    return await _one_series(call, series_kind)


@api_put(
    "/number-series/{series_kind:str}",
    permission="settings.edit",
    summary="Number documents of a kind otherwise",
    description="The pattern has `{YYYY}` or `{YY}` and once `{seq}` or, with zeros before it, `{seq:06}`. The count"
    " goes on, and a number is never given twice. 409 where `reset` differs and numbers were given.",
)
async def change_series(call: Call, series_kind: FromPath[str], data: JSONBody[SeriesForm]) -> NumberSeriesItem:
    check_sees_everyone(call.scope)
    if series_kind not in SERIES:
        raise NotFound(f"number series {series_kind}")
    await actions.change_series(call.scope, series_kind, pattern=data.pattern, reset=data.reset)
    return await _one_series(call, series_kind)


async def _series(call: ApiCall) -> list[NumberSeriesItem]:
    return [
        NumberSeriesItem(**{name: getattr(each, name) for name in NumberSeriesItem.__struct_fields__})
        for each in await setting_pages.list_series(call.scope.today())
    ]


async def _one_series(call: ApiCall, kind: str) -> NumberSeriesItem:
    found = next((each for each in await _series(call) if each.kind == kind), None)
    if found is None:
        raise NotFound(f"number series {kind}")
    return found


HANDLERS = (show_seller, change_seller, open_books, list_series, show_series, change_series)
