"""What live subscriptions bring: counted by an index of terms, it is what looking at them one by one finds."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest
from msgspec import Struct

from core.billing.hookimpls import dashboard_cards
from core.catalog.actions import create_product
from core.catalog.schemas import NewPrice, NewProduct
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import SqliteDatabase, execute, rows, value
from core.money import format_money, half_up
from core.reports.figures import plan_mix
from core.scope import Scope
from core.subscriptions.status import SubscriptionState
from core.subscriptions.worth import A_MONTH
from core.testing import TestTenant
from tests.core.reports.test_receivables import reseller_of, steps


class Line(Struct, frozen=True):
    """A term with its subscription."""

    partition_id: int | None
    product_id: int
    state: str
    in_force: bool
    valid_from: date
    valid_to: date | None
    currency: str
    cycle_unit: str
    cycle_count: int
    cycle_minor: int


async def some_products(scope: Scope, count: int) -> list[int]:
    return [
        await create_product(
            scope,
            NewProduct(
                code=f"p{n}",
                name=f"Product {n}",
                kind="module",
                prices=[NewPrice(cycle_unit="month", amount_minor=1000)],
            ),
        )
        for n in range(count)
    ]


async def a_subscription(scope: Scope, customer_id: int, product_id: int, state: str) -> int:
    return int(
        await value(
            "INSERT INTO subscription (customer_id, product_id, state, timing, started_on, created_at)"
            " VALUES (:customer, :product, :state, 'advance', :today, :now) RETURNING id",
            customer=customer_id,
            product=product_id,
            state=state,
            today=scope.today(),
            now=scope.now(),
        )
    )


async def a_term(subscription_id: int, product_id: int, revision: int, **terms: object) -> None:
    await execute(
        "INSERT INTO subscription_term (subscription_id, product_id, revision, amount_minor, gross_minor, quantity_e6,"
        " tax_category, tax_inclusive, currency, cycle_unit, cycle_count, cycle_minor, valid_from, valid_to, in_force)"
        " VALUES (:subscription, :product, :revision, :cycle_minor, :cycle_minor, 1000000,"
        " (SELECT min(code) FROM tax_category), FALSE, :currency, :cycle_unit, :cycle_count, :cycle_minor,"
        " :valid_from, :valid_to, :in_force)",
        subscription=subscription_id,
        product=product_id,
        revision=revision,
        **terms,
    )


@pytest.mark.parametrize("seed", range(3))
async def test_B13_what_is_counted_by_terms_is_what_is_found_one_by_one(tenant: TestTenant, seed: int) -> None:
    """In any state, with terms that are over, to come, taken back, or in another currency; of all and in a reach."""
    dice, scope = Random(seed), tenant.scope()
    products = await some_products(scope, 3)
    customers = [await create_customer(scope, NewCustomer(full_name=f"Customer {n}")) for n in range(4)]
    await execute("UPDATE customer SET partition_id = 5 WHERE id IN :ids", ids=customers[:2])
    for _each in range(150):
        product_id = dice.choice(products)
        subscription_id = await a_subscription(
            scope, dice.choice(customers), product_id, dice.choice(list(SubscriptionState))
        )
        first = scope.today() + timedelta(days=dice.randint(-40, 5))
        for revision in range(dice.randint(1, 3)):
            last = first + timedelta(days=dice.randint(1, 30))
            await a_term(
                subscription_id,
                product_id,
                revision,
                currency=dice.choice(("EUR", "EUR", "USD")),
                cycle_unit=dice.choice(tuple(A_MONTH)),
                cycle_count=dice.choice((1, 1, 3)),
                cycle_minor=dice.choice((0, 999, 3333)),
                valid_from=first,
                valid_to=dice.choice((None, last)) if revision else last,
                in_force=dice.random() < 0.8,
            )
            first = last

    seen = 0
    for asking, partition in ((scope, None), (reseller_of(tenant, 5), 5)):
        for currency in ("EUR", "USD"):
            found = await one_by_one(scope.today(), currency, partition)
            mix: dict[int, tuple[int, int]] = {}
            cycles: dict[tuple[str, int], int] = {}
            for each in found:
                n, d = A_MONTH[each.cycle_unit]
                many, minor = mix.get(each.product_id, (0, 0))
                mix[each.product_id] = many + 1, minor + half_up(each.cycle_minor * n, d * each.cycle_count)
                cycle = each.cycle_unit, each.cycle_count
                cycles[cycle] = cycles.get(cycle, 0) + each.cycle_minor

            seen += len(found)
            assert {
                each.product_id: (each.subscriptions, each.mrr_minor) for each in await plan_mix(asking, currency)
            } == mix
            if currency == scope.tenant.currency:
                (card,) = [each for each in await dashboard_cards(asking) if each.key == "mrr"]
                monthly = sum(
                    half_up(minor * A_MONTH[unit][0], A_MONTH[unit][1] * count)
                    for (unit, count), minor in cycles.items()
                )
                assert card.value == format_money(monthly, currency, scope.locale)
    assert seen > 5


async def one_by_one(today: date, currency: str, partition: int | None) -> list[Line]:
    found = await rows(
        Line,
        "SELECT c.partition_id, s.product_id, s.state, t.in_force, t.valid_from, t.valid_to, t.currency, t.cycle_unit,"
        " t.cycle_count, t.cycle_minor FROM subscription_term t JOIN subscription s ON s.id = t.subscription_id"
        " JOIN customer c ON c.id = s.customer_id",
    )
    return [
        each
        for each in found
        if each.state in ("active", "suspended")
        and each.in_force
        and each.currency == currency
        and each.valid_from <= today
        and (each.valid_to is None or each.valid_to > today)
        and partition in (None, each.partition_id)
    ]


async def test_B13_one_more_that_is_live_costs_a_row_of_an_index(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(tenant.database, SqliteDatabase):
        pytest.skip("counts the steps that SQLite's machine makes")
    scope = tenant.scope()
    (product_id,) = await some_products(scope, 1)
    customer_id = await create_customer(scope, NewCustomer(full_name="Ada"))
    costs = []
    for _round in range(3):
        for _each in range(100):
            await a_term(
                await a_subscription(scope, customer_id, product_id, "active"),
                product_id,
                0,
                currency="EUR",
                cycle_unit="month",
                cycle_count=1,
                cycle_minor=1000,
                valid_from=scope.today(),
                valid_to=None,
                in_force=True,
            )
        costs.append(await steps(tenant.database, monkeypatch, plan_mix(scope, "EUR")))

    assert costs[2] - costs[1] == costs[1] - costs[0]
    assert costs[2] - costs[1] <= 100 * 20
