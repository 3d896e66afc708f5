"""What a billing run must come to, worked out one subscription after the other in plain Python with fractions.

Slow, and written without a look at how the run does it: only the periods (`core.periods`) are shared. It is told what
happens to a tenant, and gives for each run the documents with their lines.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from itertools import count, islice
from math import floor
from typing import Any, Final, NamedTuple

from core.periods import Cycle, FirstPart, LastPart, Period, Timing, due_periods

MOST_PERIODS: Final = 15
EU: Final = {"AT", "DE", "FR"}
"""Of the countries in which the worlds' customers live."""
EXEMPT: Final = "insurance"
"""The category of products that are exempt by themselves."""
NO_DAY: Final = date(1, 1, 1)


def half_up(exact: Fraction) -> int:
    """To the nearest whole one, half away from zero."""
    whole = floor(abs(exact) + Fraction(1, 2))
    return whole if exact >= 0 else -whole


@dataclass
class Person:
    id: int
    payer_id: int
    country: str
    is_company: bool
    vat_is_checked: bool
    tax_profile: str
    terms_days: int | None
    is_billed: bool = True


@dataclass
class Off:
    """A discount: per cent, or minor units of the currency."""

    percent: Fraction | None
    amount: int | None
    until: date | None


@dataclass
class Sold:
    """A subscription, and up to where it was charged."""

    id: int
    customer_id: int
    currency: str
    price: int
    quantity: Fraction
    cycle: Cycle
    timing: Timing
    first: FirstPart
    last: LastPart
    anchor: date
    charged_until: date
    tax_category: str
    tax_inclusive: bool
    discounts: list[Off]
    ends_on: date | None = None
    is_over: bool = False
    rests: bool = False

    def due(self, as_of: date) -> list[Period]:
        found = due_periods(
            self.anchor,
            self.cycle,
            self.charged_until,
            self.ends_on,
            as_of,
            timing=self.timing,
            first=self.first,
            last=self.last,
        )
        return list(islice(found, MOST_PERIODS + 1))

    def cost(self, period: Period) -> int:
        """Price × quantity, each discount on what the one before left; then its share of days."""
        left = half_up(self.price * self.quantity)
        for off in self.discounts:
            if off.until is not None and period.start >= off.until:
                continue
            if off.percent is not None:
                left -= half_up(left * off.percent / 100)
            if off.amount is not None:
                left -= off.amount
            left = max(0, left)
        return half_up(Fraction(left * period.days, period.of_days))


@dataclass
class Waiting:
    """Something charged once, until an invoice takes it up."""

    customer_id: int
    payer_id: int
    subscription_id: int | None
    kind: str
    currency: str
    amount: int
    tax_category: str
    tax_inclusive: bool


class Line(NamedTuple):
    customer_id: int
    subscription_id: int
    kind: str
    start: date
    end: date
    amount: int
    net: int
    tax: int
    code: str
    rate_ppm: int
    deferred: int


class Document(NamedTuple):
    payer_id: int
    currency: str
    issued_on: date
    due_on: date
    net: int
    tax: int
    total: int
    base_total: int
    lines: tuple[Line, ...]


@dataclass
class _Draft:
    """A line before its tax is known. `order` decides ties."""

    customer_id: int
    subscription_id: int
    kind: str
    start: date
    end: date
    amount: int
    category: str
    inclusive: bool
    order: int
    code: str = ""
    ppm: int = 0
    tax: int = 0

    @property
    def net(self) -> int:
        return self.amount - self.tax if self.inclusive else self.amount

    @property
    def exact_tax(self) -> Fraction:
        over = 1_000_000 + self.ppm if self.inclusive else 1_000_000
        return Fraction(self.amount * self.ppm, over)


class Rate(NamedTuple):
    category: str
    valid_from: date
    ppm: int


@dataclass
class Oracle:
    """A tenant in Austria, and all that happens to it. Rates of VAT and of exchange are given in fractions."""

    rates: list[Rate]
    exchange: dict[str, Fraction]
    """How many of the base currency's minor units one minor unit of a currency is."""
    terms_days: int = 14
    by_subscription: bool = False
    people: dict[int, Person] = field(default_factory=dict)
    sold: list[Sold] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    numbers: Any = field(default_factory=count)

    def bill(self, as_of: date, today: date) -> tuple[list[Document], set[int]]:
        """Documents of a run, and the payers that it cannot bill."""
        self._turn(min(as_of, today), today)
        documents: list[Document] = []
        parked: set[int] = set()
        for payer in sorted({person.payer_id for person in self.people.values()}):
            found = self._of_payer(self.people[payer], as_of, today)
            if found is None:
                parked.add(payer)
            else:
                documents += found
        return documents, parked

    def _turn(self, day: date, today: date) -> None:
        for sold in self.sold:
            if sold.ends_on is not None and sold.ends_on <= day:
                sold.is_over = True
        for sold in self.sold:
            if sold.rests and not sold.is_over and self.people[sold.customer_id].is_billed:
                sold.rests = False
                sold.charged_until = max(sold.charged_until, today)

    def _of_payer(self, payer: Person, as_of: date, today: date) -> list[Document] | None:
        due: list[tuple[Sold, list[Period]]] = []
        resting: list[Sold] = []
        for sold in self.sold:
            customer = self.people[sold.customer_id]
            if customer.payer_id != payer.id or sold.rests:
                continue
            periods = sold.due(as_of)
            if periods and customer.is_billed:
                due.append((sold, periods))
            elif periods:
                resting.append(sold)
        waiting = [each for each in self.waiting if each.payer_id == payer.id]
        groups: dict[tuple[str, int], list[_Draft]] = defaultdict(list)
        for each in waiting:
            split = (each.subscription_id or 0) if self.by_subscription else 0
            groups[each.currency, split].append(
                _Draft(
                    each.customer_id,
                    each.subscription_id or 0,
                    each.kind,
                    NO_DAY,
                    NO_DAY,
                    each.amount,
                    each.tax_category,
                    each.tax_inclusive,
                    next(self.numbers),
                )
            )
        for sold, periods in due:
            if len(periods) > MOST_PERIODS:
                return None
            for period in periods:
                groups[sold.currency, sold.id if self.by_subscription else 0].append(
                    _Draft(
                        sold.customer_id,
                        sold.id,
                        "recurring",
                        period.start,
                        period.end,
                        sold.cost(period),
                        sold.tax_category,
                        sold.tax_inclusive,
                        next(self.numbers),
                    )
                )
        if any(currency not in self.exchange for currency, _ in groups):
            return None
        documents = []
        for (currency, _), lines in sorted(groups.items()):
            document = self._document(payer, currency, lines, today)
            if document.total < 0:
                return None
            if document.total:
                documents.append(document)
        for sold, periods in due:
            sold.charged_until = periods[-1].end
        for sold in resting:
            sold.rests = True
        self.waiting = [each for each in self.waiting if each.payer_id != payer.id]
        return documents

    def _document(self, payer: Person, currency: str, lines: list[_Draft], today: date) -> Document:
        for line in lines:
            last_day = today if line.start == NO_DAY else line.end - timedelta(days=1)
            line.code, line.ppm = self._tax_of(payer, line.category, last_day)
        rates: dict[tuple[str, int, bool], list[_Draft]] = defaultdict(list)
        for line in lines:
            rates[line.code, line.ppm, line.inclusive].append(line)
        for (_, ppm, inclusive), some in rates.items():
            gross = sum(line.amount for line in some)
            if inclusive:
                tax = gross - half_up(Fraction(gross * 1_000_000, 1_000_000 + ppm))
            else:
                tax = half_up(Fraction(gross * ppm, 1_000_000))
            _share(tax, some)
        net, tax = sum(line.net for line in lines), sum(line.tax for line in lines)
        return Document(
            payer.id,
            currency,
            today,
            today + timedelta(days=self.terms_days if payer.terms_days is None else payer.terms_days),
            net,
            tax,
            net + tax,
            half_up((net + tax) * self.exchange[currency]),
            tuple(sorted(_finished(line, today) for line in lines)),
        )

    def _tax_of(self, payer: Person, category: str, day: date) -> tuple[str, int]:
        if category == "outside" or payer.tax_profile == "outside":
            return "O", 0
        if payer.tax_profile == "exempt":
            return "E", 0
        if category == EXEMPT:
            return ("E" if payer.country in EU else "O"), 0
        abroad_in_eu = payer.country != "AT" and payer.country in EU
        if payer.tax_profile == "reverse_charge" or (abroad_in_eu and payer.is_company and payer.vat_is_checked):
            return "AE", 0
        if payer.country not in EU:
            return "O", 0
        if category == "zero":
            return "Z", 0
        known = [rate for rate in self.rates if rate.category == category and rate.valid_from <= day]
        return "S", max(known, key=lambda rate: rate.valid_from).ppm


def _share(tax: int, lines: list[_Draft]) -> None:
    """Of the tax of a rate each line gets the whole units of its own, the largest remainders one of the rest each."""
    for line in lines:
        line.tax = floor(line.exact_tax)
    left = tax - sum(line.tax for line in lines)
    for line in sorted(lines, key=_by_remainder)[:left]:
        line.tax += 1


def _by_remainder(line: _Draft) -> tuple[Any, ...]:
    rest = line.exact_tax - floor(line.exact_tax)
    return -rest, line.customer_id, line.subscription_id, line.start, line.kind, line.order


def _finished(line: _Draft, today: date) -> Line:
    deferred = 0
    if line.start != NO_DAY:
        days = (line.end - line.start).days
        over = min(max((today - line.start).days, 0), days)
        deferred = line.net - half_up(Fraction(line.net * over, days))
    return Line(
        line.customer_id,
        line.subscription_id,
        line.kind,
        line.start,
        line.end,
        line.amount,
        line.net,
        line.tax,
        line.code,
        line.ppm,
        deferred,
    )
