"""Monthly recurring revenue: what live subscriptions bring a month at their agreed prices, and how it moved.

A day's step is the difference between the terms in force and where each customer stood: for a month that is over at its
last day, then for today. Customers are stepped some at a time; a step that is broken off goes on where it was.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.database import all_of, dialect, execute, execute_many, rows, value_as, within
from core.money import half_up_sql
from core.periods import Cycle, nth
from core.reports.tables import MrrMovement
from core.subscriptions.worth import A_MONTH

if TYPE_CHECKING:
    from core.scope import Scope

MONTH: Final = Cycle("month")
FURTHEST_BACK: Final = 36
"""Months that are made up for at first."""
AT_ONCE: Final = 1000
GAINS: Final = ("new", "reactivation", "expansion")
KINDS: Final = (*GAINS, "contraction", "churn")


def monthly_sql(term: str = "t") -> str:
    """What a cycle of a term brings a month, as SQL: rounded once a subscription."""
    whens = " ".join(
        f"WHEN '{unit}' THEN {half_up_sql(f'{term}.cycle_minor', str(n), f'{d} * {term}.cycle_count')}"
        for unit, (n, d) in A_MONTH.items()
    )
    return f"CASE {term}.cycle_unit {whens} ELSE 0 END"


def _terms(customers: str = "TRUE") -> str:
    """What customers pay a month on `:day` by the terms in force then, as SQL to select from.

    A day of a pause brings nothing, now or afterwards: what is paid to hold it is one amount, no term.
    """
    return f"""(
    SELECT s.customer_id, t.currency, {monthly_sql()} AS minor
    FROM subscription s
    JOIN subscription_term t ON t.subscription_id = s.id AND t.in_force AND t.valid_from <= :day
        AND (t.valid_to IS NULL OR t.valid_to > :day)
    WHERE s.started_on <= :day AND (s.trial_ends_on IS NULL OR s.trial_ends_on <= :day)
        AND (s.state IN ('active', 'suspended', 'paused')
             OR (s.state IN ('ended', 'withdrawn') AND s.ended_on > :day))
        AND NOT EXISTS (SELECT 1 FROM subscription_pause p WHERE p.subscription_id = s.id
            AND p.state IN ('running', 'done') AND p.from_on <= :day AND coalesce(p.resumed_on, p.to_on) > :day)
        AND {customers}
) terms"""


class _Step(Struct, frozen=True):
    customer_id: int
    currency: str
    before: int
    after: int
    known: bool

    @property
    def kind(self) -> str:
        if not self.before:
            return "reactivation" if self.known else "new"
        if not self.after:
            return "churn"
        return "expansion" if self.after > self.before else "contraction"


async def step_mrr(scope: Scope) -> int:
    """Write every step up to today; gives how many there were. A second time today there are none."""
    today = scope.today()
    last = await value_as(date, "SELECT as_of_on FROM mrr_mark")
    steps = 0
    for day in await _days(last, today):
        found = await _differences(day)
        for start in range(0, len(found), AT_ONCE):
            await _write(scope, day, found[start : start + AT_ONCE])
        async with unit_of_work(scope):
            await execute("UPDATE mrr_mark SET as_of_on = :day", day=day)
        steps += len(found)
    return steps


async def _days(last: date | None, today: date) -> list[date]:
    """The last days of months that are over since, then today."""
    if last is None:
        first = await value_as(date, "SELECT min(started_on) FROM subscription")
        if first is None:
            return [today]
        last = max(first, nth(today.replace(day=1), MONTH, -FURTHEST_BACK)) - timedelta(days=1)
    days, end = [], nth(last.replace(day=1), MONTH, 1) - timedelta(days=1)
    while end < today:
        if end > last:
            days.append(end)
        end = nth((end + timedelta(days=1)).replace(day=1), MONTH, 1) - timedelta(days=1)
    return [*days, today]


async def _differences(day: date) -> list[_Step]:
    return await rows(
        _Step,
        "SELECT customer_id, currency, CAST(sum(before) AS bigint) AS before, CAST(sum(after) AS bigint) AS after,"
        " max(known) = 1 AS known FROM ("
        f" SELECT customer_id, currency, 0 AS before, minor AS after, 0 AS known FROM {_terms()}"
        " UNION ALL SELECT customer_id, currency, mrr_minor, 0, 1 FROM customer_mrr"
        ") both_sides GROUP BY customer_id, currency HAVING sum(before) <> sum(after) ORDER BY customer_id, currency",
        day=day,
    )


async def _write(scope: Scope, day: date, steps: list[_Step]) -> None:
    async with unit_of_work(scope):
        await execute_many(
            "INSERT INTO mrr_movement (moved_on, customer_id, currency, kind, amount_minor, after_minor)"
            " VALUES (:day, :customer, :currency, :kind, :amount, :after)",
            [
                {
                    "day": day,
                    "customer": each.customer_id,
                    "currency": each.currency,
                    "kind": each.kind,
                    "amount": each.after - each.before,
                    "after": each.after,
                }
                for each in steps
            ],
        )
        await execute_many(
            "INSERT INTO customer_mrr (customer_id, currency, mrr_minor) VALUES (:customer, :currency, :after)"
            " ON CONFLICT (customer_id, currency) DO UPDATE SET mrr_minor = excluded.mrr_minor",
            [{"customer": each.customer_id, "currency": each.currency, "after": each.after} for each in steps],
        )


class MrrMonth(Struct, frozen=True):
    """A month (its first day) in one currency: where it began, its steps, where it ended; customers won and lost."""

    month: date
    currency: str
    opening_minor: int
    new_minor: int
    reactivation_minor: int
    expansion_minor: int
    contraction_minor: int
    churn_minor: int
    closing_minor: int
    customers_before: int
    won: int
    lost: int


class _Sum(Struct, frozen=True):
    month: date
    kind: str
    amount_minor: int
    customers: int


async def mrr_by_month(scope: Scope, months: list[date], currency: str) -> list[MrrMonth]:
    """The steps of these months, which follow one another; of the customers in reach."""
    month = (
        "date(moved_on, 'start of month')" if dialect() == "sqlite" else "CAST(date_trunc('month', moved_on) AS date)"
    )
    found = await rows(
        _Sum,
        f"SELECT CASE WHEN moved_on < :first THEN '0001-01-01'::date ELSE {month} END AS month, kind,"
        " CAST(sum(minor) AS bigint) AS amount_minor, CAST(sum(many) AS bigint) AS customers FROM ("
        " SELECT moved_on, kind, sum(amount_minor) AS minor, count(*) AS many FROM mrr_movement"
        " WHERE currency = :currency AND moved_on <= :last AND :within GROUP BY moved_on, kind, currency"
        ") days GROUP BY 1, 2",  # days as the index has them: nothing is sorted
        first=months[0],
        last=nth(months[-1], MONTH, 1) - timedelta(days=1),
        currency=currency,
        within=within(MrrMovement, scope.actor.reach),
    )
    sums = {(each.month, each.kind): each for each in found}
    before = [each for each in found if each.month == date.min]
    standing = sum(each.amount_minor for each in before)
    customers = sum(_heads(each) for each in before)
    made = []
    for day in months:
        of_month = {kind: sums.get((day, kind), _Sum(day, kind, 0, 0)) for kind in KINDS}
        closing = standing + sum(each.amount_minor for each in of_month.values())
        won = of_month["new"].customers + of_month["reactivation"].customers
        lost = of_month["churn"].customers
        made.append(
            MrrMonth(
                month=day,
                currency=currency,
                opening_minor=standing,
                closing_minor=closing,
                customers_before=customers,
                won=won,
                lost=lost,
                **{f"{kind}_minor": each.amount_minor for kind, each in of_month.items()},
            )
        )
        standing, customers = closing, customers + won - lost
    return made


def _heads(found: _Sum) -> int:
    return {"new": 1, "reactivation": 1, "churn": -1}.get(found.kind, 0) * found.customers


class Movement(Struct, frozen=True):
    """A step of a customer. `after_minor` is what it pays a month since."""

    id: int
    moved_on: date
    customer_id: int
    customer: str
    currency: str
    kind: str
    amount_minor: int
    after_minor: int


async def list_movements(
    scope: Scope, month: date, *, kind: str = "", currency: str = "", before: int | None = None, limit: int = 100
) -> list[Movement]:
    """The steps of a month, the latest first."""
    asked = all_of(
        bool(kind) and "mrr_movement.kind = :kind",
        bool(currency) and "mrr_movement.currency = :currency",
        before is not None and "mrr_movement.id < :before",
    )
    return await rows(
        Movement,
        "SELECT mrr_movement.id, moved_on, mrr_movement.customer_id, customer.full_name AS customer,"
        " mrr_movement.currency, mrr_movement.kind, amount_minor, after_minor FROM mrr_movement"
        " JOIN customer ON customer.id = mrr_movement.customer_id"
        f" WHERE moved_on >= :first AND moved_on < :end AND {asked} AND :within"
        " ORDER BY mrr_movement.id DESC LIMIT :limit",
        first=month,
        end=nth(month, MONTH, 1),
        kind=kind,
        currency=currency,
        before=before,
        limit=limit,
        within=within(MrrMovement, scope.actor.reach),
    )


async def stepped_until() -> date | None:
    """The day up to which the steps are known."""
    return await value_as(date, "SELECT as_of_on FROM mrr_mark")
