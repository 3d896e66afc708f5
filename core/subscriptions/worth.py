"""What live subscriptions bring: how many there are of each product at each price of a cycle, by the terms in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.database import Everything
from core.subscriptions.status import SubscriptionState

if TYPE_CHECKING:
    from core.database import Reach

A_MONTH: Final = {"day": (487, 16), "week": (487, 112), "month": (1, 1), "year": (1, 12)}
"""How many of a unit make a month, as a fraction; a year has 365.25 days."""
_EARNING: Final = (SubscriptionState.ACTIVE, SubscriptionState.SUSPENDED)
"""Whose cycles go on: a suspended one is billed like an active one."""
_ALIKE: Final = "t.product_id, t.cycle_unit, t.cycle_count, t.cycle_minor"
_IN_FORCE: Final = (
    "t.in_force AND t.currency = :currency AND t.valid_from <= :today AND (t.valid_to IS NULL OR t.valid_to > :today)"
)


def sold(reach: Reach) -> str:
    """How `many` live subscriptions bring so much a cycle, as SQL to select from.

    Values are `today`, `currency`, and `within` of subscriptions. Of all of them the terms are counted by an index
    alone, and those of subscriptions that are not live are taken off: nothing is looked up for one that is live.
    """
    grouped = f"GROUP BY {_ALIKE}"
    if not isinstance(reach, Everything):
        return f"({_one_by_one('count(*)', live=True)} {grouped})"
    return (
        f"(SELECT {_ALIKE}, CAST(sum(t.many) AS bigint) AS many FROM ("
        f"SELECT {_ALIKE}, count(*) AS many FROM subscription_term t WHERE {_IN_FORCE} {grouped}"
        f" UNION ALL {_one_by_one('-count(*)', live=False)} {grouped}"
        f") t {grouped} HAVING sum(t.many) <> 0)"
    )


def _one_by_one(count: str, *, live: bool) -> str:
    """In this order SQLite reads both tables by the ids of subscriptions."""
    states = ", ".join(f"'{state}'" for state in SubscriptionState if (state in _EARNING) is live)
    return (
        f"SELECT {_ALIKE}, {count} AS many FROM subscription CROSS JOIN subscription_term t"
        f" WHERE t.subscription_id = subscription.id AND {_IN_FORCE} AND subscription.state IN ({states}) AND :within"
    )
