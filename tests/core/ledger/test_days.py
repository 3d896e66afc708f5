"""Sums of the books by day: each transaction is in them once, or read from its postings; reports see no difference."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct

from core.activity.unit import unit_of_work
from core.database import dialect, execute, row, rows, value
from core.errors import NotFound
from core.ledger import days
from core.ledger.accounts import MAIN_BOOK, Code
from core.ledger.days import add_up_days
from core.ledger.posting import Entry, credit, debit, post
from core.ledger.queries import booked, get_balance, list_balances, trial_balance
from core.ledger.schemas import Balance, TrialBalanceRow
from tests.books import a_customer, day

if TYPE_CHECKING:
    from core.clock import FixedClock
    from core.scope import Scope


class Sums(Struct, frozen=True):
    code: str
    booked_on: str
    currency: str
    debit_minor: int
    credit_minor: int
    base_minor: int


class Earned(Struct, frozen=True):
    product_id: int
    tax_rate_id: int
    credit_minor: int


class Mark(Struct, frozen=True):
    folded_id: int
    seen_id: int


async def sums(of: str = "ledger_day") -> list[Sums]:
    return await rows(
        Sums,
        "SELECT account.code, CAST(booked_on AS text) AS booked_on, currency,"
        " CAST(sum(debit_minor) AS bigint) AS debit_minor, CAST(sum(credit_minor) AS bigint) AS credit_minor,"
        f" CAST(sum(base_minor) AS bigint) AS base_minor FROM {of} JOIN account ON account.id = account_id"
        " GROUP BY account.code, booked_on, currency ORDER BY account.code, booked_on, currency",
    )


async def mark() -> Mark:
    found = await row(Mark, "SELECT folded_id, seen_id FROM ledger_mark")
    assert found is not None
    return found


async def sell(scope: Scope, source: int, *amounts: int, on: str = "2027-05-01") -> None:
    """A transaction of each amount: cash against revenue, in dollars at 0.90."""
    async with unit_of_work(scope):
        for number, minor in enumerate(amounts):
            await post(
                [
                    debit(Code.BANK, minor, "USD", minor * 9 // 10),
                    credit(Code.REVENUE, minor, "USD", minor * 9 // 10),
                ],
                kind="sale",
                source_kind="sale",
                source_id=source * 100 + number,
                booked_on=day(on),
            )


async def settle(scope: Scope, clock: FixedClock) -> int:
    """Added up with all that is there: PostgreSQL looks first, and adds what it saw an hour later."""
    added = 0
    for _look in range(2):
        clock.move(timedelta(hours=1))
        added += await add_up_days(scope)
    return added


async def test_B5_a_day_holds_the_sums_of_its_postings_by_side_however_often_it_is_added_to(
    scope: Scope, clock: FixedClock
) -> None:
    await sell(scope, 1, 1000, 500, -200)
    await sell(scope, 2, 70, on="2027-05-02")

    assert await settle(scope, clock) == 4
    once = await sums()
    await sell(scope, 3, 30, -10)
    assert await settle(scope, clock) == 2
    assert await settle(scope, clock) == 0

    assert once == [
        Sums("1200", "2027-05-01", "USD", 1500, 200, 1170),
        Sums("1200", "2027-05-02", "USD", 70, 0, 63),
        Sums("4000", "2027-05-01", "USD", 200, 1500, -1170),
        Sums("4000", "2027-05-02", "USD", 0, 70, -63),
    ]
    assert await sums() == [
        Sums("1200", "2027-05-01", "USD", 1530, 210, 1188),
        Sums("1200", "2027-05-02", "USD", 70, 0, 63),
        Sums("4000", "2027-05-01", "USD", 210, 1530, -1188),
        Sums("4000", "2027-05-02", "USD", 0, 70, -63),
    ]


async def test_B5_what_is_booked_is_the_same_whether_it_was_added_up_or_not_or_in_part(
    scope: Scope, clock: FixedClock
) -> None:
    await sell(scope, 1, 1000, -200)
    before, balance = await sums(booked()), await trial_balance()

    await settle(scope, clock)
    assert (await sums(booked()), await trial_balance()) == (before, balance)

    await sell(scope, 2, 1000, -200)
    both = [(each.debit_minor, each.credit_minor, each.base_minor) for each in await sums(booked())]
    assert both == [(2000, 400, 1440), (400, 2000, -1440)]
    assert await sums() == before


async def test_B5_what_belongs_to_no_product_and_no_rate_is_kept_apart_from_what_does(
    scope: Scope, clock: FixedClock
) -> None:
    product = rate = 1
    async with unit_of_work(scope):
        await post(
            [
                debit(Code.BANK, 1111, "EUR"),
                credit(Code.REVENUE, 1, "EUR"),
                credit(Code.REVENUE, 10, "EUR", product_id=product),
                credit(Code.REVENUE, 100, "EUR", tax_rate_id=rate),
                credit(Code.REVENUE, 1000, "EUR", product_id=product, tax_rate_id=rate),
            ],
            kind="sale",
            source_kind="sale",
            source_id=1,
            booked_on=scope.today(),
        )

    async def earned() -> list[Earned]:
        return await rows(
            Earned,
            f"SELECT product_id, tax_rate_id, credit_minor FROM {booked()}"
            " JOIN account ON account.id = account_id WHERE account.code = '4000' ORDER BY credit_minor",
        )

    before = await earned()
    await settle(scope, clock)

    expected = [(0, 0, 1), (product, 0, 10), (0, rate, 100), (product, rate, 1000)]
    assert before == await earned() == [Earned(*each) for each in expected]
    assert await value("SELECT count(*) FROM ledger_day") == 5


async def test_B5_days_are_added_up_a_few_transactions_at_a_time_and_none_is_left_out_or_added_twice(
    scope: Scope, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(days, "AT_ONCE", 2)
    await sell(scope, 1, 1, 2, 4, 8, 16)

    assert await settle(scope, clock) == 5

    assert [(each.debit_minor, each.credit_minor) for each in await sums()] == [(31, 0), (0, 31)]
    assert (await mark()).folded_id == await value("SELECT max(id) FROM ledger_transaction")


async def test_B5_where_an_earlier_transaction_may_still_be_committed_only_what_was_seen_an_hour_ago_is_added(
    scope: Scope, clock: FixedClock
) -> None:
    await sell(scope, 1, 1000)
    newest = int(await value("SELECT max(id) FROM ledger_transaction"))

    added = await add_up_days(scope)

    if dialect() == "sqlite":
        assert (added, await mark()) == (1, Mark(newest, 0))
        return
    assert (added, await mark()) == (0, Mark(0, newest))
    await sell(scope, 2, 30)
    clock.move(timedelta(minutes=59, seconds=59))
    assert (await add_up_days(scope), await mark()) == (0, Mark(0, newest))
    clock.move(timedelta(seconds=1))
    assert (await add_up_days(scope), await mark()) == (1, Mark(newest, newest + 1))
    assert await add_up_days(scope) == 0
    assert [each.debit_minor for each in await sums()] == [1000, 0]


async def book(
    scope: Scope, source: int, on: str, entries: list[Entry], book_id: int = MAIN_BOOK, times: int = 1
) -> None:
    async with unit_of_work(scope):
        for number in range(times):
            await post(
                entries,
                kind="sale",
                source_kind="sale",
                source_id=source * 100 + number,
                booked_on=day(on),
                book_id=book_id,
            )


def lines_of(found: list[TrialBalanceRow]) -> dict[tuple[str, str], tuple[int, int, int, int, int]]:
    return {
        (each.code, each.currency): (
            each.opening_minor,
            each.debit_minor,
            each.credit_minor,
            each.balance_minor,
            each.base_minor,
        )
        for each in found
    }


async def test_B5_a_trial_balance_has_what_stood_before_and_what_moved_in_its_days(
    scope: Scope, clock: FixedClock
) -> None:
    def cash(minor: int) -> list[Entry]:
        return [debit(Code.BANK, minor, "EUR"), credit(Code.REVENUE, minor, "EUR")]

    # Two alike, on one day; what differs in product and day; the first and the last day; one too late.
    await book(scope, 1, "2027-03-30", cash(1000), times=2)
    await book(scope, 2, "2027-03-31", cash(70))
    for source, on in enumerate(("2027-04-01", "2027-04-15", "2027-04-30"), 3):
        await book(scope, source, on, cash(300))
    await book(scope, 6, "2027-04-15", cash(-40), times=2)
    await book(scope, 7, "2027-05-01", cash(9000))
    # Stood before and has not moved; came and went before; worth alone; a cent; a yen that is worth no cent.
    await book(scope, 8, "2027-03-01", [debit("1210", 1, "EUR"), credit("7100", 1, "EUR")])
    await book(scope, 9, "2027-03-01", [debit("5200", 5, "EUR"), credit("4100", 5, "EUR")])
    await book(scope, 10, "2027-03-02", [debit("5200", -5, "EUR"), credit("4100", -5, "EUR")])
    await book(scope, 11, "2027-04-02", [debit("7000", 0, "USD", 1), credit("9000", 0, "USD", 1)])
    await book(scope, 12, "2027-04-03", [debit("4900", 1, "EUR"), credit("4200", 1, "EUR")])
    await book(scope, 13, "2027-04-03", [debit("4900", 1, "JPY", 0), credit("4200", 1, "JPY", 0)])
    expected = {
        ("1200", "EUR"): (2070, 900, 80, 820, 820),
        ("1210", "EUR"): (1, 0, 0, 0, 0),
        ("4000", "EUR"): (-2070, 80, 900, -820, -820),
        ("4200", "EUR"): (0, 0, 1, -1, -1),
        ("4200", "JPY"): (0, 0, 1, -1, 0),
        ("4900", "EUR"): (0, 1, 0, 1, 1),
        ("4900", "JPY"): (0, 1, 0, 1, 0),
        ("7000", "USD"): (0, 0, 0, 0, 1),
        ("7100", "EUR"): (-1, 0, 0, 0, 0),
        ("9000", "USD"): (0, 0, 0, 0, -1),
    }

    found = await trial_balance(since=day("2027-04-01"), until=day("2027-04-30"))
    in_all = await trial_balance()
    await settle(scope, clock)

    assert lines_of(found) == expected
    assert [(each.code, each.currency) for each in found] == sorted(expected)
    assert await trial_balance(since=day("2027-04-01"), until=day("2027-04-30")) == found
    assert lines_of(in_all)["1200", "EUR"] == (0, 11_970, 80, 11_890, 11_890)
    assert await trial_balance() == in_all


async def test_B5_books_do_not_stand_in_each_others_trial_balance(scope: Scope) -> None:
    await execute("INSERT INTO book (id, name) VALUES (20, 'Reseller')")
    await execute(
        "INSERT INTO account (book_id, code, kind, name)"
        " SELECT 20, code, kind, name FROM account WHERE book_id = :main",
        main=MAIN_BOOK,
    )
    await book(scope, 1, "2027-05-01", [debit(Code.BANK, 100, "EUR"), credit(Code.REVENUE, 100, "EUR")])
    await book(scope, 2, "2027-05-01", [debit(Code.BANK, 7, "EUR"), credit(Code.REVENUE, 7, "EUR")], book_id=20)

    assert lines_of(await trial_balance())["1200", "EUR"] == (0, 100, 0, 100, 100)
    assert lines_of(await trial_balance(book_id=20))["1200", "EUR"] == (0, 7, 0, 7, 7)


async def test_B5_balances_are_a_customers_own_in_each_currency_and_zero_where_nothing_was_posted(scope: Scope) -> None:
    one, other = await a_customer(scope), await a_customer(scope, "Bea Berg")
    for source, (customer, currency) in enumerate(((one, "EUR"), (one, "CHF"), (other, "USD")), 1):
        entries = [debit("1100", 100 * source, currency, 100, customer_id=customer)]
        await book(scope, source, "2027-05-01", [*entries, credit(Code.REVENUE, 100 * source, currency, 100)])

    found = await list_balances(scope, one)

    assert [(each.currency, each.is_main, each.balance_minor) for each in found] == [
        ("EUR", True, -100),
        ("CHF", False, -200),
    ]
    assert (await get_balance(scope, one)).currency == "EUR"
    assert (await get_balance(scope, one, "CHF")).balance_minor == -200
    assert await get_balance(scope, one, "USD") == Balance("USD", False, 0, 0, 0, 0)
    with pytest.raises(NotFound):
        await get_balance(scope, 999)
