"""Bundles of the catalogue over JSON. Amounts are in minor units of their currency."""

from __future__ import annotations

from typing import Annotated

from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from core.catalog import bundles
from core.catalog.bundles import BundleDetail, BundleFields, BundlePrice, NewBundle, NewBundlePrice
from core.catalog.listing import BUNDLES
from core.errors import NotFound
from core.web.jsonapi import Call, Page, api_delete, api_get, api_patch, api_post
from core.web.reach import check_sees_everyone

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]


class BundleChange(BundleFields, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """All fields of a bundle, against the version that was read."""

    version: Annotated[int, Meta(ge=1)]


@api_get(
    "/bundles",
    permission="catalog.view",
    summary="List bundles with their products and prices",
    description="Also searched (`q`), sorted (`sort=name`) and filtered as the page: `state=sold`.",
)
async def list_bundles(call: Call, limit: Limit = 50, cursor: Cursor = "") -> Page[BundleDetail]:
    found = await BUNDLES.api(call, cursor=cursor, limit=limit)
    return Page(items=await bundles.whole(found.items), next=found.next)


@api_post("/bundles", permission="catalog.edit", summary="Create a bundle with its products and prices")
async def create_bundle(call: Call, data: JSONBody[NewBundle]) -> BundleDetail:
    check_sees_everyone(call.scope)
    return await bundles.get_bundle(await bundles.create_bundle(call.scope, data))


@api_get("/bundles/{bundle_id:int}", permission="catalog.view", summary="One bundle")
async def get_bundle(call: Call, bundle_id: FromPath[int]) -> BundleDetail:
    return await bundles.get_bundle(bundle_id)


@api_patch(
    "/bundles/{bundle_id:int}",
    permission="catalog.edit",
    summary="Change a bundle; customers who have it keep what they agreed",
)
async def change_bundle(call: Call, bundle_id: FromPath[int], data: JSONBody[BundleChange]) -> BundleDetail:
    check_sees_everyone(call.scope)
    fields = BundleFields(**{name: getattr(data, name) for name in BundleFields.__struct_fields__})
    await bundles.change_bundle(call.scope, bundle_id, fields, version=data.version)
    return await bundles.get_bundle(bundle_id)


@api_post("/bundles/{bundle_id:int}/prices", permission="catalog.edit", summary="Set a price of a bundle from a day on")
async def set_bundle_price(call: Call, bundle_id: FromPath[int], data: JSONBody[NewBundlePrice]) -> BundlePrice:
    check_sees_everyone(call.scope)
    return await bundles.get_bundle_price(await bundles.set_bundle_price(call.scope, bundle_id, data))


@api_delete(
    "/bundles/{bundle_id:int}/prices/{price_id:int}",
    permission="catalog.edit",
    summary="Offer a price of a bundle no longer",
)
async def withdraw_bundle_price(call: Call, bundle_id: FromPath[int], price_id: FromPath[int]) -> BundlePrice:
    check_sees_everyone(call.scope)
    if (await bundles.get_bundle_price(price_id)).bundle_id != bundle_id:
        raise NotFound(f"price {price_id} of bundle {bundle_id}")
    await bundles.withdraw_bundle_price(call.scope, price_id)
    return await bundles.get_bundle_price(price_id)


HANDLERS = (list_bundles, create_bundle, get_bundle, change_bundle, set_bundle_price, withdraw_bundle_price)
