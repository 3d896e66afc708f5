"""What a day brings, when several workers turn it at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from core.billing.actions import invoice_first
from core.billing.turning import turn_day
from core.billing.verify import verify
from core.catalog.actions import create_product
from core.catalog.queries import get_product
from core.catalog.schemas import NewPrice, NewProduct
from core.clock import FixedClock
from core.database import spawn, value, values
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.scope import Scope
from core.subscriptions.schemas import NewSubscription
from tests.books import a_customer


async def three_wait_for_their_invoices(scope: Scope) -> list[int]:
    price = NewPrice(cycle_unit="month", amount_minor=10_000)
    product = await get_product(
        await create_product(
            scope,
            NewProduct(code="fibre", name="Fibre", kind="plan", activation="invoice_first", prices=[price]),
        )
    )
    customers = [await a_customer(scope, name=f"Customer {n}") for n in range(3)]
    for customer_id in customers:
        await invoice_first(
            scope, NewSubscription(customer_id=customer_id, product_id=product.id, price_id=product.prices[0].id)
        )
    return customers


async def test_what_was_not_paid_in_time_is_over_once_when_workers_turn_the_day_together(
    scope: Scope, clock: FixedClock
) -> None:
    await three_wait_for_their_invoices(scope)
    clock.move(timedelta(days=40))

    await asyncio.gather(*(spawn(turn_day(scope, scope.today())) for _ in range(4)))

    assert await values("SELECT state FROM subscription") == ["ended"] * 3
    assert await value("SELECT count(*) FROM document WHERE kind = 'credit_note'") == 3
    assert await verify(scope) == []


async def test_an_invoice_that_is_settled_while_the_day_turns_is_not_voided(
    scope: Scope, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    customers = await three_wait_for_their_invoices(scope)
    clock.move(timedelta(days=40))
    listed = values

    async def paid_meanwhile(sql: str, **given: object) -> list[object]:
        found = await listed(sql, **given)
        if "pending_until < :day" in sql:
            await receive(scope, NewPayment(payer_id=customers[0], amount_minor=12_000))
        return found

    monkeypatch.setattr("core.billing.turning.values", paid_meanwhile)
    await turn_day(scope, scope.today())

    assert await values("SELECT state FROM subscription ORDER BY id") == ["active", "ended", "ended"]
    assert await value("SELECT count(*) FROM document WHERE kind = 'credit_note'") == 2
    assert await verify(scope) == []
