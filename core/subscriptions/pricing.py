"""List prices in the customer's currency: those that there are, else the tenant's, by the price rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from core.catalog.queries import list_prices
from core.errors import Invalid
from core.ledger.fx import convert, price_rate
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.catalog.schemas import PriceRow
    from core.scope import Scope


async def priced(
    scope: Scope, customer_id: int, currency: str, price: PriceRow, others: Sequence[PriceRow]
) -> PriceRow:
    """The price in the customer's currency, as it would be copied into terms today.

    `others` are the product's prices: where one of the same cycle is in that currency it holds, and Invalid is raised;
    and where nobody has entered a rate.
    """
    if price.currency == currency:
        return price
    today = scope.today()
    own = any(
        each.currency == currency
        and (each.cycle_unit, each.cycle_count) == (price.cycle_unit, price.cycle_count)
        and each.valid_from <= today
        and (each.valid_to is None or each.valid_to > today)
        for each in others
    )
    if own:
        told = _(
            "The customer pays in %(currency)s; this price is in %(other)s.", currency=currency, other=price.currency
        )
        raise Invalid(told, field="price_id")
    rate = await price_rate(scope.tenant.currency, customer_id, price.currency, currency, today)
    if rate is None:
        told = _(
            "The customer pays in %(currency)s; this price is in %(other)s, and there is no rate between them."
            " Agree one, or enter it under Settings, Currencies.",
            currency=currency,
            other=price.currency,
        )
        raise Invalid(told, field="price_id")
    return converted(price, currency, rate)


def converted(price: PriceRow, currency: str, rate_e10: int) -> PriceRow:
    """The same price by a rate, rounded half up to a minor unit."""
    return msgspec.structs.replace(
        price,
        currency=currency,
        amount_minor=convert(price.amount_minor, price.currency, currency, rate_e10),
        setup_minor=convert(price.setup_minor, price.currency, currency, rate_e10),
        termination_minor=convert(price.termination_minor, price.currency, currency, rate_e10),
        intro_minor=None
        if price.intro_minor is None
        else convert(price.intro_minor, price.currency, currency, rate_e10),
        rate_e10=rate_e10,
    )


async def prices_for(scope: Scope, customer_id: int, currency: str, product_ids: Sequence[int]) -> list[PriceRow]:
    """What products cost this customer today: their prices in its currency; of those that have none there, the
    tenant's, turned into it. None of the latter where there is no rate."""
    today, base = scope.today(), scope.tenant.currency
    found = await list_prices(product_ids, currency, today)
    own = {price.product_id for price in found}
    others = [each for each in product_ids if each not in own]
    if not others or currency == base:
        return found
    rate = await price_rate(base, customer_id, base, currency, today)
    listed = await list_prices(others, base, today) if rate is not None else []
    return [*found, *(converted(each, currency, rate) for each in listed if rate is not None)]
