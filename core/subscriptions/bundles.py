"""Bundles that customers have: their parts are subscriptions, each with its share of one price. Reads only."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct

from core.database import row, rows, value, within
from core.errors import NotFound
from core.ids import Id
from core.money import half_up
from core.subscriptions.queries import SUBSCRIPTION
from core.subscriptions.schedule import Rhythm, periods_due
from core.subscriptions.schemas import ONE_E6, Label, SubscriptionRow
from core.subscriptions.tables import CustomerBundle, Subscription
from core.texts import N_

if TYPE_CHECKING:
    from core.scope import Scope

WholeE6 = Annotated[int, Meta(ge=ONE_E6, le=10**10, multiple_of=ONE_E6, description=N_("Whole quantity × 1,000,000"))]


class NewCustomerBundle(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A bundle at one of its prices, or at a price agreed for this customer alone (of one bundle and cycle)."""

    customer_id: Id
    bundle_id: Id
    price_id: Id
    starts_on: date | None = None
    quantity_e6: WholeE6 = ONE_E6
    amount_minor: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    label: Label = ""


class CustomerBundleRow(Struct, frozen=True, kw_only=True):
    """A bundle that a customer has, and its parts, the leading one first. It is in the state of that.

    `amount_minor` is the price of one that was agreed; `cycle_minor` what a cycle of the whole costs now.
    """

    id: int
    customer_id: int
    bundle_id: int
    code: str
    name: str
    about: str
    quantity_e6: int
    currency: str
    amount_minor: int
    cycle_unit: str
    cycle_count: int
    tax_inclusive: bool
    dissolved_on: date | None
    version: int
    state: str = "ended"
    cycle_minor: int = 0
    parts: list[SubscriptionRow] = []

    @property
    def lead(self) -> SubscriptionRow:
        return self.parts[0]

    @property
    def is_live(self) -> bool:
        return self.dissolved_on is None and any(part.state not in OVER for part in self.parts)


OVER: Final = ("ended", "withdrawn")
_BUNDLE: Final = (
    "SELECT b.id, b.customer_id, b.bundle_id, p.code, CASE WHEN b.label <> '' THEN b.label ELSE p.name END AS name,"
    " p.description AS about, b.quantity_e6, b.currency, b.amount_minor, b.cycle_unit, b.cycle_count, b.tax_inclusive,"
    " b.dissolved_on, b.version FROM customer_bundle b JOIN bundle p ON p.id = b.bundle_id"
)


async def get_customer_bundle(scope: Scope, customer_bundle_id: int) -> CustomerBundleRow:
    found = await rows(
        CustomerBundleRow,
        f"{_BUNDLE} WHERE b.id = :id AND b.id IN (SELECT customer_bundle.id FROM customer_bundle WHERE :within)",
        id=customer_bundle_id,
        within=within(CustomerBundle, scope.actor.reach),
    )
    if not found:
        raise NotFound(f"bundle {customer_bundle_id} of a customer")
    return (await _whole(scope, found))[0]


async def list_customer_bundles(scope: Scope, customer_id: int) -> list[CustomerBundleRow]:
    """Those that a customer has or had, the latest last; the caller has found the customer in reach."""
    found = await rows(CustomerBundleRow, f"{_BUNDLE} WHERE b.customer_id = :id ORDER BY b.id", id=customer_id)
    return await _whole(scope, found) if found else []


async def _whole(scope: Scope, found: list[CustomerBundleRow]) -> list[CustomerBundleRow]:
    parts = await rows(
        SubscriptionRow,
        f"{SUBSCRIPTION} WHERE subscription.customer_bundle_id IN :ids AND :within ORDER BY subscription.id",
        ids=[each.id for each in found],
        today=scope.today(),
        within=within(Subscription, scope.actor.reach),
    )
    whole: list[CustomerBundleRow] = []
    for each in found:
        mine = [part for part in parts if part.bundle_id == each.id]
        live = [part for part in mine if part.state not in OVER] or mine
        whole.append(
            msgspec.structs.replace(
                each,
                state=live[0].state if live else "ended",
                cycle_minor=sum(part.cycle_minor for part in live),
                parts=mine,
            )
        )
    return whole


async def cycle_from(subscription_id: int, day: date) -> int:
    """What a full cycle of a subscription costs at the terms of a day."""
    return int(
        await value(
            "SELECT cycle_minor FROM subscription_term WHERE subscription_id = :id AND in_force AND valid_from <= :day"
            " AND (valid_to IS NULL OR valid_to > :day)",
            id=subscription_id,
            day=day,
        )
    )


class _Terms(Struct, frozen=True):
    cycle_unit: str
    cycle_count: int
    proration: str
    final_proration: str
    cycle_minor: int


async def charged_next(mine: SubscriptionRow) -> int:
    """What the period that is charged next costs: at the terms of its first day, a part of it as its product says."""
    if mine.next_from is None or mine.anchor_on is None:
        return mine.cycle_minor
    terms = await row(
        _Terms,
        "SELECT cycle_unit, cycle_count, proration, final_proration, cycle_minor FROM subscription_term"
        " WHERE subscription_id = :id AND in_force AND valid_from <= :day AND (valid_to IS NULL OR valid_to > :day)",
        id=mine.id,
        day=mine.next_from,
    )
    assert terms is not None
    rhythm = Rhythm(
        mine.anchor_on,
        terms.cycle_unit,
        terms.cycle_count,
        mine.timing,
        terms.proration,
        terms.final_proration,
        mine.ends_on,
    )
    due, __ = periods_due(rhythm, mine.next_from, date.max, 0)
    return half_up(terms.cycle_minor * due[0].days, due[0].of_days) if due else terms.cycle_minor
