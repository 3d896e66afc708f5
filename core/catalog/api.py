"""The catalogue over JSON. Amounts are in minor units of their currency."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from core.catalog import actions, bundle_api, queries
from core.catalog.bundle_api import Cursor, Limit
from core.catalog.listing import PRODUCTS
from core.catalog.schemas import (
    ChangePolicy,
    GroupRow,
    Kind,
    NewGroup,
    NewPrice,
    NewProduct,
    NewTaxCategory,
    NewTaxRate,
    PriceRow,
    ProductDetail,
    ProductFields,
    ProductItem,
    TaxCategoryRow,
    TaxRateRow,
)
from core.catalog.tax_names import TaxSettings, name_tax, tax_names_now
from core.errors import NotFound
from core.web.jsonapi import Call, Page, api_delete, api_get, api_patch, api_post, api_put
from core.web.reach import check_sees_everyone


class ProductChange(ProductFields, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """All fields of a product, against the version that was read."""

    version: Annotated[int, Meta(ge=1)]


class Created(Struct, frozen=True):
    id: int


@api_get(
    "/products",
    permission="catalog.view",
    summary="List products, in the order of the catalogue",
    description="Also searched (`q`), sorted (`sort=name`) and filtered as the page: `group=1`, `state=sold`,"
    " `tax=standard`; `view=5` as a saved view has it.",
)
async def list_products(
    call: Call,
    kind: Annotated[Kind | None, QueryParameter(description="plan, module, service or one_off")] = None,
    on: Annotated[date | None, QueryParameter(description="Only what is sold on this day")] = None,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[ProductItem]:
    return await PRODUCTS.api(call, cursor=cursor, limit=limit)


@api_post("/products", permission="catalog.edit", summary="Create a product with its prices")
async def create_product(call: Call, data: JSONBody[NewProduct]) -> ProductDetail:
    check_sees_everyone(call.scope)
    return await queries.get_product(await actions.create_product(call.scope, data))


@api_get("/products/{product_id:int}", permission="catalog.view", summary="One product with all its prices")
async def get_product(call: Call, product_id: FromPath[int]) -> ProductDetail:
    return await queries.get_product(product_id)


@api_patch("/products/{product_id:int}", permission="catalog.edit", summary="Change a product")
async def change_product(call: Call, product_id: FromPath[int], data: JSONBody[ProductChange]) -> ProductDetail:
    check_sees_everyone(call.scope)
    fields = ProductFields(**{name: getattr(data, name) for name in ProductFields.__struct_fields__})
    await actions.change_product(call.scope, product_id, fields, version=data.version)
    return await queries.get_product(product_id)


class PolicyChange(ChangePolicy, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """All of a change policy, against the version of the product that was read."""

    version: Annotated[int, Meta(ge=1)]


@api_get(
    "/products/{product_id:int}/change-policy",
    permission="catalog.view",
    summary="How subscriptions of a product are upgraded, downgraded and changed to another cycle",
)
async def get_change_policy(call: Call, product_id: FromPath[int]) -> ChangePolicy:
    return await queries.get_change_policy(product_id)


@api_patch(
    "/products/{product_id:int}/change-policy",
    permission="catalog.edit",
    summary="Say how subscriptions of a product are changed",
)
async def set_change_policy(call: Call, product_id: FromPath[int], data: JSONBody[PolicyChange]) -> ChangePolicy:
    check_sees_everyone(call.scope)
    policy = ChangePolicy(**{name: getattr(data, name) for name in ChangePolicy.__struct_fields__})
    await actions.set_change_policy(call.scope, product_id, policy, version=data.version)
    return await queries.get_change_policy(product_id)


@api_post("/products/{product_id:int}/prices", permission="catalog.edit", summary="Set a price from a day on")
async def set_price(call: Call, product_id: FromPath[int], data: JSONBody[NewPrice]) -> PriceRow:
    check_sees_everyone(call.scope)
    return await queries.get_price(await actions.set_price(call.scope, product_id, data))


@api_delete(
    "/products/{product_id:int}/prices/{price_id:int}", permission="catalog.edit", summary="Offer a price no longer"
)
async def withdraw_price(call: Call, product_id: FromPath[int], price_id: FromPath[int]) -> PriceRow:
    check_sees_everyone(call.scope)
    price = await queries.get_price(price_id)
    if price.product_id != product_id:
        raise NotFound(f"price {price_id} of product {product_id}")
    await actions.withdraw_price(call.scope, price_id)
    return await queries.get_price(price_id)


@api_get("/product-groups", permission="catalog.view", summary="List product groups")
async def list_groups(call: Call) -> list[GroupRow]:
    return await queries.list_groups()


@api_post("/product-groups", permission="catalog.edit", summary="Create a product group")
async def create_group(call: Call, data: JSONBody[NewGroup]) -> Created:
    check_sees_everyone(call.scope)
    return Created(await actions.create_group(call.scope, data))


@api_get("/tax-categories", permission="catalog.view", summary="List tax categories")
async def list_tax_categories(call: Call) -> list[TaxCategoryRow]:
    return await queries.list_tax_categories()


@api_post("/tax-categories", permission="catalog.edit", summary="Create a tax category")
async def create_tax_category(call: Call, data: JSONBody[NewTaxCategory]) -> Created:
    check_sees_everyone(call.scope)
    return Created(await actions.create_tax_category(call.scope, data))


@api_get("/tax-rates", permission="catalog.view", summary="List tax rates, the newest of each first")
async def list_tax_rates(
    call: Call, country: Annotated[str, QueryParameter(max_length=2, description="Two letters")] = ""
) -> list[TaxRateRow]:
    return await queries.list_tax_rates(country.upper() or None)


@api_post("/tax-rates", permission="catalog.edit", summary="Set a tax rate from a day on")
async def set_tax_rate(call: Call, data: JSONBody[NewTaxRate]) -> Created:
    check_sees_everyone(call.scope)
    return Created(await actions.set_tax_rate(call.scope, data))


@api_get("/tax-name", permission="catalog.view", summary="What the tax is called on documents, by their language")
async def get_tax_name(call: Call) -> dict[str, str]:
    return await tax_names_now(call.scope.tenant.country)


@api_put("/tax-name", permission="catalog.edit", summary="Say what the tax is called on documents to come")
async def set_tax_name(call: Call, data: JSONBody[TaxSettings]) -> dict[str, str]:
    check_sees_everyone(call.scope)
    await name_tax(call.scope, data, call.scope.tenant.country)
    return await tax_names_now(call.scope.tenant.country)


HANDLERS = (
    list_products,
    create_product,
    get_product,
    change_product,
    get_change_policy,
    set_change_policy,
    set_price,
    withdraw_price,
    list_groups,
    create_group,
    list_tax_categories,
    create_tax_category,
    list_tax_rates,
    set_tax_rate,
    get_tax_name,
    set_tax_name,
    *bundle_api.HANDLERS,
)
