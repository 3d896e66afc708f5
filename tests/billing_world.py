"""A tenant with some hundred payers of many kinds, the same each time: what a billing run is proven on.

Payers who pay for others, four currencies (one without a rate), tax profiles, parts of cycles, months to be made up
for, trials at their end, ends, credit, charges by hand and of a plugin; and some who cannot be billed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core import hookspecs
from core.billing.actions.setup import default_seller
from core.database import bind, claim, execute_many, rows, value
from core.hooks import ChargeSource, Hooks
from core.ids import new_uuid
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.periods import Cycle, anchor_for, cycle_index, nth
from core.subscriptions.schedule import Rhythm, next_period
from core.subscriptions.terms import rate_cycle
from tests.books import scope_of
from tests.core.hooks.modules import module
from tests.databases import define

if TYPE_CHECKING:
    from uuid import UUID

    from core.clock import Clock
    from core.database import Database
    from core.periods import CycleUnit
    from core.scope import Scope

DAY: Final = date(2027, 4, 1)
"""The first date that is billed; the others are the same day of the months behind it."""
MONTHS: Final = 60
"""For so many the plugin has something to charge."""
USED: Final = """
SELECT u.subscription_id, 'usage' AS kind, 'calls' AS component, u.from_on AS period_start, u.until_on AS period_end,
       u.minutes * 1000000 AS quantity_e6, u.rated_minor AS amount_minor, 'standard' AS tax_category,
       'Calls' AS description, 'probe:' || CAST(u.id AS text) AS source_key
FROM probe_use u WHERE u.until_on <= :as_of_on
"""


def collect_charges(as_of: date) -> Sequence[ChargeSource]:
    """What the world's plugin wants charged."""
    return [ChargeSource(select=USED)]


def run_day(month: int) -> date:
    return nth(DAY, Cycle("month"), month)


def morning(day: date) -> datetime:
    return datetime.combine(day, time(3), UTC)


def world_scope(database: Database, uuid: UUID, clock: Clock) -> Scope:
    """Staff in the tenant, with the plugin on."""
    database.owner = uuid
    hooks = Hooks(hookspecs, [("probe", module("probe", collect_charges=collect_charges))])
    return replace(scope_of(database, clock), hooks=hooks)  # type: ignore[arg-type]  # any clock will do


async def make_world(database: Database, clock: Clock, payers: int) -> Scope:
    """Fill a migrated database, and bind it to its tenant."""
    uuid = new_uuid()
    with bind(database):
        await claim(uuid)
        scope = world_scope(database, uuid, clock)
        await default_seller(scope)
        await _sell(scope)
        await _people(payers)
        await _subscribe(payers)
        await _extras(scope, payers)
    return scope


PRODUCTS: Final = tuple(
    {"code": f"p{n:02}", "name": f"Product {n}", "timing": timing, "first": first, "tax": tax}
    for n, (timing, first, tax) in enumerate(
        [
            ("advance", "by_day", "standard"),
            ("advance", "full", "reduced"),
            ("arrears", "by_day", "standard"),
            ("advance", "merged", "zero"),
            ("advance", "none", "standard"),
            ("arrears", "by_day", "outside"),
            ("advance", "by_day", "unheard-of"),
        ],
        start=1,
    )
)
CYCLES: Final[tuple[tuple[CycleUnit, int], ...]] = (("month", 1), ("month", 3), ("year", 1), ("day", 30), ("week", 2))
PRICES: Final = {"EUR": 1999, "USD": 2450, "JPY": 3300, "KWD": 7125, "SEK": 19_900}


async def _insert(table: str, found: Sequence[dict[str, Any]]) -> None:
    names = list(found[0])
    await execute_many(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})", list(found)
    )


async def _sell(scope: Scope) -> None:
    await _insert("tax_category", [{"code": "unheard-of", "name": "Without a rate", "einvoice_code": "S"}])
    await _insert(
        "product",
        [
            {"code": p["code"], "name": p["name"], "name_key": p["code"], "group_id": 3, "kind": "service"}
            | {"timing": p["timing"], "proration": p["first"], "tax_category": p["tax"]}
            for p in PRODUCTS
        ],
    )
    await _insert(
        "price",
        [
            {"product_id": n, "price_list_id": 1, "currency": currency, "cycle_unit": "month", "cycle_count": 1}
            | {"amount_minor": amount + 100 * n, "valid_from": date(2020, 1, 1)}
            for n in range(1, len(PRODUCTS) + 1)
            for currency, amount in PRICES.items()
        ],
    )
    await _insert(
        "fx_rate",
        [
            {"from_currency": currency, "to_currency": "EUR", "valid_on": date(2027, 1, 1), "rate_e10": rate}
            for currency, rate in (("USD", 9_213_000_000), ("JPY", 61_234_567), ("KWD", 30_123_456_789))
        ],
    )


def _currency(customer: int) -> str:
    return {3: "USD", 5: "JPY", 8: "KWD", 61: "SEK"}.get(customer % 89 if customer % 89 == 61 else customer % 13, "EUR")


class _Status(Struct, frozen=True):
    id: int
    key: str


async def _people(payers: int) -> None:
    """The last twentieth are children of payers."""
    rng = random.Random(1)
    status = {each.key: each.id for each in await rows(_Status, "SELECT id, key FROM status")}
    found = []
    for n in range(1, payers + payers // 20 + 1):
        payer = None if n <= payers else n - payers
        found.append({
            "kind": "company" if n % 5 == 0 else "person", "full_name": f"Customer {n}", "name_key": f"customer {n}",
            "email_key": f"c{n}@example.com", "city": "Vienna", "city_key": "vienna",
            "country": rng.choices(("AT", "DE", "FR", "US"), (70, 15, 10, 5))[0], "payer_id": payer,
            "billing_day": None if n % 3 else rng.randint(1, 31), "currency": _currency(payer or n),
            "tax_profile": rng.choices(("standard", "exempt", "outside", "reverse_charge"), (90, 4, 3, 3))[0],
            "terms_days": rng.choice((None, None, 7, 30)), "joined_on": date(2024, 1, 1),
            "created_at": datetime(2024, 1, 1, tzinfo=UTC),
            "status_id": status["inactive" if n % 47 == 0 else "active"],
        })  # fmt: skip
    await _insert("customer", found)


async def _subscribe(payers: int) -> None:
    rng = random.Random(2)
    subscriptions, terms, schedules, spans = [], [], [], []
    for n in range(1, payers * 3 // 2 + 1):
        customer = n if n <= payers else rng.randint(1, payers + payers // 20)
        payer = customer if customer <= payers else customer - payers
        number = rng.choices(range(1, 8), (50, 12, 15, 8, 8, 6, 1))[0]
        product = PRODUCTS[number - 1]
        unit, count = rng.choices(
            (("month", 1), ("month", 3), ("year", 1), ("day", 30), ("week", 2)), (80, 8, 5, 4, 3)
        )[0]
        if n == 40:
            unit, count = "day", 1  # far more than a run may charge at once
        cycle = Cycle(unit, count)
        started = DAY - timedelta(days=rng.randint(0, 25) if n % 6 == 0 else rng.randint(60, 700))
        trial = {11: "convert", 12: "invoice_first", 13: "end"}.get(n % 40)
        if trial:
            started = DAY - timedelta(days=14)
        charged_from = DAY - timedelta(days=rng.randint(0, 1)) if trial else started
        anchor = anchor_for(charged_from, cycle, rng.choice((None, None, 1, 15, 31)))
        ends = None
        if trial == "end":
            ends = charged_from
        elif n % 17 == 0:
            ends = DAY + timedelta(days=rng.randint(-5, 200))
        rhythm = Rhythm(anchor, unit, count, product["timing"], product["first"], "by_day", ends)
        start = charged_from
        if not trial and started < DAY - timedelta(days=40):
            # Charged by another system up to here; some are months behind.
            start = max(
                started, nth(anchor, cycle, cycle_index(anchor, cycle, DAY - timedelta(days=rng.choice((1, 1, 1, 50)))))
            )
        quantity = rng.choices((1_000_000, 2_500_000, 3_000_000), (85, 8, 7))[0]
        price = PRICES[_currency(payer)] + 100 * number
        rated = rate_cycle(price, quantity)
        off = rng.choices((0, 10, 33, 100), (80, 10, 8, 2))[0]
        subscriptions.append({
            "customer_id": customer, "product_id": number, "state": "trial" if trial else "active",
            "timing": product["timing"], "anchor_on": anchor, "started_on": started, "ends_on": ends,
            "trial_ends_on": charged_from if trial else None, "at_trial_end": trial,
            "created_at": datetime(2024, 1, 1, tzinfo=UTC), "label": f"Line {n}" if n % 9 == 0 else "",
        })  # fmt: skip
        terms.append({
            "subscription_id": n, "valid_from": started, "product_id": number, "amount_minor": price,
            "currency": _currency(payer), "quantity_e6": quantity, "cycle_unit": unit, "cycle_count": count,
            "tax_category": product["tax"], "tax_inclusive": n % 8 == 0, "proration": product["first"],
            "gross_minor": rated.gross_minor, "cycle_minor": rated.gross_minor * (100 - off) // 100,
        })  # fmt: skip
        if trial:
            spans.append({"subscription_id": n, "from_on": started, "to_on": charged_from, "reason": "trial"})
        following = next_period(rhythm, start) if trial in {None, "convert"} else None
        if following is not None:
            schedules.append({
                "subscription_id": n, "payer_id": payer, "cycle_no": following.cycle_no,
                "period_start": following.start, "period_end": following.end, "due_on": following.due_on,
            })  # fmt: skip
    await _insert("subscription", subscriptions)
    await _insert("subscription_term", terms)
    await _insert("subscription_schedule", schedules)
    await _insert("unbilled_span", spans)


async def _extras(scope: Scope, payers: int) -> None:
    """Charges that wait, one that would make a total below 0, money paid ahead, and what the plugin counts."""
    await _insert(
        "charge",
        [
            {"customer_id": n, "payer_id": n, "kind": "one_off", "description": f"Visit {n}", "quantity_e6": 1_000_000}
            | {"unit_price_e6": 78_000_000, "amount_minor": -900_000 if n == 30 else 7800, "currency": _currency(n)}
            | {"tax_category": "standard", "tax_inclusive": False, "state": "open"}
            for n in range(10, payers + 1, 10)
        ],
    )
    for n in range(4, payers + 1, 25):
        await receive(scope, NewPayment(payer_id=n, amount_minor=5000 + 700 * n, received_on=DAY - timedelta(days=9)))
    await define(
        "CREATE TABLE probe_use (id {id}, subscription_id bigint NOT NULL, from_on date NOT NULL,"
        " until_on date NOT NULL, minutes bigint NOT NULL, rated_minor bigint NOT NULL)"
    )
    last = int(await value("SELECT max(id) FROM subscription"))
    await _insert(
        "probe_use",
        [
            {"subscription_id": n, "from_on": run_day(month - 1), "until_on": run_day(month)}
            | {"minutes": 10 + n % 90, "rated_minor": 13 * n + month}
            for month in range(MONTHS)
            for n in range(7, last + 1, 29)
        ],
    )


class Written(Struct, frozen=True):
    """A line of an issued document, with what it is a part of."""

    number: str
    payer_id: int
    currency: str
    issued_on: date
    due_on: date
    total_minor: int
    position: int
    beneficiary_id: int | None
    subscription_id: int | None
    kind: str
    source_key: str | None
    description: str
    period_from: date | None
    period_to: date | None
    amount_minor: int
    net_minor: int
    tax_minor: int
    deferred_minor: int
    base_net_minor: int
    base_tax_minor: int
    open_minor: int
    settled: bool


async def books() -> list[Written]:
    """Everything that runs have written, but for when, and for ids that a killed run has used up."""
    return await rows(
        Written,
        "SELECT d.number, d.payer_id, d.currency, d.issued_on, d.due_on, d.total_minor, l.position, l.beneficiary_id,"
        " k.subscription_id, l.kind, k.source_key, l.description, l.period_from, l.period_to, l.amount_minor,"
        " l.net_minor, l.tax_minor, l.deferred_minor, l.base_net_minor, l.base_tax_minor, s.open_minor,"
        " s.settled_on IS NOT NULL AS settled"
        " FROM document d JOIN document_line l ON l.document_id = d.id JOIN document_state s ON s.document_id = d.id"
        " LEFT JOIN charge k ON k.id = l.charge_id ORDER BY d.number, l.position",
    )


class Planned(Struct, frozen=True):
    subscription_id: int
    state: str
    period_start: date | None
    due_on: date | None
    live: int


async def plans() -> list[Planned]:
    """What is to come of each subscription."""
    return await rows(
        Planned,
        "SELECT u.id AS subscription_id, u.state, s.period_start, s.due_on, c.live_subscriptions AS live"
        " FROM subscription u JOIN customer c ON c.id = u.customer_id"
        " LEFT JOIN subscription_schedule s ON s.subscription_id = u.id ORDER BY u.id",
    )


class Parked(Struct, frozen=True):
    payer_id: int
    reason: str


async def parked() -> list[Parked]:
    return await rows(Parked, "SELECT payer_id, reason FROM billing_parked WHERE resolved_at IS NULL ORDER BY payer_id")
