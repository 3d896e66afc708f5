"""Random worlds, billed by the set-based run and by the oracle in plain Python: the same line by line.

First and final parts, anchors at the ends of months, currencies without and with three decimals, quantities, discounts
that end, prices with and without tax, in advance and in arrears, trials that convert, ends, months to be made up for,
payers for others, times that are not billed, changes of the rate of tax, products that are exempt by themselves.
"""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from msgspec import Struct, structs

from core.billing.actions.setup import default_seller
from core.billing.run import run_billing
from core.billing.settings import BillingSettings
from core.billing.verify import verify
from core.catalog.actions import create_product, create_tax_category, set_tax_rate
from core.catalog.queries import get_product
from core.catalog.schemas import NewPrice, NewProduct, NewTaxCategory, NewTaxRate
from core.clock import FixedClock
from core.database import bind, claim, execute, rows, value
from core.ids import new_uuid
from core.money import exponent
from core.periods import Cycle, anchor_for
from core.settings.actions import save_settings
from core.subscriptions.actions import add_charge, start_trial, subscribe, terminate
from core.subscriptions.schemas import NewCharge, NewDiscount, NewSubscription, NewTrial
from tests.books import APPS, a_customer, scope_of
from tests.databases import KINDS, fresh
from tests.oracle import EXEMPT, NO_DAY, Document, Line, Off, Oracle, Person, Rate, Sold, Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.periods import CycleUnit
    from core.scope import Scope

CYCLES: Final[tuple[tuple[CycleUnit, int], ...]] = (
    ("month", 1), ("month", 1), ("month", 1), ("month", 2), ("month", 3), ("year", 1), ("week", 1), ("day", 10),
)  # fmt: skip
CATEGORIES: Final = ("standard", "reduced", "zero", "outside", EXEMPT)
PROFILES: Final = ("standard", "standard", "standard", "exempt", "outside", "reverse_charge")
EXCHANGE: Final = {"EUR": 10**10, "USD": 9_213_000_001, "JPY": 61_234_567, "KWD": 30_123_456_789}
"""SEK has no rate."""


@dataclass
class Offer:
    """A product with one price."""

    product_id: int
    price_id: int
    data: NewProduct
    price: NewPrice


@dataclass
class World:
    """A tenant in the database and the same in the oracle, to which the same happens."""

    scope: Scope
    random: random.Random
    oracle: Oracle
    offers: dict[str, list[Offer]] = field(default_factory=dict)
    resting_status: int = 0
    billed_status: int = 0
    _currency_of: dict[int, str] = field(default_factory=dict)

    @property
    def today(self) -> date:
        return self.scope.today()

    def set_day(self, day: date) -> None:
        assert isinstance(self.scope.clock, FixedClock)
        self.scope.clock.set(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))

    async def opens(self) -> None:
        await default_seller(self.scope)
        await create_tax_category(self.scope, NewTaxCategory(code=EXEMPT, name="Insurance", einvoice_code="E"))
        for category, day, ppm in (("standard", date(2027, 7, 1), 215_000), ("reduced", date(2027, 4, 16), 130_000)):
            await set_tax_rate(self.scope, NewTaxRate(country="AT", category=category, valid_from=day, rate_ppm=ppm))
        for currency, rate in EXCHANGE.items():
            if currency != "EUR":
                await execute(
                    "INSERT INTO fx_rate (from_currency, to_currency, valid_on, rate_e10)"
                    " VALUES (:currency, 'EUR', :day, :rate)",
                    currency=currency,
                    day=date(2026, 1, 1),
                    rate=rate,
                )
        await execute(
            "INSERT INTO status (key, label, kind, position, bill, serve, log_in, notify, dun, may_order, may_delete)"
            " VALUES ('resting', 'Resting', 'live', 99, FALSE, TRUE, TRUE, TRUE, TRUE, TRUE, FALSE)"
        )
        self.resting_status = await value("SELECT id FROM status WHERE key = 'resting'")
        self.billed_status = await value("SELECT id FROM status WHERE key = 'active'")
        await save_settings(
            self.scope,
            BillingSettings(
                terms_days=self.oracle.terms_days,
                invoice_per="subscription" if self.oracle.by_subscription else "payer",
            ),
        )

    async def sells(self, count: int) -> None:
        pick = self.random.choice
        for n in range(count):
            currency = pick(("EUR", "EUR", "EUR", "USD", "JPY", "KWD")) if n else "EUR"
            if n == 1:
                currency = "SEK"
            unit, times = pick(CYCLES)
            data = NewProduct(
                code=f"p{n}",
                name=f"Product {n}",
                kind="service",
                timing=pick(("advance", "advance", "arrears")),
                proration=pick(("by_day", "by_day", "full", "none", "merged")),
                final_proration=pick(("by_day", "by_day", "full", "none")),
                trial_days=14,
                at_trial_end="convert",
                tax_category=pick(("standard", *CATEGORIES)),
            )
            price = NewPrice(
                cycle_unit=unit,
                cycle_count=times,
                amount_minor=pick((0, 1, 7, 333, 1999, 4990, 10_000, 123_457)),
                setup_minor=pick((0, 0, 2500)),
                currency=currency,
                tax_inclusive=pick((False, False, True)),
                valid_from=date(2020, 1, 1),
            )
            self.offers.setdefault(currency, []).append(await self._offer(data, price))

    async def _offer(self, data: NewProduct, price: NewPrice) -> Offer:
        product_id = await create_product(self.scope, structs.replace(data, prices=[price]))
        found = await get_product(product_id)
        return Offer(product_id, found.prices[0].id, data, price)

    async def meets(self, count: int) -> None:
        pick = self.random.choice
        for n in range(count):
            payer = (
                pick([p for p in self.oracle.people.values() if p.payer_id == p.id]) if n > 3 and n % 4 == 0 else None
            )
            currency = pick(list(self.offers)) if payer is None else self._currency_of[payer.id]
            company, checked = pick((True, False)), pick((True, False))
            country = pick(("AT", "AT", "AT", "DE", "FR", "US"))
            profile = pick(PROFILES)
            terms = pick((None, None, 0, 30))
            await self._knows(n, currency, country, profile, payer, company=company, checked=checked, terms=terms)

    async def _knows(
        self,
        n: int,
        currency: str,
        country: str,
        profile: str,
        payer: Person | None = None,
        *,
        company: bool,
        checked: bool,
        terms: int | None = None,
    ) -> Person:
        vat_id = f"{country}{n:09}" if company else ""
        customer_id = await a_customer(
            self.scope,
            name=f"Customer {n}",
            currency=currency,
            country=country,
            kind="company" if company else "person",
            vat_id=vat_id,
            tax_profile=profile,
            terms_days=terms,
            payer_id=payer.id if payer else None,
            billing_day=self.random.choice((None, None, 1, 15, 28, 29, 30, 31)),
            status_id=self.billed_status,
        )
        # the latest answer decides: some were refused before, others are since
        answers = ((False, 1), (True, 2)) if checked else ((True, 1), (False, 2))
        for valid, day in answers if company and (checked or n % 2) else ():
            await execute(
                "INSERT INTO vat_check (vat_id, checked_at, valid) VALUES (:vat_id, :at, :valid)",
                vat_id=vat_id,
                at=datetime(2027, 12, day, tzinfo=UTC),
                valid=valid,
            )
        self._currency_of[customer_id] = currency
        person = Person(customer_id, payer.id if payer else customer_id, country, company, checked, profile, terms)
        self.oracle.people[customer_id] = person
        return person

    async def has_one_of_each(self) -> None:
        """Every place and every standing of a buyer, each with a product of every category, net and gross."""
        offers = [
            await self._offer(
                NewProduct(code=f"{category}-{inclusive}", name=category, kind="service", tax_category=category),
                NewPrice(cycle_unit="month", amount_minor=1999, tax_inclusive=inclusive, valid_from=date(2020, 1, 1)),
            )
            for category, inclusive in product(CATEGORIES, (False, True))
        ]
        who = product(("AT", "DE", "US"), ((False, False), (True, False), (True, True)), dict.fromkeys(PROFILES))
        for n, (country, (company, checked), profile) in enumerate(who):
            person = await self._knows(n, "EUR", country, profile, company=company, checked=checked)
            for offer in offers:
                await self._buys(person, offer, self.today, 1_000_000, [])

    async def subscribes(self) -> None:
        pick = self.random.choice
        customer = pick(list(self.oracle.people.values()))
        offer = pick(self.offers[self._currency_of[customer.id]])
        billing_day = await value("SELECT billing_day FROM customer WHERE id = :id", id=customer.id)
        cycle = Cycle(offer.price.cycle_unit, offer.price.cycle_count)  # type: ignore[arg-type]  # none is sold once
        if self.random.random() < 0.15:
            await self._tries(customer, offer, cycle, billing_day)
            return
        starts_on = self.today - timedelta(days=pick((0, 0, 1, 5, 20, 45)))
        quantity = pick((1_000_000, 1_000_000, 2_500_000, 3_000_000, 333_333))
        discounts = [
            NewDiscount(
                percent_e6=pick((10_000_000, 33_333_333, 100_000_000)) if kind == "percent" else None,
                amount_minor=pick((1, 500)) if kind == "amount" else None,
                until_on=pick((None, starts_on + timedelta(days=pick((1, 40, 75))))),
            )
            for kind in pick(((), (), (), ("percent",), ("amount",), ("percent", "amount"), ("amount", "percent")))
        ]
        await self._buys(customer, offer, starts_on, quantity, discounts)

    async def _buys(
        self, customer: Person, offer: Offer, starts_on: date, quantity: int, discounts: list[NewDiscount]
    ) -> None:
        billing_day = await value("SELECT billing_day FROM customer WHERE id = :id", id=customer.id)
        cycle = Cycle(offer.price.cycle_unit, offer.price.cycle_count)  # type: ignore[arg-type]  # none is sold once
        subscription_id = await subscribe(
            self.scope,
            NewSubscription(
                customer_id=customer.id,
                product_id=offer.product_id,
                price_id=offer.price_id,
                starts_on=starts_on,
                quantity_e6=quantity,
                discounts=discounts,
            ),
        )
        self._is_sold(
            subscription_id,
            customer,
            offer,
            cycle,
            anchor_for(starts_on, cycle, billing_day),
            starts_on,
            quantity,
            discounts,
        )
        if offer.price.setup_minor:
            self._waits(customer, subscription_id, "setup", offer.price.setup_minor, offer)

    async def _tries(self, customer: Person, offer: Offer, cycle: Cycle, billing_day: int | None) -> None:
        days = self.random.choice((3, 14, 30))
        subscription_id = await start_trial(
            self.scope,
            NewTrial(
                customer_id=customer.id, product_id=offer.product_id, price_id=offer.price_id, days=days, again=True
            ),
        )
        first = self.today + timedelta(days=days)
        self._is_sold(
            subscription_id, customer, offer, cycle, anchor_for(first, cycle, billing_day), first, 1_000_000, []
        )

    def _is_sold(
        self,
        subscription_id: int,
        customer: Person,
        offer: Offer,
        cycle: Cycle,
        anchor: date,
        starts_on: date,
        quantity: int,
        discounts: list[NewDiscount],
    ) -> None:
        data = offer.data
        assert data.timing != "prepaid"
        self.oracle.sold.append(
            Sold(
                id=subscription_id,
                customer_id=customer.id,
                currency=self._currency_of[customer.id],
                price=offer.price.amount_minor,
                quantity=Fraction(quantity, 10**6),
                cycle=cycle,
                timing=data.timing,
                first=data.proration,
                last=data.final_proration,
                anchor=anchor,
                charged_until=starts_on,
                tax_category=data.tax_category,
                tax_inclusive=offer.price.tax_inclusive,
                discounts=[
                    Off(
                        Fraction(each.percent_e6, 10**6) if each.percent_e6 is not None else None,
                        each.amount_minor,
                        each.until_on,
                    )
                    for each in discounts
                ],
            )
        )

    def _waits(
        self, customer: Person, subscription_id: int | None, kind: str, amount: int, offer: Offer | None
    ) -> None:
        self.oracle.waiting.append(
            Waiting(
                customer.id,
                customer.payer_id,
                subscription_id,
                kind,
                self._currency_of[customer.id],
                amount,
                offer.data.tax_category if offer else "standard",
                offer.price.tax_inclusive if offer else False,
            )
        )

    async def charges_by_hand(self) -> None:
        customer = self.random.choice(list(self.oracle.people.values()))
        amount = self.random.choice((7800, 1, -300))
        await add_charge(self.scope, NewCharge(customer_id=customer.id, description="Visit", amount_minor=amount))
        self._waits(customer, None, "one_off", amount, None)

    async def ends(self) -> None:
        going = [s for s in self.oracle.sold if s.ends_on is None and s.charged_until <= self.today]
        if going:
            sold = self.random.choice(going)
            on = self.today + timedelta(days=self.random.choice((0, 1, 10, 31, 70)))
            await terminate(self.scope, sold.id, on)
            sold.ends_on = on
            sold.is_over = on <= self.today

    async def rests_or_wakes(self) -> None:
        customer = self.random.choice(list(self.oracle.people.values()))
        customer.is_billed = not customer.is_billed
        await execute(
            "UPDATE customer SET status_id = :status WHERE id = :id",
            status=self.billed_status if customer.is_billed else self.resting_status,
            id=customer.id,
        )

    async def lives(self, events: int) -> None:
        for _ in range(events):
            await self.random.choice(
                (
                    self.subscribes,
                    self.subscribes,
                    self.subscribes,
                    self.charges_by_hand,
                    self.ends,
                    self.rests_or_wakes,
                )
            )()


class _Line(Struct, frozen=True):
    document_id: int
    customer_id: int
    subscription_id: int | None
    kind: str
    start: date | None
    end: date | None
    amount: int
    net: int
    tax: int
    code: str
    rate_ppm: int
    deferred: int


class _Document(Struct, frozen=True):
    id: int
    payer_id: int
    currency: str
    issued_on: date
    due_on: date
    net: int
    tax: int
    total: int
    base_total: int


async def written(after: int) -> list[Document]:
    """The documents behind one."""
    lines: dict[int, list[Line]] = {}
    for each in await rows(
        _Line,
        "SELECT l.document_id, l.beneficiary_id AS customer_id, k.subscription_id, l.kind, l.period_from AS start,"
        ' l.period_to AS "end", l.amount_minor AS amount, l.net_minor AS net, l.tax_minor AS tax, l.tax_code AS code,'
        " l.rate_ppm, l.deferred_minor AS deferred FROM document_line l JOIN charge k ON k.id = l.charge_id"
        " WHERE l.document_id > :after",
        after=after,
    ):
        lines.setdefault(each.document_id, []).append(
            Line(
                each.customer_id,
                each.subscription_id or 0,
                each.kind,
                each.start or NO_DAY,
                each.end or NO_DAY,
                each.amount,
                each.net,
                each.tax,
                each.code,
                each.rate_ppm,
                each.deferred,
            )
        )
    return [
        Document(
            each.payer_id,
            each.currency,
            each.issued_on,
            each.due_on,
            each.net,
            each.tax,
            each.total,
            each.base_total,
            tuple(sorted(lines[each.id])),
        )
        for each in await rows(
            _Document,
            "SELECT d.id, d.payer_id, d.currency, d.issued_on, d.due_on, d.net_minor AS net, d.tax_minor AS tax,"
            " d.total_minor AS total, s.base_open_minor AS base_total FROM document d"
            " JOIN document_state s ON s.document_id = d.id WHERE d.id > :after ORDER BY d.seq",
            after=after,
        )
    ]


@asynccontextmanager
async def a_world(kind: str, folder: Path, seed: int) -> AsyncIterator[World]:
    chance = random.Random(seed)
    async with fresh(kind, folder, APPS) as database:
        database.owner = new_uuid()
        with bind(database):
            await claim(database.owner)
            oracle = Oracle(
                rates=[
                    Rate("standard", date(2020, 1, 1), 200_000),
                    Rate("standard", date(2027, 7, 1), 215_000),
                    Rate("reduced", date(2020, 1, 1), 100_000),
                    Rate("reduced", date(2027, 4, 16), 130_000),
                ],
                exchange={
                    currency: Fraction(rate * 10 ** exponent("EUR"), 10**10 * 10 ** exponent(currency))
                    for currency, rate in EXCHANGE.items()
                },
                terms_days=chance.choice((0, 14)),
                by_subscription=chance.random() < 0.25,
            )
            world = World(scope_of(database, FixedClock(datetime(2027, 1, 31, 12, tzinfo=UTC))), chance, oracle)
            await world.opens()
            yield world


async def bill_and_compare(world: World, as_of: date, told: str) -> list[Document]:
    last = int(await value("SELECT coalesce(max(id), 0) FROM document"))
    wanted, parked = world.oracle.bill(as_of, world.today)
    chunk_size = world.random.choice((1, 3, 1000))
    report = await run_billing(world.scope, as_of, confirmed=True, pause=0, chunk_size=chunk_size)
    found = await written(last)
    assert found == wanted, f"{told} by {as_of}"
    assert {each.payer_id for each in report.parked} == parked
    assert await verify(world.scope) == []
    return found


async def live_and_compare(kind: str, folder: Path, seed: int) -> int:
    """A world of its own, some runs of it, each beside the oracle's. Gives how many lines there were."""
    async with a_world(kind, folder, seed) as world:
        await world.sells(6)
        await world.meets(8)
        compared = 0
        for turn in range(5):
            await world.lives(12 if not turn else 5)
            as_of = world.today + timedelta(days=world.random.choice((0, 0, 0, -3, 20)))
            found = await bill_and_compare(world, as_of, f"seed {seed}, run {turn}")
            compared += sum(len(each.lines) for each in found)
            world.set_day(world.today + timedelta(days=world.random.choice((1, 13, 28, 31, 59, 95))))
        return compared


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_run_taxes_every_buyer_for_every_category_as_plain_python_does(kind: str, tmp_path: Path) -> None:
    async with a_world(kind, tmp_path, 0) as world:
        await world.has_one_of_each()
        found = await bill_and_compare(world, world.today, "one of each")

    assert sum(len(each.lines) for each in found) == 36 * len(CATEGORIES) * 2
    assert {line.code for each in found for line in each.lines} == {"S", "Z", "E", "AE", "O"}


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(1, 4))
async def test_a_run_bills_what_plain_python_works_out(kind: str, seed: int, tmp_path: Path) -> None:
    assert await live_and_compare(kind, tmp_path, seed) > 20


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_hundred_worlds_are_billed_as_plain_python_works_it_out(kind: str, tmp_path: Path) -> None:
    lines = 0
    for seed in range(100, 200):
        lines += await live_and_compare(kind, tmp_path, seed)
    print(f"{kind}: {lines} lines")
