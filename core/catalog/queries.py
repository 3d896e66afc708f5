"""Reads of the catalogue. All actors may read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from core.catalog.schemas import ChangePolicy, GroupRow, PriceRow, ProductDetail, ProductRow, TaxCategoryRow, TaxRateRow
from core.database import all_of, row, rows, value
from core.errors import NotFound
from core.settings.offers import offer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date

_FIELDS = """
SELECT product.id, product.code, product.name, product.description, product.kind, product.group_id,
       product_group.code AS group_code, product_group.name AS group_name, product_group.one_live, product.rank,
       product.timing, product.activation, product.trial_days, product.at_trial_end, product.proration,
       product.final_proration, product.pending_days, product.tax_category, product.requires_group_id,
       product.min_term_unit, product.min_term_count, product.notice_days, product.renew_unit, product.renew_count,
       product.available_from, product.available_to,
       product.position, product.version
"""
_FROM = "FROM product LEFT JOIN product_group ON product_group.id = product.group_id"
_PRODUCT = f"{_FIELDS} {_FROM}"

SOLD = (
    "CASE WHEN product.available_from > :{day} THEN 'to_come' WHEN product.available_to <= :{day} THEN 'ended'"
    " ELSE 'sold' END"
)
"""Whether a product is sold on the day of that name."""
ITEM = f"{_FIELDS}, {SOLD.format(day='list_today')} AS state {_FROM}"

_PRICE = """
SELECT price.id, price.product_id, price.price_list_id, price.currency, price.cycle_unit, price.cycle_count,
       price.amount_minor, price.setup_minor, price.tax_inclusive, price.valid_from, price.valid_to,
       price.termination_minor, price.intro_minor, price.intro_cycles
FROM price
"""


async def get_product(product_id: int) -> ProductDetail:
    """A product with all its prices."""
    found = await row(ProductRow, f"{_PRODUCT} WHERE product.id = :id", id=product_id)
    if found is None:
        raise NotFound(f"product {product_id}")
    prices = await rows(
        PriceRow,
        f"{_PRICE} WHERE product_id = :id ORDER BY price_list_id, currency, cycle_unit, cycle_count, valid_from DESC",
        id=product_id,
    )
    return ProductDetail(**msgspec.structs.asdict(found), prices=prices)


class _Policy(Struct, frozen=True):
    id: int
    change_policy: str


async def get_change_policy(product_id: int) -> ChangePolicy:
    """What holds where nothing was said is the default."""
    found = await value("SELECT change_policy FROM product WHERE id = :id", id=product_id)
    if found is None:
        raise NotFound(f"product {product_id}")
    return msgspec.json.decode(str(found), type=ChangePolicy)


async def list_change_policies(product_ids: Collection[int]) -> dict[int, ChangePolicy]:
    """The same of several, by their ids."""
    if not product_ids:
        return {}
    found = await rows(_Policy, "SELECT id, change_policy FROM product WHERE id IN :ids", ids=list(product_ids))
    return {one.id: msgspec.json.decode(one.change_policy, type=ChangePolicy) for one in found}


async def find_product_by_code(code: str) -> int | None:
    found = await value("SELECT id FROM product WHERE code = :code", code=code)
    return int(found) if found is not None else None


_SOLD = (
    "(product.available_from IS NULL OR product.available_from <= :day)"
    " AND (product.available_to IS NULL OR product.available_to > :day)"
)


async def list_products(*, kinds: Collection[str] = (), on: date | None = None) -> list[ProductRow]:
    """In the order of their groups, their position and rank; with `on`, those that can be sold on that day."""
    return await rows(
        ProductRow,
        f"""{_PRODUCT}
        WHERE {all_of(bool(kinds) and "product.kind IN :kinds", on is not None and _SOLD)}
        ORDER BY product_group.position, product.position, product.rank, product.id""",
        kinds=list(kinds),
        day=on,
    )


async def list_prices(
    product_ids: Sequence[int], currency: str, on: date, price_list_id: int | None = None
) -> list[PriceRow]:
    """The prices in force on a day in a currency, the shortest cycle first; of the default list unless one is named."""
    return await rows(
        PriceRow,
        f"""{_PRICE}
        JOIN price_list ON price_list.id = price.price_list_id
        WHERE price.product_id IN :ids AND price.currency = :currency
          AND (price_list.id = :price_list_id OR (:by_default AND price_list.is_default))
          AND price.valid_from <= :day AND (price.valid_to IS NULL OR price.valid_to > :day)
        ORDER BY price.product_id,
                 CASE price.cycle_unit WHEN 'once' THEN 0 WHEN 'day' THEN 1 WHEN 'week' THEN 2 WHEN 'month' THEN 3
                     ELSE 4 END,
                 price.cycle_count""",
        ids=list(product_ids),
        currency=currency,
        price_list_id=price_list_id,
        by_default=price_list_id is None,
        day=on,
    )


async def get_price(price_id: int) -> PriceRow:
    found = await row(PriceRow, f"{_PRICE} WHERE price.id = :id", id=price_id)
    if found is None:
        raise NotFound(f"price {price_id}")
    return found


async def list_groups() -> list[GroupRow]:
    return await rows(GroupRow, "SELECT id, code, name, one_live, position FROM product_group ORDER BY position, id")


async def list_tax_rates(country: str | None = None) -> list[TaxRateRow]:
    return await rows(
        TaxRateRow,
        "SELECT id, country, category, valid_from, rate_ppm FROM tax_rate"
        f" WHERE {all_of(country is not None and 'country = :country')} ORDER BY country, category, valid_from DESC",
        country=country,
    )


class Offered(Struct, frozen=True):
    """A value that products can be filtered by."""

    column: str
    key: str
    label: str


async def list_filter_values() -> list[Offered]:
    """Groups by their ids and taxes by their codes, each in their order."""
    return await rows(
        Offered,
        """SELECT column_key AS "column", key, label FROM (
            SELECT 'group' AS column_key, CAST(id AS text) AS key, name AS label, position, id FROM product_group
            UNION ALL SELECT 'tax', code, name, position, id FROM tax_category
        ) AS offered ORDER BY column_key, position, id""",
    )


async def list_tax_categories() -> list[TaxCategoryRow]:
    return await rows(TaxCategoryRow, "SELECT id, code, name, einvoice_code FROM tax_category ORDER BY position, id")


async def _offered_categories() -> list[tuple[str, str]]:
    return [(each.code, each.name) for each in await list_tax_categories()]


offer("tax_category", _offered_categories)
