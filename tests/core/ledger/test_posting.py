"""Posting: every row of the design's table of postings, the triggers that guard the books, and any sequence at all."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.activity.unit import unit_of_work
from core.database import BrokenReference, ConstraintFailed, Duplicate, Refused, dialect, execute, value, values
from core.ledger.accounts import OF_CUSTOMERS, Code
from core.ledger.posting import Entry, Unbalanced, credit, debit, post
from core.ledger.queries import get_balance, list_balances, list_postings, postings_of, trial_balance
from tests.books import a_customer, day

if TYPE_CHECKING:
    from core.scope import Scope

R, B, T, CC, DEP, TAX, DEF, REV = "1100", "1200", "1210", "2000", "2100", "2200", "2300", "4000"

# Event, its transactions with amounts in cents, and by how much the customer's balance moves: ledger.md, Postings.
EVENTS: dict[str, tuple[list[list[tuple[str, int]]], int]] = {
    "1 invoice, period ahead": ([[(R, 12000), (DEF, -10000), (TAX, -2000)]], -12000),
    "2 invoice, arrears": ([[(R, 6000), (REV, -5000), (TAX, -1000)]], -6000),
    "3 tax-inclusive price": ([[(R, 10000), (DEF, -8403), (TAX, -1597)]], -10000),
    "4 reverse charge": ([[(R, 10000), (DEF, -10000)]], -10000),
    "5 cash rounding": ([[(R, 1005), (REV, -928), (TAX, -75), ("7100", -2)]], -1005),
    "7 payment": ([[(B, 15000), (CC, -15000)]], 15000),
    "8 gateway": ([[(T, 11790), ("5200", 210), (CC, -12000)], [(B, 11790), (T, -11790)]], 12000),
    "11 credit note": ([[(DEF, 5000), (TAX, 1000), (CC, -6000)]], 6000),
    "17 goodwill": ([[("4900", 1500), (CC, -1500)]], 1500),
    "23 late fee": ([[(R, 500), ("4100", -500)]], -500),
    "24 deposit": ([[(B, 10000), (DEP, -10000)], [(DEP, 10000), (CC, -10000)]], 10000),
    "35 opening": ([[(R, 5000), ("9100", -5000)], [("9100", 2000), (CC, -2000)]], -3000),
    "9, 10 allocation and back": (
        [
            [(R, 12000), (DEF, -12000)],
            [(B, 12000), (CC, -12000)],
            [(CC, 12000), (R, -12000)],
            [(R, 12000), (CC, -12000)],
        ],
        0,
    ),
    "12 void of an unpaid invoice": (
        [
            [(R, 12000), (DEF, -10000), (TAX, -2000)],
            [(DEF, 10000), (TAX, 2000), (CC, -12000)],
            [(CC, 12000), (R, -12000)],
        ],
        0,
    ),
    "14 refund": ([[(B, 6000), (CC, -6000)], [(CC, 6000), (B, -6000)]], 0),
    "18 forfeited": ([[(B, 2500), (CC, -2500)], [(CC, 2500), ("4200", -2500)]], 0),
    "19 write-off": ([[(R, 8000), (REV, -8000)], [("5000", 8000), (R, -8000)]], 0),
    "22 small difference": ([[(R, 1), (REV, -1)], [("7100", 1), (R, -1)]], 0),
}


@pytest.mark.parametrize("event", EVENTS)
async def test_each_event_of_the_design_moves_the_balance_as_it_says(scope: Scope, event: str) -> None:
    customer = await a_customer(scope)
    transactions, moved = EVENTS[event]

    async with unit_of_work(scope):
        for source, entries in enumerate(transactions):
            await post(
                _entries(entries, customer), kind="test", source_kind="test", source_id=source, booked_on=scope.today()
            )

    assert (await get_balance(scope, customer)).balance_minor == moved
    assert sum(row.balance_minor for row in await trial_balance()) == 0


async def test_each_posting_gets_a_transaction_of_its_own_and_nothing_is_written_for_a_line_of_zero(
    scope: Scope,
) -> None:
    lines = [debit(B, 100, "EUR"), credit(REV, 100, "EUR"), debit("7100", 0, "EUR"), debit("7000", 0, "USD", 0)]
    async with unit_of_work(scope):
        first, empty, second = [
            await post(some, kind="test", source_kind="test", source_id=source, booked_on=scope.today())
            for source, some in enumerate((lines, [], lines))
        ]

    assert first < empty < second
    of_first, of_second = [
        [(row.transaction_id, row.line, row.code, row.amount_minor) for row in await postings_of("test", source)]
        for source in (0, 2)
    ]
    assert of_first == [(first, 1, B, 100), (first, 2, REV, -100)]
    assert of_second == [(second, 1, B, 100), (second, 2, REV, -100)]
    assert await value("SELECT kind FROM ledger_transaction WHERE id = :id", id=empty) == "test"


async def test_a_line_of_nothing_abroad_that_is_something_in_the_tenants_currency_is_written(scope: Scope) -> None:
    lines = [debit(B, 0, "USD", 3), credit("7000", 0, "USD", 3)]
    async with unit_of_work(scope):
        await post(lines, kind="test", source_kind="test", source_id=1, booked_on=scope.today())

    assert [(row.amount_minor, row.base_minor) for row in await postings_of("test", 1)] == [(0, 3), (0, -3)]


async def test_a_customer_has_its_balance_from_the_start(scope: Scope) -> None:
    customer = await a_customer(scope)

    balances = await list_balances(scope, customer)

    assert [(b.currency, b.is_main, b.balance_minor) for b in balances] == [("EUR", True, 0)]


async def test_the_main_balance_follows_the_customers_currency(scope: Scope) -> None:
    customer = await a_customer(scope)

    await execute("UPDATE customer SET currency = 'USD' WHERE id = :id", id=customer)

    assert [(b.currency, b.is_main) for b in await list_balances(scope, customer)] == [("USD", True), ("EUR", False)]


async def test_another_currency_has_a_balance_of_its_own(scope: Scope) -> None:
    customer = await a_customer(scope)

    async with unit_of_work(scope):
        entries = [
            debit(Code.BANK, 10000, "USD", 9000),
            credit(Code.CUSTOMER_CREDIT, 10000, "USD", 9000, customer_id=customer),
        ]
        await post(entries, kind="payment", source_kind="payment", source_id=1, booked_on=scope.today())

    assert (await get_balance(scope, customer, "USD")).credit_minor == 10000
    assert (await get_balance(scope, customer)).credit_minor == 0
    assert (await get_balance(scope, customer, "GBP")).balance_minor == 0


async def test_what_does_not_sum_to_zero_is_refused_before_the_database_is_asked(scope: Scope) -> None:
    customer = await a_customer(scope)

    async with unit_of_work(scope):
        for wrong in (
            [debit(R, 2, "EUR", customer_id=customer), credit(REV, 1, "EUR")],
            [debit(R, 1, "EUR", customer_id=customer), credit(REV, 1, "USD")],
            [debit(R, 1, "USD", 2, customer_id=customer), credit(REV, 1, "USD", 1)],
            [debit(R, 1, "EUR"), credit(REV, 1, "EUR")],
        ):
            with pytest.raises(Unbalanced):
                await post(wrong, kind="test", source_kind="test", source_id=1, booked_on=scope.today())

    assert await trial_balance() == []


@pytest.mark.parametrize(
    ("amounts", "account"),
    [((100, -99), REV), ((100, -100), "foreign")],
    ids=["does not sum to zero", "in two books"],
)
async def test_the_database_refuses_to_close_a_transaction_that_is_wrong(
    scope: Scope, amounts: tuple[int, int], account: str
) -> None:
    await execute("INSERT INTO book (id, name) VALUES (20, 'Reseller')")
    await execute("INSERT INTO account (book_id, code, kind, name) VALUES (20, 'foreign', 'income', 'Revenue')")

    async def close_it() -> None:
        async with unit_of_work(scope):
            for line, (code, amount) in enumerate([(B, amounts[0]), (account, amounts[1])], start=1):
                await _raw_posting(1, line, code, amount)
            await _raw_transaction(1)

    with pytest.raises(Refused):
        await close_it()

    assert await value("SELECT count(*) FROM posting") == 0


async def test_a_wrong_base_amount_does_not_close(scope: Scope) -> None:
    async def close_it() -> None:
        async with unit_of_work(scope):
            await _raw_posting(1, 1, B, 100, base=90)
            await _raw_posting(1, 2, REV, -100, base=-91)
            await _raw_transaction(1)

    with pytest.raises(Refused):
        await close_it()


async def test_a_posting_without_its_transaction_is_never_kept(scope: Scope) -> None:
    with pytest.raises(BrokenReference):
        async with unit_of_work(scope):
            await _raw_posting(7, 1, B, 100)

    assert await value("SELECT count(*) FROM posting") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE posting SET amount_minor = amount_minor + 1",
        "UPDATE posting SET customer_id = NULL",
        "DELETE FROM posting",
        "UPDATE ledger_transaction SET booked_on = '2020-01-01'",
        "DELETE FROM ledger_transaction",
        "INSERT INTO posting (transaction_id, line, account_id, booked_on, currency, amount_minor, base_minor)"
        " SELECT transaction_id, line + 8, account_id, booked_on, currency, amount_minor, base_minor FROM posting",
    ],
)
async def test_what_is_booked_never_changes(scope: Scope, statement: str) -> None:
    customer = await _paid(scope, 5000)

    with pytest.raises(Refused):
        await execute(statement)

    assert (await get_balance(scope, customer)).credit_minor == 5000
    assert len(await postings_of("payment", 1)) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO posting (transaction_id, line, account_id, booked_on, currency, amount_minor,"
        " base_minor)"
        " SELECT transaction_id, line, account_id, booked_on, currency, 2 * amount_minor, 2 * base_minor FROM posting",
        "INSERT OR REPLACE INTO ledger_transaction (id, book_id, kind, source_kind, source_id, booked_on)"
        " SELECT id, book_id, 'other', source_kind, source_id, booked_on FROM ledger_transaction",
        "INSERT OR REPLACE INTO ledger_transaction (id, book_id, kind, source_kind, source_id, booked_on)"
        " SELECT id + 1, book_id, kind, source_kind, source_id, '2020-01-01' FROM ledger_transaction",
    ],
)
async def test_replacing_is_changing(scope: Scope, statement: str) -> None:
    if dialect() != "sqlite":
        pytest.skip("only SQLite knows REPLACE")
    await _paid(scope, 5000)

    with pytest.raises(Refused):
        await execute(statement)

    assert [p.amount_minor for p in await postings_of("payment", 1)] == [5000, -5000]


async def test_the_same_thing_is_booked_once(scope: Scope) -> None:
    await _paid(scope, 5000)

    with pytest.raises((Duplicate, Refused)):
        await _paid(scope, 5000)


async def test_credit_cannot_be_used_twice(scope: Scope) -> None:
    customer = await _paid(scope, 5000)
    entries = [debit(CC, 5001, "EUR", customer_id=customer), credit(B, 5001, "EUR")]

    with pytest.raises(ConstraintFailed):
        async with unit_of_work(scope):
            await post(entries, kind="refund", source_kind="refund", source_id=1, booked_on=scope.today())

    assert (await get_balance(scope, customer)).credit_minor == 5000


async def test_a_trial_balance_of_some_days_leaves_out_the_others(scope: Scope) -> None:
    await _paid(scope, 5000)

    assert {row.code: row.balance_minor for row in await trial_balance(until=day("2027-05-01"))} == {
        "1200": 5000,
        "2000": -5000,
    }
    assert await trial_balance(until=day("2027-04-30")) == []
    later = await trial_balance(since=day("2027-05-02"))
    assert {row.code: row.opening_minor for row in later} == {"1200": 5000, "2000": -5000}
    assert {(row.debit_minor, row.credit_minor, row.balance_minor, row.base_minor) for row in later} == {(0, 0, 0, 0)}


async def test_postings_are_listed_with_their_cause(scope: Scope) -> None:
    customer = await _paid(scope, 5000)

    (row,) = await list_postings(scope, customer_id=customer)

    assert (row.kind, row.code, row.amount_minor, row.booked_on) == ("payment", "2000", -5000, day("2027-05-01"))


entries_of_any_kind = st.lists(
    st.tuples(
        st.sampled_from(sorted(set(Code) - OF_CUSTOMERS)),
        st.integers(-(10**9), 10**9),
        st.sampled_from(["EUR", "USD", "JPY"]),
        st.integers(-(10**9), 10**9),
    ),
    max_size=6,
)


SEQUENCES = st.lists(st.tuples(entries_of_any_kind, st.integers(0, 2)), min_size=1, max_size=5)
EACH = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
Sequence = list[tuple[list[tuple[str, int, str, int]], int]]


@settings(EACH, max_examples=25)
@given(sequence=SEQUENCES)
async def test_any_sequence_sums_to_zero_and_balances_are_its_sums(scope: Scope, sequence: Sequence) -> None:
    await post_and_prove(scope, sequence)


@pytest.mark.long
@settings(EACH, max_examples=10_000)
@given(sequence=SEQUENCES)
async def test_ten_thousand_sequences_sum_to_zero_and_balances_are_their_sums(scope: Scope, sequence: Sequence) -> None:
    await post_and_prove(scope, sequence)


async def post_and_prove(scope: Scope, sequence: Sequence) -> None:
    """Posts for two customers whom nothing has happened to, and goes over every sum of what was posted."""
    customers = [await a_customer(scope, f"C{n}") for n in range(2)]
    last = int(await value("SELECT coalesce(max(source_id), 0) FROM ledger_transaction WHERE source_kind = 'any'"))
    owed: Counter[tuple[int, str]] = Counter()

    async with unit_of_work(scope):
        for source, (some, who) in enumerate(sequence, start=last + 1):
            entries = [Entry(account=a, amount_minor=m, currency=c, base_minor=b) for a, m, c, b in some]
            rest: Counter[str] = Counter()
            for entry in entries:
                rest[entry.currency] += entry.amount_minor
            base = -sum(entry.base_minor for entry in entries)
            for currency, amount in rest.items():
                entries.append(Entry(account="9000", amount_minor=-amount, currency=currency, base_minor=base))
                base = 0
            if who < 2 and base == 0:
                entries += [
                    debit(R, 700 + source, "EUR", customer_id=customers[who]),
                    credit(REV, 700 + source, "EUR"),
                ]
                owed[customers[who], "EUR"] += 700 + source
            if base == 0:
                await post(entries, kind="any", source_kind="any", source_id=source, booked_on=scope.today())

    totals = await sums_after(last)
    assert all(amount == 0 for amount in totals), totals
    for customer in customers:
        assert (await get_balance(scope, customer)).receivable_minor == owed[customer, "EUR"]


async def sums_after(source: int) -> list[int]:
    """Every sum that must be zero: by transaction and currency, and by transaction in the base currency."""
    posted = (
        "FROM posting p JOIN ledger_transaction t ON t.id = p.transaction_id"
        " WHERE t.source_kind = 'any' AND t.source_id > :source GROUP BY p.transaction_id"
    )
    return [
        *await values(f"SELECT CAST(sum(p.amount_minor) AS bigint) {posted}, p.currency", source=source),
        *await values(f"SELECT CAST(sum(p.base_minor) AS bigint) {posted}", source=source),
    ]


def _entries(entries: list[tuple[str, int]], customer: int) -> list[Entry]:
    return [
        debit(code, amount, "EUR", customer_id=customer if code in OF_CUSTOMERS else None) for code, amount in entries
    ]


async def _paid(scope: Scope, amount: int) -> int:
    customer = await a_customer(scope)
    async with unit_of_work(scope):
        entries = [debit(Code.BANK, amount, "EUR"), credit(Code.CUSTOMER_CREDIT, amount, "EUR", customer_id=customer)]
        await post(entries, kind="payment", source_kind="payment", source_id=1, booked_on=scope.today())
    return customer


async def _raw_posting(transaction_id: int, line: int, code: str, amount: int, base: int | None = None) -> None:
    await execute(
        "INSERT INTO posting (transaction_id, line, account_id, booked_on, currency, amount_minor, base_minor)"
        " SELECT :transaction::bigint, :line::integer, id, '2027-05-01', 'EUR', :amount::bigint, :base::bigint"
        " FROM account WHERE code = :code",
        transaction=transaction_id,
        line=line,
        amount=amount,
        base=amount if base is None else base,
        code=code,
    )


async def _raw_transaction(transaction_id: int) -> None:
    await execute(
        "INSERT INTO ledger_transaction (id, book_id, kind, source_kind, source_id, booked_on)"
        " VALUES (:id, 1, 'test', 'test', 1, '2027-05-01')",
        id=transaction_id,
    )
