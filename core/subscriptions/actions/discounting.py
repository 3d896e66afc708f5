"""Discounts of what runs: added and removed with the next period; what was charged keeps its price (P18)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.customers.tables import Customer
from core.database import execute, row, rows, value, values, within
from core.errors import Conflict, Invalid, NotFound
from core.money import format_amount
from core.subscriptions.actions.agreed import agree, cut, discounts_of, rated, terms_from
from core.subscriptions.actions.copying import held_for, write_discounts
from core.subscriptions.actions.shared import Locked, lock, refuse_part
from core.subscriptions.events import DiscountAdded, DiscountRemoved
from core.subscriptions.status import STARTED
from core.texts import _, in_sentence

if TYPE_CHECKING:
    from core.scope import Scope
    from core.subscriptions.schemas import NewDiscount

MOST: Final = 10


class DiscountRow(Struct, frozen=True):
    """A discount as it was agreed; `until_on` is the first day on which it does not hold."""

    id: int
    subscription_id: int
    position: int
    label: str
    percent_e6: int | None
    amount_minor: int | None
    until_on: date | None
    cycles: int | None


async def add_discount(scope: Scope, subscription_id: int, data: NewDiscount) -> date:
    """It holds from the next period on that is not charged yet, behind the discounts that there are; gives that day."""
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        start = uncharged_from(scope, found)
        (wanted,) = held_for([data], found.rhythm(None).cycle, found.anchor_on or start, start)
        if wanted.until_on is not None and wanted.until_on <= start:
            raise Invalid(_("The next period begins on %(day)s: choose a later day.", day=start), field="until_on")
        last = int(
            await value(
                "SELECT coalesce(max(position), 0) FROM subscription_discount WHERE subscription_id = :id",
                id=subscription_id,
            )
        )
        if last >= MOST:
            raise Conflict(_("It has as many discounts as it can have."))
        await write_discounts(subscription_id, [wanted], after=last)
        await _rate_again(found, start)
        record(
            scope,
            DiscountAdded(subscription_id=subscription_id, customer_id=found.customer_id, from_on=start),
            changes={"discount": (None, _told(wanted, found.currency)), "until": (None, wanted.until_on)},
        )
        return start


async def add_discount_to_all(scope: Scope, customer_id: int, data: NewDiscount) -> list[int]:
    """The same discount for everything that a customer has and pays for; gives the ids of what has it then."""
    async with unit_of_work(scope):
        if not await value(
            "SELECT 1 FROM customer WHERE id = :id AND :within",
            id=customer_id,
            within=within(Customer, scope.actor.reach),
        ):
            raise NotFound(f"customer {customer_id}")
        ids = [
            int(each)
            for each in await values(
                "SELECT u.id FROM subscription u JOIN subscription_schedule s ON s.subscription_id = u.id"
                " WHERE u.customer_id = :id AND u.state IN ('trial', 'active', 'suspended', 'paused')"
                " ORDER BY u.id",
                id=customer_id,
            )
        ]
        if not ids:
            raise Conflict(_("The customer has nothing that is charged again."))
        for subscription_id in ids:
            await add_discount(scope, subscription_id, data)
        return ids


async def remove_discount(scope: Scope, subscription_id: int, discount_id: int) -> date:
    """It holds no longer from the next period on that is not charged yet; gives that day."""
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        start = uncharged_from(scope, found)
        discount = await row(
            DiscountRow, f"{_DISCOUNT} WHERE id = :id AND subscription_id = :of", id=discount_id, of=subscription_id
        )
        if discount is None:
            raise NotFound(f"discount {discount_id} of subscription {subscription_id}")
        if await value("SELECT of_bundle FROM subscription_discount WHERE id = :id", id=discount_id):
            await refuse_part(subscription_id)
        if discount.until_on is not None and discount.until_on <= start:
            raise Conflict(_("This discount is over by then."))
        await execute(
            "UPDATE subscription_discount SET until_on = :start, cycles = NULL WHERE id = :id",
            id=discount_id,
            start=start,
        )
        await _rate_again(found, start)
        record(
            scope,
            DiscountRemoved(subscription_id=subscription_id, customer_id=found.customer_id, from_on=start),
            changes={"until": (discount.until_on, start)},
        )
        return start


def _told(data: NewDiscount, currency: str) -> str:
    if data.percent_e6 is not None:
        return f"{Decimal(data.percent_e6).scaleb(-6).normalize():f} %"
    return f"{format_amount(data.amount_minor or 0, currency)} {currency}"


def uncharged_from(scope: Scope, found: Locked) -> date:
    """The first day that is not charged yet; in arrears the running cycle keeps its price."""
    if found.state not in STARTED or found.period_start is None or found.period_end is None:
        raise Conflict(
            _(
                "Nothing of it is charged again: this subscription is %(state)s.",
                state=in_sentence(_(found.state.capitalize())),
            )
        )
    if found.timing == "arrears" and found.period_start <= scope.today():
        return found.period_end
    return found.period_start


async def _rate_again(found: Locked, start: date) -> None:
    """The terms from a day on as they were agreed, at the discounts that hold then."""
    discounts = await discounts_of(found.id)
    ends = [each.until_on for each in discounts if each.until_on is not None]
    terms = [each for each in cut(await terms_from(found.id, start), [start, *ends]) if each.valid_from >= start]
    await agree(found.id, start, [rated(term, discounts) for term in terms])


_DISCOUNT: Final = (
    "SELECT id, subscription_id, position, label, percent_e6, amount_minor, until_on, cycles FROM subscription_discount"
)


async def list_discounts(subscription_id: int) -> list[DiscountRow]:
    """In their order, those that are over too; the caller has found the subscription in reach."""
    return await rows(DiscountRow, f"{_DISCOUNT} WHERE subscription_id = :id ORDER BY position", id=subscription_id)
