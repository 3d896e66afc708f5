"""How long a subscription is bound: minimum term, notice, renewal. What was agreed, and a day, give another day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Protocol, cast

from core.periods import Cycle, nth

if TYPE_CHECKING:
    from core.periods import CycleUnit


class Bound(Protocol):
    """What of a subscription binds it."""

    @property
    def min_term_ends_on(self) -> date | None: ...
    @property
    def notice_days(self) -> int: ...
    @property
    def renew_unit(self) -> str | None: ...
    @property
    def renew_count(self) -> int | None: ...


def bound_until(contract: Bound, day: date) -> date | None:
    """The end of the contract for who gives notice on a day; None where nothing binds it.

    Without notice in time it renews, again and again; what does not renew is free once its minimum term is over.
    """
    first = end = contract.min_term_ends_on
    if first is None or end is None:
        return None
    if contract.renew_unit is None or contract.renew_count is None:
        return end
    cycle = Cycle(cast("CycleUnit", contract.renew_unit), contract.renew_count)
    renewals = 0
    while end < day + timedelta(days=contract.notice_days):
        renewals += 1
        end = nth(first, cycle, renewals)
    return end


def earliest_end(contract: Bound, day: date) -> date:
    """The first day without service that notice on a day can bring."""
    noticed = day + timedelta(days=max(contract.notice_days, 1))
    return max(noticed, bound_until(contract, day) or noticed)
