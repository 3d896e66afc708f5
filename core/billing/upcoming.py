"""What a customer will be billed next: when, and how much, worked out as the run would and written nowhere (P14)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from core.billing.run import FURTHEST_AHEAD, PreviewLine, preview_payer
from core.billing.tables import DocumentState
from core.database import rows, within
from core.money import half_up
from core.periods import Cycle, FirstPart, LastPart, Timing, due_periods, nth
from core.subscriptions.tables import SubscriptionSchedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope

SHOWN: Final = 3
"""Dates ahead."""
MOST: Final = 200
"""Subscriptions of a payer that are looked at; with more only the nearest dates are certain."""


class Glance(Struct, frozen=True):
    """A line of what stands at the head of a customer: open invoices of a currency, what is due next, open charges."""

    what: Literal["open", "due", "charge"]
    currency: str
    documents: int = 0
    amount_minor: int = 0
    overdue: int = 0
    overdue_minor: int = 0
    tax_inclusive: bool | None = None
    due_on: date | None = None
    period_start: date | None = None
    anchor_on: date | None = None
    ends_on: date | None = None
    timing: Timing = "advance"
    cycle_unit: Literal["day", "week", "month", "year"] = "month"
    cycle_count: int = 1
    first: FirstPart = "by_day"
    last: LastPart = "by_day"

    @property
    def cycle(self) -> Cycle:
        return Cycle(self.cycle_unit, self.cycle_count)


_OPEN: Final = """
SELECT 'open' AS what, currency, count(*) AS documents, CAST(sum(open_minor) AS bigint) AS amount_minor,
       CAST(sum(CASE WHEN due_on < :today THEN 1 ELSE 0 END) AS bigint) AS overdue,
       CAST(sum(CASE WHEN due_on < :today THEN open_minor ELSE 0 END) AS bigint) AS overdue_minor,
       NULL::boolean AS tax_inclusive, NULL::date AS due_on, NULL::date AS period_start, NULL::date AS anchor_on,
       NULL::date AS ends_on, 'advance' AS timing, 'month' AS cycle_unit, 1 AS cycle_count, 'by_day' AS first,
       'by_day' AS last
FROM document_state WHERE open_minor > 0 AND payer_id = :payer AND :within GROUP BY currency
"""
_CHARGES: Final = """
SELECT 'charge', currency, count(*), CAST(sum(amount_minor) AS bigint), 0, 0, NULL::boolean, NULL::date, NULL::date,
       NULL::date, NULL::date, 'advance', 'month', 1, 'by_day', 'by_day'
FROM charge WHERE payer_id = :payer AND state = 'open' GROUP BY currency
"""
_DUE: Final = """
SELECT 'due', t.currency, 1, t.cycle_minor, 0, 0, t.tax_inclusive, s.due_on, s.period_start, u.anchor_on, u.ends_on,
       u.timing, t.cycle_unit, t.cycle_count, t.proration, t.final_proration
FROM (SELECT subscription_id, due_on, period_start FROM subscription_schedule
      WHERE payer_id = :payer AND due_on IS NOT NULL AND :mine ORDER BY due_on, subscription_id LIMIT :most) s
JOIN subscription u ON u.id = s.subscription_id
JOIN subscription_term t ON t.subscription_id = s.subscription_id AND t.in_force AND t.valid_from <= s.period_start
    AND (t.valid_to IS NULL OR t.valid_to > s.period_start)
"""


async def at_a_glance(scope: Scope, payer_id: int) -> list[Glance]:
    """Open amounts and what is billed next, by one question: a customer's head is asked for all the time."""
    return await rows(
        Glance,
        f"{_OPEN} UNION ALL {_CHARGES} UNION ALL {_DUE} ORDER BY 4 DESC",
        today=scope.today(),
        payer=payer_id,
        most=MOST,
        within=within(DocumentState, scope.actor.reach),
        mine=within(SubscriptionSchedule, scope.actor.reach),
    )


class NextInvoice(Struct, frozen=True):
    """The day of the next run that bills this payer, and what of: before tax, or with it where the prices hold it."""

    on: date
    currency: str
    amount_minor: int
    with_tax: bool


def next_invoices(found: Sequence[Glance], today: date) -> list[NextInvoice]:
    """Of the nearest day, one a currency. Charges that are open already go with it; without a period: today."""
    due = [each for each in found if each.what == "due" and each.due_on is not None]
    charges = {each.currency: each.amount_minor for each in found if each.what == "charge"}
    days = [each.due_on for each in due if each.due_on is not None]
    if not days and not charges:
        return []
    on = min(days) if days else today
    sums, taxed = dict(charges), dict.fromkeys(charges, False)
    for each in due:
        if each.due_on == on and each.anchor_on is not None and each.period_start is not None:
            period = next(
                due_periods(
                    each.anchor_on,
                    each.cycle,
                    each.period_start,
                    each.ends_on,
                    date.max,
                    timing=each.timing,
                    first=each.first,
                    last=each.last,
                ),
                None,
            )
            if period is not None:
                part = half_up(each.amount_minor * period.days, period.of_days)
                sums[each.currency] = sums.get(each.currency, 0) + part
                taxed[each.currency] = taxed.get(each.currency, True) and bool(each.tax_inclusive)
    return [NextInvoice(max(on, today), currency, minor, taxed[currency]) for currency, minor in sums.items() if minor]


class Upcoming(Struct, frozen=True):
    """An invoice of a day to come. Sums in its currency."""

    on: date
    currency: str
    net_minor: int
    tax_minor: int
    total_minor: int
    lines: list[PreviewLine]


async def upcoming_invoices(scope: Scope, payer_id: int, on: date | None = None) -> list[Upcoming]:
    """What the run would bill this payer on a day, or on its next dates; each beyond what the dates before bill."""
    today = scope.today()
    days = [on] if on is not None else _dates(await at_a_glance(scope, payer_id), today)
    found: list[Upcoming] = []
    seen: list[PreviewLine] = []
    for day in days:
        lines = [line for each in await preview_payer(scope, payer_id, day) for line in each.lines]
        new = _without(lines, seen)
        found += [
            _invoice(max(day, today), currency, [line for line in new if line.currency == currency])
            for currency in dict.fromkeys(line.currency for line in new)
        ]
        seen = lines
    return found


def _invoice(on: date, currency: str, lines: list[PreviewLine]) -> Upcoming:
    """Tax once for each rate on the sum of its lines; with tax in the price the gross is kept."""
    net = tax = 0
    for ppm, inclusive in dict.fromkeys((line.rate_ppm, line.tax_inclusive) for line in lines):
        some = [line for line in lines if (line.rate_ppm, line.tax_inclusive) == (ppm, inclusive)]
        whole = sum(line.net_minor + line.tax_minor if inclusive else line.net_minor for line in some)
        of_rate = whole - half_up(whole * 10**6, 10**6 + ppm) if inclusive else half_up(whole * ppm, 10**6)
        net, tax = net + (whole - of_rate if inclusive else whole), tax + of_rate
    return Upcoming(on, currency, net, tax, net + tax, lines)


def _without(lines: Sequence[PreviewLine], seen: Sequence[PreviewLine]) -> list[PreviewLine]:
    """Lines that were not there before: the same subscription's line of other days is another."""
    known = [(each.currency, each.customer_id, each.description, each.period_from) for each in seen]
    new = []
    for each in lines:
        key = (each.currency, each.customer_id, each.description, each.period_from)
        if key in known:
            known.remove(key)
        else:
            new.append(each)
    return new


def _dates(found: Sequence[Glance], today: date) -> list[date]:
    """The next days on which something falls due; what is overdue is billed today."""
    furthest = nth(today, FURTHEST_AHEAD, 1)
    days = {today} if any(each.what == "charge" for each in found) else set[date]()
    for each in found:
        if each.what != "due" or each.anchor_on is None or each.period_start is None:
            continue
        own: list[date] = []
        for period in due_periods(
            each.anchor_on, each.cycle, each.period_start, each.ends_on, furthest, timing=each.timing, first=each.first
        ):
            own.append(max(period.start if each.timing == "advance" else period.end, today))
            if len(set(own)) > SHOWN:
                break
        days |= set(own)
    return sorted(days)[:SHOWN]
