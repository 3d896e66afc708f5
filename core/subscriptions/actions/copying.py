"""What is copied when a subscription starts: its anchor, its contract, its discounts and their ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import Struct
from msgspec.structs import replace

from core.database import execute, row, rows, value
from core.errors import Invalid
from core.money import half_up
from core.periods import Cycle, anchor_for, cycle_index, nth
from core.subscriptions.actions.agreed import agree, by_discounts, cut, discounts_of, rated, terms_from
from core.subscriptions.schemas import ONE_E6, NewDiscount
from core.subscriptions.terms import Discount
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.catalog.schemas import PriceRow, ProductDetail
    from core.periods import CycleUnit
    from core.subscriptions.actions.shared import Locked
    from core.subscriptions.schemas import Buyer, NewSubscription


class Parent(Struct, frozen=True):
    """What a module needs, and ends with."""

    id: int
    anchor_on: date | None
    cycle_unit: str


@dataclass(frozen=True, slots=True)
class Bundled:
    """What a bundle decides for a part of it: its leading product, and what is kept with the subscription."""

    lead: ProductDetail
    columns: Mapping[str, Any]
    beside: frozenset[int] = frozenset()
    """Groups of which another part of it starts at the same time."""
    parent_id: int | None = None
    """The part that this one needs."""


async def leading_product(found: Locked) -> int:
    """The product whose contract binds it: its own, or that of the bundle's first part."""
    if found.customer_bundle_id is None:
        return found.product_id
    return int(
        await value(
            "SELECT product_id FROM subscription WHERE customer_bundle_id = :id ORDER BY id LIMIT 1",
            id=found.customer_bundle_id,
        )
    )


async def parent_of(buyer: Buyer, product: ProductDetail) -> Parent | None:
    """The plan that a module needs: the one that the customer has had longest of the group."""
    if product.requires_group_id is None:
        return None
    return await row(
        Parent,
        "SELECT u.id, u.anchor_on, t.cycle_unit FROM subscription u JOIN product p ON p.id = u.product_id"
        " JOIN subscription_term t ON t.subscription_id = u.id AND t.in_force"
        " WHERE u.customer_id = :customer_id AND p.group_id = :group_id"
        " AND u.state IN ('trial', 'active', 'suspended', 'paused') ORDER BY u.id, t.valid_from DESC LIMIT 1",
        customer_id=buyer.id,
        group_id=product.requires_group_id,
    )


def anchor_of(starts_on: date, cycle: Cycle, buyer: Buyer, parent: Parent | None, *, prepaid: bool) -> date:
    """A module takes the anchor of its plan, so that both are billed together, where their cycles can meet."""
    if prepaid:
        return starts_on
    if parent is not None and parent.anchor_on is not None and bool(cycle.days) == (parent.cycle_unit in _OF_DAYS):
        return parent.anchor_on
    return anchor_for(starts_on, cycle, buyer.billing_day)


_OF_DAYS: Final = ("day", "week")


def contract_of(product: ProductDetail, price: PriceRow) -> dict[str, Any]:
    """What is copied of the contract's terms."""
    return {
        "notice_days": product.notice_days,
        "renew_unit": product.renew_unit,
        "renew_count": product.renew_count,
        "termination_minor": price.termination_minor,
    }


def intro_of(price: PriceRow, data: NewSubscription | None = None) -> list[NewDiscount]:
    """An introductory price is a discount of the first cycles. None beside a price that was agreed."""
    if price.intro_minor is None or price.intro_cycles is None or (data and data.amount_minor is not None):
        return []
    quantity_e6 = data.quantity_e6 if data is not None else ONE_E6
    less = half_up((price.amount_minor - price.intro_minor) * quantity_e6, ONE_E6)
    if not less:
        return []
    return [NewDiscount(amount_minor=less, cycles=price.intro_cycles, label=_("Introductory price"))]


def held_for(discounts: Sequence[NewDiscount], cycle: Cycle, anchor_on: date, first: date) -> list[NewDiscount]:
    """Discounts for a number of cycles end with the last of them: so many full ones, and a part before the first."""
    n = cycle_index(anchor_on, cycle, first)
    begun = n if nth(anchor_on, cycle, n) == first else n + 1
    return [
        each if each.cycles is None else replace(each, until_on=nth(anchor_on, cycle, begun + each.cycles))
        for each in discounts
    ]


class _Held(Struct, frozen=True):
    position: int
    cycles: int


async def count_from(subscription_id: int, cycle: Cycle, anchor_on: date, first: date) -> bool:
    """Discounts for a number of cycles are counted from this day on, as by `held_for`; gives whether there are any."""
    found = await rows(
        _Held,
        "SELECT position, cycles FROM subscription_discount WHERE subscription_id = :id AND cycles IS NOT NULL",
        id=subscription_id,
    )
    for each in found:
        (held,) = held_for([NewDiscount(cycles=each.cycles)], cycle, anchor_on, first)
        await execute(
            "UPDATE subscription_discount SET until_on = :until WHERE subscription_id = :id AND position = :position",
            id=subscription_id,
            position=each.position,
            until=held.until_on,
        )
    return bool(found)


async def hold_from(subscription_id: int, cycle: Cycle, starts_on: date) -> None:
    """Discounts for a number of cycles are counted from the day on which what was invoiced first is live; a price that
    is to hold later stays."""
    if not await count_from(subscription_id, cycle, starts_on, starts_on):
        return
    terms, discounts = await terms_from(subscription_id, date.min), await discounts_of(subscription_id)
    ends = [each.until_on for each in discounts if each.until_on is not None]
    wanted = [rated(each, discounts) for each in cut(terms, ends)]
    await agree(subscription_id, terms[0].valid_from, wanted)


async def agree_price(found: Locked, price: PriceRow) -> None:
    """A trial goes on at another price: without what the first one was introduced at, with what this one is."""
    assert found.trial_ends_on is not None
    (first, *__) = await terms_from(found.id, date.min)
    await execute("DELETE FROM subscription_discount WHERE subscription_id = :id AND cycles IS NOT NULL", id=found.id)
    await write_discounts(
        found.id,
        held_for(intro_of(price), cycle_of(price), found.trial_ends_on, found.trial_ends_on),
        after=int(
            await value(
                "SELECT coalesce(max(position), 0) FROM subscription_discount WHERE subscription_id = :id", id=found.id
            )
        ),
    )
    term = replace(
        first,
        valid_to=None,
        price_id=price.id,
        price_rate_e10=price.rate_e10,
        amount_minor=price.amount_minor,
        cycle_unit=price.cycle_unit,
        cycle_count=price.cycle_count,
        tax_inclusive=price.tax_inclusive,
    )
    await agree(found.id, first.valid_from, by_discounts(term, await discounts_of(found.id)))


async def write_discounts(subscription_id: int, discounts: Sequence[NewDiscount], *, after: int = 0) -> None:
    """In their order, behind those up to a position."""
    for position, each in enumerate(discounts, start=after + 1):
        if (each.percent_e6 is None) == (each.amount_minor is None):
            raise Invalid(_("A discount is a percentage or an amount."), field="discounts")
        await execute(
            "INSERT INTO subscription_discount (subscription_id, position, label, percent_e6, amount_minor, until_on,"
            " cycles) VALUES (:id, :position, :label, :percent_e6, :amount_minor, :until_on, :cycles)",
            id=subscription_id,
            position=position,
            label=each.label,
            percent_e6=each.percent_e6,
            amount_minor=each.amount_minor,
            until_on=each.until_on,
            cycles=each.cycles,
        )


def discount_of(data: NewDiscount) -> Discount:
    return Discount(percent_e6=data.percent_e6, amount_minor=data.amount_minor, until_on=data.until_on)


def min_term_of(product: ProductDetail, starts_on: date) -> date | None:
    if product.min_term_unit is None or product.min_term_count is None:
        return None
    return nth(starts_on, Cycle(cast("CycleUnit", product.min_term_unit), product.min_term_count), 1)


def cycle_of(price: PriceRow) -> Cycle:
    return Cycle(cast("CycleUnit", price.cycle_unit), price.cycle_count)
