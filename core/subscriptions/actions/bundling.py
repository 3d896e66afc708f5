"""Bundles of customers: started in one act, each part with its share of the price; their quantity; dissolved (P18).

A part is a subscription like any other, so that it is taxed at its own category and its revenue is that of its product.
What it costs less than its own price is a discount, which is the bundle's: the shares of full cycles come to its price
exactly, by largest remainder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.catalog.bundles import get_bundle, get_bundle_price, why_not_together
from core.catalog.queries import get_product
from core.catalog.schemas import PriceRow
from core.database import execute, row, rows, value
from core.errors import Conflict, Invalid
from core.ledger.fx import convert, price_rate
from core.money import allocate, half_up
from core.subscriptions.actions.agreed import agree, cut, discounts_of, rated, terms_from
from core.subscriptions.actions.copying import Bundled, write_discounts
from core.subscriptions.actions.discounting import uncharged_from
from core.subscriptions.actions.making import change_on
from core.subscriptions.actions.shared import Locked, get_buyer, lock, may_order
from core.subscriptions.actions.starting import request_at, start_at, timing_of
from core.subscriptions.bundles import get_customer_bundle
from core.subscriptions.changes import AgreedChange
from core.subscriptions.events import BundleDissolved, BundleQuantityChanged, BundleSubscribed
from core.subscriptions.pricing import prices_for
from core.subscriptions.schemas import ONE_E6, NewDiscount, NewSubscription
from core.subscriptions.status import SubscriptionState
from core.texts import _, in_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from core.catalog.bundles import BundleDetail, BundlePrice
    from core.catalog.schemas import ProductDetail
    from core.scope import Scope
    from core.subscriptions.bundles import CustomerBundleRow, NewCustomerBundle
    from core.subscriptions.schemas import Buyer


class Share(Struct, frozen=True):
    """What a part has of its bundle: so many of its product at this price of one, `off` less for a full cycle.

    `price_id`: of the product's own price, where that is what the discount is on.
    """

    price_id: int
    unit_minor: int
    off_minor: int
    quantity_e6: int


def shares_of(
    total_minor: int, weights: Sequence[int], own: Sequence[PriceRow | None], quantities: Sequence[int]
) -> list[Share]:
    """The price of a cycle in parts that come to it exactly. A part is stated at the product's own price with a
    discount where that is more than its share, else at a price of one which covers it."""
    found: list[Share] = []
    whole = sum(weights)
    for part, weight, price, quantity in zip(allocate(total_minor, weights), weights, own, quantities, strict=True):
        if price is not None and price.amount_minor * quantity * whole >= total_minor * weight * ONE_E6:
            unit, price_id = price.amount_minor, price.id
        else:
            unit, price_id = -(-total_minor * weight * ONE_E6 // (whole * quantity)), 0
        found.append(Share(price_id, unit, half_up(unit * quantity, ONE_E6) - part, quantity))
    return found


def weights_of(bundle: BundleDetail, own: Sequence[PriceRow | None]) -> list[int]:
    """By the products' own prices, or as they are stated; alike where all cost nothing. Conflict where one is not
    priced."""
    if bundle.shares == "weights":
        return [member.weight for member in bundle.members]
    weights: list[int] = []
    for member, price in zip(bundle.members, own, strict=True):
        if price is None:
            raise Conflict(
                _(
                    "%(name)s has no price of its own for this cycle and currency: enter it, or share the bundle's"
                    " price by weights.",
                    name=member.product,
                )
            )
        weights.append(half_up(price.amount_minor * member.quantity_e6, ONE_E6))
    return weights if sum(weights) else [1] * len(weights)


async def own_prices(
    scope: Scope, customer_id: int, product_ids: Sequence[int], cycle: tuple[str, int], currency: str, inclusive: bool
) -> list[PriceRow | None]:
    """What each product costs this customer by itself, for a cycle; None where it has no such price."""
    prices = await prices_for(scope, customer_id, currency, product_ids)
    return [
        next(
            (
                price
                for price in prices
                if price.product_id == each
                and (price.cycle_unit, price.cycle_count) == cycle
                and price.tax_inclusive == inclusive
            ),
            None,
        )
        for each in product_ids
    ]


async def _in_currency(scope: Scope, buyer: Buyer, bundle: BundleDetail, price: BundlePrice) -> BundlePrice:
    """The price as this customer pays it: where the bundle is priced in its currency that holds, else by the rate."""
    if price.currency == buyer.currency:
        return price
    told = {"currency": buyer.currency, "other": price.currency}
    own = any(
        each.currency == buyer.currency
        and (each.cycle_unit, each.cycle_count) == (price.cycle_unit, price.cycle_count)
        and each.holds_on(scope.today())
        for each in bundle.prices
    )
    if own:
        raise Invalid(_("The customer pays in %(currency)s; this price is in %(other)s.", **told), field="price_id")
    rate = await price_rate(scope.tenant.currency, buyer.id, price.currency, buyer.currency, scope.today())
    if rate is None:
        raise Invalid(
            _(
                "The customer pays in %(currency)s; this price is in %(other)s, and there is no rate between them."
                " Agree one, or enter it under Settings, Currencies.",
                **told,
            ),
            field="price_id",
        )
    amounts = {
        name: convert(getattr(price, name), price.currency, buyer.currency, rate)
        for name in ("amount_minor", "setup_minor", "termination_minor")
    }
    return msgspec.structs.replace(price, currency=buyer.currency, rate_e10=rate, **amounts)


# -- starting ---------------------------------------------------------------------------------------------------------


class _Ordered(Struct, frozen=True):
    """A bundle that is written, and what each of its parts starts with."""

    id: int
    buyer: Buyer
    products: list[ProductDetail]
    prices: list[PriceRow]
    orders: list[NewSubscription]
    columns: list[dict[str, int]]


async def _order(scope: Scope, data: NewCustomerBundle) -> _Ordered:
    buyer = await get_buyer(scope, data.customer_id)
    may_order(buyer)
    bundle, price = await get_bundle(data.bundle_id), await get_bundle_price(data.price_id)
    if price.bundle_id != bundle.id:
        raise Invalid(_("This price is another product's."), field="price_id")
    if not bundle.is_sold_on(scope.today()):
        raise Conflict(_("%(name)s is not sold today.", name=bundle.name))
    if not price.holds_on(scope.today()):
        raise Invalid(_("This price is not offered today. Choose another one."), field="price_id")
    products = [await get_product(member.product_id) for member in bundle.members]
    if told := why_not_together(products):
        raise Conflict(told)
    if timing_of(buyer, products[0]) == "prepaid":
        raise Conflict(_("A prepaid customer pays for each by itself: what is in the bundle can be subscribed alone."))
    price = await _in_currency(scope, buyer, bundle, price)
    cycle = (price.cycle_unit, price.cycle_count)
    own = await own_prices(
        scope, buyer.id, [each.id for each in products], cycle, buyer.currency, inclusive=price.tax_inclusive
    )
    weights = weights_of(bundle, own)
    amount = price.amount_minor if data.amount_minor is None else data.amount_minor
    quantities = [half_up(member.quantity_e6 * data.quantity_e6, ONE_E6) for member in bundle.members]
    shares = shares_of(half_up(amount * data.quantity_e6, ONE_E6), weights, own, quantities)
    name = data.label or bundle.name
    customer_bundle_id = int(
        await value(
            "INSERT INTO customer_bundle (customer_id, bundle_id, label, quantity_e6, currency, amount_minor,"
            " cycle_unit, cycle_count, tax_inclusive, created_at) VALUES (:customer_id, :bundle_id, :label, :quantity,"
            " :currency, :amount, :unit, :count, :inclusive, :now) RETURNING id",
            customer_id=buyer.id,
            bundle_id=bundle.id,
            label=data.label,
            quantity=data.quantity_e6,
            currency=buyer.currency,
            amount=amount,
            unit=price.cycle_unit,
            count=price.cycle_count,
            inclusive=price.tax_inclusive,
            now=scope.now(),
        )
    )
    fees = zip(allocate(price.setup_minor, weights), allocate(price.termination_minor, weights), strict=True)
    return _Ordered(
        id=customer_bundle_id,
        buyer=buyer,
        products=products,
        prices=[
            PriceRow(
                id=share.price_id,
                product_id=product.id,
                price_list_id=0,
                currency=buyer.currency,
                cycle_unit=price.cycle_unit,
                cycle_count=price.cycle_count,
                amount_minor=share.unit_minor,
                setup_minor=setup,
                tax_inclusive=price.tax_inclusive,
                valid_from=price.valid_from,
                valid_to=price.valid_to,
                termination_minor=termination,
                rate_e10=price.rate_e10,
            )
            for product, share, (setup, termination) in zip(products, shares, fees, strict=True)
        ],
        orders=[
            NewSubscription(
                customer_id=buyer.id,
                product_id=product.id,
                price_id=price.id,
                starts_on=data.starts_on,
                quantity_e6=share.quantity_e6,
                discounts=_discount(share, name),
                label=_label(name, product.name),
            )
            for product, share in zip(products, shares, strict=True)
        ],
        columns=[
            {"customer_bundle_id": customer_bundle_id, "bundle_weight": weight, "bundle_quantity_e6": each.quantity_e6}
            for weight, each in zip(weights, bundle.members, strict=True)
        ],
    )


def _label(bundle: str, product: str) -> str:
    """How a part stands on documents: together with the others under the bundle's name."""
    return f"{bundle}: {product}"[:200]


def _discount(share: Share, name: str) -> list[NewDiscount]:
    return [NewDiscount(amount_minor=share.off_minor, label=name)] if share.off_minor else []


async def _mark_discount(subscription_id: int) -> None:
    """The discount of a bundle is the first one, and goes with the bundle alone."""
    await execute(
        "UPDATE subscription_discount SET of_bundle = TRUE WHERE subscription_id = :id AND position = 1",
        id=subscription_id,
    )


def _tell_subscribed(scope: Scope, ordered: _Ordered, ids: Sequence[int]) -> None:
    record(
        scope,
        BundleSubscribed(customer_bundle_id=ordered.id, customer_id=ordered.buyer.id),
        changes={"subscriptions": (None, ", ".join(str(each) for each in ids))},
    )


async def start_bundle(scope: Scope, data: NewCustomerBundle) -> int:
    """All its parts are live at once, invoiced on terms by the billing run; gives its id."""
    async with unit_of_work(scope):
        ordered = await _order(scope, data)
        ids: list[int] = []
        anchor_on: date | None = None
        for product, price, order, columns in zip(
            ordered.products, ordered.prices, ordered.orders, ordered.columns, strict=True
        ):
            bundled = Bundled(ordered.products[0], columns)
            order = msgspec.structs.replace(order, anchor_on=anchor_on)
            ids.append(await start_at(scope, ordered.buyer, product, price, order, bundled))
            if order.discounts:
                await _mark_discount(ids[-1])
            if anchor_on is None:
                anchor_on = (await lock(scope, ids[0])).anchor_on
        _tell_subscribed(scope, ordered, ids)
        return ordered.id


class RequestedBundle(Struct, frozen=True):
    """A bundle that waits for an invoice, and the charges which that takes up."""

    customer_bundle_id: int
    charge_ids: list[int]


async def request_bundle(scope: Scope, data: NewCustomerBundle) -> RequestedBundle:
    """All its parts wait for one invoice; billing makes it in the same unit of work."""
    async with unit_of_work(scope):
        ordered = await _order(scope, data)
        charges: list[int] = []
        by_group: dict[int, int] = {}
        ids: list[int] = []
        for product, price, order, columns in zip(
            ordered.products, ordered.prices, ordered.orders, ordered.columns, strict=True
        ):
            bundled = Bundled(
                ordered.products[0],
                columns,
                beside=frozenset(by_group),
                parent_id=by_group.get(product.requires_group_id or 0),
            )
            asked = await request_at(scope, ordered.buyer, product, price, order, bundled)
            if order.discounts:
                await _mark_discount(asked.subscription_id)
            charges += asked.charge_ids
            ids.append(asked.subscription_id)
            if product.group_id is not None:
                by_group.setdefault(product.group_id, asked.subscription_id)
        _tell_subscribed(scope, ordered, ids)
        return RequestedBundle(ordered.id, charges)


# -- as a whole -------------------------------------------------------------------------------------------------------


async def lock_parts(scope: Scope, customer_bundle_id: int) -> tuple[CustomerBundleRow, list[Locked]]:
    """A bundle and its live parts, locked, the leading one first. Conflict where nothing of it is live."""
    await value("SELECT 1 FROM customer_bundle WHERE id = :id FOR UPDATE", id=customer_bundle_id)
    mine = await get_customer_bundle(scope, customer_bundle_id)
    if mine.dissolved_on is not None:
        raise Conflict(_("%(name)s is dissolved: what was in it goes on by itself.", name=mine.name))
    if not mine.is_live:
        raise Conflict(_("%(name)s is over.", name=mine.name))
    locked = [await lock(scope, part.id) for part in mine.parts if part.state not in ("ended", "withdrawn")]
    return mine, locked


class _Kept(Struct, frozen=True):
    bundle_weight: int
    bundle_quantity_e6: int


async def _kept(subscription_id: int) -> _Kept:
    found = await row(
        _Kept, "SELECT bundle_weight, bundle_quantity_e6 FROM subscription WHERE id = :id", id=subscription_id
    )
    assert found is not None
    return found


async def change_quantity(scope: Scope, customer_bundle_id: int, quantity_e6: int) -> list[int]:
    """Another quantity of the whole. More than today's holds at once: gives the charges of the difference, for one
    invoice. Less holds from the next period on that is not charged yet, in the place of what was to hold then."""
    async with unit_of_work(scope):
        mine, parts = await lock_parts(scope, customer_bundle_id)
        if quantity_e6 == mine.quantity_e6:
            raise Invalid(_("This is what it has already. Choose something else."), field="quantity")
        if any(part.state is not SubscriptionState.ACTIVE or part.due_on is None for part in parts):
            raise Conflict(
                _(
                    "A subscription that is %(state)s and not billed cannot be changed.",
                    state=in_sentence(_(parts[0].state.capitalize())),
                )
            )
        kept = [await _kept(part.id) for part in parts]
        now = [(await terms_from(part.id, scope.today()))[0] for part in parts]
        wanted = [half_up(each.bundle_quantity_e6 * quantity_e6, ONE_E6) for each in kept]
        total = half_up(mine.amount_minor * quantity_e6, ONE_E6)
        off = [
            half_up(term.amount_minor * quantity, ONE_E6) - share
            for term, quantity, share in zip(
                now, wanted, allocate(total, [each.bundle_weight for each in kept]), strict=True
            )
        ]
        charges: list[int] = []
        for part, term, quantity, less in zip(parts, now, wanted, off, strict=True):
            if quantity > term.quantity_e6:
                charges += await _more(scope, part, quantity, less, mine.name)
            else:
                await _less(scope, part, quantity, less, mine.name)
        await execute(
            "UPDATE customer_bundle SET quantity_e6 = :quantity, version = version + 1 WHERE id = :id",
            id=mine.id,
            quantity=quantity_e6,
        )
        record(
            scope,
            BundleQuantityChanged(customer_bundle_id=mine.id, customer_id=mine.customer_id),
            changes={"quantity": (mine.quantity_e6 // ONE_E6, quantity_e6 // ONE_E6)},
        )
        return charges


async def _discounts(part: Locked, off_minor: int, name: str) -> list[NewDiscount]:
    """Those of a part, that of the bundle first: so much for a full cycle."""
    others = await rows(
        NewDiscount,
        "SELECT percent_e6, amount_minor, until_on, cycles, label FROM subscription_discount"
        " WHERE subscription_id = :id AND NOT of_bundle ORDER BY position",
        id=part.id,
    )
    return [*([NewDiscount(amount_minor=off_minor, label=name)] if off_minor else []), *others]


async def _more(scope: Scope, part: Locked, quantity_e6: int, off_minor: int, name: str) -> list[int]:
    term = (await terms_from(part.id, scope.today()))[0]
    change = AgreedChange(
        kind="upgrade",
        product_id=part.product_id,
        price_id=term.price_id,
        amount_minor=term.amount_minor,
        currency=term.currency,
        price_rate_e10=term.price_rate_e10,
        cycle_unit=term.cycle_unit,
        cycle_count=term.cycle_count,
        tax_inclusive=term.tax_inclusive,
        setup_minor=0,
        fee_minor=0,
        minimum_minor=0,
        unused="none",
        anchor="keep",
        quantity_e6=quantity_e6,
        discounts=await _discounts(part, off_minor, name),
        replaces_terms=False,
    )
    made = await change_on(scope, part, change, scope.today())
    if off_minor:
        await _mark_discount(part.id)
    return made.charge_ids


async def _less(scope: Scope, part: Locked, quantity_e6: int, off_minor: int, name: str) -> None:
    start = uncharged_from(scope, part)
    wanted = await _discounts(part, off_minor, name)
    await execute("DELETE FROM subscription_discount WHERE subscription_id = :id", id=part.id)
    await write_discounts(part.id, wanted)
    if off_minor:
        await _mark_discount(part.id)
    discounts = await discounts_of(part.id)
    ends = [each.until_on for each in discounts if each.until_on is not None]
    terms = [each for each in cut(await terms_from(part.id, start), [start, *ends]) if each.valid_from >= start]
    await agree(
        part.id, start, [rated(msgspec.structs.replace(term, quantity_e6=quantity_e6), discounts) for term in terms]
    )


async def dissolve(scope: Scope, customer_bundle_id: int) -> date:
    """Its parts go on by themselves, at their own prices from the next period on that is not charged yet; gives that
    day. Their contracts stay as they were agreed."""
    async with unit_of_work(scope):
        mine, parts = await lock_parts(scope, customer_bundle_id)
        if parts[0].state is SubscriptionState.PENDING:
            raise Conflict(_("It waits for its invoice: void that, and it is over."))
        own = await own_prices(
            scope,
            mine.customer_id,
            [part.product_id for part in parts],
            (mine.cycle_unit, mine.cycle_count),
            mine.currency,
            inclusive=mine.tax_inclusive,
        )
        starts: list[date] = []
        for part, price in zip(parts, own, strict=True):
            if price is None:
                name = await value("SELECT name FROM product WHERE id = :id", id=part.product_id)
                raise Conflict(
                    _("%(name)s has no price of its own for this cycle and currency: enter it first.", name=name)
                )
            start = uncharged_from(scope, part)
            await execute("DELETE FROM subscription_discount WHERE subscription_id = :id AND of_bundle", id=part.id)
            discounts = await discounts_of(part.id)
            ends = [each.until_on for each in discounts if each.until_on is not None]
            terms = [each for each in cut(await terms_from(part.id, start), [start, *ends]) if each.valid_from >= start]
            await agree(
                part.id,
                start,
                [
                    rated(
                        msgspec.structs.replace(
                            term,
                            price_id=price.id,
                            price_rate_e10=price.rate_e10,
                            amount_minor=price.amount_minor,
                            tax_inclusive=price.tax_inclusive,
                        ),
                        discounts,
                    )
                    for term in terms
                ],
            )
            await execute(
                "UPDATE subscription SET customer_bundle_id = NULL, label = '', version = version + 1 WHERE id = :id",
                id=part.id,
            )
            starts.append(start)
        await execute(
            "UPDATE customer_bundle SET dissolved_on = :today, version = version + 1 WHERE id = :id",
            id=mine.id,
            today=scope.today(),
        )
        record(
            scope,
            BundleDissolved(customer_bundle_id=mine.id, customer_id=mine.customer_id, from_on=starts[0]),
            changes={"dissolved_on": (None, scope.today())},
        )
        return starts[0]
