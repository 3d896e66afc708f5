"""What was owed on a day: the same whether it is taken from what is open now or worked out from every settlement."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest
from msgspec import Struct

from core.billing import actions as billing
from core.billing.actions.allocation import unallocate, write_off
from core.billing.schemas import CreditLine, NewCreditNote, NewDraft, NewLine
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import Everything, Partitions, SqliteDatabase, execute, rows, value
from core.ledger.actions import set_fx_rate
from core.ledger.days import add_up_days
from core.ledger.schemas import NewFxRate
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.reports.receivables import Aged, aged_by_currency, aged_by_customer, open_items, receivable_in_books
from core.scope import ALL_PERMISSIONS, Actor, Scope
from core.testing import TestTenant


class Owed(Struct, frozen=True):
    id: int
    payer_id: int
    currency: str
    due_on: date
    minor: int


async def owed_on(day: date) -> list[Owed]:
    """By the rows of documents, allocations and write-offs alone."""
    found = await rows(
        Owed,
        "SELECT d.id, d.payer_id, d.currency, d.due_on, CAST(d.total_minor"
        " - coalesce((SELECT sum(a.amount_minor) FROM allocation a"
        "  WHERE a.document_id = d.id AND a.allocated_on <= :day), 0)"
        " - coalesce((SELECT sum(w.amount_minor) FROM write_off w"
        "  WHERE w.document_id = d.id AND w.written_on <= :day), 0) AS bigint) AS minor"
        " FROM document d LEFT JOIN opening_balance o ON o.document_id = d.id"
        " WHERE d.state = 'issued' AND d.kind = 'invoice' AND coalesce(o.booked_on, d.issued_on) <= :day"
        " ORDER BY d.due_on, d.id",
        day=day,
    )
    return [each for each in found if each.minor]


def by_age(owed: list[Owed], day: date) -> list[int]:
    """With the sum, and how many they are."""
    ages = [0] * 5
    for each in owed:
        late = (day - each.due_on).days
        ages[min(max((late + 29) // 30, 0), 4)] += each.minor
    return [*ages, sum(ages), len(owed)]


def shown(aged: Aged) -> list[int]:
    ages = [aged.current_minor, aged.to_30_minor, aged.to_60_minor, aged.to_90_minor, aged.over_90_minor]
    return [*ages, aged.total_minor, aged.documents]


async def a_customer(tenant: TestTenant, name: str, currency: str = "EUR") -> int:
    return await create_customer(tenant.scope(), NewCustomer(full_name=name, country="IE", currency=currency))


async def an_invoice(tenant: TestTenant, customer_id: int, net: int) -> int:
    line = NewLine(description="Visit", unit_price_e6=net * 10**6)
    made = await billing.create_draft(tenant.scope(), NewDraft(payer_id=customer_id, lines=[line]))
    await billing.issue(tenant.scope(), made)
    return made


async def pay(tenant: TestTenant, document_id: int, minor: int) -> int:
    """The allocation."""
    scope = tenant.scope()
    payer_id = await value("SELECT payer_id FROM document WHERE id = :id", id=document_id)
    currency = await value("SELECT currency FROM document WHERE id = :id", id=document_id)
    await receive(scope, NewPayment(payer_id=payer_id, amount_minor=minor, currency=currency, document_id=document_id))
    return int(await value("SELECT max(id) FROM allocation"))


def reseller_of(tenant: TestTenant, partition: int) -> Scope:
    return tenant.scope(actor=Actor("staff", 1, "Reseller", Partitions((partition,)), ALL_PERMISSIONS))


async def half_a_year(tenant: TestTenant) -> tuple[list[date], list[int]]:
    """Documents that are paid at once, later, in parts, not at all; opened again, credited, given up, taken over. Days
    before, amid and after; and the customers in a reseller's reach.
    """
    first = tenant.scope().today()
    await set_fx_rate(tenant.scope(), NewFxRate(from_currency="USD", valid_on=first, rate_e10=9 * 10**9))
    ada, bo, cy = await a_customer(tenant, "Ada"), await a_customer(tenant, "Bo"), await a_customer(tenant, "Cy", "USD")
    await execute("UPDATE customer SET partition_id = 5 WHERE id IN :ids", ids=[bo, cy])

    turns = [first]

    async def later(days: int) -> None:
        tenant.clock.move(timedelta(days=days))
        turns.append(tenant.scope().today())

    kept = [await an_invoice(tenant, each, net) for each, net in ((ada, 100), (bo, 200), (cy, 300), (bo, 40))]
    await pay(tenant, kept[0], 12_300)
    await later(20)
    part = await pay(tenant, kept[1], 5_000)
    await pay(tenant, kept[2], 36_900)
    await later(15)
    kept += [await an_invoice(tenant, each, net) for each, net in ((ada, 70), (ada, 80), (cy, 90), (bo, 10))]
    await unallocate(tenant.scope(), part)
    await write_off(tenant.scope(), kept[3], "Gone")
    await later(40)
    line_id = await value("SELECT id FROM document_line WHERE document_id = :id", id=kept[4])
    await billing.create_credit_note(
        tenant.scope(),
        NewCreditNote(document_id=kept[4], reason="Late", lines=[CreditLine(line_id=line_id, amount_minor=2_000)]),
    )
    whole = await pay(tenant, kept[6], 11_070)
    for row_id, document_id, booked_on in ((1, kept[5], tenant.scope().today()), (2, kept[4], first)):
        await execute(
            "INSERT INTO opening_balance (row_id, batch_id, record, customer_id, currency, amount_minor, base_minor,"
            " number, booked_on, due_on, document_id, transaction_id)"
            " VALUES (:id, 1, :id, :customer, 'EUR', -100, -100, 'x', :day, :day, :document, 1)",
            id=row_id,
            customer=ada,
            day=booked_on,
            document=document_id,
        )
    await later(45)
    await unallocate(tenant.scope(), whole)
    await an_invoice(tenant, bo, 5)
    await execute("UPDATE customer SET currency = 'USD' WHERE id = :id", id=bo)
    await an_invoice(tenant, bo, 60)
    await later(60)
    amid = {first + timedelta(days=at) for at in range(0, (turns[-1] - first).days, 10)}
    beside = {day + timedelta(days=at) for day in turns for at in (-1, 0, 40)}
    return sorted(amid | beside), [bo, cy]


async def test_B5_what_was_open_on_any_day_is_what_every_settlement_until_then_left(tenant: TestTenant) -> None:
    days, reach = await half_a_year(tenant)

    sums = set()
    for day in days:
        owed = await owed_on(day)
        for scope in (tenant.scope(), reseller_of(tenant, 5)):
            seen = [each for each in owed if scope.actor.reach == Everything() or each.payer_id in reach]
            currencies = sorted({each.currency for each in seen})
            accounts = sorted({(each.payer_id, each.currency) for each in seen})
            expected = {
                pair: by_age([each for each in seen if (each.payer_id, each.currency) == pair], day)
                for pair in accounts
            }

            total = await aged_by_currency(scope, day)
            customers = await aged_by_customer(scope, day)
            assert [(each.currency, shown(each)) for each in total] == [
                (currency, by_age([each for each in seen if each.currency == currency], day)) for currency in currencies
            ]
            assert [((each.customer_id, each.currency), shown(each)) for each in customers] == sorted(
                expected.items(), key=lambda pair: (-pair[1][5], pair[0])
            )
            assert await aged_by_customer(scope, day, limit=2) == customers[:2]
            items = await open_items(scope, day)
            assert [(each.id, each.due_on, each.open_minor, each.days_overdue) for each in items] == [
                (each.id, each.due_on, each.minor, (day - each.due_on).days) for each in seen
            ]
            by_twos, after = [], None
            while page := await open_items(scope, day, after=after, limit=2):
                by_twos += page
                after = page[-1].due_on, page[-1].id
            assert by_twos == items
            sums.add(tuple((each.currency, *shown(each)) for each in total))
    assert len(sums) > 12


async def test_B5_what_is_owed_today_costs_what_is_open_and_a_page_of_it_what_it_shows(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(tenant.database, SqliteDatabase):
        pytest.skip("counts the steps that SQLite's machine makes")
    scope, customer_id = tenant.scope(), await a_customer(tenant, "Ada")
    day = scope.today()
    costs = []
    for opened, settled in ((10, 0), (0, 30), (30, 0)):
        for _each in range(opened):
            await an_invoice(tenant, customer_id, 10)
        for _each in range(settled):
            await pay(tenant, await an_invoice(tenant, customer_id, 10), 1_230)
        await add_up_days(scope)
        costs.append(
            [
                await steps(tenant.database, monkeypatch, reading)
                for reading in (
                    aged_by_currency(scope, day),
                    aged_by_customer(scope, day),
                    open_items(scope, day, after=(day, 0), limit=5),
                    receivable_in_books(day),
                )
            ]
        )

    assert costs[1] == pytest.approx(costs[0], rel=0.1)
    assert costs[2][2:] == pytest.approx(costs[0][2:], rel=0.1)


async def steps(database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch, reading: Awaitable[object]) -> int:
    """How many steps of SQLite's machine a reading of one statement takes."""
    asked: list[tuple[str, Any]] = []
    fetch = SqliteDatabase.fetch

    async def watch(self: SqliteDatabase, text: str, values: Any) -> Any:
        asked.append((text, values))
        return await fetch(self, text, values)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteDatabase, "fetch", watch)
        assert await reading
    [(text, values)] = asked
    connection = sqlite3.connect(f"file:{database.path}?mode=ro", uri=True)
    made = count()
    connection.set_progress_handler(lambda: next(made) < 0, 1)
    connection.execute(text, values).fetchall()
    connection.close()
    return next(made)
